"""What is done at a shelf: parts received, counted, scrapped, recycled, sent back to whom they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from store.errors import Conflict
from store.parts.catalogue import Depot, Part, lock, part, place, standing_depot
from store.parts.ledger import Act, Line, counted, items, lots_at, make_lot, move, taken
from store.queries import queries
from store.transactions import Transaction
from tickets.parts.lots import is_expired, last_good_day
from tickets.parts.moves import BadMove, MoveKind
from tickets.parts.places import PlaceKind
from tickets.parts.tables import StockRow

_SQL = queries("part_ledger")


def receive(
    conn: Transaction,
    act: Act,
    number: str,
    depot: str,
    *,
    quantity: int = 1,
    lot: str = "",
    expires_on: date | None = None,
    serials: Sequence[str] = (),
) -> list[int]:
    """Take in what a supplier sends; returns the numbers of its moves.

    Raises
    ------
    NotFound, Conflict, BadMove
    """
    of, to = _of(conn, act, number), standing_depot(conn, depot)
    expires_on = last_good_day(of.shelf_days, act.today, expires_on)
    if is_expired(expires_on, act.today):
        raise Conflict(f"it expired on {expires_on}: nothing that has expired is taken in")
    lot_id = _lot(conn, act, of, lot or (expires_on.isoformat() if expires_on else ""), expires_on)
    source = place(conn, act.tenant, PlaceKind.SUPPLIER)
    lines = [Line(of.id, lot_id, source, n, serial) for n, serial in counted(of, quantity, serials)]
    return move(conn, act, MoveKind.RECEIPT, PlaceKind.SUPPLIER, lines, to.id, PlaceKind(to.kind))


def take_in(conn: Transaction, act: Act, rows: Sequence[StockRow]) -> int:
    """Opening stock from a table, each row a receipt; returns how many."""
    for row in rows:
        receive(
            conn,
            act,
            row.part,
            row.depot,
            quantity=row.quantity,
            lot=row.lot,
            expires_on=row.expires_on,
            serials=[row.serial] if row.serial else [],
        )
    return len(rows)


def discard(
    conn: Transaction,
    act: Act,
    kind: MoveKind,
    number: str,
    depot: str,
    *,
    quantity: int = 1,
    lot: str | None = None,
    serials: Sequence[str] = (),
) -> list[int]:
    """Scrap, recycle or send back to its supplier what lies on a shelf, expired or not.

    Raises
    ------
    NotFound, Conflict, BadMove
    """
    targets = {
        MoveKind.SCRAPPED: PlaceKind.SCRAP,
        MoveKind.RECYCLED: PlaceKind.RECYCLING,
        MoveKind.SENT_BACK: PlaceKind.SUPPLIER,
    }
    if kind not in targets:
        raise BadMove(f"nothing on a shelf is {kind.value.replace('_', ' ')}")
    of, source = _of(conn, act, number), standing_depot(conn, depot)
    lines = taken(conn, act, of, source, quantity, lot=lot, serials=serials, expired_too=True)
    target = place(conn, act.tenant, targets[kind])
    return move(conn, act, kind, PlaceKind(source.kind), lines, target, targets[kind])


def count(
    conn: Transaction,
    act: Act,
    number: str,
    depot: str,
    *,
    quantity: int = 0,
    lot: str = "",
    serials: Sequence[str] | None = None,
) -> list[int]:
    """Write down what was counted of a lot, or which serial numbers are there: the difference is found or lost.

    Raises
    ------
    NotFound, Conflict, BadMove
    """
    of, where = _of(conn, act, number), standing_depot(conn, depot)
    beyond = place(conn, act.tenant, PlaceKind.DIFFERENCE)
    if of.serialised:
        if serials is None:
            raise BadMove(f"{number} is counted by its serial numbers")
        return _count_serials(conn, act, of, where, beyond, set(serials))
    lot_id = _lot(conn, act, of, lot, None, known=bool(lot))
    was = sum(one.quantity for one in lots_at(conn, of.id, where.id) if one.lot_id == lot_id)
    if quantity > was:
        lines = [Line(of.id, lot_id, beyond, quantity - was)]
        return move(conn, act, MoveKind.FOUND, PlaceKind.DIFFERENCE, lines, where.id, PlaceKind(where.kind))
    lines = [Line(of.id, lot_id, where.id, was - quantity)] if quantity < was else []
    return move(conn, act, MoveKind.LOST, PlaceKind(where.kind), lines, beyond, PlaceKind.DIFFERENCE)


def _count_serials(conn: Transaction, act: Act, of: Part, where: Depot, beyond: int, seen: set[str]) -> list[int]:
    there = {serial for (serial,) in conn.execute(_SQL["items_at"], {"part": of.id, "place": where.id})}
    gone = [Line(of.id, item.lot_id, where.id, 1, item.serial) for item in items(conn, of.id, sorted(there - seen))]
    known = {item.serial: item for item in items(conn, of.id, sorted(seen - there))}
    for item in known.values():
        if item.kind != PlaceKind.DIFFERENCE:
            raise Conflict(f"{item.serial} is at {item.name or item.kind} by the ledger: have it sent or brought back")
    nameless = make_lot(conn, act, of.id)
    come = [
        Line(of.id, known[serial].lot_id if serial in known else nameless, beyond, 1, serial)
        for serial in sorted(seen - there)
    ]
    return [
        *move(conn, act, MoveKind.LOST, PlaceKind(where.kind), gone, beyond, PlaceKind.DIFFERENCE),
        *move(conn, act, MoveKind.FOUND, PlaceKind.DIFFERENCE, come, where.id, PlaceKind(where.kind)),
    ]


def _of(conn: Transaction, act: Act, number: str) -> Part:
    of = part(conn, number, act.today)
    lock(conn, [of.id])
    return of


def _lot(conn: Transaction, act: Act, of: Part, lot: str, expires_on: date | None, *, known: bool = False) -> int:
    """The number of a lot, made if it is new. Conflict where it is known to expire on another day."""
    wanted = {"tenant": act.tenant, "part": of.id, "lot": lot, "expires_on": expires_on}
    if not known:
        conn.execute(_SQL["make_lot"], wanted)
    row = conn.execute(_SQL["lot_named"], wanted).fetchone()
    if row is None:
        raise Conflict(f"there is no lot {lot} of {of.number}")
    if expires_on is not None and row[1] != expires_on:
        raise Conflict(f"lot {lot} of {of.number} expires on {row[1]}, not on {expires_on}")
    return int(row[0])


@dataclass(frozen=True, slots=True)
class Expired:
    """What is left of a lot that has expired."""

    quantity: int
    serials: Sequence[str]


def expired_at(conn: Transaction, of: Part, where: Depot, lot: str) -> Expired:
    """All of one lot on a shelf, whatever its day. Conflict where there is none of it."""
    there = next((one for one in lots_at(conn, of.id, where.id) if one.lot == lot), None)
    if there is None:
        raise Conflict(f"there is nothing of lot {lot} of {of.number} at {where.name}")
    if not of.serialised:
        return Expired(there.quantity, ())
    numbers = [serial for (serial,) in conn.execute(_SQL["items_at"], {"part": of.id, "place": where.id})]
    return Expired(there.quantity, [one.serial for one in items(conn, of.id, numbers) if one.lot_id == there.lot_id])
