"""paho's client, made to take messages by the hundred.

paho asks the kernel before each packet whether there is more, reads three bytes here and four there, and builds sixty
containers a message for properties that nobody sent (docs/decisions/013). Here one read takes all that has come:
PUBLISH packets of QoS 0 and 1 are cut out of it and handed on together; every other packet goes to paho, which keeps
the connection as before: TLS, keep-alive, reconnecting, subscribing, publishing.

Under pressure the socket is not read: the broker is slowed, and nothing waits in memory but what has room.

Two things of paho's own are relied upon, `_create_socket` and `_packet_queue`: the tests fail where they have changed.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from paho.mqtt import MQTTException
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.messages import Message

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

# What one read takes at most. Low: more reads. High: a delivery exceeds its bounds by more, since what was read
# together stays together.
READ_BYTES = 1 << 16
# How long the network thread waits for room before it looks after the connection again.
ROOM_S = 0.1
# How long the broker may take to hang up when we do.
CLOSE_WITHIN_S = 1.0

_PUBLISH, _PUBACK, _PINGREQ, _PINGRESP = 0x30, b"\x40\x02", 0xC0, b"\xd0\x00"


class Hearer(Protocol):
    """Who takes what a connection hears. Called on the network thread, which an exception would end."""

    def hear(self, heard: Heard) -> None: ...

    def has_room(self, wait_s: float) -> bool:
        """Whether more may be read; an answer that is no may take `wait_s`."""
        ...


@dataclass(slots=True)
class Heard:
    """Messages that one read of a connection gave, in their order, with the two bytes that name each of QoS 1."""

    connection: Connection
    messages: list[Message] = field(default_factory=list)
    packet_ids: list[bytes] = field(default_factory=list)
    size: int = 0


class Subscriber(Client):
    """A client of MQTT 5 that hands messages to `hearer`; each must be acknowledged by who takes it."""

    def __init__(self, client_id: str, hearer: Hearer) -> None:
        super().__init__(
            callback_api_version=CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        self._hearer = hearer
        self._connection: Connection | None = None

    @property
    def unacknowledged(self) -> int:
        """Messages of this connection that the broker has sent and not seen acknowledged."""
        return self._connection.unacknowledged if self._connection else 0

    def break_off(self) -> None:
        """End the connection if there is one, whatever waits to be sent. From any thread."""
        if self._connection:
            self._connection.break_off()

    def _create_socket(self) -> SocketLike:
        self._connection = Connection(super()._create_socket(), self._hearer, self._send_acknowledgements)
        return self._connection

    def _send_acknowledgements(self, packets: bytes) -> None:
        """Any number of them as if they were one packet: one entry in paho's queue, one wake-up, one write."""
        self._packet_queue(_PUBACK[0], packets, 0, 1)


class Connection:
    """The socket that paho reads and writes, without the messages: its `SocketLike`, with `pending` as TLS has it."""

    def __init__(self, sock: SocketLike, hearer: Hearer, send_acknowledgements: Callable[[bytes], None]) -> None:
        self._sock: Any = sock  # of TLS or not
        self._hearer = hearer
        self._send_acknowledgements = send_acknowledgements
        self._lock = threading.RLock()  # paho may close while it acknowledges
        self._closed = False
        self._pieces: list[bytes] = []  # of a packet that is not all there yet
        self._have = 0
        self._wanted = 0
        self._others = b""  # packets for paho
        self._pinged = False
        # Each counted by one thread alone: their difference is what the broker waits for.
        self._heard = 0
        self._acknowledged = 0

    @property
    def unacknowledged(self) -> int:
        return 0 if self._closed else self._heard - self._acknowledged

    def acknowledge(self, packet_ids: Sequence[bytes]) -> None:
        """Each once, and in the order in which they came; where the connection is no more they come again anyway."""
        with self._lock:
            if packet_ids and not self._closed:
                self._send_acknowledgements(_PUBACK + _PUBACK.join(packet_ids))
                self._acknowledged += len(packet_ids)

    def break_off(self) -> None:
        with self._lock, suppress(OSError):
            if not self._closed:
                self._sock.shutdown(socket.SHUT_RDWR)

    # What paho calls -------------------------------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """Bytes of packets that are paho's; `BlockingIOError` where there are none."""
        if not self._others:
            if self._hearer.has_room(ROOM_S):
                data: bytes = self._sock.recv(READ_BYTES)
                if not data:
                    return data
                self._cut(data)
            elif self._pinged:
                # The broker's answer lies behind what we do not read; without one paho would give the connection up.
                self._pinged = False
                self._others = _PINGRESP
            if not self._others:
                raise BlockingIOError
        taken, self._others = self._others[:size], self._others[size:]
        return taken

    def send(self, data: bytes | bytearray) -> int:
        if data[0] == _PINGREQ:
            self._pinged = True
        sent: int = self._sock.send(data)
        return sent

    def pending(self) -> int:
        """Bytes that can be read although the kernel knows of none."""
        return len(self._others) + (self._sock.pending() if hasattr(self._sock, "pending") else 0)

    def close(self) -> None:
        """Read to the end: closed with bytes unread, it would take along what the broker has not read of ours."""
        with self._lock:
            self._closed = True
        deadline = time.monotonic() + CLOSE_WITHIN_S
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            self._sock.settimeout(CLOSE_WITHIN_S)
            while self._sock.recv(READ_BYTES) and time.monotonic() < deadline:
                pass
        self._sock.close()

    def fileno(self) -> int:
        number: int = self._sock.fileno()
        return number

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)

    # Packets ---------------------------------------------------------------------------------------------------------

    def _cut(self, data: bytes) -> None:
        """Cut what has been read into packets, and hand on the messages among them.

        Raises
        ------
        ConnectionError
            This is no MQTT. paho takes it as the end of the connection.
        """
        if self._pieces:
            self._pieces.append(data)
            self._have += len(data)
            if self._have < self._wanted:
                return
            data = b"".join(self._pieces)
        heard, others = Heard(self), []
        at, end, self._wanted = 0, len(data), 0
        while end - at >= 2:
            length, start = (data[at + 1], at + 2) if data[at + 1] < 128 else _varint(data, at + 1)
            stop = start + length
            if stop > end:
                self._wanted = stop - at
                break
            if data[at] & 0xF4 == _PUBLISH:
                _publication(data[at], data[start:stop], heard)
            else:
                others.append(data[at:stop])
            at = stop
        rest = data[at:]
        self._pieces, self._have = [rest] if rest else [], len(rest)
        self._others += b"".join(others)
        if heard.messages:
            heard.size = at
            self._heard += len(heard.packet_ids)
            self._hearer.hear(heard)


def _publication(head: int, body: bytes, heard: Heard) -> None:
    """Read a PUBLISH packet of QoS 0 or 1: topic, packet id, properties, payload."""
    try:
        at = 2 + (body[0] << 8 | body[1])
        # A broker that lets a topic pass that is no UTF-8 is broken; the message is rejected like any not for us.
        topic = body[2:at].decode("utf-8", "replace")
        if head & 2:
            heard.packet_ids.append(body[at : at + 2])
            at += 2
        content_type = ""
        if body[at]:
            length, first = _varint(body, at)
            properties, at = body[at : first + length], first + length
            content_type = _content_type(properties) if len(properties) < 256 else _read_content_type(properties)
        else:
            at += 1
    except (LookupError, ValueError, struct.error, MQTTException) as error:
        raise ConnectionError(f"a PUBLISH packet that is none: {error}") from error
    heard.messages.append(Message(topic, body[at:], content_type, head & 8 != 0, head & 1 != 0))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to four bytes, and where what follows begins; beyond the end where not all of it is there yet."""
    number = 0
    for place in range(4):
        if at + place == len(data):
            return 0, len(data) + 1
        byte = data[at + place]
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return number, at + place + 1
    raise ConnectionError("a length of more than four bytes")


def _read_content_type(properties: bytes) -> str:
    read = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    read.unpack(properties)  # type: ignore[no-untyped-call]
    return str(getattr(read, "ContentType", ""))


# A device says the same with each message. Bounded in number and, by who calls, in size: properties come from outside.
_content_type = lru_cache(maxsize=1024)(_read_content_type)
