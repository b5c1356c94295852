"""Ingest, broker and database killed at random, under a fleet that knows what it said: nothing lost or doubled."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chaos import Fleet, Plugs, differences, run
from ingesting import IngestProcess
from servers import PASSWORDS, TENANTS, Database, running_broker, served_folder, without_syncing

from bellwether.stack import packages, port
from bellwether.stack.account import Account
from bellwether.stack.postgres import Postgres
from bellwether.stack.supervisor import Supervisor
from store.migrate import migrate

VICTIMS = ("ingest", "mosquitto", "postgres")
GROWTH_BYTES = 64 << 20


@contextmanager
def plugs(programs: packages.Programs, account: Account, log: Path, disk: Path | None = None) -> Iterator[Plugs]:
    """A database, a broker and an ingest of their own: each may die, and the suite's go on."""
    with served_folder(account) as folder, running_broker(programs, account) as broker:
        server = Postgres(programs, disk or folder, port.choose("PostgreSQL"), secrets.token_urlsafe(), account)
        server.create()
        without_syncing(server)
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


@contextmanager
def small_disk(account: Account, size_mib: int) -> Iterator[Path]:
    """A file system of its own, so that it can be filled; skips where that is not allowed."""
    with served_folder(account) as folder:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", folder], capture_output=True, check=False
        )
        if made.returncode:
            pytest.skip("no file system can be mounted here: needs root")
        try:
            account.own(folder)
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.timeout(600)
def test_a_fleet_through_kills_of_everything(programs: packages.Programs, account: Account, tmp_path: Path) -> None:
    chaos(programs, account, tmp_path, kills=6, devices=200, measurements=60, every_s=0.4, seed=20_261_122)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_fleet_through_many_kills(programs: packages.Programs, account: Account, tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    chaos(programs, account, tmp_path, kills=60, devices=200, measurements=1200, every_s=0.5, seed=seed)


@pytest.mark.timeout(300)
def test_a_full_disk_stops_everything_and_loses_nothing(
    programs: packages.Programs, account: Account, tmp_path: Path
) -> None:
    """The database may refuse or die; ingest waits, devices keep what they have, and all of it is stored at last."""
    with (
        small_disk(account, 320) as disk,
        plugs(programs, account, tmp_path / "ingest.log", disk) as held,
        Fleet(held.broker, 50, 7) as fleet,
    ):
        measure(fleet, times=5)
        fleet.finish(60)
        free = os.statvfs(disk)
        filler = disk / "filler"
        filler.write_bytes(bytes(free.f_bavail * free.f_frsize - (1 << 20)))
        measure(fleet, times=60, every_s=0.1, until=lambda: "database away" in held.log.read_text())
        assert fleet.holds
        filler.unlink()
        fleet.finish(120)
        assert list(differences(fleet, held.database, broker_killed=False)) == []


@pytest.mark.parametrize(
    ("what", "for_s"),
    [("mosquitto", 10), *(pytest.param(what, 600, marks=pytest.mark.slow) for what in ("mosquitto", "postgres"))],
)
@pytest.mark.timeout(1500)
def test_away_for_a_while(
    programs: packages.Programs, account: Account, tmp_path: Path, what: str, for_s: float
) -> None:
    """Nothing is lost, and memory stays what it was."""
    with plugs(programs, account, tmp_path / "ingest.log") as held, Fleet(held.broker, 50, 7) as fleet:
        measure(fleet, times=5)
        fleet.finish(60)
        before = resident_bytes(held.ingest.process.pid)
        with held.away(what):
            measure(fleet, times=int(2 * for_s), every_s=0.5)
            during = resident_bytes(held.ingest.process.pid)
        fleet.finish(300)
        assert list(differences(fleet, held.database, broker_killed=what == "mosquitto")) == []
        after = resident_bytes(held.ingest.process.pid)
    assert max(during, after) - before < GROWTH_BYTES, f"resident, MiB: {[s >> 20 for s in (before, during, after)]}"


def chaos(
    programs: packages.Programs,
    account: Account,
    log: Path,
    *,
    kills: int,
    devices: int,
    measurements: int,
    every_s: float,
    seed: int,
) -> None:
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
        assert any(device.wrong for device in fleet.devices.values())


def measure(fleet: Fleet, times: int, every_s: float = 0.05, until: Callable[[], bool] = lambda: False) -> None:
    """So many measurements of each device, on their way as far as they get."""
    for _ in range(times):
        fleet.measure()
        fleet.send()
        time.sleep(every_s)
        if until():
            break


def resident_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/status").read_text().split("\n")
    (line,) = (field for field in fields if field.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
