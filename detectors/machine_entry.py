"""What comes of a machine, row by row: counted in its own units, until there is enough to learn its normal from.

A recursion, compiled. The learning itself, which happens once, is asked of the caller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.compiled import compiled

# Differences are counted in a first difference, which may be next to nothing.
_FARTHEST = 1e30

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Masks = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


class Entered(NamedTuple):
    """The columns of the memory that entering changes or rests on: (capacity,), (capacity, C)."""

    first: Floats
    unit: Floats
    value: Floats
    row_us: Integers
    began_us: Integers
    rows: Integers
    afresh: Masks
    learnt: Masks


class Learning(NamedTuple):
    """When there is enough, by the names of `Multivariate`'s parameters; `learn_until_us` is -1 where there is none."""

    learn_rows: int
    learn_us: float
    learn_until_us: int


def columns(points: int) -> dict[str, npt.ArrayLike]:
    """Their first values, of machines with so many points: values are counted in `unit` from `first`."""
    return {
        "first": np.full(points, np.nan),
        "unit": np.zeros(points),
        "value": np.full(points, np.nan),
        "row_us": np.int64(-1),
        "began_us": np.int64(-1),
        "rows": np.int64(0),
        "afresh": np.bool_(False),
        "learnt": np.bool_(False),
    }


@compiled
def enter(
    columns: Entered,
    learning: Learning,
    machine: Rows,
    time_us: Integers,
    value: Floats,
    begin: int,
    asked: bool,
    moved: Masks,
    known: Masks,
) -> int:
    """Enter rows `begin` and later, each machine's in order of time, until one before which a normal is to be learnt.

    Parameters
    ----------
    machine : intp (R,)
        The memory's row of each.
    time_us : int64 (R,)
    value : float64 (R, C)
        What came, NaN where nothing did. Values become multiples of the channel's first difference, and where nothing
        came what the channel said before.
    asked : bool
        Whether this stopped at row `begin` before: it is entered, and what was asked is done.
    moved, known : bool (R,)
        Written: whether anything has moved in the row, and whether its machine's normal is known.

    Returns
    -------
    at : int
        The row whose machine is to be learnt from the rows before it; R at the end.
    """
    for at in range(begin, len(machine)):
        row = machine[at]
        if at > begin or not asked:
            moved[at] = _enter(columns, row, time_us[at], value[at])
            if not columns.learnt[row] and not _learning(columns, learning, row, time_us[at]):
                return at
        known[at] = columns.learnt[row]
    return len(machine)


@compiled
def _enter(columns: Entered, row: int, time_us: int, value: Floats) -> bool:
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
def _learning(columns: Entered, learning: Learning, row: int, time_us: int) -> bool:
    if learning.learn_until_us >= 0 and not columns.afresh[row]:
        return bool(time_us <= learning.learn_until_us)
    # A machine that stood still until then has a start of its own.
    young_us = time_us - columns.began_us[row]
    return bool(columns.rows[row] <= learning.learn_rows or young_us < learning.learn_us)
