"""The past of a machine, as training reads it: piece by piece, never all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from psycopg.rows import class_row

from alarms.rules import Rule
from alarms.watch import UNSCORED
from detectors.learnt import Unfit, fresh, of_machine
from detectors.scores import Snapshot
from detectors.traits import TRAINED
from store import occurrences
from store.connection import Session
from store.queries import queries
from store.rules import rules_of_all
from telemetry import Batch, Stream

# How often a stream reports is told by so much of its latest past.
_PACE = timedelta(hours=6)

_SQL = queries("training")


@dataclass(frozen=True, slots=True)
class Illness:
    """A machine, or a sensor of it, was not well: from when a fault began until its ticket was closed."""

    since: datetime
    closed_at: datetime
    verdict: str


@dataclass(frozen=True, slots=True)
class Pace:
    """When a stream was last heard, and its mean interval before that, in seconds."""

    latest: datetime
    interval_s: float


def streams(conn: Session, machine: int) -> list[Stream]:
    """A machine's points, by their numbers."""
    with conn.cursor(row_factory=class_row(Stream)) as cursor:
        return cursor.execute(_SQL["streams"], {"machine": machine}).fetchall()


def paces(conn: Session, own: Sequence[Stream], until: datetime) -> list[Pace]:
    """How often each stream reported of late; those that never did are left out."""
    asked = {"streams": [stream.id for stream in own], "until": until, "hours": _PACE}
    return [Pace(latest, _PACE.total_seconds() / count) for latest, count in conn.execute(_SQL["pace"], asked) if count]


def begins(conn: Session, own: Sequence[Stream], start: datetime) -> datetime | None:
    """When the first of a machine's readings from `start` on was; None where there is none."""
    row = conn.execute(_SQL["begins"], {"streams": [stream.id for stream in own], "start": start}).fetchone()
    return row[0] if row else None


def readings(conn: Session, own: Sequence[Stream], start: datetime, end: datetime) -> Batch:
    """What a machine said in [start, end), as the detectors would have it."""
    asked = {"streams": [stream.id for stream in own], "start": start, "end": end, "unscored": int(UNSCORED)}
    return _batch(conn.execute(_SQL["readings"], asked).fetchall())


def illnesses(conn: Session, machine: int, after: datetime) -> list[Illness]:
    """What tickets closed since have found, the newest first."""
    with conn.cursor(row_factory=class_row(Illness)) as cursor:
        return cursor.execute(_SQL["faults"], {"machine": machine, "after": after}).fetchall()


def rules_of(conn: Session, tenant: str) -> list[Rule]:
    """The rules in force that govern what is trained."""
    return [rule for rule in rules_of_all(conn).get(tenant, []) if rule.detector in TRAINED]


def memory_of(conn: Session, own: Sequence[Stream]) -> tuple[dict[str, Snapshot], int]:
    """What ingest remembers of a machine, as it saved it last, and the time of the latest reading in it, in µs.

    Nothing learnt, and 0, where it has saved nothing of it. Reads the memory of the whole fleet, one detector after
    the other.
    """

    def saved() -> Iterator[tuple[str, Snapshot]]:
        for name in fresh():
            memory = occurrences.load_one(conn, name)
            if memory is not None:
                yield name, memory

    found = of_machine(own, saved())
    watch = occurrences.load_one(conn, "watch")
    ids = [stream.id for stream in own]
    latest_us = 0 if watch is None else int(watch["last_us"][np.isin(watch["last_stream"], ids)].max(initial=0))
    if not set(found) >= set(TRAINED):
        raise Unfit("ingest has not saved what it knows yet")
    return found, latest_us


def _batch(rows: Sequence[tuple[int, int, float]]) -> Batch:
    if not rows:
        return Batch.empty()
    time_us, stream, value = zip(*rows, strict=True)
    return Batch.of(time_us, stream, value)
