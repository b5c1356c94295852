"""Scores that are found from what is stored, and told to a watch as any detector's: so that rules, delays, tickets and
lessons are those of all alarms.

The value of a reading given to `Told` is its stream's score, and the evidence is told beside it. It remembers nothing:
what it says comes from the database, and is found there again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from detectors.scores import Evidence, Scope, Scores, Snapshot
from telemetry import Batch, Stream


class Told:
    """A detector of streams whose scores somebody else has found."""

    scope = Scope.STREAM

    def __init__(self) -> None:
        self._points: dict[int, str] = {}
        self._evidence: dict[int, Evidence] = {}

    def watch(self, streams: Sequence[Stream]) -> None:
        self._points.update((stream.id, stream.point) for stream in streams)

    def tell(self, subject: int, evidence: Evidence) -> None:
        """The evidence of the score that comes next."""
        self._evidence[subject] = evidence

    def score(self, batch: Batch, now_us: int) -> Scores:
        return Scores(batch.time_us, batch.stream, np.asarray(batch.value, np.float64))

    def explain(self, subject: int) -> Evidence:
        """What was told last; after a restart, until something is told again, that nothing stands any more."""
        point, unknown = self._points[subject], math.nan
        nothing = Evidence(point, unknown, unknown, unknown, unknown, 0, {point: 1.0}, "nothing any more")
        return self._evidence.get(subject, nothing)

    def snapshot(self) -> Snapshot:
        return {"layout": np.array([1])}

    def restore(self, snapshot: Snapshot) -> None:
        if "layout" not in snapshot or int(snapshot["layout"][0]) != 1:
            raise ValueError("another layout")
