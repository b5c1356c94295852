"""A fleet behind one Sparkplug edge node: the same machines, with one connection for all of them.

Keeps nothing: what is sampled while the connection is away is gone, as with a gateway that does not store and forward.
Births bring the present values when it is back.
"""

from __future__ import annotations

import threading
import time

import numpy as np

from firmware_sim.machine import Machine
from firmware_sim.plan import fleet_of
from firmware_sim.running_fleet import FleetReport
from firmware_sim.scenario import Scenario
from firmware_sim.sparkplug import EdgeLink, EdgeNode, Point
from firmware_sim.sparkplug_encoding import Type
from telemetry import Broker, quantity_of


def simulate(
    devices: int,
    broker: Broker,
    node: str,
    *,
    rate_hz: float = 1.0,
    scenario: Scenario | None = None,
    for_s: float | None = None,
    seed: int = 0,
    tenant: str = "demo",
    stop: threading.Event | None = None,
) -> FleetReport:
    """Machines behind the edge node `node` until `for_s` is over or `stop` is set.

    Raises
    ------
    ValueError
        If the settings or the scenario make no sense; before any connection.
    Unreachable, Refused
        If the broker does not answer, or turns the node away.
    """
    scenario, stop = scenario or Scenario(), stop or threading.Event()
    if scenario.outages or scenario.clocks:
        raise ValueError("devices behind an edge node share its network and its clock: no outages, no clocks")
    begun_s, begun_cpu_s = time.monotonic(), time.process_time()
    start_ms, interval_ms = time.time_ns() // 1_000_000, round(1000.0 / rate_hz)
    machines = [
        Machine(spec, seed, [f for f in scenario.faults if f.device == spec.device], start_ms / 1000.0)
        for spec in fleet_of(devices)
    ]
    report = FleetReport(devices)

    def sample(at_ms: int) -> dict[str, dict[str, float]]:
        now = np.array([at_ms], np.int64)
        return {m.spec.device: {point: float(read[0]) for point, read in m.run(now).items()} for m in machines}

    present = sample(start_ms)
    points = {
        device: [Point(name, Type.DOUBLE, value, quantity_of(name).unit) for name, value in values.items()]
        for device, values in present.items()
    }
    link = EdgeLink(broker, EdgeNode(tenant, node, [], points))
    try:
        due_ms = start_ms
        while for_s is None or due_ms - start_ms < 1000 * for_s:
            due_ms += interval_ms
            if stop.wait(max(0.0, due_ms / 1000.0 - time.time())):
                break
            for device, values in sample(due_ms).items():
                link.data(values, device=device, stamp_ms=due_ms)
                report.readings += len(values)
            report.samples += devices
            report.messages += devices
    finally:
        link.close()
    report.until_s = due_ms / 1000.0
    report.seconds, report.cpu_s = time.monotonic() - begun_s, time.process_time() - begun_cpu_s
    return report
