"""Preventive plans: what is done on which machines, when it falls due, and the tickets that it makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from alarms.roles import Role
from api import ROOT
from api.access.auth import Caller, Desk, Staff, require
from api.models import Answered, Asked, DeviceFilter, DeviceName, Instant, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from api.plans.plan import PLAN, PlanIn, PlanPart, Trigger, fields_of, steps_of
from store.plans import catalogue
from store.plans.catalogue import Plan
from store.plans.openings import open_planned
from tickets.priority import FaultClass

_MOST_DAYS = 366
_MOST_OCCURRENCES = 200

router = APIRouter(prefix=f"{ROOT}/plans", tags=["plans"])

Program = Annotated[Caller, Depends(require(Role.SERVICE))]


class PreventivePlanOut(Answered):
    """A plan."""

    model_config = Answered.model_config | example(
        PLAN,
        id="7e0f9c1a-51a0-4f43-a6f2-3d3f1f1f6d10",
        made_at="2026-11-22T10:20:00Z",
        made_by="kim",
        changed_at="2026-11-22T10:20:00Z",
        changed_by="kim",
        ended_at=None,
    )

    id: UUID
    name: str
    device: str | None
    model: str | None
    site: str | None
    trigger: Trigger
    procedure: str
    steps: str
    parts: list[PlanPart]
    skills: list[str]
    work_h: float
    fault_class: FaultClass
    lead_days: int
    healthy_from: float | None
    put_off_most: int
    made_at: Instant
    made_by: str
    changed_at: Instant
    changed_by: str
    ended_at: Instant | None


class ComingOut(Answered):
    """What falls due on a machine, or why nothing can be said of it."""

    model_config = Answered.model_config | example(
        plan_id="7e0f9c1a-51a0-4f43-a6f2-3d3f1f1f6d10",
        plan="Grease the bearings",
        device="pump-01",
        due_at="2026-12-20T09:00:00Z",
        opens_at="2026-12-06T09:00:00Z",
        why="1650 of 2000 hours since it was done last",
        ticket_id=None,
        put_off="",
    )

    plan_id: UUID
    plan: str
    device: str
    due_at: Instant | None = Field(description="null: nothing can be said, and `why` says why not")
    opens_at: Instant | None = Field(description="null: its ticket is open, or nothing can be said")
    why: str
    ticket_id: UUID | None = Field(description="It has its ticket, which is still to be done")
    put_off: str = Field(description="Why it was left out last time; empty where it was not")


class ForecastOut(Answered):
    """What falls due, the soonest first."""

    model_config = Answered.model_config | example(items=[])

    items: list[ComingOut]


class OccurrenceOut(Answered):
    """A time at which a plan fell due, and what became of it."""

    model_config = Answered.model_config | example(
        number=3,
        device="pump-01",
        found_at="2026-11-22T10:20:00Z",
        due_at="2026-12-06T09:00:00Z",
        why="1650 of 2000 hours since it was done last",
        outcome="opened",
        ticket_id="7e0f9c1a-51a0-4f43-a6f2-3d3f1f1f6d11",
    )

    number: int
    device: str
    found_at: Instant
    due_at: Instant
    why: str
    outcome: Literal["opening", "opened", "joined", "put_off"]
    ticket_id: UUID | None


class OccurrencesOut(Answered):
    """What fell due by one plan, newest first."""

    model_config = Answered.model_config | example(items=[])

    items: list[OccurrenceOut]


class OccurrenceIn(Asked):
    """What `notify` found to be due."""

    model_config = Asked.model_config | example(
        plan_id="7e0f9c1a-51a0-4f43-a6f2-3d3f1f1f6d10", device="pump-01", number=3
    )

    plan_id: UUID
    device: DeviceName
    number: int = Field(ge=1, lt=2**31)


class PlannedOut(Answered):
    """What became of it."""

    model_config = Answered.model_config | example(outcome="opened", ticket_id="7e0f9c1a-51a0-4f43-a6f2-3d3f1f1f6d11")

    outcome: Literal["opened", "joined", "put_off"]
    ticket_id: UUID | None


@router.get("", summary="Preventive plans")
def list_preventive_plans(
    caller: Staff,
    limit: Limit = 50,
    cursor: Cursor = None,
    device: DeviceFilter = None,
    is_open: Annotated[bool | None, Query(alias="open", description="Not ended")] = None,
) -> Page[PreventivePlanOut]:
    """Plans, newest first; of a device, those that reach it by its name, model or site."""
    with caller.transaction() as conn:
        rows = catalogue.plans(conn, limit=limit + 1, after=after_time_id(cursor), device=device, is_open=is_open)
    return page(rows, limit, plan_out, lambda row: (row.made_at, row.id))


@router.post("", response_model=PreventivePlanOut, status_code=201, summary="Make a plan")
def make_plan(caller: Desk, once: OnceOnly, asked: PlanIn) -> JSONResponse:
    """Hours and cycles count from now on; a date that is past is not made up for."""
    who, fields = caller.principal, fields_of(asked)
    with caller.transaction() as conn:
        return once.answer(
            caller,
            conn,
            lambda: (201, plan_out(catalogue.make(conn, who.tenant, fields, who=who.name, now=_now()))),
        )


@router.get("/due", summary="What falls due")
def plans_due(
    caller: Staff,
    days: Annotated[int, Query(ge=1, le=_MOST_DAYS, description="Within so many days")] = 90,
    device: DeviceFilter = None,
) -> ForecastOut:
    """The soonest first; last what nothing can be said of, and why. A date that rests on use moves with the use."""
    with caller.transaction() as conn:
        found = catalogue.coming(conn, _now(), timedelta(days=days), device=device)
    return ForecastOut(items=[ComingOut.model_validate(one) for one in found])


@router.post(
    "/occurrences",
    response_model=PlannedOut,
    status_code=201,
    responses={200: {"model": PlannedOut, "description": "It joined a ticket, or had been taken before"}},
    summary="Open the ticket for what fell due",
)
def open_occurrence(caller: Program, once: OnceOnly, asked: OccurrenceIn) -> JSONResponse:
    """For `notify`. The same number opens one ticket, however often it is sent."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, PlannedOut]:
            steps = steps_of(catalogue.plan(conn, asked.plan_id))
            done = open_planned(
                conn, who.tenant, asked.plan_id, asked.device, asked.number, steps, who=who.name or "notify", now=_now()
            )
            is_new = done.outcome == "opened" and not done.again
            return 201 if is_new else 200, PlannedOut.model_validate(
                {"outcome": done.outcome, "ticket_id": done.ticket_id}
            )

        return once.answer(caller, conn, do)


@router.get("/{plan_id}", summary="One plan")
def get_plan(caller: Staff, plan_id: UUID) -> PreventivePlanOut:
    """A plan."""
    with caller.transaction() as conn:
        return plan_out(catalogue.plan(conn, plan_id))


@router.put("/{plan_id}", summary="Change a plan")
def change_plan(caller: Desk, plan_id: UUID, asked: PlanIn) -> PreventivePlanOut:
    """All of it anew. What was counted stays, unless something else counts from now on."""
    fields = fields_of(asked)
    with caller.transaction() as conn:
        return plan_out(catalogue.change(conn, plan_id, fields, who=caller.principal.name, now=_now()))


@router.delete("/{plan_id}", summary="End a plan")
def end_plan(caller: Desk, plan_id: UUID) -> PreventivePlanOut:
    """No more tickets by it. Those that are open stay, and so does its history."""
    with caller.transaction() as conn:
        return plan_out(catalogue.end(conn, plan_id, who=caller.principal.name, now=_now()))


@router.get("/{plan_id}/occurrences", summary="What fell due by a plan")
def list_occurrences(caller: Staff, plan_id: UUID) -> OccurrencesOut:
    """The newest, with what became of each: a ticket, or why it was put off."""
    with caller.transaction() as conn:
        found = catalogue.occurrences(conn, plan_id, _MOST_OCCURRENCES)
    return OccurrencesOut(items=[OccurrenceOut.model_validate(one) for one in found])


def plan_out(plan: Plan) -> PreventivePlanOut:
    return PreventivePlanOut.model_validate(plan)


def _now() -> datetime:
    return datetime.now(UTC)
