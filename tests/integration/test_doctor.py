"""The doctor before real patients: a broker with the defaults that lose messages, a database with what costs data."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from go_between import GoBetween
from ingesting import ingesting
from servers import Database, RunningBroker, served_folder
from typer.testing import CliRunner
from waiting import until

from bellwether import doctor
from bellwether.cli import app
from bellwether.doctor import broker_findings, database_findings
from bellwether.findings import Finding
from bellwether.stack import packages, port
from bellwether.stack.account import Account
from bellwether.stack.postgres import OWN_LIBRARIES
from ingest.broker import probe
from ingest.broker.probe import Probed
from ingest.broker.session import SESSION_EXPIRY_S
from store import health
from telemetry import Broker

HEALTHY_BROKER = {"broker": "ok", "session": "ok", "queue": "ok", "window": "ok", "acknowledgement": "ok"}


@pytest.fixture(scope="module", autouse=True)
def _written_safely(server_url: str) -> Iterator[None]:
    """The suite's server waits for no disk, see `servers.without_syncing`: here it does, as a patient should."""
    settings = ("fsync", "full_page_writes")
    with psycopg.connect(server_url, autocommit=True) as conn:

        def is_safe() -> bool:
            return all(conn.execute(f"SHOW {name}").fetchone() == ("on",) for name in settings)

        if is_safe():  # not ours
            yield
            return
        for name in settings:
            conn.execute(f"ALTER SYSTEM SET {name} = on")
        conn.execute("SELECT pg_reload_conf()")
        until(is_safe)
        yield
        for name in settings:
            conn.execute(f"ALTER SYSTEM RESET {name}")
        conn.execute("SELECT pg_reload_conf()")


def verdicts(findings: Iterator[Finding]) -> dict[str, str]:
    return {finding.check: finding.verdict for finding in findings}


@contextmanager
def mosquitto(programs: packages.Programs, account: Account, *settings: str) -> Iterator[Broker]:
    """A Mosquitto as somebody else has set it up."""
    with served_folder(account) as folder:
        at = port.choose("Mosquitto")
        config = folder / "mosquitto.conf"
        config.write_text("\n".join([f"listener {at} 127.0.0.1", "allow_anonymous true", *settings, ""]))
        account.own(config)
        process = subprocess.Popen(
            [programs.mosquitto, "-c", config],
            env=dict(OWN_LIBRARIES),
            cwd=folder,
            stderr=subprocess.DEVNULL,
            **account.identity,
        )
        try:
            broker = Broker.parse(f"mqtt://127.0.0.1:{at}")
            until(lambda: listens(at))
            yield broker
        finally:
            process.terminate()
            process.wait(60)


def listens(at: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", at), timeout=1):
        return True
    return False


# The broker -----------------------------------------------------------------------------------------------------------


def test_our_own_broker_is_well_and_nothing_is_left_with_it(broker: RunningBroker) -> None:
    found = probe.probe(broker.of("bellwether"))
    assert (found.kept, found.window, found.kept_session) == (probe.MESSAGES, probe.MESSAGES, True)
    assert "mosquitto version 2" in found.version
    assert verdicts(broker_findings("a broker", found)) == HEALTHY_BROKER


def test_nothing_is_left_with_a_broker_that_was_tried_out(broker: RunningBroker) -> None:
    """A session that stayed would take in whatever somebody publishes there, until the broker is full."""
    state = broker.server.data / "mosquitto.db"

    def saved() -> bytes:
        before = state.stat().st_mtime_ns if state.exists() else 0
        os.kill(broker.pid, signal.SIGUSR1)
        until(lambda: state.exists() and state.stat().st_mtime_ns != before)
        return state.read_bytes()

    with probe._connected(broker.of("bellwether"), "one that stays", lasting=True) as session:
        session.subscribe("bellwether/probe/left")
    assert probe.probe(broker.of("bellwether")).kept == probe.MESSAGES
    held = saved()
    assert b"bellwether/probe/left" in held, "what stays is seen"
    assert b"bellwether/probe/doctor" not in held


@pytest.mark.parametrize("acknowledges", [False, True], ids=["keeps what was", "forgets what was not"])
def test_a_broker_that_takes_acknowledgements_for_nothing_is_found(broker: RunningBroker, acknowledges: bool) -> None:
    """It keeps what was acknowledged, and sends it at each reconnect; or forgets what was not, and ingest loses it."""
    ours = broker.of("bellwether")
    with GoBetween(ours, acknowledges) as between:
        found = probe.probe(replace(ours, port=between.server_address[1]))
    findings = {finding.check: finding for finding in broker_findings("a broker", found)}
    assert findings.pop("acknowledgement").verdict == "failed"
    assert {check: finding.verdict for check, finding in findings.items()} == {
        check: verdict for check, verdict in HEALTHY_BROKER.items() if check != "acknowledgement"
    }


def test_the_defaults_that_lose_messages_are_found(programs: packages.Programs, account: Account) -> None:
    """Mosquitto's own: 1 000 messages for who is away, acknowledged to their sender and dropped."""
    with mosquitto(programs, account) as broker:
        found = probe.probe(broker)
    assert 0 < found.kept < probe.MESSAGES
    findings = list(broker_findings("a broker", found))
    (queue,) = [finding for finding in findings if finding.check == "queue"]
    assert queue.verdict == "failed"
    assert f"kept {found.kept}" in queue.found
    assert "max_queued_messages" in queue.remedy
    assert "dropped" in verdicts(iter(findings)) or found.dropped == 0


@pytest.mark.parametrize(
    ("settings", "check", "verdict"),
    [
        (("max_queued_messages 0", "max_inflight_messages 10"), "queue", "ok"),
        (("max_queued_messages 0", "max_inflight_messages 10"), "window", "ok"),  # ours overrides it
        (("max_queued_messages 0", "max_queued_bytes 1000"), "queue", "failed"),
        (("max_queued_messages 100",), "queue", "failed"),
    ],
)
def test_a_limit_is_found_by_trying(
    programs: packages.Programs, account: Account, settings: tuple[str, ...], check: str, verdict: str
) -> None:
    with mosquitto(programs, account, *settings) as broker:
        assert verdicts(broker_findings("a broker", probe.probe(broker)))[check] == verdict


def test_what_other_brokers_may_do_is_told_apart() -> None:
    every = probe.MESSAGES
    well = Probed(expiry_s=SESSION_EXPIRY_S, kept_session=True, window=every, repeated=every, kept=every)
    assert verdicts(broker_findings("a broker", well)) == HEALTHY_BROKER
    for changes, check, verdict in (
        ({"window": 20, "repeated": 20}, "window", "warning"),
        ({"repeated": every - 1}, "acknowledgement", "failed"),
        ({"undead": 1}, "acknowledgement", "failed"),
        ({"kept_session": False}, "session", "failed"),
        ({"expiry_s": 3600}, "session", "warning"),
        ({"dropped": 7}, "dropped", "warning"),
    ):
        (finding,) = [f for f in broker_findings("a broker", replace(well, **changes)) if f.check == check]
        assert finding.verdict == verdict
        assert finding.remedy


def test_a_running_ingest_does_not_notice(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker) as running:
        assert probe.probe(broker.of("bellwether")).kept == probe.MESSAGES
        assert running.source.connected
        assert running.source.sessions_lost == 0


def test_a_broker_that_is_not_there_or_has_other_passwords_is_a_finding(broker: RunningBroker) -> None:
    ours = broker.of("bellwether")
    for other, said in ((replace(ours, password="another"), "Not authorized"), (replace(ours, port=1), "refused")):
        (finding,) = broker_findings("a broker", probe.probe(other))
        assert finding.verdict == "failed"
        assert said in finding.found
    (first, second) = broker_findings("a broker", probe.probe(broker.of("devices")))
    assert (first.verdict, second.verdict) == ("ok", "warning"), "it may not try"
    assert "bellwether/probe" in second.remedy


# The database ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def well(module_database: Database) -> health.Health:
    """A database that ingest and notify have just been seen in."""
    with module_database.owner() as conn:
        conn.execute(
            "INSERT INTO heartbeats (role, at, detail)"
            " VALUES ('ingest', now(), jsonb_build_object('lag_s', 1)), ('notify', now(), '{}')"
        )
        return replace(health.examine(conn), shared_buffers=1 << 30, data_directory=None, failing_jobs=[])


TRAPS = {
    "synchronous_commit": ({"synchronous_commit": "off"}, "durability", "failed"),
    "fsync": ({"written_safely": False}, "durability", "failed"),
    "buffers": ({"shared_buffers": 128 << 20}, "memory", "warning"),
    "apache": ({"edition": "apache"}, "licence", "warning"),
    "no extension": ({"extension": ""}, "versions", "failed"),
    "postgresql 15": ({"major": 15}, "versions", "warning"),
    "postgresql 13": ({"major": 13}, "versions", "failed"),
    "timescaledb#7672": ({"extension": "2.17.2"}, "versions", "failed"),
    "timescaledb#9381": ({"extension": "2.26.0"}, "versions", "failed"),
    "old extension": ({"extension": "2.11.1"}, "versions", "warning"),
    "migrations": ({"pending": 3}, "schema", "failed"),
    "rights": ({"pending": None, "chunk_hours": None}, "schema", "warning"),
    "chunks": ({"chunks": 9000}, "chunks", "warning"),
    "chunk width": ({"right_chunk_hours": 1}, "chunks", "warning"),
    "jobs": ({"failing_jobs": ["policy_compression of readings"]}, "jobs", "failed"),
    "ingest": ({"heartbeats": {"notify": 1.0}}, "ingest", "warning"),
    "notify": ({"heartbeats": {"ingest": 1.0, "notify": 300.0}}, "notify", "warning"),
    "backlog": ({"lag_s": 3600.0}, "backlog", "warning"),
    "outbox": ({"given_up": 2}, "outbox", "warning"),
    "server's clock": ({"doubted_s": 86_400.0}, "clock", "failed"),
    "device clocks": (
        {"wrong_clocks": 3, "mended_clocks": 1, "worst_clock": ("a/b", 60.0)},
        "device clocks",
        "warning",
    ),
}


def test_a_database_that_is_well_has_no_finding_but_its_edition(well: health.Health) -> None:
    other = replace(well, edition="community", extension="2.28.3", major=17)
    assert set(verdicts(database_findings(other)).values()) == {"ok"}


@pytest.mark.parametrize("name", TRAPS)
def test_each_trap_is_named_with_a_remedy(well: health.Health, name: str) -> None:
    changes, check, verdict = TRAPS[name]
    findings = database_findings(replace(well, **{"extension": "2.28.3", "major": 17, **changes}))
    (found,) = [finding for finding in findings if finding.check == check and finding.verdict != "ok"]
    assert found.verdict == verdict
    assert found.remedy


def test_clocks_apart_and_a_full_disk_are_findings(
    well: health.Health, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = well.now.timestamp()
    for clock, verdict in ((at, "ok"), (at + 60, "failed"), (at - 86_400, "failed")):
        assert doctor._clock(well, lambda clock=clock: clock).verdict == verdict
    assert doctor._disk("disk", tmp_path, used=1 << 60).verdict == "warning"


def test_a_job_of_the_servers_that_fails_is_seen(database: Database) -> None:
    """A policy that fails does so without a word: roll-ups stand still."""
    with database.owner() as conn:
        edition = health.examine(conn).edition
        if edition != "community":
            pytest.skip("jobs are of the community edition: set TEST_DSN to one")
        conn.execute(
            "CREATE PROCEDURE breaks(job_id int, config jsonb) LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$"
        )
        conn.execute("SELECT add_job('breaks', '1 hour')")
        until(lambda: "breaks of " in health.examine(conn).failing_jobs, within_s=60, every_s=0.5)


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command_tells_the_worst_by_its_exit_code(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = broker.of("bellwether")
    for name, value in (
        ("DATABASE_URL", database.owner_url),
        ("MQTT_URL", str(ours)),
        ("MQTT_USERNAME", ours.username),
        ("MQTT_PASSWORD", ours.password),
        ("SECRET", "only for the tests, 32 characters and more"),
    ):
        monkeypatch.setenv(f"BELLWETHER_{name}", value or "")
    with database.owner() as conn:
        conn.execute(f"ALTER DATABASE {database.owner_url.rsplit('/', 1)[1]} SET synchronous_commit = on")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0, done.output
    with database.owner() as conn:
        conn.execute(f"ALTER DATABASE {database.owner_url.rsplit('/', 1)[1]} SET synchronous_commit = off")
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    assert '"check": "durability"' in done.stdout
