"""The draws of the head office's sample, and the seeds that they go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from store.queries import queries
from store.tickets.papers import write
from store.tickets.rows import Ticket, machine_of
from store.transactions import Transaction
from tickets.needs import Paper
from tickets.quality import Look, commitment, drawn, looks, month_after, month_of, new_seed
from tickets.terms import Terms

_SQL = queries("ticket_papers")


@dataclass(frozen=True, slots=True)
class Month:
    """What is told of a month's seed; `seed` in hex once the month is over."""

    month: date
    commitment: str
    made_at: datetime
    seed: str | None


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw, by which anybody who has the seed finds the same."""

    month: date
    ticket_id: UUID
    turn: int
    at: datetime
    share: float
    drawn: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """A repair that was drawn or not, and who has looked at it since: `inspections` of `who`, `at` and `passed`."""

    ticket_id: UUID
    turn: int
    at: datetime
    share: float
    drawn: bool
    looks: Sequence[str]
    title: str
    device: str
    inspections: Sequence[Mapping[str, Any]]


def draw(conn: Transaction, tenant: str, before: Ticket, terms: Terms, now: datetime) -> Sequence[Look]:
    """Decide who looks at a repair, and write it down. Months are those of UTC."""
    month = month_of(now.astimezone(UTC).date())
    for of in (month, month_after(month)):  # the next one's is told before it begins
        seed = new_seed()
        fields = {"tenant": tenant, "month": of, "seed": seed, "commitment": commitment(seed)}
        conn.execute(_SQL["add_seed"], fields)
    (seed,) = conn.execute(_SQL["seed"], {"month": month}).fetchall()[0]
    is_drawn = drawn(seed, before.id, before.turn, terms.sample_share)
    asked = looks(is_drawn, machine_of(conn, before.device).criticality, terms.inspected)
    body = {"looks": asked, "month": month.isoformat(), "share": terms.sample_share}
    write(conn, tenant, before, Paper.CHECK, body, who="bellwether", now=now)
    return asked


def months(conn: Transaction, now: datetime, *, limit: int, before: date | None = None) -> list[Month]:
    """The months of which there is a seed, newest first."""
    fields = {"this_month": month_of(now.astimezone(UTC).date()), "limit": limit, "before": before}
    with conn.cursor(row_factory=class_row(Month)) as cursor:
        return cursor.execute(_SQL["months"], fields).fetchall()


def draws(conn: Transaction, of: Sequence[date]) -> list[Draw]:
    """Every draw of some months, in order."""
    with conn.cursor(row_factory=class_row(Draw)) as cursor:
        return cursor.execute(_SQL["draws"], {"months": list(of)}).fetchall()


def looked_at(conn: Transaction, month: date, *, limit: int) -> list[Looked]:
    """The draws of a month and what came of each, those for the head office first."""
    with conn.cursor(row_factory=class_row(Looked)) as cursor:
        return cursor.execute(_SQL["looked_at"], {"month": month, "limit": limit}).fetchall()


def to_look_at(conn: Transaction, *, limit: int) -> list[Looked]:
    """The repairs that wait for an inspection, the longest first."""
    with conn.cursor(row_factory=class_row(Looked)) as cursor:
        return cursor.execute(_SQL["to_look_at"], {"limit": limit}).fetchall()
