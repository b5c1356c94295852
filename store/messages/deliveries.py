"""Messages on their way: claimed under a lease, tried again, and given up where somebody sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from store import escalations
from store.connection import Session
from store.messages import channels
from store.queries import queries

# Longer than any attempt takes, its name looked up slowly and its server trickling.
LEASE_S = 120
# From one attempt to the next, doubled each time.
AGAIN_FIRST_S, AGAIN_LAST_S = 5.0, 1800.0
# Too low: a mail server that restarts loses a reminder. Too high: what comes is no news.
GIVE_UP_AFTER_S = 86_400.0
# Along a chain the next person is told instead: three attempts, within twenty seconds of waiting.
CHAIN_ATTEMPTS = 3
# How long the log is kept where a tenant says nothing.
KEPT_DAYS = 90

_SQL = queries("messages")


@dataclass(frozen=True, slots=True)
class Due:
    """A message to be sent now.

    `attempts` counts this one. `page` is the path of what it is about, `address` where the tenant's pages are reached;
    empty: there is none. The addresses of channel and mail are locked, None where there is none. `number` and what
    follows are of the document that goes with it, None where none does.
    """

    id: int
    tenant: str
    kind: str
    login: str
    recipient: str
    channel_id: UUID | None
    urgent: bool
    subject: str
    body: str
    escalation_id: int | None
    attempts: int
    page: str
    address: str
    channel_address: bytes | None
    mail_address: bytes | None
    number: str | None
    version: int | None
    issued_at: datetime | None
    content: Mapping[str, Any] | None
    is_as_issued: bool


def claim(conn: Session, limit: int, busy: Sequence[int], busy_channels: Sequence[UUID]) -> list[Due]:
    """Take what is due for `LEASE_S`, but nothing that is in hand, and nothing for a channel that is being sent to."""
    asked = {"limit": limit, "busy": list(busy), "busy_channels": list(busy_channels), "lease_s": LEASE_S}
    with conn.cursor(row_factory=class_row(Due)) as cursor:
        return cursor.execute(_SQL["claim"], asked).fetchall()


def hold(conn: Session, due: Due, until: datetime) -> None:
    """Whoever it is for wishes to be left alone until then."""
    conn.execute(_SQL["hold"], {"id": due.id, "until": until})


def sent(conn: Session, due: Due, took_ms: int) -> None:
    """It went through: its channel works."""
    conn.execute(_SQL["sent"], {"id": due.id, "took_ms": took_ms})
    if due.channel_id is not None:
        channels.works(conn, due.channel_id)


def failed(conn: Session, due: Due, error: str, took_ms: int, *, lasting: bool, jitter: float) -> bool:
    """It did not go through; whether it is given up, and the next of its chain told at once if that was the last hope.

    Parameters
    ----------
    lasting
        Another attempt would fail too.
    jitter
        What the wait is multiplied by, about 1, so that what failed together does not come back together.
    """
    in_s = min(AGAIN_FIRST_S * 2 ** min(due.attempts - 1, 30), AGAIN_LAST_S) * jitter
    conn.execute(_SQL["failed"], {"id": due.id, "in_s": in_s, "took_ms": took_ms, "error": error})
    if due.channel_id is not None:
        channels.fails(conn, due.channel_id, error)
    over = lasting or (due.escalation_id is not None and due.attempts >= CHAIN_ATTEMPTS)
    given_up = {"id": due.id, "error": error, "lasting": over, "most_s": GIVE_UP_AFTER_S}
    if conn.execute(_SQL["give_up"], given_up).fetchone() is None:
        return False
    if due.escalation_id is not None:
        escalations.hurry(conn, due.escalation_id)
    return True


def forget(conn: Session) -> int:
    """Delete from the log what is over; how many messages."""
    gone = conn.execute(_SQL["forget"], {"otherwise": KEPT_DAYS}).rowcount
    conn.execute(_SQL["forget_escalations"])
    return gone
