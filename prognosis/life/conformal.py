"""From an estimate to a distribution, by what became of like estimates of machines that training had not seen.

Around each estimate the errors of its neighbours (by rank, so that there are always as many) are a sample of what may
happen; where a life was censored, by the product limit. Any estimator is calibrated by this, a bad one by wide
intervals. The promise holds for machines like those of training, asked at like moments of their lives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prognosis.life.survival import product_limit
from prognosis.life.trajectories import Floats, Mask

LEVELS = np.concatenate(([0.002, 0.005, 0.01], np.arange(1, 40) / 40, [0.99, 0.995, 0.998]))
_GRID = 64
# Neighbours by the standard deviation of their rank. Wider, and an estimate borrows from others that are surer;
# narrower, and a few units decide.
_NEAR = 0.03
# However few there are, so many neighbours count, at least so much.
_FEWEST = 10
_LEAST_LIKE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What is left at each of `LEVELS`, by the estimate.

    Attributes
    ----------
    estimate : float64 (G,)
        Growing.
    left : float64 (G, Q)
        Growing both ways.
    """

    estimate: Floats
    left: Floats

    def curves(self, estimate: Floats) -> Floats:
        """What is left at each level, (N, Q), not below 0."""
        inside = np.clip(estimate, self.estimate[0], self.estimate[-1])
        curves = np.column_stack([np.interp(inside, self.estimate, column) for column in self.left.T])
        return np.maximum(curves + (estimate - inside)[:, None], 0.0)

    def quantile(self, estimate: Floats, level: float) -> Floats:
        """What is left at least with a probability of 1 - `level`, (N,)."""
        curves = self.curves(estimate)
        after = int(np.clip(np.searchsorted(LEVELS, level), 1, len(LEVELS) - 1))
        part = (level - LEVELS[after - 1]) / (LEVELS[after] - LEVELS[after - 1])
        return np.asarray(curves[:, after - 1] + part * (curves[:, after] - curves[:, after - 1]))

    def fails(self, estimate: Floats, within: float) -> Floats:
        """The probability that no more than so much is left, (N,)."""
        return np.array([np.interp(within, curve, LEVELS, left=0.0, right=1.0) for curve in self.curves(estimate)])


def calibrate(estimate: Floats, left: Floats, failed: Mask, weight: Floats) -> Calibration:
    """Learn from estimates (N,) and what was left (N,), at least so much where it did not fail, rows weighted (N,)."""
    order = np.argsort(estimate, kind="stable")
    estimate, error, failed, weight = estimate[order], (left - estimate)[order], failed[order], weight[order]
    rank = (np.cumsum(weight) - weight / 2) / weight.sum()
    places = (np.arange(_GRID) + 0.5) / _GRID
    at = np.interp(places, rank, estimate)
    few = min(_FEWEST, len(rank)) - 1
    curves = np.empty((_GRID, len(LEVELS)))
    for row, place in enumerate(places):
        away = np.abs(rank - place)
        near = away <= max(3 * _NEAR, float(np.partition(away, few)[few]))
        likeness = weight[near] * np.maximum(np.exp(-0.5 * (away[near] / _NEAR) ** 2), _LEAST_LIKE)
        value, exceeding = product_limit(error[near], failed[near], likeness)
        reached = np.searchsorted(1.0 - exceeding, LEVELS, side="left")
        curves[row] = at[row] + value[np.minimum(reached, len(value) - 1)]
    return Calibration(at, np.maximum.accumulate(curves, axis=0))
