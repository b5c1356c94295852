"""Floods of alarms as they are kept: found by `notify`, shown by the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row, dict_row

from alarms.floods import Turn, judge
from alarms.policy import DEFAULT_POLICY
from store.connection import Session
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("floods")
_LONGEST = timedelta(days=1)  # that a tenant may look back


@dataclass(frozen=True, slots=True)
class Flood:
    """Too many alarms at one site (`""`: at none). `first_out` is the alarm whose departure began first, `told_with`
    how many went along the chain with it."""

    id: UUID
    site: str
    since: datetime
    began_at: datetime
    ended_at: datetime | None
    most_alarms: int
    first_out: UUID
    first_device: str
    first_message: str
    first_since: datetime
    told_with: int


@dataclass(frozen=True, slots=True)
class Group:
    """What is open of one machine at a flooded site; `waiting` of it for an acknowledgement."""

    site: str
    device: str
    alarms: int
    waiting: int
    worst: str
    since: datetime
    first_out: UUID
    first_message: str


def watch(conn: Session, now: datetime) -> None:
    """Begin and end floods. For `notify`."""
    wanted = {
        "now": now,
        "longest": _LONGEST,
        "flood_s": DEFAULT_POLICY.flood_s,
        "flood_alarms": DEFAULT_POLICY.flood_alarms,
    }
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SQL["counted"], wanted).fetchall()
    for row in rows:
        match judge(row["alarms"], row["most"], stands=row["id"] is not None):
            case Turn.BEGINS:
                conn.execute(_SQL["begin"], row | {"now": now})
            case Turn.GOES_ON if row["alarms"] > row["most_alarms"]:
                conn.execute(_SQL["worsen"], row)
            case Turn.ENDS:
                conn.execute(_SQL["end"], row | {"now": now})


def floods(
    conn: Transaction, *, limit: int, after: tuple[datetime, UUID] | None = None, is_open: bool = False
) -> list[Flood]:
    """Floods, newest first, beginning after the (began_at, id) `after`."""
    after_at, after_id = after or (None, None)
    wanted = {"limit": limit, "after_at": after_at, "after_id": after_id, "is_open": is_open}
    with conn.cursor(row_factory=class_row(Flood)) as cursor:
        return cursor.execute(_SQL["floods"], wanted).fetchall()


def groups(conn: Transaction, sites: Sequence[str], limit: int) -> list[Group]:
    """What is open at these sites, by site and machine, the machine that was first first."""
    with conn.cursor(row_factory=class_row(Group)) as cursor:
        return cursor.execute(_SQL["groups"], {"sites": list(sites), "limit": limit}).fetchall()
