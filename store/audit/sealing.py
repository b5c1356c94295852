"""Sealing: what was committed is given its place in the chain, by one sealer at a time.

Writers never wait for each other or for the sealer. A transaction that commits late is sealed late: the order of the
chain is the order in which acts could be seen, and nothing that is committed is stepped over.
"""

from __future__ import annotations

from psycopg.rows import dict_row

from store.audit.acts import head
from store.audit.chain import GENESIS, Link, Place, hash_of
from store.connection import Session
from store.queries import queries

_SQL = queries("audit")


def seal(conn: Session, most: int) -> int:
    """Seal at most so many acts, in a transaction of the caller's; how many. 0 also where another is sealing."""
    if conn.execute(_SQL["lock_sealing"]).fetchall() != [(True,)]:
        return 0
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SQL["unsealed"], {"most": most}).fetchall()
    places: dict[str, Place] = {}
    seals = []
    for row in rows:
        tenant = row["tenant"]
        at = places.get(tenant) or _end(conn, tenant)
        link = Link(seq=at.seq + 1, hash=b"", **row)
        places[tenant] = Place(link.seq, hash_of(at.hash, link))
        seals.append({"id": link.id, "seq": link.seq, "hash": places[tenant].hash})
    if seals:
        columns = {f"{name}s": [one[name] for one in seals] for name in ("id", "seq", "hash")}
        conn.execute(_SQL["set_seals"], columns)
    return len(seals)


def _end(conn: Session, tenant: str) -> Place:
    last = head(conn, tenant)
    return Place(0, GENESIS) if last is None else Place(last.seq, last.hash)
