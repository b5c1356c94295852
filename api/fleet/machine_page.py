"""The page of a machine: its charts, what stands against it, and how well it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from alarms.events import Severity
from alarms.roles import STAFF, Role
from api.access.auth import Caller, Person
from api.fleet.learning import when
from api.fleet.machine_form import built_of
from api.fleet.model_section import model_values
from api.fleet.prognosis import remaining_life
from api.page_frame import PageRoute, answer, head_of, wants_part
from api.plans.plans_page import of_machine
from api.tickets.customers_page import file_of
from api.tickets.documents_page import section_of_machine as documents_of
from store import alarms as alarm_store
from store import assessment, learning, overview, peers, quality
from store import tickets as ticket_store
from store.errors import NotFound
from store.tickets import steps
from store.transactions import Transaction

POINTS_PER_MACHINE = 120
SPANS_S = (900, 3600, 21_600, 86_400, 604_800, 2_592_000, 31_536_000)
DEFAULT_SPAN_S = 21_600
MARKS = 200
# The last of many years; the API has the rest.
REPLACEMENTS = 20
SILENCED = frozenset({"shelved", "suppressed", "out_of_service"})

router = APIRouter(route_class=PageRoute, include_in_schema=False)


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
        values = machine_values(conn, caller, device, now)
    start, end = _span_asked(request, at, now)
    values |= {"span": span if 60 <= span <= SPANS_S[-1] else DEFAULT_SPAN_S, "start": start, "end": end}
    return answer(request, "machine_live.html" if wants_part(request) else "machine.html", values)


def machine_values(conn: Transaction, caller: Caller, device: str, now: datetime) -> dict[str, Any]:
    """What is on a machine's page as of `now`."""
    shell = head_of(conn, caller, "fleet")
    found = overview.glances(conn, now, device)
    if not found:
        raise NotFound(f"there is no device {device}")
    points = overview.points(conn, device, now, POINTS_PER_MACHINE)
    standing = alarm_store.alarms(conn, limit=12, device=device, is_open=True)
    week = now - timedelta(days=7)
    past = [a for a in alarm_store.alarms(conn, limit=5, device=device, is_open=False) if a.raised_at > week]
    marks = overview.marks(conn, device, now - timedelta(seconds=SPANS_S[-1]), now, MARKS)
    is_concerned = caller.principal.role in STAFF | {Role.OWNER}
    health_known, health = assessment.latest_health(conn, device)
    return {
        **shell,
        "m": {**asdict(found[0]), "status": found[0].status(now)},
        "points": points,
        "point_count": len(points),
        "alarms": [*sorted(standing, key=lambda a: (a.state in SILENCED, -Severity(a.severity).rank)), *past],
        "tickets": ticket_store.tickets(conn, limit=6, device=device),
        "marks": marks_json(marks),
        "health_known": health_known,
        "health": health,
        "remaining": remaining_life(conn, device, now),
        "planned": of_machine(conn, device, now) if caller.principal.role in STAFF else [],
        "quality": quality.of_machine(conn, device),
        "beside": peers.of_machine(conn, device),
        "learning": [{**asdict(one), "about": when(one.in_s, now)} for one in learning.of_machine(conn, device, now)],
        "diagnosis": assessment.diagnosis_of_machine(conn, device),
        **model_values(conn, caller, device),
        "built": built_of(conn, caller, device),
        "file": file_of(conn, caller, device),
        "documents": documents_of(conn, caller, device),
        "replaced": steps.replacements(conn, device, REPLACEMENTS) if is_concerned else [],
        "path": f"/machines/{quote(device)}",
    }


def marks_json(marks: Sequence[overview.Mark]) -> str:
    """Alarms as a chart has them."""
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
