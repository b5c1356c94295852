"""What parts there are, which depots and vans, and what a tenant promises of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction
from tickets.parts.places import PlaceKind
from tickets.parts.tables import PartRow

_SQL = queries("parts")


@dataclass(frozen=True, slots=True)
class Part:
    """A part, and what there is of it on all shelves. `held`: kept back for tickets; `waiting`: asked for in vain."""

    id: int
    number: str
    name: str
    unit: str
    value: Decimal
    currency: str
    fits: Sequence[str]
    shelf_days: int | None
    serialised: bool
    low_at: int
    lead_days: int
    cures: Sequence[str]
    on_hand: int
    expired: int
    held: int
    waiting: int

    @property
    def free(self) -> int:
        return self.on_hand - self.expired - self.held


@dataclass(frozen=True, slots=True)
class Depot:
    """A depot or a van. `parts`: how many kinds of parts lie there."""

    id: int
    name: str
    kind: str
    region: str
    engineer: str
    closed_at: datetime | None
    parts: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A part that a ticket asks for arrives after so many hours, and is kept back for so many days.

    Too few days: what waits for an appointment is gone when that comes. Too many: shelves are full of what nobody
    fetches.
    """

    arrive_h: int = 48
    held_days: int = 14


# Parts ----------------------------------------------------------------------------------------------------------------


def parts(
    conn: Transaction,
    today: date,
    *,
    limit: int,
    after: str | None = None,
    like: str | None = None,
    model: str | None = None,
    low: bool = False,
) -> list[Part]:
    """Parts by number, beginning after one. `low`: only those of which fewer are free than should be."""
    return _parts(conn, today, limit=limit, after=after, like=like, model=model, low=low)


def part(conn: Transaction, number: str, today: date) -> Part:
    """One part, or NotFound."""
    found = _parts(conn, today, limit=1, number=number)
    if not found:
        raise NotFound(f"there is no part {number}")
    return found[0]


def create_part(conn: Transaction, tenant: str, row: PartRow, who: str) -> None:
    """Make a part known. Conflict where its number is taken."""
    if conn.execute(_SQL["create_part"], _fields(row) | {"tenant": tenant, "who": who}).fetchone() is None:
        raise Conflict(f"there is a part {row.number} already")


def change_part(conn: Transaction, row: PartRow) -> None:
    """Say what a part is from now on. Conflict where it is not known, or would be numbered where it was counted."""
    if conn.execute(_SQL["change_part"], _fields(row)).fetchone() is None:
        raise Conflict(f"part {row.number}: whether each has a serial number cannot change")


def import_parts(conn: Transaction, tenant: str, rows: Iterable[PartRow], who: str) -> tuple[int, int]:
    """Take parts from a table: those that are known are changed. Returns how many are new, and how many were known."""
    new = known = 0
    for row in rows:
        if conn.execute(_SQL["create_part"], _fields(row) | {"tenant": tenant, "who": who}).fetchone() is not None:
            new += 1
        else:
            change_part(conn, row)
            known += 1
    return new, known


def lock(conn: Transaction, part_ids: Iterable[int]) -> None:
    """Until the transaction ends nobody else moves these parts, or plans with them."""
    for part_id in sorted(set(part_ids)):
        conn.execute(_SQL["lock_part"], {"part": part_id})


# Depots and vans ------------------------------------------------------------------------------------------------------


def depots(conn: Transaction, *, limit: int, after: str | None = None) -> list[Depot]:
    """Depots and vans by name, beginning after one."""
    return _depots(conn, limit=limit, after=after)


def depot(conn: Transaction, name: str) -> Depot:
    """One of them, or NotFound."""
    found = _depots(conn, limit=1, name=name)
    if not found:
        raise NotFound(f"there is no depot {name}")
    return found[0]


def standing_depot(conn: Transaction, name: str) -> Depot:
    """One that is not closed, and that nobody closes until the transaction ends. NotFound, Conflict."""
    is_open = conn.execute(_SQL["hold_open_depot"], {"name": name}).fetchone() is not None
    found = depot(conn, name)
    if not is_open:
        raise Conflict(f"{name} is closed")
    return found


def open_depot(
    conn: Transaction, tenant: str, name: str, *, kind: PlaceKind, region: str = "", engineer: str = ""
) -> Depot:
    """A new one. Conflict where the name is taken, or the engineer has a van."""
    fields = {"tenant": tenant, "name": name, "kind": kind, "region": region, "engineer": engineer}
    if conn.execute(_SQL["open_depot"], fields).fetchone() is None:
        raise Conflict(f"there is a depot {name} already, or its engineer has another van")
    return depot(conn, name)


def change_depot(
    conn: Transaction,
    name: str,
    *,
    region: str | None = None,
    engineer: str | None = None,
    closed: bool | None = None,
    now: datetime,
) -> Depot:
    """Change what is given. Conflict where it would be closed with parts in it, or its engineer has a van."""
    conn.execute(_SQL["hold_depot"], {"name": name})
    before = depot(conn, name)
    closed_at = before.closed_at if closed is None else (before.closed_at or now) if closed else None
    if closed and not before.closed_at and not conn.execute(_SQL["is_emptied"], {"place": before.id}).fetchall()[0][0]:
        raise Conflict(f"{name} is not empty, or something is on its way to it")
    fields = {
        "id": before.id,
        "region": before.region if region is None else region,
        "engineer": before.engineer if engineer is None else engineer,
        "closed_at": closed_at,
    }
    try:
        conn.execute(_SQL["change_depot"], fields)
    except UniqueViolation as error:
        raise Conflict(f"{engineer} has another van") from error
    return depot(conn, name)


def place(conn: Transaction, tenant: str, kind: PlaceKind, name: str = "") -> int:
    """The number of a place that is no depot; it is made when it is first asked for."""
    wanted = {"tenant": tenant, "kind": kind, "name": name}
    found = conn.execute(_SQL["place_named"], wanted).fetchone()
    if found is None:
        conn.execute(_SQL["make_place"], wanted)
        found = conn.execute(_SQL["place_named"], wanted).fetchall()[0]
    return int(found[0])


# What is promised -----------------------------------------------------------------------------------------------------


def policy(conn: Transaction) -> Policy:
    """The tenant's, or the house's where it never said."""
    with conn.cursor(row_factory=class_row(Policy)) as cursor:
        return cursor.execute(_SQL["policy"]).fetchone() or Policy()


def set_policy(conn: Transaction, tenant: str, wanted: Policy, who: str, now: datetime) -> None:
    """For what is asked from now on."""
    fields = {"tenant": tenant, "arrive_h": wanted.arrive_h, "held_days": wanted.held_days, "who": who, "now": now}
    conn.execute(_SQL["set_policy"], fields)


def _parts(conn: Transaction, today: date, *, limit: int, low: bool = False, **wanted: str | None) -> list[Part]:
    filters: dict[str, Any] = dict.fromkeys(("number", "like", "model", "after"))
    with conn.cursor(row_factory=class_row(Part)) as cursor:
        return cursor.execute(
            _SQL["parts"], {**filters, **wanted, "limit": limit, "low": low, "today": today}
        ).fetchall()


def _depots(conn: Transaction, *, limit: int, after: str | None = None, name: str | None = None) -> list[Depot]:
    with conn.cursor(row_factory=class_row(Depot)) as cursor:
        return cursor.execute(_SQL["depots"], {"limit": limit, "after": after, "name": name}).fetchall()


def _fields(row: PartRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in PartRow.__dataclass_fields__} | {
        "fits": list(row.fits),
        "cures": list(row.cures),
    }
