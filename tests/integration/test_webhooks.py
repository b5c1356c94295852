"""Webhooks against receivers that answer, refuse, trickle and die: each event at least once, in nobody's way."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest
from dying import dies
from servers import Database
from serving import JSON, SECRET, RunningApi, ok, refused, served
from waiting import until

from alarms.roles import Role
from bellwether.stack.port import choose
from notify.channels import carrier, posting
from notify.channels.webhooks import Webhooks

carrier.ROUND_S = 0.1  # a stop waits for it


@dataclass
class Receiver:
    """A server on the loopback: what it was told, and what it answers."""

    url: str = ""
    told: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[int], int] = lambda number: 204
    hold: threading.Event = field(default_factory=threading.Event)

    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for _, body in self.told]

    def devices(self) -> list[str]:
        return [json.loads(body)["data"].get("device", "") for _, body in self.told]


@contextmanager
def receiving(answer: Callable[[int], int] = lambda number: 204) -> Iterator[Receiver]:
    receiver = Receiver(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.told.append((dict(self.headers), body))
            status = receiver.answer(len(receiver.told))
            if status == 0:
                receiver.hold.wait(60)
                return
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", receiver.url + "/elsewhere")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever posted has gone."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def api(module_database: Database) -> Iterator[RunningApi]:
    with served(module_database, webhooks_to_loopback=True) as running:
        yield running


@pytest.fixture
def owner(api: RunningApi) -> Iterator[Any]:
    with api.database.owner() as conn:
        conn.execute("DELETE FROM webhooks")
        conn.execute("DELETE FROM webhook_events")
        yield conn


@contextmanager
def delivering(api: RunningApi, secret: str = SECRET) -> Iterator[None]:
    """The postman on a thread."""
    postman = Webhooks(api.database.url("notify"), secret, to_loopback=True)
    thread = threading.Thread(target=postman.run)
    thread.start()
    try:
        yield
    finally:
        postman.stop()
        thread.join(30)
    assert not thread.is_alive()


def add(api: RunningApi, url: str, *events: str) -> JSON:
    body = {"url": url, "events": list(events) or ["alarm.*"]}
    return ok(api.client().post("/api/v1/webhooks", json=body), 201)


def happen(owner: Any, device: str = "pump-1", kind: str = "alarm.raised", tenant: str = "demo") -> None:
    """As the trigger of an alarm's event tells of it."""
    owner.execute(
        "INSERT INTO live_events (tenant, kind, body) VALUES (%s, %s, jsonb_build_object('device', %s::text))",
        [tenant, kind, device],
    )


def states(owner: Any) -> list[str]:
    return [state for (state,) in owner.execute("SELECT state FROM webhook_deliveries ORDER BY id")]


def due_now(owner: Any) -> None:
    """As if the waits were over."""
    owner.execute("UPDATE webhook_deliveries SET next_attempt_at = now()")
    owner.execute("UPDATE webhooks SET rests_until = now()")


def verified(key: str, headers: dict[str, str], body: bytes) -> bool:
    """As docs/notifications.md tells receivers to."""
    parts = [part.split("=", 1) for part in headers["Bellwether-Signature"].split(",")]
    stamp = dict(parts)["t"]
    expected = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    fresh = abs(time.time() - int(stamp)) < 300
    return fresh and any(hmac.compare_digest(expected, value) for name, value in parts if name == "v1")


def test_an_alarm_is_told_signed_and_only_to_who_asked(api: RunningApi, owner: Any) -> None:
    device = api.plant.device()
    alarm = api.plant.alarm(device)
    with receiving() as wanted, receiving() as other:
        key = add(api, wanted.url + "/hook?of=us", "alarm.acknowledged")["key"]
        add(api, other.url, "ticket.*", "flood.began")
        with delivering(api):
            ok(api.client().post(f"/api/v1/alarms/{alarm}/acknowledge", json={"note": "seen"}))
            until(lambda: states(owner) == ["delivered"])
    ((headers, body),) = wanted.told
    said = json.loads(body)
    assert (said["event"], said["tenant"], said["data"]["device"]) == ("alarm.acknowledged", "demo", device)
    assert headers["Bellwether-Event-Id"] == said["id"]
    assert verified(key, headers, body)
    assert not verified(key, headers, body.replace(b"demo", b"dome"))
    assert not verified("whk_another", headers, body)
    assert other.told == []


def test_what_is_rolled_back_is_not_told_and_another_tenants_neither(api: RunningApi, owner: Any) -> None:
    with receiving() as receiver:
        add(api, receiver.url, "*")
        with delivering(api):
            with owner.transaction(force_rollback=True):
                happen(owner, "never")
            happen(owner, "theirs", tenant="other")
            happen(owner, "ours")
            until(lambda: states(owner) == ["delivered"])
    assert receiver.devices() == ["ours"]


def test_two_keys_sign_while_one_takes_the_others_place(api: RunningApi, owner: Any) -> None:
    with receiving() as receiver:
        made = add(api, receiver.url)
        path = f"/api/v1/webhooks/{made['id']}/keys"
        turned = ok(api.client().post(path, json={}, headers={"Idempotency-Key": "turn"}), 201)
        again = ok(api.client().post(path, json={}, headers={"Idempotency-Key": "turn"}), 201)
        assert again["key"] is None
        assert again["earlier_until"] == turned["earlier_until"]
        with delivering(api):
            happen(owner)
            until(lambda: states(owner) == ["delivered"])
            owner.execute("UPDATE webhooks SET earlier_until = now()")
            happen(owner)
            until(lambda: states(owner) == ["delivered", "delivered"])
    first, second = receiver.told
    assert verified(made["key"], *first)
    assert verified(turned["key"], *first)
    assert not verified(made["key"], *second)
    assert verified(turned["key"], *second)


def test_a_receiver_that_is_away_is_tried_again_with_the_same_id(api: RunningApi, owner: Any) -> None:
    with receiving(lambda number: 500 if number == 1 else 204) as receiver:
        made = add(api, receiver.url)
        with delivering(api):
            happen(owner)
            until(lambda: owner.execute("SELECT error FROM webhook_deliveries").fetchall() == [("answered 500",)])
            fares = ok(api.client().get(f"/api/v1/webhooks/{made['id']}"))
            assert fares["last_error"] == "answered 500"
            assert fares["failing_since"] is not None
            due_now(owner)
            until(lambda: states(owner) == ["delivered"])
    first, second = receiver.ids()
    assert first == second
    fares = ok(api.client().get(f"/api/v1/webhooks/{made['id']}"))
    assert (fares["failing_since"], fares["last_error"], fares["waiting"]) == (None, "", 0)


def test_a_redirect_is_not_followed(api: RunningApi, owner: Any) -> None:
    with receiving(lambda number: 307) as receiver:
        add(api, receiver.url)
        with delivering(api):
            happen(owner)
            until(lambda: owner.execute("SELECT status FROM webhook_deliveries").fetchall() == [(307,)])
    assert len(receiver.told) == 1
    assert owner.execute("SELECT error FROM webhook_deliveries").fetchall() == [
        ("answered 307: redirects are not followed",)
    ]


def test_one_that_never_answers_holds_up_nobody(api: RunningApi, owner: Any) -> None:
    with receiving(lambda number: 0) as dead, receiving() as living:
        add(api, dead.url, "alarm.raised")
        add(api, living.url, "alarm.returned")
        for number in range(40):
            happen(owner, f"dead-{number}")
        with delivering(api):
            until(lambda: len(dead.told) == 4)
            for number in range(10):
                happen(owner, f"living-{number}", "alarm.returned")
            until(lambda: states(owner)[40:] == ["delivered"] * 10)
            # None of the dead one's has even failed: they are still being waited for.
            assert set(states(owner)[:40]) == {"waiting"}
            assert len(dead.told) == 4
            dead.hold.set()
    assert sorted(living.devices()) == sorted(f"living-{number}" for number in range(10))


def test_what_fails_for_a_day_is_undeliverable_seen_and_sent_again(api: RunningApi, owner: Any) -> None:
    client = api.client()
    made = add(api, f"http://127.0.0.1:{choose('nobody')}")
    for number in range(3):
        happen(owner, f"pump-{number}")
    owner.execute("UPDATE webhook_deliveries SET asked_at = now() - INTERVAL '25 hours'")
    owner.execute("UPDATE webhooks SET failures = 9, failing_since = now() - INTERVAL '25 hours'")
    with delivering(api):
        until(lambda: states(owner) == ["undeliverable"] * 3)
    assert ok(client.get(f"/api/v1/webhooks/{made['id']}"))["undeliverable"] == 3
    figures = client.get("/metrics").text
    assert "bellwether_webhooks_undeliverable 3.0" in figures
    assert "bellwether_webhooks_failing 1.0" in figures
    with receiving() as receiver:
        path = f"/api/v1/webhooks/{made['id']}"
        ok(client.put(path, json={"url": receiver.url, "events": ["alarm.*"]}))
        lost = ok(client.get(f"{path}/deliveries", params={"state": "undeliverable"}))["items"]
        assert ["refused" in one["error"] for one in lost] == [True] * 3
        with delivering(api):
            one = ok(client.post(f"{path}/replay", json={"ids": [lost[0]["id"]]}), 202)
            assert one == {"deliveries": 1}
            until(lambda: len(receiver.told) == 1)
            rest = ok(client.post(f"{path}/replay", json={"state": "undeliverable"}), 202)
            assert rest == {"deliveries": 2}
            until(lambda: states(owner)[3:] == ["delivered"] * 3)
    assert sorted(receiver.ids()) == sorted(one["event_id"] for one in lost)
    fares = ok(client.get(path))
    assert (fares["undeliverable"], fares["failing_since"]) == (0, None)
    who = {one["asked_by"] for one in ok(client.get(f"{path}/deliveries", params={"state": "delivered"}))["items"]}
    assert who == {"a-administrator"}


def test_a_span_is_sent_again_by_when_it_happened(api: RunningApi, owner: Any) -> None:
    with receiving() as receiver:
        made = add(api, receiver.url)
        with delivering(api):
            for device in ("early", "noon", "late"):
                happen(owner, device)
            until(lambda: states(owner) == ["delivered"] * 3)
            for hours, device in ((3, "early"), (2, "noon"), (1, "late")):
                owner.execute(
                    "UPDATE webhook_events SET at = '2026-03-01T12:00:00Z'::timestamptz - make_interval(hours => %s)"
                    " WHERE body ->> 'device' = %s",
                    [hours, device],
                )
            span = {"from": "2026-03-01T09:30:00Z", "to": "2026-03-01T10:30:00Z"}
            path = f"/api/v1/webhooks/{made['id']}/replay"
            assert ok(api.client().post(path, json=span), 202) == {"deliveries": 1}
            until(lambda: states(owner) == ["delivered"] * 4)
    assert receiver.devices()[3:] == ["noon"]


def test_one_that_is_switched_off_is_told_nothing_and_says_so(api: RunningApi, owner: Any) -> None:
    client, (made, body) = api.client(), (add(api, "http://127.0.0.1:9"), {"events": ["*"], "enabled": False})
    path = f"/api/v1/webhooks/{made['id']}"
    happen(owner)
    ok(client.put(path, json={"url": "http://127.0.0.1:9", **body}))
    happen(owner)
    assert states(owner) == ["undeliverable"]
    refused(client.post(f"{path}/replay", json={}), 409)
    refused(client.post(f"{path}/test"), 409)
    assert client.delete(path).status_code == 204
    refused(client.get(path), 404)
    assert states(owner) == []


def test_a_try_arrives_and_the_log_is_forgotten_when_its_time_is_over(api: RunningApi, owner: Any) -> None:
    with receiving() as receiver:
        made = add(api, receiver.url)
        asked = ok(api.client().post(f"/api/v1/webhooks/{made['id']}/test"), 202)
        assert (asked["kind"], asked["state"]) == ("webhook.test", "waiting")
        with delivering(api):
            until(lambda: states(owner) == ["delivered"])
    one = ok(api.client().get(f"/api/v1/webhooks/{made['id']}/deliveries/{asked['id']}"))
    assert (one["status"], one["attempts"], one["body"]) == (204, 1, {})
    owner.execute("UPDATE webhook_deliveries SET ended_at = now() - INTERVAL '31 days'")
    owner.execute("UPDATE webhook_events SET at = now() - INTERVAL '31 days'")
    with delivering(api):
        until(lambda: owner.execute("SELECT count(*) FROM webhook_events").fetchall() == [(0,)])
    assert states(owner) == []


def test_a_key_that_cannot_be_opened_is_said(api: RunningApi, owner: Any) -> None:
    made = add(api, "http://127.0.0.1:9")
    stored = owner.execute("SELECT key FROM webhooks").fetchall()[0][0]
    assert made["key"].encode() not in bytes(stored)
    with delivering(api, "another secret than the one before, of 32 characters"):
        happen(owner)
        until(lambda: ok(api.client().get(f"/api/v1/webhooks/{made['id']}"))["last_error"] != "")
    assert "BELLWETHER_SECRET" in ok(api.client().get(f"/api/v1/webhooks/{made['id']}"))["last_error"]


def test_what_may_not_be_is_refused(api: RunningApi, owner: Any) -> None:
    client = api.client()
    for wrong in (
        {"url": "ftp://cmms.example/", "events": ["*"]},
        {"url": "https://10.0.0.7/", "events": ["*"]},
        {"url": "https://cmms.example/", "events": []},
        {"url": "https://cmms.example/", "events": ["alarm.rung"]},
    ):
        refused(client.post("/api/v1/webhooks", json=wrong), 422)
    made = add(api, "http://127.0.0.1:9")
    path = f"/api/v1/webhooks/{made['id']}"
    refused(client.put(path, json={"url": "https://169.254.169.254/latest", "events": ["*"]}), 422)
    for role in (Role.MANAGER, Role.SERVICE):
        refused(api.client(role).get(path), 403)
    refused(api.client(tenant="other").get(path), 404)
    refused(api.client(tenant="other").get(f"{path}/deliveries"), 404)


DIES = """
from notify.channels import webhooks
from store.webhooks import deliveries
setattr(deliveries, "delivered", die)
webhooks.Webhooks(sys.argv[1], sys.argv[2], to_loopback=True).run()
"""


def test_killed_between_the_answer_and_the_tick_it_posts_again_with_the_same_id(api: RunningApi, owner: Any) -> None:
    with receiving() as receiver:
        add(api, receiver.url)
        happen(owner)
        dies(DIES, api.database.url("notify"), SECRET)
        assert len(receiver.told) == 1
        assert states(owner) == ["waiting"]
        due_now(owner)  # the lease is over
        with delivering(api):
            until(lambda: states(owner) == ["delivered"])
    first, second = receiver.ids()
    assert first == second
    assert receiver.told[0][1] == receiver.told[1][1]


def test_a_lost_database_is_waited_for(api: RunningApi, owner: Any) -> None:
    with receiving() as receiver:
        add(api, receiver.url)
        with delivering(api):
            happen(owner, "before")
            until(lambda: states(owner) == ["delivered"])
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'bellwether_notify' AND datname = current_database()"
            )
            happen(owner, "after")
            until(lambda: states(owner) == ["delivered"] * 2)
    assert receiver.devices() == ["before", "after"]


def test_a_receiver_that_trickles_is_cut_off() -> None:
    with receiving(lambda number: 0) as receiver:
        answer = posting.post(receiver.url, b"{}", {}, to_loopback=True, within_s=0.3)
    assert (answer.status, answer.error) == (None, "no answer within 0.3 s")


def test_what_a_name_means_is_judged_when_it_is_sent_to() -> None:
    with receiving() as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        for host in ("localhost", "127.1", "0x7f.0.0.1"):
            answer = posting.post(f"https://{host}:{port}/{uuid4()}", b"{}", {})
            assert "no public" in answer.error
    assert receiver.told == []
