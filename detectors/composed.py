"""Who has a say in a recording, by what is given of it: never by a name or a label, and before any row is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detectors import rhythm
from detectors.compensation import Compensated
from detectors.drift import Drift
from detectors.flatline import Flatline
from detectors.novelty import Novelty
from detectors.playback import Traced
from detectors.recordings import Recording, Times
from detectors.rise import Rise
from detectors.scores import Detector
from detectors.shift import Shift

# Rows in which the machine's grid is found, before any row is learnt from.
_ROWS_FOR_THE_GRID = 18
_FEWEST_LEARN_ROWS = 20
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


def _multivariate(training: Training) -> Traced:
    if not len(training.time_us):
        return Traced(false_alarm_rate=training.share)
    first_us, last_us = int(training.time_us[0]), int(training.time_us[-1])
    rows = min(len(training.time_us), (last_us - first_us) // 1_000_000) - _ROWS_FOR_THE_GRID
    return Traced(learn_rows=max(_FEWEST_LEARN_ROWS, rows), learn_until_us=last_us, false_alarm_rate=training.share)


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
# A minute, and its jitter.
_SLOW_US = 50_000_000
# Of novelty in a recording, for a hundredth of its rows in alarm; live a month has no more than one.
_DECADES = 4.0


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
