"""Detectors that learn what is normal, by operating mode: each level has its own normal, and standing still has none.

Between the readings and a detector: readings of a machine that stands or changes do not reach it, nor those that come
before their point has settled; at each level of a machine's load the detector knows the machine by another number, so
that it learns each level apart. What it said of a level stands until it speaks of that level again: an alarm does not
return because the load was changed, or the machine stopped.

Limits, impossible values and silence need none of this: what they say holds whatever the machine is doing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from detectors.compensation import Compensated
from detectors.scores import Detector, Evidence, Scope, Scores, Snapshot
from detectors.stretches import Lots, Sight, Stretch
from detectors.traits import AT_EACH_LEVEL, COMPENSATED, WHILE_RUNNING
from detectors.watchman import RETURN_US, Watchman
from telemetry import Batch, Stream

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

# The watchman's name among the detectors.
MODES = "modes"
# A machine or stream at level k is known to a detector by its number and k times this.
LOT = 1 << 26
# What was said of a level that the machine no longer comes to is forgotten when a departure would be accepted.
_STANDS_US = 259_200_000_000
# A machine that has come to a level is not quite as it was there last: it is another time of the day. What departs then
# counts so much, for as long as it lasts. Nearer to 1, and every return of a bearing's temperature is told; nearer to
# 0, and the fault that a machine starts with is seen late.
_RETURN_WEIGHT = 0.5
# What may yet turn out to be a load step counts as barely none.
_NOT_YET = 0.99


@dataclass(frozen=True, slots=True)
class Departure:
    """Of one subject at one level.

    Attributes
    ----------
    since_us, until_us : int
        Since when, and until when it stands though nothing more is said of that level.
    score : float
        As it counts.
    returned : bool
        The machine had just come to the level when it began.
    """

    since_us: int
    until_us: int
    score: float
    returned: bool


class Roll:
    """The streams of each machine, once for all detectors under one watchman."""

    def __init__(self) -> None:
        self.streams: dict[int, list[Stream]] = {}  # by machine
        self.machine: dict[int, int] = {}  # by stream
        self._added: Sequence[Stream] = ()

    def add(self, streams: Sequence[Stream]) -> None:
        """Take streams in, unless they were just taken in."""
        if streams is self._added:
            return
        self._added = streams
        for stream in streams:
            others = [one for one in self.streams.get(stream.machine, []) if one.id != stream.id]
            self.streams[stream.machine] = [*others, stream]
            self.machine[stream.id] = stream.machine


class InMode:
    """A detector that hears of a machine only what it is to judge, level by level.

    Parameters
    ----------
    apart : bool
        Whether each level has its own normal. What finds the rhythm of a machine's days has its loads in it.
    lasting_us : int
        What had departed for less than that when its machine left the level is taken back (recordings, where single
        rows may be in alarm).
    """

    def __init__(
        self, detector: Detector, watchman: Watchman, roll: Roll, apart: bool = True, lasting_us: int = 0
    ) -> None:
        self._lasting_us = lasting_us
        self.scope = detector.scope
        self._detector, self._watchman, self._roll, self._apart = detector, watchman, roll, apart
        self._lots: set[tuple[int, int]] = set()
        self._known: set[int] = set()  # the numbers of streams at other levels than the first
        self._open: dict[int, Departure] = {}

    def watch(self, streams: Sequence[Stream]) -> None:
        self._detector.watch(streams)
        self._roll.add(streams)
        for machine, lot in sorted(self._lots):
            fresh = [_at_level(stream, lot) for stream in streams if stream.machine == machine]
            self._known.update(stream.id for stream in fresh)
            self._detector.watch(fresh)

    def score(self, batch: Batch, now_us: int) -> Scores:
        sight = self._watchman.sight(batch)
        return _together([self._of_stretch(batch, sight, stretch, now_us) for stretch in sight.stretches])

    def explain(self, subject: int) -> Evidence:
        """Of a departure, at the level where it is; else at the present one."""
        departed = [known for known in self._open if known % LOT == subject]
        machine = self._machine(subject)
        lot = self._watchman.lot(machine) if self._apart else 0
        present = subject + LOT * lot if (machine, lot) in self._lots else subject
        return self._detector.explain(max(departed, key=lambda known: self._open[known].score, default=present))

    def snapshot(self) -> Snapshot:
        return {
            **self._detector.snapshot(),
            "in_mode/lots": np.array(sorted(self._lots), np.int64).reshape(-1, 2),
            "in_mode/open": np.array(
                [(subject, each.since_us, each.until_us) for subject, each in sorted(self._open.items())], np.int64
            ).reshape(-1, 3),
            "in_mode/returned": np.array(sorted(s for s, each in self._open.items() if each.returned), np.int64),
            "in_mode/score": np.array([each.score for _, each in sorted(self._open.items())], np.float64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """A memory from before there were modes is taken over as that of the first level."""
        own = {name: kept for name, kept in snapshot.items() if name.startswith("in_mode/")}
        if own:
            known = [(int(m), int(lot)) for m, lot in own["in_mode/lots"] if int(m) in self._roll.streams]
            self._know(known)
            told = self._told_of(snapshot)
            self._open = {subject: each for subject, each in self._open.items() if subject % LOT not in told}
            returned = set(own["in_mode/returned"].tolist())
            self._open |= {
                subject: Departure(since_us, until_us, score, subject in returned)
                for (subject, since_us, until_us), score in zip(
                    own["in_mode/open"].tolist(), own["in_mode/score"].tolist(), strict=True
                )
                if self._knows(subject)
            }
        self._detector.restore({name: kept for name, kept in snapshot.items() if name not in own})

    def _machine(self, subject: int) -> int:
        """Whose a subject is, at whatever level."""
        return subject % LOT if self.scope is Scope.MACHINE else self._roll.machine[subject % LOT]

    def _knows(self, subject: int) -> bool:
        of_machine = self.scope is Scope.MACHINE
        return subject % LOT in (self._roll.streams if of_machine else self._roll.machine)

    def _told_of(self, snapshot: Snapshot) -> set[int]:
        """The subjects that a memory is of: it may be of one machine among many."""
        told = (kept for name, kept in snapshot.items() if name.rpartition("/")[2] == "subject")
        return {int(one) % LOT for subjects in told for one in subjects}

    def _know(self, lots: Sequence[tuple[int, int]]) -> None:
        for machine, lot in lots:
            if (machine, lot) not in self._lots:
                self._lots.add((machine, lot))
                at_level = [_at_level(stream, lot) for stream in self._roll.streams[machine]]
                self._known.update(stream.id for stream in at_level)
                self._detector.watch(at_level)

    def _by_level(self, batch: Batch, lot: Lots) -> Batch:
        """The readings by the numbers that the detector knows them by."""
        stream = batch.stream + LOT * lot
        changes = np.flatnonzero(np.append(True, np.diff(stream) != 0))
        for known in stream[changes].tolist():
            if known >= LOT and known not in self._known:
                self._know([(self._roll.machine[known % LOT], known // LOT)])
        return Batch.of(batch.time_us, stream, batch.value, batch.quality)

    def _of_stretch(self, batch: Batch, sight: Sight, stretch: Stretch, now_us: int) -> Scores:
        heard, lot = sight.steady if self.scope is Scope.MACHINE else sight.settled, sight.lot
        if heard is not None and lot is not None:
            heard = heard if stretch.among is None else heard & stretch.among
            batch, lot = batch.where(heard), lot[heard]
            if self._apart and lot.any():
                batch = self._by_level(batch, lot)
        back = self._take_back(stretch)
        scores = self._detector.score(batch, now_us)
        score = self._counted(scores, stretch)
        if not back and not (scores.subject >= LOT).any():
            return scores if score is scores.score else Scores(scores.time_us, scores.subject, score)
        return _sorted(
            np.append(scores.time_us, np.array([at_us for _, at_us in back], np.int64)),
            np.append(scores.subject % LOT, np.array([subject for subject, _ in back], np.int32)),
            np.append(score, np.zeros(len(back))),
        )

    def _counted(self, scores: Scores, stretch: Stretch) -> Floats:
        """The scores as they count; a departure at another level than the present one stands."""
        departed = set(scores.subject[scores.score >= 1.0].tolist()) | self._open.keys()
        if not departed:
            return scores.score
        score = scores.score.copy()
        for known in sorted(departed):
            rows = np.arange(*np.searchsorted(scores.subject, [known, known + 1]))
            rows = rows[~np.isnan(score[rows])]
            if len(rows):
                score[rows] = self._of_one(known, scores.time_us[rows], score[rows], stretch)
        for known, departure in self._open.items():
            for other in self._at_other_levels(known) if departure.score >= 1.0 else []:
                there = slice(*np.searchsorted(scores.subject, [other, other + 1]))
                stands = scores.time_us[there] <= departure.until_us
                score[there][stands] = np.maximum(score[there][stands], departure.score)
        return score

    def _of_one(self, known: int, time_us: Times, score: Floats, stretch: Stretch) -> Floats:
        """One subject's scores at one level as they count, and its departure noted; neither is NaN."""
        machine, before = self._machine(known), self._open.pop(known, None)
        came_us = stretch.came_us.get(machine, self._watchman.came_us(machine))
        notices_us = stretch.notices_us.get(machine, self._watchman.notices_us(machine))
        away = score >= 1.0
        begins = away & ~np.append(False, away[:-1])
        returned = begins & (time_us < came_us + RETURN_US)
        began = np.maximum.accumulate(np.where(begins, np.arange(len(time_us)), 0))
        since_us = time_us.copy()
        if before is not None:
            since_us[0], returned[0] = before.since_us, before.returned
        since_us, returned = since_us[began], returned[began]
        score = np.where(away & returned, _RETURN_WEIGHT * score, score)
        noticed = time_us >= since_us + notices_us
        score = np.where(away & ~noticed, np.minimum(score, _NOT_YET), score)
        if away[-1]:
            until_us = int(time_us[-1]) + _STANDS_US
            self._open[known] = Departure(int(since_us[-1]), until_us, float(score[-1]), bool(returned[-1]))
        return score

    def _at_other_levels(self, known: int) -> list[int]:
        subject, machine = known % LOT, self._machine(known)
        lots = [0, *(lot for of, lot in self._lots if of == machine)] if self._lots else [0]
        return [subject + LOT * lot for lot in lots if subject + LOT * lot != known]

    def _take_back(self, stretch: Stretch) -> list[tuple[int, int]]:
        """What departed while the machine began to change was the change: subjects, and from when on they are well."""
        back = []
        for known, departure in list(self._open.items()) if stretch.left else []:
            machine = self._machine(known)
            if machine not in stretch.left:
                continue
            at_us, held_us = stretch.left[machine]
            if departure.score < 1.0:  # it had not lasted for long enough
                del self._open[known]
            elif held_us - self._lasting_us <= departure.since_us <= at_us:
                del self._open[known]
                back.append((known % LOT, at_us))
        return back


def in_mode(detectors: Mapping[str, Detector]) -> dict[str, Detector]:
    """Detectors by name, those that learn under one watchman, who comes first: as `modes`."""
    watchman, roll = Watchman(), Roll()
    return {
        MODES: watchman,
        **{
            name: InMode(
                Compensated(detector) if name in COMPENSATED else detector, watchman, roll, name in AT_EACH_LEVEL
            )
            if name in AT_EACH_LEVEL or name in WHILE_RUNNING
            else detector
            for name, detector in detectors.items()
        },
    }


def _together(told: Sequence[Scores]) -> Scores:
    if len(told) == 1:
        return told[0]
    return _sorted(
        np.concatenate([scores.time_us for scores in told]),
        np.concatenate([scores.subject for scores in told]),
        np.concatenate([scores.score for scores in told]),
    )


def _sorted(time_us: Times, subject: Lots, score: Floats) -> Scores:
    order = np.lexsort((time_us, subject))
    return Scores(time_us[order], subject[order], score[order])


def _at_level(stream: Stream, lot: int) -> Stream:
    return replace(stream, id=stream.id + LOT * lot, machine=stream.machine + LOT * lot)
