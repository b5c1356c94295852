"""Machines in the weather: faults that warm them slowly, among days and fronts that warm and cool them more.

Four machines of each kind stand outdoors, at constant duty or with nights, beside a sensor of the air: a reading a
minute for 24 days, through all detectors as they run live. After fourteen days they begin to overheat, for nine.
Without that sensor, for which there is nothing to compensate by but the load, stands beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alarms.events import AlarmEvent
from bench.detection.modes import DAYS_OF, START_S, Fleet, watched
from bench.detection.table import Row
from firmware_sim.duty import Duty, DutyKind
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec

_AIR = "ambient_temperature"
_MACHINES, _DAYS, _INTERVAL_S, _STEP_ROWS = 4, 24, 60, 120
_ONSET_S, _GROWTH_S, _SEVERITY = 14 * 86_400.0, 9 * 86_400.0, 0.8
_DAYS_OF = ("", "night")
_MONTH_DAYS = 30.4


def rows(data: Path) -> list[Row]:
    """`data` is not needed: the recordings are made here."""
    fleets = [made(kind, day) for kind in MODELS for day in _DAYS_OF]
    raised = [watched(fleet, step_rows=_STEP_ROWS)[0] for fleet in fleets]
    without = [watched(_without_air(fleet), step_rows=_STEP_ROWS)[0] for fleet in fleets]
    found_s, blind_s = _found_s(raised), _found_s(without)
    months = len(found_s) * _ONSET_S / 86_400 / _MONTH_DAYS
    return [
        Row("weather", f"found, % of {len(found_s)} machines that overheat", _found(found_s, _GROWTH_S), 95,
            beside={"without a sensor of the air": _found(blind_s, _GROWTH_S)}),
        Row("weather", "found in the first third of growth, %", _found(found_s, _GROWTH_S / 3), None, 95,
            beside={"without a sensor of the air": _found(blind_s, _GROWTH_S / 3)}),
        Row("weather", "false alarms a machine-month, the first two weeks", _false(raised) / months, upwards=False,
            beside={"without a sensor of the air": round(_false(without) / months, 2)}),
    ]  # fmt: skip


def made(kind: str, day: str) -> Fleet:
    points = tuple(sensor.point for sensor in MODELS[kind].sensors)
    time_ms = (START_S + np.arange(0, _DAYS * 86_400, _INTERVAL_S, dtype=np.int64)) * 1000
    values = np.empty((_MACHINES, len(points) + 1, len(time_ms)))
    asked = []
    for number in range(_MACHINES):
        device = f"outdoors-{kind}-{day}-{number}"
        duties = [Duty(device, hour, DutyKind(name)) for hour, name in DAYS_OF.get(day, ())]
        ill = [Fault(device, FaultKind.OVERHEATING, _ONSET_S, _GROWTH_S, _SEVERITY)]
        spec = MachineSpec(device, kind, "", f"site-{device}")
        machine = Machine(spec, number, ill, float(START_S), duties=duties, outdoors=True)
        asked.append(machine.asked(time_ms))
        read = machine.run(time_ms)
        noise = np.random.default_rng(number).normal(size=len(time_ms))
        values[number] = [*(read[point] for point in points), np.round(machine.air_degc(time_ms) + 0.1 * noise, 1)]
    return Fleet(kind, (*points, _AIR), time_ms * 1000, values, asked)


def _without_air(fleet: Fleet) -> Fleet:
    return Fleet(fleet.kind, fleet.points[:-1], fleet.time_us, fleet.values[:, :-1], fleet.asked)


def _since_onset_s(event: AlarmEvent) -> float:
    return event.at_us / 1e6 - START_S - _ONSET_S


def _found_s(raised: Sequence[Sequence[AlarmEvent]]) -> list[float]:
    """Of each machine of each fleet, from the onset to its first alarm thereafter; infinite where there is none."""
    return [
        min((since for e in events if e.machine == number and (since := _since_onset_s(e)) > 0), default=np.inf)
        for events in raised
        for number in range(_MACHINES)
    ]


def _found(found_s: Sequence[float], within_s: float) -> float:
    return 100 * float(np.mean([each <= within_s for each in found_s]))


def _false(raised: Sequence[Sequence[AlarmEvent]]) -> int:
    return sum(_since_onset_s(event) <= 0 for events in raised for event in events)
