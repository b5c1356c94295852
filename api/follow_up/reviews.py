"""A month looked back on, and signed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from api import ROOT
from api.access.auth import Manager, Staff
from api.models import Answered, Asked, Instant, Reason, example
from api.once import OnceOnly
from store.follow_up import reviews
from store.follow_up.reviews import Review
from tickets.clocks import ClockName
from tickets.improvement import State

router = APIRouter(prefix=f"{ROOT}/reviews", tags=["follow-up"])

Month = Annotated[str, StringConstraints(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]


class FaultOut(Answered):
    """A fault on a model, and how often it came."""

    fault: str
    model: str
    tickets: int
    machines: int


class LostPartOut(Answered):
    """A part that was scrapped or lost."""

    part: str
    name: str
    currency: str
    kind: str
    quantity: int
    value: str


class PromisedOut(Answered):
    """How many clocks fell due, and how many of them were broken."""

    clock: ClockName
    due: int
    broken: int


class DissatisfiedOut(Answered):
    """A customer who was not satisfied, by their number in the tenant's books, and what became of it."""

    ticket_id: UUID
    device: str
    customer: str
    csat: float | None
    nps: int | None
    cause: str
    outcome: str
    called_at: Instant | None
    closed_at: Instant | None


class DueActionOut(Answered):
    """A corrective action that is, or was, to be done by then."""

    id: UUID
    problem: str
    owner: str
    due_at: Instant
    state: State


class FiguresOut(Answered):
    """A month in numbers."""

    opened: int = Field(description="Tickets")
    closed: int
    false_alarms: int = Field(description="Tickets of alarms, closed as no fault or as a faulty sensor")
    came_back: int = Field(description="Tickets that were reopened")
    failed_inspections: int
    promises_due: int
    promises_broken: int
    surveys: int
    reached: int
    answered: int
    csat: float | None
    nps: float | None = Field(description="Net promoter score, -100 to 100")
    dissatisfied: int
    dissatisfied_closed: int


class SignedOut(Answered):
    """As it was signed, with the figures as they stood then."""

    notes: str
    figures: FiguresOut
    signed_at: Instant
    signed_by: str


_FIGURES = {
    "opened": 41,
    "closed": 38,
    "false_alarms": 3,
    "came_back": 2,
    "failed_inspections": 1,
    "promises_due": 140,
    "promises_broken": 6,
    "surveys": 36,
    "reached": 31,
    "answered": 27,
    "csat": 86.5,
    "nps": 48.1,
    "dissatisfied": 2,
    "dissatisfied_closed": 2,
}


class ReviewOut(Answered):
    """A month as it stands now."""

    model_config = Answered.model_config | example(
        month="2026-10-01",
        begins_at="2026-09-30T22:00:00Z",
        ends_at="2026-10-31T23:00:00Z",
        figures=_FIGURES,
        faults=[{"fault": "seal leak", "model": "NK 80-200", "tickets": 6, "machines": 4}],
        parts=[],
        promises=[{"clock": "response", "due": 41, "broken": 2}],
        dissatisfied=[],
        actions=[],
        signed=None,
    )

    month: date = Field(description="Its first day")
    begins_at: Instant
    ends_at: Instant
    figures: FiguresOut
    faults: list[FaultOut]
    parts: list[LostPartOut]
    promises: list[PromisedOut]
    dissatisfied: list[DissatisfiedOut]
    actions: list[DueActionOut]
    signed: SignedOut | None


class SignIn(Asked):
    """A month that is over, and what is to be said of it."""

    model_config = Asked.model_config | example(month="2026-10", notes="Seals are the subject of December")

    month: Month
    notes: Reason


@router.get("", summary="A month looked back on")
def get_review(caller: Staff, month: Annotated[Month, Query(examples=["2026-10"])]) -> ReviewOut:
    """By the time zone of the terms' calendar."""
    with caller.transaction() as conn:
        return review_out(reviews.review(conn, first_day(month), datetime.now(UTC)))


@router.post("", response_model=ReviewOut, summary="Sign a month")
def sign_review(caller: Manager, once: OnceOnly, asked: SignIn) -> JSONResponse:
    """Once, when it is over: its figures are kept as they stand."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, ReviewOut]:
            now = datetime.now(UTC)
            done = reviews.sign(conn, who.tenant, first_day(asked.month), asked.notes, who=who.name, now=now)
            return 200, review_out(done)

        return once.answer(caller, conn, do)


def first_day(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def review_out(of: Review) -> ReviewOut:
    fields = {name: getattr(of, name) for name in ReviewOut.model_fields if name not in {"figures", "signed"}}
    signed = of.signed and {name: getattr(of.signed, name) for name in SignedOut.model_fields}
    return ReviewOut.model_validate({**fields, "figures": of.figures, "signed": signed})
