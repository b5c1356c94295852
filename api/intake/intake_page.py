"""The page of the intake: what became of every message, and what could not be taken, to be played again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from alarms.roles import FIELD, STAFF
from api.access.auth import FieldStaff, Person
from api.page_frame import PageRoute, answer, begin_of, filters_of, head_of, paging, wants_part
from store import intake, rejects, replays
from store.rejects import Which
from store.transactions import Transaction

ROWS_PER_PAGE = 50
REASONS = 20
SPAN = timedelta(hours=24)
# Messages played again at one press. More are played at the next.
PLAYED_AT_ONCE = 10_000

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/intake")
def intake_page(request: Request, caller: Person) -> Response:
    with caller.transaction() as conn:
        return _intake(request, conn, caller, asked=None)


@router.post("/intake/play")
def play_again(
    request: Request, caller: FieldStaff, reason: Annotated[str, Form(min_length=1, max_length=500)]
) -> Response:
    """Have all messages of the last day that were refused for this reason played again by today's mappings."""
    with caller.transaction() as conn:
        which = Which(reason=reason, start=datetime.now(UTC) - SPAN)
        asked = replays.ask(conn, which, limit=PLAYED_AT_ONCE, who=caller.principal.name)
        return _intake(request, conn, caller, asked)


def _intake(request: Request, conn: Transaction, caller: Person, asked: int | None) -> Response:
    filters = filters_of(request, "device")
    begin = begin_of(request.query_params.get("after", ""))
    now = datetime.now(UTC)
    hour = (now - SPAN).replace(minute=0, second=0, microsecond=0)
    shell = head_of(conn, caller, "intake")
    devices = intake.devices(conn, hour, limit=ROWS_PER_PAGE + 1, had=begin, device=filters["device"] or None)
    staff = caller.principal.role in STAFF
    values = {
        **shell,
        "filters": filters,
        "hour": hour,
        "totals": intake.totals(conn, hour),
        "devices": devices[:ROWS_PER_PAGE],
        "reasons": rejects.groups(conn, now - SPAN, REASONS) if staff else [],
        "may_play": caller.principal.role in FIELD,
        "asked": asked,
        **paging(begin, ROWS_PER_PAGE, more=len(devices) > ROWS_PER_PAGE),
    }
    return answer(request, "intake_live.html" if wants_part(request) else "intake.html", values)
