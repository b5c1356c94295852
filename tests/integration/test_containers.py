"""What the containers run, run here without them: the broker's start, and the health checks of our roles."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import Database, served_folder
from waiting import until

from bellwether.certs import ensure_authority, ensure_server, env_of
from bellwether.stack import packages, port
from bellwether.stack.account import Account
from bellwether.stack.mosquitto import ACCEPTED, COMMON, USERS, connect_packet
from bellwether.stack.port import LOOPBACK
from bellwether.stack.postgres import OWN_LIBRARIES

ROOT = Path(__file__).parents[2]


# The broker -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Container:
    """What the broker's image holds, in a folder; `environment` is what Compose gives it."""

    folder: Path
    account: Account
    plugin: Path
    ports: tuple[int, int, int]  # plain, for passwords, for certificates
    passwords: dict[str, str]

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def start(self, environment: dict[str, str]) -> subprocess.Popen[str]:
        folders = [str(self.folder / name) for name in ("config", "data", "run")]
        return subprocess.Popen(
            ["/bin/sh", str(self.folder / "start.sh"), *folders, str(self.plugin), *map(str, self.ports)],
            env={"PATH": f"{self.folder / 'bin'}:{os.defpath}", **OWN_LIBRARIES, **environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            **self.account.identity,
        )

    def answers(self, user: str, password: str) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), 1.0) as connection:
                connection.sendall(connect_packet(user, password))
                return connection.recv(len(ACCEPTED)) == ACCEPTED
        except OSError:
            return False


@pytest.fixture
def container(programs: packages.Programs, account: Account) -> Iterator[Container]:
    with served_folder(account) as folder:
        for name in ("config", "data", "run", "bin"):
            (folder / name).mkdir()
            account.own(folder / name)
        shutil.copy(COMMON, folder / "config/common.conf")
        shutil.copy(ROOT / "deploy/mosquitto/dynamic-security.json", folder / "config/dynamic-security.json")
        shutil.copy(ROOT / "deploy/mosquitto/start.sh", folder / "start.sh")
        for program in (programs.mosquitto, programs.mosquitto_passwd):
            (folder / "bin" / program.name).symlink_to(program)
        ports = port.choose("Mosquitto"), port.choose("passwords"), port.choose("certificates")
        passwords = {user: secrets.token_urlsafe(32) for user in USERS}
        yield Container(folder, account, programs.dynamic_security_plugin, ports, passwords)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority and a broker's certificate, as `make certs` makes it."""
    folder = tmp_path_factory.mktemp("certs")
    ensure_server(folder, ensure_authority(folder), [])
    return folder


def variables(passwords: dict[str, str], certificates: Path) -> dict[str, str]:
    return {f"MQTT_{user.upper()}_PASSWORD": password for user, password in passwords.items()} | env_of(certificates)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_broker_lets_in_whom_the_secrets_name_and_nobody_else(container: Container, certificates: Path) -> None:
    with ended(container.start(variables(container.passwords, certificates))):
        until(lambda: container.answers("bellwether", container.passwords["bellwether"]))
        assert all(container.answers(user, password) for user, password in container.passwords.items())
        assert not container.answers("bellwether", container.passwords["devices"])
        assert not container.answers("", "")


def test_the_broker_keeps_passwords_as_hashes_and_out_of_its_environment(
    container: Container, certificates: Path
) -> None:
    with ended(container.start(variables(container.passwords, certificates))) as broker:
        until(lambda: container.answers("bellwether", container.passwords["bellwether"]))
        hashed = (container.run / "passwords").read_text()
        assert re.findall(r"^(\w+):\$7\$", hashed, re.MULTILINE) == list(USERS)
        environment = Path(f"/proc/{broker.pid}/environ").read_bytes()
        kept = [file.read_bytes() for file in (container.folder / "data").iterdir()]
        for password in container.passwords.values():
            assert password not in hashed
            assert password.encode() not in environment
            assert not [content for content in kept if password.encode() in content]
        assert b"MQTT_TLS_KEY" not in environment
        for file in (*container.run.iterdir(), *(container.folder / "data").iterdir()):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_the_health_checks_own_options_let_it_in(container: Container, certificates: Path) -> None:
    with ended(container.start(variables(container.passwords, certificates))):
        until(lambda: container.answers("bellwether", container.passwords["bellwether"]))
        options = dict(line.split(" ", 1) for line in (container.run / "mosquitto_sub").read_text().splitlines())
        assert container.answers(options["-u"], options["-P"])


def test_the_broker_shows_the_certificate_that_it_was_given(container: Container, certificates: Path) -> None:
    with ended(container.start(variables(container.passwords, certificates))):
        until(lambda: container.answers("bellwether", container.passwords["bellwether"]))
        trust = ssl.create_default_context(cafile=certificates / "ca.crt")
        with (
            socket.create_connection((LOOPBACK, container.ports[1]), 5.0) as connection,
            trust.wrap_socket(connection, server_hostname="localhost") as encrypted,
        ):
            encrypted.sendall(connect_packet("operator", container.passwords["operator"]))
            assert encrypted.recv(len(ACCEPTED)) == ACCEPTED


def test_a_restart_keeps_what_the_plugin_was_told(container: Container, certificates: Path) -> None:
    known = container.folder / "data/dynamic-security.json"
    with ended(container.start(variables(container.passwords, certificates))):
        until(lambda: container.answers("bellwether", container.passwords["bellwether"]))
        known.write_text(known.read_text().replace('"devices"', '"fleet"'))
    changed = variables({**container.passwords, "bellwether": "another password"}, certificates)
    with ended(container.start(changed)):
        until(lambda: container.answers("bellwether", "another password"))
        assert '"fleet"' in known.read_text()


@pytest.mark.parametrize("missing", [*(f"MQTT_{user.upper()}_PASSWORD" for user in USERS), "MQTT_TLS_KEY"])
def test_the_broker_does_not_start_without_each_of_its_secrets(
    container: Container, certificates: Path, missing: str
) -> None:
    environment = variables(container.passwords, certificates)
    del environment[missing]
    _, said = container.start(environment).communicate(timeout=60)
    assert "run make " in said
    assert not list(container.run.iterdir())


# Health ---------------------------------------------------------------------------------------------------------------


def look(role: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The health check of a role, as its container runs it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BELLWETHER_")}
    environment |= {f"BELLWETHER_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "deploy/healthy.py", role],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("role", ["ingest", "notify"])
def test_a_role_is_well_while_its_loop_gives_signs_of_life(database: Database, role: str) -> None:
    url = database.url(role)
    never = look(role, database_url=url)
    assert (never.returncode, never.stderr.strip()) == (1, f"{role}: never seen")
    with database.owner() as conn:
        conn.execute("INSERT INTO heartbeats (role, at) VALUES (%s, now())", [role])
        assert look(role, database_url=url).returncode == 0
        conn.execute("UPDATE heartbeats SET at = now() - interval '2 minutes'")
    stale = look(role, database_url=url)
    assert stale.returncode == 1
    assert "last seen" in stale.stderr


def test_a_role_is_not_well_without_its_database() -> None:
    nowhere = f"postgresql://nobody@{LOOPBACK}:{port.choose('PostgreSQL')}/none"
    found = look("ingest", database_url=nowhere)
    assert found.returncode == 1
    assert found.stderr.startswith("ingest: ")
    assert "Traceback" not in found.stderr


def test_the_api_is_well_when_it_says_that_it_is_ready(database: Database) -> None:
    http_port = str(port.choose("the API"))
    assert look("api", http_port=http_port).returncode == 1
    settings = {
        "BELLWETHER_DATABASE_URL": database.url("api"),
        "BELLWETHER_SECRET": secrets.token_urlsafe(32),
        "BELLWETHER_HTTP_PORT": http_port,
    }
    api = subprocess.Popen(
        [sys.executable, "-m", "bellwether", "api"],
        cwd=ROOT,
        env={**os.environ, **settings},
        stderr=subprocess.PIPE,
        text=True,
    )
    with ended(api):
        until(lambda: look("api", http_port=http_port).returncode == 0, within_s=150, every_s=0.5)
