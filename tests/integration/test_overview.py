"""What the pages read at a glance, against the slow and obvious way of reading it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from store import overview
from store.connection import Session, act_for
from store.telemetry import note_modes

if TYPE_CHECKING:
    from conftest import Database

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)


@pytest.fixture
def plant(database: Database) -> Iterator[Session]:
    """Two tenants with a pump each of the same name; the readings of a day every ten minutes, with a gap."""
    with database.owner() as conn:
        for tenant in ("demo", "other"):
            conn.execute(
                "INSERT INTO devices (tenant, device, kind, site, first_seen_at)"
                " VALUES (%s, 'pump-1', 'pump', 'North', %s)",
                [tenant, NOW - timedelta(days=9)],
            )
            for point, quantity, unit in (("flow", "flow", "m3/h"), ("vibration", "vibration_velocity", "mm/s")):
                conn.execute(
                    "INSERT INTO streams (device_id, tenant, device, point, quantity, unit)"
                    " SELECT id, tenant, device, %s, %s, %s FROM devices WHERE tenant = %s",
                    [point, quantity, unit, tenant],
                )
        conn.execute(
            "INSERT INTO readings (time, stream_id, value)"
            " SELECT t, id, id * 1000 + extract(epoch FROM %(now)s - t) / 600 FROM streams,"
            " generate_series(%(now)s - interval '24 h', %(now)s - interval '10 min', '10 min') t"
            " WHERE t NOT BETWEEN %(now)s - interval '9 h' AND %(now)s - interval '6 h'",
            {"now": NOW},
        )
        yield conn


def _alarms(conn: Session, *alarms: tuple[str, str]) -> None:
    """Alarms of the demo pump by severity and state."""
    for severity, state in alarms:
        conn.execute(
            "INSERT INTO alarms (id, tenant, device_id, device, point, rule, detector, fault, severity, state, active,"
            " since, raised_at, score, message, evidence)"
            " SELECT gen_random_uuid(), tenant, id, device, 'flow', %s, 'shift', 'condition', %s, %s, true, %s, %s, 2,"
            " '', '{}' FROM devices WHERE tenant = 'demo'",
            [f"rule-{severity}", severity, state, NOW, NOW],
        )


@pytest.fixture
def as_api(database: Database, plant: Session) -> Iterator[Session]:
    """The API's own connection, acting for `demo`."""
    with psycopg.connect(database.url("api"), options="-c timezone=UTC") as conn:
        act_for(conn, "demo")
        yield conn


def _streams(conn: Session, tenant: str) -> list[int]:
    return [row[0] for row in conn.execute("SELECT id FROM streams WHERE tenant = %s ORDER BY id", [tenant])]


def test_a_machine_says_what_it_is_doing(database: Database, plant: Session, as_api: Session) -> None:
    ids = dict(plant.execute("SELECT tenant, id FROM devices").fetchall())
    plant.commit()
    since_us = int(NOW.timestamp() * 1e6)
    with psycopg.connect(database.url("ingest"), options="-c timezone=UTC") as conn:
        note_modes(conn, {ids["demo"]: ("part load", since_us)})
    assert [(glance.mode, glance.mode_since) for glance in overview.glances(as_api, NOW)] == [("part load", NOW)]


def test_samples_are_the_last_reading_of_each_step(plant: Session, as_api: Session) -> None:
    streams = _streams(plant, "demo")
    start, width = NOW - timedelta(hours=24), timedelta(minutes=30)
    expected = {
        stream: [
            next(
                iter(
                    plant.execute(
                        "SELECT value FROM readings WHERE stream_id = %s AND time >= %s AND time < %s"
                        " ORDER BY time DESC LIMIT 1",
                        [stream, start + step * width, start + (step + 1) * width],
                    )
                ),
                (None,),
            )[0]
            for step in range(48)
        ]
        for stream in streams
    }
    assert overview.samples(as_api, streams, start, width, 48) == expected
    assert None in expected[streams[0]]


def test_one_tenant_never_reads_anothers_streams(plant: Session, as_api: Session) -> None:
    theirs = _streams(plant, "other")
    lines = overview.samples(as_api, theirs, NOW - timedelta(hours=24), timedelta(minutes=30), 48)
    assert lines == {stream: [None] * 48 for stream in theirs}
    found = as_api.execute("SELECT count(*) FROM latest_readings(ARRAY[%s], '-infinity')", [theirs[0]]).fetchone()
    assert found == (0,)


def test_a_glance_says_what_stands_against_a_machine(plant: Session, as_api: Session) -> None:
    (glance,) = overview.glances(as_api, NOW)
    assert (glance.device, glance.point, glance.heard_at) == ("pump-1", "vibration", NOW - timedelta(minutes=10))
    assert glance.status(NOW) == "healthy"
    assert glance.status(NOW + timedelta(days=2)) == "offline"
    as_api.commit()
    _alarms(plant, ("medium", "unacknowledged"), ("critical", "shelved"), ("high", "acknowledged"))
    act_for(as_api, "demo")
    (glance,) = overview.glances(as_api, NOW, "pump-1")
    assert (glance.alarms, glance.severity, glance.point) == (2, "high", "flow")
    assert glance.status(NOW) == "fault"
    assert overview.counts(as_api) == overview.Counts(alarms=2, unacknowledged=1, tickets=0)


def test_open_alarms_come_worst_first_and_by_part_of_a_name(plant: Session, as_api: Session) -> None:
    _alarms(plant, ("low", "unacknowledged"), ("critical", "acknowledged"), ("high", "unacknowledged"))
    lines = overview.alarm_lines(as_api, limit=10, device="UMP-", worst_first=True)
    assert [(line.severity, line.state) for line in lines] == [
        ("high", "unacknowledged"),
        ("low", "unacknowledged"),
        ("critical", "acknowledged"),
    ]
    assert overview.alarm_lines(as_api, limit=10, device="%") == []
    assert [line.severity for line in overview.alarm_lines(as_api, limit=1, had=1, worst_first=True)] == ["low"]
