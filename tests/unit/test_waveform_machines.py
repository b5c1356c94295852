"""Simulated machines vibrate as their channels say, and as their faults do."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.vibration import Floats, features, power_spectrum
from firmware_sim.device import WAVEFORM_RATE_HZ, WAVEFORM_SAMPLES
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec

NOW_MS = 1_782_907_200_000
MOUNTS = [(kind, mount.axis) for kind, model in sorted(MODELS.items()) for mount in model.mounts]


def vibration(
    kind: str, axis: str, fault: FaultKind | None = None, severity: float = 1.0
) -> tuple[float, float, Floats]:
    """Shaft speed in rpm, the velocity that the machine's channel has, and a block in g."""
    spec = MachineSpec(f"{kind}-01", kind, "", "works")
    faults = [Fault(spec.device, fault, 0.0, 0.0, severity)] if fault else []
    machine = Machine(spec, 7, faults, origin_s=NOW_MS / 1000 - 3600)
    mount = next(mount for mount in spec.mounts if mount.axis == axis)
    read = machine.run(NOW_MS + 1000 * np.arange(3, dtype=np.int64))
    rpm, block = machine.vibrate(mount, 1, WAVEFORM_RATE_HZ, WAVEFORM_SAMPLES)
    return rpm, float(read[mount.point][1]), block


def said(block: Floats) -> dict[str, float]:
    return {name: value for name, (value, _) in features(block, WAVEFORM_RATE_HZ, "vibration_acceleration").items()}


@pytest.mark.parametrize("fault", [None, FaultKind.BEARING_WEAR, FaultKind.IMBALANCE])
@pytest.mark.parametrize(("kind", "axis"), MOUNTS)
def test_the_velocity_is_that_of_the_machines_own_channel(kind: str, axis: str, fault: FaultKind | None) -> None:
    _, velocity_mm_s, block = vibration(kind, axis, fault)
    assert said(block)["velocity_rms"] == pytest.approx(velocity_mm_s, rel=0.15)


@pytest.mark.parametrize(("kind", "axis"), MOUNTS)
def test_an_early_fault_of_the_bearing_is_heard_before_it_is_felt(kind: str, axis: str) -> None:
    healthy, worn = said(vibration(kind, axis)[2]), said(vibration(kind, axis, FaultKind.BEARING_WEAR, 0.15)[2])
    assert worn["velocity_rms"] < 1.2 * healthy["velocity_rms"]
    near = axis != "gearbox"  # which only hears it through the shaft
    assert worn["acceleration_envelope_rms"] > (5.0 if near else 1.2) * healthy["acceleration_envelope_rms"]
    assert worn["crest_factor"] > (2.0 if near else 1.3) * healthy["crest_factor"]


def test_imbalance_is_a_tone_at_the_speed_of_the_shaft() -> None:
    rpm, _, block = vibration("gearmotor", "drive_end", FaultKind.IMBALANCE)
    velocity = power_spectrum(block, WAVEFORM_RATE_HZ).integrated()
    loudest_hz = float(velocity.frequency_hz[10:][velocity.power[10:].argmax()])
    assert loudest_hz == pytest.approx(rpm / 60.0, abs=velocity.step_hz)
    assert velocity.rms(loudest_hz - 2, loudest_hz + 2) > 0.9 * velocity.rms(10.0, 1000.0)


def test_a_machine_at_rest_makes_no_tones() -> None:
    machine = Machine(MachineSpec("gearmotor-01", "gearmotor", "", "works"), 7, shifts=True)
    sunday_ms = 1_782_626_400_000
    machine.run(np.array([sunday_ms], np.int64))
    rpm, block = machine.vibrate(machine.spec.mounts[0], 0, WAVEFORM_RATE_HZ, WAVEFORM_SAMPLES)
    assert rpm == pytest.approx(0.0, abs=1.0)
    assert said(block)["acceleration_rms"] < 0.02
    assert said(block)["kurtosis"] == pytest.approx(3.0, abs=0.2)


def test_a_block_is_a_function_of_machine_and_time_alone() -> None:
    first, second = vibration("pump", "bearing")[2], vibration("pump", "bearing")[2]
    assert first.tobytes() == second.tobytes()
