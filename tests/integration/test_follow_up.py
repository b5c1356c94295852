"""After a repair: customers are asked, who is not satisfied is called back, and what comes again is seen to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from serving import JSON, RunningApi, ok, refused

from alarms.roles import Role
from store import tickets as ticket_store
from store.follow_up import actions
from tickets.surveys import link_hash

GOOD = {"reached": 5, "time": 4, "told": 5, "people": 5, "result": 5, "recommend": 9}
BAD = {"reached": 2, "time": 1, "told": 2, "people": 4, "result": 3, "recommend": 4}
PAGE_ADDRESS = "https://service.example"


@pytest.fixture(scope="module")
def sql(api: RunningApi) -> Callable[..., list[Any]]:
    def ask(query: str, *values: object) -> list[Any]:
        with api.database.owner() as conn:
            done = conn.execute(query.encode(), values)
            return done.fetchall() if done.description else []

    return ask


@pytest.fixture(scope="module", autouse=True)
def terms(api: RunningApi) -> None:
    """As the house has them, with an address at which customers reach the pages."""
    found = ok(api.client().get("/api/v1/terms"))
    found["terms"]["follow_up"]["page_address"] = PAGE_ADDRESS
    body = {"terms": found["terms"], "version": found["version"], "reason": "Customers are written to"}
    ok(api.client().put("/api/v1/terms", json=body))


def handed_over(api: RunningApi, sql: Callable[..., list[Any]], tier: str = "regular", contact: str = "") -> JSON:
    """A ticket whose repair a customer has just signed for; the road up to there is told elsewhere."""
    device = api.plant.device()
    if tier == "vip" or contact:
        customer = {"number": f"K-{device}", "name": "Dairy North", "tier": tier, "contact": contact}
        ok(api.client().post("/api/v1/customers", json=customer), 201)
        ok(api.client().put(f"/api/v1/devices/{device}/file", json={"customer": customer["number"]}))
    ticket = ok(
        api.client(Role.ENGINEER).post(
            "/api/v1/tickets", json={"source": "person", "device": device, "title": "It leaks"}
        ),
        201,
    )
    sql("UPDATE tickets SET state = 'handed_over', verdict = 'confirmed' WHERE id = %s", ticket["id"])
    signature = {"name": "A. Dairy", "signed_at": "2026-11-22T12:00:00Z"}
    return ok(move(api, ticket, "follow_up", signature=signature))


def move(api: RunningApi, ticket: JSON, to: str, **fields: object) -> httpx.Response:
    return api.client().post(f"/api/v1/tickets/{ticket['id']}/move", json={"to": to, **fields})


def survey_of(api: RunningApi, ticket: JSON) -> JSON:
    found = ok(api.client().get("/api/v1/surveys", params={"limit": 200}))["items"]
    (mine,) = (one for one in found if one["ticket_id"] == ticket["id"])
    return dict(mine)


def whole(api: RunningApi, ticket: JSON) -> JSON:
    return ok(api.client().get(f"/api/v1/tickets/{ticket['id']}"))


def clocks(api: RunningApi, ticket: JSON) -> dict[str, JSON]:
    return {clock["clock"]: clock for clock in whole(api, ticket)["clocks"]}


def to_call(api: RunningApi) -> set[str]:
    found = ok(api.client().get("/api/v1/surveys", params={"which": "to_call", "limit": 200}))["items"]
    return {one["ticket_id"] for one in found}


def handling_of(api: RunningApi, ticket: JSON) -> JSON:
    found = ok(api.client().get("/api/v1/second-handlings", params={"limit": 200}))["items"]
    (mine,) = (one for one in found if one["ticket_id"] == ticket["id"])
    return dict(mine)


def complained(api: RunningApi, sql: Callable[..., list[Any]]) -> tuple[JSON, JSON]:
    """A ticket whose customer was not satisfied, and its second handling."""
    ticket = handed_over(api, sql)
    survey = survey_of(api, ticket)
    answers = {"answers": BAD, "comment": "You came two days late"}
    ok(api.client(Role.DISPATCHER).post(f"/api/v1/surveys/{survey['id']}/answers", json=answers))
    return ticket, handling_of(api, ticket)


def test_a_customer_is_written_to_and_answers_once_by_a_link_that_nobody_else_has(
    api: RunningApi, sql: Callable[..., list[Any]]
) -> None:
    ticket = handed_over(api, sql, contact="A. Dairy <dairy@north.example>")
    survey, nobody = survey_of(api, ticket), api.client(None)
    assert (survey["to_call"], survey["sent_at"] is None) == ("", False)
    ((recipient, body),) = sql("SELECT recipient, body FROM messages WHERE ticket_id = %s", ticket["id"])
    link = body.split(f"{PAGE_ADDRESS}/survey/")[1].split()[0]
    assert recipient == "dairy@north.example"
    assert f"{PAGE_ADDRESS}/track/{ticket['code']}\n" in body
    assert "/tickets/" not in body, "that is for staff"
    ((kept,),) = sql("SELECT link_hash FROM surveys WHERE id = %s", survey["id"])
    assert bytes(kept) == link_hash(link)
    path = f"/api/v1/surveys/by-link/{link}"
    asked = ok(nobody.get(path))
    assert len(asked["questions"]) == 7
    assert set(asked) == {"device", "title", "questions", "expires_at", "answered_at"}
    for wrong in (GOOD | {"time": 6}, GOOD | {"more": 1}, {"time": 3}):
        refused(nobody.post(path, json={"answers": wrong}), 422)
    refused(nobody.post(path, json={"answers": GOOD, "comment": "x" * 2001}), 422)
    assert ok(nobody.post(path, json={"answers": GOOD, "comment": "Quick"}))["answered_at"]
    refused(nobody.post(path, json={"answers": BAD}), 409)
    refused(nobody.get(f"/api/v1/surveys/by-link/{'x' * 24}"), 404)
    said = survey_of(api, ticket)
    assert (said["csat"], said["nps"], said["how"], said["comment"]) == (95.0, 9, "link", "Quick")
    assert whole(api, ticket)["events"][-1]["who"] == "customer"
    ok(move(api, ticket, "closed"))


def test_who_is_vip_or_has_no_address_is_called_until_they_are_reached(
    api: RunningApi, sql: Callable[..., list[Any]]
) -> None:
    vip = handed_over(api, sql, "vip", "dairy@north.example")
    nowhere = handed_over(api, sql, contact="+49 911 1234")
    bounced = handed_over(api, sql, contact="gone@north.example")
    desk = api.client(Role.DISPATCHER)
    assert [survey_of(api, one)["to_call"] for one in (vip, nowhere, bounced)] == ["vip", "no_address", ""]
    sql(
        "UPDATE messages SET state = 'undeliverable', ended_at = now() WHERE ticket_id = %s",
        bounced["id"],
    )
    assert {one["id"] for one in (vip, nowhere, bounced)} <= to_call(api)
    (lost,) = sql("SELECT id FROM messages WHERE ticket_id = %s", bounced["id"])[0]
    assert api.client().post("/api/v1/messages/settle", json={}).is_success
    assert bounced["id"] in to_call(api), "that somebody has seen it tells the customer nothing"
    ok(api.client().post(f"/api/v1/messages/{lost}/again"), 202)
    assert bounced["id"] not in to_call(api)
    path = f"/api/v1/surveys/{survey_of(api, vip)['id']}"
    ok(desk.post(f"{path}/calls", json={"reached": False, "note": "On holiday"}), 201)
    assert vip["id"] in to_call(api)
    assert ok(desk.post(f"{path}/calls", json={"reached": True}), 201)["calls"] == 2
    assert vip["id"] not in to_call(api)
    assert [one["note"] for one in whole(api, vip)["events"] if one["kind"] == "customer_called"] == ["On holiday", ""]
    said = ok(desk.post(f"{path}/answers", json={"answers": GOOD, "comment": "Thank you"}))
    assert (said["how"], said["called_by"]) == ("phone", "a-dispatcher")
    refused(desk.post(f"{path}/link"), 409)
    refused(api.client(Role.ENGINEER).post(f"{path}/calls", json={"reached": True}), 403)


def test_a_new_link_takes_the_place_of_the_one_before_and_none_opens_what_is_over(
    api: RunningApi, sql: Callable[..., list[Any]]
) -> None:
    survey = survey_of(api, handed_over(api, sql))
    path = f"/api/v1/surveys/{survey['id']}/link"
    first, second = (ok(api.client().post(path), 201)["link"] for _ in range(2))
    nobody = api.client(None)
    refused(nobody.get(f"/api/v1/surveys/by-link/{first}"), 404)
    ok(nobody.get(f"/api/v1/surveys/by-link/{second}"))
    sql("UPDATE surveys SET expires_at = now() WHERE id = %s", survey["id"])
    refused(nobody.post(f"/api/v1/surveys/by-link/{second}", json={"answers": GOOD}), 409)
    assert survey["ticket_id"] not in to_call(api)


def test_who_is_not_satisfied_is_called_back_before_the_ticket_closes(
    api: RunningApi, sql: Callable[..., list[Any]]
) -> None:
    ticket, handling = complained(api, sql)
    desk, path = api.client(Role.DISPATCHER), f"/api/v1/second-handlings/{handling['id']}"
    opened = datetime.fromisoformat(handling["opened_at"])
    assert datetime.fromisoformat(handling["start_due_at"]) - opened == timedelta(hours=4)
    assert datetime.fromisoformat(handling["call_due_at"]) - opened == timedelta(hours=48)
    assert "was not satisfied" in refused(move(api, ticket, "closed"), 422)["detail"]
    why = {"cause": "Moved twice without a word", "outcome": "Apologised"}
    refused(desk.post(f"{path}/close", json=why), 409)
    assert (
        ok(desk.post(f"{path}/call", json={"reached": False, "note": "Nobody there"}))["started_by"] == "a-dispatcher"
    )
    found = clocks(api, ticket)
    assert found["second_handling"]["stopped_at"]
    assert found["call_back"]["stopped_at"] is None
    refused(desk.post(f"{path}/start"), 409)
    assert ok(desk.post(f"{path}/call", json={"reached": True}))["called_at"]
    assert clocks(api, ticket)["call_back"]["stopped_at"]
    refused(desk.post(f"{path}/close", json=why | {"cause": " "}), 422)
    ok(desk.post(f"{path}/close", json=why))
    ok(move(api, ticket, "closed"))


def test_its_clocks_warn_and_break_whatever_becomes_of_the_ticket(
    api: RunningApi, sql: Callable[..., list[Any]]
) -> None:
    ticket, _ = complained(api, sql)
    ok(move(api, ticket, "cancelled", note="Sold"))
    later = datetime.now(UTC) + timedelta(hours=5)
    with psycopg.connect(api.database.url("notify"), autocommit=True) as conn:
        ticket_store.ring(conn, later)
    told = [one["detail"] for one in whole(api, ticket)["events"] if one["kind"].startswith("clock_")]
    assert {one["clock"] for one in told} == {"second_handling"}
    assert set(told[-1]["to"]) == {"dispatcher", "manager", "administrator"}


def test_a_second_handling_may_reopen_the_ticket_and_its_next_survey_opens_no_second_one_meanwhile(
    api: RunningApi, sql: Callable[..., list[Any]]
) -> None:
    ticket, handling = complained(api, sql)
    ok(move(api, ticket, "reopened", note="It leaks again"))
    sql("UPDATE tickets SET state = 'handed_over', verdict = 'confirmed' WHERE id = %s", ticket["id"])
    ok(move(api, ticket, "follow_up", signature={"name": "A. Dairy", "signed_at": "2026-11-22T12:00:00Z"}))
    found = ok(api.client().get("/api/v1/surveys", params={"limit": 200, "which": "waiting"}))["items"]
    (anew,) = (one for one in found if one["ticket_id"] == ticket["id"])
    ok(api.client().post(f"/api/v1/surveys/{anew['id']}/answers", json={"answers": BAD}))
    assert handling_of(api, ticket)["id"] == handling["id"]
    path = f"/api/v1/second-handlings/{handling['id']}"
    ok(api.client().post(f"{path}/call", json={"reached": True}))
    ok(api.client().post(f"{path}/close", json={"cause": "Wrong seal", "outcome": "We come again", "reopen": True}))
    assert whole(api, ticket)["state"] == "reopened"


def test_what_comes_often_is_proposed_once_seen_to_and_judged_by_what_comes_after(
    api: RunningApi, sql: Callable[..., list[Any]]
) -> None:
    for _ in range(3):
        device = api.plant.device()
        sql("UPDATE devices SET model = 'NK 80-200' WHERE device = %s", device)
        ok(api.client().post("/api/v1/reports", json={"device": device, "symptom": "leakage"}), 201)

    def propose() -> int:
        with psycopg.connect(api.database.url("notify"), autocommit=True) as conn:
            return actions.propose(conn, datetime.now(UTC))

    assert propose() > 0
    assert propose() == 0
    manager = api.client(Role.MANAGER)
    (seen,) = (one for one in ok(manager.get("/api/v1/corrective-actions"))["items"] if one["model"] == "NK 80-200")
    assert (seen["kind"], seen["cases"], seen["state"], seen["made_by"]) == ("fault", 3, "proposed", "bellwether")
    path = f"/api/v1/corrective-actions/{seen['id']}"
    plan = {"to": "open", "root_cause": "Mounted dry", "action": "Grease in the set", "due_at": "2026-01-01T00:00:00Z"}
    assert "owner" in refused(manager.post(f"{path}/move", json=plan), 409)["detail"]
    assert "nobody" in refused(manager.post(f"{path}/move", json=plan | {"owner": "nobody"}), 409)["detail"]
    user = {"login": "kim", "name": "Kim", "role": "engineer", "password": "long enough, surely"}
    ok(api.client().post("/api/v1/users", json=user), 201)
    assert ok(manager.post(f"{path}/move", json=plan | {"owner": "kim"}))["overdue"] is True
    refused(manager.post(f"{path}/move", json={"to": "effective", "note": "Quiet"}), 409)
    ok(manager.post(f"{path}/move", json={"to": "done", "note": "All sets have grease"}))
    assert propose() == 0, "somebody is at it"
    judged = {"to": "effective", "note": "None since"}
    assert "30 days" in refused(manager.post(f"{path}/move", json=judged), 409)["detail"]
    month_ago = datetime.now(UTC) - timedelta(days=31)
    sql("UPDATE corrective_actions SET done_at = %s WHERE id = %s", month_ago, seen["id"])
    assert "as often" in refused(manager.post(f"{path}/move", json=judged), 409)["detail"]
    sql(
        "UPDATE tickets SET opened_at = opened_at - INTERVAL '40 days' WHERE device IN"
        " (SELECT device FROM devices WHERE model = 'NK 80-200')"
    )
    sql("UPDATE corrective_actions SET made_at = %s WHERE id = %s", month_ago, seen["id"])
    done = ok(manager.post(f"{path}/move", json=judged))
    assert (done["state"], done["effect"]["before"], done["effect"]["after"]) == ("effective", 3, 0)
    assert propose() == 0, "what came before it was closed does not count again"
    refused(api.client(Role.ENGINEER).post(f"{path}/move", json=judged), 403)


def test_a_month_is_looked_back_on_and_signed_once_when_it_is_over(
    api: RunningApi, sql: Callable[..., list[Any]]
) -> None:
    ticket, _ = complained(api, sql)
    sql("UPDATE tickets SET opened_at = '2026-03-10Z', state = 'closed', closed_at = '2026-03-12Z',"
        " verdict = 'no_fault', source = 'alarm' WHERE id = %s", ticket["id"])  # fmt: skip
    sql("UPDATE ticket_clocks SET due_at = '2026-03-11Z', breached_at = '2026-03-11Z' WHERE ticket_id = %s"
        " AND clock = 'response'", ticket["id"])  # fmt: skip
    sql("UPDATE second_handlings SET opened_at = '2026-03-13Z' WHERE ticket_id = %s", ticket["id"])
    manager = api.client(Role.MANAGER)
    found = ok(manager.get("/api/v1/reviews?month=2026-03"))
    assert [found["figures"][name] for name in ("opened", "false_alarms", "dissatisfied")] == [1, 1, 1]
    assert found["promises"] == [{"clock": "response", "due": 1, "broken": 1}]
    assert found["dissatisfied"][0]["ticket_id"] == ticket["id"]
    signed = ok(manager.post("/api/v1/reviews", json={"month": "2026-03", "notes": "One false alarm"}))["signed"]
    assert (signed["signed_by"], signed["figures"]["false_alarms"]) == ("a-manager", 1)
    refused(manager.post("/api/v1/reviews", json={"month": "2026-03", "notes": "Again"}), 409)
    refused(manager.post("/api/v1/reviews", json={"month": "2099-01", "notes": "Too soon"}), 409)
    refused(api.client(Role.ENGINEER).post("/api/v1/reviews", json={"month": "2026-02", "notes": "Mine"}), 403)
