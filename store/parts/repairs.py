"""Parts that go into a ticket's repair, come back unused, or come out of the machine.

Each key part that is put in says which serial number came out for it; what came out is repaired, recycled or scrapped,
and that is written down as a move of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from store.errors import Conflict, NotFound
from store.parts.catalogue import depot as depot_named
from store.parts.catalogue import lock, part, place, standing_depot
from store.parts.ledger import Act, Line, counted, items, lots_at, make_lot, move, taken
from store.parts.reservations import end, held, lock_open, reserve
from store.queries import queries
from store.tickets.history import record
from store.transactions import Transaction
from tickets.parts.lots import TooFew, pick
from tickets.parts.moves import BadMove, MoveKind
from tickets.parts.places import SHELVES, PlaceKind

_SQL = queries("part_reservations")

_FATES = {MoveKind.RECYCLED: PlaceKind.RECYCLING, MoveKind.SCRAPPED: PlaceKind.SCRAP}


def issue(
    conn: Transaction,
    act: Act,
    ticket: UUID,
    reservation: UUID,
    *,
    quantity: int | None = None,
    lot: str | None = None,
    serials: Mapping[str, str] | None = None,
) -> list[int]:
    """Put what is held for a ticket into its repair; what is left of the reservation is free again.

    `serials`: new serial number → the one that came out of the machine, "" where none did. Returns the moves' numbers.

    Raises
    ------
    NotFound, BadMove
    Conflict
        The ticket has ended, nothing is held, it is on its way, or has expired.
    """
    lock_open(conn, ticket)
    serials = serials or {}
    of_this = held(conn, ticket, reservation)
    if of_this.place_kind not in SHELVES:
        raise Conflict(f"{of_this.part} is still on its way")
    n = quantity or len(serials) or of_this.quantity
    if n > of_this.quantity:
        raise Conflict(f"{of_this.quantity} of {of_this.part} are held: reserve what is wanted beside")
    source = depot_named(conn, of_this.place or "")
    of = part(conn, of_this.part, act.today)
    lines = taken(conn, act, of, source, n, lot=lot, serials=list(serials))
    lines = [replace(line, replaces=serials.get(line.serial or "") or None) for line in lines]
    end(conn, reservation, "issued", act.now)
    target = place(conn, act.tenant, PlaceKind.REPAIR, str(ticket))
    moved = move(conn, act, MoveKind.ISSUE, PlaceKind(source.kind), lines, target, PlaceKind.REPAIR, ticket)
    numbers = "".join(f", {new}" + (f" for {old}" if old else "") for new, old in serials.items())
    _note(conn, act, ticket, "part_issued", f"{n} of {of.number} from {source.name}{numbers}", of.number, n)
    return moved


def reserve_and_issue(
    conn: Transaction,
    act: Act,
    ticket: UUID,
    number: str,
    depot: str,
    *,
    quantity: int = 1,
    lot: str | None = None,
    serials: Mapping[str, str] | None = None,
) -> list[int]:
    """Put a part into a repair that nobody asked for before, from one depot. Raises as `issue` and `reserve` do."""
    n = len(serials) if serials else quantity
    made = reserve(conn, act.tenant, ticket, number, n, who=act.who, now=act.now, depot=depot)
    return issue(conn, act, ticket, made, lot=lot, serials=serials)


def bring_back(
    conn: Transaction,
    act: Act,
    ticket: UUID,
    number: str,
    depot: str,
    *,
    quantity: int = 1,
    serials: Sequence[str] = (),
) -> list[int]:
    """Put back on a shelf what was issued to a ticket and not used. Raises NotFound, Conflict, BadMove."""
    _assert_ticket(conn, ticket)
    of, to = part(conn, number, act.today), standing_depot(conn, depot)
    lock(conn, [of.id])
    source = place(conn, act.tenant, PlaceKind.REPAIR, str(ticket))
    wanted = counted(of, quantity, serials)
    if of.serialised:
        where = {item.serial: item for item in items(conn, of.id, serials)}
        for serial in serials:
            if serial not in where or where[serial].place_id != source:
                raise Conflict(f"serial number {serial} of {number} was not issued to this ticket")
        lines = [Line(of.id, where[serial].lot_id, source, 1, serial) for _, serial in wanted if serial]
    else:
        try:
            picked = pick(lots_at(conn, of.id, source), quantity, date.min)
        except TooFew as error:
            raise Conflict(f"{number} in this repair: {error}") from error
        lines = [Line(of.id, one.lot_id, source, n) for one, n in picked]
    moved = move(conn, act, MoveKind.UNUSED, PlaceKind.REPAIR, lines, to.id, PlaceKind(to.kind), ticket)
    _note(conn, act, ticket, "part_returned", f"{len(serials) or quantity} of {number}, unused, to {depot}", number, 0)
    return moved


def take_out(
    conn: Transaction,
    act: Act,
    ticket: UUID,
    number: str,
    fate: MoveKind,
    *,
    quantity: int = 1,
    serials: Sequence[str] = (),
    depot: str | None = None,
) -> list[int]:
    """Write down what became of parts that came out of the machine: scrapped, recycled, or repaired to a depot.

    A serial number that was issued by us comes from that repair; one that we never had comes from the customer.

    Raises
    ------
    NotFound, Conflict, BadMove
    """
    _assert_ticket(conn, ticket)
    if fate is not MoveKind.REPAIRED and fate not in _FATES:
        raise BadMove("what comes out of a machine is repaired, recycled or scrapped")
    if (fate is MoveKind.REPAIRED) != (depot is not None):
        raise BadMove("what is repaired goes to a depot, and nothing else does")
    of = part(conn, number, act.today)
    lock(conn, [of.id])
    shelf = standing_depot(conn, depot) if depot else None
    target = shelf.id if shelf else place(conn, act.tenant, _FATES[fate])
    kind = PlaceKind(shelf.kind) if shelf else _FATES[fate]
    customer = place(conn, act.tenant, PlaceKind.CUSTOMER)
    known = {item.serial: item for item in items(conn, of.id, serials)}
    moved = list[int]()
    for n, serial in counted(of, quantity, serials):
        item = known.get(serial or "")
        if item is None:
            line, source = Line(of.id, make_lot(conn, act, of.id), customer, n, serial), PlaceKind.CUSTOMER
        else:
            line, source = Line(of.id, item.lot_id, item.place_id, 1, serial), PlaceKind(item.kind)
            if source not in {PlaceKind.REPAIR, PlaceKind.CUSTOMER}:
                raise Conflict(f"{serial} is in no machine by the ledger, but at {item.name or source.value}")
        moved += move(conn, act, fate, source, [line], target, kind, ticket)
    what = f"{len(serials) or quantity} of {number} from the machine: {fate.value}"
    _note(conn, act, ticket, "part_returned", what, number, 0)
    return moved


def _assert_ticket(conn: Transaction, ticket: UUID) -> None:
    if conn.execute(_SQL["lock_ticket"], {"ticket": ticket}).fetchone() is None:
        raise NotFound(f"there is no ticket {ticket}")


def _note(conn: Transaction, act: Act, ticket: UUID, kind: str, note: str, number: str, quantity: int) -> None:
    detail = {"part": number, "quantity": quantity} if quantity else {"part": number}
    record(conn, act.tenant, ticket, kind, act.who, act.now, note=note, detail=detail)
