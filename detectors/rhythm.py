"""How often a stream reports: the median of its first gaps, fixed from then on.

Fixed, so that windows laid out on it never shift under the numbers gathered in them. A median of 15 shrugs off seven
odd gaps: a buffer sent on connecting, a reboot. Once it is known its gaps are forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.memory import Memory, Rows, part, restore_part
from detectors.rounds import Index
from detectors.scores import Snapshot
from telemetry import Batch

GAPS = 15
# Single precision: to the microsecond up to 16 s, to a ten-millionth beyond.
NO_GAPS = np.full(GAPS, -1, np.float32)
UNKNOWN_US = -1
COLUMNS: Mapping[str, npt.ArrayLike] = {"interval_us": np.float32(UNKNOWN_US)}
"""What the memory of a detector that asks `FirstGaps` must have among its columns. Never 0."""
# Before the names of first gaps, in a snapshot.
_FIRST = "first"


class FirstGaps:
    """The gaps of streams whose interval is not known yet; whose memory is the detector's, with `COLUMNS`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._gaps = Memory("first gaps 1", {"time_us": np.int64(-1), "gaps_us": NO_GAPS, "gaps_seen": np.int8(0)})

    def known(self, batch: Batch, starts: Index, counts: Index, rows: Rows) -> npt.NDArray[np.bool_]:
        """At which readings the interval of their stream was known, bool (N,): with them or before. Learns it."""
        known = np.ones(len(batch), bool)
        young = self._memory["interval_us"][rows] < 0
        if not young.any():
            return known
        subjects, counts, item = batch.stream[starts[young]], counts[young], np.repeat(young, counts)
        time_us, starts = batch.time_us[item], np.cumsum(counts) - counts
        self._gaps.add(subjects.tolist())
        own = self._gaps.rows(subjects)
        gap_us = gaps(time_us, starts, self._gaps["time_us"][own])
        known[item] = remember(self._gaps["gaps_us"], self._gaps["gaps_seen"], own, gap_us, starts, counts)
        self._gaps["time_us"][own] = time_us[starts + counts - 1]
        found_us = interval_us(self._gaps["gaps_us"][own])
        self._memory["interval_us"][rows[young]] = found_us
        self._gaps.drop(subjects[found_us > 0])
        return known

    def interval_us(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Of streams by their rows in the detector's memory, as far as it is known; -1 for others."""
        return self._memory["interval_us"][rows].astype(np.int64)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        return part(_FIRST, self._gaps)

    def restore(self, snapshot: Snapshot) -> None:
        """Take over what the detector's memory, which was restored, does not say yet."""
        restore_part(_FIRST, self._gaps, self._memory, snapshot)
        young = self._memory["interval_us"][self._memory.rows(self._gaps.subjects)] < 0
        self._gaps.drop(self._gaps.subjects[~young])


def gaps(time_us: npt.NDArray[np.int64], starts: Index, before_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Time since the reading before in the same stream, int64 (N,); -1 for a stream's very first.

    `before_us` (S,) is the time of the reading before each segment, -1 where there is none.
    """
    gap = np.empty(len(time_us), np.int64)
    gap[1:] = time_us[1:] - time_us[:-1]
    gap[starts] = np.where(before_us >= 0, time_us[starts] - before_us, -1)
    return gap


def remember(
    first_gaps: npt.NDArray[np.float32],
    seen: npt.NDArray[np.integer],
    rows: Index,
    gap_us: npt.NDArray[np.int64],
    starts: Index,
    counts: Index,
) -> npt.NDArray[np.bool_]:
    """Write gaps into what is remembered, (capacity, GAPS) and (capacity,), and say at which readings it was full.

    Returns bool (N,): all `GAPS` gaps of the reading's stream came before it or with it.
    """
    full = seen[rows] >= GAPS
    if full.all():
        return np.ones(len(gap_us), bool)
    fresh = gap_us[starts] < 0
    nth = np.arange(len(gap_us)) - np.repeat(starts - seen[rows] + fresh, counts)
    open_slot = (nth >= 0) & (nth < GAPS)
    first_gaps[np.repeat(rows, counts)[open_slot], nth[open_slot]] = gap_us[open_slot]
    seen[rows] = np.minimum(seen[rows] + counts - fresh, GAPS)
    known: npt.NDArray[np.bool_] = nth >= GAPS - 1
    return known


def interval_us(first_gaps: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The interval of streams whose gaps (S, GAPS) are all known; -1 for the others. Never 0."""
    middle = np.sort(first_gaps, axis=-1)[..., GAPS // 2].astype(np.int64)
    return np.where(first_gaps[..., -1] >= 0, np.maximum(middle, 1), UNKNOWN_US)
