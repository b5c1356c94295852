"""firmware_sim: every fault that each machine can have, by the physics itself, through the live watch to a diagnosis.

A machine runs an hour in health; then a fault grows for an hour and stays ten minutes. Found is what raises an alarm
after its onset. The diagnosis is made at the first such alarm, from what was heard by then.
`python -m bench.detection.simulated` prints it by fault, at other growths and severities too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from alarms.events import AlarmEvent, Kind
from alarms.rules import DEFAULT_RULES
from alarms.watch import Watch
from bench.detection import episodes as alike
from bench.detection.table import Row
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec
from ingest.watch.detectors import detectors_for
from prognosis.diagnosis import Diagnosis, diagnose
from prognosis.episodes import Signature, signature
from prognosis.faults import library
from prognosis.signature import Course, Departure, departures
from telemetry import Batch, Stream
from telemetry.quantities import quantity_of

START_S = 1_763_740_800
HEALTHY_S, AFTER_S = 3600, 600
# Of the health before, so much is start-up and not looked at.
WARM_S = 600
SEEDS = range(20)
_STEP_S = 60

# What each is called in the fault library.
MODES = {
    ("pump", "bearing_wear"): "bearing_wear",
    ("pump", "imbalance"): "imbalance",
    ("pump", "cavitation"): "cavitation",
    ("pump", "blocked_filter"): "pump.blocked_filter",
    ("pump", "leak"): "pump.leak",
    ("pump", "overheating"): "bearing_cooling_loss",
    ("gearmotor", "bearing_wear"): "bearing_wear",
    ("gearmotor", "imbalance"): "imbalance",
    ("gearmotor", "leak"): "gear.oil_leak",
    ("gearmotor", "overheating"): "motor_cooling_loss",
    ("compressor", "bearing_wear"): "bearing_wear",
    ("compressor", "imbalance"): "imbalance",
    ("compressor", "blocked_filter"): "compressor.blocked_filter",
    ("compressor", "leak"): "compressor.leak",
    ("compressor", "overheating"): "compressor.cooling_loss",
    **{(kind, "stuck_sensor"): "sensor.stuck" for kind in MODELS},
    **{(kind, "drifting_sensor"): "sensor.drift" for kind in MODELS},
}


@dataclass(frozen=True, slots=True)
class Setting:
    """How fast and how badly machines fail, and which machines."""

    growth_s: int = 3600
    severity: float = 0.8
    seeds: Sequence[int] = SEEDS


@dataclass(frozen=True, slots=True)
class Episode:
    """What became of one machine.

    Attributes
    ----------
    fault : str
        Empty for one that stays well.
    found_s : float
        From the onset to the first alarm; NaN where there is none.
    false_alarms : int
        Raised in health.
    diagnosis
        At the first alarm; None where there is none.
    young, grown
        The signature at the first alarm, and in the end.
    """

    kind: str
    fault: str
    found_s: float
    false_alarms: int
    diagnosis: Diagnosis | None
    young: Signature = field(default_factory=dict)
    grown: Signature = field(default_factory=dict)

    def place(self) -> int:
        """The right mode's place among the suspects, from 1; 0 where it is not among them."""
        ids = [suspect.mode.id for suspect in self.diagnosis.suspects] if self.diagnosis else []
        wanted = MODES[self.kind, self.fault]
        return ids.index(wanted) + 1 if wanted in ids else 0


def rows(data: Path) -> list[Row]:
    """`data` is not needed: the recordings are made here."""
    setting = Setting()
    episodes = [episode for kind in MODELS for episode in run(kind, setting)]
    faulty = [episode for episode in episodes if episode.fault]
    found = [episode for episode in faulty if not np.isnan(episode.found_s)]
    early = sum(episode.found_s <= setting.growth_s / 3 for episode in found)
    days = (len(faulty) * HEALTHY_S + (len(episodes) - len(faulty)) * _length_s(setting)) / 86_400
    places = [episode.place() for episode in found]
    return [
        Row("firmware_sim", f"found, % of {len(faulty)} faults", 100 * len(found) / len(faulty), 95),
        Row("firmware_sim", "found in the first third of growth, %", 100 * early / len(faulty), aim=95),
        Row("firmware_sim", "mode among three named, % of found", 100 * float(np.mean([p > 0 for p in places])), 85),
        Row("firmware_sim", "mode named first, % of found", 100 * float(np.mean([p == 1 for p in places]))),
        Row("firmware_sim", "false alarms a machine-day", sum(e.false_alarms for e in episodes) / days, upwards=False),
        *alike.rows(found),
    ]


def run(kind: str, setting: Setting) -> list[Episode]:
    """Every fault of one kind of machine, and as many machines that stay well, under one watch."""
    faults = ["", *(name for of, name in MODES if of == kind)]
    cases = [(fault, seed) for fault in faults for seed in setting.seeds]
    points = [sensor.point for sensor in MODELS[kind].sensors]
    time_us = (START_S + np.arange(_length_s(setting), dtype=np.int64)) * 1_000_000
    values = np.empty((len(cases), len(points), len(time_us)))
    for number, (fault, seed) in enumerate(cases):
        readings = _machine(kind, fault, seed, setting).run(time_us // 1000)
        values[number] = [readings[point] for point in points]
    raised = _raised(kind, points, time_us, values)
    return [
        _episode(kind, fault, points, time_us, values[number], [e for e in raised if e.machine == number])
        for number, (fault, _) in enumerate(cases)
    ]


def _length_s(setting: Setting) -> int:
    return HEALTHY_S + setting.growth_s + AFTER_S


def _machine(kind: str, fault: str, seed: int, setting: Setting) -> Machine:
    # Each is another machine: the health of all of them before their faults tells of as many.
    device = f"{kind}-{fault}-{seed}"
    faults = []
    if fault:
        points = [sensor.point for sensor in MODELS[kind].sensors]
        of = FaultKind(fault)
        point = points[seed % len(points)] if of.of_sensor else None
        growth_s = 0.0 if of is FaultKind.STUCK_SENSOR else float(setting.growth_s)
        faults = [Fault(device, of, float(HEALTHY_S), growth_s, setting.severity, point=point)]
    return Machine(MachineSpec(device, kind, "", f"site-{fault}-{seed}"), seed, faults, float(START_S))


def _raised(
    kind: str, points: Sequence[str], time_us: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
) -> list[AlarmEvent]:
    streams = [
        Stream(machine * len(points) + slot, machine, "bench", f"{kind}-{machine}", point, quantity.name, quantity.unit)
        for machine in range(len(values))
        for slot, point in enumerate(points)
        for quantity in (quantity_of(point),)
    ]
    rules = {"bench": DEFAULT_RULES}
    watch = Watch(detectors_for(rules), rules)
    watch.watch(streams)
    number = np.arange(len(streams), dtype=np.int32)
    flat = values.reshape(len(streams), -1)
    events: list[AlarmEvent] = []
    for begin in range(0, len(time_us), _STEP_S):
        part = time_us[begin : begin + _STEP_S]
        columns = np.tile(part, len(streams)), np.repeat(number, len(part)), flat[:, begin : begin + _STEP_S].ravel()
        events += watch.step(Batch(*columns, np.zeros(len(columns[0]), np.uint8)), int(part[-1]))
    return [event for event in events if event.kind is Kind.RAISED and event.opens_ticket]


def _episode(
    kind: str,
    fault: str,
    points: Sequence[str],
    time_us: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    raised: Sequence[AlarmEvent],
) -> Episode:
    onset_us = (START_S + HEALTHY_S) * 1_000_000 if fault else int(time_us[-1]) + 1
    false_alarms = sum(event.at_us <= onset_us for event in raised)
    first = next((event for event in raised if event.at_us > onset_us), None)
    if first is None:
        return Episode(kind, fault, float("nan"), false_alarms, None)
    moved, ended = (_moved(points, time_us, values, first.since_us, at) for at in (first.at_us, int(time_us[-1])))
    diagnosis = diagnose(library(), moved, kind)
    found_s = (first.at_us - onset_us) / 1e6
    return Episode(kind, fault, found_s, false_alarms, diagnosis, signature(moved), signature(ended))


def _moved(
    points: Sequence[str], time_us: npt.NDArray[np.int64], values: npt.NDArray[np.float64], since_us: int, at_us: int
) -> list[Departure]:
    """How a machine's points have moved by `at_us`, from what was heard by then."""
    heard = slice(WARM_S, int(np.searchsorted(time_us, at_us, side="right")))
    courses = [
        Course(point, quantity_of(point).name, quantity_of(point).unit, time_us[heard], row[heard])
        for point, row in zip(points, values, strict=True)
    ]
    return departures(courses, since_us, at_us)


# In detail ----------------------------------------------------------------------------------------------------------

_OTHERS = (
    Setting(),
    Setting(growth_s=1200, severity=0.5, seeds=range(100, 106)),
    Setting(growth_s=1200, severity=1.0, seeds=range(200, 206)),
    Setting(growth_s=4 * 3600, severity=0.6, seeds=range(300, 306)),
)


def main() -> None:
    console = Console(width=150)
    for setting in _OTHERS:
        episodes = [episode for kind in MODELS for episode in run(kind, setting)]
        console.print(
            f"growth {setting.growth_s} s, severity {setting.severity}, {len(setting.seeds)} seeds", style="bold"
        )
        console.print(_by_fault(episodes, setting))
        console.print(f"of what is given so much, so much is right: {_reliability(episodes)}")
        console.print(f"false alarms: {sum(episode.false_alarms for episode in episodes)}")


def _by_fault(episodes: Sequence[Episode], setting: Setting) -> Table:
    table = Table()
    for title in ("machine", "fault", "found", "first alarm: 1st, 2nd, 3rd third, after", "first of three", "of three"):
        table.add_column(title)
    table.add_column("named first")
    for kind, fault in MODES:
        mine = [episode for episode in episodes if (episode.kind, episode.fault) == (kind, fault)]
        found = [episode for episode in mine if episode.diagnosis is not None]
        thirds = Counter(min(3, int(3 * episode.found_s / setting.growth_s)) for episode in found)
        named = Counter(
            e.diagnosis.suspects[0].mode.id if e.diagnosis.suspects else "nothing" for e in found if e.diagnosis
        )
        table.add_row(
            kind,
            fault,
            f"{len(found)}/{len(mine)}",
            " ".join(str(thirds[third]) for third in range(4)),
            str(sum(episode.place() == 1 for episode in found)),
            str(sum(episode.place() > 0 for episode in found)),
            " ".join(f"{name} {count}" for name, count in named.most_common(3)),
        )
    return table


def _reliability(episodes: Sequence[Episode]) -> str:
    said = [
        (suspect.probability, suspect.mode.id == MODES[episode.kind, episode.fault])
        for episode in episodes
        if episode.fault and episode.diagnosis
        for suspect in episode.diagnosis.suspects
    ]
    parts = []
    for low in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9):
        high = {0.0: 0.1, 0.9: 1.01}.get(low, low + 0.2)
        of = [(given, right) for given, right in said if low <= given < high]
        if of:
            given, right = np.mean(of, axis=0)
            parts.append(f"{given:.0%}: {right:.0%} of {len(of)}")
    return ", ".join(parts)


if __name__ == "__main__":
    main()
