"""Machines after their repairs, on a real database: looked at by the time of their tests, answered over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from serving import JSON, SECRET, RunningApi, ok, refused

from alarms.roles import Role
from api.access.tokens import issue
from notify.after_repair import AfterRepair
from notify.destinations import AFTER_REPAIR_PATH, TicketsApi
from store import tickets, training
from store.connection import Session, act_for, connect
from store.outbox import Parcel
from store.repairs import rounds
from tickets.documents.after_repair import HEADING
from tickets.intake import Service
from tickets.needs import Paper
from tickets.states import State, Verdict

# Far enough ahead that nothing is rolled up yet of what these tests store: the server does that when it likes.
FAULT = (datetime.now(UTC) + timedelta(days=60)).replace(minute=0, second=0, microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HEALTHY, ILL = 2.0, 3.5
DIAGNOSIS = {"located": "Drive end", "plan": "Replace it", "alternative": "", "hours": 2.0}
TEST = {"passed": True, "note": "Ran for an hour", "values": []}


@pytest.fixture
def conn(api: RunningApi) -> Iterator[Session]:
    """A connection as `notify` has it; what other tests have left to look at is over."""
    rows(api, "UPDATE repair_checks SET look_at = NULL, settled_at = now() WHERE look_at IS NOT NULL")
    with connect(api.database.url("notify"), "after repair") as session:
        session.autocommit = True
        yield session


def rows(api: RunningApi, query: str, *values: object) -> list[Any]:
    with api.database.owner() as owner:
        cursor = owner.execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []


def machine(api: RunningApi) -> str:
    """A machine that ran well for three days until it became ill at `FAULT`, which was noticed half an hour after."""
    device = api.plant.device()
    for point, quantity, unit in (("vibration", "vibration_velocity", "mm/s"), ("current", "current", "A")):
        rows(
            api,
            "INSERT INTO streams (device_id, tenant, device, point, quantity, unit)"
            " SELECT id, tenant, device, %s, %s, %s FROM devices WHERE device = %s",
            *(point, quantity, unit, device),
        )
    runs(api, device, FAULT - 3 * DAY, FAULT, HEALTHY)
    runs(api, device, FAULT, FAULT + 4 * HOUR, ILL)
    return device


def runs(
    api: RunningApi, device: str, since: datetime, until: datetime, vibration: float, current: float = 20.0
) -> None:
    """A reading each five minutes, which wander a little."""
    for point, level in (("vibration", vibration), ("current", current)):
        rows(
            api,
            "INSERT INTO readings (time, stream_id, value, quality)"
            " SELECT t, s.id, %s * (1 + 0.01 * sin(n) + 0.01 * sin(n / 40.0)), 0 FROM streams s,"
            " generate_series(%s::timestamptz, %s::timestamptz - INTERVAL '1 second', INTERVAL '5 minutes')"
            " WITH ORDINALITY AS at (t, n) WHERE s.device = %s AND s.point = %s",
            *(level, since, until, device, point),
        )


def go(api: RunningApi, ticket: UUID, to: State, at: datetime, role: Role = Role.ENGINEER, **more: Any) -> None:
    """A move at a time of the test's."""
    with connect(api.database.url("api"), "test") as session:
        act_for(session, "demo")
        tickets.move(session, "demo", ticket, to, role=role, who=f"a-{role.value}", now=at, **more)


def repaired(api: RunningApi, device: str, at: datetime, fault: str = "") -> UUID:
    """A ticket of the machine's fault, whose repair ended then."""
    with connect(api.database.url("api"), "test") as session:
        act_for(session, "demo")
        opened = tickets.open_by_person(
            session,
            "demo",
            device=device,
            title="It shakes",
            description="",
            who="jo",
            now=FAULT + HOUR,
            since=FAULT + HOUR / 2,
            service=Service.REMOTE,
            fault=fault,
        )
    for to, papers in (
        (State.ACCEPTED, {}),
        (State.DIAGNOSING, {}),
        (State.REPAIRING, {Paper.DIAGNOSIS: DIAGNOSIS}),
        (State.TESTING, {}),
    ):
        go(api, opened.id, to, at, papers=papers)
    return opened.id


def hand_over(api: RunningApi, ticket: UUID, at: datetime) -> None:
    rows(api, """UPDATE ticket_papers SET body = body || '{"looks": ["own"]}' WHERE paper = 'check'""")
    go(api, ticket, State.HANDED_OVER, at)


def newest(api: RunningApi, ticket: UUID) -> JSON:
    found: JSON = ok(api.client(Role.ENGINEER).get(f"/api/v1/tickets/{ticket}/after-repair"))["items"][0]
    return found


def report_section(api: RunningApi, ticket: UUID) -> JSON:
    """What the latest service report says of the machine since its repair."""
    path = f"/api/v1/tickets/{ticket}/documents"
    client = api.client(Role.ENGINEER)
    latest = next(one for one in ok(client.get(path))["items"] if one["kind"] == "service" and one["is_latest"])
    sections = ok(client.get(f"{path}/{latest['id']}"))["content"]["sections"]
    (found,) = (section for section in sections if section["heading"] == HEADING)
    return dict(found)


def deliver(api: RunningApi) -> list[str]:
    """Bring every parcel, each twice, as a postman would who was killed before ticking it off."""
    postman = TicketsApi(api.url, lambda tenant: issue(SECRET, "notify", tenant, Role.SERVICE, 60), AFTER_REPAIR_PATH)
    waiting = rows(
        api,
        "DELETE FROM outbox WHERE destination = 'after_repair' RETURNING id, event_id, tenant, destination, payload, 1",
    )
    fates = [postman.deliver(Parcel(*row)).fate.value for row in waiting for _ in range(2)]
    postman.close()
    return fates


def test_a_repair_that_was_none_is_refused_and_taken_back_once_after_the_hand_over(
    api: RunningApi, conn: Session
) -> None:
    device = machine(api)
    at = FAULT + 4 * HOUR
    ticket = repaired(api, device, at)
    assert newest(api, ticket)["look_at"] == (at + 5 * HOUR).isoformat().replace("+00:00", "Z")
    runs(api, device, at, at + 40 * HOUR, ILL)
    looked = AfterRepair("").round
    assert looked(conn, at + 4 * HOUR) == []
    # Killed after the look, before the end: nothing is done, and the next does it.
    turn = rounds.due(conn, at + 5 * HOUR, 9)[0]
    with conn.transaction():
        assert rounds.look(conn, turn, at + 5 * HOUR) == "not_well"
        raise psycopg.Rollback
    assert looked(conn, at + 5 * HOUR) == ["not_well"]
    assert looked(conn, at + 6 * HOUR) == []
    said = newest(api, ticket)
    assert "vibration is 3.5" in said["reason"]
    (vibration, current) = said["points"]
    assert (vibration["point"], vibration["why"], vibration["was_off"]) == ("vibration", "level", True)
    assert vibration["low"] < HEALTHY < vibration["high"] < vibration["now"]
    assert vibration["before"] == pytest.approx(ILL, rel=0.05)
    assert (current["point"], current["why"], current["was_off"]) == ("current", "", False)
    assert deliver(api) == ["delivered"] * 2
    assert newest(api, ticket)["answer"] == "noted"

    go(api, ticket, State.QUALITY_CHECK, at + 6 * HOUR, verdict=Verdict.CONFIRMED, papers={Paper.TEST: TEST})
    client, path = api.client(Role.INSPECTOR), f"/api/v1/tickets/{ticket}/move"
    rows(api, """UPDATE ticket_papers SET body = body || '{"looks": ["own"]}' WHERE paper = 'check'""")
    looked_at = {"passed": True, "note": "It runs"}
    problem = refused(client.post(path, json={"to": "handed_over", "inspection": looked_at}), 422)
    assert "an inspector's word why nevertheless: since the repair vibration is 3.5" in problem["detail"]
    why = looked_at | {"nevertheless": "The new foot is stiffer"}
    ok(client.post(path, json={"to": "handed_over", "inspection": why}))
    told = dict(report_section(api, ticket)["facts"])
    assert "vibration is 3.5" in told["Judgement"]
    assert told["Handed over because"] == "The new foot is stiffer"
    rows(
        api,
        "UPDATE repair_checks SET begins_at = %s, look_at = %s WHERE ticket_id = %s AND stage = 'service'",
        *(at + 7 * HOUR, at + 12 * HOUR, ticket),
    )
    assert looked(conn, at + 12 * HOUR) == ["not_well"]
    assert deliver(api) == ["delivered"] * 2
    whole = ok(api.client().get(f"/api/v1/tickets/{ticket}"))
    assert (whole["state"], whole["turn"], whole["verdict"]) == ("reopened", 1, None)
    kinds = [event["kind"] for event in whole["events"]]
    assert (kinds.count("reopened"), kinds.count("after_repair")) == (1, 2)
    assert {clock["clock"] for clock in whole["clocks"] if clock["stopped_at"] is None} >= {"response", "resolution"}
    # What it does since the fault began is nobody's normal until its repair holds.
    (number,) = rows(api, "SELECT id FROM devices WHERE device = %s", device)[0]
    assert [ill.since for ill in training.illnesses(conn, number, FAULT)] == [FAULT + HOUR / 2]


def test_a_repair_that_holds_is_well_before_and_after_the_hand_over(api: RunningApi, conn: Session) -> None:
    device = machine(api)
    at = FAULT + 4 * HOUR
    ticket = repaired(api, device, at)
    # Quieter than it ever was is well; standing still for a while is no running.
    runs(api, device, at, at + 2 * HOUR, 1.6)
    runs(api, device, at + 2 * HOUR, at + 6 * HOUR, 0.0, current=0.0)
    runs(api, device, at + 6 * HOUR, at + 30 * HOUR, 1.6)
    looked = AfterRepair("").round
    assert looked(conn, at + 5 * HOUR) == []
    waits = newest(api, ticket)
    assert (waits["outcome"], waits["reason"]) == ("cannot_say", "1.0 of 4.0 h of running can be compared yet")
    assert waits["look_at"] == (at + 6 * HOUR).isoformat().replace("+00:00", "Z")
    assert looked(conn, at + 10 * HOUR) == ["well"]
    go(api, ticket, State.QUALITY_CHECK, at + 10 * HOUR, verdict=Verdict.CONFIRMED, papers={Paper.TEST: TEST})
    hand_over(api, ticket, at + 11 * HOUR)
    signed = {"name": "A. Dairy", "signed_at": at.isoformat()}
    go(api, ticket, State.FOLLOW_UP, at + 12 * HOUR, papers={Paper.SIGNATURE: signed})
    rested = report_section(api, ticket)
    assert rested["facts"][0] == ["Judgement", "Well: all is as it was in health"]
    assert {tuple(row[:1] + row[-1:]) for row in rested["table"]["rows"]} == {
        ("Vibration", "As in health"),
        ("Current", "As in health"),
    }
    assert looked(conn, at + 16 * HOUR) == ["well"]
    assert deliver(api) == []
    assert ok(api.client().get(f"/api/v1/tickets/{ticket}"))["state"] == "follow_up"
    figures = api.client().get("/metrics").text
    assert 'bellwether_repair_checks{outcome="well"}' in figures


def test_of_a_machine_that_stands_still_nothing_is_said_and_in_the_end_no_more_is_asked(
    api: RunningApi, conn: Session
) -> None:
    device = machine(api)
    at = FAULT + 4 * HOUR
    ticket = repaired(api, device, at)
    runs(api, device, at, at + 6 * HOUR, 0.0, current=0.0)
    looked = AfterRepair("").round
    assert looked(conn, at + 5 * HOUR) == []
    said = newest(api, ticket)
    assert (said["outcome"], said["reason"]) == ("cannot_say", "it has stood still since")
    assert said["look_at"] == (at + 6 * HOUR).isoformat().replace("+00:00", "Z")
    assert looked(conn, at + 8 * DAY) == ["cannot_say"]
    assert newest(api, ticket)["look_at"] is None
    assert deliver(api) == []
    go(api, ticket, State.REPAIRING, at + 8 * DAY)
    go(api, ticket, State.TESTING, at + 8 * DAY + HOUR)
    assert newest(api, ticket)["settled_at"] is None
    go(api, ticket, State.CANCELLED, at + 8 * DAY + HOUR, role=Role.MANAGER, note="It is sold")
    assert newest(api, ticket)["reason"] == "the ticket was cancelled"


def test_what_has_another_ticket_by_then_or_no_guarantee_any_more_is_not_reopened(
    api: RunningApi, conn: Session
) -> None:
    device = machine(api)
    ticket = repaired(api, device, FAULT + 4 * HOUR, fault="shakes")
    rows(
        api,
        "UPDATE repair_checks SET look_at = NULL, settled_at = now(), outcome = 'not_well' WHERE ticket_id = %s",
        ticket,
    )
    (check,) = rows(api, "SELECT id FROM repair_checks WHERE ticket_id = %s", ticket)[0]
    asked = {"check_id": str(check)}
    service = api.client(Role.SERVICE)
    for closed, wanted in (("31 days", "over"), ("1 day", "joined")):
        rows(
            api,
            "UPDATE tickets SET state = 'closed', closed_at = now() - %s::interval WHERE id = %s",
            *(closed, ticket),
        )
        rows(api, "UPDATE repair_checks SET answer = NULL WHERE id = %s", check)
        if wanted == "joined":
            other = repaired(api, device, FAULT + DAY, fault="shakes")
        assert ok(service.post("/api/v1/tickets/after-repair", json=asked))["answer"] == wanted
        assert ok(api.client().get(f"/api/v1/tickets/{ticket}"))["state"] == "closed"
    told = ok(api.client().get(f"/api/v1/tickets/{other}"))["events"][-1]
    assert (told["kind"], told["detail"]["of"]) == ("after_repair", str(ticket))
    (running,) = rows(api, "SELECT id FROM repair_checks WHERE ticket_id = %s", other)[0]
    refused(service.post("/api/v1/tickets/after-repair", json={"check_id": str(running)}), 409)
    refused(api.client(Role.ENGINEER).post("/api/v1/tickets/after-repair", json=asked), 403)
