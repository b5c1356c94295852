"""CWRU: a motor's bearings with seeded faults, each recording cut into quarters, named without training.

The speed that is told is the one in the file's name; the bearing is the drive end's 6205, or the fan end's 6203.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from bench.detection.table import Row
from detectors.vibration import Machine, diagnose, named
from detectors.vibration.wave_files import read_wave

QUARTERS = 4
FAULTS = {"Normal": "none", "IR": "inner_race", "B": "ball", "OR": "outer_race"}
_NAME = re.compile(r"(\d+)_([A-Za-z]+)(?:@\d+)?(?:_\d+_(DE|FE)(\d+))?\Z")


def rows(data: Path) -> list[Row]:
    right, healthy = [], []
    for path in sorted(data.glob("CWRU/*.npz")):
        told = _NAME.match(path.stem)
        if told is None:
            continue
        rpm, kind, end, rate_khz = told.groups()
        machine = Machine(float(rpm), named("6203" if end == "FE" else "6205"))
        values = read_wave(path, end or "DE").values
        for quarter in np.array_split(values, QUARTERS):
            fault = diagnose(quarter, 1000.0 * float(rate_khz or 48), "vibration_acceleration", machine).fault
            right.append(fault == FAULTS[kind])
            if kind == "Normal":
                healthy.append(fault != "none")
    if not right:
        return []
    return [
        Row("CWRU", "quarter-recordings named right, %", 100.0 * float(np.mean(right)), 90, 100,
            beside={"always the same": 25}),
        Row("CWRU", "healthy quarters with a fault, %", 100.0 * float(np.mean(healthy)), 5, 0, upwards=False),
    ]  # fmt: skip
