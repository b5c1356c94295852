"""How rare a number is among those that came before it, in decades: 3 is one in a thousand.

Each stream learns its own scale: the level that a fiftieth of its numbers exceed, and how far these exceed it on
average; beyond the level rarity grows as if excesses were exponential. Three numbers are all the memory it takes, and
whatever unit the numbers are in, their rarity is the same.

Fails where excesses are far heavier than exponential: a stream of rare bursts is called rare too often, until the mean
excess has grown.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.memory import Memory, Rows

# The share of numbers above the level. Higher, and the body of the numbers shapes the tail; lower, and the tail is
# learnt from too few.
_SHARE = 0.02
_DECADES_AT_LEVEL = -np.log10(_SHARE)
# An excess counts for at most so many times the mean one, so that a fault barely widens the tail.
_SURPRISE = 20.0
# The level of a stream that only ever said 0 begins at this share of the first other number.
_FIRST_LEVEL = 0.1

Floats = npt.NDArray[np.float64]
At = tuple[Rows, Rows]


def empty(kinds: int) -> dict[str, npt.ArrayLike]:
    """What a detector remembers of each stream for so many kinds of numbers."""
    zero = np.zeros(kinds, np.float32)
    return {
        "tail_n": np.zeros(kinds, np.uint16),
        "tail_over": np.zeros(kinds, np.uint8),
        "tail_level": zero,
        "tail_excess": zero,
    }


def decades(
    memory: Memory, row: Rows, kind: int | npt.NDArray[np.integer], x: Floats, learn_from: int, memory_n: float
) -> Floats:
    """How rare each number is, float (n,), never negative; 0 while its stream learns. Learns from it.

    Parameters
    ----------
    row, kind : intp (n,)
        Whose numbers these are; no pair twice. A single kind is that of all.
    x : float64 (n,)
        Not negative; NaN is no number: not learnt from, and of rarity 0.
    learn_from : int
        Numbers that are learnt from before there is an opinion.
    memory_n : float
        Numbers after which an old one weighs as little as a new one: higher is steadier, lower follows sooner. At most
        12 000, whose fiftieth fits a byte.
    """
    kind = np.broadcast_to(kind, row.shape)
    said = ~np.isnan(x)
    known = said & (memory["tail_n"][row, kind] >= learn_from)
    rarity = np.zeros(len(row))
    if known.any():
        at = (row[known], kind[known])
        rarity[known] = _rarity(memory, at, x[known])
        _follow(memory, at, x[known], memory_n)
    fresh = said & ~known
    if fresh.any():
        _begin(memory, (row[fresh], kind[fresh]), x[fresh], learn_from)
    return rarity


def reach(memory: Memory, row: int, kind: int, rarity: float) -> float:
    """The number that would be so rare now."""
    level, excess = memory["tail_level"][row, kind], memory["tail_excess"][row, kind]
    return float(level + excess * np.log(10.0) * max(0.0, rarity - _DECADES_AT_LEVEL))


def _rarity(memory: Memory, at: At, x: Floats) -> Floats:
    level, excess = memory["tail_level"][at], memory["tail_excess"][at]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        within = _DECADES_AT_LEVEL * np.where(level > 0, x / level, 0.0)
        beyond = _DECADES_AT_LEVEL + (x - level) / excess / np.log(10.0)
    rarity: Floats = np.where(x > level, beyond, within)
    return rarity


def _begin(memory: Memory, at: At, x: Floats, learn_from: int) -> None:
    """While learning the level is the largest number, and the excess their mean; then its distance from the mean."""
    n = memory["tail_n"][at] + 1
    level = np.maximum(memory["tail_level"][at], x)
    mean = memory["tail_excess"][at]
    mean = mean + (x - mean) / n
    learnt = n >= learn_from
    memory["tail_n"][at], memory["tail_level"][at] = n, level
    memory["tail_excess"][at] = np.where(learnt, level - mean, mean)
    memory["tail_over"][at] = learnt


def _follow(memory: Memory, at: At, x: Floats, memory_n: float) -> None:
    """Move the level so that its share of numbers exceeds it, and the mean excess by the numbers that do."""
    n = np.minimum(memory["tail_n"][at] + 1, memory_n)
    level, excess = memory["tail_level"][at], memory["tail_excess"][at]
    over = x > level
    pace = 1.0 / (n * _SHARE + 1.0)
    count = np.minimum(memory["tail_over"][at] + over, memory_n * _SHARE)
    beyond = np.minimum(x - level, np.where(excess > 0, _SURPRISE * excess, np.inf))
    moved = level * np.exp(pace * np.where(over, 1.0 - _SHARE, -_SHARE))
    memory["tail_excess"][at] = np.where(over, excess + (beyond - excess) / np.maximum(count, 1.0), excess)
    memory["tail_level"][at] = np.where(over & (level == 0), _FIRST_LEVEL * x, moved)
    memory["tail_n"][at], memory["tail_over"][at] = n, count
