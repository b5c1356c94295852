"""A flood goes along the chain as one: its alarms, and their tickets, are told with it, and only what is worse than all
that was told of it so far goes a way of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from alarms.floods import worse_than_told
from store import floods
from store.connection import Session
from store.queries import queries
from tickets.chain import WAITING_ALARM, WAITING_TICKET

_SQL = queries("flood_chains")
_CHAINS = queries("escalations")


@dataclass(frozen=True, slots=True)
class _Member:
    id: int
    level: str
    weight: int


def notice(conn: Session, now: datetime) -> None:
    """Look whether there is a flood before another alarm is told, and not seconds later. In autocommit."""
    if conn.execute(_SQL["sets_out"]).fetchall()[0][0]:
        with conn.transaction():
            floods.watch(conn, now)


def gather(conn: Session) -> None:
    """Take what belongs to floods that go on off its own way, in the transaction that tells of them."""
    for flood, tenant in conn.execute(_SQL["open"]).fetchall():
        with conn.cursor(row_factory=class_row(_Member)) as cursor:
            members = cursor.execute(_SQL["members"], {"flood": flood}).fetchall()
        if members:
            _gather(conn, tenant, flood, members)


def end_taken(conn: Session) -> int:
    """Stop those that somebody has taken, or whose alarms are over; how many."""
    ended = conn.execute(_SQL["end_taken"], {"alarm": WAITING_ALARM, "ticket": list(WAITING_TICKET)}).fetchall()
    _drop_waiting(conn, [number for (number,) in ended])
    return len(ended)


def _gather(conn: Session, tenant: str, flood: UUID, members: Sequence[_Member]) -> None:
    worst = max(members, key=lambda one: one.weight)  # of several the first
    begun = conn.execute(_SQL["begin"], {"tenant": tenant, "flood": flood, "level": worst.level}).rowcount == 1
    told = conn.execute(_SQL["told"], {"flood": flood}).fetchall()[0][0]
    apart = None if begun else worse_than_told(told, [one.weight for one in members])
    if apart is not None:
        conn.execute(_SQL["worsen"], {"flood": flood, "level": members[apart].level})
        conn.execute(_SQL["follow"], {"flood": flood, "id": members[apart].id})
    folded = [one.id for number, one in enumerate(members) if number != apart]
    conn.execute(_SQL["fold"], {"flood": flood, "ids": folded})
    _drop_waiting(conn, folded)


def _drop_waiting(conn: Session, ids: Sequence[int]) -> None:
    if ids:
        conn.execute(_CHAINS["drop_waiting"], {"ids": list(ids)})
