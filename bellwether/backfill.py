"""`bellwether backfill`: recorded months into history, beside a stack that goes on.

Not over MQTT: what comes in that way is live, and judged as such. Held to a rate, and out of ingest's way: while ingest
is behind, it waits. Killed, it goes on where it was; given the same file again, it changes nothing.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import store.telemetry as readings
from firmware_sim.recording import Recording
from store import backfill, health
from store.connection import Session, connect, unavailable
from store.errors import Misconfigured
from telemetry import QUANTITIES, Batch, Quality, Stream, StreamKey, is_name

# Readings of one transaction. Low: commits cost more than rows. High: a slice holds its chunk, and a kill loses more.
_SLICE = 50_000
# Ingest that is further behind than this has the database to itself until it is not.
_LAG_S = 5.0
_WAIT_S = 1.0
_REPORT_EVERY_S = 0.5


@dataclass(slots=True)
class Report:
    """What a backfill did: `readings` = `stored` + `duplicates` + `expired`, of all that was ever put in of its files.

    `expired` were left out: their time is over. `seconds` went into it, `waited_s` of them behind ingest, `rollup_s`
    into everybody's roll-ups of the span. `rolled_up` tells whether they hold every reading now; where not, the server
    makes them within half an hour.
    """

    device: str
    rows: int = 0
    readings: int = 0
    stored: int = 0
    duplicates: int = 0
    expired: int = 0
    unreadable: int = 0
    chunks: int = 0
    compressed_chunks: int = 0
    seconds: float = 0.0
    rollup_s: float = 0.0
    waited_s: float = 0.0
    rolled_up: bool = False
    finished: bool = True
    points: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backfill would do: rows and span of its files, and the chunks there that it touches."""

    rows: int
    start_us: int
    end_us: int
    chunks: int
    compressed_chunks: int


class Backfill:
    """Files of one device into one database."""

    def __init__(
        self,
        database_url: str,
        files: Sequence[Path],
        tenant: str,
        device: str,
        *,
        time_column: str | None = None,
        ignore: Collection[str] = (),
        most_per_s: float | None = None,
        stop: threading.Event | None = None,
        progress: Callable[[Report], None] = lambda _: None,
    ) -> None:
        """Raises `Misconfigured` where a name or a file is not what it must be."""
        if not is_name(tenant) or not is_name(device):
            raise Misconfigured("--tenant and --device: each 1 to 64 of A-Z a-z 0-9 _ . -")
        self._database_url = database_url
        self._recordings = [Recording.open(path, time_column, ignore=ignore) for path in files]
        self._tenant = tenant
        self._device = device
        self._most_per_s = most_per_s
        self._stop = stop or threading.Event()
        self._progress = progress
        self._report = Report(device)
        self._began_s = time.monotonic()
        self._put_in = 0
        self._told_s = 0.0

    def plan(self) -> Plan:
        """Look, and change nothing."""
        rows, spans = 0, []
        for recording in self._recordings:
            for part in recording.slices():
                rows += len(part)
                if len(part):
                    spans.append((int(part.time_us.min()), int(part.time_us.max())))
        if not spans:
            raise Misconfigured("there is no row with a time in these files")
        start_us, end_us = min(first for first, _ in spans), max(last for _, last in spans)
        with unavailable(), connect(self._database_url, "backfill") as conn:
            return Plan(rows, start_us, end_us, *backfill.touched(conn, start_us, end_us))

    def run(self) -> Report:
        """Until everything is in, or `stop` is set.

        Raises
        ------
        Unavailable
            The database went away: run it again, and it goes on.
        """
        plan = self.plan()
        report = self._report
        report.chunks, report.compressed_chunks = plan.chunks, plan.compressed_chunks
        self._began_s = time.monotonic()
        with unavailable(), connect(self._database_url, "backfill") as conn:
            conn.autocommit = True
            if self._tenant not in readings.tenants_known(conn):
                raise Misconfigured(f"--tenant: there is no tenant {self._tenant}")
            streams: dict[str, Stream] = {}
            for recording in self._recordings:
                streams |= self._file(conn, recording)
            report.points = tuple(streams)
            report.seconds = time.monotonic() - self._began_s
            if not self._stop.is_set():
                backfill.refresh(conn, plan.start_us, plan.end_us)
                ids = [stream.id for stream in streams.values()]
                there, rolled = backfill.rolled_up(conn, ids, plan.start_us, plan.end_us)
                report.rolled_up = there <= rolled
        report.finished = not self._stop.is_set()
        report.rollup_s = time.monotonic() - self._began_s - report.seconds
        return report

    def _file(self, conn: Session, recording: Recording) -> dict[str, Stream]:
        report = self._report
        file_id = _identity(recording.path, self._tenant, self._device, recording)
        with conn.transaction():
            place = backfill.begin(conn, file_id, self._tenant, self._device, recording.path.name)
            keys = [StreamKey(self._tenant, self._device, point) for point in recording.points]
            streams = {stream.point: stream for stream in readings.add_streams(conn, keys)}
        report.rows += place.rows
        report.stored += place.stored
        report.duplicates += place.duplicates
        report.expired += place.expired
        report.readings += place.stored + place.duplicates + place.expired
        if place.finished:
            return streams
        done = 0
        for part in recording.slices(max(1, _SLICE // len(recording.points))):
            report.unreadable += part.unreadable
            if done + len(part) <= place.rows:
                done += len(part)
                continue
            skip = max(place.rows - done, 0)
            done += len(part)
            self._make_way(conn)
            if self._stop.is_set():
                return streams
            batch = _batch(part.time_us[skip:], part.values[skip:], [streams[point] for point in part.points])
            with conn.transaction():
                slice_ = backfill.add(conn, file_id, self._tenant, self._device, len(part) - skip, batch)
            report.rows += len(part) - skip
            report.readings += len(batch)
            report.stored += slice_.stored
            report.duplicates += slice_.duplicates
            report.expired += slice_.expired
            self._pace(len(batch))
        with conn.transaction():
            backfill.finish(conn, file_id)
        return streams

    def _make_way(self, conn: Session) -> None:
        """Wait while ingest is behind."""
        while (health.lag_s(conn) or 0.0) > _LAG_S and not self._stop.is_set():
            self._stop.wait(_WAIT_S)
            self._report.waited_s += _WAIT_S

    def _pace(self, put_in: int) -> None:
        """Hold to the rate, and say how far we are."""
        self._put_in += put_in
        now_s = time.monotonic()
        if now_s - self._told_s > _REPORT_EVERY_S:
            self._told_s = now_s
            self._report.seconds = now_s - self._began_s
            self._progress(self._report)
        if self._most_per_s is not None:
            ahead_s = self._put_in / self._most_per_s - (now_s - self._began_s - self._report.waited_s)
            if ahead_s > 0:
                self._stop.wait(ahead_s)


def _batch(time_us: np.ndarray, values: np.ndarray, streams: Sequence[Stream]) -> Batch:
    """Rows as readings, late by nature, in the order of the rows; what is empty in a row is none."""
    rows, points = np.nonzero(np.isfinite(values))
    ids = np.array([stream.id for stream in streams], np.int32)
    quantities = [QUANTITIES.get(stream.quantity, QUANTITIES["unknown"]) for stream in streams]
    lowest = np.array([quantity.lowest for quantity in quantities])[points]
    highest = np.array([quantity.highest for quantity in quantities])[points]
    value = values[rows, points]
    batch = Batch(time_us[rows], ids[points], value, np.full(len(rows), Quality.LATE, np.uint8))
    return batch.flagged(Quality.IMPOSSIBLE, (value < lowest) | (value > highest))


def _identity(path: Path, tenant: str, device: str, recording: Recording) -> bytes:
    """The same for the same content, columns and device, wherever the file is."""
    digest = hashlib.sha256("\0".join([tenant, device, recording.time_column, *recording.points]).encode())
    for block in _blocks(path):
        digest.update(block)
    return digest.digest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(lambda: file.read(1 << 20), b"")
