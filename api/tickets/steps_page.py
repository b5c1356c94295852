"""The work order on a ticket's page: each step is answered alone, so that what is typed into others stays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import ValidationError

from alarms.roles import FIELD
from api.access.auth import Caller, FieldStaff
from api.errors import BadValue
from api.page_frame import PageRoute, answer, head_of
from api.tickets.steps import MarkIn, StepNumber, WorkNumber
from prognosis.faults import built_in_procedures
from store import tickets as ticket_store
from store.tickets import proposals
from store.tickets import steps as step_store
from store.transactions import Transaction
from tickets.states import State
from tickets.steps import TICKED_IN, Kind, StepState

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_Text = Annotated[str, Form(max_length=2000)]


@router.post("/tickets/{ticket_id}/steps/{work_id}/{number}")
def mark(
    request: Request,
    caller: FieldStaff,
    ticket_id: UUID,
    work_id: WorkNumber,
    number: StepNumber,
    state: Annotated[StepState, Form()],
    value: _Text = "",
    new_serial: _Text = "",
    old_serial: _Text = "",
    note: _Text = "",
) -> Response:
    """Tick a step off; the answer is that step."""
    # Who leaves a step out may have typed a value into it before.
    is_done = state is StepState.DONE
    said = {"value": value.strip().replace(",", ".") or None, "new_serial": new_serial, "old_serial": old_serial}
    try:
        marked = MarkIn.model_validate({"state": state, "note": note, **(said if is_done else {})}).marked()
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][0])
        raise BadValue(where, f"{where.replace('_', ' ')}: {first['msg']}") from error
    who = caller.principal
    with caller.transaction() as conn:
        step_store.mark(conn, who.tenant, ticket_id, work_id, number, marked, who=who.name, now=datetime.now(UTC))
        t = ticket_store.ticket(conn, ticket_id)
        shown = section_of(conn, caller, t)
        work = next(one for one in shown["works"] if one.id == work_id)
        values = {**head_of(conn, caller, "tickets"), "t": t, "steps": shown, "w": work, "s": work.steps[number - 1]}
        return answer(request, "ticket_step.html", values)


@router.post("/tickets/{ticket_id}/procedure")
def choose(
    request: Request,
    caller: FieldStaff,
    ticket_id: UUID,
    procedure: Annotated[str, Form(min_length=1, max_length=300)],
    note: Annotated[str, Form(min_length=1, max_length=2000)],
) -> Response:
    """Give the ticket another procedure."""
    who = caller.principal
    with caller.transaction() as conn:
        step_store.choose(conn, who.tenant, ticket_id, procedure, note=note, who=who.name, now=datetime.now(UTC))
        t = ticket_store.ticket(conn, ticket_id)
        values = {**head_of(conn, caller, "tickets"), "t": t, "steps": section_of(conn, caller, t), "partial": False}
        return answer(request, "ticket_steps.html", values)


def section_of(conn: Transaction, caller: Caller, t: ticket_store.Ticket) -> dict[str, Any]:
    """What a ticket's page shows of its work orders: those in force first, then those that something was done by."""
    works = step_store.work_of(conn, t.id)
    present = [work for work in works if work.in_force and work.turn == t.turn]
    past = [work for work in works if work not in present and work.left < len(work.steps)]
    ticked_now = {kind for kind, states in TICKED_IN.items() if State(t.state) in states}
    may = caller.principal.role in FIELD
    counted = [work for work in present if work.kind is Kind.REPAIR] or present
    given = sum(len(work.steps) for work in counted)
    return {
        "works": [*reversed(present), *reversed(past)],
        "given": given,
        "done": given - sum(work.left for work in counted),
        "library": built_in_procedures().keys(),
        "may_tick": {work.id for work in present if may and work.kind in ticked_now},
        "offered": [one for one in proposals.offered(conn, t) if one.kind in ticked_now] if may and ticked_now else [],
    }
