"""What every step of a ticket leaves behind: a line of its story, and its clocks as they stand then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from store.queries import queries
from store.tickets.rows import Ticket, clocks_of
from store.transactions import Transaction
from tickets.clocks import Clock, ClockName, apply
from tickets.priority import Level
from tickets.states import State

_SQL = queries("tickets")


def record(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    kind: str,
    who: str,
    now: datetime,
    *,
    event_id: UUID | None = None,
    from_state: State | None = None,
    to_state: State | None = None,
    note: str = "",
    detail: Mapping[str, Any] | None = None,
) -> bool:
    row = conn.execute(
        _SQL["record"],
        {
            "id": ticket_id,
            "tenant": tenant,
            "event_id": event_id,
            "at": now,
            "kind": kind,
            "who": who,
            "from_state": from_state,
            "to_state": to_state,
            "note": note,
            "detail": Jsonb(detail or {}),
        },
    ).fetchone()
    return row is not None


def save_moves(
    conn: Transaction, tenant: str, before: Ticket, effects: Mapping[ClockName, Any], who: str, now: datetime
) -> None:
    """The clocks after a move; one that was found broken only now is told of."""
    present = clocks_of(conn, [before.id]).get(before.id, {})
    after = apply(effects, present, Level(before.level), now)
    save_clocks(conn, tenant, before.id, (clock for name, clock in after.items() if clock != present.get(name)))
    for name, clock in after.items():
        was = present.get(name)
        if was is not None and was.started_at == clock.started_at and clock.breached_at and not was.breached_at:
            detail = {"clock": name, "due_at": clock.breached_at.isoformat()}
            record(conn, tenant, before.id, "clock_breached", who, now, detail=detail)


def save_clocks(conn: Transaction, tenant: str, ticket_id: UUID, changed: Iterable[Clock]) -> None:
    for clock in changed:
        conn.execute(
            _SQL["set_clock"],
            {
                "id": ticket_id,
                "tenant": tenant,
                "clock": clock.name,
                "started_at": clock.started_at,
                "due_at": clock.due_at,
                "warn_at": clock.warn_at,
                "paused_at": clock.paused_at,
                "stopped_at": clock.stopped_at,
                "warned_at": clock.warned_at,
                "breached_at": clock.breached_at,
            },
        )
