"""A fleet that speaks another language, through the real broker into the real database; mappings changed under way."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ingesting import Device, running, until_settled, until_stored
from servers import Database, RunningBroker
from waiting import until

from bellwether import settings as settings_of
from bellwether.mapping import MappingFile, hearing, mappings_of
from ingest.broker.mqtt import MqttSource
from ingest.loop import Ingest
from ingest.mapping import Mappings
from store import ledger as ledger_of

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/mapping"
MANUAL = (ROOT / "docs/mapping.md").read_text()
GATEWAY = """
[[mapping]]
topic = "hall/{gateway}"
tenant = "demo"
each = "nodes/*"
device = "{./id}"
points = [{ at = "flow", unit = "l/min" }]
"""


def entries(text: str) -> list[dict[str, Any]]:
    return list(tomllib.loads(text)["mapping"])


@contextmanager
def mapped(database: Database, broker: RunningBroker) -> Iterator[MqttSource]:
    """Ingest with the mappings of `bellwether.toml` in the working directory, as the role puts it together."""
    settings = settings_of.load()
    file = MappingFile(settings)
    source = MqttSource(broker.of("bellwether"), "bellwether-ingest", **hearing(mappings_of(settings)))

    def renewed() -> Mappings | None:
        changed = file.renewed()
        if changed is not None:
            source.hear(**hearing(changed))
        return changed

    ingest = Ingest(
        source, database.url("ingest"), mappings=mappings_of(settings), renewed=renewed, unhear=source.hear_no_more_of
    )
    with running(source, ingest):
        yield source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own, where `bellwether.toml` is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Fleet(Device):
    """Publishes on any topic."""

    def __init__(self, broker: RunningBroker) -> None:
        super().__init__(broker, user="operator")


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.owner() as conn:
        return conn.execute(query).fetchall()  # type: ignore[arg-type]  # queries of this file


READINGS = (
    "SELECT s.device, s.point, s.quantity, s.unit, r.value, r.quality FROM readings r"
    " JOIN streams s ON s.id = r.stream_id ORDER BY r.time, s.point, s.device"
)


def no_discrepancy(database: Database) -> None:
    until_settled(database)
    with database.owner() as conn:
        assert not ledger_of.verify(conn)[1]


def test_products_are_stored_and_the_ledger_adds_up(database: Database, broker: RunningBroker, folder: Path) -> None:
    (folder / "bellwether.toml").write_text("\n".join(re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL)))
    with mapped(database, broker), Fleet(broker) as fleet:
        for name in ("tasmota_fahrenheit", "chirpstack_uplink", "shelly1_power", "zigbee2mqtt_button", "tasmota_gone"):
            case = json.loads((GOLDEN / f"{name}.json").read_text())
            fleet.send(case["payload"].encode(), topic=case["topic"])
        fleet.send(b'{"rssi": -70}', topic="shellyplus1pm-a8032ab12345/status/wifi")
        fleet.send(b"perhaps", topic="shellies/shelly1pm-BA1936/relay/0")
        until_stored(database, 10)
        until(lambda: rows(database, "SELECT FROM rejects"))
        until(lambda: rows(database, "SELECT FROM devices WHERE device = 'th16' AND online IS NOT NULL"))
        no_discrepancy(database)
    assert (
        "BME280_temperature",
        "temperature",
        "degC",
        25.0,
    ) in [row[1:5] for row in rows(database, READINGS)]
    assert ("shelly1pm-BA1936", "relay_0_power", "power", "kW", 0.1255, 4) in rows(database, READINGS)
    assert rows(database, "SELECT tenant, device, topic, reason FROM rejects") == [
        (
            "demo",
            "shelly1pm-BA1936",
            "shellies/shelly1pm-BA1936/relay/0",
            "relay_0: the text 'perhaps' is no number, and the mapping has none for it",
        )
    ]
    assert rows(database, "SELECT online FROM devices WHERE device = 'th16'") == [(False,)]


def test_a_gateways_message_counts_for_each_of_its_devices(
    database: Database, broker: RunningBroker, folder: Path
) -> None:
    (folder / "bellwether.toml").write_text(GATEWAY)
    message = {"nodes": [{"id": "a", "flow": 100}, {"id": "b", "flow": 50}, {"id": "b", "flow": "x"}, {"flow": 1}]}
    with mapped(database, broker), Fleet(broker) as fleet:
        fleet.send(message, topic="hall/gateway-1")
        until_stored(database, 2)
        no_discrepancy(database)
    assert [row[:5] for row in rows(database, READINGS)] == [
        ("a", "flow", "flow", "m3/h", 6.0),
        ("b", "flow", "flow", "m3/h", 3.0),
    ]
    assert rows(database, "SELECT device, messages, stored, rejected FROM ledger ORDER BY 1") == [
        ("a", 1, 1, 1),
        ("b", 0, 1, 1),
    ]


def test_a_tenant_that_is_none_of_ours_is_turned_away(database: Database, broker: RunningBroker, folder: Path) -> None:
    (folder / "bellwether.toml").write_text('[[mapping]]\ntopic = "x/{tenant}/{device}"\n')
    with mapped(database, broker), Fleet(broker) as fleet:
        fleet.send({"flow": 1}, topic="x/nobody/pump")
        until(lambda: rows(database, "SELECT FROM rejects"))
        no_discrepancy(database)
    assert rows(database, "SELECT tenant, device, reason FROM rejects") == [(None, None, "no such tenant")]


def test_mappings_change_under_way(
    database: Database, broker: RunningBroker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.loop.BEAT_EVERY_S", 0.1)
    toml = folder / "bellwether.toml"
    toml.write_text('[[mapping]]\ntopic = "old/{device}"\ntenant = "demo"\n')
    with mapped(database, broker) as source, Fleet(broker) as fleet:
        fleet.send({"flow": 1}, topic="old/pump")
        until_stored(database, 1)
        toml.write_text('[[mapping]]\ntopic = "new/#/x"\n')  # wrong: the old one stays
        toml.write_text(
            '[[mapping]]\ntopic = "new/{device}"\ntenant = "demo"\npoints = [{ at = "flow", scale = 1000 }]\n'
        )
        until(lambda: "new/+" in source._filters)

        def new_is_heard() -> bool:
            fleet.send({"flow": 2}, topic="new/pump")
            return (2000.0,) in rows(database, "SELECT value FROM readings")

        until(new_is_heard, every_s=0.3)
        before = rows(database, "SELECT count(*) FROM readings WHERE value = 1")
        fleet.send({"flow": 1}, topic="old/pump")
        fleet.send({"flow": 3}, topic="new/pump")
        until(lambda: (3000.0,) in rows(database, "SELECT value FROM readings"))
        assert rows(database, "SELECT count(*) FROM readings WHERE value = 1") == before, "it is no longer heard"
        assert not rows(database, "SELECT FROM rejects")


def test_what_a_mapping_that_is_gone_had_heard_is_heard_no_more(
    database: Database, broker: RunningBroker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.loop.BEAT_EVERY_S", 0.1)
    (folder / "bellwether.toml").write_text('[[mapping]]\ntopic = "old/{device}"\ntenant = "demo"\n')
    with mapped(database, broker), Fleet(broker) as fleet:
        fleet.send({"flow": 1}, topic="old/pump")
        until_stored(database, 1)
        until(lambda: rows(database, "SELECT FROM heartbeats WHERE detail ? 'mapped'"))
    (folder / "bellwether.toml").write_text("")
    with mapped(database, broker), Fleet(broker) as fleet:
        until(lambda: rows(database, "SELECT FROM heartbeats WHERE NOT detail ? 'mapped'"))
        fleet.send({"flow": 2}, topic="old/pump")
        fleet.send({"flow": 3}, topic="bellwether/v1/demo/pump/telemetry")
        until_stored(database, 2)
    assert not rows(database, "SELECT FROM rejects")


def test_a_wrong_mapping_stops_the_start_with_one_line(folder: Path) -> None:
    (folder / "bellwether.toml").write_text('[[mapping]]\ntopic = "a/{device}"\ntenant = "demo"\npoint = []\n')
    env = {**os.environ, "BELLWETHER_DATABASE_URL": "postgresql://nowhere.invalid/x", "BELLWETHER_MQTT_URL": "mqtt://x"}
    run = subprocess.run(
        [sys.executable, "-m", "bellwether", "ingest"], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith("bellwether: mapping 1 (a/{device}): point: extra inputs")


def test_a_message_is_tried_before_it_comes(folder: Path) -> None:
    (folder / "bellwether.toml").write_text("\n".join(re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL)))
    (folder / "message.json").write_text('{"AM2301": {"Temperature": 77, "Humidity": 150}, "TempUnit": "F"}')
    command = [sys.executable, "-m", "bellwether", "mapping", "test", "--payload", "message.json", "--json", "--topic"]
    run = subprocess.run([*command, "tele/th16/SENSOR"], cwd=folder, capture_output=True, check=False)
    assert run.returncode == 0
    told = json.loads(run.stdout)
    assert [(one["point"], one["value"], one["unit"], set(one["quality"])) for one in told["readings"]] == [
        ("AM2301_temperature", 25.0, "degC", {"arrival_time"}),
        ("AM2301_humidity", 150.0, "%", {"arrival_time", "impossible"}),
    ]
    assert subprocess.run([*command, "nobody/asks"], cwd=folder, capture_output=True, check=False).returncode == 1
