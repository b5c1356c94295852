"""Ingest, broker and database killed at random, under a fleet that knows what it said: nothing lost or doubled."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chaos import Fleet, Plugs, differences, run
from ingesting import IngestProcess
from servers import PASSWORDS, TENANTS, Database, running_broker, served_folder

from bellwether.stack import packages, port
from bellwether.stack.account import Account
from bellwether.stack.postgres import Postgres
from bellwether.stack.supervisor import Supervisor
from store.migrate import migrate

VICTIMS = ("ingest", "mosquitto", "postgres")


@contextmanager
def plugs(programs: packages.Programs, account: Account, log: Path) -> Iterator[Plugs]:
    """A database, a broker and an ingest of their own: each may die, and the suite's go on."""
    with served_folder(account) as folder, running_broker(programs, account) as broker:
        server = Postgres(programs, folder, port.choose("PostgreSQL"), secrets.token_urlsafe(), account)
        server.create()
        with Supervisor(folder, lambda *_: None) as supervisor:
            supervisor.start(server.role())
            database = Database(server.url)
            with database.owner() as conn:
                migrate(conn, PASSWORDS, TENANTS)
            held = Plugs(database, broker, supervisor, log, IngestProcess(database, broker, log))
            try:
                held.until_awake()
                yield held
            finally:
                if held.ingest.process.poll() is None:
                    held.ingest.kill()


@pytest.mark.timeout(600)
def test_a_fleet_through_kills_of_everything(programs: packages.Programs, account: Account, tmp_path: Path) -> None:
    chaos(programs, account, tmp_path, kills=6, devices=200, measurements=60, every_s=0.4)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_fleet_through_many_kills(programs: packages.Programs, account: Account, tmp_path: Path) -> None:
    chaos(programs, account, tmp_path, kills=60, devices=200, measurements=1200, every_s=0.5)


def chaos(
    programs: packages.Programs,
    account: Account,
    log: Path,
    *,
    kills: int,
    devices: int,
    measurements: int,
    every_s: float,
) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")  # noqa: T201  (shown when it fails)
    drawn = random.Random(seed)
    # Each in turn, so that a short run has all of them; when, by chance, the last well before the end.
    moments = sorted(drawn.sample(range(measurements // 20, measurements), kills))
    when = [(moment, VICTIMS[number % len(VICTIMS)]) for number, moment in enumerate(moments)]
    with plugs(programs, account, log / "ingest.log") as held, Fleet(held.broker, devices, seed) as fleet:
        run(fleet, held, kills=when, measurements=measurements, every_s=every_s, within_s=300)
        held.until_awake()
        assert sum(held.kills.values()) == kills
        assert list(differences(fleet, held.database, broker_killed=True)) == []
        assert fleet.published > devices * measurements
        assert sum(device.wrong for device in fleet.devices.values()) > 0
