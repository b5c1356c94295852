"""The page of preventive plans: what falls due next and why, the plans, and a form for one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from alarms.roles import DESK
from api.access.auth import Caller, Desk, Staff
from api.errors import BadValue
from api.page_frame import PageRoute, answer, head_of, wants_part
from api.paging import after_time_id, beyond
from api.plans.plan import PlanIn, fields_of, library
from dashboard.figures import exact
from store import overview
from store.errors import Conflict, NotFound
from store.plans import catalogue
from store.plans.catalogue import Coming, Plan
from store.transactions import Transaction
from tickets.plans import said, trigger_of
from tickets.priority import FaultClass

# A quarter ahead; more lines than this nobody reads.
AHEAD = timedelta(days=90)
LINES = 100
PLANS_PER_PAGE = 50
_PART = re.compile(r"([A-Za-z0-9_.-]{1,64})(?:\s+([0-9]{1,5}))?")
_WHEN = (
    ("days", "every so many days"),
    ("weeks", "every so many weeks"),
    ("months", "every so many months"),
    ("hours", "every so many hours of running"),
    ("cycles", "every so many cycles"),
    ("health", "health falls below"),
    ("above", "a point is above"),
    ("below", "a point is below"),
    ("risk", "failure within 30 days, per cent"),
)
_COSTS = {
    FaultClass.COSMETIC: "nothing yet",
    FaultClass.DEGRADED: "it gets worse",
    FaultClass.FUNCTION_LOST: "its function",
    FaultClass.LINE_DOWN: "the line stands",
    FaultClass.SAFETY: "somebody may be hurt",
}

router = APIRouter(route_class=PageRoute, include_in_schema=False)


class PlanForm(BaseModel):
    """The form as it comes: text, empty where nothing is said."""

    model_config = ConfigDict(extra="forbid", str_max_length=8000, str_strip_whitespace=True)

    plan: str = ""
    name: str = ""
    device: str = ""
    model: str = ""
    site: str = ""
    when: str = "months"
    amount: str = "1"
    point: str = ""
    rolls_over_at: str = ""
    for_h: str = "6"
    begins_on: str = ""
    at: str = "08:00"
    procedure: str = ""
    steps: str = ""
    parts: str = ""
    skills: str = ""
    work_h: str = "1"
    fault_class: str = FaultClass.COSMETIC.value
    lead_days: str = "14"
    healthy_from: str = ""
    put_off_most: str = "0"


@router.get("/plans")
def page(request: Request, caller: Staff, plan: UUID | None = None, device: str = "") -> Response:
    with caller.transaction() as conn:
        typed = PlanForm(device=device[:64]) if plan is None else _form_of(catalogue.plan(conn, plan))
        return _answer(request, conn, caller, typed)


@router.post("/plans")
def keep(request: Request, caller: Desk, typed: Annotated[PlanForm, Form()]) -> Response:
    """Make a plan, or change one; what cannot be is said at the form, with what was typed."""
    now, who = datetime.now(UTC), caller.principal
    with caller.transaction() as conn:
        try:
            fields = fields_of(PlanIn.model_validate(_asked(typed, now)))
            if typed.plan:
                catalogue.change(conn, UUID(typed.plan), fields, who=who.name, now=now)
            else:
                catalogue.make(conn, who.tenant, fields, who=who.name, now=now)
        except ValidationError as error:
            return _answer(request, conn, caller, typed, _words(error))
        except (BadValue, NotFound, Conflict, ValueError) as error:
            return _answer(request, conn, caller, typed, str(error))
        return _answer(request, conn, caller, PlanForm())


@router.post("/plans/{plan_id}/end")
def end(request: Request, caller: Desk, plan_id: UUID) -> Response:
    with caller.transaction() as conn:
        try:
            catalogue.end(conn, plan_id, who=caller.principal.name, now=datetime.now(UTC))
        except Conflict as error:  # the page was older than that
            return _answer(request, conn, caller, PlanForm(), str(error))
        return _answer(request, conn, caller, PlanForm())


def of_machine(conn: Transaction, device: str, now: datetime) -> list[Coming]:
    """What is next of each plan of a machine."""
    found: dict[UUID, Coming] = {}
    for one in catalogue.coming(conn, now, timedelta(days=365), device=device, most=1):
        found.setdefault(one.plan_id, one)
    return list(found.values())


def _answer(request: Request, conn: Transaction, caller: Caller, typed: PlanForm, wrong: str = "") -> Response:
    now = datetime.now(UTC)
    shell = head_of(conn, caller, "tickets")
    cursor = request.query_params.get("after") or None
    plans = catalogue.plans(conn, limit=PLANS_PER_PAGE + 1, after=after_time_id(cursor), is_open=True)
    coming = catalogue.coming(conn, now, AHEAD, most=1)
    values: dict[str, Any] = {
        **shell,
        "due": [one for one in coming if one.due_at is not None][:LINES],
        "unknown": [one for one in coming if one.due_at is None][:LINES],
        "plans": [_shown(one, coming) for one in plans[:PLANS_PER_PAGE]],
        "is_later": cursor is not None,
        "next_page": beyond(plans, PLANS_PER_PAGE, lambda one: (one.made_at, one.id)),
        "may_plan": caller.principal.role in DESK,
        "sites": overview.sites(conn),
        "procedures": sorted(library().values(), key=lambda one: one.name),
        "whens": _WHEN,
        "costs": _COSTS,
        "typed": typed,
        "wrong": wrong.rstrip("."),
    }
    return answer(request, "plans_live.html" if wants_part(request) else "plans.html", values)


def _shown(plan: Plan, coming: Sequence[Coming]) -> Mapping[str, Any]:
    mine = [one for one in coming if one.plan_id == plan.id]
    procedure = library().get(plan.procedure)
    return {
        "id": plan.id,
        "name": plan.name,
        "where": plan.device or (f"All of model {plan.model}" if plan.model else f"All at {plan.site}"),
        "when": said(trigger_of(plan.trigger)),
        "what": procedure.name if procedure else plan.steps.splitlines()[0] if plan.steps else "",
        "lead_days": plan.lead_days,
        "healthy_from": plan.healthy_from,
        "next": next((one.due_at for one in mine if one.due_at), None),
        "machines": len(Counter(one.device for one in mine)),
        "tickets": len({one.ticket_id for one in mine if one.ticket_id}),
    }


def _asked(typed: PlanForm, now: datetime) -> dict[str, Any]:
    """What was typed as the API would be asked. BadValue: a list of parts that is none."""
    return {
        "name": typed.name,
        **{name: getattr(typed, name) or None for name in ("device", "model", "site", "healthy_from")},
        "trigger": _trigger(typed, now),
        **{name: getattr(typed, name) for name in ("procedure", "steps", "work_h", "fault_class", "lead_days")},
        "put_off_most": typed.put_off_most or 0,
        "parts": [_part(one) for one in typed.parts.split(",") if one.strip()],
        "skills": [one.strip() for one in typed.skills.split(",") if one.strip()],
    }


def _trigger(typed: PlanForm, now: datetime) -> dict[str, Any]:
    if typed.when in {"days", "weeks", "months"}:
        begins_on = typed.begins_on or str(now.date())
        return {"kind": "calendar", "number": typed.amount, "every": typed.when, "begins_on": begins_on, "at": typed.at}
    if typed.when in {"hours", "cycles"}:
        ends = typed.rolls_over_at or None
        return {"kind": typed.when, "amount": typed.amount, "point": typed.point, "rolls_over_at": ends}
    if typed.when == "risk":
        return {"kind": "risk", "limit": float(typed.amount) / 100}
    point, side = ("", "below") if typed.when == "health" else (typed.point, typed.when)
    if typed.when != "health" and not point:
        raise BadValue("point", "say which point")
    return {"kind": "condition", "point": point, "side": side, "limit": typed.amount, "for_h": typed.for_h}


def _part(text: str) -> dict[str, Any]:
    match = _PART.fullmatch(text.strip())
    if match is None:
        raise BadValue("parts", "parts are written as number and how many: grease-2 1, seal-40 2")
    return {"part": match[1], "quantity": match[2] or 1}


def _form_of(plan: Plan) -> PlanForm:
    """A plan as its form has it."""
    trigger = plan.trigger
    match trigger["kind"]:
        case "calendar":
            when, amount = trigger["every"], trigger["number"]
        case "condition":
            when, amount = (trigger["side"] if trigger["point"] else "health"), trigger["limit"]
        case "risk":
            when, amount = "risk", 100 * trigger["limit"]
        case kind:
            when, amount = kind, trigger["amount"]
    own = {name: getattr(plan, name) or "" for name in ("name", "device", "model", "site", "procedure", "steps")}
    known = ("point", "rolls_over_at", "for_h", "begins_on", "at")
    more = {name: str(trigger[name]) for name in known if trigger.get(name) is not None}
    return PlanForm(
        plan=str(plan.id),
        **own,
        **more,
        when=when,
        amount=exact(amount),
        parts=", ".join(f"{one['part']} {one['quantity']}" for one in plan.parts),
        skills=", ".join(plan.skills),
        work_h=exact(plan.work_h),
        fault_class=plan.fault_class,
        lead_days=str(plan.lead_days),
        healthy_from="" if plan.healthy_from is None else exact(plan.healthy_from),
        put_off_most=str(plan.put_off_most),
    )


def _words(error: ValidationError) -> str:
    """The first thing that is wrong, as a person says it."""
    first = error.errors()[0]
    field = next((str(one) for one in reversed(first["loc"]) if isinstance(one, str)), "")
    why = str(first["msg"]).removeprefix("Value error, ")
    return f"{field.replace('_', ' ')}: {why}" if field else why
