"""Readings of a machine's points, each by its own clock, laid out in rows on the machine's own grid.

A row is over when every point that reports in each row has reported, or when a later row has begun.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detectors import rhythm
from detectors.compiled import compiled
from detectors.memory import Memory, Rows
from telemetry import Batch

# A channel that has said nothing for so many of its own intervals is left out until it speaks again.
_LOST_INTERVALS = 10
# A channel that speaks more seldom than once in so many rows is left out for good: it would hold one value for most of
# what the baseline remembers, and how such steps move with the others is learnt from a handful. Lower, and a
# temperature read now and then has no say; higher, and each new value of a figure read by the minute is a departure.
_SLOWEST_ROWS = 10
# Faster streams are sampled: a machine's state is not told by the millisecond.
_SHORTEST_ROW_US = 1_000_000
# Squares of these still are finite numbers.
_HUGE = 1e140
_FAR = np.iinfo(np.int64).max

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Over(NamedTuple):
    """Rows that are over, of each machine in order of time: R of them, of machines with C points.

    Attributes
    ----------
    machine : intp (R,)
        The memory's row.
    time_us, known_us : int64 (R,)
        Of the last reading in it, and of the reading that showed it to be over.
    value : float64 (R, C)
        NaN where nothing came.
    alive : bool (R, C)
        Whether the channel has a say.
    """

    machine: Rows
    time_us: Times
    known_us: Times
    value: Floats
    alive: Mask


class Grid(NamedTuple):
    """The columns that the rows of a machine rest on."""

    width_us: Times
    interval_us: Times
    ready_us: Times
    taken: Times
    open: Times
    open_us: Times
    open_value: Floats
    seen_us: Times


class _Begun(NamedTuple):
    """Rows that have readings in a batch, in order of machine and number; the last of a machine may not be over."""

    machine: Rows
    number: Times
    value: Floats
    oldest_us: Times
    newest_us: Times


def columns(points: int) -> dict[str, npt.ArrayLike]:
    """The columns that the grid needs in the memory of machines with so many points."""
    times = np.full(points, -1, np.int64)
    return {
        "gaps_us": np.tile(rhythm.NO_GAPS, (points, 1)),
        "gaps_seen": np.zeros(points, np.int64),
        "heard_us": times,
        "interval_us": times,
        "ready_us": np.full(points, _FAR),
        "origin_us": np.int64(-1),
        "width_us": np.int64(-1),
        "taken": np.int64(0),
        "open": np.int64(-1),
        "open_us": np.int64(-1),
        "open_value": np.full(points, np.nan),
        "seen_us": times,
    }


def hear(memory: Memory, batch: Batch, starts: Rows, counts: Rows, machine: Rows, slot: Rows) -> None:
    """Learn each channel's interval; a channel is ready with the reading that completes it."""
    last_us = memory["heard_us"]
    gap_us = rhythm.gaps(batch.time_us, starts, last_us[machine, slot])
    last_us[machine, slot] = batch.time_us[starts + counts - 1]
    points = last_us.shape[1]
    flat = machine * points + slot
    known = rhythm.remember(
        memory["gaps_us"].reshape(-1, rhythm.GAPS), memory["gaps_seen"].reshape(-1), flat, gap_us, starts, counts
    )
    # `argmax` of a column of booleans within segments: the first reading at which all gaps were known.
    unready = np.flatnonzero((memory["ready_us"][machine, slot] == _FAR) & known[starts + counts - 1])
    for segment in unready:
        first = starts[segment] + int(known[starts[segment] : starts[segment] + counts[segment]].argmax())
        channel = machine[segment], slot[segment]
        memory["ready_us"][channel] = batch.time_us[first]
        memory["interval_us"][channel] = rhythm.interval_us(memory["gaps_us"][channel])


def lay_out(memory: Memory, batch: Batch, starts: Rows, counts: Rows, machine: Rows) -> None:
    """Fix the grid of machines that have outlived the wait for their other channels."""
    for row in np.unique(machine[memory["width_us"][machine] < 0]):
        ready_us = memory["ready_us"][row]
        lead = int(ready_us.argmin())
        if ready_us[lead] == _FAR:
            continue
        interval_us = memory["interval_us"][row]
        origin_us = ready_us[lead] + 2 * interval_us[lead]
        newest_us = batch.time_us[(starts + counts - 1)[machine == row]].max()
        if newest_us > origin_us:
            memory["origin_us"][row] = origin_us
            middle_us = int(np.median(interval_us[ready_us <= origin_us]))
            memory["width_us"][row] = max(_SHORTEST_ROW_US, middle_us)


def rows_over(memory: Memory, batch: Batch, counts: Rows, machine: Rows, slot: Rows) -> Over:
    """Lay readings out in rows, and give those that are complete or over."""
    begun = _begun(memory, batch, counts, machine, slot)
    points, most = memory["heard_us"].shape[1], 2 * len(begun.machine)
    over = Over(
        np.empty(most, np.intp),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty((most, points)),
        np.empty((most, points), bool),
    )
    # A fleet that has just come is spared the compiler.
    count = _take_rows(memory.columns(Grid), begun, over) if len(begun.machine) else 0
    return Over._make(column[:count] for column in over)


def _begun(memory: Memory, batch: Batch, counts: Rows, machine: Rows, slot: Rows) -> _Begun:
    each, each_slot = np.repeat(machine, counts), np.repeat(slot, counts)
    origin_us, width_us = memory["origin_us"][each], memory["width_us"][each]
    item = np.flatnonzero((width_us > 0) & (batch.time_us > origin_us))
    each, each_slot, width_us = each[item], each_slot[item], width_us[item]
    time_us = batch.time_us[item]
    number = (time_us - origin_us[item] + width_us // 2) // width_us
    # The first reading of a channel stands for it in a row; what comes for a row already taken is too late.
    repeated = np.zeros(len(item), bool)
    same_stream = (each[1:] == each[:-1]) & (each_slot[1:] == each_slot[:-1])
    repeated[1:] = same_stream & (number[1:] == number[:-1])
    use = np.flatnonzero(~repeated & (number > memory["taken"][each]))
    item, each, each_slot, time_us, number = item[use], each[use], each_slot[use], time_us[use], number[use]
    order = np.lexsort((number, each))
    opens = np.ones(len(order), bool)
    opens[1:] = np.diff(each[order]).astype(bool) | np.diff(number[order]).astype(bool)
    group = np.empty(len(order), np.intp)
    group[order] = np.cumsum(opens) - 1
    at = order[opens]
    points = memory["heard_us"].shape[1]
    value = np.full((len(at), points), np.nan)
    value[group, each_slot] = np.clip(batch.value[item], -_HUGE, _HUGE)
    newest_us, oldest_us = np.zeros(len(at), np.int64), np.full(len(at), _FAR)
    np.maximum.at(newest_us, group, time_us)
    np.minimum.at(oldest_us, group, time_us)
    return _Begun(each[at], number[at], value, oldest_us, newest_us)


@compiled
def _take_rows(grid: Grid, begun: _Begun, over: Over) -> int:
    """Write the rows that are over, and say how many they are."""
    count = 0
    for at in range(len(begun.machine)):
        row, number = begun.machine[at], begun.number[at]
        # An open row of an earlier batch is either this one, or over.
        if 0 <= grid.open[row] < number:
            count = _close(grid, row, begun.oldest_us[at], over, count)
        opened = grid.open[row] == number
        for slot in range(begun.value.shape[1]):
            if not opened or np.isnan(grid.open_value[row, slot]):
                grid.open_value[row, slot] = begun.value[at, slot]
        grid.open_us[row] = max(begun.newest_us[at], grid.open_us[row]) if opened else begun.newest_us[at]
        grid.open[row] = number
        if _complete(grid, row):
            count = _close(grid, row, grid.open_us[row], over, count)
        elif at + 1 < len(begun.machine) and begun.machine[at + 1] == row:
            count = _close(grid, row, begun.oldest_us[at + 1], over, count)
    return count


@compiled
def _close(grid: Grid, row: int, known_us: int, over: Over, count: int) -> int:
    """Close the open row of a machine."""
    for slot in range(over.value.shape[1]):
        if not np.isnan(grid.open_value[row, slot]):
            grid.seen_us[row, slot] = grid.open_us[row]
        over.value[count, slot] = grid.open_value[row, slot]
        over.alive[count, slot] = _alive(grid, row, slot)
    over.machine[count], over.time_us[count], over.known_us[count] = row, grid.open_us[row], known_us
    grid.taken[row], grid.open[row] = grid.open[row], -1
    return count + 1


@compiled
def _alive(grid: Grid, row: int, slot: int) -> bool:
    interval_us, seen_us = grid.interval_us[row, slot], grid.seen_us[row, slot]
    if grid.ready_us[row, slot] > grid.open_us[row] or seen_us < 0 or interval_us > _SLOWEST_ROWS * grid.width_us[row]:
        return False
    return bool(grid.open_us[row] - seen_us <= _LOST_INTERVALS * max(interval_us, grid.width_us[row]))


@compiled
def _complete(grid: Grid, row: int) -> bool:
    """Whether every channel that reports in each row has reported in the open one."""
    expected = 0
    for slot in range(grid.seen_us.shape[1]):
        if grid.interval_us[row, slot] * 2 <= grid.width_us[row] * 3 and _alive(grid, row, slot):
            if np.isnan(grid.open_value[row, slot]):
                return False
            expected += 1
    return expected > 0
