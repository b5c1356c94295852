"""The audit log: acts in the transaction of what was done, a chain that shows tampering, and who may see it.

Tampering is done as the database's owner with the guards switched off: nobody else can.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors
from servers import Database
from serving import JSON, RunningApi, ok, refused
from typer.testing import CliRunner
from waiting import until

from alarms.roles import Role
from api.access.auth import network_of
from bellwether.audit import chains_finding
from bellwether.cli import app
from notify.sealing import Sealing
from store import audit, retention
from store.audit import GENESIS, Verified, hash_of, verification
from store.connection import Actor, Session, act_for, connect

ROOT = Path(__file__).parents[2]
DEVICES = 12
UNGUARDED = "SET session_replication_role = replica"


@pytest.fixture
def owner(database: Database) -> Iterator[Session]:
    with connect(database.owner_url, "test") as conn:
        conn.autocommit = True
        yield conn


@pytest.fixture(scope="module")
def sealed_database(module_database: Database) -> Database:
    with module_database.owner() as conn:
        conn.execute(
            "INSERT INTO devices (tenant, device) SELECT 'demo', 'pump-' || n FROM generate_series(1, %s) n", [DEVICES]
        )
        seal(conn)
    return module_database


@pytest.fixture
def chain(sealed_database: Database) -> Iterator[Session]:
    """A sealed chain of the tenant `demo`: itself, and a dozen devices. What is done to it is taken back."""
    with connect(sealed_database.owner_url, "test") as conn:
        yield conn
        conn.rollback()


def seal(conn: Session) -> int:
    with conn.transaction():
        return audit.seal(conn, 10_000)


def verified(conn: Session, tenant: str = "demo", head: bytes | None = None, **more: Any) -> Verified:
    with conn.transaction():
        return audit.verify(conn, tenant, head, **more)


def tamper(conn: Session, *statements: str) -> None:
    """As the owner, past the triggers."""
    conn.execute(UNGUARDED)
    for statement in statements:
        conn.execute(statement.encode())
    conn.execute("RESET session_replication_role")


def what(conn: Session, **more: Any) -> tuple[int, str] | None:
    wrong = verified(conn, **more).wrong
    return None if wrong is None else (wrong.seq, wrong.what)


# The chain ------------------------------------------------------------------------------------------------------------


def test_a_chain_that_nobody_touched_is_right(chain: Session) -> None:
    found = verified(chain)
    assert (found.wrong, found.begin.seq, found.head.seq, found.unsealed) == (None, 0, DEVICES + 1, 0)
    assert verified(chain, head=found.head.hash).wrong is None
    chain.execute("UPDATE devices SET site = 'north'")
    assert verified(chain).unsealed == DEVICES
    seal(chain)
    grown = verified(chain, head=found.head.hash)
    assert (grown.wrong, grown.head.seq) == (None, 2 * DEVICES + 1), "a hash that was once the head stays in the chain"


TAMPERINGS = {
    "a field": (["UPDATE audit_acts SET subject = 'pump-9' WHERE tenant = 'demo' AND seq = 5"], (5, "changed")),
    "who": (["UPDATE audit_acts SET actor = 'nobody' WHERE tenant = 'demo' AND seq = 1"], (1, "changed")),
    "when": (["UPDATE audit_acts SET at = at - interval '1 us' WHERE tenant = 'demo' AND seq = 13"], (13, "changed")),
    "a space in the changes": (
        ["UPDATE audit_acts SET changes = changes || ' ' WHERE tenant = 'demo' AND seq = 5"],
        (5, "changed"),
    ),
    "a hash": (["UPDATE audit_acts SET hash = sha256('x') WHERE tenant = 'demo' AND seq = 5"], (5, "changed")),
    "whose": (["UPDATE audit_acts SET tenant = 'other', seq = 99 WHERE tenant = 'demo' AND seq = 5"], (5, "missing")),
    "a row gone": (["DELETE FROM audit_acts WHERE tenant = 'demo' AND seq = 5"], (5, "missing")),
    "a row gone, and the gap closed": (
        [
            "DELETE FROM audit_acts WHERE tenant = 'demo' AND seq = 5",
            "UPDATE audit_acts SET seq = -seq WHERE tenant = 'demo' AND seq > 5",
            "UPDATE audit_acts SET seq = -seq - 1 WHERE tenant = 'demo' AND seq < 0",
        ],
        (5, "missing"),
    ),
    "a row put in": (
        [
            "UPDATE audit_acts SET seq = -seq WHERE tenant = 'demo' AND seq > 4",
            "UPDATE audit_acts SET seq = -seq + 1 WHERE tenant = 'demo' AND seq < 0",
            "INSERT INTO audit_acts SELECT 999, tenant, at, actor, role, network, via, route, resource, 'pump-99',"
            " action, changes, 5, sha256('x') FROM audit_acts WHERE tenant = 'demo' AND seq = 4",
        ],
        (5, "inserted"),
    ),
    "two that changed places": (
        [
            "UPDATE audit_acts SET seq = -5 WHERE tenant = 'demo' AND seq = 5",
            "UPDATE audit_acts SET seq = 5 WHERE tenant = 'demo' AND seq = 6",
            "UPDATE audit_acts SET seq = 6 WHERE tenant = 'demo' AND seq = -5",
        ],
        (5, "reordered"),
    ),
    "one that was moved far": (
        [
            "UPDATE audit_acts SET seq = -5 WHERE tenant = 'demo' AND seq = 5",
            "UPDATE audit_acts SET seq = 5 WHERE tenant = 'demo' AND seq = 11",
            "UPDATE audit_acts SET seq = 11 WHERE tenant = 'demo' AND seq = -5",
        ],
        (5, "reordered"),
    ),
    "the beginning gone": (["DELETE FROM audit_acts WHERE tenant = 'demo' AND seq < 4"], (1, "missing")),
    "the beginning gone, with an anchor made up": (
        [
            "INSERT INTO audit_anchors (tenant, seq, hash) SELECT tenant, seq, hash FROM audit_acts"
            " WHERE tenant = 'demo' AND seq = 3",
            "DELETE FROM audit_acts WHERE tenant = 'demo' AND seq < 4",
        ],
        (4, "anchor"),
    ),
}


@pytest.mark.parametrize("how", TAMPERINGS)
def test_the_first_row_that_was_tampered_with_is_named(chain: Session, how: str) -> None:
    statements, wrong = TAMPERINGS[how]
    tamper(chain, *statements)
    assert what(chain) == wrong
    if how != "whose":
        assert verified(chain, "other").wrong is None, "every chain stands for itself"


def test_the_end_alone_is_looked_at_where_the_whole_would_take_long(chain: Session) -> None:
    head = DEVICES + 1
    assert audit.verify_end(chain, "demo", 5) == (5, None)
    assert audit.verify_end(chain, "demo", 1000) == (head, None)
    assert audit.verify_end(chain, "nobody", 5) == (0, None)
    for seq, most, found in ((head - 2, 5, "changed"), (head - 2, 2, None), (1, 1000, "changed"), (1, 5, None)):
        with chain.transaction(force_rollback=True):
            tamper(chain, f"UPDATE audit_acts SET subject = 'pump-9' WHERE tenant = 'demo' AND seq = {seq}")  # noqa: S608
            wrong = audit.verify_end(chain, "demo", most)[1]
            assert (wrong and wrong.what) == found
    for seq in (head - 5, head - 2, 1):
        with chain.transaction(force_rollback=True):
            tamper(chain, f"DELETE FROM audit_acts WHERE tenant = 'demo' AND seq = {seq}")  # noqa: S608
            wrong = audit.verify_end(chain, "demo", 5 if seq > 1 else 1000)[1]
            assert wrong is not None
            assert (wrong.what, wrong.seq) == ("missing", seq)


def test_the_doctor_says_how_the_chains_end(chain: Session) -> None:
    found = chains_finding(chain)
    assert found is not None
    assert found.verdict == "ok"
    tamper(chain, "UPDATE audit_acts SET subject = 'pump-9' WHERE tenant = 'demo' AND seq = 5")
    found = chains_finding(chain)
    assert found is not None
    assert (found.verdict, "demo, changed" in found.found) == ("failed", True)
    assert "bellwether audit verify" in found.remedy


def test_an_end_that_was_cut_off_is_found_against_a_head_that_was_kept(chain: Session) -> None:
    head = verified(chain).head.hash
    tamper(chain, "DELETE FROM audit_acts WHERE tenant = 'demo' AND seq > 9")
    assert what(chain) is None, "what is left is a chain"
    assert what(chain, head=head) == (10, "cut")


def test_a_chain_hashed_anew_is_found_against_a_head_that_was_kept(chain: Session) -> None:
    head = verified(chain).head.hash
    tamper(chain, "UPDATE audit_acts SET actor = 'nobody' WHERE tenant = 'demo' AND seq = 5")
    hash_anew(chain)
    assert what(chain) is None, "the owner of the database can do that"
    assert what(chain, head=head) == (DEVICES + 2, "cut")


def test_what_waits_long_for_its_seal_is_wrong(chain: Session) -> None:
    chain.execute("UPDATE devices SET site = 'north' WHERE device = 'pump-1'")
    now = datetime.now(UTC)
    assert what(chain, now=now + timedelta(minutes=9)) is None
    assert what(chain, now=now + timedelta(minutes=11)) == (DEVICES + 2, "unsealed")


def test_no_role_changes_or_removes_an_act(sealed_database: Database, chain: Session) -> None:
    statements = (
        "UPDATE audit_acts SET actor = 'nobody'",
        "UPDATE audit_acts SET hash = ''",
        "UPDATE audit_acts SET seq = seq + 100",
        "DELETE FROM audit_acts",
        "TRUNCATE audit_acts CASCADE",
        "INSERT INTO audit_acts (tenant, at, actor, role, network, via, route, resource, subject, action, changes)"
        " VALUES ('demo', now(), 'user:x', '', '', '', '', 'user', '', 'created', '{}')",
        "SELECT write_act('demo', 'user', 'x', 'created', '{}')",
        "UPDATE audit_salts SET salt = ''",
        "DELETE FROM audit_anchors",
        "INSERT INTO audit_anchors VALUES ('demo', 3, '')",
    )
    for role in ("api", "ingest", "notify"):
        with psycopg.connect(sealed_database.url(role), autocommit=True) as conn:
            conn.execute("SELECT set_config('bellwether.tenant', 'demo', false)")
            for statement in statements:
                with pytest.raises(errors.InsufficientPrivilege):
                    conn.execute(statement.encode())
    for statement in statements[:5]:  # the owner has to switch the guard off
        with pytest.raises(errors.InsufficientPrivilege, match="only added to"), chain.transaction():
            chain.execute(statement.encode())
    assert what(chain) is None


def test_the_api_notes_only_what_leaves_no_row(sealed_database: Database) -> None:
    with psycopg.connect(sealed_database.url("api")) as conn:
        act_for(conn, "demo")
        with pytest.raises(errors.RaiseException):
            audit.note(conn, "user", "x", "created")


# Who writes, who seals ------------------------------------------------------------------------------------------------


def test_an_act_that_is_rolled_back_leaves_no_row(owner: Session) -> None:
    with owner.transaction() as done:
        owner.execute("INSERT INTO devices (tenant, device) VALUES ('demo', 'pump-1')")
        raise psycopg.Rollback(done)
    assert owner.execute("SELECT count(*) FROM audit_acts WHERE resource = 'device'").fetchall() == [(0,)]


def test_one_that_commits_late_is_sealed_late_and_holds_up_nobody(database: Database, owner: Session) -> None:
    with connect(database.owner_url, "late") as late:
        late.execute("INSERT INTO devices (tenant, device) VALUES ('demo', 'first')")
        owner.execute("INSERT INTO devices (tenant, device) VALUES ('demo', 'second')")
        assert seal(owner) == 3
    assert seal(owner) == 1
    order = owner.execute("SELECT subject FROM audit_acts WHERE resource = 'device' ORDER BY seq").fetchall()
    assert order == [("second",), ("first",)]
    assert what(owner) is None


SEALER = """
import sys, threading
from notify.sealing import Sealing
from store.connection import connect
sealing = Sealing(sys.argv[1])
with connect(sys.argv[1], "sealing") as conn:
    conn.autocommit = True
    print("awake", flush=True)
    while True:
        sealing.round(conn)
"""


@contextmanager
def sealer(database: Database) -> Iterator[subprocess.Popen[bytes]]:
    """Seals without a rest, in a process of its own."""
    command = [sys.executable, "-c", SEALER, database.url("notify")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == b"awake\n"
            yield running
        finally:
            running.kill()


def test_twenty_writers_two_sealers_and_kills_leave_every_act_once(database: Database, owner: Session) -> None:
    """Sealers are killed at whatever they are doing; a hundred acts each are written meanwhile by twenty."""
    acts_each, writers = 50, 20

    def write(number: int) -> None:
        with psycopg.connect(database.url("api"), autocommit=True) as conn:
            for version in range(1, acts_each + 1):
                with conn.transaction():
                    act_for(conn, "demo" if number % 2 else "other", Actor(f"user:{number}", "manager"))
                    conn.execute(
                        "INSERT INTO rules (tenant, id, version, rule, created_by)"
                        " VALUES (current_setting('bellwether.tenant'), %s, %s, '{}', 'x')",
                        [f"rule-{number}", version],
                    )

    with sealer(database) as one, sealer(database) as another, ThreadPoolExecutor(writers) as threads:
        writing = [threads.submit(write, number) for number in range(writers)]
        until(lambda: sealed(owner) > 100)
        one.kill()
        for each in writing:
            each.result()
        another.kill()
    until(lambda: seal(owner) == 0 and unsealed(owner) == 0)  # the server may not have noticed yet that they are dead
    for tenant in ("demo", "other"):
        found = verified(owner, tenant)
        assert (found.wrong, found.head.seq) == (None, writers // 2 * acts_each + 1)
    for number in range(writers):
        in_order = owner.execute(
            "SELECT (changes::jsonb ->> 'version')::int FROM audit_acts WHERE actor = %s ORDER BY seq",
            [f"user:{number}"],
        ).fetchall()
        assert in_order == [(version,) for version in range(1, acts_each + 1)]


def sealed(conn: Session) -> int:
    return int(conn.execute("SELECT count(*) FROM audit_acts WHERE seq IS NOT NULL").fetchall()[0][0])


def unsealed(conn: Session) -> int:
    return int(conn.execute("SELECT count(*) FROM audit_acts WHERE seq IS NULL").fetchall()[0][0])


def test_notify_seals_and_says_the_heads(database: Database, owner: Session, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="bellwether.notify.sealing")
    sealing = Sealing(database.url("notify"))
    thread = threading.Thread(target=sealing.run)
    thread.start()
    try:
        until(lambda: unsealed(owner) == 0)
        owner.execute("INSERT INTO devices (tenant, device) VALUES ('demo', 'pump-1')")
        until(lambda: unsealed(owner) == 0)
        until(lambda: len(caplog.records) >= 2)
    finally:
        sealing.stop()
        thread.join(30)
    assert not thread.is_alive()
    said = {record.__dict__["hash"] for record in caplog.records}
    assert {verified(owner, "other").head.hash.hex()} <= said


def hash_anew(conn: Session) -> None:
    """As somebody could who owns the database."""
    begin, links = verification.links(conn, "demo")
    at = begin.hash
    for link in list(links):
        at = hash_of(at, link)
        conn.execute(UNGUARDED)
        conn.execute("UPDATE audit_acts SET hash = %s WHERE id = %s", [at, link.id])
        conn.execute("RESET session_replication_role")


def test_the_beginning_is_cut_when_its_time_is_over_and_the_rest_still_verified(
    database: Database, owner: Session
) -> None:
    owner.execute("INSERT INTO devices (tenant, device) SELECT 'demo', 'pump-' || n FROM generate_series(1, 9) n")
    seal(owner)
    with owner.transaction():
        tamper(owner, "UPDATE audit_acts SET at = at - interval '91 days' WHERE seq <= 5")
        hash_anew(owner)
    with psycopg.connect(database.url("notify"), autocommit=True) as notify:
        assert retention.cut_audit(notify, 100) == 0, "kept for good where nothing is said"
        with owner.transaction():
            retention.keep(owner, "demo", {"audit": 90}, "kim")
        assert [retention.cut_audit(notify, 3) for _ in range(3)] == [3, 2, 0]
    seal(owner)
    found = verified(owner)
    assert (found.wrong, found.begin.seq) == (None, 5)
    tamper(owner, "UPDATE audit_anchors SET hash = sha256('x')")
    assert what(owner) == (6, "changed")


# Stories --------------------------------------------------------------------------------------------------------------


def a_ticket(api: RunningApi, tenant: str = "demo") -> JSON:
    device = api.plant.device(tenant)
    report = {"source": "person", "device": device, "title": "It leaks"}
    return ok(api.client(Role.DISPATCHER, tenant).post("/api/v1/tickets", json=report), 201)


STORIES = {
    "a note": ("UPDATE ticket_events SET note = 'all is well'", "changed"),
    "who": ("UPDATE ticket_events SET who = 'somebody else'", "changed"),
    "a state": ("UPDATE ticket_events SET to_state = 'closed'", "changed"),
    "an event gone": ("DELETE FROM ticket_events WHERE kind = 'comment'", "missing"),
    "an event put in": (
        "INSERT INTO ticket_events (ticket_id, tenant, kind, who) SELECT ticket_id, tenant, 'comment', 'me'"
        " FROM ticket_events LIMIT 1",
        "inserted",
    ),
    "an alarm's note": ("UPDATE alarm_events SET note = 'seen by all'", "changed"),
    "an alarm's event gone": ("DELETE FROM alarm_events", "missing"),
    "a salt": ("DELETE FROM audit_salts", "changed"),
}


@pytest.fixture(scope="module")
def stories(api: RunningApi) -> RunningApi:
    """A ticket of `other` with a comment, and an alarm that was acknowledged; sealed."""
    desk = api.client(Role.DISPATCHER, "other")
    note = {"note": "The seal is on order"}
    ok(desk.post(f"/api/v1/tickets/{a_ticket(api, 'other')['id']}/comments", json=note), 201)
    alarm = api.plant.alarm(api.plant.device("other"), "other")
    ok(desk.post(f"/api/v1/alarms/{alarm}/acknowledge", json={"note": "seen"}))
    with api.database.owner() as conn:
        seal(conn)
    return api


@pytest.mark.parametrize("how", STORIES)
def test_a_story_that_was_changed_is_found(stories: RunningApi, how: str) -> None:
    statement, how_wrong = STORIES[how]
    with connect(stories.database.owner_url, "test") as conn:
        assert verified(conn, "other").wrong is None
        tamper(conn, statement)
        wrong = verified(conn, "other").wrong
        conn.rollback()
    assert wrong is not None
    assert wrong.what == "event"
    assert how_wrong in wrong.reason


# Who may see it -------------------------------------------------------------------------------------------------------


def test_acts_are_read_page_by_page_and_filtered(own_api: RunningApi) -> None:
    administrator = own_api.client()
    for number in range(5):
        ok(administrator.put(f"/api/v1/rules/mine-{number}", json={"rule": RULE, "version": 0}))
    jo = {"login": "jo", "name": "Jo Novak", "role": "engineer", "password": "long enough, surely"}
    user = ok(administrator.post("/api/v1/users", json=jo), 201)
    seen: list[JSON] = []
    cursor: dict[str, str] = {}
    while True:
        page = ok(own_api.client(Role.MANAGER).get("/api/v1/audit", params={"limit": "3", **cursor}))
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    ids = [act["id"] for act in seen]
    assert ids == sorted(set(ids), reverse=True)
    (made,) = [act for act in seen if act["resource"] == "user"]
    assert (made["actor"], made["role"], made["subject"], made["whom"], made["action"]) == (
        "a-administrator",
        "administrator",
        user["id"],
        "jo",
        "created",
    )
    assert (made["route"], made["network"], made["via"]) == ("POST /api/v1/users", "127.0.0.0/24", "bellwether_api")
    assert made["changes"] == {
        "role": "engineer",
        "login": "not shown",
        "name": "not shown",
        "password_hash": "not shown",
    }

    def some(**params: str) -> list[JSON]:
        found: list[JSON] = ok(administrator.get("/api/v1/audit", params=params))["items"]
        return found

    assert {act["subject"] for act in some(resource="rule")} == {f"mine-{number}" for number in range(5)}
    assert [act["subject"] for act in some(resource="rule", subject="mine-3")] == ["mine-3"]
    own_api.client(None).post("/api/v1/token", json={"login": "jo", "password": "wrong"})
    ok(own_api.client(None).post("/api/v1/token", json={"login": "jo", "password": jo["password"]}))
    assert [act["action"] for act in some(who="jo")] == ["signed_in"]
    assert [act["actor"] for act in some(resource="session")] == [f"user:{user['id']}", "nobody"]
    assert some(to="2020-01-01T00:00:00Z") == []


def test_no_secret_and_no_name_is_in_a_row(own_api: RunningApi) -> None:
    administrator = own_api.client()
    jo = {"login": "jo.novak", "name": "Jo Novak", "role": "engineer", "password": "long enough, surely"}
    ok(administrator.post("/api/v1/users", json=jo), 201)
    key = ok(administrator.post("/api/v1/keys", json={"name": "CMMS", "role": "service"}), 201)["key"]
    own_api.client(None).post("/api/v1/token", json={"login": "hunter2hunter2", "password": "x"})
    ok(own_api.client(None).post("/api/v1/token", json={"login": "jo.novak", "password": jo["password"]}))
    ticket = a_ticket(own_api)
    ok(administrator.post(f"/api/v1/tickets/{ticket['id']}/assign", json={"assignee": "jo.novak", "note": "Jo Novak"}))
    with own_api.database.owner() as conn:
        text = json.dumps(conn.execute("SELECT array_agg(a::text) FROM audit_acts a").fetchall()[0][0])
        hashes = conn.execute("SELECT password_hash FROM users WHERE login = 'jo.novak'").fetchall()[0]
    for never in ("jo.novak", "Jo Novak", "Novak", key, "long enough", "hunter2", *hashes):
        assert never not in text


def test_a_login_that_nobody_has_is_in_nobodys_chain(own_api: RunningApi) -> None:
    refused(own_api.client(None).post("/api/v1/token", json={"login": "nobody-known", "password": "x"}), 401)
    with connect(own_api.database.owner_url, "test") as conn:
        rows = conn.execute(
            "SELECT tenant, actor, subject, action FROM audit_acts WHERE resource = 'session'"
        ).fetchall()
        assert rows == [("", "nobody", "", "refused")]
        seal(conn)
        assert audit.verify(conn, "").head.seq == 1


def test_a_tenant_sees_its_own_acts_alone(own_api: RunningApi) -> None:
    a_ticket(own_api, "other")
    ok(own_api.client().put("/api/v1/rules/mine", json={"rule": RULE, "version": 0}))
    resources = {act["resource"] for act in ok(own_api.client().get("/api/v1/audit"))["items"]}
    assert "rule" in resources
    assert "ticket" not in resources
    for role in set(Role) - {Role.MANAGER, Role.ADMINISTRATOR}:
        refused(own_api.client(role).get("/api/v1/audit"), 403)
        assert own_api.client(role).get("/audit").status_code == 403
    assert own_api.client(Role.MANAGER).get("/audit").status_code == 403
    page = own_api.client().get("/audit")
    assert page.status_code == 200
    assert "Rule created" in page.text


def test_signing_out_is_an_act_of_whoever_was_signed_in(own_api: RunningApi) -> None:
    jo = {"login": "jo", "name": "Jo", "role": "engineer", "password": "long enough, surely"}
    ok(own_api.client().post("/api/v1/users", json=jo), 201)
    browser = own_api.client(None)
    headers = {"Origin": own_api.url}
    browser.post("/api/v1/session", json={"login": "jo", "password": jo["password"]}, headers=headers)
    for _ in range(2):  # the second browser is nobody's any more
        browser.delete("/api/v1/session", headers=headers)
        browser.cookies.clear()
    acts = ok(own_api.client().get("/api/v1/audit", params={"resource": "session"}))["items"]
    assert [act["action"] for act in acts] == ["signed_out", "signed_in"]


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2::7", "2001:db8:1::/48"), ("", ""), ("testclient", "")],
)
def test_a_network_is_no_persons_own(address: str, network: str) -> None:
    assert network_of(address) == network


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command_verifies_a_database_and_an_export(
    database: Database, owner: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.execute("INSERT INTO devices (tenant, device) SELECT 'demo', 'pump-' || n FROM generate_series(1, 12) n")
    seal(owner)
    monkeypatch.setenv("BELLWETHER_DATABASE_URL", database.owner_url)
    file = tmp_path / "acts.jsonl"
    head = verified(owner).head.hash.hex()

    def run(*arguments: str) -> tuple[int, Any]:
        done = CliRunner().invoke(app, ["audit", *arguments])
        return done.exit_code, json.loads(done.stdout) if "--json" in arguments else done.stdout

    code, (demo, other) = run("verify", "--json")
    assert (code, demo["right"], demo["rows"], demo["head"]) == (
        0,
        True,
        13,
        {"seq": 13, "hash": head},
    )
    assert other["tenant"] == "other"
    assert run("verify", "--tenant", "demo", "--head", head)[0] == 0
    assert run("verify", "--tenant", "demo", "--head", "11" * 32)[0] == 1
    assert run("export", "--tenant", "demo", "--out", str(file))[0] == 0
    assert run("verify", "--file", str(file), "--head", head)[0] == 0

    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:5], lines[5].replace("pump-", "pumb-"), *lines[6:]]))
    code, (found,) = run("verify", "--file", str(file), "--json")
    assert (code, found["wrong"]["seq"], found["wrong"]["what"]) == (1, 5, "changed")

    tamper(owner, "UPDATE audit_acts SET actor = 'nobody' WHERE tenant = 'demo' AND seq = 7")
    code, (found,) = run("verify", "--tenant", "demo", "--json")
    assert (code, found["wrong"]["seq"], found["wrong"]["what"]) == (1, 7, "changed")


def test_the_format_is_the_documents() -> None:
    """What docs/audit.md says of a row, written out: whoever follows it gets our hash."""
    link = audit.chain.Link(
        1, 7, "demo", datetime(2026, 11, 22, 17, tzinfo=UTC), "user:x", "manager", "192.0.2.0/24", "bellwether_api",
        "PUT /api/v1/rules/{rule_id}", "rule", "mäßig", "created", '{"a": [1, null]}', b"",
    )  # fmt: skip
    text = (
        '[1,7,"demo","2026-11-22T17:00:00.000000Z","user:x","manager","192.0.2.0/24","bellwether_api",'
        '"PUT /api/v1/rules/{rule_id}","rule","mäßig","created","{\\"a\\": [1, null]}"]'
    )
    assert hash_of(GENESIS, link) == hashlib.sha256(bytes(32) + text.encode()).digest()
    assert hash_of(GENESIS, replace(link, seq=2)) != hash_of(GENESIS, link)


WHY = {"cause": "wear", "consequence": "a stop", "action": "look", "respond_within_s": 3600.0}
RULE: JSON = {"detector": "limits", "fault": "condition", "severities": [[1.0, "high"]], "rationalisation": WHY}
