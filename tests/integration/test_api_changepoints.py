"""Where a point's behaviour changed, asked of the real server for a chart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from serving import JSON, RunningApi, ok, refused

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STEP_AT = START + timedelta(hours=9)


@pytest.fixture(scope="module")
def device(api: RunningApi) -> str:
    """Ten hours of noise every ten seconds; an hour before the end the flow falls from 10 to 8.5."""
    name = api.plant.device()
    stream = api.plant.stream(name)
    rng = np.random.default_rng(7)
    values = 10.0 + 0.3 * rng.normal(size=3600) - 1.5 * (np.arange(3600) >= 3240)
    times = [START + timedelta(seconds=10 * n) for n in range(3600)]
    with api.database.owner() as conn, conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO readings (time, stream_id, value) VALUES (%s, %s, %s)",
            [(time, stream, value) for time, value in zip(times, values.tolist(), strict=True)],
        )
    return name


def asked(api: RunningApi, device: str, start: datetime, end: datetime, **more: Any) -> JSON:
    params = {"device": device, "point": "flow", "from": start.isoformat(), "to": end.isoformat(), **more}
    return ok(api.client().get("/api/v1/readings/changepoints", params=params))


@pytest.mark.parametrize(("hours", "points"), [(2, 500), (2, 1500), (4, 400), (2, 1000)])
def test_a_step_is_found_where_it_was_however_the_chart_is_drawn(
    api: RunningApi, device: str, hours: int, points: int
) -> None:
    body = asked(api, device, STEP_AT - hours / 2 * HOUR, STEP_AT + HOUR, points=points)
    assert body["abstains"] == ""
    assert len(body["changes"]) == 1
    change = body["changes"][0]
    bucket = timedelta(seconds=body["bucket_s"] or 10.0)
    at, known_at = datetime.fromisoformat(change["at"]), datetime.fromisoformat(change["known_at"])
    assert abs(at - STEP_AT) <= 2 * bucket
    assert at <= known_at <= at + 15 * bucket
    assert change["score"] >= 1.0
    assert (change["before"], change["after"]) == pytest.approx((10.0, 8.5), abs=0.1)
    assert body["unit"] == "m3/h"


def test_where_nothing_changed_nothing_is_marked(api: RunningApi, device: str) -> None:
    for begin in range(2, 7):
        assert asked(api, device, START + begin * HOUR, START + (begin + 2) * HOUR)["changes"] == []


def test_the_span_itself_says_how_a_point_moves_where_nothing_came_before(api: RunningApi, device: str) -> None:
    body = asked(api, device, START - HOUR, START + 10 * HOUR)
    assert [datetime.fromisoformat(one["at"]) for one in body["changes"]] == [
        pytest.approx(STEP_AT, abs=timedelta(minutes=5))
    ]


def test_too_few_readings_say_so(api: RunningApi, device: str) -> None:
    body = asked(api, device, START, START + timedelta(minutes=20))
    assert body["changes"] == []
    assert "too few" in body["abstains"]


def test_what_cannot_be_asked_is_refused(api: RunningApi, device: str) -> None:
    address = "/api/v1/readings/changepoints"
    refused(api.client().get(address, params={"device": device, "point": "nothing"}), 404)
    refused(api.client().get(address, params={"device": device, "point": "flow", "points": 99_999}), 422)
    span = {"from": STEP_AT.isoformat(), "to": START.isoformat()}
    refused(api.client().get(address, params={"device": device, "point": "flow", **span}), 422)
