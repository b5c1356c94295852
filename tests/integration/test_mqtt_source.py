"""The source of messages against a real broker: what it relies on in paho, how it keeps up, and its two lanes."""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from ingesting import Device, ingesting, now_ms
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from servers import Database, RunningBroker, served_folder
from waiting import until

import ingest.broker.backlog
import ingest.broker.buffered
import ingest.broker.lag
import ingest.broker.mqtt
import ingest.broker.session
from bellwether.certs import ensure_authority, ensure_server
from bellwether.stack import packages, port
from bellwether.stack.account import Account
from bellwether.stack.mosquitto import USERS, Encrypted, Mosquitto
from bellwether.stack.supervisor import Supervisor
from ingest.broker.buffered import Connection
from ingest.broker.mqtt import MqttSource
from ingest.messages import Message
from store.errors import Misconfigured
from telemetry import Broker, Trust

TOPIC = "bellwether/v1/demo/pump-1/telemetry"


@dataclass
class Taking:
    """A loop that takes deliveries and keeps them; `pace_s` is what each costs it, `held` stops it before its next."""

    source: MqttSource
    pace_s: float = 0.0
    messages: list[Message] = field(default_factory=list)
    early: list[Message] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        for delivery in self.source.deliveries():
            while self.held.is_set():
                time.sleep(0.01)
            (self.early if delivery.early else self.messages).extend(delivery.messages)
            if delivery.messages:
                time.sleep(self.pace_s)
            delivery.ack()


@contextmanager
def taking(broker: Broker, pace_s: float = 0.0, **wishes: Any) -> Iterator[Taking]:
    """A source and its loop until the block ends, subscribed when it begins."""
    taking = Taking(MqttSource(broker, "taker", **wishes), pace_s)
    thread = threading.Thread(target=taking.run, name="taking")
    thread.start()
    try:
        until(lambda: taking.source.connected)
        yield taking
    finally:
        taking.held.clear()
        taking.source.close()
        thread.join(30)
        assert not thread.is_alive()


def to_ingest(broker: RunningBroker) -> Broker:
    return broker.of("bellwether")


def payloads(messages: Sequence[Message]) -> list[bytes]:
    return [message.payload for message in messages]


def numbered(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


# What is relied upon of paho ------------------------------------------------------------------------------------------


def test_messages_come_with_type_and_size_and_once(broker: RunningBroker) -> None:
    large = bytes(range(256)) * 6000
    cbor = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    cbor.ContentType = "application/cbor"
    to = broker.of("devices")
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(to.username, to.password)
    client.connect(to.host, to.port)
    client.loop_start()
    with taking(to_ingest(broker)) as taker:
        client.publish(TOPIC, b"qos 0", qos=0)
        client.publish(TOPIC, b"qos 1", qos=1)
        client.publish(TOPIC, b"qos 2", qos=2)
        client.publish(TOPIC, b"\xa0", qos=1, properties=cbor)
        client.publish(TOPIC, large, qos=1)
        until(lambda: len(taker.messages) >= 5)
    assert sorted(taker.messages) == sorted([
        Message(TOPIC, b"qos 0"),
        Message(TOPIC, b"qos 1"),
        Message(TOPIC, b"qos 2"),
        Message(TOPIC, b"\xa0", "application/cbor"),
        Message(TOPIC, large),
    ])  # fmt: skip
    with taking(to_ingest(broker)) as again:
        client.publish(TOPIC, b"last", qos=1)
        until(lambda: again.messages)
    assert again.messages == [Message(TOPIC, b"last")], "what was acknowledged came again"
    client.disconnect()
    client.loop_stop()


def test_paho_reads_through_our_connection_and_a_delivery_is_acknowledged_by_one_write(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version of paho that makes its socket or queues its packets in another way fails here."""
    written: list[int] = []
    send = Connection.send

    def note_and_send(connection: Connection, data: bytes | bytearray) -> int:
        if data[0] == 0x40:
            written.append(len(data))
        return send(connection, data)

    monkeypatch.setattr(Connection, "send", note_and_send)
    with taking(to_ingest(broker)) as taker, Device(broker) as device:
        assert isinstance(taker.source._main.session._client.socket(), Connection)
        taker.held.set()
        device.send(b"first")
        device.send(*numbered(1000))
        until(lambda: taker.source.unacknowledged >= 1000)
        taker.held.clear()
        until(lambda: sum(written) >= 4 * 1001)  # markers are acknowledged too
    assert len(written) < 100


def test_unacknowledged_they_come_again_and_say_so(broker: RunningBroker) -> None:
    with Device(broker) as device:
        with taking(to_ingest(broker)) as taker:
            taker.held.set()
            device.send(*numbered(300))
            until(lambda: taker.source.unacknowledged >= 300)
            taker.source._main.session._client.break_off()
            until(lambda: taker.source._main.session.connections == 2 and taker.source.unacknowledged >= 300)
            taker.held.clear()
            until(lambda: taker.source.unacknowledged == 0 and len(taker.messages) >= 600)
        fresh = [message.payload for message in taker.messages if not message.again]
        again = [message.payload for message in taker.messages if message.again]
        assert fresh == again == numbered(300)


def test_over_tls_nothing_is_left_in_what_was_read_ahead(
    programs: packages.Programs, account: Account, tmp_path: Path
) -> None:
    """The kernel knows nothing of what TLS has read: asked alone, it would say that there is no more."""
    authority = ensure_authority(tmp_path)
    issued = ensure_server(tmp_path, authority)
    with served_folder(account) as folder:
        encrypted = Encrypted(
            port.choose("TLS"), port.choose("certificates"), tmp_path / "ca.crt", issued.certificate, issued.key
        )
        passwords = {user: secrets.token_urlsafe() for user in USERS}
        server = Mosquitto(programs, folder, port.choose("Mosquitto"), passwords, account, encrypted)
        server.create()
        with Supervisor(folder, lambda *_: None) as supervisor:
            supervisor.start(server.role())
            broker = Broker.parse(
                f"mqtts://localhost:{encrypted.password_port}",
                "bellwether",
                passwords["bellwether"],
                Trust(tmp_path / "ca.crt"),
            )
            with taking(broker) as taker, Device(RunningBroker(server, supervisor)) as device:
                sent = [number * 20 for number in numbered(3000)]
                device.send(*sent)
                until(lambda: len(taker.messages) >= len(sent) and taker.source.unacknowledged == 0)
    assert payloads(taker.messages) == sent


# Answers --------------------------------------------------------------------------------------------------------------


def test_what_is_sent_reaches_a_device_and_is_let_go_without_a_connection(broker: RunningBroker) -> None:
    to, came = broker.of("devices"), []
    topic = "bellwether/v1/demo/pump-1/ack"
    device = mqtt.Client(CallbackAPIVersion.VERSION2)
    device.username_pw_set(to.username, to.password)
    device.on_message = lambda _, __, message: came.append(message.payload)
    device.connect(to.host, to.port)
    device.subscribe(topic, qos=1)
    device.loop_start()
    with taking(to_ingest(broker)) as taker:

        def answered() -> bool:
            taker.source.send(topic, b"7")
            return bool(came)

        until(answered)
        taker.source.send(topic, b"kept", retain=True)
        until(lambda: b"kept" in came)
        os.kill(broker.pid, signal.SIGSTOP)
        began = time.monotonic()
        for _ in range(2 * ingest.broker.session.UNSENT_MESSAGES):
            taker.source.send(topic, b"too many")
        assert time.monotonic() - began < 10
        os.kill(broker.pid, signal.SIGCONT)
    taker.source.send(topic, b"too late")
    time.sleep(0.2)
    assert b"too late" not in came
    assert came.count(b"too many") <= ingest.broker.session.UNSENT_MESSAGES
    device.disconnect()
    device.loop_stop()


# Pressure -------------------------------------------------------------------------------------------------------------


def test_a_connection_outlives_a_loop_that_takes_nothing(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away for minutes, and messages so large that the socket is not read."""
    monkeypatch.setattr(ingest.broker.mqtt, "HELD_BYTES", 100_000)
    monkeypatch.setattr(ingest.broker.session, "KEEPALIVE_S", 5)
    with taking(to_ingest(broker)) as taker, Device(broker) as device:
        taker.held.set()
        sent = [number * 10_000 for number in numbered(100)]
        device.send(b"first", *sent)
        until(lambda: not taker.source._main.has_room(0))
        time.sleep(9)  # the broker gives up after one and a half times as long as was agreed
        assert taker.source.connected
        assert taker.source._main.session.connections == 1
        taker.held.clear()
        until(lambda: len(taker.messages) >= 101)
        assert taker.source._main.session.connections == 1
    assert payloads(taker.messages) == [b"first", *sent]


def test_it_stops_in_the_middle_of_a_backlog_and_goes_on_where_it_stopped(broker: RunningBroker) -> None:
    with Device(broker) as device:
        with taking(to_ingest(broker)):
            pass
        device.send(*numbered(20_000))
        with taking(to_ingest(broker), pace_s=0.4) as first:
            until(lambda: first.messages)
            began = time.monotonic()
        assert time.monotonic() - began < 10
        assert len(first.messages) < 20_000
        with taking(to_ingest(broker)) as second:
            until(lambda: len(first.messages) + len(second.messages) >= 20_000)
            until(lambda: second.source.unacknowledged == 0)
    assert payloads([*first.messages, *second.messages]) == numbered(20_000)


# Two lanes ------------------------------------------------------------------------------------------------------------


def test_how_far_behind_is_known_and_markers_are_nobody_s_messages(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.broker.lag, "EVERY_S", 0.1)
    with taking(to_ingest(broker)) as taker:
        taker.held.set()
        until(lambda: taker.source.lag_s > 0.5)
        taker.held.clear()
        until(lambda: taker.source.lag_s < 0.3)
        assert not taker.source._backlog.live
    assert taker.messages == []


def test_a_broker_that_forbids_markers_costs_no_more_than_they_would_tell(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ingest.broker.lag, "EVERY_S", 0.1)
    monkeypatch.setattr(ingest.broker.backlog, "PATIENCE_S", 0.0)
    monkeypatch.setattr(ingest.broker.backlog, "BEHIND_S", 0.1)
    topic = "bellwether/v1/demo/pump-1/config"
    with taking(broker.of("devices"), filters=[topic]) as taker:
        until(lambda: "the broker refuses our markers" in caplog.text)
        taker.held.set()
        time.sleep(0.5)
        taker.held.clear()
        time.sleep(0.5)
        assert taker.source.connected
        assert not taker.source._backlog.live


def test_a_broker_that_keeps_other_fleets_from_us_lets_us_hear_ours(
    broker: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """`devices` may hear its configuration and little else."""
    topic = "bellwether/v1/demo/pump-1/config"
    with taking(broker.of("devices"), filters=[topic, "plant/+/state"]) as taker:
        until(lambda: "the broker refuses to let us hear a filter" in caplog.text)
        time.sleep(1.5)
        assert taker.source.connected


def test_a_broker_that_keeps_our_own_fleet_from_us_is_a_wrong_setting(broker: RunningBroker) -> None:
    source = MqttSource(broker.of("devices"), "nobody", ["bellwether/v1/+/+/telemetry"])
    with pytest.raises(Misconfigured, match=r"subscribing to bellwether/v1/\+/\+/telemetry"):
        for _ in source.deliveries():
            pass


def test_what_is_new_is_stored_at_once_while_a_backlog_drains(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database takes 200 ms for each transaction of readings, until enough was seen of what a live device waits."""
    monkeypatch.setattr(ingest.broker.lag, "EVERY_S", 0.2)
    monkeypatch.setattr(ingest.broker.backlog, "BEHIND_S", 0.5)
    monkeypatch.setattr(ingest.broker.backlog, "PATIENCE_S", 0.5)
    monkeypatch.setattr(ingest.broker.buffered, "READ_BYTES", 8192)
    monkeypatch.setattr(ingest.broker.mqtt, "BATCH_MESSAGES", 100)
    backlog, begun_ms, enough = 30_000, now_ms() - 3_600_000, 8  # a minute's, at 500 a second
    with Device(broker) as device, Device(broker, "live") as live:
        with ingesting(database, broker):
            pass
        device.send(*({"ts": begun_ms + number, "flow": number % 100} for number in range(backlog)))
        overtaken: list[int] = []
        with database.owner() as conn:
            conn.execute("CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$"
                         " BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$")  # fmt: skip
            conn.execute("CREATE TRIGGER dawdle AFTER INSERT ON journal EXECUTE FUNCTION dawdle()")
            with ingesting(database, broker) as running:

                def stored(device: str) -> int:
                    row = conn.execute(
                        "SELECT count(*) FROM readings r JOIN streams s ON s.id = r.stream_id WHERE s.device = %s",
                        [device],
                    ).fetchone()
                    return int(row[0]) if row else 0

                # What comes while the lane opens waits for its turn in the queue.
                until(lambda: (lane := running.source._backlog.live) and lane.session.connected)
                while len(overtaken) < enough:
                    before = stored("pump-1")
                    live.send({"ts": now_ms(), "flow": 1})
                    until(lambda: stored("live") > len(overtaken), every_s=0.01)
                    overtaken.append(stored("pump-1") - before)
                assert running.source._backlog.live
                assert stored("pump-1") < backlog
                conn.execute("DROP TRIGGER dawdle ON journal")
                until(lambda: stored("pump-1") == backlog)
                assert stored("live") == enough
                until(lambda: not running.source._backlog.live)
    # So much of the backlog went before it.
    assert max(overtaken) < 2000, overtaken
    with database.owner() as conn:
        assert conn.execute("SELECT count(*) FROM rejects").fetchone() == (0,)
