"""The real servers of the local stack: created, reached, killed, recovered, ended without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from waiting import until

from bellwether.stack import packages, port
from bellwether.stack.account import Account, server_account
from bellwether.stack.folder import opened
from bellwether.stack.mosquitto import USERS, Mosquitto
from bellwether.stack.postgres import Postgres
from bellwether.stack.supervisor import Supervisor

PASSWORDS = {user: f"a password of {user}" for user in USERS}
TELEMETRY = "bellwether/v1/plant/pump-1/telemetry"
ACK = "bellwether/v1/plant/pump-1/ack"


@pytest.fixture(scope="module")
def programs() -> packages.Programs:
    return packages.ensure(print)


@pytest.fixture(scope="module")
def account() -> Account:
    return server_account()


@pytest.fixture(scope="module")
def servers(account: Account) -> Iterator[Path]:
    """Not pytest's own folder: that is closed to the user that servers run as when the suite runs as root."""
    folder = Path(tempfile.mkdtemp(prefix="bellwether-test-"))
    account.own(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def postgres(programs: packages.Programs, account: Account, servers: Path) -> Postgres:
    server = Postgres(programs, servers, port.choose("PostgreSQL"), "p@ss/word", account)
    server.create()
    return server


@pytest.fixture(scope="module")
def mosquitto(programs: packages.Programs, account: Account, servers: Path) -> Mosquitto:
    broker = Mosquitto(programs, servers, port.choose("Mosquitto"), PASSWORDS, account)
    broker.create()
    return broker


class Events:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self._changed = threading.Condition()

    def __call__(self, name: str, what: str, detail: str) -> None:
        with self._changed:
            self.seen.append((name, what, detail))
            self._changed.notify_all()

    def until(self, what: str, times: int) -> None:
        with self._changed:
            happened = lambda: sum(1 for seen in self.seen if seen[1] == what) >= times  # noqa: E731
            assert self._changed.wait_for(happened, 120), self.seen


def processes_of(programs: packages.Programs, servers: Path) -> list[int]:
    """Every process, backends included, that runs our programs on our data."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program, at = (process / "exe").readlink(), (process / "cwd").readlink()
        except OSError:
            continue
        if program.is_relative_to(programs.root) and at.is_relative_to(servers):
            found.append(int(process.name))
    return found


def test_unpacked_programs_load_only_unpacked_libraries(programs: packages.Programs) -> None:
    loader = next((programs.root / "usr/lib").glob("*/ld-linux-*"))
    server_modules = programs.root / "usr/lib/postgresql/17/lib"
    for program in (
        *(programs.postgres, programs.initdb, programs.psql, programs.pg_dump, programs.mosquitto),
        *(programs.mosquitto_passwd, programs.dynamic_security_plugin),
        *server_modules.glob("timescaledb*.so"),
    ):
        listed = subprocess.run(
            [loader, "--inhibit-cache", "--library-path", loader.parent, "--list", program],
            capture_output=True,
            text=True,
            check=False,
        )
        assert listed.returncode == 0, f"{program}: {listed.stdout}{listed.stderr}"
        resolved = [line.split(" => ")[1].split()[0] for line in listed.stdout.splitlines() if " => " in line]
        assert all(Path(library).is_relative_to(programs.root) for library in resolved), listed.stdout


def test_the_database_keeps_what_was_committed_when_it_is_killed(
    postgres: Postgres, tmp_path: Path, servers: Path
) -> None:
    events = Events()
    with Supervisor(tmp_path, events) as supervisor:
        supervisor.start(postgres.role())
        with psycopg.connect(postgres.url) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            settings = dict(
                connection.execute(
                    "SELECT name, setting FROM pg_settings WHERE name IN"
                    " ('jit', 'synchronous_commit', 'data_checksums', 'server_encoding')"
                ).fetchall()
            )
        assert settings == {
            "jit": "off",
            "synchronous_commit": "on",
            "data_checksums": "on",
            "server_encoding": "UTF8",
        }
        os.kill(supervisor.pids()["postgres"], signal.SIGKILL)
        events.until("ready", times=2)
        with psycopg.connect(postgres.url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
            assert connection.execute("SHOW timescaledb.telemetry_level").fetchone() == ("off",)
    assert processes_of(postgres.programs, servers) == []


def test_the_database_lets_no_one_in_without_the_password(postgres: Postgres, tmp_path: Path) -> None:
    with Supervisor(tmp_path, lambda *_: None) as supervisor:
        supervisor.start(postgres.role())
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(replace(postgres, password="postgres").url)
        assert not list(Path("/tmp").glob(f".s.PGSQL.{postgres.port}")), "no socket that others could find"  # noqa: S108


def test_the_lock_of_a_dead_database_does_not_stop_the_next(postgres: Postgres, tmp_path: Path) -> None:
    """Another process has taken its number: PostgreSQL alone would not start."""
    lock = postgres.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{postgres.data}\n0\n{postgres.port}\n\n127.0.0.1\n\n")
    with Supervisor(tmp_path, lambda *_: None) as supervisor:
        supervisor.start(postgres.role())


def test_a_database_left_over_by_a_killed_stack_is_ended_first(postgres: Postgres, tmp_path: Path) -> None:
    left_over = subprocess.Popen(
        postgres.role().argv, stderr=subprocess.DEVNULL, cwd=postgres.servers, **postgres.account.identity
    )
    until(postgres.is_ready)
    with Supervisor(tmp_path, lambda *_: None) as supervisor:
        waiting = threading.Thread(target=left_over.wait)
        waiting.start()
        supervisor.start(postgres.role())
        waiting.join(60)
        assert left_over.returncode == 0
        assert supervisor.pids()["postgres"] != left_over.pid


def test_creation_is_complete_or_did_not_happen(programs: packages.Programs, account: Account, servers: Path) -> None:
    folder = servers / "interrupted"
    folder.mkdir()
    account.own(folder)
    server = Postgres(programs, folder, port.choose("PostgreSQL"), "secret", account)
    half = server.data.with_suffix(".partial")
    half.mkdir()
    (half / "PG_VERSION").write_text("17\n")
    server.create()
    assert not half.exists()
    assert not (folder / "password").exists()
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700


class Client:
    """An MQTT client that says what happened to it."""

    def __init__(self, broker: Mosquitto, user: str, password: str | None = None, client_id: str = "") -> None:
        self.messages: list[str] = []
        self.granted: list[int] = []
        self.published: list[int] = []
        self.welcome: list[int] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
        self._client.username_pw_set(user, password or broker.passwords[user])
        self._client.on_connect = lambda _c, _u, _f, code, _p: self.welcome.append(code.value)
        self._client.on_message = lambda _c, _u, message: self.messages.append(message.payload.decode())
        self._client.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.extend(code.value for code in codes)
        self._client.on_publish = lambda _c, _u, _m, code, _p: self.published.append(code.value)
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        self._client.connect(port.LOOPBACK, broker.port, clean_start=False, properties=session)
        self._client.loop_start()
        until(lambda: bool(self.welcome))

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, options=SubscribeOptions(qos=1))
        until(lambda: bool(self.granted))

    def publish(self, topic: str, payload: str) -> int:
        before = len(self.published)
        self._client.publish(topic, payload, qos=1)
        until(lambda: len(self.published) > before)
        return self.published[-1]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


NOT_AUTHORISED = 135


def test_the_broker_grants_each_user_its_part(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with Supervisor(tmp_path, lambda *_: None) as supervisor:
        supervisor.start(mosquitto.role())
        ingest, device = Client(mosquitto, "bellwether"), Client(mosquitto, "devices")
        ingest.subscribe("bellwether/v1/#")
        device.subscribe(ACK)
        assert device.publish(TELEMETRY, "reading") == 0
        assert ingest.publish(ACK, "stored") == 0
        until(lambda: "reading" in ingest.messages)
        until(lambda: device.messages == ["stored"])
        assert ingest.publish(TELEMETRY, "forged") == NOT_AUTHORISED
        assert device.publish(ACK, "forged") == NOT_AUTHORISED
        stranger = Client(mosquitto, "bellwether", password="bellwether")
        assert stranger.welcome[0] != 0
        for client in (ingest, device, stranger):
            client.close()
    stored = [file.read_bytes() for file in mosquitto.data.iterdir() if file.is_file()]
    assert not any(password.encode() in content for password in PASSWORDS.values() for content in stored)


def test_the_broker_keeps_a_long_queue_for_an_absent_subscriber_over_a_restart(
    mosquitto: Mosquitto, tmp_path: Path, servers: Path
) -> None:
    """Its own default drops, silently, whatever comes after the first thousand."""
    count = 3000
    with Supervisor(tmp_path, lambda *_: None) as supervisor:
        supervisor.start(mosquitto.role())
        absent = Client(mosquitto, "bellwether", client_id="absent")
        absent.subscribe("bellwether/v1/#")
        absent.close()
        device = Client(mosquitto, "devices")
        for number in range(count):
            device._client.publish(TELEMETRY, str(number), qos=1)
        until(lambda: len(device.published) == count)
        device.close()
    assert processes_of(mosquitto.programs, servers) == []
    with Supervisor(tmp_path, lambda *_: None) as supervisor:
        supervisor.start(mosquitto.role())
        back = Client(mosquitto, "bellwether", client_id="absent")
        until(lambda: len(back.messages) >= count)
        back.close()
    assert back.messages == [str(number) for number in range(count)]


def test_a_killed_broker_is_back_in_seconds(mosquitto: Mosquitto, tmp_path: Path) -> None:
    events = Events()
    with Supervisor(tmp_path, events) as supervisor:
        supervisor.start(mosquitto.role())
        os.kill(supervisor.pids()["mosquitto"], signal.SIGKILL)
        events.until("ready", times=2)
        assert mosquitto.is_ready()


STACK = """
import sys
from pathlib import Path
from bellwether.stack import packages, port
from bellwether.stack.account import server_account
from bellwether.stack.folder import opened
from bellwether.stack.mosquitto import USERS, Mosquitto
from bellwether.stack.postgres import Postgres
from bellwether.stack.supervisor import Supervisor
with opened(Path(sys.argv[1])) as folder:
    programs, account = packages.ensure(print), server_account()
    servers = folder.servers(account)
    postgres = Postgres(programs, servers, port.choose("PostgreSQL"), folder.secret("postgres"), account)
    passwords = {user: folder.secret(f"mqtt_{user}") for user in USERS}
    mosquitto = Mosquitto(programs, servers, port.choose("Mosquitto"), passwords, account)
    with Supervisor(folder.logs, lambda *event: None) as supervisor:
        for server in (postgres, mosquitto):
            server.create()
            supervisor.start(server.role())
        folder.publish({"pids": supervisor.pids()})
        print("ready", flush=True)
        supervisor.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_stack_that_ended_and_the_next_one_starts(
    programs: packages.Programs, number: signal.Signals
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="bellwether-test-"))
    try:
        for _ in range(2):
            with subprocess.Popen([sys.executable, "-c", STACK, folder], stdout=subprocess.PIPE, text=True) as stack:
                assert stack.stdout
                assert stack.stdout.readline() == "ready\n"
                assert len(processes_of(programs, folder / "servers")) > 2
                stack.send_signal(number)
            assert stack.returncode == (0 if number == signal.SIGINT else -number)
            if number == signal.SIGINT:
                assert processes_of(programs, folder / "servers") == []
                assert not (folder / "stack.json").exists()
        until(lambda: processes_of(programs, folder / "servers") == [])
        with opened(folder):
            assert not (folder / "stack.json").exists()
    finally:
        shutil.rmtree(folder)
