"""Preventive plans on a real database: looked at by the time of their tests, their tickets opened over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from serving import JSON, SECRET, RunningApi, ok, refused
from waiting import until, waits_for_lock

from alarms.roles import Role
from api.access.tokens import issue
from notify.destinations import PLANS_PATH, TicketsApi
from notify.loop import Notify
from notify.plans import Plans
from store.connection import Session, act_for, connect
from store.outbox import Parcel
from store.plans.openings import open_planned

# Far enough ahead that nothing is rolled up yet of what these tests store: the server does that when it likes.
NOW = (datetime.now(UTC) + timedelta(days=60)).replace(minute=30, second=0, microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def conn(api: RunningApi) -> Iterator[Session]:
    """A connection as `notify` has it; what other tests have planned is over."""
    rows(api, "UPDATE plans SET ended_at = now() WHERE ended_at IS NULL")
    rows(api, "DELETE FROM outbox")
    with connect(api.database.url("notify"), "plans") as session:
        session.autocommit = True
        yield session


def device_of(api: RunningApi, model: str = "") -> str:
    name = api.plant.device()
    rows(api, "UPDATE devices SET model = %s WHERE device = %s", model, name)
    return name


def plan(api: RunningApi, device: str | None, trigger: JSON, **fields: Any) -> JSON:
    """A plan made a moment before `NOW`, as far as the database is asked."""
    asked = {"name": "Grease it", "device": device, "steps": "Wipe it.\nGrease it.", "lead_days": 0} | fields
    made = ok(api.client(Role.DISPATCHER).post("/api/v1/plans", json=asked | {"trigger": trigger}), 201)
    rows(api, "UPDATE plans SET made_at = %s, changed_at = %s WHERE id = %s", NOW - DAY, NOW - DAY, made["id"])
    return made


def rows(api: RunningApi, query: str, *values: object) -> list[Any]:
    with api.database.owner() as owner:
        cursor = owner.execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []


def deliver(api: RunningApi) -> list[str]:
    """Bring every parcel of plans, each twice, as a postman would who was killed before ticking it off."""
    postman = TicketsApi(api.url, lambda tenant: issue(SECRET, "notify", tenant, Role.SERVICE, 60), PLANS_PATH)
    waiting = rows(
        api, "SELECT id, event_id, tenant, destination, payload, 1 FROM outbox WHERE destination = 'plans' ORDER BY id"
    )
    fates = [postman.deliver(Parcel(*row)).fate.value for row in waiting for _ in range(2)]
    postman.close()
    rows(api, "DELETE FROM outbox WHERE destination = 'plans'")
    return fates


def look(conn: Session, at: datetime) -> int:
    """One round at a time: who has nothing due is looked at all the same."""
    conn.execute("UPDATE plan_rounds SET look_at = %s WHERE look_at > %s", [at, at])
    return Plans("").round(conn, at)


def tickets(api: RunningApi, device: str) -> list[JSON]:
    items: list[JSON] = ok(api.client().get("/api/v1/tickets", params={"device": device}))["items"]
    return items


def close(api: RunningApi, ticket: JSON, at: datetime) -> None:
    """Done, at a time of the test's."""
    rows(api, "UPDATE tickets SET state = 'closed', closed_at = %s WHERE id = %s", at, ticket["id"])
    rows(
        api,
        "INSERT INTO ticket_events (ticket_id, tenant, at, kind, who, to_state)"
        " VALUES (%s, 'demo', %s, 'moved', 'jo', 'closed')",
        ticket["id"],
        at,
    )


def hours_shown(api: RunningApi, device: str, *values: tuple[datetime, float], point: str = "hours") -> None:
    stream = rows(
        api,
        "INSERT INTO streams (device_id, tenant, device, point, quantity, unit)"
        " SELECT id, tenant, device, %s, 'time', 'h' FROM devices WHERE device = %s"
        " ON CONFLICT (tenant, device, point) DO UPDATE SET unit = 'h' RETURNING id",
        point,
        device,
    )[0][0]
    for at, value in values:
        rows(api, "INSERT INTO readings (time, stream_id, value, quality) VALUES (%s, %s, %s, 0)", at, stream, value)


def test_a_date_opens_one_ticket_ahead_of_it_with_its_steps_and_parts(api: RunningApi, conn: Session) -> None:
    device = device_of(api)
    ok(api.client().post("/api/v1/parts", json={"number": "grease", "name": "Grease"}), 201)
    at = NOW + 10 * DAY
    trigger = {
        "kind": "calendar",
        "number": 1,
        "every": "months",
        "begins_on": str(at.date()),
        "at": at.strftime("%H:%M"),
    }
    made = plan(api, device, trigger, lead_days=14, parts=[{"part": "grease"}], procedure="bearing.lubricate")
    (first, *_) = ok(api.client().get("/api/v1/plans/due", params={"device": device, "days": 366}))["items"]
    assert datetime.fromisoformat(first["due_at"]) == at
    assert look(conn, NOW) == 1
    assert look(conn, NOW + HOUR) == 0
    assert deliver(api) == ["delivered"] * 2
    (ticket,) = tickets(api, device)
    whole = ok(api.client().get(f"/api/v1/tickets/{ticket['id']}"))
    assert (whole["source"], whole["title"]) == ("plan", "Grease it")
    assert "never mix greases" in whole["description"]
    assert whole["description"].endswith("Grease it.")
    clocks = {clock["clock"]: datetime.fromisoformat(clock["due_at"]) for clock in whole["clocks"]}
    assert clocks["resolution"] == at
    assert clocks["response"] < at
    (first, second, *_) = ok(api.client().get("/api/v1/plans/due", params={"device": device, "days": 366}))["items"]
    assert (first["ticket_id"], datetime.fromisoformat(first["due_at"])) == (ticket["id"], at)
    assert second["ticket_id"] is None
    (part,) = ok(api.client().get(f"/api/v1/tickets/{ticket['id']}/parts"))["reservations"]
    assert (part["part"], part["state"]) == ("grease", "waiting")
    (found,) = ok(api.client().get(f"/api/v1/plans/{made['id']}/occurrences"))["items"]
    assert (found["outcome"], found["ticket_id"]) == ("opened", ticket["id"])
    # A month later it is not done: the same ticket is told.
    assert look(conn, NOW + 31 * DAY) == 1
    assert deliver(api) == ["delivered"] * 2
    assert [one["id"] for one in tickets(api, device)] == [ticket["id"]]
    kinds = [event["kind"] for event in ok(api.client().get(f"/api/v1/tickets/{ticket['id']}"))["events"]]
    assert kinds.count("planned") == 1


def test_what_falls_due_while_the_ticket_before_is_handed_over_has_one_of_its_own(
    api: RunningApi, conn: Session
) -> None:
    device = device_of(api)
    monthly = {"kind": "calendar", "number": 1, "every": "months", "begins_on": str((NOW + 10 * DAY).date())}
    made = plan(api, device, monthly, lead_days=14)
    assert look(conn, NOW) == 1
    deliver(api)
    (first,) = tickets(api, device)
    rows(
        api,
        "INSERT INTO plan_occurrences (plan_id, device_id, number, tenant, found_at, due_at, why, outcome)"
        " SELECT plan_id, device_id, 2, tenant, found_at, due_at, why, 'opening' FROM plan_occurrences"
        " WHERE plan_id = %s",
        made["id"],
    )

    def open_second() -> str:
        with connect(api.database.url("api"), "test") as session:
            act_for(session, "demo")
            return open_planned(session, "demo", UUID(made["id"]), device, 2, [], who="notify", now=NOW).outcome

    with psycopg.connect(api.database.owner_url) as owner, ThreadPoolExecutor(1) as threads:
        owner.execute("UPDATE tickets SET state = 'handed_over' WHERE id = %s", [first["id"]])
        opening = threads.submit(open_second)
        until(lambda: waits_for_lock(api.database.owner_url))
        owner.commit()
        assert opening.result() == "opened"


def test_hours_of_a_counter_are_due_when_used_up_and_count_from_when_it_was_done(
    api: RunningApi, conn: Session
) -> None:
    device = device_of(api)
    hours_shown(api, device, *((NOW - (30 - n) * DAY, 4000.0 + 12 * n) for n in range(30)))
    made = plan(api, device, {"kind": "hours", "amount": 100, "point": "hours"}, lead_days=1)
    assert look(conn, NOW) == 0
    (coming, *_) = ok(api.client().get("/api/v1/plans/due", params={"device": device, "days": 366}))["items"]
    in_days = (datetime.fromisoformat(coming["due_at"]) - NOW) / DAY
    assert 6 < in_days < 10, "a hundred hours at twelve a day, by the pace of the weeks before"
    hours_shown(api, device, (NOW + 3 * DAY, 4390.0), (NOW + 5 * DAY, 3.0), (NOW + 8 * DAY, 70.0))  # reset once
    assert look(conn, NOW + 9 * DAY) == 1
    deliver(api)
    (ticket,) = tickets(api, device)
    close(api, ticket, NOW + 10 * DAY)
    hours_shown(api, device, (NOW + 11 * DAY, 90.0))
    assert look(conn, NOW + 12 * DAY) == 0
    ((used, times, since),) = rows(api, "SELECT used, times, since FROM plan_rounds WHERE plan_id = %s", made["id"])
    assert (used, times, since) == (20.0, 0, NOW + 10 * DAY)
    hours_shown(api, device, (NOW + 15 * DAY, 175.0))
    assert look(conn, NOW + 16 * DAY) == 1
    deliver(api)
    assert len(tickets(api, device)) == 2


def test_what_runs_without_a_counter_is_counted_by_its_modes(api: RunningApi, conn: Session) -> None:
    device = device_of(api)
    rows(
        api,
        "INSERT INTO device_presence (device_id, tenant, heard_at, expected_s, presence, presence_at)"
        " SELECT id, tenant, %s, 60, 'online', %s FROM devices WHERE device = %s",
        NOW + 90 * DAY,
        NOW,
        device,
    )
    starts = plan(api, device, {"kind": "cycles", "amount": 3})
    plan(api, device, {"kind": "hours", "amount": 50}, name="Change the oil")

    def mode(name: str, at: datetime) -> None:
        with connect(api.database.url("ingest"), "ingest") as ingest:
            ingest.execute("UPDATE devices SET mode = %s, mode_since = %s WHERE device = %s", [name, at, device])

    mode("off", NOW)
    items = ok(api.client().get("/api/v1/plans/due", params={"device": device, "days": 366}))["items"]
    assert {one["due_at"] for one in items} == {None}
    assert look(conn, NOW) == 0
    for number in range(3):
        mode("part load", NOW + number * DAY)
        mode("full load", NOW + number * DAY + HOUR)  # no start of its own
        mode("off", NOW + number * DAY + 10 * HOUR)
    assert look(conn, NOW + 3 * DAY) == 1, "three starts, and thirty of fifty hours"
    mode("running", NOW + 4 * DAY)
    assert look(conn, NOW + 5 * DAY) == 1, "and twenty-four more that are not over yet"
    deliver(api)
    assert {one["title"] for one in tickets(api, device)} == {"Grease it", "Change the oil"}
    assert rows(api, "SELECT used FROM plan_rounds WHERE plan_id = %s", starts["id"]) == [(4.0,)]


def test_the_healthy_are_put_off_once_with_the_reason_and_then_done(api: RunningApi, conn: Session) -> None:
    device = device_of(api)
    trigger = {
        "kind": "calendar",
        "number": 1,
        "every": "weeks",
        "begins_on": str(NOW.date()),
        "at": NOW.strftime("%H:%M"),
    }
    made = plan(api, device, trigger, healthy_from=90, put_off_most=1)

    def health(at: datetime, index: float) -> None:
        rows(
            api,
            "INSERT INTO health (device_id, hour, tenant, health, measured, worst_point)"
            " SELECT id, %s, tenant, %s, %s, 'flow' FROM devices WHERE device = %s",
            *(at.replace(minute=0), index, index, device),
        )

    health(NOW - HOUR, 97)
    assert look(conn, NOW) == 0
    (coming, *_) = ok(api.client().get("/api/v1/plans/due", params={"device": device, "days": 366}))["items"]
    assert "put off, 1 of at most 1: health 97" in coming["put_off"]
    assert datetime.fromisoformat(coming["due_at"]) == NOW + 7 * DAY
    health(NOW + 7 * DAY - HOUR, 98)
    assert look(conn, NOW + 7 * DAY) == 1
    deliver(api)
    found = ok(api.client().get(f"/api/v1/plans/{made['id']}/occurrences"))["items"]
    assert [one["outcome"] for one in found] == ["opened", "put_off"]


def test_a_condition_and_a_risk_open_one_ticket_and_rest_while_it_is_open(api: RunningApi, conn: Session) -> None:
    hot, risky, unknown = device_of(api), device_of(api), device_of(api)
    hours_shown(api, hot, *((NOW - n * HOUR, 90.0) for n in range(4, 0, -1)), point="temperature")
    plan(api, hot, {"kind": "condition", "point": "temperature", "side": "above", "limit": 80, "for_h": 3})
    for device in (risky, unknown):
        plan(api, device, {"kind": "risk", "limit": 0.3})
    rows(
        api,
        "INSERT INTO prognoses (device_id, hour, tenant, abstains, days, p_fail_30, worst_point, failures)"
        " SELECT id, %s, tenant, CASE device WHEN %s THEN '' ELSE 'too few have failed' END,"
        " CASE device WHEN %s THEN '{4, 9, 20, 40, 60}'::float8[] END, CASE device WHEN %s THEN 0.6 END, 'flow', 3"
        " FROM devices WHERE device = ANY(%s)",
        *(NOW - 2 * HOUR, risky, risky, risky, [risky, unknown]),
    )
    assert look(conn, NOW) == 2
    assert look(conn, NOW + HOUR) == 0, "its ticket is on its way"
    deliver(api)
    assert look(conn, NOW + 2 * HOUR) == 0, "while it is open"
    ((due_at, why),) = rows(
        api,
        "SELECT due_at, why FROM plan_occurrences o JOIN devices d ON d.id = o.device_id WHERE d.device = %s",
        risky,
    )
    assert due_at == NOW - HOUR + 9 * DAY
    assert "60%" in why
    (said,) = ok(api.client().get("/api/v1/plans/due", params={"device": unknown, "days": 366}))["items"]
    assert said["due_at"] is None
    assert "too few have failed" in said["why"]
    (ticket,) = tickets(api, risky)
    close(api, ticket, NOW + 2 * HOUR)
    assert look(conn, NOW + 3 * HOUR) == 0, "what was just done is not asked of at once"


LOOKER = """
import sys
from datetime import datetime
from notify.plans import Plans
from store.connection import connect
with connect(sys.argv[1], "plans") as conn:
    conn.autocommit = True
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        Plans("").round(conn, datetime.fromisoformat(sys.argv[2]))
        print("round", flush=True)
"""


def looker(url: str, at: datetime) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", LOOKER, url, at.isoformat()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_who_look_and_one_who_is_killed_open_one_ticket_a_machine(own_api: RunningApi) -> None:
    """Two processes at the same twenty machines; one is killed in the middle, the other ends what is left."""
    api = own_api
    machines = [device_of(api, model="NK 80") for _ in range(20)]
    trigger = {
        "kind": "calendar",
        "number": 1,
        "every": "weeks",
        "begins_on": str(NOW.date()),
        "at": NOW.strftime("%H:%M"),
    }
    plan(api, None, trigger, model="NK 80")
    with psycopg.connect(api.database.owner_url, autocommit=True) as owner:
        both = [looker(api.database.url("notify"), NOW) for _ in range(2)]
        for process in both:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        until(lambda: owner.execute("SELECT count(*) > 4 FROM plan_occurrences").fetchone() == (True,))
        both[0].send_signal(signal.SIGKILL)
        until(lambda: owner.execute("SELECT count(*) FROM plan_rounds WHERE taken >= %s", [NOW]).fetchone() == (20,))
        both[1].send_signal(signal.SIGKILL)
        for process in both:
            process.communicate()
        assert owner.execute("SELECT count(*), max(number) FROM plan_occurrences").fetchone() == (20, 1)
        assert owner.execute("SELECT count(*) FROM outbox WHERE destination = 'plans'").fetchone() == (20,)
        posts = [
            TicketsApi(api.url, lambda tenant: issue(SECRET, "notify", tenant, Role.SERVICE, 60), PLANS_PATH)
            for _ in range(2)
        ]
        notifies = [Notify(api.database.url("notify"), {"plans": post}) for post in posts]
        threads = [threading.Thread(target=one.run) for one in notifies]
        for thread in threads:
            thread.start()
        until(lambda: owner.execute("SELECT count(*) FROM outbox WHERE delivered_at IS NULL").fetchone() == (0,))
        for one, thread in zip(notifies, threads, strict=True):
            one.stop()
            thread.join()
        found = owner.execute("SELECT device FROM tickets WHERE source = 'plan'").fetchall()
    assert sorted(device for (device,) in found) == sorted(machines)


def test_a_plan_is_changed_and_ended_by_the_desk_and_read_by_the_staff(api: RunningApi, conn: Session) -> None:
    device = device_of(api)
    trigger = {
        "kind": "calendar",
        "number": 1,
        "every": "weeks",
        "begins_on": str(NOW.date()),
        "at": NOW.strftime("%H:%M"),
    }
    made = plan(api, device, trigger)
    desk, engineer = api.client(Role.MANAGER), api.client(Role.ENGINEER)
    path = f"/api/v1/plans/{made['id']}"
    asked = {name: made[name] for name in ("device", "steps", "trigger")} | {"name": "Grease it well"}
    assert ok(desk.put(path, json=asked))["name"] == "Grease it well"
    refused(engineer.put(path, json=asked), 403)
    assert [one["name"] for one in ok(engineer.get("/api/v1/plans", params={"device": device}))["items"]] == [
        "Grease it well"
    ]
    for wrong in ({"procedure": "none"}, {"site": "Moon"}, {"steps": ""}, {"healthy_from": 90}):
        refused(desk.put(path, json=asked | wrong), 422)
    refused(desk.put(path, json=asked | {"device": "pump-none"}), 404)
    refused(desk.put(path, json=asked | {"parts": [{"part": "none"}]}), 404)
    assert look(conn, NOW) == 1
    assert ok(desk.delete(path))["ended_at"]
    refused(desk.delete(path), 409)
    assert deliver(api) == ["delivered"] * 2
    assert tickets(api, device) == [], "a plan that ended meanwhile opens nothing"
    assert look(conn, NOW + 8 * DAY) == 0
