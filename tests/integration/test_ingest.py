"""Ingest between the real broker and the real database: nothing lost, nothing doubled, nothing that stops it."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ingesting import Device, IngestProcess, count_of, ingesting, now_ms, until_settled, until_stored
from psycopg.types.json import Jsonb
from servers import Database, RunningBroker
from waiting import until

import ingest.broker.backlog
import ingest.broker.mqtt
import ingest.broker.session
import ingest.loop
from alarms.events import Severity
from alarms.rules import Rule, rule_to_json
from alarms.watch import Watch
from detectors.limits import Limit, Limits
from ingest.intake import Intake
from ingest.watch.detectors import detectors_for
from store.errors import Misconfigured, Unavailable
from telemetry import Batch, Stream

RULE = Rule(
    "high", "limits", "condition", ((1.0, Severity.HIGH), (2.0, Severity.CRITICAL)), limit=Limit(hi=10, hihi=20)
)


def put_rule(database: Database, rule: Rule, version: int = 1, tenant: str = "demo") -> None:
    with database.owner() as conn:
        conn.execute(
            "INSERT INTO rules (tenant, id, version, rule, created_by) VALUES (%s, %s, %s, %s, 'test')",
            [tenant, rule.id, version, Jsonb(rule_to_json(rule))],
        )


def rejects(database: Database) -> list[tuple[str | None, str | None, str]]:
    with database.owner() as conn:
        return conn.execute("SELECT tenant, device, reason FROM rejects ORDER BY at, reason").fetchall()


def ledger(database: Database) -> dict[str, int]:
    names = ("messages", "stored", "duplicates", "late", "rejected")
    until_settled(database)
    with database.owner() as conn:
        row = conn.execute(f"SELECT {', '.join(f'sum({name})' for name in names)} FROM ledger").fetchone()  # noqa: S608
    assert row
    return dict(zip(names, (int(total) for total in row), strict=True))


def column(seconds_ago: int, values: list[float], point: str = "flow", dt_ms: int = 1000) -> dict[str, Any]:
    return {"t0": now_ms() - seconds_ago * 1000, "dt": dt_ms, "values": {point: values}}


class TableHeld:
    """Nobody can store while this is open: ingest waits inside its transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder = psycopg.connect(database.owner_url)
        self._holder.execute("LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")

    def until_ingest_waits(self) -> int:
        """The process of the database that serves ingest, once it hangs on the table."""
        with self._database.owner() as conn:

            def waiting() -> int:
                row = conn.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'bellwether ingest'"
                    " AND datname = current_database() AND wait_event_type = 'Lock'"
                ).fetchone()
                return int(row[0]) if row else 0

            return until(waiting)

    def release(self) -> None:
        self._holder.rollback()
        self._holder.close()


# Stored once ----------------------------------------------------------------------------------------------------------


def test_every_form_is_stored_with_its_stream_and_the_ledger_adds_up(database: Database, broker: RunningBroker) -> None:
    ts = now_ms() - 60_000
    with ingesting(database, broker), Device(broker) as pump, Device(broker, "motor-1") as motor:
        pump.send(
            {"ts": ts, "temperature": 71.2, "flow": 3},
            {"ts": ts + 1000, "values": {"temperature": 71.3}, "seq": 1},
            [{"ts": ts + 2000, "flow": 4}, {"ts": ts + 3000, "flow": "x"}],
            {"t0": ts + 10_000, "dt": 100, "values": {"vibration": [0.1, 0.2, None, 0.4]}},
        )
        motor.send({"ts": ts, "temperature": 55})
        until_stored(database, 8)
    with database.owner() as conn:
        streams = conn.execute("SELECT device, point, quantity, unit FROM streams ORDER BY 1, 2").fetchall()
        stored = conn.execute(
            "SELECT s.device, s.point, extract(epoch FROM r.time) * 1000, r.value FROM readings r"
            " JOIN streams s ON s.id = r.stream_id ORDER BY 1, 2, 3"
        ).fetchall()
    assert streams == [
        ("motor-1", "temperature", "temperature", "degC"),
        ("pump-1", "flow", "flow", "m3/h"),
        ("pump-1", "temperature", "temperature", "degC"),
        ("pump-1", "vibration", "vibration_velocity", "mm/s"),
    ]
    assert stored == [
        ("motor-1", "temperature", ts, 55),
        ("pump-1", "flow", ts, 3),
        ("pump-1", "flow", ts + 2000, 4),
        ("pump-1", "temperature", ts, 71.2),
        ("pump-1", "temperature", ts + 1000, 71.3),
        ("pump-1", "vibration", ts + 10_000, 0.1),
        ("pump-1", "vibration", ts + 10_100, 0.2),
        ("pump-1", "vibration", ts + 10_300, 0.4),
    ]
    assert rejects(database) == [("demo", "pump-1", "flow: a text is no number")]
    assert ledger(database) == {"messages": 5, "stored": 8, "duplicates": 0, "late": 0, "rejected": 1}


def test_what_is_sent_again_is_stored_once_and_counted(database: Database, broker: RunningBroker) -> None:
    message = column(60, [1, 2, 3])
    with ingesting(database, broker), Device(broker) as device:
        device.send(message, message)
        until_stored(database, 3)
        device.send(message)
        until(lambda: ledger(database)["messages"] == 3)
    assert count_of(database) == 3
    assert ledger(database) == {"messages": 3, "stored": 3, "duplicates": 6, "late": 0, "rejected": 0}


def test_a_late_reading_is_stored_flagged_and_not_scored(database: Database, broker: RunningBroker) -> None:
    put_rule(database, RULE)
    with ingesting(database, broker), Device(broker) as device:
        device.send({"ts": now_ms(), "flow": 1})
        until_stored(database, 1)
        device.send({"ts": now_ms() - 60_000, "flow": 99})
        until_stored(database, 2)
    with database.owner() as conn:
        assert conn.execute("SELECT value, quality FROM readings ORDER BY time").fetchall() == [(99, 1), (1, 0)]
    assert count_of(database, "alarms") == 0
    assert ledger(database)["late"] == 1


def test_a_device_s_status_is_known(database: Database, broker: RunningBroker) -> None:
    topic = "bellwether/v1/demo/pump-1/status"
    with ingesting(database, broker), Device(broker) as device:
        device.send({"online": True, "firmware": "1.4.2", "kind": "pump"}, {"online": "maybe"}, topic=topic)
        device.send({"online": False}, topic=topic)
        with database.owner() as conn:
            wanted = [("pump-1", "pump", "1.4.2", False)]
            until(lambda: conn.execute("SELECT device, kind, firmware, online FROM devices").fetchall() == wanted)
    assert [reason for _, _, reason in rejects(database)] == ['a status is an object with "online", true or false']


# Acknowledged after the commit ----------------------------------------------------------------------------------------


def test_killed_before_the_commit_everything_comes_again(
    database: Database, broker: RunningBroker, tmp_path: Path
) -> None:
    log = tmp_path / "ingest.log"
    with Device(broker) as device:
        with IngestProcess(database, broker, log) as ingest:
            ingest.until_awake()
            held = TableHeld(database)
            device.send(*(column(600 - number, [number]) for number in range(500)))
            held.until_ingest_waits()
            ingest.kill()
            held.release()
        assert count_of(database) == 0
        with IngestProcess(database, broker, log) as ingest:
            ingest.until_awake()
            until_stored(database, 500)
            assert ingest.stop() == 0
    assert ledger(database)["duplicates"] == 0


def test_the_database_s_process_killed_in_the_middle_costs_nothing(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker), Device(broker) as device:
        held = TableHeld(database)
        device.send(*(column(600 - number, [number], f"p{number % 7}") for number in range(200)))
        with database.owner() as conn:
            conn.execute("SELECT pg_terminate_backend(%s)", [held.until_ingest_waits()])
        held.release()
        until_stored(database, 200)
    with database.owner() as conn:
        orphans = conn.execute(
            "SELECT count(*) FROM readings r LEFT JOIN streams s ON s.id = r.stream_id WHERE s.id IS NULL"
        ).fetchone()
    assert orphans == (0,)
    assert ledger(database) == {"messages": 200, "stored": 200, "duplicates": 0, "late": 0, "rejected": 0}


def test_a_commit_that_fails_leaves_no_reading_without_its_stream(database: Database, broker: RunningBroker) -> None:
    """The streams of a transaction that did not commit are not there: the next attempt must make them again."""
    with database.owner() as conn:
        conn.execute(
            """
            CREATE SEQUENCE commits;
            GRANT USAGE ON SEQUENCE commits TO bellwether_ingest;
            CREATE FUNCTION die_once() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('commits') <= 2 THEN
                    PERFORM pg_terminate_backend(pg_backend_pid());
                END IF;
                RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER die_at_commit AFTER INSERT ON streams
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die_once();
            """
        )
    with ingesting(database, broker), Device(broker) as device:
        device.send(column(10, [1, 2, 3]))
        until_stored(database, 3)
        device.send(column(5, [4, 5]))
        until_stored(database, 5)
    with database.owner() as conn:
        found = conn.execute(
            "SELECT s.device, s.point, count(*) FROM readings r LEFT JOIN streams s ON s.id = r.stream_id GROUP BY 1, 2"
        ).fetchall()
        attempts = conn.execute("SELECT last_value FROM commits").fetchone()
    assert found == [("pump-1", "flow", 5)]
    assert attempts == (3,)


def test_a_graceful_stop_stores_and_acknowledges_what_has_arrived(database: Database, broker: RunningBroker) -> None:
    """What was stored has been acknowledged: after the next start nothing of it comes again."""
    with Device(broker) as device:
        with ingesting(database, broker):
            device.begin(column(4000 - number, [number]) for number in range(3000))
            until(lambda: count_of(database) > 100)
        device.finish()
        stopped_at = count_of(database)
        with ingesting(database, broker):
            until_stored(database, 3000)
    assert stopped_at > 100
    assert ledger(database)["duplicates"] == 0


def test_what_was_sent_while_we_were_away_is_waiting(database: Database, broker: RunningBroker) -> None:
    with Device(broker) as device:
        with ingesting(database, broker):
            pass
        device.send(*(column(4000 - number, [number]) for number in range(3000)))
        with ingesting(database, broker) as running:
            until_stored(database, 3000)
            assert running.source.sessions_lost == 0


def test_the_window_bounds_what_is_held(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is slow the broker keeps the rest; nothing is dropped."""
    monkeypatch.setattr(ingest.broker.mqtt, "WINDOW_MESSAGES", 200)
    monkeypatch.setattr(ingest.broker.mqtt, "BATCH_MESSAGES", 50)
    with ingesting(database, broker) as running, Device(broker) as device:
        held = TableHeld(database)
        device.begin(column(4000 - number, [number]) for number in range(2000))
        held.until_ingest_waits()
        until(lambda: running.source.unacknowledged >= 100)
        device.finish()
        assert running.source.unacknowledged <= 200
        held.release()
        until_stored(database, 2000)


def test_large_messages_wait_in_the_socket_rather_than_in_memory(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.broker.mqtt, "HELD_BYTES", 100_000)
    with ingesting(database, broker) as running, Device(broker) as device:
        held = TableHeld(database)
        device.begin(column(4000 - number * 10, [number] * 10, "x" * 100) for number in range(40))
        held.until_ingest_waits()
        device.begin([b'{"flow": 1}' + b" " * 30_000] * 30)
        device.finish()
        until(lambda: not running.source._main.has_room(0))
        assert running.source._main._waiting_bytes < 2 * 100_000
        held.release()
        until_stored(database, 430)
        assert running.source._main.has_room(0)


def test_killed_again_and_again_it_stores_each_reading_once_and_says_what_an_unbroken_run_says(
    database: Database, broker: RunningBroker, tmp_path: Path
) -> None:
    """SIGKILL at any moment: in the transaction, between commit and acknowledgement, between that and scoring."""
    kills_until_stored(database, broker, tmp_path, kills=5, seed=20_261_122)


def test_a_device_that_is_known_by_its_status_alone_begins_to_measure(
    database: Database, broker: RunningBroker
) -> None:
    """Its number is above those of all streams."""
    with ingesting(database, broker), Device(broker) as device:
        device.send(column(60, [1.0]))
        until_stored(database, 1)
        for name in ("pump-2", "pump-3", "pump-4"):
            device.send({"online": True}, topic=f"bellwether/v1/demo/{name}/status")
        until(lambda: count_of(database, "devices") == 4)
        device.send(column(60, [2.0]), topic="bellwether/v1/demo/pump-4/telemetry")
        until_stored(database, 2)
        time.sleep(ingest.loop.BEAT_EVERY_S + 1)  # by now it is known by name
        device.send(column(50, [3.0]), topic="bellwether/v1/demo/pump-3/telemetry")
        until_stored(database, 3)
    assert rejects(database) == []


def test_a_mistake_of_ours_costs_one_message_and_stops_nothing(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Intake._keep

    def mistaken(self: Intake, conn: Any, decoded: Any, arrived_us: int) -> Any:
        if (decoded.batch.value == 13.0).any():
            raise KeyError("thirteen")
        return keep(self, conn, decoded, arrived_us)

    monkeypatch.setattr(Intake, "_keep", mistaken)
    with ingesting(database, broker), Device(broker) as device:
        device.send(*(column(60 - value, [float(value)]) for value in range(10, 16)))
        until_stored(database, 5)
    assert rejects(database) == [("demo", "pump-1", "could not be stored: KeyError: 'thirteen'")]


# Connections ----------------------------------------------------------------------------------------------------------


def test_a_database_away_for_ten_seconds_heals_with_nothing_lost(database: Database, broker: RunningBroker) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database.url("ingest"))["dbname"]
    elsewhere = psycopg.conninfo.make_conninfo(database.owner_url, dbname="postgres")
    with (
        ingesting(database, broker),
        Device(broker) as device,
        psycopg.connect(elsewhere, autocommit=True) as conn,
    ):
        device.send(column(60, [0]))
        until_stored(database, 1)
        conn.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        away_until = time.monotonic() + 10
        sent = 1
        while time.monotonic() < away_until:
            device.send(column(50, [sent], f"p{sent}"))
            sent += 1
            time.sleep(0.2)
        conn.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        until_stored(database, sent)
    assert ledger(database) == {"messages": sent, "stored": sent, "duplicates": 0, "late": 0, "rejected": 0}


def test_a_broker_that_dies_is_found_again(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker) as running:
        with Device(broker) as device:
            device.send(column(60, [1]))
            until_stored(database, 1)
        before = broker.pid
        os.kill(before, signal.SIGKILL)
        # That it is connected alone may be said of the broker that is dead: it takes a moment to be noticed.
        until(lambda: running.source._main.session.connections == 2 and running.source.connected)
        with Device(broker) as device:
            device.send(column(50, [2]))
            until_stored(database, 2)


def test_a_network_thread_that_has_died_is_replaced(
    database: Database, broker: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """The library would say that it is connected, and hear nothing for ever."""
    with ingesting(database, broker) as running, Device(broker) as device:
        dead = running.source._main.session._client
        dead.loop_stop()
        assert dead.is_connected()
        device.send(column(60, [1, 2]))
        until_stored(database, 2)
        dead.disconnect()
    assert "connection begun anew" in caplog.text


def test_a_broker_that_no_longer_answers_is_left_and_found_again(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ingest.broker.session, "QUIET_S", 0.5)
    monkeypatch.setattr(ingest.broker.session, "ANSWER_S", 1.0)
    with ingesting(database, broker):
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            until(lambda: "the broker no longer answers" in [getattr(r, "reason", "") for r in caplog.records])
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        with Device(broker) as device:
            device.send(column(60, [1]))
            until_stored(database, 1)


def test_wrong_credentials_end_it_with_the_setting_s_name(database: Database, broker: RunningBroker) -> None:
    stranger = replace(broker, server=replace(broker.server, passwords=dict.fromkeys(broker.server.passwords, "wrong")))
    with pytest.raises(Misconfigured, match="BELLWETHER_MQTT_URL"), ingesting(database, stranger):
        pass


def test_a_second_ingest_waits_until_the_first_has_gone(
    database: Database, broker: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Two would score every reading twice."""
    caplog.set_level(logging.WARNING)

    def wait_as_the_second() -> None:
        with ingesting(database, broker, "second"):
            until(lambda: "another ingest works on this database" in [getattr(r, "reason", "") for r in caplog.records])
            device.send(column(50, [2]))
            until_stored(database, 2)

    with Device(broker) as device, ingesting(database, broker):
        device.send(column(60, [1]))
        until_stored(database, 1)
        with pytest.raises(Unavailable, match="another ingest"):
            wait_as_the_second()
        device.send(column(40, [3]))
        until_stored(database, 3)


# Nothing stops it -----------------------------------------------------------------------------------------------------

POISON = (
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"[" * 100_000,
    b'{"ts": 1e400}',
    b'{"flow": NaN}',
    b'{"ts": -5, "flow": 1}',
    b'{"\\u0000": 1}',
    b'{"ts": "9999-12-31T23:59:59.999999-23:59", "flow": 1}',
    b'{"t0": 1782907200000, "dt": 1, "values": {"flow": {"a": 1}}}',
    b"[]",
    b"null",
    b'"flow"',
)


def test_poison_becomes_rejects_and_the_good_among_it_is_stored(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker), Device(broker) as device:
        for number, poison in enumerate(POISON):
            device.begin([poison, column(600 - number, [number])])
        device.finish()
        until_stored(database, len(POISON))
        until(lambda: len(rejects(database)) == len(POISON))
    assert all(tenant == "demo" and device == "pump-1" and reason for tenant, device, reason in rejects(database))
    assert ledger(database)["rejected"] == len(POISON)


def test_who_is_not_ours_is_turned_away_and_the_rest_goes_on(database: Database, broker: RunningBroker) -> None:
    with ingesting(database, broker), Device(broker) as device:
        device.begin([{"flow": 1}], topic="bellwether/v1/strangers/pump-1/telemetry")
        device.begin([{"flow": 1}], topic="bellwether/v1/demo/pümp/telemetry")
        device.begin([{"flow": 1}], topic="bellwether/v1/other/pump-1/telemetry")
        device.finish()
        until_stored(database, 1)
        until(lambda: len(rejects(database)) == 2)
    assert sorted(rejects(database)) == [(None, None, "no such tenant"), (None, None, "not a topic of ours")]
    with database.owner() as conn:
        assert conn.execute("SELECT tenant, device FROM devices").fetchall() == [("other", "pump-1")]


def test_what_the_database_refuses_is_found_by_halving(database: Database, broker: RunningBroker) -> None:
    with database.owner() as conn:
        conn.execute("ALTER TABLE readings ADD CONSTRAINT unlucky CHECK (value <> 13)")
    with ingesting(database, broker), Device(broker) as device:
        held = TableHeld(database)
        device.send(*(column(4000 - number, [number], f"p{number % 3}") for number in range(300)))
        held.until_ingest_waits()
        held.release()
        until_stored(database, 299)
        until(lambda: rejects(database))
    ((_, _, reason),) = rejects(database)
    assert reason.startswith("refused by the database: ")
    assert "unlucky" in reason
    with database.owner() as conn:
        assert conn.execute("SELECT count(*) FROM streams").fetchone() == (3,)


def test_detectors_that_fail_do_not_stop_what_stores(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put_rule(database, RULE)
    with ingesting(database, broker), Device(broker) as device:
        with monkeypatch.context() as broken:
            broken.setattr(Limits, "score", lambda *_: 1 // 0)
            device.send(column(60, [1, 2]))
            until_stored(database, 2)
            until(lambda: "detectors failed on a batch" in caplog.text)
        device.send(column(50, [12]))
        until(lambda: count_of(database, "alarms") == 1)
    assert count_of(database) == 3


def test_detectors_that_fail_while_catching_up_do_not_hold_it_there(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Device(broker) as device:
        with ingesting(database, broker):
            pass
        with monkeypatch.context() as broken:
            broken.setattr(Watch, "step", lambda *_: 1 // 0)
            with ingesting(database, broker):
                device.send(column(60, [1, 2]))
                until_stored(database, 2)
            with ingesting(database, broker):
                device.send(column(50, [3]))
                until_stored(database, 3)


# Rules and alarms -----------------------------------------------------------------------------------------------------


def test_a_new_rule_takes_effect_while_it_runs_and_a_disabled_one_ends_its_alarm(
    database: Database, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.loop, "BEAT_EVERY_S", 0.2)
    with ingesting(database, broker), Device(broker) as device, database.owner() as conn:

        def feed_until(condition: Callable[[], Any]) -> None:
            def fed() -> Any:
                device.send({"flow": 99})
                return condition()

            until(fed, every_s=0.1)

        device.send({"flow": 99})
        until_stored(database, 1)
        put_rule(database, RULE)
        feed_until(lambda: conn.execute("SELECT 1 FROM alarms WHERE rule = 'high' AND active").fetchone())
        put_rule(database, replace(RULE, enabled=False), version=2)
        feed_until(lambda: conn.execute("SELECT 1 FROM alarms WHERE rule = 'high' AND NOT active").fetchone())
        assert conn.execute("SELECT count(*) FROM alarms WHERE active").fetchone() == (0,)


def test_an_edge_is_stored_with_its_outbox_and_the_memory_it_came_from(
    database: Database, broker: RunningBroker
) -> None:
    put_rule(database, RULE)
    with ingesting(database, broker), Device(broker) as device:
        device.send(column(60, [1, 12, 25, 1]))
        until(lambda: count_of(database, "alarm_events") == 3)
    with database.owner() as conn:
        kinds = conn.execute("SELECT kind FROM alarm_events ORDER BY at").fetchall()
        told = conn.execute("SELECT payload->'alarm'->>'kind' FROM outbox ORDER BY id").fetchall()
    assert kinds == [("raised",), ("escalated",), ("returned",)]
    assert told == [("raised",), ("escalated",)]


def test_a_restart_forgets_nothing(database: Database, broker: RunningBroker) -> None:
    """A departure that began before it is raised after it, from where it began."""
    put_rule(database, replace(RULE, on_delay_s=30))
    started_ms = now_ms() - 600_000
    with Device(broker) as device:
        with ingesting(database, broker):
            device.send({"t0": started_ms, "dt": 1000, "values": {"flow": [1.0] * 10 + [12.0] * 20}})
            until_stored(database, 30)
        assert count_of(database, "alarms") == 0
        with ingesting(database, broker):
            device.send({"t0": started_ms + 30_000, "dt": 1000, "values": {"flow": [12.0] * 20}})
            until(lambda: count_of(database, "alarms") == 1)
    with database.owner() as conn:
        row = conn.execute(
            "SELECT extract(epoch FROM since) * 1000, extract(epoch FROM raised_at) * 1000 FROM alarms"
        ).fetchone()
    assert row == (started_ms + 10_000, started_ms + 40_000)


# Killed at random -----------------------------------------------------------------------------------------------------


def wavering(seed: int, count: int) -> list[float]:
    """Values that cross the limits of `RULE` every so often."""
    chance = random.Random(seed)
    value, values = 5.0, []
    for _ in range(count):
        value = min(max(value + chance.gauss(0, 1.5), 0), 25)
        values.append(round(value, 3))
    return values


def kills_until_stored(database: Database, broker: RunningBroker, folder: Path, kills: int, seed: int) -> None:
    """Publish for as long as it takes to kill ingest so often; then compare with a run that nothing interrupted."""
    put_rule(database, RULE)
    chance = random.Random(seed)
    log = folder / "ingest.log"
    per_message, pace_s = 5, 0.02
    values: dict[str, list[float]] = {"flow": [], "pressure": []}
    started_ms = now_ms() - 40_000_000
    with Device(broker) as device:
        for _ in range(kills):
            with IngestProcess(database, broker, log) as process:
                process.until_awake()
                kill_at = time.monotonic() + chance.uniform(0.05, 1.5)
                while time.monotonic() < kill_at:
                    begun_ms = started_ms + len(values["flow"]) * 1000
                    parts = {
                        point: wavering(seed + len(point) + len(known), per_message) for point, known in values.items()
                    }
                    device.begin([{"t0": begun_ms, "dt": 1000, "values": parts}])
                    for point, part in parts.items():
                        values[point] += part
                    time.sleep(pace_s)
                process.kill()
        device.finish()
        with IngestProcess(database, broker, log) as process:
            process.until_awake()
            until_stored(database, sum(len(known) for known in values.values()), within_s=60)
            assert process.stop() == 0
    with database.owner() as conn:
        stored = conn.execute(
            "SELECT s.point, array_agg(r.value ORDER BY r.time), max(r.quality) FROM readings r"
            " JOIN streams s ON s.id = r.stream_id GROUP BY s.point"
        ).fetchall()
        streams = [
            Stream(*row)
            for row in conn.execute("SELECT id, device_id, tenant, device, point, quantity, unit FROM streams")
        ]
        events = {
            event
            for (event,) in conn.execute(
                "SELECT event_id FROM alarm_events e JOIN alarms a ON a.id = occurrence_id"
                " WHERE a.detector = 'limits' AND e.kind <> 'followed'"  # which the database says of two occurrences
            )
        }
        told = {
            event
            for (event,) in conn.execute("SELECT event_id FROM outbox WHERE payload->'alarm'->>'detector' = 'limits'")
        }
    assert {point: (known, quality) for point, known, quality in stored} == {
        point: (known, 0) for point, known in values.items()
    }, f"seed {seed}"
    unbroken = unbroken_run(streams, started_ms, values)
    assert unbroken, "the test must see edges"
    assert events == {event.event_id for event in unbroken}, f"seed {seed}"
    assert told == {event.event_id for event in unbroken if event.kind in ("raised", "escalated")}, f"seed {seed}"


def unbroken_run(streams: list[Stream], started_ms: int, values: dict[str, list[float]]) -> list[Any]:
    """The edges of the same readings in one piece."""
    rules = {"demo": [RULE]}
    watch = Watch(detectors_for(rules), rules)
    watch.watch(streams)
    batches = []
    for stream in streams:
        known = values[stream.point]
        times = [(started_ms + i * 1000) * 1000 for i in range(len(known))]
        batches.append(Batch.of(times, [stream.id] * len(known), known))
    return watch.step(Batch.concat(batches), now_ms() * 1000)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(4))
def test_killed_a_hundred_times(database: Database, broker: RunningBroker, tmp_path: Path, seed: int) -> None:
    kills_until_stored(database, broker, tmp_path, kills=25, seed=seed + 100)
