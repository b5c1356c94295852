"""How a machine does after its repair, beside its healthy baseline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field

from alarms.roles import Role
from api import ROOT
from api.access.auth import Anyone, Caller, require
from api.models import Answered, Asked, Instant, example
from dashboard.comparison import strip
from store import tickets
from store.repairs import answers, checks
from store.repairs.checks import Check
from store.transactions import Transaction
from tickets.after_repair import Answer, Stage

router = APIRouter(prefix=f"{ROOT}/tickets", tags=["tickets"])

Program = Annotated[Caller, Depends(require(Role.SERVICE))]

# What there is of a check before anybody has looked.
_UNSEEN: dict[str, Any] = {
    "wanted_h": None,
    "baseline": None,
    "health": None,
    "alarms": 0,
    "compared": 0,
    "off": 0,
    "points": [],
}


class ComparedOut(Answered):
    """One point at one load: in health, before the repair and since. Null where nothing is known."""

    point: str
    unit: str
    mode: str = Field(description="The load; empty where the machine has one only")
    usual: float = Field(description="The baseline's middle")
    low: float = Field(description="Below is not normal")
    high: float = Field(description="Above is not normal")
    before: float | None
    now: float | None
    swing_usual: float | None = Field(description="Largest less smallest within ten minutes")
    swing_before: float | None
    swing_now: float | None
    beyond: float = Field(description="How far it is off, in what is normal: above 1 it is")
    was_off: bool = Field(description="Before the repair")
    why: Literal["", "level", "swing", "still"] = Field(description="What is off; empty: nothing")


class BaselineOut(Answered):
    """The healthy time that is compared with. Null and 0: there is none."""

    begins_at: Instant | None = Field(alias="from")
    ends_at: Instant | None = Field(alias="to")
    hours: float


class HealthBesideOut(Answered):
    """Mean health before the repair and since; null where it is not known."""

    before: float | None
    now: float | None


class RepairCheckOut(Answered):
    """One check: after the repair (`test`), or after the hand-over (`service`)."""

    model_config = Answered.model_config | example(
        id="5f0c9a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        turn=0,
        stage="test",
        begins_at="2026-11-22T08:00:00Z",
        look_at=None,
        looked_at="2026-11-22T13:00:00Z",
        settled_at="2026-11-22T13:00:00Z",
        outcome="not_well",
        reason="vibration_velocity is 4.1 mm/s, 1.6 to 2.4 in health",
        ran_h=4.0,
        wanted_h=4.0,
        answer="noted",
        baseline={"from": "2026-11-07T02:00:00Z", "to": "2026-11-21T02:00:00Z", "hours": 336.0},
        health={"before": 41.0, "now": 44.5},
        alarms=0,
        compared=7,
        off=1,
        points=[
            {
                "point": "vibration_velocity",
                "unit": "mm/s",
                "mode": "",
                "usual": 2.0,
                "low": 1.6,
                "high": 2.4,
                "before": 4.3,
                "now": 4.1,
                "swing_usual": 0.2,
                "swing_before": 0.4,
                "swing_now": 0.4,
                "beyond": 5.2,
                "was_off": True,
                "why": "level",
            }
        ],
    )

    id: UUID
    turn: int = Field(description="How often the ticket had been reopened by then")
    stage: Stage
    begins_at: Instant
    look_at: Instant | None = Field(description="When it is looked at next; null: it is settled")
    looked_at: Instant | None
    settled_at: Instant | None
    outcome: Literal["well", "not_well", "cannot_say"]
    reason: str = Field(description="What is off, or why nothing can be said")
    ran_h: float = Field(description="Hours of running that could be compared")
    wanted_h: float | None = Field(description="Of them are wanted; null: nobody has looked yet")
    answer: Answer | None = Field(description="What became of the ticket, of a machine that is not well")
    baseline: BaselineOut | None
    health: HealthBesideOut | None
    alarms: int = Field(description="Raised since and not over: they stand beside the verdict and are no part of it")
    compared: int = Field(description="Points, each at each of its loads")
    off: int
    points: list[ComparedOut] = Field(description="The worst of them first, 24 at most")


class RepairChecksOut(Answered):
    """The checks of a ticket, the newest first."""

    items: list[RepairCheckOut]


class NotHeld(Asked):
    """A check that says that a machine is not well."""

    model_config = Asked.model_config | example(check_id="5f0c9a52-8c1e-4a57-9c3d-6b1f0a4f7c11")

    check_id: UUID


@router.post("/after-repair", summary="Take back a ticket whose repair did not hold")
def take_back(caller: Program, asked: NotHeld) -> RepairCheckOut:
    """For `notify`. Before the hand-over it is only noted; the same check does it once, however often it is sent."""
    who = caller.principal
    with caller.transaction() as conn:
        check = answers.take_back(conn, who.tenant, asked.check_id, who=who.name or "notify", now=datetime.now(UTC))
    return check_out(check)


@router.get("/{ticket_id}/after-repair", summary="How the machine does after its repair")
def after_repair(caller: Anyone, ticket_id: UUID) -> RepairChecksOut:
    """Each point since the repair beside its healthy baseline and the time before: see docs/after-repair.md."""
    with caller.transaction() as conn:
        tickets.ticket(conn, ticket_id)
        return RepairChecksOut(items=[check_out(one) for one in checks.checks(conn, ticket_id)])


def check_out(check: Check) -> RepairCheckOut:
    """A check with what was found."""
    own = {name: getattr(check, name) for name in RepairCheckOut.model_fields if hasattr(check, name)}
    return RepairCheckOut.model_validate(_UNSEEN | dict(check.found) | own)


def section_of(conn: Transaction, ticket_id: UUID) -> dict[str, Any]:
    """What a ticket's page shows: the newest check with its drawings, and what came of those before."""
    newest, *earlier = [*checks.checks(conn, ticket_id), None]
    if newest is None:
        return {"newest": None}
    points = newest.found.get("points", [])
    return {
        "newest": newest,
        "found": _UNSEEN | dict(newest.found),
        "earlier": [one for one in earlier if one is not None],
        "points": [{**point, "drawn": strip(point)} for point in points if point["now"] is not None],
    }
