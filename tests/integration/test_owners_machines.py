"""An owner sees their own machines, and of readings, alarms, events and rows of every other kind what is of those."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest
from serving import SECRET, RunningApi, ok, refused

from alarms.roles import Role
from api.access.tokens import issue
from store import waveforms
from store.connection import Session
from telemetry.waveform import Waveform

REFERS = ("device_id", "device", "stream_id", "ticket_id", "occurrence_id", "alarm_id")


@pytest.fixture
def own(own_api: RunningApi) -> tuple[RunningApi, httpx.Client, dict[str, str]]:
    """Two customers with a machine each and a machine of nobody's; a client of an owner of the first."""
    desk, administrator, engineer = (
        own_api.client(role) for role in (Role.DISPATCHER, Role.ADMINISTRATOR, Role.ENGINEER)
    )
    machines = {}
    for whose, number in (("mine", "K-1"), ("theirs", "K-2"), ("nobodys", "")):
        machines[whose] = own_api.plant.device()
        if number:
            ok(desk.post("/api/v1/customers", json={"number": number, "name": number, "tier": "regular"}), 201)
            ok(engineer.put(f"/api/v1/devices/{machines[whose]}/file", json={"customer": number}))
    body = {"login": "ola", "name": "Ola", "role": "owner", "password": "long enough, surely"}
    user = ok(administrator.post("/api/v1/users", json=body), 201)
    ok(administrator.patch(f"/api/v1/users/{user['id']}", json={"customer": "K-1"}))
    client = own_api.client(None)
    token = issue(SECRET, f"user:{user['id']}", "demo", Role.OWNER, 600, "ola")
    client.headers["Authorization"] = f"Bearer {token}"
    return own_api, client, machines


def rows(api: RunningApi, query: str, *values: Any) -> None:
    with api.database.owner() as conn:
        conn.execute(query, values)  # type: ignore[arg-type]


def test_what_machines_send_and_what_is_raised_is_seen_by_whose_they_are(
    own: tuple[RunningApi, httpx.Client, dict[str, str]],
) -> None:
    api, owner, machines = own
    alarms = {}
    for device in machines.values():
        stream = api.plant.stream(device)
        rows(api, "INSERT INTO readings (time, stream_id, value, quality) VALUES (now(), %s, 4.2, 0)", stream)
        alarms[device] = api.plant.alarm(device)
    mine, theirs = machines["mine"], machines["theirs"]
    day = {"from": "2020-01-01T00:00:00Z", "to": "2029-01-01T00:00:00Z"}

    for path in ("/api/v1/devices", "/api/v1/alarms", "/api/v1/presence", "/api/v1/streams"):
        everything = {item["device"] for item in ok(api.client().get(path))["items"]}
        assert everything == set(machines.values()), path
        assert {item["device"] for item in ok(owner.get(path))["items"]} == {mine}, path
    for device, status in ((mine, 200), (theirs, 404), (machines["nobodys"], 404)):
        assert owner.get(f"/api/v1/devices/{device}").status_code == status
        assert owner.get(f"/api/v1/alarms/{alarms[device]}").status_code == status
        found = owner.get("/api/v1/readings", params={"device": device, "point": "flow", **day})
        assert found.status_code == status, found.text
    refused(owner.get(f"/api/v1/devices/{theirs}/health"), 404)


def test_the_database_alone_keeps_views_and_functions_apart(
    own: tuple[RunningApi, httpx.Client, dict[str, str]],
) -> None:
    """What runs past the policies with its owner's rights: views of hypertables, and the functions over them."""
    api, _, machines = own
    streams = {whose: api.plant.stream(device) for whose, device in machines.items()}
    for stream in streams.values():
        rows(api, "INSERT INTO readings (time, stream_id, value, quality) VALUES (now(), %s, 1, 0)", stream)
        rows(api, "INSERT INTO contested (time, stream_id, value, quality) VALUES (now(), %s, 1, 0)", stream)
    for device in machines.values():
        rows(api, "INSERT INTO rejects (tenant, device, topic, payload, bytes, reason)"
             " VALUES ('demo', %s, 't', '', 1, 'x')",
             device)  # fmt: skip
        waveform = Waveform("demo", device, "x", 1, 0, 100.0, None, "g", 1.0, 0.0, np.arange(9, dtype="<i2"))
        with api.database.owner() as conn, conn.transaction():
            waveforms.append(conn, [waveform], arrived_us=2)
    with api.database.owner() as conn:
        ((customer,),) = conn.execute("SELECT id::text FROM customers WHERE number = 'K-1'").fetchall()

    def counts(narrowed: str) -> dict[str, int]:
        with psycopg.connect(api.database.url("api")) as conn:
            for setting, value in (("bellwether.tenant", "demo"), ("bellwether.customer", narrowed)):
                conn.execute("SELECT set_config(%s, %s, true)", [setting, value])
            wanted = list(streams.values())
            asked = {
                "readings": "SELECT count(*) FROM tenant_readings",
                "minutes": "SELECT count(*) FROM tenant_readings_1m",
                "hours": "SELECT count(*) FROM tenant_readings_1h",
                "contested": "SELECT count(*) FROM tenant_contested",
                "waveforms": "SELECT count(*) FROM tenant_waveforms",
                "rejects": "SELECT count(*) FROM tenant_rejects",
                "latest": "SELECT count(*) FROM latest_readings(%(wanted)s, now() - interval '1 day')",
                "sampled": "SELECT count(*) FROM sampled_readings(%(wanted)s, now() - interval '1 hour', '2 hours', 1)",
            }
            return {name: conn.execute(query, {"wanted": wanted}).fetchone()[0] for name, query in asked.items()}  # type: ignore

    assert set(counts("").values()) == {3}
    assert set(counts(customer).values()) == {1}
    assert set(counts("none").values()) == {1}


def test_live_events_are_of_the_owners_machines(own: tuple[RunningApi, httpx.Client, dict[str, str]]) -> None:
    api, owner, machines = own
    engineer = api.client(Role.ENGINEER)
    alarms = {whose: api.plant.alarm(device) for whose, device in machines.items()}
    with owner.stream("GET", "/api/v1/events") as answer:
        lines = answer.iter_lines()
        assert "event: ready" in [next(lines), next(lines)]
        for whose in ("theirs", "nobodys", "mine"):
            ok(engineer.post(f"/api/v1/alarms/{alarms[whose]}/acknowledge", json={}))
        told = next(line for line in lines if line.startswith("data: ") and "device" in line)
    assert json.loads(told.removeprefix("data: "))["device"] == machines["mine"]


def test_every_table_that_refers_to_a_machine_says_whose_it_is(module_database: Any) -> None:
    """A new one that the API may read needs its policy, as in store/migrations/042_owners_machines.sql."""
    with module_database.owner() as conn:
        assert _without_policy(conn) == set()


def _without_policy(conn: Session) -> set[str]:
    found = conn.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY (%s)"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
        " AND (has_table_privilege('bellwether_api', c.oid, 'SELECT')"
        "      OR has_any_column_privilege('bellwether_api', c.oid, 'SELECT'))"
        " AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'own_of_owner')",
        [list(REFERS)],
    ).fetchall()
    return {name for (name,) in found}
