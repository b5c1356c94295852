"""Care by the clock: what is over is removed, the chunks to come are as wide as the rate asks for, hours that have
ended are counted for the grades of streams, and what parts will be needed is planned once a day.

On a thread and a connection of its own: removing a year of readings takes hours, and no ticket waits for it. Each step
is short, and is followed by a rest as long as itself, so that at most half of the database's time goes into it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from notify.worker import Worker
from store import attachments, origins, quality, retention
from store.connection import Session
from store.parts import plans

log = logging.getLogger("bellwether.notify.storage")

ROUND_EVERY_S = 3600.0
# Readings that came after their time was over are looked for again so often.
AFRESH_EVERY_S = 7 * 86_400.0
# Hours of health and prognoses that are over: a day's of each machine at a time.
ASSESSMENTS_EVERY_S = 86_400.0
# A step is made larger or smaller to take about as long. Too low: a step's own cost counts. Too high: what it writes
# comes in bursts that everybody else waits behind.
STEP_S = 2.0
_FIRST_STREAMS, _MOST_STREAMS = 20, 5000
_BLOCKS = 200  # of some 10 to 100 KiB each
_FILES = 20  # of some MiB each
_PAPERS = 100  # of some 10 KiB each
_TRIALS = 500  # of some 10 KiB each
_ROWS = 10_000  # of some 50 bytes each
# Readings of an hour may be on their way for so long after it.
_SETTLED = timedelta(minutes=5)
_MACHINES_AT_ONCE = 200
_ASSESSED_AT_ONCE = 20  # with years of hours each, where nothing was ever removed


class StorageCare(Worker):
    """One caretaker of one database."""

    name = "storage"

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self._streams_at_once = _FIRST_STREAMS
        self._looked_afresh_at = time.monotonic()
        self._assessments_at: float | None = None

    def turn(self, conn: Session) -> float:
        self.round(conn)
        return ROUND_EVERY_S

    def round(self, conn: Session) -> None:
        """Everything that is due now. The connection is in autocommit: each step is a transaction."""
        self._fit_chunks(conn)
        self.count(conn, datetime.now(UTC))
        plans.plan_due(conn, datetime.now(UTC))
        if time.monotonic() - self._looked_afresh_at > AFRESH_EVERY_S:
            self._looked_afresh_at = time.monotonic()
            retention.expire_afresh(conn)
        removed = chunks = 0
        while not self._stopping.is_set():
            began_s = time.monotonic()
            step = retention.expire_some(conn, self._streams_at_once)
            if step is None:
                break
            removed += step.readings
            chunks += step.dropped
            took_s = time.monotonic() - began_s
            if step.streams == self._streams_at_once:
                factor = 2.0 if took_s < STEP_S / 2 else 0.5 if took_s > STEP_S * 2 else 1.0
                self._streams_at_once = min(max(int(self._streams_at_once * factor), 1), _MOST_STREAMS)
            self._stopping.wait(took_s)
        went = {
            "readings": removed,
            "chunks": chunks,
            "blocks": self._all_of(lambda: retention.expire_waveforms(conn, _BLOCKS)),
            "contested": self._all_of(lambda: retention.expire_contested(conn, _ROWS)),
            "clock_pieces": self._all_of(lambda: retention.expire_clock_pieces(conn, _ROWS)),
            "acts": self._all_of(lambda: retention.cut_audit(conn, _ROWS)),
            "copies": self._all_of(lambda: origins.forget(conn, _BLOCKS)),
            "assessments": self._expire_assessments(conn),
            "files": self._all_of(lambda: attachments.expire(conn, _FILES)),
            "papers": self._all_of(lambda: retention.expire_papers(conn, _PAPERS)),
            "trials": self._all_of(lambda: retention.expire_trials(conn, _TRIALS)),
        }
        if any(went.values()):
            log.info("removed: its time was over", extra=went)

    def _all_of(self, step: Callable[[], int]) -> int:
        """Step by step until nothing is left to do; how many rows went."""
        removed = 0
        while not self._stopping.is_set():
            began_s = time.monotonic()
            gone = step()
            if not gone:
                break
            removed += gone
            self._stopping.wait(time.monotonic() - began_s)
        return removed

    def count(self, conn: Session, now: datetime) -> int:
        """Count the hours that are over, machine by machine; returns of how many."""
        end = (now - _SETTLED).replace(minute=0, second=0, microsecond=0)
        counted = after = 0
        while machines := quality.due(conn, after, end, _MACHINES_AT_ONCE):
            for machine in machines:
                if self._stopping.is_set():
                    return counted
                began_s = time.monotonic()
                quality.count(conn, machine, end)
                self._stopping.wait(time.monotonic() - began_s)
                counted += 1
            after = machines[-1].machine
        return counted

    def _expire_assessments(self, conn: Session) -> int:
        """Where it is time to, machine by machine; how many rows went."""
        now_s = time.monotonic()
        if self._assessments_at is not None and now_s - self._assessments_at < ASSESSMENTS_EVERY_S:
            return 0
        self._assessments_at = now_s
        removed = after = 0
        while not self._stopping.is_set() and (machines := retention.machines(conn, after, _ASSESSED_AT_ONCE)):
            began_s = time.monotonic()
            removed += retention.expire_assessments(conn, machines)
            after = machines[-1]
            self._stopping.wait(time.monotonic() - began_s)
        return removed

    def _fit_chunks(self, conn: Session) -> None:
        now = retention.measured(conn)
        hours = retention.chunk_hours(now)
        if hours != now.chunk_hours:
            retention.widen_chunks(conn, hours)
            log.info("chunks to come are of another width", extra={"hours": hours, "before": now.chunk_hours})
