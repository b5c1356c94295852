"""How often a stream reports: the median of its first gaps, fixed from then on.

Fixed, so that windows laid out on it never shift under the numbers gathered in them. A median of 15 shrugs off seven
odd gaps: a buffer sent on connecting, a reboot.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.rounds import Index

GAPS = 15
# Single precision: to the microsecond up to 16 s, to a ten-millionth beyond.
NO_GAPS = np.full(GAPS, -1, np.float32)
UNKNOWN_US = -1


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
