"""The page of what keeps alarms quiet on purpose: work that is planned, and rules that are out of service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from alarms.states import MANAGERS
from api.access.auth import Caller, Person, Staff
from api.alarms.maintenance import LONGEST_WINDOW, MayGiveBack, check_window
from api.errors import BadValue
from api.page_frame import PageRoute, answer, head_of, moment_of, wants_part
from store import maintenance, overview
from store.errors import Conflict, NotFound
from store.transactions import Transaction

LINES = 500
_HOURS = (
    (1, "1 hour"),
    (2, "2 hours"),
    (4, "4 hours"),
    (8, "8 hours: one shift"),
    (24, "1 day"),
    (72, "3 days"),
    (168, "1 week"),
)

router = APIRouter(route_class=PageRoute, include_in_schema=False)


class WindowForm(BaseModel):
    """The form as it comes: text, empty where nothing is said."""

    model_config = ConfigDict(extra="forbid", str_max_length=200, str_strip_whitespace=True)

    device: str = ""
    site: str = ""
    begins: str = ""
    hours: int = Field(default=8, ge=1, le=LONGEST_WINDOW // timedelta(hours=1))
    reason: str = ""


@router.get("/maintenance")
def page(request: Request, caller: Person) -> Response:
    with caller.transaction() as conn:
        typed = WindowForm(device=request.query_params.get("device", "")[:64])
        return _answer(request, conn, caller, typed)


@router.post("/maintenance")
def plan(request: Request, caller: Staff, typed: Annotated[WindowForm, Form()]) -> Response:
    """Plan work; what cannot be is said at the form, with what was typed."""
    now, who = datetime.now(UTC), caller.principal
    with caller.transaction() as conn:
        try:
            begins_at = moment_of(request, "begins", typed.begins) if typed.begins else now
            ends_at = begins_at + timedelta(hours=typed.hours)
            device, site = typed.device or None, typed.site or None
            if not typed.reason:
                raise BadValue("reason", "say what is done")
            check_window(device, site, begins_at, ends_at, now)
            maintenance.plan(
                conn,
                who.tenant,
                device=device,
                site=site,
                begins_at=begins_at,
                ends_at=ends_at,
                reason=typed.reason,
                who=who.name,
                now=now,
            )
        except (BadValue, NotFound, OverflowError) as error:
            return _answer(request, conn, caller, typed, str(error))
        return _answer(request, conn, caller, WindowForm())


@router.post("/maintenance/{window_id}/end")
def end(request: Request, caller: Staff, window_id: UUID) -> Response:
    with caller.transaction() as conn:
        try:
            maintenance.end(conn, window_id, who=caller.principal.name, now=datetime.now(UTC))
        except Conflict as error:  # the page was older than that
            return _answer(request, conn, caller, WindowForm(), str(error))
        return _answer(request, conn, caller, WindowForm())


@router.post("/maintenance/out-of-service/{outage_id}/return")
def give_back(request: Request, caller: MayGiveBack, outage_id: UUID) -> Response:
    with caller.transaction() as conn:
        try:
            maintenance.give_back(conn, outage_id, who=caller.principal.name, now=datetime.now(UTC))
        except Conflict as error:
            return _answer(request, conn, caller, WindowForm(), str(error))
        return _answer(request, conn, caller, WindowForm())


def _answer(request: Request, conn: Transaction, caller: Caller, typed: WindowForm, wrong: str = "") -> Response:
    now = datetime.now(UTC)
    shell = head_of(conn, caller, "alarms")
    windows = maintenance.windows(conn, now, limit=LINES)
    values: dict[str, Any] = {
        **shell,
        "planned": sorted((w for w in windows if w.ends_at > now), key=lambda w: w.begins_at),
        "past": [w for w in windows if w.ends_at <= now][:20],
        "outages": maintenance.outages(conn, limit=LINES, is_open=True),
        "sites": overview.sites(conn),
        "hours": _HOURS,
        "typed": typed,
        "wrong": wrong,
        "at": now,
        "may_return": caller.principal.role in MANAGERS,
    }
    return answer(request, "maintenance_live.html" if wants_part(request) else "maintenance.html", values)
