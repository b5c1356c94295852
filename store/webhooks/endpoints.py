"""A tenant's endpoints: where, of what, and the keys that deliveries are signed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from psycopg.rows import class_row

from store.encryption import Cipher
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction
from store.webhooks.keys import new_key

# Each event is written once for each of them, in the transaction of what happened. Too low: systems share one. Too
# high: a flood of alarms is slowed by what it tells of.
MOST = 50

_SQL = queries("webhooks")


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint without its keys. `earlier_until`: so long its earlier key signs too."""

    id: UUID
    url: str
    events: list[str]
    note: str
    enabled: bool
    earlier_until: datetime | None
    created_at: datetime
    changed_at: datetime
    changed_by: str
    failing_since: datetime | None
    last_error: str
    waiting: int
    undeliverable: int


def webhooks(conn: Transaction, *, limit: int, after: tuple[datetime, UUID] | None = None) -> list[Webhook]:
    """The tenant's, newest first."""
    return _page(conn, limit=limit, after=after)


def webhook(conn: Transaction, webhook_id: UUID) -> Webhook:
    """One of them, or NotFound."""
    found = _page(conn, webhook_id=webhook_id)
    if not found:
        raise NotFound(f"there is no webhook {webhook_id}")
    return found[0]


def create(
    conn: Transaction, tenant: str, cipher: Cipher, *, url: str, events: Sequence[str], note: str, who: str
) -> tuple[Webhook, str]:
    """A new one and its key, which nobody is shown again. Conflict where there are too many."""
    if conn.execute(_SQL["count"]).fetchall()[0][0] >= MOST:
        raise Conflict(f"there are {MOST} webhooks already")
    webhook_id, key = uuid4(), new_key()
    fields = {"tenant": tenant, "url": url, "events": list(events), "note": note, "who": who}
    conn.execute(_SQL["create"], {"id": webhook_id, "key": cipher.encrypt(str(webhook_id), key), **fields})
    return webhook(conn, webhook_id), key


def change(
    conn: Transaction, webhook_id: UUID, *, url: str, events: Sequence[str], note: str, enabled: bool, who: str
) -> Webhook:
    """All of it anew but its keys. What waits for one that is switched off is undeliverable. NotFound."""
    fields = {"url": url, "events": list(events), "note": note, "enabled": enabled, "who": who}
    if conn.execute(_SQL["change"], {"id": webhook_id, **fields}).fetchone() is None:
        raise NotFound(f"there is no webhook {webhook_id}")
    conn.execute(_SQL["end_waiting"], {"id": webhook_id})
    return webhook(conn, webhook_id)


def rotate(conn: Transaction, cipher: Cipher, webhook_id: UUID, until: datetime, who: str) -> tuple[Webhook, str]:
    """Another key, shown to nobody again; the one before signs too until then. NotFound."""
    key = new_key()
    fields = {"id": webhook_id, "key": cipher.encrypt(str(webhook_id), key), "until": until, "who": who}
    if conn.execute(_SQL["rotate"], fields).fetchone() is None:
        raise NotFound(f"there is no webhook {webhook_id}")
    return webhook(conn, webhook_id), key


def remove(conn: Transaction, webhook_id: UUID) -> None:
    """Take it away with all that was sent to it, or waits. NotFound."""
    if conn.execute(_SQL["remove"], {"id": webhook_id}).fetchone() is None:
        raise NotFound(f"there is no webhook {webhook_id}")


def _page(
    conn: Transaction,
    *,
    limit: int = 1,
    webhook_id: UUID | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> list[Webhook]:
    after_at, after_id = after or (None, None)
    with conn.cursor(row_factory=class_row(Webhook)) as cursor:
        return cursor.execute(
            _SQL["page"], {"id": webhook_id, "limit": limit, "after_at": after_at, "after_id": after_id}
        ).fetchall()
