"""Faults as data: what breaks, where, when, how fast and how badly.

A fault is damage from 0 to 1 that grows from its onset; what damage does is the physics of each machine. Two faults are
the sensor's own and leave the machine alone: `stuck_sensor` and `drifting_sensor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from firmware_sim.noise import Floats


class FaultKind(StrEnum):
    BEARING_WEAR = "bearing_wear"
    IMBALANCE = "imbalance"
    CAVITATION = "cavitation"
    BLOCKED_FILTER = "blocked_filter"
    LEAK = "leak"
    OVERHEATING = "overheating"
    STUCK_SENSOR = "stuck_sensor"
    DRIFTING_SENSOR = "drifting_sensor"

    @property
    def of_sensor(self) -> bool:
        return self in (FaultKind.STUCK_SENSOR, FaultKind.DRIFTING_SENSOR)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one device.

    Attributes
    ----------
    onset_s : float
        Seconds from the start of the simulation.
    growth_s : float
        From the onset to full damage; 0 is a sudden break.
    severity : float
        Full damage, above 0 and at most 1. 1 is what a teardown finds shortly before the machine stops.
    lasts_s : float or None
        From the onset to the repair; None: never repaired.
    point : str or None
        Which sensor; for faults of a sensor only.
    """

    device: str
    kind: FaultKind
    onset_s: float
    growth_s: float
    severity: float = 1.0
    lasts_s: float | None = None
    point: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.severity <= 1:
            raise ValueError(f"{self.device} {self.kind}: a severity is above 0 and at most 1")
        if self.growth_s < 0 or (self.lasts_s is not None and self.lasts_s <= 0):
            raise ValueError(f"{self.device} {self.kind}: growth_s is 0 or more, lasts_s above 0")
        if self.kind.of_sensor != (self.point is not None):
            raise ValueError(f"{self.device} {self.kind}: a fault of a sensor names its point, another fault none")

    @property
    def end_s(self) -> float:
        """Seconds from the start of the simulation to the repair; infinity where there is none."""
        return np.inf if self.lasts_s is None else self.onset_s + self.lasts_s

    def damage(self, since_start_s: Floats) -> Floats:
        """Damage, 0 to `severity`, at these times."""
        grown = (since_start_s - self.onset_s) / max(self.growth_s, 1e-9)
        return np.where(since_start_s < self.end_s, np.clip(grown, 0.0, 1.0) * self.severity, 0.0)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault does to a machine's channels: the one that tells first, those that rise, those that fall.

    `also` are channels that move, either way, with the operating point. What is named nowhere stays as it was.
    """

    leading: str
    up: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
