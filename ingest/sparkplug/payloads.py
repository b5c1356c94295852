"""A payload of Sparkplug B, unpacked: which place it has among others, and what it says of its sender."""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from ingest.messages import Message
from ingest.reading import MAX_PAYLOAD_BYTES
from ingest.reading.stamps import EARLIEST_MS
from ingest.sparkplug.metrics import text_of
from ingest.sparkplug.schema import Payload
from ingest.sparkplug.topics import Address
from store.telemetry import Status

# Metrics in one message; a payload of the greatest size could hold half a million empty ones.
MAX_METRICS_IN_MESSAGE = 50_000


class Item(NamedTuple):
    """A message with what it holds; `seq` is None where it has none that counts, `sent_ms` 0 where it has no time."""

    address: Address
    payload: Any
    seq: int | None
    sent_ms: int
    message: Message
    arrived_us: int


def unpack(address: Address, message: Message, arrived_us: int) -> Item:
    """Unpack a payload.

    Raises
    ------
    ValueError
        It is none, or too large; the text is the reason.
    """
    if len(message.payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"larger than {MAX_PAYLOAD_BYTES} bytes")
    try:
        payload = Payload.FromString(message.payload)
    except DecodeError as error:
        raise ValueError("no payload of Sparkplug B") from error
    if len(payload.metrics) > MAX_METRICS_IN_MESSAGE:
        raise ValueError(f"more than {MAX_METRICS_IN_MESSAGE} metrics")
    seq = payload.seq if payload.HasField("seq") and payload.seq < 256 else None
    return Item(address, payload, seq, payload.timestamp, message, arrived_us)


def online(birth: Item) -> Status:
    """What a birth says of whose it is."""
    return Status(
        birth.address.tenant,
        birth.address.name,
        True,
        birth.arrived_us,
        gateway=birth.address.node_name if birth.address.device else "",
        model=text_of(birth.payload, "Properties/Hardware Model"),
        firmware=text_of(birth.payload, "Properties/FW", "Properties/Firmware"),
    )


def said_us(item: Item) -> int:
    """When a device died as its node says, where that can be; else when we heard of it."""
    said_us = item.sent_ms * 1000
    return said_us if EARLIEST_MS * 1000 <= said_us <= item.arrived_us else item.arrived_us
