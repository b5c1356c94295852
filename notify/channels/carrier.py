"""Who carries what is due to strangers, many at the same time: webhooks and people's channels are carried alike.

At least once: what was under way when the database went away, or when we died, is not ticked off, and carried again
when its lease is over.
"""

from __future__ import annotations

import random
import time
from abc import abstractmethod
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import ClassVar, Generic, TypeVar

from notify.worker import Worker
from store.connection import Session

# May be missed: then what is due waits this long and no longer.
ROUND_S = 1.0
# While something is under way it is looked for news so often.
_LOOK_S = 0.1
_FORGET_EVERY_S = 3600.0

D = TypeVar("D")
R = TypeVar("R")


class Carrier(Worker, Generic[D, R]):
    """One carrier of one database.

    Attributes
    ----------
    at_once : int
        Attempts at the same time. Too low: so many dead receivers hold up the living. Too high: threads.
    """

    at_once: ClassVar[int]
    # What fails here is awaited by people.
    failed_s = 1.0

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self._flying: dict[Future[R], D] = {}
        self._forgot_at = -_FORGET_EVERY_S

    def run(self) -> None:
        with ThreadPoolExecutor(self.at_once, self.name) as self._workers:
            super().run()

    def begin(self, conn: Session) -> None:
        super().begin(conn)
        self._flying.clear()

    def turn(self, conn: Session) -> float:
        self.look(conn)
        room = self.at_once - len(self._flying)
        for due in self.claim(conn, room, list(self._flying.values())) if room else ():
            self._flying[self._workers.submit(self.attempt, due)] = due
        self._forget(conn)
        if not self._flying:
            return ROUND_S
        wait(self._flying, _LOOK_S, FIRST_COMPLETED)
        self._tick_off_done(conn)
        return 0.0

    def end(self, conn: Session) -> None:
        wait(self._flying)
        self._tick_off_done(conn)

    def look(self, conn: Session) -> None:
        """Do what time alone asks for."""

    @abstractmethod
    def claim(self, conn: Session, room: int, flying: Collection[D]) -> Sequence[D]:
        """Take at most `room` of what is due, beside what is under way."""

    @abstractmethod
    def attempt(self, due: D) -> R:
        """Try once, on a thread. Never raises for what the other side does."""

    @abstractmethod
    def tick_off(self, conn: Session, due: D, outcome: R, jitter: float) -> None:
        """Write down what became of it. `jitter`: what a wait is multiplied by, about 1."""

    @abstractmethod
    def forget(self, conn: Session) -> None:
        """Delete from the log what is over, in a transaction of its own."""

    def _tick_off_done(self, conn: Session) -> None:
        for future in [future for future in self._flying if future.done()]:
            due, outcome = self._flying.pop(future), future.result()
            self.tick_off(conn, due, outcome, random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, guards nothing

    def _forget(self, conn: Session) -> None:
        if time.monotonic() - self._forgot_at >= _FORGET_EVERY_S:
            self._forgot_at = time.monotonic()
            with conn.transaction():
                self.forget(conn)
