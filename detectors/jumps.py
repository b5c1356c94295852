"""Jumps of a stream's level or scatter from one span to the next, and what they were: a conversion of units, an
exchange with another point of the machine, or the machine's own doing.

A level is followed while it wanders. Where it has gone is known a few spans later, and is then compared, once with the
conversions of its quantity and for some spans with the other points of its machine, by what was known of them before:
so nothing depends on which reading came first, nor on how batches were cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from detectors.conversions import exchanged, match, serving
from detectors.memory import Memory, Rows
from telemetry import Stream

# Memory of a level; of how far it moves and of the scatter; in spans.
_LEVEL_SPANS = 30.0
_SCALE_SPANS = 120.0
# A jump goes beyond the range of a normal span, and so many times as far as the level normally moves.
_JUMP = 6.0
# A surprise counts for at most so many times its own scale when the scale is learnt.
_SURPRISE = 3.0
# Spans of a new level before it is judged. The first may hold readings of both.
_JUDGED_AFTER = 4
# What still moves by so much of the jump has not jumped, it goes somewhere.
_STEADY = 0.1
# Spans of a new level within which it is asked what other points of the machine have done.
_COMPARED_UNTIL = 8
# A scatter that has changed by so much is a jump too.
_SCATTER_JUMP = 4.0
# No departure is accepted as the new normal before so many spans.
_ACCEPT_SPANS = 30

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

COLUMNS: Mapping[str, npt.ArrayLike] = {
    "spans": np.int32(0),
    "level": np.nan,
    "move": np.float32(0),
    "range": np.float32(0),
    "away": np.int32(0),
    "away_us": np.int64(-1),
    "judged_us": np.int64(-1),
    "now": np.nan,
    "range_now": np.float32(0),
    "fits": np.int8(-1),
    "sign": np.int8(0),
    "with": np.int32(-1),
}
"""What the memory must have among its columns. `with` is a conversion, or the stream that it was exchanged with."""


class Sign(IntEnum):
    """What is wrong with a sensor."""

    NONE = 0
    SCALED = 1
    SWAPPED = 2
    SATURATED = 3
    SPIKING = 4


OF_JUMPS = np.isin(list(Sign), (Sign.SCALED, Sign.SWAPPED))
"""Of each sign, whether it is of a jump. Shape (5,)."""


class Jumps:
    """Follows levels in a memory that it shares with its owner.

    Parameters
    ----------
    accept_us : float
        A new level that lasts so long, and 30 spans at least, is the new normal.
    """

    def __init__(self, memory: Memory, accept_us: float) -> None:
        self._memory = memory
        self._accept_us = accept_us
        self._stream_of: list[Stream] = []  # by the memory's row
        self._of_machine: dict[int, list[int]] = {}

    def join(self, stream: Stream) -> None:
        """Take a stream that has a row in the memory."""
        row = self._memory.row(stream.id)
        if row == len(self._stream_of):
            self._of_machine.setdefault(stream.machine, []).append(row)
            self._stream_of.append(stream)
        self._stream_of[row] = stream

    def margin(self, row: Rows) -> Floats:
        """How far a level may be from what it was."""
        margin: Floats = np.maximum(_JUMP * self._memory["move"][row], self._memory["range"][row])
        return margin

    def follow(self, row: Rows, mean: Floats, width: Floats, ready: Mask, begun_us: Times) -> None:
        """Follow the level, or where it has gone, and judge a new one when it is known."""
        memory = self._memory
        usual = memory["range"][row]
        rougher = (width > _SCATTER_JUMP * usual) | (width < usual / _SCATTER_JUMP)
        gone = ready & (rougher | (np.abs(mean - memory["level"][row]) > self.margin(row)))
        self._stay(row[~gone], mean[~gone], width[~gone])
        row, mean, width, begun_us = row[gone], mean[gone], width[gone], begun_us[gone]
        away = memory["away"][row] + 1
        memory["away"][row] = away
        first = row[away == 1]
        memory["away_us"][first] = begun_us[away == 1]
        memory["judged_us"][first] = -1
        memory["now"][first], memory["range_now"][first] = 0.0, 0.0
        settling = (away > 1) & (away <= _JUDGED_AFTER)
        at, n = row[settling], away[settling] - 1
        now = memory["now"][at] + (mean[settling] - memory["now"][at]) / n
        # A level that is still on its way when it is judged is not judged.
        jump = np.abs(now - memory["level"][at]) + memory["range_now"][at]
        astray = np.abs(mean[settling] - now) > _STEADY * jump
        memory["now"][at] = np.where(astray, np.nan, now)
        memory["range_now"][at] += (width[settling] - memory["range_now"][at]) / n
        judged = row[away == _JUDGED_AFTER]
        memory["judged_us"][judged] = begun_us[away == _JUDGED_AFTER]
        self._scaled(judged)
        self._accept(row, mean, away, begun_us)

    def _stay(self, row: Rows, mean: Floats, width: Floats) -> None:
        memory = self._memory
        n = memory["spans"][row]
        level, move = memory["level"][row], memory["move"][row]
        change = np.where(np.isnan(level), 0.0, mean - level)
        reach = np.where((n > _LEVEL_SPANS) & (move > 0), _SURPRISE * move, np.inf)
        heeded = np.clip(change, -reach, reach)
        memory["level"][row] = np.where(np.isnan(level), mean, level + heeded / np.minimum(n, _LEVEL_SPANS))
        pace = 1.0 / np.minimum(n, _SCALE_SPANS)
        memory["move"][row] = move + (np.abs(heeded) - move) * pace
        memory["range"][row] += (width - memory["range"][row]) * pace
        memory["away"][row], memory["away_us"][row], memory["judged_us"][row] = 0, -1, -1
        jumped = row[OF_JUMPS[memory["sign"][row]]]
        memory["sign"][jumped] = Sign.NONE

    def _scaled(self, row: Rows) -> None:
        memory = self._memory
        if not len(row):
            return
        may = np.array([serving(self._stream_of[at].quantity) for at in row.tolist()])
        level, move, scatter = (memory[name][row] for name in ("level", "move", "range"))
        memory["fits"][row] = match(level, move, scatter, memory["now"][row], memory["range_now"][row], may)

    def compare(self, row: Rows, begun_us: Times, width_us: Times) -> None:
        """Say what a jump was, by what was known of it and of the machine's other points before this span began.

        A conversion is one sensor's alone, or that of all that jumped together: a machine that changes its state moves
        several points, and one of them may land anywhere.
        """
        memory = self._memory
        open_ones = (memory["away"][row] >= _JUDGED_AFTER) & (memory["away"][row] <= _COMPARED_UNTIL)
        for at in np.flatnonzero(open_ones & (memory["sign"][row] == Sign.NONE)):
            mine = int(row[at])
            together = self._jumped_with(mine, int(begun_us[at]), int(width_us[at]))
            partner = next((theirs for theirs in together if self._exchanged(mine, theirs)), None)
            if partner is not None:
                memory["sign"][mine], memory["with"][mine] = Sign.SWAPPED, self._stream_of[partner].id
            elif memory["fits"][mine] >= 0 and all(memory["fits"][theirs] >= 0 for theirs in together):
                memory["sign"][mine], memory["with"][mine] = Sign.SCALED, memory["fits"][mine]

    def _jumped_with(self, mine: int, before_us: int, width_us: int) -> list[int]:
        """The machine's other points that jumped at the same time, by their rows."""
        memory = self._memory
        return [
            theirs
            for theirs in self._of_machine[self._stream_of[mine].machine]
            if theirs != mine
            and 0 <= memory["judged_us"][theirs] < before_us
            and abs(memory["away_us"][theirs] - memory["away_us"][mine]) <= width_us
        ]

    def _exchanged(self, one: int, other: int) -> bool:
        both = [self._memory[name][[one, other]].tolist() for name in ("level", "move", "range", "now", "range_now")]
        return exchanged(*both)

    def _accept(self, row: Rows, mean: Floats, away: npt.NDArray[np.int32], begun_us: Times) -> None:
        """What has lasted for so long is how the stream is now."""
        memory = self._memory
        lasted_us = begun_us - memory["away_us"][row]
        at = row[(lasted_us >= self._accept_us) & (away >= _ACCEPT_SPANS)]
        memory["level"][at] = mean[(lasted_us >= self._accept_us) & (away >= _ACCEPT_SPANS)]
        memory["spans"][at] = 1
        memory["away"][at], memory["away_us"][at], memory["sign"][at] = 0, -1, Sign.NONE
