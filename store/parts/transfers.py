"""Transfers between depots and vans: sent, on their way, received, and what did not arrive written down.

What is on its way is at a place of its own: no more can arrive, or be missed, than was sent. What is held for a ticket
may be sent for it, and stays held on the way and where it arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from psycopg.rows import class_row

from store.errors import Conflict, NotFound
from store.parts.catalogue import Depot, depot, lock, part, place, standing_depot
from store.parts.ledger import Act, Line, assert_free, move, taken
from store.queries import queries
from store.transactions import Transaction
from tickets.parts.moves import BadMove, MoveKind
from tickets.parts.places import PlaceKind

_SQL = queries("part_ledger")


@dataclass(frozen=True, slots=True)
class Load:
    """So many of a part. `reservation`: what it is sent for."""

    part: str
    quantity: int = 1
    lot: str | None = None
    serials: Sequence[str] = ()
    reservation: UUID | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """One of them; under way until `received_at`."""

    id: UUID
    transit_id: int
    from_: str
    to: str
    sent_at: datetime
    sent_by: str
    note: str
    received_at: datetime | None
    received_by: str | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """One lot, or one serial number, of a transfer: what was sent, what arrived, what did not."""

    place_id: int
    part_id: int
    part: str
    unit: str
    lot_id: int
    lot: str
    serial: str | None
    sent: int
    arrived: int
    lost: int

    @property
    def under_way(self) -> int:
        return self.sent - self.arrived - self.lost


def send(conn: Transaction, act: Act, source: str, target: str, loads: Sequence[Load]) -> UUID:
    """Send parts on their way; returns the transfer's id.

    Raises
    ------
    NotFound, BadMove
    Conflict
        They are not there, have expired, or are held for a ticket that they are not sent for.
    """
    here, there = standing_depot(conn, source), standing_depot(conn, target)
    if here.id == there.id:
        raise BadMove("what is sent goes to another place")
    parts = {load.part: part(conn, load.part, act.today) for load in loads}
    lock(conn, (of.id for of in parts.values()))
    transfer = uuid4()
    transit = place(conn, act.tenant, PlaceKind.TRANSIT, str(transfer))
    lines = list[Line]()
    for load in loads:
        of = parts[load.part]
        if load.reservation is not None:
            _bring_along(conn, load, here, transit)
        else:
            together = (other for other in loads if other.part == load.part and other.reservation is None)
            assert_free(conn, act, of, here, sum(len(other.serials) or other.quantity for other in together))
        lines += taken(conn, act, of, here, load.quantity, lot=load.lot, serials=load.serials)
    fields = {"id": transfer, "tenant": act.tenant, "transit": transit, "from": here.id, "to": there.id}
    conn.execute(_SQL["send"], fields | {"now": act.now, "who": act.who, "note": act.note})
    move(conn, act, MoveKind.SENT, PlaceKind(here.kind), _together(lines), transit, PlaceKind.TRANSIT)
    return transfer


def receive(conn: Transaction, act: Act, transfer: UUID, missing: Sequence[Load] = ()) -> None:
    """Take in what was sent, but for what is missing.

    Raises
    ------
    NotFound, BadMove
    Conflict
        It was received before, or more is said to be missing than was sent.
    """
    row = conn.execute(_SQL["lock_transfer"], {"id": transfer}).fetchone()
    if row is None:
        raise NotFound(f"there is no transfer {transfer}")
    transit, received_at = row
    if received_at is not None:
        raise Conflict("this transfer was received before")
    there = depot(conn, one(conn, transfer).to)
    on_board = [load for load in loaded(conn, [transit]) if load.under_way]
    lock(conn, (load.part_id for load in on_board))
    lost = _missed(on_board, missing, transit)
    gone = {(line.lot_id, line.serial): line.quantity for line in lost}
    came = [
        Line(load.part_id, load.lot_id, transit, left, load.serial)
        for load in on_board
        if (left := load.under_way - gone.get((load.lot_id, load.serial), 0))
    ]
    conn.execute(_SQL["receive"], {"id": transfer, "now": act.now, "who": act.who})
    conn.execute(_SQL["reserved_there"], {"from": transit, "to": there.id})
    move(conn, act, MoveKind.ARRIVED, PlaceKind.TRANSIT, came, there.id, PlaceKind(there.kind))
    if lost:
        beyond = place(conn, act.tenant, PlaceKind.DIFFERENCE)
        move(conn, act, MoveKind.LOST, PlaceKind.TRANSIT, lost, beyond, PlaceKind.DIFFERENCE)


def transfers(
    conn: Transaction,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    under_way: bool = False,
    transfer: UUID | None = None,
) -> list[Transfer]:
    """Transfers, newest first, beginning after one."""
    after_at, after_id = after or (None, None)
    asked = {"limit": limit, "after_at": after_at, "after_id": after_id, "under_way": under_way, "id": transfer}
    with conn.cursor(row_factory=class_row(Transfer)) as cursor:
        return cursor.execute(_SQL["transfers"], asked).fetchall()


def one(conn: Transaction, transfer: UUID) -> Transfer:
    """One transfer, or NotFound."""
    found = transfers(conn, limit=1, transfer=transfer)
    if not found:
        raise NotFound(f"there is no transfer {transfer}")
    return found[0]


def loaded(conn: Transaction, transits: Sequence[int]) -> list[Loaded]:
    """What transfers had, by their places of transit."""
    with conn.cursor(row_factory=class_row(Loaded)) as cursor:
        return cursor.execute(_SQL["loads"], {"places": list(transits)}).fetchall()


def _bring_along(conn: Transaction, load: Load, here: Depot, transit: int) -> None:
    """What is held for a ticket goes on its way with the part."""
    row = conn.execute(
        _SQL["along"], {"id": load.reservation, "part": load.part, "from": here.id, "to": transit}
    ).fetchone()
    size = len(load.serials) or load.quantity
    if row is None or row[0] != size:
        raise Conflict(f"{load.part}: {size} of it are not what this reservation holds at {here.name}")


def _together(lines: Sequence[Line]) -> list[Line]:
    """Lines of the same lot as one."""
    sums: dict[tuple[int, int, int, str | None], int] = {}
    for line in lines:
        key = (line.part_id, line.lot_id, line.from_id, line.serial)
        sums[key] = sums.get(key, 0) + line.quantity
    return [Line(part_id, lot, source, n, serial) for (part_id, lot, source, serial), n in sums.items()]


def _missed(on_board: Sequence[Loaded], missing: Sequence[Load], transit: int) -> list[Line]:
    lines = list[Line]()
    for load in missing:
        left = len(load.serials) or load.quantity
        for sent in on_board:
            wanted = sent.part == load.part and load.lot in {None, sent.lot}
            if wanted and (sent.serial in load.serials if sent.serial else not load.serials):
                n = min(left, sent.under_way)
                lines += [Line(sent.part_id, sent.lot_id, transit, n, sent.serial)] if n else []
                left -= n
        if left:
            raise Conflict(f"{load.part}: more is missing than was sent")
    if len({(line.lot_id, line.serial) for line in lines}) != len(lines):
        raise BadMove("name each part and lot that is missing once")
    return lines
