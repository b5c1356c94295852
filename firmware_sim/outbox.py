"""What a device has measured and nobody has confirmed: a bounded buffer, in the order of the sequence numbers.

A message stays until it is known to be *stored* (the `ack` topic); that the broker has it is not enough, a broker may
die with it. Full, the buffer gives up its oldest message and counts it: a device never stops measuring, and never
grows.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto


class State(Enum):
    WAITING = auto()
    IN_FLIGHT = auto()
    DELIVERED = auto()
    """The broker has it; whether it is stored is not known yet."""


@dataclass(slots=True)
class Held:
    first_seq: int
    last_seq: int
    payload: bytes
    kind: str = "telemetry"
    state: State = State.WAITING
    delivered_at_s: float = 0.0


class Outbox:
    """Messages on their way.

    Attributes
    ----------
    next_seq : int
        The sequence number that the next message begins with.
    dropped : int
        Messages given up before any broker had them: lost for certain.
    unconfirmed : int
        Messages given up that the broker had taken but nobody had confirmed as stored.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("an outbox holds at least one message")
        self._capacity = capacity
        self._held: dict[int, Held] = {}
        self._waiting: deque[Held] = deque()
        self._in_flight: dict[int, Held] = {}
        self._stored_seq: int | None = None
        self._heard_at_s = 0.0
        self._asked_at_s = 0.0
        self.next_seq = 0
        self.dropped = 0
        self.unconfirmed = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def confirmed(self) -> bool:
        """Whether somebody confirms what is stored at all."""
        return self._stored_seq is not None

    @property
    def lowest_seq(self) -> int:
        """The oldest sequence number still held, else the next to come: nothing below it will ever be sent again."""
        return next((held.first_seq for held in self._held.values()), self.next_seq)

    def sent_below(self, seq: int) -> bool:
        """Whether the broker has taken all messages below `seq`, or they were given up."""
        return all(held.last_seq >= seq for held in (*self._waiting, *self._in_flight.values()))

    def put(self, last_seq: int, payload: bytes, kind: str = "telemetry") -> None:
        """Take a message that spends the numbers from `next_seq` to `last_seq`; `kind` ends its topic."""
        if len(self._held) >= self._capacity:
            self._give_up_oldest()
        held = self._held[last_seq] = Held(self.next_seq, last_seq, payload, kind)
        self.next_seq = last_seq + 1
        self._waiting.append(held)

    def take(self) -> Held | None:
        """The next message to send, or None. It waits on unless `sent` follows."""
        return self._waiting[0] if self._waiting else None

    def sent(self, mid: int) -> None:
        """The message that `take` gave is under way with the packet number `mid`."""
        held = self._waiting.popleft()
        held.state = State.IN_FLIGHT
        self._in_flight[mid] = held

    def delivered(self, mid: int, now_s: float) -> None:
        """The broker has taken the packet `mid`; one that isn't ours is of no interest."""
        held = self._in_flight.pop(mid, None)
        if held is not None:
            held.state, held.delivered_at_s = State.DELIVERED, now_s

    def stored(self, seq: int, now_s: float) -> None:
        """All up to `seq` is stored: forget it."""
        self._heard_at_s = now_s
        self._stored_seq = seq if self._stored_seq is None else max(seq, self._stored_seq)
        while self._held and next(iter(self._held)) <= seq:
            del self._held[next(iter(self._held))]
        if self._waiting and self._waiting[0].last_seq <= seq:
            self._waiting = deque(held for held in self._waiting if held.last_seq > seq)

    def connection_lost(self) -> None:
        """What was in flight waits again, and so does all that the broker took, where somebody confirms."""
        self._in_flight.clear()
        again = {State.WAITING, State.IN_FLIGHT} | ({State.DELIVERED} if self.confirmed else set())
        self._waiting = deque(held for held in self._held.values() if held.state in again)
        for held in self._waiting:
            held.state = State.WAITING

    def repeat_overdue(self, now_s: float, patience_s: float, at_most: int) -> None:
        """Send again what the broker took `patience_s` ago and nobody has confirmed: it may have been lost behind it.

        As long as confirmations come, `at_most` messages at a time; into a silence one, once per `patience_s`: a store
        that is down is not helped by copies.
        """
        alive = self._heard_at_s > self._asked_at_s
        if not self.confirmed or not (alive or now_s - self._asked_at_s >= patience_s):
            return
        oldest = itertools.islice(self._held.values(), at_most if alive else 1)
        overdue = [h for h in oldest if h.state is State.DELIVERED and now_s - h.delivered_at_s >= patience_s]
        for held in reversed(overdue):
            held.state = State.WAITING
            self._waiting.appendleft(held)
        if overdue:
            self._asked_at_s = now_s

    def _give_up_oldest(self) -> None:
        held = self._held.pop(next(iter(self._held)))
        if held.state is State.WAITING:
            self._waiting.popleft()
            self.dropped += 1
        elif self.confirmed:
            self.unconfirmed += 1
