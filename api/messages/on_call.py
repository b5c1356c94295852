"""Who is on call now and next, the rota that says so, and the chain that is told while nobody has taken an alarm."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from alarms.roles import PEOPLE, Role
from api import ROOT
from api.access.auth import Caller, Manager, Staff
from api.errors import BadValue
from api.messages.channels import TimeOfDay, Zone, minute_of, time_of
from api.models import Answered, Asked, From, Instant, Line, To, example
from api.once import OnceOnly
from store import on_call
from store.errors import NotFound
from store.on_call import Kept, KeptOverride
from store.transactions import Transaction
from tickets.chain import LONGEST_WAIT_MIN, MOST_ROUNDS, MOST_STEPS, BadChain, Chain, Step, Whom
from tickets.local_time import EVERY_DAY, BadTime, Hours, zone_named
from tickets.rota import LONGEST_LOOK, LONGEST_SHIFT_DAYS, MOST_LAYERS, MOST_MEMBERS, Layer, Override, Rota

LOOK = timedelta(days=14)
ROLES = tuple(sorted(role.value for role in PEOPLE - {Role.OWNER}))

router = APIRouter(prefix=f"{ROOT}/on-call", tags=["access"])


class LayerIn(Asked):
    """Shifts, one after the other; with `from` and `to` for these hours of these days alone."""

    name: Line
    members: list[Line] = Field(
        min_length=1, max_length=MOST_MEMBERS, description="Logins, in the order of their turns"
    )
    starts_on: date = Field(description="The day on which the first of them takes over")
    hand_over: TimeOfDay = "08:00"
    shift_days: int = Field(7, ge=1, le=LONGEST_SHIFT_DAYS)
    from_: TimeOfDay | None = Field(None, alias="from")
    to: TimeOfDay | None = Field(None, description="At or before `from`: on the day after")
    days: list[Annotated[int, Field(ge=0, le=6)]] = Field(
        default=sorted(EVERY_DAY), min_length=1, max_length=7, description="On which `from` is; Monday 0"
    )


class RotaIn(Asked):
    """Layers, of which the last that has somebody counts; times are by the clock on the wall of this zone."""

    model_config = Asked.model_config | example(
        zone="Europe/Berlin",
        layers=[{"name": "Weeks", "members": ["kim", "lee"], "starts_on": "2026-11-23", "hand_over": "08:00"}],
    )

    zone: Zone
    layers: list[LayerIn] = Field(max_length=MOST_LAYERS)


class OverrideIn(Asked):
    """Somebody takes this time, whosever it was."""

    model_config = Asked.model_config | example(
        {"login": "kim", "from": "2026-11-24T00:00:00Z", "to": "2026-11-25T00:00:00Z"}
    )

    login: Line
    from_: Instant = Field(alias="from")
    to: Instant


class StepIn(Asked):
    """Whom a step tells, and how long it waits for somebody to take it."""

    whom: Whom
    who: str = Field("", max_length=254, description="A login or a role; empty for whoever is on call")
    wait_min: int = Field(10, ge=1, le=LONGEST_WAIT_MIN)


class ChainIn(Asked):
    """From which level on what sets out along it (null: nothing), its steps, and how often."""

    model_config = Asked.model_config | example(
        alarms_from="high",
        tickets_from="urgent",
        steps=[{"whom": "on_call", "wait_min": 10}, {"whom": "role", "who": "manager", "wait_min": 15}],
        rounds=2,
    )

    alarms_from: Literal["low", "medium", "high", "critical"] | None = "high"
    tickets_from: Literal["low", "medium", "high", "urgent"] | None = "urgent"
    steps: list[StepIn] = Field(min_length=1, max_length=MOST_STEPS)
    rounds: int = Field(2, ge=1, le=MOST_ROUNDS)


class DutyOut(Answered):
    """Who is on call for a while; an empty login is nobody."""

    model_config = Answered.model_config | example(
        login="kim", begins_at="2026-11-23T07:00:00Z", ends_at="2026-11-30T07:00:00Z", why="Weeks"
    )

    login: str
    begins_at: Instant
    ends_at: Instant
    why: str = Field(description="The layer's name, or `override`")


class OverrideOut(Answered):
    """Somebody takes this time, and who has said so."""

    id: UUID
    login: str
    begins_at: Instant
    ends_at: Instant
    made_at: Instant
    made_by: str


class OnCallOut(Answered):
    """Who is on call now, and who comes next; the rota and its overrides."""

    now: str = Field(description="A login; empty: nobody")
    duties: list[DutyOut]
    zone: str
    layers: list[dict[str, Any]]
    overrides: list[OverrideOut]
    changed_at: Instant | None
    changed_by: str


class ChainOut(Answered):
    """The chain in force; changed by nobody where it is the house's."""

    alarms_from: str | None
    tickets_from: str | None
    steps: list[dict[str, Any]]
    rounds: int
    changed_at: Instant | None
    changed_by: str


@router.get("", summary="Who is on call")
def get_on_call(caller: Staff, start: From = None, end: To = None) -> OnCallOut:
    """Now, and for the next fourteen days, or from one moment to another, 92 days at most."""
    now = datetime.now(UTC)
    begin = start or now
    with caller.transaction() as conn:
        return _shown(conn, caller, now, begin, end or begin + LOOK)


@router.put("/rota", summary="Change the rota")
def change_rota(caller: Manager, asked: RotaIn) -> OnCallOut:
    """All its layers anew, from now on; overrides stay."""
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        keep_rota(conn, caller, asked)
        return _shown(conn, caller, now, now, now + LOOK)


@router.post("/overrides", response_model=OverrideOut, status_code=201, summary="Take a shift")
def add_override(caller: Staff, once: OnceOnly, asked: OverrideIn) -> JSONResponse:
    """I take this time; a manager says it of anybody."""
    with caller.transaction() as conn:

        def do() -> tuple[int, OverrideOut]:
            return 201, OverrideOut.model_validate(take(conn, caller, asked.login, asked.from_, asked.to))

        return once.answer(caller, conn, do)


@router.delete("/overrides/{override_id}", status_code=204, summary="Give a shift back")
def remove_override(caller: Manager, override_id: Annotated[UUID, Path(description="An override")]) -> Response:
    """It is as the layers say again."""
    with caller.transaction() as conn:
        on_call.remove_override(conn, override_id)
    return Response(status_code=204)


@router.get("/chain", summary="The chain")
def get_chain(caller: Staff) -> ChainOut:
    """Who is told, one after the other, while nobody has taken an alarm or a ticket."""
    with caller.transaction() as conn:
        return _chain_out(*on_call.chain(conn, caller.principal.tenant))


@router.put("/chain", summary="Change the chain")
def change_chain(caller: Manager, asked: ChainIn) -> ChainOut:
    """All of it anew. What is on its way goes on along this one."""
    with caller.transaction() as conn:
        keep_chain(conn, caller, asked)
        return _chain_out(*on_call.chain(conn, caller.principal.tenant))


def keep_rota(conn: Transaction, caller: Caller, asked: RotaIn) -> None:
    """Other layers. BadValue where a member is nobody, or hours begin and never end."""
    try:
        rota = Rota(zone_named(asked.zone), [_layer(one) for one in asked.layers])
        on_call.keep_rota(conn, caller.principal.tenant, rota, caller.principal.name)
    except BadTime as error:
        raise BadValue(f"body.layers.{error.field}", str(error)) from error
    except NotFound as error:
        raise BadValue("body.layers.members", str(error)) from error


def take(conn: Transaction, caller: Caller, login: str, begins_at: datetime, ends_at: datetime) -> KeptOverride:
    """Somebody takes this time. BadValue where they may not, or it is none."""
    who, now = caller.principal, datetime.now(UTC)
    if login != who.name and who.role not in (Role.MANAGER, Role.ADMINISTRATOR):
        raise BadValue("body.login", "take a shift yourself, or ask a manager to give it to somebody else")
    if not begins_at < ends_at <= begins_at + LONGEST_LOOK or ends_at <= now:
        raise BadValue("body.to", f"after its beginning, within {LONGEST_LOOK.days} days, and not over yet")
    try:
        return on_call.add_override(conn, who.tenant, Override(login, begins_at, ends_at), who.name, now)
    except NotFound as error:
        raise BadValue("body.login", str(error)) from error


def keep_chain(conn: Transaction, caller: Caller, asked: ChainIn) -> None:
    """Another chain. BadValue where a step names nobody."""
    try:
        steps = [Step(one.whom, one.wait_min, one.who) for one in asked.steps]
        unknown = [step.who for step in steps if step.whom is Whom.ROLE and step.who not in ROLES]
        if unknown:
            raise BadChain(f"no role {unknown[0]}: one of {', '.join(ROLES)}")
        chain = Chain(asked.alarms_from, asked.tickets_from, steps, asked.rounds)
        on_call.keep_chain(conn, caller.principal.tenant, chain, caller.principal.name)
    except (BadChain, NotFound) as error:
        raise BadValue("body.steps", str(error)) from error


def layer_written(layer: Layer) -> dict[str, Any]:
    """A layer as it is asked for."""
    hours = layer.hours
    return {
        "name": layer.name,
        "members": list(layer.members),
        "starts_on": layer.starts_on.isoformat(),
        "hand_over": time_of(layer.hand_over_min),
        "shift_days": layer.shift_days,
        "from": time_of(hours.from_min) if hours else None,
        "to": time_of(hours.to_min) if hours else None,
        "days": sorted(hours.days if hours else EVERY_DAY),
    }


def _layer(asked: LayerIn) -> Layer:
    if (asked.from_ is None) != (asked.to is None):
        raise BadTime("to", "hours begin and end")
    hours = None
    if asked.from_ is not None and asked.to is not None:
        hours = Hours(minute_of(asked.from_), minute_of(asked.to), frozenset(asked.days))
    elif set(asked.days) != EVERY_DAY:
        hours = Hours(0, 0, frozenset(asked.days))
    hand_over_min = minute_of(asked.hand_over)
    return Layer(asked.name, tuple(asked.members), asked.starts_on, hand_over_min, asked.shift_days, hours)


def _shown(conn: Transaction, caller: Caller, now: datetime, start: datetime, end: datetime) -> OnCallOut:
    tenant = caller.principal.tenant
    rota, kept = on_call.rota(conn, tenant, now)
    return OnCallOut(
        now=rota.on_call(now),
        duties=[DutyOut.model_validate(duty) for duty in rota.duties(start, end)],
        zone=rota.zone.key,
        layers=[layer_written(layer) for layer in rota.layers],
        overrides=[OverrideOut.model_validate(one) for one in on_call.overrides(conn, tenant, now)],
        **asdict(kept),
    )


def _chain_out(chain: Chain, kept: Kept) -> ChainOut:
    return ChainOut(
        alarms_from=chain.alarms_from,
        tickets_from=chain.tickets_from,
        steps=[{"whom": step.whom.value, "who": step.who, "wait_min": step.wait_min} for step in chain.steps],
        rounds=chain.rounds,
        changed_at=kept.changed_at,
        changed_by=kept.changed_by,
    )
