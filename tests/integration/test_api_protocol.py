"""What holds for every route: problems, pages, keys, limits, headers, the description, a database that goes away."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql
from serving import JSON, Database, RunningApi, alarm_event, ok, refused, served
from waiting import until

from alarms.roles import Role
from api.app import ROUTERS
from api.bodies import LARGEST_BODY_BYTES

DESCRIPTION = "/api/v1/openapi.json"


def report(api: RunningApi, **changes: Any) -> JSON:
    return {"source": "person", "device": api.plant.device(), "title": "It leaks", **changes}


# Problems ---------------------------------------------------------------------------------------------------------


def test_errors_of_the_framework_are_problems_too(api: RunningApi) -> None:
    client = api.client()
    refused(client.get("/api/v1/none-such"), 404)
    refused(client.put("/api/v1/devices"), 405)
    refused(client.post("/api/v1/tickets", content=b"{", headers={"Content-Type": "application/json"}), 422)
    refused(client.get("/api/v1/tickets/none"), 422)


def test_what_is_wrong_with_which_value(api: RunningApi) -> None:
    body = report(api, title=" ", priority="asap", extra=1)
    problem = refused(api.client().post("/api/v1/tickets", json=body), 422)
    pointers = {error["pointer"] for error in problem["errors"]}
    assert {"body.person.title", "body.person.priority", "body.person.extra"} == pointers


def test_no_problem_echoes_what_was_sent(api: RunningApi) -> None:
    canary = "canary-" + "x" * 300
    for body in ({"login": "jo", "password": canary}, {"login": canary, "password": "x"}, {"token": canary}):
        answer = api.client(None).post("/api/v1/token", json=body)
        assert answer.status_code in {401, 422}
        assert "canary" not in answer.text.replace('"body.token"', "")


NASTY: list[Any] = [
    "a\x00b",
    "\x1b[31m",
    "\x9bm",
    "x" * 100_000,
    "",
    "   ",
    None,
    0,
    True,
    [],
    {},
    [["deep"]],
    "\u202e",
]


@pytest.mark.parametrize("value", NASTY, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("field", ["device", "title", "description", "priority"])
def test_nasty_values_never_break_the_server(api: RunningApi, field: str, value: Any) -> None:
    body = report(api)
    answer = api.client().post("/api/v1/tickets", json={**body, field: value})
    assert answer.status_code in {201, 404, 422}, answer.text


@pytest.mark.parametrize(
    "text",
    [
        b'{"source": "person", "device": "x", "title": "\\ud800"}',
        b'{"source": "alarm", "alarm": {"score": NaN}}',
        b'{"source": "alarm", "alarm": {"score": 1e999}}',
        b'{"n": ' + b"9" * 10_000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b"",
        b"null",
        b'"text"',
    ],
    ids=lambda text: repr(text[:24]),
)
def test_nasty_bodies_never_break_the_server(api: RunningApi, text: bytes) -> None:
    for path in ("/api/v1/tickets", "/api/v1/token", "/api/v1/users"):
        answer = api.client().post(path, content=text, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 422}, answer.text
        refused(answer, answer.status_code)


WHY = {"cause": "wear", "consequence": "a stop", "action": "look", "respond_within_s": 3600.0}
LIMITS = {"detector": "limits", "fault": "condition", "severities": [[1.0, "high"]], "rationalisation": WHY}


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
@pytest.mark.parametrize(
    ("route", "body", "pointer"),
    [
        ("PUT rules/mine", {"rule": {**LIMITS, "rationalisation": {**WHY, "cause": "TEXT"}}, "version": 0}, "rule"),
        ("POST trials", {"rule": {**LIMITS, "id": "mine", "point": "TEXT"}}, "rule"),
        ("POST engineers", {"login": "jo", "skills": ["TEXT"], "shifts": {"zone": "UTC", "week": {}}}, "skills"),
        ("POST depots", {"name": "west", "kind": "city", "region": "TEXT"}, "region"),
    ],
)
def test_no_body_brings_text_that_no_database_keeps(
    api: RunningApi, route: str, body: Any, pointer: str, text: str
) -> None:
    method, path = route.split()
    content = json.dumps(body).replace("TEXT", json.dumps(text)[1:-1])
    headers = {"Content-Type": "application/json"}
    answer = api.client().request(method, f"/api/v1/{path}", content=content, headers=headers)
    assert refused(answer, 422)["errors"][0]["pointer"].startswith(f"body.{pointer}")


def test_half_a_character_is_no_table(api: RunningApi) -> None:
    headers = {"Content-Type": "application/json"}
    for path in ("customers", "devices", "parts"):
        content = b'{"csv": "number,name\\r\\n1,\\ud800\\r\\n"}'
        refused(api.client().post(f"/api/v1/{path}/import", content=content, headers=headers), 422)


def test_an_address_has_no_zero_bytes(api: RunningApi) -> None:
    for path in ("/api/v1/messages?login=a%00b", "/alarms?site=%00", "/track/a%00b"):
        refused(api.client().get(path), 400)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_nothing_can_be_reckoned_from_is_refused(api: RunningApi, time: str) -> None:
    for path in ("kpis", "audit", "ledger"):
        answer = api.client().get(f"/api/v1/{path}", params={"to": time})
        assert refused(answer, 422)["errors"][0]["pointer"] == "query.to"
    refused(api.client().get("/api/v1/on-call", params={"from": time}), 422)


def test_a_version_that_no_rule_has_is_refused(api: RunningApi) -> None:
    refused(api.client().put("/api/v1/rules/mine", json={"rule": LIMITS, "version": 2**63}), 422)


def test_a_key_beside_a_body_that_nobody_asked_for(api: RunningApi) -> None:
    headers = {"Idempotency-Key": str(uuid4()), "Content-Type": "application/json"}
    answer = api.client().post(f"/api/v1/maintenance/{uuid4()}/end", content=b"{none", headers=headers)
    refused(answer, 404)


def test_numbers_that_are_none_are_no_evidence(api: RunningApi) -> None:
    event = alarm_event(api.plant.device())
    for number in (b"NaN", b"Infinity", b"1e999"):
        text = json.dumps(event).encode().replace(b'"observed": 3.9', b'"observed": ' + number)
        answer = api.client(Role.SERVICE).post(
            "/api/v1/tickets", content=text, headers={"Content-Type": "application/json"}
        )
        refused(answer, 422)


# Limits -----------------------------------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused_before_it_is_read(api: RunningApi) -> None:
    host, port = urlsplit(api.url).hostname, urlsplit(api.url).port
    with socket.create_connection((host, port), timeout=60) as peer:
        peer.sendall(
            b"POST /api/v1/tickets HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000000000\r\n\r\n"
        )
        assert peer.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_say_its_length_is_cut_off(api: RunningApi) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50 * LARGEST_BODY_BYTES:
            sent += 65_536
            yield b" " * 65_536

    try:
        answer = api.client().post("/api/v1/tickets", content=chunks(), headers={"Content-Type": "application/json"})
    except (httpx.WriteError, httpx.ReadError):
        pass  # the server has hung up on us
    else:
        refused(answer, 413)
    assert sent < 50 * LARGEST_BODY_BYTES


def test_a_body_just_within_the_limit_is_read(api: RunningApi) -> None:
    padding = LARGEST_BODY_BYTES - len(json.dumps(body := report(api)))
    text = json.dumps(body).encode() + b" " * padding
    ok(api.client().post("/api/v1/tickets", content=text, headers={"Content-Type": "application/json"}), 201)
    refused(
        api.client().post("/api/v1/tickets", content=text + b" ", headers={"Content-Type": "application/json"}), 413
    )


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1e9"])
def test_the_size_of_a_page_is_bounded(api: RunningApi, limit: str) -> None:
    for path in ("devices", "streams", "alarms", "tickets", "keys", "users", "rejects", "ledger"):
        refused(api.client().get(f"/api/v1/{path}", params={"limit": limit}), 422)


# Pages ------------------------------------------------------------------------------------------------------------


def pages(client: httpx.Client, path: str, limit: int, between: Any = lambda: None) -> list[JSON]:
    items: list[JSON] = []
    cursor: str | None = None
    while True:
        params = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        page = ok(client.get(path, params=params))
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items
        between()


def test_pages_hold_every_row_once_while_others_come(own_api: RunningApi) -> None:
    client = own_api.client()
    for _ in range(23):
        ok(client.post("/api/v1/tickets", json=report(own_api)), 201)
    before = [ticket["id"] for ticket in pages(client, "/api/v1/tickets", 200)]
    assert len(before) == 23
    for limit in (1, 5, 22, 23, 24):
        seen = pages(
            client,
            "/api/v1/tickets",
            limit,
            lambda: ok(own_api.client().post("/api/v1/tickets", json=report(own_api)), 201),
        )
        ids = [ticket["id"] for ticket in seen]
        assert len(ids) == len(set(ids))
        assert set(before) <= set(ids)


def test_pages_of_rows_of_the_same_moment(own_api: RunningApi) -> None:
    """One transaction gives all its rejects one time, and some are alike in every column."""
    with own_api.database.owner() as conn:
        for _ in range(2):
            conn.execute(
                "INSERT INTO rejects (tenant, topic, payload, bytes, reason)"
                " SELECT 'demo', 'topic', ('\\x' || lpad(to_hex(n / 3), 2, '0'))::bytea, 1, 'r'"
                " FROM generate_series(0, 29) n"
            )
    for limit in (1, 7, 30, 60):
        seen = pages(own_api.client(), "/api/v1/rejects", limit)
        assert len(seen) == 60
        assert len({reject["payload"] for reject in seen}) == 10


def test_pages_of_devices_streams_and_hours(own_api: RunningApi) -> None:
    for n in range(7):
        device = own_api.plant.device(name=f"d{n}")
        for point in ("b", "a"):
            own_api.plant.stream(device, point)
        with own_api.database.owner() as conn:
            conn.execute(
                "INSERT INTO ledger (tenant, device, hour)"
                " SELECT 'demo', %s, date_trunc('hour', now()) - h * interval '1 hour' FROM generate_series(0, 2) h",
                [device],
            )
    client = own_api.client()
    assert [d["device"] for d in pages(client, "/api/v1/devices", 3)] == [f"d{n}" for n in range(7)]
    streams = [(s["device"], s["point"]) for s in pages(client, "/api/v1/streams", 4)]
    assert streams == [(f"d{n}", point) for n in range(7) for point in "ab"]
    hours = [(h["hour"], h["device"]) for h in pages(client, "/api/v1/ledger", 4)]
    assert len(hours) == 21
    assert hours == sorted(hours, reverse=True)


@pytest.mark.parametrize("path", ["devices", "streams", "alarms", "tickets", "keys", "users", "rejects", "ledger"])
def test_a_cursor_that_is_none_is_refused(api: RunningApi, path: str) -> None:
    for cursor in ("x", "!!!", "e30", "W10", "WyJcdTAwMDAiXQ", "ü"):
        refused(api.client().get(f"/api/v1/{path}", params={"cursor": cursor}), 422)
    # That of another list may look like one of this: it leads somewhere, or is refused.
    others = pages_cursor(api)
    assert api.client().get(f"/api/v1/{path}", params={"cursor": others}).status_code in {200, 422}


def pages_cursor(api: RunningApi) -> str:
    client = api.client()
    while (found := ok(client.get("/api/v1/tickets", params={"limit": 1}))["next"]) is None:
        ok(client.post("/api/v1/tickets", json=report(api)), 201)
    return str(found)


# Idempotency ------------------------------------------------------------------------------------------------------


def test_the_same_request_with_the_same_key_is_done_once(api: RunningApi) -> None:
    client, body = api.client(), report(api)
    headers = {"Idempotency-Key": str(uuid4())}
    first = client.post("/api/v1/tickets", json=body, headers=headers)
    again = client.post("/api/v1/tickets", json=body, headers=headers)
    assert ok(first, 201) == ok(again, 201)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    refused(client.post("/api/v1/tickets", json={**body, "title": "It squeaks"}, headers=headers), 422)
    comments = f"/api/v1/tickets/{first.json()['id']}/comments"
    refused(client.post(comments, json={"note": "x"}, headers=headers), 422)


def test_a_secret_in_a_body_counts_and_is_not_kept(own_api: RunningApi) -> None:
    client, headers = own_api.client(), {"Idempotency-Key": "once"}
    body = {"login": "jo", "name": "Jo", "role": "engineer", "password": "long enough, surely"}
    made = ok(client.post("/api/v1/users", json=body, headers=headers), 201)
    spaced = json.dumps(body, indent=4).encode()
    again = client.post("/api/v1/users", content=spaced, headers={**headers, "Content-Type": "application/json"})
    assert ok(again, 201) == made
    refused(client.post("/api/v1/users", json={**body, "password": "another long one"}, headers=headers), 422)
    plain = json.dumps(body, sort_keys=True).encode()
    with own_api.database.owner() as conn:
        (kept,) = conn.execute("SELECT request_hash FROM idempotency").fetchall()
    assert kept[0] != hashlib.sha256(plain).digest()
    assert len(kept[0]) == 32


def test_the_same_request_from_many_sides_at_once_is_done_once(api: RunningApi) -> None:
    client, body = api.client(), report(api)
    headers = {"Idempotency-Key": str(uuid4())}
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: client.post("/api/v1/tickets", json=body, headers=headers), range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(ok(client.get("/api/v1/tickets", params={"device": body["device"]}))["items"]) == 1


def test_a_request_that_failed_may_come_again(api: RunningApi) -> None:
    device = f"later-{uuid4().hex[:8]}"
    headers = {"Idempotency-Key": str(uuid4())}
    body = {"source": "person", "device": device, "title": "It leaks"}
    refused(api.client().post("/api/v1/tickets", json=body, headers=headers), 404)
    api.plant.device(name=device)
    ok(api.client().post("/api/v1/tickets", json=body, headers=headers), 201)


@pytest.mark.parametrize("key", [b"", b"x" * 256, "ü".encode(), b"a b"])
def test_a_key_that_is_none_is_refused(api: RunningApi, key: bytes) -> None:
    body = report(api)
    refused(api.client().post("/api/v1/tickets", json=body, headers={b"Idempotency-Key": key}), 422)


# The description --------------------------------------------------------------------------------------------------


def test_every_route_is_described_with_its_answers_its_errors_and_an_example(api: RunningApi) -> None:
    document = ok(api.client(None).get(DESCRIPTION))
    described = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}
    routes = {f"{m} {r.path}" for router in ROUTERS for r in router.routes for m in r.methods}  # type: ignore[attr-defined]
    assert described == routes
    identifiers = [o["operationId"] for operations in document["paths"].values() for o in operations.values()]
    assert len(identifiers) == len(set(identifiers))
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            assert operation["description"], path
            for status, answer in operation["responses"].items():
                if path.startswith("/api/") and int(status) >= 400:
                    reference = answer["content"]["application/problem+json"]["schema"]["$ref"]
                    assert reference == "#/components/schemas/Problem"
            if path.startswith("/api/"):
                assert {"422", "500", "503"} <= set(operation["responses"]), (path, method)
                by_secret = "/track/{code}" in path or path.endswith(("/token", "/session", "/by-link/{link}"))
                assert operation.get("security") or by_secret, path


def test_every_reference_of_the_description_leads_somewhere(api: RunningApi) -> None:
    document = ok(api.client(None).get(DESCRIPTION))
    text = json.dumps(document)
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in text


def test_what_is_answered_is_what_is_described(api: RunningApi) -> None:
    """Names and nullness of the fields of one of each, by the document alone."""
    device = api.plant.device()
    api.plant.stream(device)
    alarm = api.plant.alarm(device)
    event = alarm_event(device, occurrence_id=str(alarm))
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=event), 201)
    document = ok(api.client(None).get(DESCRIPTION))
    client = api.client()
    for path, ids in (
        ("/api/v1/devices/{device}", {"device": device}),
        ("/api/v1/devices", {}),
        ("/api/v1/streams", {}),
        ("/api/v1/alarms/{alarm_id}", {"alarm_id": str(alarm)}),
        ("/api/v1/alarms", {}),
        ("/api/v1/tickets/{ticket_id}", {"ticket_id": ticket["id"]}),
        ("/api/v1/tickets", {}),
        ("/api/v1/tickets/track/{code}", {"code": ticket["code"]}),
        ("/api/v1/rules", {}),
        ("/api/v1/users/me", {}),
        ("/readyz", {}),
    ):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert_fits(ok(client.get(path.format(**ids))), schema, document, path)


def assert_fits(value: Any, schema: JSON, document: JSON, at: str) -> None:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        wanted = [s for s in schema["anyOf"] if (s.get("type") == "null") == (value is None)]
        assert wanted, at
        assert_fits(value, wanted[0], document, at)
        return
    if "enum" in schema:
        assert value in schema["enum"], at
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
        "boolean": (bool,), "null": (type(None),),
    }  # fmt: skip
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), (at, value)
    if "properties" in schema:
        assert set(value) == set(schema["properties"]), at
        for name, part in schema["properties"].items():
            assert_fits(value[name], part, document, f"{at}.{name}")
    for item in value if isinstance(value, list) else ():
        assert_fits(item, schema["items"], document, f"{at}[]")


def test_the_documentation_page_is_off_unless_it_is_wanted(api: RunningApi) -> None:
    refused(api.client(None).get("/api/v1/docs"), 404)
    with served(api.database, docs=True) as with_docs:
        assert with_docs.client(None).get("/api/v1/docs").status_code == 200


# Headers and figures ----------------------------------------------------------------------------------------------


def test_every_answer_tells_the_browser_what_not_to_do(api: RunningApi) -> None:
    client = api.client()
    for answer in (client.get("/api/v1/devices"), client.get("/api/v1/none"), client.get("/healthz")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
    assert client.get("/api/v1/devices").headers["cache-control"] == "no-store"
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    refused(client.options("/api/v1/devices", headers=preflight), 405)


def test_figures_are_by_route_and_name_nobody(api: RunningApi) -> None:
    device = api.plant.device(name=f"secret-{uuid4().hex[:8]}")
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device)), 201)
    ok(api.client().get(f"/api/v1/tickets/{ticket['id']}"))
    ok(api.client().get(f"/api/v1/devices/{device}"))
    text = api.client(None).get("/metrics").text
    assert 'bellwether_http_requests_total{method="GET",route="/api/v1/tickets/{ticket_id}",status="200"}' in text
    assert 'bellwether_ticket_alarm_events_total{outcome="opened"}' in text
    assert "bellwether_db_pool_size" in text
    for name in (device, ticket["id"], "demo"):
        assert name not in text


# The database goes away -------------------------------------------------------------------------------------------


@contextmanager
def away(database: Database) -> Iterator[None]:
    """The database takes no connections, and those that it had are gone."""
    parts = urlsplit(database.owner_url)
    name = parts.path[1:]
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as conn:
        allow = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
        conn.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        try:
            conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
        finally:
            conn.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def test_connections_that_were_killed_are_replaced_without_anybody_noticing(own_api: RunningApi) -> None:
    client = own_api.client()
    ok(client.get("/api/v1/devices"))
    with own_api.database.owner() as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'bellwether_api' AND datname = current_database()"
        )
    ok(client.get("/api/v1/devices"))


def test_while_the_database_is_away_the_answer_says_so_and_it_heals_by_itself(own_api: RunningApi) -> None:
    client = own_api.client()
    ok(client.get("/readyz"))
    began = time.monotonic()
    with away(own_api.database):
        answer = client.get("/api/v1/devices")
        assert refused(answer, 503)["type"].endswith("unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert ok(client.get("/healthz")) == {"status": "alive"}
        assert client.get("/readyz").status_code == 503
        # So long that a pool which doubles its waits without end sleeps on until the 31st second.
        until(lambda: client.get("/api/v1/devices").status_code == 503 and time.monotonic() - began > 17)
    until(lambda: client.get("/api/v1/devices").status_code == 200, within_s=12)
    assert ok(client.get("/readyz"))["status"] == "ready"


def test_an_api_that_starts_before_its_database_serves_once_it_is_there(database: Database) -> None:
    with ExitStack() as stack:
        with away(database):
            early = stack.enter_context(served(database))
            assert ok(early.client(None).get("/healthz"))
            assert early.client(None).get("/readyz").status_code == 503
        until(lambda: early.client(None).get("/readyz").status_code == 200)
        ok(early.client().get("/api/v1/devices"))


def test_a_schema_that_is_not_ours_is_not_ready(empty_database: Database) -> None:
    with served(empty_database) as early:
        answer = early.client(None).get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["pending_migrations"] > 0


def test_readiness_shows_when_the_other_roles_were_last_seen(own_api: RunningApi) -> None:
    with own_api.database.owner() as conn:
        conn.execute("INSERT INTO heartbeats (role, at) VALUES ('ingest', now() - interval '90 seconds')")
    ages = ok(own_api.client(None).get("/readyz"))["heartbeat_age_s"]
    assert 89 < ages["ingest"] < 120
