"""What tickets have asked for, planned anew whenever there is more or less of a part.

Whoever loses what was held for them is told by an event of their ticket. A ticket that ends releases by a trigger, so
that nothing is held for one that is over, whoever ended it; who waits then is served within seconds by `sweep`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row, dict_row

from store.connection import Session
from store.errors import Conflict, NotFound
from store.parts.catalogue import Part, Policy, lock, part, policy, standing_depot
from store.queries import queries
from store.tickets.history import record
from store.transactions import Transaction
from tickets.parts.places import PlaceKind
from tickets.parts.reservations import Change, Need, Shelf, plan
from tickets.priority import Priority
from tickets.states import ENDED, State

_SQL = queries("part_reservations")

# What is swept in one look. Too low: a flood of expiries takes minutes. Too high: one look holds many tickets.
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a ticket has asked for. `place` is empty while it waits; `promised_at`: it arrives by then; `expires_at`: if
    it is held, it is set free then."""

    id: UUID
    part: str
    name: str
    unit: str
    serialised: bool
    quantity: int
    state: str
    place_kind: str | None
    place: str | None
    place_id: int | None
    made_at: datetime
    made_by: str
    promised_at: datetime
    expires_at: datetime
    ended_at: datetime | None


def reserve(
    conn: Transaction,
    tenant: str,
    ticket: UUID,
    number: str,
    quantity: int,
    *,
    who: str,
    now: datetime,
    depot: str | None = None,
) -> UUID:
    """Ask for a part for a ticket, from wherever it is nearest, or from one depot; returns the reservation's id.

    It is held at once where there is enough; else it waits.

    Raises
    ------
    NotFound
    Conflict
        The ticket has ended, the depot is closed, or the part does not fit the machine.
    """
    lock_open(conn, ticket)
    of = part(conn, number, now.astimezone(UTC).date())
    _assert_fits(conn, ticket, of)
    wanted = standing_depot(conn, depot).id if depot else None
    promise = policy(conn)
    lock(conn, [of.id])
    row = conn.execute(
        _SQL["reserve"],
        {
            "tenant": tenant,
            "ticket": ticket,
            "part": of.id,
            "wanted": wanted,
            "quantity": quantity,
            "now": now,
            "who": who,
            "promised_at": now + timedelta(hours=promise.arrive_h),
            "expires_at": now + timedelta(days=promise.held_days),
        },
    ).fetchall()[0]
    replan(conn, tenant, of.id, now, who)
    made = next(one for one in reservations(conn, ticket) if one.id == row[0])
    if made.state == "waiting":
        note = f"{quantity} of {number}: not to be had yet"
        record(conn, tenant, ticket, "part_waiting", who, now, note=note, detail=_detail(of.number, quantity))
    return made.id


def release(conn: Transaction, tenant: str, ticket: UUID, reservation: UUID, *, who: str, now: datetime) -> None:
    """Give back what was asked for. NotFound, or Conflict where it is over already."""
    of, number = _locked(conn, ticket, reservation)
    end(conn, reservation, "released", now)
    record(conn, tenant, ticket, "part_released", who, now, note=number, detail={"part": number})
    replan(conn, tenant, of, now)


def end(conn: Transaction, reservation: UUID, state: str, now: datetime) -> None:
    """A reservation is over. Conflict where it is already."""
    if not conn.execute(_SQL["end_reservation"], {"id": reservation, "state": state, "now": now}).rowcount:
        raise Conflict("this reservation is over")


def reservations(conn: Transaction, ticket: UUID) -> list[Reservation]:
    """What a ticket has asked for, in order."""
    with conn.cursor(row_factory=class_row(Reservation)) as cursor:
        return cursor.execute(_SQL["reservations"], {"ticket": ticket}).fetchall()


def held(conn: Transaction, ticket: UUID, reservation: UUID) -> Reservation:
    """One that is held, its part locked. NotFound; Conflict where it waits or is over."""
    _locked(conn, ticket, reservation)
    found = next(one for one in reservations(conn, ticket) if one.id == reservation)
    if found.state != "held":
        raise Conflict(f"this reservation is {found.state}: nothing is held for it")
    return found


def replan(conn: Transaction, tenant: str, part_id: int, now: datetime, who: str = "bellwether") -> None:
    """Give everybody who needs a part what there is, by `tickets.parts.reservations`. The part must be locked."""
    of = {"part": part_id, "today": now.astimezone(UTC).date()}
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SQL["standing"], of).fetchall()
        if not rows:
            return
        shelves = [Shelf(**row | {"kind": PlaceKind(row["kind"])}) for row in cursor.execute(_SQL["shelves"], of)]
    for change in plan(shelves, [Need(**row | {"priority": Priority(row["priority"])}) for row in rows]):
        conn.execute(
            _SQL["place"], {"id": change.need.id, "place": change.place, "now": now, "held_days": Policy().held_days}
        )
        _tell(conn, tenant, change, now, who)


def sweep(conn: Session, now: datetime) -> int:
    """End what nobody came for in time, and serve who waits where something changed by time, or by the end of a
    ticket; returns how many reservations ended. The connection must be outside of a transaction: each part is one."""
    with conn.transaction():
        over = conn.execute(_SQL["over"], {"now": now, "limit": _AT_ONCE}).fetchall()
    for reservation, tenant, ticket, part_id in over:
        with conn.transaction():
            lock(conn, [part_id])
            if conn.execute(_SQL["expire"], {"id": reservation, "now": now}).rowcount:
                record(conn, tenant, ticket, "part_expired", "bellwether", now, note="nobody came for it")
            replan(conn, tenant, part_id, now)
    with conn.transaction():
        unserved = conn.execute(_SQL["unserved"], {"today": now.astimezone(UTC).date()}).fetchall()
    for tenant, part_id in unserved:
        with conn.transaction():
            lock(conn, [part_id])
            replan(conn, tenant, part_id, now)
    return len(over)


def lock_open(conn: Transaction, ticket: UUID) -> None:
    """Hold a ticket. NotFound; Conflict where it has ended."""
    row = conn.execute(_SQL["lock_ticket"], {"ticket": ticket}).fetchone()
    if row is None:
        raise NotFound(f"there is no ticket {ticket}")
    if State(row[0]) in ENDED:
        raise Conflict(f"a ticket that is {row[0]} takes no parts")


def _locked(conn: Transaction, ticket: UUID, reservation: UUID) -> tuple[int, str]:
    row = conn.execute(_SQL["part_of"], {"id": reservation, "ticket": ticket}).fetchone()
    if row is None:
        raise NotFound(f"there is no reservation {reservation} of this ticket")
    lock(conn, [row[0]])
    return int(row[0]), str(row[1])


def _assert_fits(conn: Transaction, ticket: UUID, of: Part) -> None:
    (model,) = conn.execute(_SQL["model_of_ticket"], {"ticket": ticket}).fetchall()[0]
    if model and of.fits and model not in of.fits:
        raise Conflict(f"{of.number} fits {', '.join(of.fits)}, and this machine is a {model}")


def _tell(conn: Transaction, tenant: str, change: Change, now: datetime, who: str) -> None:
    need = change.need
    (number,) = conn.execute(_SQL["number_of"], {"id": need.id}).fetchall()[0]
    detail = _detail(number, need.quantity)
    what = f"{need.quantity} of {number}"
    if change.place is not None:
        (name,) = conn.execute(_SQL["name_of_place"], {"place": change.place}).fetchall()[0]
        detail |= {"place": name}
        note, event = f"{what} at {name}", "part_reserved"
    else:
        note, event = f"{what}: waits again", "part_taken"
    if change.taken_by is not None:
        event = "part_taken"
        note += ": an urgent ticket took what was held"
        detail |= {"taken_by": str(change.taken_by)}
    record(conn, tenant, need.ticket, event, who, now, note=note, detail=detail)


def _detail(number: str, quantity: int) -> dict[str, object]:
    return {"part": number, "quantity": quantity}
