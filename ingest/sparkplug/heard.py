"""What comes out of the host: messages that may be read now, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.messages import Message
from ingest.reading import Reader
from ingest.reading.refusals import BadMessage
from ingest.sparkplug.metrics import Reading, Told
from ingest.sparkplug.payloads import Item
from store.telemetry import Status


@dataclass(slots=True)
class Heard:
    """One message, read: it stands in the delivery in which it is given out, not in the one in which it came.

    Attributes
    ----------
    message
        As it came, for what is said of a reject.
    tenant, device
        Whose it is; empty where it is nobody's that we know.
    node
        The device that its edge node is to us: whose messages are counted.
    readings, reasons
        What it holds, and what of it was refused.
    statuses
        Who came online or went offline by it.
    counted
        The session and the message's place in it, from 0 on; None where it has none. What is missing between never
        came, as far as sequence numbers tell: 256 more of them look alike.
    undeclared
        Metrics that could not be read, since no birth that was heard declares them.
    """

    message: Message
    tenant: str = ""
    device: str = ""
    node: str = ""
    readings: list[Reading] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    counted: tuple[int, int] | None = None
    undeclared: int = 0

    # A message is asked for these by whoever counts and keeps what is refused.

    @property
    def topic(self) -> str:
        return self.message.topic

    @property
    def payload(self) -> bytes:
        return self.message.payload

    @property
    def again(self) -> bool:
        return self.message.again

    def write(self, reader: Reader) -> None:
        """Write the readings to the reader of `tenant` and `device`, and why others were refused."""
        of_ms: int | None = -1
        time_us = quality = 0
        refusal: BadMessage | None = None
        for point, value, stamp_ms, flags, unit in self.readings:
            if stamp_ms != of_ms:  # the metrics of a message mostly share one
                of_ms, refusal = stamp_ms, None
                try:
                    time_us, quality = reader.time_ms(stamp_ms)
                except BadMessage as reason:
                    refusal = reason
            if refusal is None:
                reader.one(point, value, time_us, quality | flags, unit)
            else:
                reader.reasons.append(f"{point}: {refusal}")
        reader.reasons += self.reasons


def heard_of(item: Item, told: Told, refusal: str = "") -> Heard:
    """A message by what its metrics told; `refusal` is why the rest of it was not taken."""
    reasons = told.reasons
    if told.unknown:
        more = f" and {told.unknown - 1} more" if told.unknown > 1 else ""
        reasons.append(f"{told.first_unknown}{more}: in no birth that was heard; a rebirth brings the present value")
    if refusal:
        reasons.append(refusal)
    tenant, device, node = item.address.tenant, item.address.name, item.address.node_name
    return Heard(item.message, tenant, device, node, told.readings, reasons, undeclared=told.unknown)
