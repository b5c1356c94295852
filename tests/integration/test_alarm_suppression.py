"""What keeps alarms quiet on purpose - windows, rules out of service, silent parents - and how they come back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from serving import RunningApi, ok, refused

from alarms.events import AlarmEvent, Kind, Severity, event_id, occurrence_id
from alarms.roles import PEOPLE, Role
from alarms.states import State
from detectors.scores import Evidence, Scope
from store import alarm_moves, maintenance, occurrences

Event = tuple[str, str, str]


class Machine:
    """A device and what its watch says of it."""

    def __init__(self, api: RunningApi, **columns: Any) -> None:
        self.api = api
        self.name = api.plant.device()
        with api.database.owner() as conn:
            for column, value in columns.items():
                conn.execute(f"UPDATE devices SET {column} = %s WHERE device = %s", [value, self.name])  # noqa: S608
            ((self.id,),) = conn.execute("SELECT id FROM devices WHERE device = %s", [self.name]).fetchall()
        self.times = 0

    def raised(self, detector: str = "shift", at: datetime | None = None, **changes: Any) -> UUID:
        """A new occurrence."""
        self.times += 1
        at = at or datetime.now(UTC)
        occurrence = occurrence_id("demo", detector, Scope.MACHINE, self.id, self.times)
        self._say(Kind.RAISED, occurrence, detector, at, **changes)
        return occurrence

    def returned(self, occurrence: UUID, detector: str = "shift", at: datetime | None = None) -> None:
        self._say(Kind.RETURNED, occurrence, detector, at or datetime.now(UTC))

    def _say(self, kind: Kind, occurrence: UUID, detector: str, at: datetime, **changes: Any) -> None:
        at_us = int(at.timestamp() * 1e6)
        fields: dict[str, Any] = {
            "event_id": event_id(occurrence, kind, Severity.MEDIUM),
            "occurrence_id": occurrence,
            "kind": kind,
            "rule": detector,
            "detector": detector,
            "scope": Scope.MACHINE,
            "subject": self.id,
            "machine": self.id,
            "tenant": "demo",
            "device": self.name,
            "point": "flow",
            "unit": "m3/h",
            "fault": "condition",
            "severity": Severity.MEDIUM,
            "since_us": at_us,
            "at_us": at_us,
            "score": 1.5,
            "peak": 1.5,
            "message": "flow 3.9 m3/h",
            "opens_ticket": True,
            "evidence": Evidence("flow", 3.9, 10.0, 9.0, 11.0, at_us, {}),
            "quiet_with_parent": detector == "silence",
        }
        with psycopg.connect(self.api.database.url("ingest")) as conn:
            occurrences.apply(conn, [AlarmEvent(**fields | changes)])


def state(api: RunningApi, alarm: UUID) -> tuple[str, str]:
    found = ok(api.client().get(f"/api/v1/alarms/{alarm}"))
    return found["state"], found["quiet_because"]


def kinds(api: RunningApi, alarm: UUID) -> list[str]:
    return [event["kind"] for event in ok(api.client().get(f"/api/v1/alarms/{alarm}"))["events"]]


def told(api: RunningApi, alarm: UUID) -> int:
    with api.database.owner() as conn:
        rows = conn.execute("SELECT payload->'alarm'->>'occurrence_id' FROM outbox").fetchall()
    return rows.count((str(alarm),))


def settle(api: RunningApi, at: datetime | None = None) -> int:
    """What notify does every few seconds."""
    at = at or datetime.now(UTC)
    with psycopg.connect(api.database.url("notify")) as conn:
        maintenance.return_due(conn, at)
        return alarm_moves.settle(conn, at)


def plan(api: RunningApi, begins_h: float | None = None, ends_h: float = 2, **place: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    body: dict[str, Any] = {"reason": "bearing change", "ends_at": (now + timedelta(hours=ends_h)).isoformat(), **place}
    if begins_h is not None:
        body["begins_at"] = (now + timedelta(hours=begins_h)).isoformat()
    return ok(api.client(Role.ENGINEER).post("/api/v1/maintenance", json=body), 201)


# Maintenance windows --------------------------------------------------------------------------------------------------


def test_what_is_raised_in_a_window_bothers_nobody_and_comes_back_at_its_end(api: RunningApi) -> None:
    pump = Machine(api)
    window = plan(api, device=pump.name)
    alarm = pump.raised()
    assert state(api, alarm) == ("suppressed", "maintenance: bearing change (a-engineer)")
    assert told(api, alarm) == 0
    ok(api.client(Role.ENGINEER).post(f"/api/v1/maintenance/{window['id']}/end"))
    assert state(api, alarm) == ("unacknowledged", "")
    assert told(api, alarm) == 1, "a ticket now, since it stands"
    assert kinds(api, alarm) == ["raised", "suppressed", "unsuppressed"]
    refused(api.client(Role.ENGINEER).post(f"/api/v1/maintenance/{window['id']}/end"), 409)


def test_what_has_returned_meanwhile_is_normal_and_opens_no_ticket(api: RunningApi) -> None:
    pump = Machine(api)
    plan(api, device=pump.name)
    alarm = pump.raised()
    pump.returned(alarm)
    settle(api)
    assert state(api, alarm)[0] == "suppressed"
    settle(api, datetime.now(UTC) + timedelta(hours=3))
    assert state(api, alarm) == ("normal", "")
    assert told(api, alarm) == 0


def test_a_window_over_a_site_covers_what_stands_already(api: RunningApi) -> None:
    pump, other = Machine(api, site="Hall 9"), Machine(api, site="Hall 8")
    standing, elsewhere, gone = pump.raised(), other.raised(), pump.raised("drift")
    pump.returned(gone, "drift")
    plan(api, site="Hall 9")
    assert state(api, standing)[0] == "suppressed"
    assert state(api, elsewhere)[0] == "unacknowledged"
    assert state(api, gone)[0] == "returned_unacknowledged", "whoever has to acknowledge it still has to"


def test_windows_overlap_and_the_last_one_ends_it(api: RunningApi) -> None:
    pump = Machine(api)
    first, _ = plan(api, device=pump.name), plan(api, begins_h=0.5, ends_h=5, device=pump.name)
    alarm = pump.raised()
    later = datetime.now(UTC) + timedelta(hours=1)
    ok(api.client().post(f"/api/v1/maintenance/{first['id']}/end"))
    assert state(api, alarm)[0] == "unacknowledged", "the other one has not begun"
    settle(api, later)
    assert state(api, alarm)[0] == "suppressed"
    settle(api, later + timedelta(hours=5))
    assert state(api, alarm)[0] == "unacknowledged"


def test_a_backlog_of_a_window_that_is_over_was_in_it(api: RunningApi) -> None:
    """A device was cut off while it was worked on, and tells it now."""
    pump = Machine(api)
    then = datetime.now(UTC) - timedelta(hours=1)
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO maintenance_windows (tenant, device, begins_at, ends_at, reason, made_by, made_at)"
            " VALUES ('demo', %s, %s, %s, 'x', 'kim', now())",
            [pump.name, then - timedelta(minutes=1), then + timedelta(minutes=30)],
        )
    alarm = pump.raised(at=then)
    assert (state(api, alarm)[0], told(api, alarm)) == ("suppressed", 0)
    pump.returned(alarm, at=then + timedelta(minutes=5))
    settle(api)
    assert (state(api, alarm)[0], told(api, alarm)) == ("normal", 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "pump-001", "site": "Hall 9"},
        {"ends_h": -1.0, "device": "pump-001"},
        {"begins_h": 3.0, "ends_h": 2.0, "device": "pump-001"},
        {"ends_h": 24 * 91, "device": "pump-001"},
        {"device": "pump-001", "reason": " "},
        {},
    ],
    ids=str,
)
def test_a_window_that_cannot_be_is_refused(api: RunningApi, changes: dict[str, Any]) -> None:
    now, said = datetime.now(UTC), {"ends_h": 2.0, "reason": "x", **changes}
    body = {name: said[name] for name in ("device", "site", "reason") if name in said}
    body["ends_at"] = (now + timedelta(hours=said["ends_h"])).isoformat()
    if "begins_h" in said:
        body["begins_at"] = (now + timedelta(hours=said["begins_h"])).isoformat()
    refused(api.client().post("/api/v1/maintenance", json=body), 422)


def test_windows_are_listed_and_called_off(api: RunningApi) -> None:
    pump = Machine(api)
    near, far = plan(api, begins_h=1, device=pump.name), plan(api, begins_h=2, ends_h=9, device=pump.name)
    client = api.client(Role.OWNER)
    listed = ok(client.get("/api/v1/maintenance", params={"device": pump.name, "open": True, "limit": 1}))
    assert [window["id"] for window in listed["items"]] == [far["id"]]
    more = ok(client.get("/api/v1/maintenance", params={"device": pump.name, "cursor": listed["next"]}))
    assert [window["id"] for window in more["items"]] == [near["id"]]
    off = ok(api.client().post(f"/api/v1/maintenance/{far['id']}/end"))
    assert (off["ends_at"], off["ended_by"]) == (far["begins_at"], "a-administrator")


# Out of service -------------------------------------------------------------------------------------------------------


def test_a_rule_out_of_service_records_and_bothers_nobody(api: RunningApi) -> None:
    pump, other = Machine(api), Machine(api)
    manager = api.client(Role.MANAGER)
    standing = pump.raised()
    body = {"rule": "shift", "device": pump.name, "reason": "meter is away"}
    taken = ok(manager.post("/api/v1/out-of-service", json=body), 201)
    assert state(api, standing) == ("out_of_service", "meter is away (a-manager)")
    pump.returned(standing)
    again, elsewhere, by_another = pump.raised(), other.raised(), pump.raised("drift")
    assert [state(api, alarm)[0] for alarm in (again, elsewhere, by_another)] == [
        "out_of_service",
        "unacknowledged",
        "unacknowledged",
    ]
    assert told(api, again) == 0
    refused(manager.post("/api/v1/out-of-service", json=body), 409)
    back = ok(manager.post(f"/api/v1/out-of-service/{taken['id']}/return"))
    assert (back["given_back_by"], state(api, again)[0], told(api, again)) == ("a-manager", "unacknowledged", 1)
    assert state(api, standing)[0] == "normal"
    refused(manager.post(f"/api/v1/out-of-service/{taken['id']}/return"), 409)


def test_a_point_is_taken_out_by_itself_and_comes_back_at_its_time(api: RunningApi) -> None:
    pump = Machine(api)
    until = datetime.now(UTC) + timedelta(hours=1)
    body = {"rule": "shift", "device": pump.name, "point": "flow", "reason": "x", "until": until.isoformat()}
    ok(api.client(Role.MANAGER).post("/api/v1/out-of-service", json=body), 201)
    assert state(api, pump.raised(point="pressure"))[0] == "unacknowledged"
    flow = pump.raised(point="flow")
    assert state(api, flow)[0] == "out_of_service"
    settle(api, until)
    assert state(api, flow)[0] == "unacknowledged"
    listed = ok(api.client().get("/api/v1/out-of-service", params={"device": pump.name}))["items"]
    assert [outage["given_back_by"] for outage in listed] == ["bellwether"]
    assert ok(api.client().get("/api/v1/out-of-service", params={"device": pump.name, "open": True}))["items"] == []


def test_only_what_there_is_is_taken_out(api: RunningApi) -> None:
    pump, manager = Machine(api), api.client(Role.MANAGER)
    for body in ({"rule": "none", "device": pump.name}, {"rule": "shift", "device": "none"}):
        refused(manager.post("/api/v1/out-of-service", json={**body, "reason": "x"}), 404)
    past = {"rule": "shift", "device": pump.name, "reason": "x", "until": "2020-01-01T00:00:00Z"}
    refused(manager.post("/api/v1/out-of-service", json=past), 422)


def test_a_latched_alarm_comes_back_latched(api: RunningApi) -> None:
    pump = Machine(api)
    taken = ok(
        api.client().post("/api/v1/out-of-service", json={"rule": "shift", "device": pump.name, "reason": "x"}), 201
    )
    alarm = pump.raised(latch=True)
    pump.returned(alarm)
    ok(api.client().post(f"/api/v1/out-of-service/{taken['id']}/return"))
    assert state(api, alarm)[0] == "latched_unacknowledged"


# Parents --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["gateway", "parent"])
def test_a_silent_parent_speaks_for_its_children_down_to_the_last(api: RunningApi, by: str) -> None:
    top = Machine(api)
    middle = Machine(api, **{by: top.name})
    leaf = Machine(api, parent=middle.name)
    silent = top.raised("silence")
    quiet, other = leaf.raised("silence"), leaf.raised("shift")
    assert state(api, quiet) == ("suppressed", f"{top.name}, which it hangs on, is silent")
    assert (state(api, other)[0], state(api, silent)[0]) == ("unacknowledged", "unacknowledged")
    assert told(api, quiet) == 0
    top.returned(silent, "silence")
    settle(api)
    assert state(api, quiet)[0] == "suppressed", "the children are heard a moment after it"
    settle(api, datetime.now(UTC) + alarm_moves.PARENT_GRACE)
    assert (state(api, quiet)[0], told(api, quiet)) == ("unacknowledged", 1)


def test_a_child_that_was_first_is_quiet_once_its_parent_is_known_to_be_silent(api: RunningApi) -> None:
    parent = Machine(api)
    child = Machine(api, gateway=parent.name)
    alarm = child.raised("silence")
    assert state(api, alarm)[0] == "unacknowledged"
    parent.raised("silence")
    settle(api)
    assert state(api, alarm)[0] == "suppressed"


def test_two_that_hang_on_each_other_are_both_heard_of(api: RunningApi) -> None:
    one = Machine(api)
    two = Machine(api, parent=one.name)
    with api.database.owner() as conn:
        conn.execute("UPDATE devices SET parent = %s WHERE device = %s", [two.name, one.name])
    alarms = [one.raised("silence"), two.raised("silence")]
    settle(api)
    assert [state(api, alarm)[0] for alarm in alarms] == ["unacknowledged"] * 2


def test_a_device_hangs_on_no_other_tenants(api: RunningApi) -> None:
    parent = Machine(api)
    api.plant.device("other", "of-other")
    with api.database.owner() as conn:
        conn.execute("UPDATE devices SET parent = %s WHERE device = 'of-other'", [parent.name])
    parent.raised("silence")
    alarm = api.plant.alarm("of-other", "other")
    with api.database.owner() as conn:
        conn.execute("UPDATE alarms SET quiet_with_parent = true WHERE id = %s", [alarm])
    settle(api)
    assert ok(api.client(tenant="other").get(f"/api/v1/alarms/{alarm}"))["state"] == "unacknowledged"


def test_a_parent_is_said_where_presence_is(api: RunningApi) -> None:
    pump = Machine(api)
    path = f"/api/v1/devices/{pump.name}/presence"
    assert ok(api.client(Role.ENGINEER).patch(path, json={"parent": "switchgear-1"}))["parent"] == "switchgear-1"
    assert ok(api.client().patch(path, json={"parent": ""}))["parent"] == ""


# Together -------------------------------------------------------------------------------------------------------------


def test_off_the_shelf_into_a_window_nobody_is_told(api: RunningApi) -> None:
    pump = Machine(api)
    alarm = pump.raised()
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    ok(api.client().post(f"/api/v1/alarms/{alarm}/shelve", json={"reason": "x", "until": until}))
    plan(api, device=pump.name)
    assert state(api, alarm)[0] == "shelved"
    ok(api.client().post(f"/api/v1/alarms/{alarm}/unshelve", json={}))
    assert (state(api, alarm)[0], told(api, alarm)) == ("suppressed", 1), "that of its raise, before"


def test_a_shelf_is_as_long_as_the_tenant_allows(own_api: RunningApi) -> None:
    manager = own_api.client(Role.MANAGER)
    assert ok(manager.get("/api/v1/alarm-policy"))["changed_at"] is None
    changed = ok(manager.put("/api/v1/alarm-policy", json={"longest_shelf_h": 8}))
    assert (changed["longest_shelf_h"], changed["changed_by"]) == (8, "a-manager")
    alarm = own_api.plant.alarm(own_api.plant.device())
    for hours, status in ((9, 422), (7, 200)):
        until = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
        answer = own_api.client().post(f"/api/v1/alarms/{alarm}/shelve", json={"reason": "x", "until": until})
        assert answer.status_code == status
    assert own_api.client(Role.MANAGER, "other").get("/api/v1/alarm-policy").json()["longest_shelf_h"] == 720


def test_each_role_is_shown_what_it_may_do_and_may_do_it(api: RunningApi) -> None:
    """What the API offers, for every state and role, it also takes; what it does not offer, it refuses."""
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    bodies = {"acknowledge": {}, "reset": {}, "unshelve": {}, "shelve": {"reason": "x", "until": until}}
    device = api.plant.device()
    for role in PEOPLE:
        client = api.client(role)
        for before in set(State) - {State.NORMAL, State.SUPPRESSED, State.OUT_OF_SERVICE}:
            taken, alarm = set(), None
            for action, body in bodies.items():
                alarm = alarm or api.plant.alarm(device, state=before, active=False)
                status = client.post(f"/api/v1/alarms/{alarm}/{action}", json=body).status_code
                assert status in {200, 403, 409}
                if status == 200:
                    taken.add(action)
                    alarm = None
            alarm = alarm or api.plant.alarm(device, state=before, active=False)
            moves = ok(client.get(f"/api/v1/alarms/{alarm}"))["moves"]
            assert taken == {move["action"] for move in moves if move["action"] in bodies}, (before, role)


def test_one_alarm_settled_by_many_is_moved_once(api: RunningApi) -> None:
    pump = Machine(api)
    alarm = pump.raised()
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO out_of_service (tenant, rule, device, reason, taken_at, taken_by)"
            " VALUES ('demo', 'shift', %s, 'x', now(), 'kim')",
            [pump.name],
        )
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: settle(api), range(8)))
    assert kinds(api, alarm) == ["raised", "taken_out_of_service"]
