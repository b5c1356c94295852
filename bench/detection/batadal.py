"""BATADAL: a water network under attack, 43 sensors by the hour.

Protocol: fit on the year of dataset03, in which nothing happened, and score each hour of the next one, dataset04.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench.detection.table import Row
from detectors.offline import detect
from detectors.recordings import Recording, read

LABEL = "ATT_FLAG"


def rows(data: Path) -> list[Row]:
    healthy, attacked = (
        read(data / f"BATADAL/dataset{number}.csv", time_column="DATETIME", ignore=[LABEL]) for number in ("03", "04")
    )
    attack = pd.read_csv(data / "BATADAL/dataset04.csv", skipinitialspace=True)[LABEL].to_numpy() == 1
    detection = detect(one_after_another(healthy, attacked), train_rows=len(healthy))
    alarm = detection.alarm[len(healthy) :].astype(bool)
    hit, false, missed = (attack & alarm).sum(), (~attack & alarm).sum(), (attack & ~alarm).sum()
    return [
        Row("BATADAL", "F1", float(2 * hit / (2 * hit + false + missed)), 0.78, 0.85,
            beside={"autoencoder": 0.731, "always": round(2 * attack.mean() / (1 + attack.mean()), 3)}),
        Row("BATADAL", "false alarms, % of other hours", 100 * float(false / (~attack).sum()), upwards=False),
        Row("BATADAL", "missed, % of attacked hours", 100 * float(missed / attack.sum()), upwards=False),
    ]  # fmt: skip


def one_after_another(first: Recording, second: Recording) -> Recording:
    """Two recordings of the same channels as one."""
    return replace(
        first,
        time_us=np.concatenate((first.time_us, second.time_us)),
        time_text=first.time_text + second.time_text,
        values=np.concatenate((first.values, second.values)),
    )
