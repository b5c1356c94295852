"""Machines with a day: off, idle, part and full load. What they are said to be doing, and what is alarmed of them.

Simulated, for these need a truth: three kinds of machines, three kinds of days, a reading every twenty seconds for
three days, through all detectors as they run live. Half of them are first heard of in the afternoon, half in the night,
standing or idling. The first day is for learning modes; alarms count from the first reading on. False alarms without
the recognition stand beside, by the very detectors without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alarms.events import AlarmEvent, Kind
from alarms.rules import DEFAULT_RULES
from alarms.watch import Watch
from bench.detection.table import Row
from detectors import DETECTORS, Detector, Limits
from detectors.in_mode import MODES, in_mode
from detectors.modes import Mode
from detectors.watchman import Watchman
from firmware_sim.duty import Duty, DutyKind
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec
from telemetry import Batch, Stream, quantity_of

START_S = 1_763_740_800
DAYS, INTERVAL_S = 3, 20
_LEARN_S, _ONSET_S, _GROWTH_S = 86_400, 1.75 * 86_400, 64_800
_STEP_ROWS = 30
# From so many hours after the start on a machine is heard.
_HEARD_FROM_H = (0, 9)

DAYS_OF: Mapping[str, Sequence[tuple[float, str]]] = {
    "night": ((6, "full"), (22, "off")),
    "idle": ((0, "idle"), (5, "full"), (12, "part"), (14, "full"), (19, "idle")),
    "mixed": ((5.5, "part"), (9, "full"), (12, "idle"), (13, "full"), (17, "part"), (21, "off")),
}
_FAULTS: Mapping[str, Sequence[str]] = {
    "pump": ("bearing_wear", "blocked_filter"),
    "gearmotor": ("bearing_wear", "overheating"),
    "compressor": ("bearing_wear", "overheating"),
}
_NAMED = {
    DutyKind.OFF: {Mode.OFF},
    DutyKind.IDLE: {Mode.IDLE},
    DutyKind.PART: {Mode.PART_LOAD},
    DutyKind.FULL: {Mode.FULL_LOAD, Mode.RUNNING},
}


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """Machines of one kind: their points, times (N,) in µs, values (machines, points, N), and what was asked."""

    kind: str
    points: tuple[str, ...]
    time_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    asked: Sequence[Sequence[DutyKind]]

    def streams(self) -> list[Stream]:
        return [
            Stream(machine * len(self.points) + slot, machine, "bench", f"m{machine}", point, quantity.name, "")
            for machine in range(len(self.values))
            for slot, point in enumerate(self.points)
            for quantity in (quantity_of(point),)
        ]

    def batches(self, step_rows: int = _STEP_ROWS) -> Iterator[Batch]:
        flat = self.values.reshape(-1, len(self.time_us))
        number = np.arange(len(flat), dtype=np.int32)
        for begin in range(0, len(self.time_us), step_rows):
            part = self.time_us[begin : begin + step_rows]
            each = flat[:, begin : begin + step_rows].ravel()
            yield Batch(np.tile(part, len(flat)), np.repeat(number, len(part)), each, np.zeros(len(each), np.uint8))


def rows(data: Path) -> list[Row]:
    """`data` is not needed: the recordings are made here."""
    right: dict[str, list[float]] = {kind: [] for kind in MODELS}
    wrong: dict[str, list[int]] = {kind: [] for kind in MODELS}
    before, found = [], []
    for kind, day in ((kind, day) for kind in MODELS for day in DAYS_OF):
        for number, hours in enumerate(_HEARD_FROM_H):
            fleet = made(kind, day, [""], named=str(number or ""), start_s=START_S + hours * 3600)
            raised, modes = watched(fleet)
            right[kind] += [_right(asked, said) for asked, said in zip(fleet.asked, modes, strict=True)]
            wrong[kind].append(len(raised))
        before.append(len(watched(made(kind, day, [""]), recognised=False)[0]))
        onset_us = int((START_S + _ONSET_S) * 1e6)
        raised, _ = watched(made(kind, day, _FAULTS[kind]))
        ill = {event.machine for event in raised if event.at_us > onset_us}
        found += [number in ill for number in range(len(_FAULTS[kind]))]
    month = 30.4 / DAYS
    whole = [share for shares in right.values() for share in shares]
    by_kind = {kind: round(100 * float(np.mean(shares)), 1) for kind, shares in right.items()}
    return [
        Row("modes", "named right, % of time after a day", 100 * float(np.mean(whole)), beside=by_kind),
        Row(
            "modes",
            "false alarms a machine-month with off, idle, load steps",
            float(np.mean(list(wrong.values()))) * month,
            upwards=False,
            beside={
                **{kind: round(float(np.mean(each)) * month, 1) for kind, each in wrong.items()},
                "without the recognition": round(float(np.mean(before)) * month, 1),
            },
        ),
        Row("modes", f"found, % of {len(found)} faults that grow for 18 hours", 100 * float(np.mean(found))),
    ]


def made(
    kind: str,
    day: str,
    faults: Sequence[str],
    days: int = DAYS,
    interval_s: int = INTERVAL_S,
    named: str = "",
    start_s: int = START_S,
) -> Fleet:
    """A machine for each fault; "": one that stays well, or that has no day. Other names, other machines."""
    points = tuple(sensor.point for sensor in MODELS[kind].sensors)
    time_ms = (start_s + np.arange(0, days * 86_400, interval_s, dtype=np.int64)) * 1000
    values = np.empty((len(faults), len(points), len(time_ms)))
    asked = []
    for number, fault in enumerate(faults):
        device = f"{named}{kind}-{day}-{fault}{number}"
        duties = [Duty(device, hour, DutyKind(name)) for hour, name in DAYS_OF.get(day, ())]
        ill = [Fault(device, FaultKind(fault), _ONSET_S, _GROWTH_S, 0.8)] if fault else []
        spec = MachineSpec(device, kind, "", f"site-{device}")
        machine = Machine(spec, number, ill, float(start_s), duties=duties)
        asked.append(machine.asked(time_ms))
        read = machine.run(time_ms)
        values[number] = [read[point] for point in points]
    return Fleet(kind, points, time_ms * 1000, values, asked)


def watched(
    fleet: Fleet, *, recognised: bool = True, step_rows: int = _STEP_ROWS
) -> tuple[list[AlarmEvent], list[list[Mode]]]:
    """Alarms that open a ticket, and each machine's mode at each time."""
    detectors: dict[str, Detector] = {
        name: Limits(lambda stream: None) if detector is Limits else detector() for name, detector in DETECTORS.items()
    }
    if recognised:
        detectors = in_mode(detectors)
    watch = Watch(detectors, {"bench": DEFAULT_RULES})
    watch.watch(fleet.streams())
    events: list[AlarmEvent] = []
    modes: list[list[Mode]] = [[] for _ in fleet.values]
    for batch in fleet.batches(step_rows):
        events += watch.step(batch, int(batch.time_us.max()))
        watchman = detectors.get(MODES)
        if isinstance(watchman, Watchman):
            now = watchman.now()
            for machine, said in enumerate(modes):
                said.extend([now[machine][0]] * (len(batch) // len(fleet.streams())))
    return [event for event in events if event.kind is Kind.RAISED and event.opens_ticket], modes


def _right(asked: Sequence[DutyKind], said: Sequence[Mode]) -> float:
    after = _LEARN_S // INTERVAL_S
    return float(np.mean([mode in _NAMED[duty] for duty, mode in zip(asked[after:], said[after:], strict=True)]))
