"""A fleet in one process: many machines, their firmware, one thread.

Simulated time may run faster than the clock on the wall, never ahead of it: a fleet at speed X begins in the past and,
once it has caught up, goes on at speed 1. Stopped, it says goodbye within a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from firmware_sim.device import Sampling
from firmware_sim.encoding import Form
from firmware_sim.happenings import FleetEvent
from firmware_sim.plan import Past, Plan, fleet_of
from firmware_sim.running_fleet import FleetReport, RunningFleet
from firmware_sim.scenario import Scenario
from telemetry import Broker, Trust

# Messages a device holds, unless it is said: two hours at the usual pace; on disk, its bytes are the bound.
BUFFERED_IN_MEMORY, BUFFERED_ON_DISK = 3600, 100_000


def simulate(
    devices: int = 12,
    *,
    rate_hz: float = 1.0,
    faults: Scenario | Path | None = None,
    for_s: float | None = None,
    seed: int = 0,
    speed: float = 1.0,
    history_s: float = 0.0,
    tenant: str = "demo",
    mqtt_url: str = "mqtt://127.0.0.1:1883",
    username: str | None = None,
    password: str | None = None,
    trust: Trust | None = None,
    truth_path: Path | None = None,
    samples_per_message: int | None = None,
    form: Form = Form.COLUMNS,
    buffer_messages: int | None = None,
    buffer: Path | None = None,
    waveform_every_s: float = 0.0,
    shifts: bool = False,
    stop: threading.Event | None = None,
    on_event: Callable[[FleetEvent], None] | None = None,
) -> FleetReport:
    """A fleet of believable devices over MQTT.

    Parameters
    ----------
    rate_hz : float
        Samples a second; rounded to whole milliseconds between samples.
    faults : Scenario or Path
        What happens; None: a healthy fleet.
    for_s : float or None
        Seconds on the wall; None: until `stop` is set.
    speed : float
        1 or more. At X the simulation covers `for_s` times X and ends now; an endless one begins a day ago.
    history_s : float
        So much healthy past, a sample every ten seconds, is sent first.
    samples_per_message : int
        Without it, what a device gathers in two seconds.
    buffer : Path
        Where each device keeps what is not known to be stored; the next run on the same folder sends it first.
    waveform_every_s : float
        Between blocks of raw vibration of pumps and gearmotors; 0: none.

    Raises
    ------
    ValueError
        If the settings or the scenario make no sense; before any connection.
    Unreachable, Refused
        If the broker doesn't answer within `running_fleet.CONNECT_WITHIN_S`, or turns a device away.
    """
    if not 0 < rate_hz <= 1000 or devices < 1:
        raise ValueError("a fleet has at least one device, a rate above 0 and up to 1000 Hz")
    interval_ms = round(1000.0 / rate_hz)
    per_message = samples_per_message if samples_per_message is not None else max(1, 2000 // interval_ms)
    plan = Plan(
        fleet_of(devices),
        Scenario.read(faults) if isinstance(faults, Path) else faults or Scenario(),
        (Past(history_s, 0.0, max(10.0, interval_ms / 1000.0)),) if history_s > 0 else (),
        seed,
        tenant,
        shifts,
        truth_path,
    )
    return run(
        plan,
        Broker.parse(mqtt_url, username, password, trust),
        Sampling(
            interval_ms,
            per_message,
            form,
            buffer_messages or (BUFFERED_IN_MEMORY if buffer is None else BUFFERED_ON_DISK),
            waveform_every_s,
            buffer,
        ),
        for_s=for_s,
        speed=speed,
        stop=stop,
        on_event=on_event,
    )


def run(
    plan: Plan,
    broker: Broker,
    sampling: Sampling,
    *,
    for_s: float | None = None,
    speed: float = 1.0,
    not_before_s: float = 0.0,
    stop: threading.Event | None = None,
    on_event: Callable[[FleetEvent], None] | None = None,
) -> FleetReport:
    """Run a plan until `for_s` is over or `stop` is set. `not_before_s`: simulated time begins no earlier than this."""
    if speed < 1.0:
        raise ValueError("the speed is 1 or more: simulated time cannot fall behind its own time stamps")
    fleet = RunningFleet(plan, broker, sampling, speed, for_s, not_before_s, stop or threading.Event(), on_event)
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    fleet.run()
    report = fleet.report()
    report.seconds, report.cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    return report
