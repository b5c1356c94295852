"""A machine is a function of absolute time and seed; its sensors have noise, steps and faults of their own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec
from firmware_sim.noise import Indices, key, normal, uniform, wander
from telemetry import QUANTITIES, quantity_of

START_MS = 1_763_978_400_000
KINDS = sorted(MODELS)


def spec_of(kind: str, device: str | None = None) -> MachineSpec:
    return MachineSpec(device or f"{kind}-01", kind, "model", "site")


def seconds(count: int, start_ms: int = START_MS) -> Indices:
    return start_ms + 1000 * np.arange(count, dtype=np.int64)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_readings(kind: str) -> None:
    first, second = (Machine(spec_of(kind), 7).run(seconds(300)) for _ in range(2))
    for point in first:
        np.testing.assert_array_equal(first[point], second[point])


@pytest.mark.parametrize("kind", KINDS)
def test_other_seed_or_device_other_readings(kind: str) -> None:
    mine = Machine(spec_of(kind), 7).run(seconds(300))
    others = Machine(spec_of(kind), 8).run(seconds(300)), Machine(spec_of(kind, "other-01"), 7).run(seconds(300))
    for point, other in itertools.product(mine, others):
        assert np.mean(mine[point] != other[point]) > 0.5, point


@pytest.mark.parametrize("kind", KINDS)
def test_how_time_is_cut_does_not_matter(kind: str) -> None:
    whole = Machine(spec_of(kind), 7).run(seconds(120))
    machine = Machine(spec_of(kind), 7)
    pieces = [machine.run(part) for part in np.split(seconds(120), [1, 2, 7, 60])]
    for point in whole:
        np.testing.assert_allclose(np.concatenate([piece[point] for piece in pieces]), whole[point], atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gap_s", [30, 900, 36_000])
def test_a_restart_goes_on_where_the_machine_would_have_been(kind: str, gap_s: int) -> None:
    later = seconds(60, START_MS + 1000 * (600 + gap_s))
    undisturbed, paused = Machine(spec_of(kind), 7), Machine(spec_of(kind), 7)
    undisturbed.run(seconds(600 + gap_s))
    paused.run(seconds(600))
    expected, resumed, restarted = undisturbed.run(later), paused.run(later), Machine(spec_of(kind), 7).run(later)
    for sensor in spec_of(kind).sensors:
        # What lives through a gap in coarser steps may be off by a fraction of the noise, and by a cycle's ripple.
        tolerance = 2.0 * sensor.noise + 0.01 * np.ptp(expected[sensor.point]) + 0.005 * sensor.span
        for other in (resumed, restarted):
            difference = np.abs(np.mean(other[sensor.point]) - np.mean(expected[sensor.point]))
            assert difference < tolerance, sensor.point


@pytest.mark.parametrize("kind", KINDS)
def test_points_speak_of_their_quantity_and_stay_possible(kind: str) -> None:
    read = Machine(spec_of(kind)).run(seconds(600))
    unknown = {point for point in read if quantity_of(point) == QUANTITIES["unknown"]}
    assert unknown <= {"load_torque", "duty_cycle"}
    for point, values in read.items():
        assert np.isfinite(values).all()
        assert (values > quantity_of(point).lowest).all()
        assert (values < quantity_of(point).highest).all()


@pytest.mark.parametrize("kind", KINDS)
def test_readings_are_whole_steps_of_the_converter_and_never_rest(kind: str) -> None:
    read = Machine(spec_of(kind)).run(seconds(1800))
    for sensor in spec_of(kind).sensors:
        steps = read[sensor.point] / sensor.resolution
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
        longest = max(len(list(run)) for _, run in itertools.groupby(read[sensor.point].tolist()))
        assert longest <= 15, f"{sensor.point} looks stuck for {longest} s in health"


def test_stuck_sensor_holds_its_value_until_repaired_and_leaves_the_machine_alone() -> None:
    stuck = Fault("pump-01", FaultKind.STUCK_SENSOR, 100.0, 0.0, lasts_s=200.0, point="flow")
    read = Machine(spec_of("pump"), faults=[stuck], origin_s=START_MS / 1000).run(seconds(400))
    healthy = Machine(spec_of("pump")).run(seconds(400))
    assert len(set(read["flow"][100:300])) == 1
    np.testing.assert_array_equal(read["flow"][:100], healthy["flow"][:100])
    np.testing.assert_array_equal(read["flow"][300:], healthy["flow"][300:])
    for point in set(read) - {"flow"}:
        np.testing.assert_array_equal(read[point], healthy[point])


def test_drifting_sensor_goes_astray_by_a_fifth_of_its_span() -> None:
    drifting = Fault("pump-01", FaultKind.DRIFTING_SENSOR, 0.0, 100.0, severity=0.5, point="flow")
    read = Machine(spec_of("pump"), faults=[drifting], origin_s=START_MS / 1000).run(seconds(300))
    off = read["flow"] - Machine(spec_of("pump")).run(seconds(300))["flow"]
    assert off[0] == pytest.approx(0.0, abs=0.1)
    assert off[50] == pytest.approx(6.0, abs=0.1)
    assert off[100:].mean() == pytest.approx(12.0, abs=0.1)


def test_a_repaired_machine_is_what_it_was() -> None:
    worn = Fault("pump-01", FaultKind.IMBALANCE, 10.0, 5.0, lasts_s=100.0)
    read = Machine(spec_of("pump"), faults=[worn], origin_s=START_MS / 1000).run(seconds(9000))
    healthy = Machine(spec_of("pump")).run(seconds(9000))
    assert read["vibration_velocity"][60] > 3.0 * healthy["vibration_velocity"][60]
    np.testing.assert_array_equal(read["vibration_velocity"][111:], healthy["vibration_velocity"][111:])
    np.testing.assert_allclose(read["bearing_temperature"][-60:], healthy["bearing_temperature"][-60:], atol=0.06)


@pytest.mark.parametrize(
    ("kind", "fault", "said"),
    [
        ("gearmotor", Fault("gearmotor-01", FaultKind.CAVITATION, 0, 1), "cannot have cavitation"),
        ("pump", Fault("pump-01", FaultKind.STUCK_SENSOR, 0, 1, point="oil_pressure"), "has no oil_pressure"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(kind: str, fault: Fault, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Machine(spec_of(kind), faults=[fault])


def test_noise_is_what_its_name_says() -> None:
    index = np.arange(200_000, dtype=np.int64) + START_MS
    even, bell = uniform(key("a"), index), normal(key("a"), index)
    assert 0.0 < even.min() < 0.001
    assert 0.999 < even.max() < 1.0
    assert even.mean() == pytest.approx(0.5, abs=0.003)
    assert bell.mean() == pytest.approx(0.0, abs=0.01)
    assert bell.std() == pytest.approx(1.0, abs=0.01)
    assert np.corrcoef(bell[1:], bell[:-1])[0, 1] == pytest.approx(0.0, abs=0.01)
    assert np.corrcoef(bell, normal(key("b"), index))[0, 1] == pytest.approx(0.0, abs=0.01)


def test_wandering_is_smooth_and_turns_with_its_period() -> None:
    t_s = np.arange(0.0, 600_000.0, 10.0)
    path = wander(key("air"), t_s, 600.0)
    assert path.std() == pytest.approx(0.85, abs=0.08)
    assert np.abs(np.diff(path)).max() < 0.15
