"""Who gets in at the broker and what they may say there: devices as they are meant, and an attacker's client.

Everything is real: Mosquitto with its plugin and TLS, the gate, the API, the database.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
import psycopg
import pytest
from ingesting import Device, ingesting
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from servers import Database, RunningBroker, running_broker
from serving import JSON, RunningApi, ok, refused
from waiting import until

from alarms.roles import Role
from bellwether.certs import ensure_authority, ensure_server, issue_device
from bellwether.doctor import credential_findings
from bellwether.stack import packages
from bellwether.stack.account import Account
from bellwether.stack.port import LOOPBACK
from ingest.access.gate import Gate
from ingest.access.rights import CONTROL
from store import gate
from store.connection import act_for
from telemetry import Broker, Trust

TAKEN, NOBODY_LISTENS, NOT_AUTHORISED = 0, 16, 135
OWN = "bellwether/v1/demo/pump-1"
# What the issue demands of a revocation; it takes well under a second.
REVOKED_WITHIN_S = 60.0


class Client:
    """An MQTT 5 client that says what the broker said. `welcome` is a reason code, or why there was none."""

    def __init__(
        self,
        broker: Broker,
        client_id: str = "",
        will: tuple[str, bytes] | None = None,
        session_s: int = 0,
        encryption: ssl.SSLContext | None = None,
    ) -> None:
        self.welcome: int | OSError | None = None
        self.ended: str | None = None
        self.messages: list[tuple[str, bytes]] = []
        self._published: dict[int, int] = {}
        self._granted: dict[int, int] = {}
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        if broker.username is not None:
            self.client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            self.client.tls_set_context(encryption or broker.encryption())
        if will is not None:
            self.client.will_set(*will, qos=1, retain=True)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = lambda _c, _u, message: self.messages.append((message.topic, message.payload))
        self.client.on_publish = lambda _c, _u, mid, reason, _p: self._published.update({mid: reason.value})
        self.client.on_subscribe = lambda _c, _u, mid, reasons, _p: self._granted.update({mid: reasons[0].value})
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = session_s
        try:
            self.client.connect(broker.host, broker.port, clean_start=not session_s, properties=session)
        except OSError as error:
            self.welcome = error
        else:
            self.client.loop_start()
            until(lambda: self.welcome is not None or self.ended is not None)

    @property
    def is_in(self) -> bool:
        return self.welcome == TAKEN and self.ended is None

    def say(self, topic: str, payload: bytes = b"{}", retain: bool = False) -> int:
        """Publish at QoS 1; the reason code of the PUBACK. That nobody listens makes no difference."""
        mid = self.client.publish(topic, payload, qos=1, retain=retain).mid
        reason = self._answer(self._published, mid)
        return TAKEN if reason == NOBODY_LISTENS else reason

    def hear(self, topic_filter: str) -> int:
        """Subscribe at QoS 1; the reason code of the SUBACK."""
        _, mid = self.client.subscribe(topic_filter, qos=1)
        assert mid is not None
        return self._answer(self._granted, mid)

    def lose_the_network(self) -> None:
        """So that the broker says the last will."""
        sock = self.client.socket()
        assert isinstance(sock, socket.socket)
        sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _answer(answers: dict[int, int], mid: int) -> int:
        until(lambda: mid in answers)
        return answers[mid]

    def _on_connect(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        self.welcome = reason.value

    def _on_disconnect(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        self.ended = str(reason)


@dataclass(frozen=True)
class Plant:
    """A broker with TLS, its gate, and the API in front of their database."""

    broker: RunningBroker
    api: RunningApi
    certificates: Path

    def credential(self, wait: bool = True, tenant: str = "demo", **asked: Any) -> JSON:
        """A new credential, by default of `pump-1`, once the broker knows it."""
        if "device" not in asked and "gateway" not in asked:
            asked["device"] = "pump-1"
        made = ok(self.api.client(tenant=tenant).post("/api/v1/credentials", json=asked), 201)
        if wait:
            until(lambda: self.state(made, tenant) == "active")
        return made

    def state(self, credential: JSON, tenant: str = "demo") -> str:
        found = ok(self.api.client(tenant=tenant).get(f"/api/v1/credentials/{credential['id']}"))
        return str(found["state"])

    def revoke(self, credential: JSON) -> None:
        ok(self.api.client().delete(f"/api/v1/credentials/{credential['id']}"))

    def plain(self, credential: JSON) -> Broker:
        """The way in without TLS, which only loopback has."""
        return Broker.parse(self.broker.url, credential["username"], credential["password"])

    def encrypted(self, credential: JSON) -> Broker:
        """The way in with TLS and a password."""
        ports = self.broker.server.encrypted
        assert ports is not None
        url = f"mqtts://localhost:{ports.password_port}"
        return Broker.parse(url, credential["username"], credential["password"], Trust(self.certificates / "ca.crt"))

    def certified(self, username: str, authority: Path | None = None) -> Broker:
        """The way in with a certificate of this name, of our authority or another."""
        ports = self.broker.server.encrypted
        assert ports is not None
        folder = authority or self.certificates
        issued = issue_device(folder, ensure_authority(folder), username)
        trust = Trust(self.certificates / "ca.crt", issued.certificate, issued.key)
        return Broker.parse(f"mqtts://localhost:{ports.certificate_port}", trust=trust)

    def is_shut_out(self, credential: JSON) -> bool:
        """Whether the broker lets nobody in with it."""
        with Client(self.plain(credential)) as client:
            return client.welcome == NOT_AUTHORISED

    def kill_the_broker(self) -> None:
        """It comes back by itself, with what was on disk."""
        before = self.broker.pid
        os.kill(before, signal.SIGKILL)
        until(
            lambda: self.broker.supervisor.pids().get("mosquitto", before) != before and self.broker.server.is_ready()
        )

    def tell(self, *commands: JSON) -> None:
        """As another administrator of the broker."""
        with Client(self.broker.of("gate")) as administrator:
            assert administrator.hear(f"{CONTROL}/response") == 1
            assert administrator.say(CONTROL, json.dumps({"commands": commands}).encode()) == TAKEN
            until(lambda: administrator.messages)
        assert "error" not in administrator.messages[0][1].decode()


@pytest.fixture(scope="module")
def plant(
    programs: packages.Programs,
    account: Account,
    api: RunningApi,
    module_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Plant]:
    certificates = tmp_path_factory.mktemp("certs")
    ensure_server(certificates, ensure_authority(certificates))
    with running_broker(programs, account, certificates) as broker:
        gate = Gate(broker.of("gate"), module_database.url("ingest"))
        gate.start()
        try:
            for device in ("pump-1", "pump-2"):
                ok(api.client().post("/api/v1/devices", json={"device": device, "kind": "pump"}), 201)
            ok(api.client(tenant="other").post("/api/v1/devices", json={"device": "pump-1"}), 201)
            until(lambda: gate_is_open(module_database))
            yield Plant(broker, api, certificates)
        finally:
            gate.close()


def gate_is_open(database: Database) -> bool:
    with database.owner() as conn:
        return conn.execute("SELECT public_key FROM gate").fetchone() != (None,)


@pytest.fixture
def fresh(plant: Plant) -> Iterator[Plant]:
    """The plant with no live credential left over, before and after, and no foreign topics."""
    yield plant
    with plant.api.database.owner() as conn:
        conn.execute("UPDATE tenants SET topics = '{}'")
    for tenant in ("demo", "other"):
        client = plant.api.client(tenant=tenant)
        for credential in ok(client.get("/api/v1/credentials", params={"limit": 200}))["items"]:
            if credential["state"] in {"active", "pending", "lost"}:
                ok(client.delete(f"/api/v1/credentials/{credential['id']}"))


@pytest.fixture
def everything(plant: Plant) -> Iterator[Client]:
    """Hears all that anybody says."""
    with Client(plant.broker.of("operator")) as client:
        assert client.hear("#") == 1
        yield client


@pytest.fixture(scope="module")
def attacker(plant: Plant) -> Iterator[Client]:
    """A device of the tenant that does what it should not."""
    with Client(plant.plain(plant.credential(device="pump-2"))) as client:
        yield client


# What a device may do ---------------------------------------------------------------------------------------------


def test_a_device_says_and_hears_what_is_its_own(fresh: Plant, everything: Client) -> None:
    with Client(fresh.plain(fresh.credential())) as device, Client(fresh.broker.of("bellwether")) as server:
        assert device.is_in
        for kind in ("telemetry", "waveform", "status"):
            assert device.say(f"{OWN}/{kind}", kind.encode()) == TAKEN
            until(lambda kind=kind: (f"{OWN}/{kind}", kind.encode()) in everything.messages)
        for kind in ("ack", "config"):
            assert device.hear(f"{OWN}/{kind}") == 1
            assert server.say(f"{OWN}/{kind}", b"yours") == TAKEN
            assert server.say(f"bellwether/v1/demo/pump-2/{kind}", b"another's") == TAKEN
        until(lambda: len(device.messages) == 2)
        assert device.messages == [(f"{OWN}/ack", b"yours"), (f"{OWN}/config", b"yours")]


# What an attacker may not -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("retain", [False, True], ids=["", "retained"])
@pytest.mark.parametrize(
    "topic",
    [
        "bellwether/v1/demo/pump-1/telemetry",
        "bellwether/v1/demo/pump-1/status",
        "bellwether/v1/other/pump-2/telemetry",
        "bellwether/v1/demo/pump-2/ack",
        "bellwether/v1/demo/pump-1/ack",
        "bellwether/v1/demo/pump-2/config",
        "bellwether/v1/demo/pump-2/telemetry/more",
        "bellwether/v1/demo/pump-2",
        "bellwether/probe/bellwether-ingest",
        "spBv1.0/demo/NDATA/pump-1",
        "spBv1.0/STATE/bellwether",
        "zigbee2mqtt/lamp",
        CONTROL,
        "$SYS/broker/uptime",
    ],
)
def test_nothing_is_said_in_another_name(attacker: Client, everything: Client, topic: str, retain: bool) -> None:
    before = len(everything.messages)
    assert attacker.say(topic, b'{"forged": 1}', retain) == NOT_AUTHORISED
    # The next own message is behind it: when that has come, the other has not.
    mark = f"after {topic} {retain}".encode()
    assert attacker.say("bellwether/v1/demo/pump-2/telemetry", mark) == TAKEN
    until(lambda: mark in [payload for _, payload in everything.messages[before:]])
    assert not [payload for _, payload in everything.messages[before:] if b"forged" in payload]


def test_nothing_forged_was_retained(attacker: Client, plant: Plant) -> None:
    assert attacker.say(f"{OWN}/config", b"forged", retain=True) == NOT_AUTHORISED
    with Client(plant.broker.of("operator")) as late:
        assert late.hear("bellwether/#") == 1
        assert late.hear("$SYS/broker/version") == 1
        until(lambda: [topic for topic, _ in late.messages if topic.startswith("$SYS")])
        assert b"forged" not in [payload for _, payload in late.messages]


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+/#",
        "$SYS/#",
        "$SYS/broker/clients/connected",
        "bellwether/#",
        "bellwether/v1/+/+/telemetry",
        "bellwether/v1/demo/+/ack",
        "bellwether/v1/demo/pump-2/#",
        "bellwether/v1/demo/pump-2/+",
        "bellwether/v1/demo/pump-2/telemetry",
        "bellwether/v1/demo/pump-1/ack",
        "bellwether/v1/demo/pump-1/config",
        "bellwether/v1/other/pump-2/config",
        "spBv1.0/#",
        "zigbee2mqtt/#",
        "$CONTROL/dynamic-security/v1/response",
        "$share/all/#",
        "$share/all/bellwether/v1/+/+/telemetry",
    ],
)
def test_nothing_is_heard_that_is_for_others(attacker: Client, topic_filter: str) -> None:
    assert attacker.hear(topic_filter) == NOT_AUTHORISED
    assert attacker.messages == []


def test_a_last_will_is_said_in_no_other_name(fresh: Plant, everything: Client) -> None:
    credential = fresh.credential()
    for topic in ("bellwether/v1/demo/pump-2/status", "bellwether/v1/other/pump-1/status", f"{OWN}/config"):
        with Client(fresh.plain(credential), will=(topic, b"forged will")) as device:
            if device.is_in:
                device.lose_the_network()
                until(lambda device=device: device.ended)
    with Client(fresh.plain(credential), will=(f"{OWN}/status", b"own will")) as device:
        device.lose_the_network()
    until(lambda: (f"{OWN}/status", b"own will") in everything.messages)
    assert b"forged will" not in [payload for _, payload in everything.messages]


def test_nobody_gets_in_by_guessing(fresh: Plant) -> None:
    credential = fresh.credential()
    others = fresh.credential(device="pump-2")
    certificate = fresh.credential(kind="certificate")
    assert certificate["password"] is None
    for username, password in (
        (credential["username"], "wrong"),
        (credential["username"], ""),
        (credential["username"], others["password"]),
        (credential["username"].upper(), credential["password"]),
        (certificate["username"], ""),
        (certificate["username"], certificate["username"]),
        ("pump-1", credential["password"]),
        ("gate", credential["password"]),
        ("operator", ""),
        ("", ""),
    ):
        with Client(Broker.parse(fresh.broker.url, username, password)) as guess:
            assert guess.welcome == NOT_AUTHORISED, username


# Passwords that change ----------------------------------------------------------------------------------------------


def test_a_revoked_one_is_thrown_out_while_it_is_connected(fresh: Plant) -> None:
    kept, revoked = fresh.credential(), fresh.credential()
    with Client(fresh.plain(kept)) as stays, Client(fresh.plain(revoked)) as goes:
        assert stays.is_in
        assert goes.is_in, "two are valid at once while one takes over from the other"
        since = time.monotonic()
        fresh.revoke(revoked)
        until(lambda: goes.ended, within_s=REVOKED_WITHIN_S)
        assert time.monotonic() - since < 10, "it takes a fraction of a second, even where much else runs"
        assert stays.say(f"{OWN}/telemetry") == TAKEN
        assert stays.is_in
    with Client(fresh.plain(revoked)) as again:
        assert again.welcome == NOT_AUTHORISED
    assert fresh.state(revoked) == "revoked"


def test_one_whose_time_is_over_is_thrown_out(fresh: Plant, module_database: Database) -> None:
    until_then = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    credential = fresh.credential(expires_at=until_then)
    with Client(fresh.plain(credential)) as device:
        assert device.is_in
        with module_database.owner() as conn:
            conn.execute(
                "UPDATE device_credentials SET expires_at = now() + interval '1 second' WHERE id = %s",
                [credential["id"]],
            )
        until(lambda: device.ended, within_s=REVOKED_WITHIN_S)
    assert fresh.state(credential) == "expired"
    over = datetime.now(UTC).isoformat()
    refused(fresh.api.client().post("/api/v1/credentials", json={"device": "pump-1", "expires_at": over}), 422)


def test_a_device_has_no_more_than_it_needs(fresh: Plant) -> None:
    for _ in range(4):
        last = fresh.credential(wait=False)
    refused(fresh.api.client().post("/api/v1/credentials", json={"device": "pump-1"}), 409)
    fresh.revoke(last)
    fresh.credential(wait=False)


def test_a_password_is_nowhere_but_in_one_answer(fresh: Plant, module_database: Database) -> None:
    client = fresh.api.client()
    headers = {"Idempotency-Key": "once"}
    asked = {"device": "pump-1", "name": "board"}
    made = ok(client.post("/api/v1/credentials", json=asked, headers=headers), 201)
    assert len(made["password"]) >= 43, "256 random bits"
    again = ok(client.post("/api/v1/credentials", json=asked, headers=headers), 201)
    assert again == {**made, "password": None}
    until(lambda: fresh.state(made) == "active")
    with module_database.owner() as conn:
        tables = conn.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (table,) in tables:
            rows = conn.execute(f"SELECT {table}::text FROM {table}").fetchall()  # noqa: S608
            assert not [row for (row,) in rows if made["password"] in row], table
        assert conn.execute("SELECT count(*) FROM device_credentials WHERE sealed IS NOT NULL").fetchone() == (0,)
    for file in fresh.broker.server.data.parent.rglob("*"):
        with suppress(FileNotFoundError):  # the broker writes a file beside another, and puts it in its place
            if file.is_file():
                assert made["password"].encode() not in file.read_bytes(), file.name


def test_what_waits_for_the_broker_is_closed_to_whoever_made_it(fresh: Plant, module_database: Database) -> None:
    with psycopg.connect(module_database.url("api")) as conn:
        act_for(conn, "demo")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT sealed FROM device_credentials")
    with psycopg.connect(module_database.url("api")) as conn:
        act_for(conn, "other")
        assert conn.execute("SELECT count(*) FROM device_credentials WHERE tenant = 'demo'").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(
                "INSERT INTO device_credentials (tenant, name, kind, username, created_by)"
                " VALUES ('demo', 'x', 'certificate', 'bw-x', 'x')"
            )


# Gateways and foreign topics ------------------------------------------------------------------------------------------


def test_a_gateway_speaks_for_its_tenant_and_no_other(fresh: Plant) -> None:
    with Client(fresh.plain(fresh.credential(gateway=True))) as gateway:
        for topic in ("bellwether/v1/demo/any/telemetry", "spBv1.0/demo/NBIRTH/edge", "spBv1.0/demo/DDATA/edge/pump-9"):
            assert gateway.say(topic) == TAKEN
        for topic in (
            "bellwether/v1/other/any/telemetry",
            "bellwether/v1/demo/any/ack",
            "spBv1.0/other/NBIRTH/edge",
            "spBv1.0/STATE/bellwether",
            CONTROL,
        ):
            assert gateway.say(topic) == NOT_AUTHORISED
        for topic_filter in ("bellwether/v1/demo/+/ack", "spBv1.0/demo/NCMD/edge", "spBv1.0/STATE/+"):
            assert gateway.hear(topic_filter) == 1
        for topic_filter in ("#", "bellwether/v1/+/+/ack", "bellwether/v1/demo/+/telemetry", "spBv1.0/#", "$SYS/#"):
            assert gateway.hear(topic_filter) == NOT_AUTHORISED


def test_foreign_topics_are_granted_where_they_are_the_tenants(fresh: Plant, module_database: Database) -> None:
    asked = {"gateway": True, "publishes": ["zigbee2mqtt/#"], "subscribes": ["zigbee2mqtt/+/set"]}
    refused(fresh.api.client().post("/api/v1/credentials", json=asked), 422)
    with module_database.owner() as conn:
        conn.execute("UPDATE tenants SET topics = '{zigbee2mqtt,shellies/hall-2}' WHERE id = 'demo'")
    with Client(fresh.plain(fresh.credential(**asked))) as bridge:
        assert bridge.say("zigbee2mqtt/lamp") == TAKEN
        assert bridge.hear("zigbee2mqtt/lamp/set") == 1
        assert bridge.say("shellies/hall-2/relay") == NOT_AUTHORISED
        assert bridge.hear("zigbee2mqtt/#") == NOT_AUTHORISED
    refused(fresh.api.client(tenant="other").post("/api/v1/credentials", json=asked), 422)


@pytest.mark.parametrize(
    "topic_filter",
    [
        *("#", "+/x", "$SYS/#", "$CONTROL/dynamic-security/v1", "$share/g/zigbee2mqtt/#", "bellwether/v1/other/#"),
        *("spBv1.0/other/#", "zigbee2mqtt", "zigbee2mqttx/#", "/zigbee2mqtt/#", "", "zigbee2mqtt/a#"),
        *("zigbee2mqtt/#/x", "zigbee2mqtt/a b", "zigbee2mqtt/\x00", "zigbee2mqtt/" + "x" * 200),
    ],
)
def test_a_grant_that_reaches_too_far_is_refused(fresh: Plant, module_database: Database, topic_filter: str) -> None:
    with module_database.owner() as conn:
        conn.execute("UPDATE tenants SET topics = '{zigbee2mqtt}' WHERE id = 'demo'")
    for field in ("publishes", "subscribes"):
        asked = {"gateway": True, field: [topic_filter]}
        answer = fresh.api.client().post("/api/v1/credentials", json=asked)
        if topic_filter == "zigbee2mqtt":  # exactly what the tenant has
            ok(answer, 201)
        else:
            refused(answer, 422)


@pytest.mark.parametrize("asked", [{}, {"device": "pump-1", "gateway": True}, {"device": "pump-1", "kind": "none"}])
def test_whose_it_is_must_be_said(plant: Plant, asked: JSON) -> None:
    refused(plant.api.client().post("/api/v1/credentials", json=asked), 422)


# TLS ------------------------------------------------------------------------------------------------------------------


def test_a_password_travels_encrypted(fresh: Plant) -> None:
    with Client(fresh.encrypted(fresh.credential())) as device:
        assert device.is_in
        assert device.say(f"{OWN}/telemetry") == TAKEN
        assert device.say("bellwether/v1/demo/pump-2/telemetry") == NOT_AUTHORISED


def test_nobody_takes_over_a_session_by_its_name(fresh: Plant) -> None:
    victim, thief = fresh.credential(), fresh.credential(device="pump-2")
    with Client(fresh.encrypted(victim), client_id="pump-1", session_s=60) as device:
        for client_id in ("pump-1", victim["username"]):
            with Client(fresh.encrypted(thief), client_id=client_id, session_s=60) as other:
                assert other.is_in
        assert device.say(f"{OWN}/telemetry") == TAKEN
        assert device.is_in


def handshake(port: int, context: ssl.SSLContext) -> str | None:
    """Which version of TLS a listener agrees to."""
    with (
        socket.create_connection((LOOPBACK, port), 5) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as encrypted,
    ):
        return encrypted.version()


@pytest.mark.parametrize("listener", ["password_port", "certificate_port"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_and_none_are_refused(plant: Plant, listener: str) -> None:
    port = getattr(plant.broker.server.encrypted, listener)
    context = ssl.create_default_context(cafile=plant.certificates / "ca.crt")
    ours = plant.certified(plant.credential(kind="certificate")["username"]).trust
    assert ours.certificate is not None
    context.load_cert_chain(ours.certificate, ours.key)
    context.set_ciphers("ALL:@SECLEVEL=0")  # so that it is the broker who refuses
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(port, context)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(port, context) == "TLSv1.2"
    with Client(Broker(LOOPBACK, port, username="operator", password="x")) as unencrypted:
        assert not unencrypted.is_in


def test_a_broker_of_another_authority_is_not_believed(plant: Plant, tmp_path: Path) -> None:
    ensure_authority(tmp_path)
    assert plant.broker.server.encrypted is not None
    context = Broker.parse("mqtts://localhost", trust=Trust(tmp_path / "ca.crt")).encryption()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(plant.broker.server.encrypted.password_port, context)


# Certificates ---------------------------------------------------------------------------------------------------------


def test_a_certificate_opens_what_its_name_may(fresh: Plant, everything: Client) -> None:
    credential = fresh.credential(kind="certificate")
    with Client(fresh.certified(credential["username"])) as device:
        assert device.is_in
        assert device.say(f"{OWN}/telemetry", b"certified") == TAKEN
        assert device.say("bellwether/v1/demo/pump-2/telemetry") == NOT_AUTHORISED
        assert device.hear("#") == NOT_AUTHORISED
        until(lambda: (f"{OWN}/telemetry", b"certified") in everything.messages)


def test_a_certificate_is_who_it_is_whatever_name_is_given_beside(fresh: Plant) -> None:
    mine, others = fresh.credential(kind="certificate"), fresh.credential(device="pump-2")
    certified = fresh.certified(mine["username"])
    operator = fresh.broker.of("operator")
    for username, password in ((others["username"], others["password"]), (operator.username, operator.password)):
        posing = Broker.parse(str(certified), username, password, certified.trust)
        with Client(posing, client_id=others["username"]) as device:
            assert device.say("bellwether/v1/demo/pump-2/telemetry") == NOT_AUTHORISED
            assert device.hear("#") == NOT_AUTHORISED


def test_no_certificate_and_one_of_another_authority_are_refused(fresh: Plant, tmp_path: Path) -> None:
    credential = fresh.credential(kind="certificate")
    foreign = fresh.certified(credential["username"], tmp_path)
    none = Broker.parse(str(foreign), trust=Trust(fresh.certificates / "ca.crt"))
    for broker in (foreign, none):
        with Client(broker) as device:
            assert not device.is_in


def test_a_revoked_certificate_opens_nothing(fresh: Plant, everything: Client) -> None:
    credential = fresh.credential(kind="certificate")
    certified = fresh.certified(credential["username"])
    with Client(certified) as device:
        fresh.revoke(credential)
        until(lambda: device.ended, within_s=REVOKED_WITHIN_S)
    will = f"{OWN}/status", b"revoked"
    with Client(certified, will=will) as again:
        if again.is_in:  # the broker asks only the authority who may connect; what it may do is nothing
            assert again.say(f"{OWN}/telemetry", b"revoked") == NOT_AUTHORISED
            assert again.hear(f"{OWN}/ack") == NOT_AUTHORISED
            again.lose_the_network()
            until(lambda: again.ended)
    with Client(fresh.plain(fresh.credential())) as after:
        assert after.say(f"{OWN}/telemetry", b"after the revoked") == TAKEN
    until(lambda: (f"{OWN}/telemetry", b"after the revoked") in everything.messages)
    assert b"revoked" not in [payload for _, payload in everything.messages]


# The gate under pressure ----------------------------------------------------------------------------------------------


def test_a_change_outlives_a_broker_that_is_killed_right_after_it(fresh: Plant) -> None:
    gone = fresh.credential()
    with Client(fresh.plain(gone)) as device:
        fresh.revoke(gone)
        until(lambda: device.ended)
    made = fresh.credential()
    fresh.kill_the_broker()
    with Client(fresh.plain(made)) as device:
        assert device.is_in
        assert device.say(f"{OWN}/telemetry") == TAKEN
    with Client(fresh.plain(gone)) as device:
        assert device.welcome == NOT_AUTHORISED
    assert fresh.state(made) == "active"


def test_what_was_decided_while_the_broker_was_away_is_carried_over(fresh: Plant) -> None:
    revoked = fresh.credential()
    paused = fresh.broker.pid
    os.kill(paused, signal.SIGSTOP)
    try:
        waiting = fresh.credential(wait=False)
        fresh.revoke(revoked)
        time.sleep(0.5)
        assert fresh.state(waiting) == "pending"
    finally:
        os.kill(paused, signal.SIGKILL)
    until(lambda: fresh.state(waiting) == "active", within_s=60)
    with Client(fresh.plain(waiting)) as device:
        assert device.is_in
    until(lambda: fresh.is_shut_out(revoked))


def test_the_gate_outlives_the_loss_of_its_database(fresh: Plant, module_database: Database) -> None:
    with module_database.owner() as conn:
        ended = conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'bellwether gate' AND datname = current_database()"
        ).fetchall()
    assert ended == [(True,)]
    made = fresh.credential(wait=False)
    until(lambda: fresh.state(made) == "active")


def test_what_should_not_be_there_goes_and_nobody_elses(fresh: Plant) -> None:
    made = fresh.credential()
    stranger = made["username"].rpartition("-")[0] + "-stranger"
    for name in (stranger, "somebody-else"):
        fresh.tell(
            {"command": "createClient", "username": name, "password": "a password", "roles": [{"rolename": "operator"}]}
        )
    fresh.tell({
        "command": "modifyRole",
        "rolename": "devices",
        "acls": [{"acltype": "publishClientSend", "topic": "#", "priority": 0, "allow": True}],
    })  # fmt: skip
    with Client(Broker.parse(fresh.broker.url, stranger, "a password")) as client:
        assert client.is_in
        fresh.kill_the_broker()

    until(lambda: fresh.is_shut_out({"username": stranger, "password": "a password"}), every_s=0.2)
    for broker in (fresh.plain(made), Broker.parse(fresh.broker.url, "somebody-else", "a password")):
        with Client(broker) as client:
            assert client.is_in
    with Client(fresh.broker.of("devices")) as fleet:
        assert fleet.say("zigbee2mqtt/lamp") == NOT_AUTHORISED, "rights of our services are those of this release"
        assert fleet.say(f"{OWN}/telemetry") == TAKEN
    fresh.tell({"command": "deleteClient", "username": "somebody-else"})


def test_what_the_broker_has_forgotten_is_said_to_be_lost(fresh: Plant) -> None:
    made = fresh.credential()
    fresh.tell({"command": "deleteClient", "username": made["username"]})
    fresh.kill_the_broker()
    until(lambda: fresh.state(made) == "lost")


def test_a_password_sealed_for_another_gate_is_lost_and_holds_up_nobody(
    fresh: Plant, module_database: Database
) -> None:
    with module_database.owner() as conn:
        row = conn.execute(
            "INSERT INTO device_credentials (tenant, device_id, device, name, kind, username, sealed, created_by)"
            " SELECT tenant, id, device, 'x', 'password', (SELECT prefix FROM gate) || 'x', 'sealed', 'x' FROM devices"
            " WHERE tenant = 'demo' AND device = 'pump-1' RETURNING id"
        ).fetchone()
    assert row is not None
    fresh.credential()
    until(lambda: fresh.state({"id": row[0]}) == "lost")


def test_the_doctor_says_which_credentials_need_somebody(fresh: Plant, module_database: Database) -> None:
    soon = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    fresh.credential(expires_at=soon)
    lost = fresh.credential()
    with module_database.owner() as conn:
        before = gate.glance(conn)
        assert before is not None
        conn.execute("UPDATE device_credentials SET missing_at = now() WHERE id = %s", [lost["id"]])
        after = gate.glance(conn)
    assert after is not None
    assert (before.lost, before.ending, after.lost) == (0, 1, 1)
    said = {finding.check: finding.verdict for finding in credential_findings(after)}
    assert said == {"gate": "ok", "credentials": "warning"}
    assert [f.verdict for f in credential_findings(replace(after, gate_age_s=99.0, lost=0, ending=0))] == ["warning"]
    with psycopg.connect(module_database.url("notify")) as conn:
        assert gate.glance(conn) is None


# Devices that come and go ---------------------------------------------------------------------------------------------


def rejects_of(database: Database, device: str) -> set[str]:
    with database.owner() as conn:
        topic = f"bellwether/v1/demo/{device}/telemetry"
        rows = conn.execute("SELECT DISTINCT reason FROM rejects WHERE topic = %s", [topic]).fetchall()
    return {reason for (reason,) in rows}


def test_who_is_admitted_and_who_is_turned_away(fresh: Plant, module_database: Database) -> None:
    manager, administrator = fresh.api.client(Role.MANAGER), fresh.api.client()

    def device(name: str) -> JSON:
        return ok(manager.get(f"/api/v1/devices/{name}"))

    def sent(name: str) -> None:
        with Device(fresh.broker, name) as sender:
            sender.send({"flow": 3})

    with ingesting(module_database, fresh.broker):
        sent("newcomer")
        until(lambda: manager.get("/api/v1/devices/newcomer").status_code == 200)
        assert device("newcomer")["state"] == "admitted", "open: admitted with its first message"

        assert ok(administrator.put("/api/v1/admission", json={"policy": "registered"})) == {"policy": "registered"}
        ok(manager.post("/api/v1/devices", json={"device": "expected", "kind": "pump"}), 201)
        assert device("expected")["state"] == "registered"
        credential = fresh.credential(device="newcomer")
        ok(manager.post("/api/v1/devices/newcomer/retire"))
        assert device("newcomer")["state"] == "retired"
        assert fresh.state(credential) == "revoked"

        def turned_away() -> bool:
            sent("newcomer")
            return rejects_of(module_database, "newcomer") == {"the device is retired"}

        until(turned_away, every_s=0.5)  # what was decided before that is in force, too
        sent("stranger")
        until(lambda: rejects_of(module_database, "stranger") == {"not a registered device"})
        sent("expected")
        until(lambda: device("expected")["state"] == "admitted")
        ok(administrator.put("/api/v1/admission", json={"policy": "open"}))


def test_a_device_is_replaced_and_its_history_stays_with_it(fresh: Plant) -> None:
    manager = fresh.api.client(Role.MANAGER)
    ok(manager.post("/api/v1/devices", json={"device": "old", "kind": "pump", "site": "Hall 2"}), 201)
    credential = fresh.credential(device="old")
    new = ok(manager.post("/api/v1/devices/old/replace", json={"device": "new"}), 201)
    assert (new["kind"], new["site"], new["replaces"], new["state"]) == ("pump", "Hall 2", "old", "registered")
    old = ok(manager.get("/api/v1/devices/old"))
    assert (old["replaced_by"], old["state"]) == ("new", "retired")
    assert fresh.state(credential) == "revoked"
    for path, body in (
        ("/old/replace", {"device": "newer"}),  # it is retired
        ("/new/replace", {"device": "pump-1"}),  # that one exists
        ("/new/replace", {"device": "new"}),
    ):
        refused(manager.post(f"/api/v1/devices{path}", json=body), 409)
    refused(manager.post("/api/v1/devices", json={"device": "old"}), 409)
    refused(manager.post("/api/v1/credentials", json={"device": "old"}), 403)
    refused(fresh.api.client().post("/api/v1/credentials", json={"device": "old"}), 409)


def test_a_retired_device_comes_back_by_being_registered(fresh: Plant) -> None:
    manager = fresh.api.client(Role.MANAGER)
    ok(manager.post("/api/v1/devices", json={"device": "spare"}), 201)
    refused(manager.post("/api/v1/devices", json={"device": "spare"}), 409)
    ok(manager.post("/api/v1/devices/spare/retire"))
    first = ok(manager.post("/api/v1/devices/spare/retire"))["retired_at"]
    assert ok(manager.get("/api/v1/devices/spare"))["retired_at"] == first
    assert ok(manager.post("/api/v1/devices", json={"device": "spare"}), 201)["state"] == "registered"


def test_without_a_gate_no_credential_is_promised(own_api: RunningApi) -> None:
    ok(own_api.client().post("/api/v1/devices", json={"device": "pump-1"}), 201)
    refused(own_api.client().post("/api/v1/credentials", json={"device": "pump-1"}), 409)
