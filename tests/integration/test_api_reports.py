"""Reports of people over HTTP: one fault, one ticket, whoever says so; what is missing is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from serving import JSON, RunningApi, alarm_event, ok, refused

from alarms.roles import Role
from store.connection import act_for, connect
from store.reports import Said, take
from store.tickets import Outcome

NOW = datetime.now(UTC)
NO_TIME = {"from": NOW.isoformat(), "to": NOW.isoformat()}


def report(api: RunningApi, device: str, symptom: str = "leakage", **said: object) -> JSON:
    """What an engineer's report is answered, with its status."""
    answer = api.client(Role.ENGINEER).post("/api/v1/reports", json={"device": device, "symptom": symptom, **said})
    assert answer.status_code in {200, 201}, answer.text
    return {**answer.json(), "status": answer.status_code}


def served_device(api: RunningApi, tier: str = "regular", criticality: str = "B") -> str:
    """A device with a file: whose it is, its serial number."""
    device, desk = api.plant.device(), api.client(Role.DISPATCHER)
    customer = {"number": f"K-{uuid4().hex[:6]}", "name": "Riverside Dairy", "contact": "Mira, 555 0100", "tier": tier}
    ok(desk.post("/api/v1/customers", json=customer), 201)
    file = {"serial": f"NK-{device}", "customer": customer["number"], "criticality": criticality}
    ok(desk.put(f"/api/v1/devices/{device}/file", json=file))
    return device


def asked_for(answer: JSON) -> set[str]:
    return {gap["field"] for gap in answer["missing"]}


def test_a_report_opens_a_ticket_by_the_serial_number_with_the_matrix_s_priority(api: RunningApi) -> None:
    device = served_device(api, tier="vip", criticality="A")
    body = {
        "serial": f"NK-{device}",
        "symptom": "fails_to_start",
        "words": "Nothing happens.",
        "began_at": NOW.isoformat(),
    }
    answer = ok(api.client(Role.ENGINEER).post("/api/v1/reports", json=body), 201)
    ticket = answer["ticket"]
    assert (answer["outcome"], ticket["source"], ticket["state"]) == ("opened", "person", "new")
    assert (ticket["device"], ticket["fault"], ticket["fault_class"]) == (device, "breakdown", "function_lost")
    assert (ticket["priority"], ticket["title"]) == ("urgent", f"{device}: it does not start")
    assert datetime.fromisoformat(ticket["since"]) == NOW
    tracked = ok(api.client(None).get(f"/api/v1/tickets/track/{ticket['code']}"))
    assert tracked["state"] == "new"
    # The device's file says whose it is; of the fault these were not said.
    assert asked_for(answer) == {"situation", "error_code", "service", "windows", "evidence"}
    assert (answer["completeness_percent"], answer["complete"]) == (75, False)


def test_what_was_missing_is_said_later_and_nothing_is_taken_back(api: RunningApi) -> None:
    device = served_device(api)
    first = report(api, device, words="A puddle.")
    address = f"/api/v1/tickets/{first['ticket']['id']}/intake"
    window = {"from": (NOW + timedelta(days=1)).isoformat(), "to": (NOW + timedelta(days=1, hours=4)).isoformat()}
    more = {"error_code": "none", "situation": "at full load", "began_at": NOW.isoformat(), "service": "on_site"}
    staff = api.client(Role.DISPATCHER)
    once = {"Idempotency-Key": uuid4().hex}
    said = ok(staff.post(address, json={**more, "windows": [window]}, headers=once), 201)
    assert said == ok(staff.post(address, json={**more, "windows": [window]}, headers=once), 201)
    assert (said["words"], said["error_code"], said["windows"]) == ("A puddle.", "", 1)
    assert (said["completeness_percent"], said["complete"], asked_for(said)) == (95, True, {"evidence"})
    assert ok(staff.get(address)) == said
    assert [one["who"] for one in said["reports"]] == ["a-engineer", "a-dispatcher"]
    story = ok(staff.get(f"/api/v1/tickets/{first['ticket']['id']}"))["events"]
    assert [event["kind"] for event in story] == ["opened", "reported"]


def test_two_reports_of_one_fault_share_a_ticket_and_the_worse_one_counts(api: RunningApi) -> None:
    device = served_device(api)
    first, again = report(api, device), report(api, device, fault_class="line_down", words="Now it pours.")
    assert (first["status"], again["status"], again["outcome"]) == (201, 200, "joined")
    assert again["ticket"]["id"] == first["ticket"]["id"]
    assert (first["ticket"]["priority"], again["ticket"]["priority"]) == ("medium", "urgent")
    story = ok(api.client().get(f"/api/v1/tickets/{first['ticket']['id']}"))["events"]
    assert [event["kind"] for event in story] == ["opened", "reported", "raised_priority"]
    other = report(api, device, "structure")
    assert other["ticket"]["id"] != first["ticket"]["id"]
    # What nobody can name may be two things.
    unnamed = [report(api, device, "other", words="Odd.")["ticket"]["id"] for _ in range(2)]
    assert len(set(unnamed)) == 2


def test_a_report_and_an_alarm_of_one_fault_meet_whichever_came_first(api: RunningApi) -> None:
    service, device, another = api.client(Role.SERVICE), served_device(api), served_device(api)
    by_alarm = ok(service.post("/api/v1/tickets", json=alarm_event(device)), 201)
    joined = report(api, device, "vibration")
    assert (joined["outcome"], joined["ticket"]["id"], joined["ticket"]["source"]) == (
        "joined",
        by_alarm["id"],
        "alarm",
    )
    by_person = report(api, another, "noise")["ticket"]
    assert ok(service.post("/api/v1/tickets", json=alarm_event(another)))["id"] == by_person["id"]


def test_a_ticket_of_an_alarm_is_filled_from_telemetry(api: RunningApi) -> None:
    device = served_device(api)
    api.plant.stream(device, "flow")
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device)), 201)
    with api.database.owner() as conn:
        conn.execute("INSERT INTO ticket_alarms SELECT %s, %s, 'demo'", [ticket["id"], api.plant.alarm(device)])
    client = api.client(Role.DISPATCHER)
    found = ok(client.get(f"/api/v1/tickets/{ticket['id']}/intake"))
    assert (found["symptom"], found["words"]) == ("low_output", "flow 3.9 m3/h, normal 9 to 11 m3/h")
    # Of what only the customer knows it says nothing.
    assert asked_for(found) == {"service", "windows"}
    suspects = '[{"name": "Bearing wear", "failure_mode": "VIB", "probability": 0.8}]'
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO diagnoses (ticket_id, tenant, until, abstains, other, suspects)"
            " VALUES (%s, 'demo', now(), '', 0.2, %s)",
            [ticket["id"], suspects],
        )
    found = ok(client.get(f"/api/v1/tickets/{ticket['id']}/intake"))
    assert found["symptom"] == "vibration"
    assert found["words"].endswith("probably: Bearing wear")


def test_a_fault_that_is_back_reopens_its_ticket(api: RunningApi) -> None:
    device = served_device(api)
    first = report(api, device)["ticket"]
    with api.database.owner() as conn:
        closed = "UPDATE tickets SET state = 'closed', verdict = 'confirmed', closed_at = now() - %s WHERE id = %s"
        conn.execute(closed, [timedelta(hours=70), first["id"]])
        back = report(api, device, words="It leaks again.")
        assert (back["status"], back["outcome"], back["ticket"]["state"]) == (200, "reopened", "reopened")
        assert back["ticket"]["id"] == first["id"]
        conn.execute(closed, [timedelta(hours=73), first["id"]])
    assert report(api, device)["ticket"]["id"] != first["id"]


@pytest.mark.parametrize("state", ["handed_over", "follow_up"])
def test_a_fault_that_is_back_after_the_hand_over_takes_its_ticket_back(api: RunningApi, state: str) -> None:
    device = served_device(api)
    first = report(api, device)["ticket"]
    with api.database.owner() as conn:
        conn.execute("UPDATE tickets SET state = %s, verdict = 'confirmed' WHERE id = %s", [state, first["id"]])
    back = report(api, device, words="It leaks again.")
    assert (back["outcome"], back["ticket"]["id"], back["ticket"]["state"]) == ("reopened", first["id"], "reopened")


def test_twenty_who_report_one_leak_at_once_have_one_ticket(api: RunningApi) -> None:
    device, client = served_device(api), api.client(Role.ENGINEER)

    def send(_: int) -> httpx.Response:
        answer = client.post("/api/v1/reports", json={"device": device, "symptom": "leakage"})
        while answer.status_code == 503:  # the pool is full: they come back
            answer = client.post("/api/v1/reports", json={"device": device, "symptom": "leakage"})
        return answer

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    (ticket,) = {answer.json()["ticket"]["id"] for answer in answers}
    assert len(ok(api.client().get(f"/api/v1/tickets/{ticket}/intake"))["reports"]) == 20


def test_the_same_report_twice_is_one(api: RunningApi) -> None:
    device = served_device(api)
    said, wanted = Said(uuid4(), "other", "Odd."), {"who": "mia", "lost": None, "now": NOW}
    with connect(api.database.url("api"), "test") as conn:
        act_for(conn, "demo")
        first = take(conn, "demo", device, said, **wanted)
        again = take(conn, "demo", device, said, **wanted)
    assert (first.outcome, first.again, again.again) == (Outcome.OPENED, False, True)
    assert first.ticket.id == again.ticket.id
    once = {"Idempotency-Key": uuid4().hex}
    body = {"device": device, "symptom": "other", "words": "Odd."}
    twice = [ok(api.client(Role.ENGINEER).post("/api/v1/reports", json=body, headers=once), 201) for _ in range(2)]
    assert twice[0] == twice[1]
    assert UUID(twice[0]["ticket"]["id"]) != first.ticket.id


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"symptom": "leakage"}, 422),
        ({"device": "pump-001", "serial": "x", "symptom": "leakage"}, 422),
        ({"device": "pump-none", "symptom": "leakage"}, 404),
        ({"serial": "nobody's", "symptom": "leakage"}, 404),
        ({"device": "pump-001", "symptom": "sadness"}, 422),
        ({"device": "pump-001", "symptom": "other"}, 422),
        ({"device": "pump-001", "symptom": "noise", "began_at": (NOW + timedelta(days=1)).isoformat()}, 422),
        (
            {"device": "pump-001", "symptom": "noise", "windows": [{"from": NOW.isoformat(), "to": NOW.isoformat()}]},
            422,
        ),
    ],
)
def test_what_is_no_report_is_refused(api: RunningApi, body: JSON, status: int) -> None:
    refused(api.client(Role.ENGINEER).post("/api/v1/reports", json=body), status)
