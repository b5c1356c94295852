"""The page of who is on call: now and next, the rota and its overrides, the chain; for managers, forms for them."""

from __future__ import annotations

from collections.abc import Mapping
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
from tickets.chain import MOST_STEPS, Chain
from tickets.local_time import EVERY_DAY
from tickets.preferences import LEVELS, SEVERITIES
from tickets.rota import MOST_LAYERS, Layer

RUNNING = 20
_SHORT_DAYS = [day[:3] for day in WEEKDAYS]
_LAYER = ("name", "members", "starts_on", "hand_over", "shift_days", "from", "to", "days")
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
        typed_again = {"rota_zone": typed.zone, "layers": _typed_layers(typed), "rota_open": True} if wrong else {}
        return _page(request, conn, caller, wrong, typed_again)


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
        return _page(request, conn, caller, wrong, {"taken": typed} if wrong else {})


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
        return _page(request, conn, caller, wrong, {"chain_form": _typed_chain(typed)} if wrong else {})


def _rota_of(typed: RotaForm) -> dict[str, Any]:
    columns = (typed.members, typed.starts_on, typed.hand_over, typed.shift_days, typed.from_, typed.to, typed.days)
    if any(len(column) != len(typed.name) for column in columns):
        raise BadValue("body.layers", "a layer has all its fields")
    layers = [
        {
            **layer,
            "members": layer["members"].replace(",", " ").split(),
            "from": layer["from"] or None,
            "to": layer["to"] or None,
            "days": _days_of(layer["days"]),
        }
        for layer in _typed_layers(typed)
    ]
    return {"zone": typed.zone, "layers": layers}


def _typed_layers(typed: RotaForm) -> list[dict[str, str]]:
    """Each layer that has a name, as it was typed."""
    columns = (typed.members, typed.starts_on, typed.hand_over, typed.shift_days, typed.from_, typed.to, typed.days)
    rows = zip(typed.name, *columns, strict=False)
    return [dict(zip(_LAYER, row, strict=True)) for row in rows if row[0]]


def _layer_text(layer: Layer) -> dict[str, Any]:
    """A layer as its form has it."""
    written = layer_written(layer)
    days = [short for number, short in enumerate(_SHORT_DAYS) if number in written["days"]]
    every = len(days) == len(_SHORT_DAYS)
    return {**written, "members": ", ".join(written["members"]), "days": "" if every else ", ".join(days)}


def _days_of(text: str) -> list[int]:
    """`mon, tue`; nothing is each day. A word that is no day is one that there is not."""
    short = _SHORT_DAYS
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


def _typed_chain(typed: ChainForm) -> dict[str, Any]:
    """The chain as it was chosen, whatever of it cannot be."""
    rows = zip(typed.whom, typed.wait_min, strict=False)
    steps = [{"chosen": chosen, "wait_min": wait_min} for chosen, wait_min in rows if chosen]
    return {
        "alarms_from": typed.alarms_from,
        "tickets_from": typed.tickets_from,
        "rounds": typed.rounds,
        "steps": steps,
    }


def _chain_text(chain: Chain) -> dict[str, Any]:
    """The chain as its form has it."""
    steps = [{"chosen": f"{one.whom} {one.who}".strip(), "wait_min": one.wait_min} for one in chain.steps]
    levels = {"alarms_from": chain.alarms_from or "", "tickets_from": chain.tickets_from or ""}
    return {**levels, "rounds": chain.rounds, "steps": steps}


def _why(error: ValidationError | BadValue) -> str:
    if isinstance(error, BadValue):
        return why(error)
    first = error.errors()[0]
    where = " ".join(str(part + 1) if isinstance(part, int) else str(part) for part in first["loc"])
    return f"{where}: {first['msg'].removeprefix('Value error, ')}".replace("_", " ")


def _page(
    request: Request,
    conn: Transaction,
    caller: Caller,
    wrong: str = "",
    typed: Mapping[str, Any] | None = None,
) -> Response:
    """The page; `typed` is what stands in the form that was refused, in the place of what is kept."""
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
        "has_layers": bool(rota.layers),
        "layers": [_layer_text(layer) for layer in rota.layers],
        "rota_zone": rota.zone.key,
        "rota_open": not rota.layers,
        "chain_form": _chain_text(chain),
        "chain_open": "chain_form" in (typed or {}),
        "taken": OverrideForm(login=who.name),
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
        **(typed or {}),
    }
    return answer(request, "on_call_live.html" if wants_part(request) else "on_call.html", values)
