"""Verification: a tenant's chain recomputed from its first row, and the stories that it speaks of held against it; or
only how it ends, for whoever looks often.

One look at one moment: what is written meanwhile is not seen. Some 10 000 rows a second; it holds no lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from store.audit.acts import head
from store.audit.chain import GENESIS, Link, Place, Wrong, followed
from store.connection import Session
from store.queries import queries

_SQL = queries("audit")

_ROWS_AT_ONCE = 5000
# A sealer that is restarted, or a database that was away, is back by then.
SEALED_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at one chain showed.

    Attributes
    ----------
    begin
        The place that the first row kept is hashed upon: where it was cut, or the very beginning.
    head
        The last row that is right.
    unsealed
        Acts that wait for their place: for them nothing is proved yet.
    erased
        Events whose words can't be held against the log any more, since a person was taken out of them.
    wrong
        The first row that is not right.
    """

    tenant: str
    begin: Place
    head: Place
    unsealed: int
    erased: int
    wrong: Wrong | None


def verify(conn: Session, tenant: str, known: bytes | None = None, now: datetime | None = None) -> Verified:
    """Recompute one chain. `known`: a hash of it that was kept elsewhere; `now`: the server's clock where not given.

    In a transaction of the caller's that reads one snapshot, for whoever may read salts and events of all tenants.
    """
    begin = _begin(conn, tenant)
    at, wrong = followed(_links(conn, tenant), begin, known)
    erased, badly = _erasures(conn, tenant, cut=begin.seq > 0)
    wrong = wrong or _anchor(conn, tenant, begin) or badly or _events(conn, tenant)
    waiting, late = _waiting(conn, tenant, at, now)
    return Verified(tenant, begin, at, waiting, erased, wrong or late)


def verify_end(conn: Session, tenant: str, most: int) -> tuple[int, Wrong | None]:
    """How many of the last `most` rows of a chain follow on one another, and the first that does not.

    What was done further up, to the stories or to the end itself is not seen: `verify` is for that.
    """
    begin, last = _begin(conn, tenant), head(conn, tenant)
    since = max(begin.seq, last.seq - most if last is not None else 0)
    with conn.cursor(row_factory=class_row(Link)) as cursor:
        links = iter(cursor.execute(_SQL["end_links"], {"tenant": tenant, "since": since}).fetchall())
    if since > begin.seq:
        first = next(links)
        begin = Place(first.seq, first.hash)
        if first.seq != since:
            return 0, Wrong(since, "missing", f"rows {since} to {first.seq - 1} are gone")
    at, wrong = followed(links, begin, None)
    return at.seq - begin.seq, wrong or _waiting(conn, tenant, at, None)[1]


def may_verify(conn: Session) -> bool:
    """Whether this role sees all that a verification holds against each other."""
    return bool(conn.execute(_SQL["may_verify"]).fetchall()[0][0])


def may_look(conn: Session) -> bool:
    """Whether there is a log (yet) that this role may read."""
    return bool(conn.execute(_SQL["may_look"]).fetchall()[0][0])


def chains(conn: Session) -> list[str]:
    """Whose chains there are; '' is that of sign-ins with logins that nobody has."""
    return [tenant for (tenant,) in conn.execute(_SQL["chains"])]


def links(conn: Session, tenant: str) -> tuple[Place, Iterator[Link]]:
    """A whole chain for an export: what it begins upon, and its rows."""
    return _begin(conn, tenant), _links(conn, tenant)


def _begin(conn: Session, tenant: str) -> Place:
    anchor = conn.execute(_SQL["anchor"], {"tenant": tenant}).fetchone()
    return Place(*anchor) if anchor else Place(0, GENESIS)


def _waiting(conn: Session, tenant: str, at: Place, now: datetime | None) -> tuple[int, Wrong | None]:
    """How many acts wait for their seal; wrong where one has for too long."""
    waiting, since = conn.execute(_SQL["waiting"], {"tenant": tenant}).fetchall()[0]
    clock = now or conn.execute("SELECT clock_timestamp()").fetchall()[0][0]
    if since is None or clock - since <= SEALED_WITHIN:
        return waiting, None
    told = f"{waiting} acts wait for their seal since {since:%Y-%m-%d %H:%M} UTC"
    return waiting, Wrong(at.seq + 1, "unsealed", told)


def _links(conn: Session, tenant: str) -> Iterator[Link]:
    with conn.cursor(name="audit_links", row_factory=class_row(Link)) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        yield from cursor.execute(_SQL["links"], {"tenant": tenant})


def _anchor(conn: Session, tenant: str, begin: Place) -> Wrong | None:
    """A chain that begins later than at its first row must tell of the cut."""
    if begin.seq == 0:
        return None
    told = conn.execute(_SQL["cut_told"], {"tenant": tenant, "seq": begin.seq, "hash": begin.hash.hex()}).fetchall()
    return None if told[0][0] else Wrong(begin.seq + 1, "anchor", "the log tells of no cut here")


def _erasures(conn: Session, tenant: str, *, cut: bool) -> tuple[int, Wrong | None]:
    """How many events lost their words to erasures, and whether these say as many."""
    total = 0
    wrong = None
    for act, salts, told in conn.execute(_SQL["erasures"], {"tenant": tenant}):
        total += salts
        if salts > told or (salts < told and not cut):
            wrong = wrong or Wrong(
                0, "erased", f"act {act} speaks of {told} events that lost their words, not of {salts}"
            )
    return total, wrong


def _events(conn: Session, tenant: str) -> Wrong | None:
    """Whether tickets and alarms tell what the log tells."""
    for of, query in (("ticket", "events_of_tickets"), ("alarm", "events_of_alarms")):
        for seq, what, subject in conn.execute(_SQL[query], {"tenant": tenant}):
            return Wrong(seq, "event", f"an event of {of} {subject} is {what}")
    return None
