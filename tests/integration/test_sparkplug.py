"""Sparkplug B through the real broker into the real database: edge nodes, their deaths, and our own STATE."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from ingesting import CLIENT_ID, IngestProcess, RunningIngest, now_ms
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions
from servers import Database, RunningBroker
from waiting import until

from firmware_sim.plan import fleet_of
from firmware_sim.sparkplug import EdgeLink, EdgeNode, Point
from firmware_sim.sparkplug_encoding import Metric, Type, payload
from firmware_sim.sparkplug_fleet import simulate
from ingest.broker.mqtt import OURS, MqttSource
from ingest.loop import Ingest
from ingest.sparkplug import FILTER, HostState, SparkplugHost
from store import ledger

HOST_ID = "bellwether"
STATE = f"spBv1.0/STATE/{HOST_ID}"


@contextmanager
def hosting(database: Database, broker: RunningBroker) -> Iterator[RunningIngest]:
    """Ingest that hears edge nodes, until the block ends."""
    state = HostState(HOST_ID)
    source = MqttSource(broker.of("bellwether"), CLIENT_ID, [*OURS, FILTER], [*OURS, FILTER], state=state)
    ingest = Ingest(source, database.url("ingest"), sparkplug=partial(SparkplugHost, state=state))
    failures: list[BaseException] = []

    def run() -> None:
        try:
            ingest.run()
        except BaseException as failure:
            failures.append(failure)

    running = RunningIngest(source, ingest, threading.Thread(target=run, name="ingest"), failures)
    running.thread.start()
    try:
        until(lambda: source.connected or failures)
        yield running
    finally:
        running.stop()


def edge() -> EdgeNode:
    return EdgeNode(
        "demo",
        "edge-1",
        [Point("supply", Type.FLOAT, 24500.0, "mV")],
        {"pump": [Point("flow", Type.DOUBLE, 4.0, "m3/h"), Point("starts", Type.INT32, -1)]},
    )


@contextmanager
def linked(broker: RunningBroker, node: EdgeNode) -> Iterator[EdgeLink]:
    link = EdgeLink(broker.of("devices"), node)
    try:
        yield link
    finally:
        link.close()


@contextmanager
def states(broker: RunningBroker) -> Iterator[list[tuple[dict[str, Any], bool]]]:
    """What is said on our STATE topic at QoS 1, each with whether it was published to be retained."""
    to = broker.of("devices")
    heard: list[tuple[dict[str, Any], bool]] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(to.username, to.password)
    as_published = SubscribeOptions(qos=1, retainAsPublished=True)
    client.on_connect = lambda client, *_: client.subscribe(STATE, options=as_published) and None
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _, __, message: heard.append(
        (json.loads(message.payload), message.retain and message.qos == 1)
    )
    client.connect(to.host, to.port)
    client.loop_start()
    try:
        assert subscribed.wait(30)
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def values(database: Database) -> dict[tuple[str, str], list[float]]:
    """All values by device and point, in the order of their times."""
    found: dict[tuple[str, str], list[float]] = {}
    with database.owner() as conn:
        for device, point, value in conn.execute(
            "SELECT device, point, value FROM readings JOIN streams ON id = stream_id ORDER BY time"
        ):
            found.setdefault((device, point), []).append(value)
    return found


def online(database: Database) -> dict[str, bool | None]:
    with database.owner() as conn:
        return dict(conn.execute("SELECT device, online FROM devices").fetchall())


def rejects(database: Database) -> list[str]:
    with database.owner() as conn:
        return [reason for (reason,) in conn.execute("SELECT reason FROM rejects ORDER BY at")]


def test_births_data_and_deaths_of_a_node_and_its_device(database: Database, broker: RunningBroker) -> None:
    with hosting(database, broker):
        with linked(broker, edge()) as link:
            until(lambda: online(database) == {"edge-1": True, "edge-1.pump": True})
            for i in range(300):
                link.data({"starts": i}, device="pump", stamp_ms=now_ms() + i)
            until(lambda: values(database).get(("edge-1.pump", "starts")) == [-1, *range(300)])
            assert values(database)["edge-1", "supply"] == [24.5]
            link.device_death("pump")
            until(lambda: online(database) == {"edge-1": True, "edge-1.pump": False})
            link.device_birth("pump")
            until(lambda: online(database) == {"edge-1": True, "edge-1.pump": True})
        until(lambda: online(database) == {"edge-1": False, "edge-1.pump": False})
    assert rejects(database) == []
    with database.owner() as conn:
        units = dict(conn.execute("SELECT point, unit FROM streams").fetchall())
    assert units["supply"] == "V"


def test_a_node_that_is_cut_off_is_offline_by_its_last_will(database: Database, broker: RunningBroker) -> None:
    with hosting(database, broker):
        link = EdgeLink(broker.of("devices"), edge())
        until(lambda: online(database) == {"edge-1": True, "edge-1.pump": True})
        link.cut()
        until(lambda: online(database) == {"edge-1": False, "edge-1.pump": False})


def test_a_host_that_comes_late_asks_for_births_and_refuses_what_it_cannot_know(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with linked(broker, edge()) as link:
        with hosting(database, broker):
            link.data({"flow": 5.5}, device="pump")
            until(lambda: link.rebirths == 1)
            until(lambda: online(database) == {"edge-1": True, "edge-1.pump": True})
            until(lambda: ("edge-1.pump", "flow") in values(database))
            assert values(database)["edge-1.pump", "flow"] == [5.5]  # by the birth
            (reason,) = rejects(database)
            assert "in no birth that was heard" in reason
        link.data({"flow": 6.5}, device="pump")
        link.wait_until_taken()
        # One that comes back remembers whom to ask, before they say anything.
        with hosting(database, broker):
            until(lambda: link.rebirths == 2)
            until(lambda: values(database)["edge-1.pump", "flow"][-1] == 6.5)
            link.data({"flow": 7.5}, device="pump")
            until(lambda: values(database)["edge-1.pump", "flow"][-1] == 7.5)
        assert len(rejects(database)) == 1
        silent = link.node
    # And whom it does not hear again is offline.
    with database.owner() as conn:
        conn.execute("UPDATE edge_nodes SET online = true")
        conn.execute("UPDATE devices SET online = true")
    monkeypatch.setattr("ingest.sparkplug.rebirths.REBORN_WITHIN_US", 100_000)
    with hosting(database, broker):
        until(lambda: online(database) == {silent.name: False, f"{silent.name}.pump": False})


def test_killed_it_is_missed_and_asks_again_when_it_is_back(
    database: Database, broker: RunningBroker, tmp_path: Path
) -> None:
    log = tmp_path / "ingest.log"
    with states(broker) as heard, linked(broker, edge()) as link:
        with IngestProcess(database, broker, log) as ingest:
            ingest.until_awake()
            link.data({"flow": 5.5}, device="pump")
            until(lambda: online(database) == {"edge-1": True, "edge-1.pump": True})
            ingest.kill()
        until(lambda: heard[-1][0]["online"] is False)
        link.data({"flow": 6.5}, device="pump", stamp_ms=now_ms() + 1000)
        link.wait_until_taken()
        rebirths = link.rebirths
        with IngestProcess(database, broker, log) as ingest:
            ingest.until_awake()
            until(lambda: values(database)["edge-1.pump", "flow"][-1] == 6.5)
            assert link.rebirths == rebirths + 1
            assert heard[-1][0]["online"] is True
            assert ingest.stop() == 0
        until(lambda: heard[-1][0]["online"] is False)
        assert len(rejects(database)) == 1  # by the alias that nobody had declared yet
        with database.owner() as conn:
            assert ledger.verify(conn)[1] == []


def test_what_never_comes_is_missing_in_the_ledger(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.accounts.sequences.PATIENCE_US", 0)
    with hosting(database, broker), linked(broker, edge()) as link:
        until(lambda: online(database) == {"edge-1": True, "edge-1.pump": True})
        link.data({"flow": 1.0}, device="pump", stamp_ms=now_ms() + 1)
        with link._lock:
            for value in (2.0, 3.0):
                link.node.data({"flow": value}, now_ms(), device="pump")  # made, and never sent
        link.data({"flow": 4.0}, device="pump", stamp_ms=now_ms() + 2)
        until(lambda: link.rebirths == 1)

        def missing() -> int:
            with database.owner() as conn:
                row = conn.execute("SELECT coalesce(sum(missing), 0) FROM ledger WHERE device = 'edge-1'").fetchone()
            assert row
            return int(row[0])

        until(lambda: missing() == 2)
        until(lambda: values(database)["edge-1.pump", "flow"] == [4.0, 1.0, 4.0])


def test_a_group_is_a_tenant(database: Database, broker: RunningBroker) -> None:
    with hosting(database, broker):
        stranger = EdgeNode("nobody", "edge-1", [Point("supply", Type.FLOAT, 1.0)], {})
        with linked(broker, stranger):
            until(lambda: rejects(database))
        assert set(rejects(database)) == {"no such tenant"}
    assert values(database) == {}


def test_our_state_is_retained_and_turns_false_when_we_leave(database: Database, broker: RunningBroker) -> None:
    with states(broker) as heard:
        with hosting(database, broker):
            until(lambda: heard)
            (said, retained) = heard[-1]
            assert retained
            assert said["online"] is True
            assert abs(said["timestamp"] - now_ms()) < 60_000
            with states(broker) as later:
                until(lambda: later == [(said, True)])
        until(lambda: heard[-1][0]["online"] is False)
        assert all(retained for _, retained in heard)
        assert heard[-1][0]["timestamp"] >= said["timestamp"]


def test_our_last_will_is_that_of_the_birth_before_and_we_come_back_with_another(
    database: Database, broker: RunningBroker
) -> None:
    with states(broker) as heard, hosting(database, broker) as running:
        until(lambda: heard)
        birth = heard[-1][0]
        running.source._main.session._client.break_off()  # as a pulled cable
        until(lambda: len(heard) >= 3)
        will, reborn = heard[1][0], heard[2][0]
        assert will == {"online": False, "timestamp": birth["timestamp"]}
        assert reborn["online"] is True
        assert reborn["timestamp"] > birth["timestamp"]
        assert all(retained for _, retained in heard)


def test_the_first_word_is_our_state_and_commands_are_neither_kept_nor_confirmed(
    database: Database, broker: RunningBroker
) -> None:
    with database.owner() as conn:
        conn.execute("INSERT INTO edge_nodes VALUES ('demo', 'edge-9', '', true)")
    to = broker.of("operator")
    heard: list[mqtt.MQTTMessage] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(to.username, to.password)
    client.on_connect = lambda client, *_: client.subscribe("spBv1.0/#", 1) and None
    client.on_message = lambda _, __, message: heard.append(message)
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect(to.host, to.port)
    client.loop_start()
    try:
        assert subscribed.wait(30)
        with hosting(database, broker):
            until(lambda: len(heard) >= 2)
    finally:
        client.disconnect()
        client.loop_stop()
    state, command = [message for message in heard if not message.retain][:2]
    assert (state.topic, state.qos) == (STATE, 1)
    assert (command.topic, command.qos, command.retain) == ("spBv1.0/demo/NCMD/edge-9", 0, False)


def test_who_says_that_we_are_offline_is_contradicted(database: Database, broker: RunningBroker) -> None:
    with states(broker) as heard, hosting(database, broker):
        until(lambda: heard)
        birth = heard[-1][0]
        to = broker.of("devices")
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set(to.username, to.password)
        client.connect(to.host, to.port)
        client.loop_start()
        old_will = {"online": False, "timestamp": birth["timestamp"] - 1}
        client.publish(STATE, json.dumps(old_will), qos=1, retain=True).wait_for_publish(60)
        client.disconnect()
        client.loop_stop()
        until(lambda: [said for said, _ in heard][-2:] == [old_will, birth])


def test_historical_values_are_stored_and_not_scored(database: Database, broker: RunningBroker) -> None:
    with hosting(database, broker), linked(broker, edge()) as link:
        until(lambda: online(database) == {"edge-1": True, "edge-1.pump": True})
        link.data({"flow": 9.0}, device="pump", historical=True, stamp_ms=now_ms() + 1000)
        until(lambda: len(values(database).get(("edge-1.pump", "flow"), [])) == 2)
        with database.owner() as conn:
            late = conn.execute("SELECT value FROM readings WHERE quality & 1 = 1").fetchall()
        assert late == [(9.0,)]


def test_a_fleet_behind_an_edge_node(database: Database, broker: RunningBroker) -> None:
    with hosting(database, broker):
        report = simulate(2, broker.of("devices"), "edge-1", rate_hz=20, for_s=1)
        until(lambda: online(database) == dict.fromkeys(["edge-1", "edge-1.pump-01", "edge-1.gearmotor-01"], False))
        found = values(database)
    assert report.messages == 40
    sensors = sum(len(spec.sensors) for spec in fleet_of(2))
    assert [len(read) for read in found.values()] == [1 + 20] * sensors
    assert report.readings == 20 * sensors
    assert rejects(database) == []


def test_rubbish_on_the_topics_stops_nothing(database: Database, broker: RunningBroker) -> None:
    with hosting(database, broker), linked(broker, edge()) as link:
        until(lambda: online(database) == {"edge-1": True, "edge-1.pump": True})
        client = link._client
        bodies = [b"", b"\xff", b"{}", payload(now_ms(), [Metric("x" * 200, Type.STRING, "y")], 300)]
        for topic in ("DDATA/edge-1/pump", "NDEATH/edge-1", "DBIRTH/edge-1/new", "NBIRTH/edge 2", "NOISE/edge-1"):
            for body in bodies:
                client.publish(f"spBv1.0/demo/{topic}", body)
        link.data({"flow": 8.0}, device="pump")
        until(lambda: values(database).get(("edge-1.pump", "flow"), [])[-1:] == [8.0])
        assert online(database)["edge-1"] is True
