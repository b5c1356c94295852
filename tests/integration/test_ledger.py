"""The ledger against the real broker and database: every message has one fate, gaps show, and devices are told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from ingesting import Device, ingesting, now_ms, until_settled, until_stored
from paho.mqtt.enums import CallbackAPIVersion
from servers import Database, RunningBroker
from waiting import until

import ingest.accounts.sequences
from store import ledger

FATES = ("messages", "messages_stored", "messages_duplicate", "messages_rejected", "messages_dropped")
BOOT = 1_782_907_200


def counted(seq: int, value: Any = None, boot: int | None = BOOT) -> dict[str, Any]:
    message = {"ts": 1_782_907_200_000 + 1000 * seq, "seq": seq, "values": {"flow": seq if value is None else value}}
    return message if boot is None else message | {"boot": boot}


def fates(database: Database, device: str = "pump-1") -> tuple[int, ...]:
    """Received, stored, duplicate, rejected, dropped."""
    until_settled(database)
    with database.owner() as conn:
        row = conn.execute(
            f"SELECT {', '.join(f'coalesce(sum({name}), 0)::int' for name in FATES)} FROM ledger WHERE device = %s",  # noqa: S608
            [device],
        ).fetchone()
    assert row
    assert row[0] == sum(row[1:])
    return row


def right(database: Database) -> bool:
    """Whether the ledger says what the tables say."""
    with database.owner() as conn:
        return ledger.verify(conn)[1] == []


@contextmanager
def hearing(broker: RunningBroker, device: str = "pump-1") -> Iterator[list[dict[str, int]]]:
    """The acknowledgements that a device gets."""
    to = broker.of("devices")
    heard: list[dict[str, int]] = []
    subscribed = threading.Event()
    client = mqtt.Client(callback_api_version=CallbackAPIVersion.VERSION2)
    client.username_pw_set(to.username, to.password)
    client.on_message = lambda _, __, message: heard.append(json.loads(message.payload))
    client.on_connect = lambda client, *_: client.subscribe(f"bellwether/v1/demo/{device}/ack", 1) and None
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect(to.host, to.port)
    client.loop_start()
    assert subscribed.wait(30)
    try:
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def test_each_message_has_one_fate(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker), Device(broker) as device:
        device.send(counted(0), counted(1), counted(2, "text"))  # two stored, one rejected
        until(lambda: fates(database)[0] == 3)
        assert fates(database) == (3, 2, 0, 1, 0)
        device.send(counted(1), counted(2, "text"))  # both known: by what is stored, and by its number
        device.send({"ts": 1_782_907_200_000, "flow": 0})  # the same reading in another form
        device.send(b"{", b'{"flow": null}')  # nobody can read the first, and the second says nothing
        until(lambda: fates(database)[0] == 8)
        assert fates(database) == (8, 3, 3, 2, 0)
        assert right(database)
        with database.owner() as conn:
            assert conn.execute("SELECT count(*) FROM rejects").fetchone() == (2,)


def test_a_device_s_first_word_is_counted_as_its_own(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker), Device(broker) as device:
        device.send({"online": True, "boot": BOOT, "seq": 0}, topic="bellwether/v1/demo/pump-9/status")
        until(lambda: fates(database, "pump-9")[0] == 1)
    assert fates(database, "pump-9") == (1, 1, 0, 0, 0)
    assert fates(database, "") == (0, 0, 0, 0, 0)
    assert right(database)


def test_another_value_of_the_same_time_is_kept_and_is_no_copy(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker), Device(broker) as device:
        device.send({"ts": 1_782_907_200_000, "flow": 1.5})
        device.send({"ts": 1_782_907_200_000, "flow": 2.5}, {"ts": 1_782_907_200_000, "flow": 2.5})
        until(lambda: fates(database)[0] == 3)
        assert fates(database) == (3, 2, 1, 0, 0)
        assert right(database)
        with database.owner() as conn:
            assert conn.execute("SELECT value FROM readings").fetchall() == [(1.5,)]
            assert conn.execute("SELECT value FROM contested").fetchall() == [(2.5,)]


def test_what_is_too_old_is_dropped_where_that_was_asked_for(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker, oldest_days=1) as running, Device(broker) as device:
        device.send({"ts": now_ms() - 2 * 86_400_000, "flow": 1}, {"ts": now_ms(), "flow": 2})
        device.send([{"ts": now_ms() - 2 * 86_400_000, "flow": 3}, {"ts": now_ms(), "flow": 4}])
        until(lambda: fates(database)[0] == 3)
        assert fates(database) == (3, 2, 0, 0, 1)
        assert right(database)
        with database.owner() as conn:
            assert conn.execute("SELECT value FROM readings ORDER BY value").fetchall() == [(2,), (4,)]
            assert conn.execute("SELECT sum(dropped)::int FROM ledger").fetchone() == (2,)
        assert running.failures == []


def test_a_device_is_told_what_is_stored_and_nothing_beyond_a_gap(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker), Device(broker) as device, hearing(broker) as heard:
        device.send(counted(0), counted(1), counted(2, "text"), counted(5))
        until(lambda: {"boot": BOOT, "seq": 2} in heard)
        device.send(counted(3), counted(4))
        until(lambda: {"boot": BOOT, "seq": 5} in heard)
        device.send(counted(1))  # it has not heard
        until(lambda: len([each for each in heard if each["seq"] == 5]) > 1)
        device.send(counted(0, boot=BOOT + 60))
        until(lambda: {"boot": BOOT + 60, "seq": 0} in heard)
        device.send(counted(6, boot=None))
        until(lambda: fates(database)[0] == 9)
        assert max(each["seq"] for each in heard) == 5


def test_who_has_said_what_survives_a_restart(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker), Device(broker) as device:
        device.send(counted(0), counted(1), counted(3))
        until_stored(database, 3)
    with ingesting(database, broker), Device(broker) as device, hearing(broker) as heard:
        device.send(counted(2))
        until(lambda: {"boot": BOOT, "seq": 3} in heard)
    assert fates(database) == (4, 4, 0, 0, 0)


def test_lost_messages_are_an_alarm_of_their_device_that_returns(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.accounts.sequences, "PATIENCE_US", 1_000_000)
    monkeypatch.setattr(ingest.accounts.sequences, "BEGIN_PATIENCE_US", 1_000_000)
    with ingesting(database, broker) as running, Device(broker) as device, hearing(broker) as heard:
        device.send(counted(0), counted(1))
        seq = 5

        def alarm() -> Any:
            nonlocal seq
            device.send(counted(seq))
            seq += 1
            with database.owner() as conn:
                return conn.execute(
                    "SELECT device, fault, active, message FROM alarms WHERE rule = 'data_loss'"
                ).fetchone()

        assert until(alarm, every_s=0.3) == (
            "pump-1",
            "communication",
            True,
            "3 messages lost: their sequence numbers never came",
        )
        until(lambda: heard and heard[-1]["seq"] >= 5)
        device.send(counted(3))  # late, and welcome

        def figures() -> Any:
            with database.owner() as conn:
                return conn.execute("SELECT sum(missing)::int, sum(found)::int FROM ledger").fetchone()

        until(lambda: figures() == (3, 1))
        for losing in running.ingest._ledger._losses._losing.values():
            losing.last_us -= 3_600_000_000
        with database.owner() as conn:
            until(lambda: conn.execute("SELECT active FROM alarms WHERE rule = 'data_loss'").fetchone() == (False,))
        assert right(database)
