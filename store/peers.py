"""Machines of one model beside each other, as it is kept.

What `notify` writes, over all tenants, and what the API shows under its caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from store.connection import Session
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction
from telemetry import Stream

WIDTH = timedelta(hours=6)
"""Of what is compared at once: shorter, and machines differ by what each was just doing."""

_SQL = queries("peers")
_LOCK = 0x7065_6572  # any number, the same for all of us


@dataclass(frozen=True, slots=True)
class Cohort:
    """Machines that are compared with each other."""

    tenant: str
    kind: str
    model: str
    machines: list[int]


@dataclass(frozen=True, slots=True)
class Beside:
    """A stream beside its peers in the six hours from `at`, by its mean.

    `moved` is how far it has gone from its place beside them, by the median of three means, and `allowed` how far it
    may; None while that is not known.
    """

    stream: int
    tenant: str
    at: datetime
    level: float
    peers: int
    moved: float | None
    allowed: float | None


@dataclass(frozen=True, slots=True)
class PointBeside:
    """A point of a machine beside its peers; see `Beside`."""

    point: str
    unit: str
    at: datetime
    level: float
    peers: int
    moved: float | None
    allowed: float | None

    @property
    def expected(self) -> float | None:
        """Where it would be if it did as its peers do."""
        return None if self.moved is None else self.level - self.moved

    @property
    def stands_out(self) -> bool:
        return self.moved is not None and self.allowed is not None and abs(self.moved) >= self.allowed


def alone(conn: Session) -> bool:
    """Whether this session is the one that compares. It stays so until it ends."""
    return bool(conn.execute(_SQL["only_one"], [_LOCK]).fetchall()[0][0])


def cohorts(conn: Session, fewest: int, most: int) -> list[Cohort]:
    """Machines of one tenant, kind and model, `most` together, up to twice as many where they are no more."""
    with conn.cursor(row_factory=class_row(Cohort)) as cursor:
        return cursor.execute(_SQL["cohorts"], {"fewest": fewest, "most": most}).fetchall()


def streams(conn: Session, machines: Sequence[int]) -> list[Stream]:
    """The streams of some machines."""
    return [Stream(*row) for row in conn.execute(_SQL["streams"], {"machines": list(machines)})]


def compared_until(conn: Session, numbers: Sequence[int]) -> datetime | None:
    """Up to when some streams have been compared; None: never."""
    row = conn.execute(_SQL["compared_until"], {"streams": list(numbers), "width": WIDTH}).fetchone()
    return None if row is None else row[0]


def levels(conn: Session, numbers: Sequence[int], start: datetime, end: datetime) -> list[tuple[int, datetime, float]]:
    """Streams, beginnings of six hours in [start, end), and the means over those of them in which a machine ran."""
    asked = {"streams": list(numbers), "start": start, "end": end, "width": WIDTH}
    return [(int(stream), at, float(level)) for stream, at, level in conn.execute(_SQL["levels"], asked)]


def history(conn: Session, numbers: Sequence[int], start: datetime) -> list[tuple[int, datetime, float, bool]]:
    """Streams, beginnings of six hours since `start`, their means, and whether they stood out then."""
    found = conn.execute(_SQL["history"], {"streams": list(numbers), "start": start})
    return [(int(stream), at, float(level), bool(stood_out)) for stream, at, level, stood_out in found]


def keep(conn: Session, rows: Sequence[Beside]) -> None:
    """What was compared, in place of what was there."""
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["keep"], [asdict(row) for row in rows])


def forget(conn: Session, before: datetime) -> int:
    """Remove what is older; returns how much."""
    return max(conn.execute(_SQL["forget"], {"before": before}).rowcount, 0)


def of_machine(conn: Transaction, device: str) -> list[PointBeside]:
    """Each point of a machine that was ever compared, the farthest gone first. NotFound: no such machine."""
    if conn.execute(_SQL["device_known"], {"device": device}).fetchone() is None:
        raise NotFound(f"there is no device {device}")
    with conn.cursor(row_factory=class_row(PointBeside)) as cursor:
        return cursor.execute(_SQL["of_machine"], {"device": device}).fetchall()
