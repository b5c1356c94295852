"""How long each of a machine's points needs, after a start or a load step, until it is where the machine takes it.

A point has settled when it has stopped making headway: when it has gone no further twentieth of the range it is known
to go through for as long again as all its way took so far, or has turned back more than twice, as what only wanders
does. What that took is remembered: the next time the point waits for no less, and not for much longer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors.memory import Memory
from telemetry import Stream

# What counts as headway: a share of the point's range, and the mean step from reading to reading so many times. Lower,
# and the noise of a sensor is headway; higher, and the last part of a temperature's way is a departure.
_HEADWAY, _NOISE = 0.05, 4.0
# Waited, in the time that the way took; and the least: soon after a step what is slow has made no headway yet. What is
# known to be fast waits for a minute.
_WAIT, _LEAST_US, _LEAST_READINGS = 1.0, 600_000_000, 10
_LEAST_KNOWN_US = 60_000_000
_TURNS = 2
# Nothing is waited for longer, whatever it does: a temperature that rises on and on is a fault.
_LONGEST_US = 7_200_000_000
# What was learnt is forgotten by a tenth each time, and allows for so much more; believed from the third time on.
_FORGETS, _MORE, _BELIEVED = 0.9, 1.5, 3
_HUGE = 1e300

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


class Settling:
    """The points of machines that change, and from when on each is believed again."""

    def __init__(self) -> None:
        self.memory = Memory(
            "settling 1",
            {
                "low": np.inf,
                "high": -np.inf,
                "begun_us": np.int64(-1),  # -1: has settled
                "headway_us": np.int64(-1),
                "anchor": np.nan,
                "before": np.nan,
                "steps": 0.0,
                "count": np.int32(0),
                "upward": np.int8(0),
                "turns": np.int8(0),
                "took_us": np.float32(0),
                "times": np.int8(0),
            },
        )

    def watch(self, streams: Sequence[Stream]) -> None:
        self.memory.add([stream.id for stream in streams])

    def begin(self, streams: Sequence[int], at_us: int) -> None:
        """The machine of these points is at another level since `at_us`."""
        rows = self.memory.rows(np.array(streams))
        self.memory["begun_us"][rows] = self.memory["headway_us"][rows] = at_us
        self.memory["anchor"][rows] = self.memory["before"][rows] = np.nan
        self.memory["steps"][rows] = self.memory["count"][rows] = 0
        self.memory["turns"][rows] = self.memory["upward"][rows] = 0

    def end(self, streams: Sequence[int]) -> None:
        """There was no other level."""
        self.memory["begun_us"][self.memory.rows(np.array(streams))] = -1

    def waiting(self, streams: Sequence[int]) -> set[int]:
        """Those of a machine's points that have spoken since, and have not settled."""
        ids = np.array(streams)
        rows = self.memory.rows(ids)
        return set(ids[(self.memory["begun_us"][rows] >= 0) & ~np.isnan(self.memory["anchor"][rows])].tolist())

    def settled(self, stream: int, time_us: Times, value: Floats) -> npt.NDArray[np.bool_]:
        """Which of a point's readings (N,) come after it has settled; in order, all of them at one level."""
        memory, row = self.memory, self.memory.row(stream)
        if memory["begun_us"][row] < 0:
            return np.ones(len(time_us), bool)
        if np.isnan(memory["anchor"][row]):
            memory["anchor"][row] = value[0]
        value = np.clip(value, -_HUGE, _HUGE)
        before = np.append(memory["before"][row], value[:-1])
        steps = np.cumsum(np.append(memory["steps"][row], np.abs(np.nan_to_num(value - before))))[1:]
        count = memory["count"][row] + np.arange(1, len(value) + 1)
        low = np.fmin(np.minimum.accumulate(value), memory["low"][row])
        high = np.fmax(np.maximum.accumulate(value), memory["high"][row])
        reach = np.fmax(_HEADWAY * (high - low), _NOISE * steps / count)
        start, over = 0, len(value)
        while True:
            away = np.abs(value[start:] - memory["anchor"][row]) > reach[start:]
            first = start + int(away.argmax()) if away.any() else len(value)
            enough = int(np.searchsorted(count, _LEAST_READINGS))
            over = max(start, enough, int(np.searchsorted(time_us, self._until(row))))
            if over <= first:
                break
            self._headway(row, int(time_us[first]), float(value[first]))
            start = first
        last = min(over, len(value) - 1)
        memory["low"][row], memory["high"][row], memory["before"][row] = low[last], high[last], value[last]
        memory["steps"][row], memory["count"][row] = steps[last], count[last]
        if over < len(value):
            self._learn(row)
        return np.arange(len(value)) >= over

    def _until(self, row: int) -> int:
        memory = self.memory
        begun_us, headway_us = int(memory["begun_us"][row]), int(memory["headway_us"][row])
        took_us = float(memory["took_us"][row])
        way_us = 0 if memory["turns"][row] > _TURNS else headway_us - begun_us
        known = memory["times"][row] >= _BELIEVED
        until_us = begun_us + max(way_us + _WAIT * way_us, float(_LEAST_KNOWN_US if known else _LEAST_US), took_us)
        longest_us = float(_LONGEST_US)
        if known:
            longest_us = min(longest_us, _MORE * took_us + 2 * _LEAST_KNOWN_US)
        return int(min(until_us, begun_us + longest_us))

    def _headway(self, row: int, at_us: int, value: float) -> None:
        memory = self.memory
        upward = 1 if value > memory["anchor"][row] else -1
        turned = memory["upward"][row] == -upward
        memory["turns"][row] = min(memory["turns"][row] + turned, _TURNS + 1)
        memory["upward"][row], memory["anchor"][row], memory["headway_us"][row] = upward, value, at_us

    def _learn(self, row: int) -> None:
        memory = self.memory
        way_us = 0 if memory["turns"][row] > _TURNS else memory["headway_us"][row] - memory["begun_us"][row]
        took_us = min((1.0 + _WAIT) * float(way_us), float(_LONGEST_US))
        memory["took_us"][row] = max(took_us, _FORGETS * float(memory["took_us"][row]))
        memory["times"][row] = min(memory["times"][row] + 1, _BELIEVED)
        memory["begun_us"][row] = -1
