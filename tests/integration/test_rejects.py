"""Rejects: kept, looked at, put right and played again, and forgotten; the ledger adds up all along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ingesting import Device, now_ms, running, until_settled, until_stored
from servers import Database, RunningBroker
from serving import ok, refused, served
from waiting import until

from alarms.roles import Role
from ingest.broker.mqtt import IN_ORDER, OURS, MqttSource
from ingest.decoding import Decoded
from ingest.intake import Intake
from ingest.loop import Ingest
from ingest.mapping import Mappings
from ingest.replays import TOGETHER
from store import ledger, rejects, replays
from store.connection import Session, act_for, connect
from store.rejects import BEGINNING_BYTES, HEAD_BYTES, WHOLE_BYTES, Refusal, Reject, Room, Which
from telemetry import microseconds

WRONG = [{"topic": "plant/{device}", "tenant": "demo", "points": [{"at": "flw"}]}]
RIGHT = [{"topic": "plant/{device}", "tenant": "demo", "time": "ts", "points": [{"at": "flow", "unit": "l/min"}]}]
UNDATED = [
    {"topic": "plant/{device}", "tenant": "demo", "points": [{"at": "flow"}, {"at": "oil", "values": {"low": 1}}]}
]
HALF = [{"topic": "plant/{device}", "tenant": "demo", "points": [{"at": "flow"}, {"at": "oil"}]}]


@contextmanager
def ingesting(
    database: Database, broker: RunningBroker, mappings: list[dict[str, Any]] | None = None
) -> Iterator[Ingest]:
    """Ingest until the block ends, with these mappings."""
    known = Mappings.from_settings(mappings or [])
    source = MqttSource(broker.of("bellwether"), "bellwether-ingest", [*OURS, *known.filters()], IN_ORDER)
    ingest = Ingest(source, database.url("ingest"), mappings=known)
    with running(source, ingest):
        yield ingest


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks for what is to be played at every turn."""
    monkeypatch.setattr("ingest.replays.LOOK_EVERY_S", 0.0)


@pytest.fixture
def owner(database: Database) -> Iterator[Session]:
    with database.owner() as conn:
        yield conn


class Killed(BaseException):
    """What nothing catches."""


class Fleet(Device):
    """Publishes on any topic."""

    def __init__(self, broker: RunningBroker) -> None:
        super().__init__(broker, user="operator")


def rows(owner: Session, query: str) -> list[tuple[Any, ...]]:
    return owner.execute(query).fetchall()  # type: ignore[arg-type]  # queries of this file


def played(owner: Session) -> list[tuple[str, str | None]]:
    """Reason and outcome of every reject, once nothing waits to be played."""
    until(lambda: not replays.waiting(owner))
    return rows(owner, "SELECT reason, outcome FROM rejects ORDER BY id")


def adds_up(database: Database, owner: Session) -> dict[str, int]:
    """The ledger agrees with the tables; its figures."""
    until_settled(database)
    assert not ledger.verify(owner)[1]
    names = ("messages", "messages_stored", "messages_rejected", "stored", "rejected", "played")
    (row,) = rows(owner, f"SELECT {', '.join(f'sum({name})::int' for name in names)} FROM ledger")  # noqa: S608
    return dict(zip(names, row, strict=True))


def test_a_mapping_put_right_brings_back_what_it_had_missed(
    database: Database, broker: RunningBroker, owner: Session
) -> None:
    ts = now_ms() - 60_000
    with ingesting(database, broker, WRONG), Fleet(broker) as fleet:
        for number in range(5):
            fleet.send({"ts": ts + number * 1000, "flow": 100 + number}, topic="plant/pump")
        until(lambda: len(rows(owner, "SELECT FROM rejects")) == 5)
        before = adds_up(database, owner)
    assert before == {
        "messages": 5,
        "messages_stored": 0,
        "messages_rejected": 5,
        "stored": 0,
        "rejected": 5,
        "played": 0,
    }
    assert replays.ask_of_all(owner, Which(device="pump"), limit=1000, who="test") == 5
    assert replays.ask_of_all(owner, Which(device="pump"), limit=1000, who="test") == 5
    assert replays.waiting(owner) == 5, "asked twice is asked once"
    with ingesting(database, broker, RIGHT):
        assert {outcome for _, outcome in played(owner)} == {"stored"}
        after = adds_up(database, owner)
        assert after == {**before, "stored": 5, "played": 5}
        assert rows(owner, "SELECT extract(epoch FROM time) * 1000, value FROM readings ORDER BY 1") == [
            (ts + number * 1000, pytest.approx((100 + number) * 0.06)) for number in range(5)
        ]
        # What is stored is not asked for again; were it played all the same, nothing would come of it.
        assert replays.ask_of_all(owner, Which(), limit=1000, who="test") == 0
        owner.execute("INSERT INTO replays (reject, at, tenant, asked_by) SELECT id, at, tenant, 'test' FROM rejects")
        assert {outcome for _, outcome in played(owner)} == {"duplicate"}
        assert adds_up(database, owner) == after


def test_a_message_without_a_time_is_played_at_the_time_of_its_arrival_and_once(
    database: Database, broker: RunningBroker, owner: Session
) -> None:
    with ingesting(database, broker, HALF), Fleet(broker) as fleet:
        fleet.send({"flow": 7, "oil": "low"}, topic="plant/pump")
        until_stored(database, 1)
        until(lambda: rows(owner, "SELECT FROM rejects"))
    ((stored_at,),) = rows(owner, "SELECT time FROM readings")
    replays.ask_of_all(owner, Which(), limit=1000, who="test")
    with ingesting(database, broker, UNDATED):
        assert [outcome for _, outcome in played(owner)] == ["stored"]
        until_stored(database, 2)
        figures = adds_up(database, owner)
    assert rows(owner, "SELECT DISTINCT time FROM readings") == [(stored_at,)], "the flow is not stored twice"
    assert (figures["played"], figures["messages_stored"], figures["stored"]) == (0, 1, 2)


def test_what_is_refused_again_says_why_part_by_part(database: Database, broker: RunningBroker, owner: Session) -> None:
    ts = now_ms() - 60_000
    with ingesting(database, broker), Device(broker) as pump:
        pump.send({"ts": ts, "flow": "x", "level": "y", "speed": 1}, b"{", topic=None)
        until(lambda: len(rows(owner, "SELECT FROM rejects")) == 3)
        assert replays.ask_of_all(owner, Which(), limit=1000, who="test") == 2, "messages, not parts"
        assert played(owner) == [
            ("flow: a text is no number", "rejected again: flow: a text is no number"),
            ("level: a text is no number", "rejected again: level: a text is no number"),
            *[(reason, f"rejected again: {reason}") for (reason,) in rows(owner, "SELECT max(reason) FROM rejects")],
        ]
        assert replays.ask_of_all(owner, Which(), limit=1000, who="test") == 2, "another mapping may come"
        played(owner)
        figures = adds_up(database, owner)
    assert (figures["stored"], figures["rejected"], figures["played"]) == (1, 3, 0)


def test_playing_is_stopped_and_goes_on(
    database: Database, broker: RunningBroker, owner: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ts = now_ms() - 600_000
    with ingesting(database, broker, WRONG), Fleet(broker) as fleet:
        fleet.begin(({"ts": ts + number, "flow": number} for number in range(300)), topic="plant/pump")
        fleet.finish()
        until(lambda: len(rows(owner, "SELECT FROM rejects")) == 300)
    replays.ask_of_all(owner, Which(), limit=1000, who="test")
    real, count = Intake.append_played, 0

    def dying(self: Intake, conn: Session, replays: list[rejects.Replay]) -> Any:
        nonlocal count
        count += 1
        result = real(self, conn, replays)
        if count == 3:
            raise Killed("before the commit")
        return result

    monkeypatch.setattr(Intake, "append_played", dying)
    with pytest.raises(Killed, match="before the commit"), ingesting(database, broker, RIGHT) as ingest:  # noqa: PT012
        until(lambda: count >= 3)
        until(lambda: ingest._database._conn is None)
    assert replays.waiting(owner) == 300 - 2 * TOGETHER
    with ingesting(database, broker, RIGHT):
        assert {outcome for _, outcome in played(owner)} == {"stored"}
        figures = adds_up(database, owner)
    assert (figures["stored"], figures["played"], figures["messages"]) == (300, 300, 300)


def test_a_mistake_of_ours_in_playing_costs_one_message_and_stops_nothing(
    database: Database, broker: RunningBroker, owner: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be played is asked for no more: it would be tried again for ever."""
    ts = now_ms() - 600_000
    with ingesting(database, broker, WRONG), Fleet(broker) as fleet:
        fleet.send(*({"ts": ts + number, "flow": number} for number in range(20)), topic="plant/pump")
        until(lambda: len(rows(owner, "SELECT FROM rejects")) == 20)
    before = adds_up(database, owner)
    keep = Intake._keep

    def mistaken(self: Intake, conn: Session, decoded: Decoded, arrived_us: int) -> Any:
        if any(value == pytest.approx(13 * 0.06) for value in decoded.batch.value):
            raise KeyError("thirteen")
        return keep(self, conn, decoded, arrived_us)

    monkeypatch.setattr(Intake, "_keep", mistaken)
    replays.ask_of_all(owner, Which(), limit=1000, who="test")
    with ingesting(database, broker, RIGHT), Device(broker) as pump:
        assert [outcome for _, outcome in played(owner)] == [
            "rejected again: could not be stored: KeyError: 'thirteen'" if number == 13 else "stored"
            for number in range(20)
        ]
        assert adds_up(database, owner) == {**before, "stored": 19, "played": 19}
        pump.send({"ts": ts, "flow": 1})
        until_stored(database, 20)


def test_nobodys_are_seen_and_played_by_the_owner_alone(
    database: Database, broker: RunningBroker, owner: Session
) -> None:
    with ingesting(database, broker), Device(broker, tenant="newcomer") as pump:
        pump.send({"ts": now_ms() - 1000, "flow": 1})
        until(lambda: rows(owner, "SELECT FROM rejects"))
    with connect(database.url("api"), "test") as conn:
        act_for(conn, "demo")
        assert not rejects.page(conn, Which(), limit=10)
        assert replays.ask(conn, Which(), limit=10, who="test") == 0
    (kept,) = rejects.page_of_all(owner, Which(tenant=""), 10)
    assert (kept.tenant, kept.reason, kept.whole) == (None, "no such tenant", True)
    owner.execute("INSERT INTO tenants (id, name) VALUES ('newcomer', 'Newcomer')")
    assert replays.ask_of_all(owner, Which(ids=[kept.id]), limit=1, who="test") == 1
    with ingesting(database, broker):
        assert [outcome for _, outcome in played(owner)] == ["stored"]
        figures = adds_up(database, owner)
    assert (figures["stored"], figures["played"]) == (1, 1)


# Keeping and forgetting -----------------------------------------------------------------------------------------------

REJECT = Reject("t", b"x", "bad", "demo", "pump")


def kept(database: Database, refusals: list[Refusal], room: Room, at: datetime | None = None) -> list[tuple[Any, ...]]:
    with connect(database.url("ingest"), "test") as conn:
        rejects.add(conn, refusals, microseconds(at or datetime.now(UTC)), room)
    with database.owner() as conn:
        return rows(
            conn, "SELECT octet_length(payload), bytes, whole, message = min(id) OVER () FROM rejects ORDER BY id"
        )


def refusal(payload: bytes, message: int = 0, **changes: Any) -> Refusal:
    return Refusal(
        replace(REJECT, payload=payload, **changes), message, "application/json", 1_782_907_200_000_000, True
    )


def test_a_message_is_kept_once_and_whole_unless_it_is_too_long(database: Database) -> None:
    whole, long = b"w" * WHOLE_BYTES, b"l" * (WHOLE_BYTES + 1)
    assert kept(database, [refusal(whole), refusal(whole), refusal(long, 1)], Room()) == [
        (WHOLE_BYTES, WHOLE_BYTES, True, None),
        (HEAD_BYTES, WHOLE_BYTES, True, True),
        (BEGINNING_BYTES, WHOLE_BYTES + 1, False, None),
    ]


def test_a_flood_fills_no_disk_and_each_tenant_has_its_own_room(database: Database) -> None:
    room = Room(10_000)
    flood = [refusal(b"x" * 1000, number) for number in range(50)]
    found = kept(database, [*flood, refusal(b"y" * 1000, 99, tenant="other")], room)
    assert [size for size, *_ in found] == [1000] * 10 + [HEAD_BYTES] * 40 + [1000]
    assert [whole for _, _, whole, _ in found] == [True] * 10 + [False] * 40 + [True]
    later = datetime.now(UTC) + timedelta(hours=1)
    assert kept(database, [refusal(b"x" * 1000)], room, later)[-1][0] == 1000, "a new hour"


def test_what_is_over_is_forgotten_and_the_ledger_knows(database: Database, owner: Session) -> None:
    now = datetime.now(UTC)
    for days, tenant in ((1, "demo"), (8, "demo"), (40, "demo"), (8, "other"), (40, "other"), (29, None), (31, None)):
        device = None if tenant is None else "pump"
        kept(database, [refusal(b"x", tenant=tenant, device=device)], Room(), now - timedelta(days=days))
        owner.execute(
            "INSERT INTO ledger (tenant, device, hour, messages, messages_rejected, rejected)"
            " VALUES (%s, %s, %s, 1, 1, 1)",
            [tenant or "", device or "", now - timedelta(days=days)],
        )
    owner.execute("INSERT INTO retention (tenant, class, keep_days, changed_by) VALUES ('demo', 'rejects', 7, 'test')")
    assert not ledger.verify(owner)[1]
    with connect(database.url("notify"), "test") as conn:
        assert rejects.forget(conn) == 4
        conn.commit()
        assert rejects.forget(conn) == 0
    assert rows(owner, "SELECT tenant, now() - at > INTERVAL '7 days' FROM rejects ORDER BY at") == [
        (None, True),
        ("other", True),
        ("demo", False),
    ]
    assert not ledger.verify(owner)[1], "what was forgotten is noted"
    assert rejects.forget(owner, days=1) == 3
    assert not ledger.verify(owner)[1]


def test_ingest_and_the_api_can_do_no_more_than_they_must(database: Database) -> None:
    for role, statement in (
        ("ingest", "UPDATE rejects SET payload = ''"),
        ("ingest", "DELETE FROM rejects"),
        ("api", "SELECT FROM rejects"),
        ("api", "DELETE FROM replays"),
        ("api", "SELECT forget_rejects()"),
        ("ingest", "SELECT forget_rejects(1)"),
    ):
        with connect(database.url(role), "test") as conn, pytest.raises(Exception, match="permission denied"):
            conn.execute(statement)  # type: ignore[arg-type]


# Over HTTP and from the command line ----------------------------------------------------------------------------------


@pytest.fixture
def some(database: Database) -> datetime:
    """Three rejects of a minute ago: two of one message, one of another device."""
    at = datetime.now(UTC) - timedelta(minutes=1)
    whole = b'{"flow": "x", "oil": "y"}'
    others = refusal(b"{", 1, device="press", reason="not JSON: x")
    kept(database, [refusal(whole), refusal(whole, reason="worse"), others], Room(), at)
    return at


def test_the_api_shows_them_and_has_them_played(database: Database, owner: Session, some: datetime) -> None:
    with served(database) as api:
        engineer = api.client(Role.ENGINEER)

        def reasons(**params: Any) -> list[str]:
            return [one["reason"] for one in ok(engineer.get("/api/v1/rejects", params=params))["items"]]

        assert reasons() == ["not JSON: x", "worse", "bad"]
        assert reasons(device="pump") == ["worse", "bad"]
        assert reasons(reason="JSON") == ["not JSON: x"]
        assert reasons(**{"from": datetime.now(UTC).isoformat()}) == []
        assert reasons(to=some.isoformat()) == []
        page = ok(engineer.get("/api/v1/rejects", params={"limit": 2}))
        assert reasons(limit=2, cursor=page["next"]) == ["bad"]
        first = ok(engineer.get("/api/v1/rejects", params={"device": "pump"}))["items"][-1]
        assert (first["playable"], first["outcome"], first["payload"]) == (True, None, '{"flow": "x", "oil": "y"}')
        assert ok(engineer.get(f"/api/v1/rejects/{first['id']}")) == first
        refused(engineer.get("/api/v1/rejects/999999"), 404)
        asked = {"json": {"device": "pump"}, "headers": {"Idempotency-Key": "once"}}
        assert ok(engineer.post("/api/v1/rejects/replay", **asked), 202) == {"messages": 1}
        assert ok(engineer.post("/api/v1/rejects/replay", **asked), 202) == {"messages": 1}
        assert rows(owner, "SELECT reject, tenant, asked_by FROM replays") == [(first["id"], "demo", "a-engineer")]
        others = api.client(Role.ADMINISTRATOR, "other")
        assert ok(others.post("/api/v1/rejects/replay", json={"ids": [first["id"]]}), 202) == {"messages": 0}
        refused(engineer.post("/api/v1/rejects/replay", json={"ids": [0]}), 422)


def test_the_command_line_lists_shows_plays_and_purges(database: Database, owner: Session, some: datetime) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "bellwether", "rejects", *arguments],
            env={**os.environ, "BELLWETHER_DATABASE_URL": database.owner_url},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    code, _, lines = run("list", "--device", "pump", "--since", "1h")
    assert code == 0
    assert [line.split("t: ")[-1] for line in lines.splitlines()] == ["worse", "bad"]
    code, out, _ = run("list", "--json", "--reason", "JSON")
    (one,) = json.loads(out)
    assert json.loads(run("show", str(one["id"]))[1]) == one
    assert run("show", "999999")[0] == 1
    assert run("play")[0] == 2
    assert run("play", "--since", "yesterday")[0] == 2
    assert run("play", "--device", "pump", "--no-wait")[2].startswith("1 messages will be played")
    assert replays.waiting(owner) == 1
    assert run("purge", "--days", "1")[2].startswith("0 rejects forgotten")


def test_the_page_has_them_played_by_who_may(database: Database, owner: Session, some: datetime) -> None:
    with served(database) as api:
        for role, status in (
            (Role.ENGINEER, 200),
            (Role.ADMINISTRATOR, 200),
            (Role.DISPATCHER, 403),
            (Role.OWNER, 403),
        ):
            client = api.client(role)
            seen = client.get("/intake")
            assert seen.status_code == 200
            assert ("Play again" in seen.text) is (status == 200), role
            assert client.post("/intake/play", data={"reason": "bad"}).status_code == status, role
    assert replays.waiting(owner) == 1
