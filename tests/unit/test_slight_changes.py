"""What nobody would open a ticket for: the weather of a machine's first hours, and a degree or two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from alarms.events import AlarmEvent, Kind
from alarms.rules import DEFAULT_RULES
from alarms.watch import Watch
from detectors import Multivariate, Shift
from firmware_sim.demo import HISTORY, MACHINES, SEED
from firmware_sim.machine import Machine, MachineSpec
from firmware_sim.plan import fleet_of
from ingest.watch.detectors import detectors_for
from telemetry import Batch, Stream, quantity_of
from telemetry.quantities import slight_change

FIRST_S, EVERY_S = 1_795_000_000, 7 * 3600 + 977
STEP_ROWS = 60
Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

# Healthy machines whose temperatures, in the second to sixth hour that they were known, once were a ticket.
CRIED_WOLF = [
    ("gearmotor-03", 3),
    ("pump-04", 10),
    ("gearmotor-02", 30),
    ("gearmotor-01", 33),
    ("pump-03", 36),
    ("gearmotor-04", 46),
    ("pump-01", 51),
    ("gearmotor-04", 56),
]


def tickets_of_a_past(specs: Sequence[MachineSpec], past: int) -> list[AlarmEvent]:
    """What a watch that knows nothing opens tickets for, in the healthy hours that a demonstration begins with."""
    now_s = FIRST_S + past * EVERY_S
    parts = [np.arange(now_s - part.from_s, now_s - part.to_s, part.interval_s) for part in HISTORY]
    time_ms = (np.concatenate(parts) * 1000).astype(np.int64)
    streams, values = [], []
    for number, spec in enumerate(specs):
        for point, value in Machine(spec, SEED, (), float(now_s)).run(time_ms).items():
            quantity = quantity_of(point)
            streams.append(Stream(len(streams), number, "t", spec.device, point, quantity.name, quantity.unit))
            values.append(value)
    rules = {"t": DEFAULT_RULES}
    watch = Watch(detectors_for(rules), rules)
    watch.watch(streams)
    events = []
    for begin in range(0, len(time_ms), STEP_ROWS):
        events += watch.step(
            batch_of(time_ms[begin : begin + STEP_ROWS] * 1000, [v[begin : begin + STEP_ROWS] for v in values]), 0
        )
    return [event for event in events if event.opens_ticket and event.kind is Kind.RAISED]


def batch_of(time_us: Times, values: Sequence[Floats]) -> Batch:
    number = np.repeat(np.arange(len(values), dtype=np.int32), len(time_us))
    each = np.concatenate(values)
    return Batch(np.tile(time_us, len(values)), number, each, np.zeros(len(each), np.uint8))


def temperatures(quantity: str, unit: str) -> list[Stream]:
    return [Stream(number, 0, "t", "m", f"t{number}", quantity, unit) for number in range(3)]


def told(detector: Multivariate | Shift, streams: Sequence[Stream], moved: float, hours: float = 4.0) -> float:
    """The highest score of three quiet points, one of which moves by so much in the last half hour."""
    detector.watch(streams)
    count = int(hours * 360)
    values = list(np.random.default_rng(7).normal(50.0, 0.1, (3, count)))
    values[0][-180:] += moved
    scores = detector.score(batch_of(np.arange(count, dtype=np.int64) * 10_000_000, values), 0)
    return float(np.nanmax(scores.score))


@pytest.mark.parametrize(("device", "past"), CRIED_WOLF)
def test_the_weather_of_a_machines_first_hours_is_no_ticket(device: str, past: int) -> None:
    specs = [spec for spec in fleet_of(MACHINES) if spec.device == device]
    assert tickets_of_a_past(specs, past) == []


@pytest.mark.parametrize("past", [0, 1])
def test_a_demonstrations_healthy_past_opens_no_ticket(past: int) -> None:
    assert tickets_of_a_past(fleet_of(MACHINES), past) == []


@pytest.mark.parametrize("detector", [Multivariate, Shift])
def test_a_degree_and_a_half_is_nothing_and_six_are(detector: type[Multivariate | Shift]) -> None:
    assert told(detector(), temperatures("temperature", "degC"), 1.5) < 1.0
    assert told(detector(), temperatures("temperature", "degC"), 6.0) >= 1.0


@pytest.mark.parametrize("detector", [Multivariate, Shift])
def test_of_what_nobody_knows_how_much_is_slight_everything_counts(detector: type[Multivariate | Shift]) -> None:
    assert told(detector(), temperatures("unknown", ""), 1.5) >= 1.0
    assert told(detector(), temperatures("temperature", "mystery"), 1.5) >= 1.0


def test_in_a_machines_first_hour_less_is_told_where_all_else_is_quiet() -> None:
    assert told(Multivariate(), temperatures("temperature", "degC"), 1.5, hours=1.6) >= 1.0


def test_only_what_is_measured_in_a_quantitys_own_unit_has_a_slight_change() -> None:
    assert slight_change("temperature", "degC") == slight_change("temperature", "") > 0
    assert slight_change("temperature", "degF") == slight_change("pressure", "bar") == slight_change("nothing", "") == 0
