"""What can't be judged of a machine yet, as the API tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from serving import RunningApi, ok, refused


def heard(api: RunningApi, device: str, point: str, since: datetime, until: datetime, every_s: int = 60) -> None:
    """A stream that came into being with its first reading."""
    stream = api.plant.stream(device, point)
    with api.database.owner() as conn:
        conn.execute("UPDATE streams SET created_at = %s WHERE id = %s", [since, stream])
        conn.execute(
            "INSERT INTO readings (time, stream_id, value) SELECT t, %s, random()"
            " FROM generate_series(%s::timestamptz, %s::timestamptz, make_interval(secs => %s)) t",
            [stream, since, until, every_s],
        )


def test_a_young_machine_says_what_it_still_learns(api: RunningApi) -> None:
    now = datetime.now(UTC)
    device = api.plant.device()
    for point in ("flow", "pressure"):
        heard(api, device, point, now - timedelta(hours=5), now)
    found = {one["detector"]: one for one in ok(api.client().get(f"/api/v1/devices/{device}/learning"))}  # type: ignore[call-overload]
    assert set(found) == {"sensors", "multivariate", "novelty", "drift"}
    assert found["drift"]["points"] == ["flow", "pressure"]
    about = datetime.fromisoformat(found["drift"]["about"])
    assert about - now == pytest.approx(timedelta(days=8) - timedelta(hours=5), abs=timedelta(minutes=5))
    assert found["drift"]["why"] == ""
    with api.database.owner() as conn:
        conn.execute("UPDATE devices SET learnt_at = now() WHERE device = %s", [device])
    assert "multivariate" not in str(ok(api.client().get(f"/api/v1/devices/{device}/learning")))


def test_a_machine_that_came_with_its_history_is_no_young_one(api: RunningApi) -> None:
    now = datetime.now(UTC)
    device = api.plant.device()
    heard(api, device, "flow", now - timedelta(days=12), now, every_s=300)
    with api.database.owner() as conn:
        conn.execute("UPDATE streams SET created_at = now() WHERE device = %s", [device])
        conn.execute("UPDATE devices SET learnt_at = now() WHERE device = %s", [device])
    assert ok(api.client().get(f"/api/v1/devices/{device}/learning")) == []


def test_a_machine_without_points_and_none_at_all(api: RunningApi) -> None:
    assert ok(api.client().get(f"/api/v1/devices/{api.plant.device()}/learning")) == []
    refused(api.client().get("/api/v1/devices/nobody/learning"), 404)
