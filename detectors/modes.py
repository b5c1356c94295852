"""What a machine is doing: standing, idling, at part or full load, or on its way from one to another.

Read off the machine's tell-tales: its speed, its effort (power, torque, current) and its throughput. A machine
that has shown one level only is in a mode unknown: for all that is known, it never does anything else.

Quiet machines cost two comparisons a tell-tale and batch. Of a machine that changes, each reading is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors import changes, levels, swings
from detectors.change_by_means import ByMeans
from detectors.change_by_readings import ByReadings
from detectors.changes import Change, Turn
from detectors.levels import NONE, is_off
from detectors.memory import Memory, Rows
from detectors.swings import Means
from telemetry import Batch, Stream

# One tell-tale a kind; in each kind the first quantity that the machine has.
_KINDS = (("speed",), ("power", "torque", "current", "apparent_power"), ("flow", "mass_flow"))
# By which of them loads are told from each other, the first that the machine has.
_EFFORT = (1, 2, 0)
# Of the effort at the highest level: less, at the lowest level it runs at, is idling.
_IDLE = 0.5


Slots = npt.NDArray[np.int8]
Numbers = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


class Mode(StrEnum):
    UNKNOWN = "unknown"
    OFF = "off"
    IDLE = "idle"
    RUNNING = "running"
    PART_LOAD = "part load"
    FULL_LOAD = "full load"
    CHANGING = "changing"


class Modes:
    """Operating modes of machines, from readings in order of time.

    Batches may be cut anywhere between two times of a machine. Machines without a tell-tale stay unknown.

    Parameters
    ----------
    young_until_us : int or None
        Until then levels are taken as they come (recordings with a known healthy start); without it in the first day.
    """

    def __init__(self, young_until_us: int | None = None) -> None:
        self._young_until_us = young_until_us
        self._slot = np.full(1, NONE, np.int8)  # by stream id
        self._row = np.full(1, NONE, np.int32)  # by stream id; of any point of a machine that has a tell-tale
        self._points: dict[int, list[Stream]] = {}
        self._tales: dict[int, dict[int, Stream]] = {}
        self.memory = Memory("modes 3", {**changes.COLUMNS, **levels.COLUMNS})

    def watch(self, streams: Sequence[Stream]) -> None:
        """A machine's tell-tale stays its tell-tale, whatever points come later."""
        for stream in streams:
            points = self._points.setdefault(stream.machine, [])
            if all(stream.id != point.id for point in points):
                points.append(stream)
        for machine in dict.fromkeys(stream.machine for stream in streams):
            tales = self._tales.setdefault(machine, {})
            tales.update({slot: s for slot, s in tell_tales(self._points[machine]).items() if slot not in tales})
            if tales:
                self.memory.add([machine])
                self._place(machine)

    def follow(self, batch: Batch) -> Mapping[int, list[Turn]]:
        """Take a batch in: the turns that machines took in it, by the machine's row in memory."""
        starts = batch.starts()
        ids = batch.stream[starts]
        tale = np.flatnonzero(self._slots(ids) >= 0)
        if not len(tale):
            return {}
        ends = np.append(starts[1:], len(batch))
        lowest, highest = np.minimum.reduceat(batch.value, starts)[tale], np.maximum.reduceat(batch.value, starts)[tale]
        row, slot = self._row[ids[tale]], self._slot[ids[tale]]
        memory = self.memory
        swinging = np.flatnonzero(memory["swings"][row] & ~memory["moving"][row])
        means, left = self._means(batch, row[swinging], slot[swinging], starts[tale[swinging]], ends[tale[swinging]])
        lowest[swinging], highest[swinging] = (
            np.where(left, -np.inf, memory["low"][row[swinging], slot[swinging]]),
            -np.inf,
        )
        busy = memory["moving"][row] | (lowest < memory["low"][row, slot]) | (highest > memory["high"][row, slot])
        # Of a machine that has something to be looked at, all tell-tales are.
        apart = np.unique(row[busy])
        busy = np.isin(row, apart) if len(apart) else busy
        last = ends[tale[~busy]] - 1
        memory["value"][row[~busy], slot[~busy]] = batch.value[last]
        lag_us = swings.LAG_US * memory["swings"][row[~busy]]
        np.maximum.at(memory["held_us"], row[~busy], batch.time_us[last] - lag_us)
        self._keep(means, row[swinging], slot[swinging], ~busy[swinging])
        turns = {}
        for one in apart.tolist():
            segments = tale[row == one]
            items = np.concatenate([np.arange(starts[s], ends[s]) for s in segments])
            slots = np.repeat(slot[row == one], ends[segments] - starts[segments])
            order = np.lexsort((slots, batch.time_us[items]))
            items = items[order]
            readings = zip(
                batch.time_us[items].tolist(), slots[order].tolist(), batch.value[items].tolist(), strict=True
            )
            turned = _walked(memory, one, readings, self._young_until_us)
            if turned:
                turns[one] = turned
        return turns

    def _means(self, batch: Batch, row: Numbers, slot: Slots, starts: Rows, ends: Rows) -> tuple[Means, Mask]:
        """Where the means of tell-tales go in a batch, and which of them leave their bands."""
        memory = self.memory
        means = Means(*(memory[name][row, slot] for name in Means._fields))
        if not len(row):
            return means, np.zeros(0, bool)
        landed, bound = memory["land"][row, slot], memory["steps"][row]
        beyond = memory["bottom"][row, slot], memory["top"][row, slot]
        return means, swings.run(batch.time_us, batch.value, starts, ends, means, landed, bound, *beyond)

    def _keep(self, means: Means, row: Numbers, slot: Slots, kept: Mask) -> None:
        memory, at = self.memory, (row[kept], slot[kept])
        for name in Means._fields:
            memory[name][at] = getattr(means, name)[kept]
        memory["value"][at] = means.mean[kept]

    def rows(self, ids: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
        """Each stream's machine's place in the memory; `NONE` where the machine has no tell-tale."""
        found = self._row[np.minimum(ids, len(self._row) - 1)]
        return np.where(ids < len(self._row), found, NONE).astype(np.int32)

    def heard_us(self, row: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """When each of these machines was last seen at rest, or on its way, in µs."""
        memory = self.memory
        heard_us: npt.NDArray[np.int64] = np.maximum(memory["held_us"][row], memory["rest_us"][row])
        return heard_us

    def tells(self, ids: npt.NDArray[np.integer[Any]]) -> Mask:
        """Which streams are tell-tales."""
        return self._slots(ids) >= 0

    def points(self, machine: int) -> list[Stream]:
        return self._points[machine]

    def is_off(self, row: int, level: int) -> bool:
        return is_off(self.memory["centre"][row], self.memory["scale"][row], level)

    def now(self) -> dict[int, tuple[Mode, int]]:
        """The mode of each machine that has a tell-tale, and since when it has been in it, in µs; -1: unknown."""
        memory = self.memory
        return {
            machine: (self._name(row), int(memory["since_us"][row]))
            for row, machine in enumerate(memory.subjects.tolist())
        }

    def _name(self, row: int) -> Mode:
        memory = self.memory
        level, centre = int(memory["level"][row]), memory["centre"][row]
        known = np.flatnonzero(~np.isnan(centre).all(axis=1))
        if len(known) < 2 or level == NONE:
            return Mode.UNKNOWN
        if memory["moving"][row]:
            return Mode.CHANGING
        if self.is_off(row, level):
            return Mode.OFF
        running = [int(one) for one in known if not self.is_off(row, int(one))]
        if len(running) == 1:
            return Mode.RUNNING
        slot = next(slot for slot in _EFFORT if not np.isnan(centre[running, slot]).any())
        # Of what goes up and down, what it does beyond the lower end is its load.
        floor = float(memory["floor"][row, slot]) if memory["swings"][row] else 0.0
        effort = {one: abs(float(centre[one, slot]) - floor) for one in running}
        if effort[level] == max(effort.values()):
            return Mode.FULL_LOAD
        idle = effort[level] == min(effort.values()) and effort[level] < _IDLE * max(effort.values())
        return Mode.IDLE if idle else Mode.PART_LOAD

    def _slots(self, ids: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int8]:
        return np.where(ids < len(self._slot), self._slot[np.minimum(ids, len(self._slot) - 1)], NONE).astype(np.int8)

    def _place(self, machine: int) -> None:
        points = self._points[machine]
        top = max(point.id for point in points) + 1
        if top > len(self._slot):
            more = max(top, 2 * len(self._slot)) - len(self._slot)
            self._slot = np.append(self._slot, np.full(more, NONE, np.int8))
            self._row = np.append(self._row, np.full(more, NONE, np.int32))
        self._row[[point.id for point in points]] = self.memory.row(machine)
        for slot, stream in self._tales[machine].items():
            self._slot[stream.id] = slot


def _walked(
    memory: Memory, row: int, readings: Iterable[tuple[int, int, float]], young_until_us: int | None
) -> list[Turn]:
    """The turns that one machine takes, reading by reading: time, slot, value."""
    machine: Change = (ByMeans if memory["swings"][row] else ByReadings)(memory, row, young_until_us)
    for at_us, slot, value in readings:
        machine.hear(at_us, slot, value)
        if machine.swings and not machine.of_means:
            machine = ByMeans.instead_of(machine, at_us)
    machine.keep()
    return machine.turns


def tell_tales(points: Sequence[Stream]) -> dict[int, Stream]:
    """One stream a slot, by what it measures."""
    found: dict[int, Stream] = {}
    for slot, quantities in enumerate(_KINDS):
        for quantity in quantities:
            of_it = [point for point in points if point.quantity == quantity]
            if of_it:
                found[slot] = of_it[0]
                break
    return found
