"""Presence over HTTP: what is known of a device, and what its owner says of it."""

from __future__ import annotations

import psycopg
from serving import RunningApi, ok, refused

import store.telemetry as rows
from telemetry import StreamKey


def test_a_device_is_shown_with_its_presence_and_its_clock(api: RunningApi) -> None:
    device = api.plant.device()
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO device_presence"
            " (device_id, tenant, heard_at, expected_s, presence, presence_at, clock_offset_s)"
            " SELECT id, tenant, now(), 10, 'silent', now(), 3600.5 FROM devices WHERE device = %s",
            [device],
        )
        conn.execute(
            "INSERT INTO device_clock (tenant, device, at, offset_s, before_s, cause)"
            " VALUES ('demo', %s, now() - interval '1 day', 0.1, NULL, 'first'),"
            " ('demo', %s, now(), 3600.5, 0.1, 'set')",
            [device, device],
        )
    shown = ok(api.client().get(f"/api/v1/devices/{device}/presence"))
    assert (shown["presence"], shown["expected_every_s"], shown["clock_offset_s"]) == ("silent", 10, 3600.5)
    assert [change["cause"] for change in shown["clock_changes"]] == ["set", "first"]
    silent = ok(api.client().get("/api/v1/presence", params={"presence": "silent"}))["items"]
    assert [one["device"] for one in silent] == [device]
    refused(api.client().get("/api/v1/devices/nobody/presence"), 404)


def test_an_owner_says_how_a_device_is_watched(api: RunningApi) -> None:
    device = api.plant.device()
    path = f"/api/v1/devices/{device}/presence"
    said = {"expected_interval_s": 3600, "clock_policy": "correct", "gateway": "gw-2"}
    changed = ok(api.client().patch(path, json=said))
    assert {name: changed[name] for name in said} == said
    changed = ok(api.client().patch(path, json={"gateway": ""}))
    assert (changed["gateway"], changed["expected_interval_s"], changed["clock_policy"]) == ("", 3600, "correct")
    assert ok(api.client().patch(path, json={"expected_interval_s": None}))["expected_interval_s"] is None
    for wrong in ({"expected_interval_s": 0}, {"clock_policy": "guess"}, {"presence": "online"}):
        refused(api.client().patch(path, json=wrong), 422)
    refused(api.client().patch("/api/v1/devices/nobody/presence", json=said), 404)


def test_a_new_device_begins_with_the_clock_policy_of_its_tenant(api: RunningApi) -> None:
    """Registered, or come into being with its first message; who was there before stays as it is."""
    mine = api.client()
    before = api.plant.device()
    assert ok(mine.get("/api/v1/clock-policy")) == {"policy": "keep"}
    assert ok(mine.put("/api/v1/clock-policy", json={"policy": "correct"})) == {"policy": "correct"}
    refused(mine.put("/api/v1/clock-policy", json={"policy": "guess"}), 422)
    ok(mine.post("/api/v1/devices", json={"device": "registered"}), 201)
    with psycopg.connect(api.database.url("ingest")) as conn:
        rows.add_streams(conn, [StreamKey(tenant, "heard", "flow") for tenant in ("demo", "other")])

    def policy(device: str, tenant: str = "demo") -> str:
        return str(ok(api.client(tenant=tenant).get(f"/api/v1/devices/{device}/presence"))["clock_policy"])

    assert [policy(device) for device in (before, "registered", "heard")] == ["keep", "correct", "correct"]
    assert policy("heard", "other") == "keep"
    assert ok(mine.put("/api/v1/clock-policy", json={"policy": "keep"})) == {"policy": "keep"}
    assert policy("heard") == "correct"
