"""What is normal for a machine, learnt at once from the rows of its healthy start.

Nothing is set by hand that the rows themselves can tell: how long to smooth, how fast a baseline has to follow, which
channels are too slow to have shown their range, and where the limit is. All of it comes from these rows alone; the
limit, from blocks of them that the model has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from detectors.smoothing import forgetting

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Fewer rows tell nothing; the first of them are averages over too few readings.
FEWEST_ROWS = 20
_SKIPPED_ROWS = 20
# Rows averaged over: the fewest with which a lasting step of one standard deviation, in the middle one of the channels,
# comes within reach of the limit. Where channels are tied to each other three rows do; where they are mostly noise,
# more. More than twelve, and what passes in a quarter of a minute at one row a second is not seen.
_SMOOTHINGS = (3, 6, 12)
_WITHIN_REACH = 0.9
# What the baseline remembers. A machine that was steady keeps the normal it has shown. Where the second half of the
# rows was not what the first led to expect, less so by this much (mean logarithm of the likelihood, by channel) than
# with the short memory, drift in health is followed.
_STEADY_ROWS = 4000.0
_FOLLOWING_ROWS = 150.0
_STEADINESS = 0.1
# A channel that changes so slowly that its rows are worth fewer than so many readings (a temperature by the second) has
# not shown its range: only how fast it moves is judged, against a baseline with this memory.
_FEWEST_INDEPENDENT = 10.0
_SLOW_ROWS = 15.0
# Correlations are drawn towards none by so much: no direction is known better than one in twenty, for in another year
# a sensor is replaced, or its readings come rounded.
SHRINKAGE = 0.05
# The limit rests on distances of blocks under the model of the other blocks. More blocks, and neighbouring rows tell
# on each other; fewer, and each model lacks too much of the machine.
_BLOCKS = 12
_FEWEST_BLOCK_ROWS = 5
# The upper part of the distances tells the limit, not rows in which the machine stood close to its mean, nor one block
# in which it did what it never did again.
_UPPER = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """A machine's normal; values in the unit of the rows it was learnt from.

    Attributes
    ----------
    smooth_rows : float
        Memory of the smoothed row.
    base_rows : float64 (C,)
        Memory of each channel's baseline.
    steady : bool
        Whether the machine kept to one normal while it was learnt.
    slow : bool (C,)
        Channels whose range was not seen.
    fast, base : float64 (C,)
        The smoothed row and the baseline after the last row.
    covariance : float64 (C, C)
        Of the smoothed rows less the baseline; 0 for a channel without a say.
    reach : float
        The limit of the distance, at which a share of healthy rows is expected.
    """

    smooth_rows: float
    base_rows: Floats
    steady: bool
    slow: Mask
    fast: Floats
    base: Floats
    covariance: Floats
    reach: float


def learn(rows: Floats, has_say: Mask, share: float) -> Normal | None:
    """The normal of a machine; None where the rows are too few or fewer than two channels moved.

    Parameters
    ----------
    rows : float64 (N, C)
        Rows in health, in order and without gaps.
    has_say : bool (C,)
        Channels to judge by.
    share : float
        Part of healthy rows that may be beyond the limit.

    Notes
    -----
    Cost: some passes over the rows and 20 inversions of a C by C matrix; 5 ms at 380 rows of 8 channels.
    """
    spread = rows.std(axis=0)
    judged = has_say & (spread > 0)
    smooth = smoothing(rows, has_say)
    if smooth is None:
        return None
    spread = np.where(judged, spread, 1.0)
    scaled = rows / spread
    steady = _is_steady(smoothed(scaled[:, judged], smooth))
    slow = judged & (_independent(scaled) < _FEWEST_INDEPENDENT)
    base_rows = np.where(slow, _SLOW_ROWS, _STEADY_ROWS if steady else _FOLLOWING_ROWS)
    fast = smoothed(scaled, smooth)
    base, away = _departures(fast, base_rows)
    away = np.where(judged, away, 0.0)[_skipped(len(rows)) :]
    judged &= away.std(axis=0) > 0
    if judged.sum() < 2:
        return None
    return Normal(
        smooth_rows=float(smooth),
        base_rows=base_rows,
        steady=steady,
        slow=slow,
        fast=fast[-1] * spread,
        base=base * spread,
        covariance=away.T @ away / len(away) * spread[:, None] * spread,
        reach=_reach(unseen_distances(away[:, judged]), smooth, share),
    )


def smoothing(rows: Floats, has_say: Mask) -> int | None:
    """How many rows (N, C) to average over; None where they are too few or fewer than two channels moved."""
    spread = rows.std(axis=0)
    judged = has_say & (spread > 0)
    if len(rows) < FEWEST_ROWS or judged.sum() < 2:
        return None
    return _smoothing(rows[:, judged] / spread[judged])


def smoothed(rows: Floats, memory: float) -> Floats:
    """The mean of the rows so far, and from `memory` rows on one that forgets at that pace."""
    first = min(len(rows), int(memory))
    means = np.cumsum(rows[:first], axis=0) / np.arange(1, first + 1)[:, None]
    if first == len(rows):
        return means
    return np.concatenate((means, forgetting(rows[first:], means[-1], 1.0 / memory)))


def correlation_of(covariance: Floats) -> tuple[Floats, Floats]:
    """Inverse of the correlations, drawn towards none, and the channels' spread. Any leading axes."""
    spread = np.sqrt(np.asarray(np.diagonal(covariance, axis1=-2, axis2=-1), np.float64))
    scale = np.where(spread > 0, spread, 1.0)
    correlation = covariance / scale[..., :, None] / scale[..., None, :] * (1.0 - SHRINKAGE)
    each = np.arange(covariance.shape[-1])
    correlation[..., each, each] = 1.0
    inverse = np.asarray(np.linalg.inv(correlation), np.float64)
    return inverse, spread


def unseen_distances(away: Floats) -> Floats:
    """Distance of each row (N, C) by the covariance of the blocks that it is not in."""
    blocks = int(np.clip(len(away) // _FEWEST_BLOCK_ROWS, 2, _BLOCKS))
    parts = np.array_split(away, blocks)
    products = np.stack([part.T @ part for part in parts])
    whole = products.sum(axis=0)
    return np.concatenate(
        [
            _distances(part, (whole - product) / (len(away) - len(part)))
            for part, product in zip(parts, products, strict=True)
        ]
    )


def _distances(away: Floats, covariance: Floats) -> Floats:
    inverse, spread = correlation_of(covariance)
    z = np.clip(away / np.where(spread > 0, spread, np.inf), -1e6, 1e6)
    squared: Floats = np.einsum("ni,ij,nj->n", z, inverse, z)
    return np.sqrt(np.maximum(squared, 0.0))


def _reach(distance: Floats, smooth: int, share: float) -> float:
    """Prediction bound of the logarithm of the distance, for the machine as it is in another block.

    So many rows as are averaged over tell as much as one; and however many there are, they tell of no more cases than
    blocks: the next year differs from this one by more than chance.
    """
    log = np.log(np.maximum(distance, 1e-9))
    middle, upper = np.quantile(log, [0.5, _UPPER])
    n = float(np.clip(len(log) / (2.0 * smooth), 4.0, _BLOCKS))
    t = t_quantile(NormalDist().inv_cdf(1.0 - share), n - 1.0)
    return float(np.exp(middle + t * (upper - middle) / NormalDist().inv_cdf(_UPPER) * np.sqrt(1.0 + 1.0 / n)))


def _skipped(rows: int) -> int:
    return min(_SKIPPED_ROWS, rows // 4)


def _departures(fast: Floats, base_rows: Floats) -> tuple[Floats, Floats]:
    """The baseline after the last row (C,), and how far each row was from the baseline before it (N, C)."""
    base = np.empty_like(fast)
    for memory in np.unique(base_rows):
        base[:, base_rows == memory] = smoothed(fast[:, base_rows == memory], memory)
    away = np.zeros_like(fast)
    away[1:] = fast[1:] - base[:-1]
    return base[-1], away


def _smoothing(scaled: Floats) -> int:
    for smooth in _SMOOTHINGS:
        fast = smoothed(scaled, smooth)
        _, away = _departures(fast, np.full(scaled.shape[1], _STEADY_ROWS))
        away = away[_skipped(len(away)) :]
        inverse, spread = correlation_of(away.T @ away / len(away))
        usual = np.quantile(_distances(away, away.T @ away / len(away)), 0.99)
        of_one = np.sqrt(np.diagonal(inverse)) / np.where(spread > 0, spread, np.inf)
        if np.median(of_one) >= _WITHIN_REACH * usual:
            return smooth
    return _SMOOTHINGS[-1]


def _is_steady(fast: Floats) -> bool:
    """Whether the second half is as likely, by the first, from a normal that stays as from one that follows."""
    followed, stayed = (
        _likelihood(_departures(fast, np.full(fast.shape[1], memory))[1]) for memory in (_FOLLOWING_ROWS, _STEADY_ROWS)
    )
    return stayed > followed - _STEADINESS


def _likelihood(away: Floats) -> float:
    """Mean logarithm, by row and channel, of the second half's likelihood under the covariance of the first."""
    half = len(away) // 2
    first, second = away[_skipped(len(away)) : half], away[half:]
    moved = first.std(axis=0) > 1e-9
    first, second = first[:, moved], second[:, moved]
    if not moved.any():
        return 0.0
    inverse, spread = correlation_of(first.T @ first / len(first))
    distance = _distances(second, first.T @ first / len(first))
    volume = -np.linalg.slogdet(inverse)[1] + 2.0 * np.log(spread).sum()
    return float(-0.5 * (np.mean(distance**2) + volume) / moved.sum())


def _independent(scaled: Floats) -> Floats:
    """How many independent readings each channel's rows are worth, from how little of it changes by the row."""
    by_row = np.diff(scaled, axis=0).var(axis=0)
    variance = scaled.var(axis=0)
    worth: Floats = len(scaled) * by_row / np.where(variance > 0, 4.0 * variance, np.inf)
    return worth


def t_quantile(z: float, freedom: float | Floats) -> float | Floats:
    """Student's t from the normal quantile, by Fisher's expansion: within 3 % from 4 degrees of freedom on."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    quantile: float | Floats = z + first / freedom + second / freedom**2 + third / freedom**3
    return quantile
