"""Lives that ended and lives that go on: a machine that still runs has lived at least so long, and that counts.

Sources: Kaplan and Meier 1958 (product limit); Weibull by maximum likelihood with right censoring (Lawless 2003, 5.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import gamma, gammaincc

from prognosis.life.trajectories import Floats, Mask

# Beyond these a shape is a division by nothing: lives all alike, or all of a kind that no machine has.
_SHAPES = (0.1, 100.0)
# exp of a larger hazard is no longer a number.
_MOST_HAZARD = 500.0


@dataclass(frozen=True, slots=True)
class Weibull:
    """Lives with hazard (age / scale) ** shape up to an age."""

    shape: float
    scale: float

    @property
    def median(self) -> float:
        return float(self.scale * np.log(2.0) ** (1.0 / self.shape))

    def left(self, age: Floats) -> Floats:
        """The mean life that is left to machines of these ages, (N,)."""
        hazard = np.minimum((np.maximum(age, 0.0) / self.scale) ** self.shape, _MOST_HAZARD)
        power = 1.0 + 1.0 / self.shape
        life = self.scale * np.exp(hazard) * gamma(power) * gammaincc(power, hazard)
        return np.asarray(np.maximum(life - self.scale * hazard ** (1.0 / self.shape), 0.0))

    def fails(self, age: Floats, within: float) -> Floats:
        """The probability that machines of these ages fail within so long, (N,)."""
        now = (np.maximum(age, 0.0) / self.scale) ** self.shape
        then = ((np.maximum(age, 0.0) + within) / self.scale) ** self.shape
        return np.asarray(-np.expm1(now - then))


def fit_weibull(life: Floats, failed: Mask) -> Weibull:
    """Fit lives (U,), of which those not failed are censored.

    Raises
    ------
    ValueError
        If none failed, or a life is not above 0.
    """
    if not failed.any():
        raise ValueError("no unit failed: nothing tells how long they last")
    if not (life > 0).all():
        raise ValueError("a life is not longer than 0")
    relative = life / life.max()
    log = np.log(relative)

    def slope(shape: float) -> float:
        power = relative**shape
        return float((power * log).sum() / power.sum() - 1.0 / shape - log[failed].mean())

    least, most = _SHAPES
    shape = least if slope(least) >= 0 else most if slope(most) <= 0 else float(brentq(slope, least, most))
    scale = float(life.max() * ((relative**shape).sum() / failed.sum()) ** (1.0 / shape))
    return Weibull(shape, scale)


def product_limit(value: Floats, failed: Mask, weight: Floats) -> tuple[Floats, Floats]:
    """Kaplan-Meier: values in order, (N,), and the share that exceeds each, (N,).

    Of values alike the failed come first. Where the largest are censored, what exceeds them stays above 0.
    """
    order = np.lexsort((~failed, value))
    at_risk = np.cumsum(weight[order][::-1])[::-1]
    fails = np.where(failed[order], weight[order], 0.0) / np.maximum(at_risk, 1e-300)
    return value[order], np.asarray(np.cumprod(1.0 - np.minimum(fails, 1.0)), np.float64)
