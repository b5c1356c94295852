"""The page of alarms, and what is done with one on a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from alarms.events import Severity
from alarms.states import QUIET, WAITING, actions_of
from alarms.states import State as AlarmState
from api.access.auth import Caller, Person
from api.alarms.alarms import MayAcknowledge, MayReset, MayShelve, MayUnshelve, check_shelf
from api.alarms.evidence import evidence_of
from api.alarms.maintenance import MayTakeOut
from api.alarms.provenance import provenance_of
from api.fleet.machine_page import MARKS, POINTS_PER_MACHINE, machine_values, marks_json
from api.page_frame import PageRoute, answer, begin_of, filters_of, head_of, paging, wants_part
from dashboard import words
from store import alarm_policy, episodes, floods, maintenance, overview, rules
from store import alarms as alarm_store

LINES_PER_PAGE = 50
GROUPS = 100
SHELVE_HOURS_AT_MOST = 168
OPEN_ALARMS = tuple(state.value for state in AlarmState if state is not AlarmState.NORMAL)
# For how long an alarm is shelved on a page, as far as the tenant allows it.
SHELVES_H = ((1, "1 hour"), (4, "4 hours"), (8, "8 hours: one shift"), (24, "1 day"), (168, "1 week"))

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/alarms")
def alarms(request: Request, caller: Person) -> Response:
    return _alarms(request, caller)


@router.get("/alarms/{alarm_id}")
def alarm(request: Request, caller: Person, alarm_id: UUID) -> Response:
    """One alarm: its evidence, what the like of it was, and what happened to it."""
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "alarms")
        found = alarm_store.alarm(conn, alarm_id)
        points = overview.points(conn, found.device, now, POINTS_PER_MACHINE)
        raw = {**found.evidence, "detector": found.detector, "score": found.score}
        ended = found.returned_at or now
        begin = found.since - (ended - found.since)
        values = {
            **shell,
            "t": found,
            "ev": evidence_of(raw, found.point, points, found.since, found.returned_at, now),
            "like": episodes.like(conn, found.ticket_id),
            "events": alarm_store.events(conn, alarm_id),
            "acts": acts_of(caller),
            "is_quiet": found.state in QUIET,
            "why": rules.rationalisation(conn, found.rule),
            "rests_on": provenance_of(conn, alarm_id, found.rule, found.detector),
            "marks": marks_json(overview.marks(conn, found.device, begin, ended, MARKS)),
        }
    return answer(request, "alarm.html", values)


@router.post("/alarms/{alarm_id}/acknowledge")
def acknowledge(request: Request, caller: MayAcknowledge, alarm_id: UUID, back: str = "") -> Response:
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        alarm = alarm_store.acknowledge(conn, alarm_id, who=caller.principal.name, note="", now=now)
        if back == "machine":
            return answer(request, "machine_live.html", machine_values(conn, caller, alarm.device, now))
    return _alarms(request, caller)


@router.post("/alarms/{alarm_id}/shelve")
def shelve(
    request: Request,
    caller: MayShelve,
    alarm_id: UUID,
    reason: Annotated[str, Form(min_length=1, max_length=400)],
    hours: Annotated[int, Form(ge=1, le=SHELVE_HOURS_AT_MOST)],
) -> Response:
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        until = now + timedelta(hours=hours)
        check_shelf(conn, until, now)
        alarm_store.shelve(conn, alarm_id, who=caller.principal.name, reason=reason, until=until, now=now)
    return _alarms(request, caller)


@router.post("/alarms/{alarm_id}/unshelve")
def unshelve(request: Request, caller: MayUnshelve, alarm_id: UUID) -> Response:
    with caller.transaction() as conn:
        alarm_store.unshelve(conn, alarm_id, who=caller.principal.name, note="", now=datetime.now(UTC))
    return _alarms(request, caller)


@router.post("/alarms/{alarm_id}/reset")
def reset(request: Request, caller: MayReset, alarm_id: UUID) -> Response:
    with caller.transaction() as conn:
        alarm_store.reset(conn, alarm_id, who=caller.principal.name, note="", now=datetime.now(UTC))
    return _alarms(request, caller)


@router.post("/alarms/{alarm_id}/out-of-service")
def take_out(
    request: Request,
    caller: MayTakeOut,
    alarm_id: UUID,
    reason: Annotated[str, Form(min_length=1, max_length=200)],
) -> Response:
    """Take the alarm's rule out of service for its machine and point, until it is given back."""
    who = caller.principal
    with caller.transaction() as conn:
        found = alarm_store.alarm(conn, alarm_id)
        maintenance.take_out(
            conn,
            who.tenant,
            rule=found.rule,
            device=found.device,
            point=found.point,
            reason=reason,
            until=None,
            who=who.name,
            now=datetime.now(UTC),
        )
    return RedirectResponse("/maintenance", 303)


def _alarms(request: Request, caller: Caller) -> Response:
    filters = filters_of(request, "state", "severity", "site", "device")
    begin = begin_of(request.query_params.get("after", ""))
    wanted = filters["state"]
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "alarms")
        policy = alarm_policy.policy(conn).policy
        standing = floods.floods(conn, limit=LINES_PER_PAGE, is_open=True) if not any(filters.values()) else []
        flooded = [flood.site for flood in standing]
        sites = overview.sites(conn)
        lines = overview.alarm_lines(
            conn,
            limit=LINES_PER_PAGE + 1,
            had=begin,
            states={"": OPEN_ALARMS, "all": None, "stale": OPEN_ALARMS}.get(wanted, (wanted,)),
            severity=filters["severity"] or None,
            site=filters["site"] or None,
            device=filters["device"] or None,
            worst_first=not wanted,
            stale=wanted == "stale",
            stale_h=policy.stale_h,
            but_sites=flooded,
        )
        groups = floods.groups(conn, flooded, GROUPS) if flooded else []
    values = {
        **shell,
        "filters": filters,
        "filtered": any(filters.values()),
        "states": [
            ("all", "All"),
            ("stale", f"Stale: unchanged for {policy.stale_h} h"),
            *((s.value, words.alarm_state(s)) for s in AlarmState),
        ],
        "severities": [(s.value, words.plain(s)) for s in reversed(Severity)],
        "sites": [(name, name) for name in sites],
        "acts": acts_of(caller),
        "waiting": WAITING,
        "shelves": [(hours, name) for hours, name in SHELVES_H if hours <= policy.longest_shelf_h] or [(1, "1 hour")],
        "alarms": lines[:LINES_PER_PAGE],
        "floods": standing,
        "groups": groups,
        **paging(begin, LINES_PER_PAGE, more=len(lines) > LINES_PER_PAGE),
    }
    return answer(request, "alarms_live.html" if wants_part(request) else "alarms.html", values)


def acts_of(caller: Caller) -> dict[str, set[str]]:
    """What the caller may do with an alarm, by its state."""
    return {state.value: {act.value for act in actions_of(state, caller.principal.role)} for state in AlarmState}
