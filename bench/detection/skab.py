"""SKAB: a pump loop with valves closed and other faults, eight channels by the second.

Protocol of its leaderboard: fit on the first 400 rows of each file, score the rest, pool over files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bench.detection.table import Row
from detectors.offline import detect
from detectors.recordings import read

TRAIN_ROWS = 400
LABELS = ["anomaly", "changepoint"]


def rows(data: Path) -> list[Row]:
    counts = np.zeros(4, np.int64)
    for path in sorted([*data.glob("SKAB/valve*/*.csv"), *data.glob("SKAB/other/*.csv")]):
        recording = read(path, time_column="datetime", ignore=LABELS)
        truth = pd.read_csv(path, sep=";")["anomaly"].to_numpy(bool)[TRAIN_ROWS:]
        alarm = detect(recording, train_rows=TRAIN_ROWS).alarm.astype(bool)[TRAIN_ROWS:]
        counts += [(truth & alarm).sum(), (~truth & alarm).sum(), (truth & ~alarm).sum(), (~truth & ~alarm).sum()]
    hit, false, missed, quiet = counts.tolist()
    healthy = read(data / "SKAB/anomaly-free/anomaly-free.csv", time_column="datetime")
    in_alarm = {
        trained: 100 * float(detect(healthy, train_rows=trained).alarm[trained:].mean())
        for trained in (TRAIN_ROWS, 5 * TRAIN_ROWS)
    }
    return [
        Row("SKAB", "F1", 2 * hit / (2 * hit + false + missed), 0.85, 0.90,
            beside={"Conv-AE, 58 s ahead": 0.78, "MSET, 30 s ahead": 0.78, "T²+Q": 0.76, "always": 0.698}),
        Row("SKAB", "false alarms, % of healthy rows", 100 * false / (false + quiet), 13, 8, upwards=False,
            beside={"Conv-AE, 58 s ahead": 13.55, "MSET, 30 s ahead": 39.73, "T²+Q": 26.62, "always": 100}),
        Row("SKAB", "missed, % of faulty rows", 100 * missed / (hit + missed), 23, 12, upwards=False,
            beside={"Conv-AE, 58 s ahead": 28.02, "MSET, 30 s ahead": 14.13, "T²+Q": 24.92, "always": 0}),
        *(
            Row("SKAB anomaly-free", f"rows in alarm, %, after {trained} rows", share, upwards=False)
            for trained, share in in_alarm.items()
        ),
    ]  # fmt: skip
