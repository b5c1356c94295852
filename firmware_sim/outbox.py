"""What a device has measured and nobody has confirmed: a bounded buffer, in the order of the sequence numbers.

A message stays until it is known to be *stored* (the `ack` topic); that the broker has it is not enough, a broker may
die with it. Full, the buffer gives up its oldest message and counts it: a device never stops measuring, and never
grows. With a spool the messages lie on disk, and outlive the device: those of earlier boots are sent first. A disk that
is full costs the oldest messages; one that cannot be written costs their safety, and nothing else.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from firmware_sim.spool import FULL, Place, Spool, Unreadable


class State(Enum):
    WAITING = auto()
    IN_FLIGHT = auto()
    DELIVERED = auto()
    """The broker has it; whether it is stored is not known yet."""


@dataclass(slots=True, eq=False)
class Held:
    """A message; its payload is on disk where `place` says so. `kind` ends its topic."""

    boot: int
    first_seq: int
    last_seq: int
    payload: bytes | None
    kind: str = "telemetry"
    content_type: str = ""
    place: Place | None = None
    state: State = State.WAITING
    delivered_at_s: float = 0.0


class Outbox:
    """Messages on their way.

    Attributes
    ----------
    boot : int
        Of this run: what is put in now is counted by it.
    next_seq : int
        The sequence number that the next message begins with.
    dropped : int
        Messages given up before any broker had them: lost for certain. With a spool, in all runs.
    unconfirmed : int
        Messages given up that the broker had taken but nobody had confirmed as stored. Likewise.
    """

    def __init__(self, capacity: int, boot: int = 0, spool: Spool | None = None) -> None:
        if capacity < 1:
            raise ValueError("an outbox holds at least one message")
        self._capacity = capacity
        self._spool = spool
        self._held: dict[tuple[int, int], Held] = {}
        self._waiting: deque[Held] = deque()
        self._in_flight: dict[int, Held] = {}
        self._heard = False
        self._heard_at_s = 0.0
        self._asked_at_s = 0.0
        self.boot = boot if spool is None else spool.boot
        self.next_seq = 0
        self.dropped = spool.dropped if spool else 0
        self.unconfirmed = spool.unconfirmed if spool else 0
        for kept in spool.kept if spool else ():
            self._take_in(
                Held(kept.boot, kept.first_seq, kept.last_seq, None, kept.kind, kept.content_type, kept.place)
            )

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
        return self._heard

    @property
    def given_up(self) -> int:
        """All messages given up before they were known to be stored."""
        return self.dropped + self.unconfirmed

    @property
    def lowest_seq(self) -> int:
        """The oldest sequence number of this boot still held, else the next to come: none below it will come again."""
        return self.lowest().get(self.boot, self.next_seq)

    def lowest(self) -> dict[int, int]:
        """The oldest sequence number still held of each boot of which there is one, the earliest boot first."""
        lowest: dict[int, int] = {}
        for held in self._held.values():
            lowest.setdefault(held.boot, held.first_seq)
        return lowest

    def sent_below(self, seq: int) -> bool:
        """Whether the broker has taken all messages of this boot below `seq`, or they were given up."""
        on_the_way = (*self._waiting, *self._in_flight.values())
        return all(held.boot == self.boot and held.last_seq >= seq for held in on_the_way)

    def put(self, last_seq: int, payload: bytes, kind: str = "telemetry", content_type: str = "") -> None:
        """Take a message that spends the numbers from `next_seq` to `last_seq`; `kind` ends its topic."""
        held = Held(self.boot, self.next_seq, last_seq, None, kind, content_type)
        self.next_seq = last_seq + 1
        self._write(held, payload)
        self._take_in(held)

    def take(self) -> tuple[Held, bytes] | None:
        """The next message to send, and its payload, or None. It waits on unless `sent` follows."""
        while self._waiting:
            held = self._waiting[0]
            if held.payload is not None:
                return held, held.payload
            try:
                return held, self._read(held)
            except Unreadable:
                self._waiting.popleft()
                self._forget(self._held.pop((held.boot, held.last_seq)))
                self._lost(dropped=1)
        return None

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

    def stored(self, seq: int, now_s: float, boot: int | None = None) -> None:
        """All up to `seq` of `boot`, this one unless it is said, is stored: forget it."""
        boot = self.boot if boot is None else boot
        self._heard, self._heard_at_s = True, now_s
        done = [held for held in self._held.values() if held.boot == boot and held.last_seq <= seq]
        for held in done:
            self._forget(self._held.pop((boot, held.last_seq)))
        if done and self._spool:
            self._spool.done(boot, done[-1].last_seq)
        if any(held.state is State.WAITING for held in done):
            self._waiting = deque(held for held in self._waiting if (held.boot, held.last_seq) in self._held)

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

    def sync(self, now_s: float) -> None:
        """See that what is held survives a loss of power, where that is due."""
        if self._spool:
            self._spool.sync(now_s)

    def close(self) -> None:
        """What is held stays on disk, for the next run."""
        if self._spool:
            self._spool.close()

    def _take_in(self, held: Held) -> None:
        if len(self._held) >= self._capacity:
            given_up = self._give_up_oldest()
            if self._spool:
                self._spool.done(given_up.boot, given_up.last_seq)
        self._held[held.boot, held.last_seq] = held
        self._waiting.append(held)

    def _give_up_oldest(self) -> Held:
        held = self._held.pop(next(iter(self._held)))
        if held.state is State.WAITING:
            self._waiting.popleft()
            self._lost(dropped=1)
        elif self.confirmed:
            self._lost(unconfirmed=1)
        self._forget(held)
        return held

    def _lost(self, dropped: int = 0, unconfirmed: int = 0) -> None:
        self.dropped += dropped
        self.unconfirmed += unconfirmed
        if self._spool:
            self._spool.count(self.dropped, self.unconfirmed)

    # On disk --------------------------------------------------------------------------------------------------------

    def _write(self, held: Held, payload: bytes) -> None:
        """To disk, giving up what is oldest there for it; where that does not help, into memory."""
        spool = self._spool
        while spool is not None:
            try:
                held.place = spool.append(held.first_seq, held.last_seq, payload, held.kind, held.content_type)
                return
            except OSError as error:
                if error.errno not in FULL or not self._make_room(spool):
                    break
        held.payload = payload

    def _make_room(self, spool: Spool) -> bool:
        """Give up the messages of the oldest file; whether there is one."""
        files = spool.files
        while spool.files == files:
            oldest = next(iter(self._held.values()), None)
            if oldest is None or oldest.place is None or not spool.may_go(oldest.place):
                return False
            self._give_up_oldest()
        return True

    def _read(self, held: Held) -> bytes:
        if self._spool is None or held.place is None:
            raise Unreadable("a message that is nowhere")
        return self._spool.read(held.place)

    def _forget(self, held: Held) -> None:
        if self._spool and held.place:
            self._spool.forget(held.place)
