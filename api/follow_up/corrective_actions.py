"""The ledger of problems that come again: why, what is done, who sees to it by when, and whether it helped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from api import ROOT
from api.access.auth import Manager, Staff
from api.models import Answered, Asked, Instant, Line, Name, Prose, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from store.follow_up import actions
from store.follow_up.actions import Action, Decision
from tickets.improvement import State

router = APIRouter(prefix=f"{ROOT}/corrective-actions", tags=["follow-up"])

Words = Annotated[Prose, Field(max_length=2000)]
Login = Annotated[str, Field(max_length=254)]


class ProblemIn(Asked):
    """A problem that a person has seen. By a model or a fault it is counted whether it comes again."""

    model_config = Asked.model_config | example(problem="Seals of the new supplier leak", model="NK 80-200", fault="")

    problem: Line
    model: Name | Literal[""] = ""
    fault: Name | Literal[""] = ""


class DecisionIn(Asked):
    """The next step. To `open`: root cause, action, owner, due date, as far as they are not there yet; to any other
    state: a note."""

    model_config = Asked.model_config | example(
        to="open",
        root_cause="Seals were mounted dry",
        action="Grease is part of the set from now on, and a step of the procedure",
        owner="kim",
        due_at="2026-12-15T16:00:00Z",
        note="",
    )

    to: State
    root_cause: Words = ""
    action: Words = ""
    owner: Login = ""
    due_at: Instant | None = None
    note: Words = ""

    def decision(self) -> Decision:
        """As the store takes it."""
        return Decision(self.note, self.root_cause, self.action, self.owner, self.due_at)


class EffectOut(Answered):
    """How often the problem came before it was written down, and since its action was done."""

    before: int
    before_days: float
    after: int
    after_days: float


class ActionOut(Answered):
    """One problem, and what is done about it."""

    model_config = Answered.model_config | example(
        id="2c0f9c1a-51a0-4f43-a6f2-3d3f1f1f6d10",
        kind="fault",
        model="NK 80-200",
        fault="seal leak",
        problem="seal leak on NK 80-200",
        cases=4,
        root_cause="Seals were mounted dry",
        action="Grease is part of the set from now on",
        owner="kim",
        due_at="2026-12-15T16:00:00Z",
        overdue=False,
        state="open",
        note="",
        effect=None,
        made_at="2026-11-22T10:20:00Z",
        made_by="bellwether",
        done_at=None,
        closed_at=None,
        changed_at="2026-11-22T11:00:00Z",
        changed_by="pat",
    )

    id: UUID
    kind: Literal["fault", "inspection", "satisfaction", "person"] = Field(description="Where it was seen")
    model: str
    fault: str
    problem: str
    cases: int = Field(description="How often it had come when it was proposed")
    root_cause: str
    action: str
    owner: str
    due_at: Instant | None
    overdue: bool
    state: State
    note: str
    effect: EffectOut | None = Field(description="null until it was judged, and where nothing counts it")
    made_at: Instant
    made_by: str
    done_at: Instant | None
    closed_at: Instant | None
    changed_at: Instant
    changed_by: str


@router.get("", summary="Corrective actions")
def list_corrective_actions(
    caller: Staff,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: Annotated[list[State] | None, Query(description="Only these; may be there several times")] = None,
) -> Page[ActionOut]:
    """Newest first."""
    with caller.transaction() as conn:
        rows = actions.actions(conn, limit=limit + 1, states=state, after=after_time_id(cursor))
    return page(rows, limit, action_out, lambda row: (row.made_at, row.id))


@router.post("", response_model=ActionOut, status_code=201, summary="Write down a problem")
def write_problem(caller: Staff, once: OnceOnly, asked: ProblemIn) -> JSONResponse:
    """What a person has seen. What comes often by itself is proposed without anybody."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, ActionOut]:
            made = actions.write(
                conn, who.tenant, asked.problem, model=asked.model, fault=asked.fault, who=who.name, now=_now()
            )
            return 201, action_out(made)

        return once.answer(caller, conn, do)


@router.get("/{action_id}", summary="One corrective action")
def get_corrective_action(caller: Staff, action_id: UUID) -> ActionOut:
    """A problem, and what is done about it."""
    with caller.transaction() as conn:
        return action_out(actions.action(conn, action_id))


@router.post("/{action_id}/move", response_model=ActionOut, summary="Decide on a corrective action")
def move_corrective_action(caller: Manager, once: OnceOnly, action_id: UUID, asked: DecisionIn) -> JSONResponse:
    """Take it a step further. 409 where its state does not allow that, something is missing, or nothing shows that it
    helped."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, ActionOut]:
            done = actions.decide(conn, action_id, asked.to, asked.decision(), who=who.name, now=_now())
            return 200, action_out(done)

        return once.answer(caller, conn, do)


def action_out(of: Action) -> ActionOut:
    fields = {name: getattr(of, name) for name in ActionOut.model_fields if name not in {"overdue", "effect"}}
    return ActionOut.model_validate({**fields, "overdue": of.is_overdue(_now()), "effect": of.effect or None})


def _now() -> datetime:
    return datetime.now(UTC)
