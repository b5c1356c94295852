"""Readings of a machine's points, each by its own clock, laid out in rows on the machine's own grid.

A row is over when every point that reports in each row has reported, or when a later row has begun.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from detectors import rhythm
from detectors.memory import Memory, Rows
from detectors.rounds import lengths, rounds
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
Taken = tuple[Rows, Times, Floats, Rows, Times]
"""Rows that are over: the machine's place in the memory, time, score, the slot of the channel that leads, and the time
of the reading that showed them to be over."""
TakeOpen = Callable[[Rows, Times], Taken]
"""Closes the open row of these machines, which these times have shown to be over."""


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


def rows_over(
    memory: Memory, batch: Batch, counts: Rows, machine: Rows, slot: Rows, take_open: TakeOpen
) -> list[Taken]:
    """Lay readings out in rows and take those that are complete or over."""
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
    if not len(use):
        return []
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
    return _take_rows(memory, each[at], number[at], value, (oldest_us, newest_us), take_open)


def _take_rows(
    memory: Memory,
    machine: Rows,
    number: Times,
    value: Floats,
    within_us: tuple[Times, Times],
    take_open: TakeOpen,
) -> list[Taken]:
    """Rows in order of machine and number, the last of each machine perhaps not over yet."""
    starts = np.flatnonzero(np.concatenate(([True], machine[1:] != machine[:-1])))
    counts = lengths(starts, len(machine))
    oldest_us, newest_us = within_us
    followed = np.ones(len(machine), bool)
    followed[starts + counts - 1] = False
    took: list[Taken] = []
    for segment, at in rounds(counts):
        row = machine[starts[segment]]
        # An open row of an earlier batch is either this one, or over.
        over = (memory["open"][row] >= 0) & (memory["open"][row] < number[at])
        if over.any():
            took.append(take_open(row[over], oldest_us[at[over]]))
        opened = memory["open"][row] == number[at]
        ours = np.where(np.isnan(memory["open_value"][row]), value[at], memory["open_value"][row])
        now = np.where(opened[:, None], ours, value[at])
        memory["open"][row], memory["open_value"][row] = number[at], now
        memory["open_us"][row] = np.maximum(newest_us[at], np.where(opened, memory["open_us"][row], -1))
        complete = _complete(memory, row)
        take = followed[at] | complete
        if take.any():
            known_us = np.where(complete, memory["open_us"][row], oldest_us[np.minimum(at + 1, len(machine) - 1)])
            took.append(take_open(row[take], known_us[take]))
    return took


def alive_channels(memory: Memory, row: Rows) -> Mask:
    interval_us = memory["interval_us"][row]
    reach_us = _LOST_INTERVALS * np.maximum(interval_us, memory["width_us"][row, None])
    open_us = memory["open_us"][row, None]
    seen_us = memory["seen_us"][row]
    heard = (memory["ready_us"][row] <= open_us) & (seen_us >= 0) & (open_us - seen_us <= reach_us)
    alive: Mask = heard & (interval_us <= _SLOWEST_ROWS * memory["width_us"][row, None])
    return alive


def _complete(memory: Memory, row: Rows) -> Mask:
    """Whether every channel that reports in each row has reported in the open one."""
    interval_us = memory["interval_us"][row]
    expected = alive_channels(memory, row) & (interval_us * 2 <= memory["width_us"][row, None] * 3)
    came = ~np.isnan(memory["open_value"][row])
    complete: Mask = expected.any(axis=1) & (came | ~expected).all(axis=1)
    return complete
