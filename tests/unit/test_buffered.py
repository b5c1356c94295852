"""Messages cut out of a byte stream, whatever pieces it comes in; everything else for paho."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.broker.buffered import READ_BYTES, Connection, Heard
from ingest.messages import Message

PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"
SUBACK = b"\x90\x04\x00\x01\x00\x01"


class Wire:
    """A connection with its far end: what was heard on it, and what was sent as acknowledgements."""

    def __init__(self) -> None:
        near, self.far = socket.socketpair()
        self.acknowledged: list[bytes] = []
        self.heard: list[Heard] = []
        self.room = True
        self.connection = Connection(near, self, self.acknowledged.append)
        self.connection.setblocking(False)

    def hear(self, heard: Heard) -> None:
        self.heard.append(heard)

    def has_room(self, _: float) -> bool:
        return self.room

    @property
    def messages(self) -> list[Message]:
        return [message for heard in self.heard for message in heard.messages]

    def arrive(self, data: bytes) -> bytes:
        """Let `data` come, and read as paho does until there is no more; the bytes that are paho's."""
        self.far.sendall(data)
        got = b""
        while self.connection.pending() or select.select([self.connection], [], [], 0)[0]:
            try:
                got += self.connection.recv(1)
            except BlockingIOError:
                if not self.room:
                    break
        return got

    def close(self) -> None:
        self.far.close()
        self.connection.close()


def length_of(number: int) -> bytes:
    """MQTT's variable byte integer."""
    encoded = bytearray()
    while True:
        number, digit = divmod(number, 128)
        encoded.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(encoded)


def publish(topic: str, payload: bytes, packet_id: int = 0, properties: bytes = b"\0", again: bool = False) -> bytes:
    """A PUBLISH packet of MQTT 5; of QoS 0 without a packet id."""
    body = len(topic.encode()).to_bytes(2, "big") + topic.encode()
    body += packet_id.to_bytes(2, "big") if packet_id else b""
    body += properties + payload
    return bytes([0x30 | (2 if packet_id else 0) | (8 if again else 0)]) + length_of(len(body)) + body


def of_type(content_type: str, line: str = "3") -> bytes:
    """Properties as paho itself writes them."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = content_type
    properties.UserProperty = ("line", line)
    properties.MessageExpiryInterval = 60
    packed: bytes = properties.pack()  # type: ignore[no-untyped-call]
    return packed


MESSAGES = st.builds(
    publish,
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.binary(max_size=300),
    st.integers(0, 65535),
    st.sampled_from([b"\0", of_type("application/cbor")]),
    st.booleans(),
)


@given(st.lists(MESSAGES | st.sampled_from([PINGRESP, SUBACK]), max_size=20), st.lists(st.integers(1, 400), min_size=1))
def test_messages_are_the_same_in_whatever_pieces_they_come(sent: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(sent)
    with closing(Wire()) as whole, closing(Wire()) as pieces:
        others = whole.arrive(stream)
        assert others == b"".join(packet for packet in sent if packet[0] & 0xF0 != 0x30)
        assert len(whole.messages) == sum(packet[0] & 0xF0 == 0x30 for packet in sent)
        got, at = b"", 0
        while at < len(stream):
            size = sizes[at % len(sizes)]
            got, at = got + pieces.arrive(stream[at : at + size]), at + size
        assert (pieces.messages, got) == (whole.messages, others)


def test_a_message_has_its_topic_payload_type_and_whether_it_comes_again() -> None:
    with closing(Wire()) as wire:
        wire.arrive(
            publish("a/ö", b"{}", 7)
            + publish("b", b"\xa0", 65535, of_type("application/cbor"), again=True)
            + publish("c", b"", 0, of_type("", "x" * 20_000))
        )
        assert wire.messages == [
            Message("a/ö", b"{}"),
            Message("b", b"\xa0", "application/cbor", again=True),
            Message("c", b""),
        ]


def test_a_message_larger_than_a_read_is_whole() -> None:
    payload = bytes(range(256)) * (5 * READ_BYTES // 256)
    with closing(Wire()) as wire:
        sender = threading.Thread(target=wire.far.sendall, args=[publish("a", payload, 1) + publish("b", b"x", 2)])
        sender.start()
        while len(wire.messages) < 2:
            wire.arrive(b"")
        sender.join()
        assert wire.messages == [Message("a", payload), Message("b", b"x")]


def test_messages_are_acknowledged_together_in_their_order_and_not_after_the_connection() -> None:
    with closing(Wire()) as wire:
        wire.arrive(b"".join(publish("a", b"x", packet_id) for packet_id in (3, 1, 0, 2)))
        (heard,) = wire.heard
        assert wire.connection.unacknowledged == 3
        wire.connection.acknowledge(heard.packet_ids)
        assert wire.acknowledged == [b"@\x02\x00\x03@\x02\x00\x01@\x02\x00\x02"]
        assert wire.connection.unacknowledged == 0
        wire.arrive(publish("a", b"x", 4))
        wire.far.close()
        wire.connection.close()
        wire.connection.acknowledge(wire.heard[1].packet_ids)
        assert len(wire.acknowledged) == 1


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x32\xff\xff\xff\xff\x01",
        b"\x32\x01\x00",
        b"\x32\x04\x00\xff\x00\x01",
        b"\x32\x05\x00\x01a\x00\x01",
        b"\x30\x05\x00\x01a\x02\x99",
        b"\x30\x06\x00\x01a\x02\x03\x00",
    ],
)
def test_what_is_no_mqtt_ends_the_connection_and_nothing_else(rubbish: bytes) -> None:
    with closing(Wire()) as wire, pytest.raises(ConnectionError):
        wire.arrive(rubbish)


def test_without_room_nothing_is_read_and_the_connection_lives_on() -> None:
    """The broker's answer to a ping lies behind what is not read."""
    with closing(Wire()) as wire:
        wire.room = False
        assert wire.arrive(publish("a", b"x", 1)) == b""
        wire.connection.send(PINGREQ)
        assert wire.arrive(PINGRESP) == PINGRESP
        assert wire.arrive(b"") == b""
        assert wire.messages == []
        wire.room = True
        assert wire.arrive(b"") == PINGRESP
        assert wire.messages == [Message("a", b"x")]


def test_the_end_of_the_connection_is_the_end() -> None:
    with closing(Wire()) as wire:
        wire.far.close()
        assert wire.connection.recv(1) == b""
