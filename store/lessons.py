"""Verdicts on closed tickets, as lessons for the detectors whose alarms opened them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from alarms.lessons import UNTAUGHT, Judged, Lesson, Patience, by_subject
from store.connection import Session
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction
from telemetry import Stream

# Lessons looked at, the latest: more of them say the same.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Row:
    tenant: str
    detector: str
    machine: int
    stream: int | None
    point: str
    peak: float
    lasted_s: float
    fault: bool
    age_s: float


@dataclass(frozen=True, slots=True)
class Taught:
    """The patience with one detector's alarms of one device, and the verdicts of its own behind it.

    `point` is empty for a detector of machines.
    """

    detector: str
    point: str
    patience: Patience
    in_vain: int
    faults: int


def judged(conn: Session, now: datetime) -> list[Judged]:
    """What was found, of every tenant that the caller may see."""
    with conn.cursor(row_factory=class_row(_Row)) as cursor:
        found = cursor.execute(
            queries("lessons")["judged"], {"now": now, "untaught": sorted(UNTAUGHT), "most": MOST}
        ).fetchall()
    return [
        Judged(
            row.tenant,
            row.detector,
            row.machine,
            row.stream,
            row.point,
            Lesson(row.peak, row.lasted_s, row.fault, row.age_s),
        )
        for row in found
    ]


def of_device(conn: Transaction, device: str, now: datetime) -> list[Taught]:
    """What verdicts have taught of a device, by detector and point.

    Raises
    ------
    NotFound
        There is no such device.
    """
    with conn.cursor(row_factory=class_row(Stream)) as cursor:
        streams = cursor.execute(queries("lessons")["streams_of"], {"device": device}).fetchall()
    if not streams:
        _assert_known(conn, device)
        return []
    points, machine = {stream.id: stream.point for stream in streams}, streams[0].machine
    heard = judged(conn, now)
    found = []
    for (detector, subject), patience in sorted(by_subject(heard, streams).items()):
        own = [each for each in heard if each.machine == machine and each.detector == detector]
        if subject in points:
            own = [each for each in own if each.stream == subject]
        elif subject != machine:
            continue
        faults = sum(each.lesson.fault for each in own)
        found.append(Taught(detector, points.get(subject, ""), patience, len(own) - faults, faults))
    return found


def _assert_known(conn: Transaction, device: str) -> None:
    if conn.execute(queries("lessons")["is_device"], {"device": device}).fetchone() is None:
        raise NotFound(f"no device {device}")
