"""A fleet that runs: machines, their firmware, and what happens to them, on one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from firmware_sim.clockwork import Clockwork
from firmware_sim.connection import Unreachable
from firmware_sim.device import Device, Sampling
from firmware_sim.faults import Fault
from firmware_sim.happenings import FleetEvent, Happening, Happenings
from firmware_sim.link import MAX_IN_FLIGHT, Network
from firmware_sim.machine import Machine, MachineSpec
from firmware_sim.plan import Past, Plan
from firmware_sim.scenario import Clock
from firmware_sim.truth import Truth
from telemetry import Broker

# Waiting messages at which a connected device stops sampling the past until they are sent.
_CATCH_UP_MARK = 4 * MAX_IN_FLIGHT
# Mosquitto queues 1000 messages for a slow subscriber by default, whichever devices they come from. Where the store
# confirms, the fleet together is never further ahead of it than this.
_AHEAD_OF_STORE = 900
# History is computed and sent in pieces of this length; a broker that takes none of it for a minute is gone.
_RECALL_AT_ONCE_S = 6 * 3600.0
_DRAINED_WITHIN_S = 60.0
CONNECT_WITHIN_S = 10.0
# A stop is heard, and a sample taken, no later than this.
_LONGEST_POLL_S = 0.1


@dataclass(slots=True)
class FleetReport:
    """What a fleet did.

    `messages` are those of telemetry, `waveforms` blocks of raw vibration. `dropped` messages were given up by full
    buffers, `unsent` were left over at the end, `unconfirmed` the broker took and nobody confirmed before the buffer
    needed the room. `until_s`: where simulated time ended, seconds since 1970.
    """

    devices: int
    samples: int = 0
    readings: int = 0
    messages: int = 0
    dropped: int = 0
    unconfirmed: int = 0
    unsent: int = 0
    waveforms: int = 0
    until_s: float = 0.0
    seconds: float = 0.0
    cpu_s: float = 0.0


class RunningFleet:
    """One run of a plan."""

    def __init__(
        self,
        plan: Plan,
        broker: Broker,
        sampling: Sampling,
        speed: float,
        for_s: float | None,
        not_before_s: float,
        stop: threading.Event,
        on_event: Callable[[FleetEvent], None] | None,
    ) -> None:
        self._plan = plan
        self._for_s = for_s
        self._stop = stop
        self._on_event = on_event
        self._network = Network(broker, plan.seed)
        self._clock = Clockwork(speed, for_s, not_before_s)
        start_s = self._clock.start_s
        # Only a number that rises from run to run is needed, and a device without memory has only its clock for that.
        boot = int(time.time())
        clocks = {clock.device: clock for clock in plan.scenario.clocks}
        still = replace(sampling, waveform_every_s=0.0)
        self._devices = [
            Device(
                self._network,
                plan.tenant,
                Machine(
                    spec,
                    plan.seed,
                    _faults_of(spec, plan.scenario.faults),
                    start_s,
                    plan.shifts,
                    plan.scenario.duties_of(spec.device),
                ),
                sampling if plan.vibrating is None or spec.device in plan.vibrating else still,
                boot=boot,
                clock=clocks.get(spec.device, Clock(spec.device)),
            )
            for spec in plan.machines
        ]
        self._happenings = Happenings(plan.scenario, start_s)
        self._history_pending: list[int] | None = None
        self._keeps = sampling.buffer is not None

    def run(self) -> None:
        truth = Truth(self._plan.truth_path, self._plan.tenant)
        try:
            self._connect()
            self._tell(FleetEvent(Happening.ONLINE, self._clock.now_s()))
            self._begin(truth)
            ends_s = None if self._for_s is None else time.monotonic() + self._for_s
            while not self._stop.is_set() and (ends_s is None or time.monotonic() < ends_s):
                now_s = self._clock.now_s()
                for event in self._happenings.until(now_s):
                    self._happen(event, truth)
                self._sample(now_s)
                self._network.poll(self._pause_s())
        finally:
            truth.close()
            self._network.close("stopped" if self._stop.is_set() else "finished")
            for device in self._devices:
                device.outbox.close()

    def report(self) -> FleetReport:
        devices = self._devices
        return FleetReport(
            len(devices),
            sum(device.samples for device in devices),
            sum(device.readings for device in devices),
            sum(device.messages for device in devices),
            sum(device.outbox.dropped for device in devices),
            sum(device.outbox.unconfirmed for device in devices),
            sum(device.outbox.waiting + device.outbox.in_flight for device in devices),
            sum(device.waveforms for device in devices),
            self._clock.now_s(),
        )

    def _connect(self) -> None:
        """Devices that keep on disk what they measure begin without a network too, and soon."""
        try:
            self._network.wait_until_up(1.0 if self._keeps else CONNECT_WITHIN_S)
        except Unreachable:
            if not self._keeps:
                raise

    def _begin(self, truth: Truth) -> None:
        start_s = self._clock.start_s
        specs = {spec.device: spec for spec in self._plan.machines}
        for spec in self._plan.machines:
            truth.machine(spec, round(start_s * 1e6))
        for name, kind in self._plan.repaired:
            truth.repair(specs[name], kind, round(start_s * 1e6))
        for past in self._plan.past:
            self._recall(past)
        for device in self._devices:
            device.start(round(start_s * 1000))
        if self._plan.past:
            # What is measured from now on comes after the past, in each device's own buffer.
            self._history_pending = [device.outbox.next_seq for device in self._devices]

    def _recall(self, past: Past) -> None:
        """Send a stretch of the past, a few hours at a time: no buffer has to hold more than that."""
        start_ms, step_ms = round(self._clock.start_s * 1000), round(_RECALL_AT_ONCE_S * 1000)
        from_ms, to_ms = start_ms - round(past.from_s * 1000), start_ms - round(past.to_s * 1000)
        for since_ms in range(from_ms, to_ms, step_ms):
            for device in self._devices:
                until_ms = min(since_ms + step_ms, to_ms)
                device.recall(since_ms, until_ms, round(past.interval_s * 1000), past.per_message)
                self._network.poll(0.0)
            self._network.wait(self._caught_up, _DRAINED_WITHIN_S)

    def _caught_up(self) -> bool:
        return self._stop.is_set() or not any(self._should_wait(device) for device in self._devices)

    def _should_wait(self, device: Device) -> bool:
        """Whether a device has so much on the way that more would only pile up. Without a network it measures on."""
        outbox = device.outbox
        ahead = outbox.confirmed and len(outbox) >= max(4, _AHEAD_OF_STORE // len(self._devices))
        return device.link.up and (ahead or outbox.waiting >= _CATCH_UP_MARK)

    def _sample(self, now_s: float) -> None:
        now_ms = int(now_s * 1000)
        for device in self._devices:
            if not self._should_wait(device):
                device.sample_until(now_ms)
        if self._history_pending is not None and all(
            device.outbox.sent_below(seq) for device, seq in zip(self._devices, self._history_pending, strict=True)
        ):
            self._history_pending = None
            self._tell(FleetEvent(Happening.HISTORY, now_s))

    def _pause_s(self) -> float:
        """Until the next message is complete; none while one is overdue, or the window has room for what waits."""
        due_s = min(device.due_ms() for device in self._devices) / 1000.0
        return min(_LONGEST_POLL_S, max(0.001, self._clock.wall_s_until(due_s)))

    def _happen(self, event: FleetEvent, truth: Truth) -> None:
        device = next(device for device in self._devices if device.machine.spec.device == event.device)
        time_us = round(event.time_s * 1e6)
        if event.happening is Happening.FAULT and event.fault is not None:
            truth.onset(device.machine.spec, event.fault, time_us)
        elif event.happening is Happening.REPAIR and event.fault is not None:
            truth.repair(device.machine.spec, event.fault.kind, time_us)
        elif event.happening is Happening.OUTAGE:
            left_s = self._clock.wall_s_until(self._happenings.outage_ends_s(event))
            device.link.cut(time.monotonic(), max(0.0, left_s))
        self._tell(event)

    def _tell(self, event: FleetEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)


def _faults_of(spec: MachineSpec, faults: Sequence[Fault]) -> list[Fault]:
    return [fault for fault in faults if fault.device == spec.device]
