"""What is stored, on its way to the detectors: at once, or while the database is busy with what comes next.

Detectors take a third as long as the database, and both at a time take two cores. So where more has arrived already, a
batch waits until the next one is being copied. There is never more than one, nothing but the copying goes on beside it,
and whoever asks for the watch finds it scored.
"""

from __future__ import annotations

import logging
import time
from collections import Counter

import numpy as np
import numpy.typing as npt

from alarms.events import AlarmEvent
from alarms.watch import UNSCORED, Watch
from ingest.metrics import Metrics
from telemetry import Batch

log = logging.getLogger("bellwether.ingest")

_NEVER_US = np.iinfo(np.int64).min


class Scoring:
    """The watch of an ingest, and the batch that it has not seen yet.

    Attributes
    ----------
    memory
        The watch as it was when the events given last were found: with them goes its snapshot.
    """

    def __init__(self, metrics: Metrics, counts: Counter[str]) -> None:
        self.memory = Watch({}, {})
        self._metrics = metrics
        self._counts = counts
        self._waiting: tuple[Batch, int] | None = None
        self._events: list[AlarmEvent] = []

    @property
    def watch(self) -> Watch:
        """The watch, once it has seen everything."""
        self.catch_up()
        return self.memory

    @watch.setter
    def watch(self, watch: Watch) -> None:
        self.catch_up()
        self.memory = watch

    @property
    def waits(self) -> bool:
        """Whether there is anything that it has not seen."""
        return self._waiting is not None

    def take(self, batch: Batch, now_us: int) -> None:
        """A batch to be scored, after the one before it: it is stored."""
        self.catch_up()
        self._waiting = batch, now_us

    def catch_up(self) -> None:
        """Score what waits. A detector that fails must not stop what stores: it is said, and readings go on."""
        if self._waiting is None:
            return
        (batch, now_us), self._waiting = self._waiting, None
        begun = time.monotonic()
        failed = False
        try:
            self._events += self.memory.step(batch, now_us)
        except Exception:
            failed = True
            self._counts["failed_steps"] += 1
            log.exception("detectors failed on a batch; its readings are stored but were not scored")
        self._metrics.step(time.monotonic() - begun, len(batch), failed=failed)

    def events(self) -> list[AlarmEvent]:
        """The edges found since they were asked for last, in order."""
        found, self._events = self._events, []
        return found

    def late(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """Which readings come too late to be scored: those that wait will have been by then. Shape (N,)."""
        late = self.memory.late(batch)
        if self._waiting is None:
            return late
        waiting = self._waiting[0].where((self._waiting[0].quality & UNSCORED) == 0)
        newest_us = np.full(1 + max(waiting.stream.max(initial=-1), batch.stream.max(initial=-1)), _NEVER_US)
        newest_us[waiting.stream] = waiting.time_us  # of each stream the last stays: they are in order
        return late | (batch.time_us <= newest_us[batch.stream])
