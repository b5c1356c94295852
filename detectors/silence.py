"""Silence: nothing heard from a machine, or from one of its points, for longer than its own rhythm.

Judged by arrival, on every batch and on the empty ones. A device that gathers an hour of readings and then sends them
is not silent in between: both the gaps between arrivals and how long readings were held back before they came are
learnt. What its owner says of its rhythm stands above what was learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.memory import Beside, Memory, Rows
from detectors.rounds import lengths
from detectors.scores import Evidence, Scope, Scores, Snapshot
from telemetry import Batch, Stream

# Gaps are counted in classes half an octave wide, from one second to a year.
_CLASSES = 50
_SHORTEST_US = 1e6
# Counts are halved at this sum, so that a rhythm is forgotten after a few thousand arrivals in another one.
_FULL = 512
# A gap counts this much, so that halves of it are whole numbers, and as much as fills fits two bytes.
_GAP = 64

_NEVER = np.int64(-1)
_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """How machines as a whole stand, by machine, shape (M,): silent only where nothing at all is heard.

    Attributes
    ----------
    machine : int32
        In rising order, as in the scores.
    heard_us : int64
        When anything of it was last heard; -1 is never.
    every_us : float64
        How often it is expected to be heard; NaN where that is not known yet.
    score : float64
        As of the detector, of the points that were heard last: those that will be heard next, if anything is.
    """

    machine: npt.NDArray[np.int32]
    heard_us: npt.NDArray[np.int64]
    every_us: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]


class Silence:
    """Score = time since last heard / time allowed, the worst of a machine's points. Its time is `now_us`.

    Allowed is `factor` times the longest gap that came at least `seen_at_least` times. What an outage leaves behind,
    one long gap, is therefore not taken for a rhythm; three of the same length are.

    Parameters
    ----------
    factor : float
        Lower sees an outage sooner; too low, and two lost messages in a row alarm.
    floor_s : float
        No gap shorter than this is an alarm.
    min_arrivals : int
        Arrivals before there is an opinion on a point.
    seen_at_least : int
        Too low, and every outage is learnt; too high, and a device that reports once a day alarms for days.
    """

    scope = Scope.MACHINE

    def __init__(
        self, factor: float = 3.0, floor_s: float = 60.0, min_arrivals: int = 8, seen_at_least: int = 3
    ) -> None:
        self._factor = factor
        self._floor_us = floor_s * 1e6
        self._min_arrivals = min_arrivals
        self._seen_at_least = seen_at_least
        self._of_machine: dict[int, list[int]] = {}
        self._expected_us: dict[int, float] = {}  # by machine, as its owner says
        self._memory = Memory(
            "silence 2",
            {
                "heard_us": _NEVER,
                "least_lag_us": np.int64(_FAR),
                "newest_lag_us": np.int64(_FAR),
                "arrivals": np.int32(0),
                "gaps": np.zeros(_CLASSES, np.uint16),
                "allowed_us": np.float32(np.nan),
                "now_us": _NEVER,
            },
        )
        self._points: Beside[str] = Beside(self._memory)
        self._grouped: Rows = np.empty(0, np.intp)
        self._first_of_machine: Rows = np.empty(0, np.intp)
        self._sorted_machines: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._said_us: npt.NDArray[np.float64] = np.empty(0)  # by machine, in that order; NaN where nobody said
        self._said_of_row: npt.NDArray[np.float64] = np.empty(0)
        self._points_of_machine: npt.NDArray[np.intp] = np.empty(0, np.intp)

    def watch(self, streams: Sequence[Stream]) -> None:
        fresh = [stream for stream in streams if stream.id not in self._memory]
        self._memory.add([stream.id for stream in fresh])
        self._points.update((stream.id, stream.point) for stream in fresh)
        for stream in fresh:
            self._of_machine.setdefault(stream.machine, []).append(stream.id)
        if fresh:
            self._grouped = np.empty(0, np.intp)

    def expect(self, interval_s: Mapping[int, float]) -> None:
        """How often machines must be heard, by what their owners say; the rest go by what was learnt."""
        expected_us = {machine: seconds * 1e6 for machine, seconds in interval_s.items()}
        if expected_us != self._expected_us:
            self._expected_us = expected_us
            self._grouped = np.empty(0, np.intp)

    def note(self, streams: npt.NDArray[np.int32], now_us: int) -> None:
        """Streams of which something arrived that says nothing of their rhythm: late, or stamped by a wrong clock."""
        rows = self._memory.rows(streams)
        self._memory["heard_us"][rows] = np.maximum(self._memory["heard_us"][rows], now_us)

    def excuse(self, by_us: int) -> None:
        """Time that nobody could have been heard in: move all that was heard along with it, forward or back."""
        memory, known = self._memory, slice(len(self._memory))
        for column in ("heard_us", "now_us"):
            moment_us = memory[column][known]
            memory[column][known] = np.where(moment_us >= 0, np.maximum(moment_us + by_us, 0), moment_us)
        # What comes now was held back by us, or is measured by another clock.
        memory["least_lag_us"][known] = memory["newest_lag_us"][known] = _FAR

    def heard(self, now_us: int) -> Heard:
        """How machines as a whole stand at `now_us`, the time of the last `score`."""
        rows, first = self._rows(), self._first_of_machine
        if not len(rows):
            return Heard(self._sorted_machines, np.empty(0, np.int64), np.empty(0), np.empty(0))
        memory = self._memory
        heard_us = memory["heard_us"][rows]
        last_us = np.maximum.reduceat(heard_us, first)
        among_last = heard_us == np.repeat(last_us, self._points_of_machine)
        score = np.fmax.reduceat(np.where(among_last, self._scores(rows, now_us), np.nan), first)
        learnt = memory["arrivals"][rows] >= self._min_arrivals
        every_us = np.fmin.reduceat(np.where(learnt, memory["allowed_us"][rows] / self._factor, np.nan), first)
        by_word = np.isfinite(self._said_us)
        return Heard(
            self._sorted_machines,
            last_us,
            np.where(by_word, self._said_us, every_us),
            np.where(by_word, self._whole(last_us, now_us), score),
        )

    def score(self, batch: Batch, now_us: int) -> Scores:
        if len(batch):
            self._hear(batch, now_us)
        return self._overdue(now_us)

    def explain(self, subject: int) -> Evidence:
        """`observed` is the time since the leading point was heard, in seconds, and `high` the time allowed.

        The points that are overdue share the score, or all of them where none is.
        """
        memory, points = self._memory, sorted(self._of_machine[subject])
        rows = np.array([memory.row(point) for point in points])
        score = np.nan_to_num(self._scores(rows, memory["now_us"][rows].max()))
        lead = int(score.argmax())
        heard_us, allowed_us = memory["heard_us"][rows[lead]], memory["allowed_us"][rows[lead]]
        if subject in self._expected_us:
            said_us = self._factor * self._expected_us[subject]
            last_us = memory["heard_us"][rows].max()
            if (memory["now_us"][rows].max() - last_us) / said_us >= score[lead]:
                heard_us, allowed_us = last_us, said_us
        share = np.where(score >= 1.0, score, 0.0) if score[lead] >= 1.0 else score
        share = share / share.sum() if share.sum() > 0 else np.full(len(share), 1.0 / len(share))
        return Evidence(
            point=self._points[points[lead]],
            observed=float(max(0, memory["now_us"][rows].max() - heard_us)) / 1e6,
            expected=float(allowed_us / self._factor) / 1e6,
            low=0.0,
            high=float(allowed_us) / 1e6,
            since_us=int(heard_us),
            contributions={self._points[point]: float(part) for point, part in zip(points, share, strict=True)},
            unit="s",
        )

    def snapshot(self) -> Snapshot:
        return self._memory.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        self._memory.restore(snapshot)

    def _hear(self, batch: Batch, now_us: int) -> None:
        """Count the gap that ends now, and how long the readings that end it were held back."""
        memory, starts = self._memory, batch.starts()
        rows = memory.rows(batch.stream[starts])
        oldest_lag_us = now_us - batch.time_us[starts]
        newest_lag_us = now_us - batch.time_us[starts + lengths(starts, len(batch)) - 1]
        # What comes at one moment is one arrival, in however many batches: only the first part of it is counted.
        first_part = memory["heard_us"][rows] < now_us
        self._count(rows[first_part], now_us, oldest_lag_us[first_part])
        memory["newest_lag_us"][rows] = np.minimum(memory["newest_lag_us"][rows], newest_lag_us)

    def _count(self, rows: Rows, now_us: int, oldest_lag_us: npt.NDArray[np.int64]) -> None:
        memory = self._memory
        gaps, heard_us = memory["gaps"], memory["heard_us"][rows]
        least_lag_us = np.minimum(memory["least_lag_us"][rows], memory["newest_lag_us"][rows])
        before, compared = heard_us >= 0, least_lag_us < _FAR
        gaps[rows[before], _class(now_us - heard_us[before])] += _GAP
        gaps[rows[compared], _class(oldest_lag_us[compared] - least_lag_us[compared])] += _GAP
        full = gaps[rows].sum(axis=1, dtype=np.uint16) >= _FULL * _GAP
        gaps[rows[full]] //= 2
        # A clock that was put right must not look held back for ever.
        memory["least_lag_us"][rows] = np.where(full, _FAR, least_lag_us)
        memory["newest_lag_us"][rows] = _FAR
        memory["arrivals"][rows] += 1
        memory["heard_us"][rows] = now_us
        known = gaps[rows] >= self._seen_at_least * _GAP
        longest = np.where(known.any(axis=1), _CLASSES - known[:, ::-1].argmax(axis=1), 0)
        memory["allowed_us"][rows] = np.maximum(self._floor_us, self._factor * _SHORTEST_US * 2.0 ** (longest / 2))

    def _overdue(self, now_us: int) -> Scores:
        memory, rows = self._memory, self._rows()
        memory["now_us"][rows] = np.maximum(memory["now_us"][rows], now_us)
        if not len(rows):
            return Scores(np.empty(0, np.int64), self._sorted_machines, np.empty(0))
        score = np.fmax.reduceat(self._scores(rows, now_us), self._first_of_machine)
        if self._expected_us:
            last_us = np.maximum.reduceat(memory["heard_us"][rows], self._first_of_machine)
            score = np.fmax(score, self._whole(last_us, now_us))
        return Scores(np.full(len(score), now_us), self._sorted_machines, score)

    def _scores(self, rows: Rows, now_us: int) -> npt.NDArray[np.float64]:
        """Of each point, by what was learnt; never sooner than its machine's owner allows."""
        memory = self._memory
        gap_us = np.maximum(0, now_us - memory["heard_us"][rows])
        opinion = memory["arrivals"][rows] >= self._min_arrivals
        allowed_us = memory["allowed_us"][rows]
        if self._expected_us:
            allowed_us = np.fmax(allowed_us, self._factor * self._said_of_row[rows])
        return np.where(opinion, gap_us / allowed_us, np.nan)

    def _whole(self, last_us: npt.NDArray[np.int64], now_us: int) -> npt.NDArray[np.float64]:
        """Of each machine, by what its owner says; NaN where nobody said, or where it was never heard."""
        heard = np.where(last_us >= 0, np.maximum(0, now_us - last_us), np.nan)
        whole: npt.NDArray[np.float64] = heard / (self._factor * self._said_us)
        return whole

    def _rows(self) -> Rows:
        """The row of each point, those of one machine together."""
        if len(self._grouped) < len(self._memory):
            self._group()
        return self._grouped

    def _group(self) -> None:
        machines = sorted(self._of_machine)
        members = [self._of_machine[machine] for machine in machines]
        self._grouped = np.array([self._memory.row(stream) for streams in members for stream in streams], np.intp)
        self._points_of_machine = np.array([len(streams) for streams in members], np.intp)
        self._first_of_machine = np.cumsum([0, *(len(streams) for streams in members[:-1])])
        self._sorted_machines = np.array(machines, np.int32)
        self._said_us = np.array([self._expected_us.get(machine, np.nan) for machine in machines])
        self._said_of_row = np.full(len(self._memory), np.nan)
        self._said_of_row[self._grouped] = np.repeat(self._said_us, self._points_of_machine)


def _class(gap_us: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Which class of gaps: 0 below a second, then two to each doubling."""
    octaves = np.log2(np.maximum(gap_us, 1) / _SHORTEST_US)
    classes: npt.NDArray[np.intp] = np.clip(np.ceil(2 * octaves), 0, _CLASSES - 1).astype(np.intp)
    return classes
