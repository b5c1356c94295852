"""Months of readings put into history after the event: slice by slice, each a transaction that knows its place.

Idempotent and resumable: how far a file has come is written in the transaction that stores its rows, so that a backfill
that was killed goes on there, and every count is exact. A slice into compressed history unpacks what it touches of its
own streams, no more.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

import store.telemetry as readings
from store.connection import Session
from store.queries import queries
from store.telemetry import Fate
from telemetry import Batch, instant, microseconds

_SQL = queries("backfill")

# Roll-ups are made anew a week at a time. Too high: one long transaction. Too low: a round trip for each hour of years.
_REFRESH = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file has come: rows of it, and what became of their readings."""

    rows: int
    stored: int
    duplicates: int
    expired: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """What became of one slice's readings. `contested` are among the duplicates: another value was there."""

    stored: int
    duplicates: int
    contested: int
    expired: int


def begin(conn: Session, file_id: bytes, tenant: str, device: str, file: str) -> Place:
    """Where a file was left, or its beginning."""
    wanted = {"id": file_id, "tenant": tenant, "device": device, "file": file}
    return Place(*conn.execute(_SQL["begin"], wanted).fetchall()[0])


def add(conn: Session, file_id: bytes, tenant: str, device: str, rows: int, batch: Batch) -> Slice:
    """Store the readings of the next `rows` rows of a file, in the caller's transaction.

    Readings whose time is over already are left out, and counted.
    """
    kept_from = _kept_from(conn, batch)
    fresh = batch.where(batch.time_us >= kept_from) if len(batch) else batch
    fate = readings.append(conn, fresh).fate
    contested = int(np.count_nonzero(fate == Fate.CONTESTED))
    stored = int(np.count_nonzero(fate == Fate.STORED))
    done = Slice(stored, len(fresh) - stored, contested, len(batch) - len(fresh))
    counts = {"stored": stored, "duplicates": done.duplicates, "expired": done.expired}
    conn.execute(_SQL["advance"], {"id": file_id, "rows": rows, **counts})
    if contested:
        conn.execute(_SQL["count"], {"tenant": tenant, "device": device, "contested": contested})
    return done


def finish(conn: Session, file_id: bytes) -> None:
    """The file is done."""
    conn.execute(_SQL["finish"], {"id": file_id})


def touched(conn: Session, start_us: int, end_us: int) -> tuple[int, int]:
    """How many chunks a span touches that are there already, and how many of them are compressed."""
    chunks, compressed = conn.execute(_SQL["touched"], _span(start_us, end_us)).fetchall()[0]
    return int(chunks), int(compressed)


def refresh(conn: Session, start_us: int, end_us: int) -> bool:
    """Make the roll-ups of a span anew now; whether there was anything to do, and we were allowed.

    Where not, the server does it by itself within half an hour. The connection must be in autocommit.
    """
    if not conn.execute(_SQL["may_refresh"]).fetchall()[0][0]:
        return False
    at, end = _whole_hours(start_us, end_us)
    while at < end:
        span = {"start": at, "end": min(at + _REFRESH, end)}
        conn.execute(_SQL["refresh_1m"], span)
        conn.execute(_SQL["refresh_1h"], span)
        at += _REFRESH
    return True


def rolled_up(conn: Session, streams: Collection[int], start_us: int, end_us: int) -> tuple[int, int]:
    """Readings of some streams in a span, widened to whole hours, and how many of them their roll-ups hold."""
    start, end = _whole_hours(start_us, end_us)
    wanted = {"streams": list(streams), "start": start, "end": end}
    there, rolled = conn.execute(_SQL["rolled_up"], wanted).fetchall()[0]
    return int(there), int(rolled)


def _kept_from(conn: Session, batch: Batch) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """From when on each reading's stream is kept, in µs. Shape (N,)."""
    limits = np.full(int(batch.stream.max(initial=0)) + 1, np.iinfo(np.int64).min)
    for stream, since in conn.execute(_SQL["kept_from"], [np.unique(batch.stream).tolist()]):
        limits[stream] = microseconds(since)
    return limits[batch.stream]


def _span(start_us: int, end_us: int) -> dict[str, datetime]:
    return {"start": instant(start_us), "end": instant(end_us)}


def _whole_hours(start_us: int, end_us: int) -> tuple[datetime, datetime]:
    hour_us = 3_600_000_000
    return instant(start_us - start_us % hour_us), instant(end_us - end_us % hour_us + hour_us)
