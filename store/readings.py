"""Readings for a chart: raw where they are few, else rolled up to as many buckets as it can show.

The cost is bounded by the number of points asked for and the width of their buckets, not by the length of history. A
gap stays a gap: a bucket without readings is not there, and where a line must break a point without a value stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from psycopg.rows import class_row

from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("readings")

# Widths that a person reads without arithmetic, up to a week, in seconds.
_WIDTHS_S = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(60.0, 120.0, 300.0, 600.0, 900.0, 1800.0),
    *(3600.0, 7200.0, 10800.0, 21600.0, 43200.0, 86400.0, 172800.0, 604800.0),
)
# A raw stream is interrupted where a step is this many times its usual one. Lower, and a device that skips a beat looks
# broken; higher, and an outage looks like a straight line.
_INTERRUPTED_STEPS = 4.0


@dataclass(frozen=True, slots=True)
class Point:
    """One reading, or one bucket by its beginning. In a gap `n` is 0 and there are no values."""

    time: datetime
    n: int
    min: float | None
    max: float | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """A span of one stream. `bucket_s` is None where the points are the readings themselves."""

    device: str
    point: str
    quantity: str
    unit: str
    start: datetime
    end: datetime
    bucket_s: float | None
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Contested:
    """A value that came for a time at which another one stands; None where retention has taken that."""

    time: datetime
    value: float
    standing: float | None


def chart(conn: Transaction, device: str, point: str, start: datetime, end: datetime, points: int) -> Chart:
    """Readings of [start, end), about `points` at most; a gap adds one. NotFound where there is no such stream."""
    found = conn.execute(_SQL["stream"], {"device": device, "point": point}).fetchone()
    if found is None:
        raise NotFound(f"{device} has no point {point}")
    stream, quantity, unit = found
    span = {"stream": stream, "start": start, "end": end}
    counted = conn.execute(_SQL["few"], {**span, "limit": points + 1}).fetchone()
    few = counted is not None and counted[0] <= points
    bucket_s = None if few else bucket_width_s((end - start).total_seconds(), points)
    with conn.cursor(row_factory=class_row(Point)) as cursor:
        if bucket_s is None:
            rows = cursor.execute(_SQL["raw"], {**span, "limit": points}).fetchall()
        else:
            query = "by_hours" if bucket_s >= 3600 else "by_minutes" if bucket_s >= 60 else "bucketed"
            rows = cursor.execute(_SQL[query], {**span, "bucket": timedelta(seconds=bucket_s)}).fetchall()
    step_s = bucket_s * 1.5 if bucket_s is not None else _interruption_s(rows)
    return Chart(device, point, quantity, unit, start, end, bucket_s, _broken(rows, step_s))


def contested(
    conn: Transaction, device: str, point: str, start: datetime, end: datetime, limit: int
) -> list[Contested]:
    """Values of [start, end) that stand beside another one of the same time. NotFound where there is no such stream."""
    found = conn.execute(_SQL["stream"], {"device": device, "point": point}).fetchone()
    if found is None:
        raise NotFound(f"{device} has no point {point}")
    with conn.cursor(row_factory=class_row(Contested)) as cursor:
        return cursor.execute(
            _SQL["contested"], {"stream": found[0], "start": start, "end": end, "limit": limit}
        ).fetchall()


def bucket_width_s(span_s: float, points: int) -> float:
    """The narrowest readable width that cuts a span into at most `points` buckets."""
    wanted_s = span_s / points
    return next((width for width in _WIDTHS_S if width >= wanted_s), 604_800.0 * math.ceil(wanted_s / 604_800.0))


def _interruption_s(rows: Sequence[Point]) -> float:
    steps = [(b.time - a.time).total_seconds() for a, b in pairwise(rows)]
    return _INTERRUPTED_STEPS * median(steps) if len(steps) > 2 else math.inf


def _broken(rows: Sequence[Point], step_s: float) -> list[Point]:
    """Points with one that has no value in each gap wider than `step_s`."""
    result: list[Point] = []
    for row in rows:
        if result and (row.time - result[-1].time).total_seconds() > step_s:
            middle = result[-1].time + (row.time - result[-1].time) / 2
            result.append(Point(middle, 0, None, None, None))
        result.append(row)
    return result
