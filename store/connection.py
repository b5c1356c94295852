"""Connections: how a role of ours reaches its database.

What the driver raises is turned into the house's own errors by `unavailable()` and `refused()`, at the place
that owns the retry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import Connection, IsolationLevel
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from store.errors import Misconfigured, Refused, Unavailable

Session = Connection[TupleRow]

CONNECT_TIMEOUT_S = 5
# A request of the API that has not been answered by then won't be: too low cuts a year's chart off, too high lets a few
# heavy requests hold every connection.
STATEMENT_TIMEOUT_S = 15

# A pool doubles its wait after each failure: after an hour's outage it would sleep for another. One that gives up soon
# is woken by the next request instead.
GIVE_UP_AFTER_S = 5.0

# A reading that comes late, or twice, may meet a compressed chunk. TimescaleDB's limit on what one statement may unpack
# would end that delivery with an error that no repetition heals, and all behind it. Said by each connection, since a
# setting of the role's is not in a backup.
_UNPACKS = "-c timescaledb.max_tuples_decompressed_per_dml_transaction=0"

_HEALS = (psycopg.OperationalError, psycopg.InterfaceError)


def connect(database_url: str, role: str) -> Session:
    """A connection in UTC that says who it is (`role` shows in pg_stat_activity).

    Raises
    ------
    Unavailable
        The server cannot be reached, or is not ready yet.
    Misconfigured
        The URL is none, or the server refuses the name or the password.
    """
    try:
        return psycopg.connect(
            database_url,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name=f"bellwether {role}",
            options=f"-c timezone=UTC {_UNPACKS}",
            # A peer that vanished without a word is noticed within half a minute.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=4,
        )
    except psycopg.ProgrammingError as error:
        raise Misconfigured(f"BELLWETHER_DATABASE_URL: {error}".strip()) from error
    except psycopg.OperationalError as error:
        # The sqlstate is lost while connecting: the server's own words are all there is.
        if re.search(r"password authentication failed|role .* does not exist|no password supplied", str(error)):
            raise Misconfigured("BELLWETHER_DATABASE_URL: the server refuses this name or password") from error
        raise Unavailable(str(error).strip()) from error


def pool(database_url: str, role: str, size: int) -> ConnectionPool[Session]:
    """A pool of at most `size` connections, tested before they are lent; closed until its `open` is called.

    While the server is away the pool gives up after `GIVE_UP_AFTER_S`, and the next request wakes it.
    """
    return ConnectionPool(
        database_url,
        min_size=min(2, size),
        max_size=size,
        open=False,
        timeout=CONNECT_TIMEOUT_S,
        max_waiting=8 * size,
        reconnect_timeout=GIVE_UP_AFTER_S,
        check=ConnectionPool.check_connection,
        kwargs={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": f"bellwether {role}",
            # Lists are filtered by what is given and by nothing else: a plan for whatever may be given sorts 60 000
            # tickets for the newest fifty, 45 ms instead of one.
            "options": f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_S}s"
            " -c plan_cache_mode=force_custom_plan",
        },
    )


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn the loss of the server inside the block into `Unavailable`."""
    try:
        yield
    except _HEALS as error:
        raise Unavailable(str(error).strip()) from error


@contextmanager
def refused() -> Iterator[None]:
    """Turn the server's refusal of a content inside the block into `Refused`."""
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise Refused(str(error).strip()) from error


@dataclass(frozen=True, slots=True)
class Actor:
    """Whom the audit log names. `network` is where they ask from, as far as that is kept; `route` what was asked."""

    id: str = ""
    role: str = ""
    network: str = ""
    route: str = ""


NOBODY = Actor()
_ACTS_FOR = """
    SELECT set_config('bellwether.tenant', %s, true), set_config('bellwether.actor', %s, true),
           set_config('bellwether.role', %s, true), set_config('bellwether.network', %s, true),
           set_config('bellwether.route', %s, true)
"""


def act_for(conn: Session, tenant: str, by: Actor = NOBODY) -> None:
    """Show the rest of this transaction the rows of one tenant, and no others; what it does is done by this one."""
    conn.execute(_ACTS_FOR, [tenant, by.id, by.role, by.network, by.route])


def look_only(conn: Session) -> None:
    """Let each transaction of a connection see one moment, and change nothing."""
    conn.isolation_level = IsolationLevel.REPEATABLE_READ
    conn.read_only = True


def as_role(database_url: str, user: str, password: str) -> str:
    """The same database for somebody else."""
    return make_conninfo(database_url, user=user, password=password)


def listen(database_url: str, role: str, channel: LiteralString) -> Session:
    """A connection that does nothing but hear of `channel`; wait on it with `heard`."""
    conn = connect(database_url, role)
    conn.autocommit = True
    conn.execute(f"LISTEN {channel}")
    return conn


def heard(conn: Session, timeout_s: float) -> bool:
    """Wait for a notification, at most so long; whether there was one."""
    return any(True for _ in conn.notifies(timeout=timeout_s, stop_after=1))
