"""Alarms raised by a real ingest and played again from what is stored: the same score, whatever came afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import orjson
import psycopg
import pytest
from ingesting import Device, ingesting, until_stored
from psycopg.types.json import Jsonb
from servers import Database, fresh_database, running_broker
from serving import ok, served

import store.telemetry as telemetry_rows
from alarms.events import AlarmEvent, Kind, Severity
from alarms.provenance import rule_hash
from alarms.replay import REPLAYED
from alarms.rules import DEFAULT_RULES, Rule, rule_to_json
from alarms.watch import Watch
from bellwether import cli
from bellwether.alarm_replay import EXIT, MOST_OFF, Outcome, line, replayed
from detectors.limits import Limit
from detectors.scores import Evidence, Scope
from ingest.watch.detectors import detectors_for
from store import learnt, occurrences, origins, source
from store.connection import Session
from telemetry import Stream, StreamKey, instant, microseconds

POINTS = ("vibration", "level", "pressure", "temperature")
HEALTHY, FAULT, STEP_S = 600, 130, 5
# One moment: what spans and rhythms make of a history depends on when it was.
START = datetime(2025, 6, 3, 8, tzinfo=UTC)
START_US = microseconds(START)
HOT = Rule(
    "hot", "limits", "condition", ((1.0, Severity.HIGH),), point="temperature", limit=Limit(hi=46, rate_per_min=90)
)

ADD_RULE = (
    "INSERT INTO rules (tenant, id, version, rule, enabled, created_by) VALUES ('demo', 'hot', %s, %s, true, 'kim')"
)


def rows() -> np.ndarray[Any, Any]:
    """A machine at its normal, whose level falls and whose temperature rises in the end. Shape (rows, points)."""
    rng = np.random.default_rng(6)
    values: np.ndarray[Any, Any] = np.array([2.0, 10.0, 4.0, 40.0]) + rng.normal(0, 0.1, (HEALTHY + FAULT, len(POINTS)))
    values[HEALTHY:, 1] -= 1.0
    values[HEALTHY:, 3] += np.linspace(0, 8, FAULT)
    return values


def send(device: Device, values: np.ndarray[Any, Any], first: int, last: int, by: int) -> int:
    for at in range(first, last, by):
        part = values[at : min(at + by, last)]
        columns = {point: part[:, number].tolist() for number, point in enumerate(POINTS)}
        device.send({"t0": at_ms(at), "dt": STEP_S * 1000, "values": columns})
    return (last - first) * len(POINTS)


def at_ms(row: float) -> int:
    return int((START + timedelta(seconds=row * STEP_S)).timestamp() * 1000)


@pytest.fixture(scope="module")
def database(server_url: str, template: str, programs: Any, account: Any) -> Iterator[Database]:
    """A machine's alarms, found by two ingests, the first in messages of 100 rows, the other of 7 and then of 1."""
    with fresh_database(server_url, template) as database, running_broker(programs, account) as broker:
        with database.owner() as conn:
            conn.execute(ADD_RULE, [1, Jsonb(rule_to_json(HOT))])
        values, stored = rows(), 0
        with Device(broker) as device:
            with ingesting(database, broker):
                stored += send(device, values, 0, HEALTHY - 50, 100)
                until_stored(database, stored)
            with ingesting(database, broker):
                stored += send(device, values, HEALTHY - 50, HEALTHY + 40, 7)
                stored += send(device, values, HEALTHY + 40, HEALTHY + FAULT, 1)
                until_stored(database, stored)
                # Late, between what was scored and before what will be played again.
                device.send({"ts": at_ms(HEALTHY + 10.5), "values": {"level": -40.0, "temperature": 900.0}})
                until_stored(database, stored + 2)
        yield database


@pytest.fixture
def conn(database: Database) -> Iterator[Session]:
    """The owner's, and nothing that a test does stays."""
    with psycopg.connect(database.owner_url, options="-c timezone=UTC") as conn:
        yield conn
        conn.rollback()


def alarm_of(conn: Session, detector: str) -> UUID:
    row = conn.execute("SELECT id FROM alarms WHERE detector = %s ORDER BY raised_at LIMIT 1", [detector]).fetchone()
    assert row, f"{detector} raised nothing"
    return UUID(str(row[0]))


def raise_of(stream: Stream, detector: str, since_us: int) -> AlarmEvent:
    """A raise a minute after something began."""
    of_machine = detector == "silence"
    return AlarmEvent(
        event_id=uuid4(),
        occurrence_id=uuid4(),
        kind=Kind.RAISED,
        rule=detector,
        detector=detector,
        scope=Scope.MACHINE if of_machine else Scope.STREAM,
        subject=stream.machine if of_machine else stream.id,
        machine=stream.machine,
        tenant=stream.tenant,
        device=stream.device,
        point=stream.point,
        unit="",
        fault="condition",
        severity=Severity.MEDIUM,
        since_us=since_us,
        at_us=since_us + 60_000_000,
        score=1.2,
        peak=1.2,
        message="",
        opens_ticket=False,
        evidence=Evidence(stream.point, 60.0, 5.0, 0.0, 50.0, since_us, {stream.point: 1.0}),
    )


@pytest.mark.parametrize("detector", ["limits", "shift", "multivariate"])
def test_the_score_is_the_same_again(conn: Session, detector: str) -> None:
    conn.execute("SET LOCAL ROLE bellwether_reader")
    found = replayed(conn, alarm_of(conn, detector))
    assert found.outcome is Outcome.SAME, line(found)
    assert found.stored is not None
    assert found.stored >= 1.0
    assert found.difference is not None
    assert found.difference <= MOST_OFF
    assert found.readings
    assert found.scored_at is not None
    assert START < found.scored_at <= found.raised_at
    assert found.since == (), "nothing has changed since"


def test_what_is_kept_with_an_alarm(conn: Session) -> None:
    for detector, rule in (("limits", HOT), ("shift", next(rule for rule in DEFAULT_RULES if rule.id == "shift"))):
        kept = origins.kept(conn, alarm_of(conn, detector))
        assert kept.provenance["rule"] == rule_hash(rule)
        assert kept.provenance["code"] == source.running()
        assert kept.provenance["model"]["hash"] == kept.hash
        mark = kept.provenance["watermark"]
        assert mark["after_us"] < kept.provenance["scored_us"] <= mark["until_us"]
        assert instant(kept.provenance["scored_us"]) <= kept.raised_at
    late = conn.execute("SELECT count(*) FROM readings WHERE quality <> 0").fetchone()
    assert late == (2,), "and neither is counted"


@pytest.mark.parametrize("detector", ["limits", "shift", "multivariate"])
def test_a_tampered_reading_is_found(conn: Session, detector: str) -> None:
    alarm = alarm_of(conn, detector)
    kept = origins.kept(conn, alarm)
    conn.execute(
        "UPDATE readings SET value = value + 0.001 WHERE time = %s AND stream_id ="
        " (SELECT id FROM streams WHERE point = %s)",
        [instant(kept.provenance["scored_us"]), kept.point],
    )
    found = replayed(conn, alarm)
    assert EXIT[found.outcome] == 1
    assert found.reason == "the readings are not those that were scored"
    assert found.difference is not None
    if detector != "shift":  # it goes by which of two is larger: a thousandth does nothing, and is found all the same
        assert found.difference > MOST_OFF


def test_what_is_gone_is_not_said_to_be_different(conn: Session) -> None:
    alarm = alarm_of(conn, "shift")
    before = replayed(conn, alarm).readings
    assert before
    conn.execute("DELETE FROM readings WHERE time = %s", [instant(origins.kept(conn, alarm).provenance["scored_us"])])
    found = replayed(conn, alarm)
    assert EXIT[found.outcome] == 2
    assert found.reason == f"{len(POINTS)} of {before} readings are gone"


def test_a_copy_goes_when_its_readings_are_over(conn: Session) -> None:
    alarm = alarm_of(conn, "multivariate")
    conn.execute("UPDATE alarm_memories SET raised_at = now() - interval '8 days'")
    conn.execute("SET LOCAL ROLE bellwether_notify")
    assert origins.forget(conn, 100) == 0, "they are kept for good"
    conn.execute("RESET ROLE")
    conn.execute("INSERT INTO retention (tenant, class, keep_days, changed_by) VALUES ('demo', 'raw', 7, 'kim')")
    conn.execute("SET LOCAL ROLE bellwether_notify")
    assert origins.forget(conn, 1) == 1
    assert origins.forget(conn, 100) > 0
    conn.execute("SET LOCAL ROLE bellwether_reader")
    found = replayed(conn, alarm)
    assert EXIT[found.outcome] == 2
    assert "over" in found.reason


def test_a_score_from_before_the_copy_is_said_to_be_that(conn: Session) -> None:
    """As where a delay ended by the clock, and nothing was scored meanwhile."""
    alarm = alarm_of(conn, "shift")
    after_us = origins.kept(conn, alarm).provenance["watermark"]["after_us"]
    conn.execute("UPDATE alarms SET provenance = jsonb_set(provenance, '{scored_us}', %s)", [Jsonb(after_us)])
    found = replayed(conn, alarm)
    assert EXIT[found.outcome] == 2
    assert "by the clock" in found.reason


def test_a_tampered_copy_is_found(conn: Session) -> None:
    conn.execute("UPDATE alarm_memories SET arrays = set_byte(arrays, 100, 255 - get_byte(arrays, 100))")
    found = replayed(conn, alarm_of(conn, "shift"))
    assert EXIT[found.outcome] == 1
    assert "not what was stored" in found.reason


def test_what_has_changed_since_is_said_and_changes_nothing(conn: Session) -> None:
    alarm = alarm_of(conn, "limits")
    conn.execute(ADD_RULE, [2, Jsonb(rule_to_json(replace(HOT, limit=Limit(hi=20))))])
    conn.execute("UPDATE alarms SET provenance = jsonb_set(provenance, '{code,hash}', '\"0123\"')")
    found = replayed(conn, alarm)
    assert found.outcome is Outcome.SAME, "by the version that raised it"
    assert [change.partition(":")[0] for change in found.since] == [
        "the code has changed since",
        "the rule has changed since",
    ]
    conn.execute("DELETE FROM rules WHERE version = 1")
    assert EXIT[replayed(conn, alarm).outcome] == 2


def test_silence_is_said_to_have_no_score_and_its_gap_is_played(conn: Session) -> None:
    shift = origins.kept(conn, alarm_of(conn, "shift"))
    quiet_us = START_US + (HEALTHY + FAULT - 2) * STEP_S * 1_000_000
    stream = telemetry_rows.streams_numbered(conn, [shift.stream_id or 0])[0]
    silence = raise_of(stream, "silence", quiet_us)
    occurrences.apply(conn, [silence])
    found = replayed(conn, silence.occurrence_id)
    assert EXIT[found.outcome] == 2
    assert "goes by when something arrived" in found.reason
    assert f"{len(POINTS)} readings of pump-1 are stored" in found.reason
    assert "silence" not in REPLAYED
    kept = origins.kept(conn, silence.occurrence_id)
    assert kept.provenance["watermark"] == {"until_us": silence.at_us}
    assert kept.provenance["code"] == source.running()


def test_machines_that_raise_something_together_are_kept_together(conn: Session) -> None:
    """As many as a copy may hold; and each is found in its own."""
    keys = [StreamKey("demo", f"many-{machine}", f"point-{point}") for machine in range(3) for point in range(90)]
    streams = telemetry_rows.add_streams(conn, keys)
    watch = Watch(detectors_for({"demo": DEFAULT_RULES}), {"demo": DEFAULT_RULES})
    watch.watch(streams)
    events = [raise_of(stream, "shift", START_US) for stream in streams[::45]]
    found = origins.origins(conn, events, watch)
    copies = {found[event.occurrence_id].memory_id for event in events}
    assert len(found) == 6
    assert len(copies) == 2, "three machines of 90 points"
    assert occurrences.apply(conn, events, found) == 6
    for event in events:
        kept = origins.kept(conn, event.occurrence_id)
        assert kept.arrays is not None
        assert kept.hash is not None
        memory = learnt.unpack(kept.arrays, kept.hash)
        assert event.subject in memory["shift"]["subject"]
        assert event.subject in memory[origins.ABOUT]["stream"]


def test_the_api_and_the_page_show_what_an_alarm_rests_on(database: Database) -> None:
    with database.owner() as conn:
        shift, kept = alarm_of(conn, "shift"), origins.kept(conn, alarm_of(conn, "shift"))
    with served(database) as api:
        said = ok(api.client().get(f"/api/v1/alarms/{shift}"))["provenance"]
        assert said["replayable"]
        assert said["rule_unchanged"]
        assert said["code_unchanged"]
        assert said["rule_hash"] == kept.provenance["rule"]
        assert said["model_hash"] == kept.hash
        assert said["readings"] == kept.provenance["watermark"]["readings"]
        assert datetime.fromisoformat(said["scored_at"]) == instant(kept.provenance["scored_us"])
        page = api.client().get(f"/alarms/{shift}")
        assert f"bellwether replay --alarm {shift}" in page.text
        with database.owner() as conn:
            conn.execute("UPDATE alarms SET provenance = '{}' WHERE id = %s", [shift])
        assert ok(api.client().get(f"/api/v1/alarms/{shift}"))["provenance"] is None
        assert "What it rests on" not in api.client().get(f"/alarms/{shift}").text
        with database.owner() as conn:
            conn.execute("UPDATE alarms SET provenance = %s WHERE id = %s", [Jsonb(kept.provenance), shift])


def test_the_command(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with database.owner() as conn:
        alarm = alarm_of(conn, "multivariate")
    monkeypatch.setenv("BELLWETHER_DATABASE_URL", database.url("ingest"))

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["bellwether", "replay", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(str(ended.value.code or 0))

    assert run("--alarm", str(alarm), "--json") == 0
    said = orjson.loads(capsys.readouterr().out)
    assert said["outcome"] == "same"
    assert said["stored"] == pytest.approx(said["again"], abs=MOST_OFF)
    assert run("--alarm", str(alarm)) == 0
    assert "Same" in capsys.readouterr().err
    assert run("--alarm", str(uuid4())) == 2
    assert run("--alarm", str(alarm), "--device", "pump-1") == 2
    assert run() == 2
