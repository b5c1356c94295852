"""Blocks as ingest stores them, verdicts as `notify` gives them: alarms, tickets and tenants apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
from serving import JSON, RunningApi, ok, refused
from shaking import Shaft, faulty

import store.telemetry as telemetry_rows
from alarms.roles import Role
from detectors.vibration import named
from notify.assessment import Assessment
from notify.vibration import Vibration
from prognosis.faults import library
from store import vibration, waveforms
from store.connection import Session, connect
from telemetry import Batch, StreamKey, microseconds
from telemetry.waveform import Waveform

SHAFT = Shaft(1480.0, 12_800.0, 1.5)
FACTS = {"bearing": "SKF 6205", "group": 2, "support": "rigid"}
MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def notify(own_api: RunningApi) -> Iterator[Session]:
    """The role that does it, with its rights and no others."""
    with psycopg.connect(own_api.database.url("notify"), autocommit=True, options="-c timezone=UTC") as conn:
        yield conn


def samples(fault: str, seed: int = 0) -> np.ndarray:
    shaft = Shaft(SHAFT.rpm, SHAFT.rate_hz, 1.5, seed=seed)
    return np.rint(faulty(fault, shaft, named("6205")) / 0.0005).astype("<i2")


def send(
    api: RunningApi, device: str, fault: str, at: datetime, rpm: float | None = 1480.0, scale: float = 0.0005
) -> UUID:
    """A block of a machine with a fault, stored as ingest does, with the readings it leaves."""
    block = Waveform(
        "demo", device, "de", microseconds(at), 0, SHAFT.rate_hz, rpm, "g", scale, 0.0,
        samples(fault, seed=at.minute),
    )  # fmt: skip
    with connect(api.database.url("ingest"), "ingest") as conn, conn.transaction():
        points = ("de_velocity_rms", "de_acceleration_envelope_rms", "de_kurtosis")
        telemetry_rows.add_streams(conn, [StreamKey("demo", device, point) for point in points], ["mm/s", "g", ""])
        waveforms.append(conn, [block], microseconds(at) + 1)
    return waveforms.id_of(block)


def machine(api: RunningApi, **facts: object) -> str:
    device = api.plant.device()
    ok(api.client().put(f"/api/v1/devices/{device}/machine", json=facts))
    return device


def verdicts(api: RunningApi, device: str) -> list[JSON]:
    found: list[JSON] = ok(api.client().get(f"/api/v1/devices/{device}/vibration"))["items"]
    return found


def alarms(api: RunningApi, device: str) -> list[JSON]:
    found: list[JSON] = ok(api.client().get("/api/v1/alarms", params={"device": device}))["items"]
    return [alarm for alarm in found if alarm["detector"] == "vibration"]


def test_a_fault_that_stays_is_one_alarm_and_goes_when_the_blocks_are_well(
    own_api: RunningApi, notify: Session
) -> None:
    device = machine(own_api, **FACTS)
    judge = Vibration(own_api.database.url("notify"))
    for at in range(2):
        send(own_api, device, "outer_race", NOW + at * MINUTE)
    assert judge.judge(notify, NOW) == 2
    assert judge.judge(notify, NOW) == 0
    assert [verdict["fault"] for verdict in verdicts(own_api, device)] == ["outer_race"] * 2
    assert alarms(own_api, device) == []

    for at in range(2, 5):
        send(own_api, device, "outer_race", NOW + at * MINUTE)
    # Whoever takes over goes on where the other one was.
    judge = Vibration(own_api.database.url("notify"))
    judge.judge(notify, NOW)
    (alarm,) = alarms(own_api, device)
    assert alarm["fault"] == "condition"
    assert alarm["active"]
    assert "outer race in 3 of the last 3 blocks (BPFO at " in alarm["message"]
    told = notify.execute("SELECT payload FROM outbox WHERE destination = 'tickets'").fetchall()
    assert [payload["alarm"]["occurrence_id"] for (payload,) in told] == [alarm["id"]]

    for at in range(5, 9):
        send(own_api, device, "none", NOW + at * MINUTE)
    judge.judge(notify, NOW)
    (alarm,) = alarms(own_api, device)
    assert not alarm["active"]


def test_a_machine_in_zone_d_is_told_with_its_limit(own_api: RunningApi, notify: Session) -> None:
    device = machine(own_api, **FACTS)
    for at in range(3):
        send(own_api, device, "imbalance", NOW + at * MINUTE)
    Vibration(own_api.database.url("notify")).judge(notify, NOW)
    (alarm,) = alarms(own_api, device)
    newest = verdicts(own_api, device)[0]
    assert newest["zone"] in alarm["message"]
    assert alarm["point"] == "de_velocity_rms"
    assert "imbalance in 3 of the last 3 blocks" in alarm["message"]
    assert alarm["severity"] == {"C": "medium", "D": "high"}[newest["zone"]]


def test_what_is_not_known_is_said_and_no_zone_is_guessed(own_api: RunningApi, notify: Session) -> None:
    device = machine(own_api, bearing="SKF 6205")
    send(own_api, device, "imbalance", NOW, rpm=None)
    send(own_api, device, "imbalance", NOW + MINUTE, rpm=0.0)
    Vibration(own_api.database.url("notify")).judge(notify, NOW)
    stood, unknown = verdicts(own_api, device)
    assert (unknown["fault"], unknown["zone"]) == (None, None)
    assert unknown["not_known"] == ["rpm", "group", "support"]
    assert "speed" in unknown["reason"]
    assert stood["fault"] is None
    assert stood["not_known"] == ["group", "support"]
    assert alarms(own_api, device) == []


def test_a_rule_that_is_switched_off_raises_nothing(own_api: RunningApi, notify: Session) -> None:
    device = machine(own_api, **FACTS)
    rule = ok(own_api.client().get("/api/v1/rules/vibration"))["rule"]
    change = {"rule": {**rule, "enabled": False}, "version": 0}
    ok(own_api.client().put("/api/v1/rules/vibration", json=change))
    for at in range(4):
        send(own_api, device, "outer_race", NOW + at * MINUTE)
    Vibration(own_api.database.url("notify")).judge(notify, NOW)
    assert verdicts(own_api, device)[0]["fault"] == "outer_race"
    assert alarms(own_api, device) == []


def test_of_more_blocks_than_can_be_looked_at_the_newest_are(own_api: RunningApi, notify: Session) -> None:
    device = machine(own_api, **FACTS)
    sent = [send(own_api, device, "none", NOW + at * MINUTE) for at in range(6)]
    assert vibration.pass_over(notify, 6, 2) == 0
    assert vibration.pass_over(notify, 5, 2) == 4
    assert Vibration(own_api.database.url("notify")).judge(notify, NOW) == 2
    assert {verdict["waveform_id"] for verdict in verdicts(own_api, device)} == {str(id_) for id_ in sent[4:]}


def test_a_gear_without_lines_of_its_own_is_found_by_the_block_that_was_taken_for_healthy(
    own_api: RunningApi, notify: Session
) -> None:
    device = machine(own_api, teeth=32)
    judge = Vibration(own_api.database.url("notify"))
    healthy = send(own_api, device, "none", NOW, scale=0.00015)
    for at in range(1, 4):  # the same machine, three times as loud at all frequencies
        send(own_api, device, "none", NOW + at * MINUTE, scale=0.00045)
    judge.judge(notify, NOW)
    assert {verdict["fault"] for verdict in verdicts(own_api, device)} == {"none"}, "nothing to compare with"

    at_axis = f"/api/v1/devices/{device}/baselines/de"
    kept = ok(own_api.client().put(at_axis, json={"waveform_id": str(healthy)}))
    assert (kept["axis"], kept["waveform_id"], kept["shaft_rpm"]) == ("de", str(healthy), 1480.0)
    assert ok(own_api.client().get(f"/api/v1/devices/{device}/baselines")) == [kept]
    later = [send(own_api, device, "none", NOW + at * MINUTE, scale=0.00045) for at in range(4, 7)]
    slower = send(own_api, device, "none", NOW + 7 * MINUTE, rpm=1200.0, scale=0.00045)
    judge.judge(notify, NOW)
    said = {verdict["waveform_id"]: verdict for verdict in verdicts(own_api, device)}
    assert {said[str(id_)]["fault"] for id_ in later} == {"gear"}
    assert "dB from the baseline" in said[str(later[0])]["reason"]
    assert said[str(slower)]["fault"] == "none", "at another speed it is another load"
    assert [alarm["active"] for alarm in alarms(own_api, device)] == [True]
    change = ok(own_api.client().get(f"/api/v1/waveforms/{later[0]}/diagnosis"))["change"]
    assert change["distance_db"] == pytest.approx(9.5, abs=0.5)
    assert change["is_lasting"]

    assert own_api.client().delete(at_axis).status_code == 204
    refused(own_api.client().delete(at_axis), 404)
    assert ok(own_api.client().get(f"/api/v1/waveforms/{later[0]}/diagnosis"))["change"] is None


def test_only_a_block_of_the_axis_that_is_long_enough_is_taken_for_healthy(own_api: RunningApi) -> None:
    device, other = machine(own_api, teeth=32), machine(own_api, teeth=32)
    healthy = send(own_api, device, "none", NOW)
    of = (0, SHAFT.rate_hz, 1480.0)
    short = Waveform("demo", device, "de", microseconds(NOW + MINUTE), *of, "g", 1.0, 0.0, samples("none")[:5000])
    sound = Waveform("demo", device, "de", microseconds(NOW), *of, "Pa", 1.0, 0.0, samples("none"))
    with connect(own_api.database.url("ingest"), "ingest") as conn, conn.transaction():
        waveforms.append(conn, [short, sound], microseconds(NOW))

    def take(
        id_: UUID, *, device: str = device, axis: str = "de", role: Role = Role.ENGINEER, tenant: str = "demo"
    ) -> Any:
        client = own_api.client(role, tenant=tenant)
        return client.put(f"/api/v1/devices/{device}/baselines/{axis}", json={"waveform_id": str(id_)})

    assert "5000 samples are too few" in refused(take(waveforms.id_of(short)), 422)["detail"]
    assert "no vibration" in refused(take(waveforms.id_of(sound)), 422)["detail"]
    refused(take(healthy, device=other), 404)
    refused(take(healthy, axis="nde"), 404)
    refused(take(UUID(int=0)), 404)
    refused(take(healthy, tenant="other"), 404)
    refused(take(healthy, role=Role.OWNER), 403)
    ok(take(healthy))
    refused(own_api.client(tenant="other").get(f"/api/v1/devices/{device}/baselines"), 404)


def test_only_one_gives_verdicts_and_nobody_sees_anothers(own_api: RunningApi, notify: Session) -> None:
    device = machine(own_api, **FACTS)
    send(own_api, device, "none", NOW)
    Vibration(own_api.database.url("notify")).judge(notify, NOW)
    assert vibration.alone(notify)
    with psycopg.connect(own_api.database.url("notify"), autocommit=True) as other:
        assert not vibration.alone(other)
    refused(own_api.client(tenant="other").get(f"/api/v1/devices/{device}/vibration"), 404)


def test_the_ticket_of_such_an_alarm_names_the_failure_mode_of_the_library(
    own_api: RunningApi, notify: Session
) -> None:
    device = machine(own_api, **FACTS)
    for at in range(3):
        send(own_api, device, "outer_race", NOW + at * MINUTE)
    Vibration(own_api.database.url("notify")).judge(notify, NOW)
    (payload,) = notify.execute("SELECT event_id, payload FROM outbox WHERE destination = 'tickets'").fetchall()
    client = own_api.client(Role.SERVICE)
    opened = client.post("/api/v1/tickets", json=payload[1], headers={"Idempotency-Key": str(payload[0])})
    ticket = ok(opened, 201)["id"]
    with psycopg.connect(own_api.database.url("ingest")) as conn:
        known = {s.point: s.id for s in telemetry_rows.streams_known(conn) if s.device == device}
        minutes = np.arange(-120, 4)
        quiet = 2.0 + 0.05 * np.random.default_rng(4).standard_normal(len(minutes))
        time_us = microseconds(NOW) + minutes * 60_000_000
        telemetry_rows.append(conn, Batch.of(time_us, np.full(len(minutes), known["de_velocity_rms"]), quiet))
    assert Assessment(own_api.database.url("notify"), library()).diagnose(notify) == 1
    suspects = ok(own_api.client().get(f"/api/v1/tickets/{ticket}/diagnosis"))["suspects"]
    assert suspects[0]["mode"] == "bearing_wear"
    assert suspects[0]["heard"] == [{"fault": "outer_race", "axis": "de", "blocks": 3, "of": 3}]
