"""A month looked back on: what went wrong most, what it cost, what became of it; and who signed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from store import terms as term_store
from store.errors import Conflict
from store.follow_up import surveys
from store.queries import queries
from store.transactions import Transaction
from tickets.quality import month_after
from tickets.surveys import net_promoter_score

TOP_FAULTS = 3
MOST_LINES = 100

_SQL = queries("reviews")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault on a model, and how often it came."""

    fault: str
    model: str
    tickets: int
    machines: int


@dataclass(frozen=True, slots=True)
class LostPart:
    """A part that was `scrapped` or `lost`. `value` in its currency, as text: money is no float."""

    part: str
    name: str
    currency: str
    kind: str
    quantity: int
    value: str


@dataclass(frozen=True, slots=True)
class Promised:
    """How many clocks fell due, and were broken."""

    clock: str
    due: int
    broken: int


@dataclass(frozen=True, slots=True)
class Dissatisfied:
    """A customer who was not satisfied, by their number in the tenant's books."""

    ticket_id: UUID
    device: str
    customer: str
    csat: float | None
    nps: int | None
    cause: str
    outcome: str
    called_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class DueAction:
    """A corrective action that is, or was, to be done by then."""

    id: UUID
    problem: str
    owner: str
    due_at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A month as it was signed."""

    month: date
    notes: str
    figures: Mapping[str, Any]
    signed_at: datetime
    signed_by: str


@dataclass(frozen=True, slots=True)
class Review:
    """A month as it stands now; `signed` as it stood when it was signed. `figures`: plain numbers by name."""

    month: date
    begins_at: datetime
    ends_at: datetime
    figures: Mapping[str, Any]
    faults: list[Fault]
    parts: list[LostPart]
    promises: list[Promised]
    dissatisfied: list[Dissatisfied]
    actions: list[DueAction]
    signed: Signed | None


def review(conn: Transaction, month: date, now: datetime) -> Review:
    """A month, of the time zone of the terms' calendar."""
    begin, end = _span(conn, month)
    span = {"begin": begin, "end": end, "now": now, "most": MOST_LINES}
    with conn.cursor(row_factory=class_row(Fault)) as cursor:
        faults = cursor.execute(_SQL["review_faults"], {**span, "most": TOP_FAULTS}).fetchall()
    with conn.cursor(row_factory=class_row(LostPart)) as cursor:
        parts = cursor.execute(_SQL["review_parts"], span).fetchall()
    with conn.cursor(row_factory=class_row(Promised)) as cursor:
        promises = cursor.execute(_SQL["review_breaches"], span).fetchall()
    with conn.cursor(row_factory=class_row(Dissatisfied)) as cursor:
        dissatisfied = cursor.execute(_SQL["review_dissatisfied"], span).fetchall()
    with conn.cursor(row_factory=class_row(DueAction)) as cursor:
        actions = cursor.execute(_SQL["review_actions"], span).fetchall()
    with conn.cursor(row_factory=class_row(Signed)) as cursor:
        signed = cursor.execute(_SQL["signed"], {"month": month}).fetchone()
    figures = _figures(conn, span, now, promises)
    return Review(month, begin, end, figures, faults, parts, promises, dissatisfied, actions, signed)


def sign(conn: Transaction, tenant: str, month: date, notes: str, *, who: str, now: datetime) -> Review:
    """Sign a month that is over, once, with its figures as they stand. Conflict where it is not over, or is signed."""
    found = review(conn, month, now)
    if now < found.ends_at:
        raise Conflict("the month is not over yet")
    fields = {"tenant": tenant, "month": month, "notes": notes, "figures": Jsonb(dict(found.figures))}
    if conn.execute(_SQL["sign"], {**fields, "now": now, "who": who}).fetchone() is None:
        raise Conflict("the month is signed already")
    return review(conn, month, now)


def month_now(conn: Transaction, now: datetime) -> date:
    """The month that it is, on the tenant's clock."""
    return now.astimezone(term_store.in_force(conn).calendar.zone).date().replace(day=1)


def _span(conn: Transaction, month: date) -> tuple[datetime, datetime]:
    zone = term_store.in_force(conn).calendar.zone
    begin, end = (datetime.combine(day, time(), zone) for day in (month, month_after(month)))
    return begin.astimezone(UTC), end.astimezone(UTC)


def _figures(conn: Transaction, span: Mapping[str, Any], now: datetime, promises: list[Promised]) -> dict[str, Any]:
    with conn.cursor(row_factory=dict_row) as cursor:
        counts = cursor.execute(_SQL["review_counts"], span).fetchall()[0]
    sums = surveys.sums(conn, span["begin"], span["end"], now)
    return {
        **counts,
        "promises_due": sum(one.due for one in promises),
        "promises_broken": sum(one.broken for one in promises),
        "surveys": sums.asked,
        "reached": sums.reached,
        "answered": sums.answered,
        "csat": sums.csat,
        "nps": net_promoter_score(sums.ratings),
    }
