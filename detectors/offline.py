"""Recordings scored by the very detectors that run live, with the same defaults: `bellwether detect`.

Causal: the score of a row rests on that row and earlier ones. Readings reach the detectors row by row, as they would
have live; a row without a time of its own is kept in the output with the score known by then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from detectors.calibration import limit
from detectors.composed import COMPOSED, Training, having_a_say
from detectors.files import Analysed, Asked, each
from detectors.playback import play
from detectors.recordings import Floats, Recording, Times, in_order

# What held-out parts of one start say of the rows after it is too good: of the allowance so much is used.
_USED = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What the detectors say at each row: score >= 0 (0 without an opinion), alarm 0/1, leading channel or "".

    `spoke` are the detectors asked, by name; `stood` and `changed` the parts of the time in which the machine stood
    still, and changed from one level of its load to another: NaN where no channel tells.
    """

    score: Floats
    alarm: npt.NDArray[np.int8]
    top_channel: tuple[str, ...]
    spoke: tuple[str, ...]
    stood: float
    changed: float


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
    detectors = {name: make(Training(known_us, share)) for name, make in COMPOSED.items() if name in only}
    played = play(detectors, recording, time_us, int(known_us[-1]) if len(known_us) else None)
    scores = np.stack([_by_limit(score, trained, share) for score in played.score])
    worst = scores.argmax(axis=0)
    row = np.arange(len(recording))
    score = scores[worst, row]
    names = np.array([*recording.channels, ""], object)
    top = names[np.where(score > 0, played.lead[worst, row], -1)]
    alarm = (score >= 1.0).astype(np.int8)
    return Detection(score, alarm, tuple(top.tolist()), tuple(detectors), played.stood, played.changed)


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
    tells = not np.isnan(detection.stood)
    return {
        "rows": len(recording),
        "channels": list(recording.channels),
        "detectors": list(detection.spoke),
        "stood": round(detection.stood, 4) if tells else None,
        "changed": round(detection.changed, 4) if tells else None,
        "rows_in_alarm": int(detection.alarm.sum()),
        "alarms": episodes(recording, detection),
    }
