"""A recording played to detectors as its readings would have come live, and what each has said by each row.

What a machine is doing is read off its channels by their names (`modes`): those that learn what is normal hear nothing
of a machine that stands or changes, and each level of its load has its own normal (`in_mode`), as live. A recording is
played in one piece: how readings are cut makes no difference to what is said of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from detectors.changes import Turn
from detectors.in_mode import LOT, InMode, Roll
from detectors.levels import NONE
from detectors.modes import Modes, tell_tales
from detectors.multivariate import Multivariate
from detectors.recordings import Floats, Recording, Times
from detectors.scores import Detector, Scores
from detectors.traits import AT_EACH_LEVEL, WHILE_RUNNING
from detectors.watchman import Watchman
from telemetry import Batch, Stream, quantity_of

_MACHINE = 1
# Turns are looked for in so many rows at once. More, and many quiet ones are gone through for one turn among them.
_LOOKED_THROUGH = 10_000
# Rows of a healthy start for each change in it, at least. Machines stay at their levels for hundreds; where tell-tales
# only scatter, one reading in forty or fewer is a change, and what departs in them later would be called one.
_STAY_ROWS = 80
# A departure that had not lasted for so long when the machine left its level does not stand while it is elsewhere. Live
# none that young is raised; here a share of rows is allowed, and one row would stand for a night.
_LASTING_US = 600_000_000

Rows = npt.NDArray[np.intp]


class Traced(Multivariate):
    """`multivariate` whose scores come when they are known: a row that lacks a reading is over when the next begins."""

    def __init__(self, **settings: float | None) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.led: list[tuple[Times, Rows]] = []
        """By batch: when each score was known, and the stream that led."""

    def score(self, batch: Batch, now_us: int) -> Scores:
        said, lead, known_us = self.trace(batch)
        self.led.append((known_us, lead % LOT))
        return Scores(known_us, said.subject, said.score)


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What came of it.

    Attributes
    ----------
    score : float64 (D, N)
        Of each detector by each row; 0 without an opinion.
    lead : intp (D, N)
        The channel that leads; 0 without an opinion.
    stood, changed : float
        In which part of the time the machine stood still, and changed from one level to another; NaN where nothing
        tells.
    """

    score: Floats
    lead: Rows
    stood: float
    changed: float


def play(
    detectors: Mapping[str, Detector], recording: Recording, time_us: Times, healthy_until_us: int | None
) -> Played:
    """Play a recording whose rows came at `time_us`, -1 where a row has no time of its own.

    What a machine does for the first time after its healthy start, where the end of that is known, is judged first.
    """
    # What a channel measures is told by its name alone, and in which unit by nothing: what is slight is not known.
    streams = [
        Stream(number, _MACHINE, "offline", "machine", channel, "unknown", "")
        for number, channel in enumerate(recording.channels)
    ]
    named = [replace(stream, quantity=quantity_of(stream.point).name) for stream in streams]
    tells, turns = _turns(recording, time_us, named, healthy_until_us)
    watchman, roll = Watchman(healthy_until_us), Roll()
    watchman.watch(named)
    heard = list(detectors.values())
    if tells:
        heard = [_in_mode(name, detector, watchman, roll) for name, detector in detectors.items()]
    for each in heard:
        each.watch(streams)
    now_us = np.maximum.accumulate(time_us)
    batch = readings(recording.values, time_us)
    watchman.sight(batch)
    # Side by side: what takes long lets go of the interpreter.
    with ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda each: each.score(batch, 0), heard))
        by_row = pool.map(lambda each, told: _by_row(each, told, now_us, len(streams)), detectors.values(), said)
        score, lead = (np.stack(each) for each in zip(*by_row, strict=True))
    stood, changed = _shares(turns, now_us) if tells else (np.nan, np.nan)
    return Played(score, lead, stood, changed)


def readings(values: Floats, time_us: Times) -> Batch:
    """Rows (N, C) of a recording, those with a time of their own, as what came of each channel."""
    usable = (time_us >= 0) & ~np.isnan(values.T)
    channel = np.repeat(np.arange(len(usable), dtype=np.int32), usable.sum(axis=1))
    times = np.concatenate([time_us[known] for known in usable])
    return Batch.of(times, channel, values.T[usable])


def _in_mode(name: str, detector: Detector, watchman: Watchman, roll: Roll) -> Detector:
    apart = name in AT_EACH_LEVEL
    return InMode(detector, watchman, roll, apart, _LASTING_US) if apart or name in WHILE_RUNNING else detector


def _turns(
    recording: Recording, time_us: Times, streams: Sequence[Stream], healthy_until_us: int | None
) -> tuple[bool, list[Turn]]:
    """Whether channels tell what the machine is doing, and the turns that it takes by them, in order.

    Channels that came to no rest in a healthy start tell nothing.
    """
    tales = [stream.id for stream in tell_tales(streams).values()]
    if not tales:
        return False, []
    modes = Modes(healthy_until_us)
    modes.watch(streams)
    turns: list[Turn] = []
    healthy = 0 if healthy_until_us is None else int(np.searchsorted(np.maximum.accumulate(time_us), healthy_until_us))
    at = np.array([healthy, *range(0, len(recording), _LOOKED_THROUGH)])
    for rows in _between(at, len(recording)):
        if rows.start == healthy > 0:
            changes = sum(turn.level == NONE for turn in turns)
            if modes.memory["level"][0] == NONE or changes * _STAY_ROWS > healthy:
                return False, []
        values = np.full_like(recording.values[rows], np.nan)
        values[:, tales] = recording.values[rows][:, tales]
        turns += [turn for of in modes.follow(readings(values, time_us[rows])).values() for turn in of]
    return True, turns


def _between(at: Rows, count: int) -> Iterator[slice]:
    """Rows from each of these to the next, the first of all and the last among them."""
    for begin, end in pairwise(np.unique([0, *at.tolist(), count]).tolist()):
        yield slice(begin, end)


def _by_row(detector: Detector, told: Scores, now_us: Times, channels: int) -> tuple[Floats, Rows]:
    """What a detector has said of the machine, or of its worst channel, by each row, and the channel that leads."""
    if isinstance(detector, Traced):
        known_us, led = (np.concatenate(part) for part in zip(*detector.led, strict=True))
        order = np.argsort(known_us, kind="stable")
        score = _score_of(told, _MACHINE, now_us)
        return score, np.where(score > 0, np.append(led[order], 0)[_latest(known_us[order], now_us)], 0)
    worst, lead = _score_of(told, 0, now_us), np.zeros(len(now_us), np.intp)
    for channel in range(1, channels):
        score = _score_of(told, channel, now_us)
        above = score > worst
        worst[above], lead[above] = score[above], channel
    return worst, lead


def _score_of(told: Scores, subject: int, now_us: Times) -> Floats:
    """A subject's score by each row: its last one, 0 where that was no opinion."""
    own = slice(*np.searchsorted(told.subject, [subject, subject + 1]))
    time_us, score = told.time_us[own], np.nan_to_num(told.score[own])
    return score if np.array_equal(time_us, now_us) else np.append(score, 0.0)[_latest(time_us, now_us)]


def _latest(time_us: Times, now_us: Times) -> Rows:
    """Which of these times is the latest by each row's; -1 before the first."""
    at: Rows = np.searchsorted(time_us, now_us, side="right") - 1
    return at


def _shares(turns: Sequence[Turn], now_us: Times) -> tuple[float, float]:
    """In which part of the time the machine stood, and changed."""
    first_us, last_us = now_us[now_us >= 0][[0, -1]].tolist()
    lasted_us = np.diff([*(turn.at_us for turn in turns), last_us])
    stood_us = sum(lasted_us[[turn.off for turn in turns]])
    changed_us = sum(lasted_us[[turn.level == NONE for turn in turns]])
    return float(stood_us) / (last_us - first_us), float(changed_us) / (last_us - first_us)
