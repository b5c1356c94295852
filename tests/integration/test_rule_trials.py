"""A rule is tried over what is stored before it is in force: over HTTP, by `notify` and by `bellwether backtest`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb
from serving import JSON, RunningApi, ok, refused
from typer.testing import CliRunner

from alarms.roles import Role
from alarms.rules import rule_from_json
from api.alarms.rules_page import write
from bellwether.cli import app
from notify.trials import try_next
from store import retention, trial_runs
from telemetry import Stream
from tickets.calendar import WEEKDAYS
from tickets.terms import HOUSE

NOW = datetime.now(UTC).replace(microsecond=0)
DAYS = 10
WHY = {"cause": "wear", "consequence": "a stop", "action": "look", "respond_within_s": 3600.0}


def rule(rule_id: str, hi: float, **fields: object) -> JSON:
    """A fixed limit over the flow of both machines. Of two that are alike the one with the later name governs."""
    return {
        "id": rule_id,
        "detector": "limits",
        "fault": "condition",
        "severities": [[1.0, "high"]],
        "device": "tried-*",
        "point": "flow",
        "limit": {"hi": hi},
        "rationalisation": WHY,
        **fields,
    }


def store(api: RunningApi, device: str, times: list[datetime], values: list[float]) -> int:
    stream = api.plant.stream(api.plant.device(name=device))
    copying = "COPY readings (time, stream_id, value) FROM STDIN"
    with api.database.owner() as conn, conn.cursor() as cursor, cursor.copy(copying) as copy:
        for at, value in zip(times, values, strict=True):
            copy.write_row((at, stream, value))
    return stream


@pytest.fixture(scope="module")
def plant(api: RunningApi) -> RunningApi:
    """Two machines, ten days of a reading every five minutes.

    Both have a spike of one reading every night; the first also goes to 15 for an hour on the eighth day, of which a
    ticket was closed with a fault found.
    """
    times = [NOW - timedelta(minutes=5 * n) for n in range(DAYS * 288)][::-1]
    quiet = 5.0 + np.sin(np.arange(len(times)) / 50)
    spikes = np.arange(len(times)) % 288 == 100
    faulty = np.where(spikes, 11.0, quiet)
    faulty[8 * 288 : 8 * 288 + 12] = 15.0
    store(api, "tried-1", times, faulty.tolist())
    store(api, "tried-2", times, np.where(spikes, 11.0, quiet).tolist())
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO tickets (tenant, code, device_id, device, fault, source, title, state, verdict, priority,"
            " level, since, opened_at, closed_at) SELECT tenant, 'trial', id, device, 'condition', 'alarm', 'Flow',"
            " 'closed', 'confirmed', 'high', 'major', %(since)s, %(since)s, %(since)s + INTERVAL '5 hours' FROM devices"
            " WHERE device = 'tried-1'",
            {"since": times[8 * 288]},
        )
    return api


def tried(api: RunningApi, wanted: JSON, **asked: object) -> JSON:
    return ok(api.client(Role.ENGINEER).post("/api/v1/trials", json={"rule": wanted, "days": DAYS, **asked}), 201)


def test_a_trial_says_what_would_have_been(plant: RunningApi) -> None:
    made = tried(plant, rule("spiky", 10.0))
    result = made["result"]
    assert (made["state"], made["fits"], result["machines"]) == ("done", False, 2)
    assert result["asked"]["alarms"] == 2 * DAYS + 1
    assert result["asked"]["false_alarms"] == 2 * DAYS
    assert result["asked"]["by_device"] == {"tried-1": DAYS + 1, "tried-2": DAYS}
    assert result["asked"]["worst_ten_min"] == 2
    assert result["in_force"]["alarms"] == 0
    assert [fault["after_s"] for fault in result["faults"]] == [0.0]
    assert [fault["in_force_after_s"] for fault in result["faults"]] == [None]
    assert result["machine_days"] == pytest.approx(2 * DAYS, rel=0.01)
    assert ok(plant.client().get(f"/api/v1/trials/{made['id']}")) == made
    listed = ok(plant.client().get("/api/v1/trials", params={"rule": "spiky"}))["items"]
    assert listed[0] == made


def test_above_the_budget_it_is_refused_with_what_would_fit_and_that_is_accepted(plant: RunningApi) -> None:
    client, wanted = plant.client(Role.MANAGER), rule("budget", 10.0)
    tried(plant, wanted)
    problem = refused(client.put("/api/v1/rules/budget", json={"rule": wanted, "version": 0}), 409)
    assert problem["type"].endswith("over-budget")
    # At 10.5 the spikes are above it yet, no deadband forgives one, and nor does a minute between readings of five.
    proposal = {one["pointer"].removeprefix("body.rule."): int(one["detail"]) for one in problem["errors"]}
    assert proposal == {"at_least": 2, "of_last": 3}
    fitting = {**wanted, **proposal}
    assert tried(plant, fitting)["fits"]
    kept = ok(client.put("/api/v1/rules/budget", json={"rule": fitting, "version": 0}))
    assert kept["trial"] is not None
    assert kept["override_note"] == ""
    # A change of what is written beside it needs no trial; another limit does.
    reworded = {**fitting, "rationalisation": {**WHY, "action": "look twice"}}
    assert ok(client.put("/api/v1/rules/budget", json={"rule": reworded, "version": 1}))["untried"]
    other = {**reworded, "limit": {"hi": 9.0}}
    assert refused(client.put("/api/v1/rules/budget", json={"rule": other, "version": 2}), 409)["type"].endswith(
        "tried"
    )


def test_a_manager_may_override_with_a_note_that_is_kept(plant: RunningApi) -> None:
    client, wanted = plant.client(Role.MANAGER), rule("overridden", 10.5)
    untried = {"rule": wanted, "version": 0, "override": "the customer wants to see each spike"}
    assert refused(client.put("/api/v1/rules/overridden", json=untried), 409)["type"].endswith("not-tried")
    tried(plant, wanted)
    refused(client.put("/api/v1/rules/overridden", json={"rule": wanted, "version": 0}), 409)
    kept = ok(client.put("/api/v1/rules/overridden", json=untried))
    assert kept["override_note"] == "the customer wants to see each spike"
    owner = plant.client(Role.OWNER)
    shown = [ok(owner.get("/api/v1/rules/overridden")), *ok(owner.get("/api/v1/rules/overridden/versions"))["items"]]
    for role, told in ((Role.OWNER, False), (Role.MANAGER, True)):
        page = httpx.get(f"{plant.url}/rules/overridden", cookies={"bw_session": plant.token(role)}, trust_env=False)
        assert (page.status_code, "to see each spike" in page.text) == (200, told)
    assert {one["override_note"] for one in [*shown, *ok(owner.get("/api/v1/rules"))["items"]]} == {""}, (
        "not for customers"
    )
    ok(client.put("/api/v1/rules/overridden", json={"rule": {**wanted, "enabled": False}, "version": 1}))


def test_a_trial_of_some_machines_is_none_that_a_rule_is_accepted_by(plant: RunningApi) -> None:
    wanted = rule("partial", 14.0)
    assert tried(plant, wanted, devices=["tried-2"])["result"]["machines"] == 1
    assert tried(plant, wanted, days=2)["fits"]
    put = {"rule": wanted, "version": 0}
    assert refused(plant.client().put("/api/v1/rules/partial", json=put), 409)["type"].endswith("not-tried")


def test_a_limit_that_misses_a_fault_which_is_found_today_says_so(plant: RunningApi) -> None:
    client, wanted = plant.client(Role.MANAGER), rule("past-fault", 14.0)
    tried(plant, wanted)
    ok(client.put("/api/v1/rules/past-fault", json={"rule": wanted, "version": 0}))
    result = tried(plant, rule("past-fault", 20.0))["result"]
    assert (result["missed"], result["asked"]["alarms"], result["in_force"]["alarms"]) == (1, 0, 1)
    ok(client.put("/api/v1/rules/past-fault", json={"rule": {**wanted, "enabled": False}, "version": 1}))


def test_without_a_day_of_history_a_rule_is_accepted_and_says_why(api: RunningApi) -> None:
    times = [NOW - timedelta(minutes=n) for n in range(100)][::-1]
    store(api, "young-1", times, [5.0] * 100)
    young = {**rule("young", 6.0), "device": "young-*"}
    kept = ok(api.client().put("/api/v1/rules/young", json={"rule": young, "version": 0}))
    assert kept["untried"] == "what it decides over has a history of less than a day"


def test_what_scores_no_readings_is_not_tried(api: RunningApi) -> None:
    silence = ok(api.client().get("/api/v1/rules/silence"))["rule"]
    refused(api.client().post("/api/v1/trials", json={"rule": silence}), 422)
    kept = ok(api.client().put("/api/v1/rules/silence", json={"rule": {**silence, "off_delay_s": 90.0}, "version": 0}))
    assert kept["untried"].startswith("silence scores more than readings")


def test_who_would_be_woken_is_told_by_severity_and_by_the_working_hours(plant: RunningApi) -> None:
    always = tried(plant, rule("waking", 10.0))["result"]["asked"]
    week = {day: [] if day in WEEKDAYS[5:] else ["00:00-24:00"] for day in WEEKDAYS}
    terms = {**HOUSE, "calendar": {"zone": "UTC", "week": week, "exceptions": []}}
    with plant.database.owner() as conn:
        conn.execute(
            "INSERT INTO terms (tenant, version, terms, reason, changed_by) VALUES ('demo', 1, %s, 'free', 'kim')",
            [Jsonb(terms)],
        )
    high = tried(plant, rule("waking", 10.0))["result"]["asked"]
    medium = tried(plant, rule("waking", 10.0, severities=[[1.0, "medium"]]))["result"]["asked"]
    assert always["alarms"] == high["alarms"] == medium["alarms"] == 2 * DAYS + 1
    assert (always["woken"], medium["woken"]) == (0, 0)
    # Of ten days two to four are of a weekend, each with a spike of both machines.
    assert 4 <= high["woken"] <= 9


def test_a_large_trial_waits_for_notify_which_says_the_same(plant: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = tried(plant, rule("waiting", 10.0))["result"]
    monkeypatch.setattr(trial_runs, "_SMALL", 1000)
    waiting = tried(plant, rule("waiting", 10.0))
    assert (waiting["state"], waiting["result"]) == ("waiting", None)
    with psycopg.connect(plant.database.url("notify"), autocommit=True) as conn:
        while try_next(conn, datetime.now(UTC)):
            pass
    done = ok(plant.client().get(f"/api/v1/trials/{waiting['id']}"))
    assert (done["state"], done["fits"]) == ("done", False)
    assert done["result"]["asked"]["by_device"] == at_once["asked"]["by_device"]
    assert done["result"]["proposal"]["changes"] == at_once["proposal"]["changes"]


def test_the_command_says_the_same_and_leaves_the_database_as_it_is(plant: RunningApi, tmp_path: Path) -> None:
    path, env = tmp_path / "rule.toml", {"BELLWETHER_DATABASE_URL": plant.database.owner_url}

    def run(hi: float, *more: str) -> Any:
        severities, limit = '[[1.0, "high"]]', f"{{ hi = {hi} }}"
        path.write_text(
            'id = "typed"\ndetector = "limits"\nfault = "condition"\ndevice = "tried-*"\npoint = "flow"\n'
            f"severities = {severities}\nlimit = {limit}\n"
        )
        arguments = ["backtest", str(path), "--tenant", "demo", "--days", str(DAYS), *more]
        return CliRunner().invoke(app, arguments, env=env)

    above = run(10.0, "--json")
    assert above.exit_code == 1
    found = json.loads(above.stdout)
    assert (found["asked"]["alarms"], found["proposal"]["changes"]) == (2 * DAYS + 1, {"at_least": 2, "of_last": 3})
    assert run(12.0, "--device", "tried-1").exit_code == 0
    assert "this would fit: at_least = 2, of_last = 3" in run(10.0).stderr
    for rule_id in ("silence", "no-such-rule", "limits"):  # not of readings; none; over nothing
        assert CliRunner().invoke(app, ["backtest", "--tenant", "demo", "--rule", rule_id], env=env).exit_code == 2
    assert not ok(plant.client().get("/api/v1/trials", params={"rule": "typed"}))["items"]


@pytest.mark.parametrize("detector", ["limits", "multivariate"])
def test_what_other_rules_called_for_is_what_counting_by_hand_finds(plant: RunningApi, detector: str) -> None:
    """By site and day, but for what the rules that are played here called for at the points that they decide."""
    draw, end = np.random.default_rng(7), NOW
    start = end - timedelta(days=3, hours=7)
    machines = [(9001, "demo", "north"), (9002, "demo", "north"), (9003, "demo", "south"), (9004, "other", "north")]
    points, played = ("flow", "head"), [replace(rule_from_json(rule(name, 1.0)), detector=detector) for name in "ab"]
    edges = [start - timedelta(microseconds=1), start, start + timedelta(days=1), end - timedelta(microseconds=1), end]
    times = [*(start + timedelta(hours=float(hours)) for hours in draw.uniform(-20, 100, 300)), *edges]
    calls = [(*machines[draw.integers(4)], points[draw.integers(2)], "abc"[draw.integers(3)], at) for at in times]
    about = {}
    for machine, tenant, _ in machines[:2]:
        both = [Stream(machine * 10 + n, machine, tenant, "x", name, "flow", "m3/h") for n, name in enumerate(points)]
        about[machine] = (both, both[:1])
    own = {(machine, point) for machine in about for point in points[: 2 if detector == "multivariate" else 1]}
    expected: dict[str, list[int]] = {}
    for machine, tenant, site, point, by, at in calls:
        if tenant == "demo" and start <= at < end and not (by in "ab" and (machine, point) in own):
            expected.setdefault(site, [0] * 4)[(at - start) // timedelta(days=1)] += 1

    with psycopg.connect(plant.database.owner_url) as conn:
        for machine, tenant, site in machines:
            conn.execute(
                "INSERT INTO devices (id, tenant, device, site) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s)",
                [machine, tenant, f"m{machine}", site],
            )
        conn.execute("SET LOCAL session_replication_role = replica")  # calls without their alarms
        conn.cursor().executemany(
            "INSERT INTO alarm_calls (event_id, occurrence_id, tenant, device_id, rule, point, severity, called_at)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), %s, %s, %s, %s, 'high', %s)",
            [(tenant, machine, by, point, at) for machine, tenant, _, point, by, at in calls],
        )
        asked = trial_runs.Asked("demo", played[0], 3, None, 1, 1)
        found = trial_runs._others(conn, asked, played, about, start, end)
        conn.rollback()
    assert {site: days.tolist() for site, days in found.items()} == expected
    assert set(expected) == {"north", "south"}


def test_old_trials_go_but_those_that_a_rule_was_accepted_by(plant: RunningApi) -> None:
    def kept() -> set[str]:
        with plant.database.owner() as conn:
            return {name for (name,) in conn.execute("SELECT rule_id FROM rule_trials WHERE rule_id LIKE 'aged-%'")}

    with plant.database.owner() as conn:
        for tenant, name, days, state in (
            *(("demo", "old", 91, "done"), ("demo", "failed", 91, "failed"), ("demo", "young", 89, "done")),
            *(("demo", "accepted", 400, "done"), ("demo", "waiting", 400, "waiting")),
            *(("other", "long", 91, "done"), ("other", "over", 101, "done")),
        ):
            at = NOW - timedelta(days=days)
            row = conn.execute(
                "INSERT INTO rule_trials (tenant, rule_id, content, rule, days, people, engineers, state, asked_at,"
                " asked_by, done_at) VALUES (%s, %s, '', '{}', 7, 1, 1, %s, %s, 'kim', %s) RETURNING id",
                [tenant, f"aged-{name}", state, at, None if state == "waiting" else at],
            ).fetchone()
            if name == "accepted" and row:
                conn.execute(
                    "INSERT INTO rules (tenant, id, version, rule, enabled, created_by, trial)"
                    " VALUES ('demo', 'aged', 1, %s, false, 'kim', %s)",
                    [Jsonb({**rule("aged", 14.0), "enabled": False}), row[0]],
                )
    ok(plant.client(tenant="other").put("/api/v1/retention", json={"keep_days": {"trials": 100}}))
    refused(plant.client().put("/api/v1/retention", json={"keep_days": {"trials": 13}}), 422)
    with psycopg.connect(plant.database.url("notify"), autocommit=True) as conn:
        assert [retention.expire_trials(conn, 2) for _ in range(3)] == [2, 1, 0]
    assert kept() == {f"aged-{name}" for name in ("young", "accepted", "waiting", "long")}
    with plant.database.owner() as conn:
        conn.execute("DELETE FROM rule_trials WHERE rule_id = 'aged-waiting'")  # another's turn would be later


def test_on_its_page_a_change_is_tried_and_a_manager_keeps_it(plant: RunningApi) -> None:
    """As a form without a script sends it: what is refused comes back with why, and with what was typed."""
    wanted = rule("zz-page", 14.0)
    tried(plant, wanted)
    ok(plant.client().put("/api/v1/rules/zz-page", json={"rule": wanted, "version": 0}))
    typed = {**write(rule_from_json(wanted)), "version": "1", "hi": "10"}

    def send(role: Role, path: str, **more: str) -> tuple[int, str]:
        client = httpx.Client(base_url=plant.url, cookies={"bw_session": plant.token(role)}, trust_env=False)
        with client:
            answer = client.post(path, data={**typed, **more}, headers={"Origin": plant.url})
        return answer.status_code, answer.text

    assert send(Role.MANAGER, "/rules/zz-page")[0] == 422
    status, page = send(Role.ENGINEER, "/rules/zz-page/trial")
    assert (status, "This would fit: <b>2 of the last 3 scores</b>" in page, 'value="10"' in page) == (200, True, True)
    assert send(Role.ENGINEER, "/rules/zz-page")[0] == 403
    status, page = send(Role.MANAGER, "/rules/zz-page")
    assert (status, "Not done" in page) == (422, True)
    assert send(Role.MANAGER, "/rules/zz-page", hi="ten")[0] == 422
    status, page = send(Role.MANAGER, "/rules/zz-page", override="until the seal is changed")
    assert (status, "Kept: version 2" in page) == (200, True)
    kept = ok(plant.client().get("/api/v1/rules/zz-page"))
    assert (kept["rule"]["limit"]["hi"], kept["override_note"]) == (10.0, "until the seal is changed")
