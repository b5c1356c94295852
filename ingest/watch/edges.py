"""What a watch finds, on its way to the database.

Nothing is scored twice: the memory of the detectors is saved in the transaction of the alarms that follow from it, and
after a crash the readings stored since are scored before anything new.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

import store.telemetry as rows
from alarms.watch import UNSCORED
from ingest.database import Transact
from ingest.watch.models import Models
from ingest.watch.scoring import Scoring
from store import occurrences, source
from store import origins as alarm_origins
from store.connection import Session
from telemetry import Batch, Stream

log = logging.getLogger("bellwether.ingest")

# How much is scored again after a crash, at most; each save costs one row a detector.
SAVE_EVERY_S = 10.0


class Edges:
    """Has batches scored, and writes the edges found with the memory that they came from."""

    def __init__(self, transact: Transact, scoring: Scoring, models: Models, counts: Counter[str]) -> None:
        self._transact = transact
        self._scoring = scoring
        self._models = models
        self._counts = counts
        self._saved_at = 0.0
        source.running()  # read now: it is what runs

    def score(self, batch: Batch, now_us: int, *, at_once: bool = True) -> None:
        """Have a batch scored: now, or while the next one is being stored."""
        self._scoring.take(batch, now_us)
        if at_once:
            self._scoring.catch_up()
        self.apply()

    def score_missed(self, streams: Sequence[Stream], clock_us: Callable[[], int]) -> None:
        """Score what was stored and not scored before we died; of a stream without a memory, everything."""
        last_us = {stream.id: 0 for stream in streams}
        last_us.update(self._scoring.watch.last_scored())
        while True:
            batch = self._transact(lambda conn: rows.readings_after(conn, last_us, int(UNSCORED)))
            if not len(batch):
                return
            log.info("scoring what was stored before the last stop", extra={"readings": len(batch)})
            self.score(batch, clock_us())
            # By what was read, not by what was scored: detectors that fail on it must not be given it for ever.
            ends = np.append(batch.starts()[1:], len(batch)) - 1
            last_us.update(zip(batch.stream[ends].tolist(), batch.time_us[ends].tolist(), strict=True))

    def apply(self) -> None:
        """The edges found, and the memory they came from, in one transaction; memory alone when it is due."""
        events = self._scoring.events()
        if not events and time.monotonic() - self._saved_at < SAVE_EVERY_S:
            return

        def write(conn: Session) -> int:
            # What they began from, until it is written over.
            origins = alarm_origins.origins(conn, events, self._scoring.memory)
            for part in self._scoring.memory.snapshots():
                occurrences.save_state(conn, part)
            self._models.note(conn)
            return occurrences.apply(conn, events, origins)

        self._counts["events"] += self._transact(write)
        self._scoring.memory.mark()
        self._models.noted()
        self._saved_at = time.monotonic()

    def save(self) -> None:
        """The same, with the memory whether or not it is due."""
        self._saved_at = 0.0
        self.apply()
