"""Sensors that lie, and machines that only look so."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from alarms.events import AlarmEvent
from alarms.rules import DEFAULT_RULES
from alarms.watch import Watch
from detectors.conversions import CONVERSIONS, serving
from detectors.recordings import read
from detectors.sensors import Sensors
from ingest.watch.detectors import detectors_for
from telemetry import Batch, Stream
from telemetry.quantities import quantity_of

START_US = 1_763_740_800_000_000
ROWS, FAULT = 1200, 800
SEEDS = range(6)
RECORDED = Path(os.environ.get("BELLWETHER_DATA", "../shared/data")) / "SKAB"


class Machine:
    """Four points: two temperatures, a pressure and a current, and a detector that has heard all they said."""

    STREAMS = (
        Stream(0, 7, "demo", "pump", "inlet_temperature", "temperature", "degC"),
        Stream(1, 7, "demo", "pump", "bearing_temperature", "temperature", "degC"),
        Stream(2, 7, "demo", "pump", "pressure", "pressure", "bar"),
        Stream(3, 7, "demo", "pump", "opening", "level", "%"),
    )

    def __init__(self, seed: int, interval_s: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.values = np.array([21.0, 63.0, 3.2, 70.0]) + rng.normal(size=(ROWS, 4)) * [0.05, 0.1, 0.01, 0.4]
        self.time_us = START_US + np.arange(ROWS) * interval_s * 1_000_000
        self.rng = rng

    def heard(self, rows: int = ROWS) -> tuple[Sensors, np.ndarray]:
        """The detector after so many rows, and its scores (rows, 4), in batches of fifty rows."""
        detector = Sensors()
        detector.watch(self.STREAMS)
        scores = np.empty((rows, 4))
        for first in range(0, rows, 50):
            part = slice(first, min(first + 50, rows))
            values = self.values[part]
            times = np.tile(self.time_us[part], 4)
            batch = Batch.of(times, np.repeat(np.arange(4), len(values)), values.T.ravel())
            scores[part] = detector.score(batch, 0).score.reshape(4, -1).T
        return detector, scores


def told(machine: Machine, point: int, until: int = ROWS) -> str:
    """What is said of a point in the end, where it is in alarm and no other is."""
    detector, scores = machine.heard(until)
    alarms = scores >= 1.0
    assert not alarms[:FAULT].any()
    assert alarms[-1, point]
    assert not np.delete(alarms, point, axis=1).any()
    evidence = detector.explain(point)
    assert evidence.point == machine.STREAMS[point].point
    assert machine.time_us[FAULT - 20] <= evidence.since_us <= machine.time_us[-1]
    return evidence.sign


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thermometer_set_to_fahrenheit(seed: int) -> None:
    machine = Machine(seed)
    machine.values[FAULT:, 1] = machine.values[FAULT:, 1] * 1.8 + 32.0
    assert told(machine, 1) == "reads °F instead of °C"
    assert machine.heard()[0].explain(1).expected == pytest.approx(63.0, abs=0.2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pressure_in_psi_every_ten_minutes(seed: int) -> None:
    machine = Machine(seed, interval_s=600)
    machine.values[FAULT:, 2] *= 14.5038
    assert told(machine, 2) == "reads psi instead of bar"


@pytest.mark.parametrize("seed", SEEDS)
def test_two_plugs_exchanged(seed: int) -> None:
    machine = Machine(seed)
    machine.values[FAULT:, [0, 1]] = machine.values[FAULT:, [1, 0]]
    detector, scores = machine.heard()
    assert not (scores[:, 2:] >= 1.0).any()
    assert (scores[-1, :2] >= 1.0).all()
    assert detector.explain(0).sign == "is exchanged with bearing_temperature"
    assert detector.explain(1).sign == "is exchanged with inlet_temperature"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_end_of_the_range(seed: int) -> None:
    machine = Machine(seed)
    end = machine.values[:FAULT, 2].max() + 0.02
    machine.values[FAULT:, 2] = np.minimum(machine.values[FAULT:, 2] + (end - 3.2), end)
    assert told(machine, 2) == "is at the end of its range"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_loose_contact(seed: int) -> None:
    machine = Machine(seed)
    loose = FAULT + np.flatnonzero(machine.rng.random(ROWS - FAULT) < 0.1)
    machine.values[loose, 1] += machine.rng.choice([-1, 1], len(loose)) * 8.0
    machine.values[-40:-2:8, 1] += 8.0
    assert told(machine, 1) == "jumps for single readings"


def test_repaired_is_over() -> None:
    machine = Machine(1)
    machine.values[FAULT : FAULT + 150, 1] = machine.values[FAULT : FAULT + 150, 1] * 1.8 + 32.0
    detector, scores = machine.heard()
    assert (scores[FAULT : FAULT + 150, 1] >= 1.0).any()
    assert not (scores[FAULT + 200 :, 1] >= 1.0).any()
    assert detector.explain(1).sign == "reads as it should"


@pytest.mark.parametrize("seed", range(20))
def test_a_machine_that_jumps_is_no_sensor_that_lies(seed: int) -> None:
    """To any level, of one point or of all, with the scatter that goes with it; off; on its way; a valve wide open."""
    rng = np.random.default_rng(seed)
    for case in ("one", "all", "off", "ramp", "open"):
        machine = Machine(seed)
        after = machine.values[FAULT:]
        factor = np.exp(rng.uniform(-2, 2, 4))
        if case == "one":
            after[:, seed % 4] *= factor[0]
        elif case == "all":
            after *= factor
        elif case == "off":
            after *= [1.0, 1.0, 0.0, 0.0]
        elif case == "ramp":
            after[:, 1] += np.minimum(np.arange(len(after)) * 0.5, 82.4)
        else:
            after[:, 3] = np.minimum(after[:, 3] + 30.0, 100.0)
        _, scores = machine.heard()
        assert not (scores >= 1.0).any(), (case, factor)


def test_a_coarse_converter_does_not_saturate() -> None:
    machine = Machine(2)
    machine.values[:, 1] = np.round(machine.values[:, 1] * 5) / 5
    machine.values[FAULT:, 1] = np.maximum(machine.values[FAULT:, 1], 63.2)
    assert not (machine.heard()[1] >= 1.0).any()


def test_what_lasts_is_the_new_normal() -> None:
    machine = Machine(3, interval_s=3600)
    machine.values[FAULT - 300 :, 2] *= 14.5038
    detector = Sensors(accept_s=86_400.0)
    detector.watch(machine.STREAMS)
    batch = Batch.of(np.tile(machine.time_us, 4), np.repeat(np.arange(4), ROWS), machine.values.T.ravel())
    score = detector.score(batch, 0).score.reshape(4, -1)[2]
    assert (score >= 1.0).any()
    assert not (score[-100:] >= 1.0).any()


def test_a_conversion_serves_its_quantity() -> None:
    names = {c.name for c, may in zip(CONVERSIONS, serving("temperature"), strict=True) if may}
    assert "°F instead of °C" in names
    assert "psi instead of bar" not in names
    assert serving("unknown").all()


def test_little_is_remembered_of_a_stream() -> None:
    """Room for the finest of all streams: a hundred thousand of them fit into 25 MB."""
    detector = Sensors()
    detector.watch([Stream(n, n // 8, "demo", "pump", "point", "unknown", "") for n in range(1000)])
    assert sum(column.nbytes for column in detector.snapshot().values()) < 260 * 1000


def alarms_of(machine: Machine) -> list[AlarmEvent]:
    """What is raised by all that runs live, with the rules that everybody gets."""
    rules = {"demo": DEFAULT_RULES}
    watch = Watch(detectors_for(rules), rules)
    watch.watch(machine.STREAMS)
    events = []
    for first in range(0, ROWS, 10):
        part = slice(first, first + 10)
        batch = Batch.of(np.tile(machine.time_us[part], 4), np.repeat(np.arange(4), 10), machine.values[part].T.ravel())
        events += watch.step(batch, int(machine.time_us[part][-1]))
    return events


def test_a_sensor_in_another_unit_has_one_ticket_whoever_sees_it_and_a_hot_machine_its_own() -> None:
    lying, hot = Machine(0), Machine(0)
    lying.values[FAULT:, 1] = lying.values[FAULT:, 1] * 1.8 + 32.0
    hot.values[FAULT:, 1] += 20.0
    events = alarms_of(lying)
    assert events[0].detector == "sensors"
    assert events[0].message.startswith("bearing_temperature reads °F instead of °C: 145")
    assert {event.detector for event in events} >= {"sensors", "shift", "multivariate"}
    assert {event.fault for event in events} == {"instrument"}
    assert {event.fault for event in alarms_of(hot)} == {"condition"}


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recordings are not here")
@pytest.mark.parametrize("path", sorted(RECORDED.glob("*/*.csv")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_fault_of_a_recorded_pump_is_its_sensors(path: Path) -> None:
    recording = read(path, time_column="datetime", ignore=["anomaly", "changepoint"])
    detector = Sensors()
    points = len(recording.channels)
    detector.watch(
        [Stream(n, 1, "demo", "pump", name, quantity_of(name).name, "") for n, name in enumerate(recording.channels)]
    )
    batch = Batch.of(
        np.tile(recording.time_us, points), np.repeat(np.arange(points), len(recording)), recording.values.T.ravel()
    )
    assert not (detector.score(batch, 0).score >= 1.0).any()
