"""People are told: what is due goes through their channels, and what nobody takes goes along the chain.

At least once: killed between a service's answer and our tick we send again. A service that is slow or dead holds up
nobody else: of each channel one message is under way, and many channels are sent to at the same time. What cannot be
delivered is seen, and the next of its chain is told at once.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime

from notify.channels.apprised import Outcome, send
from store import escalations
from store.connection import Session, connect, heard, listen, unavailable
from store.errors import Unavailable
from store.messages import channels, deliveries
from store.messages.deliveries import Due
from store.webhooks.keys import Lock, Unopenable

log = logging.getLogger("bellwether.notify.people")

# Messages at the same time. Too low: so many dead services hold up the living. Too high: threads.
WORKERS = 8
ROUND_S = 1.0
_LOOK_S = 0.1
_FORGET_EVERY_S = 3600.0
_AWAY_S = 1.0
# Whoever is on call is on call at night; who tries a channel wants to see it work.
_WHATEVER_THE_HOUR = ("on_call.", "channel.")


class People:
    """One messenger of one database.

    Parameters
    ----------
    secret
        What addresses are locked with.
    to_private
        Let addresses of the house's own network pass, and this machine's.
    """

    def __init__(self, database_url: str, secret: str, *, to_private: bool = False) -> None:
        self._database_url = database_url
        self._lock = Lock(secret, channels.PURPOSE)
        self._to_private = to_private
        self._stopping = threading.Event()
        self._moved_at = -ROUND_S
        self._forgot_at = -_FORGET_EVERY_S
        self._flying: dict[Future[Outcome], Due] = {}

    def run(self) -> None:
        """Until `stop`. A database that goes away is waited for."""
        with ThreadPoolExecutor(WORKERS, "people") as workers:
            while not self._stopping.is_set():
                try:
                    with unavailable():
                        self._rounds(workers)
                except Unavailable as error:
                    log.warning("database away", extra={"reason": str(error)})
                except Exception:
                    log.exception("messages failed: what is due waits until it succeeds")
                # What was under way is not ticked off, and will be sent again.
                self._flying.clear()
                self._stopping.wait(_AWAY_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing

    def stop(self) -> None:
        """End after the messages under way."""
        self._stopping.set()

    def _rounds(self, workers: ThreadPoolExecutor) -> None:
        with (
            connect(self._database_url, "people") as conn,
            listen(self._database_url, "people", "bellwether_messages") as ear,
        ):
            conn.autocommit = True
            while not self._stopping.is_set():
                now = datetime.now(UTC)
                self._move(conn, now)
                self._send_off(conn, workers, now)
                self._forget(conn)
                if self._flying:
                    wait(self._flying, _LOOK_S, FIRST_COMPLETED)
                    self._tick_off(conn)
                elif heard(ear, ROUND_S):
                    self._moved_at = -ROUND_S
            wait(self._flying)
            self._tick_off(conn)

    def _move(self, conn: Session, now: datetime) -> None:
        """Along the chain: at once where there is news, and each round."""
        if time.monotonic() - self._moved_at < ROUND_S:
            return
        self._moved_at = time.monotonic()
        with conn.transaction():
            escalations.end_taken(conn)
            escalations.move(conn, now)

    def _send_off(self, conn: Session, workers: ThreadPoolExecutor, now: datetime) -> None:
        room = WORKERS - len(self._flying)
        if not room:
            return
        flying = list(self._flying.values())
        busy_channels = [due.channel_id for due in flying if due.channel_id is not None]
        with conn.transaction():
            claimed = deliveries.claim(conn, room, [due.id for due in flying], busy_channels)
            ready = [due for due in claimed if not self._held(conn, due, now)]
        for due in ready:
            self._flying[workers.submit(self._attempt, due)] = due

    def _held(self, conn: Session, due: Due, now: datetime) -> bool:
        if not due.login or due.kind.startswith(_WHATEVER_THE_HOUR):
            return False
        until = channels.wishes(conn, due.tenant, due.login).quiet_until(now, urgent=due.urgent)
        if until is not None:
            deliveries.hold(conn, due, until)
        return until is not None

    def _tick_off(self, conn: Session) -> None:
        for future in [future for future in self._flying if future.done()]:
            due, outcome = self._flying.pop(future), future.result()
            jitter = random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing
            with conn.transaction():
                if outcome.is_sent:
                    deliveries.sent(conn, due, outcome.took_ms)
                    continue
                given_up = deliveries.failed(
                    conn, due, outcome.error, outcome.took_ms, lasting=outcome.lasting, jitter=jitter
                )
            if given_up:
                # A next step may have its turn now.
                self._moved_at = -ROUND_S
                log.error("undeliverable", extra={"number": due.id, "reason": outcome.error})
            elif due.attempts == 1:
                log.warning("not delivered yet", extra={"number": due.id, "reason": outcome.error})

    def _attempt(self, due: Due) -> Outcome:
        locked, name = (due.channel_address, str(due.channel_id)) if due.login else (due.mail_address, "")
        if locked is None:
            why = "its channel was removed or switched off" if due.login else "no mail channel set"
            return Outcome(why, 0, lasting=True)
        try:
            url = self._lock.open(name or channels.mail_name(due.tenant), locked)
        except Unopenable:
            return Outcome("the address cannot be opened: has BELLWETHER_SECRET changed?", 0, lasting=True)
        return send(url, due.subject, due.body, to=due.recipient, to_private=self._to_private)

    def _forget(self, conn: Session) -> None:
        if time.monotonic() - self._forgot_at >= _FORGET_EVERY_S:
            self._forgot_at = time.monotonic()
            with conn.transaction():
                deliveries.forget(conn)
