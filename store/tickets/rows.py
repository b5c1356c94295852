"""Tickets as they are kept, and what there is to read of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row

from store.errors import NotFound
from store.queries import queries
from store.terms import calendars
from store.transactions import Transaction
from tickets.clocks import Clock, ClockName
from tickets.priority import Criticality, Level, Tier

_SQL = queries("tickets")


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket. `code` follows it without an account; `evidence` is that of its worst alarm."""

    id: UUID
    code: str
    device: str
    fault: str
    source: str
    title: str
    description: str
    state: str
    held_from: str | None
    verdict: str | None
    priority: str
    level: str
    assignee: str
    fault_class: str
    nature: str
    service: str
    turn: int
    leading_point: str
    since: datetime
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """One step of a ticket: who, when, why."""

    id: int
    event_id: UUID | None
    at: datetime
    kind: str
    who: str
    from_state: str | None
    to_state: str | None
    note: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MachineOf:
    """What of a machine's file a ticket's priority and promises rest on."""

    id: int
    criticality: Criticality
    tier: Tier
    is_safety_equipment: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which a ticket waited; `resumed_at` None while it does."""

    reason: str
    label: str
    note: str
    paused_at: datetime
    paused_by: str
    resumed_at: datetime | None
    resumed_by: str | None


@dataclass(frozen=True, slots=True)
class JoinedAlarm:
    """An alarm that belongs to a ticket."""

    id: UUID
    point: str
    detector: str
    severity: str
    state: str
    active: bool
    raised_at: datetime
    returned_at: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class Tracked:
    """What the holder of a ticket's code may see of it."""

    code: str
    device: str
    title: str
    state: str
    priority: str
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    steps: Sequence[Mapping[str, str]]
    quote: Mapping[str, Any] | None
    answer: Mapping[str, Any] | None
    appointment: Mapping[str, Any] | None
    sent_back: Mapping[str, Any] | None


def tickets(
    conn: Transaction,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    device: str | None = None,
    states: Sequence[str] | None = None,
    priorities: Sequence[str] | None = None,
    assignee: str | None = None,
    is_open: bool | None = None,
) -> list[Ticket]:
    """Tickets, newest first, beginning after the (opened_at, id) `after`."""
    after_at, after_id = after or (None, None)
    with conn.cursor(row_factory=class_row(Ticket)) as cursor:
        return cursor.execute(
            _SQL["tickets"],
            {
                "limit": limit,
                "after_at": after_at,
                "after_id": after_id,
                "device": device,
                "states": None if states is None else list(states),
                "priorities": None if priorities is None else list(priorities),
                "assignee": assignee,
                "is_open": is_open,
            },
        ).fetchall()


def ticket(conn: Transaction, ticket_id: UUID) -> Ticket:
    """One ticket, or NotFound."""
    return _one(conn, "ticket", ticket_id)


def locked(conn: Transaction, ticket_id: UUID) -> Ticket:
    """The same, which nobody else changes until the transaction ends."""
    return _one(conn, "lock", ticket_id)


def events(conn: Transaction, ticket_id: UUID) -> list[TicketEvent]:
    """What happened to one ticket, in order."""
    with conn.cursor(row_factory=class_row(TicketEvent)) as cursor:
        return cursor.execute(_SQL["events"], {"id": ticket_id}).fetchall()


def clocks(conn: Transaction, ticket_id: UUID) -> list[Clock]:
    """Every clock that a ticket has had, the oldest first."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return _clocks(conn, cursor.execute(_SQL["clocks"], {"id": ticket_id}).fetchall())


def clocks_of(conn: Transaction, ticket_ids: Iterable[UUID]) -> dict[UUID, dict[ClockName, Clock]]:
    """The present clocks of some tickets."""
    found: dict[UUID, dict[ClockName, Clock]] = {}
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SQL["clocks_of"], {"ids": list(ticket_ids)}).fetchall()
    for row, clock in zip(rows, _clocks(conn, rows), strict=True):
        found.setdefault(row["ticket_id"], {})[clock.name] = clock
    return {
        ticket_id: {name: clocks[name] for name in ClockName if name in clocks} for ticket_id, clocks in found.items()
    }


def pauses(conn: Transaction, ticket_id: UUID) -> list[Pause]:
    """When and why one ticket waited, in order."""
    with conn.cursor(row_factory=class_row(Pause)) as cursor:
        return cursor.execute(_SQL["pauses"], {"id": ticket_id}).fetchall()


def alarms_of(conn: Transaction, ticket_id: UUID) -> list[JoinedAlarm]:
    """The alarms that belong to one ticket."""
    with conn.cursor(row_factory=class_row(JoinedAlarm)) as cursor:
        return cursor.execute(_SQL["alarms_of"], {"id": ticket_id}).fetchall()


def track(conn: Transaction, code: str) -> Tracked:
    """A ticket by its code, without an account. NotFound where there is none."""
    with conn.cursor(row_factory=class_row(Tracked)) as cursor:
        row = cursor.execute(_SQL["track"], {"code": plain_code(code)}).fetchone()
    if row is None:
        raise NotFound("there is no ticket with this code")
    return row


def plain_code(code: str) -> str:
    """A ticket's code as it is kept, however it was typed."""
    return code.upper().replace("-", "").strip()


def machine_of(conn: Transaction, device: str) -> MachineOf:
    """The machine that a ticket is about, or NotFound."""
    row = conn.execute(_SQL["machine"], {"device": device}).fetchone()
    if row is None:
        raise NotFound(f"there is no device {device}")
    return MachineOf(row[0], Criticality(row[1]), Tier(row[2]), row[3])


def _one(conn: Transaction, query: str, ticket_id: UUID) -> Ticket:
    with conn.cursor(row_factory=class_row(Ticket)) as cursor:
        row = cursor.execute(_SQL[query], {"id": ticket_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no ticket {ticket_id}")
    return row


def _clocks(conn: Transaction, rows: Sequence[Mapping[str, Any]]) -> list[Clock]:
    """Clocks with the calendars of the versions of the terms that they go by."""
    of_version = calendars(conn, {row["terms"] for row in rows})
    found = []
    for row in rows:
        fields = {name: value for name, value in row.items() if name not in {"ticket_id", "clock", "level"}}
        level = Level(row["level"])
        calendar = of_version[row["terms"]].calendar_of(level)
        found.append(Clock(ClockName(row["clock"]), **fields, level=level, calendar=calendar))
    return found
