"""Pictures of procedures' steps, each named by what is in it.

None is ever changed or taken out, so that a version, and a ticket's copy of one, show for ever what they showed when
they were written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from store import attachments
from store.attachments import Budget, Given
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction

MOST_BYTES = 8 * 1024 * 1024
"""Of one picture. Too low: a phone's photo does not go in as it is. Too high: whoever stands at the machine waits."""

_SQL = queries("pictures")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture. `sha256`, in hex, is its name; `kind` one of `tickets.attachments.KINDS` that is an image."""

    sha256: str
    kind: str
    bytes: int
    added_at: datetime
    added_by: str


def add(
    conn: Transaction, tenant: str, given: Given, content: bytes, *, budget: Budget, who: str, now: datetime
) -> Picture:
    """Keep a picture; the same one twice is kept once.

    Raises
    ------
    TooMuch
        The tenant's files have no room for it.
    """
    fields = {"tenant": tenant, "sha256": given.sha256.hex()}
    if conn.execute(_SQL["picture"], fields).fetchone() is None:
        attachments.make_room(conn, tenant, len(content), budget)
        said = {"kind": given.kind, "bytes": len(content), "content": content, "who": who, "now": now}
        conn.execute(_SQL["add"], {**fields, **said})
    with conn.cursor(row_factory=class_row(Picture)) as cursor:
        return cursor.execute(_SQL["picture"], fields).fetchall()[0]


def content(conn: Transaction, sha256: str) -> tuple[str, bytes]:
    """The kind of a picture and the picture itself, or NotFound."""
    row = conn.execute(_SQL["content"], {"sha256": sha256}).fetchone()
    if row is None:
        raise NotFound(f"there is no picture {sha256}")
    return row[0], bytes(row[1])
