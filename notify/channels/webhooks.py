"""Webhooks on their way: what is due is signed, posted, and ticked off.

At least once, with the event's own id: killed between a receiver's answer and our tick we post again. A receiver that
is slow or dead holds up nobody else: of each only a few are under way, of one that fails one at the end of its rest,
and many are posted to at the same time. What cannot be delivered for a day is undeliverable, and is seen.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC

from notify.channels.posting import Answer, post
from notify.channels.signing import HEADER, signature
from store.connection import Session, connect, heard, listen, unavailable
from store.errors import Unavailable
from store.webhooks import deliveries
from store.webhooks.deliveries import Due
from store.webhooks.keys import Lock, Unopenable

log = logging.getLogger("bellwether.notify.webhooks")

# Attempts at the same time. Too low: so many dead receivers hold up the living for ten seconds. Too high: threads.
WORKERS = 16
# Of one receiver's. Too low: a distant one falls behind a flood. Too high: a small one is flooded too.
MOST_EACH = 4
ROUND_S = 1.0
# While something is under way it is looked for news so often.
_LOOK_S = 0.1
_TIDY_EVERY_S = 60.0
_FORGET_EVERY_S = 3600.0
_AWAY_S = 1.0


class Webhooks:
    """One postman of one database.

    Parameters
    ----------
    secret
        What keys are locked with.
    to_loopback
        Let plain HTTP and this machine's own addresses pass.
    """

    def __init__(self, database_url: str, secret: str, *, to_loopback: bool = False) -> None:
        self._database_url = database_url
        self._lock = Lock(secret)
        self._to_loopback = to_loopback
        self._stopping = threading.Event()
        self._tidied_at = -_TIDY_EVERY_S
        self._forgot_at = -_FORGET_EVERY_S
        self._flying: dict[Future[Answer], Due] = {}

    def run(self) -> None:
        """Until `stop`. A database that goes away is waited for."""
        with ThreadPoolExecutor(WORKERS, "webhook") as workers:
            while not self._stopping.is_set():
                try:
                    with unavailable():
                        self._rounds(workers)
                except Unavailable as error:
                    log.warning("database away", extra={"reason": str(error)})
                except Exception:
                    log.exception("webhooks failed: what is due waits until it succeeds")
                # What was under way is not ticked off, and will be posted again.
                self._flying.clear()
                self._stopping.wait(_AWAY_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing

    def stop(self) -> None:
        """End after the attempts under way."""
        self._stopping.set()

    def _rounds(self, workers: ThreadPoolExecutor) -> None:
        with (
            connect(self._database_url, "webhooks") as conn,
            listen(self._database_url, "webhooks", "bellwether_webhooks") as ear,
        ):
            conn.autocommit = True
            while not self._stopping.is_set():
                self._send_off(conn, workers)
                self._by_time(conn)
                if self._flying:
                    wait(self._flying, _LOOK_S, FIRST_COMPLETED)
                    self._tick_off(conn)
                else:
                    heard(ear, ROUND_S)
            wait(self._flying)
            self._tick_off(conn)

    def _send_off(self, conn: Session, workers: ThreadPoolExecutor) -> None:
        room = WORKERS - len(self._flying)
        if room:
            busy = Counter(due.webhook_id for due in self._flying.values())
            with conn.transaction():
                claimed = deliveries.claim(conn, room, MOST_EACH, list(busy))
            for due in claimed:
                self._flying[workers.submit(self._attempt, due)] = due

    def _tick_off(self, conn: Session) -> None:
        for future in [future for future in self._flying if future.done()]:
            due, answer = self._flying.pop(future), future.result()
            with conn.transaction():
                if answer.taken and answer.status is not None:
                    deliveries.delivered(conn, due, answer.status, answer.took_ms)
                    continue
                jitter = random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing
                given_up = deliveries.failed(conn, due, answer.status, answer.took_ms, answer.error, jitter)
            where = {"webhook": str(due.webhook_id), "reason": answer.error}
            if given_up:
                log.error("undeliverable", extra={**where, "deliveries": given_up})
            elif due.attempts == 1:
                log.warning("not delivered yet", extra=where)

    def _attempt(self, due: Due) -> Answer:
        name = str(due.webhook_id)
        try:
            keys = [self._lock.open(name, key) for key in (due.key, due.earlier_key) if key is not None]
        except Unopenable as error:
            return Answer(None, str(error), 0)
        body = body_of(due)
        return post(due.url, body, _headers(due, body, keys), to_loopback=self._to_loopback)

    def _by_time(self, conn: Session) -> None:
        now_s = time.monotonic()
        if now_s - self._tidied_at >= _TIDY_EVERY_S:
            self._tidied_at = now_s
            with conn.transaction():
                deliveries.tidy(conn)
        if now_s - self._forgot_at >= _FORGET_EVERY_S:
            self._forgot_at = now_s
            with conn.transaction():
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
