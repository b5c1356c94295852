"""The page of one's own notifications: where I am reached, whether it works, what I wish to hear of and when not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from api.errors import BadValue
from api.messages.channels import (
    ChannelChange,
    ChannelIn,
    OneOfUs,
    PreferencesIn,
    add,
    keep_preferences,
    myself,
    written,
)
from api.page_frame import PageRoute, answer, head_of, reasons, wants_part
from store import on_call
from store.errors import Conflict
from store.messages import channels, log
from store.messages.addresses import KINDS
from store.messages.log import Which
from store.transactions import Transaction
from tickets.preferences import LEVELS, SEVERITIES

LINES = 10

router = APIRouter(route_class=PageRoute, include_in_schema=False)


class ChannelForm(BaseModel):
    """A new channel as it is typed."""

    model_config = ConfigDict(extra="forbid", str_max_length=1100, str_strip_whitespace=True)

    name: str = ""
    url: SecretStr = SecretStr("")


class PreferencesForm(BaseModel):
    """Preferences as they are typed; what is empty is null."""

    model_config = ConfigDict(extra="forbid", str_max_length=100, str_strip_whitespace=True)

    alarms_from: str = ""
    tickets_from: str = ""
    zone: str = ""
    quiet_from: str = ""
    quiet_to: str = ""
    urgent_passes: bool = False


class ChangeForm(BaseModel):
    """A channel's name, and whether it is used."""

    model_config = ConfigDict(extra="forbid", str_max_length=200, str_strip_whitespace=True)

    name: str = ""
    enabled: bool = False


@router.get("/channels")
def channels_page(request: Request, caller: OneOfUs) -> Response:
    with caller.transaction() as conn:
        return _page(request, conn, caller)


@router.post("/channels")
def add_one(request: Request, caller: OneOfUs, typed: Annotated[ChannelForm, Form()]) -> Response:
    wrong = ""
    with caller.transaction() as conn:
        try:
            add(conn, caller, ChannelIn(name=typed.name, url=typed.url))
        except (ValidationError, BadValue, Conflict) as error:
            wrong = why(error)
        return _page(request, conn, caller, wrong, {"new_name": typed.name} if wrong else {})


@router.post("/channels/preferences")
def prefer(request: Request, caller: OneOfUs, typed: Annotated[PreferencesForm, Form()]) -> Response:
    wrong = ""
    with caller.transaction() as conn:
        try:
            asked = {name: value if value != "" else None for name, value in typed.model_dump().items()}
            keep_preferences(conn, caller, PreferencesIn.model_validate(asked))
        except (ValidationError, BadValue) as error:
            wrong = why(error)
        return _page(request, conn, caller, wrong, {"preferences": typed} if wrong else {}, kept=not wrong)


@router.post("/channels/{channel_id}")
def change_one(request: Request, caller: OneOfUs, channel_id: UUID, typed: Annotated[ChangeForm, Form()]) -> Response:
    wrong = ""
    with caller.transaction() as conn:
        try:
            asked = ChannelChange(**typed.model_dump())
            channels.change(conn, myself(caller), channel_id, name=asked.name, enabled=asked.enabled)
        except ValidationError as error:
            wrong = why(error)
        return _page(request, conn, caller, wrong)


@router.post("/channels/{channel_id}/test")
def try_one(request: Request, caller: OneOfUs, channel_id: UUID) -> Response:
    with caller.transaction() as conn:
        log.try_out(conn, myself(caller), channel_id)
        return _page(request, conn, caller)


@router.post("/channels/{channel_id}/remove")
def remove_one(request: Request, caller: OneOfUs, channel_id: UUID) -> Response:
    with caller.transaction() as conn:
        channels.remove(conn, myself(caller), channel_id)
        return _page(request, conn, caller)


def why(error: ValidationError | BadValue | Conflict) -> str:
    """What is wrong with what was typed, in a line."""
    return "; ".join(reasons(error).values()) if isinstance(error, ValidationError) else str(error)


def _page(
    request: Request,
    conn: Transaction,
    caller: OneOfUs,
    wrong: str = "",
    typed: Mapping[str, Any] | None = None,
    *,
    kept: bool = False,
) -> Response:
    """The page; `typed` is what stands in the form that was refused. An address is typed again: it is a secret."""
    login, tenant, now = myself(caller), caller.principal.tenant, datetime.now(UTC)
    values = {
        **head_of(conn, caller, "channels"),
        "channels": channels.channels(conn, login),
        "preferences": written(channels.preferences(conn, tenant, login)),
        "messages": log.messages(conn, Which(login=login), limit=LINES),
        "is_on_call": on_call.rota(conn, tenant, now)[0].on_call(now) == login,
        "kinds": KINDS,
        "severities": SEVERITIES,
        "levels": LEVELS,
        "wrong": wrong,
        "kept": kept,
        "new_name": "",
        **(typed or {}),
    }
    return answer(request, "channels_live.html" if wants_part(request) else "channels.html", values)
