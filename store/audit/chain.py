"""The chain: each act's hash is that of the act, of its place, and of the hash before it.

Pure. `hash_of` is the whole format, see docs/audit.md: whoever has an export follows it with a dozen lines of his own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

# What the first row of a tenant is hashed upon.
GENESIS = bytes(32)
# How far is looked around a row that does not fit, to say what was done there. Too low: a row that was moved further is
# called changed. Too high: it takes its square to say so.
_LOOK_AHEAD = 200


@dataclass(frozen=True, slots=True)
class Link:
    """A sealed act, as it is hashed. `changes` is the text of a JSON object, byte by byte as it was written."""

    seq: int
    id: int
    tenant: str
    at: datetime
    actor: str
    role: str
    network: str
    via: str
    route: str
    resource: str
    subject: str
    action: str
    changes: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """How far a chain is right: the last row that is, and its hash."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Wrong:
    """The first row that is not as it was sealed.

    `what`: `changed`, `missing`, `inserted`, `reordered`, `cut`, `event`, `anchor`, `erased` or `unsealed`.
    """

    seq: int
    what: str
    reason: str


def hash_of(before: bytes, link: Link) -> bytes:
    """SHA-256 over the hash before and a JSON array of the row's fields, in UTF-8 without spaces."""
    fields = [
        link.seq,
        link.id,
        link.tenant,
        link.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        link.actor,
        link.role,
        link.network,
        link.via,
        link.route,
        link.resource,
        link.subject,
        link.action,
        link.changes,
    ]
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(before + text.encode()).digest()


def follow(links: Iterable[Link], begin: Place) -> Iterator[Place | Wrong]:
    """Each place as long as all is right; the first wrong row ends it."""
    rows = iter(links)
    at = begin
    for link in rows:
        if link.seq != at.seq + 1:
            yield Wrong(at.seq + 1, "missing", f"rows {at.seq + 1} to {link.seq - 1} are gone")
            return
        if not _follows(at.hash, link, link.seq):
            yield _what_was_done(at, link, list(islice(rows, _LOOK_AHEAD)))
            return
        at = Place(link.seq, link.hash)
        yield at


def followed(links: Iterable[Link], begin: Place, known: bytes | None) -> tuple[Place, Wrong | None]:
    """How far a chain is right, and the first wrong row. `known`: a hash that must be in it."""
    at = begin
    seen = known is None or known == begin.hash
    for step in follow(links, begin):
        if isinstance(step, Wrong):
            return at, step
        at = step
        seen = seen or at.hash == known
    gone = "no row has the hash that was given: rewritten, or cut off"
    return at, None if seen else Wrong(at.seq + 1, "cut", gone)


def _follows(before: bytes, link: Link, seq: int) -> bool:
    return hash_of(before, replace(link, seq=seq)) == link.hash


def _what_was_done(before: Place, row: Link, later: Sequence[Link]) -> Wrong:
    seq = row.seq
    belongs_here = next((other for other in later if _follows(before.hash, other, seq)), None)
    if belongs_here is not None:
        places = {(other, there) for other in later for there in (seq + 1, other.seq, other.seq + 1)}
        if belongs_here is not later[0] or any(_follows(other.hash, row, there) for other, there in places):
            return Wrong(seq, "reordered", f"the row of this place is at {belongs_here.seq}")
        return Wrong(seq, "inserted", f"what follows row {before.seq} is at {belongs_here.seq}")
    if later and any(_follows(row.hash, later[0], later[0].seq + gone) for gone in range(1, _LOOK_AHEAD)):
        return Wrong(seq, "missing", "the rows from here on were further down when they were sealed")
    return Wrong(seq, "changed", f"its hash is not that of what it says after row {before.seq}")
