"""XEP: four field gateways through ten weeks, nothing known to be wrong; vibration each quarter of an hour, with dirt.

A gateway is a machine, its weeks joined in the order of their dates. Trained on its first week. Alarms that begin
within a day of the last one's end are the same alarm: it would still be open, or be the same ticket.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.detection.table import Row
from detectors.composed import COMPOSED
from detectors.offline import detect
from detectors.recordings import Recording, in_order

TRAIN_ROWS = 672
FALSE_ALARM_RATE = 0.0005
MERGED_WITHIN_US = 86_400_000_000
MONTH_US = 30.4 * 86_400e6
CHANNELS = (
    *(f"{axis}{figure}" for axis in "XYZ" for figure in ("OAVelocity", "Peakmg", "RMSmg")),
    "XKurtosis",
    "XCrestFactor",
    "TempHumiSenVal",
)


def rows(data: Path) -> list[Row]:
    machines = gateways(data)
    months = sum(float(each.time_us[-1] - each.time_us[TRAIN_ROWS]) for each in machines) / MONTH_US
    alone = {name: _alarms(machines, [name]) / months for name in COMPOSED}
    return [
        Row("XEP", "alarms a machine-month", _alarms(machines, None) / months, 1.0, 1 / 12, upwards=False,
            beside={name: round(rate, 3) for name, rate in alone.items()} | {"machine-months": round(months, 1)}),
    ]  # fmt: skip


def gateways(data: Path) -> list[Recording]:
    """The recording of each gateway. Rows are as the files have them: out of order, twice, with clocks that jump."""
    weeks = sorted(data.glob("XEP_VIBRATION/week_*/vibrationdata_*.csv"), key=_first_day)
    readings = pd.concat([pd.read_csv(path, na_values=["null"]) for path in weeks])
    return [_recording(table) for _, table in readings.groupby("SensorID")]


def _first_day(path: Path) -> pd.Timestamp:
    return pd.to_datetime(path.parent.name.split("_")[1], format="%d%m%Y")


def _recording(table: pd.DataFrame) -> Recording:
    time_ms = table["Timestamp"]
    values = table[list(CHANNELS)].to_numpy(np.float64)
    return Recording(time_ms.to_numpy(np.int64) * 1000, tuple(time_ms.astype(str)), CHANNELS, values)


def _alarms(machines: list[Recording], only: list[str] | None) -> int:
    return sum(
        episodes(
            in_order(each.time_us)[TRAIN_ROWS:],
            detect(each, train_rows=TRAIN_ROWS, false_alarm_rate=FALSE_ALARM_RATE, only=only).alarm[TRAIN_ROWS:] > 0,
        )
        for each in machines
    )


def episodes(time_us: npt.NDArray[np.int64], alarm: npt.NDArray[np.bool_]) -> int:
    """Alarms, those merged that begin within a day of another's end."""
    hot_us = time_us[alarm & (time_us >= 0)]
    return int(len(hot_us) > 0) + int((np.diff(hot_us) > MERGED_WITHIN_US).sum())
