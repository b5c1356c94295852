"""How the database fares, for whoever must find out why something does not work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from psycopg import errors

from store.connection import Session
from store.migrate import edition, pending
from store.queries import queries

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Health:
    """What a look at the database shows.

    `extension` is empty where TimescaleDB is not installed; `pending` counts migrations, None for a role that may not
    look; `heartbeats` are the seconds since each role was seen; `given_up` counts what could not be delivered for good.
    The last two are empty for a role that may not see them.
    """

    server: str
    extension: str
    edition: str
    pending: int | None
    synchronous_commit: str
    now: datetime
    heartbeats: dict[str, float]
    given_up: int


def examine(conn: Session) -> Health:
    """One look, in a transaction of the caller's."""
    sql = queries("health")
    server, extension, commit, now = conn.execute(sql["server"]).fetchall()[0]
    behind: int | None = _allowed(conn, lambda: pending(conn), None)
    beats: dict[str, float] = _allowed(conn, lambda: dict(conn.execute(sql["beats"]).fetchall()), {})
    given_up = _allowed(conn, lambda: int(conn.execute(sql["given_up"]).fetchall()[0][0]), 0)
    return Health(server, extension, edition(conn), behind, commit, now, beats, given_up)


def figures(conn: Session) -> list[tuple[str, str, float]]:
    """Sums over all tenants: a figure's name, its label or an empty text, its value."""
    return [(name, label, float(value)) for name, label, value in conn.execute(queries("health")["figures"])]


def _allowed(conn: Session, look: Callable[[], T], otherwise: T) -> T:
    """What a look shows, or `otherwise` where there is no such table (yet) or this role may not see it."""
    try:
        with conn.transaction():
            return look()
    except (errors.InsufficientPrivilege, errors.UndefinedTable):
        return otherwise
