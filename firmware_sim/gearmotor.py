"""An asynchronous motor with a helical gearbox, driving a conveyor.

Torque at the slow shaft sets current and slip; copper losses heat the winding, mesh and churning losses the oil.
Started straight on line: the current is several times the rated one until the shaft is up to speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from firmware_sim.conditions import Conditions, Sensor, in_quadrature, own
from firmware_sim.faults import Effect, FaultKind
from firmware_sim.lag import Lag
from firmware_sim.noise import Floats, key, normal
from firmware_sim.vibration import Mount

SYNCHRONOUS_RPM = 1500.0
RATED_TORQUE_NM = 1430.0
RATED_SLIP = 0.018
MAGNETISING_A, TORQUE_A = 9.0, 18.8
RATED_A = float(np.hypot(MAGNETISING_A, TORQUE_A))
INRUSH = 5.5
MESH_LOSS = 0.05
WINDING_RISE_K, OIL_MESH_RISE_K, OIL_CHURN_RISE_K = 72.0, 24.0, 14.0
# Copper conducts 0.4 % worse for each kelvin: the slip grows with the temperature of the rotor.
SLIP_PER_K = 0.004
RUN_UP_S, WINDING_S, OIL_S = 1.5, 900.0, 1800.0


class Gearmotor:
    """11 kW, four poles, ratio 20."""

    rated_load: ClassVar[float] = 0.70
    memory_s: ClassVar[float] = OIL_S
    sensors: ClassVar[tuple[Sensor, ...]] = (
        Sensor("load_torque", 6.0, 1.0, 2000.0),
        Sensor("speed", 0.8, 0.2, 1600.0),
        Sensor("motor_current", 0.08, 0.02, 40.0, 0.002),
        Sensor("winding_temperature", 0.25, 0.1, 180.0),
        Sensor("oil_temperature", 0.25, 0.1, 120.0),
        Sensor("gearbox_vibration", 0.02, 0.005, 15.0, 0.03),
        Sensor("drive_end_vibration", 0.02, 0.005, 15.0, 0.03),
    )
    # A pinion of 17 teeth, and a bearing of nine balls at the drive end; the gearbox feels part of what happens there.
    mounts: ClassVar[tuple[Mount, ...]] = (
        Mount(
            "drive_end", "drive_end_vibration", {1.0: 0.8, 2.0: 0.4, 3.0: 0.2, 17.0: 0.3}, 3.58, {FaultKind.LEAK: 0.0}
        ),
        Mount(
            "gearbox",
            "gearbox_vibration",
            {1.0: 0.3, 17.0: 0.9, 34.0: 0.4},
            3.58,
            {FaultKind.BEARING_WEAR: 0.35, FaultKind.IMBALANCE: 0.30},
        ),
    )
    effects: ClassVar[Mapping[FaultKind, Effect]] = {
        FaultKind.BEARING_WEAR: Effect(
            "drive_end_vibration",
            up=("drive_end_vibration", "gearbox_vibration", "oil_temperature", "motor_current", "winding_temperature"),
            also=("speed",),
        ),
        FaultKind.IMBALANCE: Effect("drive_end_vibration", up=("drive_end_vibration", "gearbox_vibration")),
        FaultKind.LEAK: Effect(
            "gearbox_vibration",
            up=("oil_temperature", "gearbox_vibration", "motor_current", "winding_temperature"),
            also=("speed",),
        ),
        FaultKind.OVERHEATING: Effect(
            "winding_temperature", up=("winding_temperature", "oil_temperature"), down=("speed",)
        ),
    }

    def __init__(self, device_key: int) -> None:
        self._key = device_key
        self._roughness = own(device_key, "vibration", 0.15)
        self._mesh = own(device_key, "mesh", 0.15)
        self._losses = own(device_key, "losses", 0.08)
        self._shaft, self._winding, self._oil = Lag(), Lag(), Lag()

    def run(self, conditions: Conditions) -> dict[str, Floats]:
        c = conditions
        wear, imbalance = c.damage(FaultKind.BEARING_WEAR), c.damage(FaultKind.IMBALANCE)
        # A gearbox that leaks runs short of oil: less cooling, mixed friction, noise.
        dry, dust = c.damage(FaultKind.LEAK), c.damage(FaultKind.OVERHEATING)
        n = self._shaft.follow(c.running, c.dt_s, RUN_UP_S)
        goods = 1.0 + 0.02 * normal(key(self._key, "goods"), c.index)
        load = c.load * goods * n

        torque = load * (1.0 + MESH_LOSS) + n * (0.06 * wear + 0.05 * dry)
        inrush = INRUSH * RATED_A * c.running * (1.0 - n)
        current = np.where(c.running > 0, in_quadrature(MAGNETISING_A, TORQUE_A * torque) + inrush, 0.0)

        fan = 1.0 - 0.5 * dust
        copper = WINDING_RISE_K * self._losses * (current / RATED_A) ** 2
        winding = self._winding.follow(c.ambient_degc + copper / fan, c.dt_s, WINDING_S / fan)
        case = (1.0 - 0.35 * dust) * (1.0 - 0.2 * dry)
        losses = OIL_MESH_RISE_K * torque + OIL_CHURN_RISE_K * n**2 + n * (14.0 * wear**1.6 + 16.0 * dry)
        oil = self._oil.follow(c.ambient_degc + self._losses * losses / case, c.dt_s, OIL_S / case)

        slip = RATED_SLIP * torque * (1.0 + SLIP_PER_K * (winding - 80.0))
        bearing, unbalanced = 4.8 * wear**1.2 * n, 5.2 * imbalance * n**2
        return {
            "load_torque": RATED_TORQUE_NM * load,
            "speed": SYNCHRONOUS_RPM * n * (1.0 - slip),
            "motor_current": current,
            "winding_temperature": winding,
            "oil_temperature": oil,
            "gearbox_vibration": in_quadrature(
                0.10,
                1.25 * self._mesh * n**2 * (0.6 + 0.5 * c.load * n),
                0.35 * bearing,
                0.30 * unbalanced,
                2.6 * dry * n,
            ),
            "drive_end_vibration": in_quadrature(0.10, 1.0 * self._roughness * n**2, bearing, unbalanced),
        }
