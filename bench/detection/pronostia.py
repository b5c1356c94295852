"""PRONOSTIA: bearings run to failure in hours; RMS, peak and kurtosis of two accelerometers each ten seconds.

Protocol: baseline from the first 60 snapshots; the end is where 20 g are exceeded. An alarm that begins in the first
half of a bearing's life is a false one; the lead is from the first snapshot in alarm in the second half to the end.
Halves are of snapshots, since one bearing's clock jumps by 18 hours and back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.detection.table import Row
from detectors.offline import detect
from detectors.recordings import Recording, read

TRAIN_ROWS = 60
FALSE_ALARM_RATE = 0.0005
INTERVAL_S = 10.0
RMS = ("rms_h", "rms_v")
# The plain rule beside ours: either RMS above twice its baseline in three snapshots running.
PLAIN_FACTOR, PLAIN_RUN = 2.0, 3

Alarm = npt.NDArray[np.bool_]


def rows(data: Path) -> list[Row]:
    recordings = list(bearings(data))
    ours = _judged(recordings, _detected)
    plain = _judged(recordings, _plain)
    drift = _judged(recordings, lambda each: _detected(each, ["drift"]))
    published = {"warned": 100 * 16 / 17, "lead": 320 / 60, "false": 0.32}
    return [
        Row("PRONOSTIA", "bearings warned, %", ours["warned"], 100, 100,
            beside=_beside(plain, drift, published, "warned")),
        Row("PRONOSTIA", "median lead, minutes", ours["lead"], 20, None,
            beside=_beside(plain, drift, published, "lead")),
        Row("PRONOSTIA", "false alarms an hour", ours["false"], 0.3, 0.02, upwards=False,
            beside=_beside(plain, drift, published, "false")),
    ]  # fmt: skip


def bearings(data: Path) -> Iterator[Recording]:
    for path in sorted(data.glob("PRONOSTIA/features/*.csv")):
        if not path.stem.endswith("_temp"):
            yield read(path, time_column="t_s")


def judge(alarm: Alarm) -> tuple[int, float, float]:
    """False alarms, the hours in which they could come, and the lead in minutes (NaN: not warned)."""
    half = len(alarm) // 2
    begun = alarm & ~np.concatenate(([False], alarm[:-1]))
    warned = np.flatnonzero(alarm[half:])
    lead_s = (len(alarm) - half - warned[0]) * INTERVAL_S if len(warned) else float("nan")
    return int(begun[TRAIN_ROWS:half].sum()), (half - TRAIN_ROWS) * INTERVAL_S / 3600, lead_s / 60


def _judged(recordings: list[Recording], method: Callable[[Recording], Alarm]) -> dict[str, float]:
    false, hours, lead = np.array([judge(method(recording)) for recording in recordings]).T
    return {
        "warned": float(100 * np.isfinite(lead).mean()),
        "lead": float(np.median(np.nan_to_num(lead))),
        "false": float(false.sum() / hours.sum()),
    }


def _detected(recording: Recording, only: list[str] | None = None) -> Alarm:
    settings = {} if only is None else {"only": only}
    found = detect(recording, train_rows=TRAIN_ROWS, false_alarm_rate=FALSE_ALARM_RATE, **settings)
    return found.alarm.astype(bool)


def _plain(recording: Recording) -> Alarm:
    rms = recording.values[:, [recording.channels.index(name) for name in RMS]]
    high = (rms > PLAIN_FACTOR * rms[:TRAIN_ROWS].mean(axis=0)).any(axis=1)
    run: Alarm = np.convolve(high, np.ones(PLAIN_RUN))[: len(high)] >= PLAIN_RUN
    return run


def _beside(
    plain: dict[str, float], drift: dict[str, float], published: dict[str, float], figure: str
) -> dict[str, float]:
    return {
        "RMS doubled": round(plain[figure], 3),
        "drift alone": round(drift[figure], 3),
        "RMS rule, all 17": round(published[figure], 3),
    }
