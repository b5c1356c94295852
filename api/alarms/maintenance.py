"""What keeps alarms quiet on purpose: maintenance windows, and rules that are out of service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from alarms.states import Action, who_may
from api import ROOT
from api.access.auth import Allow, Anyone, Caller, Staff
from api.errors import BadValue
from api.models import Answered, Asked, DeviceFilter, DeviceName, Instant, Line, Name, PointName, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from store import maintenance, rules
from store.maintenance import Outage, Window

# Longer, and it is no work on a machine but a rule, or a machine, that should be taken out.
LONGEST_WINDOW = timedelta(days=90)
RULE = r"^[a-z0-9_.-]{1,64}$"

MayTakeOut = Annotated[Caller, Depends(Allow(who_may(Action.TAKE_OUT)))]
MayGiveBack = Annotated[Caller, Depends(Allow(who_may(Action.GIVE_BACK)))]

router = APIRouter(prefix=ROOT, tags=["alarms"])


class WindowOut(Answered):
    """Work on a device or a site; what is raised meanwhile is suppressed by design."""

    model_config = Answered.model_config | example(
        id="3f1c2f5e-8f0e-5c3a-9a55-0d3c1f6b2a12",
        device="pump-01",
        site=None,
        begins_at="2026-11-23T06:00:00Z",
        ends_at="2026-11-23T10:00:00Z",
        reason="Bearing change",
        made_by="kim",
        made_at="2026-11-22T15:00:00Z",
        ended_by="",
    )

    id: UUID
    device: str | None
    site: str | None
    begins_at: Instant
    ends_at: Instant = Field(description="Moved to when somebody ended it")
    reason: str
    made_by: str
    made_at: Instant
    ended_by: str = Field(description="Empty where it ends by the clock")


class WindowIn(Asked):
    """Work that is planned, on one device or on all of a site."""

    model_config = Asked.model_config | example(
        device="pump-01", begins_at="2026-11-23T06:00:00Z", ends_at="2026-11-23T10:00:00Z", reason="Bearing change"
    )

    device: DeviceName | None = None
    site: Name | None = None
    begins_at: Instant | None = Field(None, description="None: now")
    ends_at: Instant = Field(description=f"At most {LONGEST_WINDOW.days} days after it begins")
    reason: Line


class OutageOut(Answered):
    """A rule that does not watch a device: its alarms are recorded, and bother nobody."""

    model_config = Answered.model_config | example(
        id="3f1c2f5e-8f0e-5c3a-9a55-0d3c1f6b2a13",
        rule="limits-flow",
        device="pump-01",
        point="flow",
        reason="Flow meter is at the maker's",
        until=None,
        taken_at="2026-11-22T15:00:00Z",
        taken_by="kim",
        given_back_at=None,
        given_back_by="",
    )

    id: UUID
    rule: str
    device: str
    point: str = Field(description="Empty: whatever the point")
    reason: str
    until: Instant | None = Field(description="None: until it is given back")
    taken_at: Instant
    taken_by: str
    given_back_at: Instant | None
    given_back_by: str


class OutageIn(Asked):
    """A rule to be taken out of service for a device, or for one point of it."""

    model_config = Asked.model_config | example(
        rule="limits-flow", device="pump-01", point="flow", reason="Flow meter is at the maker's"
    )

    rule: Annotated[str, Field(pattern=RULE)]
    device: DeviceName
    point: PointName | Literal[""] = ""
    reason: Line
    until: Instant | None = None


Open = Annotated[bool, Query(alias="open", description="Only those that are not over")]


@router.get("/maintenance", summary="Maintenance windows")
def list_windows(
    caller: Anyone,
    limit: Limit = 50,
    cursor: Cursor = None,
    device: DeviceFilter = None,
    site: Annotated[Name | None, Query(description="Only those of this site as a whole")] = None,
    is_open: Open = False,
) -> Page[WindowOut]:
    """Past, present and planned, the one that ends last first."""
    with caller.transaction() as conn:
        rows = maintenance.windows(
            conn,
            _now(),
            limit=limit + 1,
            after=after_time_id(cursor),
            device=device,
            site=site,
            is_open=is_open,
        )
    return page(rows, limit, WindowOut.model_validate, lambda row: (row.ends_at, row.id))


@router.post("/maintenance", response_model=WindowOut, status_code=201, summary="Plan maintenance")
def plan_window(caller: Staff, once: OnceOnly, asked: WindowIn) -> JSONResponse:
    """Open a window. What stands and what is raised in it is suppressed by design, and opens no ticket."""
    now = _now()
    with caller.transaction() as conn:

        def do() -> tuple[int, WindowOut]:
            begins_at = check_window(asked.device, asked.site, asked.begins_at, asked.ends_at, now)
            planned = maintenance.plan(
                conn,
                caller.principal.tenant,
                device=asked.device,
                site=asked.site,
                begins_at=begins_at,
                ends_at=asked.ends_at,
                reason=asked.reason,
                who=caller.principal.name,
                now=now,
            )
            return 201, _window(planned)

        return once.answer(caller, conn, do)


@router.post("/maintenance/{window_id}/end", response_model=WindowOut, summary="End maintenance")
def end_window(caller: Staff, once: OnceOnly, window_id: UUID) -> JSONResponse:
    """Close a window now, or call off one that has not begun. What still stands comes back."""
    who = caller.principal.name
    with caller.transaction() as conn:
        return once.answer(caller, conn, lambda: (200, _window(maintenance.end(conn, window_id, who=who, now=_now()))))


@router.get("/out-of-service", summary="Rules out of service")
def list_outages(
    caller: Anyone,
    limit: Limit = 50,
    cursor: Cursor = None,
    device: DeviceFilter = None,
    rule: Annotated[str | None, Query(pattern=RULE, description="Only this rule")] = None,
    is_open: Open = False,
) -> Page[OutageOut]:
    """Rules that do not watch a device, or did not, newest first."""
    with caller.transaction() as conn:
        rows = maintenance.outages(
            conn, limit=limit + 1, after=after_time_id(cursor), device=device, rule=rule, is_open=is_open
        )
    return page(rows, limit, OutageOut.model_validate, lambda row: (row.taken_at, row.id))


@router.post("/out-of-service", response_model=OutageOut, status_code=201, summary="Take a rule out of service")
def take_out(caller: MayTakeOut, once: OnceOnly, asked: OutageIn) -> JSONResponse:
    """Its alarms are recorded as out of service from now on; those that stand become so."""
    now = _now()
    with caller.transaction() as conn:

        def do() -> tuple[int, OutageOut]:
            if asked.until is not None and asked.until <= now:
                raise BadValue("body.until", "a time to come, or none at all")
            rules.rule(conn, asked.rule)
            taken = maintenance.take_out(
                conn,
                caller.principal.tenant,
                rule=asked.rule,
                device=asked.device,
                point=asked.point,
                reason=asked.reason,
                until=asked.until,
                who=caller.principal.name,
                now=now,
            )
            return 201, _outage(taken)

        return once.answer(caller, conn, do)


@router.post("/out-of-service/{outage_id}/return", response_model=OutageOut, summary="Return a rule to service")
def give_back(caller: MayGiveBack, once: OnceOnly, outage_id: UUID) -> JSONResponse:
    """Its alarms come back as what they have become."""
    who = caller.principal.name
    with caller.transaction() as conn:
        return once.answer(
            caller, conn, lambda: (200, _outage(maintenance.give_back(conn, outage_id, who=who, now=_now())))
        )


def check_window(
    device: str | None, site: str | None, begins_at: datetime | None, ends_at: datetime, now: datetime
) -> datetime:
    """When a window begins; BadValue where it cannot be."""
    if (device is None) == (site is None):
        raise BadValue("body.device", "a device, or a site: one of them")
    begins_at = begins_at or now
    if ends_at <= now:
        raise BadValue("body.ends_at", "a time to come")
    if not timedelta(0) < ends_at - begins_at <= LONGEST_WINDOW:
        raise BadValue("body.ends_at", f"after it begins, by {LONGEST_WINDOW.days} days at most")
    return begins_at


def _window(window: Window) -> WindowOut:
    return WindowOut.model_validate(window)


def _outage(outage: Outage) -> OutageOut:
    return OutageOut.model_validate(outage)


def _now() -> datetime:
    return datetime.now(UTC)
