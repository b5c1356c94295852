"""Every request that changes something leaves an act that names its route, whatever routes there are; and every table
that the API writes to has its trigger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import psycopg
import pytest
from servers import Database
from serving import SECRET, RunningApi, ok

from alarms.roles import Role
from alarms.rules import rule_from_json
from api.alarms.rules_page import write as write_rule
from api.app import ApiSettings, create_app
from api.tickets.terms_page import write
from store import waveforms
from telemetry.waveform import Waveform
from tickets.calendar import WEEKDAYS

PASSWORD = "long enough, surely"
SHIFTS = {"zone": "UTC", "week": {day: ["08:00-17:00"] for day in WEEKDAYS}, "exceptions": []}
CHOICE = {"procedure": "filter.change", "note": "why"}
ANEW = {"version": 0, "reason": "why"}
LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()
WHY = {"cause": "wear", "consequence": "a stop", "action": "look", "respond_within_s": 3600.0}
RULE = {"detector": "limits", "fault": "condition", "severities": [[1.0, "high"]], "rationalisation": WHY}

# Requests that leave no act, each with its reason.
NONE_LEFT: dict[str, str] = {}
# Tables that the API writes to without a trigger of their own, each with its reason.
UNWATCHED = {
    "alarms": "each change of it is an event in alarm_events",
    "tickets": "each change of it is an event in ticket_events",
    "ticket_alarms": "with an event in ticket_events, in the same transaction",
    "ticket_clocks": "they follow from the ticket's events",
    "ticket_pauses": "with the event of the move that pauses or resumes",
    "attachment_pieces": "with the line of their file in attachments",
    "idempotency": "an answer that is kept for a day; what it answers is an act",
    "outbox": "a parcel that follows from an event",
    "webhook_events": "what is told of an event; one that a person asks for is an act of its delivery's",
    "part_lots": "made by the move that brings it",
    "document_numbers": "the last that was given; the document that has it is an act",
}


@dataclass
class World(dict[str, str]):
    """What paths and bodies call things; each is made when it is first asked for."""

    api: RunningApi
    client: httpx.Client
    make: dict[str, Callable[[World], str]] = field(default_factory=dict)

    def __missing__(self, name: str) -> str:
        self[name] = MADE[name](self)
        return self[name]

    def post(self, path: str, status: int = 201, **body: Any) -> Any:
        return ok(self.client.post(f"/api/v1/{path}", json=body), status)

    def sql(self, statement: str, *values: object) -> Any:
        with self.api.database.owner() as conn:
            return conn.execute(statement.encode(), values).fetchall()[0][0]


def user(w: World) -> str:
    w["login"] = f"jo-{uuid4().hex[:6]}"
    made = w.post("users", login=w["login"], name="Jo Novak", role="engineer", password=PASSWORD)
    return str(made["id"])


def signed_in(w: World) -> str:
    """From now on it is a person who asks."""
    w["user_id"] = user(w)
    ok(w.client.post("/api/v1/token", json={"login": w["login"], "password": PASSWORD}))
    token = ok(w.client.post("/api/v1/token", json={"login": w["login"], "password": PASSWORD}))["access_token"]
    w.client = w.api.client(None)
    w.client.headers["Authorization"] = f"Bearer {token}"
    w.client.cookies.set("bw_session", token)
    return token


def quoted(w: World) -> str:
    """The code of a ticket whose quote waits for an answer."""
    quote = "INSERT INTO ticket_papers (ticket_id, tenant, turn, paper, at, who, body) VALUES (%s, 'demo', 0, 'quote',"
    body = '{"amount": "480.00", "currency": "EUR", "covers": "A seal"}'
    w.sql(f"{quote} now(), 'jo', %s) RETURNING 1", w["ticket_id"], body)
    return str(w.sql("UPDATE tickets SET state = 'awaiting_approval' WHERE id = %s RETURNING code", w["ticket_id"]))


def appointed(w: World) -> str:
    """The code of a ticket that waits for its appointment."""
    w.sql(
        "INSERT INTO ticket_papers (ticket_id, tenant, turn, paper, at, who, body)"
        " VALUES (%s, 'demo', 0, 'appointment', now(), 'jo', jsonb_build_object('begins_at', now() + interval '1 day',"
        " 'ends_at', now() + interval '26 hours')) RETURNING 1",
        w["ticket_id"],
    )
    return str(w.sql("UPDATE tickets SET state = 'scheduled' WHERE id = %s RETURNING code", w["ticket_id"]))


def told(w: World) -> dict[str, Any]:
    """What the customer of an appointment says by telephone, to the API and to its page."""
    appointed(w)
    return {"answer": "confirmed", "name": "Ann Dairy", "way": "telephone"}


def told_page(w: World) -> dict[str, Any]:
    said = told(w)
    return {"reply": said.pop("answer"), **said}


def erasing(w: World) -> dict[str, Any]:
    """The number of a customer, as whoever erases them types it."""
    typed = str(w.sql("SELECT number FROM customers WHERE id = %s", w["customer_id"]))
    return {"number": typed, "note": "asked for by letter"}


def leaving(w: World) -> dict[str, Any]:
    """With whom goods leave that were sent in and are handed over."""
    w.sql("UPDATE tickets SET state = 'handed_over', service = 'send_in' WHERE id = %s RETURNING 1", w["ticket_id"])
    return {"carrier": "DHL"}


def not_well(w: World) -> dict[str, Any]:
    """What `notify` asks once a machine was compared after its repair."""
    check = w.sql(
        "INSERT INTO repair_checks (ticket_id, device_id, tenant, turn, stage, begins_at, settled_at, outcome)"
        " SELECT id, device_id, tenant, 0, 'test', now(), now(), 'not_well' FROM tickets WHERE id = %s RETURNING id",
        w["ticket_id"],
    )
    w.client = w.api.client(Role.SERVICE)
    return {"check_id": str(check)}


def confirmed(w: World) -> dict[str, Any]:
    w["code"] = appointed(w)
    return {"answer": "confirmed"}


def standing(w: World) -> str:
    """A site with a machine."""
    site = number("site")
    w.sql("UPDATE devices SET site = %s WHERE tenant = 'demo' AND device = %s RETURNING 1", site, w["device"])
    return site


def work(w: World) -> str:
    """What a ticket that is being repaired goes by."""
    w.sql("UPDATE tickets SET state = 'repairing' WHERE id = %s RETURNING 1", w["ticket_id"])
    made = (
        "INSERT INTO ticket_procedures (ticket_id, tenant, turn, kind, procedure, version, source, name, steps, at,"
        " who) VALUES (%s, 'demo', 0, 'repair', 'x', '1', 'own', 'x', '[\"x\"]', now(), 'jo') RETURNING id"
    )
    return str(w.sql(made, w["ticket_id"]))


def engineer(w: World) -> str:
    w["user_id"] = user(w)
    w.post("engineers", login=w["login"], shifts=SHIFTS)
    return w["login"]


def depot(w: World) -> str:
    name = f"depot-{uuid4().hex[:6]}"
    w.post("depots", name=name, kind="city")
    return name


def stocked(w: World) -> str:
    """A part of which there are nine in `depot`."""
    number = f"seal-{uuid4().hex[:6]}"
    w.post("parts", number=number, name="Shaft seal")
    w.post("parts/moves", kind="receipt", part=number, depot=w["depot"], quantity=9)
    return number


def transfer(w: World) -> str:
    sent = w.post("parts/transfers", source=w["depot"], target=depot(w), parts=[{"part": w["part"]}])
    return str(sent["id"])


def reservation(w: World) -> str:
    part = w["part"]
    return str(w.post(f"tickets/{w['ticket_id']}/parts", part=part)["reservations"][0]["id"])


def expired(w: World) -> str:
    """A lot of the part whose time is over."""
    w.sql(
        "WITH made AS (INSERT INTO part_lots (tenant, part_id, lot, expires_on) SELECT 'demo', id, 'old', '2020-01-01'"
        " FROM parts WHERE number = %s RETURNING id) SELECT count(*) FROM made",
        w["part"],
    )
    w.post("parts/moves", kind="receipt", part=w["part"], depot=w["depot"], quantity=2, lot="old")
    return "old"


def model(w: World) -> str:
    """A champion that took another's place."""
    made = (
        "INSERT INTO models (tenant, device_id, device, version, state, asked_by, arrays, hash, replaces,"
        " learnt_from, learnt_until, learnt_days, readings)"
        " SELECT tenant, id, device, %s, %s, 'x', 'x', 'x', %s::uuid, now(), now(), 1, 1 FROM devices"
        " WHERE tenant = 'demo' AND device = %s RETURNING id"
    )
    former = w.sql(made, 1, "retired", None, w["device"])
    return str(w.sql(made, 2, "champion", former, w["device"]))


def waveform(w: World) -> str:
    block = Waveform("demo", w["device"], "x", 1, 0, 100.0, None, "g", 1.0, 0.0, np.arange(6000, dtype="<i2"))
    with w.api.database.owner() as conn, conn.transaction():
        waveforms.append(conn, [block], arrived_us=2)
    w["axis"] = "x"
    return str(waveforms.id_of(block))


def reject(w: World) -> str:
    statement = (
        "INSERT INTO rejects (tenant, device, topic, payload, bytes, reason, whole)"
        " VALUES ('demo', %s, 't', 'p', 1, %s, true) RETURNING id"
    )
    w["reason"] = uuid4().hex
    return str(w.sql(statement, w["device"], w["reason"]))


def webhook(w: World) -> str:
    """One that was sent something."""
    made = w.post("webhooks", url="https://cmms.example/", events=["model.*"])["id"]
    w.post(f"webhooks/{made}/test", 202)
    w.sql("UPDATE webhook_deliveries SET state = 'delivered', ended_at = now() WHERE webhook_id = %s RETURNING 1", made)
    return str(made)


SAID = {"reached": 4, "time": 4, "told": 4, "people": 4, "result": 4, "recommend": 2}


def survey(w: World) -> str:
    """One of the ticket's."""
    return str(
        w.sql(
            "INSERT INTO surveys (tenant, ticket_id, turn, terms, made_at, due_at, expires_at, link_hash)"
            " VALUES ('demo', %s, 0, 0, now(), now(), now() + interval '1 day', sha256(gen_random_uuid()::text::bytea))"
            " RETURNING id",
            w["ticket_id"],
        )
    )


def handling(w: World) -> str:
    """Of a customer who was not satisfied."""
    ok(w.client.post(f"/api/v1/surveys/{w['survey_id']}/answers", json={"answers": SAID}))
    return str(w.sql("SELECT id FROM second_handlings WHERE survey_id = %s", w["survey_id"]))


def called_back(w: World) -> dict[str, Any]:
    ok(w.client.post(f"/api/v1/second-handlings/{w['handling_id']}/call", json={"reached": True}))
    return {"cause": "Late", "outcome": "Apologised"}


def raised(state: str, *, active: bool = True) -> Callable[[World], str]:
    return lambda w: str(w.api.plant.alarm(w["device"], state=state, active=active))


PHONE = {"name": "phone", "url": "json://plant.example/"}


def shift(login: str) -> dict[str, str]:
    return {"login": login, "from": datetime.now(UTC).isoformat(), "to": LATER}


def lost(w: World) -> str:
    """A message that reached nobody."""
    lines = "INSERT INTO messages (tenant, kind, recipient, subject, body, state, ended_at) VALUES ('demo', 'x',"
    return str(w.sql(f"{lines} 'a@b.example', 'x', 'x', 'undeliverable', now()) RETURNING id"))


def channel(w: World) -> str:
    return w["person"] and str(w.post("channels", **PHONE)["id"])


def mailed(w: World) -> None:
    assert w.client.put("/api/v1/messages/mail", json={"url": "mailto://kim:pass@plant.example"}).status_code == 204


MADE: dict[str, Callable[[World], str]] = {
    "device": lambda w: w.api.plant.device(),
    "user_id": user,
    "login": lambda w: w["user_id"] and w["login"],
    "person": signed_in,
    "key_id": lambda w: str(w.post("keys", name="CMMS", role="service")["id"]),
    "credential_id": lambda w: str(
        w.sql(
            "INSERT INTO device_credentials (tenant, device_id, device, name, kind, username, created_by)"
            " SELECT tenant, id, device, 'board', 'certificate', %s, 'x' FROM devices"
            " WHERE tenant = 'demo' AND device = %s RETURNING id",
            f"bw-{uuid4().hex}",
            w["device"],
        )
    ),
    "waveform_id": waveform,
    "axis": lambda w: str(w["waveform_id"] and w["axis"]),
    "alarm_id": raised("unacknowledged"),
    "shelved": raised("shelved"),
    "latched": raised("latched", active=False),
    "ticket_id": lambda w: str(w.post("tickets", source="person", device=w["device"], title="It leaks")["id"]),
    "engineer": engineer,
    "work_id": work,
    "number": lambda w: "1",
    "code": quoted,
    "file_id": lambda w: str(
        ok(w.client.post(f"/api/v1/tickets/{w['ticket_id']}/files", content=uuid4().hex.encode()), 201)["id"]
    ),
    "rule_id": lambda w: f"mine-{uuid4().hex[:6]}",
    "window_id": lambda w: str(w.post("maintenance", device=w["device"], reason="why", ends_at=LATER)["id"]),
    "outage_id": lambda w: str(w.post("out-of-service", rule="shift", device=w["device"], reason="why")["id"]),
    "survey_id": survey,
    "link": lambda w: str(w.post(f"surveys/{w['survey_id']}/link")["link"]),
    "handling_id": handling,
    "action_id": lambda w: str(w.post("corrective-actions", problem="It leaks")["id"]),
    "plan_id": lambda w: str(w.post("plans", **planned(w))["id"]),
    "customer_id": lambda w: str(w.post("customers", number=uuid4().hex, name="Dairy")["id"]),
    "model_id": model,
    "depot": depot,
    "another": depot,
    "part": stocked,
    "transfer_id": transfer,
    "reservation_id": reservation,
    "lot": expired,
    "reject_id": reject,
    "webhook_id": webhook,
    "channel_id": channel,
    "override_id": lambda w: str(w.post("on-call/overrides", **shift(w["user_id"] and w["login"]))["id"]),
    "message_id": lost,
}


def planned(w: World) -> dict[str, Any]:
    """A plan that nothing falls due by."""
    return {"name": "Oil", "device": w["device"], "steps": "Change it.", "trigger": {"kind": "risk", "limit": 0.4}}


def fell_due(w: World) -> dict[str, Any]:
    """What `notify` asks once something fell due."""
    w.sql(
        "INSERT INTO plan_occurrences (plan_id, device_id, number, tenant, found_at, due_at, why, outcome)"
        " SELECT %s, id, 1, tenant, now(), now(), 'x', 'opening' FROM devices WHERE device = %s RETURNING 1",
        w["plan_id"],
        w["device"],
    )
    w.client = w.api.client(Role.SERVICE)
    return {"plan_id": w["plan_id"], "device": w["device"], "number": 1}


def terms(w: World) -> dict[str, Any]:
    """The terms in force, and their version."""
    found = ok(w.client.get("/api/v1/terms"))
    return {"terms": found["terms"], "version": found["version"], "reason": "why"}


def typed_terms(w: World) -> dict[str, str]:
    found = terms(w)
    return {**write(found["terms"]), "version": str(found["version"]), "reason": "why", "guarantee_days": "77"}


def typed_rule(w: World) -> dict[str, str]:
    """What the form of a rule that is there sends."""
    ok(w.client.put(f"/api/v1/rules/{w['rule_id']}", json={"rule": RULE, "version": 0}))
    return {**write_rule(rule_from_json({**RULE, "id": w["rule_id"]})), "on_delay_s": "7", "version": "1"}


def baseline(w: World) -> None:
    ok(w.client.put(f"/api/v1/devices/{w['device']}/baselines/{w['axis']}", json={"waveform_id": w["waveform_id"]}))


def credential(w: World) -> dict[str, Any]:
    w.sql("UPDATE gate SET public_key = 'x', seen_at = now() RETURNING 1")
    return {"device": w["device"], "kind": "certificate"}


def issued(w: World) -> dict[str, Any]:
    path = f"tickets/{w['ticket_id']}/parts/issue"
    w.post(path, part=w["part"], depot=w["depot"])
    return {"part": w["part"], "fate": "unused", "depot": w["depot"]}


def number(prefix: str) -> str:
    return f"{prefix}-{uuid4().hex[:8]}"


def typed_anew() -> dict[str, str]:
    return {"p-fault": uuid4().hex, "p-version": "0", "p-reason": "why"}


def written(w: World) -> dict[str, str]:
    """A procedure that is there, as it is taken back."""
    fault = number("f")
    ok(
        w.client.put(
            "/api/v1/sops", json={"kind": "repair", "fault": fault, "name": "x", "steps": [{"do": "x"}], **ANEW}
        )
    )
    return {"kind": "repair", "fault": fault, "version": "1", "reason": "why"}


def proposal(w: World) -> str:
    """Who is proposed for the ticket."""
    w["engineer"] = engineer(w)
    w.sql(
        "INSERT INTO dispatch_proposals (ticket_id, tenant, made_at, engineer, turn, sets_off, late_min, travel_min,"
        " reasons) VALUES (%s, 'demo', now(), %s, 1, now(), 0, 0, '[]') RETURNING 1",
        w["ticket_id"],
        w["login"],
    )
    return w["login"]


def by_rule(w: World) -> dict[str, str]:
    """What `notify` asks, where the tenant assigns by rule."""
    ok(w.client.put("/api/v1/dispatch/policy", json={"mode": "assign"}))
    said = {"engineer": proposal(w)}
    w.client = w.api.client(Role.SERVICE)
    return said


Body = Mapping[str, Any]


def instead(alarm: str, body: Body) -> Callable[[World], Body]:
    """Another alarm than one that was just raised."""

    def asked(w: World) -> Body:
        w["alarm_id"] = w[alarm]
        return body

    return asked


# What each is asked; an empty body where it is none. Ids of paths are made of what `MADE` says.
ASKED: dict[str, Body | Callable[[World], Body | None]] = {
    "POST /api/v1/token": lambda w: {"login": w["user_id"] and w["login"], "password": PASSWORD},
    "POST /api/v1/session": lambda w: {"login": w["user_id"] and w["login"], "password": PASSWORD},
    "DELETE /api/v1/session": lambda w: w["person"] and None,
    "POST /api/v1/users": {"login": number("jo"), "name": "Jo", "role": "engineer", "password": PASSWORD},
    "POST /api/v1/users/me/password": lambda w: w["person"] and {"password": PASSWORD, "new_password": PASSWORD + "!"},
    "PATCH /api/v1/users/{user_id}": {"role": "dispatcher"},
    "POST /api/v1/users/{login}/erasure": {"note": "asked"},
    "POST /api/v1/keys": {"name": "CMMS", "role": "service"},
    "DELETE /api/v1/keys/{key_id}": {},
    "POST /api/v1/devices": {"device": number("pump")},
    "POST /api/v1/devices/{device}/retire": {},
    "POST /api/v1/devices/{device}/replace": {"device": number("pump")},
    "PUT /api/v1/admission": lambda w: {
        "policy": "registered" if ok(w.client.get("/api/v1/admission"))["policy"] == "open" else "open"
    },
    "PATCH /api/v1/devices/{device}": {"site": "north"},
    "PATCH /api/v1/devices/{device}/presence": {"expected_interval_s": 7},
    "PUT /api/v1/clock-policy": lambda w: {
        "policy": "correct" if ok(w.client.get("/api/v1/clock-policy"))["policy"] == "keep" else "keep"
    },
    "POST /api/v1/credentials": credential,
    "DELETE /api/v1/credentials/{credential_id}": {},
    "PUT /api/v1/devices/{device}/baselines/{axis}": lambda w: {"waveform_id": w["waveform_id"]},
    "DELETE /api/v1/devices/{device}/baselines/{axis}": baseline,
    "PUT /api/v1/devices/{device}/machine": {"bearing": "SKF 6205"},
    "PUT /api/v1/devices/{device}/file": {"criticality": "A"},
    "POST /api/v1/devices/import": lambda w: {"csv": f"device,criticality\n{w['device']},A\n"},
    "POST /api/v1/alarms/{alarm_id}/acknowledge": {"note": "seen"},
    "POST /api/v1/alarms/{alarm_id}/reset": instead("latched", {"note": "why"}),
    "POST /api/v1/alarms/{alarm_id}/shelve": {"reason": "why", "until": LATER},
    "POST /api/v1/alarms/{alarm_id}/unshelve": instead("shelved", {"note": "why"}),
    "PUT /api/v1/alarm-policy": {"longest_shelf_h": 17},
    "POST /api/v1/maintenance": lambda w: {"device": w["device"], "reason": "why", "ends_at": LATER},
    "POST /api/v1/maintenance/{window_id}/end": {},
    "POST /api/v1/out-of-service": lambda w: {"rule": "shift", "device": w["device"], "reason": "why"},
    "POST /api/v1/out-of-service/{outage_id}/return": {},
    "POST /api/v1/tickets": lambda w: {"source": "person", "device": w["device"], "title": "It leaks"},
    "POST /api/v1/reports": lambda w: {"device": w["device"], "symptom": "leakage"},
    "POST /api/v1/tickets/{ticket_id}/intake": {"words": "It drips."},
    "POST /api/v1/tickets/{ticket_id}/files": {"pressure": 7},
    "DELETE /api/v1/tickets/{ticket_id}/files/{file_id}": {},
    "POST /api/v1/tickets/{ticket_id}/comments": {"note": "why"},
    "POST /api/v1/tickets/{ticket_id}/appointment": told,
    "POST /api/v1/tickets/{ticket_id}/sent-back": leaving,
    "POST /api/v1/tickets/{ticket_id}/move": {"to": "triaged"},
    "POST /api/v1/tickets/track/{code}/quote": {"accepted": True, "name": "A. Dairy"},
    "POST /api/v1/tickets/{ticket_id}/assign": lambda w: {"assignee": w["user_id"] and w["login"]},
    "PUT /api/v1/tickets/{ticket_id}/procedures": lambda w: w["work_id"] and CHOICE,
    "PUT /api/v1/tickets/{ticket_id}/steps/{work_id}/{number}": {"state": "done"},
    "PUT /api/v1/sops": {"kind": "repair", "fault": number("f"), "name": "x", "steps": [{"do": "x"}], **ANEW},
    "POST /api/v1/sops/pictures": {},
    "PUT /api/v1/terms": terms,
    "POST /api/v1/plans": planned,
    "POST /api/v1/plans/occurrences": fell_due,
    "PUT /api/v1/plans/{plan_id}": lambda w: planned(w) | {"lead_days": 3},
    "DELETE /api/v1/plans/{plan_id}": {},
    "POST /api/v1/surveys/{survey_id}/link": {},
    "POST /api/v1/surveys/{survey_id}/calls": {"reached": False},
    "POST /api/v1/surveys/{survey_id}/answers": {"answers": SAID},
    "POST /api/v1/surveys/by-link/{link}": {"answers": SAID},
    "POST /api/v1/second-handlings/{handling_id}/start": {},
    "POST /api/v1/second-handlings/{handling_id}/call": {"reached": True},
    "POST /api/v1/second-handlings/{handling_id}/close": called_back,
    "POST /api/v1/corrective-actions": {"problem": "It leaks"},
    "POST /api/v1/corrective-actions/{action_id}/move": {"to": "dismissed", "note": "why"},
    "POST /api/v1/reviews": {"month": "2024-02", "notes": "why"},
    "POST /api/v1/customers": {"number": number("K"), "name": "Dairy"},
    "POST /api/v1/customers/import": {"csv": f"number,name\n{number('K')},Dairy\n"},
    "POST /api/v1/customers/{customer_id}/erasure": {"note": "asked for by letter"},
    "PUT /api/v1/customers/{customer_id}": {"name": "Dairy", "tier": "vip"},
    "PUT /api/v1/rules/{rule_id}": {"rule": RULE, "version": 0},
    "POST /api/v1/trials": {"rule": {**RULE, "id": "mine"}},
    "POST /api/v1/rejects/replay": lambda w: {"ids": [int(w["reject_id"])]},
    "POST /api/v1/engineers": lambda w: {"login": w["user_id"] and w["login"], "shifts": SHIFTS},
    "PUT /api/v1/engineers/{login}": lambda w: w["engineer"] and {"shifts": SHIFTS, "most": 7},
    "DELETE /api/v1/engineers/{login}": lambda w: w["engineer"] and None,
    "PUT /api/v1/sites": {"site": number("site"), "latitude": 49.4, "longitude": 11.1},
    "PUT /api/v1/dispatch/policy": lambda w: {
        "mode": "propose",
        "visit_min": w.sql("SELECT 5 + (random() * 900)::int"),
    },
    "POST /api/v1/dispatch/proposals/{ticket_id}/accept": lambda w: {"engineer": proposal(w)},
    "POST /api/v1/dispatch/proposals/{ticket_id}/override": lambda w: {
        "engineer": w["user_id"] and w["login"],
        "reason": "why",
    },
    "POST /api/v1/dispatch/proposals/{ticket_id}/assign": by_rule,
    "PUT /api/v1/retention": {"keep_days": {"raw": 365}},
    "POST /api/v1/webhooks": {"url": "https://cmms.example/", "events": ["alarm.raised"]},
    "PUT /api/v1/webhooks/{webhook_id}": {"url": "https://cmms.example/hook", "events": ["ticket.*"]},
    "DELETE /api/v1/webhooks/{webhook_id}": {},
    "POST /api/v1/webhooks/{webhook_id}/keys": {},
    "POST /api/v1/webhooks/{webhook_id}/test": {},
    "POST /api/v1/webhooks/{webhook_id}/replay": {},
    "POST /api/v1/channels": lambda w: w["person"] and PHONE,
    "PUT /api/v1/channels/preferences": lambda w: w["person"] and {"alarms_from": "high"},
    "PUT /api/v1/channels/{channel_id}": {"name": "phone", "enabled": False},
    "DELETE /api/v1/channels/{channel_id}": {},
    "POST /api/v1/channels/{channel_id}/test": {},
    "POST /api/v1/tickets/after-repair": not_well,
    "POST /api/v1/tickets/track/{code}/appointment": confirmed,
    "PUT /api/v1/kpis/goals": lambda w: {"rates": {"hour": w.sql("SELECT 5 + (random() * 900)::int")}},
    "PUT /api/v1/sites/people": lambda w: {"site": standing(w), "people": [w["user_id"] and w["login"]]},
    "PUT /api/v1/on-call/rota": {"zone": "Europe/Berlin", "layers": []},
    "POST /api/v1/on-call/overrides": lambda w: shift(w["login"]),
    "DELETE /api/v1/on-call/overrides/{override_id}": {},
    "PUT /api/v1/on-call/chain": {"steps": [{"whom": "on_call"}]},
    "POST /api/v1/messages/settle": lambda w: {} if w["message_id"] else None,
    "POST /api/v1/messages/{message_id}/again": {},
    "PUT /api/v1/messages/mail": {"url": "mailto://kim:pass@plant.example"},
    "DELETE /api/v1/messages/mail": mailed,
    "POST /api/v1/models": lambda w: {"device": w["device"]},
    "POST /api/v1/models/{model_id}/rollback": {"reason": "why"},
    "POST /api/v1/depots": {"name": number("depot"), "kind": "city"},
    "PATCH /api/v1/depots/{depot}": {"region": "north"},
    "POST /api/v1/parts": {"number": number("seal"), "name": "Shaft seal"},
    "PUT /api/v1/parts/{part}": {"name": "Another seal"},
    "POST /api/v1/parts/import": {"csv": f"number,name\n{number('seal')},Shaft seal\n"},
    "POST /api/v1/parts/opening-stock": lambda w: {"csv": f"depot,part,quantity\n{depot(w)},{w['part']},7\n"},
    "PUT /api/v1/parts/policy": {"arrive_h": 47, "held_days": 13},
    "POST /api/v1/parts/moves": lambda w: {"kind": "receipt", "part": w["part"], "depot": w["depot"], "quantity": 2},
    "POST /api/v1/parts/counts": lambda w: {"part": w["part"], "depot": w["depot"], "quantity": 4, "note": "why"},
    "POST /api/v1/parts/transfers": lambda w: {
        "source": w["depot"],
        "target": w["another"],
        "parts": [{"part": w["part"]}],
    },
    "POST /api/v1/parts/transfers/{transfer_id}/receive": {},
    "POST /api/v1/tickets/{ticket_id}/parts": lambda w: {"part": w["part"]},
    "POST /api/v1/tickets/{ticket_id}/parts/{reservation_id}/release": {},
    "POST /api/v1/tickets/{ticket_id}/parts/issue": lambda w: {"part": w["part"], "depot": w["depot"]},
    "POST /api/v1/tickets/{ticket_id}/parts/return": issued,
    # Pages: forms.
    "POST /webhooks": {"url": "https://cmms.example/", "events": ["alarm.raised"]},
    "POST /webhooks/{webhook_id}": {"url": "https://cmms.example/hook", "events": ["*"], "enabled": "true"},
    "POST /webhooks/{webhook_id}/key": {},
    "POST /webhooks/{webhook_id}/test": {},
    "POST /webhooks/{webhook_id}/replay": lambda w: {
        "delivery": w.sql("SELECT max(id) FROM webhook_deliveries WHERE webhook_id = %s", w["webhook_id"])
    },
    "POST /webhooks/{webhook_id}/remove": {},
    "POST /channels": lambda w: w["person"] and PHONE,
    "POST /channels/preferences": lambda w: w["person"] and {"zone": "Europe/Rome", "alarms_from": "low"},
    "POST /channels/{channel_id}": {"name": "mine", "enabled": "true"},
    "POST /channels/{channel_id}/test": {},
    "POST /channels/{channel_id}/remove": {},
    "POST /on-call/rota": {"zone": "Europe/Paris"},
    "POST /on-call/overrides": lambda w: {
        "login": w["user_id"] and w["login"],
        "begins": datetime.now(UTC).isoformat()[:16],
        "ends": LATER[:16],
    },
    "POST /on-call/overrides/{override_id}/remove": {},
    "POST /on-call/chain": {"alarms_from": "low", "rounds": "1", "whom": "on_call", "wait_min": "5"},
    "POST /messages/settle": lambda w: {} if w["message_id"] else None,
    "POST /messages/{message_id}/again": {},
    "POST /messages/mail": {"url": "mailto://kim:other@plant.example"},
    "POST /messages/mail/remove": mailed,
    "POST /survey/{link}": {**{f"a.{name}": n for name, n in SAID.items()}, "comment": "Late"},
    "POST /follow-up/surveys/{survey_id}": {f"a.{name}": n for name, n in SAID.items()},
    "POST /follow-up/surveys/{survey_id}/call": {"reached": "false"},
    "POST /follow-up/second-handlings/{handling_id}/start": {},
    "POST /follow-up/second-handlings/{handling_id}/call": {"reached": "true"},
    "POST /follow-up/second-handlings/{handling_id}/close": called_back,
    "POST /corrective-actions": {"problem": "It leaks"},
    "POST /corrective-actions/{action_id}/move": {"to": "dismissed", "note": "why"},
    "POST /month": {"month": "2024-03", "notes": "why"},
    "POST /login": lambda w: {"login": w["user_id"] and w["login"], "password": PASSWORD},
    "POST /logout": lambda w: w["person"] and None,
    "POST /machines/{device}/facts": {"bearing": "SKF 6205"},
    "POST /machines/{device}/file": {"criticality": "A"},
    "POST /machines/{device}/model/train": {},
    "POST /machines/{device}/model/{model_id}/rollback": {"reason": "why"},
    "POST /alarms/{alarm_id}/acknowledge": {},
    "POST /alarms/{alarm_id}/shelve": {"reason": "why", "hours": 1},
    "POST /alarms/{alarm_id}/unshelve": instead("shelved", {}),
    "POST /alarms/{alarm_id}/reset": instead("latched", {}),
    "POST /alarms/{alarm_id}/out-of-service": {"reason": "why"},
    "POST /plans": lambda w: {
        "name": "Oil",
        "device": w["device"],
        "steps": "Change it.",
        "when": "risk",
        "amount": "40",
    },
    "POST /plans/{plan_id}/end": {},
    "POST /maintenance": lambda w: {"device": w["device"], "hours": 2, "reason": "why"},
    "POST /maintenance/{window_id}/end": {},
    "POST /rules/{rule_id}": typed_rule,
    "POST /rules/{rule_id}/trial": typed_rule,
    "POST /maintenance/out-of-service/{outage_id}/return": {},
    "POST /terms": typed_terms,
    "POST /customers": {"number": number("K"), "name": "Dairy", "tier": "regular"},
    "POST /customers/{customer_id}/erasure": erasing,
    "POST /customers/{customer_id}": {"name": "Dairy", "tier": "vip"},
    "POST /dispatch/policy": lambda w: {
        "mode": "propose",
        "visit_min": w.sql("SELECT 5 + (random() * 900)::int"),
    },
    "POST /dispatch/{ticket_id}/accept": lambda w: {"engineer": proposal(w)},
    "POST /dispatch/{ticket_id}/override": lambda w: {"engineer": w["user_id"] and w["login"], "reason": "why"},
    "POST /engineers": lambda w: {"login": w["user_id"] and w["login"], "zone": "UTC", "monday": "08:00-17:00"},
    "POST /engineers/{login}/remove": lambda w: w["engineer"] and None,
    "POST /engineers/people": lambda w: {"site": standing(w), "people": w["user_id"] and w["login"]},
    "POST /kpis/goals": lambda w: {"hour": str(w.sql("SELECT 5 + (random() * 900)::int"))},
    "POST /track/{code}/appointment": confirmed,
    "POST /engineers/sites": {"site": number("site"), "latitude": "49.4", "longitude": "11.1"},
    "POST /tickets/{ticket_id}/move": {"to": "triaged"},
    "POST /track/{code}/quote": {"accepted": "true", "name": "A. Dairy", "amount": "480.00", "currency": "EUR"},
    "POST /tickets/{ticket_id}/assign": lambda w: {"assignee": w["user_id"] and w["login"]},
    "POST /tickets/{ticket_id}/comment": {"note": "why"},
    "POST /tickets/{ticket_id}/appointment": told_page,
    "POST /tickets/{ticket_id}/sent-back": leaving,
    "POST /tickets/{ticket_id}/steps/{work_id}/{number}": {"state": "done"},
    "POST /tickets/{ticket_id}/procedure": lambda w: w["work_id"] and CHOICE,
    "POST /procedures/write": {"act": "keep", "p-kind": "repair", "p-name": "x", "do": "x", **typed_anew()},
    "POST /procedures/retire": written,
    "POST /parts/receive": lambda w: {"part": w["part"], "depot": w["depot"], "quantity": 2},
    "POST /parts/send": lambda w: {"part": w["part"], "source": w["depot"], "target": w["another"]},
    "POST /parts/transfers/{transfer_id}/receive": {},
    "POST /parts/count": lambda w: {"part": w["part"], "depot": w["depot"], "quantity": 4, "note": "why"},
    "POST /parts/scrap": lambda w: {"part": w["part"], "depot": w["depot"], "lot": w["lot"]},
    "POST /parts/table": {"what": "parts", "table": f"number,name\n{number('seal')},Shaft seal\n"},
    "POST /tickets/{ticket_id}/parts/reserve": lambda w: {"part": w["part"]},
    "POST /tickets/{ticket_id}/parts/{reservation_id}/release": {},
    "POST /tickets/{ticket_id}/parts/{reservation_id}/issue": {},
    "POST /report": lambda w: {"machine": w["device"], "symptom": "leakage"},
    "POST /tickets/{ticket_id}/intake": {"words": "It drips."},
    "POST /tickets/{ticket_id}/files": {"files": "E17"},
    "POST /tickets/{ticket_id}/files/{file_id}/remove": {},
    "POST /intake/play": lambda w: {"reason": w["reject_id"] and w["reason"]},
}


def walked(routes: Any) -> Iterator[str]:
    """Every route that is not for reading alone, those of routers within too."""
    for route in routes:
        inner = getattr(route, "original_router", route)
        if inner is not route:
            yield from walked(inner.routes)
        else:
            yield from (f"{method} {route.path}" for method in getattr(route, "methods", None) or ())


ROUTES = sorted(
    route
    for route in walked(create_app(ApiSettings("postgresql://nowhere", SECRET)).routes)
    if route.split()[0] not in {"GET", "HEAD", "OPTIONS"}
)


def test_it_is_known_of_every_route_what_it_is_asked() -> None:
    assert len(ROUTES) > 80, "the walk finds hardly any: what is below would prove nothing"
    assert set(ROUTES) == set(ASKED) | set(NONE_LEFT)
    assert not set(ASKED) & set(NONE_LEFT)


@pytest.mark.parametrize("route", [route for route in ROUTES if route in ASKED])
def test_every_change_leaves_an_act_that_names_its_route(api: RunningApi, route: str) -> None:
    method, path = route.split()
    w = World(api, api.client())
    said = ASKED[route]
    body = said(w) if callable(said) else said
    address = path.format_map(w)
    before = w.sql("SELECT coalesce(max(id), 0) FROM audit_acts")
    sent: dict[str, Any] = {"headers": {"Origin": api.url}}
    if path.endswith("/pictures"):
        sent |= {"content": b"\x89PNG\r\n\x1a\n" + uuid4().bytes}
    elif path.startswith("/api/"):
        sent |= {} if body is None else {"json": body}
    elif path == "/parts/table":
        assert body is not None
        sent |= {"data": {"what": body["what"]}, "files": {"table": body["table"].encode()}}
    elif path.endswith("/files"):
        assert body is not None
        sent |= {"files": {"files": body["files"].encode()}}
    else:
        sent |= {"data": body}
    answer = w.client.request(method, address, **sent)
    assert answer.status_code < 400, answer.text
    left = w.sql("SELECT count(*) FROM audit_acts WHERE id > %s AND tenant = 'demo' AND route = %s", before, route)
    assert left > 0, f"{answer.status_code}: {answer.text[:2000]}"


def test_every_table_that_the_api_writes_to_is_watched(module_database: Database) -> None:
    """Whatever an endpoint does to a table that is watched leaves an act: this holds for those to come too."""
    with psycopg.connect(module_database.owner_url) as conn:
        rows = conn.execute(
            "SELECT c.relname, EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'audited')"
            " FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
            " AND (has_any_column_privilege('bellwether_api', c.oid, 'INSERT, UPDATE')"
            "      OR has_table_privilege('bellwether_api', c.oid, 'DELETE'))"
        ).fetchall()
    assert {"users", "rules", "ticket_events"} <= {name for name, watched in rows if watched}
    unwatched = {name for name, watched in rows if not watched}
    assert unwatched == set(UNWATCHED), "audit_table() or audit_events() in its migration, or a reason here"


def test_who_only_asks_leaves_nothing(api: RunningApi) -> None:
    client = api.client(Role.MANAGER)
    w = World(api, client)
    before = w.sql("SELECT coalesce(max(id), 0) FROM audit_acts")
    for path in ("devices", "tickets", "audit", "rules", "users"):
        ok(client.get(f"/api/v1/{path}"))
    assert w.sql("SELECT count(*) FROM audit_acts WHERE id > %s AND route LIKE 'GET %%'", before) == 0
