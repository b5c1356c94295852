"""Tickets over HTTP: one a fault whatever comes at once, moved by the table, every step kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from serving import JSON, RunningApi, alarm_event, ok, refused

from alarms.roles import Role
from store import tickets as store
from store.connection import act_for
from tickets.states import State, Verdict

THREADS = 20
EVENTS = 200


def open_ticket(api: RunningApi, device: str | None = None, **changes: object) -> JSON:
    event = alarm_event(device or api.plant.device(), **changes)  # type: ignore[arg-type]
    return ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=event), 201)


def move(api: RunningApi, ticket: JSON, to: str, role: Role = Role.ADMINISTRATOR, **fields: object) -> httpx.Response:
    return api.client(role).post(f"/api/v1/tickets/{ticket['id']}/move", json={"to": to, **fields})


def closed_ticket(api: RunningApi, device: str) -> JSON:
    ticket = open_ticket(api, device)
    ok(move(api, ticket, "triaged"))
    return ok(move(api, ticket, "closed", verdict="confirmed"))


def whole(api: RunningApi, ticket: JSON) -> JSON:
    return ok(api.client().get(f"/api/v1/tickets/{ticket['id']}"))


def all_tickets(api: RunningApi, device: str) -> list[JSON]:
    return list(ok(api.client().get("/api/v1/tickets", params={"device": device, "limit": 200}))["items"])


def at_once(api: RunningApi, events: list[JSON], keyed: bool = False) -> list[httpx.Response]:
    client = api.client(Role.SERVICE)

    def send(event: JSON) -> httpx.Response:
        return post(client, event, **({"Idempotency-Key": event["alarm"]["event_id"]} if keyed else {}))

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(send, events))


def post(client: httpx.Client, event: JSON, **headers: str) -> httpx.Response:
    """A pool that is full says so, and its callers come back: what they find must be the same."""
    answer = client.post("/api/v1/tickets", json=event, headers=headers)
    while answer.status_code == 503:
        answer = client.post("/api/v1/tickets", json=event, headers=headers)
    return answer


# One fault, one ticket --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keyed", [True, False], ids=["with Idempotency-Key", "without"])
def test_the_same_event_from_twenty_sides_opens_one_ticket_and_answers_alike(api: RunningApi, keyed: bool) -> None:
    device = api.plant.device()
    answers = at_once(api, [alarm_event(device)] * EVENTS, keyed)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    (ticket,) = all_tickets(api, device)
    assert [event["kind"] for event in whole(api, ticket)["events"]] == ["opened"]


def test_two_hundred_events_of_one_fault_make_one_ticket_with_two_hundred_pieces_of_evidence(api: RunningApi) -> None:
    device = api.plant.device()
    answers = at_once(api, [alarm_event(device) for _ in range(EVENTS)])
    assert sorted(answer.status_code for answer in answers) == [200] * (EVENTS - 1) + [201]
    (ticket,) = all_tickets(api, device)
    events = whole(api, ticket)["events"]
    assert len({event["event_id"] for event in events if event["event_id"]}) == EVENTS
    assert all(event["detail"]["observed"] == 3.9 for event in events)


def test_different_faults_and_machines_have_tickets_of_their_own(api: RunningApi) -> None:
    one, other = api.plant.device(), api.plant.device()
    tickets = [
        open_ticket(api, device, fault=fault) for device in (one, other) for fault in ("condition", "instrument")
    ]
    assert len({ticket["id"] for ticket in tickets}) == 4
    assert len({ticket["code"] for ticket in tickets}) == 4


def test_the_database_itself_refuses_a_second_open_ticket(api: RunningApi) -> None:
    ticket = open_ticket(api)
    with api.database.owner() as conn, pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute(
            "INSERT INTO tickets (code, tenant, device_id, device, fault, source, title, state, priority, level, since)"
            " SELECT 'another', tenant, device_id, device, fault, source, title, state, priority, level, since"
            " FROM tickets WHERE id = %s",
            [ticket["id"]],
        )


def test_an_event_without_an_alarm_of_ours_is_evidence_and_one_of_ours_is_linked(api: RunningApi) -> None:
    device = api.plant.device()
    alarm = api.plant.alarm(device)
    ticket = open_ticket(api, device, occurrence_id=str(alarm))
    ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device)))
    assert [joined["id"] for joined in whole(api, ticket)["alarms"]] == [str(alarm)]
    assert ok(api.client().get(f"/api/v1/alarms/{alarm}"))["ticket_id"] == ticket["id"]


def test_the_ticket_says_what_was_measured(api: RunningApi) -> None:
    ticket = open_ticket(api, (device := api.plant.device()))
    assert ticket["title"] == f"{device}: flow 61 % below normal (with current)"
    assert ticket["leading_point"] == "flow"
    evidence = ticket["evidence"]
    assert (evidence["observed"], evidence["expected"], evidence["low"], evidence["high"]) == (3.9, 10.0, 9.0, None)
    assert evidence["contributions"] == {"flow": 0.7, "current": 0.3}
    assert evidence["window"]["from"] < evidence["window"]["to"]
    assert (ticket["priority"], ticket["level"]) == ("high", "major")


def test_a_worse_alarm_raises_the_priority_and_tightens_the_clocks_a_milder_one_does_not(api: RunningApi) -> None:
    device = api.plant.device()
    ticket = open_ticket(api, device, severity="medium")
    service = api.client(Role.SERVICE)
    before = {clock["clock"]: clock["due_at"] for clock in ticket["clocks"]}
    worse = ok(service.post("/api/v1/tickets", json=alarm_event(device, severity="critical", point="pressure")))
    assert (worse["id"], worse["priority"], worse["level"]) == (ticket["id"], "urgent", "emergency")
    due = {clock["clock"]: clock["due_at"] for clock in worse["clocks"]}
    assert due.keys() - before.keys() == {"assignment"}, "somebody is to be sent within half an hour from now on"
    assert all(due[clock] < before[clock] for clock in before)
    assert worse["evidence"]["severity"] == "critical"
    milder = ok(service.post("/api/v1/tickets", json=alarm_event(device, severity="low")))
    assert milder["priority"] == "urgent"
    assert {clock["clock"]: clock["due_at"] for clock in milder["clocks"]} == due
    assert [e["kind"] for e in whole(api, ticket)["events"]] == ["opened", "alarm", "raised_priority", "alarm"]


def test_an_event_that_was_taken_for_another_fault_is_refused(api: RunningApi) -> None:
    event = alarm_event(api.plant.device())
    service = api.client(Role.SERVICE)
    ok(service.post("/api/v1/tickets", json=event), 201)
    refused(service.post("/api/v1/tickets", json={**event, "device": api.plant.device()}), 409)
    refused(service.post("/api/v1/tickets", json={**event, "fault": "another"}), 409)


# Back again -------------------------------------------------------------------------------------------------------


def test_a_fault_that_comes_back_within_72_hours_reopens_its_ticket_with_new_clocks(api: RunningApi) -> None:
    device = api.plant.device()
    ticket = closed_ticket(api, device)
    again = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device)))
    assert (again["id"], again["state"], again["verdict"], again["closed_at"]) == (
        ticket["id"], "reopened", None, None,
    )  # fmt: skip
    assert all(clock["stopped_at"] is None for clock in again["clocks"])
    assert len(whole(api, ticket)["clocks"]) == 6


@pytest.mark.parametrize("state", ["handed_over", "follow_up"])
def test_a_fault_that_is_back_after_the_hand_over_takes_its_ticket_back_with_new_clocks(
    api: RunningApi, state: str
) -> None:
    device = api.plant.device()
    ticket = open_ticket(api, device)
    with api.database.owner() as conn:
        conn.execute("UPDATE tickets SET state = %s, verdict = 'confirmed' WHERE id = %s", [state, ticket["id"]])
        conn.execute("UPDATE ticket_clocks SET stopped_at = now() WHERE ticket_id = %s", [ticket["id"]])
    back = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device)))
    assert (back["id"], back["state"], back["turn"]) == (ticket["id"], "reopened", 1)
    assert {clock["stopped_at"] for clock in back["clocks"]} == {None}


def test_a_fault_that_comes_back_later_opens_a_new_ticket(api: RunningApi) -> None:
    device = api.plant.device()
    ticket = closed_ticket(api, device)
    with api.database.owner() as conn:
        conn.execute("UPDATE tickets SET closed_at = now() - interval '73 hours' WHERE id = %s", [ticket["id"]])
    assert open_ticket(api, device)["id"] != ticket["id"]


def test_a_cancelled_ticket_stays_cancelled(api: RunningApi) -> None:
    device = api.plant.device()
    ticket = open_ticket(api, device)
    ok(move(api, ticket, "cancelled", note="a trial run"))
    assert open_ticket(api, device)["id"] != ticket["id"]


def test_events_during_closing_join_or_reopen_and_none_is_lost(api: RunningApi) -> None:
    """Whatever the order in which closing and twenty events meet: one ticket, open at the end, with all evidence."""
    for _ in range(5):
        device = api.plant.device()
        ticket = open_ticket(api, device)
        ok(move(api, ticket, "triaged"))
        events = [alarm_event(device) for _ in range(20)]
        with ThreadPoolExecutor(THREADS) as threads:
            closing = threads.submit(move, api, ticket, "closed", verdict="no_fault")
            answers = list(threads.map(lambda e: post(api.client(Role.SERVICE), e), events))
        ok(closing.result())
        assert {answer.status_code for answer in answers} == {200}
        (left,) = all_tickets(api, device)
        kinds = [event["kind"] for event in whole(api, left)["events"]]
        assert kinds.count("alarm") + kinds.count("reopened") == len(events)
        # Closing came last and ended it, or an event came after it and reopened it once.
        assert kinds.count("reopened") == (1 if left["state"] == "reopened" else 0)


def test_reopening_from_twenty_sides_reopens_once(api: RunningApi) -> None:
    for _ in range(5):
        device = api.plant.device()
        closed_ticket(api, device)
        answers = at_once(api, [alarm_event(device) for _ in range(THREADS)])
        assert {answer.status_code for answer in answers} == {200}
        (ticket,) = all_tickets(api, device)
        kinds = [event["kind"] for event in whole(api, ticket)["events"]]
        assert kinds.count("reopened") == 1
        assert kinds.count("alarm") == THREADS - 1


def test_a_person_and_an_alarm_that_reopen_and_open_at_once_leave_one_open_ticket(api: RunningApi) -> None:
    for _ in range(5):
        device = api.plant.device()
        ticket = closed_ticket(api, device)
        with api.database.owner() as conn:  # too long ago for an alarm, within the guarantee for a person
            conn.execute("UPDATE tickets SET closed_at = now() - interval '4 days' WHERE id = %s", [ticket["id"]])
        with ThreadPoolExecutor(8) as threads:
            person = threads.submit(move, api, ticket, "reopened", note="it is back")
            alarms = threads.map(
                lambda e: post(api.client(Role.SERVICE), e),
                [alarm_event(device) for _ in range(7)],
            )
            assert {answer.status_code for answer in alarms} <= {200, 201}
        assert person.result().status_code in {200, 409}
        assert len([t for t in all_tickets(api, device) if t["state"] not in {"closed", "cancelled"}]) == 1


# The road ---------------------------------------------------------------------------------------------------------


def test_the_whole_road_is_kept_with_who_and_when(api: RunningApi) -> None:
    ticket = open_ticket(api)
    engineer = "a-engineer"
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO users (tenant, login, name, role, password_hash)"
            " VALUES ('demo', %s, 'Jo', 'engineer', '') ON CONFLICT DO NOTHING",
            [engineer],
        )
    ok(move(api, ticket, "triaged", Role.DISPATCHER))
    sent = ok(api.client(Role.DISPATCHER).post(f"/api/v1/tickets/{ticket['id']}/assign", json={"assignee": engineer}))
    assert (sent["state"], sent["assignee"]) == ("dispatched", engineer)
    for to in ("accepted", "on_site"):
        ok(move(api, ticket, to, Role.ENGINEER))
    assert "diagnosis" in refused(move(api, ticket, "repairing", Role.ENGINEER), 422)["detail"]
    diagnosis = {"located": "No flow behind the strainer", "plan": "Clean it", "hours": 1}
    ok(move(api, ticket, "repairing", Role.ENGINEER, diagnosis=diagnosis))
    ok(move(api, ticket, "testing", Role.ENGINEER))
    refused(move(api, ticket, "closed", Role.ENGINEER, verdict="other_fault"), 409)
    test = {"passed": True, "note": "Full flow", "values": [{"name": "flow", "value": 10.1, "unit": "m3/h"}]}
    refused(move(api, ticket, "quality_check", Role.ENGINEER, test=test), 422)
    refused(
        move(api, ticket, "quality_check", Role.ENGINEER, verdict="other_fault", test={**test, "passed": False}), 422
    )
    ok(move(api, ticket, "quality_check", Role.ENGINEER, verdict="other_fault", test=test))
    with api.database.owner() as conn:  # whatever was drawn: who looks is a test of its own
        conn.execute("""UPDATE ticket_papers SET body = body || '{"looks": ["own"]}' WHERE paper = 'check'""")
    ok(move(api, ticket, "handed_over", Role.ENGINEER))
    assert "signature" in refused(move(api, ticket, "follow_up", Role.ENGINEER), 422)["detail"]
    signature = {"name": "A. Dairy", "signed_at": "2026-11-22T12:00:00Z"}
    ok(move(api, ticket, "follow_up", Role.ENGINEER, signature=signature))
    closed = ok(move(api, ticket, "closed", Role.ENGINEER, note="a blocked strainer"))
    assert (closed["verdict"], closed["closed_at"] is not None) == ("other_fault", True)
    assert all(clock["stopped_at"] and not clock["breached_at"] for clock in closed["clocks"])
    told = whole(api, ticket)
    steps = [event for event in told["events"] if event["to_state"]]
    assert [step["to_state"] for step in steps] == [
        "new", "triaged", "dispatched", "accepted", "on_site", "repairing", "testing", "quality_check", "handed_over",
        "follow_up", "closed",
    ]  # fmt: skip
    assert (steps[-1]["who"], steps[-1]["note"]) == (engineer, "a blocked strainer")
    (checked,) = (event for event in told["events"] if event["to_state"] == "quality_check")
    assert checked["detail"]["verdict"] == "other_fault"
    assert [paper["paper"] for paper in told["papers"]] == ["diagnosis", "test", "check", "signature"]
    assert told["papers"][1]["body"] == {**test, "work": "", "advice": ""}
    assert told["moves"] == ["reopened"]


def test_moves_that_the_table_refuses(api: RunningApi) -> None:
    ticket = open_ticket(api)
    assert refused(move(api, ticket, "testing"), 409)["type"].endswith("not-allowed-now")
    refused(move(api, ticket, "cancelled", Role.ENGINEER, note="no"), 403)
    refused(move(api, ticket, "cancelled", Role.MANAGER), 422)
    refused(move(api, ticket, "dispatched"), 422)
    refused(move(api, ticket, "dispatched", assignee="nobody-of-ours"), 409)
    assert whole(api, ticket)["state"] == "new"


def test_two_who_accept_at_once_one_wins(api: RunningApi) -> None:
    ticket = open_ticket(api)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: move(api, ticket, "accepted", Role.ENGINEER), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7


def test_a_report_by_a_person_always_opens_a_ticket(api: RunningApi) -> None:
    device = api.plant.device()
    body = {"source": "person", "device": device, "title": "It leaks", "description": "A puddle", "priority": "urgent"}
    owner = api.client(Role.OWNER)
    tickets = [ok(owner.post("/api/v1/tickets", json=body), 201) for _ in range(2)]
    assert tickets[0]["id"] != tickets[1]["id"]
    assert (tickets[0]["source"], tickets[0]["level"], tickets[0]["title"]) == ("person", "emergency", "It leaks")
    refused(owner.post("/api/v1/tickets", json=alarm_event(device)), 403)
    refused(owner.post("/api/v1/tickets", json={**body, "device": "none-such"}), 404)


def test_comments_are_kept_also_after_the_end(api: RunningApi) -> None:
    ticket = closed_ticket(api, api.plant.device())
    answer = api.client(Role.OWNER).post(f"/api/v1/tickets/{ticket['id']}/comments", json={"note": "Thank you!"})
    assert ok(answer, 201)["state"] == "closed"
    assert whole(api, ticket)["events"][-1]["note"] == "Thank you!"


def test_whoever_has_the_code_follows_the_ticket_and_sees_no_more(own_api: RunningApi) -> None:
    ticket = open_ticket(own_api)
    ok(move(own_api, ticket, "triaged", note="internal: the customer is late with payment"))
    nobody = own_api.client(None)
    code = ticket["code"]
    tracked = ok(nobody.get(f"/api/v1/tickets/track/{code[:4].lower()}-{code[4:8]}-{code[8:]}"))
    assert set(tracked) == {
        "code", "device", "title", "state", "priority", "opened_at", "updated_at", "closed_at", "steps",
        "quote", "answer", "appointment", "sent_back",
    }  # fmt: skip
    assert [step["state"] for step in tracked["steps"]] == ["new", "triaged"]
    refused(nobody.get("/api/v1/tickets/track/AAAAAAAAAAAAAAAA"), 404)
    answers = [nobody.get("/api/v1/tickets/track/AAAAAAAAAAAAAAAA") for _ in range(40)]
    problem = next(answer for answer in answers if answer.status_code == 429)
    refused(problem, 429)
    assert int(problem.headers["retry-after"]) >= 1


# Clocks -----------------------------------------------------------------------------------------------------------


def test_clocks_over_hours_pauses_and_a_breach(api: RunningApi) -> None:
    """The store with a time of the test's own: a day of a ticket in one transaction."""
    opened = open_ticket(api)
    ticket_id, noon = UUID(opened["id"]), datetime.fromisoformat(opened["opened_at"])

    def after(hours: float) -> datetime:
        return noon + timedelta(hours=hours)

    with psycopg.connect(api.database.url("api")) as conn:
        act_for(conn, "demo")

        def go(to: State, hours: float, role: Role = Role.MANAGER) -> dict[str, datetime | None]:
            store.move(
                conn, "demo", ticket_id, to, role=role, who="kim", now=after(hours), note="n", verdict=Verdict.CONFIRMED
            )
            clocks = store.clocks_of(conn, [ticket_id])[ticket_id]
            return {name.value: clock.due_at for name, clock in clocks.items()}

        assert go(State.ON_HOLD, 1) == {"response": after(4), "on_site": after(24), "resolution": after(48)}
        assert go(State.NEW, 11) == {"response": after(14), "on_site": after(34), "resolution": after(58)}
        go(State.ACCEPTED, 13.9)
        go(State.ON_SITE, 35)
        kinds = [event.kind for event in store.events(conn, ticket_id)]
        assert kinds.count("clock_breached") == 1
        clocks = {clock.name.value: clock for clock in store.clocks(conn, ticket_id)}
        assert clocks["response"].breached_at is None
        assert clocks["on_site"].breached_at == after(34)
        (pause,) = store.pauses(conn, ticket_id)
        assert (pause.reason, pause.note, pause.paused_at, pause.resumed_at) == ("on_hold", "n", after(1), after(11))


def rung(api: RunningApi, ticket: JSON) -> list[tuple[str, str]]:
    events = whole(api, ticket)["events"]
    return sorted((e["kind"], e["detail"]["clock"]) for e in events if e["kind"].startswith("clock_"))


def ring(api: RunningApi, ticket: JSON, minutes: float) -> None:
    """Ring as if a ticket had been opened so long ago."""
    with psycopg.connect(api.database.url("notify")) as conn:
        store.ring(conn, datetime.fromisoformat(ticket["opened_at"]) + timedelta(minutes=minutes))


def test_what_falls_due_by_time_alone_is_told_once(api: RunningApi) -> None:
    opened = open_ticket(api, severity="critical")
    for minutes, wanted in (
        (23, []),
        (25, [("clock_warned", "assignment")]),
        (35, [("clock_breached", "assignment"), ("clock_warned", "assignment")]),
        (49, [("clock_breached", "assignment"), ("clock_warned", "assignment"), ("clock_warned", "response")]),
    ):
        for _ in range(2):
            ring(api, opened, minutes)
        assert rung(api, opened) == wanted
    sent = {clock["clock"]: clock for clock in whole(api, opened)["clocks"]}["assignment"]
    assert sent["breached_at"] == sent["due_at"]
    told = {e["kind"]: e["detail"]["to"] for e in whole(api, opened)["events"] if e["kind"].startswith("clock_")}
    assert told == {"clock_warned": ["dispatcher"], "clock_breached": ["dispatcher", "manager", "administrator"]}


def test_a_clock_that_is_paused_or_has_stopped_does_not_ring(api: RunningApi) -> None:
    held, accepted = open_ticket(api), open_ticket(api)
    ok(move(api, held, "on_hold", note="the plant is closed"))
    ok(move(api, accepted, "accepted", Role.ENGINEER))
    ring(api, accepted, 5 * 60)
    assert rung(api, held) == rung(api, accepted) == []


def test_who_dies_while_it_rings_has_told_nobody_and_the_next_tells_once(api: RunningApi) -> None:
    opened = open_ticket(api)
    late = datetime.fromisoformat(opened["opened_at"]) + timedelta(hours=5)
    dying = psycopg.connect(api.database.url("notify"))
    assert store.ring(dying, late) > 0
    dying.close()  # as a kill would: nothing was committed
    assert rung(api, opened) == []
    for _ in range(2):
        ring(api, opened, 5 * 60)
    assert rung(api, opened) == [("clock_breached", "response"), ("clock_warned", "response")]


def test_a_ticket_that_somebody_is_moving_is_rung_when_they_are_done_and_nobody_waits(api: RunningApi) -> None:
    opened = open_ticket(api, severity="critical")
    with psycopg.connect(api.database.url("api")) as conn:
        act_for(conn, "demo")
        store.comment(conn, "demo", UUID(opened["id"]), "on my way", who="kim", now=datetime.now(UTC))
        ring(api, opened, 35)
        assert rung(api, opened) == [], "whoever moves it writes its clocks as they were"
    ring(api, opened, 35)
    assert rung(api, opened) == [("clock_breached", "assignment"), ("clock_warned", "assignment")]


def test_two_that_ring_at_once_ring_once(api: RunningApi) -> None:
    opened = open_ticket(api, severity="critical")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: ring(api, opened, 60 * 60), range(4)))
    clocks = ("assignment", "on_site", "resolution", "response")
    assert rung(api, opened) == [(kind, clock) for kind in ("clock_breached", "clock_warned") for clock in clocks]


def test_unknown_things_are_not_found(api: RunningApi) -> None:
    refused(api.client().get(f"/api/v1/tickets/{uuid4()}"), 404)
    refused(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event("none-such")), 404)
