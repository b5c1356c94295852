"""Every fault is named, on machines drawn apart from the simulator's; what is healthy has none."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from shaking import Shaft, faulty, healthy, meshing, tones

from detectors.vibration import FAULTS, Bearing, Diagnosis, Machine, diagnose, named, of_orders
from firmware_sim.device import WAVEFORM_RATE_HZ, WAVEFORM_SAMPLES
from firmware_sim.faults import FaultKind
from firmware_sim.pump import Pump
from firmware_sim.vibration import acceleration_g

BEARING = named("SKF 6205")
OF_BEARINGS = ("outer_race", "inner_race", "ball", "cage")
OF_SHAFTS = ("imbalance", "misalignment", "looseness")


def seen(signal: np.ndarray, shaft: Shaft, bearing: Bearing | None = BEARING, **known: object) -> Diagnosis:
    machine = Machine(**({"rpm": shaft.rpm, "bearing": bearing} | known))  # type: ignore[arg-type]
    return diagnose(signal, shaft.rate_hz, "vibration_acceleration", machine)


@pytest.mark.parametrize("fault", [*OF_BEARINGS, *OF_SHAFTS])
def test_each_fault_is_named_at_every_speed_rate_and_slip(fault: str) -> None:
    wrong = []
    shapes = product((900.0, 2950.0), (12_800.0, 25_600.0), (0.02, 0.1), ((0.99, 0.0), (1.01, 0.01)))
    for rpm, rate_hz, noise_g, (off, slip) in shapes:
        shaft = Shaft(rpm, rate_hz, noise_g=noise_g)
        found = seen(faulty(fault, shaft, BEARING, slip=slip, off=off), shaft)
        if found.fault != fault:
            wrong.append((rpm, rate_hz, noise_g, off, slip, found.fault, found.reason))
    assert not wrong


@pytest.mark.parametrize("fault", OF_BEARINGS)
@pytest.mark.parametrize("told", [0.99, 1.01])
def test_a_speed_that_is_told_wrong_by_a_hundredth_is_put_right(fault: str, told: float) -> None:
    shaft = Shaft(1480.0)
    found = seen(faulty(fault, shaft, BEARING), shaft, rpm=1480.0 * told)
    assert found.fault == fault
    assert found.shaft_hz == pytest.approx(shaft.hz, rel=2e-3)


@pytest.mark.parametrize("fault", ["outer_race", "inner_race"])
def test_a_bearing_whose_lines_lie_beside_the_shafts_is_judged_where_the_block_is_long_enough(fault: str) -> None:
    """6203 has its BPFO at 3.05 and its BPFI at 4.95."""
    bearing = named("6203")
    shaft = Shaft(1480.0, 12_800.0, 3.0)
    assert seen(faulty(fault, shaft, bearing), shaft, bearing).fault == fault
    assert seen(faulty("none", shaft, bearing), shaft, bearing).fault == "none"


@pytest.mark.parametrize(
    ("kind", "fault"), [(FaultKind.BEARING_WEAR, "outer_race"), (FaultKind.IMBALANCE, "imbalance")]
)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_the_simulators_pump_is_diagnosed_as_it_was_damaged(kind: FaultKind, fault: str, level: float) -> None:
    (mount,) = Pump.mounts
    added_mm_s = {FaultKind.BEARING_WEAR: 4.8, FaultKind.IMBALANCE: 5.2}[kind] * level
    block = acceleration_g(
        mount, 7, 1000, rpm=1485.0, velocity_mm_s=float(np.hypot(1.2, added_mm_s)),
        damages={kind: level} if level else {}, rate_hz=WAVEFORM_RATE_HZ, samples=WAVEFORM_SAMPLES,
    )  # fmt: skip
    machine = Machine(1485.0, named("6203"), blades=6, group=2, support="rigid")
    found = diagnose(block, WAVEFORM_RATE_HZ, "vibration_acceleration", machine)
    assert found.fault == (fault if level else "none")


def test_healthy_machines_have_no_fault() -> None:
    """Noise of many colours, shafts at many speeds: of 240 blocks at most one in a hundred is named."""
    named_so = []
    rng = np.random.default_rng(5)
    for seed in range(240):
        rate_hz = float(rng.choice([5120.0, 12_800.0]))
        shaft = Shaft(float(rng.uniform(900.0, 3600.0)), rate_hz, 1.1, float(rng.uniform(0.01, 0.3)), 1500.0, seed)
        found = seen(healthy(shaft, shaft.rng()), shaft, teeth=23)
        if found.fault != "none":
            named_so.append((seed, found.fault, found.reason))
    assert len(named_so) <= 2, named_so


def test_a_smooth_machine_with_much_of_every_order_but_little_velocity_is_healthy() -> None:
    shaft = Shaft(1480.0)
    rng = shaft.rng()
    signal = healthy(shaft, rng) + tones(shaft, rng, {1.0: 1.8})
    found = seen(signal, shaft)
    assert found.fault == "none"
    assert "imbalance" in found.reason
    # The same shape, twice as strong, is one where less is allowed.
    assert seen(3.0 * signal, shaft, group=2, support="rigid").fault == "imbalance"
    assert seen(3.0 * signal, shaft, group=1, support="flexible").fault == "none"


@pytest.mark.parametrize("fault", ["none", "outer_race", "inner_race", "ball"])
def test_a_knock_or_two_hide_nothing_and_are_nothing(fault: str) -> None:
    shaft = Shaft(1480.0, 25_600.0)
    signal = faulty(fault, shaft, BEARING)
    for place in (9000, 31_000):
        signal[place : place + 3] += [40.0, -35.0, 20.0]
    assert seen(signal, shaft).fault == fault


@pytest.mark.parametrize("rpm", [1165.0, 1410.0, 2755.0])
@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_hum_on_the_cable_is_no_bearing(rpm: float, mains_hz: float) -> None:
    shaft = Shaft(rpm, 12_800.0)
    hum = sum(0.03 * np.cos(2.0 * np.pi * mains_hz * k * shaft.t_s) for k in range(1, 60))
    assert seen(healthy(shaft, shaft.rng()) + np.asarray(hum), shaft).fault == "none"


def test_steady_tones_that_beat_at_the_outer_race_are_no_bearing() -> None:
    shaft = Shaft(1797.0, 25_600.0)
    assert BEARING.outer is not None
    rng, beat = shaft.rng(), BEARING.outer * shaft.hz
    t_s = shaft.t_s
    hum = sum(np.sin(2.0 * np.pi * (3000.0 + k * beat) * t_s + k) for k in range(3))
    found = seen(healthy(shaft, rng) + 0.1 * np.asarray(hum), shaft)
    assert found.fault == "none"
    assert "tones" in found.reason


@pytest.mark.parametrize("rpm", [1200.0, 1797.0])
def test_a_tooth_that_is_broken_and_one_that_is_not(rpm: float) -> None:
    shaft = Shaft(rpm, 25_600.0)
    broken = seen(meshing(shaft, 32, 0.6), shaft, teeth=32)
    assert broken.fault == "gear"
    assert {"mesh", "mesh + shaft", "mesh - shaft"} <= {line.line for line in broken.evidence}
    assert seen(meshing(shaft, 32, 0.0), shaft, teeth=32).fault == "none"


def test_the_evidence_is_where_the_lines_are() -> None:
    shaft = Shaft(1797.0)
    found = seen(faulty("inner_race", shaft, BEARING), shaft)
    lines = {line.line: line for line in found.evidence}
    assert {"BPFI", "BPFI - shaft", "BPFI + shaft"} <= set(lines)
    assert BEARING.inner is not None
    assert lines["BPFI"].expected_hz == pytest.approx(BEARING.inner * shaft.hz, rel=5e-3)
    assert lines["BPFI"].found_hz == pytest.approx(lines["BPFI"].expected_hz, rel=0.02)
    assert lines["BPFI"].height > 100.0
    assert found.envelope is not None
    assert found.band_hz is not None
    assert found.band_hz[0] < shaft.rings_hz < found.band_hz[1]


def test_what_is_missing_is_said() -> None:
    shaft = Shaft(1480.0)
    signal = faulty("outer_race", shaft, BEARING)
    assert "speed" in seen(signal, shaft, rpm=None).reason
    assert "speed" in seen(signal, shaft, rpm=0.0).reason
    assert "turns" in seen(signal[:10_000], shaft).reason
    assert seen(np.zeros(51_200), shaft).reason == "nothing moves"
    unknown = seen(signal, shaft, bearing=None)
    assert unknown.fault == "none"
    assert "impacts at" in unknown.reason
    assert BEARING.outer is not None
    assert unknown.evidence[0].found_hz == pytest.approx(BEARING.outer * shaft.hz, rel=0.01)
    assert unknown.zone is None
    assert seen(signal, shaft, group=2).zone is None
    assert seen(signal, shaft, group=2, support="rigid").zone is not None


def test_the_units_scale_changes_no_fault_of_a_bearing() -> None:
    shaft = Shaft(1480.0)
    for fault in OF_BEARINGS:
        signal = faulty(fault, shaft, BEARING)
        assert [seen(factor * signal, shaft).fault for factor in (1e-3, 1.0)] == [fault, fault]


def test_one_order_is_enough_for_its_own_part() -> None:
    shaft = Shaft(1480.0)
    only = of_orders(outer=BEARING.outer)
    assert seen(faulty("outer_race", shaft, BEARING), shaft, only).fault == "outer_race"
    assert seen(faulty("inner_race", shaft, BEARING), shaft, only).fault == "none"


def test_velocity_is_diagnosed_as_velocity() -> None:
    shaft = Shaft(1480.0)
    velocity = 9.0 * np.sin(2.0 * np.pi * shaft.hz * shaft.t_s) + 0.1 * shaft.rng().standard_normal(len(shaft.t_s))
    found = diagnose(velocity, shaft.rate_hz, "vibration_velocity", Machine(rpm=1480.0))
    assert found.fault == "imbalance"
    assert found.figures["velocity_rms"][0] == pytest.approx(9.0 / np.sqrt(2.0), rel=0.01)


@pytest.mark.parametrize("fault", ["none", "outer_race", "ball"])
def test_a_second_at_50_khz_takes_less_than_a_tenth_of_one(fault: str) -> None:
    shaft = Shaft(1797.0, 50_000.0, 1.0)
    signal = faulty(fault, shaft, BEARING)
    spent = []
    for _ in range(5):
        began = time.process_time()
        seen(signal, shaft)
        spent.append(time.process_time() - began)
    assert min(spent) < 0.1


def test_a_fault_is_one_of_those_that_are_told() -> None:
    assert set(OF_BEARINGS) | set(OF_SHAFTS) | {"none", "gear"} == set(FAULTS)
