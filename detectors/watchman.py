"""Modes and settling of all machines, put together: which readings tell a detector that learns what is normal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.changes import Turn
from detectors.levels import NONE
from detectors.memory import Memory
from detectors.modes import Mode, Modes
from detectors.scores import Evidence, Scope, Scores, Snapshot
from detectors.settling import Settling
from telemetry import Batch, Stream

# For so long after a change, and after all its points have settled, a machine has just come to its level.
RETURN_US = 7_200_000_000
# Nothing heard of a tell-tale for so long. Shorter, and those that report by the hour are lost in between.
_LOST_US = 4 * 3_600_000_000

Mask = npt.NDArray[np.bool_]
Lots = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What a batch tells detectors that learn.

    Attributes
    ----------
    settled, steady : bool (N,) or None
        Readings of points, and of machines, that have settled; None: all of them.
    lot : int32 (N,) or None
        The level's number at each reading; None: 0 for all of them.
    left : mapping of int to (int, int)
        Machines that have left a level: since when they do, and when they were last seen at it.
    """

    settled: Mask | None
    steady: Mask | None
    lot: Lots | None
    left: Mapping[int, tuple[int, int]]


_LONG_AGO = np.int64(-RETURN_US)
_EVER = int(np.iinfo(np.int64).min)
_ALL = Sight(None, None, None, {})


class Watchman:
    """Modes and settling of all machines, asked once a batch. Scores nothing: it is a detector to be kept like one."""

    scope = Scope.MACHINE

    def __init__(self, young_until_us: int | None = None) -> None:
        self.modes = Modes(young_until_us)
        self._settling = Settling()
        self._state = Memory(
            "in mode 1",
            {"shut": np.bool_(False), "lot": np.int8(0), "waits": np.bool_(False), "came_us": _LONG_AGO},
        )
        self._heard: tuple[Batch, Sight] = (Batch.empty(), _ALL)
        # By machine: what `came_us` was from when on, where it changed within the batch.
        self._came: dict[int, tuple[list[int], list[int]]] = {}

    def watch(self, streams: Sequence[Stream]) -> None:
        self.modes.watch(streams)
        self._settling.watch([stream for stream in streams if stream.machine in self.modes.memory])
        self._state.add(self.modes.memory.subjects.tolist())

    def score(self, batch: Batch, now_us: int) -> Scores:
        self.sight(batch)
        nothing = Batch.empty()
        return Scores(nothing.time_us, nothing.stream, nothing.value)

    def explain(self, subject: int) -> Evidence:
        raise KeyError("nothing is scored here")

    def snapshot(self) -> Snapshot:
        parts = {"modes": self.modes.memory, "settling": self._settling.memory, "state": self._state}
        return {f"{name}/{column}": kept for name, of in parts.items() for column, kept in of.snapshot().items()}

    def restore(self, snapshot: Snapshot) -> None:
        parts = {"modes": self.modes.memory, "settling": self._settling.memory, "state": self._state}
        for name, of in parts.items():
            of.restore({key.partition("/")[2]: snapshot[key] for key in snapshot if key.startswith(f"{name}/")})

    def now(self) -> dict[int, tuple[Mode, int]]:
        """The mode of each machine that tells it, and since when, in µs."""
        return self.modes.now()

    def returned(self, machine: npt.NDArray[np.int64], time_us: npt.NDArray[np.int64]) -> Mask:
        """Whether each of these machines had just come to its level then. Shapes (N,)."""
        came_us = self._state["came_us"][: len(self._state)]
        if not len(came_us) or len(time_us) == 0:
            return np.zeros(len(time_us), bool)
        if not self._came and time_us.min() >= came_us.max() + RETURN_US:
            return np.zeros(len(time_us), bool)
        order = np.argsort(self._state.subjects)
        at = order[np.searchsorted(self._state.subjects[order], machine).clip(max=len(order) - 1)]
        came_us = np.where(self._state.subjects[at] == machine, came_us[at], _LONG_AGO)
        for one, (since_us, was_us) in self._came.items():
            mine = machine == one
            came_us[mine] = np.array(was_us)[np.searchsorted(since_us, time_us[mine], side="right") - 1]
        recent: Mask = time_us < came_us + RETURN_US
        return recent

    def notices_us(self, machine: int) -> int:
        """For how long what departs may yet be a load step of this machine, in µs."""
        return self.modes.notices_us(machine)

    def lot(self, machine: int) -> int:
        """The number of the level that a machine is at, or was at last."""
        return int(self._state["lot"][self._state.row(machine)]) if machine in self._state else 0

    def sight(self, batch: Batch) -> Sight:
        """Take a batch in, unless it was just taken in."""
        if self._heard[0] is not batch:
            self._heard = batch, self._look(batch) if len(batch) else _ALL
        return self._heard[1]

    def _look(self, batch: Batch) -> Sight:
        self._came = {}
        turns = self.modes.follow(batch)
        starts = batch.starts()
        row = self.modes.rows(batch.stream[starts])
        state, known = self._state, row >= 0
        shut, lot, waits = (known & (state[name][row] != 0) for name in ("shut", "lot", "waits"))
        if not turns and not shut.any() and not lot.any() and not waits.any():
            return _ALL
        counts = np.diff(np.append(starts, len(batch)))
        # A machine whose tell-tales have fallen silent is not known to stand any more.
        lost = batch.time_us > np.repeat(self.modes.heard_us(row), counts) + _LOST_US
        settled = ~np.repeat(shut, counts) | lost
        steady, lots = settled.copy(), np.repeat(np.where(known, state["lot"][row], 0), counts).astype(np.int32)
        left = {}
        for one in {*turns, *row[waits].tolist()}:
            segments = np.flatnonzero(row == one)
            where = [slice(int(starts[s]), int(starts[s] + counts[s])) for s in segments]
            self._walk(one, turns.get(one, []), batch, where, settled, steady, lots)
            for turn in turns.get(one, []):
                if turn.level == NONE:
                    left[int(self.modes.memory.subjects[one])] = turn.at_us, turn.held_us
        return Sight(settled, steady, lots, left)

    def _walk(
        self,
        row: int,
        turns: Sequence[Turn],
        batch: Batch,
        where: Sequence[slice],
        settled: Mask,
        steady: Mask,
        lots: Lots,
    ) -> None:
        """One machine from turn to turn."""
        state, machine = self._state, int(self.modes.memory.subjects[row])
        self._came[machine] = [_EVER], [int(state["came_us"][row])]
        points = [point.id for point in self.modes.points(machine)]
        ends_us = [*(turn.at_us for turn in turns), np.iinfo(np.int64).max]
        at = [part.start for part in where]
        for number, end_us in enumerate(ends_us):
            until = [
                start + int(np.searchsorted(batch.time_us[start : part.stop], end_us))
                for start, part in zip(at, where, strict=True)
            ]
            parts = [slice(start, stop) for start, stop in zip(at, until, strict=True) if stop > start]
            self._stretch(row, points, parts, batch, settled, steady, lots)
            at = until
            if number < len(turns):
                turn = turns[number]
                state["shut"][row] = turn.level == NONE or turn.off
                if turn.level != NONE and not turn.off:
                    state["lot"][row] = turn.level
                    if turn.undone:
                        self._settling.end(points)
                        state["waits"][row] = False
                        self._comes(row, turn.at_us, int(_LONG_AGO))
                    if turn.fresh:
                        self._settling.begin(points, turn.at_us)
                        state["waits"][row] = True
                        self._comes(row, turn.at_us, turn.at_us)

    def _stretch(
        self,
        row: int,
        points: Sequence[int],
        parts: Sequence[slice],
        batch: Batch,
        settled: Mask,
        steady: Mask,
        lots: Lots,
    ) -> None:
        """One machine between two turns."""
        state = self._state
        shut, waits = bool(state["shut"][row]), bool(state["waits"][row])
        settled_us = 0
        for part in parts:
            lots[part] = state["lot"][row]
            settled[part] = steady[part] = not shut
            if waits and not shut:
                said = self._settling.settled(int(batch.stream[part.start]), batch.time_us[part], batch.value[part])
                settled[part] = said
                settled_us = max(settled_us, int(batch.time_us[part][said][0]) if said.any() else 0)
        if waits and not shut and parts:
            still = self._settling.waits(points)
            for part in parts:
                steady[part] = False if still else batch.time_us[part] >= settled_us
            state["waits"][row] = still
            if not still:
                self._comes(row, settled_us, max(int(state["came_us"][row]), settled_us))

    def _comes(self, row: int, at_us: int, came_us: int) -> None:
        """From a time on a machine has come to its level at another."""
        if came_us != self._state["came_us"][row]:
            self._state["came_us"][row] = came_us
            since_us, was_us = self._came[int(self.modes.memory.subjects[row])]
            since_us.append(at_us)
            was_us.append(came_us)
