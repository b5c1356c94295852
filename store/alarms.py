"""Alarms as people meet them: read, acknowledged, shelved. What the process does to them is in `store.occurrences`.

Each change locks its alarm first, so that a person and the process cannot both move it from the same state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from alarms.states import Action, State, move
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("alarms")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One occurrence. `evidence` is that of its worst moment; `ticket_id` the ticket that it belongs to."""

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
            },
        ).fetchall()


def alarm(conn: Transaction, alarm_id: UUID) -> Alarm:
    """One alarm, or NotFound."""
    with conn.cursor(row_factory=class_row(Alarm)) as cursor:
        row = cursor.execute(_SQL["alarm"], {"id": alarm_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no alarm {alarm_id}")
    return row


def events(conn: Transaction, alarm_id: UUID) -> list[AlarmChange]:
    """What happened to one alarm, in order."""
    with conn.cursor(row_factory=class_row(AlarmChange)) as cursor:
        return cursor.execute(_SQL["events"], {"id": alarm_id}).fetchall()


def acknowledge(conn: Transaction, alarm_id: UUID, *, who: str, note: str, now: datetime) -> Alarm:
    """Say that somebody has seen it. NotFound, or `alarms.states.NotAllowed`."""
    state = _change(conn, alarm_id, Action.ACKNOWLEDGE, "acknowledged", who=who, note=note, now=now)
    conn.execute(_SQL["acknowledged"], {"id": alarm_id, "state": state, "at": now, "who": who})
    return alarm(conn, alarm_id)


def shelve(conn: Transaction, alarm_id: UUID, *, who: str, reason: str, until: datetime, now: datetime) -> Alarm:
    """Let it bother nobody until then. NotFound, or `alarms.states.NotAllowed`."""
    state = _change(conn, alarm_id, Action.SHELVE, "shelved", who=who, note=reason, now=now)
    conn.execute(_SQL["shelved"], {"id": alarm_id, "state": state, "until": until, "who": who, "reason": reason})
    return alarm(conn, alarm_id)


def unshelve(conn: Transaction, alarm_id: UUID, *, who: str, note: str, now: datetime) -> Alarm:
    """Bring it back as what it has become meanwhile. NotFound, or `alarms.states.NotAllowed`."""
    _unshelve(conn, alarm_id, who=who, note=note, now=now)
    return alarm(conn, alarm_id)


def unshelve_due(conn: Transaction, now: datetime) -> int:
    """Bring back what has been on the shelf for its time; returns how many. For `notify`."""
    due = conn.execute(_SQL["shelf_times_up"], {"now": now}).fetchall()
    for (alarm_id,) in due:
        _unshelve(conn, alarm_id, who="bellwether", note="its time on the shelf is over", now=now)
    return len(due)


def _unshelve(conn: Transaction, alarm_id: UUID, *, who: str, note: str, now: datetime) -> None:
    state = _change(conn, alarm_id, None, "unshelved", who=who, note=note, now=now)
    conn.execute(_SQL["unshelved"], {"id": alarm_id, "state": state})


def _change(
    conn: Transaction, alarm_id: UUID, action: Action | None, kind: str, *, who: str, note: str, now: datetime
) -> State:
    """Lock, find the next state, record the change. Without an action the alarm leaves the shelf."""
    row = conn.execute(_SQL["lock"], {"id": alarm_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no alarm {alarm_id}")
    before, active, severity, tenant = row
    state = move(State(before), action or (Action.UNSHELVE_ACTIVE if active else Action.UNSHELVE_NORMAL))
    conn.execute(
        _SQL["record"],
        {
            "id": alarm_id,
            "tenant": tenant,
            "at": now,
            "kind": kind,
            "state": state,
            "severity": severity,
            "who": who,
            "note": note,
        },
    )
    return state
