"""Silence: nothing heard from a machine, or from one of its points, for longer than its own rhythm.

Judged by arrival, on every batch and on the empty ones. A device that gathers an hour of readings and then sends them
is not silent in between: both the gaps between arrivals and how long readings were held back before they came are
learnt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors.memory import Memory, Rows
from detectors.rounds import lengths
from detectors.scores import Evidence, Scope, Scores, Snapshot
from telemetry import Batch, Stream

# Gaps are counted in classes half an octave wide, from one second to a year.
_CLASSES = 50
_SHORTEST_US = 1e6
# Counts are halved at this sum, so that a rhythm is forgotten after a few thousand arrivals in another one.
_FULL = 512.0

_NEVER = np.int64(-1)
_FAR = np.iinfo(np.int64).max


class Silence:
    """Score = time since last heard / time allowed, the worst of a machine's points. Its time is `now_us`.

    Allowed is `factor` times the longest gap that came at least `seen_at_least` times. What an outage leaves behind,
    one long gap, is therefore not taken for a rhythm; three of the same length are.

    Parameters
    ----------
    factor : float
        Lower sees an outage sooner; too low, and two lost messages in a row alarm.
    floor_s : float
        No gap shorter than this is an alarm.
    min_arrivals : int
        Arrivals before there is an opinion on a point.
    seen_at_least : int
        Too low, and every outage is learnt; too high, and a device that reports once a day alarms for days.
    """

    scope = Scope.MACHINE

    def __init__(
        self, factor: float = 3.0, floor_s: float = 60.0, min_arrivals: int = 8, seen_at_least: int = 3
    ) -> None:
        self._factor = factor
        self._floor_us = floor_s * 1e6
        self._min_arrivals = min_arrivals
        self._seen_at_least = seen_at_least
        self._points: dict[int, str] = {}
        self._of_machine: dict[int, list[int]] = {}
        self._memory = Memory(
            "silence 1",
            {
                "heard_us": _NEVER,
                "least_lag_us": np.int64(_FAR),
                "newest_lag_us": np.int64(_FAR),
                "arrivals": np.int64(0),
                "gaps": np.zeros(_CLASSES, np.float32),
                "allowed_us": np.float64(np.nan),
                "now_us": _NEVER,
            },
        )
        self._grouped: Rows = np.empty(0, np.intp)
        self._first_of_machine: Rows = np.empty(0, np.intp)
        self._sorted_machines: npt.NDArray[np.int32] = np.empty(0, np.int32)

    def watch(self, streams: Sequence[Stream]) -> None:
        fresh = [stream for stream in streams if stream.id not in self._memory]
        self._memory.add([stream.id for stream in fresh])
        for stream in fresh:
            self._points[stream.id] = stream.point
            self._of_machine.setdefault(stream.machine, []).append(stream.id)
        if fresh:
            self._grouped = np.empty(0, np.intp)

    def score(self, batch: Batch, now_us: int) -> Scores:
        if len(batch):
            self._hear(batch, now_us)
        return self._overdue(now_us)

    def explain(self, subject: int) -> Evidence:
        """`observed` is the time since the leading point was heard, in seconds, and `high` the time allowed.

        The points that are overdue share the score, or all of them where none is.
        """
        memory, points = self._memory, sorted(self._of_machine[subject])
        rows = np.array([memory.row(point) for point in points])
        score = np.nan_to_num(self._scores(rows, memory["now_us"][rows].max()))
        lead = int(score.argmax())
        heard_us, allowed_us = memory["heard_us"][rows[lead]], memory["allowed_us"][rows[lead]]
        share = np.where(score >= 1.0, score, 0.0) if score[lead] >= 1.0 else score
        share = share / share.sum() if share.sum() > 0 else np.full(len(share), 1.0 / len(share))
        return Evidence(
            point=self._points[points[lead]],
            observed=float(max(0, memory["now_us"][rows].max() - heard_us)) / 1e6,
            expected=float(allowed_us / self._factor) / 1e6,
            low=0.0,
            high=float(allowed_us) / 1e6,
            since_us=int(heard_us),
            contributions={self._points[point]: float(part) for point, part in zip(points, share, strict=True)},
        )

    def snapshot(self) -> Snapshot:
        return self._memory.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        self._memory.restore(snapshot)

    def _hear(self, batch: Batch, now_us: int) -> None:
        """Count the gap that ends now, and how long the readings that end it were held back."""
        memory, starts = self._memory, batch.starts()
        rows = memory.rows(batch.stream[starts])
        oldest_lag_us = now_us - batch.time_us[starts]
        newest_lag_us = now_us - batch.time_us[starts + lengths(starts, len(batch)) - 1]
        # What comes at one moment is one arrival, in however many batches: only the first part of it is counted.
        first_part = memory["heard_us"][rows] < now_us
        self._count(rows[first_part], now_us, oldest_lag_us[first_part])
        memory["newest_lag_us"][rows] = np.minimum(memory["newest_lag_us"][rows], newest_lag_us)

    def _count(self, rows: Rows, now_us: int, oldest_lag_us: npt.NDArray[np.int64]) -> None:
        memory = self._memory
        gaps, heard_us = memory["gaps"], memory["heard_us"][rows]
        least_lag_us = np.minimum(memory["least_lag_us"][rows], memory["newest_lag_us"][rows])
        before, compared = heard_us >= 0, least_lag_us < _FAR
        gaps[rows[before], _class(now_us - heard_us[before])] += 1
        gaps[rows[compared], _class(oldest_lag_us[compared] - least_lag_us[compared])] += 1
        full = gaps[rows].sum(axis=1) >= _FULL
        gaps[rows[full]] /= 2
        # A clock that was put right must not look held back for ever.
        memory["least_lag_us"][rows] = np.where(full, _FAR, least_lag_us)
        memory["newest_lag_us"][rows] = _FAR
        memory["arrivals"][rows] += 1
        memory["heard_us"][rows] = now_us
        known = gaps[rows] >= self._seen_at_least
        longest = np.where(known.any(axis=1), _CLASSES - known[:, ::-1].argmax(axis=1), 0)
        memory["allowed_us"][rows] = np.maximum(self._floor_us, self._factor * _SHORTEST_US * 2.0 ** (longest / 2))

    def _overdue(self, now_us: int) -> Scores:
        if len(self._grouped) < len(self._memory):
            self._group()
        memory, rows = self._memory, self._grouped
        memory["now_us"][rows] = np.maximum(memory["now_us"][rows], now_us)
        if not len(rows):
            return Scores(np.empty(0, np.int64), self._sorted_machines, np.empty(0))
        score = np.fmax.reduceat(self._scores(rows, now_us), self._first_of_machine)
        return Scores(np.full(len(score), now_us), self._sorted_machines, score)

    def _scores(self, rows: Rows, now_us: int) -> npt.NDArray[np.float64]:
        memory = self._memory
        gap_us = np.maximum(0, now_us - memory["heard_us"][rows])
        opinion = memory["arrivals"][rows] >= self._min_arrivals
        return np.where(opinion, gap_us / memory["allowed_us"][rows], np.nan)

    def _group(self) -> None:
        machines = sorted(self._of_machine)
        members = [self._of_machine[machine] for machine in machines]
        self._grouped = np.array([self._memory.row(stream) for streams in members for stream in streams], np.intp)
        self._first_of_machine = np.cumsum([0, *(len(streams) for streams in members[:-1])])
        self._sorted_machines = np.array(machines, np.int32)


def _class(gap_us: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Which class of gaps: 0 below a second, then two to each doubling."""
    octaves = np.log2(np.maximum(gap_us, 1) / _SHORTEST_US)
    classes: npt.NDArray[np.intp] = np.clip(np.ceil(2 * octaves), 0, _CLASSES - 1).astype(np.intp)
    return classes
