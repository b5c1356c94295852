"""Pages of what has become much: what is at work is there however old it is, the rest is a page further on."""

from __future__ import annotations

import re

from serving import RunningApi

from alarms.roles import Role


def test_an_action_that_is_at_work_stays_on_its_page(api: RunningApi) -> None:
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO corrective_actions (tenant, kind, problem, state, made_at, made_by, closed_at, changed_at,"
            " changed_by) SELECT 'demo', 'person', 'ended ' || n, 'dismissed', now() - n * interval '1 day', 'jo',"
            " now(), now(), 'jo' FROM generate_series(1, 60) n"
        )
        conn.execute(
            "INSERT INTO corrective_actions (tenant, kind, problem, state, made_at, made_by, changed_at, changed_by)"
            " VALUES ('demo', 'person', 'It leaks still', 'proposed', now() - interval '3 years', 'jo', now(), 'jo')"
        )
    client = api.client(Role.MANAGER)
    first = client.get("/corrective-actions").text
    assert "It leaks still" in first
    assert "Decide…" in first
    assert len(re.findall("ended [0-9]+<", first)) == 50
    onward = re.search(r'href="(/corrective-actions\?after=[^"]+)"', first)
    assert onward is not None
    assert len(re.findall("ended [0-9]+<", client.get(onward[1]).text)) == 10
    assert client.get("/corrective-actions?after=x").status_code == 422


def test_every_plan_is_on_some_page(api: RunningApi) -> None:
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO plans (tenant, name, site, trigger, steps, made_at, made_by, changed_at, changed_by)"
            " SELECT 'demo', 'plan ' || n, 'Riverside', '{\"kind\": \"risk\", \"limit\": 0.4}', 'Look.',"
            " now() - n * interval '1 day', 'jo', now(), 'jo' FROM generate_series(1, 52) n"
        )
    client = api.client(Role.MANAGER)
    first = client.get("/plans").text
    onward = re.search(r'href="(/plans\?after=[^"]+)"', first)
    assert onward is not None
    names = re.findall("<strong>(plan [0-9]+)<", first + client.get(onward[1]).text)
    assert sorted(names) == sorted(f"plan {n}" for n in range(1, 53))


def test_what_the_terms_were_is_for_staff_on_the_page_as_through_the_api(api: RunningApi) -> None:
    for role, seen in ((Role.DISPATCHER, True), (Role.OWNER, False), (Role.EXPERT, False)):
        client = api.client(role)
        assert (client.get("/api/v1/terms/versions").status_code == 200) is seen
        assert ("What they have been" in client.get("/terms").text) is seen
