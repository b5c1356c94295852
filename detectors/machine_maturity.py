"""A normal that grows up: learnt from a few minutes, and again each time the machine's healthy past is twice as long.

Of the past so many smoothed rows are kept, evenly over the whole of it. A few minutes show a machine's quick ways and
little of its slow ones (a temperature, the load of the day). So each direction in which the channels move together is
allowed as far as a Student's t of the independent readings seen of it says, and a channel by itself likewise: what was
quick is judged sharply at once, what is slow hardly before hours or days have shown it.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.special import chdtri, stdtrit

from detectors.machine_normal import FEWEST_ROWS, SHRINKAGE
from detectors.memory import Memory

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Lags at which rows are compared: from half to the whole of so much of the past. Several, for at one alone a machine
# that cycles looks as if it had not moved. Longer, and few pairs are left; shorter, and noise hides what is slow.
_LAG_SHARE, _LAGS = 8, 8
# and at least so many memories of the smoothing.
_LAG_SMOOTHINGS = 4.0
# Below this correlation over a lag, or so many standard errors of one, the rows are independent.
_UNLIKE, _UNLIKE_ERRORS = 0.1, 1.5
# Of the independent readings counted so many are relied on: what is slow turns out slower than it looked.
_RELIED_ON = 0.4
# The t of this share stands for the tail; a direction of which one reading was seen is not judged at all.
_SHARE = 0.0005
_WIDEST = 200.0
# A slow channel need not move as it was seen to, with the others, but by so much of its own allowance for itself.
_ALONE = 0.1
# A channel of which fewer independent readings were seen has not shown its range (a temperature in its first hours: the
# day is yet to come): its level is followed.
_FEWEST_INDEPENDENT = 40.0
# No direction's variance grows by more when the past doubles: what was quick and seems slow all at once is a fault that
# is growing. Lower, and a machine's own slow ways alarm; higher, and faults that grow in hours are learnt away.
_GROWTH = 3.0
# Healthy machines go farther than normal distributions do.
_BEYOND = 1.25
# The past reaches back so far. Then its older half makes room.
_PAST_US = 8 * 86_400_000_000


class Matured(NamedTuple):
    """What is to be expected of the next rows: around `base` (C,) by `covariance` (C, C), within `reach`.

    `slow` (C,) are channels that have not shown their range yet.
    """

    base: Floats
    covariance: Floats
    reach: float
    slow: Mask


def columns(points: int, rows: int) -> dict[str, npt.ArrayLike]:
    """The columns that a past of so many rows needs in the memory of machines with so many points."""
    return {
        "past": np.zeros((rows, points), np.float32),
        "past_rows": np.int64(0),
        "spacing": np.int64(1),
        "passed": np.int64(0),
    }


def packed(memory: Memory) -> dict[str, npt.NDArray[Any]]:
    """A memory's snapshot in which `past` holds the rows that there are, one machine's after the other's: (R, C)."""
    past = memory["past"][: len(memory)]
    there = np.arange(past.shape[1]) < memory["past_rows"][: len(memory), None]
    return {**memory.snapshot(without=["past"]), "past": past[there]}


def unpack(memory: Memory, kept: Mapping[str, npt.NDArray[Any]]) -> None:
    """Restore a memory from what `packed` made of it.

    Raises
    ------
    ValueError
        If it is of another layout, or the rows are not as many as it says.
    """
    rows, count = memory["past"].shape[1], kept["past_rows"]
    there = np.arange(rows) < count[:, None]
    if kept["past"].shape != (count.sum(), memory["past"].shape[2]) or there.sum() != count.sum():
        raise ValueError("a memory whose past is not as long as it says")
    past = np.zeros((len(count), *memory["past"].shape[1:]), memory["past"].dtype)
    past[there] = kept["past"]
    memory.restore({**kept, "past": past})


def begin(memory: Memory, row: int, rows: Floats) -> None:
    """Put these in the place of a machine's past: the smoothed rows that its first normal is learnt from."""
    memory["past"][row, : len(rows)] = rows
    memory["past_rows"][row], memory["spacing"][row], memory["passed"][row] = len(rows), 1, 0


def thin(memory: Memory, row: int) -> None:
    """Make room in a past: every second row stays, or, where it reaches back far enough, the newer half."""
    count, spacing = int(memory["past_rows"][row]), int(memory["spacing"][row])
    past = memory["past"][row, :count]
    if count * spacing * int(memory["width_us"][row]) < _PAST_US:
        kept, memory["spacing"][row] = past[::2].copy(), 2 * spacing
    else:
        kept = past[count // 2 :].copy()
    memory["past"][row, : len(kept)] = kept
    memory["past_rows"][row], memory["passed"][row] = len(kept), 0


def mature(
    rows: Floats, has_say: Mask, smooth_rows: float, spacing: int, share: float, before: Floats
) -> Matured | None:
    """What the rows of a healthy past lead to expect; None where they are too few or fewer than two channels moved.

    Parameters
    ----------
    rows : float64 (N, C)
        Smoothed rows in order, `spacing` rows of the machine's grid apart.
    has_say : bool (C,)
        Channels to judge by.
    smooth_rows : float
        Memory of the smoothing, in rows of the grid.
    share : float
        Part of healthy rows that may be beyond the reach.
    before : float64 (C, C)
        The covariance expected till now; 0 for a channel of which nothing was.

    Notes
    -----
    Cost: 0.5 ms at 380 rows of 8 channels.
    """
    spread = rows.std(axis=0)
    judged = np.flatnonzero(has_say & (spread > 0))
    if len(rows) < FEWEST_ROWS or len(judged) < 2:
        return None
    own, block = spread[judged], np.ix_(judged, judged)
    expected, independent = _expected((rows[:, judged] - rows[:, judged].mean(axis=0)) / own, smooth_rows / spacing)
    expected = _held_back(expected * np.outer(own, own), before[block])
    slow = np.zeros(rows.shape[1], bool)
    slow[judged] = independent < _FEWEST_INDEPENDENT
    covariance = np.zeros((rows.shape[1], rows.shape[1]))
    covariance[block] = expected
    reach = _BEYOND * float(np.sqrt(chdtri(len(judged), share)))
    return Matured(rows.mean(axis=0), covariance, reach, slow)


def inverse_of(covariance: Floats) -> tuple[Floats, Floats]:
    """Inverse of the correlations and the channels' spread, of one machine; 0 for a channel without a say."""
    spread = np.sqrt(np.diagonal(covariance))
    scale = np.where(spread > 0, spread, 1.0)
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(np.linalg.inv(correlation), np.float64), spread


def _expected(scaled: Floats, smooth: float) -> tuple[Floats, Floats]:
    """Covariance (C, C) to expect of rows to come, in units of the spread of these; their worth by channel (C,)."""
    n = len(scaled)
    correlation = scaled.T @ scaled / n * (1.0 - SHRINKAGE)
    np.fill_diagonal(correlation, 1.0)
    longest = min(max(_LAG_SMOOTHINGS * smooth, n / _LAG_SHARE), n / 2)
    lags = np.unique(np.linspace(max(longest / 2, 1.0), longest, _LAGS).astype(np.intp))
    change = np.zeros_like(correlation)
    for lag in lags.tolist():
        moved = scaled[lag:] - scaled[:-lag]
        change += moved.T @ moved / (len(moved) * len(lags))
    own_change = np.diagonal(change).copy()
    change *= 1.0 - SHRINKAGE
    np.fill_diagonal(change, own_change)
    slowness, direction = eigh(change, correlation)
    lag, memory = float(lags.mean()), max(smooth, 0.5)
    wider = _widening(_independent(n, slowness, lag, memory))
    pattern = correlation @ direction
    independent = _independent(n, own_change, lag, memory)
    alone = _ALONE**2 * (_widening(independent) ** 2 - 1.0)
    expected: Floats = (pattern * wider**2) @ pattern.T + np.diag(alone)
    return expected, independent


def _independent(n: int, change: Floats, lag: float, memory: float) -> Floats:
    """How many independent readings n rows are worth, by the variance of their changes over a lag (2: all is new).

    `memory` is the least number of rows that tell as much as one.
    """
    alike = np.clip(1.0 - change / 2.0, 1e-6, 1.0 - 1e-6)
    unlike = alike < max(_UNLIKE, _UNLIKE_ERRORS / np.sqrt(n / (2.0 * memory)))
    rows = np.where(unlike, memory, np.maximum(-lag / np.log(alike), memory))
    independent: Floats = n / (2.0 * rows)
    return independent


def _widening(independent: Floats) -> Floats:
    """How much farther than so many readings went the next ones may go."""
    freedom = np.maximum(_RELIED_ON * independent - 1.0, 1.0)
    t = stdtrit(freedom, 1.0 - _SHARE) / NormalDist().inv_cdf(1.0 - _SHARE)
    wider: Floats = np.minimum(t * np.sqrt(1.0 + 1.0 / (freedom + 1.0)), _WIDEST)
    return wider


def _held_back(covariance: Floats, before: Floats) -> Floats:
    """A covariance that in no direction is more than so much larger than the one before."""
    unknown = np.diagonal(before) <= 0
    if unknown.all():
        return covariance
    before = before + np.diag(np.where(unknown, np.diagonal(covariance), 0.0))
    growth, direction = eigh(covariance, before)
    pattern = before @ direction
    held: Floats = (pattern * np.minimum(growth, _GROWTH)) @ pattern.T
    return held
