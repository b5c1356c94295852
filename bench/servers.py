"""A TimescaleDB and a Mosquitto of the benchmark's own, set up as the local stack sets them up."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bellwether.stack.account import server_account
from bellwether.stack.mosquitto import USERS, Mosquitto
from bellwether.stack.packages import ensure
from bellwether.stack.port import choose
from bellwether.stack.postgres import Postgres
from bellwether.stack.supervisor import Supervisor
from store.connection import as_role
from store.migrate import migrate
from telemetry import Broker

TENANT = "demo"


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers, running, with a migrated database. `ingest_url` is the database as ingest's role."""

    database_url: str
    ingest_url: str
    mosquitto: Mosquitto

    def broker(self, user: str) -> Broker:
        """As `bellwether` (ingest) or `devices`."""
        return Broker.parse(self.mosquitto.url, user, self.mosquitto.passwords[user])

    def empty(self) -> None:
        """Forget all telemetry, and what the detectors remember of it."""
        with psycopg.connect(self.database_url, autocommit=True) as conn:
            conn.execute(
                "TRUNCATE readings, rejects, ledger, alarms, alarm_events, outbox, detector_state, streams, devices"
                " CASCADE"
            )
            conn.execute("CHECKPOINT")


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both; inside the block they are ready."""
    account, programs = server_account(), ensure(lambda _: None)
    folder = Path(tempfile.mkdtemp(prefix="bellwether-bench-"))
    account.own(folder)
    try:
        postgres = Postgres(programs, folder, choose("PostgreSQL"), secrets.token_urlsafe(), account)
        passwords = {user: secrets.token_urlsafe() for user in USERS}
        mosquitto = Mosquitto(programs, folder, choose("Mosquitto"), passwords, account)
        with Supervisor(folder, lambda *_: None) as supervisor:
            for server in (postgres, mosquitto):
                server.create()
                supervisor.start(server.role())
            password = secrets.token_urlsafe()
            with psycopg.connect(postgres.url, autocommit=True) as conn:
                migrate(conn, {"ingest": password}, {TENANT: "Benchmark"})
            yield Servers(postgres.url, as_role(postgres.url, "bellwether_ingest", password), mosquitto)
    finally:
        shutil.rmtree(folder)
