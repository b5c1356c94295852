"""The round of a postman: what is due is taken, brought, and ticked off.

At least once: a parcel is ticked off after it has arrived, so one that arrived just before we died is brought again,
under the same key. What cannot be brought waits longer each time, up to ten minutes, and is never thrown away; what is
refused for good is put aside for a person to look at, and said.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from notify.destinations import Destination, Fate, Outcome
from store import alarm_moves, floods, maintenance, outbox, rejects, tickets
from store.connection import Session, connect, heard, listen, unavailable
from store.errors import Unavailable
from store.follow_up import actions, reminders
from store.outbox import Parcel
from store.parts import reservations
from store.telemetry import beat
from store.tickets import appointments

log = logging.getLogger("bellwether.notify")

BATCH = 100
# A notification may be lost with its connection; then a parcel waits this long and no longer.
ROUND_S = 1.0
BEAT_EVERY_S = 5.0
FORGET_EVERY_S = 3600.0
_AGAIN_FIRST_S = 0.5
_AGAIN_LAST_S = 600.0
_AWAY_S = 1.0


class Notify:
    """Carries the outbox to its destinations, by name."""

    def __init__(self, database_url: str, destinations: Mapping[str, Destination]) -> None:
        self._database_url = database_url
        self._destinations = destinations
        self._stopping = threading.Event()
        self._beat_at = -BEAT_EVERY_S
        self._forgot_at = -FORGET_EVERY_S

    def run(self) -> None:
        """Until `stop`. A database that goes away is waited for.

        Raises
        ------
        Misconfigured
            The database refuses us.
        """
        while not self._stopping.is_set():
            try:
                with unavailable():
                    self._rounds()
            except Unavailable as error:
                log.warning("database away", extra={"reason": str(error)})
                self._stopping.wait(_AWAY_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing
        for destination in self._destinations.values():
            destination.close()

    def stop(self) -> None:
        """End after the parcel in hand."""
        self._stopping.set()

    def _rounds(self) -> None:
        with (
            connect(self._database_url, "notify") as conn,
            listen(self._database_url, "notify", "bellwether_outbox") as ear,
        ):
            log.info("awake")
            while not self._stopping.is_set():
                if self._bring(conn) < BATCH:
                    self._by_time(conn)
                    heard(ear, ROUND_S)

    def _bring(self, conn: Session) -> int:
        """Bring what is due; returns how much was tried."""
        with conn.transaction():
            parcels = outbox.claim(conn, BATCH)
        for parcel in parcels:
            if self._stopping.is_set():
                break
            outcome = self._try(parcel)
            with conn.transaction():
                self._tick_off(conn, parcel, outcome)
        return len(parcels)

    def _try(self, parcel: Parcel) -> Outcome:
        destination = self._destinations.get(parcel.destination)
        if destination is None:
            return Outcome(Fate.REFUSED, f"there is no destination {parcel.destination}")
        return destination.deliver(parcel)

    def _tick_off(self, conn: Session, parcel: Parcel, outcome: Outcome) -> None:
        match outcome.fate:
            case Fate.DELIVERED:
                outbox.delivered(conn, parcel)
            case Fate.AGAIN:
                in_s = min(_AGAIN_FIRST_S * 2 ** (parcel.attempts - 1), _AGAIN_LAST_S)
                outbox.try_again(conn, parcel, in_s * random.uniform(0.75, 1.25), outcome.reason)  # noqa: S311
                if parcel.attempts == 1:
                    log.warning("not delivered yet", extra={"to": parcel.destination, "reason": outcome.reason})
            case Fate.REFUSED:
                outbox.give_up(conn, parcel, outcome.reason)
                log.error("refused for good", extra={"to": parcel.destination, "reason": outcome.reason})

    def _by_time(self, conn: Session) -> None:
        """What comes due though nothing has happened: clocks of tickets to the second."""
        with conn.transaction():
            tickets.ring(conn, datetime.now(UTC))
        now = time.monotonic()
        if now - self._beat_at < BEAT_EVERY_S:
            return
        self._beat_at = now
        now_utc = datetime.now(UTC)
        with conn.transaction():
            maintenance.return_due(conn, now_utc)
            alarm_moves.unshelve_due(conn, now_utc)
            alarm_moves.settle(conn, now_utc)
            floods.watch(conn, now_utc)
            beat(conn, "notify", {})
        reservations.sweep(conn, now_utc)
        tickets.take_up(conn, now_utc)
        appointments.remind(conn, now_utc)
        if now - self._forgot_at >= FORGET_EVERY_S:
            self._forgot_at = now
            with conn.transaction():
                outbox.forget(conn)
            with conn.transaction():
                rejects.forget(conn)
            actions.propose(conn, now_utc)
            reminders.remind(conn, now_utc)
