"""Detectors that learn what is normal, by operating mode: each level has its own normal, and standing still has none.

Between the readings and a detector: readings of a machine that stands or changes do not reach it, nor those that come
before their point has settled; at each level of a machine's load the detector knows the machine by another number, so
that it learns each level apart. What it said of a level stands until it speaks of that level again: an alarm does not
return because the load was changed, or the machine stopped.

Limits, impossible values and silence need none of this: what they say holds whatever the machine is doing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from detectors.compensation import Compensated
from detectors.scores import Detector, Evidence, Scope, Scores, Snapshot
from detectors.traits import AT_EACH_LEVEL, COMPENSATED, WHILE_RUNNING
from detectors.watchman import Lots, Mask, Sight, Watchman
from telemetry import Batch, Stream

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
# Where a machine loads and unloads, and its load steps, a step is known by the means of minutes: what departs counts
# when it has lasted for longer than that takes. Shorter, and each step is told; longer, and faults are told later.
_WAIT_US, _NOT_YET = 480_000_000, 0.99
_EVER = np.iinfo(np.int64).min


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
    """

    def __init__(self, detector: Detector, watchman: Watchman, roll: Roll, apart: bool = True) -> None:
        self.scope = detector.scope
        self._detector, self._watchman, self._roll, self._apart = detector, watchman, roll, apart
        self._lots: set[tuple[int, int]] = set()
        self._known: set[int] = set()  # the numbers of streams at other levels than the first
        # Subjects at a level that have departed: since when, until when that stands, and how far.
        self._open: dict[int, tuple[int, int, float]] = {}
        self._waits: dict[int, int] = {}  # those that may yet be a load step: since when they have departed
        self._returned: set[int] = set()  # those that departed when their machine had just come to a level

    def watch(self, streams: Sequence[Stream]) -> None:
        self._detector.watch(streams)
        self._roll.add(streams)
        for machine, lot in sorted(self._lots):
            fresh = [_at_level(stream, lot) for stream in streams if stream.machine == machine]
            self._known.update(stream.id for stream in fresh)
            self._detector.watch(fresh)

    def score(self, batch: Batch, now_us: int) -> Scores:
        sight = self._watchman.sight(batch)
        heard = sight.steady if self.scope is Scope.MACHINE else sight.settled
        batch, lot = (batch, sight.lot) if heard is None else (batch.where(heard), _of(sight.lot, heard))
        if self._apart and lot is not None and lot.any():
            batch = self._by_level(batch, lot)
        scores = self._detector.score(batch, now_us)
        return self._told(scores, sight)

    def explain(self, subject: int) -> Evidence:
        """Of a departure, at the level where it is; else at the present one."""
        departed = [known for known in self._open if known % LOT == subject]
        machine = self._machine(subject)
        lot = self._watchman.lot(machine) if self._apart else 0
        present = subject + LOT * lot if (machine, lot) in self._lots else subject
        return self._detector.explain(max(departed, key=lambda known: self._open[known][2], default=present))

    def snapshot(self) -> Snapshot:
        return {
            **self._detector.snapshot(),
            "in_mode/lots": np.array(sorted(self._lots), np.int64).reshape(-1, 2),
            "in_mode/open": np.array(
                [(subject, since, until) for subject, (since, until, _) in sorted(self._open.items())], np.int64
            ).reshape(-1, 3),
            "in_mode/waits": np.array(sorted(self._waits.items()), np.int64).reshape(-1, 2),
            "in_mode/returned": np.array(sorted(self._returned), np.int64),
            "in_mode/score": np.array([score for _, (_, _, score) in sorted(self._open.items())], np.float64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """A memory from before there were modes is taken over as that of the first level."""
        own = {name: kept for name, kept in snapshot.items() if name.startswith("in_mode/")}
        if own:
            known = [(int(m), int(lot)) for m, lot in own["in_mode/lots"] if int(m) in self._roll.streams]
            self._know(known)
            told = self._told_of(snapshot)
            self._open = {subject: each for subject, each in self._open.items() if subject % LOT not in told}
            self._open |= {
                int(subject): (int(since), int(until), float(score))
                for (subject, since, until), score in zip(own["in_mode/open"], own["in_mode/score"], strict=True)
                if self._knows(int(subject))
            }
            self._waits = {subject: since for subject, since in self._waits.items() if subject % LOT not in told}
            waits = own.get("in_mode/waits", np.empty((0, 2), np.int64)).tolist()
            self._waits |= {subject: since for subject, since in waits if self._knows(subject)}
            self._returned = {subject for subject in self._returned if subject % LOT not in told}
            self._returned |= {int(one) for one in own["in_mode/returned"] if self._knows(int(one))}
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

    def _told(self, scores: Scores, sight: Sight) -> Scores:
        """What was said, of the subjects as others know them."""
        score = self._waited(scores, self._weighed(scores))
        for known in [known for known in self._waits if self._machine(known) in sight.left]:
            del self._waits[known]
        levels = bool((scores.subject >= LOT).any())
        subject = scores.subject % LOT if levels else scores.subject
        scores = scores if score is scores.score else Scores(scores.time_us, scores.subject, score)
        hot = set(scores.subject[score >= 1.0].tolist())
        if hot or self._open:
            score = self._hold(scores, hot)
        time_us = scores.time_us
        if sight.left and self._open:
            subject, time_us, score = self._take_back(sight.left, subject, time_us, score)
            levels = True
        if not levels:
            return scores if score is scores.score else Scores(time_us, subject, score)
        order = np.lexsort((time_us, subject))
        return Scores(time_us[order], subject[order], score[order])

    def _weighed(self, scores: Scores) -> npt.NDArray[np.float64]:
        """The scores, less for what departed when its machine had just come to a level."""
        hot = np.flatnonzero(scores.score >= 1.0)
        if not len(hot) and not self._returned:
            return scores.score
        score = scores.score.copy()
        machines = np.array([self._machine(known) for known in scores.subject[hot].tolist()], np.int64)
        recent = set(scores.subject[hot[self._watchman.returned(machines, scores.time_us[hot])]].tolist())
        for known in sorted(self._returned | recent):
            rows = np.arange(*np.searchsorted(scores.subject, [known, known + 1]))
            rows = rows[~np.isnan(scores.score[rows])]
            if not len(rows):
                continue
            away = scores.score[rows] >= 1.0
            soon = self._watchman.returned(np.full(len(rows), self._machine(known)), scores.time_us[rows])
            # Where each row's departure began: before these rows, as it was then.
            soon[0] = known in self._returned or (soon[0] and known not in self._open)
            began = np.maximum.accumulate(np.where(away, 0, np.arange(len(rows)) + 1)).clip(max=len(rows) - 1)
            lasting = away & soon[began]
            (self._returned.add if lasting[-1] else self._returned.discard)(known)
            score[rows[lasting]] *= _RETURN_WEIGHT
        return score

    def _waited(self, scores: Scores, score: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The scores, just below 1 for what may yet turn out to be a load step."""
        hot = set(scores.subject[score >= 1.0].tolist())
        hot = {known for known in hot if self._watchman.modes.steps(self._machine(known))}
        if not hot and not self._waits:
            return score
        score = score.copy()
        for known in sorted(hot | self._waits.keys()):
            rows = np.arange(*np.searchsorted(scores.subject, [known, known + 1]))
            rows = rows[~np.isnan(score[rows])]
            if not len(rows):
                continue
            time_us, away = scores.time_us[rows], score[rows] >= 1.0
            began_us = np.where(away & ~np.append(False, away[:-1]), time_us, _EVER)
            if away[0] and (known in self._waits or known in self._open):
                began_us[0] = self._waits[known] if known in self._waits else self._open[known][0]
            began_us = np.maximum.accumulate(began_us)
            score[rows[away & (time_us < began_us + _WAIT_US)]] = _NOT_YET
            self._waits.pop(known, None)
            if away[-1]:
                self._waits[known] = int(began_us[-1])
        return score

    def _hold(self, scores: Scores, hot: set[int]) -> npt.NDArray[np.float64]:
        """Note who has departed at which level; a departure at another level than the present one stands."""
        score = scores.score.copy()
        for known in sorted({*hot, *self._open}):
            rows = slice(*np.searchsorted(scores.subject, [known, known + 1]))
            said = np.flatnonzero(~np.isnan(scores.score[rows]))
            if not len(said):
                continue
            mine, time_us = scores.score[rows][said], scores.time_us[rows][said]
            if mine[-1] < 1.0:
                self._open.pop(known, None)
                continue
            below = np.flatnonzero(mine < 1.0)
            began = known not in self._open or len(below)
            since_us = int(time_us[below[-1] + 1 if len(below) else 0]) if began else self._open[known][0]
            self._open[known] = since_us, int(time_us[-1]) + _STANDS_US, float(mine[-1])
        for known, (_, until_us, height) in self._open.items():
            for other in self._at_other_levels(known):
                rows = slice(*np.searchsorted(scores.subject, [other, other + 1]))
                stands = scores.time_us[rows] <= until_us
                score[rows][stands] = np.maximum(score[rows][stands], height)
        return score

    def _at_other_levels(self, known: int) -> list[int]:
        subject, machine = known % LOT, self._machine(known)
        lots = [0, *(lot for of, lot in self._lots if of == machine)] if self._lots else [0]
        return [subject + LOT * lot for lot in lots if subject + LOT * lot != known]

    def _take_back(
        self,
        left: Mapping[int, tuple[int, int]],
        subject: npt.NDArray[np.int32],
        time_us: npt.NDArray[np.int64],
        score: npt.NDArray[np.float64],
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """What departed while the machine began to change was the change; what came after it has come back is not."""
        for known, (since_us, _, _) in list(self._open.items()):
            one = known % LOT
            at_us, held_us = left.get(self._machine(one), (0, since_us + 1))
            if not held_us <= since_us <= at_us:
                continue
            del self._open[known]
            latest_us = int(time_us[subject == one].max(initial=at_us - 1))
            subject = np.append(subject, np.int32(one))
            time_us = np.append(time_us, max(at_us, latest_us + 1))
            score = np.append(score, 0.0)
        return subject, time_us, score


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


def _of(lot: Lots | None, heard: Mask) -> Lots | None:
    return None if lot is None else lot[heard]


def _at_level(stream: Stream, lot: int) -> Stream:
    return replace(stream, id=stream.id + LOT * lot, machine=stream.machine + LOT * lot)
