"""What a page that is open right now is told, readable from any place on without a hole.

A place is (transaction, event): ids alone are given out before the transactions that hold them commit, so that a reader
who goes by them steps over one. Events show once every earlier transaction is over; one long transaction anywhere on
the server delays them, it never loses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.rows import class_row

from store.connection import Session, listen, unavailable
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("live")
_MAX = 2**63 - 1


class Place(NamedTuple):
    """Where a reader is: after this event."""

    xid: int
    id: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """The place that `text` names, or None where it names none."""
        xid, dash, number = text.partition("-")
        if not (dash and xid.isascii() and xid.isdigit() and number.isascii() and number.isdigit()):
            return None
        if len(xid) > 19 or len(number) > 19:
            return None
        place = cls(int(xid), int(number))
        return place if max(place) <= _MAX else None


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One thing that happened: `alarm.raised`, `ticket.opened` …"""

    xid: int
    id: int
    at: datetime
    kind: str
    body: Mapping[str, Any]

    @property
    def place(self) -> Place:
        return Place(self.xid, self.id)


def head(conn: Transaction) -> Place:
    """Where a reader begins who wants nothing of the past."""
    return Place(conn.execute(_SQL["head"]).fetchall()[0][0] - 1, _MAX)


def after(conn: Transaction, tenant: str, place: Place, limit: int) -> list[LiveEvent]:
    """What has been told since, in order."""
    with conn.cursor(row_factory=class_row(LiveEvent)) as cursor:
        return cursor.execute(_SQL["after"], {"tenant": tenant, **place._asdict(), "limit": limit}).fetchall()


def is_kept(conn: Transaction, tenant: str, place: Place) -> bool:
    """Whether a reader at this place can go on without a hole. Says no where it cannot tell."""
    return bool(conn.execute(_SQL["is_kept"], {"tenant": tenant, **place._asdict()}).fetchall()[0][0])


def is_shown(conn: Transaction, tenant: str, place: Place) -> bool:
    """Whether whoever reads may see the event at this place."""
    return bool(conn.execute(_SQL["is_shown"], {"tenant": tenant, **place._asdict()}).fetchall()[0][0])


class Bell:
    """Rings when something was told to some tenant: one connection, however many listen behind it.

    A ring is a hint: whoever hears none still looks now and then. Raises Unavailable while the server is away.
    """

    def __init__(self, database_url: str) -> None:
        with unavailable():
            self._conn: Session = listen(database_url, "api live", "bellwether_live")

    def wait(self, timeout_s: float) -> set[str]:
        """The tenants that something was told to, at once when there is one, else none after `timeout_s`."""
        with unavailable():
            return {notify.payload for notify in self._conn.notifies(timeout=timeout_s, stop_after=1)}

    def close(self) -> None:
        self._conn.close()
