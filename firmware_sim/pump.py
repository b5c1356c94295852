"""A centrifugal pump on a frequency converter, in a pipe with static head, with a filter behind it.

Head, flow and power follow the affinity laws; the operating point is where the pump's curve meets the system's:

    head = n² H0 - a Qp²,   system = Hs + k Q²,   Qp = (1 + leak) Q

so that a blocked filter (larger k) drives the pump back on its curve, and a leak behind the pump drives it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from firmware_sim.conditions import Conditions, Sensor, in_quadrature, own
from firmware_sim.faults import Effect, FaultKind
from firmware_sim.lag import Lag
from firmware_sim.noise import Floats, key, normal, wander
from firmware_sim.vibration import Mount

RATED_RPM = 2950.0
BEST_FLOW_M3_H = 80.0
SHUT_OFF_HEAD_M = 50.0
BEST_HEAD_M = 40.0
STATIC_HEAD_M = 12.0
FILTER_HEAD_M = 4.0
PIPE_HEAD_M = BEST_HEAD_M - STATIC_HEAD_M - FILTER_HEAD_M
EFFICIENCY = 0.76
BAR_PER_M = 0.0981
# Water, m³/h times m to kW.
KW_PER_M4_H = 9.81 / 3600.0
SHAFT_POWER_KW = KW_PER_M4_H * BEST_FLOW_M3_H * BEST_HEAD_M / EFFICIENCY
MAGNETISING_A, TORQUE_A = 9.5, 20.5
BEARING_FRICTION_W, BEARING_COOLING_W_K = 36.0, 1.5
RUN_UP_S, BEARING_S = 4.0, 600.0
IDLE_SPEED = 0.45


class Pump:
    """15 kW, 80 m³/h at 40 m, two poles."""

    rated_load: ClassVar[float] = 0.85
    memory_s: ClassVar[float] = BEARING_S
    sensors: ClassVar[tuple[Sensor, ...]] = (
        Sensor("speed", 1.5, 0.5, 3000.0),
        Sensor("flow", 0.30, 0.05, 120.0, 0.002),
        Sensor("suction_pressure", 0.004, 0.001, 2.0),
        Sensor("discharge_pressure", 0.015, 0.005, 10.0),
        Sensor("filter_differential_pressure", 0.004, 0.001, 2.5),
        Sensor("motor_current", 0.08, 0.02, 40.0, 0.002),
        Sensor("bearing_temperature", 0.25, 0.1, 120.0),
        Sensor("vibration_velocity", 0.02, 0.005, 15.0, 0.03),
    )
    # Six vanes, and a deep-groove bearing of eight balls.
    mounts: ClassVar[tuple[Mount, ...]] = (
        Mount("bearing", "vibration_velocity", {1.0: 0.7, 2.0: 0.4, 6.0: 0.6}, 3.05, {FaultKind.LEAK: 0.0}),
    )
    effects: ClassVar[Mapping[FaultKind, Effect]] = {
        FaultKind.BEARING_WEAR: Effect(
            "vibration_velocity", up=("vibration_velocity", "bearing_temperature", "motor_current")
        ),
        FaultKind.IMBALANCE: Effect("vibration_velocity", up=("vibration_velocity", "bearing_temperature")),
        FaultKind.CAVITATION: Effect(
            "discharge_pressure",
            up=("vibration_velocity",),
            down=("flow", "discharge_pressure", "suction_pressure", "filter_differential_pressure", "motor_current"),
            also=("bearing_temperature",),
        ),
        FaultKind.BLOCKED_FILTER: Effect(
            "filter_differential_pressure",
            up=("filter_differential_pressure", "discharge_pressure", "suction_pressure"),
            down=("flow", "motor_current"),
            also=("bearing_temperature", "vibration_velocity"),
        ),
        FaultKind.LEAK: Effect(
            "discharge_pressure",
            up=("motor_current",),
            down=("flow", "discharge_pressure", "filter_differential_pressure", "suction_pressure"),
            also=("bearing_temperature", "vibration_velocity"),
        ),
        FaultKind.OVERHEATING: Effect("bearing_temperature", up=("bearing_temperature",), also=("vibration_velocity",)),
    }

    def __init__(self, device_key: int) -> None:
        self._key = device_key
        self._roughness = own(device_key, "vibration", 0.15)
        self._friction = own(device_key, "friction", 0.10)
        self._shaft, self._bearing = Lag(), Lag()

    def run(self, conditions: Conditions) -> dict[str, Floats]:
        c = conditions
        wear, imbalance = c.damage(FaultKind.BEARING_WEAR), c.damage(FaultKind.IMBALANCE)
        starved = c.damage(FaultKind.CAVITATION)
        unrest = starved * normal(key(self._key, "bubbles"), c.index)
        # Where nothing is asked for, the converter holds a speed that lifts no water.
        asked = np.where(c.load > 0, 0.80 + 0.18 * c.load, IDLE_SPEED)
        n = self._shaft.follow(c.running * asked, c.dt_s, RUN_UP_S)

        leak = 0.35 * c.damage(FaultKind.LEAK)
        filter_k = (FILTER_HEAD_M / BEST_FLOW_M3_H**2) * (1.0 + 10.0 * c.damage(FaultKind.BLOCKED_FILTER))
        pump_a = (SHUT_OFF_HEAD_M - BEST_HEAD_M) / BEST_FLOW_M3_H**2
        lift = SHUT_OFF_HEAD_M * n**2 * np.maximum(1.0 - 0.18 * starved - 0.05 * unrest, 0.0)
        resistance = PIPE_HEAD_M / BEST_FLOW_M3_H**2 + filter_k + pump_a * (1.0 + leak) ** 2
        flow = np.sqrt(np.maximum(lift - STATIC_HEAD_M, 0.0) / resistance)
        pumped = (1.0 + leak) * flow
        head = lift - pump_a * pumped**2

        # Efficiency is a parabola about the best flow at this speed, so that the power stays finite at shut-off.
        share = np.clip(pumped / np.maximum(BEST_FLOW_M3_H * n, 1.0), 0.0, 1.6)
        power = KW_PER_M4_H * BEST_FLOW_M3_H * n * head / (EFFICIENCY * (2.0 - share)) + 0.45 * wear * n
        torque = power / np.maximum(n, 0.05) / SHAFT_POWER_KW
        current = np.where(n > 0.02, in_quadrature(MAGNETISING_A, TORQUE_A * torque), 0.0)

        friction = BEARING_FRICTION_W * self._friction * n * (0.6 + 0.5 * torque) + n * (
            55.0 * wear**1.6 + 9.0 * imbalance
        )
        cooling = BEARING_COOLING_W_K * (1.0 - 0.55 * c.damage(FaultKind.OVERHEATING))
        slowness = BEARING_S * BEARING_COOLING_W_K / cooling
        bearing = self._bearing.follow(c.ambient_degc + friction / cooling, c.dt_s, slowness)

        vibration = in_quadrature(
            0.10,
            1.15 * self._roughness * n**2 * (1.0 + 0.6 * (share - 1.0) ** 2),
            4.8 * wear**1.2 * n,
            5.2 * imbalance * n**2,
            3.4 * np.abs(starved + 0.35 * unrest) * n,
            0.015 * n * np.maximum(bearing - 75.0, 0.0),
        )
        suction = 0.55 + 0.008 * wander(key(self._key, "sump"), c.t_s, 900.0)
        suction = suction - 0.10 * (pumped / BEST_FLOW_M3_H) ** 2 - 0.22 * starved
        return {
            "speed": RATED_RPM * n,
            "flow": flow,
            "suction_pressure": suction,
            "discharge_pressure": suction + BAR_PER_M * head,
            "filter_differential_pressure": BAR_PER_M * filter_k * flow**2,
            "motor_current": current,
            "bearing_temperature": bearing,
            "vibration_velocity": vibration,
        }
