"""The ground truth of a simulation, as JSON lines: what a detector's findings can be held against.

One line a machine at the start, one at the onset of each fault, one at its repair; each is on disk when it is true.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from firmware_sim.encoding import rfc3339
from firmware_sim.faults import Fault
from firmware_sim.machine import MachineSpec
from telemetry import quantity_of


class Truth:
    """The file being written; None: no file. Appends, so that a fleet's later runs continue one history."""

    def __init__(self, path: Path | None, tenant: str) -> None:
        self._file = None if path is None else path.open("ab")
        self._tenant = tenant

    def machine(self, spec: MachineSpec, time_us: int) -> None:
        points = {sensor.point: quantity_of(sensor.point).unit for sensor in spec.sensors}
        self._write("machine", spec, time_us, model=spec.model, site=spec.site, points=points)

    def onset(self, spec: MachineSpec, fault: Fault, time_us: int) -> None:
        effect = spec.effect(fault)
        self._write(
            "fault",
            spec,
            time_us,
            fault=fault.kind,
            growth_s=fault.growth_s,
            severity=fault.severity,
            leading=effect.leading,
            up=effect.up,
            down=effect.down,
            also=effect.also,
        )

    def repair(self, spec: MachineSpec, fault: str, time_us: int) -> None:
        self._write("repair", spec, time_us, fault=fault)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, event: str, spec: MachineSpec, time_us: int, **more: Any) -> None:
        if self._file is None:
            return
        head = {"event": event, "time": rfc3339(time_us), "tenant": self._tenant, "device": spec.device}
        self._file.write(orjson.dumps(head | {"kind": spec.kind} | more) + b"\n")
        self._file.flush()
