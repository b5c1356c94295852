"""A publisher that takes little of the machine that it is used to measure: MQTT packets written as they are.

As a process of its own it publishes single readings at an even rate, each with the time at which it was due:

python -m bench.publisher HOST PORT USER PASSWORD MESSAGES_A_SECOND SECONDS DEVICES    # prints how many it published
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from bellwether.stack.mosquitto import ACCEPTED, connect_packet
from telemetry import Broker

_AT_ONCE = 200
_TICK_S = 0.01
_WITHIN_S = 180.0


class Publisher:
    """Publishes at QoS 1 over MQTT 3.1.1, in order."""

    def __init__(self, broker: Broker) -> None:
        self._socket = socket.create_connection((broker.host, broker.port), 10)
        self._socket.sendall(connect_packet(broker.username or "", broker.password or ""))
        if self._socket.recv(len(ACCEPTED), socket.MSG_WAITALL) != ACCEPTED:
            raise RuntimeError("the broker does not let us in")
        self._socket.settimeout(None)
        self.published = 0
        self._acknowledged = 0
        self._reader = threading.Thread(target=self._read, name="acknowledgements", daemon=True)
        self._reader.start()

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Send them all; the broker has them when `finish` returns."""
        held = []
        for topic, payload in messages:
            self.published += 1
            held.append(_packet(topic.encode(), payload, self.published % 65535 + 1))
            if len(held) == _AT_ONCE:
                self._socket.sendall(b"".join(held))
                held.clear()
        self._socket.sendall(b"".join(held))

    def finish(self) -> None:
        """Wait for what has not been acknowledged yet."""
        deadline = time.monotonic() + _WITHIN_S
        while self._acknowledged < self.published:
            if time.monotonic() > deadline or not self._reader.is_alive():
                raise RuntimeError(f"the broker took {self._acknowledged} of {self.published} messages")
            time.sleep(0.01)

    def _read(self) -> None:
        size = 0
        while data := self._socket.recv(1 << 16):
            size += len(data)
            self._acknowledged = size // 4  # nothing else is sent to us

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()


def topic_of(device: int, tenant: str) -> str:
    return f"bellwether/v1/{tenant}/bench-{device:05d}/telemetry"


def evenly(broker: Broker, tenant: str, a_second: float, seconds: float, devices: int) -> int:
    """Publish single readings of so many devices at an even rate; how many that were."""
    began, count = time.time(), 0
    with Publisher(broker) as publisher:
        while (passed_s := time.time() - began) < seconds:
            due = int(passed_s * a_second)
            publisher.publish(
                (
                    topic_of(number % devices, tenant),
                    b'{"ts":%.3f,"temperature":71.25}' % ((began + number / a_second) * 1000),
                )
                for number in range(count, due)
            )
            count = due
            time.sleep(_TICK_S)
        publisher.finish()
    return count


def _packet(topic: bytes, payload: bytes, packet_id: int) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + packet_id.to_bytes(2, "big") + payload
    length, left = bytearray(), len(body)
    while True:
        left, digit = divmod(left, 128)
        length.append(digit | (128 if left else 0))
        if not left:
            return b"\x32" + bytes(length) + body


if __name__ == "__main__":
    host, port, user, password, tenant, *numbers = sys.argv[1:]
    rate, seconds, devices = map(float, numbers)
    print(evenly(Broker(host, int(port), username=user, password=password), tenant, rate, seconds, int(devices)))
