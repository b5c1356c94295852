"""Recordings scored by the very detectors that run live, with the same defaults: `bellwether detect`.

Causal: the score of a row rests on that row and earlier ones. Readings reach the detectors row by row, as they would
have live; a row without a time of its own is kept in the output with the score known by then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from detectors import rhythm
from detectors.calibration import limit
from detectors.compensation import Compensated
from detectors.drift import Drift
from detectors.files import Analysed, Asked, each
from detectors.flatline import Flatline
from detectors.multivariate import Multivariate
from detectors.novelty import Novelty
from detectors.recordings import Floats, Recording, Times, in_order
from detectors.rise import Rise
from detectors.scores import Detector
from detectors.shift import Shift
from telemetry import Batch, Stream

# Rows in which the machine's grid is found, before any row is learnt from.
_ROWS_FOR_THE_GRID = 18
_FEWEST_LEARN_ROWS = 20
_MACHINE = 1
# A machine runs in for longer than a short training, and what comes and goes in less than half an hour is no drift.
_DRIFT_LEARNS_INTERVALS = 240
_DRIFT_LEARNS_S = 2400.0
_COMPENSATED_FROM_S = 8 * 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What a detector may know of a recording before its first row: the training rows' times, and its allowance.

    Attributes
    ----------
    time_us : int64 (T,)
        Of the training rows, in order; empty where no healthy start is given.
    share : float
        The part of healthy rows that this detector may have in alarm.
    """

    time_us: Times
    share: float


def _multivariate(training: Training) -> Multivariate:
    if not len(training.time_us):
        return Multivariate(false_alarm_rate=training.share)
    first_us, last_us = int(training.time_us[0]), int(training.time_us[-1])
    rows = min(len(training.time_us), (last_us - first_us) // 1_000_000) - _ROWS_FOR_THE_GRID
    return Multivariate(
        learn_rows=max(_FEWEST_LEARN_ROWS, rows), learn_until_us=last_us, false_alarm_rate=training.share
    )


def _shift(training: Training) -> Shift:
    until_us = int(training.time_us[-1]) if len(training.time_us) else 0
    return Shift(false_alarm_rate=training.share, learn_until_us=until_us)


def _drift(training: Training) -> Detector:
    if len(training.time_us) < 2:
        return Compensated(Drift(false_alarm_rate=training.share))
    interval_s = float(np.median(np.diff(training.time_us))) / 1e6
    trained_s = float(training.time_us[-1] - training.time_us[0]) / 1e6
    learn_s = max(trained_s, _DRIFT_LEARNS_INTERVALS * interval_s, _DRIFT_LEARNS_S)
    drift = Drift(learn_s, training.share)
    # What air and load explain is not known sooner.
    return Compensated(drift) if learn_s >= _COMPENSATED_FROM_S else drift


def _rise(training: Training) -> Rise:
    return Rise(int(training.time_us[-1]) if len(training.time_us) else 0)


COMPOSED: Mapping[str, Callable[[Training], Detector]] = {
    "shift": _shift,
    "drift": _drift,
    "rise": _rise,
    "flatline": lambda _: Flatline(),
    "multivariate": _multivariate,
    "novelty": lambda _: Novelty(limit=_DECADES, from_interval_s=0.0),
}
"""Who can have a say in a recording."""
# A single slow channel is no machine but has the rhythm of its days, each turn of which is a shift of the level.
_OF_ONE_SLOW_CHANNEL = ("novelty",)
_OF_ONE_CHANNEL = ("shift", "drift", "flatline")
# As live, where no healthy start is known.
_OF_AN_UNKNOWN_MACHINE = ("shift", "drift", "flatline", "multivariate")
# All channels together, where their normal and its limit can be learnt from a start that is known to be healthy: what
# each channel does by itself is in it. Where the start holds not one row that may be in alarm, no limit can be had from
# it, and who needs none speaks; a drift is told from what comes and goes where a whole day of health was seen.
_OF_A_KNOWN_MACHINE = ("multivariate",)
_OF_A_STRICT_ALLOWANCE = ("rise", "flatline")
_OF_A_STRICT_ALLOWANCE_AND_DAYS = ("rise", "drift", "flatline")
_A_DAY_S = 86_400.0
# What held-out parts of one start say of the rows after it is too good: of the allowance so much is used.
_USED = 0.6
# A minute, and its jitter.
_SLOW_US = 50_000_000
# Of novelty in a recording, for a hundredth of its rows in alarm; live a month has no more than one.
_DECADES = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What the detectors say at each row: score >= 0 (0 without an opinion), alarm 0/1, leading channel or ""."""

    score: Floats
    alarm: npt.NDArray[np.int8]
    top_channel: tuple[str, ...]


def detect(
    recording: Recording,
    *,
    train_rows: int | None = None,
    train_until_us: int | None = None,
    false_alarm_rate: float = 0.01,
    only: Collection[str] | None = None,
) -> Detection:
    """Score every row.

    The score is the largest of the detectors', each measured by its own limit or, where its scores in the training rows
    were often above that, by the level that a share `false_alarm_rate` of them exceeded.

    Parameters
    ----------
    train_rows, train_until_us : int or None
        The healthy start that the machine's model and the limits are learnt from; where neither is given it is what the
        detectors need live.
    false_alarm_rate : float
        Share of healthy rows that may be in alarm.
    only
        Names of `COMPOSED`: these detectors alone. Without: those that the channels and the training are made for.
    """
    time_us = in_order(recording.time_us)
    trained = training_rows(time_us, train_rows, train_until_us)
    known_us = time_us[:trained][time_us[:trained] >= 0]
    share = false_alarm_rate * _USED
    if only is None:
        healthy_s = float(known_us[-1] - known_us[0]) / 1e6 if len(known_us) else 0.0
        only = having_a_say(recording, time_us, share * len(known_us), healthy_s)
    streams = [
        Stream(number, _MACHINE, "offline", "machine", channel, "unknown", "")
        for number, channel in enumerate(recording.channels)
    ]
    batch, usable = _readings(recording, time_us)

    def ask(detector: Detector) -> tuple[Floats, npt.NDArray[np.intp]]:
        if isinstance(detector, Multivariate):
            return _score_machine(detector, streams, batch, time_us)
        return _score_streams(detector, streams, batch, usable)

    detectors = [make(Training(known_us, share)) for name, make in COMPOSED.items() if name in only]
    # Side by side: what takes long lets go of the interpreter.
    with ThreadPoolExecutor() as pool:
        said = list(pool.map(ask, detectors))
    scores = np.stack([_by_limit(score, trained, share) for score, _ in said])
    leads = np.stack([lead for _, lead in said])
    worst = scores.argmax(axis=0)
    row = np.arange(len(recording))
    score = scores[worst, row]
    names = np.array([*recording.channels, ""], object)
    top = names[np.where(score > 0, leads[worst, row], -1)]
    return Detection(score, (score >= 1.0).astype(np.int8), tuple(top.tolist()))


def run(
    paths: Sequence[Path],
    *,
    false_alarm_rate: float = 0.01,
    done: Callable[[Path, Recording, Detection], None] = lambda path, recording, detection: None,
    **asked: Unpack[Asked],
) -> dict[str, Any]:
    """Score files, each on its own: a CSV `time,score,alarm,top_channel` for each and `summary.json` in `out`.

    `done` is told each file and what was found in it. Returns the summary.

    Raises
    ------
    ValueError
        If a file can't be read as a recording, or `train_until` is no time.
    """
    train_rows = asked.get("train_rows")

    def analyse(path: Path, recording: Recording, until_us: int | None) -> Analysed:
        found = detect(recording, train_rows=train_rows, train_until_us=until_us, false_alarm_rate=false_alarm_rate)
        done(path, recording, found)
        table = {
            "time": recording.time_text,
            "score": np.round(found.score, 6),
            "alarm": found.alarm,
            "top_channel": found.top_channel,
        }
        return table, _summary(recording, found)

    return each(paths, analyse, false_alarm_rate=false_alarm_rate, **asked)


def having_a_say(recording: Recording, time_us: Times, expected: float, healthy_s: float) -> Sequence[str]:
    """Names of `COMPOSED`.

    Parameters
    ----------
    expected : float
        How many of the training rows may be in alarm; 0 where there are none.
    healthy_s : float
        From the first training row to the last.
    """
    if len(recording.channels) == 1:
        first_us = np.diff(time_us[time_us >= 0][: rhythm.GAPS + 1])
        slow = len(first_us) > 0 and np.median(first_us) >= _SLOW_US
        return _OF_ONE_SLOW_CHANNEL if slow else _OF_ONE_CHANNEL
    if expected == 0.0:
        return _OF_AN_UNKNOWN_MACHINE
    if expected >= 1.0:
        return _OF_A_KNOWN_MACHINE
    return _OF_A_STRICT_ALLOWANCE if healthy_s < _A_DAY_S else _OF_A_STRICT_ALLOWANCE_AND_DAYS


def training_rows(time_us: Times, train_rows: int | None, train_until_us: int | None) -> int:
    """How many rows are training rows; 0 where no training is given."""
    if train_until_us is not None:
        return int(np.count_nonzero(np.maximum.accumulate(time_us) <= train_until_us))
    return 0 if train_rows is None else min(train_rows, len(time_us))


def _by_limit(score: Floats, trained: int, share: float) -> Floats:
    """Scores after training by the level that a share of rows like the training rows exceeds.

    Never by less than 1, and by 1 where the training rows are too few to tell.
    """
    said = np.where(np.cumsum(score[:trained]) > 0, score[:trained], np.nan)  # from the first opinion on
    level = np.fmax(limit(said, share), 1.0)
    return np.concatenate((score[:trained], score[trained:] / level))


def _readings(recording: Recording, time_us: Times) -> tuple[Batch, npt.NDArray[np.bool_]]:
    """All of them as a batch, a stream a channel; and where they are in the table, bool (C, N)."""
    usable = (time_us >= 0) & ~np.isnan(recording.values.T)
    channel = np.repeat(np.arange(len(usable), dtype=np.int32), usable.sum(axis=1))
    times = np.concatenate([time_us[known] for known in usable])
    return Batch.of(times, channel, recording.values.T[usable]), usable


def _score_streams(
    detector: Detector, streams: Sequence[Stream], batch: Batch, usable: npt.NDArray[np.bool_]
) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The worst channel's score at each row, and which it is. A channel without a reading keeps its score."""
    detector.watch(streams)
    scores = np.zeros(usable.shape)
    scores[usable] = np.nan_to_num(detector.score(batch, 0).score)
    for score, known in zip(scores, usable, strict=True):
        if not known.all():
            score[:] = score[np.maximum.accumulate(np.where(known, np.arange(len(score)), 0))]
    worst, lead = scores[0].copy(), np.zeros(len(usable[0]), np.intp)
    for channel in range(1, len(scores)):
        above = scores[channel] > worst
        worst[above], lead[above] = scores[channel, above], channel
    return worst, lead


def _score_machine(
    model: Multivariate, streams: Sequence[Stream], batch: Batch, time_us: Times
) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The model's score as it is known at each row, and the channel that leads.

    A row with a reading missing is scored when the next one shows that it is over, and not before.
    """
    model.watch(streams)
    said, leads, known_us = model.trace(batch)
    at = np.searchsorted(known_us, np.maximum.accumulate(time_us), side="right") - 1
    score = np.nan_to_num(np.concatenate((said.score, [0.0])))[at]
    return score, np.where(score > 0, np.concatenate((leads, [0]))[at], 0)


def episodes(recording: Recording, detection: Detection) -> list[dict[str, Any]]:
    """The alarms of a recording: from when to when, led by which channel, how high."""
    alarm = np.concatenate(([0], detection.alarm, [0]))
    begins, ends = np.flatnonzero(np.diff(alarm) == 1), np.flatnonzero(np.diff(alarm) == -1) - 1
    return [
        {
            "from": recording.time_text[begin],
            "to": recording.time_text[end],
            "top_channel": detection.top_channel[begin + int(detection.score[begin : end + 1].argmax())],
            "highest_score": round(float(detection.score[begin : end + 1].max()), 3),
        }
        for begin, end in zip(begins, ends, strict=True)
    ]


def _summary(recording: Recording, detection: Detection) -> dict[str, Any]:
    return {
        "rows": len(recording),
        "channels": list(recording.channels),
        "rows_in_alarm": int(detection.alarm.sum()),
        "alarms": episodes(recording, detection),
    }
