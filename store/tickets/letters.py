"""Documents on their way to the customer: each version once, by e-mail, where there are an address and an account.

Queued in the transaction that issues it; sent, and written into the ticket's story when it is, by `notify`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from store.messages.queue import queue_customer_message
from store.queries import queries
from store.tickets.rows import Ticket
from store.transactions import Transaction
from tickets.documents.form import Kind
from tickets.documents.letter import letter

_SQL, _SURVEYS = queries("documents"), queries("surveys")


@dataclass(frozen=True, slots=True)
class Letter:
    """What became of a document that was sent. `state` as a message has it; `at` when it ended, None while it waits."""

    document_id: UUID
    to: str
    state: str
    at: datetime | None
    error: str


def send(
    conn: Transaction,
    tenant: str,
    of: Ticket,
    document_id: UUID,
    kind: Kind,
    number: str,
    version: int,
    *,
    address: str,
    answered: bool,
) -> None:
    """Put a document on its way, where the customer has an address and the tenant an account. `address` is where the
    pages are reached; empty: nobody has said."""
    name, _, contact = conn.execute(_SURVEYS["whose"], {"id": of.id}).fetchall()[0]
    (may_mail,) = conn.execute(_SQL["may_mail"], {"tenant": tenant}).fetchall()[0]
    if not may_mail or "@" not in contact:
        return
    about = {"customer": name, "device": of.device, "title": of.title, "code": of.code}
    subject, body = letter(kind, number, version, **about, address=address, answered=answered)
    queue_customer_message(
        conn,
        tenant,
        kind=f"document.{kind}",
        contact=contact,
        subject=subject,
        body=body,
        once=f"document:{document_id}",
        ticket_id=of.id,
        document_id=document_id,
    )


def letters(conn: Transaction, ticket_id: UUID) -> dict[UUID, Letter]:
    """The last that became of each document of a ticket, by its id; as long as the log is kept."""
    with conn.cursor(row_factory=class_row(Letter)) as cursor:
        found = cursor.execute(_SQL["letters"], {"id": ticket_id}).fetchall()
    return {one.document_id: one for one in found}
