"""Tickets: opened by alarms and people, moved along the table, followed by their code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from alarms.roles import Role
from api import ROOT
from api.access.auth import Anyone, Caller, Desk, Person, place_of
from api.alarms.episodes import likes_of
from api.errors import NotForYou
from api.models import Asked, DeviceFilter, Name, Prose, Reason, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from api.service import service
from api.tickets.answers import (
    JoinedAlarmOut,
    PauseOut,
    TicketEventOut,
    TicketOut,
    TrackedOut,
    WholeTicket,
    shown,
    ticket_out,
)
from api.tickets.codes import answer_by_code
from api.tickets.openings import TicketFromAlarm, TicketFromPerson
from api.tickets.papers import CustomersAnswerIn, PaperOut, PapersIn
from api.tickets.steps import WorkOut
from store import tickets
from store.tickets import Outcome, steps
from store.transactions import Transaction
from tickets.intake import Service
from tickets.priority import Priority
from tickets.states import State, Verdict, moves_from

router = APIRouter(prefix=f"{ROOT}/tickets", tags=["tickets"])

Code = Annotated[str, Path(pattern=r"^[A-Za-z2-7-]{16,24}$", description="The ticket's code")]


class Comment(Asked):
    """A remark."""

    model_config = Asked.model_config | example(note="The seal is on order.")

    note: Reason


class MoveTo(PapersIn):
    """A move along the table, with what is written down beside it: see the table of `docs/tickets.md`."""

    model_config = Asked.model_config | example(to="closed", verdict="confirmed", note="Shaft seal replaced")

    to: State
    note: Prose = ""
    assignee: Name | None = Field(None, description="A login")
    verdict: Verdict | None = None
    pause_reason: Name | None = Field(None, description="Why it is held: one of the terms', `on_hold` without")
    service: Service | None = Field(None, description="How it is worked on from now on; as before without")


class Assignment(Asked):
    """Who is to go."""

    model_config = Asked.model_config | example(assignee="jo", note="Knows this pump")

    assignee: Name = Field(description="A login")
    note: Prose = ""


@router.post(
    "",
    response_model=TicketOut,
    status_code=201,
    responses={200: {"model": TicketOut, "description": "The alarm joined a ticket, or reopened one"}},
    summary="Open a ticket, or join it",
)
def open_ticket(
    request: Request,
    caller: Anyone,
    once: OnceOnly,
    asked: Annotated[TicketFromAlarm | TicketFromPerson, Body(discriminator="source")],
) -> JSONResponse:
    """Report a fault.

    An alarm event opens a ticket (201), or joins the open one of its device and fault, or reopens the one that closed
    within 72 hours (200). The same `event_id` is taken once, with or without an `Idempotency-Key`. A person's report
    always opens a ticket.
    """
    with caller.transaction() as conn:
        if isinstance(asked, TicketFromPerson):
            return once.answer(caller, conn, lambda: _open_by_person(caller, conn, asked))
        if caller.principal.role is not Role.SERVICE:
            raise NotForYou("alarm events come from programs: this is for the role service")
        taken: list[Outcome] = []

        def do() -> tuple[int, TicketOut]:
            opening = tickets.open_or_join(
                conn, caller.principal.tenant, asked.report(), who=caller.principal.name, now=_now()
            )
            if not opening.again:
                taken.append(opening.outcome)
            return 201 if opening.outcome is Outcome.OPENED else 200, shown(conn, opening.ticket)

        answer = once.answer(caller, conn, do)
    for outcome in taken:
        service(request).figures.alarm_events.labels(outcome.value).inc()
    return answer


@router.get("", summary="Tickets")
def list_tickets(
    caller: Anyone,
    limit: Limit = 50,
    cursor: Cursor = None,
    device: DeviceFilter = None,
    state: Annotated[list[State] | None, Query(description="Only in these states")] = None,
    priority: Annotated[list[Priority] | None, Query(description="Only of these priorities")] = None,
    assignee: Annotated[Name | None, Query(description="Only of this login")] = None,
    is_open: Annotated[bool | None, Query(alias="open", description="Neither closed nor cancelled")] = None,
) -> Page[TicketOut]:
    """Tickets, newest first."""
    with caller.transaction() as conn:
        rows = tickets.tickets(
            conn,
            limit=limit + 1,
            after=after_time_id(cursor),
            device=device,
            states=state,
            priorities=priority,
            assignee=assignee,
            is_open=is_open,
        )
        clocks = tickets.clocks_of(conn, [row.id for row in rows])
    return page(
        rows,
        limit,
        lambda row: ticket_out(row, clocks.get(row.id, {}).values()),
        lambda row: (row.opened_at, row.id),
    )


@router.get("/track/{code}", summary="Follow a ticket without an account")
def track_ticket(request: Request, code: Code) -> TrackedOut:
    """What the holder of a ticket's code may see of it. 30 requests a minute from one place."""
    parts = service(request)
    parts.trackers.take(place_of(request))
    with parts.transactions.of_nobody() as conn:
        return TrackedOut.model_validate(tickets.track(conn, code))


@router.post("/track/{code}/quote", summary="Answer a quote without an account")
def answer_quote(request: Request, code: Code, asked: CustomersAnswerIn) -> TrackedOut:
    """Accept or decline what the repair costs, once. Work begins after it was accepted. 409 where no quote waits, or
    another one than was read."""
    answer_by_code(request, code, asked)
    with service(request).transactions.of_nobody() as conn:
        return TrackedOut.model_validate(tickets.track(conn, code))


@router.get("/{ticket_id}", summary="One ticket with all that belongs to it")
def get_ticket(caller: Anyone, ticket_id: UUID) -> WholeTicket:
    """A ticket, its steps, its alarms, every clock that it has had, and where the caller may take it."""
    with caller.transaction() as conn:
        found = tickets.ticket(conn, ticket_id)
        held_from = State(found.held_from) if found.held_from else None
        return WholeTicket(
            **ticket_out(found, tickets.clocks(conn, ticket_id)).model_dump(),
            events=[TicketEventOut.model_validate(event) for event in tickets.events(conn, ticket_id)],
            pauses=[PauseOut.model_validate(pause) for pause in tickets.pauses(conn, ticket_id)],
            alarms=[JoinedAlarmOut.model_validate(alarm) for alarm in tickets.alarms_of(conn, ticket_id)],
            like=likes_of(conn, ticket_id),
            papers=[PaperOut.model_validate(paper) for paper in tickets.papers(conn, ticket_id)],
            work=[WorkOut.of(work) for work in steps.work_of(conn, ticket_id)],
            moves=moves_from(
                State(found.state),
                held_from,
                caller.principal.role,
                is_own=found.assignee == caller.principal.name,
            ),
        )


@router.post("/{ticket_id}/comments", response_model=TicketOut, status_code=201, summary="Comment on a ticket")
def comment(caller: Person, once: OnceOnly, ticket_id: UUID, asked: Comment) -> JSONResponse:
    """Add a remark, also to a ticket that has ended."""
    who = caller.principal
    with caller.transaction() as conn:
        return once.answer(
            caller,
            conn,
            lambda: (
                201,
                shown(conn, tickets.comment(conn, who.tenant, ticket_id, asked.note, who=who.name, now=_now())),
            ),
        )


@router.post("/{ticket_id}/move", response_model=TicketOut, summary="Move a ticket")
def move(caller: Person, once: OnceOnly, ticket_id: UUID, asked: MoveTo) -> JSONResponse:
    """Take a ticket to another state. Who may, what must be there first, what is written down and what the clocks do is
    in a table. A refusal says what is missing."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, TicketOut]:
            moved = tickets.move(
                conn,
                who.tenant,
                ticket_id,
                asked.to,
                role=who.role,
                who=who.name,
                now=_now(),
                note=asked.note,
                assignee=asked.assignee or "",
                verdict=asked.verdict,
                pause_reason=asked.pause_reason or "",
                service=asked.service,
                papers=asked.papers(),
            )
            return 200, shown(conn, moved)

        return once.answer(caller, conn, do)


@router.post("/{ticket_id}/assign", response_model=TicketOut, summary="Assign a ticket")
def assign(caller: Desk, once: OnceOnly, ticket_id: UUID, asked: Assignment) -> JSONResponse:
    """Send somebody: dispatches the ticket where nobody works on it yet, else gives it into other hands."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, TicketOut]:
            assigned = tickets.assign(
                conn, who.tenant, ticket_id, asked.assignee, role=who.role, who=who.name, note=asked.note, now=_now()
            )
            return 200, shown(conn, assigned)

        return once.answer(caller, conn, do)


def _open_by_person(caller: Caller, conn: Transaction, asked: TicketFromPerson) -> tuple[int, TicketOut]:
    opened = tickets.open_by_person(
        conn,
        caller.principal.tenant,
        device=asked.device,
        title=asked.title,
        description=asked.description,
        fault_class=asked.fault_class,
        nature=asked.nature,
        priority=asked.priority,
        who=caller.principal.name,
        now=_now(),
    )
    return 201, shown(conn, opened)


def _now() -> datetime:
    return datetime.now(UTC)
