"""Who may see and do what: every route against every role, every id against another tenant, and the database alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import psycopg
import pytest
from fastapi.routing import APIRoute
from psycopg import sql
from serving import JSON, RunningApi, alarm_event, ok, refused

from alarms.roles import DESK, FIELD, INSPECTORS, PEOPLE, STAFF, STORES, Role
from api.app import ROUTERS
from store import waveforms
from store.connection import act_for
from telemetry.waveform import Waveform
from tickets.calendar import WEEKDAYS

ANYONE = frozenset(Role)
ADMINISTRATOR = frozenset({Role.ADMINISTRATOR})
MANAGERS = frozenset({Role.MANAGER, Role.ADMINISTRATOR})
TRAINERS = frozenset({Role.ENGINEER, Role.ADMINISTRATOR})
REPORTERS = STAFF | {Role.OWNER, Role.SERVICE}
CONCERNED = REPORTERS | {Role.EXPERT, Role.INSPECTOR}
REACHED = PEOPLE - {Role.OWNER}
LOOKERS = STAFF | STORES | {Role.SERVICE}
OPEN: frozenset[Role] = frozenset()  # without an account

# Reviewed by a person: a route that is not here fails, one whose roles differ fails.
WHO_MAY: dict[str, frozenset[Role]] = {
    "POST /api/v1/token": OPEN,
    "POST /api/v1/session": OPEN,
    "DELETE /api/v1/session": OPEN,
    "GET /api/v1/tickets/track/{code}": OPEN,
    "GET /api/v1/tickets/track/{code}/appointment": OPEN,
    "POST /api/v1/tickets/track/{code}/appointment": OPEN,
    "GET /api/v1/appointments": STAFF,
    "POST /api/v1/tickets/{ticket_id}/appointment": STAFF,
    "POST /api/v1/tickets/{ticket_id}/sent-back": STAFF,
    "GET /api/v1/sites/people": STAFF,
    "PUT /api/v1/sites/people": DESK,
    "GET /api/v1/tickets/track/{code}/documents": OPEN,
    "GET /api/v1/tickets/track/{code}/documents/{document_id}": OPEN,
    "GET /api/v1/tickets/track/{code}/documents/{document_id}/pdf": OPEN,
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": OPEN,
    "GET /api/v1/users": STAFF,
    "GET /api/v1/users/me": ANYONE,
    "POST /api/v1/users": ADMINISTRATOR,
    "POST /api/v1/users/me/password": PEOPLE,
    "PATCH /api/v1/users/{user_id}": ADMINISTRATOR,
    "GET /api/v1/users/{login}/personal-data": PEOPLE,
    "GET /api/v1/users/{login}/personal-data/export": PEOPLE,
    "POST /api/v1/users/{login}/erasure": ADMINISTRATOR,
    "GET /api/v1/audit": MANAGERS,
    "GET /api/v1/audit/head": MANAGERS,
    "POST /api/v1/keys": ADMINISTRATOR,
    "GET /api/v1/keys": ADMINISTRATOR,
    "DELETE /api/v1/keys/{key_id}": ADMINISTRATOR,
    "GET /api/v1/devices": ANYONE,
    "GET /api/v1/devices/{device}": ANYONE,
    "PATCH /api/v1/devices/{device}": STAFF,
    "POST /api/v1/devices": MANAGERS,
    "GET /api/v1/presence": ANYONE,
    "GET /api/v1/devices/{device}/presence": ANYONE,
    "PATCH /api/v1/devices/{device}/presence": STAFF,
    "GET /api/v1/devices/{device}/lessons": ANYONE,
    "POST /api/v1/devices/{device}/retire": MANAGERS,
    "POST /api/v1/devices/{device}/replace": MANAGERS,
    "GET /api/v1/clock-policy": STAFF,
    "PUT /api/v1/clock-policy": ADMINISTRATOR,
    "GET /api/v1/admission": STAFF,
    "PUT /api/v1/admission": ADMINISTRATOR,
    "POST /api/v1/credentials": ADMINISTRATOR,
    "GET /api/v1/credentials": STAFF,
    "GET /api/v1/credentials/{credential_id}": STAFF,
    "DELETE /api/v1/credentials/{credential_id}": ADMINISTRATOR,
    "GET /api/v1/streams": ANYONE,
    "GET /api/v1/readings": ANYONE,
    "GET /api/v1/readings/contested": ANYONE,
    "GET /api/v1/readings/changepoints": ANYONE,
    "GET /api/v1/devices/{device}/sequences": ANYONE,
    "GET /api/v1/devices/{device}/waveforms": ANYONE,
    "GET /api/v1/devices/{device}/vibration": ANYONE,
    "GET /api/v1/waveforms/{waveform_id}": ANYONE,
    "GET /api/v1/waveforms/{waveform_id}/samples": ANYONE,
    "GET /api/v1/waveforms/{waveform_id}/spectrum": ANYONE,
    "GET /api/v1/waveforms/{waveform_id}/diagnosis": ANYONE,
    "GET /api/v1/devices/{device}/baselines": ANYONE,
    "PUT /api/v1/devices/{device}/baselines/{axis}": STAFF,
    "DELETE /api/v1/devices/{device}/baselines/{axis}": STAFF,
    "GET /api/v1/devices/{device}/machine": ANYONE,
    "PUT /api/v1/devices/{device}/machine": STAFF,
    "GET /api/v1/devices/{device}/health": ANYONE,
    "GET /api/v1/devices/{device}/learning": ANYONE,
    "GET /api/v1/devices/{device}/prognosis": ANYONE,
    "GET /api/v1/devices/{device}/quality": ANYONE,
    "GET /api/v1/devices/{device}/peers": ANYONE,
    "GET /api/v1/tickets/{ticket_id}/diagnosis": ANYONE,
    "GET /api/v1/tickets/{ticket_id}/after-repair": ANYONE,
    "POST /api/v1/tickets/after-repair": frozenset({Role.SERVICE}),
    "GET /api/v1/alarms": ANYONE,
    "GET /api/v1/alarms/{alarm_id}": ANYONE,
    "POST /api/v1/alarms/{alarm_id}/acknowledge": STAFF,
    "POST /api/v1/alarms/{alarm_id}/reset": FIELD,
    "POST /api/v1/alarms/{alarm_id}/shelve": STAFF,
    "POST /api/v1/alarms/{alarm_id}/unshelve": STAFF,
    "GET /api/v1/alarm-policy": ANYONE,
    "PUT /api/v1/alarm-policy": MANAGERS,
    "GET /api/v1/kpis/alarms": STAFF,
    "GET /api/v1/kpis": ANYONE,
    "GET /api/v1/kpis/cases": ANYONE,
    "GET /api/v1/kpis/goals": ANYONE,
    "PUT /api/v1/kpis/goals": MANAGERS,
    "GET /api/v1/floods": ANYONE,
    "GET /api/v1/floods/groups": ANYONE,
    "GET /api/v1/maintenance": ANYONE,
    "POST /api/v1/maintenance": STAFF,
    "POST /api/v1/maintenance/{window_id}/end": STAFF,
    "GET /api/v1/out-of-service": ANYONE,
    "POST /api/v1/out-of-service": MANAGERS,
    "POST /api/v1/out-of-service/{outage_id}/return": MANAGERS,
    "POST /api/v1/tickets": ANYONE,
    "GET /api/v1/tickets": ANYONE,
    "GET /api/v1/tickets/{ticket_id}": ANYONE,
    "POST /api/v1/tickets/{ticket_id}/comments": PEOPLE,
    "POST /api/v1/tickets/{ticket_id}/move": PEOPLE,
    "POST /api/v1/tickets/track/{code}/quote": OPEN,
    "GET /api/v1/inspections/draws": STAFF | INSPECTORS,
    "GET /api/v1/surveys": STAFF,
    "GET /api/v1/surveys/{survey_id}": STAFF,
    "POST /api/v1/surveys/{survey_id}/link": DESK,
    "POST /api/v1/surveys/{survey_id}/calls": DESK,
    "POST /api/v1/surveys/{survey_id}/answers": DESK,
    "GET /api/v1/surveys/by-link/{link}": OPEN,
    "POST /api/v1/surveys/by-link/{link}": OPEN,
    "GET /api/v1/second-handlings": STAFF,
    "POST /api/v1/second-handlings/{handling_id}/start": DESK,
    "POST /api/v1/second-handlings/{handling_id}/call": DESK,
    "POST /api/v1/second-handlings/{handling_id}/close": DESK,
    "GET /api/v1/corrective-actions": STAFF,
    "POST /api/v1/corrective-actions": STAFF,
    "GET /api/v1/corrective-actions/{action_id}": STAFF,
    "POST /api/v1/corrective-actions/{action_id}/move": MANAGERS,
    "GET /api/v1/reviews": STAFF,
    "POST /api/v1/reviews": MANAGERS,
    "GET /api/v1/tickets/{ticket_id}/procedures": STAFF,
    "PUT /api/v1/tickets/{ticket_id}/procedures": FIELD,
    "PUT /api/v1/tickets/{ticket_id}/steps/{work_id}/{number}": FIELD,
    "GET /api/v1/devices/{device}/replacements": STAFF | {Role.OWNER},
    "GET /api/v1/sops": STAFF,
    "GET /api/v1/sops/library": STAFF,
    "GET /api/v1/sops/versions": STAFF,
    "PUT /api/v1/sops": MANAGERS,
    "POST /api/v1/sops/pictures": MANAGERS,
    "GET /api/v1/sops/pictures/{picture}": ANYONE,
    "POST /api/v1/tickets/{ticket_id}/assign": DESK,
    "POST /api/v1/reports": REPORTERS,
    "GET /api/v1/tickets/{ticket_id}/intake": CONCERNED,
    "POST /api/v1/tickets/{ticket_id}/intake": REPORTERS,
    "GET /api/v1/tickets/{ticket_id}/documents": CONCERNED,
    "GET /api/v1/tickets/{ticket_id}/documents/{document_id}": CONCERNED,
    "GET /api/v1/tickets/{ticket_id}/documents/{document_id}/pdf": CONCERNED,
    "GET /api/v1/tickets/{ticket_id}/files": CONCERNED,
    "POST /api/v1/tickets/{ticket_id}/files": REPORTERS,
    "GET /api/v1/tickets/{ticket_id}/files/{file_id}": CONCERNED,
    "DELETE /api/v1/tickets/{ticket_id}/files/{file_id}": MANAGERS,
    "GET /api/v1/customers": STAFF | {Role.OWNER},
    "GET /api/v1/plans": STAFF,
    "POST /api/v1/plans": DESK,
    "GET /api/v1/plans/due": STAFF,
    "POST /api/v1/plans/occurrences": frozenset({Role.SERVICE}),
    "GET /api/v1/plans/{plan_id}": STAFF,
    "PUT /api/v1/plans/{plan_id}": DESK,
    "DELETE /api/v1/plans/{plan_id}": DESK,
    "GET /api/v1/plans/{plan_id}/occurrences": STAFF,
    "POST /api/v1/customers": DESK,
    "POST /api/v1/customers/import": MANAGERS,
    "GET /api/v1/customers/{customer_id}/personal-data": MANAGERS,
    "GET /api/v1/customers/{customer_id}/personal-data/export": MANAGERS,
    "POST /api/v1/customers/{customer_id}/erasure": MANAGERS,
    "GET /api/v1/customers/{customer_id}": STAFF | {Role.OWNER},
    "PUT /api/v1/customers/{customer_id}": DESK,
    "GET /api/v1/devices/{device}/file": STAFF | {Role.OWNER},
    "PUT /api/v1/devices/{device}/file": STAFF,
    "POST /api/v1/devices/import": MANAGERS,
    "GET /api/v1/terms": ANYONE,
    "GET /api/v1/terms/versions": STAFF,
    "PUT /api/v1/terms": MANAGERS,
    "GET /api/v1/rules": ANYONE,
    "GET /api/v1/rules/{rule_id}": ANYONE,
    "GET /api/v1/rules/{rule_id}/versions": ANYONE,
    "PUT /api/v1/rules/{rule_id}": MANAGERS,
    "GET /api/v1/trials": STAFF,
    "GET /api/v1/trials/{trial_id}": STAFF,
    "POST /api/v1/trials": STAFF,
    "GET /api/v1/depots": LOOKERS,
    "GET /api/v1/depots/{depot}": LOOKERS,
    "POST /api/v1/depots": MANAGERS,
    "PATCH /api/v1/depots/{depot}": MANAGERS,
    "GET /api/v1/parts": LOOKERS,
    "POST /api/v1/parts": STORES,
    "GET /api/v1/parts/{part}": LOOKERS,
    "PUT /api/v1/parts/{part}": STORES,
    "GET /api/v1/parts/stock": LOOKERS,
    "POST /api/v1/parts/import": STORES,
    "POST /api/v1/parts/opening-stock": STORES,
    "GET /api/v1/parts/policy": LOOKERS,
    "PUT /api/v1/parts/policy": MANAGERS,
    "GET /api/v1/parts/moves": LOOKERS,
    "GET /api/v1/parts/plans": LOOKERS,
    "POST /api/v1/parts/moves": STORES,
    "POST /api/v1/parts/counts": STORES,
    "GET /api/v1/parts/transfers": LOOKERS,
    "GET /api/v1/parts/transfers/{transfer_id}": LOOKERS,
    "POST /api/v1/parts/transfers": FIELD | STORES,
    "POST /api/v1/parts/transfers/{transfer_id}/receive": FIELD | STORES,
    "GET /api/v1/tickets/{ticket_id}/parts": LOOKERS,
    "POST /api/v1/tickets/{ticket_id}/parts": STAFF | STORES,
    "POST /api/v1/tickets/{ticket_id}/parts/{reservation_id}/release": STAFF | STORES,
    "POST /api/v1/tickets/{ticket_id}/parts/issue": FIELD | STORES,
    "POST /api/v1/tickets/{ticket_id}/parts/return": FIELD | STORES,
    "GET /api/v1/rejects": STAFF,
    "GET /api/v1/rejects/{reject_id}": STAFF,
    "POST /api/v1/rejects/replay": FIELD,
    "GET /api/v1/ledger": ANYONE,
    "GET /api/v1/models": ANYONE,
    "GET /api/v1/models/{model_id}": ANYONE,
    "POST /api/v1/models": TRAINERS,
    "POST /api/v1/models/{model_id}/rollback": TRAINERS,
    "GET /api/v1/engineers": STAFF,
    "POST /api/v1/engineers": DESK,
    "GET /api/v1/engineers/{login}": STAFF,
    "PUT /api/v1/engineers/{login}": DESK,
    "DELETE /api/v1/engineers/{login}": DESK,
    "GET /api/v1/sites": STAFF,
    "PUT /api/v1/sites": DESK,
    "GET /api/v1/dispatch/policy": STAFF,
    "PUT /api/v1/dispatch/policy": MANAGERS,
    "GET /api/v1/dispatch/proposals": STAFF,
    "POST /api/v1/dispatch/proposals/{ticket_id}/accept": DESK,
    "POST /api/v1/dispatch/proposals/{ticket_id}/override": DESK,
    "POST /api/v1/dispatch/proposals/{ticket_id}/assign": ADMINISTRATOR | {Role.SERVICE},
    "GET /api/v1/dispatch/decisions": STAFF,
    "GET /api/v1/webhooks": ADMINISTRATOR,
    "POST /api/v1/webhooks": ADMINISTRATOR,
    "GET /api/v1/webhooks/{webhook_id}": ADMINISTRATOR,
    "PUT /api/v1/webhooks/{webhook_id}": ADMINISTRATOR,
    "DELETE /api/v1/webhooks/{webhook_id}": ADMINISTRATOR,
    "POST /api/v1/webhooks/{webhook_id}/keys": ADMINISTRATOR,
    "POST /api/v1/webhooks/{webhook_id}/test": ADMINISTRATOR,
    "GET /api/v1/webhooks/{webhook_id}/deliveries": ADMINISTRATOR,
    "GET /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}": ADMINISTRATOR,
    "POST /api/v1/webhooks/{webhook_id}/replay": ADMINISTRATOR,
    "GET /api/v1/channels": REACHED,
    "POST /api/v1/channels": REACHED,
    "GET /api/v1/channels/messages": REACHED,
    "GET /api/v1/channels/preferences": REACHED,
    "PUT /api/v1/channels/preferences": REACHED,
    "PUT /api/v1/channels/{channel_id}": REACHED,
    "DELETE /api/v1/channels/{channel_id}": REACHED,
    "POST /api/v1/channels/{channel_id}/test": REACHED,
    "GET /api/v1/on-call": STAFF,
    "PUT /api/v1/on-call/rota": MANAGERS,
    "POST /api/v1/on-call/overrides": STAFF,
    "DELETE /api/v1/on-call/overrides/{override_id}": MANAGERS,
    "GET /api/v1/on-call/chain": STAFF,
    "PUT /api/v1/on-call/chain": MANAGERS,
    "GET /api/v1/messages": MANAGERS,
    "POST /api/v1/messages/settle": MANAGERS,
    "POST /api/v1/messages/{message_id}/again": MANAGERS,
    "GET /api/v1/messages/mail": ADMINISTRATOR,
    "PUT /api/v1/messages/mail": ADMINISTRATOR,
    "DELETE /api/v1/messages/mail": ADMINISTRATOR,
    "GET /api/v1/retention": STAFF,
    "PUT /api/v1/retention": ADMINISTRATOR,
    "GET /api/v1/events": ANYONE,
}
WHY = {"cause": "wear", "consequence": "a stop", "action": "look", "respond_within_s": 3600.0}
RULE: JSON = {"detector": "limits", "fault": "condition", "severities": [[1.0, "high"]], "rationalisation": WHY}
SHIFTS = {"zone": "UTC", "week": {day: ["08:00-17:00"] for day in WEEKDAYS}, "exceptions": []}
PLAN: JSON = {"name": "Oil", "device": "pump-none", "steps": "Change it.", "trigger": {"kind": "risk", "limit": 0.4}}
BODIES: dict[str, Any] = {
    "POST /api/v1/engineers": {"login": "nobody", "shifts": SHIFTS},
    "PUT /api/v1/engineers/{login}": {"shifts": SHIFTS},
    "PUT /api/v1/sites": {"site": "Riverside", "latitude": 49.4, "longitude": 11.1},
    "PUT /api/v1/sites/people": {"site": "Riverside", "people": []},
    "POST /api/v1/tickets/track/{code}/appointment": {"answer": "confirmed"},
    "PUT /api/v1/dispatch/policy": {"mode": "propose"},
    "POST /api/v1/dispatch/proposals/{ticket_id}/accept": {"engineer": "jo"},
    "POST /api/v1/dispatch/proposals/{ticket_id}/override": {"engineer": "jo", "reason": "why"},
    "POST /api/v1/dispatch/proposals/{ticket_id}/assign": {"engineer": "jo"},
    "POST /api/v1/rejects/replay": {"reason": "none like it"},
    "POST /api/v1/users": {"login": "", "name": "", "role": "engineer", "password": ""},
    "POST /api/v1/users/me/password": {"password": "", "new_password": ""},
    "PATCH /api/v1/users/{user_id}": {"name": "Jo"},
    "POST /api/v1/users/{login}/erasure": {"note": "why"},
    "POST /api/v1/customers/{customer_id}/erasure": {"note": "why"},
    "POST /api/v1/keys": {"name": "", "role": "service"},
    "PATCH /api/v1/devices/{device}": {"kind": "pump"},
    "PATCH /api/v1/devices/{device}/presence": {"clock_policy": "keep"},
    "PUT /api/v1/devices/{device}/machine": {"bearing": "SKF 6205"},
    "PUT /api/v1/devices/{device}/baselines/{axis}": {"waveform_id": str(uuid4())},
    "POST /api/v1/devices/{device}/replace": {"device": "pump-new"},
    "PUT /api/v1/clock-policy": {"policy": "keep"},
    "PUT /api/v1/admission": {"policy": "open"},
    "POST /api/v1/credentials": {"device": ""},
    "POST /api/v1/alarms/{alarm_id}/acknowledge": {},
    "POST /api/v1/alarms/{alarm_id}/reset": {},
    "PUT /api/v1/alarm-policy": {"longest_shelf_h": 720},
    "POST /api/v1/maintenance": {
        "device": "pump-none",
        "reason": "why",
        "ends_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    },
    "POST /api/v1/out-of-service": {"rule": "shift", "device": "pump-none", "reason": "why"},
    "POST /api/v1/alarms/{alarm_id}/shelve": {
        "reason": "why",
        "until": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    },
    "POST /api/v1/alarms/{alarm_id}/unshelve": {},
    "POST /api/v1/depots": {"name": "van-x", "kind": "van"},
    "PATCH /api/v1/depots/{depot}": {"region": "north"},
    "POST /api/v1/parts": {"number": "none of them", "name": "x"},
    "PUT /api/v1/parts/{part}": {"name": "Shaft seal"},
    "POST /api/v1/parts/import": {"csv": "name\nx\n"},
    "POST /api/v1/parts/opening-stock": {"csv": "name\nx\n"},
    "PUT /api/v1/parts/policy": {"arrive_h": 0, "held_days": 14},
    "POST /api/v1/parts/moves": {"kind": "receipt", "part": "none", "depot": "none"},
    "POST /api/v1/parts/counts": {"part": "none", "depot": "none", "note": "why"},
    "POST /api/v1/parts/transfers": {"source": "none", "target": "neither", "parts": [{"part": "none"}]},
    "POST /api/v1/parts/transfers/{transfer_id}/receive": {},
    "POST /api/v1/tickets/{ticket_id}/parts": {"part": "none"},
    "POST /api/v1/tickets/{ticket_id}/parts/issue": {"part": "none", "depot": "none"},
    "POST /api/v1/tickets/{ticket_id}/parts/return": {"part": "none", "fate": "unused", "depot": "none"},
    "POST /api/v1/tickets/{ticket_id}/comments": {"note": "why"},
    "POST /api/v1/tickets/{ticket_id}/appointment": {"answer": "confirmed", "name": "Ann", "way": "telephone"},
    "POST /api/v1/tickets/{ticket_id}/sent-back": {"carrier": "DHL"},
    "POST /api/v1/tickets/{ticket_id}/move": {"to": "triaged"},
    "POST /api/v1/tickets/{ticket_id}/assign": {"assignee": "jo"},
    "PUT /api/v1/tickets/{ticket_id}/procedures": {"procedure": "filter.change", "note": "why"},
    "PUT /api/v1/tickets/{ticket_id}/steps/{work_id}/{number}": {"state": "done"},
    "PUT /api/v1/sops": {"kind": "repair", "name": "", "steps": [], "version": 7, "reason": "why"},
    "POST /api/v1/reports": {"symptom": "leakage"},
    "POST /api/v1/tickets/{ticket_id}/intake": {"words": "It drips."},
    "POST /api/v1/tickets/track/{code}/quote": {"accepted": True, "name": "A. Dairy"},
    "POST /api/v1/surveys/{survey_id}/calls": {"reached": True},
    "POST /api/v1/surveys/{survey_id}/answers": {"answers": {}},
    "POST /api/v1/second-handlings/{handling_id}/call": {"reached": True},
    "POST /api/v1/second-handlings/{handling_id}/close": {"cause": "x", "outcome": "y"},
    "POST /api/v1/corrective-actions": {"problem": ""},
    "POST /api/v1/corrective-actions/{action_id}/move": {"to": "dismissed", "note": "x"},
    "POST /api/v1/reviews": {"month": "2099-01", "notes": "x"},
    "PUT /api/v1/rules/{rule_id}": {"rule": RULE, "version": 7},
    "POST /api/v1/trials": {"rule": {**RULE, "id": "mine"}},
    "POST /api/v1/plans": {**PLAN, "name": ""},
    "POST /api/v1/tickets/after-repair": {"check_id": str(uuid4())},
    "POST /api/v1/plans/occurrences": {"plan_id": str(uuid4()), "device": "pump-none", "number": 1},
    "PUT /api/v1/plans/{plan_id}": PLAN,
    "POST /api/v1/customers": {"number": "", "name": ""},
    "POST /api/v1/customers/import": {"csv": "moon\n"},
    "PUT /api/v1/customers/{customer_id}": {"name": "Dairy"},
    "PUT /api/v1/devices/{device}/file": {"criticality": "A"},
    "POST /api/v1/devices/import": {"csv": "moon\n"},
    "PUT /api/v1/terms": {"terms": {}, "version": 7, "reason": "why"},
    "POST /api/v1/models": {"device": "pump-none"},
    "POST /api/v1/models/{model_id}/rollback": {"reason": "why"},
    "PUT /api/v1/retention": {"keep_days": {"raw": 365}},
    "POST /api/v1/webhooks": {"url": "", "events": []},
    "PUT /api/v1/webhooks/{webhook_id}": {"url": "https://cmms.example/", "events": ["*"]},
    "POST /api/v1/webhooks/{webhook_id}/keys": {},
    "POST /api/v1/webhooks/{webhook_id}/replay": {},
    "POST /api/v1/channels": {"name": "", "url": ""},
    "PUT /api/v1/channels/preferences": {"alarms_from": "loud"},
    "PUT /api/v1/channels/{channel_id}": {"name": "phone", "enabled": True},
    "PUT /api/v1/on-call/rota": {"zone": "moon", "layers": []},
    "POST /api/v1/on-call/overrides": {"login": ""},
    "PUT /api/v1/on-call/chain": {"steps": []},
    "PUT /api/v1/messages/mail": {"url": ""},
}
ROUTES = sorted(
    f"{method} {route.path}"
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods
)


def ask(client: httpx.Client, route: str, ids: dict[str, str], **params: str) -> httpx.Response:
    method, path = route.split()
    if path == "/api/v1/events":
        # A stream would not end: with a place that is none it is refused after the role was looked at.
        return client.get(path, headers={"Last-Event-ID": "none"})
    body = BODIES.get(route, {"source": "person"} if method == "POST" else None)
    return client.request(method, path.format(**ids), json=body, params=params)


@pytest.fixture(scope="module")
def demo(api: RunningApi) -> dict[str, str]:
    """One of everything that the tenant `demo` has, by what paths call it."""
    device = api.plant.device()
    api.plant.stream(device)
    alarm = api.plant.alarm(device)
    administrator = api.client()
    event = alarm_event(device, occurrence_id=str(alarm))
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=event), 201)
    file = ok(administrator.post(f"/api/v1/tickets/{ticket['id']}/files", content=b"E17"), 201)
    key = ok(administrator.post("/api/v1/keys", json={"name": "CMMS", "role": "service"}), 201)
    user = {"login": "jo", "name": "Jo", "role": "engineer", "password": "long enough, surely"}
    user = ok(administrator.post("/api/v1/users", json=user), 201)
    ok(administrator.post("/api/v1/engineers", json={"login": "jo", "shifts": SHIFTS}), 201)
    ok(administrator.put("/api/v1/sites", json={"site": "Riverside", "latitude": 49.4, "longitude": 11.1}))
    ok(administrator.put("/api/v1/rules/mine", json={"rule": RULE, "version": 0}))
    trial = ok(administrator.post("/api/v1/trials", json={"rule": {**RULE, "id": "mine"}}), 201)
    store_of_parts = api.client(Role.MANAGER)
    for depot in ("north", "south"):
        ok(store_of_parts.post("/api/v1/depots", json={"name": depot, "kind": "city"}), 201)
    ok(store_of_parts.post("/api/v1/parts", json={"number": "seal-40", "name": "Shaft seal"}), 201)
    receipt = {"kind": "receipt", "part": "seal-40", "depot": "north", "quantity": 9}
    ok(store_of_parts.post("/api/v1/parts/moves", json=receipt), 201)
    sent = {"source": "north", "target": "south", "parts": [{"part": "seal-40"}]}
    transfer = ok(store_of_parts.post("/api/v1/parts/transfers", json=sent), 201)
    asked = ok(store_of_parts.post(f"/api/v1/tickets/{ticket['id']}/parts", json={"part": "seal-40"}), 201)
    with api.database.owner() as conn:
        conn.execute("INSERT INTO ledger (tenant, device, hour, messages) VALUES ('demo', %s, now(), 7)", [device])
        reject = conn.execute(
            "INSERT INTO rejects (tenant, device, topic, payload, bytes, reason) VALUES ('demo', %s, 't', 'p', 1, 'r')"
            " RETURNING id",
            [device],
        ).fetchall()[0][0]
        credential = conn.execute(
            "INSERT INTO device_credentials (tenant, device_id, device, name, kind, username, created_by)"
            " SELECT tenant, id, device, 'board', 'certificate', 'bw-1', 'x' FROM devices"
            " WHERE tenant = 'demo' AND device = %s RETURNING id",
            [device],
        ).fetchall()[0][0]
        conn.execute(
            "INSERT INTO diagnoses (ticket_id, tenant, until, abstains, other, suspects)"
            " VALUES (%s, 'demo', now(), 'too few readings', 1.0, '[]')",
            [ticket["id"]],
        )
        window = conn.execute(
            "INSERT INTO maintenance_windows (tenant, device, begins_at, ends_at, reason, made_by, made_at)"
            " VALUES ('demo', %s, now(), now() + interval '1 day', 'x', 'jo', now()) RETURNING id",
            [device],
        ).fetchall()[0][0]
        outage = conn.execute(
            "INSERT INTO out_of_service (tenant, rule, device, reason, taken_at, taken_by)"
            " VALUES ('demo', 'mine', %s, 'x', now(), 'jo') RETURNING id",
            [device],
        ).fetchall()[0][0]
        document = conn.execute(
            "INSERT INTO documents (tenant, ticket_id, turn, kind, number, version, issued_at, issued_by, content,"
            " sha256) VALUES ('demo', %s, 0, 'quote', 'QU-2026-000001', 1, now(), 'jo',"
            ' \'{"title": "Quote", "number": "QU-2026-000001", "facts": [], "sections": []}\', \'\') RETURNING id',
            [ticket["id"]],
        ).fetchall()[0][0]
        survey = conn.execute(
            "INSERT INTO surveys (tenant, ticket_id, turn, terms, made_at, due_at, expires_at, link_hash)"
            " VALUES ('demo', %s, 0, 0, now(), now(), now() + interval '1 day', sha256('x')) RETURNING id",
            [ticket["id"]],
        ).fetchall()[0][0]
        handling = conn.execute(
            "INSERT INTO second_handlings (tenant, ticket_id, survey_id, opened_at, start_due_at, call_due_at)"
            " VALUES ('demo', %s, %s, now(), now(), now()) RETURNING id",
            [ticket["id"], survey],
        ).fetchall()[0][0]
        work = conn.execute(
            "INSERT INTO ticket_procedures (ticket_id, tenant, turn, kind, procedure, version, source, name, steps, at,"
            " who) VALUES (%s, 'demo', 0, 'repair', 'x', '1', 'own', 'x', '[\"x\"]', now(), 'jo') RETURNING id",
            [ticket["id"]],
        ).fetchall()[0][0]
        model = conn.execute(
            "INSERT INTO models (tenant, device_id, device, version, state, asked_by)"
            " SELECT tenant, id, device, 1, 'refused', 'jo' FROM devices WHERE tenant = 'demo' AND device = %s"
            " RETURNING id",
            [device],
        ).fetchall()[0][0]
        waveform = Waveform("demo", device, "x", 1, 0, 100.0, None, "g", 1.0, 0.0, np.arange(9, dtype="<i2"))
        with conn.transaction():
            waveforms.append(conn, [waveform], arrived_us=2)
        conn.execute(
            "INSERT INTO vibration_baselines (device_id, tenant, axis, waveform_id, time, rate_hz, unit, scale,"
            " value_offset, sample_type, packing, samples, set_by)"
            " SELECT d.id, tenant, w.axis, w.id, w.time, w.rate_hz, w.unit, w.scale, w.value_offset, w.sample_type,"
            " w.packing, w.samples, 'jo' FROM waveforms w JOIN devices d USING (tenant, device) WHERE device = %s",
            [device],
        )
    customer = ok(administrator.post("/api/v1/customers", json={"number": "K-1", "name": "Dairy"}), 201)
    webhook = ok(administrator.post("/api/v1/webhooks", json={"url": "https://cmms.example/", "events": ["*"]}), 201)
    delivery = ok(administrator.post(f"/api/v1/webhooks/{webhook['id']}/test"), 202)
    sop = {"kind": "repair", "name": "Seal", "steps": [{"do": "Press it in."}], "version": 0, "reason": "new"}
    ok(administrator.put("/api/v1/sops", json=sop))
    picture = ok(administrator.post("/api/v1/sops/pictures", content=b"\x89PNG\r\n\x1a\n"), 201)
    plan = ok(administrator.post("/api/v1/plans", json=PLAN | {"device": device}), 201)
    action = ok(administrator.post("/api/v1/corrective-actions", json={"problem": "It leaks"}), 201)
    with api.database.owner() as conn:
        called = conn.execute(
            "WITH channel AS (INSERT INTO person_channels (id, tenant, login, name, scheme, host, address)"
            " VALUES (gen_random_uuid(), 'demo', 'jo', 'phone', 'json', '', '') RETURNING id), taken AS (INSERT INTO"
            " on_call_overrides (tenant, login, begins_at, ends_at, made_by) VALUES ('demo', 'jo', now(), now() +"
            " interval '1 day', 'jo') RETURNING id), message AS (INSERT INTO messages (tenant, kind, login, subject,"
            " body) VALUES ('demo', 'chain.alarm', 'jo', 'x', 'x') RETURNING id)"
            " SELECT channel.id, taken.id, message.id FROM channel, taken, message"
        ).fetchall()[0]
    return {
        "device": device,
        "customer_id": customer["id"],
        "webhook_id": webhook["id"],
        "delivery_id": str(delivery["id"]),
        "plan_id": plan["id"],
        "picture": picture["picture"],
        "document_id": str(document),
        "survey_id": str(survey),
        "handling_id": str(handling),
        "action_id": action["id"],
        **dict(zip(("channel_id", "override_id", "message_id"), map(str, called), strict=True)),
        "axis": "x",
        "waveform_id": str(waveforms.id_of(waveform)),
        "alarm_id": str(alarm),
        "model_id": str(model),
        "window_id": str(window),
        "outage_id": str(outage),
        "ticket_id": ticket["id"],
        "work_id": str(work),
        "number": "1",
        "file_id": file["id"],
        "key_id": key["id"],
        "credential_id": str(credential),
        "user_id": user["id"],
        "login": user["login"],
        "reject_id": str(reject),
        "rule_id": "mine",
        "code": ticket["code"],
        "depot": "north",
        "part": "seal-40",
        "transfer_id": transfer["id"],
        "trial_id": trial["id"],
        "reservation_id": asked["reservations"][0]["id"],
    }


def test_every_route_is_in_the_matrix() -> None:
    assert set(WHO_MAY) == set(ROUTES)


@pytest.mark.parametrize("route", [route for route in ROUTES if WHO_MAY.get(route)])
def test_each_role_gets_in_where_it_may_and_nowhere_else(api: RunningApi, route: str) -> None:
    names = (
        "device",
        "axis",
        "alarm_id",
        "ticket_id",
        "file_id",
        "key_id",
        "user_id",
        "login",
        "rule_id",
        "waveform_id",
        "credential_id",
        "model_id",
        "customer_id",
        "webhook_id",
        "channel_id",
        "override_id",
        "plan_id",
        "document_id",
        "survey_id",
        "handling_id",
        "action_id",
        "window_id",
        "outage_id",
        "depot",
        "part",
        "transfer_id",
        "trial_id",
        "reservation_id",
    )
    ids = {name: uuid4().hex for name in names} | {"reject_id": str(2**62), "delivery_id": str(2**62)}
    ids["message_id"] = str(2**62)
    ids |= {"work_id": str(2**62), "number": "1", "picture": "0" * 64}
    refused(ask(api.client(None), route, ids), 401)
    for role in Role:
        status = ask(api.client(role), route, ids).status_code
        if role in WHO_MAY[route]:
            assert status not in {401, 403}, role
        else:
            assert status == 403, role


@pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route and WHO_MAY.get(route)])
def test_an_id_of_another_tenant_is_not_found(api: RunningApi, demo: dict[str, str], route: str) -> None:
    mine, others = api.client(tenant="demo"), api.client(tenant="other")
    # A rule of that name would be the tenant's own first version.
    expected = 409 if route.startswith("PUT /api/v1/rules") else 404
    refused(ask(others, route, demo), expected)
    if route.startswith("GET"):
        assert ask(mine, route, demo).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("devices", "streams", "alarms", "tickets", "rules", "keys", "users", "ledger", "rejects", "credentials"),
        *("models", "customers", "maintenance", "out-of-service", "plans", "sops"),
        *("engineers", "sites"),
        *("depots", "parts", "parts/stock", "parts/moves", "parts/transfers", "trials", "webhooks", "messages"),
    ],
)
def test_lists_hold_nothing_of_another_tenant(api: RunningApi, demo: dict[str, str], path: str) -> None:
    def items(tenant: str, **params: str) -> list[JSON]:
        found = ok(api.client(tenant=tenant).get(f"/api/v1/{path}", params=params))["items"]
        return [item for item in found if item.get("version") != 0]

    with api.database.owner() as conn:  # one that has nothing, whatever the tests before have given to `other`
        conn.execute("INSERT INTO tenants (id, name) VALUES ('third', 'A third plant') ON CONFLICT DO NOTHING")
    assert items("demo")
    assert items("third") == []
    if path in {"streams", "alarms", "tickets", "ledger", "rejects", "credentials", "models", "maintenance"}:
        assert items("other", device=demo["device"]) == []


def test_what_is_named_in_a_query_or_a_body_is_not_found_either(api: RunningApi, demo: dict[str, str]) -> None:
    others = api.client(tenant="other")
    for route in ("readings", "readings/changepoints"):
        refused(others.get(f"/api/v1/{route}", params={"device": demo["device"], "point": "flow"}), 404)
    report = {"source": "person", "device": demo["device"], "title": "It leaks"}
    refused(others.post("/api/v1/tickets", json=report), 404)
    refused(others.post("/api/v1/reports", json={"device": demo["device"], "symptom": "leakage"}), 404)
    service = api.client(Role.SERVICE, "other")
    refused(service.post("/api/v1/tickets", json=alarm_event(demo["device"])), 404)


def test_an_alarm_of_another_tenant_is_not_linked(api: RunningApi, demo: dict[str, str]) -> None:
    device = api.plant.device("other")
    event = alarm_event(device, occurrence_id=demo["alarm_id"])
    ticket = ok(api.client(Role.SERVICE, "other").post("/api/v1/tickets", json=event), 201)
    assert ok(api.client(tenant="other").get(f"/api/v1/tickets/{ticket['id']}"))["alarms"] == []


def test_the_same_event_id_in_two_tenants_is_two_events(api: RunningApi) -> None:
    event = alarm_event("twin")
    for tenant in ("demo", "other"):
        api.plant.device(tenant, "twin")
        ok(api.client(Role.SERVICE, tenant).post("/api/v1/tickets", json=event), 201)


def test_an_idempotency_key_is_a_tenants_own(api: RunningApi) -> None:
    device = "of-both"
    tickets = set()
    for tenant in ("demo", "other"):
        api.plant.device(tenant, device)
        report = {"source": "person", "device": device, "title": "It leaks"}
        answer = api.client(tenant=tenant).post("/api/v1/tickets", json=report, headers={"Idempotency-Key": "shared"})
        tickets.add(ok(answer, 201)["id"])
    assert len(tickets) == 2


# The second wall: the database, whatever the code asks -------------------------------------------------------------


def tables_of_tenants(conn: psycopg.Connection[Any]) -> list[str]:
    rows = conn.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE a.attname = 'tenant' AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v')"
        " AND has_table_privilege('bellwether_api', c.oid, 'SELECT')"
    ).fetchall()
    return sorted(name for (name,) in rows)


def test_the_database_shows_the_api_one_tenant_or_none(api: RunningApi, demo: dict[str, str]) -> None:
    with api.database.owner() as owner:
        tables = tables_of_tenants(owner)
        assert {"tickets", "alarms", "devices", "streams", "users", "api_keys", "idempotency"} <= set(tables)
    for acting_for in (None, "other", "demo' OR true --", ""):
        with psycopg.connect(api.database.url("api")) as conn:
            if acting_for is not None:
                act_for(conn, acting_for)
            for table in tables:
                query = sql.SQL("SELECT count(*) FROM {} WHERE tenant = 'demo'").format(sql.Identifier(table))
                assert conn.execute(query).fetchall() == [(0,)], (acting_for, table)


def test_the_database_lets_the_api_write_for_no_other_tenant(api: RunningApi, demo: dict[str, str]) -> None:
    statements = (
        "INSERT INTO rules (tenant, id, version, rule, created_by) VALUES ('demo', 'x', 1, '{}', 'x')",
        "INSERT INTO idempotency (tenant, key, route, request_hash) VALUES ('demo', 'x', 'x', '')",
        "INSERT INTO api_keys (tenant, name, role, key_hash, created_by) VALUES ('demo', 'x', 'owner', 'x', 'x')",
    )
    for statement in statements:
        with psycopg.connect(api.database.url("api")) as conn:
            act_for(conn, "other")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())
    with psycopg.connect(api.database.url("api")) as conn:
        act_for(conn, "other")
        assert conn.execute("UPDATE tickets SET title = 'mine now' WHERE tenant = 'demo'").rowcount == 0
        assert conn.execute("UPDATE users SET role = 'owner' WHERE tenant = 'demo'").rowcount == 0


def test_the_api_cannot_delete_or_reach_raw_telemetry(api: RunningApi) -> None:
    for statement in (
        b"DELETE FROM tickets",
        b"SELECT 1 FROM readings",
        b"SELECT 1 FROM rejects",
        b"SELECT 1 FROM waveforms",
        b"TRUNCATE alarms",
    ):
        with (
            psycopg.connect(api.database.url("api")) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute(statement)
