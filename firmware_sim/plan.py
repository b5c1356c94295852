"""Which machines run, what becomes of them, and what past they have: all that a run of a fleet depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from firmware_sim.machine import MachineSpec
from firmware_sim.scenario import Scenario
from telemetry import is_name

# Twelve machines of a small plant; larger fleets repeat the pattern.
_PATTERN = (
    "pump", "gearmotor", "compressor", "pump", "gearmotor", "pump",
    "compressor", "gearmotor", "pump", "gearmotor", "compressor", "pump",
)  # fmt: skip
_MODELS = {"pump": "CP 80-40", "gearmotor": "HG 11-20", "compressor": "SC 55"}
SITES = ("Riverside works", "Hill depot")


@dataclass(frozen=True, slots=True)
class Past:
    """History to send before the present: from `from_s` to `to_s` before the start, a sample every `interval_s`."""

    from_s: float
    to_s: float
    interval_s: float
    per_message: int = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run of a fleet depends on: the same plan and start give the same readings.

    `repaired` are faults of an earlier run that are gone by now, for the ground truth: pairs of device and kind.
    `vibrating` are the machines that send raw vibration; None: all that have accelerometers.
    """

    machines: tuple[MachineSpec, ...]
    scenario: Scenario = field(default_factory=Scenario)
    past: tuple[Past, ...] = ()
    seed: int = 0
    tenant: str = "demo"
    shifts: bool = False
    truth_path: Path | None = None
    repaired: tuple[tuple[str, str], ...] = ()
    vibrating: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        by_name = {spec.device: spec for spec in self.machines}
        if not by_name or not all(map(is_name, (self.tenant, *by_name))):
            raise ValueError("a fleet has devices; tenant and device are named with 1 to 64 of A-Z a-z 0-9 _ . -")
        strangers = sorted(self.scenario.devices() - set(by_name))
        if strangers:
            raise ValueError(f"the fleet has no {', '.join(strangers)}; it has {', '.join(sorted(by_name))}")
        for fault in self.scenario.faults:
            by_name[fault.device].effect(fault)


def fleet_of(count: int) -> tuple[MachineSpec, ...]:
    """So many machines of the three kinds at two sites: `pump-01`, `gearmotor-01`, `compressor-01`, `pump-02`, …"""
    numbers = dict.fromkeys(_MODELS, 0)
    specs = []
    for place in range(count):
        kind = _PATTERN[place % len(_PATTERN)]
        numbers[kind] += 1
        specs.append(MachineSpec(f"{kind}-{numbers[kind]:02d}", kind, _MODELS[kind], SITES[place % len(SITES)]))
    return tuple(specs)
