"""Change points of SKAB, by the protocol of its leaderboard.

Each change has a window of 60 s behind it; where one begins before the last has ended it begins there instead. The
first report inside is worth 1 at the change and -0.11 where the window ends, along a hyperbolic tangent; a window
without one costs 1, and each report outside all windows 0.11 (NAB's standard costs). The sum over the files is put on a
scale on which silence is 0 and a report at the beginning of each window 100.

The scale forgives much: who reports every thirty seconds, come what may, has 57.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.detection.skab import LABELS, TRAIN_ROWS
from bench.detection.table import Row
from detectors.changepoints import changepoints
from detectors.recordings import in_order, read

WINDOW_S = 60.0
_FALSE = 0.11
Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over files: the worth of all reports, and how many changes, changes found and false reports there are."""

    worth: float = 0.0
    changes: int = 0
    found: int = 0
    false: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.worth + other.worth,
            self.changes + other.changes,
            self.found + other.found,
            self.false + other.false,
        )

    @property
    def score(self) -> float:
        return 50.0 * (self.worth + self.changes) / self.changes if self.changes else float("nan")


def tally(changes_s: Seconds, reports_s: Seconds) -> Tally:
    """One file's reports beside its changes, both in seconds."""
    worth, found = 0.0, 0
    outside = np.ones(len(reports_s), bool)
    end_s = -np.inf
    for change_s in np.sort(changes_s):
        begin_s, end_s = max(float(change_s), end_s), float(change_s) + WINDOW_S
        inside = (reports_s >= begin_s) & (reports_s <= end_s)
        outside &= ~inside
        if inside.any():
            found += 1
            worth += _worth(float(reports_s[inside].min() - begin_s) / (end_s - begin_s))
        else:
            worth -= 1.0
    false = int(outside.sum())
    return Tally(worth - _FALSE * false, len(changes_s), found, false)


def _worth(place: float) -> float:
    """1 at the window's beginning (place 0), -0.11 at its end (place 1)."""
    falling = -np.tanh(np.pi * (place - 0.5)) / np.tanh(np.pi / 2)
    return float((1.0 + _FALSE) / 2 * (falling + 1.0) - _FALSE)


def rows(data: Path) -> list[Row]:
    ours, every, files = Tally(), Tally(), 0
    for path in sorted([*data.glob("SKAB/valve*/*.csv"), *data.glob("SKAB/other/*.csv")]):
        recording = read(path, time_column="datetime", ignore=LABELS)
        time_s = in_order(recording.time_us) / 1e6
        label = pd.read_csv(path, sep=";")["changepoint"].to_numpy(bool)
        label[:TRAIN_ROWS] = False
        reports = [change.row for change in changepoints(recording, train_rows=TRAIN_ROWS)]
        ours += tally(time_s[label], time_s[reports])
        files += 1
        every += tally(time_s[label], np.arange(time_s[TRAIN_ROWS], time_s[-1], 30.0))
    healthy = read(data / "SKAB/anomaly-free/anomaly-free.csv", time_column="datetime")
    hours = float(np.ptp(healthy.time_us[TRAIN_ROWS:])) / 3.6e9
    return [
        Row("SKAB change points", "NAB-like, standard", ours.score, 45.0,
            beside={"MSCRED": 32.4, "isolation forest": 26.2, "T²+Q": 25.4, "every 30 s": round(every.score, 1)}),
        Row("SKAB change points", "found, %", 100 * ours.found / ours.changes,
            beside={"every 30 s": round(100 * every.found / every.changes)}),
        Row("SKAB change points", "false reports a file", ours.false / files, upwards=False,
            beside={"every 30 s": round(every.false / files, 1)}),
        Row("SKAB anomaly-free", "change points an hour", len(changepoints(healthy, train_rows=TRAIN_ROWS)) / hours,
            upwards=False, beside={"every 30 s": 120}),
    ]  # fmt: skip
