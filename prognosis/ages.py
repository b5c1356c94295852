"""How probable it is that a machine fails soon, by its age alone: from the lives of its like, ended and not.

A life begins when a machine is first seen or was repaired, and ends with a failure, or has not ended yet. Lives are
taken as Weibull distributed; shape and scale are weighed by how well they explain all lives, and what is said is the
mixture, so that few failures give a cautious probability and not a sure one.

Fails where lives are not alike (two kinds under one name), where repairs were not told of, and for machines that were
old when they were first seen.

Source: Weibull 1951; the scale is integrated out as a gamma distribution's rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# With fewer failures nothing is said: the answer would be what was believed beforehand.
FEWEST_FAILURES = 5
# Shapes, below 1 for what fails young; before anything is seen, most lives wear out a little.
_SHAPES = np.geomspace(0.4, 8.0, 60)
_SHAPE, _SHAPE_SPREAD = float(np.log(1.3)), 0.6
_LEAST_DAYS = 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class Lives:
    """Lives of machines of a kind: days (N,), and whether each ended with a failure (N,)."""

    days: Floats
    failed: Flags

    @property
    def failures(self) -> int:
        return int(self.failed.sum())


def fails_within(lives: Lives, age_days: float, within_days: float) -> float | None:
    """The probability that a machine of this age fails within so many days; None with too few failures to say."""
    if lives.failures < FEWEST_FAILURES:
        return None
    scale = float(np.median(np.maximum(lives.days, _LEAST_DAYS)))
    lived = np.maximum(lives.days, _LEAST_DAYS) / scale
    exposure = (lived[:, None] ** _SHAPES).sum(axis=0)
    weight = _weight(lived[lives.failed], exposure)
    age, then = max(age_days, 0.0) / scale, (max(age_days, 0.0) + within_days) / scale
    survives = (exposure / (exposure + then**_SHAPES - age**_SHAPES)) ** lives.failures
    return float(1.0 - weight @ survives)


def _weight(ended: Floats, exposure: Floats) -> Floats:
    """How probable each of the shapes is, the scale integrated out."""
    n = len(ended)
    log = n * np.log(_SHAPES) + (_SHAPES - 1.0) * np.log(ended).sum() + gammaln(n) - n * np.log(exposure)
    log -= 0.5 * ((np.log(_SHAPES) - _SHAPE) / _SHAPE_SPREAD) ** 2
    weight = np.exp(log - log.max())
    return np.asarray(weight / weight.sum())
