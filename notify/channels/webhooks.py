"""Webhooks on their way: what is due is signed, posted, and ticked off.

At least once, with the event's own id: killed between a receiver's answer and our tick we post again. A receiver that
is slow or dead holds up nobody else: of each only a few are under way, of one that fails one at the end of its rest,
and many are posted to at the same time. What cannot be delivered for a day is undeliverable, and is seen.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC

from notify.channels.carrier import Carrier
from notify.channels.posting import Answer, post
from notify.channels.signing import HEADER, signature
from store.connection import Session
from store.encryption import Cipher, Undecryptable
from store.webhooks import deliveries
from store.webhooks.deliveries import Due
from store.webhooks.keys import PURPOSE

log = logging.getLogger("bellwether.notify.webhooks")

# Of one receiver's. Too low: a distant one falls behind a flood. Too high: a small one is flooded too.
MOST_EACH = 4
_TIDY_EVERY_S = 60.0


class Webhooks(Carrier[Due, Answer]):
    """One postman of one database.

    Parameters
    ----------
    secret
        What keys are locked with.
    to_loopback
        Let plain HTTP and this machine's own addresses pass.
    """

    name = "webhooks"
    hears = "bellwether_webhooks"
    at_once = 16

    def __init__(self, database_url: str, secret: str, *, to_loopback: bool = False) -> None:
        super().__init__(database_url)
        self._cipher = Cipher(secret, PURPOSE)
        self._to_loopback = to_loopback
        self._tidied_at = -_TIDY_EVERY_S

    def look(self, conn: Session) -> None:
        if time.monotonic() - self._tidied_at >= _TIDY_EVERY_S:
            self._tidied_at = time.monotonic()
            with conn.transaction():
                deliveries.tidy(conn)

    def claim(self, conn: Session, room: int, flying: Collection[Due]) -> Sequence[Due]:
        with conn.transaction():
            return deliveries.claim(conn, room, MOST_EACH, list({due.webhook_id for due in flying}))

    def attempt(self, due: Due) -> Answer:
        name = str(due.webhook_id)
        try:
            keys = [self._cipher.decrypt(name, key) for key in (due.key, due.earlier_key) if key is not None]
        except Undecryptable as error:
            return Answer(None, str(error), 0)
        body = body_of(due)
        return post(due.url, body, _headers(due, body, keys), to_loopback=self._to_loopback)

    def tick_off(self, conn: Session, due: Due, outcome: Answer, jitter: float) -> None:
        with conn.transaction():
            if outcome.taken and outcome.status is not None:
                deliveries.delivered(conn, due, outcome.status, outcome.took_ms)
                return
            given_up = deliveries.failed(conn, due, outcome.status, outcome.took_ms, outcome.error, jitter)
        where = {"webhook": str(due.webhook_id), "reason": outcome.error}
        if given_up:
            log.error("undeliverable", extra={**where, "deliveries": given_up})
        elif due.attempts == 1:
            log.warning("not delivered yet", extra=where)

    def forget(self, conn: Session) -> None:
        deliveries.forget(conn)


def body_of(due: Due) -> bytes:
    """What is posted: the same bytes at each attempt."""
    at = due.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    said = {"id": str(due.event_id), "event": due.kind, "at": at, "tenant": due.tenant, "data": due.body}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _headers(due: Due, body: bytes, keys: list[str]) -> Mapping[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "Bellwether",
        "Bellwether-Event": due.kind,
        "Bellwether-Event-Id": str(due.event_id),
        HEADER: signature(keys, body, int(time.time())),
    }
