"""The local stack in the foreground: TimescaleDB, Mosquitto, ingest, api and notify, supervised.

Ready means ready: `stack.json` is written when the API answers and ingest holds its session at the broker. A role that
dies is started again, and it is said; Ctrl-C ends all of them.
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bellwether.access import ensure_administrator
from bellwether.certs import ensure_authority, ensure_server
from bellwether.stack.account import server_account
from bellwether.stack.folder import StackFolder, opened
from bellwether.stack.mosquitto import USERS, Encrypted, Mosquitto
from bellwether.stack.packages import ensure
from bellwether.stack.port import choose
from bellwether.stack.postgres import Postgres
from bellwether.stack.supervisor import Role, Supervisor
from store.connection import as_role, connect, unavailable
from store.errors import Misconfigured, Unavailable
from store.fleet import heartbeats
from store.migrate import LOGIN_ROLES, migrate
from telemetry import Broker

TENANT = "demo"
ADMINISTRATOR = "admin"
HTTP_PORT, MQTT_PORT, PG_PORT = 8080, 1883, 5432
MQTTS_PORT, MQTTS_CERTIFICATE_PORT = 8883, 8884
# Ingest says that it lives every five seconds; a sign older than this is of the process before.
_FRESH_S = 4.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for; None: whatever is free, whatever is ours."""

    data: Path
    http_port: int | None = None
    mqtt_port: int | None = None
    pg_port: int | None = None
    database_url: str | None = None
    mqtt_url: str | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that is ready. `devices` is how a simulated or replayed device reaches the broker."""

    folder: StackFolder
    supervisor: Supervisor
    api_url: str
    admin_token: str
    admin_password: str
    devices: Broker


@dataclass(frozen=True, slots=True)
class Ways:
    """The broker as ingest, a device and an operator reach it.

    `told` is what else ingest is told, by variable; `shown` what else `stack.json` says.
    """

    ingest: Broker
    devices: Broker
    operator: Broker
    told: Mapping[str, str]
    shown: Mapping[str, str]


@contextmanager
def running_stack(options: Options, say: Say) -> Iterator[Stack]:
    """Start everything; inside the block it is ready, and after it all has ended.

    Raises
    ------
    StackError, Misconfigured, Unavailable
        It cannot start; one line says why and what to do.
    """
    with opened(options.data) as folder, Supervisor(folder.logs, _teller(say)) as supervisor:
        database_url = options.database_url or _start_postgres(folder, supervisor, options, say)
        broker = _broker(folder, supervisor, options, say)
        passwords = {role: folder.secret(f"database_{role}") for role in LOGIN_ROLES}
        admin_password = folder.secret("admin_password")
        admin_token = f"bw_{folder.secret('admin_token')}"
        _prepare_database(database_url, passwords, admin_password, admin_token, say)
        http_port = choose("the dashboard", options.http_port, HTTP_PORT)
        api_url = f"http://127.0.0.1:{http_port}"
        common = {
            "BELLWETHER_SECRET": folder.secret("secret"),
            "BELLWETHER_API_URL": api_url,
            "BELLWETHER_HTTP_PORT": str(http_port),
            "BELLWETHER_HTTP_HOST": "127.0.0.1",
        }

        def role(name: str, ready: Callable[[], bool], extra: Mapping[str, str] | None = None) -> Role:
            url = as_role(database_url, f"bellwether_{name}", passwords[name])
            env = {**common, "BELLWETHER_DATABASE_URL": url, **(extra or {})}
            return Role(name, (sys.executable, "-m", "bellwether", name), env=env, ready=ready, stop_within_s=30.0)

        broker_env = {
            "BELLWETHER_MQTT_URL": str(broker.ingest),
            "BELLWETHER_MQTT_USERNAME": broker.ingest.username or "",
            "BELLWETHER_MQTT_PASSWORD": broker.ingest.password or "",
            **broker.told,
        }
        say("starting api, ingest and notify")
        supervisor.start(
            role("api", lambda: _answers(f"{api_url}/healthz")),
            role("ingest", lambda: _beats(database_url, "ingest"), broker_env),
            role("notify", lambda: _beats(database_url, "notify")),
        )
        folder.publish({
            "database_url": database_url,
            "mqtt_url": str(broker.operator),
            "mqtt_username": broker.operator.username,
            "mqtt_password": broker.operator.password,
            **broker.shown,
            "api_url": api_url,
            "admin_token": admin_token,
            "admin_login": ADMINISTRATOR,
            "admin_password": admin_password,
            "tenant": TENANT,
            "pids": supervisor.pids(),
        })  # fmt: skip
        yield Stack(folder, supervisor, api_url, admin_token, admin_password, broker.devices)


def up(options: Options, say: Say) -> None:
    """The stack until Ctrl-C."""
    with running_stack(options, say) as stack:
        say(f"ready: {stack.api_url}, sign in as {ADMINISTRATOR} with the password {stack.admin_password}")
        say(f"how to reach everything else: {stack.folder.path / 'stack.json'}")
        stack.supervisor.wait()


def _start_postgres(folder: StackFolder, supervisor: Supervisor, options: Options, say: Say) -> str:
    account = server_account()
    programs = ensure(say)
    port = choose("PostgreSQL", options.pg_port, PG_PORT)
    postgres = Postgres(programs, folder.servers(account), port, folder.secret("postgres"), account)
    say("starting TimescaleDB")
    postgres.create()
    supervisor.start(postgres.role())
    return postgres.url


def _broker(folder: StackFolder, supervisor: Supervisor, options: Options, say: Say) -> Ways:
    if options.mqtt_url is not None:
        try:
            broker = Broker.parse(options.mqtt_url)
        except ValueError as error:
            raise Misconfigured(f"--mqtt-url: {error}") from error
        return Ways(broker, broker, broker, {}, {})
    account = server_account()
    programs = ensure(say)
    passwords = {user: folder.secret(f"mqtt_{user}") for user in USERS}
    port = choose("Mosquitto", options.mqtt_port, MQTT_PORT)
    certificates = folder.path / "certs"
    server = ensure_server(certificates, ensure_authority(certificates))
    encrypted = Encrypted(
        choose("Mosquitto with TLS", None, MQTTS_PORT),
        choose("Mosquitto with certificates", None, MQTTS_CERTIFICATE_PORT),
        certificates / "ca.crt",
        server.certificate,
        server.key,
    )
    mosquitto = Mosquitto(programs, folder.servers(account), port, passwords, account, encrypted)
    say("starting Mosquitto")
    mosquitto.create()
    supervisor.start(mosquitto.role())
    ingest, devices, operator = (
        Broker.parse(mosquitto.url, user, passwords[user]) for user in ("bellwether", "devices", "operator")
    )
    told = {
        "BELLWETHER_MQTT_GATE_USERNAME": "gate",
        "BELLWETHER_MQTT_GATE_PASSWORD": passwords["gate"],
        # Whoever is let in by password can take over a session whose name it knows, and what waits in it.
        "BELLWETHER_MQTT_CLIENT_ID": f"bellwether-ingest-{folder.secret('mqtt_session')}",
    }
    shown = {
        "mqtts_url": f"mqtts://localhost:{encrypted.password_port}",
        "mqtts_certificate_url": f"mqtts://localhost:{encrypted.certificate_port}",
        "mqtt_ca_file": str(encrypted.authority),
    }
    return Ways(ingest, devices, operator, told, shown)


def _prepare_database(
    database_url: str, passwords: Mapping[str, str], admin_password: str, admin_token: str, say: Say
) -> None:
    with unavailable(), connect(database_url, "migrate") as conn:
        conn.autocommit = True
        migrate(conn, passwords, {TENANT: "Demonstration works"}, say)
        ensure_administrator(conn, TENANT, ADMINISTRATOR, admin_password, admin_token)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310  (our own loopback address)
            return bool(answer.status == 200)
    except OSError:
        return False


def _beats(database_url: str, role: str) -> bool:
    """Whether a role has given a fresh sign of life."""
    try:
        with unavailable(), connect(database_url, "up") as conn:
            return heartbeats(conn).get(role, _FRESH_S) < _FRESH_S
    except Unavailable:
        return False


def _teller(say: Say) -> Callable[[str, str, str], None]:
    """Says what a person wants to know of the roles: not each start, but each death."""

    def tell(name: str, what: str, detail: str) -> None:
        if what in ("died", "killed"):
            say(f"{name} {what}: {detail}")

    return tell
