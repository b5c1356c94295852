"""The page of alarms, and what is done with one on a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response

from alarms.events import Severity
from alarms.states import State as AlarmState
from api.auth import Caller, Person, Staff
from api.evidence import evidence_of
from api.machine_page import MARKS, POINTS_PER_MACHINE, machine_values, marks_json
from api.page_frame import PageRoute, answer, begin_of, filters_of, head_of, paging, wants_part
from dashboard import words
from store import alarms as alarm_store
from store import episodes, overview

LINES_PER_PAGE = 50
SHELVE_HOURS_AT_MOST = 168
OPEN_ALARMS = ("unacknowledged", "acknowledged", "returned_unacknowledged", "shelved", "suppressed", "out_of_service")

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
            "marks": marks_json(overview.marks(conn, found.device, begin, ended, MARKS)),
        }
    return answer(request, "alarm.html", values)


@router.post("/alarms/{alarm_id}/acknowledge")
def acknowledge(request: Request, caller: Staff, alarm_id: UUID, back: str = "") -> Response:
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        alarm = alarm_store.acknowledge(conn, alarm_id, who=caller.principal.name, note="", now=now)
        if back == "machine":
            return answer(request, "machine_live.html", machine_values(conn, caller, alarm.device, now))
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
