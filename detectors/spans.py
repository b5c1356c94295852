"""Readings gathered into spans of time: a span is over when a reading of a later one comes.

The sums are taken in the order of the readings, so that they are the same to the last bit however batches were cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.compiled import compiled
from detectors.memory import Memory, Rows
from detectors.rounds import Index, lengths, rounds

Floats = npt.NDArray[np.float64]
Figure = tuple[np.ufunc, npt.ArrayLike, float]
"""How the readings of a span make one number: what gathers them, what each gives (N,), and the number of none."""
# A sum of a million of these still is a finite number.
HUGE = 1e300

COLUMNS: Mapping[str, Any] = {"span": np.int64(-1), "sum": 0.0, "count": np.int32(0)}
"""What the memory must have among its columns; `low` and `high` beside them where these are wanted."""
EXTREMES: Mapping[str, Any] = {"low": np.inf, "high": -np.inf}


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """The spans of a batch, in order of subject and time, and those that were closed.

    Attributes
    ----------
    row : intp (G,)
        The memory's row that each span belongs to.
    of_item : intp (N,)
        The span each reading is in.
    first_item : intp (G,)
        The first reading of each span.
    leads : bool (G,)
        Whether a span is its subject's first in the batch.
    opened_by : intp (K,)
        For each span that was closed: the span that was opened then.
    total, count, low, high : float64 or int64 (K,)
        Of the readings in it. `low` and `high` are 0 where they are not remembered.
    others : mapping of str to array (K,)
        Of the `Figure`s asked for, by name.
    """

    row: Rows
    of_item: Index
    first_item: Index
    leads: npt.NDArray[np.bool_]
    opened_by: Index
    total: Floats
    count: npt.NDArray[np.int64]
    low: Floats
    high: Floats
    others: Mapping[str, npt.NDArray[Any]]

    def turns(self) -> Iterator[tuple[Rows, Index]]:
        """The spans closed, taken by all subjects together: the rows of the memory, each once, and which spans."""
        row = self.row[self.opened_by]
        if len(row):
            which = np.flatnonzero(np.concatenate(([True], row[1:] != row[:-1])))
            for turn, close in rounds(lengths(which, len(row))):
                yield row[which[turn]], close


def gather(
    memory: Memory,
    row: Rows,
    time_us: npt.NDArray[np.int64],
    value: Floats,
    width_us: npt.NDArray[np.int64],
    extremes: bool = False,
    others: Mapping[str, Figure] = MappingProxyType({}),
) -> Spans:
    """Take readings, sorted by subject and time, into the spans of their subjects' memory.

    `row` (N,) is the memory's row of each reading, `width_us` (N,) how long its spans are; with `extremes` the memory
    has the columns `EXTREMES` too, and with `others` one of each of their names.
    """
    span = time_us // width_us
    first = np.concatenate(([True], row[1:] != row[:-1]))
    opens = first | np.concatenate(([True], span[1:] != span[:-1]))
    group = np.cumsum(opens) - 1
    at = np.flatnonzero(opens)
    owner, number, leads = row[at], span[at], first[at]
    carries = leads & (memory["span"][owner] == number)
    closes_carried = leads & ~carries & (memory["count"][owner] > 0)
    last = np.concatenate((leads[1:], [True]))
    # The carried span comes before the first of the batch.
    carried, done = np.flatnonzero(closes_carried), np.flatnonzero(~last)
    opened_by = np.concatenate((carried, done + 1))
    order = np.argsort(opened_by, kind="stable")
    ends = np.flatnonzero(last)
    clipped = np.clip(value, -HUGE, HUGE)

    def column(name: str, gathering: np.ufunc, each: npt.ArrayLike, nothing: float) -> npt.NDArray[Any]:
        """One figure of the spans closed; the memory takes that of the spans still open."""
        figure = np.where(carries, memory[name][owner], memory[name].dtype.type(nothing))
        if gathering is np.add and figure.dtype.kind == "f":
            _add(figure, group, np.asarray(each))
        elif len(at):
            # Numbers that come out the same in whatever order: three times as fast.
            figure = gathering(figure, gathering.reduceat(np.broadcast_to(each, len(value)), at)).astype(figure.dtype)
        closed = np.concatenate((memory[name][owner[carried]], figure[done]))[order]
        memory[name][owner[ends]] = figure[ends]
        return closed

    total, count = column("sum", np.add, clipped, 0.0), column("count", np.add, 1, 0)
    low = high = np.zeros(len(order))
    if extremes:
        low, high = column("low", np.minimum, clipped, np.inf), column("high", np.maximum, clipped, -np.inf)
    more = {name: column(name, *figure) for name, figure in others.items()}
    memory["span"][owner[ends]] = number[ends]
    return Spans(owner, group, at, leads, opened_by[order], total, count, low, high, more)


@compiled
def _add(figure: Floats, group: Index, each: Floats) -> None:
    """Add each (N,) to the figure of its group, in this order."""
    for item in range(len(each)):
        figure[group[item]] += each[item]
