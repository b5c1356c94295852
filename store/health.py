"""How the database fares, for whoever must find out why something does not work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from psycopg import errors

from store.clocks import wrong_clocks
from store.connection import Session
from store.migrate import edition, pending
from store.queries import queries
from store.retention import chunk_hours, measured

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Health:
    """What a look at the database shows. What this role may not see is None, or empty.

    Attributes
    ----------
    extension
        Version of TimescaleDB; empty where it is not installed.
    synchronous_commit, written_safely
        Whether an acknowledged commit survives a crash: the setting of this session, and `fsync` with
        `full_page_writes`.
    data_directory
        On the server's own machine.
    pending
        Migrations that it waits for.
    heartbeats
        Seconds since each role was seen.
    lag_s
        How long what ingest gets has waited with the broker.
    given_up
        What could not be delivered for good.
    chunks, chunk_hours, right_chunk_hours
        Of readings: how many, how wide the next one will be, and how wide it should be.
    failing_jobs
        Jobs of the server's own that failed when they last ran.
    doubted_s
        How far the server's clock is ahead of the time that ingest goes by; 0 where it is believed.
    wrong_clocks, mended_clocks, worst_clock
        Devices whose clocks are wrong, how many of them are mended, and the worst: its name and how far it is ahead.
    webhooks_lost, webhooks_failing
        What no webhook took for a day and nobody has sent again, and webhooks that take nothing now.
    messages_lost, channels_failing
        What reached nobody and was not looked at, and people's channels through which nothing goes now.
    """

    server: str
    major: int
    extension: str
    edition: str
    synchronous_commit: str
    written_safely: bool
    shared_buffers: int
    database_bytes: int
    now: datetime
    data_directory: str | None
    pending: int | None
    heartbeats: dict[str, float]
    lag_s: float | None
    given_up: int
    chunks: int
    chunk_hours: int | None
    right_chunk_hours: int | None
    failing_jobs: list[str]
    doubted_s: float = 0.0
    wrong_clocks: int = 0
    mended_clocks: int = 0
    worst_clock: tuple[str, float] = ("", 0.0)
    webhooks_lost: int = 0
    webhooks_failing: int = 0
    messages_lost: int = 0
    channels_failing: int = 0


def examine(conn: Session) -> Health:
    """One look, in a transaction of the caller's."""
    sql = queries("health")
    server, major, extension, commit, safe, buffers, size = conn.execute(sql["server"]).fetchall()[0]
    directory: str | None = _allowed(conn, lambda: str(conn.execute(sql["data_directory"]).fetchall()[0][0]), None)
    behind: int | None = _allowed(conn, lambda: pending(conn), None)
    beats: dict[str, float] = _allowed(conn, lambda: dict(conn.execute(sql["beats"]).fetchall()), {})
    given_up = _allowed(conn, lambda: int(conn.execute(sql["given_up"]).fetchall()[0][0]), 0)
    chunks, hours = _allowed(conn, lambda: conn.execute(sql["chunks"]).fetchall()[0], (0, None))
    right: int | None = _allowed(conn, lambda: chunk_hours(measured(conn)), None) if hours else None
    failing: list[str] = _allowed(conn, lambda: [job for (job,) in conn.execute(sql["failing_jobs"])], [])
    lost, failing_webhooks = _allowed(conn, lambda: conn.execute(sql["webhooks"]).fetchall()[0], (0, 0))
    unread, failing_channels = _allowed(conn, lambda: conn.execute(sql["messages"]).fetchall()[0], (0, 0))
    wrong, mended, worst, off_s = _allowed(conn, lambda: wrong_clocks(conn), (0, 0, "", 0.0))
    lag, kind = lag_s(conn), edition(conn)
    doubted_s = _allowed(conn, lambda: float(sum(row[0] for row in conn.execute(sql["doubted"]))), 0.0)
    # Last: whoever compares it with a clock of his own must not count in how long all of this has taken.
    now = conn.execute(sql["clock"]).fetchall()[0][0]
    return Health(
        server=server,
        major=major,
        extension=extension,
        edition=kind,
        synchronous_commit=commit,
        written_safely=safe,
        shared_buffers=buffers,
        database_bytes=size,
        now=now,
        data_directory=directory,
        pending=behind,
        heartbeats=beats,
        lag_s=lag,
        given_up=given_up,
        chunks=chunks,
        chunk_hours=hours,
        right_chunk_hours=right,
        failing_jobs=failing,
        doubted_s=doubted_s,
        wrong_clocks=wrong,
        mended_clocks=mended,
        worst_clock=(worst, off_s),
        webhooks_lost=int(lost),
        webhooks_failing=int(failing_webhooks),
        messages_lost=int(unread),
        channels_failing=int(failing_channels),
    )


def lag_s(conn: Session) -> float | None:
    """How long what ingest gets has waited with the broker, by its last word; None without one."""
    lags: list[float] = _allowed(conn, lambda: [lag for (lag,) in conn.execute(queries("health")["lag"])], [])
    return lags[0] if lags else None


def figures(conn: Session) -> list[tuple[str, str, float]]:
    """Sums over all tenants: a figure's name, its label or an empty text, its value."""
    return [(name, label, float(value)) for name, label, value in conn.execute(queries("health")["figures"])]


def _allowed(conn: Session, look: Callable[[], T], otherwise: T) -> T:
    """What a look shows, or `otherwise` where there is no such table (yet) or this role may not see it."""
    try:
        with conn.transaction():
            return look()
    except (
        *(errors.InsufficientPrivilege, errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction),
        errors.InvalidSchemaName,
    ):
        return otherwise
