"""Which devices and streams there are, as ingest knows them: numbers by name, grown on first sight.

Limits what comes from outside: tenants are those that exist, each admits whom its policy says, and has room for so many
devices. A change of policy, a device registered or retired, is in force within seconds.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

import store.devices
import store.telemetry as rows
from ingest.decoding import Decoded
from ingest.reading import Numbers
from store.connection import Session
from store.devices import Doorkeeping
from telemetry import QUANTITIES, Batch, Stream, Topic

# Too low turns a growing fleet away; too high lets one leaked credential fill the database with invented devices.
MAX_DEVICES_PER_TENANT = 20_000


class Directory:
    """The numbers of streams by tenant, device and point, and of machines by stream."""

    def __init__(self) -> None:
        self.numbers: Numbers = {}
        self.machine_of = np.zeros(0, np.int32)  # by stream id
        self.units: dict[int, str] = {}  # likewise
        self._possible = np.zeros((2, 0))  # the lowest and the highest value that can be, by stream id
        self.names: dict[int, tuple[str, str]] = {}  # tenant and device, by machine
        self._machines: dict[tuple[str, str], int] = {}
        self.streams: list[Stream] = []
        self._tenants: set[str] = set()
        self._door = Doorkeeping()
        self._devices: Counter[str] = Counter()
        # Learnt since the last `confirm`.
        self._new_streams: list[Stream] = []
        self._new_machines: list[int] = []

    def load(self, conn: Session) -> list[Stream]:
        """Learn what the database knows."""
        self.take_back()
        streams = rows.streams_known(conn)
        self._learn(streams)
        self.refresh(conn)
        return streams

    def machine_of_name(self, tenant: str, device: str) -> int | None:
        """The number of a device; None where it has none yet."""
        return self._machines.get((tenant, device))

    def recall(self, conn: Session) -> None:
        """Learn of all devices again: what was not confirmed may have been committed after all."""
        self.take_back()
        for machine, tenant, device in rows.devices_after(conn, 0):
            self._name(machine, tenant, device)
        self.confirm()

    def refresh(self, conn: Session) -> None:
        """Learn of tenants, and of devices that others have made or that have said no more than their status."""
        self._tenants = rows.tenants_known(conn)
        self._door = store.devices.doorkeeping(conn)
        for machine, tenant, device in rows.devices_after(conn, max(self._machines.values(), default=0)):
            self._name(machine, tenant, device)
        self.confirm()

    def turned_away(self, topic: Topic) -> tuple[str, str] | None:
        """Why a device's messages are not taken, with the tenant who may know of it, if any; None where they are."""
        device = (topic.tenant, topic.device)
        if device in self._door.retired:
            return topic.tenant, "the device is retired"
        if device in self.numbers:
            return None
        if topic.tenant not in self._tenants:
            return "", "no such tenant"
        if topic.tenant in self._door.strict and device not in self._door.expected:
            return topic.tenant, "not a registered device"
        if self._devices[topic.tenant] >= MAX_DEVICES_PER_TENANT:
            return topic.tenant, f"the tenant has {MAX_DEVICES_PER_TENANT} devices already"
        return None

    def resolve(self, conn: Session, decoded: Decoded) -> tuple[npt.NDArray[np.int32], list[Stream]]:
        """Give the streams seen first their numbers: the stream of each reading, int32 (N,), and those streams.

        They are known for good once `confirm` says that the transaction has committed; until then `take_back` forgets
        them.
        """
        stream = decoded.batch.stream
        if not decoded.unknown:
            return stream, []
        new = rows.add_streams(conn, decoded.unknown, decoded.units)
        self._learn(new)
        number = np.array([self.numbers[key.tenant, key.device][key.point] for key in decoded.unknown], np.int32)
        return np.where(stream < 0, number[-1 - np.minimum(stream, -1)], stream), new

    def impossible(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """Which readings are outside of what their quantity can physically be. Shape (N,)."""
        lowest, highest = self._possible[:, batch.stream]
        outside: npt.NDArray[np.bool_] = (batch.value < lowest) | (batch.value > highest)
        return outside

    def meet(self, conn: Session, devices: Collection[tuple[str, str]]) -> None:
        """Learn the numbers of devices that have just come into being, likewise until `confirm`."""
        unknown = [device for device in devices if device not in self._machines]
        if unknown:
            for machine, tenant, device in rows.devices_named(conn, unknown):
                self._name(machine, tenant, device)

    def confirm(self) -> None:
        """What was learnt is in the database."""
        self._new_streams = []
        self._new_machines = []

    def take_back(self) -> None:
        """Forget what was learnt and not confirmed: its numbers are those of no stream, and of no device."""
        for machine in self._new_machines:
            tenant, device = self.names.pop(machine)
            del self._machines[tenant, device]
            self._devices[tenant] -= 1
        for stream in self._new_streams:
            points = self.numbers[stream.tenant, stream.device]
            del points[stream.point]
            if not points:
                del self.numbers[stream.tenant, stream.device]
        del self.streams[len(self.streams) - len(self._new_streams) :]
        self.confirm()

    def _learn(self, streams: list[Stream]) -> None:
        top = max((stream.id for stream in streams), default=-1) + 1
        if top > len(self.machine_of):
            self.machine_of = np.concatenate([self.machine_of, np.zeros(top, np.int32)])
            self._possible = np.concatenate([self._possible, np.zeros((2, top))], axis=1)
        self.streams += streams
        self._new_streams += streams
        for stream in streams:
            self.numbers.setdefault((stream.tenant, stream.device), {})[stream.point] = stream.id
            quantity = QUANTITIES.get(stream.quantity, QUANTITIES["unknown"])
            self.machine_of[stream.id] = stream.machine
            self.units[stream.id] = sys.intern(stream.unit)
            self._possible[:, stream.id] = quantity.lowest, quantity.highest
            self._name(stream.machine, stream.tenant, stream.device)

    def _name(self, machine: int, tenant: str, device: str) -> None:
        if machine not in self.names:
            self.names[machine] = (tenant, device)
            self._machines[tenant, device] = machine
            self._new_machines.append(machine)
            self._devices[tenant] += 1
