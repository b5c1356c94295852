"""What endpoints were sent: the log as people look at it, and the work as who delivers takes it.

At least once: a delivery is ticked off after it was answered, and one that was answered just before we died is made
again, with the same event id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from store.connection import Session
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction
from store.webhooks import endpoints

# Longer than any attempt takes, its name looked up slowly.
LEASE_S = 60
# How long the log is kept where a tenant says nothing.
KEPT_DAYS = 30
# A receiver that was away for a day is told about by then; somebody has looked, or nobody does.
GIVE_UP_AFTER_S = 86_400.0
# From one attempt at a delivery to the next, doubled each time. Too low: a receiver in trouble is kept there. Too high:
# what it has missed comes hours after it is back.
AGAIN_FIRST_S, AGAIN_LAST_S = 5.0, 3600.0
# How long an endpoint that fails rests, doubled each time.
_REST_FIRST_S, _REST_LAST_S = 1.0, 300.0
# An endpoint that failed for so long was away, and what waits for it need not wait longer when it is back.
_LONG_S = 600.0

_SQL = queries("webhooks")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint, or there. `at`: when it happened."""

    id: int
    event_id: UUID
    kind: str
    at: datetime
    asked_at: datetime
    asked_by: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    ended_at: datetime | None
    status: int | None
    took_ms: int | None
    error: str
    replayed_at: datetime | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Which:
    """Which deliveries; what is None leaves out none."""

    state: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to be made now. Keys are locked; `attempts` counts this one."""

    id: int
    webhook_id: UUID
    url: str
    key: bytes
    earlier_key: bytes | None
    event_id: UUID
    tenant: str
    at: datetime
    kind: str
    body: dict[str, Any]
    attempts: int


# For people -----------------------------------------------------------------------------------------------------------


def page(
    conn: Transaction, webhook_id: UUID, which: Which, *, limit: int, after: int | None = None
) -> Sequence[Delivery]:
    """What was sent to an endpoint, newest first. NotFound where there is no such endpoint."""
    endpoints.webhook(conn, webhook_id)
    return _page(conn, webhook_id, which, limit, after)


def delivery(conn: Transaction, webhook_id: UUID, delivery_id: int) -> Delivery:
    """One of an endpoint's, or NotFound."""
    found = _page(conn, webhook_id, Which(), 1, None, delivery_id)
    if not found:
        raise NotFound(f"there is no delivery {delivery_id} of this webhook")
    return found[0]


def replay(
    conn: Transaction, tenant: str, webhook_id: UUID, ids: Sequence[int], which: Which, *, limit: int, who: str
) -> int:
    """Have what has ended sent again, the oldest first, each event once and with its id; how many.

    Raises
    ------
    NotFound
        There is no such endpoint.
    Conflict
        It is switched off.
    """
    _need_enabled(conn, webhook_id)
    span = {"state": which.state, "start": which.start, "end": which.end, "limit": limit}
    asked = {"tenant": tenant, "webhook": webhook_id, "ids": list(ids), "who": who, **span}
    count = conn.execute(_SQL["replay"], asked).rowcount
    conn.execute(_SQL["wake"])
    return count


def try_out(conn: Transaction, tenant: str, webhook_id: UUID, who: str) -> Delivery:
    """Send an event for which nothing has happened. Raises as `replay` does."""
    _need_enabled(conn, webhook_id)
    asked = conn.execute(_SQL["try_out"], {"tenant": tenant, "webhook": webhook_id, "who": who}).fetchall()
    conn.execute(_SQL["wake"])
    return delivery(conn, webhook_id, asked[0][0])


# For who delivers -----------------------------------------------------------------------------------------------------


def claim(conn: Session, limit: int, most_each: int, busy: Sequence[UUID]) -> list[Due]:
    """Take what is due for `LEASE_S`: of an endpoint at most so many, of one that fails one, of a busy one none."""
    with conn.cursor(row_factory=class_row(Due)) as cursor:
        return cursor.execute(
            _SQL["claim"], {"limit": limit, "most_each": most_each, "busy": list(busy), "lease_s": LEASE_S}
        ).fetchall()


def delivered(conn: Session, due: Due, status: int, took_ms: int) -> None:
    """It was taken: its endpoint works."""
    conn.execute(_SQL["delivered"], {"id": due.id, "status": status, "took_ms": took_ms})
    conn.execute(_SQL["hurry"], {"webhook": due.webhook_id, "long_s": _LONG_S})
    conn.execute(_SQL["recover"], {"webhook": due.webhook_id})


def failed(conn: Session, due: Due, status: int | None, took_ms: int, error: str, jitter: float) -> int:
    """It was not taken: it waits, its endpoint rests, and what has waited for a day is given up; how many were.

    Parameters
    ----------
    jitter
        What each wait is multiplied by, about 1, so that what failed together does not come back together.
    """
    in_s = min(AGAIN_FIRST_S * 2 ** min(due.attempts - 1, 30), AGAIN_LAST_S) * jitter
    conn.execute(_SQL["failed"], {"id": due.id, "in_s": in_s, "status": status, "took_ms": took_ms, "error": error})
    rest = {"webhook": due.webhook_id, "first_s": _REST_FIRST_S, "last_s": _REST_LAST_S}
    conn.execute(_SQL["rest"], {**rest, "jitter": jitter, "error": error})
    given_up = {"id": due.id, "webhook": due.webhook_id, "most_s": GIVE_UP_AFTER_S, "error": error}
    return conn.execute(_SQL["give_up"], given_up).rowcount


def tidy(conn: Session) -> None:
    """What was told to an endpoint while it was switched off is undeliverable; keys that are over are gone."""
    conn.execute(_SQL["end_waiting"], {"id": None})
    conn.execute(_SQL["forget_keys"])


def forget(conn: Session) -> int:
    """Delete from the log what is over; how many deliveries."""
    gone = conn.execute(_SQL["forget_deliveries"], {"otherwise": KEPT_DAYS}).rowcount
    conn.execute(_SQL["forget_events"])
    return gone


def _page(
    conn: Transaction, webhook_id: UUID, which: Which, limit: int, after: int | None, delivery_id: int | None = None
) -> list[Delivery]:
    span = {"state": which.state, "start": which.start, "end": which.end}
    asked = {"webhook": webhook_id, "id": delivery_id, "after": after, "limit": limit, **span}
    with conn.cursor(row_factory=class_row(Delivery)) as cursor:
        return cursor.execute(_SQL["deliveries"], asked).fetchall()


def _need_enabled(conn: Transaction, webhook_id: UUID) -> None:
    if not endpoints.webhook(conn, webhook_id).enabled:
        raise Conflict("the webhook is switched off: switch it on first")
