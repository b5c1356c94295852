"""Storage care: how wide a chunk is, how long what is kept, and the removal of what is over.

Removal goes in bounded steps, each a transaction of its own that the caller may space as it likes: a step holds no lock
that a reading on its way in would wait for, but on a chunk that is older than all that anybody keeps, and gives up
after half a second there. Roll-ups of what is removed are kept, and how many readings and contested values that were is
noted by device, so that the ledger still adds up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from store.connection import Session
from store.queries import queries
from store.transactions import Transaction
from store.trials import WORTH
from telemetry import QUANTITIES

CLASSES: tuple[str, ...] = (
    *("raw", "vibration", "waveforms", "rejects", "assessments", "audit", "files", "webhooks", "messages", "trials"),
    "papers",
    *sorted(QUANTITIES),
)
"""What a tenant may keep for a time of its own. The most specific counts: a quantity, then `vibration`, then `raw`.
Rejects are kept for 30 days where nothing is said, assessments for a year, what webhooks were sent for 30 days,
messages to people and trials of rules for 90, documents of customers who were erased for ten years."""
ASSESSMENTS_DAYS = 365
TRIALS_DAYS = 90
# The longest for which any law that we know of wants letters of trade kept. Too low: what the law wants kept is gone.
# Too high: whoever asked to be forgotten is not.
PAPERS_DAYS = 3653
LEAST_DAYS = {"audit": 90, "trials": WORTH.days}
"""Of acts shorter, and whoever did what must not be seen could have it forgotten before anybody looks; of trials, and a
rule that was tried could not be accepted any more."""

# A reading with its share of the key, before compression: measured, 92 to 116.
READING_BYTES = 115
# Widths in hours that divide, or are made of, whole days: their edges are those of hours, which roll-ups need.
CHUNK_HOURS = (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336, 720)
# A width stays while the right one is between these shares of it. Nearer to 1: it follows each weekend. Further: chunks
# no longer fit, or there are thousands of them. Steps of `CHUNK_HOURS` are all within the upper one.
TOO_WIDE_BELOW, TOO_NARROW_ABOVE = 0.65, 3.0


@dataclass(frozen=True, slots=True)
class Kept:
    """How long a class is kept, and who said so."""

    class_: str
    keep_days: int
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of removal: streams looked at in a chunk, readings removed, whether the chunk went as a whole."""

    streams: int
    readings: int
    dropped: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """What the width of a chunk depends on.

    `readings` were stored within the last 24 whole hours, `hours` of which had any; `memory_bytes` is a quarter of the
    machine's as far as the server's settings tell; `shortest_keep_days` is None where everything is kept for good.
    """

    readings: int
    hours: int
    memory_bytes: int
    chunk_hours: int
    shortest_keep_days: int | None

    @property
    def readings_per_day(self) -> float:
        return 24.0 * self.readings / self.hours if self.hours else 0.0


def settings(conn: Transaction) -> Sequence[Kept]:
    """What the tenant keeps for a time; the rest it keeps for good."""
    return [Kept(*row) for row in conn.execute(queries("retention")["settings"])]


def keep(conn: Transaction, tenant: str, days: Mapping[str, int], who: str) -> None:
    """Keep these classes for so many days from now on, and all others for good.

    What is older goes soon, and does not come back.
    """
    wanted = {"tenant": tenant, "classes": list(days), "days": list(days.values()), "who": who}
    conn.execute(queries("retention")["keep_for_good"], wanted)
    conn.execute(queries("retention")["keep"], wanted)


def expire_some(conn: Session, streams_at_once: int) -> Step | None:
    """Remove some of what is due: of at most so many streams in one chunk. None where nothing is left to do."""
    row = conn.execute(queries("retention")["expire_some"], [streams_at_once]).fetchone()
    return None if row is None else Step(*row)


def expire_waveforms(conn: Session, most: int) -> int:
    """Remove at most so many blocks of vibration whose time is over; how many went, 0 where nothing is left to do."""
    return _expire(conn, "expire_waveforms", most)


def expire_contested(conn: Session, most: int) -> int:
    """Remove at most so many contested values whose readings are removed; how many went, 0 where nothing is left."""
    return _expire(conn, "expire_contested", most)


def expire_clock_pieces(conn: Session, most: int) -> int:
    """Remove at most so many pieces of clocks by which nothing that is there was mended; how many went."""
    return _expire(conn, "expire_clock_pieces", most)


def cut_audit(conn: Session, most: int) -> int:
    """Remove at most so many acts from the beginning of a tenant's chain whose time is over; how many went."""
    return _expire(conn, "cut_audit", most)


def expire_trials(conn: Session, most: int) -> int:
    """Remove at most so many trials whose time is over and by which no rule was accepted; how many went."""
    return conn.execute(queries("retention")["expire_trials"], {"most": most, "otherwise": TRIALS_DAYS}).rowcount


def expire_papers(conn: Session, most: int) -> int:
    """Empty at most so many documents of customers who were erased, whose time is over; how many."""
    return int(conn.execute(queries("retention")["expire_papers"], [most, PAPERS_DAYS]).fetchall()[0][0])


def machines(conn: Session, after: int, limit: int) -> list[int]:
    """Machines with an id above `after`, in order."""
    return [machine for (machine,) in conn.execute(queries("retention")["machines"], {"after": after, "limit": limit})]


def expire_assessments(conn: Session, machines: Sequence[int]) -> int:
    """Remove what was said of some machines at hours whose time is over; how many rows went.

    Of health the lowest hour of each day stays: what failures looked like is learnt from it.
    """
    asked = {"machines": list(machines), "otherwise": ASSESSMENTS_DAYS}
    return sum(conn.execute(queries("retention")[name], asked).rowcount for name in ("expire_prognoses", "thin_health"))


def expire_afresh(conn: Session) -> None:
    """Let `expire_some` look at everything once more, for readings that came after their time was over."""
    conn.execute(queries("retention")["expire_afresh"])


def measured(conn: Session) -> Measured:
    """What is known now of what a chunk's width depends on."""
    return Measured(*conn.execute(queries("retention")["measured"]).fetchall()[0])


def chunk_hours(now: Measured) -> int:
    """How wide the chunks to come should be, in hours.

    TimescaleDB's own rule: what is being written to, with its index, fits a quarter of the memory. Never more than a
    quarter of the shortest time that anything is kept, since a chunk goes when its last reading is due. The width there
    is stays while it is near enough, and until a day has been seen.
    """
    if now.hours < 24:
        return now.chunk_hours
    fits = 24.0 * now.memory_bytes / (READING_BYTES * max(now.readings_per_day, 1.0))
    if now.shortest_keep_days is not None:
        fits = min(fits, 6.0 * now.shortest_keep_days)
    fits = min(max(fits, CHUNK_HOURS[0]), CHUNK_HOURS[-1])
    if TOO_WIDE_BELOW <= fits / now.chunk_hours <= TOO_NARROW_ABOVE:
        return now.chunk_hours
    return max(hours for hours in CHUNK_HOURS if hours <= fits)


def widen_chunks(conn: Session, hours: int) -> None:
    """Make the chunks to come so wide; those there stay as they are."""
    conn.execute(queries("retention")["widen_chunks"], [hours])


def compress_after(conn: Session, days: int) -> bool:
    """Let chunks of readings be compressed when they are so old; whether that is another age than before.

    For the owner. A chunk holds all tenants' readings of all classes: there is one age for them. Does nothing where the
    licence has no compression.
    """
    before = [age for (age,) in conn.execute(queries("retention")["compressed_after"])]
    if not before or before == [days]:
        return False
    conn.execute(queries("retention")["compress_no_more"])
    conn.execute(queries("retention")["compress_after"], [days])
    return True


def _expire(conn: Session, what: str, most: int) -> int:
    return int(conn.execute(queries("retention")[what], [most]).fetchall()[0][0])
