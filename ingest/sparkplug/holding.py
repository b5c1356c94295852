"""What is held in memory for edge nodes: so much for all together, and of each what waits for its turn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ingest.sparkplug.payloads import Item

# Messages of a node that wait for one before them, and bytes of all that wait. Too low calls lost what is merely late.
# Too high holds more in memory that a crash of ours would take along.
MAX_WAITING = 128
MAX_WAITING_BYTES = 32 << 20

# Metrics of one birth: too low turns a large device away, too high lets one message take much of the memory for all.
MAX_METRICS = 5000
# Declared by all nodes together, about 300 bytes each, twice that around a rebirth.
MAX_METRICS_IN_ALL = 200_000


@dataclass(slots=True)
class Held:
    """What all nodes together hold in memory, and what happened to them."""

    metrics: int = 0
    waiting_bytes: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def no_room(self, metrics: int) -> str:
        """Why a birth of so many is not taken; empty where it is."""
        if metrics > MAX_METRICS:
            return f"a birth of more than {MAX_METRICS} metrics"
        if self.metrics + metrics > MAX_METRICS_IN_ALL:
            return f"all edge nodes together have {MAX_METRICS_IN_ALL} metrics already"
        return ""


class Waiting:
    """Messages of one node that are ahead of their turn, by sequence number.

    Attributes
    ----------
    since_us
        Since when messages wait; None while none does.
    """

    __slots__ = ("_held", "_items", "since_us")

    def __init__(self, held: Held) -> None:
        self.since_us: int | None = None
        self._held = held
        self._items: dict[int, Item] = {}

    def of(self, seq: int | None) -> Item | None:
        """The one with this number."""
        return None if seq is None else self._items.get(seq)

    def sent_after(self, birth: Item) -> list[Item]:
        """Those that were sent after a birth and have overtaken it, as the times of sending tell."""
        return [item for item in self._items.values() if 0 < birth.sent_ms <= item.sent_ms]

    def has_room(self, item: Item) -> bool:
        size = len(item.message.payload)
        return len(self._items) < MAX_WAITING and self._held.waiting_bytes + size <= MAX_WAITING_BYTES

    def keep(self, item: Item, seq: int) -> None:
        """Let one wait for which there is room."""
        if self.since_us is None:
            self.since_us = item.arrived_us
        self._items[seq] = item
        self._held.waiting_bytes += len(item.message.payload)
        self._held.counts["out of order"] += 1

    def take(self, seq: int) -> Item | None:
        """The one with this number, which waits no longer."""
        item = self._items.pop(seq, None)
        if item is not None:
            self._held.waiting_bytes -= len(item.message.payload)
            if not self._items:
                self.since_us = None
        return item

    def take_all(self) -> list[Item]:
        """All, in the order in which they came."""
        return [item for seq in list(self._items) if (item := self.take(seq)) is not None]
