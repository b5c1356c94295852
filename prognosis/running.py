"""Rows of ten minutes of a machine: in which it runs, in which it has settled, and at which load.

Loads are levels of its effort (power, torque, current …) with gaps between, as its healthy rows show them; a row in
which the load changes is of none. Fails where a machine wanders through all loads evenly: then they are one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.modes import Mode
from prognosis.roles import roles_of

ROW_US = 600_000_000
# What a machine goes through after a start is no level of it: so long it is left to settle.
SETTLES_US = 3_600_000_000
# With fewer healthy rows loads are not told apart.
FEWEST_HEALTHY_ROWS = 36
# Gaps are of this share of the highest load at least; a load has so many rows, and so much of them.
_GAP, _FEWEST_ROWS, _LEAST_SHARE = 0.08, 6, 0.04
# In a row of one load the effort swings no more than so many times as usual.
_STEADY = 2.0
_EFFORTS = ("power", "torque", "current", "apparent_power", "speed", "flow", "mass_flow")
_RUNNING_ROLES = frozenset({"speed", "current", "power", "torque", "flow"})
# Below so much of what it reaches in health a point rests; a load below so much of the highest is idling.
_AT_REST, _IDLE = 0.1, 0.5

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Point:
    """A column of the rows. `rare`: a block of vibration now and then, which says nothing of swings."""

    point: str
    quantity: str
    unit: str
    rare: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows in order of time.

    Attributes
    ----------
    time_us : int64 (N,)
        Where each begins.
    level, swing : float64 (N, points)
        Mean, and largest less smallest, in the point's unit; NaN where it said nothing.
    """

    points: Sequence[Point]
    time_us: Times
    level: Floats
    swing: Floats


def runs(table: Table, healthy: Flags) -> Flags:
    """In which rows it runs: not all that tells of it is below a tenth of what it reaches in health. (N,)"""
    heard: Flags = np.logical_not(np.isnan(table.level).all(axis=1))
    tell = [n for n, p in enumerate(table.points) if not p.rare and _RUNNING_ROLES & set(roles_of(p.point, p.quantity))]
    values = np.abs(table.level[:, tell])
    if not tell or not healthy.any():
        return heard
    above: Flags = np.zeros(len(values), np.bool_)
    for value in values.T:
        known = value[healthy & ~np.isnan(value)]
        if len(known):
            above |= np.nan_to_num(value) >= _AT_REST * np.quantile(known, 0.9)
    # What says nothing of running while the rest speaks is not known to rest.
    return above | (np.isnan(values).all(axis=1) & heard)


def settled(time_us: Times, running: Flags) -> Flags:
    """Rows of a machine that has run, heard of, for so long as it takes to settle. (N,)

    How long it had been running before the first row is not known: long enough.
    """
    found: Flags = np.zeros(len(time_us), np.bool_)
    since_us, last_us = -SETTLES_US, None
    for n, (at_us, runs_then) in enumerate(zip(time_us.tolist(), running.tolist(), strict=True)):
        if (last_us is None and n > 0) or (last_us is not None and at_us - last_us > 2 * ROW_US):
            since_us = at_us
        elif n == 0:
            since_us = at_us - SETTLES_US
        found[n] = runs_then and at_us - since_us >= SETTLES_US
        last_us = at_us if runs_then else None
    return found


def loads(table: Table, healthy: Flags, *others: Flags) -> tuple[npt.NDArray[np.int64], Mapping[int, str]]:
    """Which load each row of some spans is at: int64 (N,), -1 where it is at none; and what the loads are called.

    A machine that has one only, or says nothing of it, has one without a name.
    """
    quantities = [p.quantity for p in table.points]
    column = next((quantities.index(q) for q in _EFFORTS if q in quantities), None)
    one = np.zeros(len(table.time_us), np.int64), {0: ""}
    if column is None:
        return one
    effort, swing = np.abs(table.level[:, column]), table.swing[:, column]
    steady: Flags = np.zeros(len(effort), np.bool_)
    for span in (healthy, *others):  # each by itself: a fault that shakes all of it is no change of load
        there = span & ~np.isnan(effort)
        if there.any():
            steady |= there & (swing <= np.maximum(_STEADY * np.median(swing[there]), _GAP / 2 * effort))
    known = np.sort(effort[healthy & steady])
    if len(known) < FEWEST_HEALTHY_ROWS:
        return one
    cuts = np.flatnonzero(np.diff(known) > _GAP * np.quantile(known, 0.98)) + 1
    least = max(_FEWEST_ROWS, int(_LEAST_SHARE * len(known)))
    centres = [float(np.median(group)) for group in np.split(known, cuts) if len(group) >= least]
    if len(centres) < 2:
        return one
    nearest = np.abs(np.nan_to_num(effort)[:, None] - np.array(centres)).argmin(axis=1).astype(np.int64)
    return np.where(steady, nearest, -1), {n: _name(n, centres) for n in range(len(centres))}


def _name(number: int, centres: Sequence[float]) -> str:
    if centres[number] == max(centres):
        return Mode.FULL_LOAD.value
    idle = number == 0 and centres[0] < _IDLE * max(centres)
    return (Mode.IDLE if idle else Mode.PART_LOAD).value
