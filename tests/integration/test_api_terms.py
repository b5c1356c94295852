"""The terms of a tenant over HTTP: changed by version, refused with a reason, and what tickets make of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from serving import JSON, RunningApi, alarm_event, ok, refused

from alarms.roles import Role
from store import terms as term_store
from store import tickets as ticket_store
from store.connection import act_for
from tickets.clocks import ClockName
from tickets.states import State

OFFICE = ["08:00-12:00", "13:00-17:00"]
MANAGER = Role.MANAGER


def terms_now(api: RunningApi, tenant: str = "demo") -> JSON:
    return ok(api.client(MANAGER, tenant).get("/api/v1/terms"))


def put(api: RunningApi, change: Callable[[Any], None], tenant: str = "demo") -> Any:
    """Change the terms in force."""
    now = terms_now(api, tenant)
    terms = copy.deepcopy(now["terms"])
    change(terms)
    body = {"terms": terms, "version": now["version"], "reason": "as agreed with the works council"}
    return api.client(MANAGER, tenant).put("/api/v1/terms", json=body)


def in_berlin(terms: Any) -> None:
    week = dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday"), OFFICE)
    terms["calendar"] = {
        "zone": "Europe/Berlin",
        "week": {**week, "saturday": [], "sunday": []},
        "exceptions": [{"date": "2026-12-25", "hours": [], "name": "Christmas"}],
    }


def test_the_house_speaks_until_the_tenant_does_and_every_change_stays(own_api: RunningApi) -> None:
    house = terms_now(own_api)
    assert (house["version"], house["changed_by"]) == (0, "")
    assert {(due["level"], due["clock"]) for due in house["due_now"]} >= {
        ("emergency", "assignment"),
        ("general", "resolution"),
    }
    first = ok(put(own_api, in_berlin))
    assert (first["version"], first["changed_by"], first["reason"]) == (
        1, "a-manager", "as agreed with the works council",
    )  # fmt: skip
    ok(put(own_api, lambda terms: terms.update(guarantee_days=60)))
    manager = own_api.client(MANAGER)
    page = ok(manager.get("/api/v1/terms/versions", params={"limit": 2}))
    assert [one["version"] for one in page["items"]] == [2, 1]
    rest = ok(manager.get("/api/v1/terms/versions", params={"limit": 2, "cursor": page["next"]}))
    assert [one["version"] for one in rest["items"]] == [0]
    assert terms_now(own_api, "other")["version"] == 0
    stale = {"terms": first["terms"], "version": 1, "reason": "late"}
    refused(manager.put("/api/v1/terms", json=stale), 409)


def matrix_upside_down(terms: Any) -> None:
    terms["matrix"]["degraded"]["A"]["regular"] = "low"


def twice(terms: Any) -> None:
    terms["pause_reasons"].append(terms["pause_reasons"][0])


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (lambda t: t["calendar"].update(zone="Mars/Olympus"), "calendar.zone", "IANA"),
        (lambda t: t["calendar"]["week"].update(monday=["17:00-08:00"]), "calendar.week.monday", "two days"),
        (lambda t: t["calendar"]["week"].update(monday=["eight to five"]), "calendar.week.monday", "08:00-17:00"),
        (
            lambda t: t["calendar"].update(week={key: [] for key in t["calendar"]["week"]}),
            "calendar.week",
            "ever fall due",
        ),
        (
            lambda t: t["calendar"].update(exceptions=[{"date": "2026-12-25"}, {"date": "2026-12-25"}]),
            "calendar.exceptions.1",
            "twice",
        ),
        (lambda t: t["levels"]["major"].update(response_min=2000), "levels.major.on_site_min", "before"),
        (lambda t: t["levels"]["emergency"].update(resolution_min=9000), "levels.emergency.resolution_min", "later"),
        (lambda t: t["levels"]["major"].update(response_min=0), "levels.major.response_min", "greater"),
        (lambda t: t.update(warn_at_share=1.0), "warn_at_share", "less"),
        (lambda t: t.update(pause_reasons=t["pause_reasons"][:1]), "pause_reasons", "on_hold"),
        (twice, "pause_reasons", "twice"),
        (matrix_upside_down, "matrix.degraded.A", "where less is at stake"),
        (lambda t: t["matrix"].pop("safety"), "matrix", "each fault class"),
        (lambda t: t.update(moon="full"), "moon", "Extra"),
    ],
)
def test_terms_that_cannot_be_kept_are_refused_where_they_are_wrong(
    api: RunningApi, change: Callable[[Any], None], field: str, reason: str
) -> None:
    problem = refused(put(api, change), 422)
    assert any(field in one["pointer"] and reason in one["detail"] for one in problem["errors"]), problem
    assert terms_now(api)["version"] == 0


def act(api: RunningApi, do: Callable[[psycopg.Connection[Any]], Any]) -> Any:
    with psycopg.connect(api.database.url("api")) as conn:
        act_for(conn, "demo")
        return do(conn)


def test_promises_count_the_tenants_hours_and_emergencies_run_day_and_night(own_api: RunningApi) -> None:
    """Friday 16:30 in Berlin, with a clock of the test's own."""
    ok(put(own_api, in_berlin))
    device, friday = own_api.plant.device(), datetime(2026, 12, 18, 15, 30, tzinfo=UTC)

    def opened(conn: psycopg.Connection[Any], priority: str) -> dict[str, datetime]:
        ticket = ticket_store.open_by_person(
            conn, "demo", device=device, title="It leaks", description="", priority=priority, who="kim", now=friday
        )
        return {
            name.value: clock.due_at for name, clock in ticket_store.clocks_of(conn, [ticket.id])[ticket.id].items()
        }

    urgent, high = (act(own_api, lambda conn, p=priority: opened(conn, p)) for priority in ("urgent", "high"))
    assert urgent["response"] == friday + timedelta(hours=1)
    assert high["response"] == datetime(2026, 12, 21, 10, 30, tzinfo=UTC)  # Monday 11:30
    assert high["on_site"] == datetime(2026, 12, 23, 15, 30, tzinfo=UTC)  # three days of eight hours
    assert high["resolution"] == datetime(2026, 12, 29, 15, 30, tzinfo=UTC)  # Christmas and a weekend between
    assert "assignment" in urgent
    assert "assignment" not in high


def test_a_clock_keeps_the_terms_it_began_with(own_api: RunningApi) -> None:
    """Held under the terms of today, it goes on by those of yesterday; what opens afterwards goes by the new."""
    ok(put(own_api, in_berlin))
    device, monday = own_api.plant.device(), datetime(2026, 11, 23, 8, tzinfo=UTC)  # 09:00

    def ticket(conn: psycopg.Connection[Any]) -> UUID:
        return ticket_store.open_by_person(
            conn, "demo", device=device, title="It leaks", description="", priority="high", who="kim", now=monday
        ).id

    def response(conn: psycopg.Connection[Any], of: UUID) -> datetime:
        return ticket_store.clocks_of(conn, [of])[of][ClockName.RESPONSE].due_at

    def go(of: UUID, to: State, hours: float) -> None:
        at = monday + timedelta(hours=hours)
        act(own_api, lambda conn: ticket_store.move(conn, "demo", of, to, role=MANAGER, who="kim", now=at, note="n"))

    old = act(own_api, ticket)
    go(old, State.ON_HOLD, 1)  # three hours are left

    def longer(terms: Any) -> None:
        terms["calendar"]["week"] = {key: ["00:00-24:00"] for key in terms["calendar"]["week"]}
        terms["levels"]["major"]["response_min"] = 300

    ok(put(own_api, longer))
    go(old, State.NEW, 7)  # at 16:00: an hour on Monday, two on Tuesday from 08:00
    assert act(own_api, lambda conn: response(conn, old)) == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert act(own_api, lambda conn: response(conn, ticket(conn))) == monday + timedelta(hours=5)


def test_a_reason_to_wait_is_the_tenants_and_says_which_clocks_wait(own_api: RunningApi) -> None:
    def parts_do_not_stop_the_response(terms: Any) -> None:
        terms["pause_reasons"][1]["pauses"] = ["on_site", "resolution"]

    ok(put(own_api, parts_do_not_stop_the_response))
    event = alarm_event(own_api.plant.device())
    ticket = ok(own_api.client(Role.SERVICE).post("/api/v1/tickets", json=event), 201)
    desk, path = own_api.client(Role.DISPATCHER), f"/api/v1/tickets/{ticket['id']}"
    hold = {"to": "on_hold", "note": "the bearing comes on Thursday"}
    refused(desk.post(f"{path}/move", json={**hold, "pause_reason": "full moon"}), 409)
    ok(desk.post(f"{path}/move", json={**hold, "pause_reason": "waiting_for_parts"}))
    whole = ok(desk.get(path))
    assert {clock["clock"]: clock["paused_at"] is not None for clock in whole["clocks"]} == {
        "response": False, "on_site": True, "resolution": True,
    }  # fmt: skip
    (pause,) = whole["pauses"]
    assert (pause["label"], pause["note"], pause["paused_by"]) == ("Waiting for parts", hold["note"], "a-dispatcher")
    assert pause["resumed_at"] is None
    ok(desk.post(f"{path}/move", json={"to": "new"}))
    (pause,) = ok(desk.get(path))["pauses"]
    assert pause["resumed_by"] == "a-dispatcher"


def test_the_terms_of_another_tenant_are_never_read(own_api: RunningApi) -> None:
    ok(put(own_api, in_berlin, tenant="other"))
    assert act(own_api, term_store.in_force).version == 0
