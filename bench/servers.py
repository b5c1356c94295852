"""A TimescaleDB and a Mosquitto of the benchmark's own, set up as the local stack sets them up."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bellwether.stack.account import server_account
from bellwether.stack.mosquitto import USERS, Mosquitto
from bellwether.stack.packages import ensure
from bellwether.stack.port import choose
from bellwether.stack.postgres import Postgres
from bellwether.stack.supervisor import Supervisor
from store.connection import as_role
from store.migrate import migrate
from telemetry import Broker, instant

TENANT, OTHER_TENANT = "demo", "other"
TENANTS = {TENANT: "Benchmark", OTHER_TENANT: "Another"}
# What says who there is and how they want it; all else is telemetry and what follows from it.
_KEPT = ("tenants", "users", "api_keys", "rules", "gate", "retention", "schema_migrations", "personal_places")
# The audit log and the ledger of parts are only added to.
_ONLY_ADDED_TO = ("audit_", "part")


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers, running, with a migrated database. `ingest_url` is the database as ingest's role."""

    server_url: str
    database_url: str
    ingest_url: str
    ingest_password: str
    mosquitto: Mosquitto

    def broker(self, user: str) -> Broker:
        """As `bellwether` (ingest) or `devices`."""
        return Broker.parse(self.mosquitto.url, user, self.mosquitto.passwords[user])

    def empty(self, since_us: int | None = None) -> None:
        """Forget all telemetry and what was remembered of it; of readings, where `since_us` is given, none older."""
        with psycopg.connect(self.database_url, autocommit=True) as conn:
            names = [
                name
                for (name,) in conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                if name not in _KEPT
                and not name.startswith(_ONLY_ADDED_TO)
                and (name != "readings" or since_us is None)
            ]
            conn.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, names))))
            if since_us is not None:
                conn.execute("DELETE FROM readings WHERE time >= %s", [instant(since_us)])
                conn.execute("VACUUM readings")
            conn.execute("CHECKPOINT")

    @contextmanager
    def database_away(self) -> Iterator[None]:
        """Nobody gets into the database, and who was in is out, until the block ends."""
        name = urlsplit(self.database_url).path.lstrip("/")
        with psycopg.connect(_at(self.server_url, "postgres"), autocommit=True) as conn:
            allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            conn.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
            conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            try:
                yield
            finally:
                conn.execute(allow.format(sql.Identifier(name), sql.SQL("true")))

    @contextmanager
    def another_database(self) -> Iterator[tuple[str, str]]:
        """Another on the same server, until the block ends: its URL, and as ingest's role."""
        with _database(self.server_url, self.ingest_password) as url:
            yield url, as_role(url, "bellwether_ingest", self.ingest_password)


@contextmanager
def running_servers(server_url: str | None = None) -> Iterator[Servers]:
    """Start both, or a broker alone beside a TimescaleDB of which a superuser's URL is given; inside they are ready."""
    account, programs = server_account(), ensure(lambda _: None)
    folder = Path(tempfile.mkdtemp(prefix="bellwether-bench-"))
    account.own(folder)
    try:
        passwords = {user: secrets.token_urlsafe() for user in USERS}
        mosquitto = Mosquitto(programs, folder, choose("Mosquitto"), passwords, account)
        with Supervisor(folder, lambda *_: None) as supervisor:
            mosquitto.create()
            supervisor.start(mosquitto.role())
            if server_url is None:
                postgres = Postgres(programs, folder, choose("PostgreSQL"), secrets.token_urlsafe(), account)
                postgres.create()
                supervisor.start(postgres.role())
                server_url = postgres.url
            password = secrets.token_urlsafe()
            with _database(server_url, password) as url:
                yield Servers(server_url, url, as_role(url, "bellwether_ingest", password), password, mosquitto)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _database(server_url: str, ingest_password: str) -> Iterator[str]:
    """A migrated database, until the block ends."""
    name = f"bellwether_bench_{secrets.token_hex(4)}"
    with psycopg.connect(_at(server_url, "postgres"), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            url = _at(server_url, name)
            with psycopg.connect(url, autocommit=True) as own:
                migrate(own, {"ingest": ingest_password}, TENANTS)
            yield url
        finally:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _at(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
