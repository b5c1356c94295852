"""Moves of parts: each takes from one place and gives to another, and who waits is given at once what there is then.

That nothing falls below zero, that a serial number is in one place, that nothing expired enters a repair, is held by
the database, whatever comes at once; what it refuses is told as a Conflict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from psycopg.errors import CheckViolation
from psycopg.rows import class_row

from store.errors import Conflict
from store.parts.catalogue import Depot, Part
from store.parts.reservations import replan
from store.queries import queries
from store.transactions import Transaction
from tickets.parts.lots import OnShelf, TooFew, is_expired, pick
from tickets.parts.moves import BadMove, MoveKind, check
from tickets.parts.places import PlaceKind

_SQL = queries("part_ledger")

_WHY_NOT = {
    "part_stock_not_below_zero": "there is less than that where it would be taken from",
    "part_moves_expired": "what has expired enters no repair",
    "part_moves_serials": "a key part moves by its serial number, and no other part does",
}


@dataclass(frozen=True, slots=True)
class Line:
    """So many of one lot, from one place; one, where it has a serial number. `replaces`: the number that came out."""

    part_id: int
    lot_id: int
    from_id: int
    quantity: int
    serial: str | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """Where a serial number is."""

    serial: str
    lot_id: int
    place_id: int
    kind: str
    name: str
    lot: str
    expires_on: date | None


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, when, and why."""

    tenant: str
    who: str
    now: datetime
    note: str = ""

    @property
    def today(self) -> date:
        return self.now.astimezone(UTC).date()


def move(
    conn: Transaction,
    act: Act,
    kind: MoveKind,
    source: PlaceKind,
    lines: Sequence[Line],
    to_id: int,
    target: PlaceKind,
    ticket: UUID | None = None,
) -> list[int]:
    """Write lines of one kind into the ledger, and give who waits what there is now. The parts must be locked."""
    check(kind, source, target, act.note)
    if not lines:
        return []
    fields: dict[str, Any] = {
        "parts": [line.part_id for line in lines],
        "lots": [line.lot_id for line in lines],
        "from": [line.from_id for line in lines],
        "quantities": [line.quantity for line in lines],
        "serials": [line.serial for line in lines],
        "replaces": [line.replaces for line in lines],
        "to": to_id,
        "kind": kind,
        "ticket": ticket,
    }
    with _told():
        rows = conn.execute(
            _SQL["move"], fields | {"tenant": act.tenant, "who": act.who, "now": act.now, "note": act.note}
        ).fetchall()
    for part_id in sorted({line.part_id for line in lines}):
        replan(conn, act.tenant, part_id, act.now)
    return [number for (number,) in rows]


def taken(
    conn: Transaction,
    act: Act,
    of: Part,
    source: Depot,
    quantity: int,
    *,
    lot: str | None = None,
    serials: Sequence[str] = (),
    expired_too: bool = False,
) -> list[Line]:
    """The lines that take so many of a part off a shelf: these serial numbers, this lot, or what expires first.

    Raises
    ------
    Conflict
        They are not there, or have expired and may not be taken.
    """
    if of.serialised:
        found = items(conn, of.id, [serial for _, serial in counted(of, quantity, serials) if serial])
        where = {item.serial: item for item in found if item.place_id == source.id}
        for serial in serials:
            if serial not in where:
                raise Conflict(f"serial number {serial} of {of.number} is not at {source.name}")
            if not expired_too and is_expired(where[serial].expires_on, act.today):
                raise Conflict(f"serial number {serial} expired on {where[serial].expires_on}")
        return [Line(of.id, where[serial].lot_id, source.id, 1, serial) for serial in serials]
    counted(of, quantity, serials)
    there = [one for one in lots_at(conn, of.id, source.id) if lot is None or one.lot == lot]
    try:
        picked = pick(there, quantity, date.min if expired_too else act.today)
    except TooFew as error:
        raise Conflict(f"{of.number} at {source.name}: {error}") from error
    return [Line(of.id, one.lot_id, source.id, n) for one, n in picked]


def counted(of: Part, quantity: int, serials: Sequence[str]) -> list[tuple[int, str | None]]:
    """How many lines of how many each: one a serial number, else one in all. BadMove where they do not go together."""
    if not of.serialised:
        if serials:
            raise BadMove(f"{of.number} has no serial numbers")
        return [(quantity, None)]
    if not serials or len(set(serials)) != len(serials) or quantity not in {1, len(serials)}:
        raise BadMove(f"{of.number} moves by its serial numbers: name each once")
    return [(1, serial) for serial in serials]


def items(conn: Transaction, part_id: int, serials: Sequence[str]) -> list[Item]:
    """Where these serial numbers of a part are; those that nobody knows are left out."""
    with conn.cursor(row_factory=class_row(Item)) as cursor:
        return cursor.execute(_SQL["items"], {"part": part_id, "serials": list(serials)}).fetchall()


def lots_at(conn: Transaction, part_id: int, place_id: int) -> list[OnShelf]:
    """What is at a place of a part, lot by lot."""
    with conn.cursor(row_factory=class_row(OnShelf)) as cursor:
        return cursor.execute(_SQL["lots_at"], {"part": part_id, "place": place_id}).fetchall()


def assert_free(conn: Transaction, act: Act, of: Part, source: Depot, quantity: int) -> None:
    """Conflict where so many at a place are not free: they have expired, or are held for tickets."""
    usable, held = conn.execute(_SQL["free_at"], {"part": of.id, "place": source.id, "today": act.today}).fetchall()[0]
    if usable - held < quantity:
        raise Conflict(f"{of.number} at {source.name}: {usable} can be used, {held} of them are held for tickets")


def make_lot(conn: Transaction, act: Act, part_id: int) -> int:
    """The lot without a name, of what was never received."""
    wanted = {"tenant": act.tenant, "part": part_id, "lot": "", "expires_on": None}
    conn.execute(_SQL["make_lot"], wanted)
    return int(conn.execute(_SQL["lot_named"], wanted).fetchall()[0][0])


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except CheckViolation as error:
        name = error.diag.constraint_name or ""
        raise Conflict(_WHY_NOT.get(name, error.diag.message_primary or "the ledger refuses this move")) from error
