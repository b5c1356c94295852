"""What an edge node has declared, and how far it has counted, from one birth to the next."""

from __future__ import annotations

from array import array

from ingest.sparkplug.metrics import BD_SEQ, Table, number_of
from ingest.sparkplug.payloads import Item
from ingest.sparkplug.topics import Address

SEQS = 256


class Session:
    """From a birth of the node to the next, or to its death."""

    __slots__ = (
        "awaited",
        "bd_seq",
        "began_us",
        "born_ms",
        "devices",
        "digests",
        "doubted_us",
        "given_up",
        "next",
        "own",
    )

    def __init__(self, own: Table, birth: Item, awaited: dict[str, str]) -> None:
        self.own = own
        self.devices: dict[str, Table] = {}
        self.awaited = awaited  # devices of the session before that have not been reborn yet, with our names for them
        self.bd_seq = number_of(birth.payload, BD_SEQ)
        self.born_ms = birth.sent_ms
        self.began_us = birth.arrived_us
        self.next = (birth.seq or 0) + 1  # the place of the next message in the session: numbers that do not wrap
        self.given_up: set[int] = set()  # numbers whose messages count as missing, until they are due again
        self.digests = array("q", bytes(8 * SEQS))  # of the last message of each number
        self.doubted_us: int | None = None  # when a death was heard that may be its own

    @property
    def names(self) -> list[str]:
        """Our names for the devices of the node that were online."""
        return [*(table.name for table in self.devices.values()), *self.awaited.values()]

    @property
    def expected(self) -> int:
        """The sequence number of the next message."""
        return self.next % SEQS

    @property
    def run(self) -> int:
        """What tells this session from others of the node, below -1: nobody waits for an acknowledgement."""
        return -(self.born_ms or self.began_us // 1000) - 2

    def place_of(self, seq: int) -> int:
        """The place of the last message before the next one that had this number."""
        return self.next - 1 - (self.next - 1 - seq) % SEQS

    def table_of(self, address: Address) -> Table | None:
        return self.devices.get(address.device) if address.device else self.own

    @property
    def metrics(self) -> int:
        """How many it knows."""
        return len(self.own) + sum(len(table) for table in self.devices.values())

    def has_heard(self, birth: Item) -> bool:
        """Whether this birth is the one that began the session, or one before it, delivered again."""
        if not birth.sent_ms:
            return False
        if birth.sent_ms == self.born_ms:
            return number_of(birth.payload, BD_SEQ) == self.bd_seq
        return birth.message.again and birth.sent_ms < self.born_ms
