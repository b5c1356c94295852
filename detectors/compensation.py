"""What a temperature owes to the air around its machine and to the machine's load, taken out before it is judged.

A bearing is as warm as the air, and by what its load makes it warmer, some time later. Where a machine has a point for
the air, or one that tells its load (`modes`), each of its temperatures learns from both, smoothed as its own mass
smooths them, how much of it they explain: recursively, by a sample every twenty minutes, from readings that count only
as far as they are like the others. What is explained is taken out as soon as that has foretold the samples to come for
a day, little by little, so that no step is made of it; nothing changes where it explains less than it should.

Fails where the air is measured elsewhere or by a sensor that drifts, and hides of a fault what it does to the load
itself, as far as load warms in health.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from detectors.compensation_steps import AIR, EMPTY, LOAD, TEMPERATURE, Around, Fitted, follow, owed
from detectors.memory import Memory
from detectors.modes import tell_tales
from detectors.rounds import lengths
from detectors.scores import Detector, Evidence, Scores, Snapshot
from telemetry import Batch, Stream, quantity_of

# By which tell-tale a machine's load is known, the first that it has: effort, throughput, speed.
_BY = (1, 2, 0)
_MAY_HAVE_A_PART = frozenset(
    ["temperature", "speed", "power", "torque", "current", "apparent_power", "flow", "mass_flow"]
)
_AMBIENT = re.compile(r"\bambient|\boutdoor|\boutside|\bweather")


class Compensation:
    """What air and load make of temperatures. State: 63 bytes a temperature, 56 a machine."""

    def __init__(self) -> None:
        self._points: dict[int, list[Stream]] = {}  # by machine: those that may have a part in this
        nothing: dict[str, npt.ArrayLike] = {
            "cause": np.full(2, -1, np.int32),
            "smooth": np.zeros(2),
            "before": np.zeros(2),
            "heard_us": np.full(2, -1, np.int64),
        }
        self._around = Memory("air and load 1", nothing)
        self._fitted = Memory("compensation 1", EMPTY)
        # Of streams that have a part, in order of their numbers: which, and whose row in either memory.
        self._ids = np.empty(0, np.int32)
        self._parts = np.empty((0, 3), np.intp)

    def watch(self, streams: Sequence[Stream]) -> None:
        for stream in streams:
            # In a recording, what a channel measures is told by its name alone.
            if stream.quantity == "unknown":
                stream = replace(stream, quantity=quantity_of(stream.point).name)  # noqa: PLW2901
            if stream.quantity in _MAY_HAVE_A_PART:
                others = [one for one in self._points.get(stream.machine, []) if one.id != stream.id]
                self._points[stream.machine] = [*others, stream]
        parts: dict[int, tuple[int, int, int]] = {}
        for machine in dict.fromkeys(stream.machine for stream in streams):
            parts |= self._assigned(machine)
        if parts:
            fresh = np.array(list(parts.values()), np.intp)
            kept = ~np.isin(self._parts[:, 2], fresh[:, 2])
            ids = np.concatenate((self._ids[kept], np.array(list(parts), np.int32)))
            order = np.argsort(ids)
            self._ids, self._parts = ids[order], np.concatenate((self._parts[kept], fresh))[order]
            self._welcome()

    def without(self, batch: Batch) -> tuple[Batch, npt.NDArray[np.bool_]]:
        """Learn from readings; the same, each temperature without what air and load make of it.

        Beside them which are to be heard, bool (N,): not the air, nor what is not yet known to be explained or not.
        """
        heard = np.ones(len(batch), bool)
        if not len(self._ids) or not len(batch):
            return batch, heard
        starts = batch.starts()
        place = np.searchsorted(self._ids, batch.stream[starts]).clip(max=len(self._ids) - 1)
        mine = np.flatnonzero(self._ids[place] == batch.stream[starts])
        if not len(mine):
            return batch, heard
        counts = lengths(starts, len(batch))[mine]
        part, row, machine = np.repeat(self._parts[place[mine]], counts, axis=0).T
        item = np.repeat(starts[mine] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        order = np.lexsort((batch.time_us[item], machine))
        value = batch.value.copy()
        around, fitted = self._around.columns(Around), self._fitted.columns(Fitted)
        follow(around, fitted, part[order], row[order], machine[order], batch.time_us, item[order], value, heard)
        return Batch(batch.time_us, batch.stream, value, batch.quality), heard

    def owed(self, stream: int) -> float:
        """What is taken out of a stream now, in its own unit."""
        at = int(np.searchsorted(self._ids, stream))
        if at == len(self._ids) or self._ids[at] != stream or self._parts[at, 0] != TEMPERATURE:
            return 0.0
        _, row, machine = self._parts[at].tolist()
        return float(owed(self._fitted.columns(Fitted), row, self._around["smooth"][machine]))

    def snapshot(self) -> Snapshot:
        parts = {"around": self._around, "fitted": self._fitted}
        return {f"{name}/{column}": kept for name, of in parts.items() for column, kept in of.snapshot().items()}

    def restore(self, snapshot: Snapshot) -> None:
        for name, of in (("around", self._around), ("fitted", self._fitted)):
            of.restore({key.partition("/")[2]: snapshot[key] for key in snapshot if key.startswith(f"{name}/")})
        self._welcome()

    def _assigned(self, machine: int) -> dict[int, tuple[int, int, int]]:
        """Which part each point of a machine has, and whose rows are theirs; none where nothing can be explained."""
        points = self._points.get(machine, [])
        air = next((point for point in points if is_air(point)), None)
        tales = tell_tales(points)
        load = next((tales[slot] for slot in _BY if slot in tales), None)
        temperatures = [point for point in points if point.quantity == "temperature" and not is_air(point)]
        if not temperatures or (air is None and load is None):
            return {}
        self._around.add([machine])
        self._fitted.add([point.id for point in temperatures])
        row = self._around.row(machine)
        parts = {point.id: (TEMPERATURE, self._fitted.row(point.id), row) for point in temperatures}
        return parts | {point.id: (part, part, row) for part, point in ((AIR, air), (LOAD, load)) if point}

    def _welcome(self) -> None:
        """Wait for a cause that is new to its machine; what was learnt without it does not hold with it."""
        part, row, machine = self._parts.T
        causes = np.flatnonzero(part != TEMPERATURE)
        known = self._around["cause"][machine[causes], part[causes]]
        fresh = causes[known != self._ids[causes]]
        if len(fresh):
            self._around["cause"][machine[fresh], part[fresh]] = self._ids[fresh]
            for name, unheard in (("smooth", np.nan), ("before", np.nan), ("heard_us", -1)):
                self._around[name][machine[fresh], part[fresh]] = unheard
            of_them = row[(part == TEMPERATURE) & np.isin(machine, machine[fresh])]
            for name, empty in EMPTY.items():
                self._fitted[name][of_them] = empty


class Compensated:
    """A detector of each stream that hears temperatures without what air and load make of them.

    The air itself it does not hear: weather is no fault, and what its sensor does wrong is told by who judges sensors.
    Nor does it hear a temperature until it is known what explains it: two days at most where readings come by the
    twenty minutes or faster.
    """

    _OWN = "compensation/"

    def __init__(self, detector: Detector) -> None:
        self.scope = detector.scope
        self._detector = detector
        self._compensation = Compensation()

    def watch(self, streams: Sequence[Stream]) -> None:
        self._detector.watch(streams)
        self._compensation.watch(streams)

    def score(self, batch: Batch, now_us: int) -> Scores:
        known, heard = self._compensation.without(batch)
        said = self._detector.score(known.where(heard), now_us)
        if heard.all():
            return said
        score = np.full(len(batch), np.nan)
        score[heard] = said.score
        return Scores(batch.time_us, batch.stream, score)

    def explain(self, subject: int) -> Evidence:
        """In the temperature's own unit: what air and load make of it now is in the band."""
        told, owed = self._detector.explain(subject), self._compensation.owed(subject)
        return replace(
            told,
            observed=told.observed + owed,
            expected=told.expected + owed,
            low=told.low + owed,
            high=told.high + owed,
        )

    def snapshot(self) -> Snapshot:
        own = {self._OWN + name: kept for name, kept in self._compensation.snapshot().items()}
        return {**self._detector.snapshot(), **own}

    def restore(self, snapshot: Snapshot) -> None:
        """A memory from before there was compensation is taken over as it is."""
        own = {name: kept for name, kept in snapshot.items() if name.startswith(self._OWN)}
        self._detector.restore({name: kept for name, kept in snapshot.items() if name not in own})
        if own:
            self._compensation.restore({name.removeprefix(self._OWN): kept for name, kept in own.items()})


def is_air(stream: Stream) -> bool:
    """Whether a stream is the temperature of the air around a machine: what it does is the weather's."""
    if stream.quantity != "temperature":
        return False
    return _AMBIENT.search(stream.point.lower().replace("_", " ").replace("-", " ")) is not None
