"""The quality of data against the real server: hours counted once they are over, and grades of a machine's streams."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from serving import JSON, RunningApi, ok, refused

import store.telemetry as telemetry_rows
from notify.storage import StorageCare
from store.connection import Session
from telemetry import Batch, Quality, StreamKey

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOUR = timedelta(hours=1)
DAY = 24


@pytest.fixture
def notify(own_api: RunningApi) -> Iterator[Session]:
    """The role that does it, with its rights and no others."""
    with psycopg.connect(own_api.database.url("notify"), autocommit=True, options="-c timezone=UTC") as conn:
        yield conn


@pytest.fixture
def care(own_api: RunningApi) -> StorageCare:
    return StorageCare(own_api.database.url("notify"))


def said(
    api: RunningApi,
    device: str,
    point: str,
    quality_of: dict[int, Quality],
    without: Collection[int] = (),
    begins_min: int = 0,
) -> None:
    """A reading a minute over a day, or from a minute of it on, but for some hours. Those of an hour have a quality."""
    minutes = np.array([m for m in range(begins_min, DAY * 60) if m // 60 not in without])
    times = (int((NOW - DAY * HOUR).timestamp()) + minutes * 60) * 1_000_000
    flags = [int(quality_of.get(int(minute) // 60, Quality.GOOD)) for minute in minutes]
    with psycopg.connect(api.database.url("ingest")) as conn:
        (stream,) = telemetry_rows.add_streams(conn, [StreamKey("demo", device, point)])
        values = np.random.default_rng(1).normal(size=len(minutes))
        telemetry_rows.append(conn, Batch.of(times, [stream.id] * len(minutes), values, flags))
    with api.database.owner() as conn:
        created_at = NOW - DAY * HOUR + timedelta(minutes=begins_min)
        conn.execute("UPDATE streams SET created_at = %s WHERE id = %s", (created_at, stream.id))


def graded(api: RunningApi, device: str) -> dict[str, JSON]:
    return {stream["point"]: stream for stream in ok(api.client().get(f"/api/v1/devices/{device}/quality"))}


def test_a_week_of_hours_becomes_a_grade_that_says_why(own_api: RunningApi, notify: Session, care: StorageCare) -> None:
    device = own_api.plant.device()
    said(own_api, device, "flow", {})
    said(own_api, device, "heat", {}, without={3, 4, 5})
    said(own_api, device, "level", {7: Quality.IMPOSSIBLE})
    said(own_api, device, "clock", dict.fromkeys(range(12, 24), Quality.CLOCK))
    assert {stream["grade"] for stream in graded(own_api, device).values()} == {""}
    assert care.count(notify, NOW + timedelta(minutes=4)) >= 1, "the last hour may still be on its way"
    assert care.count(notify, NOW + timedelta(minutes=6)) >= 1
    assert care.count(notify, NOW + timedelta(minutes=6)) == 0
    found = graded(own_api, device)
    assert {point: stream["grade"] for point, stream in found.items()} == {
        "flow": "A", "heat": "C", "level": "D", "clock": "D"
    }  # fmt: skip
    assert found["flow"]["why"] == []
    assert found["heat"]["why"] == ["12 % missing, 3 hours without any"]
    assert found["level"]["why"] == ["4 % physically impossible"]
    assert found["clock"]["why"] == ["50 % with a wrong time"]
    assert (found["flow"]["hours"], found["flow"]["readings"], found["flow"]["usable"]) == (24, 1440, True)
    assert not found["level"]["usable"]
    assert found["flow"]["values_an_hour"] == 60.0


@pytest.mark.parametrize("minute", [0, 2, 31, 58])
def test_what_was_before_its_first_reading_is_not_missing(
    own_api: RunningApi, notify: Session, care: StorageCare, minute: int
) -> None:
    """Heard for six hours, the first of them not whole: as it comes, or as a buffer that was sent afterwards."""
    device = own_api.plant.device()
    begins_min = (DAY - 6) * 60 + minute
    said(own_api, device, "flow", {}, begins_min=begins_min)
    said(own_api, device, "heat", {}, begins_min=begins_min)
    said(own_api, device, "level", {}, without={DAY - 3}, begins_min=begins_min)
    with own_api.database.owner() as conn:
        conn.execute("UPDATE streams SET created_at = %s WHERE device = %s AND point = 'heat'", (NOW, device))
    care.count(notify, NOW + timedelta(minutes=6))
    found = graded(own_api, device)
    for point in ("flow", "heat"):
        assert (found[point]["grade"], found[point]["points"], found[point]["why"]) == ("A", 100.0, [])
        assert (found[point]["hours"], found[point]["hours_heard"]) == (6, 6)
    share = f"{60 / (360 - minute):.0%}".replace("%", " %")
    assert found["level"]["why"] == [f"{share} missing, 1 hour without any"]


def test_what_stands_against_a_sensor_counts_at_once(own_api: RunningApi, notify: Session, care: StorageCare) -> None:
    device = own_api.plant.device()
    said(own_api, device, "heat", {})
    care.count(notify, NOW + timedelta(minutes=6))
    alarm = own_api.plant.alarm(device)
    with own_api.database.owner() as conn:
        conn.execute(
            "UPDATE alarms SET detector = 'sensors', message = 'heat reads °F instead of °C: 158 °C',"
            " stream_id = (SELECT id FROM streams WHERE device = %s AND point = 'heat'), point = 'heat' WHERE id = %s",
            (device, alarm),
        )
    (heat,) = graded(own_api, device).values()
    assert (heat["grade"], heat["why"]) == ("F", ["heat reads °F instead of °C: 158 °C"])


def test_hours_that_are_over_for_a_week_are_forgotten(own_api: RunningApi, notify: Session, care: StorageCare) -> None:
    device = own_api.plant.device()
    said(own_api, device, "flow", {})
    care.count(notify, NOW + timedelta(minutes=6))
    later = NOW + 6 * DAY * HOUR + timedelta(minutes=6)
    care.count(notify, later)
    assert graded(own_api, device)["flow"]["why"] == ["86 % missing, 6 days without any"]
    care.count(notify, later + 3 * DAY * HOUR)
    assert graded(own_api, device)["flow"]["grade"] == "F"
    own = "SELECT count(*) FROM quality_hours q JOIN streams s ON s.id = q.stream_id WHERE s.device = %s"
    assert notify.execute(own, (device,)).fetchone() == (0,)


def test_another_tenants_machine_has_no_grades(own_api: RunningApi) -> None:
    refused(own_api.client().get("/api/v1/devices/nobody-here/quality"), 404)
