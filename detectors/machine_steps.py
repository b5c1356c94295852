"""What `multivariate` makes of one row of a machine whose normal is known after the other: a recursion, compiled.

What only now and then has to be done, inverting a covariance or learning the normal anew, is asked of the caller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.compiled import compiled
from detectors.machine_entry import Floats, Integers, Masks, Rows

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
# A weak departure that has come back shows that the start did not hold all that the machine does in health: its limit
# is so much wider from then on, so many times at most. More, and a fault that was weak is not seen when it returns;
# less, and what a machine does each half hour is told each time.
_WIDER, _WIDER_TIMES = 1.2, 2
_ACCEPT_ROWS = 500.0
# Beyond, a score and a channel's difference say no more.
_FARTHEST = 1e30
_FARTHEST_SPREADS = 1e6


class Columns(NamedTuple):
    """What judging changes or rests on: (capacity,), (capacity, C), (capacity, C, C); the past (capacity, rows, C)."""

    width_us: Integers
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
    widened: Integers
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
    """Of `Multivariate`, by the names of its parameters.

    `matures`: the normal stays as it is until the machine's past tells a better one.
    """

    memory_rows: float
    accept_us: float
    matures: bool


@compiled
def judge(
    columns: Columns,
    settings: Settings,
    machine: Rows,
    time_us: Integers,
    value: Floats,
    alive: Masks,
    moved: Masks,
    known: Masks,
    begin: int,
    score: Floats,
    lead: Rows,
) -> tuple[int, bool]:
    """Judge rows `begin` and later as `enter` left them, each machine's in order of time.

    Parameters
    ----------
    alive : bool (R, C)
        Whether the channel has a say.
    score : float64 (R,), lead : intp (R,)
        Written where the normal is known; NaN where there is no opinion.

    Returns
    -------
    at, due : int, bool
        How many rows are done with, and whether the model of the last one's machine is to be made anew before the next.
    """
    room, due = np.empty((2, value.shape[1])), False
    for at in range(begin, len(machine)):
        row = machine[at]
        if known[at]:
            score[at], due = _judge(columns, settings, row, time_us[at], value[at], alive[at], moved[at], room)
            lead[at] = columns.share[row].argmax()
        if due:
            return at + 1, True
    return len(machine), False


@compiled
def _judge(
    columns: Columns, settings: Settings, row: int, time_us: int, value: Floats, alive: Masks, moved: bool, room: Floats
) -> tuple[float, bool]:
    """Score a row; then follow and learn, as far as the machine is well. Whether the model is due to be made anew."""
    away, z = room  # (2, C), for what is worked out on the way
    _follow(columns, row, value, alive, away)
    distance = _distance(columns, row, alive, away, z)
    score = min(distance / columns.reach[row], _FARTHEST)
    settling, was = columns.settle_rows[row] > 0, columns.departed_us[row] >= 0
    departed = not settling and score >= (_RETURNED if was else 1.0)
    height = columns.height[row]
    departed = not _stepped_back(columns, row, score, departed) and departed
    _turn(columns, settings, row, time_us, was, departed)
    if was and not departed and not settings.matures:
        _widen(columns, row, height)
    due = False
    if settings.matures:
        if moved and not departed:
            _follow_slow(columns, row, alive)
            due = _remember(columns, row, alive)
    else:
        _keep_base(columns, row, alive, departed)
        if not departed and columns.settle_rows[row] <= 0:
            due = _learn_on(columns, settings, row, away, score)
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
def _widen(columns: Columns, row: int, height: float) -> None:
    """Widen the limit of a machine that drifts, after a departure of this height."""
    if not columns.steady[row] and height < _WEAK and columns.widened[row] < _WIDER_TIMES:
        columns.reach[row] *= _WIDER
        columns.widened[row] += 1


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
def _learn_on(columns: Columns, settings: Settings, row: int, away: Floats, score: float) -> bool:
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
