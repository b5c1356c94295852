"""Databases and brokers for tests: real ones, each made when asked for and gone afterwards."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import errors, sql
from waiting import until

from bellwether.stack import packages, port
from bellwether.stack.account import Account
from bellwether.stack.mosquitto import USERS, Encrypted, Mosquitto
from bellwether.stack.postgres import Postgres
from bellwether.stack.supervisor import Supervisor
from store.connection import Session, as_role
from store.migrate import LOGIN_ROLES, migrate
from telemetry import Broker

# Roles belong to the whole server: whoever tests on a shared one must agree on their passwords.
PASSWORDS = {role: os.environ.get("TEST_ROLE_PASSWORD", "a password of the suite") for role in LOGIN_ROLES}
TENANTS = {"demo": "Demonstration", "other": "Another plant"}
# A database is two thousand files. On a disk without a journal (ext4, as cloud machines often have it), each new one
# costs the more the more were deleted just before: seven times what it costs in memory, of the processor too.
IN_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of its own within it)
ROOM_BYTES = 4 << 30  # for this server and those of other workers; a container often has 64 MiB


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database with the tenants `demo` and `other`; `owner_url` is a superuser's."""

    owner_url: str

    def url(self, role: str) -> str:
        """How `ingest`, `api` or `notify` signs in."""
        return as_role(self.owner_url, f"bellwether_{role}", PASSWORDS[role])

    def owner(self) -> Session:
        """A superuser's connection, in autocommit."""
        return psycopg.connect(self.owner_url, autocommit=True, options="-c timezone=UTC")


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A Mosquitto that runs: its `pid` changes when it was killed and came back."""

    server: Mosquitto
    supervisor: Supervisor

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def pid(self) -> int:
        """0 between its death and its return."""
        return self.supervisor.pids().get("mosquitto", 0)

    def of(self, user: str) -> Broker:
        """The broker with the credentials of `bellwether` (ingest), `devices` or `operator`."""
        return Broker.parse(self.server.url, user, self.server.passwords[user])


@contextmanager
def served_folder(account: Account) -> Iterator[Path]:
    """In memory where there is room. Not pytest's own folder: that is closed to the servers' user where root tests."""
    folder = Path(tempfile.mkdtemp(prefix="bellwether-test-", dir=_in_memory()))
    account.own(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _in_memory() -> Path | None:
    roomy = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free >= ROOM_BYTES
    return IN_MEMORY if roomy else None


def without_syncing(server: Postgres) -> None:
    """Whatever is killed loses nothing by it, only a machine that loses power: a database costs a sixth of the time."""
    with (server.data / "postgresql.conf").open("a") as file:
        file.write("fsync = off\nfull_page_writes = off\nmax_wal_size = 512MB\n")


@contextmanager
def fresh_database(server_url: str, template: str = "template0") -> Iterator[Database]:
    """A database of its own, dropped afterwards whoever is still connected to it."""
    name = f"bellwether_test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as conn:
        # Copied as files, not page by page through the log: half of the time.
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
            *map(sql.Identifier, (name, template))
        )
        until(lambda: _done(conn, create))
    try:
        yield Database(urlunsplit(urlsplit(server_url)._replace(path=f"/{name}")))
    finally:
        with psycopg.connect(server_url, autocommit=True) as conn:
            until(lambda: _done(conn, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))))


def _done(conn: Session, statement: sql.Composed) -> bool:
    """The server waits five seconds until whoever is connected has gone, its own workers included, and gives up."""
    try:
        conn.execute(statement)
    except errors.ObjectInUse:
        return False
    return True


@contextmanager
def migrated_template(server_url: str) -> Iterator[str]:
    """A migrated database to make others from, in a tenth of the time that it took itself."""
    with fresh_database(server_url) as database:
        with database.owner() as conn:
            migrate(conn, PASSWORDS, TENANTS)
        name = urlsplit(database.owner_url).path.removeprefix("/")
        with psycopg.connect(server_url, autocommit=True) as conn:
            # Nobody may be connected to it while it is copied, TimescaleDB's own workers included.
            conn.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
            conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield name


@contextmanager
def running_broker(
    programs: packages.Programs, account: Account, certificates: Path | None = None
) -> Iterator[RunningBroker]:
    """With TLS where there is a folder of `bellwether.certs`."""
    with served_folder(account) as folder:
        passwords = {user: secrets.token_urlsafe() for user in USERS}
        encrypted = None
        if certificates is not None:
            files = (certificates / name for name in ("ca.crt", "server.crt", "server.key"))
            encrypted = Encrypted(port.choose("Mosquitto with TLS"), port.choose("Mosquitto with certificates"), *files)
        server = Mosquitto(programs, folder, port.choose("Mosquitto"), passwords, account, encrypted)
        server.create()
        with Supervisor(folder, lambda *_: None) as supervisor:
            supervisor.start(server.role())
            yield RunningBroker(server, supervisor)
