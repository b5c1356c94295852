"""One edge node as the host sees it: its session from birth to death, its metrics, its sequence numbers.

Messages are read in the order of their sequence numbers. One that is ahead waits for those between, at most for the
reorder timeout; then what waits is read, the others count as missing, and the node is asked for a rebirth. A metric
that no birth has declared is refused, and a rebirth asked for, which brings its present value: an alias is never
guessed.
"""

from __future__ import annotations

from collections.abc import Iterable

from ingest.sparkplug import rebirths
from ingest.sparkplug.heard import Heard, heard_of
from ingest.sparkplug.holding import Held, Waiting
from ingest.sparkplug.metrics import BD_SEQ, Table, Told, declare, number_of, read
from ingest.sparkplug.payloads import Item, online, said_us
from ingest.sparkplug.session import SEQS, Session
from ingest.sparkplug.topics import Address
from store.telemetry import Status

# Devices of a node: too low turns a large gateway away, too high lets one invent as many as it likes.
MAX_DEVICES = 1000

_NO_TABLE = Table("")


class Node:
    """The state of one edge node. The time is given; what is to be said to it is asked for.

    Attributes
    ----------
    rebirths
        Whether it is to be asked for one, and of whom more is remembered than known.
    """

    def __init__(self, address: Address, reorder_us: int, held: Held) -> None:
        self.tenant = address.tenant
        self.name = address.node_name
        self.command_topic = address.command_topic
        self.session: Session | None = None
        self.rebirths = rebirths.Rebirths()
        self._reorder_us = reorder_us
        self._held = held
        self._former: Session | None = None
        self._waiting = Waiting(held)
        self._died: int | None = None  # the bdSeq of its last death
        self._died_us = 0

    @property
    def restless(self) -> bool:
        """Whether it needs to be looked after although it says nothing."""
        return (
            self.rebirths.wanted
            or self._waiting.since_us is not None
            or bool(self.rebirths.remembered)
            or (self.session is not None and (bool(self.session.awaited) or self.session.doubted_us is not None))
        )

    def hear(self, item: Item) -> list[Heard]:
        """Take a message: what may be read now, in order."""
        kind = item.address.kind
        if kind == "NBIRTH":
            return self._birth(item)
        if kind == "NDEATH":
            return self._death(item)
        if self.session is None:
            self.rebirths.wanted = True
            return self._wait(item) if item.seq is not None else [self._only_read(None, item)]
        if item.seq is None:
            return [self._next(self.session, item)]
        return self._in_order(self.session, item, item.seq)

    # Time passes ----------------------------------------------------------------------------------------------------

    def late(self, now_us: int) -> list[Heard]:
        """What waits, once it has waited for the reorder timeout: those before it are missing, and a rebirth is due."""
        if self._waiting.since_us is None or now_us - self._waiting.since_us < self._reorder_us:
            return []
        self.rebirths.wanted = True
        return self.let_go()

    def not_reborn(self, now_us: int) -> list[Status]:
        """Who had the time to be born again, and was not: offline."""
        session = self.session
        gone: list[str] = []
        if session is None:
            gone = self.rebirths.given_up(now_us)
        elif session.doubted_us is not None and now_us - session.doubted_us >= rebirths.REBORN_WITHIN_US:
            gone = [self.name, *session.names]
            self.forget()
        elif session.awaited and now_us - session.began_us >= rebirths.REBORN_WITHIN_US:
            gone, session.awaited = list(session.awaited.values()), {}
        return [Status(self.tenant, name, False, now_us) for name in gone]

    def ask(self, now_us: int) -> bool:
        """Whether to ask for a rebirth now; if so, it counts as asked."""
        asked = self.rebirths.ask(now_us)
        self._held.counts["rebirths asked"] += asked
        return asked

    def forget(self) -> None:
        """No births are known any more."""
        for session in (self.session, self._former):
            self._held.metrics -= session.metrics if session else 0
        self.session = self._former = None

    def let_go(self, but: Iterable[Item] = ()) -> list[Heard]:
        """Read what waits, in order, without what is missing between; of `but` the room is given back, and no more."""
        kept = {item.seq for item in but}
        items = [item for item in self._waiting.take_all() if item.seq not in kept]
        session = self.session
        if session is None:
            return [self._only_read(None, item) for item in items]
        first = session.expected
        heard = []
        for item in sorted(items, key=lambda item: ((item.seq or 0) - first) % SEQS):
            missing = ((item.seq or 0) - session.next) % SEQS
            session.given_up.update((session.next + i) % SEQS for i in range(missing))
            session.next += missing
            heard.append(self._next(session, item))
            self._held.counts["missing"] += missing
        return heard

    # Birth and death ------------------------------------------------------------------------------------------------

    def _birth(self, item: Item) -> list[Heard]:
        before = self.session
        if before is not None and before.has_heard(item):
            return [self._only_read(None, item)]
        later = self._waiting.sent_after(item)
        heard = self.let_go(later)
        if refusal := self._held.no_room(len(item.payload.metrics)):
            self.forget()
            return [*heard, self._heard(item, Told(), refusal)]
        told = Told()
        table = declare(item.payload, self.name, told)
        session = Session(table, item, self._awaited())
        self._renew(session)
        read(item.payload, table, told)
        heard.append(self._heard(item, told))
        heard[-1].statuses.append(online(item))
        heard[-1].counted = (session.run, session.next - 1)
        if session.bd_seq == self._died and item.arrived_us - self._died_us < self._reorder_us:
            self._doubt(session, item)  # overtaken by its death, or back so soon without having counted on
        for follower in later:
            heard += self.hear(follower)
        return heard

    def _awaited(self) -> dict[str, str]:
        """Devices that were online before a birth of the node, and are to be born again."""
        before = self.session
        awaited = {device: name for device, name in self.rebirths.forget().items() if device}
        if before is not None:
            awaited |= before.awaited | {device: table.name for device, table in before.devices.items()}
        return awaited

    def _renew(self, session: Session) -> None:
        """Begin a session; the one before is kept for what was sent before the birth and comes after it."""
        self._held.metrics += session.metrics - (self._former.metrics if self._former else 0)
        self._former, self.session = self.session, session
        self.rebirths.wanted = False
        self._held.counts["births"] += 1

    def _doubt(self, session: Session, item: Item) -> None:
        """The session may be over: who lives answers, who does not is offline."""
        session.doubted_us = item.arrived_us
        self.rebirths.wanted = True

    def _death(self, item: Item) -> list[Heard]:
        bd_seq = number_of(item.payload, BD_SEQ)
        session = self.session
        if bd_seq is None and (session is None or session.bd_seq is not None):
            return [self._heard(item, Told(), "a death without bdSeq: nobody knows of which birth")]
        if session is None:
            if bd_seq == self._died:  # said by the node, and once more by its last will
                return [self._heard(item, Told())]
            # Of a birth that we never heard, or of an earlier one: who lives answers.
            self.rebirths.wanted = True
            heard = self.let_go()
            gone = list(dict.fromkeys([self.name, *self.rebirths.forget().values()]))
        elif bd_seq != session.bd_seq:
            self._held.counts["deaths of another session"] += 1
            if session.bd_seq is not None and bd_seq is not None and (bd_seq - session.bd_seq) % SEQS < SEQS // 2:
                # Of a later birth, which we never heard; or of an earlier one, and the node has begun to count anew.
                self._died, self._died_us = bd_seq, item.arrived_us
                self._doubt(session, item)
            return [self._heard(item, Told())]
        else:
            self.rebirths.wanted = False
            heard = self.let_go()
            gone = [self.name, *session.names]
            self.forget()
        self._died, self._died_us = bd_seq, item.arrived_us
        self._held.counts["deaths"] += 1
        heard.append(self._heard(item, Told()))
        heard[-1].statuses += [Status(self.tenant, name, False, item.arrived_us) for name in gone]
        return heard

    # In order -------------------------------------------------------------------------------------------------------

    def _in_order(self, session: Session, item: Item, seq: int) -> list[Heard]:
        digest = hash(item.message[:2])
        if session.digests[seq] == digest:  # delivered twice: its readings are found stored
            place = session.place_of(seq) - (SEQS if seq in session.given_up else 0)
            return [self._only_read(session, item, place)]
        ahead = (seq - session.expected) % SEQS
        if ahead == 0:
            session.digests[seq] = digest
            heard = [self._next(session, item)]
            while (follower := self._waiting.take(session.expected)) is not None:
                heard.append(self._next(session, follower))
            return heard
        young = item.arrived_us - session.began_us < self._reorder_us
        if 0 < item.sent_ms < session.born_ms and (young or item.message.again):  # overtaken by the birth
            former = self._former
            found = former is not None and seq in former.given_up
            return [self._only_read(former, item, former.place_of(seq) if former and found else None)]
        if seq in session.given_up:
            return [self._only_read(session, item, session.place_of(seq))]
        if item.message.again:
            return [self._only_read(session, item)]
        session.digests[seq] = digest
        return self._wait(item)

    def _wait(self, item: Item) -> list[Heard]:
        """Keep a message for those before it; where there is no room for it, what waits is read as it is."""
        heard: list[Heard] = []
        same = self._waiting.of(item.seq)
        if same is not None and same.message[:2] == item.message[:2]:  # delivered twice
            return [self._heard(item, Told())]
        if same is not None or not self._waiting.has_room(item):
            self.rebirths.wanted = True
            heard = self.let_go()
        if self.session is not None and item.seq == self.session.expected:
            return [*heard, self._next(self.session, item)]
        if item.seq is None or not self._waiting.has_room(item):
            return [*heard, self._only_read(self.session, item)]
        self._waiting.keep(item, item.seq)
        return heard

    # Reading --------------------------------------------------------------------------------------------------------

    def _next(self, session: Session, item: Item) -> Heard:
        """Read the message that is next, and change what is known of its sender by it."""
        if item.seq is not None:
            session.next += 1
            session.given_up.discard(item.seq)
        match item.address.kind:
            case "DBIRTH":
                heard = self._device_birth(session, item)
            case "DDEATH":
                heard = self._device_death(session, item)
            case _:
                heard = self._only_read(session, item)
                self.rebirths.wanted |= heard.undeclared > 0
        if item.seq is not None:
            heard.counted = (session.run, session.next - 1)
        return heard

    def _device_death(self, session: Session, item: Item) -> Heard:
        device = item.address.device
        table = session.devices.pop(device, None)
        self._held.metrics -= len(table) if table else 0
        session.awaited.pop(device, None)
        heard = self._heard(item, Told())
        heard.statuses.append(Status(self.tenant, item.address.name, False, said_us(item)))
        return heard

    def _device_birth(self, session: Session, item: Item) -> Heard:
        device = item.address.device
        told = Told()
        if device not in session.devices and len(session.devices) >= MAX_DEVICES:
            return self._heard(item, told, f"the edge node has {MAX_DEVICES} devices already")
        if refusal := self._held.no_room(len(item.payload.metrics)):
            return self._heard(item, told, refusal)
        before = session.devices.get(device, _NO_TABLE)
        table = declare(item.payload, item.address.name, told)
        session.devices[device] = table
        session.awaited.pop(device, None)
        self._held.metrics += len(table) - len(before)
        self._held.counts["births"] += 1
        read(item.payload, table, told)
        heard = self._heard(item, told)
        heard.statuses.append(online(item))
        return heard

    def _only_read(self, session: Session | None, item: Item, place: int | None = None) -> Heard:
        """Read a message by what the session declared, and change nothing; `place` is its own there, where known."""
        told = Told()
        kind = item.address.kind
        if kind in {"NBIRTH", "DBIRTH"}:
            read(item.payload, declare(item.payload, item.address.name, told), told)
        elif kind != "DDEATH":
            read(item.payload, (session.table_of(item.address) if session else None) or _NO_TABLE, told)
        heard = self._heard(item, told)
        if session is not None and place is not None:
            heard.counted = (session.run, place)
        if kind == "DDEATH" and self.session is None:  # what no birth has brought online is offline all the same
            heard.statuses.append(Status(self.tenant, item.address.name, False, said_us(item)))
        return heard

    def _heard(self, item: Item, told: Told, refusal: str = "") -> Heard:
        self._held.counts.update(told.skipped)
        return heard_of(item, told, refusal)
