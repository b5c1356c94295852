"""People's data: listed, exported, erased; and the chain stays whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
from psycopg import sql
from servers import Database
from serving import JSON, RunningApi, ok, refused

from alarms.roles import Role
from store import audit
from store.connection import connect

PASSWORD = "long enough, surely"
# Columns whose names sound like people, and hold none.
NOBODY = {
    "api_keys.name": "of a program",
    "device_credentials.name": "of a device's use",
    "devices.offline_reason": "a device's own word",
    "devices.replaced_by": "a device",
    "part_places.name": "of a depot or a van",
    "parts.name": "of a part",
    "repair_checks.reason": "what telemetry says",
    "ticket_pauses.reason": "one of the terms' own",
    "vibration_verdicts.reason": "a diagnosis's word",
}


def user(api: RunningApi, login: str, name: str, role: str = "engineer", tenant: str = "demo") -> httpx.Client:
    """A new user, signed in."""
    asked = {"login": login, "name": name, "role": role, "password": PASSWORD}
    ok(api.client(tenant=tenant).post("/api/v1/users", json=asked), 201)
    client = api.client(None)
    token = ok(client.post("/api/v1/token", json={"login": login, "password": PASSWORD}))["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def work(api: RunningApi, by: httpx.Client, device: str) -> JSON:
    """A ticket and an alarm that somebody has worked on, and a colleague has written of."""
    report = {"source": "person", "device": device, "title": "It leaks, says jo.novak", "description": "Ask Jo Novak."}
    ticket = ok(api.client(Role.DISPATCHER).post("/api/v1/tickets", json=report), 201)
    path = f"/api/v1/tickets/{ticket['id']}"
    ok(api.client(Role.DISPATCHER).post(f"{path}/move", json={"to": "triaged"}))
    ok(api.client(Role.DISPATCHER).post(f"{path}/assign", json={"assignee": "jo.novak", "note": "JO NOVAK knows it"}))
    ok(by.post(f"{path}/move", json={"to": "accepted"}))
    ok(by.post(f"{path}/comments", json={"note": "The seal is worn"}), 201)
    alarm = api.plant.alarm(device)
    ok(by.post(f"/api/v1/alarms/{alarm}/acknowledge", json={"note": "seen"}))
    ok(by.put(f"/api/v1/devices/{device}/machine", json={"bearing": "SKF 6205"}))
    return ticket


def everything(database: Database, but: tuple[str, ...] = ()) -> str:
    """Every row of every table of ours, as text."""
    with database.owner() as conn:
        tables = conn.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        found = [
            str(conn.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))).fetchall())
            for (name,) in tables
            if name not in but
        ]
    return "\n".join(found).lower()


def test_somebody_who_is_erased_is_nowhere_and_the_chain_is_whole(own_api: RunningApi) -> None:
    jo = user(own_api, "jo.novak", "Jo Novak")
    johanna = user(own_api, "jo.novakova", "Johanna Novakova")
    ticket = work(own_api, jo, own_api.plant.device())
    ok(johanna.post(f"/api/v1/tickets/{ticket['id']}/comments", json={"note": "J. Novak and jo.novakova agree"}), 201)
    with connect(own_api.database.owner_url, "test") as conn:
        audit.seal(conn, 1000)
    administrator = own_api.client()
    held = ok(administrator.get("/api/v1/users/jo.novak/personal-data"))["held"]
    asked = {"note": "Jo Novak asked for it on 3 November", "also": ["J. Novak"]}
    done = ok(administrator.post("/api/v1/users/jo.novak/erasure", json=asked))

    assert {place["table_name"] for place in held} | {"users"} == set(done["rows"]) | {"idempotency"} & set(
        done["rows"]
    )
    left = everything(own_api.database)
    for never in ("jo.novak'", '"jo.novak"', "jo novak", "j. novak", "jo.novak,", "jo.novak)"):
        assert never not in left
    assert "jo.novakova" in left, "somebody else of nearly the same name"
    assert "the seal is worn" in left, "the work stays"

    refused(jo.get("/api/v1/users/me"), 401)
    refused(own_api.client(None).post("/api/v1/token", json={"login": "jo.novak", "password": PASSWORD}), 401)
    story = ok(administrator.get(f"/api/v1/tickets/{ticket['id']}"))
    assert story["assignee"] == done["pseudonym"]
    assert done["pseudonym"] in {event["who"] for event in story["events"]}
    refused(administrator.post("/api/v1/users/jo.novak/erasure", json=asked), 404)
    refused(administrator.post(f"/api/v1/users/{done['pseudonym']}/erasure", json=asked), 404)
    refused(administrator.get("/api/v1/users/jo.novak/personal-data"), 404)

    with connect(own_api.database.owner_url, "test") as conn:
        audit.seal(conn, 1000)
        found = audit.verify(conn, "demo")
        assert (found.wrong, found.unsealed) == (None, 0)
        (told,) = conn.execute("SELECT changes::jsonb FROM audit_acts WHERE action = 'erased'").fetchall()
        assert found.erased == told[0]["salts"] > 0
        assert told[0]["note"] == f"{done['pseudonym']} asked for it on 3 November"
        # Words that vanish without an erasure, or under the name of one, are seen.
        conn.execute("SET session_replication_role = replica")
        conn.execute("UPDATE ticket_events SET note = 'all is well' WHERE note LIKE 'The seal%'")
        conn.execute(
            "UPDATE audit_salts SET salt = NULL, erased_by = (SELECT min(erased_by) FROM audit_salts)"
            " WHERE salt IS NOT NULL"
        )
        wrong = audit.verify(conn, "demo").wrong
        assert wrong is not None
        assert wrong.what == "erased"


def test_people_see_and_take_what_is_held_about_themselves_alone(api: RunningApi) -> None:
    kim, lee = user(api, "kim", "Kim Vale"), user(api, "lee", "Lee Orr", "owner")
    alarm = api.plant.alarm(api.plant.device())
    ok(kim.post(f"/api/v1/alarms/{alarm}/acknowledge", json={"note": "Kim Vale has seen it"}))
    listed = ok(kim.get("/api/v1/users/kim/personal-data"))
    assert listed["account"]["name"] == "Kim Vale"
    assert listed["account"]["acts"] >= 2
    places = {(place["table_name"], place["column_name"]): place["rows"] for place in listed["held"]}
    assert places[("alarm_events", "who")] == places[("alarm_events", "note")] == places[("alarms", "acked_by")] == 1
    assert all(place["what"] and place["why"] and place["how_long"] for place in listed["held"])
    answer = kim.get("/api/v1/users/kim/personal-data/export")
    assert "attachment" in answer.headers["content-disposition"]
    traces = ok(answer)["traces"]
    assert {"table_name": "alarms", "column_name": "acked_by", "key": str(alarm), "value": "kim"} in traces
    assert len(traces) == sum(places.values())

    for path in ("/api/v1/users/kim/personal-data", "/api/v1/users/kim/personal-data/export"):
        refused(lee.get(path), 404)
        refused(lee.get(path.replace("kim", "nobody")), 404)
        refused(api.client(tenant="other").get(path), 404)
        ok(api.client().get(path))
    refused(kim.post("/api/v1/users/kim/erasure", json={"note": "why"}), 403)
    refused(api.client(tenant="other").post("/api/v1/users/kim/erasure", json={"note": "why"}), 404)
    refused(api.client().post("/api/v1/users/kim/erasure", json={"note": " "}), 422)
    looks = ok(api.client().get("/api/v1/audit", params={"resource": "personal_data"}))["items"]
    assert {(act["who"], act["action"]) for act in looks} >= {("kim", "listed"), ("kim", "exported")}


def test_somebody_of_that_name_in_another_tenant_stays(own_api: RunningApi) -> None:
    user(own_api, "sam", "Sam")
    device = own_api.plant.device("other")
    report = {"source": "person", "device": device, "title": "Sam says it leaks"}
    ticket = ok(own_api.client(tenant="other").post("/api/v1/tickets", json=report), 201)
    ok(own_api.client().post("/api/v1/users/sam/erasure", json={"note": "asked"}))
    assert ok(own_api.client(tenant="other").get(f"/api/v1/tickets/{ticket['id']}"))["title"] == report["title"]


def test_the_last_administrator_stays_whoever_asks_at_once(own_api: RunningApi) -> None:
    clients = {login: user(own_api, login, login, "administrator") for login in ("ada", "bea")}

    def erase(pair: tuple[str, str]) -> int:
        by, whom = pair
        return clients[by].post(f"/api/v1/users/{whom}/erasure", json={"note": "asked"}).status_code

    with ThreadPoolExecutor(2) as threads:
        answers = sorted(threads.map(erase, [("ada", "bea"), ("bea", "ada")]))
    assert answers[0] == 200
    assert answers[1] in {401, 409}
    with own_api.database.owner() as conn:
        left = "SELECT count(*) FROM users WHERE role = 'administrator' AND disabled_at IS NULL"
        assert conn.execute(left).fetchall() == [(1,)]


def test_a_login_that_is_also_the_name_of_a_field_breaks_no_answer(own_api: RunningApi) -> None:
    user(own_api, "state", "State")
    report = {"source": "person", "device": own_api.plant.device(), "title": "A sad state of things"}
    dispatcher = own_api.client(Role.DISPATCHER)
    once = {"Idempotency-Key": "one"}
    first = ok(dispatcher.post("/api/v1/tickets", json=report, headers=once), 201)
    done = ok(own_api.client().post("/api/v1/users/state/erasure", json={"note": "asked"}))
    again = ok(dispatcher.post("/api/v1/tickets", json=report, headers=once), 201)
    assert again == {**first, "title": f"A sad {done['pseudonym']} of things"}


def test_every_column_that_sounds_like_people_is_in_the_list(module_database: Database) -> None:
    """A migration that makes such a column says so in `personal_places`; or it says here why not."""
    with psycopg.connect(module_database.owner_url) as conn:
        rows = conn.execute(
            "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c"
            " JOIN pg_class t ON t.oid = c.table_name::regclass AND t.relkind = 'r'"
            " WHERE c.table_schema = 'public' AND c.data_type IN ('text', 'jsonb')"
            " AND c.column_name ~ '^(who|name|detail)$|_by$|assignee|login|person|engineer|note|contact|mail|reason'"
            " AND has_table_privilege('bellwether_api', t.oid, 'INSERT, UPDATE, SELECT')"
            " AND c.table_name NOT LIKE 'audit_%' AND c.table_name <> 'users'"
            " AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'tenant')"
            " EXCEPT SELECT table_name || '.' || column_name FROM personal_places"
        ).fetchall()
        places = conn.execute("SELECT table_name, column_name, key_column FROM personal_places").fetchall()
        for table, *columns in places:  # each place is there
            conn.execute(
                sql.SQL("SELECT tenant, {}, {} FROM {} LIMIT 0").format(
                    *map(sql.Identifier, columns), sql.Identifier(table)
                )
            )
    found = {name for (name,) in rows}
    assert found == set(NOBODY), "whose data? say so in personal_places"
