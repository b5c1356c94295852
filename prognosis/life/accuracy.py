"""How good a prognosis was, once it is known what happened.

Sources: Saxena et al. 2010, Metrics for offline evaluation of prognostic performance (alpha-lambda, prognostic horizon,
cumulative relative accuracy); Brier 1950.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from prognosis.life.trajectories import Floats, Mask, Rows

# Alpha: an estimate is good within so much of what is truly left, or, for the horizon, of the whole life.
ALPHA = 0.2
HORIZON_ALPHA = 0.1
# Lambda: the parts of its life at which a unit is asked.
LAMBDAS = (0.25, 0.5, 0.75, 0.9)
_BINS = 10


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Figures of estimates that were made without knowing the unit.

    Attributes
    ----------
    rmse, rmse_capped : float
        Over rows as they were weighted; capped: both sides at the model's cap.
    coverage : float
        The share of what was left within the 90 % interval.
    brier, brier_base : float
        Of the probability of failure within `within`, and of always saying how often that happens.
    reliability : tuple of (said, happened, share of the rows)
    alpha_lambda : tuple of (lambda, the share of units whose estimate was within alpha of what was left)
    horizon : float
        Median over units: so long before the end, and from then on, all estimates were within alpha of the life.
    relative_accuracy : float
        Mean of 1 - error / what was left, over lambda and units.
    """

    units: int
    rmse: float
    rmse_capped: float
    coverage: float
    within: float
    brier: float
    brier_base: float
    reliability: tuple[tuple[float, float, float], ...]
    alpha_lambda: tuple[tuple[float, float], ...]
    horizon: float
    relative_accuracy: float

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def root_mean_square(error: Floats, weight: Floats) -> float:
    return float(np.sqrt(np.average(error**2, weights=weight)))


def brier(said: Floats, happened: Mask, weight: Floats) -> float:
    """Mean square of probability against fact: 0 is perfect, what always says one half gets 0.25."""
    return float(np.average((said - happened) ** 2, weights=weight))


def reliability(said: Floats, happened: Mask, weight: Floats) -> tuple[tuple[float, float, float], ...]:
    """In ten bins of what was said: its mean, how often it happened, the share of the rows; empty bins are left out."""
    place = np.minimum((said * _BINS).astype(np.intp), _BINS - 1)
    rows = np.bincount(place, weight, _BINS)
    mean, often = np.bincount(place, weight * said, _BINS), np.bincount(place, weight * happened, _BINS)
    return tuple(
        (float(mean[each] / rows[each]), float(often[each] / rows[each]), float(rows[each] / weight.sum()))
        for each in np.flatnonzero(rows > 0)
    )


def at_lambda(cycle: Floats, left: Floats, unit: Rows, part: float) -> Rows:
    """Each unit's last row at which it had lived no more than this part of its life, from its first row on."""
    starts = np.flatnonzero(np.diff(unit, prepend=-1))
    begun, ended = cycle[starts], cycle[starts] + left[starts]
    lanes = np.split(np.arange(len(unit)), starts[1:])
    return np.array(
        [rows[np.searchsorted(cycle[rows], begin + part * (end - begin), side="right") - 1]
         for rows, begin, end in zip(lanes, begun, ended, strict=True)], np.intp
    )  # fmt: skip


def alpha_lambda(estimate: Floats, left: Floats, rows: Rows, alpha: float = ALPHA) -> float:
    """The share of these rows whose estimate was within alpha of what was left."""
    return float((np.abs(estimate[rows] - left[rows]) <= alpha * left[rows]).mean())


def horizons(estimate: Floats, cycle: Floats, left: Floats, unit: Rows, alpha: float = HORIZON_ALPHA) -> Floats:
    """Of each unit how long before its end, and from then on, estimates were within alpha of its life, (U,).

    Stricter than the source, which takes the first estimate that is good whatever the next ones are.
    """
    life = cycle + left
    bad = np.abs(estimate - left) > alpha * life
    lanes = np.split(np.arange(len(unit)), np.flatnonzero(np.diff(unit)) + 1)
    found = []
    for rows in lanes:
        wrong = np.flatnonzero(bad[rows])
        begin = wrong[-1] + 1 if len(wrong) else 0
        found.append(left[rows[begin]] if begin < len(rows) else 0.0)
    return np.array(found)


def relative_accuracy(estimate: Floats, left: Floats, rows: Rows) -> Floats:
    """1 - error / what was left, (R,); NaN where nothing was."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(left[rows] > 0, 1.0 - np.abs(estimate[rows] - left[rows]) / left[rows], np.nan)
