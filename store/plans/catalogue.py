"""Preventive plans as they are kept, and what falls due by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from store import terms
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction
from tickets.calendar import Calendar
from tickets.plans import Count, Standing, ahead, trigger_of, unknown

_SQL = queries("plans")

# Machines under plans that one answer tells of, and dates of one machine: a plan of every day has ninety in a quarter.
MOST_STANDINGS = 5000
MOST_DATES = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan: see the table `plans`."""

    id: UUID
    name: str
    device: str | None
    model: str | None
    site: str | None
    trigger: Mapping[str, Any]
    procedure: str
    steps: str
    parts: Sequence[Mapping[str, Any]]
    skills: Sequence[str]
    work_h: float
    fault_class: str
    lead_days: int
    healthy_from: float | None
    put_off_most: int
    made_at: datetime
    made_by: str
    changed_at: datetime
    changed_by: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A time at which a plan fell due for a machine, and what became of it."""

    number: int
    device: str
    found_at: datetime
    due_at: datetime
    why: str
    outcome: str
    ticket_id: UUID | None


@dataclass(frozen=True, slots=True)
class Coming:
    """What falls due, or why nothing can be said of it (`due_at` None). `ticket_id`: the ticket that is to be done."""

    plan_id: UUID
    plan: str
    device: str
    due_at: datetime | None
    opens_at: datetime | None
    why: str
    ticket_id: UUID | None
    put_off: str


def plans(
    conn: Transaction,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    device: str | None = None,
    is_open: bool | None = None,
) -> list[Plan]:
    """Plans, newest first, beginning after the (made_at, id) `after`; of a device, those that reach it."""
    after_at, after_id = after or (None, None)
    wanted = {"limit": limit, "after_at": after_at, "after_id": after_id, "device": device, "is_open": is_open}
    with conn.cursor(row_factory=class_row(Plan)) as cursor:
        return cursor.execute(_SQL["plans"], wanted).fetchall()


def plan(conn: Transaction, plan_id: UUID) -> Plan:
    """One plan, or NotFound."""
    with conn.cursor(row_factory=class_row(Plan)) as cursor:
        found = cursor.execute(_SQL["plan"], {"id": plan_id}).fetchone()
    if found is None:
        raise NotFound(f"there is no plan {plan_id}")
    return found


def make(conn: Transaction, tenant: str, fields: Mapping[str, Any], *, who: str, now: datetime) -> Plan:
    """A new plan. NotFound where it reaches no machine, or asks for a part that there is none of."""
    _check(conn, fields)
    row = conn.execute(_SQL["make"], _kept(fields) | {"tenant": tenant, "who": who, "now": now}).fetchall()[0]
    return plan(conn, row[0])


def change(conn: Transaction, plan_id: UUID, fields: Mapping[str, Any], *, who: str, now: datetime) -> Plan:
    """All of a plan anew. NotFound as `make`; Conflict where it has ended."""
    plan(conn, plan_id)
    _check(conn, fields)
    if not conn.execute(_SQL["change"], _kept(fields) | {"id": plan_id, "who": who, "now": now}).rowcount:
        raise Conflict("this plan has ended: make a new one")
    return plan(conn, plan_id)


def end(conn: Transaction, plan_id: UUID, *, who: str, now: datetime) -> Plan:
    """No more tickets by it; those that are open stay. NotFound, or Conflict where it has ended."""
    plan(conn, plan_id)
    if not conn.execute(_SQL["end"], {"id": plan_id, "who": who, "now": now}).rowcount:
        raise Conflict("this plan has ended already")
    return plan(conn, plan_id)


def occurrences(conn: Transaction, plan_id: UUID, limit: int) -> list[Occurrence]:
    """What fell due by one plan, newest first. NotFound."""
    plan(conn, plan_id)
    with conn.cursor(row_factory=class_row(Occurrence)) as cursor:
        return cursor.execute(_SQL["occurrences"], {"plan": plan_id, "limit": limit}).fetchall()


def coming(
    conn: Transaction, now: datetime, within: timedelta, *, device: str | None = None, most: int = MOST_DATES
) -> list[Coming]:
    """What falls due within a time, `most` times of a plan and machine, the soonest first; last of what nothing can be
    said, and why."""
    of = {one.id: one for one in plans(conn, limit=MOST_STANDINGS, device=device, is_open=True)}
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SQL["standings"], {"device": device, "limit": MOST_STANDINGS}).fetchall()
    calendar = terms.in_force(conn).calendar
    found = [
        one
        for row in rows
        if row["plan_id"] in of
        for one in _coming(of[row["plan_id"]], row, calendar, now, now + within, most)
    ]
    return sorted(found, key=lambda one: (one.due_at is None, one.due_at or now, one.device, one.plan))


def _coming(
    of: Plan, row: Mapping[str, Any], calendar: Calendar, now: datetime, until: datetime, most: int
) -> Iterator[Coming]:
    """What is to be done first: a ticket that is open is due before whatever falls due after it."""
    trigger, standing = trigger_of(of.trigger), _standing(of, row)
    of_machine = partial(Coming, of.id, of.name, row["device"])
    if row["ticket_id"] is not None:
        yield of_machine(row["ticket_due_at"], None, row["ticket_why"], row["ticket_id"], "")
        most -= 1
    put_off = row["last_why"] if row["last_outcome"] == "put_off" else ""
    for due in islice(ahead(trigger, standing, calendar, now, until), most):
        yield of_machine(due.at, max(due.at - timedelta(days=of.lead_days), now), due.why, None, put_off)
        put_off = ""
    why = unknown(trigger, standing) if row["since"] else "not looked at yet: it is within a minute"
    if why and row["ticket_id"] is None and not (row["since"] is None and of.trigger["kind"] == "calendar"):
        yield of_machine(None, None, why, None, put_off)


def _standing(of: Plan, row: Mapping[str, Any]) -> Standing:
    if row["since"] is None:
        return Standing(taken=of.made_at)
    count = Count(row["counted_at"], row["shown"], row["used"], row["per_day"], row["known_days"])
    return Standing(row["taken"], row["times"], count, row["beyond_h"], row["p_fail"], row["fails_by"], row["silent"])


def _check(conn: Transaction, fields: Mapping[str, Any]) -> None:
    place = {name: fields[name] for name in ("device", "model", "site")}
    (machines,) = conn.execute(_SQL["reaches"], place).fetchall()[0]
    if not machines:
        named = next(f"{name} {value}" for name, value in place.items() if value)
        raise NotFound(f"there is no machine of {named}")
    missing = conn.execute(_SQL["unknown_part"], {"numbers": [one["part"] for one in fields["parts"]]}).fetchone()
    if missing is not None:
        raise NotFound(f"there is no part {missing[0]}")


def _kept(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, "trigger": Jsonb(fields["trigger"]), "parts": Jsonb(fields["parts"])}
