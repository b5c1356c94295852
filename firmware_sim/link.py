"""The connections of a fleet: one MQTT client a device, so that each has its own last will, and one thread for all.

A `Link` keeps the device's retained `status` true, empties its `Outbox` with a bounded window and comes back by itself
after a loss, later each time and never at the same moment as its neighbours. Nothing here is lost by a lost connection:
each connection starts from the outbox. Connecting itself may hold the thread for `CONNECT_TIMEOUT_S`; what was due
meanwhile is sampled afterwards, with its own time.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_sim.connection import Refused, Unreachable
from firmware_sim.outbox import Outbox
from telemetry import Broker, Topic

KEEPALIVE_S = 20
CONNECT_TIMEOUT_S = 3.0
# Mosquitto allows 20 in flight and disconnects who exceeds it; the status needs room beside the telemetry.
MAX_IN_FLIGHT = 16
# A broker that restarts is back within seconds; a fleet that asks every half minute is no burden to one that isn't.
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
# The acknowledgement comes about once a second; what lacks it for half a minute is lost, not late.
GAP_PATIENCE_S = 30.0
# How often it is said that messages are given up, while they are.
SAY_EVERY_S = 10.0
_TEND_EVERY_S = 0.5


class Network:
    """Moves the bytes of all links to one broker, from the thread that calls `poll`."""

    def __init__(self, broker: Broker, seed: int = 0) -> None:
        self.broker = broker
        self.random = np.random.default_rng(seed)
        self.links: list[Link] = []
        self.selector = selectors.DefaultSelector()
        self._answers_from_s = 0.0
        self._failures = 0
        self._tended_s = 0.0
        self.failure: OSError | None = None

    def poll(self, timeout_s: float) -> None:
        """Send and receive what there is, for at most `timeout_s` where there is nothing."""
        now_s = time.monotonic()
        for link in self.links:
            link.send()
        if now_s - self._tended_s >= _TEND_EVERY_S:
            self._tended_s = now_s
            for link in self.links:
                link.tend(now_s)
        for link in self.links:
            link.watch()
        for key, mask in self.selector.select(timeout_s):
            link = key.data
            if mask & selectors.EVENT_READ:
                link.read()
            if mask & selectors.EVENT_WRITE:
                link.write()

    def may_connect(self, now_s: float) -> bool:
        """Whether the broker is worth a try: all links share one answer, so that a dead broker costs one try, not N."""
        return now_s >= self._answers_from_s

    def connected(self) -> None:
        self._failures, self.failure = 0, None

    def connect_failed(self, now_s: float, error: OSError) -> None:
        self.failure = error
        self._answers_from_s = now_s + backoff_s(self._failures, self.random)
        self._failures += 1

    def wait(self, done: Callable[[], bool], within_s: float) -> bool:
        """Poll until `done`, at most `within_s`; whether it was."""
        until_s = time.monotonic() + within_s
        while not done():
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return False
            self.poll(min(0.05, left_s))
        return True

    def wait_until_up(self, within_s: float) -> None:
        """Poll until each link is connected.

        Raises
        ------
        Unreachable, Refused
            If the broker does not answer within that time, or turns a device away.
        """
        if not self.wait(lambda: all(link.up for link in self.links), within_s):
            raise Unreachable(f"no answer from {self.broker} within {within_s:g} s: {self.failure or 'silence'}")

    def close(self, reason: str, within_s: float = 1.0) -> None:
        """Say goodbye: the telemetry that can still go goes, each status turns false, all within `within_s`."""
        until_s = time.monotonic() + within_s
        self.wait(lambda: all(link.idle or not link.up for link in self.links), within_s / 2)
        for link in self.links:
            link.announce_offline(reason)
        self.wait(lambda: all(link.said_goodbye for link in self.links), max(0.1, until_s - time.monotonic()))
        for link in self.links:
            link.disconnect()
        self.selector.close()


class Link:
    """The connection of one device.

    `describe` gives the status payload of a device that is online; it is asked anew at each connect, and when messages
    were given up. Where some of earlier boots are held, a status with the oldest of each goes before it: what is
    missing below will not come.
    """

    def __init__(
        self,
        network: Network,
        tenant: str,
        device: str,
        *,
        outbox: Outbox,
        describe: Callable[[], dict[str, Any]],
    ) -> None:
        self.device = device
        self.outbox = outbox
        self.up = False
        self.connects = 0
        self.said_goodbye = False
        self._network = network
        self._describe = describe
        self._client_id = f"{tenant}:{device}"
        self._data = {kind: str(Topic(tenant, device, kind)) for kind in ("telemetry", "waveform")}
        self._status = str(Topic(tenant, device, "status"))
        self._ack = str(Topic(tenant, device, "ack"))
        self._client: mqtt.Client | None = None
        self._watched: tuple[socket.socket, int] | None = None
        self._retry_at_s = 0.0
        self._silent_until_s = 0.0
        self._failures = 0
        self._goodbye_mid: int | None = None
        self._given_up = 0
        self._said_at_s = 0.0
        self._leaving = False
        network.links.append(self)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        return not self.outbox.waiting and not self.outbox.in_flight

    @property
    def _next_try_s(self) -> float:
        return max(self._retry_at_s, self._silent_until_s)

    def send(self) -> None:
        """Hand on what waits, as far as the window allows."""
        client = self._client
        while client is not None and self.up and self.outbox.in_flight < MAX_IN_FLIGHT:
            taken = self.outbox.take()
            if taken is None:
                return
            held, payload = taken
            said = _said_of(held.content_type)
            info = client.publish(self._data[held.kind], payload, qos=1, properties=said)
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
            self.outbox.sent(info.mid)

    def tend(self, now_s: float) -> None:
        """Keep the connection alive, or come back; ask again for what may have been lost."""
        self.outbox.sync(now_s)
        if self._client is not None:
            self._client.loop_misc()
            self.outbox.repeat_overdue(now_s, GAP_PATIENCE_S, MAX_IN_FLIGHT)
            if self.up and self.outbox.given_up > self._given_up and now_s - self._said_at_s >= SAY_EVERY_S:
                self._say(self._client, now_s)
        elif not self._leaving and now_s >= self._next_try_s and self._network.may_connect(now_s):
            self._connect(now_s)

    def watch(self) -> None:
        """Tell the selector what this link waits for."""
        sock = self._socket()
        if sock is None or self._client is None:
            self._unwatch()
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
        if self._watched == (sock, events):
            return
        self._unwatch()
        self._network.selector.register(sock, events, self)
        self._watched = (sock, events)

    def read(self) -> None:
        client = self._client
        while client is not None:
            client.loop_read()
            sock = client.socket()
            # TLS may have decrypted more than was read; the selector sees only the socket below it.
            if sock is None or not hasattr(sock, "pending") or not sock.pending():
                return

    def write(self) -> None:
        if self._client is not None:
            self._client.loop_write()

    def cut(self, now_s: float, for_s: float) -> None:
        """Lose the network without a goodbye, as a pulled cable does, and find it again after `for_s`."""
        self._silent_until_s = now_s + for_s
        sock = self._socket()
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)

    def announce_offline(self, reason: str) -> None:
        """Turn the retained status false, as the last thing said."""
        self._leaving = True
        if self._client is None or not self.up:
            self.said_goodbye = True
            return
        payload = orjson.dumps(self._describe() | {"online": False, "reason": reason})
        self._goodbye_mid = self._client.publish(self._status, payload, qos=1, retain=True).mid

    def disconnect(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._unwatch()
            self._client = None

    def _connect(self, now_s: float) -> None:
        broker = self._network.broker
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            client.tls_set_context(broker.encryption())
        will = orjson.dumps(self._describe() | {"online": False, "reason": "connection lost"})
        client.will_set(self._status, will, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        try:
            client.connect(broker.host, broker.port, KEEPALIVE_S)
        except OSError as error:
            self._network.connect_failed(now_s, error)
            return
        self._client = client

    def _on_connect(self, client: mqtt.Client, _user: Any, _flags: Any, reason: ReasonCode, _more: Any) -> None:
        if reason.is_failure:
            if self.connects == 0 and reason.getName() in {"Bad user name or password", "Not authorized"}:
                raise Refused(f"{self._network.broker} refuses {self.device}: {reason.getName().lower()}")
            return
        self._network.connected()
        self.up = True
        self.connects += 1
        self._failures = 0
        client.subscribe(self._ack, qos=1)
        self._say(client, time.monotonic())

    def _say(self, client: mqtt.Client, now_s: float) -> None:
        """Say that it is there, and what it holds; this boot last, since the last is retained."""
        self._given_up, self._said_at_s = self.outbox.given_up, now_s
        online = self._describe() | {"online": True}
        for boot, seq in self.outbox.lowest().items():
            if boot != self.outbox.boot:
                client.publish(self._status, orjson.dumps(online | {"boot": boot, "seq": seq}), qos=1)
        client.publish(self._status, orjson.dumps(online), qos=1, retain=True)

    def _on_disconnect(self, _client: mqtt.Client, _user: Any, _flags: Any, _reason: ReasonCode, _more: Any) -> None:
        self._unwatch()
        self._client = None
        self.up = False
        self.said_goodbye = self._leaving
        self.outbox.connection_lost()
        self._retry_at_s = time.monotonic() + backoff_s(self._failures, self._network.random)
        self._failures += 1

    def _on_publish(self, _client: mqtt.Client, _user: Any, mid: int, reason: ReasonCode, _more: Properties) -> None:
        if reason.is_failure:
            raise Refused(f"{self._network.broker} takes no telemetry from {self.device}: {reason.getName().lower()}")
        self.said_goodbye = self.said_goodbye or mid == self._goodbye_mid
        self.outbox.delivered(mid, time.monotonic())

    def _on_message(self, _client: mqtt.Client, _user: Any, message: mqtt.MQTTMessage) -> None:
        try:
            body = orjson.loads(message.payload)
        except orjson.JSONDecodeError:
            return
        if isinstance(body, dict) and isinstance(body.get("boot"), int) and isinstance(body.get("seq"), int):
            self.outbox.stored(body["seq"], time.monotonic(), body["boot"])

    def _socket(self) -> socket.socket | None:
        sock = self._client.socket() if self._client is not None else None
        return sock if isinstance(sock, socket.socket) else None

    def _unwatch(self) -> None:
        if self._watched is not None:
            self._network.selector.unregister(self._watched[0])
            self._watched = None


@lru_cache
def _said_of(content_type: str) -> Properties | None:
    """What goes with a message beside its payload."""
    if not content_type:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = content_type
    return properties


def backoff_s(failures: int, rng: np.random.Generator) -> float:
    """Seconds to wait after the n-th failure in a row: doubling, bounded, spread over half to all of it."""
    return min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failures, 10)) * rng.uniform(0.5, 1.0)
