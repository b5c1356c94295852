"""Prognosis against the real server: wear in readings becomes days that are left; fleets teach; tenants stay apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb
from serving import JSON, RunningApi, alarm_event, ok, refused

import store.telemetry as telemetry_rows
from alarms.roles import Role
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import Machine, MachineSpec
from notify.assessment import Assessment
from prognosis.faults import library
from prognosis.health import fit_rows
from prognosis.wear import index_of
from store import prognosis
from store.connection import Session, act_for
from telemetry import Batch, StreamKey

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
SETTLED = timedelta(minutes=6)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NORMAL = fit_rows(("flow",), (), np.random.default_rng(0).normal(50.0, 1.0, (100, 1)))


@pytest.fixture
def notify(own_api: RunningApi) -> Iterator[Session]:
    """The role that does it, with its rights and no others."""
    with psycopg.connect(own_api.database.url("notify"), autocommit=True, options="-c timezone=UTC") as conn:
        yield conn


@pytest.fixture
def assessor(own_api: RunningApi) -> Assessment:
    return Assessment(own_api.database.url("notify"), library())


def lived(api: RunningApi, device: str, start: datetime, end: datetime, *faults: Fault, every_s: int = 600) -> None:
    """Readings of a simulated pump; the times of its faults count from `start`."""
    time_ms = np.arange(int(start.timestamp()), int(end.timestamp()), every_s, dtype=np.int64) * 1000
    readings = Machine(MachineSpec(device, "pump", "", "hall"), 3, faults, start.timestamp()).run(time_ms)
    with psycopg.connect(api.database.url("ingest")) as conn:
        streams = telemetry_rows.add_streams(conn, [StreamKey("demo", device, point) for point in readings])
        number = {stream.point: stream.id for stream in streams}
        times = np.tile(time_ms * 1000, len(readings))
        numbers = np.repeat([number[point] for point in readings], len(time_ms))
        telemetry_rows.append(conn, Batch.of(times, numbers, np.concatenate(list(readings.values()))))


def was_well(api: RunningApi, device: str, hours: list[tuple[datetime, float]], began_at: datetime) -> None:
    """A machine whose normal is known, and its health as it would have been found."""
    with api.database.owner() as conn:
        conn.execute("UPDATE devices SET first_seen_at = %s WHERE device = %s", [began_at, device])
        conn.execute(
            "INSERT INTO normals (device_id, tenant, normal, until)"
            " SELECT id, tenant, %s, %s FROM devices WHERE device = %s",
            [Jsonb(NORMAL.to_json()), NOW, device],
        )
        with conn.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO health (device_id, hour, tenant, health, measured, worst_point)"
                " SELECT id, %s, tenant, %s, %s, 'flow' FROM devices WHERE device = %s",
                [(hour, health, health, device) for hour, health in hours],
            )


def repaired(api: RunningApi, device: str, opened_at: datetime, closed_at: datetime) -> UUID:
    """A ticket of a machine whose fault was found and repaired."""
    occurrence = api.plant.alarm(device, at=opened_at, active=False)
    before = (opened_at - HOUR).isoformat()
    event = alarm_event(device, occurrence_id=str(occurrence), since=before, at=before)
    answer = api.client(Role.SERVICE).post("/api/v1/tickets", json=event, headers={"Idempotency-Key": str(uuid4())})
    ticket = UUID(ok(answer, 201)["id"])
    with api.database.owner() as conn:
        conn.execute(
            "UPDATE tickets SET opened_at = %s, state = 'closed', verdict = 'confirmed', closed_at = %s WHERE id = %s",
            [opened_at, closed_at, ticket],
        )
    return ticket


def worn(until: datetime, days: float = 20.0, level: float = 6.0) -> list[tuple[datetime, float]]:
    """Hours in which wear grows to a level within so many days, and stops there."""
    hours = [until - days * DAY + k * HOUR for k in range(int(days * 24))]
    return [(hour, float(index_of(np.array(level * k / len(hours))))) for k, hour in enumerate(hours)]


def of(api: RunningApi, device: str) -> JSON:
    return ok(api.client().get(f"/api/v1/devices/{device}/prognosis"))


def test_wear_in_readings_becomes_days_that_are_left(
    own_api: RunningApi, notify: Session, assessor: Assessment
) -> None:
    device, well = own_api.plant.device(), own_api.plant.device()
    start = NOW - 15 * DAY
    lived(own_api, device, start, NOW, Fault(device, FaultKind.LEAK, 8 * 86_400.0, 14 * 86_400.0))
    lived(own_api, well, start, NOW)
    nothing = of(own_api, device)
    assert (nothing["at"], nothing["life"], nothing["p_fail_30"]) == (None, None, None)
    assert nothing["abstains"] == "its normal is not known yet"
    assessor.assess(notify, start + DAY + SETTLED)
    early = of(own_api, device)
    assert early["abstains"] == "no wear is seen"
    assessor.assess(notify, NOW + SETTLED)
    found, healthy = of(own_api, device), of(own_api, well)
    assert found["abstains"] == ""
    assert datetime.fromisoformat(found["at"]) == NOW
    life = found["life"]
    assert 0 < life["p05"] < life["p10"] < life["median"] < life["p90"]
    assert 0.1 < found["p_fail_30"] < 1
    assert found["failures"] == 0
    assert found["ahead"][0]["likely"] == pytest.approx(found["ahead"][0]["high"], abs=25)
    assert all(ahead["low"] <= ahead["likely"] <= ahead["high"] for ahead in found["ahead"])
    assert (healthy["abstains"], healthy["life"]) == ("no wear is seen", None)
    # Said once an hour, and never to somebody else.
    before = notify.execute("SELECT count(*) FROM prognoses").fetchone()
    assessor.assess(notify, NOW + SETTLED + timedelta(minutes=2))
    Assessment(own_api.database.url("notify"), library()).assess(notify, NOW + SETTLED)
    assert notify.execute("SELECT count(*) FROM prognoses").fetchone() == before
    refused(own_api.client(tenant="other").get(f"/api/v1/devices/{device}/prognosis"), 404)
    with psycopg.connect(own_api.database.url("api")) as conn:
        act_for(conn, "other")
        assert conn.execute("SELECT count(*) FROM prognoses").fetchone() == (0,)


def test_what_failed_before_says_where_it_fails_and_how_soon(
    own_api: RunningApi, notify: Session, assessor: Assessment
) -> None:
    for number in range(8):
        sister = own_api.plant.device()
        closed_at = NOW - (30 + number) * DAY
        was_well(own_api, sister, worn(closed_at, level=9.0), NOW - 200 * DAY)
        repaired(own_api, sister, closed_at - DAY, closed_at)
    device = own_api.plant.device()
    was_well(own_api, device, worn(NOW, level=5.0), NOW - 60 * DAY)
    assessor.assess(notify, NOW + SETTLED)
    found = of(own_api, device)
    assert found["failures"] == 8
    assert found["fails_at"] == pytest.approx(50 / 3, rel=0.15)
    # From 5 to 9 in steps of a quarter a day.
    assert found["life"]["p05"] < 16 < found["life"]["p95"]
    assert found["life"]["median"] == pytest.approx(16, rel=0.4)
    assert found["by_age"] > 0
    assert found["p_fail_30"] >= found["by_wear"]
    fleet = prognosis.fleet(notify, "demo", "pump", NOW)
    assert fleet.lives.failures == 8
    # Eight that ended, eight that began anew, and the machine itself.
    assert len(fleet.lives.days) == 17
    assert np.sort(fleet.lives.days)[-1] < 200
    assert prognosis.fleet(notify, "other", "pump", NOW).failures == []
    assert prognosis.fleet(notify, "demo", "", NOW).lives.failures == 0


def test_a_repair_begins_anew_and_a_ticket_remembers_what_had_been_said(
    own_api: RunningApi, notify: Session, assessor: Assessment
) -> None:
    device = own_api.plant.device()
    was_well(own_api, device, worn(NOW, level=5.0), NOW - 60 * DAY)
    assessor.assess(notify, NOW + SETTLED)
    said = of(own_api, device)["p_fail_30"]
    ticket = repaired(own_api, device, NOW + timedelta(minutes=10), NOW + timedelta(minutes=20))
    assert prognosis.at_opening(notify, ticket) == pytest.approx(said, abs=1e-4)
    assessor.diagnose(notify)
    assert prognosis.at_opening(notify, uuid4()) is None
    assessor.assess(notify, NOW + HOUR + SETTLED)
    client = own_api.client()
    later = (NOW + 2 * HOUR).isoformat()
    after = ok(client.get(f"/api/v1/devices/{device}/prognosis", params={"to": later}))
    assert after["abstains"] == "it has run for 0 hours since it was repaired: 24 are needed"
    assert len(after["time"]) == 2
    assert after["median"][-1] is None


def test_it_abstains_while_a_sensor_is_not_to_be_relied_on_or_the_machine_stands(
    own_api: RunningApi, notify: Session, assessor: Assessment
) -> None:
    distrusted, stands = own_api.plant.device(), own_api.plant.device()
    was_well(own_api, distrusted, worn(NOW, level=5.0), NOW - 60 * DAY)
    was_well(own_api, stands, worn(NOW - 10 * DAY, level=5.0), NOW - 60 * DAY)
    own_api.plant.alarm(distrusted)
    with own_api.database.owner() as conn:
        conn.execute("UPDATE alarms SET fault = 'instrument', point = 'flow'")
    assessor.assess(notify, NOW + SETTLED)
    assert of(own_api, distrusted)["abstains"] == "the sensor flow is not to be relied on"
    assert of(own_api, stands)["abstains"] == "it has stood still for 10 days"


def test_a_span_that_is_none_is_refused(own_api: RunningApi) -> None:
    device = own_api.plant.device()
    wrong = {"from": NOW.isoformat(), "to": (NOW - DAY).isoformat()}
    refused(own_api.client().get(f"/api/v1/devices/{device}/prognosis", params=wrong), 422)
    refused(own_api.client().get("/api/v1/devices/none/prognosis"), 404)
