"""Who sees to a corrective action is told that it falls due, and managers that it is late: each once for each due date.

What was told, and that it was, is one transaction: whoever is killed in between has done neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.rows import class_row

from alarms.roles import Role
from store import terms as term_store
from store.connection import Session, act_for
from store.messages.queue import queue_staff_message
from store.queries import queries

# Before the end of the day on which it is due: whoever is told at its end can do nothing for it any more.
AHEAD = timedelta(days=1)
# Of all tenants in one look. Too low: a ledger that was neglected is told of for hours. Too high: one look takes long.
_AT_ONCE = 200
_PAGE = "/corrective-actions"

_SQL = queries("corrective_actions")


@dataclass(frozen=True, slots=True)
class _Due:
    id: UUID
    tenant: str
    problem: str
    action: str
    owner: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class _Kind:
    """Which are to be told of, that they were, and the telling."""

    due: LiteralString
    told: LiteralString
    tell: Callable[[Session, _Due, datetime], None]


def remind(conn: Session, now: datetime) -> int:
    """Tell owners of what is due within a day, or is late already, and managers of what is late; how many of each
    together. The connection must be outside of a transaction: each telling is one."""
    near = _Kind(_SQL["near"], _SQL["told_near"], _tell_owner)
    late = _Kind(_SQL["late"], _SQL["told_late"], _tell_managers)
    return _each(conn, near, now + AHEAD, now) + _each(conn, late, now, now)


def _each(conn: Session, kind: _Kind, until: datetime, now: datetime) -> int:
    with conn.transaction():
        ids = conn.execute(kind.due, {"until": until, "id": None, "limit": _AT_ONCE}).fetchall()
    return sum(_once(conn, kind, until, action_id, now) for action_id, *_ in ids)


def _once(conn: Session, kind: _Kind, until: datetime, action_id: UUID, now: datetime) -> bool:
    """Looked at again under its lock: it may be done, put off or told of meanwhile."""
    with conn.transaction(), conn.cursor(row_factory=class_row(_Due)) as cursor:
        found = cursor.execute(kind.due, {"until": until, "id": action_id, "limit": 1}).fetchone()
        if found is None:
            return False
        act_for(conn, found.tenant)
        kind.tell(conn, found, now)
        conn.execute(kind.told, {"id": action_id})
    return True


def _tell_owner(conn: Session, one: _Due, now: datetime) -> None:
    day = _day(conn, one)
    when = f"was due on {day}" if one.due_at < now else f"is due on {day}"
    queue_staff_message(
        conn,
        one.tenant,
        kind="action.due",
        login=one.owner,
        subject=f"{when[0].upper()}{when[1:]}: {one.problem}",
        body=f"{one.problem}\n\nWhat you see to: {one.action}\n\nIt {when}.",
        page=_PAGE,
    )


def _tell_managers(conn: Session, one: _Due, _: datetime) -> None:
    day = _day(conn, one)
    queue_staff_message(
        conn,
        one.tenant,
        kind="action.overdue",
        role=Role.MANAGER,
        subject=f"Overdue since {day}: {one.problem}",
        body=f"{one.problem}\n\nWhat is to be done: {one.action}\nBy: {one.owner}\n\nIt was due on {day}.",
        page=_PAGE,
    )


def _day(conn: Session, one: _Due) -> str:
    """By the tenant's clock."""
    zone: ZoneInfo = term_store.in_force(conn).calendar.zone
    return f"{one.due_at.astimezone(zone):%d %B %Y}"
