"""What a machine finds around it: ambient temperature, load, whether it runs; and the shape of every machine model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from firmware_sim.duty import DAY_S, Day
from firmware_sim.faults import Effect, FaultKind
from firmware_sim.noise import Floats, Indices, key, wander
from firmware_sim.vibration import Mount

_WARMEST_AT = 15.0 / 24.0
_BUSIEST_AT = 11.0 / 24.0


@dataclass(frozen=True, slots=True)
class Sensor:
    """One point of a machine.

    Attributes
    ----------
    noise, noise_share : float
        Standard deviation of the measurement: absolute, and as a share of the reading.
    resolution : float
        The step of the converter; below the noise, as a proper instrument has it.
    span : float
        The measuring range that matters; a drifting sensor goes astray by a fifth of it.
    """

    point: str
    noise: float
    resolution: float
    span: float
    noise_share: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """A stretch of time as a machine meets it. Arrays are float64 (N,) unless said otherwise.

    Attributes
    ----------
    t_s
        Seconds since 1970, UTC.
    index : int64 (N,)
        The same in milliseconds: the index into all noise.
    dt_s
        Seconds since the sample before.
    ambient_degc
        Air temperature at the site.
    load
        Demand as a share of the rated one.
    running
        1 where the machine is switched on, else 0.
    """

    t_s: Floats
    index: Indices
    dt_s: Floats
    ambient_degc: Floats
    load: Floats
    running: Floats
    damages: Mapping[FaultKind, Floats]

    def damage(self, kind: FaultKind) -> Floats:
        """Damage by one kind of fault, 0 to 1."""
        found = self.damages.get(kind)
        return np.zeros(len(self.t_s)) if found is None else found


class Model(Protocol):
    """The physics of one kind of machine.

    `run` takes a stretch of time that follows on the last one and returns the true values of every point, before any
    sensor. Whatever has inertia lives in the model and carries over; everything else is a function of the conditions,
    so that a stretch gives the same values however it is cut.
    """

    sensors: ClassVar[tuple[Sensor, ...]]
    mounts: ClassVar[tuple[Mount, ...]]
    """Where accelerometers are, for raw vibration; the speed of the shaft is the channel `speed`."""
    effects: ClassVar[Mapping[FaultKind, Effect]]
    rated_load: ClassVar[float]
    memory_s: ClassVar[float]
    """Longest time constant: what lies several of these back no longer matters."""

    def __init__(self, device_key: int) -> None: ...

    def run(self, conditions: Conditions) -> dict[str, Floats]: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Ambient temperature and demand of one machine, as functions of absolute time alone.

    With `shifts` the machine runs on weekdays from 06:00 to 22:00 UTC, with a `day` of its own as that says, otherwise
    day and night. It stands in a heated hall, or `outdoors`.
    """

    site_key: int
    device_key: int
    mean_load: float
    shifts: bool = False
    day: Day | None = None
    outdoors: bool = False

    def ambient_degc(self, t_s: Floats) -> Floats:
        """A heated hall, into which the weather comes damped; or the weather itself."""
        daily, passing = (
            np.cos(2.0 * np.pi * (t_s / DAY_S - _WARMEST_AT)),
            wander(key(self.site_key, "air"), t_s, 7200.0),
        )
        if not self.outdoors:
            return np.asarray(21.0 + 1.2 * daily + 0.2 * passing)
        clear = 1.0 + 0.4 * wander(key(self.site_key, "cloud"), t_s, 1.5 * DAY_S)
        fronts = 4.0 * wander(key(self.site_key, "front"), t_s, 3.0 * DAY_S)
        return np.asarray(12.0 + 6.0 * clear * daily + fronts + 1.5 * passing)

    def load(self, t_s: Floats) -> Floats:
        """Demand: a daily cycle, and the unrest of a process over half an hour, minutes and half a minute."""
        daily = 0.02 * np.cos(2.0 * np.pi * (t_s / DAY_S - _BUSIEST_AT))
        unrest = (
            0.004 * wander(key(self.device_key, "half hour"), t_s, 1800.0)
            + 0.012 * wander(key(self.device_key, "minutes"), t_s, 240.0)
            + 0.010 * wander(key(self.device_key, "half minute"), t_s, 30.0)
        )
        share = 1.0 if self.day is None else self.day.share(t_s)
        return np.asarray(self.mean_load * share * (1.0 + daily + unrest))

    def running(self, t_s: Floats) -> Floats:
        if self.day is not None:
            return self.day.running(t_s)
        if not self.shifts:
            return np.ones(len(t_s))
        days, hour = np.floor(t_s / DAY_S), (t_s % DAY_S) / 3600.0
        weekday = (days + 3) % 7 < 5  # the first of January 1970 was a Thursday
        return np.where(weekday & (hour >= 6.0) & (hour < 22.0), 1.0, 0.0)


def in_quadrature(*parts: Floats | float) -> Floats:
    """Independent vibrations add as their energies do."""
    return np.sqrt(sum((np.square(part) for part in parts), np.zeros(1)))


def own(device_key: int, what: str, spread: float) -> float:
    """A factor near 1 by which one machine differs from its like, uniform over plus and minus `spread`."""
    return 1.0 + spread * (2.0 * (key(device_key, what) / 2.0**64) - 1.0)
