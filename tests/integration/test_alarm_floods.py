"""Noise as it is kept: a chattering alarm is one, a flood begins and ends once, what stands unchanged is stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from serving import RunningApi, ok

from alarms.roles import Role
from store import floods


def look(api: RunningApi, at: datetime | None = None) -> None:
    """What notify does every few seconds."""
    with psycopg.connect(api.database.url("notify")) as conn:
        floods.watch(conn, at or datetime.now(UTC))


def standing(api: RunningApi, tenant: str = "demo") -> list[dict[str, Any]]:
    return list(ok(api.client(tenant=tenant).get("/api/v1/floods", params={"open": True}))["items"])


def raised(api: RunningApi, device: str, at: datetime, since: datetime | None = None, **changes: Any) -> UUID:
    """An alarm that was raised, with the event that says so."""
    alarm = api.plant.alarm(device, at=since or at, **changes)
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, recorded_at, kind, state, severity)"
            " SELECT gen_random_uuid(), id, tenant, %s, %s, 'raised', 'unacknowledged', severity"
            " FROM alarms WHERE id = %s",
            [at, at, alarm],
        )
    return alarm


def at_site(api: RunningApi, site: str, machines: int) -> list[str]:
    names = [api.plant.device() for _ in range(machines)]
    with api.database.owner() as conn:
        conn.execute("UPDATE devices SET site = %s WHERE device = ANY(%s)", [site, names])
    return names


def test_a_flood_names_its_first_out_and_its_machines(own_api: RunningApi) -> None:
    now = datetime.now(UTC)
    one, two, three = at_site(own_api, "Hall 1", 3)
    elsewhere = at_site(own_api, "Hall 2", 1)[0]
    for minute in range(9):
        raised(own_api, one if minute % 2 else two, now - timedelta(minutes=9 - minute))
    raised(own_api, elsewhere, now)
    look(own_api)
    assert standing(own_api) == []
    first = raised(own_api, three, now - timedelta(seconds=30), since=now - timedelta(hours=1), severity="critical")
    raised(own_api, three, now - timedelta(seconds=20))
    look(own_api)
    look(own_api)
    (flood,) = standing(own_api)
    assert (flood["site"], flood["first_out"], flood["first_device"]) == ("Hall 1", str(first), three)
    assert (flood["most_alarms"], flood["ended_at"]) == (11, None)
    groups = ok(own_api.client().get("/api/v1/floods/groups", params={"site": "Hall 1"}))["items"]
    assert [(group["device"], group["alarms"], group["worst"]) for group in groups] == [
        (three, 2, "critical"),
        (two, 5, "high"),
        (one, 4, "high"),
    ]
    with own_api.database.owner() as conn:
        kinds = conn.execute("SELECT kind FROM live_events WHERE kind LIKE 'flood.%%' ORDER BY id").fetchall()
    assert kinds == [("flood.began",)]
    assert standing(own_api, "other") == []


def test_a_flood_ends_when_there_is_less_than_half_of_it(own_api: RunningApi) -> None:
    now = datetime.now(UTC)
    (pump,) = at_site(own_api, "Hall 1", 1)
    for second in range(12):
        raised(own_api, pump, now - timedelta(seconds=second * 40))
    look(own_api, now)
    for minutes, stands in ((2, True), (5, True), (8, False)):
        look(own_api, now + timedelta(minutes=minutes))
        assert bool(standing(own_api)) == stands, minutes
    (over,) = ok(own_api.client().get("/api/v1/floods"))["items"]
    assert over["ended_at"] is not None


def test_what_is_quiet_floods_nobody_and_a_tenant_says_what_a_flood_is(own_api: RunningApi) -> None:
    now = datetime.now(UTC)
    (pump,) = at_site(own_api, "", 1)
    for _ in range(8):
        raised(own_api, pump, now)
    for _ in range(20):
        raised(own_api, pump, now, state="suppressed")
    look(own_api)
    assert standing(own_api) == []
    ok(own_api.client(Role.MANAGER).put("/api/v1/alarm-policy", json={"flood_alarms": 5}))
    look(own_api)
    assert [(flood["site"], flood["most_alarms"]) for flood in standing(own_api)] == [("", 8)]


def test_what_stands_unchanged_for_a_day_is_stale(own_api: RunningApi) -> None:
    pump = own_api.plant.device()
    old, fresh, gone, quiet = (
        own_api.plant.alarm(pump),
        own_api.plant.alarm(pump),
        own_api.plant.alarm(pump, state="returned_unacknowledged", active=False),
        own_api.plant.alarm(pump, state="shelved"),
    )
    with own_api.database.owner() as conn:
        conn.execute(
            "UPDATE alarms SET changed_at = now() - interval '25 hours' WHERE id = ANY(%s)", [[old, gone, quiet]]
        )

    def stale(**params: Any) -> list[str]:
        return [alarm["id"] for alarm in ok(own_api.client().get("/api/v1/alarms", params=params))["items"]]

    assert stale(stale=True) == [str(old)]
    assert set(stale(stale=False)) == {str(fresh), str(gone), str(quiet)}
    assert ok(own_api.client().get(f"/api/v1/alarms/{old}"))["stale"] is True
    ok(own_api.client(Role.MANAGER).put("/api/v1/alarm-policy", json={"stale_h": 48}))
    assert stale(stale=True) == []
