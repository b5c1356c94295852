"""Webhooks: other systems are told what happens here, signed, and what each was sent can be sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, Field

from api import ROOT
from api.access.auth import Administrator, Caller
from api.errors import BadValue
from api.models import Answered, Asked, From, Instant, Message, To, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_number, after_time_id, page
from dashboard.told import EVENT_GROUPS, EVENTS
from store.encryption import Cipher
from store.transactions import Transaction
from store.webhooks import deliveries, endpoints, keys
from store.webhooks.addresses import LONGEST_URL, target_of
from store.webhooks.deliveries import Which
from store.webhooks.endpoints import Webhook

# What one request asks to be sent again. Too high: a receiver that is just back is told of a month at once.
MOST_REPLAYED = 10_000
# So long an earlier key may go on signing.
LONGEST_OVERLAP_H = 168


def _known(event: str) -> str:
    """An event that there is, or all of a group: a name that is wrong would never be told of, without a word."""
    if event not in EVENTS and event not in EVENT_GROUPS:
        raise ValueError(f"no such event: there are {', '.join([*EVENT_GROUPS, *EVENTS])}")
    return event


Event = Annotated[str, AfterValidator(_known)]
Url = Annotated[str, Field(max_length=LONGEST_URL)]
State = Literal["waiting", "delivered", "undeliverable"]
WebhookPath = Annotated[UUID, Path(description="A webhook")]
Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="A delivery", examples=[4711])]

router = APIRouter(prefix=f"{ROOT}/webhooks", tags=["access"])


class WebhookIn(Asked):
    """Where to, and of what."""

    model_config = Asked.model_config | example(
        url="https://cmms.example/hooks/bellwether", events=["alarm.raised", "ticket.*"], note="The CMMS"
    )

    url: Url = Field(description="https, at a public address")
    events: list[Event] = Field(min_length=1, max_length=50, description="Such as `alarm.raised`, `ticket.*`, `*`")
    note: Message = ""


class WebhookChange(WebhookIn):
    """All of it anew but the keys."""

    model_config = Asked.model_config | example(
        url="https://cmms.example/hooks/bellwether", events=["ticket.*"], note="The CMMS", enabled=False
    )

    enabled: bool = Field(True, description="Switched off it is told nothing, and what waits is undeliverable")


class WebhookOut(Answered):
    """A webhook without its keys."""

    model_config = Answered.model_config | example(
        id="5a0c8bb1-0d5a-4a5e-8f6e-57b1b3ac2f10",
        url="https://cmms.example/hooks/bellwether",
        events=["alarm.raised", "ticket.*"],
        note="The CMMS",
        enabled=True,
        earlier_until=None,
        created_at="2026-11-21T22:14:03Z",
        changed_at="2026-11-21T22:14:03Z",
        changed_by="kim",
        failing_since=None,
        last_error="",
        waiting=0,
        undeliverable=0,
    )

    id: UUID
    url: str
    events: list[str]
    note: str
    enabled: bool
    earlier_until: Instant | None = Field(description="So long the key before this one signs too")
    created_at: Instant
    changed_at: Instant
    changed_by: str
    failing_since: Instant | None
    last_error: str
    waiting: int
    undeliverable: int = Field(description="What was given up and not sent again since")


class NewKeyOut(WebhookOut):
    """A webhook with its new key, which is shown here and never again: a repeated request gets null."""

    model_config = Answered.model_config | example(
        {**WebhookOut.model_config["json_schema_extra"]["example"]},  # type: ignore[index,dict-item]
        key="whk_…",
    )

    key: str | None


class KeyIn(Asked):
    """How long the key there is goes on signing beside the new one."""

    model_config = Asked.model_config | example(overlap_h=24)

    overlap_h: int = Field(24, ge=0, le=LONGEST_OVERLAP_H, description="0: it is known to others, and ends now")


class DeliveryOut(Answered):
    """One event on its way to one webhook, or there."""

    model_config = Answered.model_config | example(
        id=4711,
        event_id="0b9f3a52-8c1e-5a57-9c3d-6b1f0a4f7c11",
        kind="alarm.raised",
        at="2026-11-21T22:41:10Z",
        asked_at="2026-11-21T22:41:10Z",
        asked_by="",
        state="delivered",
        attempts=1,
        next_attempt_at=None,
        ended_at="2026-11-21T22:41:11Z",
        status=204,
        took_ms=41,
        error="",
        replayed_at=None,
        body={"device": "pump-01", "severity": "high"},
    )

    id: int
    event_id: UUID
    kind: str
    at: Instant
    asked_at: Instant
    asked_by: str = Field(description="Who had it sent again; empty: it happened")
    state: str
    attempts: int
    next_attempt_at: Instant | None
    ended_at: Instant | None
    status: int | None
    took_ms: int | None
    error: str
    replayed_at: Instant | None = Field(description="When another delivery took its place")
    body: dict[str, Any]


class ReplayIn(Asked):
    """Which deliveries, of those that have ended. Without `ids` all that the rest applies to, the oldest first."""

    model_config = Asked.model_config | example(
        {"from": "2026-11-21T20:00:00Z", "to": "2026-11-21T22:00:00Z", "state": "undeliverable"}
    )

    ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(default_factory=list, max_length=1000)
    state: Literal["delivered", "undeliverable"] | None = None
    from_: Instant | None = Field(None, alias="from", description="Of what happened then or later")
    to: Instant | None = None
    limit: int = Field(1000, ge=1, le=MOST_REPLAYED)


class ReplayOut(Answered):
    """How many events are sent again."""

    model_config = Answered.model_config | example(deliveries=12)

    deliveries: int


@router.get("", summary="Webhooks")
def list_webhooks(caller: Administrator, limit: Limit = 50, cursor: Cursor = None) -> Page[WebhookOut]:
    """Webhooks, newest first."""
    with caller.transaction() as conn:
        rows = endpoints.webhooks(conn, limit=limit + 1, after=after_time_id(cursor))
    return page(rows, limit, WebhookOut.model_validate, lambda row: (row.created_at, row.id))


@router.post("", response_model=NewKeyOut, status_code=201, summary="Add a webhook")
def create_webhook(caller: Administrator, once: OnceOnly, asked: WebhookIn) -> JSONResponse:
    """Tell another system what happens from now on. Its key is of 256 random bits, and kept locked."""
    with caller.transaction() as conn:

        def do() -> tuple[int, NewKeyOut]:
            made, key = create(conn, caller, asked)
            return 201, _with_key(made, key)

        return once.answer(caller, conn, do, keep=_without_key)


@router.get("/{webhook_id}", summary="One webhook")
def get_webhook(caller: Administrator, webhook_id: WebhookPath) -> WebhookOut:
    """A webhook, and how it fares."""
    with caller.transaction() as conn:
        return WebhookOut.model_validate(endpoints.webhook(conn, webhook_id))


@router.put("/{webhook_id}", summary="Change a webhook")
def change_webhook(caller: Administrator, webhook_id: WebhookPath, asked: WebhookChange) -> WebhookOut:
    """All of it anew but its keys; a rest after failures is over."""
    with caller.transaction() as conn:
        return WebhookOut.model_validate(change(conn, caller, webhook_id, asked))


@router.delete("/{webhook_id}", status_code=204, summary="Remove a webhook")
def remove_webhook(caller: Administrator, webhook_id: WebhookPath) -> Response:
    """Take it away with the log of what it was sent, and what waits."""
    with caller.transaction() as conn:
        endpoints.remove(conn, webhook_id)
    return Response(status_code=204)


@router.post("/{webhook_id}/keys", response_model=NewKeyOut, status_code=201, summary="Give a webhook another key")
def rotate_key(caller: Administrator, once: OnceOnly, webhook_id: WebhookPath, asked: KeyIn) -> JSONResponse:
    """Deliveries are signed with both keys until the overlap ends. A third one ends the first at once."""
    with caller.transaction() as conn:

        def do() -> tuple[int, NewKeyOut]:
            return 201, _with_key(*rotate(conn, caller, webhook_id, asked))

        return once.answer(caller, conn, do, keep=_without_key)


@router.post("/{webhook_id}/test", response_model=DeliveryOut, status_code=202, summary="Try a webhook")
def try_webhook(caller: Administrator, once: OnceOnly, webhook_id: WebhookPath) -> JSONResponse:
    """Send an event `webhook.test`, for which nothing has happened; what became of it is in the log."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, DeliveryOut]:
            asked = deliveries.try_out(conn, who.tenant, webhook_id, who.name or "service")
            return 202, DeliveryOut.model_validate(asked)

        return once.answer(caller, conn, do)


@router.get("/{webhook_id}/deliveries", summary="What a webhook was sent")
def list_deliveries(
    caller: Administrator,
    webhook_id: WebhookPath,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: Annotated[State | None, Query(description="Only these")] = None,
    start: From = None,
    end: To = None,
) -> Page[DeliveryOut]:
    """Deliveries, newest first, by when that of which they tell happened."""
    which = Which(state, start, end)
    with caller.transaction() as conn:
        rows = deliveries.page(conn, webhook_id, which, limit=limit + 1, after=after_number(cursor))
    return page(rows, limit, DeliveryOut.model_validate, lambda row: (row.id,))


@router.get("/{webhook_id}/deliveries/{delivery_id}", summary="One delivery")
def get_delivery(caller: Administrator, webhook_id: WebhookPath, delivery_id: Number) -> DeliveryOut:
    """What was sent, and what became of it."""
    with caller.transaction() as conn:
        return DeliveryOut.model_validate(deliveries.delivery(conn, webhook_id, delivery_id))


@router.post("/{webhook_id}/replay", response_model=ReplayOut, status_code=202, summary="Send deliveries again")
def replay_deliveries(caller: Administrator, once: OnceOnly, webhook_id: WebhookPath, asked: ReplayIn) -> JSONResponse:
    """Have them sent again, each event once and with the id that it had: a receiver knows what it has taken before."""
    which = Which(asked.state, asked.from_, asked.to)
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, ReplayOut]:
            count = deliveries.replay(
                conn, who.tenant, webhook_id, asked.ids, which, limit=asked.limit, who=who.name or "service"
            )
            return 202, ReplayOut(deliveries=count)

        return once.answer(caller, conn, do)


def create(conn: Transaction, caller: Caller, asked: WebhookIn) -> tuple[Webhook, str]:
    """A new webhook and its key. BadValue where its address is none to send to."""
    who = caller.principal
    _judge(caller, asked.url)
    fields = {"url": asked.url, "events": asked.events, "note": asked.note}
    return endpoints.create(conn, who.tenant, _cipher(caller), **fields, who=who.name)  # type: ignore[arg-type]


def change(conn: Transaction, caller: Caller, webhook_id: UUID, asked: WebhookChange) -> Webhook:
    """All of it anew. Raises as `create` does."""
    _judge(caller, asked.url)
    return endpoints.change(conn, webhook_id, **asked.model_dump(), who=caller.principal.name)


def rotate(conn: Transaction, caller: Caller, webhook_id: UUID, asked: KeyIn) -> tuple[Webhook, str]:
    """Another key."""
    until = datetime.now(UTC) + timedelta(hours=asked.overlap_h)
    return endpoints.rotate(conn, _cipher(caller), webhook_id, until, caller.principal.name)


def _judge(caller: Caller, url: str) -> None:
    try:
        target_of(url, to_loopback=caller.service.settings.webhooks_to_loopback)
    except ValueError as error:
        raise BadValue("body.url", str(error)) from error


def _cipher(caller: Caller) -> Cipher:
    return Cipher(caller.service.settings.secret, keys.PURPOSE)


def _with_key(made: Webhook, key: str) -> NewKeyOut:
    return NewKeyOut(**WebhookOut.model_validate(made).model_dump(), key=key)


def _without_key(answered: BaseModel) -> BaseModel:
    return answered.model_copy(update={"key": None})
