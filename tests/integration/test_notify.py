"""The postman against a real API: each parcel once, waited for while the API is away, put aside when refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb
from serving import JSON, SECRET, RunningApi, alarm_event, ok
from waiting import until

from alarms.roles import Role
from api.access.tokens import issue
from bellwether.stack.port import choose
from notify.destinations import TicketsApi
from notify.loop import Notify
from store.connection import Session


@pytest.fixture
def owner(api: RunningApi) -> Iterator[Session]:
    with psycopg.connect(api.database.owner_url, autocommit=True) as conn:
        conn.execute("DELETE FROM outbox")
        yield conn


@contextmanager
def notifying(api: RunningApi, api_url: str | None = None) -> Iterator[Notify]:
    """The role on a thread; what it raised is raised here."""
    postman = TicketsApi(api_url or api.url, lambda tenant: issue(SECRET, "notify", tenant, Role.SERVICE, 60))
    notify = Notify(api.database.url("notify"), {"tickets": postman})
    failures: list[BaseException] = []

    def run() -> None:
        try:
            notify.run()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run, name="notify")
    thread.start()
    try:
        yield notify
    finally:
        notify.stop()
        thread.join(30)
    assert not thread.is_alive()
    assert failures == []


def post(owner: Session, event: JSON, destination: str = "tickets") -> None:
    owner.execute(
        "INSERT INTO outbox (event_id, tenant, destination, payload) VALUES (%s, 'demo', %s, %s)",
        [event["alarm"]["event_id"], destination, Jsonb(event)],
    )


def an_alarm(api: RunningApi, device: str) -> JSON:
    return alarm_event(device, occurrence_id=str(api.plant.alarm(device)))


def column(owner: Session, name: str) -> list[object]:
    found = psycopg.sql.SQL("SELECT {} FROM outbox ORDER BY id").format(psycopg.sql.Identifier(name))
    return [value for (value,) in owner.execute(found)]


def tickets(api: RunningApi, device: str) -> list[JSON]:
    items: list[JSON] = ok(api.client().get("/api/v1/tickets", params={"device": device}))["items"]
    return items


def test_what_is_posted_becomes_one_ticket_with_all_its_evidence(api: RunningApi, owner: Session) -> None:
    device = api.plant.device()
    with notifying(api):
        for _ in range(5):
            post(owner, an_alarm(api, device))
        until(lambda: None not in column(owner, "delivered_at"))
    (ticket,) = tickets(api, device)
    whole = ok(api.client().get(f"/api/v1/tickets/{ticket['id']}"))
    assert len(whole["alarms"]) == 5
    assert column(owner, "attempts") == [1] * 5


def test_a_parcel_brought_twice_opens_nothing_twice(api: RunningApi, owner: Session) -> None:
    """As after a crash between the delivery and its tick."""
    device = api.plant.device()
    with notifying(api):
        post(owner, an_alarm(api, device))
        until(lambda: None not in column(owner, "delivered_at"))
        owner.execute("UPDATE outbox SET delivered_at = NULL, next_attempt_at = now()")
        until(lambda: None not in column(owner, "delivered_at"))
    assert column(owner, "attempts") == [2]
    (ticket,) = tickets(api, device)
    events = owner.execute("SELECT count(*) FROM ticket_events WHERE ticket_id = %s", [ticket["id"]]).fetchone()
    assert events == (1,)


def test_an_api_that_is_away_is_waited_for(api: RunningApi, owner: Session) -> None:
    device = api.plant.device()
    post(owner, an_alarm(api, device))
    with notifying(api, f"http://127.0.0.1:{choose('nobody')}"):
        until(lambda: column(owner, "last_error") != [None])
    assert column(owner, "delivered_at") == [None]
    assert column(owner, "given_up_at") == [None]
    with notifying(api):
        until(lambda: None not in column(owner, "delivered_at"))
    assert len(tickets(api, device)) == 1


def test_what_is_refused_for_good_is_put_aside_and_stops_nothing(api: RunningApi, owner: Session) -> None:
    device = api.plant.device()
    with notifying(api):
        post(owner, alarm_event("no-such-machine"))
        post(owner, an_alarm(api, device), destination="nowhere")
        post(owner, an_alarm(api, device))
        until(lambda: column(owner, "delivered_at")[2] is not None)
        until(lambda: column(owner, "given_up_at")[0] is not None)
    assert column(owner, "delivered_at")[:2] == [None, None]
    assert [bool(moment) for moment in column(owner, "given_up_at")] == [True, True, False]
    first, second, _ = column(owner, "last_error")
    assert "404" in str(first)
    assert second == "there is no destination nowhere"
    assert len(tickets(api, device)) == 1


def test_a_lost_database_is_waited_for(api: RunningApi, owner: Session) -> None:
    device = api.plant.device()
    with notifying(api):
        until(lambda: owner.execute("SELECT count(*) FROM heartbeats WHERE role = 'notify'").fetchone() == (1,))
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'bellwether_notify' AND datname = current_database()"
        )
        post(owner, an_alarm(api, device))
        until(lambda: None not in column(owner, "delivered_at"))
    assert len(tickets(api, device)) == 1


@pytest.mark.parametrize(
    ("warn_in", "due_in", "rung"),
    [
        (timedelta(minutes=1), timedelta(minutes=9), []),
        (timedelta(minutes=-1), timedelta(minutes=9), ["clock_warned"]),
        (timedelta(minutes=-9), timedelta(minutes=-1), ["clock_breached", "clock_warned"]),
    ],
)
def test_clocks_ring_once(
    api: RunningApi, owner: Session, warn_in: timedelta, due_in: timedelta, rung: list[str]
) -> None:
    owner.execute("UPDATE ticket_clocks SET stopped_at = now() WHERE stopped_at IS NULL")
    event = alarm_event(api.plant.device())
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=event), 201)
    now = datetime.now(UTC)
    owner.execute(
        "UPDATE ticket_clocks SET warn_at = %s, due_at = %s WHERE ticket_id = %s AND clock = 'response'",
        [now + warn_in, now + due_in, ticket["id"]],
    )
    for _ in range(2):
        owner.execute("DELETE FROM heartbeats WHERE role = 'notify'")
        with notifying(api):
            until(lambda: owner.execute("SELECT count(*) FROM heartbeats WHERE role = 'notify'").fetchone() == (1,))
    found = owner.execute(
        "SELECT kind FROM ticket_events WHERE ticket_id = %s AND kind LIKE 'clock%%' ORDER BY kind", [ticket["id"]]
    ).fetchall()
    assert [kind for (kind,) in found] == rung


def test_the_shelf_s_time_is_over(api: RunningApi, owner: Session) -> None:
    alarm = api.plant.alarm(api.plant.device())
    until_then = datetime.now(UTC) + timedelta(days=1)
    ok(
        api.client().post(
            f"/api/v1/alarms/{alarm}/shelve", json={"until": until_then.isoformat(), "reason": "cleaning"}
        )
    )
    owner.execute("UPDATE alarms SET shelved_until = now() - INTERVAL '1 second' WHERE id = %s", [alarm])
    with notifying(api):
        until(lambda: ok(api.client().get(f"/api/v1/alarms/{alarm}"))["state"] == "unacknowledged")


def test_a_day_later_nobody_asks_for_the_first_answer_again(api: RunningApi, owner: Session) -> None:
    key = str(uuid4())
    body = {"source": "person", "device": api.plant.device(), "title": "It hums", "description": ""}
    ok(api.client().post("/api/v1/tickets", json=body, headers={"Idempotency-Key": key}), 201)
    owner.execute("UPDATE idempotency SET created_at = now() - INTERVAL '25 hours'")
    with notifying(api):
        until(lambda: owner.execute("SELECT count(*) FROM idempotency WHERE key = %s", [key]).fetchone() == (0,))
