"""What keeps alarms quiet on purpose: maintenance windows, and rules that are out of service.

Each change brings the alarms that stand to where they belong in the same transaction; what begins or ends by the clock
is brought there by `notify`, seconds later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from psycopg.rows import class_row

from store import alarm_moves
from store.connection import Session
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("maintenance")


@dataclass(frozen=True, slots=True)
class Window:
    """Work on a device, or on all of a site. `ended_by` is empty where it ends by the clock."""

    id: UUID
    device: str | None
    site: str | None
    begins_at: datetime
    ends_at: datetime
    reason: str
    made_by: str
    made_at: datetime
    ended_by: str


@dataclass(frozen=True, slots=True)
class Outage:
    """A rule that does not watch a device, or one point of it (`""`: none in particular), until somebody or time gives
    it back."""

    id: UUID
    rule: str
    device: str
    point: str
    reason: str
    until: datetime | None
    taken_at: datetime
    taken_by: str
    given_back_at: datetime | None
    given_back_by: str


def windows(
    conn: Transaction,
    now: datetime,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    device: str | None = None,
    site: str | None = None,
    is_open: bool = False,
) -> list[Window]:
    """Windows, the one that ends last first, beginning after the (ends_at, id) `after`; `is_open`: not over yet."""
    after_at, after_id = after or (None, None)
    wanted = {"device": device, "site": site, "is_open": is_open, "now": now, "limit": limit}
    with conn.cursor(row_factory=class_row(Window)) as cursor:
        return cursor.execute(_SQL["windows"], wanted | {"after_at": after_at, "after_id": after_id}).fetchall()


def plan(
    conn: Transaction,
    tenant: str,
    *,
    device: str | None,
    site: str | None,
    begins_at: datetime,
    ends_at: datetime,
    reason: str,
    who: str,
    now: datetime,
) -> Window:
    """Plan work on a device or a site, of which there must be one: NotFound."""
    place = {"device": device, "site": site}
    if conn.execute(_SQL["is_a_place"], place).fetchone() != (True,):
        raise NotFound(f"there is no device {device}" if device else f"there is no device at {site}")
    said = {"tenant": tenant, "begins_at": begins_at, "ends_at": ends_at, "reason": reason, "who": who, "now": now}
    planned = uuid4()
    conn.execute(_SQL["plan"], place | said | {"id": planned})
    alarm_moves.settle(conn, now)
    return _window(conn, planned)


def end(conn: Transaction, window_id: UUID, *, who: str, now: datetime) -> Window:
    """End it now. NotFound, or Conflict where it is over."""
    ended = conn.execute(_SQL["end"], {"id": window_id, "who": who, "now": now}).fetchone()
    found = _window(conn, window_id)
    if ended is None:
        raise Conflict("the window is over already")
    alarm_moves.settle(conn, now)
    return found


def outages(
    conn: Transaction,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    device: str | None = None,
    rule: str | None = None,
    is_open: bool = False,
) -> list[Outage]:
    """Rules out of service, newest first, beginning after the (taken_at, id) `after`; `is_open`: still out."""
    after_at, after_id = after or (None, None)
    wanted = {"device": device, "rule": rule, "is_open": is_open, "limit": limit}
    with conn.cursor(row_factory=class_row(Outage)) as cursor:
        return cursor.execute(_SQL["outages"], wanted | {"after_at": after_at, "after_id": after_id}).fetchall()


def take_out(
    conn: Transaction,
    tenant: str,
    *,
    rule: str,
    device: str,
    point: str,
    reason: str,
    until: datetime | None,
    who: str,
    now: datetime,
) -> Outage:
    """Take a rule out of service. NotFound where there is no such device, Conflict where it is out already."""
    if conn.execute(_SQL["is_a_place"], {"device": device, "site": None}).fetchone() != (True,):
        raise NotFound(f"there is no device {device}")
    return_due(conn, now)
    said = {"rule": rule, "device": device, "point": point, "reason": reason, "until": until, "who": who, "now": now}
    row = conn.execute(_SQL["take_out"], said | {"tenant": tenant}).fetchone()
    if row is None:
        raise Conflict(f"rule {rule} is out of service for {device} {point}".rstrip())
    alarm_moves.settle(conn, now)
    return _outage(conn, row[0])


def give_back(conn: Transaction, outage_id: UUID, *, who: str, now: datetime) -> Outage:
    """Let it watch again. NotFound, or Conflict where it does."""
    back = conn.execute(_SQL["give_back"], {"id": outage_id, "who": who, "now": now}).fetchone()
    found = _outage(conn, outage_id)
    if back is None:
        raise Conflict("it is in service already")
    alarm_moves.settle(conn, now)
    return found


def return_due(conn: Session, now: datetime) -> None:
    """Those whose time is over watch again."""
    conn.execute(_SQL["outages_due"], {"now": now})


def _window(conn: Transaction, window_id: UUID) -> Window:
    with conn.cursor(row_factory=class_row(Window)) as cursor:
        found = cursor.execute(_SQL["window"], {"id": window_id}).fetchone()
    if found is None:
        raise NotFound(f"there is no maintenance window {window_id}")
    return found


def _outage(conn: Transaction, outage_id: UUID) -> Outage:
    with conn.cursor(row_factory=class_row(Outage)) as cursor:
        found = cursor.execute(_SQL["outage"], {"id": outage_id}).fetchone()
    if found is None:
        raise NotFound(f"nothing is out of service under {outage_id}")
    return found
