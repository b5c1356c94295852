"""Where I am reached, and what I wish to hear of: everybody their own, and nobody another's."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, Field

from alarms.roles import PEOPLE, Role
from api import ROOT
from api.access.auth import Caller, require
from api.errors import BadValue
from api.messages.messages import MessageOut, Secret, cipher_of
from api.models import Answered, Asked, Instant, Name, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_number, page
from store.errors import NotFound
from store.messages import channels, log
from store.messages.addresses import BadAddress
from store.messages.channels import Channel
from store.messages.log import Which
from store.transactions import Transaction
from tickets.local_time import Hours, zone_named
from tickets.preferences import Preferences

OneOfUs = Annotated[Caller, Depends(require(*(PEOPLE - {Role.OWNER})))]
ChannelPath = Annotated[UUID, Path(description="A channel of one's own")]

router = APIRouter(prefix=f"{ROOT}/channels", tags=["access"])


def minute_of(text: str) -> int:
    """`22:30` as minutes since midnight."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError("a time of day as 22:30")
    return int(text[:2]) * 60 + int(text[3:])


def time_of(minute: int) -> str:
    """Minutes since midnight as `22:30`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _is_time(text: str) -> str:
    minute_of(text)
    return text


def _is_zone(text: str) -> str:
    zone_named(text)
    return text


TimeOfDay = Annotated[str, Field(max_length=5, examples=["22:30"]), AfterValidator(_is_time)]
Zone = Annotated[str, Field(max_length=60, examples=["Europe/Berlin"]), AfterValidator(_is_zone)]


class ChannelIn(Asked):
    """An address of Apprise's, whole: it is kept locked and not shown again."""

    model_config = Asked.model_config | example(name="My phone", url="ntfys://ntfy.example/…")

    name: Name
    url: Secret = Field(description="`mailtos://…`, an SMS gateway, a chat: see docs/on-call.md")


class ChannelChange(Asked):
    """What it is called, and whether it is used."""

    model_config = Asked.model_config | example(name="My phone", enabled=False)

    name: Name
    enabled: bool


class ChannelOut(Answered):
    """A channel, with as much of its address as is shown."""

    model_config = Answered.model_config | example(
        id="5a0c8bb1-0d5a-4a5e-8f6e-57b1b3ac2f10",
        name="My phone",
        scheme="ntfys",
        host="",
        enabled=True,
        made_at="2026-11-21T22:14:03Z",
        worked_at=None,
        failing_since=None,
        last_error="",
    )

    id: UUID
    name: str
    scheme: str
    host: str
    enabled: bool
    made_at: Instant
    worked_at: Instant | None = Field(description="When a message last went through")
    failing_since: Instant | None
    last_error: str


class ChannelsOut(Answered):
    """All of one's own."""

    items: list[ChannelOut]


class PreferencesIn(Asked):
    """What I wish to hear of; a level that is null: of none."""

    model_config = Asked.model_config | example(
        alarms_from="high",
        tickets_from="low",
        zone="Europe/Berlin",
        quiet_from="22:00",
        quiet_to="07:00",
        urgent_passes=True,
    )

    alarms_from: Literal["low", "medium", "high", "critical"] | None = None
    tickets_from: Literal["low", "medium", "high", "urgent"] | None = Field(
        "low", description="Of tickets given to me, and of late ones that are mine to mend"
    )
    zone: Zone = "UTC"
    quiet_from: TimeOfDay | None = Field(None, description="Quiet hours, by the clock on my wall; with `quiet_to`")
    quiet_to: TimeOfDay | None = None
    urgent_passes: bool = Field(True, description="What is urgent or critical is told in quiet hours too")


class PreferencesOut(Answered, PreferencesIn):
    """What is in force."""

    model_config = Answered.model_config | PreferencesIn.model_config | {"extra": "forbid"}


@router.get("", summary="My channels")
def list_channels(caller: OneOfUs) -> ChannelsOut:
    """The oldest first; ten at most."""
    with caller.transaction() as conn:
        mine = channels.channels(conn, myself(caller))
    return ChannelsOut(items=[ChannelOut.model_validate(one) for one in mine])


@router.post("", response_model=ChannelOut, status_code=201, summary="Add a channel")
def add_channel(caller: OneOfUs, once: OnceOnly, asked: ChannelIn) -> JSONResponse:
    """One more way to reach me. Try it afterwards."""
    with caller.transaction() as conn:

        def do() -> tuple[int, ChannelOut]:
            return 201, ChannelOut.model_validate(add(conn, caller, asked))

        return once.answer(caller, conn, do)


@router.get("/messages", summary="What I was told")
def list_my_messages(caller: OneOfUs, limit: Limit = 50, cursor: Cursor = None) -> Page[MessageOut]:
    """Messages to me, newest first."""
    with caller.transaction() as conn:
        rows = log.messages(conn, Which(login=myself(caller)), limit=limit + 1, after=after_number(cursor))
    return page(rows, limit, MessageOut.model_validate, lambda row: (row.id,))


@router.get("/preferences", summary="What I wish to hear of")
def get_preferences(caller: OneOfUs) -> PreferencesOut:
    """And when I wish to be left alone."""
    with caller.transaction() as conn:
        return PreferencesOut(
            **written(channels.preferences(conn, caller.principal.tenant, myself(caller))).model_dump()
        )


@router.put("/preferences", summary="Change what I wish to hear of")
def change_preferences(caller: OneOfUs, asked: PreferencesIn) -> PreferencesOut:
    """All of it anew. Whoever is on call is told whatever the hour."""
    with caller.transaction() as conn:
        keep_preferences(conn, caller, asked)
    return PreferencesOut(**asked.model_dump())


@router.put("/{channel_id}", summary="Change a channel")
def change_channel(caller: OneOfUs, channel_id: ChannelPath, asked: ChannelChange) -> ChannelOut:
    """What it is called, and whether it is used. Another address is another channel."""
    with caller.transaction() as conn:
        changed = channels.change(conn, myself(caller), channel_id, name=asked.name, enabled=asked.enabled)
        return ChannelOut.model_validate(changed)


@router.delete("/{channel_id}", status_code=204, summary="Remove a channel")
def remove_channel(caller: OneOfUs, channel_id: ChannelPath) -> Response:
    """Nothing more is sent there."""
    with caller.transaction() as conn:
        channels.remove(conn, myself(caller), channel_id)
    return Response(status_code=204)


@router.post("/{channel_id}/test", response_model=MessageOut, status_code=202, summary="Try a channel")
def try_channel(caller: OneOfUs, once: OnceOnly, channel_id: ChannelPath) -> JSONResponse:
    """Send something for which nothing has happened; what became of it is in `GET channels/messages`."""
    with caller.transaction() as conn:

        def do() -> tuple[int, MessageOut]:
            return 202, MessageOut.model_validate(log.try_out(conn, myself(caller), channel_id))

        return once.answer(caller, conn, do)


def myself(caller: Caller) -> str:
    """My login. NotFound for a key or a program, which nobody calls."""
    if caller.principal.user_id is None:
        raise NotFound("channels are a person's own: there are none of a key's")
    return caller.principal.name


def add(conn: Transaction, caller: Caller, asked: ChannelIn) -> Channel:
    """Another channel. BadValue where its address is none."""
    try:
        return channels.add(
            conn,
            caller.principal.tenant,
            myself(caller),
            cipher_of(caller),
            name=asked.name,
            url=asked.url.get_secret_value(),
        )
    except BadAddress as error:
        raise BadValue("body.url", str(error)) from error


def keep_preferences(conn: Transaction, caller: Caller, asked: PreferencesIn) -> None:
    """From now on. BadValue where quiet hours begin and never end."""
    if (asked.quiet_from is None) != (asked.quiet_to is None):
        raise BadValue("body.quiet_to", "quiet hours begin and end")
    quiet = None
    if asked.quiet_from is not None and asked.quiet_to is not None:
        quiet = Hours(minute_of(asked.quiet_from), minute_of(asked.quiet_to))
    wished = Preferences(asked.alarms_from, asked.tickets_from, zone_named(asked.zone), quiet, asked.urgent_passes)
    channels.keep_preferences(conn, caller.principal.tenant, myself(caller), wished)


def written(wished: Preferences) -> PreferencesIn:
    """Preferences as they are asked for."""
    return PreferencesIn.model_validate(
        {
            "alarms_from": wished.alarms_from,
            "tickets_from": wished.tickets_from,
            "zone": wished.zone.key if wished.zone else "UTC",
            "quiet_from": time_of(wished.quiet.from_min) if wished.quiet else None,
            "quiet_to": time_of(wished.quiet.to_min) if wished.quiet else None,
            "urgent_passes": wished.urgent_passes,
        }
    )
