"""Assessment against the real server: readings of simulated machines in, health and diagnosis out, tenants apart."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from psycopg import sql
from serving import JSON, RunningApi, alarm_event, ok, refused
from waiting import until

import store.telemetry as telemetry_rows
from alarms.roles import Role
from bellwether.settings import Settings
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import Machine, MachineSpec
from notify.assessment import Assessment
from prognosis.faults import library
from store import assessment
from store.connection import Session, act_for
from store.errors import Misconfigured
from telemetry import Batch, StreamKey

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOUR = timedelta(hours=1)


@pytest.fixture
def notify(own_api: RunningApi) -> Iterator[Session]:
    """The role that does it, with its rights and no others."""
    with psycopg.connect(own_api.database.url("notify"), autocommit=True, options="-c timezone=UTC") as conn:
        yield conn


@pytest.fixture
def assessor(own_api: RunningApi) -> Assessment:
    return Assessment(own_api.database.url("notify"), library())


def lived(
    api: RunningApi, device: str, start: datetime, end: datetime, *faults: Fault, every_s: int = 60, kind: str = "pump"
) -> None:
    """Readings of a simulated machine; the times of its faults count from `start`."""
    time_ms = np.arange(int(start.timestamp()), int(end.timestamp()), every_s, dtype=np.int64) * 1000
    readings = Machine(MachineSpec(device, kind, "", "hall"), 3, faults, start.timestamp()).run(time_ms)
    with psycopg.connect(api.database.url("ingest")) as conn:
        known = {s.point: s for s in telemetry_rows.streams_known(conn) if s.device == device}
        missing = [StreamKey("demo", device, point) for point in readings if point not in known]
        known |= {stream.point: stream for stream in telemetry_rows.add_streams(conn, missing)}
        times = np.tile(time_ms * 1000, len(readings))
        numbers = np.repeat([known[point].id for point in readings], len(time_ms))
        telemetry_rows.append(conn, Batch.of(times, numbers, np.concatenate(list(readings.values()))))


def ticket_of(api: RunningApi, device: str, since: datetime, at: datetime, status: int = 201) -> UUID:
    occurrence = api.plant.alarm(device, at=since)
    event = alarm_event(device, occurrence_id=str(occurrence), since=since.isoformat(), at=at.isoformat())
    answer = api.client(Role.SERVICE).post("/api/v1/tickets", json=event, headers={"Idempotency-Key": str(uuid4())})
    return UUID(ok(answer, status)["id"])


def diagnosis_of(api: RunningApi, ticket: UUID) -> JSON:
    return ok(api.client().get(f"/api/v1/tickets/{ticket}/diagnosis"))


def test_a_ticket_gets_its_diagnosis_from_the_readings_around_its_beginning(
    own_api: RunningApi, notify: Session, assessor: Assessment
) -> None:
    device = own_api.plant.device()
    fault = Fault(device, FaultKind.BLOCKED_FILTER, 3 * 3600.0, 1200.0, 0.8)
    start, onset = NOW - 4 * HOUR, NOW - HOUR
    lived(own_api, device, start, onset + timedelta(minutes=20), fault, every_s=2)
    ticket = ticket_of(own_api, device, onset + timedelta(minutes=2), onset + timedelta(minutes=4))
    refused(own_api.client().get(f"/api/v1/tickets/{ticket}/diagnosis"), 404)
    assert assessor.diagnose(notify) == 1
    found = diagnosis_of(own_api, ticket)
    first = found["suspects"][0]
    assert first["mode"] == "pump.blocked_filter"
    assert first["failure_mode"] == "PLU"
    assert {"filter_differential_pressure"} <= {s["point"] for s in first["signs"] if s["speaks"] == "for"}
    assert len(found["suspects"]) == 3
    assert found["other"] + sum(s["probability"] for s in found["suspects"]) == pytest.approx(1.0, abs=1e-3)
    # Done is done, until another alarm joins.
    assert assessor.diagnose(notify) == 0
    with own_api.database.owner() as conn:
        conn.execute("UPDATE ticket_alarms SET added_at = now() + interval '1 second'")
    assert assessor.diagnose(notify) == 1


def test_a_ticket_of_a_machine_without_a_past_is_told_why_nothing_is_said(
    own_api: RunningApi, notify: Session, assessor: Assessment
) -> None:
    device = own_api.plant.device()
    ticket = ticket_of(own_api, device, NOW - HOUR, NOW)
    assert assessor.diagnose(notify) == 1
    found = diagnosis_of(own_api, ticket)
    assert (found["suspects"], found["other"]) == ([], 1.0)
    assert "too few" in found["abstains"]
    # What a person has opened is diagnosed when an alarm joins it: before, there is nothing to say it from.
    reported = own_api.plant.device()
    said = {"device": reported, "symptom": "vibration", "words": "It shakes."}
    opened = ok(own_api.client(Role.ENGINEER).post("/api/v1/reports", json=said), 201)["ticket"]["id"]
    assert assessor.diagnose(notify) == 0
    assert str(ticket_of(own_api, reported, NOW - HOUR, NOW, status=200)) == opened
    assert assessor.diagnose(notify) == 1


def test_the_old_past_of_a_slow_machine_is_enough(own_api: RunningApi, notify: Session, assessor: Assessment) -> None:
    """Ten minutes between readings: two hours before would be twelve of them."""
    device = own_api.plant.device()
    fault = Fault(device, FaultKind.OVERHEATING, 40 * 3600.0, 6 * 3600.0, 0.9)
    lived(own_api, device, NOW - 48 * HOUR, NOW, fault, every_s=600)
    ticket = ticket_of(own_api, device, NOW - 5 * HOUR, NOW - 4 * HOUR)
    assessor.diagnose(notify)
    assert "bearing_cooling_loss" in [s["mode"] for s in diagnosis_of(own_api, ticket)["suspects"]]


def test_health_is_learnt_falls_and_is_shown_to_its_own_tenant(
    own_api: RunningApi, notify: Session, assessor: Assessment
) -> None:
    device = own_api.plant.device()
    client = own_api.client()
    address = f"/api/v1/devices/{device}/health"
    start = NOW - 20 * HOUR
    worn = Fault(device, FaultKind.IMBALANCE, 14 * 3600.0, 4 * 3600.0, 0.9)
    lived(own_api, device, start, NOW, worn)
    assert assessor.assess(notify, start + 2 * HOUR) == 0  # too little to know it by
    assert ok(client.get(address))["known"] is False
    assert assessor.assess(notify, start + 12 * HOUR + timedelta(minutes=6)) == 12
    assert assessor.assess(notify, start + 12 * HOUR + timedelta(minutes=9)) == 0
    healthy = ok(client.get(address))
    assert healthy["known"] is True
    assert min(healthy["course"]) >= 75
    assert assessor.assess(notify, NOW + timedelta(minutes=6)) == 8
    ill = ok(client.get(address))
    assert len(ill["time"]) == 20
    assert ill["health"] < 40
    assert ill["worst_point"] == "vibration_velocity"
    assert ill["bucket_s"] == 3600
    long = ok(client.get(address, params={"from": (NOW - timedelta(days=3000)).isoformat()}))
    assert long["bucket_s"] > 3600
    assert min(long["course"]) == min(ill["course"])
    refused(client.get(address, params={"from": NOW.isoformat(), "to": start.isoformat()}), 422)
    refused(own_api.client(tenant="other").get(address), 404)
    with psycopg.connect(own_api.database.url("api")) as conn:
        act_for(conn, "other")
        for table in ("health", "normals", "diagnoses"):
            assert conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone() == (0,)


def test_a_machine_in_alarm_is_not_learnt_as_normal(own_api: RunningApi, notify: Session, assessor: Assessment) -> None:
    device = own_api.plant.device()
    lived(own_api, device, NOW - 12 * HOUR, NOW)
    own_api.plant.alarm(device)
    assert assessor.assess(notify, NOW + timedelta(minutes=6)) == 0
    with own_api.database.owner() as conn:
        conn.execute("UPDATE alarms SET active = false")
    assert assessor.assess(notify, NOW + timedelta(minutes=6)) == 12


def test_a_machine_that_cannot_be_known_yet_is_looked_at_again_when_an_hour_is_over(
    own_api: RunningApi, notify: Session, assessor: Assessment
) -> None:
    device = own_api.plant.device()
    lived(own_api, device, NOW - 6 * HOUR, NOW - 3 * HOUR)
    at = NOW - 3 * HOUR + timedelta(minutes=6)
    assert assessor.assess(notify, at) == 0
    lived(own_api, device, NOW - 3 * HOUR, NOW)
    assert assessor.assess(notify, at + timedelta(minutes=2)) == 0
    assert assessor.assess(notify, NOW + timedelta(minutes=6)) == 6


def test_a_repair_that_a_ticket_tells_of_begins_the_course_anew(
    own_api: RunningApi, notify: Session, assessor: Assessment
) -> None:
    device = own_api.plant.device()
    start = NOW - 20 * HOUR
    worn = Fault(device, FaultKind.IMBALANCE, 12 * 3600.0, 600.0, 0.9, lasts_s=7 * 3600.0)
    lived(own_api, device, start, NOW, worn)
    ticket = ticket_of(own_api, device, start + 12 * HOUR, start + 13 * HOUR)
    with own_api.database.owner() as conn:
        conn.execute("UPDATE alarms SET active = false")
    assessor.assess(notify, start + 11 * HOUR + timedelta(minutes=6))
    assessor.assess(notify, start + 19 * HOUR + timedelta(minutes=6))
    assert ok(own_api.client().get(f"/api/v1/devices/{device}/health"))["health"] < 50
    with own_api.database.owner() as conn:
        conn.execute(
            "UPDATE tickets SET state = 'closed', verdict = 'confirmed', closed_at = %s WHERE id = %s",
            [start + 19 * HOUR, ticket],
        )
    assessor.assess(notify, NOW + timedelta(minutes=6))
    assert ok(own_api.client().get(f"/api/v1/devices/{device}/health"))["health"] >= 70


def test_a_mistake_over_one_machine_holds_up_no_other(
    own_api: RunningApi, notify: Session, assessor: Assessment, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = own_api.plant.device(), own_api.plant.device()
    for device in (broken, sound):
        lived(own_api, device, NOW - 12 * HOUR, NOW)
    with own_api.database.owner() as conn:
        conn.execute(
            "INSERT INTO normals (device_id, tenant, normal, until)"
            " SELECT id, tenant, '{\"points\": []}', %s FROM devices WHERE device = %s",
            [NOW - 12 * HOUR, broken],
        )
    assert assessor.assess(notify, NOW + timedelta(minutes=6)) == 12
    assert "no health" in caplog.text


def test_retired_machines_have_no_health_any_more(own_api: RunningApi, notify: Session, assessor: Assessment) -> None:
    device = own_api.plant.device()
    with own_api.database.owner() as conn:
        conn.execute("UPDATE devices SET retired_at = now() WHERE device = %s", [device])
    assert assessment.machines(notify, 0, 10) == []


def test_a_wrong_fault_library_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[[modes]]\nid = 'x'\n")
    settings: Any = Settings(fault_library=path)
    with pytest.raises(Misconfigured, match=r"BELLWETHER_FAULT_LIBRARY.*mode 1 .x.: name is a text"):
        settings.failure_modes()


def test_it_runs_by_itself_until_it_is_stopped(own_api: RunningApi) -> None:
    device = own_api.plant.device()
    ticket = ticket_of(own_api, device, NOW - HOUR, NOW)
    running = Assessment(own_api.database.url("notify"), library())
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        until(lambda: own_api.client().get(f"/api/v1/tickets/{ticket}/diagnosis").status_code == 200)
    finally:
        running.stop()
        thread.join(timeout=30)
    assert not thread.is_alive()
