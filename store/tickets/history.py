"""What every step of a ticket leaves behind: a line of its story, and its clocks as they stand then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from alarms.roles import Role
from store.connection import Session
from store.queries import queries
from store.tickets.rows import Ticket, clocks_of
from store.transactions import Transaction
from tickets.clocks import Clock, ClockName, Effect, Promise, apply
from tickets.states import State

_SQL = queries("tickets")

# Roles. Whoever has the ticket is told as well.
TOLD_OF_WARNINGS = [Role.DISPATCHER.value]
TOLD_OF_BREACHES = [Role.DISPATCHER.value, Role.MANAGER.value, Role.ADMINISTRATOR.value]


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
    conn: Transaction,
    tenant: str,
    before: Ticket,
    effects: Mapping[ClockName, Effect],
    who: str,
    now: datetime,
    promises: Mapping[ClockName, Promise] | None = None,
) -> None:
    """The clocks after a move; one that was found broken only now is told of. `promises`: for those that start."""
    present = clocks_of(conn, [before.id]).get(before.id, {})
    after = apply(effects, present, promises or {}, now)
    save_clocks(conn, tenant, before.id, (clock for name, clock in after.items() if clock != present.get(name)))
    for name, clock in after.items():
        was = present.get(name)
        if was is not None and was.started_at == clock.started_at and clock.breached_at and not was.breached_at:
            detail = {"clock": name, "due_at": clock.breached_at.isoformat(), "to": TOLD_OF_BREACHES}
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
                "level": clock.level,
                "terms": clock.terms,
            },
        )


def ring(conn: Session, now: datetime) -> int:
    """Tell of the clocks of all tenants that have come to their warning or run out by `now`; returns how many.

    A clock is marked and told of in one statement each: whoever is killed in between has done neither, and whoever
    rings at the same time finds nothing left to tell.
    """
    warned = conn.execute(_SQL["ring_warnings"], {"now": now, "to": TOLD_OF_WARNINGS}).rowcount
    return warned + conn.execute(_SQL["ring_breaches"], {"now": now, "to": TOLD_OF_BREACHES}).rowcount
