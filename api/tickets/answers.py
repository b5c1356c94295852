"""What a caller sees of a ticket: itself, its steps and alarms, and what the holder of a code sees."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from alarms.events import Severity
from api.alarms.episodes import LikeOut
from api.models import Answered, Instant, example
from api.tickets.papers import AppointmentIn, PaperOut
from api.tickets.steps import WorkOut
from store import tickets
from store.tickets import Ticket
from store.transactions import Transaction
from tickets.clocks import Clock, ClockName
from tickets.intake import Service
from tickets.priority import FaultClass, Level, Nature, Priority
from tickets.states import State, Verdict

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
    "fault_class": "function_lost",
    "nature": "hardware",
    "service": "on_site",
    "turn": 0,
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
            "level": "major",
            "left_s": 14400.0,
            "rests_until": None,
        }
    ],
}


class ClockOut(Answered):
    """One promise of working time. `due_at` and `warn_at` of a paused clock move on when it goes on."""

    clock: ClockName
    started_at: Instant
    due_at: Instant
    warn_at: Instant
    paused_at: Instant | None
    stopped_at: Instant | None
    warned_at: Instant | None
    breached_at: Instant | None
    level: Level = Field(description="Whose promise and calendar it goes by")
    left_s: float = Field(description="Working time until it is due, in s; negative: overdue by so much")
    rests_until: Instant | None = Field(description="It runs, and nobody works before then; null: it counts now")


class PauseOut(Answered):
    """A time in which the ticket waited; `resumed_at` is null while it does."""

    reason: str
    label: str
    note: str
    paused_at: Instant
    paused_by: str
    resumed_at: Instant | None
    resumed_by: str | None


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
    fault_class: FaultClass
    nature: Nature
    service: Service
    turn: int = Field(description="How often it was reopened")
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
    """A ticket, its steps, alarms and papers, every clock and pause that it has had, and where it may be taken."""

    events: list[TicketEventOut]
    alarms: list[JoinedAlarmOut]
    pauses: list[PauseOut]
    like: list[LikeOut] = Field(description="Past episodes whose points moved alike; known with the diagnosis")
    papers: list[PaperOut] = Field(description="What was written down on its road, in order")
    work: list[WorkOut] = Field(description="The procedures that it was given, with how each step stands, in order")
    moves: list[State] = Field(description="States that the caller may take it to")


class StepOut(Answered):
    """A state that was reached."""

    state: State
    at: Instant


class TrackedQuote(Answered):
    """What the repair costs."""

    amount: str
    currency: str
    covers: str


class TrackedAnswer(Answered):
    """How the quote was answered."""

    accepted: bool
    at: Instant
    name: str = Field(description="Who answered")


class TrackedParcel(Answered):
    """What was sent in, on its way back."""

    left_at: Instant
    carrier: str
    tracking: str = Field(description="The carrier's number; empty: it has none")


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
        quote={"amount": "480.00", "currency": "EUR", "covers": "Shaft seal and two hours"},
        answer=None,
        appointment=None,
        sent_back=None,
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
    quote: TrackedQuote | None = Field(description="What the repair costs; null: nothing was quoted")
    answer: TrackedAnswer | None = Field(description="Null: the quote waits for it")
    appointment: AppointmentIn | None = Field(description="When somebody comes")
    sent_back: TrackedParcel | None = Field(description="What was sent in has left; null: it has not, or nothing was")


def shown(conn: Transaction, ticket: Ticket) -> TicketOut:
    """A ticket with its clocks as they stand."""
    return ticket_out(ticket, tickets.clocks_of(conn, [ticket.id]).get(ticket.id, {}).values())


def ticket_out(ticket: Ticket, clocks: Iterable[Clock]) -> TicketOut:
    """A ticket with these clocks, as they stand now."""
    fields = {name: getattr(ticket, name) for name in TicketOut.model_fields if name != "clocks"}
    now = datetime.now(UTC)
    return TicketOut(**fields, clocks=[_clock_out(clock, now) for clock in clocks])


def _clock_out(clock: Clock, now: datetime) -> ClockOut:
    is_working, until = clock.standing(now)
    return ClockOut(
        clock=clock.name,
        left_s=clock.left(now).total_seconds(),
        rests_until=until if clock.running and not is_working else None,
        **{name: getattr(clock, name) for name in ClockOut.model_fields if hasattr(clock, name)},
    )
