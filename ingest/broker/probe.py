"""What a broker really grants a client such as ingest, found out by being one: how much it keeps for a client that is
away, how much it sends unacknowledged, how long it remembers, and what an acknowledgement is to it.

What a configuration says is not asked for: a broker acknowledges a message to its sender and drops it all the same.
The probe publishes small messages on topics of its own under `bellwether/probe`, never touches the session of a
running ingest, and leaves nothing behind. Takes two or three seconds where all is well, and some 30 at most.
"""

from __future__ import annotations

import itertools
import queue
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.broker.mqtt import WINDOW_MESSAGES
from ingest.broker.session import SESSION_EXPIRY_S
from telemetry import Broker

# Brokers keep 1 000 messages for a client that is away unless told otherwise. Many more would only take longer.
MESSAGES = 1500
_TOPIC = "bellwether/probe/doctor"
_ANSWER_S = 5.0
_ALL_TAKEN_S = 20.0
# So long nothing came: nothing more will. Too low: a busy broker, or a busy machine of ours, is said to lose messages.
_QUIET_S = 2.0
# Published after all else on the same topic: what has not come before it will not come.
_LAST = b"last"
_SYS = ("version", "publish/messages/dropped", "uptime")


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found. Where `refusal` or `obstacle` says why there is nothing more, the rest means nothing.

    Attributes
    ----------
    refusal
        Why the broker does not let us in.
    obstacle
        Why it could not be tried out.
    expiry_s
        How long it keeps a session that is away.
    kept_session
        Whether it had ours after a moment's absence.
    window
        How many messages it sent before the first was acknowledged, of `MESSAGES` at most.
    repeated
        How many of those it sent again when we had gone without acknowledging them.
    kept
        How many of `MESSAGES` published in our absence, and acknowledged to their sender, came.
    undead
        How many of those it sent again although we had acknowledged them.
    version, dropped
        What it says of itself under `$SYS`; empty and None where it does not.
    """

    refusal: str = ""
    obstacle: str = ""
    expiry_s: int = 0
    kept_session: bool = False
    window: int = 0
    repeated: int = 0
    kept: int = 0
    undead: int = 0
    version: str = ""
    dropped: int | None = None


def probe(broker: Broker) -> Probed:
    """Find out; what cannot be found out is said, nothing is raised."""
    name = f"bellwether-doctor-{secrets.token_hex(6)}"
    topic = f"{_TOPIC}/{name}"
    try:
        with _connected(broker, name, lasting=True) as session:
            if session.session_present:
                # Our name is new: this broker names sessions by username, and it was ingest's that we have just taken
                # over. It stays, and ingest takes it back.
                return Probed(obstacle="it gives all clients of this user one session")
            said = session.what_it_says()
            expiry_s = session.expiry_s
            if refused := session.subscribe(topic):
                return Probed(obstacle=f"{topic}: {refused}", version=said.get("version", ""))
        try:
            if taken := _publish(broker, topic):
                return Probed(obstacle=taken, version=said.get("version", ""))
            with _connected(broker, name, lasting=True) as session:
                kept_session = session.session_present
                window = session.receive(MESSAGES)
            with _connected(broker, name, lasting=True) as session:
                repeated = session.receive(len(window))
                session.acknowledge()
                kept = window | repeated | session.receive_until_last(topic)
            with _connected(broker, name, lasting=True) as session:
                undead = session.receive_until_last(topic)
            return Probed(
                expiry_s=expiry_s,
                kept_session=kept_session,
                window=len(window),
                repeated=len(window & repeated),
                kept=len(kept),
                undead=len(undead),
                version=said.get("version", ""),
                dropped=_number(said.get("publish/messages/dropped")),
            )
        finally:
            with _connected(broker, name, lasting=False):
                pass  # begun clean, and ended with it: the session is gone
    except _Refused as refusal:
        return Probed(refusal=str(refusal))
    except (OSError, queue.Empty) as error:
        return Probed(refusal=str(error) or "no answer")


class _Refused(Exception):
    pass


class _Session:
    """One connection, used from one thread."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.session_present = False
        self.expiry_s = 0
        self._arrived: queue.SimpleQueue[MQTTMessage] = queue.SimpleQueue()
        self._unacknowledged: list[int] = []
        self.welcome: queue.SimpleQueue[ReasonCode] = queue.SimpleQueue()
        self._subscribed: queue.SimpleQueue[list[ReasonCode]] = queue.SimpleQueue()
        client.on_connect = self._on_connect
        client.on_subscribe = lambda _, __, ___, reasons, ____: self._subscribed.put(reasons)
        client.on_message = lambda _, __, message: self._arrived.put(message)

    def _on_connect(self, _: Client, __: Any, flags: ConnectFlags, reason: ReasonCode, properties: Any) -> None:
        self.session_present = flags.session_present
        self.expiry_s = getattr(properties, "SessionExpiryInterval", SESSION_EXPIRY_S)
        self.welcome.put(reason)

    def subscribe(self, topic: str) -> str:
        """Hear a topic at QoS 1; why not, where the broker will not have it."""
        self.client.subscribe(topic, qos=1)
        (reason,) = self._subscribed.get(timeout=_ANSWER_S)
        return str(reason) if reason.is_failure else ""

    def what_it_says(self) -> dict[str, str]:
        """The broker's own figures that are retained; those that it does not show are not there."""
        self.client.subscribe([(f"$SYS/broker/{name}", 0) for name in _SYS])
        self._subscribed.get(timeout=_ANSWER_S)
        said: dict[str, str] = {}
        while len(said) < len(_SYS):
            try:
                message = self._arrived.get(timeout=_QUIET_S)
            except queue.Empty:
                break
            said[message.topic.removeprefix("$SYS/broker/")] = message.payload.decode("utf-8", "replace")
        self.client.unsubscribe([f"$SYS/broker/{name}" for name in _SYS])
        return said

    def receive(self, most: int) -> set[bytes]:
        """Which messages come, of so many, before the broker falls silent."""
        return {bytes(message.payload) for message in itertools.islice(self._arriving(), most)}

    def receive_until_last(self, topic: str) -> set[bytes]:
        """Which messages come, each acknowledged, before one that is published now.

        When that has come, the broker has read the acknowledgements before it too: those of a connection that is
        replaced by another are lost where they were not yet read.
        """
        self.client.publish(topic, _LAST, qos=1)
        came: set[bytes] = set()
        for message in self._arriving():
            self.acknowledge()
            if message.payload == _LAST:
                break
            came.add(bytes(message.payload))
        return came

    def _arriving(self) -> Iterator[MQTTMessage]:
        while True:
            try:
                message = self._arrived.get(timeout=_QUIET_S)
            except queue.Empty:
                return
            if message.qos:
                self._unacknowledged.append(message.mid)
                yield message

    def acknowledge(self) -> None:
        for packet_id in self._unacknowledged:
            self.client.ack(packet_id, 1)
        self._unacknowledged = []


@contextmanager
def _connected(broker: Broker, name: str, *, lasting: bool) -> Iterator[_Session]:
    """A session that the broker keeps when we leave, or one that begins and ends with the connection."""
    client = Client(
        callback_api_version=CallbackAPIVersion.VERSION2,
        client_id=name,
        protocol=MQTTProtocolVersion.MQTTv5,
        manual_ack=True,
    )
    client.username_pw_set(broker.username, broker.password)
    if broker.tls:
        client.tls_set_context(broker.encryption())
    session = _Session(client)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_EXPIRY_S if lasting else 0
    properties.ReceiveMaximum = WINDOW_MESSAGES
    client.connect(broker.host, broker.port, keepalive=30, clean_start=not lasting, properties=properties)
    client.loop_start()
    try:
        reason = session.welcome.get(timeout=_ANSWER_S)
        if reason.is_failure:
            raise _Refused(str(reason))
        yield session
    finally:
        client.disconnect()
        client.loop_stop()


def _publish(broker: Broker, topic: str) -> str:
    """Publish `MESSAGES` as another client; why not all were taken, if so."""
    taken = threading.Semaphore(0)
    refused: list[ReasonCode] = []

    def on_publish(_: Client, __: Any, ___: int, reason: ReasonCode, ____: Any) -> None:
        if reason.is_failure:
            refused.append(reason)
        taken.release()

    with _connected(broker, f"bellwether-doctor-{secrets.token_hex(6)}", lasting=False) as session:
        session.client.on_publish = on_publish
        for number in range(MESSAGES):
            session.client.publish(topic, str(number).encode(), qos=1)
        deadline = time.monotonic() + _ALL_TAKEN_S
        for _ in range(MESSAGES):
            if not taken.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
                return f"it did not take {MESSAGES} messages within {_ALL_TAKEN_S:.0f} s"
    return f"{topic}: {refused[0]}" if refused else ""


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
