"""Alarms as people meet them: read, acknowledged, reset, shelved. What the process does to them is in
`store.occurrences`, what windows and parents do in `store.alarm_moves`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from alarms.states import Action
from store import alarm_moves, alarm_policy
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("alarms")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One occurrence.

    `evidence` is that of its worst moment, `ticket_id` the ticket that it belongs to, `quiet_because` by what it is
    suppressed or out of service. `rises` is how often its score rose above the limit, `held_s` for how long it must be
    calm to return, where it chatters. `flood_id` is of the flood that it was told with, along the chain. `stale`: it
    stands, and nothing about it has changed for the tenant's time.
    """

    id: UUID
    device: str
    point: str
    rule: str
    detector: str
    fault: str
    severity: str
    state: str
    active: bool
    since: datetime
    raised_at: datetime
    returned_at: datetime | None
    acked_at: datetime | None
    acked_by: str | None
    shelved_until: datetime | None
    shelved_by: str | None
    shelve_reason: str | None
    score: float
    message: str
    evidence: Mapping[str, Any]
    ticket_id: UUID | None
    latch: bool
    quiet_because: str
    rises: int
    chatters: int
    held_s: float | None
    flood_id: UUID | None
    stale: bool


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """One event of an alarm."""

    event_id: UUID
    at: datetime
    kind: str
    state: str
    severity: str
    score: float | None
    who: str
    note: str
    evidence: Mapping[str, Any] | None


def alarms(
    conn: Transaction,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    device: str | None = None,
    states: Sequence[str] | None = None,
    severities: Sequence[str] | None = None,
    active: bool | None = None,
    is_open: bool | None = None,
    stale: bool | None = None,
) -> list[Alarm]:
    """Alarms, newest first, beginning after the (raised_at, id) `after`. `is_open`: in any state but normal."""
    after_at, after_id = after or (None, None)
    with conn.cursor(row_factory=class_row(Alarm)) as cursor:
        return cursor.execute(
            _SQL["alarms"],
            {
                "limit": limit,
                "after_at": after_at,
                "after_id": after_id,
                "device": device,
                "states": None if states is None else list(states),
                "severities": None if severities is None else list(severities),
                "active": active,
                "is_open": is_open,
                "stale": stale,
                "stale_h": alarm_policy.policy(conn).policy.stale_h,
            },
        ).fetchall()


def alarm(conn: Transaction, alarm_id: UUID) -> Alarm:
    """One alarm, or NotFound."""
    with conn.cursor(row_factory=class_row(Alarm)) as cursor:
        wanted = {"id": alarm_id, "stale_h": alarm_policy.policy(conn).policy.stale_h}
        row = cursor.execute(_SQL["alarm"], wanted).fetchone()
    if row is None:
        raise NotFound(f"there is no alarm {alarm_id}")
    return row


def events(conn: Transaction, alarm_id: UUID) -> list[AlarmChange]:
    """What happened to one alarm, in order."""
    with conn.cursor(row_factory=class_row(AlarmChange)) as cursor:
        return cursor.execute(_SQL["events"], {"id": alarm_id}).fetchall()


def acknowledge(conn: Transaction, alarm_id: UUID, *, who: str, note: str, now: datetime) -> Alarm:
    """Say that somebody has seen it. NotFound, or `alarms.states.NotAllowed`."""
    alarm_moves.make(conn, alarm_id, Action.ACKNOWLEDGE, who=who, note=note, now=now)
    conn.execute(_SQL["acknowledged"], {"id": alarm_id, "at": now, "who": who})
    return alarm(conn, alarm_id)


def reset(conn: Transaction, alarm_id: UUID, *, who: str, note: str, now: datetime) -> Alarm:
    """Open its latch: somebody has looked. NotFound, or `alarms.states.NotAllowed`."""
    alarm_moves.make(conn, alarm_id, Action.RESET, who=who, note=note, now=now)
    return alarm(conn, alarm_id)


def shelve(conn: Transaction, alarm_id: UUID, *, who: str, reason: str, until: datetime, now: datetime) -> Alarm:
    """Let it bother nobody until then. NotFound, or `alarms.states.NotAllowed`."""
    alarm_moves.make(conn, alarm_id, Action.SHELVE, who=who, note=reason, now=now)
    conn.execute(_SQL["shelved"], {"id": alarm_id, "until": until, "who": who, "reason": reason})
    return alarm(conn, alarm_id)


def unshelve(conn: Transaction, alarm_id: UUID, *, who: str, note: str, now: datetime) -> Alarm:
    """Bring it back as what it has become meanwhile. NotFound, or `alarms.states.NotAllowed`."""
    alarm_moves.make(conn, alarm_id, Action.UNSHELVE, who=who, note=note, now=now)
    return alarm(conn, alarm_id)
