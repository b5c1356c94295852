"""The files of tickets, in pieces: put in and taken out in a transaction, read piece by piece.

They lie in the database, behind the same wall as their ticket; nothing of them is ever a file that a server could give
away or run. A tenant's budget is held under a lock, so that many at once never go beyond it together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from store.connection import Session
from store.errors import Conflict, NotFound
from store.queries import queries
from store.tickets import ticket
from store.tickets.history import record
from store.transactions import Transaction

PIECE_BYTES = 1024 * 1024
"""How much is held at a time. Too low: a video is a thousand rows. Too high: each reader holds as much."""

_SQL = queries("attachments")


class TooMuch(Exception):
    """The files of this ticket, or of the whole tenant, would be more than may be kept."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many bytes the files of one ticket, and of one tenant, may have together."""

    ticket_bytes: int
    tenant_bytes: int


@dataclass(frozen=True, slots=True)
class Given:
    """A file as it came: what it is, see `tickets.attachments`, and how many bytes it has."""

    name: str
    kind: str
    shows: str
    length: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a ticket; `removed_at` says since when its content is gone."""

    id: UUID
    ticket_id: UUID
    name: str
    kind: str
    shows: str
    bytes: int
    sha256: str
    added_at: datetime
    added_by: str
    removed_at: datetime | None
    removed_by: str | None

    @property
    def pieces(self) -> int:
        """Into how many its content is cut."""
        return -(-self.bytes // PIECE_BYTES)


def add(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    given: Given,
    pieces: Iterable[bytes],
    *,
    budget: Budget,
    who: str,
    now: datetime,
) -> Attachment:
    """Keep a file of a ticket. The same content twice is kept once.

    `pieces` are of `PIECE_BYTES` each, the last but one.

    Raises
    ------
    NotFound
        There is no such ticket.
    TooMuch
        It does not fit.
    """
    ticket(conn, ticket_id)
    fields = {"tenant": tenant, "ticket_id": ticket_id, "who": who, "now": now}
    _hold_budget(conn, tenant)
    same = conn.execute(_SQL["same"], {**fields, "sha256": given.sha256}).fetchone()
    if same is not None:
        return attachment(conn, ticket_id, same[0])
    _assert_room(conn, tenant, ticket_id, given.length, budget)
    said = {name: getattr(given, name) for name in Given.__dataclass_fields__}
    added: UUID = conn.execute(_SQL["add"], {**fields, **said}).fetchall()[0][0]
    for place, content in enumerate(pieces):
        conn.execute(_SQL["add_piece"], {"id": added, "place": place, "tenant": tenant, "content": content})
    detail = {"attachment": str(added), "name": given.name}
    record(conn, tenant, ticket_id, "file_added", who, now, detail=detail)
    return attachment(conn, ticket_id, added)


def attachments(conn: Transaction, ticket_id: UUID) -> list[Attachment]:
    """The files of a ticket, the first first; of those that were taken out what stays."""
    with conn.cursor(row_factory=class_row(Attachment)) as cursor:
        return cursor.execute(_SQL["attachments"], {"ticket_id": ticket_id}).fetchall()


def attachment(conn: Transaction, ticket_id: UUID, attachment_id: UUID) -> Attachment:
    """One file of a ticket, or NotFound."""
    with conn.cursor(row_factory=class_row(Attachment)) as cursor:
        row = cursor.execute(_SQL["attachment"], {"ticket_id": ticket_id, "id": attachment_id}).fetchone()
    if row is None:
        raise NotFound(f"this ticket has no file {attachment_id}")
    return row


def piece(conn: Transaction, ticket_id: UUID, attachment_id: UUID, place: int) -> bytes:
    """One piece of a file, or NotFound: it may have been taken out meanwhile."""
    row = conn.execute(_SQL["piece"], {"ticket_id": ticket_id, "id": attachment_id, "place": place}).fetchone()
    if row is None:
        raise NotFound(f"this ticket has no file {attachment_id}")
    return bytes(row[0])


def remove(conn: Transaction, tenant: str, ticket_id: UUID, attachment_id: UUID, *, who: str, now: datetime) -> None:
    """Take a file out for good; that it was there stays.

    Raises
    ------
    NotFound
        The ticket has no such file.
    Conflict
        It was taken out before.
    """
    attachment(conn, ticket_id, attachment_id)
    fields = {"ticket_id": ticket_id, "id": attachment_id, "who": who, "now": now}
    row = conn.execute(_SQL["remove"], fields).fetchone()
    if row is None:
        raise Conflict("this file was taken out before")
    conn.execute(_SQL["remove_pieces"], {"id": attachment_id})
    record(conn, tenant, ticket_id, "file_removed", who, now, detail={"attachment": str(attachment_id), "name": row[0]})


def make_room(conn: Transaction, tenant: str, length: int, budget: Budget) -> None:
    """Hold the tenant's budget until the transaction ends. TooMuch where it has no room for so many bytes more."""
    _hold_budget(conn, tenant)
    _assert_room(conn, tenant, None, length, budget)


def expire(conn: Session, most: int) -> int:
    """Take out at most so many files whose tenant keeps them no longer after their ticket ended; how many went."""
    return int(conn.execute(_SQL["expire"], {"most": most}).fetchall()[0][0])


def _hold_budget(conn: Transaction, tenant: str) -> None:
    conn.execute(_SQL["hold_budget"], {"tenant": tenant})


def _assert_room(conn: Transaction, tenant: str, ticket_id: UUID | None, length: int, budget: Budget) -> None:
    of_ticket, of_tenant = conn.execute(_SQL["used"], {"tenant": tenant, "ticket_id": ticket_id}).fetchall()[0]
    if of_ticket + length > budget.ticket_bytes and ticket_id is not None:
        raise TooMuch(f"the files of a ticket may have {budget.ticket_bytes} bytes together")
    if of_tenant + length > budget.tenant_bytes:
        raise TooMuch("there is no room for more files: ask an administrator to take out some, or to allow more")
