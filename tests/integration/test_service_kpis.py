"""The KPIs of after-sales as they are counted: each ticket once, by its own story, and nobody else's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from serving import JSON, RunningApi, alarm_event, ok, refused

from alarms.roles import Role

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ROAD = ("accepted", "diagnosing", "on_site", "repairing", "testing", "quality_check", "handed_over")


@dataclass
class Hall:
    """A site of its own, whose tickets have stories that were written down long ago."""

    api: RunningApi
    name: str
    now: datetime

    def machine(self, **columns: str) -> str:
        device = self.api.plant.device()
        with self.api.database.owner() as conn:
            conn.execute(
                "UPDATE devices SET site = %s, model = %s WHERE device = %s",
                [self.name, columns.get("model", ""), device],
            )
        return device

    def ticket(
        self,
        device: str,
        opened: timedelta,
        *road: str,
        each: timedelta = HOUR,
        verdict: str | None = "confirmed",
        source: str = "person",
        fault: str = "",
        engineer: str = "ada",
        breached: tuple[str, ...] = (),
    ) -> str:
        """A ticket that opened so long ago and took each move of a road after so long; by its last it is so now."""
        at = self.now - opened
        state = road[-1] if road else "new"
        with self.api.database.owner() as conn, conn.transaction():
            row = conn.execute(
                "INSERT INTO tickets (tenant, code, device_id, device, fault, source, title, state, verdict, priority,"
                " level, assignee, since, opened_at, closed_at)"
                " SELECT tenant, %s, id, device, %s, %s, 'Leaks', %s, %s, 'high', 'major', %s, %s, %s, %s"
                " FROM devices WHERE device = %s RETURNING id",
                [
                    *(uuid4().hex[:20], fault or uuid4().hex, source, state, verdict, engineer, at, at),
                    at + len(road) * each if state in {"closed", "cancelled"} else None,
                    device,
                ],
            ).fetchone()
            assert row is not None
            for clock in ("response", "on_site"):
                late = at + DAY if clock in breached else None
                conn.execute(
                    "INSERT INTO ticket_clocks (ticket_id, clock, tenant, started_at, due_at, warn_at, stopped_at,"
                    " breached_at) VALUES (%s, %s, 'demo', %s, %s, %s, %s, %s)",
                    [row[0], clock, at, at + DAY, at + DAY, at + DAY if road else None, late],
                )
            self.tell(conn, row[0], at, "opened", None, "new")
            for number, (before, to) in enumerate(zip(("new", *road), road, strict=False), start=1):
                self.tell(conn, row[0], at + number * each, "moved", before, to, engineer)
        return str(row[0])

    @staticmethod
    def tell(conn: Any, ticket: Any, at: datetime, kind: str, before: str | None, to: str, assignee: str = "") -> None:
        conn.execute(
            "INSERT INTO ticket_events (ticket_id, tenant, at, kind, who, from_state, to_state, detail)"
            " VALUES (%s, 'demo', %s, %s, 'ada', %s, %s, jsonb_strip_nulls(jsonb_build_object('assignee', %s::text)))",
            [ticket, at, kind, before, to, assignee or None],
        )

    def ask(self, ticket: str, *heard: tuple[int, int] | None) -> None:
        """Surveys of a ticket, three days ago: satisfaction and likelihood to recommend us, or nothing was heard."""
        survey = (
            "INSERT INTO surveys (tenant, ticket_id, turn, terms, made_at, due_at, expires_at, link_hash, reached_at,"
            " answered_at, how, csat, nps, answers) VALUES ('demo', %s, %s, 0, %s, %s, %s, sha256(%s), %s, %s, %s,"
            " %s, %s, %s)"
        )
        at = self.now - 3 * DAY
        with self.api.database.owner() as conn:
            for turn, said in enumerate(heard):
                words = (at, at, "link", *said, "{}") if said else 6 * [None]
                conn.execute(survey, [ticket, turn, at, at + DAY, at + 14 * DAY, f"{ticket} {turn}".encode(), *words])

    def kpis(self, role: Role = Role.MANAGER, **params: Any) -> JSON:
        asked = {"site": self.name, "from": (self.now - 300 * DAY).isoformat(), **params}
        return dict(ok(self.api.client(role).get("/api/v1/kpis", params=asked)))

    def figures(self, role: Role = Role.MANAGER, **params: Any) -> dict[str, JSON]:
        return by_name(self.kpis(role, **params))

    def cases(self, kpi: str, role: Role = Role.MANAGER, **params: Any) -> dict[str, float]:
        asked = {"site": self.name, "from": (self.now - 300 * DAY).isoformat(), "kpi": kpi, **params}
        found = ok(self.api.client(role).get("/api/v1/kpis/cases", params=asked))
        return {one["ticket_id"]: one["value"] for one in found["items"]}


def by_name(answer: JSON) -> dict[str, JSON]:
    return {figure["name"]: figure for figure in answer["figures"]}


@pytest.fixture
def hall(api: RunningApi, request: pytest.FixtureRequest) -> Hall:
    return Hall(api, request.node.name[:60], datetime.now(UTC))


def test_a_repair_counts_as_one_once_it_has_held_for_thirty_days(hall: Hall) -> None:
    device = hall.machine()
    held = [hall.ticket(device, 80 * DAY, *ROAD) for _ in range(3)]
    reopened = hall.ticket(device, 80 * DAY, *ROAD, "follow_up", "reopened")
    again = hall.ticket(device, 80 * DAY, *ROAD, "closed", fault="seal")
    hall.ticket(device, 70 * DAY, "accepted", fault="seal")
    long_after = hall.ticket(device, 80 * DAY, *ROAD, "closed", fault="belt")
    hall.ticket(device, 40 * DAY, "accepted", fault="belt")
    sent_back = hall.ticket(device, 80 * DAY, *ROAD[:-1], "reopened", *ROAD)
    hall.ticket(device, 20 * DAY, *ROAD)
    found = hall.figures()["first_time_fix"]
    assert (found["value"], found["cases"], found["pending"]) == (pytest.approx(4 / 7), 7, 1)
    assert (found["goal"], found["met"]) == (0.9, False)
    (ada,) = hall.kpis(by="engineer")["groups"]
    assert ada["points"] == pytest.approx(100 * 4 / 7), "of nobody who was asked"
    hall.ask(held[0], *5 * [(80, 9)])
    (ada,) = hall.kpis(by="engineer")["groups"]
    assert ada["points"] == pytest.approx((100 * 4 / 7 + 80) / 2)
    assert hall.cases("first_time_fix") == {
        **dict.fromkeys([*held, long_after], 1.0),
        **dict.fromkeys([reopened, again, sent_back], 0.0),
    }
    passed = hall.figures()["pass_rate"]
    assert (passed["value"], passed["cases"]) == (pytest.approx(7 / 8), 8), (
        "one was sent back before it was handed over"
    )


def test_a_promise_is_broken_for_good_and_kept_by_nobody_who_cancels(hall: Hall) -> None:
    device = hall.machine()
    kept = [hall.ticket(device, 10 * DAY, *ROAD) for _ in range(4)]
    broken = hall.ticket(device, 10 * DAY, *ROAD, breached=("response",))
    hall.ticket(device, 9 * DAY, "cancelled", verdict=None)
    late = hall.ticket(device, 9 * DAY, "cancelled", verdict=None, breached=("response",))
    hall.ticket(device, 1 * DAY, verdict=None)
    found = hall.figures()
    assert (found["response"]["value"], found["response"]["cases"]) == (pytest.approx(4 / 6), 6)
    assert found["on_site"]["value"] == 1.0
    assert (found["resolution"]["value"], found["resolution"]["why"]) == (None, "no case")
    assert hall.cases("response") == {**dict.fromkeys(kept, 1.0), broken: 0.0, late: 0.0}


def test_warnings_count_from_the_first_alarm_to_what_it_warned_of(hall: Hall) -> None:
    api, device = hall.api, hall.machine()

    def warned(severity: str = "medium") -> str:
        ticket = hall.ticket(device, 5 * DAY, *ROAD, source="alarm")
        alarm = api.plant.alarm(device, severity=severity, active=False)
        with api.database.owner() as conn, conn.transaction():
            conn.execute(
                "INSERT INTO ticket_alarms (ticket_id, alarm_id, tenant) VALUES (%s, %s, 'demo')", [ticket, alarm]
            )
            conn.execute(
                "INSERT INTO alarm_events"
                " (event_id, occurrence_id, tenant, at, recorded_at, kind, state, severity, who)"
                " VALUES (gen_random_uuid(), %s, 'demo', %s, %s, 'raised', 'unacknowledged', %s, 'bellwether')",
                [alarm, *2 * [hall.now - 5 * DAY - 2 * HOUR], severity],
            )
            Hall.tell(conn, ticket, hall.now - 4 * DAY, "moved", "handed_over", "follow_up")
        return ticket

    foreseen, at_once = [warned() for _ in range(5)], warned("critical")
    told = hall.ticket(device, 5 * DAY, *ROAD)
    for verdict in ("no_fault", "confirmed", "confirmed", "confirmed", "sensor_fault"):
        hall.ticket(device, 5 * DAY, "accepted", "diagnosing", "closed", verdict=verdict, source="alarm")
    found = hall.figures()
    assert hall.cases("foreseen") == {**dict.fromkeys(foreseen, 1.0), at_once: 0.0, told: 0.0}
    assert found["lead_s"]["value"] == 6 * 3600, "two hours before the ticket, four until the repair began"
    assert (found["false_alarms"]["value"], found["false_alarms"]["cases"]) == (0.2, 5)
    (place,) = hall.kpis()["faults"]
    assert (place["model"], place["faults"], place["machines"]) == ("pump", 11, 1), "not what was no fault"


def test_costs_are_people_ways_and_parts_at_the_rates_that_were_set(hall: Hall) -> None:
    api, device = hall.api, hall.machine(model="P-40")
    for _ in range(5):
        hall.ticket(device, 5 * DAY, *ROAD)
    assert hall.figures()["cost"]["why"] == "no rates are set"
    manager = api.client(Role.MANAGER)
    rates = {"hour": 50, "visit": 30, "overhead": 0.1, "currency": "EUR"}
    goals = ok(manager.put("/api/v1/kpis/goals", json={"aims": {"response": 0.5}, "rates": rates}))
    assert (goals["aims"]["response"], goals["aims"]["on_site"], goals["rates"]) == (0.5, 0.95, rates)
    # Diagnosed, on site, repaired and tested, an hour each.
    assert hall.figures()["cost"]["value"] == pytest.approx((4 * 50 + 30) * 1.1)
    assert list(hall.cases("cost").values()) == 5 * [pytest.approx((4 * 50 + 30) * 1.1)]
    assert ok(manager.get("/api/v1/kpis/goals")) == goals
    refused(api.client(Role.DISPATCHER).put("/api/v1/kpis/goals", json={}), 403)
    for wrong in ({"aims": {"nothing": 1}}, {"aims": {"reach": 80}}, {"rates": {"hour": -1}}):
        refused(manager.put("/api/v1/kpis/goals", json=wrong), 422)
    ok(manager.put("/api/v1/kpis/goals", json={}))
    assert hall.figures()["cost"]["why"] == "no rates are set"


def test_parts_are_followed_from_the_shelf_into_repairs(hall: Hall) -> None:
    api, device = hall.api, hall.machine()
    depot = ok(api.client(Role.MANAGER).post("/api/v1/depots", json={"name": "Central", "kind": "central"}), 201)[
        "name"
    ]
    stores = api.client(Role.DEPOT)
    part = ok(stores.post("/api/v1/parts", json={"number": "seal-9", "name": "Seal", "value": "10"}), 201)["number"]
    receipt = {"kind": "receipt", "part": part, "depot": depot, "quantity": 10}
    ok(stores.post("/api/v1/parts/moves", json=receipt), 201)
    ticket = hall.ticket(device, 5 * DAY, *ROAD)
    taken = {"part": part, "depot": depot, "quantity": 4}
    ok(api.client(Role.MANAGER).post(f"/api/v1/tickets/{ticket}/parts/issue", json=taken), 201)
    (curve,) = hall.kpis()["parts"]
    assert (curve["number"], sum(one["quantity"] for one in curve["used"])) == ("seal-9", 4)
    assert hall.kpis(Role.OWNER)["parts"] == []
    # Nothing lay there at first, six are left: three on average, ten of value each, and forty went in.
    fleet = by_name(ok(api.client(Role.MANAGER).get("/api/v1/kpis")))["parts_turnover"]
    assert fleet["value"] == pytest.approx(40 * 365 / 90 / 30, rel=1e-3)
    assert hall.figures()["parts_turnover"]["why"] == "not of a part of the fleet"


def test_names_are_for_who_sends_people_and_costs_for_nobodys_customer(hall: Hall) -> None:
    device = hall.machine()
    for engineer in ("ada", "a-engineer"):
        for _ in range(5):
            hall.ticket(device, 5 * DAY, *ROAD, engineer=engineer)
    shown = hall.kpis(by="engineer")
    assert [group["key"] for group in shown["groups"]] == ["a-engineer", "ada"]
    own = hall.kpis(Role.ENGINEER, by="engineer")
    assert [group["key"] for group in own["groups"]] == ["a-engineer"]
    client = hall.api.client
    refused(client(Role.ENGINEER).get("/api/v1/kpis", params={"engineer": "ada"}), 403)
    refused(client(Role.OWNER).get("/api/v1/kpis", params={"by": "engineer"}), 403)
    refused(client(Role.OWNER).get("/api/v1/kpis/cases", params={"kpi": "cost"}), 403)
    assert not {"cost", "work_s", "hours_saved", "parts_turnover"} & set(hall.figures(Role.OWNER))
    asked = {"kpi": "repair_s", "site": hall.name, "limit": 4}
    first = ok(client(Role.ENGINEER).get("/api/v1/kpis/cases", params=asked))
    rest = ok(client(Role.ENGINEER).get("/api/v1/kpis/cases", params={**asked, "limit": 50, "cursor": first["next"]}))
    assert len({one["ticket_id"] for one in first["items"] + rest["items"]}) == 10
    assert {one["engineer"] for one in first["items"] + rest["items"]} == {"", "a-engineer"}
    refused(client(Role.MANAGER).get("/api/v1/kpis", params={"from": "2020-01-01T00:00:00Z"}), 422)


def test_the_page_and_its_table_show_what_the_caller_may_see(hall: Hall) -> None:
    device = hall.machine(model="=P-40")
    for _ in range(5):
        hall.ticket(device, 5 * DAY, *ROAD, breached=("on_site",))
    here = {"site": hall.name}
    manager, owner = hall.api.client(Role.MANAGER), hall.api.client(Role.OWNER)
    page = manager.get("/kpis", params={**here, "by": "model"}).text
    assert all(said in page for said in ("Where faults are", "Goals and rates", "Cost of a service", "Told apart by"))
    told = manager.get("/kpis.csv", params={**here, "by": "model"})
    assert told.headers["content-disposition"].startswith("attachment")
    assert "'=P-40,on_site,0.0,share,5,0,0.95," in told.text.splitlines()
    assert "'=P-40,response,1.0,share,5,0,0.95," in told.text.splitlines()
    assert "'=P-40,cost,,money,5,0,,no rates are set" in told.text.splitlines()
    behind = manager.get("/kpis/cases", params={**here, "kpi": "repair_s"}).text
    assert behind.count("7 h") == 5
    seen = owner.get("/kpis", params=here).text
    assert "Cost of a service" not in seen
    assert "Goals and rates" not in seen
    assert owner.get("/kpis/cases", params={**here, "kpi": "cost"}).status_code == 403
    assert manager.get("/kpis/cases", params={**here, "kpi": "nothing"}).status_code == 404
    typed = {"aim.response": "97,5", "aim.lead_s": "48", "hour": "60", "currency": "chf"}
    assert "Kept" in manager.post("/kpis/goals", data=typed).text
    goals = ok(manager.get("/api/v1/kpis/goals"))
    assert (goals["aims"]["response"], goals["aims"]["lead_s"], goals["aims"]["on_site"]) == (0.975, 48 * 3600, None)
    assert goals["rates"] == {"hour": 60, "visit": None, "overhead": None, "currency": "CHF"}
    refused_page = manager.post("/kpis/goals", data={"aim.reach": "180"})
    assert (refused_page.status_code, "Not kept" in refused_page.text) == (422, True)
    assert owner.post("/kpis/goals", data=typed).status_code == 403
    ok(manager.put("/api/v1/kpis/goals", json={}))


def test_a_ticket_is_counted_by_the_moves_that_people_make(hall: Hall) -> None:
    api, device = hall.api, hall.machine()
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device)), 201)
    move = f"/api/v1/tickets/{ticket['id']}/move"
    ok(api.client(Role.ENGINEER).post(move, json={"to": "accepted"}))
    assert hall.cases("response") == {ticket["id"]: 1.0}
    assert hall.cases("faults") == {ticket["id"]: 1.0}
    ok(api.client(Role.MANAGER).post(move, json={"to": "cancelled", "note": "twice"}))
    assert hall.cases("faults") == hall.cases("response") == {}
    hall.ask(ticket["id"], (100, 10), (90, 9), (80, 8), (95, 9), (60, 2), None)
    found = hall.figures()
    assert (found["satisfaction"]["value"], found["nps"]["value"]) == (85.0, 40.0)
    assert (found["reach"]["value"], found["reach"]["met"]) == (pytest.approx(5 / 6), True)
    asked = {"kpi": "nps", "site": hall.name}
    told = ok(api.client(Role.MANAGER).get("/api/v1/kpis/cases", params=asked))["items"]
    assert sorted(one["value"] for one in told) == [2, 8, 9, 9, 10]


def test_what_customers_say_is_of_who_handed_over(hall: Hall) -> None:
    ticket = hall.ticket(hall.machine(model="P-60"), 5 * DAY, *ROAD[:-1])
    hall.ask(ticket, *5 * [(90, 9)])
    assert hall.cases("satisfaction", engineer="ada") == {ticket: 90.0}
    with hall.api.database.owner() as conn, conn.transaction():
        Hall.tell(conn, ticket, hall.now - 3 * DAY, "moved", "quality_check", "handed_over", "bob")
    assert (hall.cases("satisfaction", engineer="ada"), hall.cases("satisfaction", engineer="bob")) == (
        {},
        {ticket: 90.0},
    )
    for by, key in (("engineer", "bob"), ("model", "P-60"), ("site", hall.name)):
        (group,) = hall.kpis(by=by)["groups"]
        told = by_name(group)
        assert (group["key"], told["satisfaction"]["value"], told["repair_s"]["cases"]) == (key, 90.0, 1)
        assert group["points"] == (90.0 if by == "engineer" else None), "one repair says nothing yet of first-time fix"


def test_each_step_of_a_period_has_what_its_days_have(hall: Hall) -> None:
    """Days begin where the tenant's calendar is, and what is outside of the period is in none of its steps."""
    device = hall.machine()
    for days in (3, 8, 20, 50, 51, 120, 250, 290, 310):
        hall.ticket(device, days * DAY, *ROAD)
    for length in (10, 60, 300):
        asked = {"from": (hall.now - length * DAY).isoformat()}
        shown = hall.kpis(**asked)
        cases = ok(
            hall.api.client(Role.MANAGER).get(
                "/api/v1/kpis/cases", params={"site": hall.name, "kpi": "response", **asked}
            )
        )
        told: dict[str, int] = {}
        for one in cases["items"]:
            begins = first_day(datetime.fromisoformat(one["at"]).astimezone(UTC).date(), shown["step"])
            told[begins.isoformat()] = told.get(begins.isoformat(), 0) + 1
        assert {
            group["key"]: by_name(group)["response"]["cases"]
            for group in shown["groups"]
            if by_name(group)["response"]["cases"]
        } == told


def first_day(day: date, step: str) -> date:
    return day.replace(day=1) if step == "month" else day - timedelta(days=day.weekday() if step == "week" else 0)
