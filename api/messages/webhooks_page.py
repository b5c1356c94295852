"""The page of webhooks, for administrators: which systems are told, what could not be delivered, sending it again."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.access.auth import Administrator, Caller
from api.errors import BadValue
from api.messages.webhooks import KeyIn, WebhookChange, WebhookIn, change, create, rotate
from api.page_frame import PageRoute, answer, filters_of, head_of, reasons, wants_part
from dashboard.told import EVENT_GROUPS, EVENTS
from store.errors import Conflict
from store.transactions import Transaction
from store.webhooks import deliveries, endpoints
from store.webhooks.deliveries import Which

LINES = 50
_STATES = (("waiting", "On its way"), ("delivered", "Delivered"), ("undeliverable", "Undeliverable"))
_BIGGEST = 2**63 - 1

router = APIRouter(route_class=PageRoute, include_in_schema=False)


class WebhookForm(BaseModel):
    """The form as it comes."""

    model_config = ConfigDict(extra="forbid", str_max_length=2100, str_strip_whitespace=True)

    url: str = ""
    note: str = ""
    events: list[str] = Field(default_factory=list, max_length=100)
    enabled: bool = False


class ReplayForm(BaseModel):
    """One delivery, or all that are undeliverable."""

    model_config = ConfigDict(extra="forbid")

    delivery: int | None = Field(None, ge=1, le=_BIGGEST)


@router.get("/webhooks")
def webhooks_page(request: Request, caller: Administrator) -> Response:
    with caller.transaction() as conn:
        return _list(request, conn, caller)


@router.post("/webhooks")
def add(request: Request, caller: Administrator, typed: Annotated[WebhookForm, Form()]) -> Response:
    """A new one, with its key, which is on this answer alone; what cannot be is said, with what was typed."""
    wrong, key = "", ""
    with caller.transaction() as conn:
        try:
            made, key = create(conn, caller, WebhookIn(url=typed.url, events=typed.events, note=typed.note))
        except (ValidationError, BadValue, Conflict) as error:
            wrong = _why(error)
        if wrong:
            return _list(request, conn, caller, wrong=wrong, typed=typed)
        return _one(request, conn, caller, made.id, key=key)


@router.get("/webhooks/{webhook_id}")
def webhook_page(request: Request, caller: Administrator, webhook_id: UUID) -> Response:
    with caller.transaction() as conn:
        return _one(request, conn, caller, webhook_id)


@router.post("/webhooks/{webhook_id}")
def change_it(
    request: Request, caller: Administrator, webhook_id: UUID, typed: Annotated[WebhookForm, Form()]
) -> Response:
    wrong = ""
    with caller.transaction() as conn:
        try:
            change(conn, caller, webhook_id, WebhookChange(**typed.model_dump()))
        except (ValidationError, BadValue) as error:
            wrong = _why(error)
        return _one(request, conn, caller, webhook_id, wrong=wrong, typed=typed if wrong else None)


@router.post("/webhooks/{webhook_id}/key")
def another_key(request: Request, caller: Administrator, webhook_id: UUID) -> Response:
    with caller.transaction() as conn:
        _, key = rotate(conn, caller, webhook_id, KeyIn(overlap_h=24))
        return _one(request, conn, caller, webhook_id, key=key)


@router.post("/webhooks/{webhook_id}/test")
def try_it(request: Request, caller: Administrator, webhook_id: UUID) -> Response:
    wrong = ""
    with caller.transaction() as conn:
        try:
            deliveries.try_out(conn, caller.principal.tenant, webhook_id, caller.principal.name)
        except Conflict as error:
            wrong = str(error)
        return _one(request, conn, caller, webhook_id, wrong=wrong)


@router.post("/webhooks/{webhook_id}/replay")
def send_again(
    request: Request, caller: Administrator, webhook_id: UUID, asked: Annotated[ReplayForm, Form()]
) -> Response:
    ids = [] if asked.delivery is None else [asked.delivery]
    which = Which(state="undeliverable") if asked.delivery is None else Which()
    wrong, who = "", caller.principal
    with caller.transaction() as conn:
        try:
            deliveries.replay(conn, who.tenant, webhook_id, ids, which, limit=1000, who=who.name)
        except Conflict as error:
            wrong = str(error)
        return _one(request, conn, caller, webhook_id, wrong=wrong)


@router.post("/webhooks/{webhook_id}/remove")
def remove(request: Request, caller: Administrator, webhook_id: UUID) -> Response:
    with caller.transaction() as conn:
        endpoints.remove(conn, webhook_id)
        return _list(request, conn, caller)


def _list(
    request: Request, conn: Transaction, caller: Caller, *, wrong: str = "", typed: WebhookForm | None = None
) -> Response:
    values = {
        **head_of(conn, caller, "audit"),
        **_choices(),
        "webhooks": endpoints.webhooks(conn, limit=endpoints.MOST),
        "typed": typed or WebhookForm(enabled=True, events=["alarm.*", "ticket.*"]),
        "wrong": wrong,
    }
    part = wants_part(request)
    return answer(request, "webhooks_live.html" if part else "webhooks.html", values)


def _one(
    request: Request,
    conn: Transaction,
    caller: Caller,
    webhook_id: UUID,
    *,
    wrong: str = "",
    key: str = "",
    typed: WebhookForm | None = None,
) -> Response:
    filters = filters_of(request, "state", "after")
    after = int(filters["after"]) if filters["after"].isdecimal() and len(filters["after"]) < 19 else None
    state = filters["state"] if filters["state"] in dict(_STATES) else ""
    shell = head_of(conn, caller, "audit")
    webhook = endpoints.webhook(conn, webhook_id)
    rows = deliveries.page(conn, webhook_id, Which(state=state or None), limit=LINES + 1, after=after)
    values = {
        **shell,
        **_choices(),
        "webhook": webhook,
        "typed": typed or webhook,
        "wrong": wrong,
        "new_key": key,
        "deliveries": rows[:LINES],
        "states": _STATES,
        "filters": {"state": state},
        "after": after,
        "next_page": rows[LINES - 1].id if len(rows) > LINES else None,
    }
    return answer(request, "webhook_live.html" if wants_part(request) else "webhook.html", values)


def _choices() -> dict[str, Any]:
    return {"groups": EVENT_GROUPS, "events": EVENTS}


def _why(error: ValidationError | BadValue | Conflict) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join("choose what it is told of" if field == "events" else why for field, why in reasons(error).items())
