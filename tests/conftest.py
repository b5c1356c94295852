"""The servers of the suite: one real TimescaleDB for the session, one real Mosquitto for each test that asks.

`$TEST_DSN` names another server to use instead, as a superuser of it: a community edition, another version. Every test
or module gets a database of its own, migrated, and signs in to it by role as the processes do.
"""

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
import pytest
from psycopg import sql

from bellwether.stack import packages, port
from bellwether.stack.account import Account, server_account
from bellwether.stack.mosquitto import USERS, Mosquitto
from bellwether.stack.postgres import Postgres
from bellwether.stack.supervisor import Supervisor
from store.connection import Session, as_role
from store.migrate import LOGIN_ROLES, migrate
from telemetry import Broker

# Roles belong to the whole server: whoever tests on a shared one must agree on their passwords.
PASSWORDS = {role: os.environ.get("TEST_ROLE_PASSWORD", "a password of the suite") for role in LOGIN_ROLES}
TENANTS = {"demo": "Demonstration", "other": "Another plant"}


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
        return self.supervisor.pids()["mosquitto"]

    def of(self, user: str) -> Broker:
        """The broker with the credentials of `bellwether` (ingest), `devices` or `operator`."""
        return Broker.parse(self.server.url, user, self.server.passwords[user])


@pytest.fixture(scope="session")
def programs() -> packages.Programs:
    return packages.ensure(print)


@pytest.fixture(scope="session")
def account() -> Account:
    return server_account()


@contextmanager
def served_folder(account: Account) -> Iterator[Path]:
    """Not pytest's own folder: that is closed to the user that servers run as when the suite runs as root."""
    folder = Path(tempfile.mkdtemp(prefix="bellwether-test-"))
    account.own(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A superuser's URL of the suite's TimescaleDB: `$TEST_DSN`, or one started here."""
    if given := os.environ.get("TEST_DSN"):
        yield given
        return
    account: Account = request.getfixturevalue("account")
    with served_folder(account) as folder:
        server = Postgres(
            request.getfixturevalue("programs"), folder, port.choose("PostgreSQL"), secrets.token_urlsafe(), account
        )
        server.create()
        with Supervisor(folder, lambda *_: None) as supervisor:
            supervisor.start(server.role())
            yield server.url


@contextmanager
def fresh_database(server_url: str, migrated: bool = True) -> Iterator[Database]:
    """A database of its own, dropped afterwards whoever is still connected to it."""
    name = f"bellwether_test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        database = Database(urlunsplit(urlsplit(server_url)._replace(path=f"/{name}")))
        if migrated:
            with database.owner() as conn:
                migrate(conn, PASSWORDS, TENANTS)
        yield database
    finally:
        with psycopg.connect(server_url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(server_url: str) -> Iterator[Database]:
    """A migrated database for one test."""
    with fresh_database(server_url) as database:
        yield database


@pytest.fixture(scope="module")
def module_database(server_url: str) -> Iterator[Database]:
    """A migrated database that the tests of a module share."""
    with fresh_database(server_url) as database:
        yield database


@pytest.fixture
def empty_database(server_url: str) -> Iterator[Database]:
    """A database without a schema."""
    with fresh_database(server_url, migrated=False) as database:
        yield database


@contextmanager
def running_broker(programs: packages.Programs, account: Account) -> Iterator[RunningBroker]:
    with served_folder(account) as folder:
        passwords = {user: secrets.token_urlsafe() for user in USERS}
        server = Mosquitto(programs, folder, port.choose("Mosquitto"), passwords, account)
        server.create()
        with Supervisor(folder, lambda *_: None) as supervisor:
            supervisor.start(server.role())
            yield RunningBroker(server, supervisor)


@pytest.fixture
def broker(programs: packages.Programs, account: Account) -> Iterator[RunningBroker]:
    """A Mosquitto for one test, with nothing retained and no session. Killed, it comes back."""
    with running_broker(programs, account) as broker:
        yield broker


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recordings, `../shared/data` beside the checkout or `$BELLWETHER_DATA`."""
    folder = Path(os.environ.get("BELLWETHER_DATA", Path(__file__).parents[2] / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}: set BELLWETHER_DATA")
    return folder
