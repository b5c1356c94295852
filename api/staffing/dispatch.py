"""Who is proposed for which ticket and why; accepted, overridden, or assigned by rule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from alarms.roles import Role
from api import ROOT
from api.access.auth import Caller, Desk, Manager, Staff, require
from api.access.users import Login
from api.models import Answered, Asked, Instant, Reason, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_number, after_time_id, page
from api.tickets.answers import TicketOut, shown
from store import dispatch as store
from tickets.priority import Priority

router = APIRouter(prefix=f"{ROOT}/dispatch", tags=["dispatch"])

# `notify`, where the tenant assigns by rule; administrators may try what it does.
ByRule = Annotated[Caller, Depends(require(Role.SERVICE, Role.ADMINISTRATOR))]
FIRST = datetime(1, 1, 1, tzinfo=UTC)
"""Before anybody sets off: where in the order of proposals those stand that nobody can go to."""


class DispatchPolicy(Asked):
    """How is dispatched."""

    model_config = Asked.model_config | example(mode="propose", visit_min=120, remote_min=60, ahead_min=30)

    mode: Literal["propose", "assign"] = Field(description="A person decides, or whoever is proposed is sent")
    visit_min: int = Field(120, ge=5, le=2880, description="What a visit is taken to last, the way there not counted")
    remote_min: int = Field(60, ge=5, le=2880, description="The same of a fault that is looked at from afar")
    ahead_min: int = Field(
        30,
        ge=0,
        le=10080,
        description="By rule, somebody is sent so long before they set off, or where that is promised sooner",
    )


class ProposalOut(Answered):
    """Who should go to a ticket that waits. Made anew within a minute of a change."""

    model_config = Answered.model_config | example(
        ticket_id="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        device="pump-01",
        site="Riverside",
        title="Bearing wear",
        priority="high",
        state="triaged",
        opened_at="2026-11-22T10:20:00Z",
        made_at="2026-11-22T10:20:31Z",
        engineer="jo",
        name="Jo Novak",
        turn=1,
        sets_off="2026-11-22T10:20:31Z",
        arrives="2026-11-22T10:58:31Z",
        done="2026-11-22T12:58:31Z",
        late_min=0.0,
        travel_min=38.0,
        reasons=[
            "has alignment, mechanical",
            "38 min away",
            "part bearing-6205 in the van",
            "by their clock sets off 11:20, there 11:58, on shift until 17:00",
            "promised on site by Mon 11:20: 23 h 21 min to spare",
            "second best: Kim Vale, there 12:40: 42 min later, bearing-6205 not in the van",
        ],
    )

    ticket_id: UUID
    device: str
    site: str
    title: str
    priority: Priority
    state: str
    opened_at: Instant
    made_at: Instant
    engineer: str | None = Field(description="A login; null: nobody can be sent, and `reasons` say why")
    name: str | None
    turn: int = Field(description="Which of that engineer's visits it is")
    sets_off: Instant | None
    arrives: Instant | None
    done: Instant | None
    late_min: float = Field(description="By how much promises would be broken")
    travel_min: float
    reasons: list[str]


class AcceptIn(Asked):
    """Whom the caller saw proposed."""

    model_config = Asked.model_config | example(engineer="jo")

    engineer: Login


class OverrideIn(Asked):
    """Somebody else, and why."""

    model_config = Asked.model_config | example(
        engineer="kim", reason="Knows this customer's gate, and is there anyway"
    )

    engineer: Login
    reason: Reason


class DecisionOut(Answered):
    """What became of a proposal."""

    model_config = Answered.model_config | example(
        id=17,
        ticket_id="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        device="pump-01",
        title="Bearing wear",
        at="2026-11-22T10:25:00Z",
        who="alex",
        kind="overridden",
        proposed="jo",
        chosen="kim",
        reason="Knows this customer's gate, and is there anyway",
    )

    id: int
    ticket_id: UUID
    device: str
    title: str
    at: Instant
    who: str
    kind: Literal["accepted", "overridden", "by_rule"]
    proposed: str | None
    chosen: str
    reason: str = Field(description="Of an override the person's own; else those of the proposal")


@router.get("/policy", summary="How is dispatched")
def get_dispatch_policy(caller: Staff) -> DispatchPolicy:
    """Whether a person decides, and what a visit is taken to last."""
    with caller.transaction() as conn:
        return _policy(store.policy(conn))


@router.put("/policy", summary="Change how is dispatched")
def change_dispatch_policy(caller: Manager, asked: DispatchPolicy) -> DispatchPolicy:
    """From the next plan on."""
    who = caller.principal
    with caller.transaction() as conn:
        store.keep_policy(conn, who.tenant, store.Policy(**asked.model_dump()), who.name)
    return asked


@router.get("/proposals", summary="Who should go where, and why")
def list_proposals(caller: Staff, limit: Limit = 50, cursor: Cursor = None) -> Page[ProposalOut]:
    """Tickets that wait: those that nobody can go to, then by when somebody would set off."""
    with caller.transaction() as conn:
        rows = store.proposals(conn, limit=limit + 1, after=after_time_id(cursor))
    return page(rows, limit, ProposalOut.model_validate, lambda row: (row.sets_off or FIRST, row.ticket_id))


@router.post("/proposals/{ticket_id}/accept", response_model=TicketOut, summary="Send whom the plan proposes")
def accept_proposal(caller: Desk, once: OnceOnly, ticket_id: UUID, asked: AcceptIn) -> JSONResponse:
    """409 where somebody else is proposed by now, or was sent."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, TicketOut]:
            sent = store.accept(
                conn, who.tenant, ticket_id, asked.engineer, role=who.role, who=who.name, now=datetime.now(UTC)
            )
            return 200, shown(conn, sent)

        return once.answer(caller, conn, do)


@router.post("/proposals/{ticket_id}/override", response_model=TicketOut, summary="Send somebody else")
def override_proposal(caller: Desk, once: OnceOnly, ticket_id: UUID, asked: OverrideIn) -> JSONResponse:
    """Who, and why: both are kept."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, TicketOut]:
            sent = store.override(
                conn,
                who.tenant,
                ticket_id,
                asked.engineer,
                reason=asked.reason,
                role=who.role,
                who=who.name,
                now=datetime.now(UTC),
            )
            return 200, shown(conn, sent)

        return once.answer(caller, conn, do)


@router.post("/proposals/{ticket_id}/assign", response_model=TicketOut, summary="Send by rule")
def assign_by_rule(caller: ByRule, ticket_id: UUID, asked: AcceptIn) -> TicketOut:
    """For `notify`, where the tenant assigns by rule and it is time. 409 where not, or somebody else is proposed."""
    with caller.transaction() as conn:
        sent = store.assign_by_rule(conn, caller.principal.tenant, ticket_id, asked.engineer, datetime.now(UTC))
        return shown(conn, sent)


@router.get("/decisions", summary="What became of proposals")
def list_decisions(
    caller: Staff,
    limit: Limit = 50,
    cursor: Cursor = None,
    kind: Annotated[Literal["accepted", "overridden", "by_rule"] | None, Query(description="Only these")] = None,
) -> Page[DecisionOut]:
    """Accepted, overridden and by rule; the latest first."""
    with caller.transaction() as conn:
        rows = store.decisions(conn, limit=limit + 1, before=after_number(cursor), kind=kind)
    return page(rows, limit, DecisionOut.model_validate, lambda row: (row.id,))


def _policy(kept: store.Policy) -> DispatchPolicy:
    return DispatchPolicy.model_validate({name: getattr(kept, name) for name in DispatchPolicy.model_fields})
