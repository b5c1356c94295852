"""The page of who is on call: now and next, the rota and its overrides, the chain; for managers, forms for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alarms.roles import Role
from api.access.auth import Caller, Manager, Staff
from api.errors import BadValue
from api.messages.channels_page import why
from api.messages.on_call import LOOK, ROLES, ChainIn, RotaIn, keep_chain, keep_rota, layer_written, take
from api.page_frame import PageRoute, answer, head_of, wants_part
from store import escalations, on_call
from store.errors import Conflict
from store.transactions import Transaction
from tickets.calendar import WEEKDAYS
from tickets.chain import MOST_STEPS
from tickets.local_time import EVERY_DAY
from tickets.preferences import LEVELS, SEVERITIES
from tickets.rota import MOST_LAYERS

RUNNING = 20
_MOST_LINES = max(MOST_STEPS, MOST_LAYERS) + 1
Lines = Annotated[list[str], Field(default_factory=list, max_length=_MOST_LINES)]

router = APIRouter(route_class=PageRoute, include_in_schema=False)


class RotaForm(BaseModel):
    """Layers as they are typed, a list for each of their fields; a layer without a name is none."""

    model_config = ConfigDict(extra="forbid", str_max_length=4000, str_strip_whitespace=True)

    zone: str = ""
    name: Lines
    members: Lines
    starts_on: Lines
    hand_over: Lines
    shift_days: Lines
    from_: list[str] = Field(default_factory=list, max_length=_MOST_LINES, alias="from")
    to: Lines
    days: Lines


class OverrideForm(BaseModel):
    """Somebody takes this time, by the clock on the wall of the rota's zone."""

    model_config = ConfigDict(extra="forbid", str_max_length=300, str_strip_whitespace=True)

    login: str = ""
    begins: str = ""
    ends: str = ""


class ChainForm(BaseModel):
    """Steps as they are chosen: `on_call`, `role manager`, `person kim`; an empty one is none."""

    model_config = ConfigDict(extra="forbid", str_max_length=300, str_strip_whitespace=True)

    alarms_from: str = ""
    tickets_from: str = ""
    rounds: str = ""
    whom: Lines
    wait_min: Lines


@router.get("/on-call")
def on_call_page(request: Request, caller: Staff) -> Response:
    with caller.transaction() as conn:
        return _page(request, conn, caller)


@router.post("/on-call/rota")
def change_rota(request: Request, caller: Manager, typed: Annotated[RotaForm, Form()]) -> Response:
    wrong = ""
    with caller.transaction() as conn:
        try:
            keep_rota(conn, caller, RotaIn.model_validate(_rota_of(typed)))
        except (ValidationError, BadValue) as error:
            wrong = _why(error)
        return _page(request, conn, caller, wrong)


@router.post("/on-call/overrides")
def add_override(request: Request, caller: Staff, typed: Annotated[OverrideForm, Form()]) -> Response:
    wrong = ""
    with caller.transaction() as conn:
        zone = on_call.rota(conn, caller.principal.tenant, datetime.now(UTC))[0].zone
        try:
            begins_at, ends_at = (
                datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC) for text in (typed.begins, typed.ends)
            )
            take(conn, caller, typed.login, begins_at, ends_at)
        except (ValueError, OverflowError):
            wrong = "a day and a time to begin, and to end"
        except (BadValue, Conflict) as error:
            wrong = str(error)
        return _page(request, conn, caller, wrong)


@router.post("/on-call/overrides/{override_id}/remove")
def remove_override(request: Request, caller: Manager, override_id: UUID) -> Response:
    with caller.transaction() as conn:
        on_call.remove_override(conn, override_id)
        return _page(request, conn, caller)


@router.post("/on-call/chain")
def change_chain(request: Request, caller: Manager, typed: Annotated[ChainForm, Form()]) -> Response:
    wrong = ""
    with caller.transaction() as conn:
        try:
            keep_chain(conn, caller, ChainIn.model_validate(_chain_of(typed)))
        except (ValidationError, BadValue) as error:
            wrong = _why(error)
        return _page(request, conn, caller, wrong)


def _rota_of(typed: RotaForm) -> dict[str, Any]:
    columns = (typed.members, typed.starts_on, typed.hand_over, typed.shift_days, typed.from_, typed.to, typed.days)
    if any(len(column) != len(typed.name) for column in columns):
        raise BadValue("body.layers", "a layer has all its fields")
    layers = []
    for name, members, starts_on, hand_over, shift_days, begins, ends, days in zip(typed.name, *columns, strict=True):
        if name:
            layers.append(
                {
                    "name": name,
                    "members": [one for one in members.replace(",", " ").split() if one],
                    "starts_on": starts_on,
                    "hand_over": hand_over,
                    "shift_days": shift_days,
                    "from": begins or None,
                    "to": ends or None,
                    "days": _days_of(days),
                }
            )
    return {"zone": typed.zone, "layers": layers}


def _days_of(text: str) -> list[int]:
    """`mon, tue`; nothing is each day. A word that is no day is one that there is not."""
    short = [day[:3] for day in WEEKDAYS]
    words = text.lower().replace(",", " ").split()
    return sorted({short.index(word[:3]) if word[:3] in short else 7 for word in words}) if words else sorted(EVERY_DAY)


def _chain_of(typed: ChainForm) -> dict[str, Any]:
    if len(typed.whom) != len(typed.wait_min):
        raise BadValue("body.steps", "a step has all its fields")
    steps = []
    for chosen, wait_min in zip(typed.whom, typed.wait_min, strict=True):
        whom, _, who = chosen.partition(" ")
        if whom:
            steps.append({"whom": whom, "who": who, "wait_min": wait_min})
    levels = {"alarms_from": typed.alarms_from or None, "tickets_from": typed.tickets_from or None}
    return {**levels, "steps": steps, "rounds": typed.rounds}


def _why(error: ValidationError | BadValue) -> str:
    if isinstance(error, BadValue):
        return why(error)
    first = error.errors()[0]
    where = " ".join(str(part + 1) if isinstance(part, int) else str(part) for part in first["loc"])
    return f"{where}: {first['msg'].removeprefix('Value error, ')}".replace("_", " ")


def _page(request: Request, conn: Transaction, caller: Caller, wrong: str = "") -> Response:
    who, now = caller.principal, datetime.now(UTC)
    shell = head_of(conn, caller, "alarms")
    rota, kept = on_call.rota(conn, who.tenant, now)
    chain, chain_kept = on_call.chain(conn, who.tenant)
    values = {
        **shell,
        "on_call": rota.on_call(now),
        "duties": list(rota.duties(now, now + LOOK))[:60],
        "zone_name": rota.zone.key,
        "local": lambda at: f"{at.astimezone(rota.zone):%a %d %b, %H:%M}",
        "layers": [layer_written(layer) for layer in rota.layers],
        "short_days": [day[:3] for day in WEEKDAYS],
        "overrides": [one for one in on_call.overrides(conn, who.tenant, now) if one.ends_at > now],
        "chain": chain,
        "rota_kept": kept,
        "chain_kept": chain_kept,
        "running": escalations.running(conn, RUNNING),
        "roles": ROLES,
        "severities": SEVERITIES,
        "levels": LEVELS,
        "may_change": who.role in (Role.MANAGER, Role.ADMINISTRATOR),
        "wrong": wrong,
    }
    return answer(request, "on_call_live.html" if wants_part(request) else "on_call.html", values)
