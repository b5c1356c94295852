"""Charts: raw where readings are few, rolled up where they are many, gaps that stay gaps."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import JSON, RunningApi, ok, refused

from store.readings import bucket_width_s

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 3
GAP = (START + timedelta(hours=30), START + timedelta(hours=33))


@pytest.fixture(scope="module")
def device(api: RunningApi) -> str:
    """Three days at 0.2 Hz of a ramp from 0, with a gap of three hours."""
    name = api.plant.device()
    stream = api.plant.stream(name)
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO readings (time, stream_id, value)"
            " SELECT %s + n * interval '5 seconds', %s, n FROM generate_series(0, %s) n"
            " WHERE NOT (%s + n * interval '5 seconds' >= %s AND %s + n * interval '5 seconds' < %s)",
            [START, stream, DAYS * 17280 - 1, START, GAP[0], START, GAP[1]],
        )
        if conn.execute("SELECT current_setting('timescaledb.license')").fetchall() == [("timescale",)]:
            conn.execute("CALL refresh_continuous_aggregate('rollup_1m', NULL, NULL)")
            conn.execute("CALL refresh_continuous_aggregate('rollup_1h', NULL, NULL)")
    return name


def chart(api: RunningApi, device: str, start: datetime, end: datetime, points: int = 500) -> JSON:
    params: dict[str, Any] = {
        "device": device, "point": "flow", "from": start.isoformat(), "to": end.isoformat(), "points": points,
    }  # fmt: skip
    body = ok(api.client().get("/api/v1/readings", params=params))
    columns = [body[name] for name in ("time", "n", "min", "max", "mean")]
    assert len({len(column) for column in columns}) == 1
    assert body["time"] == sorted(body["time"])
    return body


def test_few_readings_are_themselves(api: RunningApi, device: str) -> None:
    body = chart(api, device, START, START + timedelta(minutes=10))
    assert body["bucket_s"] is None
    assert body["mean"] == body["min"] == body["max"] == [float(n) for n in range(120)]
    assert body["n"] == [1] * 120
    assert body["time"][1] == "2026-03-01T00:00:05Z"
    assert (body["unit"], body["from"], body["to"]) == ("m3/h", "2026-03-01T00:00:00Z", "2026-03-01T00:10:00Z")


@pytest.mark.parametrize(
    ("hours", "points", "bucket_s"),
    [(2, 500, 15.0), (10, 500, 120.0), (72, 1000, 300.0), (72, 100, 3600.0), (72, 5, 86400.0)],
)
def test_many_readings_are_rolled_up_and_every_one_counts(
    api: RunningApi, device: str, hours: int, points: int, bucket_s: float
) -> None:
    body = chart(api, device, START, START + timedelta(hours=hours), points)
    assert body["bucket_s"] == bucket_s
    buckets = [row for row in zip(body["n"], body["min"], body["max"], body["mean"], strict=True) if row[0]]
    assert len(buckets) <= points + 1
    missing = 3 * 720 if hours == 72 else 0
    assert sum(row[0] for row in buckets) == hours * 720 - missing
    assert min(row[1] for row in buckets) == 0
    assert max(row[2] for row in buckets) == hours * 720 - 1
    exact = sum(n for n in range(hours * 720) if hours < 72 or not 30 * 720 <= n < 33 * 720)
    assert math.isclose(sum(row[0] * row[3] for row in buckets), exact, rel_tol=1e-9)


@pytest.mark.parametrize(("margin_h", "points"), [(0.1, 5000), (1, 500), (20, 200)], ids=["raw", "seconds", "minutes"])
def test_a_gap_stays_a_gap(api: RunningApi, device: str, margin_h: float, points: int) -> None:
    margin = timedelta(hours=margin_h)
    body = chart(api, device, GAP[0] - margin, GAP[1] + margin, points)
    breaks = [n for n, count in enumerate(body["n"]) if count == 0]
    assert len(breaks) == 1
    at = breaks[0]
    assert 0 < at < len(body["n"]) - 1
    assert body["mean"][at] is body["min"][at] is body["max"][at] is None
    inside = [time for time in body["time"] if GAP[0].isoformat() < time < GAP[1].isoformat()]
    assert len(inside) == 1


def test_where_nothing_was_read_there_is_nothing(api: RunningApi, device: str) -> None:
    body = chart(api, device, START - timedelta(days=9), START - timedelta(days=8))
    assert body["time"] == []


def test_the_end_is_not_in_the_span(api: RunningApi, device: str) -> None:
    assert chart(api, device, START, START + timedelta(seconds=10))["mean"] == [0.0, 1.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"points": 5001},
        {"points": 0},
        {"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"},
        {"from": "1900-01-01T00:00:00Z"},
        {"from": "yesterday"},
        {"from": "2026-03-01T00:00:00"},
        {"device": "a b"},
        {"point": "\x1f"},
        {"point": "x" * 129},
    ],
    ids=str,
)
def test_what_cannot_be_charted_is_refused(api: RunningApi, device: str, changes: JSON) -> None:
    refused(api.client().get("/api/v1/readings", params={"device": device, "point": "flow", **changes}), 422)


def test_a_value_that_contradicts_another_is_shown_beside_it(api: RunningApi) -> None:
    name = api.plant.device()
    stream = api.plant.stream(name)
    with api.database.owner() as conn:
        conn.execute("INSERT INTO readings (time, stream_id, value) VALUES (%s, %s, 1.5)", [START, stream])
        conn.execute(
            "INSERT INTO contested (time, stream_id, value, quality)"
            " SELECT %s, %s, v, 32 FROM unnest('{2.5,2.0}'::float8[]) v",
            [START, stream],
        )
    params = {"device": name, "point": "flow", "from": START.isoformat(), "to": (START + timedelta(1)).isoformat()}
    found = ok(api.client().get("/api/v1/readings/contested", params=params))
    assert found == [{"time": "2026-03-01T00:00:00Z", "value": value, "standing": 1.5} for value in (2.0, 2.5)]
    refused(api.client().get("/api/v1/readings/contested", params=params | {"device": "no-such"}), 404)


def test_streams_show_their_latest_reading(api: RunningApi, device: str) -> None:
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO readings (time, stream_id, value)"
            " SELECT now() - interval '1 minute', id, 42 FROM streams WHERE device = %s",
            [device],
        )
    (stream,) = ok(api.client().get("/api/v1/streams", params={"device": device}))["items"]
    assert stream["latest_value"] == 42
    assert ok(api.client().get(f"/api/v1/devices/{device}"))["heard_at"] == stream["latest_at"]


@given(st.floats(0.001, 4e8), st.integers(1, 5000))
def test_a_bucket_is_never_too_narrow_nor_absurdly_wide(span_s: float, points: int) -> None:
    width_s = bucket_width_s(span_s, points)
    assert span_s / width_s <= points * (1 + 1e-9)
    assert width_s <= max(0.01, 4 * span_s / points, 0.01) or width_s == 604_800.0
