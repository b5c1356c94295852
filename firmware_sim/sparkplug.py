"""A Sparkplug edge node by the book: births, aliases, sequence numbers, rebirth on command, deaths.

`EdgeNode` decides what is said, without a network or a clock; `EdgeLink` says it to a broker. Everything is published
at QoS 0, as the specification wants it, but for the last will: what is on the way when a connection breaks is lost, and
the sequence numbers show it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from firmware_sim.connection import Refused, Unreachable
from firmware_sim.sparkplug_encoding import Metric, Type, commands, payload
from telemetry import Broker

REBIRTH = "Node Control/Rebirth"
_BD_SEQ = "bdSeq"
_ROOT = "spBv1.0"
_KEEPALIVE_S = 10
_ANSWER_S = 10.0


class Publication(NamedTuple):
    """One message of an edge node."""

    topic: str
    payload: bytes
    qos: int = 0


@dataclass(slots=True)
class Point:
    """A metric of a node or a device, with its present value."""

    name: str
    type: Type
    value: Any
    unit: str = ""
    alias: int | None = None
    stamp_ms: int | None = None


class EdgeNode:
    """One edge node and the devices behind it.

    Parameters
    ----------
    points
        Of the node itself.
    devices
        The points of each device.
    aliases
        Whether data names metrics by number. Given anew at each birth: a host must not remember older ones.
    """

    def __init__(
        self,
        group: str,
        name: str,
        points: Sequence[Point],
        devices: Mapping[str, Sequence[Point]],
        *,
        aliases: bool = True,
        first_alias: int = 0,
    ) -> None:
        self.group = group
        self.name = name
        self.points = {"": {point.name: point for point in points}}
        self.points.update({device: {point.name: point for point in own} for device, own in devices.items()})
        self.alive = set(devices)
        self.bd_seq = 255
        self.sent = 0
        self._aliases = aliases
        self._next_alias = first_alias
        self._seq = 0

    def topic(self, kind: str, device: str = "") -> str:
        return "/".join([_ROOT, self.group, kind, self.name, *([device] if device else [])])

    def will(self) -> Publication:
        """The death of the connection that begins now: to be left with the broker before anything is said."""
        self.bd_seq = (self.bd_seq + 1) % 256
        return self.death()

    def death(self) -> Publication:
        """Of this connection; it has no sequence number."""
        return Publication(self.topic("NDEATH"), payload(None, [self._birth_death()]), qos=1)

    def births(self, now_ms: int) -> list[Publication]:
        """The node's birth and those of all devices that live."""
        self._seq = -1
        control = Metric(REBIRTH, Type.BOOLEAN, False, stamp_ms=now_ms)
        said = [replace(self._birth_death(), stamp_ms=now_ms), control, *self._declared("", now_ms)]
        return [
            self._say("NBIRTH", "", now_ms, said),
            *(self.device_birth(device, now_ms) for device in self.points if device in self.alive),
        ]

    def device_birth(self, device: str, now_ms: int) -> Publication:
        self.alive.add(device)
        return self._say("DBIRTH", device, now_ms, self._declared(device, now_ms))

    def device_death(self, device: str, now_ms: int) -> Publication:
        self.alive.discard(device)
        return self._say("DDEATH", device, now_ms, [])

    def data(
        self, values: Mapping[str, Any], now_ms: int, *, device: str = "", historical: bool = False, stamp_ms: int = 0
    ) -> Publication:
        """Values that have changed, of the node or of a device; `historical` ones change nothing that is present."""
        said = []
        for name, value in values.items():
            point = self.points[device][name]
            if not historical:
                point.value, point.stamp_ms = value, stamp_ms or now_ms
            said_as = name if point.alias is None else None
            said.append(
                Metric(said_as, point.type, value, point.alias, stamp_ms or now_ms, historical, says_type=False)
            )
        return self._say("DDATA" if device else "NDATA", device, now_ms, said)

    def told(self, message: bytes) -> bool:
        """Whether a command asks for a rebirth."""
        try:
            return commands(message).get(REBIRTH, False)
        except ValueError:
            return False

    def _birth_death(self) -> Metric:
        return Metric(_BD_SEQ, Type.INT64, self.bd_seq)

    def _declared(self, device: str, now_ms: int) -> list[Metric]:
        said = []
        for point in self.points[device].values():
            if self._aliases:
                point.alias, self._next_alias = self._next_alias, self._next_alias + 1
            properties = {"engUnit": point.unit} if point.unit else {}
            stamp_ms = point.stamp_ms or now_ms
            said.append(Metric(point.name, point.type, point.value, point.alias, stamp_ms, properties=properties))
        return said

    def _say(self, kind: str, device: str, now_ms: int, metrics: Sequence[Metric]) -> Publication:
        self._seq = (self._seq + 1) % 256
        self.sent += 1
        return Publication(self.topic(kind, device), payload(now_ms, metrics, self._seq))


class EdgeLink:
    """The connection of an edge node, with a thread of its own; births are published before `connect` returns."""

    def __init__(self, broker: Broker, node: EdgeNode) -> None:
        self.node = node
        self.rebirths = 0
        self._lock = threading.Lock()
        self._born = threading.Event()
        self._refusal = ""
        self._answer = threading.Condition()
        self._answered: set[int] = set()
        name = f"{node.group}/{node.name}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv311, clean_session=True)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            client.tls_set_context(broker.encryption())
        client.on_pre_connect = self._leave_will
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        self._client = client
        try:
            client.connect(broker.host, broker.port, _KEEPALIVE_S)
        except OSError as error:
            raise Unreachable(f"no answer from {broker}: {error}") from error
        client.loop_start()
        if not self._born.wait(_ANSWER_S) or self._refusal:
            self.cut()
            raise Refused(f"{broker} refuses the edge node {node.name}: {self._refusal or 'no answer'}")
        self.wait_until_taken()

    def wait_until_taken(self) -> None:
        """Until the broker has read all that was said: nothing of QoS 0 is confirmed, but a question after it is."""
        _, question = self._client.subscribe(self.node.topic("NCMD"), qos=1)  # changes nothing, and must be answered
        with self._answer:
            self._answer.wait_for(lambda: question in self._answered, _ANSWER_S)

    def data(self, values: Mapping[str, Any], *, device: str = "", **more: Any) -> None:
        with self._lock:
            self._publish(self.node.data(values, _now_ms(), device=device, **more))

    def device_death(self, device: str) -> None:
        with self._lock:
            self._publish(self.node.device_death(device, _now_ms()))

    def device_birth(self, device: str) -> None:
        with self._lock:
            self._publish(self.node.device_birth(device, _now_ms()))

    def close(self) -> None:
        """Say that it dies, and leave: the broker does not deliver the will of one who leaves properly."""
        with self._lock:
            info = self._publish(self.node.death())
        info.wait_for_publish(_ANSWER_S)
        self._client.disconnect()
        self._client.loop_stop()

    def cut(self) -> None:
        """Be gone without a word, as by a power cut: the broker speaks the will."""
        self._client.loop_stop()
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    def _publish(self, publication: Publication) -> mqtt.MQTTMessageInfo:
        return self._client.publish(publication.topic, publication.payload, publication.qos)

    def _leave_will(self, client: mqtt.Client, _: Any) -> None:
        with self._lock:
            will = self.node.will()
        client.will_set(will.topic, will.payload, will.qos)

    def _on_connect(self, client: mqtt.Client, _: Any, __: Any, reason: ReasonCode, ___: Any) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
        else:
            client.subscribe(self.node.topic("NCMD"), qos=1)
            self._be_born()
        self._born.set()

    def _on_subscribe(self, _: mqtt.Client, __: Any, packet_id: int, *___: Any) -> None:
        with self._answer:
            self._answered.add(packet_id)
            self._answer.notify_all()

    def _on_message(self, _: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        if self.node.told(bytes(message.payload)):
            self.rebirths += 1
            self._be_born()

    def _be_born(self) -> None:
        with self._lock:
            for birth in self.node.births(_now_ms()):
                self._publish(birth)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
