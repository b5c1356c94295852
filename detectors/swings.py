"""Means over cycles, of a machine that loads and unloads: what is asked of it shows in no single reading.

A mean of means: each remembers 200 seconds, or twelve readings of a machine that reports more seldom than every
quarter of a minute. Begun anew it is that of all readings since, so that a load is known by its own readings and not by
those before it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.compiled import compiled

# Longer, and a load step is noticed after it has been called a fault; shorter, and the machine's own cycles, of one to
# two minutes, are load steps.
MEMORY_US, _FEWEST = 200_000_000, 12
# What has departed so long before a mean left its band may be the load step itself.
LAG_US = 2 * MEMORY_US
# A load step is known by the means of minutes: what departs counts when it has lasted for longer than that takes.
# Shorter, and each step is told; longer, and faults are told later.
NOTICES_US = 480_000_000
# Half a band an interval as long as this a band follows its mean upwards, where no load step is known of the machine.
# Shorter, and first steps are followed instead of noticed; longer, and a leak that grows within an hour is a load step.
# No leak takes load away.
_FOLLOWED_US = 1_200_000_000

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


class Means(NamedTuple):
    """Of S tell-tales, (S,), by the names of `changes.COLUMNS`: what readings change."""

    once: Floats
    mean: Floats
    mean_us: Times
    mean_of: Counts
    low: Floats
    high: Floats


@compiled
def weight(since_us: float, count: int) -> float:
    """Of a reading that comes so long after the one before, as the latest of so many."""
    if count <= 1:
        return 1.0
    return float(max(min(1.0 - np.exp(-since_us / MEMORY_US), 1.0 / _FEWEST), 1.0 / count))


@compiled
def followed(mean: float, low: float, high: float, landed: float, since_us: float) -> float:
    """How far a band goes after its mean in so much time: upwards from where the machine landed, and back again."""
    middle, farthest = (low + high) / 2.0, (high - low) / 2.0 * since_us / _FOLLOWED_US
    return float(min(max(mean - middle, -farthest, min(landed - middle, 0.0)), farthest))


@compiled
def run(
    time_us: Times,
    value: Floats,
    starts: Rows,
    ends: Rows,
    means: Means,
    landed: Floats,
    bound: Mask,
    low: Floats,
    high: Floats,
) -> Mask:
    """Take readings `starts` to `ends` of each of S streams into its mean; whether any of that goes beyond, (S,).

    Parameters
    ----------
    time_us, value : (N,)
    starts, ends : intp (S,)
    means
        Written to.
    landed : float64 (S,)
        Where the machine came to rest.
    bound : bool (S,)
        Whether the band stays where it is.
    low, high : float64 (S,)
        What no single reading goes beyond.
    """
    left = np.zeros(len(starts), np.bool_)
    for one in range(len(starts)):
        for at in range(starts[one], ends[one]):
            since_us = float(time_us[at] - means.mean_us[one])
            means.mean_of[one] += means.mean_of[one] < 1_000_000
            share = weight(since_us, means.mean_of[one])
            means.once[one] += (value[at] - means.once[one]) * share
            means.mean[one] += (means.once[one] - means.mean[one]) * share
            means.mean_us[one] = time_us[at]
            if not bound[one]:
                by = followed(means.mean[one], means.low[one], means.high[one], landed[one], since_us)
                means.low[one] += by
                means.high[one] += by
            within = low[one] <= value[at] <= high[one] and means.low[one] <= means.mean[one] <= means.high[one]
            left[one] = left[one] or not within
    return left
