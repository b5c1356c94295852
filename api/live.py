"""Live events from the database to every open stream: one listener and one reader a process.

A stream has its own place and its own bounded queue. One that is read too slowly ends; its client comes back with the
place of the last event it has seen, and is given what it missed from the database. Nothing is lost on the way, nothing
is given twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Iterable
from contextlib import closing

from api.errors import TooMany
from store import live
from store.errors import Unavailable
from store.live import Bell, LiveEvent, Place
from store.transactions import Transactions

# An event is held back while an older transaction runs; nothing rings when that one ends without an event of its own.
LOOK_AGAIN_S = 1.0
# A burst of a fleet's alarms; beyond it a client that does not read is better off reading the database.
QUEUE_EVENTS = 1000
# Each holds a connection and some memory. Beyond it a page falls back on asking now and then.
STREAMS = 256
RETRY_AFTER_S = 10
_PAGE = 500
_RECONNECT_S = (0.5, 10.0)
_JITTER = random.SystemRandom()  # processes that lost the same server do not all come back at once
_log = logging.getLogger(__name__)


class Subscription:
    """One open stream's way to what is told after `start`. Made in its event loop, and read there alone."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.start = Place(0, 0)
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[LiveEvent] = asyncio.Queue(QUEUE_EVENTS)
        self._overflowed = False

    async def next(self, timeout_s: float) -> LiveEvent | None:
        """The next event; None where none came in time. EOFError: too much has come, begin anew from your place."""
        if self._overflowed and self._queue.empty():
            raise EOFError
        try:
            return await asyncio.wait_for(self._queue.get(), timeout_s)
        except TimeoutError:
            return None

    def offer(self, events: Iterable[LiveEvent]) -> None:
        """Put events into the queue, from any thread."""
        self._loop.call_soon_threadsafe(self._put, list(events))

    def _put(self, events: list[LiveEvent]) -> None:
        for event in events:
            if self._overflowed or self._queue.full():
                self._overflowed = True
                return
            self._queue.put_nowait(event)


class Feed:
    """Reads once for all streams of a tenant. While the database is away they are quiet, and go on when it is back."""

    def __init__(self, database_url: str, transactions: Transactions) -> None:
        self._database_url = database_url
        self._transactions = transactions
        self._lock = threading.Lock()
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._places: dict[str, Place] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends within `LOOK_AGAIN_S`."""
        self._stopping.set()
        self._thread.join()

    def __len__(self) -> int:
        return sum(map(len, self._subscriptions.values()))

    def subscribe(self, subscription: Subscription) -> None:
        """Let a stream have what follows `start`, which is set here. Blocks.

        Raises
        ------
        TooMany
            `STREAMS` are open.
        Unavailable
            The database cannot be reached.
        """
        with self._lock:
            if len(self) >= STREAMS:
                raise TooMany("too many live streams are open", RETRY_AFTER_S)
            subscription.start = self._places[subscription.tenant] = self._head(subscription.tenant)
            self._subscriptions.setdefault(subscription.tenant, set()).add(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            others = self._subscriptions.get(subscription.tenant, set())
            others.discard(subscription)
            if not others:
                self._subscriptions.pop(subscription.tenant, None)
                self._places.pop(subscription.tenant, None)

    def _head(self, tenant: str) -> Place:
        place = self._places.get(tenant)
        if place is not None:
            return place
        with self._transactions.of(tenant) as conn:
            return live.head(conn)

    def _run(self) -> None:
        wait_s = _RECONNECT_S[0]
        away = False
        while not self._stopping.is_set():
            try:
                with closing(Bell(self._database_url)) as bell:
                    if away:
                        _log.info("live events are back")
                    away, wait_s = False, _RECONNECT_S[0]
                    self._follow(bell)
            except Exception as error:  # whatever it is must not end every stream of the process for good
                if not away:
                    _log.warning("live events have stopped", exc_info=None if isinstance(error, Unavailable) else error)
                away = True
                self._stopping.wait(wait_s * _JITTER.uniform(0.5, 1.0))
                wait_s = min(wait_s * 2, _RECONNECT_S[1])

    def _follow(self, bell: Bell) -> None:
        looked_s = -LOOK_AGAIN_S
        while not self._stopping.is_set():
            rung = bell.wait(LOOK_AGAIN_S)
            now_s = time.monotonic()
            with self._lock:
                watched = set(self._subscriptions)
            if now_s - looked_s >= LOOK_AGAIN_S:
                looked_s, rung = now_s, watched
            for tenant in rung & watched:
                self._read(tenant)

    def _read(self, tenant: str) -> None:
        with self._lock:
            while (place := self._places.get(tenant)) is not None:
                with self._transactions.of(tenant) as conn:
                    events = live.after(conn, tenant, place, _PAGE)
                if events:
                    self._places[tenant] = events[-1].place
                    for subscription in self._subscriptions.get(tenant, ()):
                        subscription.offer(events)
                if len(events) < _PAGE:
                    return
