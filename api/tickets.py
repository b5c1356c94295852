"""Tickets: opened by alarms and people, moved along the table, followed by their code."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field

from alarms.events import Severity
from api import ROOT
from api.auth import Anyone, Caller, Desk, Person, place_of
from api.episodes import LikeOut, likes_of
from api.errors import NotForYou
from api.models import (
    Answered,
    Asked,
    DeviceFilter,
    DeviceName,
    Instant,
    Line,
    Message,
    Name,
    PointName,
    Prose,
    Reason,
    example,
)
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from api.service import service
from store import tickets
from store.tickets import Outcome, Ticket
from store.transactions import Transaction
from tickets.clocks import Clock, ClockName
from tickets.evidence import Finding, Report
from tickets.priority import Level, Priority
from tickets.roles import Role
from tickets.states import State, Verdict, moves_from

# More than any machine has points: an alarm that is refused here would be lost.
MOST_CONTRIBUTIONS = 5000

router = APIRouter(prefix=f"{ROOT}/tickets", tags=["tickets"])

_EXAMPLE: dict[str, Any] = {
    "id": "0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
    "code": "WGZBZ34LSFRS5OQA",
    "device": "pump-01",
    "fault": "condition",
    "source": "alarm",
    "title": "pump-01: flow 61 % below normal (with current)",
    "description": "",
    "state": "new",
    "held_from": None,
    "verdict": None,
    "priority": "high",
    "level": "major",
    "assignee": "",
    "leading_point": "flow",
    "since": "2026-11-21T22:31:00Z",
    "opened_at": "2026-11-21T22:31:21Z",
    "updated_at": "2026-11-21T22:31:21Z",
    "closed_at": None,
    "evidence": {"point": "flow", "unit": "m3/h", "observed": 3.9, "expected": 10.0, "low": 9.2, "high": 10.8},
    "clocks": [
        {
            "clock": "response",
            "started_at": "2026-11-21T22:31:21Z",
            "due_at": "2026-11-22T02:31:21Z",
            "warn_at": "2026-11-22T01:43:21Z",
            "paused_at": None,
            "stopped_at": None,
            "warned_at": None,
            "breached_at": None,
        }
    ],
}


class ClockOut(Answered):
    """One promise of time. `due_at` and `warn_at` of a paused clock move on when it goes on."""

    clock: ClockName
    started_at: Instant
    due_at: Instant
    warn_at: Instant
    paused_at: Instant | None
    stopped_at: Instant | None
    warned_at: Instant | None
    breached_at: Instant | None


class TicketOut(Answered):
    """One ticket with its present clocks."""

    model_config = Answered.model_config | example(**_EXAMPLE)

    id: UUID
    code: str = Field(description="Follows the ticket without an account")
    device: str
    fault: str
    source: Literal["alarm", "person", "plan"]
    title: str
    description: str
    state: State
    held_from: State | None = Field(description="On hold: where it goes back to")
    verdict: Verdict | None
    priority: Priority
    level: Level
    assignee: str = Field(description="A login; empty: nobody yet")
    leading_point: str
    since: Instant = Field(description="When the fault began")
    opened_at: Instant
    updated_at: Instant
    closed_at: Instant | None
    evidence: dict[str, Any] = Field(description="Of its worst alarm")
    clocks: list[ClockOut]


class TicketEventOut(Answered):
    """One step of a ticket."""

    id: int
    event_id: UUID | None
    at: Instant
    kind: str
    who: str
    from_state: State | None
    to_state: State | None
    note: str
    detail: dict[str, Any]


class JoinedAlarmOut(Answered):
    """An alarm that belongs to the ticket."""

    id: UUID
    point: str
    detector: str
    severity: Severity
    state: str
    active: bool
    raised_at: Instant
    returned_at: Instant | None
    message: str


class WholeTicket(TicketOut):
    """A ticket, its steps, its alarms, every clock that it has had, and where the caller may take it."""

    events: list[TicketEventOut]
    alarms: list[JoinedAlarmOut]
    like: list[LikeOut] = Field(description="Past episodes whose points moved alike; known with the diagnosis")
    moves: list[State] = Field(description="States that the caller may take it to")


class StepOut(Answered):
    """A state that was reached."""

    state: State
    at: Instant


class TrackedOut(Answered):
    """What the holder of a code sees of a ticket."""

    model_config = Answered.model_config | example(
        code="WGZBZ34LSFRS5OQA",
        device="pump-01",
        title="pump-01: flow 61 % below normal (with current)",
        state="dispatched",
        priority="high",
        opened_at="2026-11-21T22:31:21Z",
        updated_at="2026-11-21T22:50:02Z",
        closed_at=None,
        steps=[
            {"state": "new", "at": "2026-11-21T22:31:21Z"},
            {"state": "dispatched", "at": "2026-11-21T22:50:02Z"},
        ],
    )

    code: str
    device: str
    title: str
    state: State
    priority: Priority
    opened_at: Instant
    updated_at: Instant
    closed_at: Instant | None
    steps: list[StepOut]


class Window(Asked):
    """The span that shows the departure."""

    model_config = Asked.model_config | ConfigDict(populate_by_name=True)

    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")


class EvidenceIn(Asked):
    """Why a detector says so. A number that there is none of is null."""

    point: PointName | Literal[""] = ""
    unit: Annotated[str, Field(max_length=32)] = ""
    observed: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    since: Instant | None = None
    contributions: Annotated[dict[PointName, float | None], Field(max_length=MOST_CONTRIBUTIONS)] = Field(
        default_factory=dict
    )
    window: Window | None = None


class AlarmIn(Asked):
    """One alarm event."""

    event_id: UUID
    occurrence_id: UUID
    kind: Literal["raised", "escalated"]
    rule: Name
    detector: Name
    point: PointName | Literal[""]
    severity: Severity
    since: Instant
    at: Instant
    score: float | None
    message: Message
    evidence: EvidenceIn


class TicketFromAlarm(Asked):
    """An alarm event, from a program of the role `service`."""

    model_config = Asked.model_config | example(
        source="alarm",
        device="pump-01",
        fault="condition",
        alarm={
            "event_id": "0b9f3a52-8c1e-5a57-9c3d-6b1f0a4f7c11",
            "occurrence_id": "3f1c2f5e-8f0e-5c3a-9a55-0d3c1f6b2a11",
            "kind": "raised",
            "rule": "shift",
            "detector": "shift",
            "point": "flow",
            "severity": "high",
            "since": "2026-11-21T22:31:00Z",
            "at": "2026-11-21T22:31:20Z",
            "score": 3.4,
            "message": "flow 3.9 m3/h, normal 9.2 to 10.8 m3/h",
            "evidence": {
                "point": "flow",
                "unit": "m3/h",
                "observed": 3.9,
                "expected": 10.0,
                "low": 9.2,
                "high": 10.8,
                "since": "2026-11-21T22:31:00Z",
                "contributions": {"flow": 0.75, "current": 0.25},
                "window": {"from": "2026-11-21T22:29:00Z", "to": "2026-11-21T22:33:20Z"},
            },
        },
    )

    source: Literal["alarm"]
    device: DeviceName
    fault: Name
    alarm: AlarmIn

    def report(self) -> Report:
        """The event as the domain takes it."""
        alarm, evidence = self.alarm, self.alarm.evidence
        return Report(
            event_id=alarm.event_id,
            occurrence_id=alarm.occurrence_id,
            device=self.device,
            fault=self.fault,
            kind=alarm.kind,
            rule=alarm.rule,
            detector=alarm.detector,
            severity=alarm.severity,
            since=alarm.since,
            at=alarm.at,
            score=_number(alarm.score),
            message=alarm.message,
            finding=Finding(
                point=evidence.point or alarm.point,
                unit=evidence.unit,
                observed=_number(evidence.observed),
                expected=_number(evidence.expected),
                low=_number(evidence.low),
                high=_number(evidence.high),
                contributions={p: share for p, share in evidence.contributions.items() if share is not None},
                window=None if evidence.window is None else (evidence.window.start, evidence.window.end),
            ),
        )


class TicketFromPerson(Asked):
    """What a person reports, in their own words."""

    model_config = Asked.model_config | example(
        source="person",
        device="pump-01",
        title="It leaks at the shaft seal",
        description="A puddle since this morning, about a litre an hour.",
        priority="medium",
    )

    source: Literal["person"]
    device: DeviceName
    title: Line
    description: Prose = ""
    priority: Priority = Priority.MEDIUM


class Comment(Asked):
    """A remark."""

    model_config = Asked.model_config | example(note="The seal is on order.")

    note: Reason


class MoveTo(Asked):
    """A move along the table. Some need a note, a verdict or an assignee: see `docs/api.md`."""

    model_config = Asked.model_config | example(to="closed", verdict="confirmed", note="Shaft seal replaced")

    to: State
    note: Prose = ""
    assignee: Name | None = Field(None, description="A login")
    verdict: Verdict | None = None


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
            return 201 if opening.outcome is Outcome.OPENED else 200, _shown(conn, opening.ticket)

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
        lambda row: _ticket_out(row, clocks.get(row.id, {}).values()),
        lambda row: (row.opened_at, row.id),
    )


@router.get("/track/{code}", summary="Follow a ticket without an account")
def track_ticket(
    request: Request, code: Annotated[str, Path(pattern=r"^[A-Za-z2-7-]{16,24}$", description="The ticket's code")]
) -> TrackedOut:
    """What the holder of a ticket's code may see of it. 30 requests a minute from one place."""
    parts = service(request)
    parts.trackers.take(place_of(request))
    with parts.transactions.of_nobody() as conn:
        return TrackedOut.model_validate(tickets.track(conn, code))


@router.get("/{ticket_id}", summary="One ticket with all that belongs to it")
def get_ticket(caller: Anyone, ticket_id: UUID) -> WholeTicket:
    """A ticket, its steps, its alarms, every clock that it has had, and where the caller may take it."""
    with caller.transaction() as conn:
        found = tickets.ticket(conn, ticket_id)
        held_from = State(found.held_from) if found.held_from else None
        return WholeTicket(
            **_ticket_out(found, tickets.clocks(conn, ticket_id)).model_dump(),
            events=[TicketEventOut.model_validate(event) for event in tickets.events(conn, ticket_id)],
            alarms=[JoinedAlarmOut.model_validate(alarm) for alarm in tickets.alarms_of(conn, ticket_id)],
            like=likes_of(conn, ticket_id),
            moves=moves_from(State(found.state), held_from, caller.principal.role),
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
                _shown(conn, tickets.comment(conn, who.tenant, ticket_id, asked.note, who=who.name, now=_now())),
            ),
        )


@router.post("/{ticket_id}/move", response_model=TicketOut, summary="Move a ticket")
def move(caller: Person, once: OnceOnly, ticket_id: UUID, asked: MoveTo) -> JSONResponse:
    """Take a ticket to another state. Who may, what must be there first, and what the clocks do is in a table."""
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
            )
            return 200, _shown(conn, moved)

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
            return 200, _shown(conn, assigned)

        return once.answer(caller, conn, do)


def _open_by_person(caller: Caller, conn: Transaction, asked: TicketFromPerson) -> tuple[int, TicketOut]:
    opened = tickets.open_by_person(
        conn,
        caller.principal.tenant,
        device=asked.device,
        title=asked.title,
        description=asked.description,
        priority=asked.priority,
        who=caller.principal.name,
        now=_now(),
    )
    return 201, _shown(conn, opened)


def _shown(conn: Transaction, ticket: Ticket) -> TicketOut:
    return _ticket_out(ticket, tickets.clocks_of(conn, [ticket.id]).get(ticket.id, {}).values())


def _ticket_out(ticket: Ticket, clocks: Any) -> TicketOut:
    fields = {name: getattr(ticket, name) for name in TicketOut.model_fields if name != "clocks"}
    return TicketOut(**fields, clocks=[_clock_out(clock) for clock in clocks])


def _clock_out(clock: Clock) -> ClockOut:
    return ClockOut(clock=clock.name, **{n: getattr(clock, n) for n in ClockOut.model_fields if n != "clock"})


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _now() -> datetime:
    return datetime.now(UTC)
