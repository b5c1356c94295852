"""Messages from an MQTT 5 broker, each acknowledged only when the loop says so.

Under pressure the broker is slowed: it sends no more than the window (`Receive Maximum`) of messages that are not
acknowledged, and the callback does nothing but put a message into a queue; only where large messages fill `HELD_BYTES`
does it wait, and the socket is not read meanwhile. Lost connections heal by themselves, with the session that the
broker kept. Two deaths that the library does not notice are watched for: a network thread that has ended, and a
connection that stays open but no longer answers.
"""

from __future__ import annotations

import logging
import queue
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.messages import Delivery, Message
from store.errors import Misconfigured
from telemetry import STATUS_FILTER, TELEMETRY_FILTER, Broker

log = logging.getLogger("bellwether.ingest.mqtt")

# Messages sent to us and not acknowledged. Too low: the network waits for the database, and the database for the
# network (measured: 4000 takes a fifth of the rate). Too high: so many are sent again after a lost connection. Must not
# be below `BATCH_MESSAGES`, or a batch would wait for what never comes.
WINDOW_MESSAGES = 8000
# What may wait in memory: a window of large messages would be gigabytes. Too low: they come one by one.
HELD_BYTES = 64 << 20
BATCH_MESSAGES = 2000
# A delivery ends with the message that reaches this. Too low: small commits of large messages. Too high: a backlog of
# columns becomes one transaction of millions of rows, and its alarms come only after all of it.
BATCH_BYTES = 1 << 20
# How long a message waits for company. Too low: a commit for every message. Too high: alarms come that much later.
LINGER_S = 0.02
# A broker forgets our session, and what it holds for us, when we stay away for longer than this.
SESSION_EXPIRY_S = 7 * 86_400
# What may wait to be sent to devices. Too low: answers to a fleet that reports at once are not sent. Too high: that
# many come late, and in memory.
UNSENT_MESSAGES = 10_000
KEEPALIVE_S = 15
TICK_S = 1.0
# When nothing at all has come for so long, ask the broker whether it still hears us.
QUIET_S = 60.0
ANSWER_S = 15.0

_REFUSALS = {"Not authorized", "Bad user name or password", "Client identifier not valid", "Banned"}


class MqttSource:
    """A persistent session with a broker.

    Parameters
    ----------
    client_id
        Names the session at the broker: the same at every start, and no one else's.
    """

    def __init__(
        self, broker: Broker, client_id: str, filters: Sequence[str] = (TELEMETRY_FILTER, STATUS_FILTER)
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._filters = filters
        # Not the library's own messages: each drags sixty containers along, which the garbage collector would walk.
        self._arrived: queue.SimpleQueue[tuple[Message, int, int]] = queue.SimpleQueue()  # with packet id and epoch
        # Each counted by one thread alone: their difference is what waits.
        self._arrived_bytes = 0
        self._taken_bytes = 0
        self._room = threading.Condition()
        self._leaving = False
        self._epoch = 0  # of the connection: packet ids of an earlier one mean nothing in this one
        self._closed = threading.Event()
        self._refusal: str | None = None
        self._known_to_broker = False
        self._subscribed = False
        self._heard_at = time.monotonic()
        self._asked_at: float | None = None
        self._client = self._start()
        self.sessions_lost = 0

    def deliveries(self) -> Iterator[Delivery]:
        """See `Source`.

        Raises
        ------
        Misconfigured
            The broker refuses our name or password.
        """
        try:
            while not self._closed.is_set():
                if self._refusal:
                    raise Misconfigured(f"BELLWETHER_MQTT_URL: the broker at {self._broker} says: {self._refusal}")
                self._watch_over()
                yield self._next(TICK_S)
            while not self._arrived.empty():
                yield self._next(0.0)
        finally:
            self._stop(self._client)

    def close(self) -> None:
        """Let `deliveries` end after what has arrived."""
        self._closed.set()

    def send(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """See `Source`."""
        if self.connected:
            self._client.publish(topic, payload, qos=1, retain=retain)

    @property
    def connected(self) -> bool:
        return self._subscribed and self._client.is_connected()

    # Deliveries -----------------------------------------------------------------------------------------------------

    def _next(self, wait_s: float) -> Delivery:
        """What has arrived, after at most `wait_s` for the first and `LINGER_S` for company."""
        arrived: list[tuple[Message, int, int]] = []
        size = 0
        deadline = time.monotonic() + wait_s
        try:
            while len(arrived) < BATCH_MESSAGES and size < BATCH_BYTES:
                item = self._arrived.get(timeout=max(deadline - time.monotonic(), 0.0))
                if not arrived:
                    deadline = time.monotonic() + LINGER_S
                arrived.append(item)
                size += len(item[0].payload)
        except queue.Empty:
            pass
        if arrived:
            self._heard_at = time.monotonic()
        with self._room:
            self._taken_bytes += size
            self._room.notify_all()
        client = self._client

        def ack() -> None:
            for _, packet_id, epoch in arrived:
                if packet_id and epoch == self._epoch:
                    client.ack(packet_id, 1)

        return Delivery([message for message, _, _ in arrived], ack)

    # The connection -------------------------------------------------------------------------------------------------

    def _start(self) -> Client:
        self._leaving = False
        client = Client(
            callback_api_version=CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls:
            client.tls_set_context(ssl.create_default_context())
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.reconnect_delay_set(1, 30)
        client.max_queued_messages_set(UNSENT_MESSAGES)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = WINDOW_MESSAGES
        client.connect_async(
            self._broker.host, self._broker.port, keepalive=KEEPALIVE_S, clean_start=False, properties=properties
        )
        client.loop_start()
        return client

    def _stop(self, client: Client) -> None:
        """Send what waits to be sent, then leave; the broker keeps the session."""
        with self._room:
            self._leaving = True
            self._room.notify_all()
        deadline = time.monotonic() + 5.0
        while client.is_connected() and client.want_write() and time.monotonic() < deadline:
            time.sleep(0.01)
        client.disconnect()
        client.loop_stop()

    def _watch_over(self) -> None:
        """Begin anew where the network thread is dead, or where the broker has not answered a question."""
        now = time.monotonic()
        if not any(thread.name == f"paho-mqtt-client-{self._client_id}" for thread in threading.enumerate()):
            self._begin_anew("the network thread has ended")
        elif not self._client.is_connected():
            self._asked_at = None
        elif self._asked_at is not None and now - self._asked_at > ANSWER_S:
            self._begin_anew("the broker no longer answers")
        elif self._asked_at is None and now - self._heard_at > QUIET_S:
            self._asked_at = now
            self._subscribe(self._client)  # changes nothing, and must be answered

    def _begin_anew(self, why: str) -> None:
        log.warning("connection begun anew", extra={"reason": why})
        self._epoch += 1
        self._asked_at = None
        self._heard_at = time.monotonic()
        self._stop(self._client)
        self._client = self._start()

    def _subscribe(self, client: Client) -> None:
        # Retained telemetry is what was said once, of an unknown age: it is no news. A retained status is the status.
        client.subscribe([
            (name, SubscribeOptions(qos=1, retainHandling=0 if name == STATUS_FILTER else 2)) for name in self._filters
        ])  # fmt: skip

    # Callbacks: on the network thread, which an exception would end without a word ------------------------------------

    def _on_connect(self, client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, __: Any) -> None:
        if reason.is_failure:
            if str(reason) in _REFUSALS:
                self._refusal = str(reason)
            log.warning("broker refused the connection", extra={"reason": str(reason)})
            return
        self._epoch += 1
        self._heard_at = time.monotonic()
        if self._known_to_broker and not flags.session_present:
            self.sessions_lost += 1
            log.error("broker forgot our session: what it held for us is lost")
        self._known_to_broker = True
        log.info("broker connected", extra={"broker": str(self._broker), "session_present": flags.session_present})
        self._subscribe(client)

    def _on_disconnect(self, _: Client, __: Any, ___: DisconnectFlags, reason: ReasonCode, ____: Any) -> None:
        self._epoch += 1
        self._subscribed = False
        if not self._closed.is_set():
            log.warning("broker disconnected", extra={"reason": str(reason)})

    def _on_subscribe(self, _: Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        self._asked_at = None
        self._heard_at = time.monotonic()
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self._subscribed = not refused
        if refused:
            self._refusal = f"{refused[0]} (subscribing to {', '.join(self._filters)})"

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        if not self._has_room():
            with self._room:
                self._room.wait_for(self._has_room)
        self._arrived_bytes += len(message.payload)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # a broker that lets such a topic pass is broken; the message is rejected like any of no topic
        content_type = getattr(message.properties, "ContentType", "")
        arrived = Message(topic, bytes(message.payload), content_type, message.dup)
        # QoS 0 has no packet id, and 2 was not subscribed to.
        self._arrived.put((arrived, message.mid, self._epoch))

    def _has_room(self) -> bool:
        return self._leaving or self._arrived_bytes - self._taken_bytes < HELD_BYTES


def answer_of(broker: Broker, timeout_s: float = 5.0) -> str:
    """What a broker says to our name and password: empty where it lets us in, else the reason. Leaves no session."""
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    client = Client(callback_api_version=CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(broker.username, broker.password)
    if broker.tls:
        client.tls_set_context(ssl.create_default_context())
    client.on_connect = lambda _, __, ___, reason, ____: answers.put(str(reason) if reason.is_failure else "")
    try:
        client.connect(broker.host, broker.port, keepalive=KEEPALIVE_S)
        client.loop_start()
        return answers.get(timeout=timeout_s)
    except OSError as error:
        return str(error)
    except queue.Empty:
        return "no answer"
    finally:
        client.disconnect()
        client.loop_stop()
