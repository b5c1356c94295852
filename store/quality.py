"""The quality of data: hours counted once they are over, by `notify`, and graded when somebody asks, by the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row, dict_row

from store.connection import Session
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction
from telemetry import Quality
from telemetry.grades import Grade, Tally, grade

# A grade rests on a week: shorter, and a weekend is a fault; longer, and one that is over weighs on.
SPAN = timedelta(days=7)
# The last hour counted is counted again: what was held back by an hour is in it then.
_AGAIN = timedelta(hours=1)

_SQL = queries("quality")


@dataclass(frozen=True, slots=True)
class Due:
    """A machine whose hours from `start` on are over and not counted. `began`: when counting did."""

    machine: int
    tenant: str
    began: datetime
    start: datetime


@dataclass(frozen=True, slots=True)
class Graded:
    """A stream's grade. `until`: so far its hours are counted; None: not at all yet."""

    point: str
    quantity: str
    unit: str
    until: datetime | None
    grade: Grade
    tally: Tally
    values_an_hour: float


def due(conn: Session, after: int, end: datetime, limit: int) -> list[Due]:
    """Machines with an id above `after` to be counted up to `end`, the beginning of an hour; in order."""
    with conn.cursor(row_factory=class_row(Due)) as cursor:
        return cursor.execute(_SQL["due"], {"after": after, "end": end, "limit": limit}).fetchall()


def count(conn: Session, machine: Due, end: datetime) -> None:
    """Count a machine's hours up to `end`, and forget those that are too old. One transaction."""
    asked = {
        "machine": machine.machine,
        "tenant": machine.tenant,
        "began": machine.began,
        "start": max(machine.began, machine.start - _AGAIN),
        "end": end,
        "before": end - SPAN - _AGAIN,
        "late": int(Quality.LATE),
        "mistimed": int(Quality.FUTURE | Quality.CLOCK),
        "impossible": int(Quality.IMPOSSIBLE),
    }
    with conn.transaction():
        for query in ("count_hours", "note_look", "forget_hours"):
            conn.execute(_SQL[query], asked)


def of_machine(conn: Transaction, device: str) -> list[Graded]:
    """The grades of a machine's streams, by point; NotFound where there is no such machine."""
    if conn.execute(_SQL["device_id"], {"device": device}).fetchone() is None:
        raise NotFound(f"there is no device {device}")
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_SQL["tallies"], {"device": device, "span": SPAN}).fetchall()
    graded = []
    for row in found:
        own = {name: row.pop(name) for name in ("point", "quantity", "unit", "until", "values_an_hour")}
        whole = ("hours", "heard", "readings", "late", "mistimed", "impossible", "contested")
        counted = {name: int(row[name]) for name in whole}
        owed_h, usual, kept_up = (float(row[name]) for name in ("owed_h", "usual", "kept_up"))
        tally = Tally(**counted, owed_h=owed_h, usual=usual, kept_up=kept_up, alarm=row["alarm"])
        graded.append(Graded(**own, grade=grade(tally), tally=tally))
    return graded
