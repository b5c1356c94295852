"""The signature of a departure: how far each point of a machine has moved, up or down, since it began.

Each point's last stretch is compared with stretches of the same length before, on the scale by which these normally
differ: a point that cycles or drifts in health has a wide scale. Where a machine says how fast it turns or how hard it
pulls, what the other points owe to that is taken out first. Works on readings and on rolled-up means alike.

Fails where the time before was not healthy, and where the machine worked at another operating point then without any
point that says so: a load that changed moves points as a fault does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prognosis.roles import roles_of

# The stretch that is compared: the latter half of the departure, at least so long, and so many of a point's intervals.
# Shorter, and one load cycle is a departure; longer, and a fresh fault is thinned by the health before it.
_SHORTEST_US = 180_000_000
_FEWEST_READINGS = 6
# Of how many bins a stretch consists: what a point owes to the load is learnt from bins.
_BINS = 6
# A fault that grows began before it was noticed: so much of the time before does not count as healthy.
_GUARD = 0.15
# A scale from so few stretches is uncertain, and taken this much wider.
_FEWEST_STRETCHES = 4
_WIDER = 2.0
# However alike its stretches were, of the spread of its bins at least this share shows.
_LEAST_NOISE = 0.4
# What says how hard a machine works, the first of these that it has; taken out only while it has not moved so far
# itself and is not stuck, as then it may be what is wrong.
_GOVERNORS = ("torque", "speed")
_GOVERNOR_MOVED_Z = 4.0
# So many longest rests of the past, and the point is stuck.
_STILL_TIMES = 3
_TO_SIGMA = 1.4826
_MOST = 1000.0

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One point's readings, int64 µs and float64, (N,) each, in order of time: healthy at first, departed at last."""

    point: str
    quantity: str
    unit: str
    time_us: Times
    value: Floats


@dataclass(frozen=True, slots=True)
class Departure:
    """How one point has moved.

    Attributes
    ----------
    z : float
        From `before` to `after`, in the spread that such stretches have in health; negative: down.
    before, after : float
        Mean levels, in the point's unit.
    still
        It rests at one value far longer than it used to.
    rough : float
        Scatter from reading to reading within the last stretch over the normal one.
    """

    point: str
    quantity: str
    unit: str
    roles: tuple[str, ...]
    z: float
    before: float
    after: float
    still: bool = False
    rough: float = 1.0


def departures(courses: Sequence[Course], since_us: int, until_us: int) -> list[Departure]:
    """How each point has moved by `until_us`, in a departure that began about `since_us`.

    Points without enough readings on both sides are left out. Cost: linear in readings.
    """
    courses = [one for one in courses if len(one.time_us) >= 2 * _FEWEST_READINGS]
    if not courses:
        return []
    first_us = min(int(one.time_us[0]) for one in courses)
    interval_us = int(np.median([np.median(np.diff(one.time_us)) for one in courses]))
    stretch_us = max(_SHORTEST_US, (until_us - since_us) // 2, _FEWEST_READINGS * interval_us)
    width_us = stretch_us // _BINS
    bins = (until_us - first_us) // width_us + 1
    healthy = (min(since_us, until_us - stretch_us) - int(_GUARD * (since_us - first_us)) - first_us) // width_us
    healthy -= healthy % _BINS
    if healthy < _BINS or bins <= _BINS:
        return []
    # Counted back from the end, so that the last stretch is whole.
    means = np.stack([_binned(one, until_us, width_us, bins) for one in courses])
    age = (until_us - (first_us + healthy * width_us)) / max(1, healthy * width_us)
    natures = [_nature(one, first_us + healthy * width_us, until_us - stretch_us) for one in courses]
    found = [_level(row, healthy, age) for row in means]
    roles = [roles_of(one.point, one.quantity) for one in courses]
    at_rest = [abs(z) < _GOVERNOR_MOVED_Z and not still for (z, _, _), (still, _) in zip(found, natures, strict=True)]
    governor = _governor(roles, at_rest)
    if governor is not None:
        freed = _freed(means, means[governor], healthy)
        found = [
            (z if number == governor else _level(freed[number], healthy, age)[0], before, after)
            for number, (z, before, after) in enumerate(found)
        ]
    return [
        Departure(one.point, one.quantity, one.unit, role, *level, *nature)
        for one, role, level, nature in zip(courses, roles, found, natures, strict=True)
        if not np.isnan(level[0])
    ]


def _binned(course: Course, until_us: int, width_us: int, bins: int) -> Floats:
    """The mean of each bin, the last one ending at `until_us`; NaN where there is no reading. Shape (bins,)."""
    back = (until_us - course.time_us) // width_us
    inside = (back >= 0) & (back < bins)
    number = bins - 1 - back[inside]
    count = np.bincount(number, minlength=bins)
    total = np.bincount(number, weights=course.value[inside], minlength=bins)
    with np.errstate(invalid="ignore"):
        means: Floats = total / count
    return means


def _stretches(row: Floats) -> Floats:
    """Means of stretches of bins, without those that are half empty."""
    whole = row[: len(row) // _BINS * _BINS].reshape(-1, _BINS)
    count = (~np.isnan(whole)).sum(axis=1)
    kept = whole[count * 2 > _BINS]
    return np.asarray(np.nanmean(kept, axis=1)) if len(kept) else np.empty(0)


def _level(row: Floats, healthy: int, age: float) -> tuple[float, float, float]:
    """How far the last stretch is from the healthy ones, in their spread, and both levels; NaN without readings.

    `age`: how long ago health was seen, in lengths of it; a level that wanders has wandered the farther for it.
    """
    before, after = _stretches(row[:healthy]), row[-_BINS:]
    after = after[~np.isnan(after)]
    if not len(before) or not len(after):
        return np.nan, np.nan, np.nan
    level, now = float(np.median(before)), float(after.mean())
    steps = np.diff(row[:healthy])
    steps = steps[~np.isnan(steps)]
    # From bin to bin: the spread that even one stretch would show. A point that cycles shows less.
    noise = float(np.median(np.abs(steps))) / np.sqrt(2.0 * len(after)) if len(steps) else 0.0
    spread = float(np.median(np.abs(before - level))) * np.sqrt(1.0 + age)
    few = len(before) < _FEWEST_STRETCHES
    spread = _TO_SIGMA * (_WIDER * np.hypot(spread, noise) if few else max(spread, _LEAST_NOISE * noise))
    floor = 1e-9 * (abs(level) + abs(now))
    return float(np.clip((now - level) / max(spread, floor, 1e-300), -_MOST, _MOST)), level, now


def _governor(roles: Sequence[tuple[str, ...]], at_rest: Sequence[bool]) -> int | None:
    for wanted in _GOVERNORS:
        for number, own in enumerate(roles):
            if wanted in own and at_rest[number]:
                return number
    return None


def _freed(means: Floats, governor: Floats, healthy: int) -> Floats:
    """Every point less what it owed to the governor in health, by least squares. Shape as `means`."""
    x = np.where(np.isnan(governor), np.nanmedian(governor[:healthy]), governor) - np.nanmean(governor[:healthy])
    centred = means - np.nanmean(means[:, :healthy], axis=1, keepdims=True)
    power = float(np.nansum(x[:healthy] ** 2))
    if power <= 0.0:
        return means
    slope = np.nansum(np.where(np.isnan(centred), 0.0, centred)[:, :healthy] * x[:healthy], axis=1) / power
    freed: Floats = means - slope[:, None] * x
    return freed


def _nature(course: Course, healthy_until_us: int, since_us: int) -> tuple[bool, float]:
    """Whether a point is still, and how rough it has become."""
    before = course.value[course.time_us <= healthy_until_us]
    after = course.value[course.time_us > since_us]
    longest, last = _rests(before).max(initial=1), _rests(after)[-1:].sum()
    still = bool(last >= max(_FEWEST_READINGS, _STILL_TIMES * longest))
    normal, now = _scatter(before), _scatter(after)
    return still, now / normal if normal > 0.0 else 1.0


def _rests(value: Floats) -> Times:
    """How many readings each rest at one value has."""
    changes = np.flatnonzero(np.diff(value) != 0.0) + 1
    return np.diff(np.concatenate(([0], changes, [len(value)])))


def _scatter(value: Floats) -> float:
    """Spread from reading to reading: what is left when slow changes are taken out."""
    return float(np.abs(np.diff(value)).mean()) if len(value) > 1 else 0.0
