"""What the electricity does to a sensor or a motor is no fault of its shaft or bearing, and hides none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from shaking import Shaft, faulty, healthy

from detectors.vibration import G_MM_S2, Diagnosis, Floats, Machine, diagnose, named

BEARING = named("SKF 6205")


def hum(shaft: Shaft, hz: float, velocity_mm_s: float) -> Floats:
    """A line of a fixed frequency, whatever the shaft does."""
    omega = 2.0 * math.pi * hz
    return np.asarray(math.sqrt(2.0) * velocity_mm_s * omega / G_MM_S2 * np.cos(omega * shaft.t_s + 1.0))


def swelling(shaft: Shaft, hz: float) -> Floats:
    """Noise whose power comes and goes at one frequency, as that of an inverter does."""
    noise = np.random.default_rng(7).standard_normal(len(shaft.t_s))
    return np.asarray(0.1 * noise * (1.0 + 0.8 * np.cos(2.0 * math.pi * hz * shaft.t_s)))


def seen(signal: Floats, shaft: Shaft, told: float = 1.0) -> Diagnosis:
    return diagnose(signal, shaft.rate_hz, "vibration_acceleration", Machine(shaft.rpm * told, BEARING))


@pytest.mark.parametrize(("rpm", "mains_hz"), [(2955.0, 50.0), (2930.0, 50.0), (3545.0, 60.0), (3510.0, 60.0)])
def test_twice_the_mains_beside_2x_is_no_misalignment(rpm: float, mains_hz: float) -> None:
    shaft = Shaft(rpm, 12_800.0)
    pull = hum(shaft, 2.0 * mains_hz, 6.0)
    found = seen(healthy(shaft, shaft.rng()) + pull, shaft)
    assert found.fault == "none"
    assert f"at {2 * mains_hz:.0f} Hz: the mains'" in found.reason
    for fault in ("misalignment", "imbalance"):
        assert seen(faulty(fault, shaft, BEARING) + pull, shaft).fault == fault


@pytest.mark.parametrize("rpm", [1440.0, 1475.0, 2950.0])
def test_hum_on_the_cable_near_a_line_of_the_shaft_is_no_fault_of_it(rpm: float) -> None:
    shaft = Shaft(rpm, 12_800.0)
    cable = hum(shaft, 50.0, 5.0) + hum(shaft, 100.0, 1.5) + hum(shaft, 150.0, 1.0)
    assert seen(healthy(shaft, shaft.rng()) + cable, shaft).fault == "none"


@pytest.mark.parametrize("part", ["outer", "inner"])
def test_noise_that_swells_with_the_mains_is_no_bearing_whose_line_is_there(part: str) -> None:
    order = getattr(BEARING, part)
    shaft = Shaft(60.0 * 100.0 / (1.002 * order), 12_800.0)
    found = seen(healthy(shaft, shaft.rng()) + swelling(shaft, 100.0), shaft)
    assert found.fault == "none"
    assert "swells at 100 Hz" in found.reason
    # A line that is not exactly there is a bearing's.
    assert seen(healthy(shaft, shaft.rng()) + swelling(shaft, 101.0), shaft).fault == f"{part}_race"


@pytest.mark.parametrize("fault", ["outer_race", "inner_race", "ball", "none"])
def test_a_bearing_is_heard_through_hum(fault: str) -> None:
    shaft = Shaft(1465.0, 12_800.0)
    loud = hum(shaft, 50.0, 4.0) + hum(shaft, 100.0, 4.0)
    assert seen(faulty(fault, shaft, BEARING) + loud, shaft).fault == fault


@pytest.mark.parametrize("told", [0.965, 1.035])
@pytest.mark.parametrize("fault", ["outer_race", "inner_race", "ball", "imbalance", "none"])
def test_a_nameplates_speed_is_put_right(fault: str, told: float) -> None:
    shaft = Shaft(1430.0, 12_800.0)
    assert seen(faulty(fault, shaft, BEARING), shaft, told).fault == fault


@pytest.mark.parametrize("rpm", [1500.0, 3000.0])
def test_a_shaft_that_turns_with_the_mains_has_its_faults(rpm: float) -> None:
    shaft = Shaft(rpm, 12_800.0)
    for fault in ("imbalance", "misalignment"):
        assert seen(faulty(fault, shaft, BEARING), shaft).fault == fault
