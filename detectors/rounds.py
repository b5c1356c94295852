"""Turns of a recursion taken by all subjects together: the first reading of each, then the second of each, and so on.

A recursion over time can't be vectorised along time, but it can across subjects. The cost is one step of NumPy per
turn, whatever the number of subjects that take part in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.intp]


def rounds(counts: npt.NDArray[np.integer]) -> Iterator[tuple[Index, Index]]:
    """The turns of segments that lie one after another in an array.

    Parameters
    ----------
    counts : int (S,)
        Length of each segment, in the array's order; none is 0.

    Yields
    ------
    segment, item : intp (n,)
        The segments that have a k-th item, and where in the array it is. n falls with k.
    """
    if not len(counts):
        return
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    order = np.argsort(-counts, kind="stable")
    longest_first = counts[order]
    first = first[order]
    taking_part = np.searchsorted(-longest_first, -np.arange(longest_first[0]), side="left")
    for turn, n in enumerate(taking_part):
        yield order[:n], first[:n] + turn


def lengths(starts: Index, total: int) -> Index:
    """Length of each segment, from where each one starts and where the last one ends."""
    return np.diff(np.concatenate((starts, [total])))


def departed_since(
    since_us: npt.NDArray[np.int64],
    time_us: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    starts: Index,
) -> npt.NDArray[np.int64]:
    """When each segment's present departure began: the first time since which every score was 1 or more; -1 for none.

    `since_us` (S,) is what was known before these scores, which lie in segments beginning at `starts` (S,).
    """
    ends = np.concatenate((starts[1:], [len(score)]))
    inside = ~(score >= 1.0)
    last_inside = np.maximum.reduceat(np.where(inside, np.arange(len(score)), -1), starts)
    began = np.minimum(last_inside + 1, len(score) - 1)
    since = np.where(last_inside >= starts, time_us[began], np.where(since_us >= 0, since_us, time_us[starts]))
    return np.where(last_inside == ends - 1, -1, since)


def since_or_last(
    kept_us: npt.NDArray[np.int64],
    time_us: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    starts: Index,
) -> npt.NDArray[np.int64]:
    """The same in a memory that tells when each subject was heard last too: where there is no departure, as ~time."""
    return or_last(departed_since(kept_us, time_us, score, starts), time_us, starts)


def or_last(since_us: npt.NDArray[np.int64], time_us: npt.NDArray[np.int64], starts: Index) -> npt.NDArray[np.int64]:
    """When each departure began, or where there is none (negative) when its subject was heard last, as ~time."""
    last_us = time_us[np.concatenate((starts[1:], [len(time_us)])) - 1]
    return np.where(since_us >= 0, since_us, ~last_us)


def began_us(kept_us: int) -> int:
    """When a departure began that `since_or_last` tells of, or when its subject was heard last; -1 for never."""
    return kept_us if kept_us >= -1 else ~kept_us
