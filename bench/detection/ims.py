"""IMS: four bearings on one shaft run to failure in weeks; mean absolute vibration each ten minutes.

Trained on the first day of readings. The first half of each test is healthy: an alarm that begins in it is a false one;
the lead is from the first alarm in the second half to the last row. Channels of one test are one machine's; the first
column, which counts rows, is none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.detection.table import Row
from detectors.offline import detect
from detectors.recordings import in_order, read

TRAIN_ROWS = 144
FALSE_ALARM_RATE = 0.0005
DAY_US = 86_400_000_000


def rows(data: Path) -> list[Row]:
    false, healthy_days, leads = 0, 0.0, []
    for path in sorted(data.glob("IMS/*.csv")):
        recording = read(path, time_column="Datetime", ignore=["Unnamed: 0"])
        alarm = detect(recording, train_rows=TRAIN_ROWS, false_alarm_rate=FALSE_ALARM_RATE).alarm.astype(bool)
        begun = alarm & ~np.concatenate(([False], alarm[:-1]))
        time_us = in_order(recording.time_us)
        half = len(alarm) // 2
        false += int(begun[TRAIN_ROWS:half].sum())
        healthy_days += (half - TRAIN_ROWS) / 144
        warned = np.flatnonzero(alarm[half:])
        leads.append(float(time_us[-1] - time_us[half + warned[0]]) / DAY_US if len(warned) else float("nan"))
    return [
        Row("IMS", "tests warned of 2", float(np.isfinite(leads).sum()), 2, 2),
        Row("IMS", "shortest lead, days", min(leads), 1.0),
        Row("IMS", "false alarms a month", false / healthy_days * 30.4, 1.0, 1 / 12, upwards=False,
            beside={"healthy days": round(healthy_days, 1)}),
    ]  # fmt: skip
