"""The database as ingest has it: one connection, which is lost and found again.

While the database is away, what is to be done waits and is tried again, for as long as it takes: no delivery is given
up, and none is acknowledged.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

import store.telemetry as rows
from store.connection import Session, connect, refused, unavailable
from store.errors import Unavailable

log = logging.getLogger("bellwether.ingest")

# How soon a database that is away is asked again. The last must stay small: it is how late we notice that it is back.
_BACKOFF_FIRST_S = 0.2
_BACKOFF_LAST_S = 3.0

T = TypeVar("T")


class Transact(Protocol):
    """Does work in a transaction, as `Database.transact` does."""

    def __call__(self, work: Callable[[Session], T], /) -> T: ...


class Database:
    """The connection that makes us the only ingest of a database.

    Parameters
    ----------
    lost
        Told each time the connection was lost.

    Attributes
    ----------
    recall
        What must be learnt again with each new connection, since what was held may or may not have been committed;
        None while nothing is held.
    """

    def __init__(self, url: str, lost: Callable[[], None]) -> None:
        self.recall: Callable[[Session], None] | None = None
        self._url = url
        self._lost = lost
        self._stopping = threading.Event()
        self._conn: Session | None = None

    def transact(self, work: Callable[[Session], T]) -> T:
        """Do `work` in one transaction, again and again until the database is there to do it.

        Raises
        ------
        Refused
            The database will not have the content.
        Unavailable
            We are stopping, and the database is away.
        """
        backoff_s = _BACKOFF_FIRST_S
        while True:
            try:
                with unavailable(), refused():
                    if self._conn is None:
                        self._conn = self._connect()
                    with self._conn.transaction():
                        return work(self._conn)
            except Unavailable as error:
                if self._stopping.is_set():
                    raise
                log.warning("database away", extra={"reason": str(error), "again_in_s": round(backoff_s, 1)})
                self.close()
                self._lost()
                self._stopping.wait(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing
                backoff_s = min(2 * backoff_s, _BACKOFF_LAST_S)

    def wait_no_more(self) -> None:
        """From now on a database that is away is given up. From any thread."""
        self._stopping.set()

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _connect(self) -> Session:
        """A connection that makes us the only ingest of this database; one that has just died is waited for."""
        conn = connect(self._url, "ingest")
        try:
            with conn.transaction():
                if not rows.hold_ingest(conn):
                    raise Unavailable("another ingest works on this database")
                if self.recall is not None:
                    self.recall(conn)
        except BaseException:
            conn.close()
            raise
        return conn
