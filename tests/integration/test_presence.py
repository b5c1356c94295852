"""Presence and clocks through the real broker and database: one alarm for a site, right times out of wrong ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import paho.mqtt.client as mqtt
import pytest
from ingesting import Device, IngestProcess, count_of, ingesting, now_ms, until_stored
from paho.mqtt.enums import CallbackAPIVersion
from psycopg.types.json import Jsonb
from servers import Database, RunningBroker
from waiting import until

import alarms.presence
import ingest.presence.attendance
from alarms.rules import DEFAULT_RULES, rule_to_json
from telemetry import Quality

DAY_MS = 86_400_000


def rows(database: Database, query: str, *values: Any) -> list[Any]:
    with database.owner() as conn:
        return conn.execute(query, values).fetchall()


def say(database: Database, statement: str, *values: Any) -> None:
    with database.owner() as conn:
        conn.execute(statement, values)


def expect(database: Database, device: str, **said: Any) -> None:
    """A device that is known before it speaks."""
    names = ", ".join(said)
    places = ", ".join(["%s"] * len(said))
    statement = f"INSERT INTO devices (tenant, device, {names}) VALUES ('demo', %s, {places})"  # noqa: S608
    say(database, statement, device, *said.values())


# What a gateway publishes holds all of its devices: each is heard in the same moment as the others, on any machine.
HALLS = '[{"topic": "halls/{hall}", "tenant": "demo", "each": "{device}", "time": "ts"}]'


class Gateway:
    """Publishes a reading of each of its devices twice a second, while it is up."""

    def __init__(self, broker: RunningBroker, devices: list[str]) -> None:
        self.devices = devices
        self._sender = Device(broker, user="operator")  # who may publish anywhere
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            at_ms = now_ms()
            self._sender.begin([{device: {"ts": at_ms, "flow": 1.0} for device in self.devices}], "halls/all")

    def die(self) -> None:
        self._stop.set()
        self._thread.join()
        self._sender.__exit__(None, None, None)


@contextmanager
def gateway(broker: RunningBroker, devices: list[str]) -> Iterator[Gateway]:
    running = Gateway(broker, devices)
    try:
        yield running
    finally:
        running.die()


# A site ---------------------------------------------------------------------------------------------------------------


def test_a_gateway_that_dies_is_one_alarm_though_ingest_is_killed_meanwhile(
    database: Database, broker: RunningBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """36 devices heard twice a second, and expected to be; the gateway dies; one alarm, one parcel to the tickets."""
    monkeypatch.setenv("BELLWETHER_MAPPING", HALLS)
    hall = [f"pump-{number:02d}" for number in range(36)]
    for device in hall:
        expect(database, device, site="Hall 2", expected_interval_s=2)
    for device in ("motor-1", "motor-2"):
        expect(database, device, site="Hall 3", expected_interval_s=2)
    by_id = {rule.id: rule for rule in DEFAULT_RULES}
    site_rule = rule_to_json(by_id["site_lost"]) | {"off_delay_s": 1.0}
    say(
        database,
        "INSERT INTO rules (tenant, id, version, rule, created_by) VALUES ('demo', 'site_lost', 1, %s, 'test')",
        Jsonb(site_rule),
    )

    def told() -> list[tuple[str, str, str]]:
        return rows(
            database,
            "SELECT a.rule, e.kind, a.device FROM alarm_events e JOIN alarms a ON a.id = e.occurrence_id"
            " ORDER BY e.recorded_at",
        )

    log = tmp_path / "ingest.log"
    with gateway(broker, ["motor-1", "motor-2"]), IngestProcess(database, broker, log) as first:
        first.until_awake()
        with gateway(broker, hall):  # until each was heard often enough to be missed
            until(lambda: rows(database, "SELECT count(*) FROM device_presence WHERE presence = 'online'") == [(38,)])
        until(told)
        time.sleep(3)
        assert told() == [("site_lost", "raised", "pump-00")]
        first.kill()
    with gateway(broker, ["motor-1", "motor-2"]), IngestProcess(database, broker, log) as second:
        second.until_awake()
        time.sleep(8)  # longer than their silence may last
        assert told() == [("site_lost", "raised", "pump-00")]
        assert rows(database, "SELECT presence, count(*) FROM device_presence p JOIN devices d ON d.id = p.device_id"
                              " WHERE site = 'Hall 2' GROUP BY 1") == [("site_lost", 36)]  # fmt: skip
        with gateway(broker, hall[:34]):
            until(lambda: len(told()) == 4)
            assert told()[1] == ("site_lost", "returned", "pump-00")
            assert sorted(told()[2:]) == [("silence", "raised", "pump-34"), ("silence", "raised", "pump-35")]
        assert second.stop() == 0
    ((message, severity),) = rows(database, "SELECT message, severity FROM alarms WHERE rule = 'site_lost'")
    assert (message, severity) == ("Hall 2 lost: nothing heard from 36 of 36 devices", "high")
    assert count_of(database, "outbox") == 1


# What devices say -----------------------------------------------------------------------------------------------------


def status_of(database: Database, device: str) -> Any:
    found = rows(database, "SELECT online, online_at, offline_reason FROM devices WHERE device = %s", device)
    return found[0] if found else None


def test_what_the_broker_has_kept_is_of_its_time_and_no_sign_of_life(database: Database, broker: RunningBroker) -> None:
    said_ms = now_ms() - 3 * 3_600_000
    with Device(broker) as pump:
        for device, status in {
            "dated": {"online": True, "ts": said_ms, "gateway": "gw-1"},
            "undated": {"online": True},
            "gone": {"online": False, "reason": "maintenance"},
        }.items():
            body = orjson.dumps(status)
            pump._client.publish(f"bellwether/v1/demo/{device}/status", body, qos=1, retain=True).wait_for_publish(10)
    with ingesting(database, broker):
        until(lambda: count_of(database, "devices") == 3)
    first = {device: status_of(database, device) for device in ("dated", "undated", "gone")}
    assert first["dated"][1] == datetime.fromtimestamp(said_ms / 1000, UTC)
    assert datetime.now(UTC) - first["undated"][1] < timedelta(minutes=1)
    assert first["gone"][2] == "maintenance"
    with ingesting(database, broker, "another-session"), Device(broker, "marker") as marker:
        marker.send({"flow": 1})
        until_stored(database, 1)
    assert {device: status_of(database, device) for device in first} == first
    assert rows(database, "SELECT heard_at FROM device_presence WHERE heard_at IS NOT NULL") == []
    assert rows(database, "SELECT gateway FROM devices WHERE device = 'dated'") == [("gw-1",)]


def test_a_last_will_is_an_alarm_unless_the_device_is_back(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms.presence, "LOST_AFTER_S", 600.0)  # time enough to come back
    monkeypatch.setattr(ingest.presence.attendance, "REFRESH_EVERY_S", 0.5)

    def connect(device: str) -> mqtt.Client:
        to = broker.of("devices")
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set(to.username, to.password)
        # As a device writes it: when it connects, with the time of then.
        will = {"online": False, "reason": "connection lost", "ts": now_ms()}
        client.will_set(f"bellwether/v1/demo/{device}/status", orjson.dumps(will), 1, True)
        client.connect(to.host, to.port)
        client.loop_start()
        until(client.is_connected)
        client.publish(f"bellwether/v1/demo/{device}/status", orjson.dumps({"online": True, "ts": now_ms()}), 1, True)
        client.publish(f"bellwether/v1/demo/{device}/telemetry", orjson.dumps({"ts": now_ms(), "flow": 1}), 1)
        return client

    def break_off(client: mqtt.Client) -> None:
        """As a pulled cable does: no goodbye."""
        client._reconnect_on_failure = False
        client.socket().close()  # type: ignore[union-attr]
        client.loop_stop()

    with ingesting(database, broker):
        lost, back = connect("lost"), connect("back")
        until_stored(database, 2)
        until(lambda: count_of(database, "device_presence") == 2)
        time.sleep(1)
        before = datetime.now(UTC)
        break_off(lost)
        break_off(back)
        until(lambda: [status_of(database, device)[0] for device in ("lost", "back")] == [False, False])
        assert status_of(database, "lost")[1] >= before - timedelta(seconds=1), "not when the will was written"
        again = connect("back")
        until(lambda: status_of(database, "back")[0] is True)
        monkeypatch.setattr(alarms.presence, "LOST_AFTER_S", 1.0)
        until(lambda: count_of(database, "alarms"))
        time.sleep(1)
        again.disconnect()
        again.loop_stop()
    assert rows(database, "SELECT rule, device FROM alarms") == [("silence", "lost")]


# Clocks ---------------------------------------------------------------------------------------------------------------


def test_the_servers_clock_set_a_day_on_and_back_is_no_event(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing lost, doubled, late or ahead; nobody accused; and what has no time of its own is of the right day."""
    off_us = 0
    for device in ("pump-1", "pump-2", "bare"):
        expect(database, device, expected_interval_s=5)
    began = datetime.now(UTC)
    with (
        ingesting(database, broker, clock_us=lambda: time.time_ns() // 1000 + off_us),
        Device(broker, "pump-1") as one,
        Device(broker, "pump-2") as two,
        Device(broker, "bare") as bare,
    ):
        sent = 0
        for by_us in (0, 86_400_000_000, 0, -86_400_000_000, 0):
            off_us = by_us
            for _ in range(6):
                stamp = now_ms()
                one.send({"ts": stamp, "flow": 1})
                two.send({"ts": stamp, "flow": 1})
                bare.send({"flow": 1})
                sent += 3
                time.sleep(0.25)
        until_stored(database, sent)
    assert rows(database, "SELECT DISTINCT quality FROM readings ORDER BY 1") == [(0,), (int(Quality.ARRIVAL_TIME),)]
    ((earliest, latest),) = rows(database, "SELECT min(time), max(time) FROM readings")
    assert began - timedelta(seconds=1) < earliest < latest < datetime.now(UTC) + timedelta(seconds=1)
    assert rows(database, "SELECT * FROM alarms") == []
    assert rows(database, "SELECT * FROM rejects") == []


def off_by_s(database: Database, device: str) -> list[float]:
    """How far stored times are from what was written into the value: the true time in seconds."""
    found = rows(
        database,
        "SELECT extract(epoch FROM r.time) - r.value FROM readings r JOIN streams s ON s.id = r.stream_id"
        " WHERE device = %s ORDER BY r.value",
        device,
    )
    return [float(off_s) for (off_s,) in found]


def message(boot: int, seq: int, off_ms: int) -> dict[str, Any]:
    time.sleep(0.002)  # each at another millisecond
    true_ms = now_ms()
    return {"ts": true_ms + off_ms, "boot": boot, "seq": seq, "values": {"moment": true_ms / 1000}}


@pytest.mark.parametrize("off_ms", [DAY_MS + 60_000, 600_000, -now_ms()], ids=["ahead", "a little ahead", "1970"])
def test_stamps_are_mended_once_and_for_ever(
    database: Database, broker: RunningBroker, tmp_path: Path, off_ms: int
) -> None:
    """Ahead by more than may be, by less, and a clock that begins with 1970; two runs; ingest killed in between."""
    expect(database, "pump-1", clock_policy="correct")
    expect(database, "pump-2", kind="pump")
    with IngestProcess(database, broker, tmp_path / "ingest.log") as first, Device(broker) as pump:
        first.until_awake()
        sent = [message(1, seq, off_ms) for seq in range(5)]
        pump.send(*sent)
        until(lambda: len(off_by_s(database, "pump-1")) == 5)
        first.kill()
        sent += [message(1, 5, off_ms), message(2, 0, off_ms + 7000)]
        pump.send(*sent)  # all of it again, and more
    with IngestProcess(database, broker, tmp_path / "ingest.log") as second, Device(broker) as pump:
        second.until_awake()
        pump.send(*reversed(sent))
        until(lambda: len(off_by_s(database, "pump-1")) >= 7)
        with Device(broker, "pump-2") as kept:
            kept.send(message(1, 0, 600_000), message(1, 1, 600_000))
            until(lambda: len(off_by_s(database, "pump-2")) == 2)
        assert second.stop() == 0
    off_s = off_by_s(database, "pump-1")
    assert len(off_s) == 7, "each once"
    assert max(map(abs, off_s)) < 60, "right by the time that the first message of each run was under way"
    assert rows(database, "SELECT DISTINCT r.quality FROM readings r JOIN streams s ON s.id = r.stream_id"
                          " WHERE device = 'pump-1'") == [(int(Quality.CLOCK),)]  # fmt: skip
    assert rows(database, "SELECT count(*) FROM contested") == [(0,)]
    # The other keeps what its clock shows, which is known of it.
    assert off_by_s(database, "pump-2") == pytest.approx([600, 600], abs=0.1)
    ((quality,),) = rows(
        database,
        "SELECT DISTINCT r.quality FROM readings r JOIN streams s ON s.id = r.stream_id WHERE device = 'pump-2'",
    )
    assert quality == Quality.CLOCK | Quality.FUTURE


def test_how_a_clock_stands_is_written_down(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ingesting(database, broker), Device(broker) as pump:

        def noted() -> int:  # what was on its way for seconds says nothing of a clock, and the next message may
            pump.send({"ts": now_ms() + 3_600_000, "flow": 1})
            return count_of(database, "device_clock")

        until(noted, every_s=0.5)
    ((offset_s, cause),) = rows(database, "SELECT offset_s, cause FROM device_clock")
    assert (offset_s, cause) == (pytest.approx(3600, abs=5), "first")
    ((offset_s,),) = rows(database, "SELECT clock_offset_s FROM device_presence")
    assert offset_s == pytest.approx(3600, abs=5)


def test_a_change_of_policy_is_in_force_for_what_comes_after(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.presence.attendance, "REFRESH_EVERY_S", 0.2)
    monkeypatch.setattr("ingest.loop.BEAT_EVERY_S", 0.2)
    with ingesting(database, broker) as running, Device(broker) as pump:
        before, made_s = message(1, 0, 3_600_000), time.monotonic()
        pump.send(before)
        until_stored(database, 1)
        say(database, "UPDATE devices SET clock_policy = 'correct'")
        until(lambda: running.ingest._attendance.mended)
        pump.send(before, message(1, 1, 3_600_000))
        until_stored(database, 2)
        took_s = time.monotonic() - made_s
    uncorrected, mended = off_by_s(database, "pump-1")
    assert uncorrected == pytest.approx(3600, abs=0.01)
    assert mended == pytest.approx(0, abs=took_s), "by what its first message was on its way"
