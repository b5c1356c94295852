"""TEP: the Tennessee Eastman process, simulated, 52 variables every three minutes.

Protocol: fit on d00; a limit that 1 % of d00_te is beyond; missed rows of each fault, which begins at row 160. Beside
it, what our own limit gives: the rows that count for a user.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.detection.table import Row
from detectors.offline import detect
from detectors.recordings import Recording

INTERVAL_US = 180_000_000
START_US = 1_400_000_000_000_000
FAULT_FROM = 160
# Of those that the table asks for; 3 and 9 are undetectable, the others are found by anything.
FAULTS = (5, 10, 16, 19, 20, 21)


def rows(data: Path) -> list[Row]:
    normal = np.loadtxt(data / "TEP/d00.dat").T
    healthy = _scores(normal, np.loadtxt(data / "TEP/d00_te.dat"))
    limit = float(np.quantile(healthy, 0.99))
    scores = {
        fault: _scores(normal, np.loadtxt(data / f"TEP/d{fault:02d}_te.dat"))
        for fault in FAULTS
        if (data / f"TEP/d{fault:02d}_te.dat").exists()
    }
    before = np.concatenate([score[:FAULT_FROM] for score in scores.values()])
    by_protocol = {fault: 100 * float((score[FAULT_FROM:] <= limit).mean()) for fault, score in scores.items()}
    by_ours = {fault: 100 * float((score[FAULT_FROM:] < 1.0).mean()) for fault, score in scores.items()}
    name = f"TEP faults {', '.join(map(str, scores))}"
    each = {f"fault {fault}": round(missed, 1) for fault, missed in by_protocol.items()}
    return [
        Row(name, "missed, %, at 1 % false alarms", float(np.mean(list(by_protocol.values()))), 30, 10, upwards=False,
            beside=each | {"PCA-Q, fault 5": 74, "PCA-Q, fault 10": 63}),
        Row(name, "missed, %, by our own limit", float(np.mean(list(by_ours.values()))), 30, 10, upwards=False),
        Row("TEP healthy", "rows in alarm, %, by our own limit", 100 * float((healthy >= 1.0).mean()), 2, 1,
            upwards=False, beside={"before the faults": round(100 * float((before >= 1.0).mean()), 2)}),
    ]  # fmt: skip


def _scores(normal: npt.NDArray[np.float64], test: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values = np.concatenate((normal, test))
    time_us = START_US + np.arange(len(values)) * INTERVAL_US
    channels = tuple(f"x{number}" for number in range(values.shape[1]))
    recording = Recording(time_us, tuple(map(str, time_us)), channels, values)
    return detect(recording, train_rows=len(normal)).score[len(normal) :]
