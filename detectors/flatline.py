"""A stuck value: a stream that repeats one value for longer than it ever does in health.

Learns per stream how long it normally stays constant, so that a coarse sensor, a set-point or a counter at rest does
not alarm. A stream that has hardly ever changed gets no opinion: for all that is known, it is meant to be constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors import rhythm
from detectors.each_stream import OwnRhythm
from detectors.memory import Rows
from detectors.rounds import rounds
from detectors.scores import Evidence
from telemetry import Batch

# An hour without data is not an hour of the same value: a gap counts as at most so many intervals.
_GAP_INTERVALS = 4
# A stay longer than any learnt one stretches what is normal at most so far: a sensor stuck for a day and repaired must
# not be free to stick for days thereafter, and one that now really rests longer is believed after a few times.
_STRETCH = 2
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Runs:
    """Stretches of one value over a batch: how long each reading's own has lasted, and those that ended."""

    age_us: Times
    ended: npt.NDArray[np.intp]
    """The readings that brought another value."""
    lasted_us: Times
    """How long the value before them had lasted."""


class Flatline(OwnRhythm):
    """Score = time at one value / time allowed, which is `factor` times the longest normal stay.

    Parameters
    ----------
    factor : float
        Lower sees a stuck sensor sooner; too low, and a coarse sensor's longest normal stay alarms, for stays have a
        long tail: those of a sensor that repeats itself with probability p grow as log(n) / log(1/p).
    min_changes : int
        Changes of value seen before there is an opinion.
    floor_s, floor_intervals : float
        No stay shorter than this time, nor than this many of the stream's own sampling intervals, is an alarm.
    """

    def __init__(
        self, factor: float = 5.0, min_changes: int = 30, floor_s: float = 60.0, floor_intervals: float = 20.0
    ) -> None:
        self._factor = factor
        self._min_changes = min_changes
        self._floor_us = floor_s * 1e6
        self._floor_intervals = floor_intervals
        super().__init__(
            "flatline 3",
            {
                "time_us": np.int64(-1),
                "value": np.float64(np.nan),
                "age_us": np.int64(0),
                "longest_us": np.int64(0),
                "changes": np.int32(0),
            },
        )

    def _scores(self, batch: Batch, starts: Rows, counts: Rows, rows: Rows) -> npt.NDArray[np.float64]:
        memory = self._memory
        gap_us = rhythm.gaps(batch.time_us, starts, memory["time_us"][rows])
        known = self._gaps.known(batch, starts, counts, rows)
        interval_us = self._gaps.interval_us(rows)
        cap_us = np.where(known, np.repeat(interval_us, counts) * _GAP_INTERVALS, gap_us)
        runs = _runs(batch.value, np.minimum(gap_us, cap_us), starts, memory["value"][rows], memory["age_us"][rows])
        longest_us, changes = self._learn(runs, rows, starts, counts)
        allowed_us = self._allowed_us(longest_us, np.repeat(interval_us, counts))
        score = np.where((changes >= self._min_changes) & known, runs.age_us / allowed_us, np.nan)
        last = starts + counts - 1
        memory["time_us"][rows], memory["value"][rows] = batch.time_us[last], batch.value[last]
        memory["age_us"][rows] = runs.age_us[last]
        return score

    def explain(self, subject: int) -> Evidence:
        """`observed` is how long the value has stayed, in seconds; `high`, how long it may; `expected`, the longest
        normal stay."""
        memory, row, point = self._memory, self._memory.row(subject), self._streams[subject].point
        longest_us = memory["longest_us"][row]
        interval_us = self._gaps.interval_us(np.array([row]))[0]
        return Evidence(
            point=point,
            observed=float(memory["age_us"][row]) / 1e6,
            expected=float(longest_us) / 1e6,
            low=0.0,
            high=float(self._allowed_us(longest_us, interval_us)) / 1e6,
            since_us=int(memory["time_us"][row] - memory["age_us"][row]),
            contributions={point: 1.0},
            unit="s",
        )

    def _allowed_us(self, longest_us: Times, interval_us: Times) -> npt.NDArray[np.float64]:
        floor_us = np.maximum(self._floor_us, self._floor_intervals * interval_us)
        allowed_us: npt.NDArray[np.float64] = np.maximum(self._factor * longest_us, floor_us)
        return allowed_us

    def _learn(self, runs: _Runs, rows: Rows, starts: Rows, counts: Rows) -> tuple[Times, Times]:
        """Longest normal stay and number of changes as they were known at each reading, int64 (N,)."""
        longest, changes = self._memory["longest_us"], self._memory["changes"]
        ended = np.zeros(len(runs.age_us), np.int64)
        ended[runs.ended] = 1
        before = np.cumsum(ended)
        changes_each = before + np.repeat(changes[rows] - before[starts] + ended[starts], counts)
        changes[rows] = changes_each[starts + counts - 1]

        segment = np.repeat(np.arange(len(rows)), counts)
        record = runs.lasted_us > longest[rows[segment[runs.ended]]]
        at, lasted_us = runs.ended[record], runs.lasted_us[record]
        known_us = np.repeat(longest[rows], counts)
        if not len(at):
            return known_us, changes_each
        with_records, n_records = np.unique(segment[at], return_counts=True)
        for turn, item in rounds(n_records):
            row = rows[with_records[turn]]
            learning = changes_each[at[item]] <= self._min_changes
            limit_us = np.where(learning, lasted_us[item], _STRETCH * np.maximum(longest[row], 1))
            longest[row] = np.maximum(longest[row], np.minimum(lasted_us[item], limit_us))
            known_us[at[item]] = longest[row]
        newest = np.full(len(known_us), -1)
        newest[starts] = starts
        newest[at] = at
        return known_us[np.maximum.accumulate(newest)], changes_each


def _runs(
    value: npt.NDArray[np.float64],
    gap_us: Times,
    starts: Rows,
    value_before: npt.NDArray[np.float64],
    age_before_us: Times,
) -> _Runs:
    """The stretches of one value. `gap_us` is the time that each reading adds to one, negative for a stream's first."""
    index = np.arange(len(value))
    changed = np.ones(len(value), bool)
    changed[1:] = value[1:] != value[:-1]
    changed[starts] = value[starts] != value_before
    heard_us = np.cumsum(np.maximum(gap_us, 0))
    begun = np.where(changed, index, -1)
    begun[starts] = starts
    begun = np.maximum.accumulate(begun)
    carried_us = np.zeros(len(value), np.int64)
    carried_us[starts] = np.where(changed[starts], 0, age_before_us + np.maximum(gap_us[starts], 0))
    age_us = heard_us - heard_us[begun] + carried_us[begun]
    ended = np.flatnonzero(changed & (gap_us >= 0))
    lasted_us = age_us[ended - 1]
    at_start = np.isin(ended, starts)
    lasted_us[at_start] = age_before_us[np.searchsorted(starts, ended[at_start])]
    return _Runs(age_us, ended, lasted_us)
