"""People are told, through real services on the loopback: one after the other, at least once, and never in silence."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_string
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import httpx
import pytest
from dying import dies
from serving import SECRET, RunningApi, alarm_event, ok, refused
from telling import channel, set_up, somebody
from waiting import until

from alarms.roles import Role
from notify.channels import apprised, carrier
from notify.channels.messenger import Messenger
from store.connection import act_for, connect
from store.messages import deliveries
from store.messages.queue import queue_customer_message

carrier.ROUND_S = 0.1  # a stop waits for it
deliveries.AGAIN_FIRST_S = 0.05
PAGES = "https://plant.example"


@dataclass
class Service:
    """What somebody's channels lead to: an HTTP service that fails below `/broken`, and a mail server."""

    http: str = ""
    smtp: str = ""
    told: list[tuple[str, str]] = field(default_factory=list)  # the path, and what was said
    words: list[str] = field(default_factory=list)  # all that was said by HTTP
    mails: list[tuple[list[str], str]] = field(default_factory=list)

    def told_at(self, path: str) -> list[str]:
        return [said for where, said in self.told if where == path]


class Servers(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    found = Service()

    class Web(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.told.append((self.path, said["title"]))
            found.words.append(said["message"])
            self.send_response(500 if self.path.startswith("/broken") else 200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nobody reads it."""

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            recipients: list[str] = []
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper().decode()
                if word == "RCPT":
                    recipients.append(line.decode().split("<")[1].split(">")[0])
                if word == "DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    found.mails.append((recipients, b"".join(lines).decode()))
                self.wfile.write(b"221 bye\r\n" if word == "QUIT" else b"250 yes\r\n")
                if word == "QUIT":
                    return

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Web), Servers(("127.0.0.1", 0), Mail)]
    found.http, found.smtp = (f"127.0.0.1:{server.server_address[1]}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in servers]
    for thread in threads:
        thread.start()
    yield found
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module", autouse=True)
def address(api: RunningApi) -> None:
    """Where the pages are, as the terms say it."""
    found = ok(api.client().get("/api/v1/terms"))
    terms = found["terms"] | {"follow_up": found["terms"]["follow_up"] | {"page_address": f"{PAGES}/"}}
    asked = {"terms": terms, "version": found["version"], "reason": "Messages lead somewhere"}
    ok(api.client().put("/api/v1/terms", json=asked))


@pytest.fixture
def owner(api: RunningApi) -> Iterator[Any]:
    """Nobody is told anything yet."""
    with api.database.owner() as conn:
        conn.execute("DELETE FROM messages")
        conn.execute("DELETE FROM escalations")
        conn.execute("DELETE FROM person_channels")
        conn.execute("DELETE FROM tenant_mail")
        yield conn


@contextmanager
def telling(api: RunningApi) -> Iterator[None]:
    """The messenger on a thread."""
    messenger = Messenger(api.database.url("notify"), SECRET, to_private=True)
    thread = threading.Thread(target=messenger.run)
    thread.start()
    try:
        yield
    finally:
        messenger.stop()
        thread.join()


def raised(api: RunningApi, owner: Any, severity: str = "high") -> UUID:
    """An alarm, as ingest writes one."""
    alarm = api.plant.alarm(api.plant.device(), severity=severity)
    owner.execute(
        "INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, kind, state, severity)"
        " VALUES (gen_random_uuid(), %s, 'demo', now(), 'raised', 'unacknowledged', %s)",
        [alarm, severity],
    )
    return alarm


def log_of(owner: Any, alarm: UUID) -> list[tuple[str, str, str]]:
    rows = owner.execute("SELECT login, state, error FROM messages WHERE alarm_id = %s ORDER BY id", [alarm])
    return [tuple(row) for row in rows.fetchall()]


def ended(owner: Any, alarm: UUID) -> str:
    return str(owner.execute("SELECT ended_because FROM escalations WHERE alarm_id = %s", [alarm]).fetchall()[0][0])


def test_whoever_is_on_call_is_told_and_the_next_only_when_nobody_takes_it(
    api: RunningApi, owner: Any, service: Service
) -> None:
    (kim, hers), (lee, his) = somebody(api), somebody(api, Role.DISPATCHER)
    channel(hers, f"json://{service.http}/kim")
    channel(his, f"json://{service.http}/lee")
    set_up(api, [kim], [lee])
    assert ok(api.client(Role.ENGINEER).get("/api/v1/on-call"))["now"] == kim
    alarm, quiet = raised(api, owner), raised(api, owner, "low")
    with telling(api):
        until(lambda: log_of(owner, alarm) == [(kim, "sent", "")])
        assert service.told_at("/lee") == []
        owner.execute("UPDATE escalations SET next_at = now() WHERE alarm_id = %s", [alarm])
        until(lambda: log_of(owner, alarm) == [(kim, "sent", ""), (lee, "sent", "")])
        ok(hers.post(f"/api/v1/alarms/{alarm}/acknowledge", json={"note": "I go"}))
        until(lambda: ended(owner, alarm) == "alarm acknowledged")
    assert service.told_at("/kim")[0].startswith("HIGH: ")
    assert [words.split("\n")[-1] for words in service.words] == 2 * [f"{PAGES}/alarms/{alarm}"]
    assert log_of(owner, quiet) == [], "nobody is called for what is low"
    told = ok(api.client(Role.MANAGER).get("/api/v1/messages", params={"alarm": str(alarm)}))["items"]
    assert [(one["kind"], one["step"]) for one in told] == [("chain.alarm", 1), ("on_call.alarm", 0)]
    assert {one["login"] for one in ok(his.get("/api/v1/channels/messages"))["items"]} == {lee}


def test_what_cannot_be_delivered_is_seen_and_the_next_is_told_at_once(
    api: RunningApi, owner: Any, service: Service
) -> None:
    (kim, hers), (lee, _), (mia, third) = somebody(api), somebody(api), somebody(api)
    channel(hers, f"json://{service.http}/broken/kim")
    channel(third, f"json://{service.http}/mia")
    set_up(api, [kim], [lee, mia])
    alarm = raised(api, owner)
    with telling(api):
        until(lambda: [row[:2] for row in log_of(owner, alarm)][-1:] == [(mia, "sent")])
        first, second, _ = log_of(owner, alarm)
        assert first[:2] == (kim, "undeliverable")
        assert "500" in first[2]
        assert second == (lee, "undeliverable", f"{lee} has no channel that is switched on")
        set_up(api, [], [mia])
        other = raised(api, owner)
        until(lambda: len(log_of(owner, other)) == 2)
    assert log_of(owner, other)[0] == ("", "undeliverable", "nobody is on call")
    assert len(service.told_at("/broken/kim")) == deliveries.CHAIN_ATTEMPTS
    assert ok(hers.get("/api/v1/channels"))["items"][0]["failing_since"] is not None
    manager = api.client(Role.MANAGER)
    lost = ok(manager.get("/api/v1/messages", params={"unseen": True}))["items"]
    assert len(lost) == 3
    assert "bellwether_messages_undeliverable 3.0" in until(
        lambda: text if "undeliverable 3.0" in (text := httpx.get(f"{api.url}/metrics", trust_env=False).text) else ""
    )
    news = owner.execute("SELECT count(*) FROM live_events WHERE kind = 'message.undeliverable'").fetchall()
    assert news[0][0] >= 3
    again = ok(manager.post(f"/api/v1/messages/{lost[-1]['id']}/again"), 202)
    assert (again["login"], again["state"]) == (kim, "waiting")
    refused(manager.post(f"/api/v1/messages/{lost[0]['id']}/again"), 409)
    assert ok(manager.post("/api/v1/messages/settle"))["messages"] == 2
    assert ok(manager.get("/api/v1/messages", params={"unseen": True}))["items"] == []


def test_a_house_without_any_channel_is_told_so_once(api: RunningApi, owner: Any) -> None:
    alarms = [raised(api, owner), raised(api, owner)]
    with telling(api):
        for alarm in alarms:
            until(lambda alarm=alarm: ended(owner, alarm) == "nobody has a channel")
    assert [len(log_of(owner, alarm)) for alarm in alarms] == [1, 0]


def test_preferences_and_quiet_hours(api: RunningApi, owner: Any, service: Service) -> None:
    (_, hers), (lee, his) = somebody(api), somebody(api)
    channel(hers, f"json://{service.http}/awake")
    channel(his, f"json://{service.http}/asleep")
    always = {"quiet_from": "12:00", "quiet_to": "12:00"}  # whatever the hour
    ok(hers.put("/api/v1/channels/preferences", json={"alarms_from": "medium", **always}))
    ok(his.put("/api/v1/channels/preferences", json={"alarms_from": "high", "urgent_passes": False, **always}))
    refused(hers.put("/api/v1/channels/preferences", json={"quiet_from": "12:00"}), 422)
    set_up(api, [lee], [])
    ok(
        api.client(Role.MANAGER).put(
            "/api/v1/on-call/chain", json={"alarms_from": None, "steps": [{"whom": "on_call"}]}
        )
    )
    medium, critical = raised(api, owner, "medium"), raised(api, owner, "critical")
    waiting = partial(owner.execute, "SELECT next_attempt_at FROM messages WHERE state = 'waiting'")
    with telling(api):
        until(lambda: len(service.told_at("/awake")) == 1)
        until(lambda: all(at > datetime.now(UTC) for (at,) in waiting().fetchall()))
    assert service.told_at("/awake")[0].startswith("CRITICAL"), "what is urgent passes, where one lets it"
    assert service.told_at("/asleep") == []
    assert len(log_of(owner, medium)) == 1
    assert len(log_of(owner, critical)) == 2


def test_a_channel_is_tried_kept_locked_and_gone_with_its_person(api: RunningApi, owner: Any, service: Service) -> None:
    kim, hers = somebody(api)
    made = channel(hers, f"json://{service.http}/a-very-secret-token")
    assert "secret" not in json.dumps(ok(hers.get("/api/v1/channels")))
    stored = owner.execute("SELECT address FROM person_channels").fetchall()[0][0]
    assert b"secret" not in bytes(stored)
    with telling(api):
        ok(hers.post(f"/api/v1/channels/{made['id']}/test"), 202)
        until(lambda: service.told_at("/a-very-secret-token") == ["Bellwether: a test"])
        until(lambda: ok(hers.get("/api/v1/channels"))["items"][0]["worked_at"])
    for wrong in (
        "syslog://",
        "file:///etc/passwd",
        "json://plant.example/?+X-Header=1",
        "jsons://plant.example/?verify=no",
        "mailto://plant.example?attach=/etc/passwd",
        "mailto://",
        "dbus://",
        "x" * 1001,
    ):
        refused(hers.post("/api/v1/channels", json={"name": "x", "url": wrong}), 422)
    _, his = somebody(api)
    refused(his.delete(f"/api/v1/channels/{made['id']}"), 404)
    refused(his.post(f"/api/v1/channels/{made['id']}/test"), 404)
    held = {place["table_name"] for place in ok(api.client().get(f"/api/v1/users/{kim}/personal-data"))["held"]}
    assert {"person_channels", "messages"} <= held
    ok(api.client().post(f"/api/v1/users/{kim}/erasure", json={"note": "asked for it"}))
    assert owner.execute("SELECT count(*) FROM person_channels").fetchall() == [(0,)]


def test_customers_are_written_to_from_the_tenants_own_account(api: RunningApi, owner: Any, service: Service) -> None:
    def say(once: str, contact: str = "Ms Orr, +44 20 7946 0000, orr@customer.example") -> bool:
        with connect(api.database.url("api"), "test") as conn:
            act_for(conn, "demo")
            about = {"kind": "appointment.reminder", "subject": "Tomorrow\n at ten", "body": "Jo comes at ten."}
            return queue_customer_message(conn, "demo", contact=contact, once=once, **about)

    def states() -> list[tuple[str, str]]:
        return owner.execute("SELECT state, error FROM messages ORDER BY id").fetchall()

    administrator = api.client()
    with telling(api):
        assert say("1")
        until(lambda: states() == [("undeliverable", "no mail channel set")])
        refused(administrator.put("/api/v1/messages/mail", json={"url": f"json://{service.http}/"}), 422)
        url = f"mailto://{service.smtp}?from=service@plant.example&to=nobody@plant.example&mode=insecure"
        assert administrator.put("/api/v1/messages/mail", json={"url": url}).status_code == 204
        assert ok(administrator.get("/api/v1/messages/mail"))["scheme"] == "mailto"
        assert say("2")
        assert not say("2"), "nobody is told twice"
        until(lambda: states()[1:] == [("sent", "")])
    ((recipients, mail),) = service.mails
    assert recipients == ["orr@customer.example"]
    assert "Subject: Tomorrow at ten" in mail
    assert "Jo comes at ten." in mail
    assert say("3", "ring twice")
    assert states()[2] == ("undeliverable", "no e-mail address in the contact")


def test_a_document_is_sent_once_with_its_ticket_and_says_so_there(
    api: RunningApi, owner: Any, service: Service
) -> None:
    engineer, device = api.client(Role.ENGINEER), api.plant.device()
    customer = {"number": "K-58", "name": "Dairy", "contact": "Ann <ann@dairy.example>", "tier": "regular"}
    ok(api.client(Role.DISPATCHER).post("/api/v1/customers", json=customer), 201)
    ok(api.client().put(f"/api/v1/devices/{device}/file", json={"customer": "K-58"}))
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device)), 201)
    path = f"/api/v1/tickets/{ticket['id']}"
    diagnosis = {"located": "Worn seal", "plan": "Replace it", "hours": 2.5}
    quote = {"amount": "480.00", "currency": "EUR", "covers": "Seal"}
    for to in ("accepted", "diagnosing"):
        ok(engineer.post(f"{path}/move", json={"to": to}))
    ok(engineer.post(f"{path}/move", json={"to": "on_site", "diagnosis": diagnosis}))
    assert [one["sent"] for one in ok(engineer.get(f"{path}/documents"))["items"]] == [None], "no account, no letter"

    url = f"mailto://{service.smtp}?from=service@plant.example&to=nobody@plant.example&mode=insecure"
    assert api.client().put("/api/v1/messages/mail", json={"url": url}).status_code == 204
    before = len(service.mails)
    ok(engineer.post(f"{path}/move", json={"to": "repairing"}))
    ok(engineer.post(f"{path}/move", json={"to": "awaiting_approval", "quote": quote}))
    with telling(api):
        until(lambda: len(service.mails) > before)
        answer = {"accepted": True, "name": "Ann"}
        ok(api.client(None).post(f"/api/v1/tickets/track/{ticket['code']}/quote", json=answer))
        until(lambda: ok(engineer.get(f"{path}/documents"))["items"][0]["sent"]["state"] == "sent")
    mails = [message_from_string(mail) for _, mail in service.mails[before:]]
    assert [mail["Subject"].split(" for ")[0].split("-")[-1] for mail in mails] == ["000001", "000001, version 2"]
    words, pdf = list(mails[0].walk())[-2:]
    assert pdf.get_filename().endswith("-000001.pdf")
    latest = ok(engineer.get(f"{path}/documents"))["items"]
    assert [(one["version"], (one["sent"] or {}).get("to")) for one in latest] == [
        (2, "ann@dairy.example"),
        (1, "ann@dairy.example"),
        (1, None),
    ]
    first = next(one for one in latest if one["kind"] == "quote" and one["version"] == 1)
    assert pdf.get_payload(decode=True) == engineer.get(f"{path}/documents/{first['id']}/pdf").content
    assert f"{PAGES}/track/{ticket['code']}" in words.get_payload(decode=True).decode()
    told = [event["detail"] for event in ok(engineer.get(path))["events"] if event["kind"] == "document_sent"]
    assert [(one["version"], one["to"]) for one in told] == [(1, "ann@dairy.example"), (2, "ann@dairy.example")]
    page = engineer.get(f"/tickets/{ticket['id']}", headers={"Accept": "text/html"}).text
    assert "Sent to ann@dairy.example" in page


def test_private_addresses_are_closed_unless_the_operator_opens_them(service: Service) -> None:
    before = len(service.told)
    for host in (service.http, service.http.replace("127.0.0.1", "localhost")):
        outcome = apprised.send(f"json://{host}/", "a", "b")
        assert outcome.lasting
        assert "no public address" in outcome.error
    assert "no public address" in apprised.send("json://169.254.169.254/", "a", "b", to_private=True).error
    assert len(service.told) == before
    told = apprised.send(f"json://{service.http}/broken/a-very-secret-token", "a", "b", to_private=True)
    assert not told.is_sent
    assert "secret" not in told.error


DIES = """
from notify.channels import messenger
from store.messages import deliveries
deliveries.sent = die
messenger.Messenger(sys.argv[1], sys.argv[2], to_private=True).run()
"""


def test_killed_between_the_answer_and_the_tick_it_tells_again(api: RunningApi, owner: Any, service: Service) -> None:
    kim, hers = somebody(api)
    channel(hers, f"json://{service.http}/killed")
    set_up(api, [kim], [])
    alarm = raised(api, owner)
    dies(DIES, api.database.url("notify"), SECRET)
    assert log_of(owner, alarm) == [(kim, "waiting", "")]
    owner.execute("UPDATE messages SET next_attempt_at = now()")  # the lease is over
    with telling(api):
        until(lambda: log_of(owner, alarm) == [(kim, "sent", "")])
    assert len(service.told_at("/killed")) == 2


def test_a_shift_is_taken_by_oneself_and_given_by_a_manager(api: RunningApi, owner: Any) -> None:
    (kim, hers), (lee, _) = somebody(api, Role.DISPATCHER), somebody(api)
    set_up(api, [lee], [])
    now = datetime.now(UTC)
    taken = {"login": kim, "from": now.isoformat(), "to": (now + timedelta(days=1)).isoformat()}
    made = ok(hers.post("/api/v1/on-call/overrides", json=taken), 201)
    assert ok(hers.get("/api/v1/on-call"))["now"] == kim
    refused(hers.post("/api/v1/on-call/overrides", json={**taken, "login": lee}), 422)
    refused(api.client().post("/api/v1/on-call/overrides", json={**taken, "login": "nobody"}), 422)
    refused(api.client().post("/api/v1/on-call/overrides", json={**taken, "to": taken["from"]}), 422)
    assert api.client().delete(f"/api/v1/on-call/overrides/{made['id']}").status_code == 204
    assert ok(hers.get("/api/v1/on-call"))["now"] == lee
    manager = api.client(Role.MANAGER)
    wrong = {"zone": "Europe/Berlin", "layers": [{"name": "x", "members": ["nobody"], "starts_on": "2026-01-01"}]}
    refused(manager.put("/api/v1/on-call/rota", json=wrong), 422)
    refused(manager.put("/api/v1/on-call/chain", json={"steps": [{"whom": "role", "who": "owner"}]}), 422)
    assert ok(hers.get("/api/v1/on-call/chain"))["steps"][0]["whom"] == "on_call"
