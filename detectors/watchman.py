"""Modes and settling of all machines, put together: which readings tell a detector that learns what is normal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors.changes import Turn
from detectors.levels import NONE
from detectors.memory import Memory, Rows
from detectors.modes import Mode, Modes
from detectors.scores import Evidence, Scope, Scores, Snapshot
from detectors.settling import Settling
from detectors.stretches import Lots, Mask, Noted, Seen, Sight, split
from detectors.swings import NOTICES_US
from telemetry import Batch, Stream

# For so long after a change, and after all its points have settled, a machine has just come to its level.
RETURN_US = 7_200_000_000
# Nothing heard of a tell-tale for so long. Shorter, and those that report by the hour are lost in between.
_LOST_US = 4 * 3_600_000_000

Times = npt.NDArray[np.int64]

_LONG_AGO = np.int64(-RETURN_US)
_EVER, _NEVER = int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)


class Watchman:
    """Modes and settling of all machines, asked once a batch. Scores nothing: it is a detector to be kept like one."""

    scope = Scope.MACHINE

    def __init__(self, young_until_us: int | None = None) -> None:
        self.modes = Modes(young_until_us)
        self._settling = Settling()
        self._state = Memory(
            "in mode 1",
            {
                "shut": np.bool_(False),
                "lot": np.int8(0),
                "waits": np.bool_(False),
                "came_us": _LONG_AGO,
                "heard_us": np.int64(-1),  # of its tell-tales
            },
        )
        self._heard: tuple[Batch, Sight] = (Batch.empty(), Sight())

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
        """In a memory from before it was kept when tell-tales spoke last, when they were last at rest stands for it."""
        if "state/subject" in snapshot:
            snapshot = {"state/heard_us": np.full(len(snapshot["state/subject"]), -1), **snapshot}
        parts = {"modes": self.modes.memory, "settling": self._settling.memory, "state": self._state}
        for name, of in parts.items():
            of.restore({key.partition("/")[2]: snapshot[key] for key in snapshot if key.startswith(f"{name}/")})

    def now(self) -> dict[int, tuple[Mode, int]]:
        """The mode of each machine that tells it, and since when, in µs."""
        return self.modes.now()

    def came_us(self, machine: int) -> int:
        """When a machine came to its level, or had settled there: for `RETURN_US` it has just come."""
        return int(self._state["came_us"][self._state.row(machine)] if machine in self._state else _LONG_AGO)

    def notices_us(self, machine: int) -> int:
        """For how long what departs may yet be a load step of this machine, in µs."""
        memory = self.modes.memory
        return NOTICES_US * int(memory["steps"][memory.row(machine)]) if machine in memory else 0

    def lot(self, machine: int) -> int:
        """The number of the level that a machine is at, or was at last."""
        return int(self._state["lot"][self._state.row(machine)]) if machine in self._state else 0

    def sight(self, batch: Batch) -> Sight:
        """Take a batch in, unless it was just taken in."""
        if self._heard[0] is not batch:
            self._heard = batch, self._look(batch) if len(batch) else Sight()
        return self._heard[1]

    def _look(self, batch: Batch) -> Sight:
        starts = batch.starts()
        row = self.modes.rows(batch.stream[starts])
        counts = np.diff(np.append(starts, len(batch)))
        last = starts + counts - 1
        heard_us, steps = self._hear(batch, last, row), self.modes.memory["steps"].copy()
        turns = self.modes.follow(batch)
        state, known = self._state, row >= 0
        shut, lot, waits = (known & (state[name][row] != 0) for name in ("shut", "lot", "waits"))
        if not turns and not shut.any() and not lot.any() and not waits.any():
            return Sight()

        def parts_of(one: int) -> list[slice]:
            return [slice(int(starts[segment]), int(last[segment]) + 1) for segment in np.flatnonzero(row == one)]

        lost = np.zeros(len(batch), bool)
        silent = known & (batch.time_us[last] > heard_us + _LOST_US)
        for one in {*row[silent].tolist()} & {*turns, *row[shut].tolist()}:
            self._lose(batch, parts_of(one), int(heard_us[row == one][0]), lost)
        lots = np.repeat(np.where(known, state["lot"][row], 0), counts).astype(np.int32)
        seen = Seen(batch, lost, ~np.repeat(shut, counts) | lost, lots)
        for one in {*turns, *row[waits].tolist()}:
            self._walk(one, turns.get(one, []), bool(steps[one]), parts_of(one), seen)
        return seen.sight()

    def _hear(self, batch: Batch, last: Rows, row: Lots) -> Times:
        """When the tell-tales of each stream's machine had spoken last before this batch; in which they may again."""
        state = self._state
        heard_us: Times = np.maximum(state["heard_us"][row], self.modes.heard_us(row))
        tells = self.modes.tells(batch.stream[last])
        np.maximum.at(state["heard_us"], row[tells], batch.time_us[last[tells]])
        return heard_us

    def _lose(self, batch: Batch, parts: Sequence[slice], before_us: int, lost: Mask) -> None:
        """A machine whose tell-tales have fallen silent is not known to stand any more."""
        tells = self.modes.tells(batch.stream[[part.start for part in parts]])
        told = [batch.time_us[part] for part, is_tale in zip(parts, tells.tolist(), strict=True) if is_tale]
        heard_us = np.sort(np.concatenate([np.array([before_us]), *told]))
        for part in parts:
            latest = np.searchsorted(heard_us, batch.time_us[part], side="right") - 1
            lost[part] = batch.time_us[part] > heard_us[latest.clip(min=0)] + _LOST_US

    def _walk(self, row: int, turns: Sequence[Turn], steps: bool, parts: Sequence[slice], seen: Seen) -> None:
        """One machine from turn to turn. `steps` as of `Turn`, before the first."""
        points = [point.id for point in self.modes.points(int(self.modes.memory.subjects[row]))]
        number, rest = 0, parts
        self._tell(row, steps, seen.stretch(number))
        for turn in turns:
            here, rest = split(seen.batch, rest, turn.at_us)
            number, steps = self._stay(row, points, steps, here, number, seen) + bool(here), turn.steps
            self._turn(row, points, turn)
            self._tell(row, steps, seen.stretch(number), turn)
        self._stay(row, points, steps, rest, number, seen)

    def _turn(self, row: int, points: Sequence[int], turn: Turn) -> None:
        state = self._state
        state["shut"][row] = turn.level == NONE or turn.off
        if turn.level != NONE and not turn.off:
            state["lot"][row] = turn.level
            if turn.undone:
                self._settling.end(points)
                state["waits"][row], state["came_us"][row] = False, _LONG_AGO
            if turn.fresh:
                self._settling.begin(points, turn.at_us)
                state["waits"][row], state["came_us"][row] = True, turn.at_us

    def _tell(self, row: int, steps: bool, stretch: Noted, turn: Turn | None = None) -> None:
        """What holds of a machine in a stretch, and whether it leaves a level as that begins."""
        machine = int(self.modes.memory.subjects[row])
        stretch.came_us[machine] = int(self._state["came_us"][row])
        stretch.notices_us[machine] = NOTICES_US * steps
        if turn is not None and turn.level == NONE:
            stretch.left[machine] = turn.at_us, turn.held_us

    def _stay(
        self, row: int, points: Sequence[int], steps: bool, parts: Sequence[slice], number: int, seen: Seen
    ) -> int:
        """One machine between two turns; the number of the stretch that it is in at last."""
        state = self._state
        shut, waits = bool(state["shut"][row]), bool(state["waits"][row])
        for part in parts:
            seen.lot[part] = state["lot"][row]
            seen.settled[part] = seen.steady[part] = seen.lost[part] if shut else True
        seen.put(parts, number)
        if shut or not waits or not parts:
            return number
        settled_us = self._settle(points, parts, seen)
        before, since = split(seen.batch, parts, settled_us)
        for part in before:
            seen.steady[part] = False
        if since:
            state["waits"][row], state["came_us"][row] = False, max(int(state["came_us"][row]), settled_us)
            number += bool(before)
            seen.put(since, number)
            self._tell(row, steps, seen.stretch(number))
        return number

    def _settle(self, points: Sequence[int], parts: Sequence[slice], seen: Seen) -> int:
        """Which readings of a machine that waits come after their point has settled.

        Returns when all of the points had that had spoken by then, `_NEVER` where that is not yet: those that speak
        for the first time afterwards are not waited for.
        """
        batch, waiting = seen.batch, self._settling.waiting(points)
        spoken = {int(batch.stream[part.start]) for part in parts}
        until_us = _EVER if waiting <= spoken else _NEVER
        for part in sorted(
            parts, key=lambda part: (batch.stream[part.start] not in waiting, batch.time_us[part.start])
        ):
            stream, time_us = int(batch.stream[part.start]), batch.time_us[part]
            if stream not in waiting and _EVER < until_us < time_us[0]:
                break
            seen.settled[part] = said = self._settling.settled(stream, time_us, batch.value[part])
            until_us = max(until_us, int(time_us[said][0]) if said.any() else _NEVER)
        return until_us
