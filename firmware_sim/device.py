"""The firmware: samples its machine, stamps with its own clock, packs, buffers, sends.

Measures whether or not there is a network. What it has sampled is in the outbox with its own sequence number before
anything tries to send it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firmware_sim.encoding import CONTENT_TYPES, SENML_UNITS, Block, Form, encode
from firmware_sim.link import Link, Network
from firmware_sim.machine import Machine
from firmware_sim.noise import key
from firmware_sim.outbox import Outbox
from firmware_sim.scenario import Clock
from firmware_sim.spool import Spool
from firmware_sim.waveforms import VibrationBlock
from firmware_sim.waveforms import encode as encode_waveform
from telemetry import quantity_of

FIRMWARE = "1.4.2"
# Samples computed in one go while catching up: large enough that NumPy works, small enough that a stop is heard.
_SAMPLES_AT_ONCE = 1800
# A second at a rate that a cheap accelerometer has.
WAVEFORM_RATE_HZ, WAVEFORM_SAMPLES = 12_800.0, 12_800


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a device samples and sends.

    Attributes
    ----------
    interval_ms : int
        Between samples.
    per_message : int
        Samples in one message. More are cheaper; the first of them waits for the last.
    form : Form
        How they are laid out.
    buffer_messages : int
        What the device can hold without a network; beyond that the oldest go.
    waveform_every_s : float
        Between blocks of raw vibration, of machines with accelerometers; 0: none. A past that is sent in coarser
        samples has its blocks as much farther apart.
    buffer : Path or None
        Where it holds them, in a folder of each device; None: in memory, and lost with the device.
    buffer_bytes : int
        What the folder of a device may take.
    """

    interval_ms: int = 1000
    per_message: int = 2
    form: Form = Form.COLUMNS
    buffer_messages: int = 3600
    waveform_every_s: float = 0.0
    buffer: Path | None = None
    buffer_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        if self.interval_ms < 1 or self.per_message < 1 or self.buffer_messages < 1:
            raise ValueError("the sampling interval, samples a message and messages of the buffer are at least 1")
        if 0 < self.waveform_every_s < WAVEFORM_SAMPLES / WAVEFORM_RATE_HZ or self.waveform_every_s < 0:
            raise ValueError(f"a waveform takes {WAVEFORM_SAMPLES / WAVEFORM_RATE_HZ:g} s: they cannot be closer")

    def spool(self, device: str, boot: int) -> Spool | None:
        """The buffer on disk of a device, if it has one."""
        return None if self.buffer is None else Spool(self.buffer / device, self.buffer_bytes, boot)


class Device:
    """One device of a fleet. Times are milliseconds since 1970, true ones; its own clock shows only in its stamps."""

    def __init__(
        self, network: Network, tenant: str, machine: Machine, sampling: Sampling, *, boot: int, clock: Clock
    ) -> None:
        self.machine = machine
        self.samples = 0
        self.messages = 0
        self.waveforms = 0
        spool = sampling.spool(machine.spec.device, boot)
        self.outbox = Outbox(sampling.buffer_messages, boot, spool)
        self._sampling = sampling
        self._boot = self.outbox.boot
        self._clock = clock
        self._next_ms: int | None = None
        self._booted_ms: int | None = None
        self._vibrated_at: int | None = None  # the period of time whose blocks were sent last
        units = {sensor.point: quantity_of(sensor.point).unit for sensor in machine.spec.sensors}
        self._senml_units = {point: SENML_UNITS[unit] for point, unit in units.items() if unit in SENML_UNITS}
        # Devices of one fleet don't all wake in the same millisecond.
        self._phase_ms = key(machine.spec.device, "phase") % sampling.interval_ms
        self.link = Link(network, tenant, machine.spec.device, outbox=self.outbox, describe=self._description)

    @property
    def readings(self) -> int:
        return self.samples * len(self.machine.spec.sensors)

    def start(self, at_ms: int) -> None:
        """Begin to sample at the first of its own ticks from `at_ms` on."""
        interval_ms = self._sampling.interval_ms
        self._next_ms = at_ms + (self._phase_ms - at_ms) % interval_ms
        self._booted_ms = self._next_ms if self._booted_ms is None else self._booted_ms

    def due_ms(self) -> int:
        """When the next message is complete."""
        if self._next_ms is None:
            raise RuntimeError("the device has not been started")
        return self._next_ms + (self._sampling.per_message - 1) * self._sampling.interval_ms

    def sample_until(self, now_ms: int) -> None:
        """Take every sample whose message is complete by `now_ms`, or as many of them as is reasonable in one go."""
        s = self._sampling
        late_ms = now_ms - self.due_ms()
        if late_ms < 0 or self._next_ms is None:
            return
        messages = min(1 + late_ms // (s.per_message * s.interval_ms), max(1, _SAMPLES_AT_ONCE // s.per_message))
        count = int(messages) * s.per_message
        times = self._next_ms + s.interval_ms * np.arange(count, dtype=np.int64)
        self._next_ms += count * s.interval_ms
        self._put(times, s.interval_ms, s.per_message)

    def recall(self, from_ms: int, to_ms: int, interval_ms: int, per_message: int) -> None:
        """Sample the past, from its logger: every `interval_ms` on the grid of that interval, in large messages."""
        first = from_ms + (self._phase_ms - from_ms) % interval_ms
        times = np.arange(first, to_ms, interval_ms, dtype=np.int64)
        self._booted_ms = first if self._booted_ms is None else self._booted_ms
        self._put(times, interval_ms, per_message)

    def _put(self, times_ms: np.ndarray[Any, np.dtype[np.int64]], interval_ms: int, per_message: int) -> None:
        times = times_ms.tolist()
        readings = {point: values.tolist() for point, values in self.machine.run(times_ms).items()}
        for start, block in enumerate(self._blocks(times, readings, interval_ms, per_message)):
            for message in encode(self._sampling.form, block, self._boot, self.outbox.next_seq):
                self.outbox.put(message.last_seq, message.payload, content_type=CONTENT_TYPES[self._sampling.form])
                self.messages += 1
            for sample in range(start * per_message, min((start + 1) * per_message, len(times))):
                self._vibrate(times[sample], sample, interval_ms)
        self.samples += len(times_ms)

    def _vibrate(self, time_ms: int, sample: int, interval_ms: int) -> None:
        """Send what the accelerometers have felt up to the first sample of each period."""
        every_ms = 1000.0 * self._sampling.waveform_every_s * interval_ms / self._sampling.interval_ms
        if not every_ms or not self.machine.spec.mounts or (period := int(time_ms // every_ms)) == self._vibrated_at:
            return
        self._vibrated_at = period
        begun_ms = time_ms - round(1000 * WAVEFORM_SAMPLES / WAVEFORM_RATE_HZ)
        for mount in self.machine.spec.mounts:
            rpm, felt_g = self.machine.vibrate(mount, sample, WAVEFORM_RATE_HZ, WAVEFORM_SAMPLES)
            block = VibrationBlock(mount.axis, self._shown_ms(begun_ms), WAVEFORM_RATE_HZ, rpm, felt_g)
            seq = self.outbox.next_seq
            self.outbox.put(seq, encode_waveform(block, self._boot, seq), "waveform", CONTENT_TYPES[Form.CBOR])
            self.waveforms += 1

    def _blocks(
        self, times_ms: list[int], readings: dict[str, list[float]], interval_ms: int, per_message: int
    ) -> Iterator[Block]:
        for start in range(0, len(times_ms), per_message):
            end = start + per_message
            yield Block(
                self._shown_ms(times_ms[start]),
                interval_ms,
                {p: values[start:end] for p, values in readings.items()},
                self._senml_units,
            )

    def _shown_ms(self, true_ms: int) -> int:
        """What the device's own clock shows."""
        booted_ms = true_ms if self._booted_ms is None else self._booted_ms
        return round(true_ms + 1000.0 * self._clock.offset_s + self._clock.drift_ppm * 1e-6 * (true_ms - booted_ms))

    def _description(self) -> dict[str, Any]:
        spec = self.machine.spec
        return {
            "firmware": FIRMWARE,
            "seq": self.outbox.lowest_seq,
            "boot": self._boot,
            "dropped": self.outbox.dropped,
            "unconfirmed": self.outbox.unconfirmed,
            "kind": spec.kind,
            "model": spec.model,
            "site": spec.site,
            "points": {sensor.point: quantity_of(sensor.point).unit for sensor in spec.sensors},
        }
