"""What there is to read of the ledger: what lies where, what runs out, what expires, what was moved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from psycopg.rows import class_row

from store.queries import queries
from store.transactions import Transaction

_SQL = queries("part_ledger")


@dataclass(frozen=True, slots=True)
class StockLine:
    """One part at one depot or in one van. `expires_on`: the first of it to expire."""

    part: str
    name: str
    unit: str
    value: Decimal
    currency: str
    low_at: int
    depot: str
    kind: str
    region: str
    on_hand: int
    expired: int
    expires_on: date | None
    held: int

    @property
    def free(self) -> int:
        return self.on_hand - self.expired - self.held


@dataclass(frozen=True, slots=True)
class ExpiringLot:
    """A lot on a shelf whose last good day is near, or over."""

    part: str
    name: str
    unit: str
    depot: str
    lot: str
    expires_on: date
    quantity: int


@dataclass(frozen=True, slots=True)
class Moved:
    """One row of the ledger. Places that are no depots have their kind for a name."""

    id: int
    at: datetime
    kind: str
    part: str
    unit: str
    from_kind: str
    from_name: str
    to_kind: str
    to_name: str
    quantity: int
    lot: str
    expires_on: date | None
    serial: str | None
    replaces: str | None
    ticket_id: UUID | None
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class Totals:
    """How it stands: kinds of parts, transfers on their way, reservations that wait, and that are late."""

    parts: int
    under_way: int
    waiting: int
    late: int


def totals(conn: Transaction, now: datetime) -> Totals:
    with conn.cursor(row_factory=class_row(Totals)) as cursor:
        return cursor.execute(_SQL["totals"], {"now": now}).fetchall()[0]


def stock(
    conn: Transaction,
    today: date,
    *,
    limit: int,
    after: tuple[str, str] | None = None,
    had: int = 0,
    part: str | None = None,
    like: str | None = None,
    depot: str | None = None,
) -> list[StockLine]:
    """What lies where, by (part, depot), beginning after one, or after the first `had`."""
    after_part, after_depot = after or (None, None)
    asked = {"part": part, "like": like, "depot": depot, "after_part": after_part, "after_depot": after_depot}
    with conn.cursor(row_factory=class_row(StockLine)) as cursor:
        return cursor.execute(_SQL["stock"], asked | {"today": today, "limit": limit, "had": had}).fetchall()


def expiring(conn: Transaction, until: date, limit: int) -> list[ExpiringLot]:
    """Lots that have expired, or do so until a day; the first first."""
    with conn.cursor(row_factory=class_row(ExpiringLot)) as cursor:
        return cursor.execute(_SQL["expiring"], {"until": until, "limit": limit}).fetchall()


def worth(conn: Transaction) -> list[tuple[str, Decimal]]:
    """What all of it is worth, by currency."""
    return conn.execute(_SQL["worth"]).fetchall()


def moves(
    conn: Transaction,
    *,
    limit: int,
    after: tuple[datetime, int] | None = None,
    part: str | None = None,
    serial: str | None = None,
    depot: str | None = None,
    ticket: UUID | None = None,
    kind: str | None = None,
) -> list[Moved]:
    """The ledger, newest first, beginning after the (at, id) `after`."""
    after_at, after_id = after or (None, None)
    asked = {"part": part, "serial": serial, "depot": depot, "ticket": ticket, "kind": kind}
    with conn.cursor(row_factory=class_row(Moved)) as cursor:
        return cursor.execute(
            _SQL["moves"], asked | {"limit": limit, "after_at": after_at, "after_id": after_id}
        ).fetchall()
