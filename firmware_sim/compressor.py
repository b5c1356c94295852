"""An oil-injected screw compressor at fixed speed, loading and unloading between two pressures of its receiver.

The share of time under load is the demand over what the machine delivers. A leak in the net is demand; a blocked intake
filter takes from what is delivered; when the share reaches one the machine no longer keeps up and the pressure sags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from firmware_sim.conditions import Conditions, Sensor, in_quadrature, own
from firmware_sim.faults import Effect, FaultKind
from firmware_sim.lag import Lag
from firmware_sim.noise import Floats, key, wander
from firmware_sim.vibration import Mount

LOAD_AT_BAR, BAND_BAR = 7.0, 0.5
# The period hardly depends on the demand around the middle, where such machines are sized to work.
CYCLE_S = 90.0
# Consumers come and go: a cycle begins up to a third of a period early or late, changing over minutes.
UNSTEADINESS = 0.2
SAG_BAR = 2.5
LOADED_A, UNLOADED_A = 88.0, 36.0
INRUSH = 3.0
OIL_RISE_K, OIL_LOAD_RISE_K, OUTLET_RISE_K = 36.0, 10.0, 12.0
# The oil's thermostat holds this, but for a third of what the cooler is asked beyond it.
THERMOSTAT_DEGC, DROOP = 60.0, 0.3
# Oil gets thinner: pressure at the bearings falls.
OIL_BAR_PER_K = 0.015
RUN_UP_S, VALVE_S, OUTLET_S, RECEIVER_S, OIL_S, DUTY_S = 3.0, 1.5, 120.0, 120.0, 600.0, 180.0


class Compressor:
    """55 kW, 9 m³/min at 7.5 bar."""

    rated_load: ClassVar[float] = 0.60
    memory_s: ClassVar[float] = OIL_S
    sensors: ClassVar[tuple[Sensor, ...]] = (
        Sensor("suction_pressure", 0.0012, 0.0005, 0.2),
        Sensor("discharge_pressure", 0.010, 0.005, 12.0),
        Sensor("discharge_temperature", 0.25, 0.1, 140.0),
        Sensor("oil_temperature", 0.25, 0.1, 130.0),
        Sensor("oil_pressure", 0.012, 0.005, 12.0),
        Sensor("motor_current", 0.25, 0.1, 130.0, 0.003),
        Sensor("vibration_velocity", 0.02, 0.005, 15.0, 0.03),
        Sensor("duty_cycle", 0.3, 0.1, 100.0),
    )
    mounts: ClassVar[tuple[Mount, ...]] = ()
    effects: ClassVar[Mapping[FaultKind, Effect]] = {
        FaultKind.BEARING_WEAR: Effect(
            "vibration_velocity",
            up=("vibration_velocity", "oil_temperature", "discharge_temperature", "motor_current"),
            down=("oil_pressure",),
        ),
        FaultKind.IMBALANCE: Effect("vibration_velocity", up=("vibration_velocity",)),
        FaultKind.BLOCKED_FILTER: Effect(
            "suction_pressure",
            up=("duty_cycle", "discharge_temperature", "oil_temperature"),
            down=("suction_pressure",),
            also=("motor_current", "discharge_pressure", "oil_pressure", "vibration_velocity"),
        ),
        FaultKind.LEAK: Effect(
            "duty_cycle",
            up=("duty_cycle", "motor_current", "oil_temperature", "discharge_temperature", "vibration_velocity"),
            down=("discharge_pressure", "oil_pressure"),
            also=("suction_pressure",),
        ),
        FaultKind.OVERHEATING: Effect(
            "oil_temperature", up=("oil_temperature", "discharge_temperature"), down=("oil_pressure",)
        ),
    }

    def __init__(self, device_key: int) -> None:
        self._roughness = own(device_key, "vibration", 0.12)
        self._losses = own(device_key, "losses", 0.06)
        self._cycle_s = CYCLE_S * own(device_key, "cycle", 0.15)
        self._rhythm = key(device_key, "rhythm")
        self._phase = key(device_key, "phase") / 2.0**64
        self._shaft, self._valve, self._outlet = Lag(), Lag(), Lag()
        self._sag, self._oil, self._duty = Lag(), Lag(), Lag()

    def run(self, conditions: Conditions) -> dict[str, Floats]:
        c = conditions
        wear, imbalance = c.damage(FaultKind.BEARING_WEAR), c.damage(FaultKind.IMBALANCE)
        blocked, fouled = c.damage(FaultKind.BLOCKED_FILTER), c.damage(FaultKind.OVERHEATING)
        n = self._shaft.follow(c.running, c.dt_s, RUN_UP_S)

        demand = c.load + 0.55 * c.damage(FaultKind.LEAK)
        share = demand / (1.0 - 0.20 * blocked)
        turns = self._turns(c.t_s)
        within = turns % 1.0
        loaded = np.where(within < share, c.running, 0.0)
        cycling = np.clip(share, 0.02, 0.98)
        rising = within / cycling
        falling = (1.0 - within) / (1.0 - cycling)
        sag = self._sag.follow(SAG_BAR * np.maximum(share - 1.0, 0.0), c.dt_s, RECEIVER_S)
        pressure = LOAD_AT_BAR + BAND_BAR * np.where(share < 1.0, np.minimum(rising, falling), 0.5) - sag
        pressure = pressure * c.running
        valve = self._valve.follow(loaded, c.dt_s, VALVE_S)

        under_load = LOADED_A * (1.0 + 0.05 * (pressure - LOAD_AT_BAR - BAND_BAR / 2)) * (1.0 - 0.08 * blocked)
        current = UNLOADED_A + (under_load - UNLOADED_A) * valve + 5.0 * wear
        current = np.where(c.running > 0, current * (0.3 + 0.7 * n) + INRUSH * LOADED_A * (1.0 - n), 0.0)

        # What is slow sees the share of each step under load, however coarse the step; not the moment of its end.
        before = self._turns(c.t_s - c.dt_s)
        share_loaded = c.running * (_loaded_turns(turns, share) - _loaded_turns(before, share)) / (turns - before)
        duty = self._duty.follow(share_loaded, c.dt_s, DUTY_S)
        cooler = 1.0 - 0.40 * fouled
        heat = n * (OIL_RISE_K + OIL_LOAD_RISE_K * duty * (1.0 + 0.3 * blocked) + 9.0 * wear**1.6)
        free = c.ambient_degc + self._losses * heat / cooler
        held = THERMOSTAT_DEGC + (DROOP + (1.0 - DROOP) * fouled) * (free - THERMOSTAT_DEGC)
        oil = self._oil.follow(np.where(free > THERMOSTAT_DEGC, held, free), c.dt_s, OIL_S / cooler)
        outlet_rise = n * (OUTLET_RISE_K * (0.6 + 0.6 * share_loaded) * (1.0 + 0.5 * blocked) + 2.0 * wear**1.6)
        outlet = self._outlet.follow(oil + outlet_rise, c.dt_s, OUTLET_S)

        return {
            "suction_pressure": -(0.006 + (0.018 + 0.075 * blocked) * valve**2) * n,
            "discharge_pressure": pressure,
            "discharge_temperature": outlet,
            "oil_temperature": oil,
            "oil_pressure": np.maximum(pressure - 0.9 - OIL_BAR_PER_K * (oil - 63.0), 0.0) * n,
            "motor_current": current,
            "vibration_velocity": in_quadrature(
                0.10, self._roughness * n**2 * (1.45 + 0.35 * valve), 5.0 * wear**1.2 * n, 4.6 * imbalance * n**2
            ),
            "duty_cycle": 100.0 * duty,
        }

    def _turns(self, t_s: Floats) -> Floats:
        """Cycles since the beginning of time: no metronome, yet always forward."""
        return np.asarray(t_s / self._cycle_s + self._phase + UNSTEADINESS * wander(self._rhythm, t_s, 300.0))


def _loaded_turns(turns: Floats, share: Floats) -> Floats:
    """Cycles' worth of time under load since the beginning of time, where each cycle begins with its loaded share."""
    whole = np.floor(turns)
    part = np.clip(share, 0.0, 1.0)
    return np.asarray(whole * part + np.minimum(turns - whole, part))
