"""The pages of tickets: all of them, and one with its evidence, its clocks and what may be done next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response

from api.auth import Caller, Person, require
from api.evidence import evidence_of
from api.machine_page import MARKS, POINTS_PER_MACHINE, marks_json
from api.page_frame import PageRoute, answer, begin_of, filters_of, head_of, paging, wants_part
from dashboard import clocks, words
from store import assessment, episodes, overview
from store import tickets as ticket_store
from store.transactions import Transaction
from tickets.priority import Priority
from tickets.roles import DESK, PEOPLE, Role
from tickets.states import ENDED, MOVES, Need, Verdict, moves_from
from tickets.states import State as TicketState

LINES_PER_PAGE = 50

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/tickets")
def tickets(request: Request, caller: Person) -> Response:
    filters = filters_of(request, "state", "priority", "site", "device")
    begin = begin_of(request.query_params.get("after", ""))
    states = [state.value for state in TicketState]
    wanted = filters["state"]
    of_state = {"": [s for s in states if s not in ENDED], "all": None}.get(wanted, [wanted])
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "tickets")
        sites = overview.sites(conn)
        lines = overview.ticket_lines(
            conn,
            limit=LINES_PER_PAGE + 1,
            had=begin,
            states=of_state,
            priority=filters["priority"] or None,
            site=filters["site"] or None,
            device=filters["device"] or None,
            worst_first=not wanted,
        )
        running = ticket_store.clocks_of(conn, [line.id for line in lines])
    values = {
        **shell,
        "filters": filters,
        "filtered": any(filters.values()),
        "states": [("all", "All"), *((s, words.plain(s)) for s in states)],
        "priorities": [(p.value, words.plain(p)) for p in reversed(Priority)],
        "sites": [(name, name) for name in sites],
        "tickets": [
            {**asdict(line), "clocks": {c: clocks.face(c, one, now) for c, one in running.get(line.id, {}).items()}}
            for line in lines[:LINES_PER_PAGE]
        ],
        **paging(begin, LINES_PER_PAGE, more=len(lines) > LINES_PER_PAGE),
    }
    return answer(request, "tickets_live.html" if wants_part(request) else "tickets.html", values)


@router.get("/tickets/{ticket_id}")
def ticket(request: Request, caller: Person, ticket_id: UUID) -> Response:
    with caller.transaction() as conn:
        return _ticket(request, conn, caller, ticket_id)


@router.post("/tickets/{ticket_id}/move")
def move(
    request: Request,
    caller: Person,
    ticket_id: UUID,
    to: Annotated[TicketState, Form()],
    note: Annotated[str, Form(max_length=4000)] = "",
    verdict: Annotated[Verdict | None, Form()] = None,
) -> Response:
    who = caller.principal
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        ticket_store.move(
            conn, who.tenant, ticket_id, to, role=who.role, who=who.name, now=now, note=note, verdict=verdict
        )
        return _ticket(request, conn, caller, ticket_id)


@router.post("/tickets/{ticket_id}/assign")
def assign(
    request: Request,
    caller: Annotated[Caller, Depends(require(*DESK))],
    ticket_id: UUID,
    assignee: Annotated[str, Form(min_length=1, max_length=254)],
) -> Response:
    who = caller.principal
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        ticket_store.assign(conn, who.tenant, ticket_id, assignee, role=who.role, who=who.name, note="", now=now)
        return _ticket(request, conn, caller, ticket_id)


@router.post("/tickets/{ticket_id}/comment")
def comment(
    request: Request, caller: Person, ticket_id: UUID, note: Annotated[str, Form(min_length=1, max_length=4000)]
) -> Response:
    who = caller.principal
    with caller.transaction() as conn:
        ticket_store.comment(conn, who.tenant, ticket_id, note, who=who.name, now=datetime.now(UTC))
        return _ticket(request, conn, caller, ticket_id)


def _ticket(request: Request, conn: Transaction, caller: Caller, ticket_id: UUID) -> Response:
    now = datetime.now(UTC)
    role = caller.principal.role
    shell = head_of(conn, caller, "tickets")
    t = ticket_store.ticket(conn, ticket_id)
    names = shell["names"]
    machine_now = overview.glances(conn, now, t.device)
    points = overview.points(conn, t.device, now, POINTS_PER_MACHINE)
    end = t.closed_at or now
    may_assign = role in DESK and TicketState(t.state) not in ENDED
    present = ticket_store.clocks_of(conn, [t.id]).get(t.id, {})
    values = {
        **shell,
        "t": t,
        "site": machine_now[0].site if machine_now else "",
        "ev": evidence_of(t.evidence, t.leading_point, points, t.since, t.closed_at, now),
        "clocks": [clocks.face(name, clock, now) for name, clock in sorted(present.items(), reverse=True)],
        "moves": _moves(t, role, may_assign=may_assign),
        "verdicts": [verdict.value for verdict in Verdict],
        "assignee": names.get(t.assignee, t.assignee),
        "may_assign": may_assign,
        "may_comment": role in PEOPLE,
        "people": [p for p in overview.people(conn) if p.role in {"engineer", "manager", "administrator"}],
        "diagnosis": assessment.diagnosis_of(conn, t.id),
        "like": episodes.like(conn, t.id),
        "alarms": ticket_store.alarms_of(conn, t.id),
        "events": [_told(event, names) for event in ticket_store.events(conn, t.id)],
        "marks": marks_json(overview.marks(conn, t.device, t.since - (end - t.since), end, MARKS)),
    }
    return answer(request, "ticket_live.html" if wants_part(request) else "ticket.html", values)


def _moves(t: ticket_store.Ticket, role: Role, *, may_assign: bool) -> list[dict[str, Any]]:
    """The moves that this role may make from here, along the road first. Sending somebody is a form of its own."""
    state = TicketState(t.state)
    held_from = TicketState(t.held_from) if t.held_from else None
    aside = {TicketState.ON_HOLD, TicketState.CANCELLED}
    steps = [
        {
            "to": to.value,
            "needs": {need.value for need in MOVES[state][to].needs - {Need.ASSIGNEE}},
            "ends": to in aside,
        }
        for to in moves_from(state, held_from, role)
        if to is not TicketState.DISPATCHED or not (may_assign or not t.assignee)
    ]
    return sorted(steps, key=lambda step: bool(step["ends"]))


def _told(event: ticket_store.TicketEvent, names: Mapping[str, str]) -> dict[str, Any]:
    detail = event.detail
    summary = ""
    if event.kind == "raised_priority":
        summary = f"from {detail.get('from')} to {detail.get('to')}"
    elif event.kind in {"clock_warned", "clock_breached"}:
        summary = words.clock(str(detail.get("clock", "")))
    elif detail.get("assignee"):
        summary = f"to {names.get(detail['assignee'], detail['assignee'])}"
    if detail.get("verdict"):
        summary = words.verdict(detail["verdict"])
    return {**asdict(event), "who_name": names.get(event.who, event.who), "summary": summary}
