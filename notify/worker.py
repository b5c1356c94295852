"""Somebody who works beside the postman, on a thread and a connection of their own."""

from __future__ import annotations

import logging
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, LiteralString

from store.connection import Session, connect, heard, listen, unavailable
from store.errors import Unavailable

log = logging.getLogger("bellwether.notify")

AWAY_S = 1.0
# What failed fails again, as a rule: once a minute can be read in a log.
FAILED_S = 60.0


class Worker(ABC):
    """One turn after the other until `stop`.

    A database that goes away is waited for; whatever fails otherwise is said, and tried again on a new connection.

    Attributes
    ----------
    name : str
        How its connection and its thread are called.
    hears : str
        The notification of the database that ends a wait; empty: none does. Who hears is stopped after the wait alone.
    failed_s : float
        For how long it rests after what is no fault of the database's.
    """

    name: ClassVar[str]
    hears: ClassVar[LiteralString] = ""
    failed_s: ClassVar[float] = FAILED_S

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._stopping = threading.Event()
        self._heard = False

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                with unavailable(), connect(self._database_url, self.name) as conn, self._ear() as ear:
                    self.begin(conn)
                    while not self._stopping.is_set():
                        self._wait(ear, self.turn(conn))
                    self.end(conn)
            except Unavailable as error:
                log.warning("database away", extra={"reason": str(error)})
                pause_s = AWAY_S
            except Exception:
                log.exception("%s failed: it is tried again", self.name)
                pause_s = self.failed_s
            else:
                return
            self._stopping.wait(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing

    def stop(self) -> None:
        """End after what is in hand."""
        self._stopping.set()

    def begin(self, conn: Session) -> None:
        """Make a new connection ready."""
        conn.autocommit = True

    @abstractmethod
    def turn(self, conn: Session) -> float:
        """Do what is due; for how long there is nothing to do, in s. The connection is in autocommit."""

    def end(self, conn: Session) -> None:
        """Bring what is in hand to its end, after the last turn."""
        conn.rollback()

    @contextmanager
    def _ear(self) -> Iterator[Session | None]:
        if not self.hears:
            yield None
            return
        with listen(self._database_url, self.name, self.hears) as ear:
            yield ear

    def _wait(self, ear: Session | None, wait_s: float) -> None:
        if ear is None:
            self._stopping.wait(wait_s)
        else:
            self._heard = wait_s > 0 and heard(ear, wait_s)
