"""What `multivariate` makes of one row of a machine after the other: a recursion, compiled.

What only now and then has to be done, learning a normal and inverting its covariance, is asked of the caller.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.compiled import compiled

# The model is fitted anew when it has seen so many times more rows.
_REFIT = 1.25
# After learning a row counts for half at most, and for less from half the limit on: what drifts in health is followed,
# a weak fault is learnt slowly if at all.
_AFTERWARDS = 0.5
# A departure ends below this score, so that it does not start and stop around the limit; until then it scores 1.
_RETURNED = 0.8
# What follows is for machines that drift in health, whose baseline follows. During a departure the channels farther
# than this from it, in their normal spread, are held; others follow.
_OWN_PART = 4.0
# A departure of less than so many limits that lasts so many rows, three memories of the baseline, is followed as drift.
_WEAK, _HELD_ROWS = 3.0, 450
# A departure that falls below this part of its own mean over so many rows has ended by a step back, though seldom to
# quite where it began. The channels that made it get a new baseline within some rows, and as long there is no opinion:
# after a short departure as long as that was. Too short, and the way back is a departure; too long, and the next fault
# begins unseen.
_STEP_BACK, _HEIGHT_ROWS = 0.4, 60.0
_SETTLE_ROWS, _SETTLE_PACE = 60, 0.1
_ACCEPT_ROWS = 500.0
# Differences are counted in a first difference, which may be next to nothing.
_FARTHEST = 1e30
_FARTHEST_SPREADS = 1e6

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Masks = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


class Columns(NamedTuple):
    """The columns of the memory that a row changes or rests on: (capacity,), (capacity, C), (capacity, C, C); the past
    (capacity, rows, C)."""

    width_us: Integers
    first: Floats
    unit: Floats
    value: Floats
    row_us: Integers
    began_us: Integers
    rows: Integers
    afresh: Masks
    learnt: Masks
    steady: Masks
    slow: Masks
    smooth_rows: Floats
    base_rows: Floats
    n: Floats
    seen: Floats
    fast: Floats
    base: Floats
    covariance: Floats
    fitted: Floats
    spread: Floats
    inverse: Floats
    reach: Floats
    share: Floats
    departed_us: Integers
    departed_rows: Integers
    height: Floats
    settle_rows: Integers
    touched: Masks
    past: npt.NDArray[np.float32]
    past_rows: Integers
    spacing: Integers
    passed: Integers


class Settings(NamedTuple):
    """Of `Multivariate`, by the names of its parameters; `learn_until_us` is -1 where there is none.

    `matures`: the normal stays as it is until the machine's past tells a better one.
    """

    learn_rows: int
    learn_us: float
    learn_until_us: int
    memory_rows: float
    accept_us: float
    matures: bool


class Ask(IntEnum):
    """What is asked before the next row can be taken."""

    NOTHING = 0
    LEARN = 1  # the normal of the row's machine, from the rows kept so far; the row itself is yet to be taken
    FIT = 2  # the model of the machine of the row before, by its covariance
    MATURE = 3  # the normal of the machine of the row before, from its past, which is full


@compiled
def take(
    columns: Columns,
    settings: Settings,
    machine: Rows,
    time_us: Integers,
    value: Floats,
    alive: Masks,
    begin: int,
    asked: int,
    kept: Masks,
    score: Floats,
    lead: Rows,
) -> tuple[int, int]:
    """Take rows `begin` and later, each machine's in order of time, and write their scores.

    Parameters
    ----------
    machine : intp (R,)
        The memory's row of each.
    time_us : int64 (R,)
    value, alive : float64 (R, C), bool (R, C)
        What came, NaN where nothing did, and whether the channel has a say. Values become multiples of the channel's
        first difference, and where nothing came what the channel said before.
    asked : Ask
        What was asked, and has been done, when this was called before.
    kept : bool (R,)
        Written: whether a normal is to be learnt from the row.
    score : float64 (R,), lead : intp (R,)
        Written; NaN where there is no opinion.

    Returns
    -------
    at, ask : int
        How many rows are done with, and what is to be done before the next.
    """
    weighed, z = np.empty(value.shape[1]), np.empty(value.shape[1])
    for at in range(begin, len(machine)):
        row = machine[at]
        if at > begin or asked != Ask.LEARN:
            moved = _enter(columns, row, time_us[at], value[at])
            kept[at] = moved
            if not columns.learnt[row] and not _learning(columns, settings, row, time_us[at]):
                return at, Ask.LEARN
        if not columns.learnt[row]:
            score[at], lead[at] = np.nan, 0
            continue
        moved = kept[at]
        kept[at] = False
        score[at], due = _judge(columns, settings, row, time_us[at], value[at], alive[at], moved, weighed, z)
        lead[at] = _leading(columns.share[row])
        if due:
            return at + 1, Ask.MATURE if settings.matures else Ask.FIT
    return len(machine), Ask.NOTHING


@compiled
def _leading(share: Floats) -> int:
    lead = 0
    for slot in range(len(share)):
        if share[slot] > share[lead]:
            lead = slot
    return lead


@compiled
def _enter(columns: Columns, row: int, time_us: int, value: Floats) -> bool:
    """Count what came in multiples of the first difference; whether anything has moved.

    A machine that stands still tells nothing of how its points move together.
    """
    moved = False
    for slot in range(len(value)):
        before = columns.value[row, slot]
        if np.isnan(value[slot]):
            value[slot] = before
            continue
        if np.isnan(columns.first[row, slot]):
            columns.first[row, slot] = value[slot]
        change = value[slot] - columns.first[row, slot]
        if not columns.unit[row, slot] > 0:
            columns.unit[row, slot] = abs(change)
        unit = columns.unit[row, slot] if columns.unit[row, slot] > 0 else 1.0
        value[slot] = min(max(change / unit, -_FARTHEST), _FARTHEST)
        moved = moved or value[slot] != before
        columns.value[row, slot] = value[slot]
    columns.row_us[row] = time_us
    columns.rows[row] += moved
    if columns.rows[row] <= 1:
        columns.began_us[row] = time_us
    return moved


@compiled
def _learning(columns: Columns, settings: Settings, row: int, time_us: int) -> bool:
    if settings.learn_until_us >= 0 and not columns.afresh[row]:
        return bool(time_us <= settings.learn_until_us)
    # A machine that stood still until then has a start of its own.
    young_us = time_us - columns.began_us[row]
    return bool(columns.rows[row] <= settings.learn_rows or young_us < settings.learn_us)


@compiled
def _judge(
    columns: Columns,
    settings: Settings,
    row: int,
    time_us: int,
    value: Floats,
    alive: Masks,
    moved: bool,
    away: Floats,
    z: Floats,
) -> tuple[float, bool]:
    """Score a row; then follow and learn, as far as the machine is well. Whether the model is due to be made anew."""
    _follow(columns, row, value, alive, away)
    distance = _distance(columns, row, alive, away, z)
    score = min(distance / columns.reach[row], _FARTHEST)
    settling, was = columns.settle_rows[row] > 0, columns.departed_us[row] >= 0
    departed = not settling and score >= (_RETURNED if was else 1.0)
    departed = not _stepped_back(columns, row, score, departed) and departed
    _turn(columns, settings, row, time_us, was, departed)
    due = False
    if settings.matures:
        if moved and not departed:
            _follow_slow(columns, row, alive)
            due = _remember(columns, row, alive)
    else:
        _keep_base(columns, row, alive, departed)
        if not departed and columns.settle_rows[row] <= 0:
            due = _learn_on(columns, settings, row, alive, away, score)
    if settling or (was and not departed and score >= _RETURNED):
        return np.nan, due
    return max(score, 1.0) if departed else score, due


@compiled
def _follow_slow(columns: Columns, row: int, alive: Masks) -> None:
    """Let the baseline of channels follow that have not shown their range yet."""
    for slot in range(len(alive)):
        if alive[slot] and columns.slow[row, slot]:
            away = columns.fast[row, slot] - columns.base[row, slot]
            columns.base[row, slot] += away / columns.base_rows[row, slot]


@compiled
def _remember(columns: Columns, row: int, alive: Masks) -> bool:
    """Add a row to the past where it is time and all that is judged has spoken; whether the past is full."""
    columns.passed[row] += 1
    if columns.passed[row] < columns.spacing[row]:
        return False
    for slot in range(len(alive)):
        if columns.spread[row, slot] > 0 and not alive[slot]:
            return False
    columns.passed[row] = 0
    for slot in range(len(alive)):
        columns.past[row, columns.past_rows[row], slot] = columns.fast[row, slot]
    columns.past_rows[row] += 1
    return bool(columns.past_rows[row] >= columns.past.shape[1])


@compiled
def _follow(columns: Columns, row: int, value: Floats, alive: Masks, away: Floats) -> None:
    """Smooth the row, and write how far each channel that has a say is from the baseline."""
    columns.n[row] += 1
    for slot in range(len(value)):
        away[slot] = 0.0
        if alive[slot]:
            fast = columns.fast[row, slot]
            fast += (value[slot] - fast) / columns.smooth_rows[row]
            columns.fast[row, slot] = fast
            away[slot] = fast - columns.base[row, slot]


@compiled
def _distance(columns: Columns, row: int, alive: Masks, away: Floats, z: Floats) -> float:
    """Distance in the model's own measure; each channel's share of it is remembered."""
    inverse, gaps = columns.inverse[row], False
    for slot in range(len(z)):
        spread = columns.spread[row, slot]
        z[slot] = min(max(away[slot] / spread, -_FARTHEST_SPREADS), _FARTHEST_SPREADS) if spread > 0 else 0.0
        gaps = gaps or (spread > 0 and not alive[slot])
    if gaps:
        _fill(z, inverse, columns.spread[row], alive, np.empty(len(z), np.intp), np.empty((len(z), len(z) + 1)))
    squared = 0.0
    for slot in range(len(z)):
        part = 0.0
        for other in range(len(z)):
            part += inverse[slot, other] * z[other]
        part *= z[slot]
        squared += part
        columns.share[row, slot] = max(part, 0.0)
    return float(np.sqrt(max(squared, 0.0)))


@compiled
def _fill(z: Floats, inverse: Floats, spread: Floats, alive: Masks, missing: Rows, system: Floats) -> None:
    """Put missing channels where the others say they should be: they then add nothing to the distance.

    Solves `inverse[missing, missing] @ z[missing] = -inverse[missing, others] @ z[others]` by elimination; the matrix
    is positive definite, so no pivot is 0. `missing` (C,) and `system` (C, C + 1) are room for it.
    """
    n = 0
    for slot in range(len(z)):
        if spread[slot] > 0 and not alive[slot]:
            missing[n], n = slot, n + 1
    for i in range(n):
        system[i, n] = 0.0
        for other in range(len(z)):
            if alive[other]:
                system[i, n] -= inverse[missing[i], other] * z[other]
        for j in range(n):
            system[i, j] = inverse[missing[i], missing[j]]
    for pivot in range(n):
        for i in range(pivot + 1, n):
            times = system[i, pivot] / system[pivot, pivot]
            for j in range(pivot, n + 1):
                system[i, j] -= times * system[pivot, j]
    for i in range(n - 1, -1, -1):
        rest = system[i, n]
        for j in range(i + 1, n):
            rest -= system[i, j] * z[missing[j]]
        z[missing[i]] = rest / system[i, i]


@compiled
def _stepped_back(columns: Columns, row: int, score: float, departed: bool) -> bool:
    if not departed:
        columns.height[row] = 0.0
        return False
    rows = min(columns.departed_rows[row] + 1, _HEIGHT_ROWS)
    columns.height[row] += (score - columns.height[row]) / rows
    return not columns.steady[row] and score < _STEP_BACK * columns.height[row]


@compiled
def _turn(columns: Columns, settings: Settings, row: int, time_us: int, was: bool, departed: bool) -> None:
    """Begin, end or accept a departure."""
    if not departed:
        settle_rows = max(columns.settle_rows[row] - 1, 0)
        if was:
            settle_rows = 0 if columns.steady[row] else min(columns.departed_rows[row], _SETTLE_ROWS)
        columns.settle_rows[row] = settle_rows
        columns.departed_us[row], columns.departed_rows[row] = -1, 0
        return
    columns.settle_rows[row] = max(columns.settle_rows[row] - 1, 0)
    if not was:
        columns.departed_us[row] = time_us
    columns.departed_rows[row] += 1
    if time_us - columns.departed_us[row] >= max(settings.accept_us, _ACCEPT_ROWS * columns.width_us[row]):
        for slot in range(columns.fast.shape[1]):
            moved = columns.fast[row, slot] - columns.base[row, slot]
            columns.base[row, slot] = columns.fast[row, slot]
            # As it was, but elsewhere.
            for rows in range(columns.past_rows[row]):
                columns.past[row, rows, slot] += moved
        columns.departed_us[row], columns.departed_rows[row] = -1, 0


@compiled
def _keep_base(columns: Columns, row: int, alive: Masks, departed: bool) -> None:
    """Let the baseline follow, but hold it for the channels that make the departure."""
    strong = columns.departed_rows[row] < _HELD_ROWS or columns.height[row] > _WEAK
    holding = departed and (columns.steady[row] or strong)
    settling = columns.settle_rows[row] > 0
    for slot in range(len(alive)):
        away = columns.fast[row, slot] - columns.base[row, slot]
        far = abs(away) > _OWN_PART * columns.spread[row, slot]
        held = holding and far and not columns.slow[row, slot]
        touched = (departed or settling) and (columns.touched[row, slot] or held)
        columns.touched[row, slot] = touched
        if alive[slot] and not held:
            pace = _SETTLE_PACE if settling and touched else 1.0 / min(columns.n[row], columns.base_rows[row, slot])
            columns.base[row, slot] += away * pace


@compiled
def _learn_on(columns: Columns, settings: Settings, row: int, alive: Masks, away: Floats, score: float) -> bool:
    """Covariance of the differences in health; whether the model is due."""
    weight = _AFTERWARDS * min(max(2.0 - 2.0 * score, 0.0), 1.0)
    seen = columns.seen[row] + weight
    columns.seen[row] = seen
    pace = weight / min(seen, settings.memory_rows)
    covariance = columns.covariance[row]
    for slot in range(len(away)):
        for other in range(len(away)):
            covariance[slot, other] += (away[slot] * away[other] - covariance[slot, other]) * pace
    fitted = columns.fitted[row]
    return bool(seen >= min(_REFIT * fitted, fitted + (_REFIT - 1.0) * settings.memory_rows))
