"""The road with what is written down on it: quotes and answers, waiting for parts, experts, inspections, draws."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import psycopg
from serving import JSON, RunningApi, alarm_event, ok, refused

from alarms.roles import Role
from store import tickets as store
from tickets.clocks import PROMISED
from tickets.quality import commitment, drawn

DIAGNOSIS = {"located": "Worn shaft seal, seen from outside", "plan": "Replace it", "hours": 2.5}
QUOTE = {"amount": "480.00", "currency": "EUR", "covers": "Shaft seal and two hours"}
TEST = {"passed": True, "note": "Ran an hour without a drop"}
ANSWER = {"accepted": True, "name": "A. Dairy"}
SIGNATURE = {"name": "A. Dairy", "signed_at": "2026-11-22T12:00:00Z"}


def move(api: RunningApi, ticket: JSON, to: str, role: Role = Role.ENGINEER, **fields: object) -> httpx.Response:
    return api.client(role).post(f"/api/v1/tickets/{ticket['id']}/move", json={"to": to, **fields})


def whole(api: RunningApi, ticket: JSON) -> JSON:
    return ok(api.client().get(f"/api/v1/tickets/{ticket['id']}"))


def diagnosing(api: RunningApi, *, file: JSON | None = None, **changes: object) -> JSON:
    """A ticket that an engineer looks into."""
    device = api.plant.device()
    if file is not None:
        ok(api.client().put(f"/api/v1/devices/{device}/file", json=file))
    event = alarm_event(device, **changes)  # type: ignore[arg-type]
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=event), 201)
    ok(move(api, ticket, "accepted"))
    return ok(move(api, ticket, "diagnosing"))


def checked(api: RunningApi, ticket: JSON) -> JSON:
    """The ticket repaired on site and tested by the engineer."""
    ok(move(api, ticket, "on_site"))
    ok(move(api, ticket, "repairing", diagnosis=DIAGNOSIS))
    ok(move(api, ticket, "testing"))
    return ok(move(api, ticket, "quality_check", verdict="confirmed", test=TEST))


def set_looks(api: RunningApi, ticket: JSON, looks: str) -> None:
    """Whatever was drawn."""
    with api.database.owner() as conn:
        conn.execute(
            "UPDATE ticket_papers SET body = jsonb_set(body, '{looks}', %s) WHERE paper = 'check' AND ticket_id = %s",
            [looks, ticket["id"]],
        )


def resolution(api: RunningApi, ticket: JSON) -> JSON:
    return {clock["clock"]: clock for clock in whole(api, ticket)["clocks"]}["resolution"]


def quoted(api: RunningApi) -> JSON:
    """Out of warranty, with a quote that waits for its answer."""
    ticket = diagnosing(api, file={"warranty_until": "2026-03-01"})
    return ok(move(api, ticket, "awaiting_approval", diagnosis=DIAGNOSIS, quote=QUOTE))


def test_out_of_warranty_no_work_begins_before_the_customer_has_said_yes(api: RunningApi) -> None:
    ticket = diagnosing(api, file={"warranty_until": "2026-03-01"})
    ok(move(api, ticket, "on_site"))
    assert "2026-03-01" in refused(move(api, ticket, "repairing", diagnosis=DIAGNOSIS), 422)["detail"]
    ok(move(api, ticket, "diagnosing"))
    ok(move(api, ticket, "awaiting_approval", diagnosis=DIAGNOSIS, quote=QUOTE))
    assert resolution(api, ticket)["paused_at"]
    assert whole(api, ticket)["pauses"][-1]["reason"] == "waiting_for_customer"
    assert "the customer's answer" in refused(move(api, ticket, "on_site"), 422)["detail"]

    nobody, path = api.client(None), f"/api/v1/tickets/track/{ticket['code']}"
    assert ok(nobody.get(path))["quote"] == QUOTE
    answered = ok(nobody.post(f"{path}/quote", json=ANSWER))
    assert answered["answer"]["accepted"] is True
    refused(nobody.post(f"{path}/quote", json={**ANSWER, "accepted": False}), 409)
    assert resolution(api, ticket)["paused_at"] is None, "nobody waits any more"
    assert whole(api, ticket)["pauses"][-1]["resumed_by"] == "customer"
    ok(move(api, ticket, "on_hold", Role.DISPATCHER, note="the plant is closed"))
    ok(move(api, ticket, "awaiting_approval", Role.DISPATCHER))
    assert resolution(api, ticket)["paused_at"] is None, "it waits for no answer that was given"
    ok(move(api, ticket, "repairing", service="remote"))


def test_a_quote_that_was_declined_leaves_closing_and_cancelling(api: RunningApi) -> None:
    ticket = quoted(api)
    path = f"/api/v1/tickets/track/{ticket['code']}/quote"
    ok(api.client(None).post(path, json={**ANSWER, "accepted": False, "note": "too much"}))
    for to, more in (
        ("on_site", {}),
        ("awaiting_parts", {}),
        ("repairing", {"service": "remote"}),
        ("awaiting_approval", {"quote": QUOTE}),
    ):
        assert "declined" in refused(move(api, ticket, to, **more), 422)["detail"]
    assert whole(api, ticket)["events"][-1]["kind"] == "quote_declined"
    ok(move(api, ticket, "closed", verdict="confirmed"))


def test_a_customer_answers_the_quote_that_they_have_read_and_no_other(api: RunningApi) -> None:
    ticket, nobody = quoted(api), api.client(None)
    path = f"/track/{ticket['code']}/quote"
    read = {"amount": QUOTE["amount"], "currency": "EUR"}
    ok(move(api, ticket, "awaiting_approval", quote={**QUOTE, "amount": "4800.00"}))
    assert "another" in refused(nobody.post(f"/api/v1/tickets{path}", json={**ANSWER, "quoted": read}), 409)["detail"]
    page = nobody.post(
        path, data={"accepted": "true", "name": "A. Dairy", **read}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert "another one by now" in page.text
    assert 'name="amount" value="4800.00"' in page.text
    ok(nobody.post(f"/api/v1/tickets{path}", json={**ANSWER, "quoted": {**read, "amount": "4800"}}))


def test_the_desk_writes_down_what_the_customer_said_on_the_phone_and_nobody_else_does(api: RunningApi) -> None:
    ticket = quoted(api)
    appointment = {"begins_at": "2026-11-24T08:00:00Z", "ends_at": "2026-11-24T10:00:00Z"}
    refused(move(api, ticket, "scheduled", appointment=appointment, answer=ANSWER), 403)
    refused(move(api, ticket, "scheduled", Role.DISPATCHER, answer=ANSWER), 422)
    ok(move(api, ticket, "scheduled", Role.DISPATCHER, appointment=appointment, answer={**ANSWER, "note": "by phone"}))
    assert ok(api.client(None).get(f"/api/v1/tickets/track/{ticket['code']}"))["appointment"] == appointment
    assert resolution(api, ticket)["paused_at"] is None
    backwards = {"begins_at": appointment["ends_at"], "ends_at": appointment["begins_at"]}
    refused(move(api, ticket, "scheduled", Role.DISPATCHER, appointment=backwards, note="sooner"), 422)


def test_under_warranty_nobody_is_asked_and_a_visit_comes_before_work(api: RunningApi) -> None:
    ticket = diagnosing(api, file={"warranty_until": "2999-03-01"})
    assert "a visit first" in refused(move(api, ticket, "repairing", diagnosis=DIAGNOSIS), 422)["detail"]
    assert "out of place" in refused(move(api, ticket, "on_site", test=TEST), 422)["title"].lower()
    ok(move(api, ticket, "on_site"))
    ok(move(api, ticket, "repairing", diagnosis=DIAGNOSIS))


def test_a_ticket_that_waits_for_parts_goes_on_by_itself_once_they_are_there(api: RunningApi) -> None:
    manager, part = api.client(Role.MANAGER), f"seal-{uuid4().hex[:6]}"
    ok(manager.post("/api/v1/depots", json={"name": (depot := f"d-{uuid4().hex[:6]}"), "kind": "city"}), 201)
    ok(manager.post("/api/v1/parts", json={"number": part, "name": "Shaft seal"}), 201)
    ticket = diagnosing(api)
    ok(manager.post(f"/api/v1/tickets/{ticket['id']}/parts", json={"part": part}), 201)
    ok(move(api, ticket, "awaiting_parts", diagnosis=DIAGNOSIS))
    assert whole(api, ticket)["pauses"][-1]["reason"] == "waiting_for_parts"
    assert "1 of what it asked for is not" in refused(move(api, ticket, "on_site"), 422)["detail"]

    def look() -> int:
        with psycopg.connect(api.database.url("notify"), autocommit=True) as conn:
            return store.take_up(conn, datetime.now(UTC))

    assert look() == 0
    receipt = {"kind": "receipt", "part": part, "depot": depot, "quantity": 1}
    ok(manager.post("/api/v1/parts/moves", json=receipt), 201)
    assert [look(), look()] == [1, 0]
    told = whole(api, ticket)
    assert told["events"][-1]["kind"] == "parts_there"
    assert told["pauses"][-1]["resumed_by"] == "bellwether"
    assert resolution(api, ticket)["paused_at"] is None
    ok(move(api, ticket, "on_site"))


def test_an_expert_answers_within_a_day_and_has_not_worked_on_it(api: RunningApi) -> None:
    ticket = diagnosing(api)
    ok(move(api, ticket, "escalated", note="No fault that I could find"))
    asked = {clock["clock"]: clock for clock in whole(api, ticket)["clocks"]}["expert"]
    due = datetime.fromisoformat(asked["due_at"]) - datetime.fromisoformat(asked["started_at"])
    assert due == timedelta(hours=24)
    refused(move(api, ticket, "diagnosing", note="?"), 403)
    refused(move(api, ticket, "diagnosing", Role.EXPERT), 422)
    ok(move(api, ticket, "diagnosing", Role.EXPERT, note="Look at the foundation bolts"))
    answered = {clock["clock"]: clock for clock in whole(api, ticket)["clocks"]}["expert"]
    assert answered["stopped_at"]
    assert not answered["breached_at"]


def test_an_inspector_looks_at_what_matters_most_and_never_at_their_own_work(api: RunningApi) -> None:
    ticket = checked(api, diagnosing(api, file={"criticality": "A"}))
    (check,) = (paper["body"] for paper in whole(api, ticket)["papers"] if paper["paper"] == "check")
    assert check["looks"][:2] == ["own", "site"]
    set_looks(api, ticket, '["own", "site"]')
    passed = {"passed": True, "note": "Dry"}
    assert "an inspection more" in refused(move(api, ticket, "handed_over"), 422)["detail"]
    refused(move(api, ticket, "handed_over", inspection=passed), 403)
    with api.database.owner() as conn:  # an inspector who is given the ticket is no inspector of it
        conn.execute("UPDATE tickets SET assignee = 'a-inspector' WHERE id = %s", [ticket["id"]])
    own = refused(move(api, ticket, "handed_over", Role.INSPECTOR, inspection=passed), 403)
    assert "own work" in own["detail"]
    with api.database.owner() as conn:
        conn.execute("UPDATE tickets SET assignee = 'a-engineer' WHERE id = %s", [ticket["id"]])
    ok(move(api, ticket, "handed_over", Role.INSPECTOR, inspection=passed))
    ok(move(api, ticket, "follow_up", signature=SIGNATURE))


def test_what_fails_goes_back_with_its_root_cause_and_is_diagnosed_anew(api: RunningApi) -> None:
    ticket = checked(api, diagnosing(api, file={"criticality": "A", "warranty_until": "2999-01-01"}))
    refused(move(api, ticket, "reopened", Role.INSPECTOR, inspection={"passed": False}), 422)
    failed = {"passed": False, "root_cause": "The shaft is scored"}
    back = ok(move(api, ticket, "reopened", Role.INSPECTOR, inspection=failed))
    assert (back["state"], back["turn"], back["verdict"]) == ("reopened", 1, None)
    assert resolution(api, ticket)["stopped_at"] is None, "the customer still waits"
    assert len([c for c in whole(api, ticket)["clocks"] if c["clock"] == "resolution"]) == 1
    ok(move(api, ticket, "diagnosing"))
    ok(move(api, ticket, "on_site"))
    refused(move(api, ticket, "repairing"), 422)
    ok(move(api, ticket, "repairing", diagnosis=DIAGNOSIS))


def test_a_fault_that_comes_back_during_follow_up_reopens_its_ticket(api: RunningApi) -> None:
    ticket = checked(api, diagnosing(api))
    set_looks(api, ticket, '["own"]')
    ok(move(api, ticket, "handed_over"))
    ok(move(api, ticket, "follow_up", signature=SIGNATURE))
    again = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(ticket["device"])))
    assert (again["id"], again["state"], again["turn"]) == (ticket["id"], "reopened", 1)
    assert all(clock["stopped_at"] is None for clock in again["clocks"] if clock["clock"] in PROMISED)


def test_an_engineer_holds_their_own_ticket_and_no_other(api: RunningApi) -> None:
    ticket = diagnosing(api)
    held = {"note": "The crane comes tomorrow", "pause_reason": "waiting_for_customer"}
    ok(move(api, ticket, "on_hold", **held))
    ok(move(api, ticket, "diagnosing"))
    with api.database.owner() as conn:
        conn.execute("UPDATE tickets SET assignee = 'somebody-else' WHERE id = %s", [ticket["id"]])
    assert "on_hold" not in ok(api.client(Role.ENGINEER).get(f"/api/v1/tickets/{ticket['id']}"))["moves"]
    refused(move(api, ticket, "on_hold", **held), 403)


def test_the_seed_is_told_when_its_month_is_over_and_repeats_every_draw(api: RunningApi) -> None:
    mine = {checked(api, diagnosing(api))["id"] for _ in range(3)}  # of others here a test has said what is looked at
    draws = ok(api.client(Role.INSPECTOR).get("/api/v1/inspections/draws"))["items"]
    assert [one["seed"] for one in draws] == [None, None], "this month's and the next one's"
    assert draws[0]["draws"] == []
    with api.database.owner() as conn:  # a month later
        conn.execute("UPDATE quality_seeds SET month = month - interval '2 months'")
        conn.execute(
            "UPDATE ticket_papers SET body = jsonb_set(body, '{month}',"
            " to_jsonb(((body ->> 'month')::date - interval '2 months')::date::text)) WHERE paper = 'check'"
        )
    over = ok(api.client(Role.INSPECTOR).get("/api/v1/inspections/draws"))["items"]
    (told,) = (one for one in over if one["draws"])
    seed = bytes.fromhex(told["seed"])
    assert commitment(seed) == told["commitment"] == hashlib.sha256(seed).hexdigest()
    assert mine <= {one["ticket_id"] for one in told["draws"]}
    for one in (one for one in told["draws"] if one["ticket_id"] in mine):
        assert one["drawn"] == drawn(seed, UUID(one["ticket_id"]), one["turn"], one["share"])
    refused(api.client(Role.OWNER).get("/api/v1/inspections/draws"), 403)
    assert ok(api.client(Role.MANAGER, "other").get("/api/v1/inspections/draws"))["items"] == []


def test_who_reads_the_database_for_pictures_sees_no_seed(api: RunningApi) -> None:
    with api.database.owner() as conn:
        may = "SELECT has_column_privilege('bellwether_reader', 'quality_seeds', %s, 'SELECT')"
        seen = [conn.execute(may.encode(), [name]).fetchall()[0][0] for name in ("commitment", "seed")]
    assert seen == [True, False]
