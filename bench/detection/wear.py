"""Slow wear of simulated machines: faults that grow for 25 days, after 15 healthy ones, one reading each five minutes.

Found is what scores 1 after the onset; the machines that stay well say how often that happens without a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.detection.table import Row
from detectors import Detector, Drift, Shift
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec
from telemetry import Batch, Stream

START_S = 1_763_740_800
INTERVAL_S, DAY_S = 300, 86_400
HEALTHY_DAYS, GROWTH_DAYS, LAST_DAYS = 15, 25, 5
SEVERITY = 0.5
SEEDS = range(2)
FAULTS = (
    ("pump", FaultKind.BEARING_WEAR),
    ("pump", FaultKind.BLOCKED_FILTER),
    ("pump", FaultKind.LEAK),
    ("pump", FaultKind.DRIFTING_SENSOR),
    ("gearmotor", FaultKind.BEARING_WEAR),
    ("gearmotor", FaultKind.OVERHEATING),
    ("compressor", FaultKind.LEAK),
    ("compressor", FaultKind.BLOCKED_FILTER),
)
_DAYS = HEALTHY_DAYS + GROWTH_DAYS + LAST_DAYS
_MONTH_DAYS = 30.4


def rows(data: Path) -> list[Row]:
    """`data` is not needed: the recordings are made here."""
    worn = [_run(kind, fault, seed) for kind, fault in FAULTS for seed in SEEDS]
    well = [_run(kind, None, seed) for kind in MODELS for seed in SEEDS]
    drift, shift = (_found_days(worn, make) for make in (Drift, Shift))
    alarms = sum(_alarms(batch, streams, Drift) for batch, streams in well)
    months = len(well) * (_DAYS - 8) / _MONTH_DAYS
    return [
        Row("slow wear", f"found, % of {len(worn)} faults", _share(drift, GROWTH_DAYS + LAST_DAYS), 95,
            beside={"shift": _share(shift, GROWTH_DAYS + LAST_DAYS)}),
        Row("slow wear", "found in the first third of growth, %", _share(drift, GROWTH_DAYS / 3), None, 95,
            beside={"shift": _share(shift, GROWTH_DAYS / 3)}),
        Row("slow wear", "median days from its onset", float(np.nanmedian(drift)), upwards=False),
        Row("slow wear", "drift's alarms a healthy machine-month", alarms / months, 1.0, 1 / 12, upwards=False),
    ]  # fmt: skip


def _run(kind: str, fault: FaultKind | None, seed: int) -> tuple[Batch, list[Stream]]:
    """A machine's readings, at the onset's place in time or none."""
    device = f"{kind}-{seed}"
    points = [sensor.point for sensor in MODELS[kind].sensors]
    faults = []
    if fault is not None:
        point = points[seed] if fault.of_sensor else None
        onset_s, growth_s = float(HEALTHY_DAYS * DAY_S), float(GROWTH_DAYS * DAY_S)
        faults = [Fault(device, fault, onset_s, growth_s, SEVERITY, point=point)]
    machine = Machine(MachineSpec(device, kind, "", f"site-{seed}"), seed, faults, float(START_S))
    time_s = START_S + np.arange(_DAYS * DAY_S // INTERVAL_S, dtype=np.int64) * INTERVAL_S
    readings = machine.run(time_s * 1000)
    streams = [Stream(number, 1, "bench", device, point, "unknown", "") for number, point in enumerate(points)]
    values = np.concatenate([readings[point] for point in points])
    return Batch.of(
        np.tile(time_s * 1_000_000, len(points)), np.repeat(np.arange(len(points)), len(time_s)), values
    ), streams


def _hot(batch: Batch, streams: list[Stream], make: Callable[[], Detector]) -> np.ndarray:
    """Whether any stream's score is 1 or more, by reading time: bool (T,)."""
    detector = make()
    detector.watch(streams)
    score = detector.score(batch, 0).score.reshape(len(streams), -1)
    hot: np.ndarray = (np.nan_to_num(score) >= 1.0).any(axis=0)
    return hot


def _found_days(worn: list[tuple[Batch, list[Stream]]], make: Callable[[], Detector]) -> list[float]:
    """Days from each fault's onset to the first alarm after it; NaN where there is none."""
    onset = HEALTHY_DAYS * DAY_S // INTERVAL_S
    found = [np.flatnonzero(_hot(batch, streams, make)[onset:]) for batch, streams in worn]
    return [float(each[0]) * INTERVAL_S / DAY_S if len(each) else float("nan") for each in found]


def _alarms(batch: Batch, streams: list[Stream], make: Callable[[], Detector]) -> int:
    hot = _hot(batch, streams, make)
    return int(np.count_nonzero(hot & ~np.concatenate(([False], hot[:-1]))))


def _share(found_days: list[float], within_days: float) -> float:
    return float(100 * np.mean(np.array(found_days) <= within_days))
