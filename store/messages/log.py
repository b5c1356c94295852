"""Who was told what, when, through which channel, and with what result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("messages")
_TEST = "This is a test: whatever concerns you will arrive here too."


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one channel. `login` is one of ours; otherwise `recipient` is a customer's address. `page` is the
    path of what it is about."""

    id: int
    kind: str
    login: str
    recipient: str
    channel: str
    urgent: bool
    subject: str
    body: str
    alarm_id: UUID | None
    ticket_id: UUID | None
    escalation_id: int | None
    round: int | None
    step: int | None
    asked_by: str
    queued_at: datetime
    state: str
    attempts: int
    next_attempt_at: datetime | None
    ended_at: datetime | None
    took_ms: int | None
    error: str
    settled_at: datetime | None
    settled_by: str
    page: str


@dataclass(frozen=True, slots=True)
class Which:
    """Which messages; what is None leaves out none. `unseen`: what did not arrive, and nobody has looked at."""

    state: str | None = None
    unseen: bool = False
    login: str | None = None
    alarm_id: UUID | None = None
    ticket_id: UUID | None = None


def messages(conn: Transaction, which: Which, *, limit: int, after: int | None = None) -> list[Message]:
    """Messages, newest first."""
    return _page(conn, which, limit, after, None)


def message(conn: Transaction, message_id: int, login: str | None = None) -> Message:
    """One of them, or of somebody's; or NotFound."""
    found = _page(conn, Which(login=login), 1, None, message_id)
    if not found:
        raise NotFound(f"there is no message {message_id}")
    return found[0]


def count_unseen(conn: Transaction) -> int:
    """How many did not arrive, and nobody has looked at."""
    return int(conn.execute(_SQL["count_unseen"]).fetchall()[0][0])


def try_out(conn: Transaction, login: str, channel_id: UUID) -> Message:
    """Send something for which nothing has happened. NotFound where the channel is none of theirs."""
    asked = {"channel": channel_id, "login": login, "subject": "Bellwether: a test", "body": _TEST}
    made = conn.execute(_SQL["try_out"], asked).fetchone()
    if made is None:
        raise NotFound(f"there is no channel {channel_id} of yours")
    return message(conn, made[0])


def again(conn: Transaction, message_id: int, who: str) -> Message:
    """Send what did not arrive once more. Conflict where it is on its way, has arrived, or can go nowhere."""
    lost = message(conn, message_id)
    if lost.state != "undeliverable":
        raise Conflict("it is on its way, or has arrived")
    if not lost.channel and not lost.recipient:
        raise Conflict("it had nowhere to go: give somebody a channel first")
    settle(conn, who, message_id)
    ((once,),) = conn.execute(_SQL["give_up_key"], {"id": message_id}).fetchall()
    made = conn.execute(_SQL["again"], {"id": message_id, "who": who, "once": once}).fetchall()
    return message(conn, made[0][0])


def settle(conn: Transaction, who: str, message_id: int | None = None) -> int:
    """Somebody has seen what did not arrive: one message, or all; how many."""
    return conn.execute(_SQL["settle"], {"who": who, "id": message_id}).rowcount


def _page(conn: Transaction, which: Which, limit: int, after: int | None, message_id: int | None) -> list[Message]:
    asked = {
        "id": message_id,
        "state": which.state,
        "unseen": which.unseen,
        "login": which.login,
        "alarm": which.alarm_id,
        "ticket": which.ticket_id,
        "limit": limit,
        "after": after,
    }
    with conn.cursor(row_factory=class_row(Message)) as cursor:
        return cursor.execute(_SQL["page"], asked).fetchall()
