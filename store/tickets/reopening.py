"""A ticket whose fault is back: an alarm, a person or the check of its repair says so, and its clocks begin anew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation

from store import terms as term_store
from store.errors import Conflict
from store.queries import queries
from store.repairs import checks
from store.tickets.history import record, save_moves
from store.tickets.rows import Ticket, machine_of
from store.transactions import Transaction
from tickets.priority import Level
from tickets.states import OPENING, State

_SQL = queries("tickets")

DONE = frozenset({State.HANDED_OVER, State.FOLLOW_UP})
"""Open, and yet nobody works on it: what comes of its fault now was not repaired."""


def reopen(
    conn: Transaction,
    tenant: str,
    before: Ticket,
    who: str,
    now: datetime,
    *,
    note: str,
    detail: Mapping[str, Any] | None = None,
    event_id: UUID | None = None,
) -> bool:
    """Whether it could be: where the fault has another open ticket the index refuses. The ticket must be held.

    `event_id`: by this event, which is taken once in all. Conflict: it was taken for another machine or fault.
    """
    try:
        with conn.transaction():
            conn.execute(_SQL["reopen"], {"id": before.id, "now": now})
    except UniqueViolation:
        return False
    said: dict[str, Any] = {"from_state": State(before.state), "to_state": State.REOPENED, "note": note}
    if not record(conn, tenant, before.id, "reopened", who, now, event_id=event_id, detail=detail, **said):
        raise Conflict(f"event {event_id} was taken for another machine or fault")
    terms = term_store.in_force(conn)
    checks.follow(conn, before.id, before.fault, State(before.state), State.REOPENED, terms, now)
    promises = terms.promises(Level(before.level), machine_of(conn, before.device).tier)
    save_moves(conn, tenant, before, OPENING, who, now, promises)
    return True
