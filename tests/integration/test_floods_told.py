"""A flood goes along the chain as one: nobody is called for each of its alarms, and none of them is silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from dying import dies
from serving import SECRET, RunningApi, alarm_event, ok
from telling import channel, set_up, somebody

from alarms.roles import Role
from notify.channels.messenger import Messenger
from store.connection import connect

FLOOD = 5  # more than so many in ten minutes


@pytest.fixture
def owner(api: RunningApi) -> Iterator[Any]:
    """Nobody is told anything yet, and there is no flood."""
    with api.database.owner() as conn:
        conn.execute("DELETE FROM messages")
        conn.execute("DELETE FROM escalations")
        conn.execute("DELETE FROM alarm_floods")
        conn.execute("DELETE FROM alarm_events")
        conn.execute("DELETE FROM person_channels")
        conn.execute("UPDATE tickets SET state = 'closed'")
        conn.execute("UPDATE alarms SET state = 'normal', active = false")
        yield conn


@pytest.fixture
def told(api: RunningApi, owner: Any) -> tuple[str, str]:
    """Who is on call, and who is told next."""
    (kim, hers), (lee, his) = somebody(api), somebody(api, Role.DISPATCHER)
    channel(hers, "json://plant.example/kim")
    channel(his, "json://plant.example/lee")
    set_up(api, [kim], [lee])
    ok(api.client(Role.MANAGER).put("/api/v1/alarm-policy", json={"flood_alarms": FLOOD}))
    return kim, lee


def raised(api: RunningApi, owner: Any, site: str, severities: Sequence[str]) -> list[UUID]:
    """Alarms of as many machines at a site, as ingest writes them: in one transaction."""
    alarms = [api.plant.alarm(api.plant.device(), severity=severity) for severity in severities]
    owner.execute(
        "UPDATE devices d SET site = %s FROM alarms a WHERE a.device_id = d.id AND a.id = ANY(%s)", [site, alarms]
    )
    owner.execute(
        "INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, kind, state, severity)"
        " SELECT gen_random_uuid(), a.id, 'demo', now(), 'raised', 'unacknowledged', a.severity"
        " FROM unnest(%s::uuid[]) WITH ORDINALITY AS u (id, place) JOIN alarms a USING (id) ORDER BY place",
        [alarms],
    )
    return alarms


def look(api: RunningApi, times: int = 1) -> None:
    """What the messenger does each round, before it sends."""
    for _ in range(times):
        with closing(connect(api.database.url("notify"), "test")) as conn:
            conn.autocommit = True
            Messenger(api.database.url("notify"), SECRET).look(conn)


def queued(owner: Any) -> list[tuple[str, str]]:
    rows = owner.execute("SELECT kind, login FROM messages ORDER BY id").fetchall()
    return [tuple(row) for row in rows]


def ended(owner: Any, alarms: Sequence[UUID]) -> set[str]:
    rows = owner.execute("SELECT ended_because FROM escalations WHERE alarm_id = ANY(%s)", [list(alarms)]).fetchall()
    return {because for (because,) in rows}


def test_of_a_burst_one_message_goes_along_the_chain_and_each_alarm_says_so(
    api: RunningApi, owner: Any, told: tuple[str, str]
) -> None:
    alarms = raised(api, owner, "Hall 1", ["high"] * 12)
    look(api, times=2)
    assert queued(owner) == [("on_call.flood", told[0])]
    manager = api.client(Role.MANAGER)
    (message,) = ok(manager.get("/api/v1/messages"))["items"]
    (flood,) = ok(manager.get("/api/v1/floods", params={"open": True}))["items"]
    first = ok(manager.get(f"/api/v1/alarms/{flood['first_out']}"))
    assert message["subject"] == (f"HIGH: flood at Hall 1, 12 alarms, first out {first['device']}: {first['message']}")
    assert (message["page"], message["alarm_id"]) == (f"/alarms#flood-{flood['id']}", flood["first_out"])
    assert flood["told_with"] == 12
    assert {ok(manager.get(f"/api/v1/alarms/{alarm}"))["flood_id"] for alarm in alarms} == {flood["id"]}
    html = {"Accept": "text/html"}
    assert "12 alarms went along" in manager.get("/alarms", headers=html).text
    assert manager.get("/alarms?site=Hall+1", headers=html).text.count("told with its flood") == 12
    assert f"#flood-{flood['id']}" in manager.get(f"/alarms/{alarms[3]}", headers=html).text
    assert "Flood at Hall 1, first out" in manager.get("/on-call", headers=html).text

    raised(api, owner, "Hall 1", ["high", "medium"])
    elsewhere = raised(api, owner, "Hall 2", ["high"])
    look(api)
    assert queued(owner)[1:] == [("on_call.alarm", told[0])], "of another site; the rest goes with the flood"
    assert ended(owner, elsewhere) == {""}
    assert ok(manager.get("/api/v1/floods", params={"open": True}))["items"][0]["told_with"] == 13


def test_only_what_is_worse_than_all_that_was_told_goes_its_own_way(
    api: RunningApi, owner: Any, told: tuple[str, str]
) -> None:
    raised(api, owner, "Hall 1", ["high"] * 6)
    look(api)
    worse, as_bad = raised(api, owner, "Hall 1", ["critical", "critical"])
    look(api, times=2)
    assert queued(owner) == [("on_call.flood", told[0]), ("on_call.alarm", told[0])]
    assert (ended(owner, [worse]), ended(owner, [as_bad])) == ({""}, {"told with its flood"})
    look(api)
    assert len(queued(owner)) == 2
    assert ok(api.client().get(f"/api/v1/alarms/{worse}"))["flood_id"] is None, "it was told itself"


def test_who_was_told_of_each_before_is_told_of_the_flood_once_and_the_next_of_it_alone(
    api: RunningApi, owner: Any, told: tuple[str, str]
) -> None:
    kim, lee = told
    before = raised(api, owner, "Hall 1", ["high"] * FLOOD)
    look(api)
    assert queued(owner) == [("on_call.alarm", kim)] * FLOOD
    owner.execute("UPDATE messages SET state = 'sent', ended_at = now() WHERE alarm_id = %s", [before[0]])
    raised(api, owner, "Hall 1", ["high"])
    look(api)
    assert queued(owner) == [("on_call.alarm", kim), ("on_call.flood", kim)], "what was not sent is said by the flood"
    assert ended(owner, before) == {"told with its flood"}
    owner.execute("UPDATE escalations SET next_at = now()")
    look(api, times=2)
    assert queued(owner)[2:] == [("chain.flood", lee)]


@pytest.mark.parametrize("how", ["acknowledged", "returned"])
def test_it_is_taken_with_one_of_its_alarms_or_over_with_all_of_them(
    api: RunningApi, owner: Any, told: tuple[str, str], how: str
) -> None:
    alarms = raised(api, owner, "Hall 1", ["high"] * 6)
    look(api)
    if how == "acknowledged":
        ok(api.client(Role.ENGINEER).post(f"/api/v1/alarms/{alarms[4]}/acknowledge", json={"note": "I go"}))
    else:
        owner.execute("UPDATE alarms SET state = 'returned_unacknowledged' WHERE id = ANY(%s)", [alarms[1:]])
        look(api)
        assert owner.execute("SELECT count(*) FROM escalations WHERE ended_at IS NULL").fetchall() == [(1,)]
        owner.execute("UPDATE alarms SET state = 'returned_unacknowledged' WHERE id = %s", [alarms[0]])
    owner.execute("UPDATE escalations SET next_at = now()")
    look(api)
    because = {"acknowledged": "one of its alarms was taken", "returned": "its alarms are over"}[how]
    assert owner.execute("SELECT ended_because FROM escalations WHERE alarm_id IS NULL").fetchall() == [(because,)]
    raised(api, owner, "Hall 1", ["high"])
    look(api)
    assert ("chain.flood", told[1]) not in queued(owner)
    assert len(queued(owner)) == 0, "what had not been sent yet is not needed any more"


def test_tickets_of_its_alarms_are_told_with_it_unless_they_are_worse(
    api: RunningApi, owner: Any, told: tuple[str, str]
) -> None:
    ok(
        api.client(Role.MANAGER).put(
            "/api/v1/on-call/chain", json={"tickets_from": "high", "steps": [{"whom": "on_call"}], "rounds": 1}
        )
    )
    alarms = raised(api, owner, "Hall 1", ["high"] * 6)
    look(api)
    opened = {}
    for alarm, priority in zip(alarms, ("high", "urgent"), strict=False):
        device = ok(api.client().get(f"/api/v1/alarms/{alarm}"))["device"]
        event = alarm_event(device, occurrence_id=str(alarm))
        opened[priority] = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=event), 201)["id"]
        owner.execute("UPDATE tickets SET priority = %s WHERE id = %s", [priority, opened[priority]])
        owner.execute(
            "INSERT INTO escalations (tenant, ticket_id) VALUES ('demo', %s) ON CONFLICT DO NOTHING", [opened[priority]]
        )
    look(api)
    because = dict(owner.execute("SELECT ticket_id::text, ended_because FROM escalations WHERE ticket_id IS NOT NULL"))
    assert because == {opened["high"]: "told with its flood", opened["urgent"]: ""}
    assert queued(owner) == [("on_call.flood", told[0]), ("on_call.ticket", told[0])]


DIES = """
from notify.channels import messenger
messenger.escalations.move = die
messenger.Messenger(sys.argv[1], sys.argv[2]).run()
"""


def test_killed_between_gathering_and_telling_it_tells_once_and_forgets_no_alarm(
    api: RunningApi, owner: Any, told: tuple[str, str]
) -> None:
    alarms = raised(api, owner, "Hall 1", ["high"] * 7)
    dies(DIES, api.database.url("notify"), SECRET)
    assert (queued(owner), ended(owner, alarms)) == ([], {""})
    look(api, times=2)
    assert queued(owner) == [("on_call.flood", told[0])]
    assert ended(owner, alarms) == {"told with its flood"}
