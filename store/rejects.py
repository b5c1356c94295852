"""Rejects: what could not be stored, kept so that it can be looked at, played again (`store.replays`), and forgotten.

Under a flood of rubbish each message still makes its rows, but only so much of what was sent is kept: see `Room`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from store.connection import Session
from store.queries import queries
from store.transactions import Transaction
from telemetry import instant

# By so much of its beginning a payload is known again.
HEAD_BYTES = 256
# A message that is kept whole can be played again. Too low: a gateway's cannot. Too high: a few devices fill the room.
WHOLE_BYTES = 64 << 10
# Enough to see what a longer one was.
BEGINNING_BYTES = 4096
# What is kept of a tenant's rejects within an hour. Too low: an afternoon under a wrong mapping cannot be played again.
# Too high: a device gone mad fills the disk (this much, without end, is 11 GiB in the 30 days that rejects are kept).
ROOM_BYTES = 16 << 20
_HOUR_US = 3_600_000_000
_TYPES = (
    *("int8", "timestamptz", "text", "text", "text", "bytea", "int4", "text"),
    *("int8", "text", "timestamptz", "bool", "bool"),
)


@dataclass(frozen=True, slots=True)
class Reject:
    """A message, or a part of one, that could not be stored; no `tenant` and `device` where the topic is not ours."""

    topic: str
    payload: bytes
    reason: str
    tenant: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reject on its way in.

    Attributes
    ----------
    message
        What tells the messages of a delivery apart.
    moment_us
        What stands for the time of readings that have none, now and when it is played again.
    alone
        Whether nothing else of the message was taken.
    by_itself
        Whether it can be played by itself: a message of an edge node means something only among its others.
    """

    reject: Reject
    message: int
    content_type: str
    moment_us: int
    alone: bool
    by_itself: bool = True


@dataclass(frozen=True, slots=True)
class KeptReject:
    """A reject as it is kept. `whole`: its message is kept, and can be played again."""

    id: int
    at: datetime
    tenant: str | None
    device: str | None
    topic: str
    payload: bytes
    bytes: int
    reason: str
    content_type: str
    whole: bool
    played_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Rejects of one reason."""

    reason: str
    rejects: int
    devices: int
    latest_at: datetime
    playable: int
    played: int


@dataclass(frozen=True, slots=True)
class Which:
    """Which rejects; what is None or empty leaves out none. `tenant` is for the owner of the database alone: "" is of
    nobody we know."""

    ids: Sequence[int] = ()
    tenant: str | None = None
    device: str | None = None
    reason: str | None = None
    start: datetime | None = None
    end: datetime | None = None


class Room:
    """How much of rejects is still kept within the hour, by tenant. A process begins with all of it."""

    def __init__(self, room_bytes: int = ROOM_BYTES) -> None:
        self._room_bytes = room_bytes
        self._hour = 0
        self._kept: dict[str | None, int] = {}

    def keep(self, tenant: str | None, payload: bytes, at_us: int) -> bytes:
        """What is kept of a payload: all of it, its beginning, or the head by which it is known when it comes again."""
        if at_us // _HOUR_US != self._hour:
            self._hour = at_us // _HOUR_US
            self._kept.clear()
        kept = payload if len(payload) <= WHOLE_BYTES else payload[:BEGINNING_BYTES]
        taken = self._kept.get(tenant, 0) + len(kept)
        if taken > self._room_bytes:
            return payload[:HEAD_BYTES]
        self._kept[tenant] = taken
        return kept


def add(conn: Session, refusals: Sequence[Refusal], at_us: int, room: Room) -> None:
    """Store what could not be taken. The first row of a message keeps it, the others its head."""
    if not refusals:
        return
    sql = queries("rejects")
    numbers = [number for (number,) in conn.execute(sql["numbers"], [len(refusals)])]
    at = instant(at_us)
    # The row that keeps a message, and whether it is whole there.
    keepers: dict[tuple[int, str | None], tuple[int, bool]] = {}
    with conn.cursor() as cursor, cursor.copy(sql["copy"]) as copy:
        copy.set_types(_TYPES)
        for number, refusal in zip(numbers, refusals, strict=True):
            reject = refusal.reject
            keeper = keepers.get((refusal.message, reject.tenant))
            if keeper is None:
                payload = room.keep(reject.tenant, reject.payload, at_us)
                keeper = keepers[refusal.message, reject.tenant] = (
                    number,
                    refusal.by_itself and len(payload) == len(reject.payload),
                )
            else:
                payload = reject.payload[:HEAD_BYTES]
            copy.write_row((
                number,
                at,
                reject.tenant,
                reject.device,
                storable(reject.topic),
                payload,
                len(reject.payload),
                storable(reject.reason),
                None if keeper[0] == number else keeper[0],
                storable(refusal.content_type),
                instant(refusal.moment_us),
                keeper[1],
                refusal.alone,
            ))  # fmt: skip


def rejected_before(conn: Session, rejects: Sequence[tuple[int, Reject]]) -> set[int]:
    """The numbers of those that were rejected before: messages that come again."""
    if not rejects:
        return set()
    rows = conn.execute(
        queries("rejects")["rejected_before"],
        [
            [storable(reject.topic) for _, reject in rejects],
            [len(reject.payload) for _, reject in rejects],
            [reject.payload[:HEAD_BYTES] for _, reject in rejects],
            [number for number, _ in rejects],
            HEAD_BYTES,
        ],
    )
    return {number for (number,) in rows}


def page(
    conn: Transaction, which: Which, *, limit: int, after: tuple[datetime, int] | None = None
) -> Sequence[KeptReject]:
    """The tenant's rejects, newest first, after a place in that order."""
    after_at, after_id = after or (None, None)
    asked = asked_for(which) | {"limit": limit, "after_at": after_at, "after_id": after_id}
    with conn.cursor(row_factory=class_row(KeptReject)) as cursor:
        return cursor.execute(queries("rejects")["page"], asked).fetchall()


def page_of_all(conn: Session, which: Which, limit: int) -> Sequence[KeptReject]:
    """The newest rejects of all tenants and of nobody we know, for the owner of the database."""
    with conn.cursor(row_factory=class_row(KeptReject)) as cursor:
        return cursor.execute(queries("rejects")["page_of_all"], asked_for(which) | {"limit": limit}).fetchall()


def groups(conn: Transaction, start: datetime, limit: int) -> Sequence[Group]:
    """The tenant's reasons since `start`, the most frequent first."""
    with conn.cursor(row_factory=class_row(Group)) as cursor:
        return cursor.execute(queries("rejects")["groups"], {"start": start, "limit": limit}).fetchall()


def forget(conn: Session, days: int | None = None) -> int:
    """Forget what is older than so many days; by default than its tenant keeps it. Returns how many rejects it was."""
    row = conn.execute(queries("rejects")["forget"], [days]).fetchone()
    return int(row[0]) if row else 0


def asked_for(which: Which) -> dict[str, object]:
    """What a query asks by."""
    return {
        "id": which.ids[0] if len(which.ids) == 1 else None,
        "ids": list(which.ids) or None,
        "tenant": which.tenant,
        "device": which.device,
        "reason": which.reason,
        "start": which.start,
        "end": which.end,
    }


def storable(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\0", "\\0")
