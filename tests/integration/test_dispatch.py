"""Dispatch as it runs: planned by `notify`, decided by people or by rule over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import httpx
import pytest
from serving import JSON, RunningApi, ok, refused

from alarms.roles import Role
from notify.dispatch import AGAIN_AFTER, Dispatch, DispatchApi
from prognosis.faults import library
from store.connection import Session, connect
from tickets.calendar import WEEKDAYS

ALWAYS: JSON = {"zone": "UTC", "week": {day: ["00:00-24:00"] for day in WEEKDAYS}, "exceptions": []}
NEVER: JSON = {day: [] for day in WEEKDAYS}
_TENANTS = count()


@dataclass
class Desk:
    """A tenant of its own, with a planner that is asked to look."""

    api: RunningApi
    tenant: str
    conn: Session

    def client(self, role: Role = Role.DISPATCHER) -> httpx.Client:
        return self.api.client(role, self.tenant)

    def engineer(self, login: str, **said: object) -> str:
        login = f"{login}-{self.tenant}"
        with self.api.database.owner() as conn:
            conn.execute(
                "INSERT INTO users (tenant, login, name, role, password_hash) VALUES (%s, %s, %s, 'engineer', 'x')",
                [self.tenant, login, login.split("-", maxsplit=1)[0].title()],
            )
        ok(self.client().post("/api/v1/engineers", json={"login": login, "shifts": ALWAYS, **said}), 201)
        return login

    def ticket(self, site: str = "Riverside", **said: object) -> str:
        device = self.api.plant.device(self.tenant)
        ok(self.client().patch(f"/api/v1/devices/{device}", json={"site": site}))
        report = {"source": "person", "device": device, "title": "It leaks", **said}
        return str(ok(self.client().post("/api/v1/tickets", json=report), 201)["id"])

    def look(self, now: datetime | None = None) -> int:
        """A look of the planner; how many of the tenants it planned were this one."""
        before = self._made_at()
        api = DispatchApi(self.api.url, lambda tenant: self.api.token(Role.SERVICE, tenant))
        Dispatch(self.api.database.url("notify"), library(), api).look(self.conn, now or datetime.now(UTC))
        return int(self._made_at() != before)

    def _made_at(self) -> object:
        return self.conn.execute("SELECT made_at FROM dispatch_plans WHERE tenant = %s", [self.tenant]).fetchone()

    def proposals(self) -> dict[str, JSON]:
        found = ok(self.client().get("/api/v1/dispatch/proposals"))["items"]
        return {one["ticket_id"]: one for one in found}


@pytest.fixture
def desk(api: RunningApi) -> Iterator[Desk]:
    tenant = f"plant-{next(_TENANTS)}"
    with api.database.owner() as conn:
        conn.execute("INSERT INTO tenants (id, name) VALUES (%s, %s)", [tenant, tenant])
    with closing(connect(api.database.url("notify"), "test")) as conn:
        conn.autocommit = True
        made = Desk(api, tenant, conn)
        ok(made.client().put("/api/v1/sites", json={"site": "Riverside", "latitude": 49.45, "longitude": 11.08}))
        ok(made.client().put("/api/v1/sites", json={"site": "Harbour", "latitude": 53.55, "longitude": 9.99}))
        yield made


def test_the_nearest_is_proposed_with_reasons_and_accepted(desk: Desk) -> None:
    jo = desk.engineer("jo", latitude=49.6, longitude=11.0)
    kim = desk.engineer("kim", latitude=53.5, longitude=10.0)
    ticket = desk.ticket()
    desk.look()
    proposal = desk.proposals()[ticket]
    assert proposal["engineer"] == jo
    assert proposal["name"] == "Jo"
    assert proposal["travel_min"] == pytest.approx(5 + 1.3 * 17.7 / 50 * 60, abs=1)
    said = "; ".join(proposal["reasons"])
    assert "needs no special skill" in said
    assert "33 min away" in said
    assert "second best: Kim, there" in said
    assert "more on the road" in said

    path = f"/api/v1/dispatch/proposals/{ticket}"
    refused(desk.client().post(f"{path}/accept", json={"engineer": kim}), 409)
    sent = ok(desk.client().post(f"{path}/accept", json={"engineer": jo}))
    assert (sent["state"], sent["assignee"]) == ("dispatched", jo)
    assert desk.proposals() == {}
    refused(desk.client().post(f"{path}/accept", json={"engineer": jo}), 409)
    (told,) = ok(desk.client().get("/api/v1/dispatch/decisions"))["items"]
    assert (told["kind"], told["chosen"], told["who"]) == ("accepted", jo, "a-dispatcher")


def test_an_override_is_kept_with_who_and_why(desk: Desk) -> None:
    jo = desk.engineer("jo", latitude=49.6, longitude=11.0)
    kim = desk.engineer("kim", latitude=53.5, longitude=10.0)
    ticket = desk.ticket()
    desk.look()
    path = f"/api/v1/dispatch/proposals/{ticket}/override"
    refused(desk.client().post(path, json={"engineer": kim, "reason": " "}), 422)
    once = {"Idempotency-Key": ticket}
    for _ in range(2):
        sent = ok(desk.client().post(path, json={"engineer": kim, "reason": "Knows the gate"}, headers=once))
        assert sent["assignee"] == kim
    (told,) = ok(desk.client().get("/api/v1/dispatch/decisions", params={"kind": "overridden"}))["items"]
    assert (told["proposed"], told["chosen"], told["reason"]) == (jo, kim, "Knows the gate")


def test_a_plan_is_made_again_only_when_something_changed_or_time_passed(desk: Desk) -> None:
    desk.engineer("jo", latitude=49.6, longitude=11.0)
    desk.ticket()
    now = datetime.now(UTC)
    assert desk.look(now) == 1
    assert desk.look(now + timedelta(minutes=1)) == 0
    desk.ticket("Harbour")
    assert desk.look(now + timedelta(minutes=2)) == 1
    assert desk.look(now + timedelta(minutes=2) + AGAIN_AFTER) == 1


def test_software_goes_to_the_remote_team_and_room_is_kept(desk: Desk) -> None:
    afar = desk.engineer("ria", remote=True, most=1)
    jo = desk.engineer("jo", latitude=49.6, longitude=11.0, most=1)
    software, body = desk.ticket(nature="software"), desk.ticket()
    more = desk.ticket()
    desk.look()
    found = desk.proposals()
    assert found[software]["engineer"] == afar
    assert "remote team: looked at from afar first" in found[software]["reasons"]
    assert sorted(str(found[one]["engineer"]) for one in (body, more)) == sorted([jo, "None"])
    (left,) = (found[one] for one in (body, more) if found[one]["engineer"] is None)
    assert left["reasons"] == ["nobody can be sent: 1 of the remote team"]


def test_skills_and_parts_come_from_the_diagnosis_and_the_vans(desk: Desk) -> None:
    near = desk.engineer("near", latitude=49.45, longitude=11.08, skills=["electrical"])
    able = desk.engineer("able", latitude=49.9, longitude=11.0, skills=["Mechanical", "alignment"])
    ticket = desk.ticket()
    manager = desk.client(Role.MANAGER)
    van = f"van-{desk.tenant}"
    ok(manager.post("/api/v1/depots", json={"name": van, "kind": "van", "engineer": able}), 201)
    ok(manager.post("/api/v1/parts", json={"number": "6205", "name": "Bearing", "cures": ["bearing_wear"]}), 201)
    ok(manager.post("/api/v1/parts/moves", json={"kind": "receipt", "part": "6205", "depot": van}), 201)
    with desk.api.database.owner() as conn:
        conn.execute(
            "INSERT INTO diagnoses (ticket_id, tenant, until, abstains, other, suspects)"
            """ VALUES (%s, %s, now(), '', 0.1, '[{"mode": "bearing_wear", "probability": 0.8}]')""",
            [UUID(ticket), desk.tenant],
        )
    desk.look()
    proposal = desk.proposals()[ticket]
    assert proposal["engineer"] == able != near
    assert "has alignment, mechanical" in proposal["reasons"]
    assert "part 6205 in the van" in proposal["reasons"]
    assert "nobody else can: 1 without alignment, mechanical" in proposal["reasons"]


def test_by_rule_whoever_sets_off_soon_is_sent_once(desk: Desk) -> None:
    jo = desk.engineer("jo", latitude=49.6, longitude=11.0)
    ticket = desk.ticket()
    path = f"/api/v1/dispatch/proposals/{ticket}/assign"
    desk.look()
    refused(desk.client(Role.SERVICE).post(path, json={"engineer": jo}), 409)
    ok(desk.client(Role.MANAGER).put("/api/v1/dispatch/policy", json={"mode": "assign", "ahead_min": 30}))
    desk.look()
    sent = ok(desk.client().get(f"/api/v1/tickets/{ticket}"))
    assert (sent["state"], sent["assignee"]) == ("dispatched", jo)
    refused(desk.client(Role.SERVICE).post(path, json={"engineer": jo}), 409)
    desk.look()
    (told,) = ok(desk.client().get("/api/v1/dispatch/decisions"))["items"]
    assert (told["kind"], told["who"]) == ("by_rule", "bellwether")


def test_by_rule_nobody_is_bound_long_before(desk: Desk) -> None:
    far_off = WEEKDAYS[(datetime.now(UTC).weekday() + 3) % 7]
    ria = desk.engineer("ria", shifts={**ALWAYS, "week": {**NEVER, far_off: ["00:00-24:00"]}})
    ok(desk.client(Role.MANAGER).put("/api/v1/dispatch/policy", json={"mode": "assign", "ahead_min": 60}))
    calm, urgent = desk.ticket(), desk.ticket(fault_class="line_down")
    desk.look()
    path = f"/api/v1/dispatch/proposals/{calm}/assign"
    assert "not time" in refused(desk.client(Role.SERVICE).post(path, json={"engineer": ria}), 409)["detail"]
    assert set(desk.proposals()) == {calm, urgent}
    with desk.api.database.owner() as conn:
        conn.execute("UPDATE ticket_clocks SET due_at = now() WHERE ticket_id = %s AND clock = 'assignment'", [urgent])
    desk.look()
    assert set(desk.proposals()) == {calm}, "somebody was promised to be sent by now"


def test_engineers_are_changed_removed_and_refused(desk: Desk) -> None:
    jo = desk.engineer("jo", skills=["Mechanical", "mechanical"])
    path = f"/api/v1/engineers/{jo}"
    assert ok(desk.client().get(path))["skills"] == ["mechanical"]
    for said, status in (({"login": jo, "shifts": ALWAYS}, 409), ({"login": "nobody", "shifts": ALWAYS}, 409)):
        refused(desk.client().post("/api/v1/engineers", json=said), status)
    nowhere = {"shifts": {**ALWAYS, "zone": "Mars/Base"}}
    assert refused(desk.client().put(path, json=nowhere), 422)["errors"][0]["pointer"] == "body.shifts.zone"
    refused(desk.client().put(path, json={"shifts": ALWAYS, "latitude": 4.0}), 422)
    assert ok(desk.client().put(path, json={"shifts": ALWAYS, "most": 9}))["most"] == 9
    assert desk.client().delete(path).status_code == 204
    refused(desk.client().get(path), 404)
    desk.look()
    assert desk.proposals() == {}
