"""The page of dispatch: who should go where and why, accepted or overridden there; and what was decided."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response

from alarms.roles import DESK, Role
from api.access.auth import Caller, Desk, Manager, Staff
from api.page_frame import PageRoute, answer, head_of, wants_part
from api.staffing.dispatch import DispatchPolicy
from store import dispatch, overview
from store.errors import Conflict
from store.tickets import appointments
from store.transactions import Transaction

PROPOSALS = 100
DECISIONS = 20
APPOINTMENTS = 50
# Who keeps parts or owns machines is sent nowhere; see `tickets.assign`.
_STAYS = frozenset({Role.OWNER.value, Role.DEPOT.value})

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Login = Annotated[str, Form(min_length=1, max_length=254)]


@router.get("/dispatch")
def dispatch_page(request: Request, caller: Staff) -> Response:
    with caller.transaction() as conn:
        return _page(request, conn, caller)


@router.post("/dispatch/policy")
def change_policy(request: Request, caller: Manager, asked: Annotated[DispatchPolicy, Form()]) -> Response:
    who = caller.principal
    with caller.transaction() as conn:
        dispatch.keep_policy(conn, who.tenant, dispatch.Policy(**asked.model_dump()), who.name)
        return _page(request, conn, caller)


@router.post("/dispatch/{ticket_id}/accept")
def accept(request: Request, caller: Desk, ticket_id: UUID, engineer: Login) -> Response:
    who, wrong = caller.principal, ""
    with caller.transaction() as conn:
        try:
            with conn.transaction():
                dispatch.accept(
                    conn, who.tenant, ticket_id, engineer, role=who.role, who=who.name, now=datetime.now(UTC)
                )
        except Conflict as error:
            wrong = str(error)
        return _page(request, conn, caller, wrong)


@router.post("/dispatch/{ticket_id}/override")
def override(
    request: Request,
    caller: Desk,
    ticket_id: UUID,
    engineer: Login,
    reason: Annotated[str, Form(min_length=1, max_length=2000, pattern=r"\S")],
) -> Response:
    who, wrong = caller.principal, ""
    with caller.transaction() as conn:
        try:
            with conn.transaction():
                dispatch.override(
                    conn,
                    who.tenant,
                    ticket_id,
                    engineer,
                    reason=reason.strip(),
                    role=who.role,
                    who=who.name,
                    now=datetime.now(UTC),
                )
        except Conflict as error:
            wrong = str(error)
        return _page(request, conn, caller, wrong)


def _page(request: Request, conn: Transaction, caller: Caller, wrong: str = "") -> Response:
    head = head_of(conn, caller, "tickets")
    found = dispatch.proposals(conn, limit=PROPOSALS + 1)
    values = {
        **head,
        "proposals": found[:PROPOSALS],
        "more": len(found) > PROPOSALS,
        "plan": dispatch.last_plan(conn),
        "policy": dispatch.policy(conn),
        "decisions": dispatch.decisions(conn, limit=DECISIONS),
        "people": [person for person in overview.people(conn) if person.role not in _STAYS],
        "appointments": appointments.appointments(conn, limit=APPOINTMENTS),
        "may_decide": caller.principal.role in DESK,
        "may_rule": caller.principal.role in {Role.MANAGER, Role.ADMINISTRATOR},
        "wrong": wrong,
    }
    part = wants_part(request) or request.method == "POST"
    return answer(request, "dispatch_live.html" if part else "dispatch.html", values)
