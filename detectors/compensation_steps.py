"""How much of a temperature air and load explain, learnt sample by sample: a recursion, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.compiled import compiled

# Time constant of what the machine's mass makes of air and load, and the time between samples: from 10 to 40 minutes
# motors, bearings and oil fare alike.
_MASS_US = 1_200_000_000
# Samples: of two weeks, after which an old one weighs less and less; until coefficients are tried; of a day.
_MEMORY, _FIRST, _DAY = 1008, 12, 72
# In so many samples compensation comes into force, and goes; after so many it is not waited for any more.
_RAMP, _PATIENCE = 24, 120
# Of the variance of samples that were not yet learnt from. Lower, and two points that happen to wander alike for a day
# are taken for cause and effect.
_EARNED = 0.3
# A sample is learnt from no farther than so many deviations from what was foretold, and air and load count no farther
# than so many of theirs from their mean: a broken sensor of the air warms nothing.
_SURPRISE, _REACH = 3.0, 4.0
# Share of its own variance that is added to each: where air and load rise and fall together neither is all of it.
_RIDGE = 0.01
# Squares of these are finite numbers of half the precision.
_FARTHEST = 1e12
# The number of a sample's time has room for so many.
_BLOCKS = 1 << 30
# What a point is to its machine's temperatures.
AIR, LOAD, TEMPERATURE = 0, 1, 2

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
Masks = npt.NDArray[np.bool_]


class Around(NamedTuple):
    """Of each machine, (capacity, 2): air and load as its mass would follow them.

    0 where it has no such point, NaN where that has not spoken.
    """

    smooth: Floats
    before: Floats  # the same without the newest reading
    heard_us: Integers


class Fitted(NamedTuple):
    """Of each temperature, (capacity,) or (capacity, n): moments, coefficients, and what they have foretold."""

    samples: npt.NDArray[np.uint16]
    block: npt.NDArray[np.int32]
    mean: Singles  # of the temperature, air, load
    spread: Singles  # of air, load, and both
    shared: Singles  # of the temperature with air, with load
    missed: Singles  # mean squares: of what was foretold, and of the mean foretold instead
    slope: Singles
    anchor: Singles  # where nothing is taken out
    trust: npt.NDArray[np.uint8]  # of `_RAMP`


EMPTY: dict[str, npt.ArrayLike] = {
    "samples": np.uint16(0),
    "block": np.int32(-1),
    "mean": np.zeros(3, np.float32),
    "spread": np.zeros(3, np.float32),
    "shared": np.zeros(2, np.float32),
    "missed": np.zeros(2, np.float32),
    "slope": np.zeros(2, np.float32),
    "anchor": np.zeros(2, np.float32),
    "trust": np.uint8(0),
}


@compiled
def follow(
    around: Around,
    fitted: Fitted,
    part: Rows,
    row: Rows,
    machine: Rows,
    time_us: Integers,
    item: Rows,
    value: Floats,
    heard: Masks,
) -> None:
    """Take readings in order of machine and time, and write temperatures without what is explained of them.

    `heard` is cleared for readings of the air, and of temperatures of which it is not yet known what is explained.
    """
    causes = np.zeros(2)
    for at in range(len(item)):
        whose, own, now_us, seen = machine[at], row[at], time_us[item[at]], value[item[at]]
        if part[at] != TEMPERATURE:
            _hear(around, whose, part[at], now_us, seen)
            heard[item[at]] = part[at] != AIR
            continue
        for cause in range(2):
            # What is heard at the same time may come in another batch.
            same = around.heard_us[whose, cause] == now_us
            causes[cause] = around.before[whose, cause] if same else around.smooth[whose, cause]
        if not np.isnan(causes).any() and abs(seen) < _FARTHEST:
            block = now_us // _MASS_US % _BLOCKS
            if block != fitted.block[own]:
                fitted.block[own] = block
                _learn(fitted, own, seen, causes)
            value[item[at]] = seen - owed(fitted, own, causes)
            heard[item[at]] = fitted.trust[own] == _RAMP or fitted.samples[own] >= _PATIENCE


@compiled
def _hear(around: Around, machine: int, part: int, now_us: int, value: float) -> None:
    value = min(max(value, -_FARTHEST), _FARTHEST)
    smooth, last_us = around.smooth[machine, part], around.heard_us[machine, part]
    weight = 1.0 - np.exp(-(now_us - last_us) / _MASS_US)
    around.before[machine, part] = smooth
    around.smooth[machine, part] = value if last_us < 0 else smooth + weight * (value - smooth)
    around.heard_us[machine, part] = now_us


@compiled
def owed(fitted: Fitted, row: int, causes: Floats) -> float:
    """What is taken out of a temperature: what air and load make of it, beyond what they did at the anchor."""
    taken = 0.0
    if fitted.trust[row] == 0:
        return taken
    for cause in range(2):
        mean = fitted.mean[row, 1 + cause]
        away = _within(causes[cause] - mean, _REACH * np.sqrt(fitted.spread[row, cause]))
        taken += fitted.slope[row, cause] * (mean + away - fitted.anchor[row, cause])
    return float(taken * fitted.trust[row] / _RAMP)


@compiled
def _within(away: float, reach: float) -> float:
    return min(max(away, -reach), reach)


@compiled
def _learn(fitted: Fitted, row: int, seen: float, causes: Floats) -> None:
    """Take a sample: how well it was foretold, and what it says of the coefficients."""
    mean, spread, shared = fitted.mean[row], fitted.spread[row], fitted.shared[row]
    fitted.samples[row] = min(fitted.samples[row] + 1, _MEMORY)
    count = fitted.samples[row]
    air, load = causes[0] - mean[1], causes[1] - mean[2]
    if fitted.trust[row] > 0:
        air = _within(air, _REACH * np.sqrt(spread[0])) if spread[0] > 0.0 else air
        load = _within(load, _REACH * np.sqrt(spread[1])) if spread[1] > 0.0 else load
    away = seen - mean[0]
    if count > _FIRST:
        away = _judge(fitted, row, away, fitted.slope[row, 0] * air + fitted.slope[row, 1] * load)
    weight = 1.0 / count
    old = 1.0 - weight
    spread[0] = old * (spread[0] + weight * air * air)
    spread[1] = old * (spread[1] + weight * load * load)
    spread[2] = old * (spread[2] + weight * air * load)
    shared[0] = old * (shared[0] + weight * away * air)
    shared[1] = old * (shared[1] + weight * away * load)
    mean[0] += weight * away
    mean[1] += weight * air
    mean[2] += weight * load
    _solve(fitted, row)


@compiled
def _judge(fitted: Fitted, row: int, away: float, foretold: float) -> float:
    """Weigh what was foretold of a sample; how far from the mean it is learnt from."""
    missed, tried = fitted.missed[row], min(fitted.samples[row] - _FIRST, _MEMORY)
    if tried > _FIRST:
        away = foretold + _within(away - foretold, _SURPRISE * np.sqrt(missed[0]))
    missed[0] += ((away - foretold) ** 2 - missed[0]) / tried
    missed[1] += (away**2 - missed[1]) / tried
    earned = tried >= _DAY and missed[0] <= (1.0 - _EARNED) * missed[1]
    if earned and fitted.trust[row] == 0:
        fitted.anchor[row, 0], fitted.anchor[row, 1] = fitted.mean[row, 1], fitted.mean[row, 2]
    if earned and fitted.trust[row] < _RAMP:
        fitted.trust[row] += 1
    elif not earned and fitted.trust[row] > 0:
        fitted.trust[row] -= 1
    return away


@compiled
def _solve(fitted: Fitted, row: int) -> None:
    """The coefficients of air and load by the moments; warmer air cools nothing."""
    spread, shared, slope = fitted.spread[row], fitted.shared[row], fitted.slope[row]
    air, load, both = (1.0 + _RIDGE) * spread[0], (1.0 + _RIDGE) * spread[1], spread[2]
    slope[0] = slope[1] = 0.0
    if air > 0.0 and load > 0.0:
        determinant = air * load - both * both
        slope[0] = (load * shared[0] - both * shared[1]) / determinant
        slope[1] = (air * shared[1] - both * shared[0]) / determinant
    elif air > 0.0:
        slope[0] = shared[0] / air
    if slope[0] <= 0.0:
        slope[0] = 0.0
        slope[1] = shared[1] / load if load > 0.0 else 0.0
