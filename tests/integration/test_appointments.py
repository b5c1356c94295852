"""Appointments: reminded of once, answered by the ticket's code, seen by the desk. And whose a site's alarms are."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from dying import dies
from serving import JSON, RunningApi, alarm_event, ok, refused
from waiting import until, waits_for_lock

from alarms.roles import Role
from store import tickets
from store.connection import Session, act_for, connect
from store.tickets import Papers, appointments
from tickets.appointments import MOST_ANSWERS
from tickets.needs import Paper
from tickets.states import State

NOW = datetime.now(UTC)
DIAGNOSIS = {"located": "Worn shaft seal", "plan": "Replace it", "hours": 2.5}


@pytest.fixture(scope="module")
def notify(api: RunningApi) -> Iterator[Session]:
    with closing(connect(api.database.url("notify"), "test")) as conn:
        conn.autocommit = True
        yield conn


def move(api: RunningApi, ticket: JSON, to: str, role: Role = Role.ENGINEER, **fields: object) -> JSON:
    return ok(api.client(role).post(f"/api/v1/tickets/{ticket['id']}/move", json={"to": to, **fields}))


def scheduled(api: RunningApi, begins_in: timedelta) -> JSON:
    """A ticket whose engineer comes then."""
    device = api.plant.device()
    ok(api.client().put(f"/api/v1/devices/{device}/file", json={"warranty_until": "2999-01-01", "customer": "K-9"}))
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device)), 201)
    move(api, ticket, "accepted")
    move(api, ticket, "diagnosing")
    return move(api, ticket, "scheduled", diagnosis=DIAGNOSIS, appointment=window(begins_in))


def window(begins_in: timedelta) -> JSON:
    return {"begins_at": (NOW + begins_in).isoformat(), "ends_at": (NOW + begins_in + timedelta(hours=2)).isoformat()}


def messages(api: RunningApi, ticket: JSON) -> list[tuple[str, str, str]]:
    """What the ticket's customer was sent, the first first."""
    with api.database.owner() as conn:
        return conn.execute(
            "SELECT recipient, subject, body FROM messages WHERE ticket_id = %s AND kind = 'appointment.reminder'"
            " ORDER BY id",
            [ticket["id"]],
        ).fetchall()


def remind(notify: Session, after: timedelta) -> None:
    appointments.remind(notify, NOW + after)


@pytest.fixture(scope="module", autouse=True)
def customer(api: RunningApi) -> None:
    body = {"number": "K-9", "name": "Dairy", "contact": "Ann Dairy <ann@dairy.example>", "tier": "regular"}
    ok(api.client(Role.DISPATCHER).post("/api/v1/customers", json=body), 201)


def test_each_appointment_is_reminded_of_once_two_hours_before(api: RunningApi, notify: Session) -> None:
    ticket = scheduled(api, timedelta(hours=5))
    remind(notify, timedelta(hours=2, minutes=59))
    assert messages(api, ticket) == []
    for _ in range(2):
        remind(notify, timedelta(hours=3, minutes=1))
    ((recipient, subject, body),) = messages(api, ticket)
    assert recipient == "ann@dairy.example"
    assert ticket["device"] in subject
    assert ticket["code"] in body
    told = ok(api.client().get(f"/api/v1/tickets/{ticket['id']}"))["events"][-1]
    assert (told["kind"], told["who"]) == ("appointment_reminded", "bellwether")

    move(api, ticket, "scheduled", appointment=window(timedelta(hours=9)), note="The plant asked for the afternoon")
    remind(notify, timedelta(hours=4))
    assert len(messages(api, ticket)) == 1, "the other one is not near yet"
    remind(notify, timedelta(hours=8))
    assert len(messages(api, ticket)) == 2, "another appointment has a reminder of its own"


def test_one_that_is_put_off_while_reminders_are_sent_is_not_reminded_of(api: RunningApi, notify: Session) -> None:
    ticket = scheduled(api, timedelta(hours=5))
    with connect(api.database.url("api"), "test") as conn, ThreadPoolExecutor(1) as threads:
        act_for(conn, "demo")
        put_off: Papers = {Paper.APPOINTMENT: window(timedelta(days=3))}
        by = {"role": Role.DISPATCHER, "who": "dana", "now": NOW, "note": "Not today"}
        tickets.move(conn, "demo", UUID(ticket["id"]), State.SCHEDULED, papers=put_off, **by)
        reminding = threads.submit(remind, notify, timedelta(hours=4))
        until(lambda: waits_for_lock(api.database.owner_url))
        conn.commit()
        reminding.result()
    assert messages(api, ticket) == []


DIES = """
from datetime import datetime
from store.connection import connect
from store.tickets import appointments
{where}
with connect(sys.argv[1], "test") as conn:
    conn.autocommit = True
    appointments.remind(conn, datetime.fromisoformat(sys.argv[2]))
"""


@pytest.mark.parametrize("where", ["appointments.queue_customer_message = die", "appointments.record = die"])
def test_killed_between_the_reminder_s_row_and_its_message_it_reminds_once(
    api: RunningApi, notify: Session, where: str
) -> None:
    ticket = scheduled(api, timedelta(hours=5))
    near = timedelta(hours=3, minutes=30)
    dies(DIES.format(where=where), api.database.url("notify"), (NOW + near).isoformat())
    with api.database.owner() as conn:
        kept = conn.execute("SELECT count(*) FROM appointments WHERE ticket_id = %s", [ticket["id"]]).fetchone()
    assert (kept, messages(api, ticket)) == ((0,), []), "neither or both"
    for _ in range(2):
        remind(notify, near)
    assert len(messages(api, ticket)) == 1


def test_none_is_reminded_of_that_is_not_to_be(api: RunningApi, notify: Session) -> None:
    cancelled, held, begun = (scheduled(api, timedelta(hours=5)) for _ in range(3))
    move(api, cancelled, "cancelled", Role.DISPATCHER, note="sold")
    move(api, held, "on_hold", Role.DISPATCHER, note="the plant is closed")
    remind(notify, timedelta(hours=5, minutes=1))
    remind_again = [cancelled, held]
    assert messages(api, begun) == [], "it has begun: nobody is reminded any more"
    remind(notify, timedelta(hours=4))
    assert [messages(api, ticket) for ticket in remind_again] == [[], []]
    assert len(messages(api, begun)) == 1


def test_who_has_the_code_confirms_or_asks_for_another_time_and_the_desk_sees_it(
    api: RunningApi, notify: Session
) -> None:
    ticket = scheduled(api, timedelta(hours=6))
    nobody, desk = api.client(None), api.client(Role.DISPATCHER)
    path = f"/api/v1/tickets/track/{ticket['code']}/appointment"

    def standing() -> str:
        found = {one["ticket_id"]: one for one in ok(desk.get("/api/v1/appointments"))["items"]}
        return str(found[ticket["id"]]["standing"])

    assert ok(nobody.get(path))["standing"] == standing() == "agreed"
    remind(notify, timedelta(hours=5))
    assert standing() == "not_answered"
    assert ok(nobody.post(path, json={"answer": "confirmed"}))["standing"] == standing() == "confirmed"
    asked = {"answer": "another_time", "note": "Only after two o'clock"}
    assert ok(nobody.post(path, json=asked))["note"] == asked["note"]
    assert standing() == "another_time"
    page = desk.get(f"/tickets/{ticket['id']}", headers={"Accept": "text/html"}).text
    assert "Asks for another time" in page
    assert "Only after two o&#39;clock" in page
    assert "Asks for another time" in desk.get("/dispatch", headers={"Accept": "text/html"}).text
    for _ in range(MOST_ANSWERS - 2):
        ok(nobody.post(path, json={"answer": "confirmed"}))
    assert "too often" in refused(nobody.post(path, json={"answer": "confirmed"}), 409)["detail"]

    move(api, ticket, "scheduled", appointment=window(timedelta(hours=9)), note="After two")
    assert standing() == "agreed", "to another appointment nothing was said yet"
    move(api, ticket, "on_site")
    refused(nobody.get(path), 404)
    refused(nobody.post(path, json={"answer": "confirmed"}), 409)


def test_what_a_customer_says_by_telephone_is_written_down(api: RunningApi) -> None:
    ticket = scheduled(api, timedelta(hours=6))
    nobody, desk = api.client(None), api.client(Role.DISPATCHER)
    path, tracked = f"/api/v1/tickets/{ticket['id']}/appointment", f"/api/v1/tickets/track/{ticket['code']}/appointment"
    an_hour_ago = (NOW - timedelta(hours=1)).isoformat()
    said = {"answer": "confirmed", "name": "Ann Dairy", "way": "telephone", "said_at": an_hour_ago}
    refused(desk.post(path, json={**said, "way": "page"}), 422)
    ahead = (NOW + timedelta(hours=1)).isoformat()
    assert "not been said" in refused(desk.post(path, json={**said, "said_at": ahead}), 409)["detail"]
    refused(api.client(Role.DISPATCHER, "other").post(path, json=said), 404)
    kept = ok(desk.post(path, json=said))
    assert (kept["standing"], kept["said_by"], kept["way"], kept["taken_by"]) == (
        *("confirmed", "Ann Dairy", "telephone", "a-dispatcher"),
    )
    told = ok(desk.get(f"/api/v1/tickets/{ticket['id']}"))["events"][-1]
    assert (told["kind"], told["who"], told["detail"]["name"]) == ("appointment_confirmed", "a-dispatcher", "Ann Dairy")
    assert "Ann Dairy by telephone to a-dispatcher" in desk.get("/dispatch", headers={"Accept": "text/html"}).text
    assert "Confirmed, by telephone" in nobody.get(f"/track/{ticket['code']}").text

    ok(nobody.post(tracked, json={"answer": "another_time"}))
    assert "answered since" in refused(desk.post(path, json=said), 409)["detail"]
    typed = {"reply": "confirmed", "name": "Ann Dairy", "way": "in_person", "said_at": "", "note": "At the gate"}
    page = desk.post(f"/tickets/{ticket['id']}/appointment", data=typed, headers={"Accept": "text/html"})
    assert "At the gate" in page.text
    assert "Ann Dairy in person" in page.text


def test_an_appointment_that_is_over_is_not_answered(api: RunningApi) -> None:
    ticket = scheduled(api, timedelta(hours=-3))
    path = f"/api/v1/tickets/track/{ticket['code']}/appointment"
    assert "over" in refused(api.client(None).post(path, json={"answer": "confirmed"}), 409)["detail"]
    page = api.client(None).get(f"/track/{ticket['code']}").text
    assert "Appointment" in page
    assert "Ask for another time" not in page


def person(api: RunningApi, login: str, role: str) -> httpx.Client:
    body = {"login": login, "name": login.title(), "role": role, "password": "long enough, surely"}
    ok(api.client().post("/api/v1/users", json=body), 201)
    client = api.client(None)
    token = ok(client.post("/api/v1/token", json={"login": login, "password": body["password"]}))["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def called(api: RunningApi, site: str, times: int) -> None:
    """A machine of the site calls so often, an hour ago."""
    device = api.plant.device()
    ok(api.client().patch(f"/api/v1/devices/{device}", json={"site": site}))
    for _ in range(times):
        alarm: UUID = api.plant.alarm(device, at=NOW - timedelta(hours=1), active=False)
        with api.database.owner() as conn:
            conn.execute(
                "INSERT INTO alarm_events"
                " (event_id, occurrence_id, tenant, at, recorded_at, kind, state, severity, who)"
                " SELECT gen_random_uuid(), id, tenant, raised_at, raised_at, 'raised', state, severity, 'bellwether'"
                " FROM alarms WHERE id = %s",
                [alarm],
            )


def test_alarms_are_counted_by_who_answers_for_their_site(api: RunningApi) -> None:
    desk = api.client(Role.DISPATCHER)
    ada, bob = person(api, "ada", "engineer"), person(api, "bob", "dispatcher")
    person(api, "una", "engineer")
    person(api, "max", "manager")
    for site, times in (("Mill", 6), ("Harbour", 3), ("Yard", 3)):
        called(api, site, times)
    path = "/api/v1/sites/people"
    refused(desk.put(path, json={"site": "Nowhere", "people": ["ada"]}), 404)
    assert "max" in refused(desk.put(path, json={"site": "Mill", "people": ["ada", "max"]}), 409)["detail"]
    ok(desk.put(path, json={"site": "Mill", "people": ["una"]}))
    ok(desk.put(path, json={"site": "Mill", "people": ["bob", "ada"]}))
    ok(desk.put(path, json={"site": "Harbour", "people": ["ada"]}))
    kept = [{"site": "Harbour", "people": ["ada"]}, {"site": "Mill", "people": ["ada", "bob"]}]
    assert ok(ada.get(path))["items"] == kept

    asked = {"from": (NOW - timedelta(hours=2)).isoformat()}
    found = ok(api.client(Role.MANAGER).get("/api/v1/kpis/alarms", params=asked))
    assert {one["site"]: one["people"] for one in found["sites"]} == {"": 0, "Mill": 2, "Harbour": 1, "Yard": 0}
    borne = {one["who"]: (one["calls"], one["sites"]) for one in found["charges"]}
    assert borne == {"ada": (3 + 3 + 1, ["Mill", "Harbour"]), "bob": (3 + 1, ["Mill"]), "": (1, [])}
    own = ok(bob.get("/api/v1/kpis/alarms", params=asked))["charges"]
    assert [one["who"] for one in own] == ["bob"], "others' is for managers"

    page = desk.post("/engineers/people", data={"site": "Yard", "people": ["una"]}, headers={"Accept": "text/html"})
    assert page.status_code == 200, page.text
    assert {"site": "Yard", "people": ["una"]} in ok(desk.get(path))["items"]
    ok(api.client().post("/api/v1/users/ada/erasure", json={"note": "asked for it"}))
    assert ok(desk.get(path))["items"] == [{"site": "Mill", "people": ["bob"]}, {"site": "Yard", "people": ["una"]}]
