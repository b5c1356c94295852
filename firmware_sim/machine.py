"""A machine with its sensors: true values from the physics, readings from the instruments.

A function of absolute time and seed: started anywhere, a machine first lives through what its slow parts still
remember, so that its levels are those it would have had if it had never been stopped. Noise depends on the time of the
sample alone, not on how time is cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from firmware_sim.compressor import Compressor
from firmware_sim.conditions import Conditions, Model, Sensor, Surroundings
from firmware_sim.duty import Day, Duty, DutyKind
from firmware_sim.faults import Effect, Fault, FaultKind
from firmware_sim.gearmotor import Gearmotor
from firmware_sim.noise import Floats, Indices, key, normal
from firmware_sim.pump import Pump
from firmware_sim.vibration import Mount, acceleration_g

MODELS: dict[str, type[Model]] = {"pump": Pump, "gearmotor": Gearmotor, "compressor": Compressor}

# After five time constants less than 1 % is left of a start that was wrong by everything.
_MEMORIES = 5.0
# Coarser than sampling, and still a hundredth of the slowest lag.
_COARSE_MS = 5_000
# A fifth of its span is what a drifting sensor is off when the damage is full.
_DRIFT_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """Which machine this is."""

    device: str
    kind: str
    model: str
    site: str

    @property
    def mounts(self) -> tuple[Mount, ...]:
        return MODELS[self.kind].mounts

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        return MODELS[self.kind].sensors

    def effect(self, fault: Fault) -> Effect:
        """What a fault does to this machine.

        Raises
        ------
        ValueError
            If such a machine cannot have it.
        """
        points = {sensor.point for sensor in self.sensors}
        if fault.point is not None:
            if fault.point not in points:
                raise ValueError(f"{self.device} has no {fault.point}; it has {', '.join(sorted(points))}")
            return Effect(fault.point, up=(fault.point,) if fault.kind is FaultKind.DRIFTING_SENSOR else ())
        effects = MODELS[self.kind].effects
        if fault.kind not in effects:
            raise ValueError(f"{self.device}: a {self.kind} cannot have {fault.kind}; it can have {', '.join(effects)}")
        return effects[fault.kind]


class Machine:
    """One machine from its first sample on.

    Parameters
    ----------
    faults : sequence of Fault
        Those of this device; their times count from `origin_s`, seconds since 1970.
    duties : sequence of Duty
        Those of this device; without any it runs at its usual load, day and night or in `shifts`.
    outdoors : bool
        Whether it stands in the weather.

    Raises
    ------
    ValueError
        If a fault is not one that this machine can have, or its duties make no day.
    """

    def __init__(
        self,
        spec: MachineSpec,
        seed: int = 0,
        faults: Sequence[Fault] = (),
        origin_s: float = 0.0,
        shifts: bool = False,
        duties: Sequence[Duty] = (),
        outdoors: bool = False,
    ) -> None:
        for fault in faults:
            spec.effect(fault)
        self.spec = spec
        self._faults = tuple(faults)
        self._origin_s = origin_s
        own_key = key(seed, spec.device)
        model = MODELS[spec.kind]
        self._model = model(own_key)
        day = Day(duties, own_key) if duties else None
        self._surroundings = Surroundings(key(seed, spec.site), own_key, model.rated_load, shifts, day, outdoors)
        self._key = own_key
        self._noise_keys = np.array([[key(own_key, sensor.point)] for sensor in spec.sensors], np.uint64)
        self._last_ms: int | None = None
        self._stuck_at: dict[Fault, float] = {}
        self._seen: tuple[Indices, Mapping[str, Floats]] = (np.empty(0, np.int64), {})

    def run(self, time_ms: Indices) -> dict[str, Floats]:
        """What the sensors read at these times, rising and after all earlier ones. int64 (N,) to float64 (N,) each."""
        if not len(time_ms):
            return {sensor.point: np.empty(0) for sensor in self.spec.sensors}
        self._catch_up(int(time_ms[0]))
        truth = self._live(time_ms)
        self._seen = time_ms, truth
        return self._read(truth, time_ms)

    def air_degc(self, time_ms: Indices) -> Floats:
        """The air around it at these times."""
        return self._surroundings.ambient_degc(time_ms / 1000.0)

    def asked(self, time_ms: Indices) -> list[DutyKind]:
        """What its duties ask of it at these times: the truth about its operating modes."""
        day = self._surroundings.day
        return [DutyKind.FULL] * len(time_ms) if day is None else day.kinds(time_ms / 1000.0)

    def vibrate(self, mount: Mount, sample: int, rate_hz: float, samples: int) -> tuple[float, Floats]:
        """The shaft's speed in rpm and a block of acceleration in g at one of the times of the latest `run`."""
        time_ms, truth = self._seen
        at = time_ms[sample : sample + 1]
        rpm = float(truth["speed"][sample])
        block = acceleration_g(
            mount,
            self._key,
            int(at[0]),
            rpm=rpm,
            velocity_mm_s=float(truth[mount.point][sample]),
            damages={kind: float(damage[0]) for kind, damage in self._damages(at / 1000.0).items()},
            rate_hz=rate_hz,
            samples=samples,
        )
        return rpm, block

    def _catch_up(self, to_ms: int) -> None:
        """Live through the time before a stretch that the slow parts remember and have not seen yet."""
        earliest = to_ms - int(_MEMORIES * 1000 * self._model.memory_s)
        since = earliest if self._last_ms is None else max(self._last_ms, earliest)
        if to_ms - since > 2 * _COARSE_MS:
            self._live(np.arange(since // _COARSE_MS + 1, -(-to_ms // _COARSE_MS), dtype=np.int64) * _COARSE_MS)

    def _live(self, time_ms: Indices) -> dict[str, Floats]:
        before_ms = int(time_ms[0]) - _COARSE_MS if self._last_ms is None else self._last_ms
        self._last_ms = int(time_ms[-1])
        t_s = time_ms / 1000.0
        around = self._surroundings
        conditions = Conditions(
            t_s,
            time_ms,
            np.diff(time_ms, prepend=before_ms) / 1000.0,
            around.ambient_degc(t_s),
            around.load(t_s),
            around.running(t_s),
            self._damages(t_s),
        )
        return self._model.run(conditions)

    def _damages(self, t_s: Floats) -> Mapping[FaultKind, Floats]:
        damages: dict[FaultKind, Floats] = {}
        for fault in self._faults:
            if not fault.kind.of_sensor:
                damage = fault.damage(t_s - self._origin_s)
                damages[fault.kind] = np.maximum(damage, damages.get(fault.kind, damage))
        return damages

    def _read(self, truth: Mapping[str, Floats], time_ms: Indices) -> dict[str, Floats]:
        unit_noise = normal(self._noise_keys, time_ms[np.newaxis, :])
        since_start_s = time_ms / 1000.0 - self._origin_s
        readings = {}
        for sensor, own_noise in zip(self.spec.sensors, unit_noise, strict=True):
            true = truth[sensor.point]
            read = true + own_noise * np.hypot(sensor.noise, sensor.noise_share * true)
            for fault in self._faults:
                if fault.point == sensor.point:
                    read = self._misread(fault, sensor, read, since_start_s)
            readings[sensor.point] = np.round(np.rint(read / sensor.resolution) * sensor.resolution, 6)
        return readings

    def _misread(self, fault: Fault, sensor: Sensor, read: Floats, since_start_s: Floats) -> Floats:
        if fault.kind is FaultKind.DRIFTING_SENSOR:
            return read + fault.damage(since_start_s) * _DRIFT_SHARE * sensor.span
        stuck = (since_start_s >= fault.onset_s) & (since_start_s < fault.end_s)
        if not stuck.any():
            return read
        value = self._stuck_at.setdefault(fault, float(read[np.argmax(stuck)]))
        return np.where(stuck, value, read)
