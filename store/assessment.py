"""Assessment as it is kept: the normal of machines, their health by the hour, the diagnosis of tickets.

What `notify` writes, over all tenants, and what the API shows under its caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from prognosis.diagnosis import Diagnosis, suspect_to_json
from prognosis.health import Normal
from prognosis.signature import Course
from store.connection import Session
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction

# A machine's health rests on so many of its points at most: the normal holds a number for each pair of them.
HEALTH_POINTS = 24
# A diagnosis looks at so many.
DIAGNOSIS_POINTS = 120
# Readings before a fault: so many hours at least, so many times the fault's age, so many of a slow stream's intervals;
# thinned to so many a point.
_BEFORE = timedelta(hours=2)
_TIMES_ITS_AGE, _INTERVALS, _MOST_READINGS = 6, 400, 8000
_LONGEST_SPAN = timedelta(days=60)
# Beyond, means of minutes are read: readings of a day by the second would be a million.
_FROM_READINGS = timedelta(hours=6)

_SQL = queries("assessment")
_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine in service. `until`: so far it was looked at; None, like `normal`, before its normal is known."""

    id: int
    tenant: str
    normal: Mapping[str, Any] | None
    until: datetime | None
    ill: bool
    repaired_at: datetime | None


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a machine."""

    id: int
    point: str
    quantity: str
    unit: str


@dataclass(frozen=True, slots=True)
class Hour:
    """A machine's health in one hour, 0 to 100: the course, what was measured, and the point that pulls it down."""

    hour: datetime
    health: float
    measured: float
    worst_point: str


@dataclass(frozen=True, slots=True)
class Undiagnosed:
    """An open ticket that waits for a diagnosis. `over_at`: when the last of its alarms returned, None before."""

    id: UUID
    tenant: str
    device_id: int
    kind: str
    since: datetime
    over_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeptDiagnosis:
    """What is probably wrong. `suspects` are as `prognosis.diagnosis.suspect_to_json` makes them."""

    ticket_id: UUID
    made_at: datetime
    until: datetime
    abstains: str
    other: float
    suspects: Sequence[Mapping[str, Any]]


# Health ------------------------------------------------------------------------------------------------------------


def machines(conn: Session, after: int, limit: int) -> list[Machine]:
    """Machines of all tenants with an id above `after`, in order."""
    with conn.cursor(row_factory=class_row(Machine)) as cursor:
        return cursor.execute(_SQL["machines"], {"after": after, "limit": limit}).fetchall()


def points(conn: Session, machine: int, limit: int) -> list[Point]:
    """A machine's points, those that say most of its health first."""
    with conn.cursor(row_factory=class_row(Point)) as cursor:
        return cursor.execute(_SQL["points"], {"machine": machine, "limit": limit}).fetchall()


def rows(
    conn: Session, streams: Sequence[int], start: datetime, end: datetime
) -> tuple[list[datetime], npt.NDArray[np.float64]]:
    """Means of ten minutes of [start, end): their beginnings, and float64 (N, streams), NaN where one said nothing."""
    found = conn.execute(_SQL["rows"], {"streams": list(streams), "start": start, "end": end}).fetchall()
    times = sorted({at for at, _, _ in found})
    place = {at: number for number, at in enumerate(times)}
    column = {stream: number for number, stream in enumerate(streams)}
    values = np.full((len(times), len(streams)), np.nan)
    for at, stream, mean in found:
        values[place[at], column[stream]] = mean
    return times, values


def measured(conn: Session, machine: Machine, before: datetime, limit: int) -> list[float]:
    """What was measured of a machine before a time and since its last repair, the oldest first."""
    asked = {"machine": machine.id, "before": before, "since": machine.repaired_at, "limit": limit}
    return [float(value) for (value,) in conn.execute(_SQL["measured"], asked)]


def keep_health(conn: Session, machine: Machine, normal: Normal, until: datetime, hours: Sequence[Hour]) -> None:
    """What was found of a machine up to `until`."""
    own = {"machine": machine.id, "tenant": machine.tenant}
    conn.execute(_SQL["keep_normal"], {**own, "normal": Jsonb(normal.to_json()), "until": until})
    if hours:
        with conn.cursor() as cursor:
            cursor.executemany(
                _SQL["note_health"],
                [
                    {**own, "hour": h.hour, "health": h.health, "measured": h.measured, "worst_point": h.worst_point}
                    for h in hours
                ],
            )


def health(conn: Transaction, device: str, start: datetime, end: datetime, bucket: timedelta) -> list[Hour]:
    """A machine's health in [start, end), the lowest of each bucket; NotFound where there is no such machine."""
    machine, _ = _machine(conn, device)
    with conn.cursor(row_factory=class_row(Hour)) as cursor:
        asked = {"machine": machine, "start": start, "end": end, "bucket": bucket}
        return cursor.execute(_SQL["health_between"], asked).fetchall()


def latest_health(conn: Transaction, device: str) -> tuple[bool, Hour | None]:
    """Whether a machine's normal is known, and its latest hour of running. NotFound: no such machine."""
    machine, known = _machine(conn, device)
    with conn.cursor(row_factory=class_row(Hour)) as cursor:
        return known, cursor.execute(_SQL["latest_health"], {"machine": machine}).fetchone()


def _machine(conn: Transaction, device: str) -> tuple[int, bool]:
    found = conn.execute(_SQL["device_known"], {"device": device}).fetchone()
    if found is None:
        raise NotFound(f"there is no device {device}")
    return int(found[0]), bool(found[1])


# Diagnosis ---------------------------------------------------------------------------------------------------------


def undiagnosed(conn: Session, limit: int) -> list[Undiagnosed]:
    """Open tickets of all tenants whose diagnosis is missing or due again."""
    with conn.cursor(row_factory=class_row(Undiagnosed)) as cursor:
        return cursor.execute(_SQL["undiagnosed"], {"limit": limit}).fetchall()


def courses(conn: Session, ticket: Undiagnosed) -> tuple[list[Course], datetime]:
    """The readings of a ticket's machine before and since its fault, and up to when they go.

    Bounded: 8 000 a point at most, from two hours up to 60 days.
    """
    own = points(conn, ticket.device_id, DIAGNOSIS_POINTS)
    streams = [point.id for point in own]
    pace = conn.execute(_SQL["pace"], {"streams": streams, "since": ticket.since}).fetchone()
    per_hour, latest = pace or (None, None)
    until = min(latest or ticket.since, ticket.over_at or latest or ticket.since)
    interval = timedelta(hours=1) / max(float(per_hour), 1e-3) if per_hour else _SECOND
    before = max(_BEFORE, _TIMES_ITS_AGE * (until - ticket.since), _INTERVALS * interval)
    start = ticket.since - min(before, _LONGEST_SPAN)
    thinned = (until - start) / _MOST_READINGS
    is_long = until - start > _FROM_READINGS and interval <= _MINUTE
    width = max(thinned, _MINUTE if is_long else _SECOND)
    asked = {"streams": streams, "start": start, "end": until, "width": width}
    found = conn.execute(_SQL["long_courses" if is_long else "courses"], asked).fetchall()
    by_stream = {stream: list(group) for stream, group in groupby(found, key=lambda row: row[0])}
    return [_course(point, by_stream[point.id]) for point in own if point.id in by_stream], until


def _course(point: Point, found: Sequence[tuple[int, Any, float]]) -> Course:
    time_us = np.array([int(row[1]) for row in found], np.int64)
    return Course(point.point, point.quantity, point.unit, time_us, np.array([row[2] for row in found], np.float64))


def keep_diagnosis(conn: Session, ticket: Undiagnosed, until: datetime, diagnosis: Diagnosis) -> None:
    """The diagnosis of a ticket, in place of an earlier one."""
    conn.execute(
        _SQL["keep_diagnosis"],
        {
            "ticket": ticket.id,
            "tenant": ticket.tenant,
            "until": until,
            "abstains": diagnosis.abstains,
            "other": diagnosis.other,
            "suspects": Jsonb([suspect_to_json(suspect) for suspect in diagnosis.suspects]),
        },
    )


def diagnosis_of(conn: Transaction, ticket_id: UUID) -> KeptDiagnosis | None:
    """What is probably wrong, by ticket; None before it was looked at."""
    with conn.cursor(row_factory=class_row(KeptDiagnosis)) as cursor:
        return cursor.execute(_SQL["diagnosis"], {"ticket": ticket_id}).fetchone()


def diagnosis_of_machine(conn: Transaction, device: str) -> KeptDiagnosis | None:
    """What is probably wrong with a machine, by the newest of its open tickets that says so."""
    with conn.cursor(row_factory=class_row(KeptDiagnosis)) as cursor:
        return cursor.execute(_SQL["diagnosis_of_machine"], {"device": device}).fetchone()
