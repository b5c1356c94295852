"""Alarms and rules over HTTP: states of ISA-18.2, shelves that end, versions that nobody overwrites."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from serving import JSON, RunningApi, ok, refused

from alarms.roles import Role
from store import alarm_moves
from store import rules as rule_store
from store.rules import stored_in_force


def act(api: RunningApi, alarm: Any, action: str, role: Role = Role.ENGINEER, **body: Any) -> Any:
    return api.client(role).post(f"/api/v1/alarms/{alarm}/{action}", json=body)


def until(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def events(api: RunningApi, alarm: Any) -> list[tuple[str, str, str, str]]:
    found = ok(api.client().get(f"/api/v1/alarms/{alarm}"))["events"]
    return [(event["kind"], event["state"], event["who"], event["note"]) for event in found]


def test_acknowledging_says_who_and_when(api: RunningApi) -> None:
    alarm = api.plant.alarm(api.plant.device())
    after = ok(act(api, alarm, "acknowledge", note="on my way"))
    assert (after["state"], after["acked_by"], after["active"]) == ("acknowledged", "a-engineer", True)
    assert after["acked_at"] is not None
    assert events(api, alarm) == [("acknowledged", "acknowledged", "a-engineer", "on my way")]
    refused(act(api, alarm, "acknowledge"), 409)


def test_acknowledging_what_has_returned_ends_it(api: RunningApi) -> None:
    alarm = api.plant.alarm(api.plant.device(), state="returned_unacknowledged", active=False)
    assert ok(act(api, alarm, "acknowledge"))["state"] == "normal"


def test_two_who_acknowledge_at_once_are_one(api: RunningApi) -> None:
    alarm = api.plant.alarm(api.plant.device())
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: act(api, alarm, "acknowledge").status_code, range(8)))
    assert sorted(answers) == [200] + [409] * 7
    assert len(events(api, alarm)) == 1


@pytest.mark.parametrize(("active", "state"), [(True, "unacknowledged"), (False, "normal")])
def test_off_the_shelf_it_is_what_it_has_become_meanwhile(api: RunningApi, active: bool, state: str) -> None:
    alarm = api.plant.alarm(api.plant.device())
    shelved = ok(act(api, alarm, "shelve", reason="cleaning", until=until(1)))
    assert (shelved["state"], shelved["shelved_by"], shelved["shelve_reason"]) == ("shelved", "a-engineer", "cleaning")
    with api.database.owner() as conn:
        conn.execute("UPDATE alarms SET active = %s WHERE id = %s", [active, alarm])
    back = ok(act(api, alarm, "unshelve"))
    assert (back["state"], back["shelved_until"], back["shelve_reason"]) == (state, None, None)
    assert [event[0] for event in events(api, alarm)] == ["shelved", "unshelved"]


@pytest.mark.parametrize(
    "body",
    [
        {"until": "1"},
        {"reason": "", "until": "1"},
        {"reason": "   ", "until": "1"},
        {"reason": "why", "until": "31"},
        {"reason": "why", "until": "-1"},
        {"reason": "why"},
    ],
    ids=str,
)
def test_a_shelf_has_a_reason_and_an_end(api: RunningApi, body: JSON) -> None:
    alarm = api.plant.alarm(api.plant.device())
    if "until" in body:
        body = {**body, "until": until(float(body["until"]))}
    refused(act(api, alarm, "shelve", **body), 422)
    assert events(api, alarm) == []


def test_a_time_without_a_zone_is_none(api: RunningApi) -> None:
    alarm = api.plant.alarm(api.plant.device())
    refused(act(api, alarm, "shelve", reason="x", until=datetime.now().isoformat()), 422)


def test_what_has_been_on_the_shelf_for_its_time_comes_back_once(api: RunningApi) -> None:
    due, not_due = (api.plant.alarm(api.plant.device()) for _ in range(2))
    ok(act(api, due, "shelve", reason="x", until=until(1)))
    ok(act(api, not_due, "shelve", reason="x", until=until(3)))

    def bring_back(_: int) -> int:
        with psycopg.connect(api.database.url("notify")) as conn:
            return alarm_moves.unshelve_due(conn, datetime.now(UTC) + timedelta(days=2))

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(bring_back, range(4))) == 1
    assert [event[0] for event in events(api, due)] == ["shelved", "unshelved"]
    assert ok(api.client().get(f"/api/v1/alarms/{not_due}"))["state"] == "shelved"


def test_alarms_are_found_by_what_they_are(own_api: RunningApi) -> None:
    device, other = own_api.plant.device(), own_api.plant.device()
    at = datetime.now(UTC)
    old = own_api.plant.alarm(device, severity="low", state="normal", active=False, at=at - timedelta(days=1))
    new = own_api.plant.alarm(device, severity="critical", at=at)
    elsewhere = own_api.plant.alarm(other, severity="low", state="shelved", at=at - timedelta(hours=1))

    def found(**params: Any) -> list[str]:
        return [alarm["id"] for alarm in ok(own_api.client().get("/api/v1/alarms", params=params))["items"]]

    assert found() == [str(new), str(elsewhere), str(old)]
    assert found(device=device) == [str(new), str(old)]
    assert found(severity=["low", "medium"]) == [str(elsewhere), str(old)]
    assert found(state="shelved") == [str(elsewhere)]
    assert found(active=False) == [str(old)]
    assert found(open=True) == [str(new), str(elsewhere)]


def test_a_device_at_a_glance(own_api: RunningApi) -> None:
    quiet, shelved, low, high, offline, new = (own_api.plant.device() for _ in range(6))
    own_api.plant.alarm(shelved, severity="critical", state="shelved")
    own_api.plant.alarm(low, severity="low")
    own_api.plant.alarm(high, severity="low")
    own_api.plant.alarm(high, severity="high", state="acknowledged")
    with own_api.database.owner() as conn:
        for device in (quiet, shelved, offline):
            stream = own_api.plant.stream(device)
            conn.execute("INSERT INTO readings (time, stream_id, value) VALUES (now(), %s, 1)", [stream])
        conn.execute("UPDATE devices SET online = false WHERE device = %s", [offline])
    found = {d["device"]: d for d in ok(own_api.client().get("/api/v1/devices"))["items"]}
    assert {name: device["condition"] for name, device in found.items()} == {
        quiet: "normal",
        shelved: "normal",
        low: "attention",
        high: "alarm",
        offline: "offline",
        new: "unknown",
    }
    assert (found[high]["active_alarms"], found[high]["unacknowledged_alarms"], found[high]["worst_severity"]) == (
        2,
        1,
        "high",
    )


def test_what_is_said_of_a_device_stays_until_it_is_said_otherwise(api: RunningApi) -> None:
    device = api.plant.device()
    engineer = api.client(Role.ENGINEER)
    ok(engineer.patch(f"/api/v1/devices/{device}", json={"model": "CR 32-4", "site": "Hall 2"}))
    changed = ok(engineer.patch(f"/api/v1/devices/{device}", json={"site": "Hall 3"}))
    assert (changed["kind"], changed["model"], changed["site"]) == ("pump", "CR 32-4", "Hall 3")
    refused(engineer.patch(f"/api/v1/devices/{device}", json={"firmware": "9"}), 422)
    assert [d["device"] for d in ok(engineer.get("/api/v1/devices", params={"site": "Hall 3"}))["items"]] == [device]


# Rules ------------------------------------------------------------------------------------------------------------

WHY: JSON = {"cause": "wear", "consequence": "a stop", "action": "look", "respond_within_s": 3600.0}
RULE: JSON = {
    "detector": "limits",
    "fault": "condition",
    "severities": [[1.0, "high"]],
    "device": "pump-1",
    "rationalisation": WHY,
}


def test_the_defaults_are_in_force_until_they_are_changed(own_api: RunningApi) -> None:
    client = own_api.client(Role.MANAGER)
    before = {rule["rule"]["id"]: rule for rule in ok(client.get("/api/v1/rules"))["items"]}
    assert before["shift"]["version"] == 0
    quieter = {**before["shift"]["rule"], "on_delay_s": 600.0}
    changed = ok(client.put("/api/v1/rules/shift", json={"rule": quieter, "version": 0}))
    assert (changed["version"], changed["rule"]["on_delay_s"], changed["changed_by"]) == (1, 600.0, "a-manager")
    assert ok(client.get("/api/v1/rules/shift")) == changed
    ok(client.put("/api/v1/rules/shift", json={"rule": {**quieter, "enabled": False}, "version": 1}))
    versions = ok(client.get("/api/v1/rules/shift/versions"))["items"]
    assert [(rule["version"], rule["rule"]["enabled"]) for rule in versions] == [(2, False), (1, True), (0, True)]
    after = {rule["rule"]["id"] for rule in ok(client.get("/api/v1/rules"))["items"]}
    assert after == set(before)


def test_of_two_who_change_a_rule_at_once_one_is_told(api: RunningApi) -> None:
    client = api.client()
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(
            lambda n: (
                client.put(
                    "/api/v1/rules/contested", json={"rule": {**RULE, "on_delay_s": float(n)}, "version": 0}
                ).status_code
            ),
            range(8),
        )
        assert sorted(answers) == [200] + [409] * 7


@pytest.mark.parametrize(
    "changes",
    [
        {"detector": None},
        {"severities": []},
        {"severities": [[2.0, "high"]]},
        {"severities": [[1.0, "awful"]]},
        {"deadband": 2},
        {"on_delay_s": -1},
        {"enabled": "yes"},
        {"colour": "red"},
        {"id": "another"},
        {"fault": "x" * 200},
        {"rationalisation": None},
        {"rationalisation": {**WHY, "action": " "}},
        {"rationalisation": {**WHY, "respond_within_s": 0}},
        {"rationalisation": {"cause": "wear"}},
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_is_refused(api: RunningApi, changes: JSON) -> None:
    answer = api.client().put("/api/v1/rules/bad", json={"rule": {**RULE, **changes}, "version": 0})
    refused(answer, 422)
    refused(api.client().get("/api/v1/rules/bad"), 404)


def test_a_rule_nobody_can_answer_for_is_kept_and_not_in_force(own_api: RunningApi) -> None:
    draft = {**RULE, "rationalisation": None, "enabled": False}
    ok(own_api.client().put("/api/v1/rules/draft", json={"rule": draft, "version": 0}))
    answer = own_api.client().put("/api/v1/rules/draft", json={"rule": {**draft, "enabled": True}, "version": 1})
    assert refused(answer, 422)["errors"][0]["pointer"] == "body.rule.rationalisation"
    ok(own_api.client().put("/api/v1/rules/draft", json={"rule": {**draft, **RULE, "enabled": True}, "version": 1}))


def test_an_alarm_says_what_is_to_be_done(own_api: RunningApi) -> None:
    alarm = own_api.plant.alarm(own_api.plant.device())
    assert ok(own_api.client().get(f"/api/v1/alarms/{alarm}"))["rationalisation"] is None
    ok(own_api.client().put(f"/api/v1/rules/rule-{alarm}", json={"rule": RULE, "version": 0}))
    assert ok(own_api.client().get(f"/api/v1/alarms/{alarm}"))["rationalisation"] == WHY


def test_what_the_api_stores_is_what_ingest_reads(own_api: RunningApi) -> None:
    ok(own_api.client().put("/api/v1/rules/mine", json={"rule": {**RULE, "limit": {"hi": 9.5}}, "version": 0}))
    with psycopg.connect(own_api.database.url("ingest")) as conn:
        (stored,) = stored_in_force(conn)["demo"]
    with psycopg.connect(own_api.database.owner_url) as conn:
        kept = rule_store.rule(conn, "mine")
    assert stored["id"] == kept.rule.id == "mine"
    assert kept.rule.limit is not None
    assert kept.rule.limit.hi == 9.5
