"""Transactions of the API: each acts for one tenant, or for nobody yet.

A transaction is committed when its block ends and rolled back when it raises. While the server is away each ends in
`Unavailable` within `CONNECT_TIMEOUT_S`; the pool finds its way back by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from store.connection import NOBODY, Actor, Session, act_for, pool, unavailable

Transaction = Session


class Transactions:
    """Where they come from. Closed until `open`; `open` does not wait for the server."""

    def __init__(self, database_url: str, size: int) -> None:
        self._pool = pool(database_url, "api", size)

    def open(self) -> None:
        self._pool.open()

    def close(self) -> None:
        self._pool.close()

    @contextmanager
    def of(self, tenant: str, by: Actor = NOBODY) -> Iterator[Transaction]:
        """A transaction that sees the rows of one tenant; what it changes is done by this one."""
        with self.of_nobody() as conn:
            act_for(conn, tenant, by)
            yield conn

    @contextmanager
    def of_nobody(self) -> Iterator[Transaction]:
        """A transaction that sees no tenant's rows: for signing in, and for what belongs to no tenant."""
        with unavailable(), self._pool.connection() as conn:
            yield conn

    def stats(self) -> Mapping[str, int]:
        """The pool's own counters."""
        return self._pool.get_stats()
