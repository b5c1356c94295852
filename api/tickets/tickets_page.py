"""The pages of tickets: all of them, and one with its evidence, its clocks and what may be done next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response

from alarms.roles import DESK, PEOPLE, STAFF, Role
from api.access.auth import Caller, Person, require
from api.alarms.evidence import evidence_of
from api.fleet.machine_page import MARKS, POINTS_PER_MACHINE, marks_json
from api.follow_up.follow_up_page import section_of as follow_up_of
from api.page_frame import PageRoute, answer, begin_of, filters_of, head_of, paging, wants_part
from api.parts.parts_page import section_of
from api.tickets.after_repair import section_of as after_repair_of
from api.tickets.documents_page import section_of as documents_of
from api.tickets.forms import moves_of, papers_of
from api.tickets.reports_page import section_of as intake_of
from api.tickets.steps_page import section_of as steps_of
from dashboard import clocks, words
from store import assessment, customers, episodes, overview
from store import terms as term_store
from store import tickets as ticket_store
from store.tickets import appointments
from store.tickets.letters import letters
from store.tickets.sending import may_send_back
from store.transactions import Transaction
from tickets.clocks import Clock, ClockName
from tickets.intake import Service
from tickets.priority import Priority
from tickets.states import ENDED, Verdict
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
        "tickets": [{**asdict(line), **_faces(running.get(line.id, {}), now)} for line in lines[:LINES_PER_PAGE]],
        **paging(begin, LINES_PER_PAGE, more=len(lines) > LINES_PER_PAGE),
    }
    return answer(request, "tickets_live.html" if wants_part(request) else "tickets.html", values)


@router.get("/tickets/{ticket_id}")
def ticket(request: Request, caller: Person, ticket_id: UUID) -> Response:
    with caller.transaction() as conn:
        return ticket_page(request, conn, caller, ticket_id)


async def _typed(request: Request) -> dict[str, str]:
    """The form as it came: text by the name of its field."""
    form = await request.form(max_fields=100)
    return {name: str(value).replace("\r", "") for name, value in form.items()}


@router.post("/tickets/{ticket_id}/move")
def move(
    request: Request,
    caller: Person,
    ticket_id: UUID,
    typed: Annotated[dict[str, str], Depends(_typed)],
    to: Annotated[TicketState, Form()],
    note: Annotated[str, Form(max_length=4000)] = "",
    verdict: Annotated[Verdict | None, Form()] = None,
    pause_reason: Annotated[str, Form(max_length=40)] = "",
    service: Annotated[Service | None, Form()] = None,
) -> Response:
    who = caller.principal
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        ticket_store.move(
            conn,
            who.tenant,
            ticket_id,
            to,
            role=who.role,
            who=who.name,
            now=now,
            note=note,
            verdict=verdict,
            pause_reason=pause_reason,
            service=service,
            papers=papers_of(typed, term_store.in_force(conn).calendar.zone, now),
        )
        return ticket_page(request, conn, caller, ticket_id)


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
        return ticket_page(request, conn, caller, ticket_id)


@router.post("/tickets/{ticket_id}/comment")
def comment(
    request: Request, caller: Person, ticket_id: UUID, note: Annotated[str, Form(min_length=1, max_length=4000)]
) -> Response:
    who = caller.principal
    with caller.transaction() as conn:
        ticket_store.comment(conn, who.tenant, ticket_id, note, who=who.name, now=datetime.now(UTC))
        return ticket_page(request, conn, caller, ticket_id)


def ticket_page(request: Request, conn: Transaction, caller: Caller, ticket_id: UUID) -> Response:
    """The whole page, or what of it has changed where its script asks."""
    now = datetime.now(UTC)
    role = caller.principal.role
    shell = head_of(conn, caller, "tickets")
    t = ticket_store.ticket(conn, ticket_id)
    names = shell["names"]
    machine_now = overview.glances(conn, now, t.device)
    points = overview.points(conn, t.device, now, POINTS_PER_MACHINE)
    end = t.closed_at or now
    terms = term_store.in_force(conn)
    papers = [paper for paper in ticket_store.papers(conn, t.id) if paper.turn == t.turn]
    may_assign = role in DESK and TicketState(t.state) not in ENDED
    present = ticket_store.clocks_of(conn, [t.id]).get(t.id, {})
    values = {
        **shell,
        "t": t,
        "site": machine_now[0].site if machine_now else "",
        "ev": evidence_of(t.evidence, t.leading_point, points, t.since, t.closed_at, now),
        "clocks": [clocks.face(name, clock, now) for name, clock in present.items()],
        **_whose(conn, role, t.device),
        "pauses": ticket_store.pauses(conn, t.id),
        "pause_reasons": terms.pauses,
        "moves": moves_of(t, ticket_store.facts_now(conn, t, caller.principal.name, now), role, may_assign=may_assign),
        "papers": papers,
        "appointment": appointments.appointment(conn, t.id),
        "may_tell": role in STAFF,
        "may_send_back": role in STAFF and may_send_back(t, papers, now),
        "wall_clock": terms.calendar.zone.key,
        "documents": documents_of(conn, caller, t.id),
        "letters": letters(conn, t.id),
        "verdicts": [verdict.value for verdict in Verdict],
        "assignee": names.get(t.assignee, t.assignee),
        "may_assign": may_assign,
        "may_comment": role in PEOPLE,
        "people": [p for p in overview.people(conn) if p.role in {"engineer", "manager", "administrator"}],
        "diagnosis": assessment.diagnosis_of(conn, t.id),
        "like": episodes.like(conn, t.id),
        "parts": section_of(conn, caller, t, now),
        "steps": steps_of(conn, caller, t),
        "intake": intake_of(conn, caller, t),
        "after_repair": after_repair_of(conn, t.id),
        "follow_up": follow_up_of(conn, caller, t.id, now),
        "alarms": ticket_store.alarms_of(conn, t.id),
        "events": [_told(event, names) for event in ticket_store.events(conn, t.id)],
        "marks": marks_json(overview.marks(conn, t.device, t.since - (end - t.since), end, MARKS)),
    }
    return answer(request, "ticket_live.html" if wants_part(request) else "ticket.html", values)


def _faces(present: Mapping[ClockName, Clock], now: datetime) -> dict[str, Any]:
    """Each clock of a line, and first of all the one that is due next: what stopped needs nobody any more."""
    faces = {name.value: clocks.face(name, clock, now) for name, clock in present.items()}
    going = [face for face in faces.values() if face.stopped_at is None]
    return {"clocks": faces, "first": min(going, key=lambda face: face.due_at, default=None)}


def _whose(conn: Transaction, role: Role, device: str) -> dict[str, Any]:
    """The machine's file and whom to call, for whom they concern."""
    if role not in STAFF | {Role.OWNER}:
        return {"file": None, "contact": ""}
    file = customers.file(conn, device)
    return {"file": file, "contact": customers.contact(conn, file.customer) if file.customer else ""}


def _told(event: ticket_store.TicketEvent, names: Mapping[str, str]) -> dict[str, Any]:
    detail = event.detail
    summary = ""
    if event.kind == "raised_priority":
        summary = f"from {detail.get('from')} to {detail.get('to')}"
    elif event.kind in {"clock_warned", "clock_breached"}:
        told = ", ".join(f"{role}s" for role in detail.get("to", []))
        summary = words.clock(str(detail.get("clock", ""))) + (f": told {told}" if told else "")
    elif event.kind.startswith("file_"):
        summary = str(detail.get("name", ""))
    elif event.kind in {"document_issued", "document_sent"}:
        to = f" to {detail['to']}" if detail.get("to") else ""
        summary = f"{detail.get('number')}, version {detail.get('version')}{to}"
    elif event.kind == "sent_back":
        summary = " ".join(str(detail[name]) for name in ("carrier", "tracking") if detail.get(name))
    elif event.kind.startswith("appointment_") and detail.get("way"):
        summary = f"{detail.get('name')}, {words.way(detail['way'])}"
    elif detail.get("assignee"):
        summary = f"to {names.get(detail['assignee'], detail['assignee'])}"
    if detail.get("reason"):
        summary = words.plain(detail["reason"])
    if event.kind == "after_repair":
        summary = words.plain(str(detail.get("outcome", "")))
    if detail.get("verdict"):
        summary = words.verdict(detail["verdict"])
    return {**asdict(event), "who_name": names.get(event.who, event.who), "summary": summary}
