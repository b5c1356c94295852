"""The KPIs of alarms as they are counted: each call once, to the second, and nobody else's."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import UUID

import psycopg
import pytest
from serving import JSON, RunningApi, ok, refused

from alarms.roles import Role
from store import alarm_moves, floods

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Hall:
    """A site of its own with one machine. Alarms of it come and go as ingest and people have them."""

    def __init__(self, api: RunningApi, name: str) -> None:
        self.api, self.name = api, name
        self.now = datetime.now(UTC)
        self.device = api.plant.device()
        with api.database.owner() as conn:
            conn.execute("UPDATE devices SET site = %s WHERE device = %s", [name, self.device])

    def tell(
        self, alarm: UUID, kind: str, ago: timedelta, state: str = "unacknowledged", who: str = "bellwether"
    ) -> None:
        with self.api.database.owner() as conn:
            conn.execute(
                "INSERT INTO alarm_events"
                " (event_id, occurrence_id, tenant, at, recorded_at, kind, state, severity, who)"
                " SELECT gen_random_uuid(), id, tenant, %s, %s, %s, %s, severity, %s FROM alarms WHERE id = %s",
                [self.now - ago, self.now - ago, kind, state, who, alarm],
            )

    def call(self, ago: timedelta, severity: str = "low", rule: str = "", **changes: Any) -> UUID:
        """An alarm that was raised then; it stands no more, so that another of the same rule may."""
        alarm = self.api.plant.alarm(self.device, at=self.now - ago, severity=severity, active=False, **changes)
        if rule:
            with self.api.database.owner() as conn:
                conn.execute("UPDATE alarms SET rule = %s WHERE id = %s", [rule, alarm])
        self.tell(alarm, "raised", ago)
        return alarm

    def kpis(self, role: Role = Role.MANAGER, **params: Any) -> JSON:
        asked = {"site": self.name, **params}
        return dict(ok(self.api.client(role).get("/api/v1/kpis/alarms", params=asked)))

    def figures(self, **params: Any) -> dict[str, Any]:
        return {figure["name"]: figure["value"] for figure in self.kpis(**params)["figures"]}


@pytest.fixture
def hall(api: RunningApi, request: pytest.FixtureRequest) -> Hall:
    return Hall(api, request.node.name[:60])


def test_calls_are_counted_answered_and_ended(hall: Hall) -> None:
    answered, gone, waiting, shelved = (hall.call(2 * HOUR) for _ in range(4))
    hall.tell(answered, "acknowledged", 2 * HOUR - 60 * SECOND, "acknowledged", "ada")
    hall.tell(shelved, "shelved", 2 * HOUR - 120 * SECOND, "shelved", "bob")
    hall.tell(gone, "returned", 2 * HOUR - 30 * SECOND, "returned_unacknowledged")
    found = hall.figures()
    assert (found["calls"], found["never_answered"], found["waiting"], found["fleeting"]) == (4, 1, 1, 1)
    assert (found["answered_median_s"], found["answered_p90_s"]) == (90.0, 114.0)
    assert hall.figures(**{"from": (hall.now - HOUR).isoformat()})["calls"] == 0, "before the period"
    ok(hall.api.client(Role.ENGINEER).post(f"/api/v1/alarms/{waiting}/acknowledge", json={}))
    assert hall.figures()["waiting"] == 0, "true at once"
    people = {person["who"]: person["answers"] for person in hall.kpis()["people"]}
    assert people == {"ada": 1, "bob": 1, "a-engineer": 1}


def test_what_was_quiet_when_it_was_raised_called_nobody_until_it_came_back(hall: Hall) -> None:
    alarm = hall.call(3 * HOUR)
    hall.tell(alarm, "suppressed", 3 * HOUR, "suppressed")  # in the same transaction: at the same moment
    assert hall.figures()["calls"] == 0
    hall.tell(alarm, "unsuppressed", HOUR)
    later = hall.call(2 * HOUR)
    hall.tell(later, "suppressed", HOUR, "suppressed")
    assert hall.figures()["calls"] == 2, "it came back; the other had called before it was suppressed"
    (quiet,) = hall.kpis()["quiets"]
    assert (quiet["state"], quiet["whose"], quiet["times"]) == ("suppressed", "parent", 2)
    assert quiet["quiet_s"] == pytest.approx(3 * 3600, abs=60), "two hours, and one that goes on"


def test_what_maintenance_suppresses_as_it_is_raised_calls_nobody(hall: Hall) -> None:
    window = {"device": hall.device, "reason": "oil", "ends_at": (hall.now + HOUR).isoformat()}
    ok(hall.api.client().post("/api/v1/maintenance", json=window), 201)
    alarm = hall.api.plant.alarm(hall.device)
    with psycopg.connect(hall.api.database.url("ingest")) as conn:  # as `occurrences.apply` does, in one transaction
        conn.execute(
            "INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, kind, state, severity)"
            " VALUES (gen_random_uuid(), %s, 'demo', now(), 'raised', 'unacknowledged', 'high')",
            [alarm],
        )
        alarm_moves.settle(conn, datetime.now(UTC), alarm, raised=True)
    found = hall.kpis()
    assert hall.figures()["calls"] == 0
    assert [(quiet["state"], quiet["whose"]) for quiet in found["quiets"]] == [("suppressed", "maintenance")]


def test_the_history_before_the_calls_were_kept_is_filled_in_the_same_words(hall: Hall) -> None:
    answered, shelved, quiet = hall.call(9 * HOUR), hall.call(8 * HOUR), hall.call(7 * HOUR)
    hall.tell(answered, "returned", 8 * HOUR, "returned_unacknowledged")
    hall.tell(answered, "acknowledged", 6 * HOUR, "normal", "ada")
    hall.tell(shelved, "shelved", 7 * HOUR, "shelved", "bob")
    hall.tell(shelved, "unshelved", 6 * HOUR)
    hall.tell(shelved, "acknowledged", 5 * HOUR, "acknowledged", "ada")
    hall.tell(shelved, "followed", 4 * HOUR, "normal")
    hall.tell(quiet, "suppressed", 7 * HOUR, "suppressed")
    hall.tell(quiet, "unsuppressed", 3 * HOUR)
    text = (files("store") / "migrations" / "039_alarm_kpis.sql").read_text()
    (filling,) = re.findall(r"^INSERT INTO alarm_calls .*?;$", text, re.DOTALL | re.MULTILINE)
    kept = "SELECT * FROM alarm_calls c WHERE c.occurrence_id = ANY(%s) ORDER BY called_at"
    with hall.api.database.owner() as conn, conn.transaction(force_rollback=True):
        alarms = [[answered, shelved, quiet]]
        before = conn.execute(kept, alarms).fetchall()
        conn.execute("DELETE FROM alarm_calls")
        conn.execute(filling)
        assert conn.execute(kept, alarms).fetchall() == before
    assert len(before) == 4


def test_an_escalation_calls_again_once_somebody_has_answered(hall: Hall) -> None:
    alarm = hall.call(HOUR)
    hall.tell(alarm, "escalated", HOUR - MINUTE)
    assert hall.figures()["calls"] == 1, "nobody has answered yet: it is the same call"
    hall.tell(alarm, "acknowledged", HOUR - 2 * MINUTE, "acknowledged", "ada")
    hall.tell(alarm, "escalated", HOUR - 3 * MINUTE)
    found = hall.figures()
    assert (found["calls"], found["waiting"]) == (2, 1)


def test_shelves_are_told_by_who_and_within_the_period_alone(hall: Hall) -> None:
    alarm = hall.call(6 * HOUR)
    hall.tell(alarm, "shelved", 5 * HOUR, "shelved", "ada")
    hall.tell(alarm, "returned", 4 * HOUR, "shelved")
    hall.tell(alarm, "unshelved", HOUR, "normal")
    (quiet,) = hall.kpis()["quiets"]
    assert (quiet["state"], quiet["whose"], quiet["times"], quiet["quiet_s"]) == ("shelved", "ada", 1, 4 * 3600.0)
    period = {"from": (hall.now - 3 * HOUR).isoformat(), "to": (hall.now - 2 * HOUR).isoformat()}
    (quiet,) = hall.kpis(**period)["quiets"]
    assert quiet["quiet_s"] == 3600.0, "it began before the period and ended after it"


def test_bad_actors_priorities_and_floods(hall: Hall) -> None:
    for minute in range(12):
        last = hall.call(8 * MINUTE + minute * SECOND, rule="noisy", severity="high")
    for minute in range(4):
        hall.call(minute * HOUR + 30 * MINUTE, rule="other", severity="low")
    with psycopg.connect(hall.api.database.url("notify")) as conn:
        floods.watch(conn, hall.now)
    hall.tell(last, "chattering", 8 * MINUTE)
    found, figures = hall.kpis(), hall.figures()
    assert [(actor["rule"], actor["calls"]) for actor in found["actors"]] == [("noisy", 12), ("other", 4)]
    assert found["actors"][0]["device"] == hall.device
    assert (figures["high_share"], figures["low_share"], figures["chattering"]) == (0.75, 0.25, 1)
    assert (figures["floods"], figures["most_in_a_span"] >= 6) == (1, True), "the clock may cut twelve seconds in two"
    assert 0 < figures["flood_share"] < 0.01
    assert max(found["rate"]["highest"]) == figures["most_in_a_span"]
    (site,) = found["sites"]
    assert (site["site"], site["machines"], site["calls"], site["floods"]) == (hall.name, 1, 16, 1)


def test_false_alarms_are_those_that_a_ticket_found_nothing_for(hall: Hall) -> None:
    alarms = [hall.call(HOUR), hall.call(HOUR)]
    with hall.api.database.owner() as conn:
        for alarm, verdict in zip(alarms, ("no_fault", "confirmed"), strict=True):
            conn.execute(
                "WITH t AS (INSERT INTO tickets (tenant, code, device_id, device, fault, source, title, state, verdict,"
                " priority, level, since, closed_at)"
                " SELECT tenant, %s, device_id, device, %s, 'alarm', 'x', 'closed', %s, 'low',"
                " 'general', now(), now() - interval '1 minute' FROM alarms WHERE id = %s RETURNING id)"
                " INSERT INTO ticket_alarms (ticket_id, alarm_id, tenant) SELECT id, %s, 'demo' FROM t",
                [str(alarm), str(alarm), verdict, alarm, alarm],
            )
    found = hall.figures()
    assert found["false_alarms"] == 1
    assert found["false_per_machine_month"] == pytest.approx(365.25 / 12 / 7)


def test_whose_speed_is_shown(hall: Hall) -> None:
    for who in ("a-engineer", "ada"):
        hall.tell(hall.call(HOUR), "acknowledged", HOUR - MINUTE, "acknowledged", who)

    def people(role: Role) -> set[str]:
        return {person["who"] for person in hall.kpis(role)["people"]}

    assert people(Role.MANAGER) == {"a-engineer", "ada"}
    assert people(Role.ENGINEER) == {"a-engineer"}, "their own"
    assert people(Role.DISPATCHER) == set()


def test_another_tenant_sees_none_of_it(hall: Hall) -> None:
    hall.call(MINUTE)
    theirs = ok(hall.api.client(Role.MANAGER, "other").get("/api/v1/kpis/alarms"))
    assert {figure["name"]: figure["value"] for figure in theirs["figures"]}["calls"] == 0
    assert theirs["sites"] == []


@pytest.mark.parametrize("wrong", [{"from": "2100-01-01T00:00:00Z"}, {"from": "2001-01-01T00:00:00Z"}])
def test_a_period_begins_before_it_ends_and_is_no_longer_than_a_year(api: RunningApi, wrong: dict[str, str]) -> None:
    refused(api.client().get("/api/v1/kpis/alarms", params=wrong), 422)


def test_the_pages_are_there_for_a_machine_that_has_said_nothing_yet(hall: Hall) -> None:
    hall.call(MINUTE)
    for address in (f"/alarm-kpis?days=30&site={hall.name}", "/alarm-kpis", "/fleet?view=cards", "/fleet?view=table"):
        answer = hall.api.client(Role.MANAGER).get(address)
        assert answer.status_code == 200, address
    assert "No readings yet" in answer.text
