"""The pages: what a person sees in a browser, filled on the server; `page_frame` has what is common to all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.routing import Match, Route
from starlette.types import Scope

from alarms.events import Severity
from alarms.states import State as AlarmState
from api import intake_page
from api.auth import (
    COOKIE,
    Caller,
    Person,
    Staff,
    begin_session,
    check_same_origin,
    end_session,
    place_of,
    require,
    sign_in,
)
from api.errors import NotForYou, NotSignedIn
from api.page_frame import (
    HEADERS,
    NOT_FOUND,
    PageRoute,
    answer,
    answer_mistake,
    begin_of,
    filters_of,
    head_of,
    own_address,
    paging,
    wants_part,
)
from api.service import service
from dashboard import clocks, figures, words
from dashboard.pages import STATIC
from store import alarms as alarm_store
from store import assessment, overview
from store import tickets as ticket_store
from store.errors import NotFound
from store.transactions import Transaction
from tickets.priority import Priority
from tickets.roles import DESK, PEOPLE, Role
from tickets.states import ENDED, MOVES, Need, Verdict, moves_from
from tickets.states import State as TicketState

CARDS_PER_PAGE, ROWS_PER_PAGE = 24, 40
LINES_PER_PAGE = 50
POINTS_PER_MACHINE = 120
SPANS_S = (900, 3600, 21_600, 86_400, 604_800, 2_592_000, 31_536_000)
DEFAULT_SPAN_S = 21_600
SPARK_STEPS, SPARK_WIDTH = 48, timedelta(minutes=30)
MARKS = 200
SHELVE_HOURS_AT_MOST = 168
OPEN_ALARMS = ("unacknowledged", "acknowledged", "returned_unacknowledged", "shelved", "suppressed", "out_of_service")
SILENCED = frozenset({"shelved", "suppressed", "out_of_service"})


class Elsewhere(Route):
    """Whatever a browser asks for that nobody else answers; the API's addresses stay the API's."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or scope["path"].startswith("/api/"):
            return Match.NONE, {}
        return super().matches(scope)


class KeptFiles(StaticFiles):
    """Static files: one that is named with the hash of its content is kept for good, others are asked for again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        hashed = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return response


router = APIRouter(route_class=PageRoute, include_in_schema=False)


def serve_pages(app: FastAPI) -> None:
    """Give an app its pages. Comes after every other route: an address that nobody knows gets a page too."""
    app.include_router(router)
    app.include_router(intake_page.router)
    app.mount("/static", KeptFiles(directory=STATIC), name="static")
    app.router.routes.append(Elsewhere("/{path:path}", _nothing_here, methods=["GET", "HEAD"], include_in_schema=False))


# The door -----------------------------------------------------------------------------------------------------------


@router.get("/")
def home() -> Response:
    return RedirectResponse("/fleet", 303)


@router.get("/login")
def login_page(request: Request, next: str = "") -> Response:  # noqa: A002
    return answer(request, "signin.html", {"next": own_address(next), "login": "", "problem": ""})


@router.get("/login/state")
def login_state(request: Request) -> Response:
    """Whether this browser is signed in: a link from a mail arrives without the session, which no other site sends."""
    try:
        require(*PEOPLE)(request, None, request.cookies.get(COOKIE))
    except (NotSignedIn, NotForYou):
        return JSONResponse({"signed_in": False}, headers=HEADERS)
    return JSONResponse({"signed_in": True}, headers=HEADERS)


@router.post("/login")
def log_in(
    request: Request,
    login: Annotated[str, Form(max_length=254)],
    password: Annotated[str, Form(max_length=1024)],
    next: Annotated[str, Form()] = "",  # noqa: A002
) -> Response:
    check_same_origin(request)
    try:
        principal = sign_in(request, login, password)
    except NotSignedIn as error:
        message = str(error)
        values = {"next": own_address(next), "login": login, "problem": message[:1].upper() + message[1:] + "."}
        return answer(request, "signin.html", values, 401)
    response = RedirectResponse(own_address(next) or "/fleet", 303, HEADERS)
    begin_session(request, response, principal)
    return response


@router.post("/logout")
def log_out(request: Request) -> Response:
    check_same_origin(request)
    response = RedirectResponse("/login", 303, HEADERS)
    end_session(request, response)
    return response


@router.get("/track/{code}")
def track(request: Request, code: str) -> Response:
    parts = service(request)
    parts.trackers.take(place_of(request))
    with parts.transactions.of_nobody() as conn:
        ticket = ticket_store.track(conn, code)
    reached: dict[int, datetime] = {}
    for one in ticket.steps:
        step = words.customer_step(one["state"])
        if step is not None:
            reached.setdefault(step, datetime.fromisoformat(one["at"]))
    values = {"ticket": ticket, "step": words.customer_step(ticket.state), "reached": reached}
    return answer(request, "track.html", values)


# Fleet and machine --------------------------------------------------------------------------------------------------


@router.get("/fleet")
def fleet(
    request: Request,
    caller: Person,
    q: str = "",
    site: str = "",
    kind: str = "",
    status: str = "",
    view: str = "",
    after: str = "",
) -> Response:
    now = datetime.now(UTC)
    view = next((v for v in (view, request.cookies.get("bw_view")) if v in {"cards", "table"}), "cards")
    begin = begin_of(after)
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "fleet")
        machines = [(glance, glance.status(now)) for glance in overview.glances(conn, now)]
        tally = [(name, sum(1 for _, is_ in machines if is_ == name)) for name in overview.STATUSES]
        found = [
            (glance, is_)
            for glance, is_ in machines
            if _matches(glance, q) and site in {"", glance.site} and kind in {"", glance.kind} and status in {"", is_}
        ]
        found = _worst_first(found)
        per_page = CARDS_PER_PAGE if view == "cards" else ROWS_PER_PAGE
        lines = _lines_of(conn, now, found[begin : begin + per_page])
    values = {
        **shell,
        "filters": {"q": q, "site": site, "kind": kind, "status": status},
        "view": view,
        "total": len(machines),
        "shown": len(found),
        "tally": tally,
        "sites": [(name, name) for name in sorted({g.site for g, _ in machines if g.site})],
        "kinds": [(name, words.plain(name)) for name in sorted({g.kind for g, _ in machines if g.kind})],
        "groups": _by_site(lines),
        **paging(begin, per_page, more=len(found) > begin + per_page),
    }
    response = answer(request, "fleet_live.html" if wants_part(request) else "fleet.html", values)
    if request.query_params.get("view") == view:
        response.set_cookie("bw_view", view, max_age=31_536_000, samesite="strict")
    return response


@router.get("/machines/{device}")
def machine(
    request: Request,
    caller: Person,
    device: str,
    span: int = DEFAULT_SPAN_S,
    at: str = "",
) -> Response:
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        values = _machine(conn, caller, device, now)
    start, end = _span_asked(request, at, now)
    values |= {"span": span if 60 <= span <= SPANS_S[-1] else DEFAULT_SPAN_S, "start": start, "end": end}
    return answer(request, "machine_live.html" if wants_part(request) else "machine.html", values)


# Alarms -------------------------------------------------------------------------------------------------------------


@router.get("/alarms")
def alarms(request: Request, caller: Person) -> Response:
    return _alarms(request, caller)


@router.post("/alarms/{alarm_id}/acknowledge")
def acknowledge(request: Request, caller: Staff, alarm_id: UUID, back: str = "") -> Response:
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        alarm = alarm_store.acknowledge(conn, alarm_id, who=caller.principal.name, note="", now=now)
        if back == "machine":
            return answer(request, "machine_live.html", _machine(conn, caller, alarm.device, now))
    return _alarms(request, caller)


@router.post("/alarms/{alarm_id}/shelve")
def shelve(
    request: Request,
    caller: Staff,
    alarm_id: UUID,
    reason: Annotated[str, Form(min_length=1, max_length=400)],
    hours: Annotated[int, Form(ge=1, le=SHELVE_HOURS_AT_MOST)],
) -> Response:
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        until = now + timedelta(hours=hours)
        alarm_store.shelve(conn, alarm_id, who=caller.principal.name, reason=reason, until=until, now=now)
    return _alarms(request, caller)


@router.post("/alarms/{alarm_id}/unshelve")
def unshelve(request: Request, caller: Staff, alarm_id: UUID) -> Response:
    with caller.transaction() as conn:
        alarm_store.unshelve(conn, alarm_id, who=caller.principal.name, note="", now=datetime.now(UTC))
    return _alarms(request, caller)


# Tickets ------------------------------------------------------------------------------------------------------------


@router.get("/tickets")
def tickets(request: Request, caller: Person) -> Response:
    filters = filters_of(request, "state", "priority", "site", "device")
    begin = begin_of(request.query_params.get("after", ""))
    states = [state.value for state in TicketState]
    wanted = filters["state"]
    of_state = {"": [s for s in states if s not in ENDED], "all": None}.get(wanted, [wanted])
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "tickets")
        sites = overview.sites(conn)
        lines = overview.ticket_lines(
            conn,
            limit=LINES_PER_PAGE + 1,
            had=begin,
            states=of_state,
            priority=filters["priority"] or None,
            site=filters["site"] or None,
            device=filters["device"] or None,
            worst_first=not wanted,
        )
        running = ticket_store.clocks_of(conn, [line.id for line in lines])
    values = {
        **shell,
        "filters": filters,
        "filtered": any(filters.values()),
        "states": [("all", "All"), *((s, words.plain(s)) for s in states)],
        "priorities": [(p.value, words.plain(p)) for p in reversed(Priority)],
        "sites": [(name, name) for name in sites],
        "tickets": [
            {**asdict(line), "clocks": {c: clocks.face(c, one, now) for c, one in running.get(line.id, {}).items()}}
            for line in lines[:LINES_PER_PAGE]
        ],
        **paging(begin, LINES_PER_PAGE, more=len(lines) > LINES_PER_PAGE),
    }
    return answer(request, "tickets_live.html" if wants_part(request) else "tickets.html", values)


@router.get("/tickets/{ticket_id}")
def ticket(request: Request, caller: Person, ticket_id: UUID) -> Response:
    with caller.transaction() as conn:
        return _ticket(request, conn, caller, ticket_id)


@router.post("/tickets/{ticket_id}/move")
def move(
    request: Request,
    caller: Person,
    ticket_id: UUID,
    to: Annotated[TicketState, Form()],
    note: Annotated[str, Form(max_length=4000)] = "",
    verdict: Annotated[Verdict | None, Form()] = None,
) -> Response:
    who = caller.principal
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        ticket_store.move(
            conn, who.tenant, ticket_id, to, role=who.role, who=who.name, now=now, note=note, verdict=verdict
        )
        return _ticket(request, conn, caller, ticket_id)


@router.post("/tickets/{ticket_id}/assign")
def assign(
    request: Request,
    caller: Annotated[Caller, Depends(require(*DESK))],
    ticket_id: UUID,
    assignee: Annotated[str, Form(min_length=1, max_length=254)],
) -> Response:
    who = caller.principal
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        ticket_store.assign(conn, who.tenant, ticket_id, assignee, role=who.role, who=who.name, note="", now=now)
        return _ticket(request, conn, caller, ticket_id)


@router.post("/tickets/{ticket_id}/comment")
def comment(
    request: Request, caller: Person, ticket_id: UUID, note: Annotated[str, Form(min_length=1, max_length=4000)]
) -> Response:
    who = caller.principal
    with caller.transaction() as conn:
        ticket_store.comment(conn, who.tenant, ticket_id, note, who=who.name, now=datetime.now(UTC))
        return _ticket(request, conn, caller, ticket_id)


# What is on them ----------------------------------------------------------------------------------------------------


def _lines_of(conn: Transaction, now: datetime, found: Sequence[tuple[overview.Glance, str]]) -> list[dict[str, Any]]:
    """Machines with their small lines and latest values."""
    start = now - SPARK_STEPS * SPARK_WIDTH
    leading = [glance.stream_id for glance, _ in found if glance.stream_id is not None]
    lines = overview.samples(conn, leading, start, SPARK_WIDTH, SPARK_STEPS)
    result = []
    for glance, status in found:
        spark = lines.get(glance.stream_id or 0, [])
        value = next((v for v in reversed(spark) if v is not None), None)
        result.append({**asdict(glance), "status": status, "spark": spark, "value": value})
    return result


def _worst_first(found: Sequence[tuple[overview.Glance, str]]) -> list[tuple[overview.Glance, str]]:
    """Sites by the worst of their machines, machines within a site by how bad they are; a site stays together."""
    rank = {status: place for place, status in enumerate(overview.STATUSES)}
    worst: dict[str, int] = {}
    for glance, status in found:
        worst[glance.site] = min(rank[status], worst.get(glance.site, len(rank)))
    return sorted(found, key=lambda one: (worst[one[0].site], one[0].site, rank[one[1]], one[0].device))


def _by_site(lines: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Machines by site, in the order that they come in."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        groups.setdefault(line["site"], []).append(line)
    return list(groups.items())


def _matches(glance: overview.Glance, wanted: str) -> bool:
    text = f"{glance.device} {glance.model} {glance.kind} {glance.site}".lower()
    return all(word in text for word in wanted.lower().split())


def _machine(conn: Transaction, caller: Caller, device: str, now: datetime) -> dict[str, Any]:
    found = overview.glances(conn, now, device)
    if not found:
        raise NotFound(f"there is no device {device}")
    points = overview.points(conn, device, now, POINTS_PER_MACHINE)
    standing = alarm_store.alarms(conn, limit=12, device=device, is_open=True)
    week = now - timedelta(days=7)
    past = [a for a in alarm_store.alarms(conn, limit=5, device=device, is_open=False) if a.raised_at > week]
    marks = overview.marks(conn, device, now - timedelta(seconds=SPANS_S[-1]), now, MARKS)
    health_known, health = assessment.latest_health(conn, device)
    return {
        **head_of(conn, caller, "fleet"),
        "m": {**asdict(found[0]), "status": found[0].status(now)},
        "points": points,
        "point_count": len(points),
        "alarms": [*sorted(standing, key=lambda a: (a.state in SILENCED, -Severity(a.severity).rank)), *past],
        "tickets": ticket_store.tickets(conn, limit=6, device=device),
        "marks": _marks(marks),
        "health_known": health_known,
        "health": health,
        "diagnosis": assessment.diagnosis_of_machine(conn, device),
        "path": f"/machines/{quote(device)}",
    }


def _marks(marks: Sequence[overview.Mark]) -> str:
    return json.dumps(
        [
            {
                "point": mark.point,
                "severity": mark.severity,
                "active": mark.active,
                "bothers": mark.state not in SILENCED,
                "since": mark.since.isoformat(),
                "raised_at": mark.raised_at.isoformat(),
                "returned_at": mark.returned_at.isoformat() if mark.returned_at else None,
                "message": mark.message,
            }
            for mark in marks
        ]
    )


def _alarms(request: Request, caller: Caller) -> Response:
    filters = filters_of(request, "state", "severity", "site", "device")
    begin = begin_of(request.query_params.get("after", ""))
    wanted = filters["state"]
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "alarms")
        sites = overview.sites(conn)
        lines = overview.alarm_lines(
            conn,
            limit=LINES_PER_PAGE + 1,
            had=begin,
            states={"": OPEN_ALARMS, "all": None}.get(wanted, (wanted,)),
            severity=filters["severity"] or None,
            site=filters["site"] or None,
            device=filters["device"] or None,
            worst_first=not wanted,
        )
    values = {
        **shell,
        "filters": filters,
        "filtered": any(filters.values()),
        "states": [("all", "All"), *((s.value, words.alarm_state(s)) for s in AlarmState)],
        "severities": [(s.value, words.plain(s)) for s in reversed(Severity)],
        "sites": [(name, name) for name in sites],
        "alarms": lines[:LINES_PER_PAGE],
        **paging(begin, LINES_PER_PAGE, more=len(lines) > LINES_PER_PAGE),
    }
    return answer(request, "alarms_live.html" if wants_part(request) else "alarms.html", values)


def _ticket(request: Request, conn: Transaction, caller: Caller, ticket_id: UUID) -> Response:
    now = datetime.now(UTC)
    role = caller.principal.role
    t = ticket_store.ticket(conn, ticket_id)
    shell = head_of(conn, caller, "tickets")
    names = shell["names"]
    machine_now = overview.glances(conn, now, t.device)
    evidence = _evidence(t, overview.points(conn, t.device, now, POINTS_PER_MACHINE), now)
    end = t.closed_at or now
    may_assign = role in DESK and TicketState(t.state) not in ENDED
    present = ticket_store.clocks_of(conn, [t.id]).get(t.id, {})
    values = {
        **shell,
        "t": t,
        "site": machine_now[0].site if machine_now else "",
        "ev": evidence,
        "clocks": [clocks.face(name, clock, now) for name, clock in sorted(present.items(), reverse=True)],
        "moves": _moves(t, role, may_assign=may_assign),
        "verdicts": [verdict.value for verdict in Verdict],
        "assignee": names.get(t.assignee, t.assignee),
        "may_assign": may_assign,
        "may_comment": role in PEOPLE,
        "people": [p for p in overview.people(conn) if p.role in {"engineer", "manager", "administrator"}],
        "diagnosis": assessment.diagnosis_of(conn, t.id),
        "alarms": ticket_store.alarms_of(conn, t.id),
        "events": [_told(event, names) for event in ticket_store.events(conn, t.id)],
        "marks": _marks(overview.marks(conn, t.device, t.since - (end - t.since), end, MARKS)),
    }
    return answer(request, "ticket_live.html" if wants_part(request) else "ticket.html", values)


def _moves(t: ticket_store.Ticket, role: Role, *, may_assign: bool) -> list[dict[str, Any]]:
    """The moves that this role may make from here, along the road first. Sending somebody is a form of its own."""
    state = TicketState(t.state)
    held_from = TicketState(t.held_from) if t.held_from else None
    aside = {TicketState.ON_HOLD, TicketState.CANCELLED}
    steps = [
        {
            "to": to.value,
            "needs": {need.value for need in MOVES[state][to].needs - {Need.ASSIGNEE}},
            "ends": to in aside,
        }
        for to in moves_from(state, held_from, role)
        if to is not TicketState.DISPATCHED or not (may_assign or not t.assignee)
    ]
    return sorted(steps, key=lambda step: bool(step["ends"]))


def _told(event: ticket_store.TicketEvent, names: Mapping[str, str]) -> dict[str, Any]:
    detail = event.detail
    summary = ""
    if event.kind == "raised_priority":
        summary = f"from {detail.get('from')} to {detail.get('to')}"
    elif event.kind in {"clock_warned", "clock_breached"}:
        summary = words.clock(str(detail.get("clock", "")))
    elif detail.get("assignee"):
        summary = f"to {names.get(detail['assignee'], detail['assignee'])}"
    if detail.get("verdict"):
        summary = words.verdict(detail["verdict"])
    return {**asdict(event), "who_name": names.get(event.who, event.who), "summary": summary}


def _evidence(t: ticket_store.Ticket, points: Sequence[overview.PointNow], now: datetime) -> dict[str, Any]:
    """What the evidence of a ticket's worst alarm comes to on its page. Without a measurement, `point` is empty."""
    raw = t.evidence
    units = {point.point: point.unit for point in points}
    leading = str(raw.get("point") or t.leading_point)
    if leading not in units:
        return {"point": ""}
    observed, expected, low, high = (_finite(raw.get(name)) for name in ("observed", "expected", "low", "high"))
    contributions: Mapping[str, float] = raw.get("contributions") or {}
    shares = sorted(((share, name) for name, share in contributions.items()), reverse=True)
    until = t.closed_at or now
    lead_in = max((until - t.since) * 0.6, timedelta(minutes=30))
    return {
        "point": leading,
        "unit": units[leading],
        "observed": observed,
        "expected": expected,
        "low": low,
        "high": high,
        "departure": _departure(observed, expected, low, high, units[leading]),
        "contributions": [(name, share) for share, name in shares[:8]],
        "others": [
            {"point": name, "unit": units[name]}
            for share, name in shares
            if name != leading and name in units and share >= 0.02
        ][:6],
        "start": (t.since - lead_in).isoformat(),
        "end": (until + (until - t.since) * 0.04).isoformat(),
        "until": t.closed_at.isoformat() if t.closed_at else "",
    }


def _departure(observed: float | None, expected: float | None, low: float | None, high: float | None, unit: str) -> str:
    if observed is None:
        return ""
    if high is not None and observed > high:
        return f"{figures.number(observed - high)} {words.unit(unit)} above".strip()
    if low is not None and observed < low:
        return f"{figures.number(low - observed)} {words.unit(unit)} below".strip()
    if expected is not None and low is None and high is None:
        side = "above" if observed > expected else "below"
        return f"{figures.number(abs(observed - expected))} {words.unit(unit)} {side}".strip()
    return ""


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


# How they are answered ----------------------------------------------------------------------------------------------


async def _nothing_here(request: Request) -> Response:
    return answer_mistake(request, NOT_FOUND)


def _span_asked(request: Request, at: str, now: datetime) -> tuple[str, str]:
    """The span that an address names: `from` and `to`, or three hours to both sides of `at`. Empty: the last span."""
    try:
        if at:
            middle = datetime.fromisoformat(at)
            start, end = middle - timedelta(hours=3), min(middle + timedelta(hours=3), now)
        else:
            start, end = (datetime.fromisoformat(request.query_params[name]) for name in ("from", "to"))
    except (KeyError, ValueError):
        return "", ""
    if start.tzinfo is None or end.tzinfo is None or start >= end:
        return "", ""
    return start.isoformat(), end.isoformat()
