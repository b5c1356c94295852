"""Whether a machine is well after a repair: each point as it is now, beside its healthy baseline and the time before.

Rows are compared with rows of the same load, of a machine that has been running for an hour. A point is off where its
level, or its swing within ten minutes, lies farther from the baseline than any stretch of the baseline as long did, by
a margin; a point that was off before the repair has a smaller one while less than half of its way back is done: nobody
asks of it whether something happened, only whether it is over. Better than before is well: less vibration and less heat
than in the baseline are no departure.

Fails where the baseline was not healthy, where the machine now runs at a load that it never had, and where the repair
itself changed what is normal (another impeller, a sensor of another make): then it is not as it was, and a person has
to say that it is well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from prognosis.running import FEWEST_HEALTHY_ROWS, ROW_US, Flags, Floats, Point, Table, loads, runs, settled
from telemetry.quantities import slight_change

# After the repair, at a load: with fewer rows nothing is said of it.
FEWEST_ROWS = 6
# Blocks of vibration are rare: so many of an axis are enough, in health and after.
FEWEST_BLOCKS = (8, 3)
# So many spreads of healthy stretches beyond the middle of them, and of a point that was off before the repair. Lower:
# sound machines are refused. Higher: repairs that were none pass. See docs/benchmarks.md.
MARGIN, MARGIN_WAS_OFF = 6.0, 4.0
# A smaller part of a level is no departure to anybody, in any unit.
_SLIGHT_SHARE = 0.03
# Of how far a point was off before, so much may be left.
_LEFT_OVER = 0.5
# A swing is off where it is so many times the usual one, or that part of it; with so much of it for noise.
_SWING_TIMES, _SWING_NOISE, _SWING_ROWS = 2.0, 0.05, 6
# A baseline of less than so many stretches shows less of the daily round than there is.
_FEWEST_STRETCHES, _WIDER = 8, 1.5
_TO_SIGMA = 1.4826
# Of these less is better.
_LESS_IS_BETTER = frozenset(
    {"vibration_velocity", "vibration_acceleration", "displacement", "kurtosis", "crest_factor", "temperature"}
)
_ROWS_AN_HOUR = 3_600_000_000 // ROW_US


class Outcome(StrEnum):
    """What comes of a check."""

    WELL = "well"
    NOT_WELL = "not_well"
    CANNOT_SAY = "cannot_say"


@dataclass(frozen=True, slots=True)
class Compared:
    """One point at one load.

    Attributes
    ----------
    mode
        The load; empty where the machine has one only.
    usual, low, high : float
        The baseline's middle, and how far from it is still normal.
    before, now : float
        Levels; `before` NaN where nothing is known of the time before the repair.
    swing_usual, swing_before, swing_now : float
        Within ten minutes, the same way.
    beyond : float
        How far it is off, in limits: above 1 it is.
    was_off
        Whether it was before the repair.
    why
        `level`, `swing` or `still`; empty where it is as it should be.
    """

    point: str
    unit: str
    mode: str
    usual: float
    low: float
    high: float
    before: float
    now: float
    swing_usual: float
    swing_before: float
    swing_now: float
    beyond: float
    was_off: bool
    why: str

    @property
    def is_off(self) -> bool:
        return bool(self.why)

    def to_json(self) -> dict[str, Any]:
        """Plain values, null for what is not known."""
        return {
            name: (None if np.isnan(value) else float(f"{value:.5g}")) if isinstance(value, float) else value
            for name in self.__slots__
            for value in (getattr(self, name),)
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """What a comparison comes to.

    Attributes
    ----------
    rows
        Rows after the repair that could be compared.
    reason
        Why nothing can be said, in words; empty where something can.
    points
        The worst first.
    """

    outcome: Outcome
    rows: int
    reason: str
    points: Sequence[Compared] = ()

    @property
    def off(self) -> list[Compared]:
        return [one for one in self.points if one.is_off]


def compare(table: Table, healthy: Flags, before: Flags, after: Flags, wanted_rows: int) -> Finding:
    """Hold what a machine did after a repair beside its baseline. The flags are bool (N,): which rows are which.

    Cost: linear in rows and points.
    """
    running = runs(table, healthy)
    steady = settled(table.time_us, running)
    if np.count_nonzero(healthy & steady) < FEWEST_HEALTHY_ROWS:
        steady = running  # it starts so often that it never settles: nor did it in health
    why_not = _incomparable(after, running, int(np.count_nonzero(healthy & steady)), after & steady)
    if why_not:
        return Finding(Outcome.CANNOT_SAY, 0, why_not)
    healthy, before, now = healthy & steady, before & steady, after & steady
    load, names = loads(table, healthy, before, now)
    found: list[Compared] = []
    rows = 0
    for number, name in names.items():
        of_load = load == number
        here = int(np.count_nonzero(now & of_load))
        if here >= FEWEST_ROWS:
            rows += here
            found += _compared(table, name, healthy & of_load, before & of_load, now & of_load)
    found.sort(key=lambda one: (not one.is_off, not one.was_off, -one.beyond))
    if rows < wanted_rows:
        ran, wanted = rows / _ROWS_AN_HOUR, wanted_rows / _ROWS_AN_HOUR
        return Finding(Outcome.CANNOT_SAY, rows, f"{ran:.1f} of {wanted:.1f} h of running can be compared yet", found)
    if not found:
        return Finding(Outcome.CANNOT_SAY, rows, "none of its points has said enough in health and since")
    return Finding(Outcome.NOT_WELL if any(one.is_off for one in found) else Outcome.WELL, rows, "", found)


def _incomparable(after: Flags, running: Flags, healthy_rows: int, now: Flags) -> str:
    """Why nothing can be compared, in words; empty where something can."""
    if not after.any():
        return "nothing was heard of it since"
    if healthy_rows < FEWEST_HEALTHY_ROWS:
        hours, wanted = healthy_rows / _ROWS_AN_HOUR, FEWEST_HEALTHY_ROWS / _ROWS_AN_HOUR
        return f"{hours:.1f} h of healthy running are known of it: {wanted:.0f} h are needed to compare with"
    if now.any():
        return ""
    return "it has not run for an hour on end since" if (after & running).any() else "it has stood still since"


def _compared(table: Table, mode: str, healthy: Flags, before: Flags, now: Flags) -> list[Compared]:
    found = []
    for n, point in enumerate(table.points):
        levels = [_known(table.level[rows, n]) for rows in (healthy, before, now)]
        swings = [_known(table.swing[rows, n]) for rows in (healthy, before, now)]
        fewest = FEWEST_BLOCKS if point.rare else (FEWEST_HEALTHY_ROWS, FEWEST_ROWS)
        if len(levels[0]) >= fewest[0] and len(levels[2]) >= fewest[1]:
            found.append(_one(point, mode, levels, swings))
    return found


def _one(point: Point, mode: str, levels: Sequence[Floats], swings: Sequence[Floats]) -> Compared:
    """One point at one load, by what it said in health, before the repair and since."""
    usual, low, high, beyond, was_off = _level(point, *levels)
    swung, swing_was, swing = (_median(part) for part in swings)
    swing_beyond = swing_was_beyond = 0.0
    if not point.rare:
        swing_beyond, swing_was_beyond = (_swing_beyond(swings[0], one) for one in (swing, swing_was))
    still = swing <= 0.0 < swung
    if swing < swung and not still and swing_was_beyond <= 1.0:
        swing_beyond = min(swing_beyond, 1.0)  # calmer than in health
    why = ""
    if max(beyond, swing_beyond) > 1.0:
        why = "level" if beyond >= swing_beyond else "still" if still else "swing"
    return Compared(
        point=point.point,
        unit=point.unit,
        mode=mode,
        usual=usual,
        low=low,
        high=high,
        before=_median(levels[1]),
        now=_median(levels[2]),
        swing_usual=swung,
        swing_before=swing_was,
        swing_now=swing,
        beyond=max(beyond, swing_beyond),
        was_off=was_off or swing_was_beyond > 1.0,
        why=why,
    )


def _level(point: Point, healthy: Floats, before: Floats, since: Floats) -> tuple[float, float, float, float, bool]:
    """The usual level, how far below and above it is normal, how far the level is off since, in that, and whether it
    was before."""
    was, now, usual = _median(before), _median(since), _median(healthy)
    stretches = _stretches(healthy, len(since))
    spread = _spread(healthy, stretches, len(since))
    least = max(slight_change(point.quantity, point.unit), _SLIGHT_SHARE * abs(usual), 1e-300)
    limit = max(MARGIN * spread, least)
    low, high = min(usual - limit, float(stretches.min())), max(usual + limit, float(stretches.max()))
    was_beyond, beyond = _beyond(was, usual, low, high), _beyond(now, usual, low, high)
    was_off = was_beyond > 1.0
    if was_off and (now - usual) * (was - usual) > _LEFT_OVER * (was - usual) ** 2:
        beyond = max(beyond, abs(now - usual) / max(MARGIN_WAS_OFF * spread, least))
    if point.quantity in _LESS_IS_BETTER and now < usual and not (was_off and was < usual):
        beyond = min(beyond, 1.0)
    return usual, low, high, beyond, was_off


def _stretches(values: Floats, long: int) -> Floats:
    """Medians of stretches of a baseline as long as what is compared, each half over the next."""
    long = max(1, min(long, len(values) // 2))
    step = max(1, long // 2)
    return np.array([np.median(values[n : n + long]) for n in range(0, len(values) - long + 1, step)])


def _spread(healthy: Floats, stretches: Floats, long: int) -> float:
    """How far stretches of health stray from its middle, in standard deviations; at least what chance makes of them."""
    strays = _scatter(stretches, _median(healthy))
    chance = _scatter(healthy, _median(healthy)) / math.sqrt(long)
    return max(strays, chance) * (_WIDER if len(stretches) < _FEWEST_STRETCHES else 1.0)


def _swing_beyond(healthy: Floats, swing: float) -> float:
    """How far a swing is from the usual one, in limits, on the scale of its logarithm."""
    usual = _median(healthy)
    if not usual > 0.0 or math.isnan(swing):
        return 0.0
    logs = np.log(healthy / usual + _SWING_NOISE)
    middle = _median(logs)
    limit = max(MARGIN * _scatter(_stretches(logs, _SWING_ROWS), middle), math.log(_SWING_TIMES))
    return abs(math.log(swing / usual + _SWING_NOISE) - middle) / limit


def _beyond(level: float, usual: float, low: float, high: float) -> float:
    """How far a level is from the usual one, in what is normal on that side; 0 where there is none."""
    if math.isnan(level):
        return 0.0
    return (level - usual) / (high - usual) if level >= usual else (usual - level) / (usual - low)


def _scatter(values: Floats, middle: float) -> float:
    return _TO_SIGMA * _median(np.abs(values - middle))


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")
