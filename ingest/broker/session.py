"""One session with a broker, its connection kept up.

Lost connections heal by themselves, with the session that the broker kept. Two deaths that the library does not notice
are watched for: a network thread that has ended, and a connection that stays open but no longer answers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.broker.buffered import Hearer, Subscriber
from telemetry import Broker

log = logging.getLogger("bellwether.ingest.mqtt")

# A broker forgets our session, and what it holds for us, when we stay away for longer than this.
SESSION_EXPIRY_S = 7 * 86_400
KEEPALIVE_S = 15
# When nothing at all has come for so long, ask the broker whether it still hears us.
QUIET_S = 60.0
ANSWER_S = 15.0
# What may wait to be sent. Too low: answers to a fleet that reports at once are not sent. Too high: that many come
# late, and in memory.
UNSENT_MESSAGES = 10_000
# How long what waits to be sent may take when we leave.
_LEAVE_WITHIN_S = 5.0

_REFUSALS = {"Not authorized", "Bad user name or password", "Client identifier not valid", "Banned"}


class State(Protocol):
    """What is said of us to who listens: retained, at QoS 1."""

    @property
    def topic(self) -> str: ...

    def will(self, now_ms: int) -> bytes:
        """What the broker is to say when it loses us, of the connection that begins now."""
        ...

    def birth(self) -> bytes:
        """That we hear, from that connection's beginning on."""
        ...

    def death(self, now_ms: int) -> bytes:
        """That we leave."""
        ...


class Session:
    """A session with a broker, for a hearer of its messages.

    Parameters
    ----------
    client_id
        Names the session at the broker: the same at every start, and no one else's.
    filters
        What to hear at QoS 1, each with whether what is retained is wanted too.
    window
        How many messages the broker may leave with us.
    lasting
        Whether the broker keeps the session, and what comes for it, while we are away.
    state
        Said at each connection as the first thing once subscribed, and at its end.

    Attributes
    ----------
    refusal
        Why the broker will not have us, where it will not.
    refused
        The filters that it refused, and the topics of questions, with its reasons.
    connections
        How often the broker has let us in.
    sessions_lost
        How often it had forgotten the session by then.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        filters: Mapping[str, bool],
        hearer: Hearer,
        *,
        window: int,
        lasting: bool,
        state: State | None = None,
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._filters = dict(filters)
        self._hearer = hearer
        self._gone: list[str] = []
        self._window = window
        self._lasting = lasting
        self._state = state
        self._subscribed = False
        self._heard_at = time.monotonic()
        self._asked_at: float | None = None
        self._question: tuple[int, str] | None = None
        self.refusal: str | None = None
        self.refused: dict[str, str] = {}
        self.connections = 0
        self.sessions_lost = 0
        self._client = self._start()

    @property
    def connected(self) -> bool:
        return self._subscribed and self._client.is_connected()

    @property
    def unacknowledged(self) -> int:
        """Messages that the broker waits for."""
        return self._client.unacknowledged

    def send(self, topic: str, payload: bytes, retain: bool = False, qos: int = 1) -> None:
        """Publish; never waits. Nothing is sent while not connected, or while too much waits to be sent."""
        if self.connected:
            self._client.publish(topic, payload, qos=qos, retain=retain)

    def ask(self, topic: str, payload: bytes) -> None:
        """Likewise; whether the broker lets us is noted in `refused`."""
        if self.connected:
            self._question = self._client.publish(topic, payload, qos=1).mid, topic

    def hear_of(self, filters: Mapping[str, bool]) -> None:
        """Hear other filters from now on; the broker is told at once, or when it lets us in again."""
        gone = [name for name in self._filters if name not in filters]
        self._filters = dict(filters)
        self.hear_no_more_of(gone)

    def hear_no_more_of(self, filters: Iterable[str]) -> None:
        """Hear nothing of these, which the session may still hear of from an earlier time."""
        self._gone = [name for name in {*self._gone, *filters} if name not in self._filters]
        if self._client.is_connected():
            self._subscribe(self._client)

    def watch_over(self) -> None:
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

    def lives(self) -> None:
        """Something that it heard has just been taken."""
        self._heard_at = time.monotonic()

    def leave(self) -> None:
        """Send what waits to be sent, then close the connection."""
        if self._state is not None:
            self.send(self._state.topic, self._state.death(_now_ms()), retain=True)
        self._stop(self._client)

    def _start(self) -> Subscriber:
        client = Subscriber(self._client_id, self._hearer)
        client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls:
            client.tls_set_context(self._broker.encryption())
        client.on_pre_connect = self._on_pre_connect
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.reconnect_delay_set(1, 30)
        client.max_queued_messages_set(UNSENT_MESSAGES)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S if self._lasting else 0
        properties.ReceiveMaximum = self._window
        client.connect_async(
            self._broker.host,
            self._broker.port,
            keepalive=KEEPALIVE_S,
            clean_start=not self._lasting,
            properties=properties,
        )
        client.loop_start()
        return client

    def _stop(self, client: Subscriber) -> None:
        deadline = time.monotonic() + _LEAVE_WITHIN_S
        while client.is_connected() and client.want_write() and time.monotonic() < deadline:
            time.sleep(0.01)
        client.disconnect()
        while client.socket() and time.monotonic() < deadline:
            time.sleep(0.01)
        client.break_off()  # from a broker that takes nothing any more: paho would wait for it for ever
        client.loop_stop()

    def _begin_anew(self, why: str) -> None:
        log.warning("connection begun anew", extra={"reason": why})
        self._asked_at = None
        self._heard_at = time.monotonic()
        self._stop(self._client)
        self._client = self._start()

    def _subscribe(self, client: Client) -> None:
        if self._gone:
            client.unsubscribe(self._gone)
        client.subscribe([
            (name, SubscribeOptions(qos=1, retainHandling=0 if retained else 2))
            for name, retained in self._filters.items()
        ])  # fmt: skip

    # Callbacks: on the network thread, which an exception would end without a word ------------------------------------

    def _on_pre_connect(self, client: Client, _: Any) -> None:
        if self._state is not None:
            client.will_set(self._state.topic, self._state.will(_now_ms()), qos=1, retain=True)

    def _on_connect(self, client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, __: Any) -> None:
        if reason.is_failure:
            if str(reason) in _REFUSALS:
                self.refusal = str(reason)
            log.warning("broker refused the connection", extra={"reason": str(reason)})
            return
        self._heard_at = time.monotonic()
        if self._lasting and self.connections and not flags.session_present:
            self.sessions_lost += 1
            log.error("broker forgot our session: what it held for us is lost")
        self.connections += 1
        log.info("broker connected", extra={"broker": str(self._broker), "session_present": flags.session_present})
        self._subscribe(client)
        if self._state is not None:
            client.publish(self._state.topic, self._state.birth(), qos=1, retain=True)

    def _on_disconnect(self, _: Client, __: Any, flags: DisconnectFlags, reason: ReasonCode, ____: Any) -> None:
        self._subscribed = False
        if flags.is_disconnect_packet_from_server or reason.is_failure:
            log.warning("broker disconnected", extra={"reason": str(reason)})

    def _on_subscribe(self, _: Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        self._asked_at = None
        self._heard_at = time.monotonic()
        refused = {name: str(reason) for name, reason in zip(self._filters, reasons, strict=False) if reason.is_failure}
        self.refused.update(refused)
        self._subscribed = True

    def _on_publish(self, _: Client, __: Any, packet_id: int, reason: ReasonCode, ___: Any) -> None:
        asked, topic = self._question or (0, "")
        if packet_id == asked and reason.is_failure:
            self.refused[topic] = str(reason)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
