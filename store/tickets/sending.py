"""Sent-in goods on their way back: written down beside the road, which ends the clock that waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from store.errors import Conflict
from store.queries import queries
from store.tickets.history import record, save_moves
from store.tickets.papers import Written, write
from store.tickets.rows import Ticket, clocks_of, locked, ticket
from store.transactions import Transaction
from tickets.clocks import ClockName, Effect
from tickets.intake import Service
from tickets.needs import Paper
from tickets.sending import why_not
from tickets.states import State

_SQL = queries("tickets")


@dataclass(frozen=True, slots=True)
class Parcel:
    """What left: when, and with whom. `tracking` empty: it has no number."""

    left_at: datetime
    carrier: str
    tracking: str


def may_send_back(of: Ticket, written: Sequence[Written], now: datetime) -> bool:
    """Whether it is to be written down that the goods have left: they may have, and nobody has said so yet.
    `written`: the papers of its turn."""
    return not why_not(*_where(of), now, now) and all(one.paper != Paper.SENT_BACK for one in written)


def send_back(conn: Transaction, tenant: str, ticket_id: UUID, parcel: Parcel, *, who: str, now: datetime) -> Ticket:
    """Write down that the goods have left; what is written later takes its place. Their clock ends when they left.

    Raises
    ------
    NotFound
    Conflict
        Nothing was sent in, or it cannot have left.
    """
    before = locked(conn, ticket_id)
    reason = why_not(*_where(before), parcel.left_at, now)
    if reason:
        raise Conflict(reason)
    body = {"left_at": parcel.left_at.isoformat(), "carrier": parcel.carrier, "tracking": parcel.tracking}
    write(conn, tenant, before, Paper.SENT_BACK, body, who=who, now=now)
    clock = clocks_of(conn, [ticket_id]).get(ticket_id, {}).get(ClockName.SENT_BACK)
    if clock is not None:
        left_at = max(parcel.left_at, clock.started_at)
        save_moves(conn, tenant, before, {ClockName.SENT_BACK: Effect.STOP}, who, left_at)
    conn.execute(_SQL["touch"], {"id": ticket_id, "now": now})
    record(
        conn, tenant, ticket_id, "sent_back", who, now, detail={"carrier": parcel.carrier, "tracking": parcel.tracking}
    )
    return ticket(conn, ticket_id)


def _where(of: Ticket) -> tuple[Service, State, State | None]:
    return Service(of.service), State(of.state), State(of.held_from) if of.held_from else None
