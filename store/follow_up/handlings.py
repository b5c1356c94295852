"""Second handlings: who was not satisfied is called back, and why is found out. One at a time for a ticket.

The ticket is held before anything changes, as by whoever moves it: it cannot close in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from alarms.roles import Role
from store.errors import Conflict, NotFound
from store.queries import queries
from store.tickets.history import record, save_clocks, save_moves
from store.tickets.moves import move
from store.tickets.rows import Ticket, locked
from store.transactions import Transaction
from tickets.clocks import ClockName, Effect, start
from tickets.states import State
from tickets.terms import Terms

_SQL = queries("second_handlings")


@dataclass(frozen=True, slots=True)
class Handling:
    """One second handling, with what the customer said. `called_at`: when they were reached."""

    id: UUID
    ticket_id: UUID
    survey_id: UUID
    opened_at: datetime
    start_due_at: datetime
    started_at: datetime | None
    started_by: str | None
    call_due_at: datetime
    called_at: datetime | None
    called_by: str | None
    cause: str
    outcome: str
    closed_at: datetime | None
    closed_by: str | None
    device: str
    title: str
    csat: float | None
    nps: int | None
    comment: str
    customer: str
    contact: str


def handlings(
    conn: Transaction,
    *,
    limit: int,
    is_open: bool | None = None,
    ticket_id: UUID | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> list[Handling]:
    """Second handlings, newest first."""
    return _rows(conn, limit=limit, is_open=is_open, ticket=ticket_id, after=after)


def handling(conn: Transaction, handling_id: UUID) -> Handling:
    """One, or NotFound."""
    found = _rows(conn, limit=1, handling_id=handling_id)
    if not found:
        raise NotFound(f"there is no second handling {handling_id}")
    return found[0]


def begin(conn: Transaction, tenant: str, ticket_id: UUID, survey_id: UUID, terms: Terms, now: datetime) -> None:
    """Open one with its two clocks, once for a survey; a ticket that has one open already has enough."""
    clocks = {name: start(name, promise, now) for name, promise in terms.second_promises().items()}
    due = {name: clock.due_at for name, clock in clocks.items()}
    fields = {"start_due_at": due[ClockName.SECOND_HANDLING], "call_due_at": due[ClockName.CALL_BACK]}
    asked = {"tenant": tenant, "ticket": ticket_id, "survey": survey_id, "now": now, **fields}
    if conn.execute(_SQL["open_handling"], asked).fetchone() is None:
        return
    save_clocks(conn, tenant, ticket_id, clocks.values())
    record(conn, tenant, ticket_id, "second_handling_opened", "bellwether", now)


def take(conn: Transaction, tenant: str, handling_id: UUID, *, who: str, now: datetime) -> Handling:
    """Somebody is at it. Conflict where somebody is already."""
    before, ticket = _held(conn, handling_id)
    if before.started_at is not None:
        raise Conflict(f"{before.started_by} is at it already")
    _start(conn, tenant, before, ticket, who, now)
    return handling(conn, handling_id)


def call(
    conn: Transaction, tenant: str, handling_id: UUID, *, reached: bool, note: str, who: str, now: datetime
) -> Handling:
    """Somebody has called back: whoever calls is at it. The clock stops once the customer was reached."""
    before, ticket = _held(conn, handling_id)
    if before.started_at is None:
        _start(conn, tenant, before, ticket, who, now)
    if reached and before.called_at is None:
        conn.execute(_SQL["called_back"], {"id": handling_id, "who": who, "now": now})
        save_moves(conn, tenant, ticket, {ClockName.CALL_BACK: Effect.STOP}, who, now)
    record(conn, tenant, ticket.id, "customer_called_back", who, now, note=note, detail={"reached": reached})
    return handling(conn, handling_id)


def close(
    conn: Transaction,
    tenant: str,
    handling_id: UUID,
    *,
    cause: str,
    outcome: str,
    reopens: bool,
    role: Role,
    who: str,
    now: datetime,
) -> Handling:
    """The cause is traced and the customer was called. `reopens`: the fault is not gone.

    Raises
    ------
    Conflict
        Nobody has reached the customer yet; or the ticket is closed for longer than its guarantee.
    tickets.states.NotAllowed
        The ticket is under way again already.
    """
    before, ticket = _held(conn, handling_id)
    if before.called_at is None:
        raise Conflict("the customer has to be called back first")
    conn.execute(_SQL["closed"], {"id": handling_id, "cause": cause, "outcome": outcome, "who": who, "now": now})
    record(conn, tenant, ticket.id, "second_handling_closed", who, now, note=f"{cause}\n{outcome}")
    if reopens:
        move(conn, tenant, ticket.id, State.REOPENED, role=role, who=who, now=now, note=cause)
    return handling(conn, handling_id)


def _start(conn: Transaction, tenant: str, of: Handling, ticket: Ticket, who: str, now: datetime) -> None:
    conn.execute(_SQL["started"], {"id": of.id, "who": who, "now": now})
    save_moves(conn, tenant, ticket, {ClockName.SECOND_HANDLING: Effect.STOP}, who, now)
    record(conn, tenant, ticket.id, "second_handling_started", who, now)


def _held(conn: Transaction, handling_id: UUID) -> tuple[Handling, Ticket]:
    """An open one, and its ticket. NotFound; Conflict where it is closed."""
    row = conn.execute(_SQL["ticket_of"], {"id": handling_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no second handling {handling_id}")
    ticket = locked(conn, row[0])
    found = handling(conn, handling_id)
    if found.closed_at is not None:
        raise Conflict("this second handling is closed")
    return found, ticket


def _rows(
    conn: Transaction,
    *,
    limit: int,
    handling_id: UUID | None = None,
    is_open: bool | None = None,
    ticket: UUID | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> list[Handling]:
    after_at, after_id = after or (None, None)
    fields = {"id": handling_id, "is_open": is_open, "ticket": ticket, "after_at": after_at, "after_id": after_id}
    with conn.cursor(row_factory=class_row(Handling)) as cursor:
        return cursor.execute(_SQL["handlings"], {**fields, "limit": limit}).fetchall()
