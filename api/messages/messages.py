"""Who was told what, when and with what result; what reached nobody is sent again, or seen; the account that customers
are written to from."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import Field, SecretStr

from api import ROOT
from api.access.auth import Administrator, Caller, Manager
from api.errors import BadValue
from api.models import Answered, Asked, Instant, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_number, page
from store.encryption import Cipher
from store.errors import NotFound
from store.messages import channels, log
from store.messages.addresses import LONGEST, BadAddress
from store.messages.log import Which

State = Literal["waiting", "sent", "undeliverable"]
Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="A message", examples=[4711])]
Secret = Annotated[SecretStr, Field(min_length=1, max_length=LONGEST)]

router = APIRouter(prefix=f"{ROOT}/messages", tags=["access"])


class MessageOut(Answered):
    """One message to one channel of one of ours, or to a customer's e-mail address."""

    model_config = Answered.model_config | example(
        id=4711,
        kind="on_call.alarm",
        login="kim",
        recipient="",
        channel="My phone",
        urgent=True,
        subject="CRITICAL: pump-01, bearing temperature above 90 °C",
        body="bearing temperature above 90 °C",
        alarm_id="5a0c8bb1-0d5a-4a5e-8f6e-57b1b3ac2f10",
        ticket_id=None,
        escalation_id=17,
        round=0,
        step=0,
        asked_by="",
        queued_at="2026-11-21T22:41:10Z",
        state="sent",
        attempts=1,
        next_attempt_at=None,
        ended_at="2026-11-21T22:41:11Z",
        took_ms=412,
        error="",
        settled_at=None,
        settled_by="",
        page="/alarms/5a0c8bb1-0d5a-4a5e-8f6e-57b1b3ac2f10",
    )

    id: int
    kind: str = Field(description="`on_call.alarm`, `chain.ticket`, `ticket.assigned`, `appointment.reminder` …")
    login: str = Field(description="Whom of ours it is for; empty: a customer, or nobody")
    recipient: str = Field(description="A customer's e-mail address")
    channel: str = Field(description="What its owner calls it")
    urgent: bool
    subject: str
    body: str
    alarm_id: UUID | None
    ticket_id: UUID | None
    escalation_id: int | None
    round: int | None
    step: int | None = Field(description="Of the chain, the first is 0")
    asked_by: str = Field(description="Who had it sent; empty: it happened")
    queued_at: Instant
    state: str
    attempts: int
    next_attempt_at: Instant | None
    ended_at: Instant | None
    took_ms: int | None
    error: str
    settled_at: Instant | None = Field(description="When somebody saw that it did not arrive")
    settled_by: str
    page: str = Field(description="Path of the page it is about; empty: there is none")


class SettledOut(Answered):
    """How many were seen."""

    model_config = Answered.model_config | example(messages=3)

    messages: int


class MailIn(Asked):
    """An address of Apprise's, whole: it is kept locked and not shown again."""

    model_config = Asked.model_config | example(url="mailtos://service:…@plant.example?smtp=mail.plant.example")

    url: Secret = Field(description="`mailto://` or `mailtos://`")


class MailOut(Answered):
    """The account that customers are written to from, as far as it is shown."""

    model_config = Answered.model_config | example(
        scheme="mailtos", host="plant.example", changed_at="2026-11-21T22:14:03Z", changed_by="kim"
    )

    scheme: str
    host: str
    changed_at: Instant
    changed_by: str


@router.get("", summary="Messages")
def list_messages(
    caller: Manager,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: Annotated[State | None, Query(description="Only these")] = None,
    unseen: Annotated[bool, Query(description="Only what reached nobody, and nobody has looked at")] = False,
    login: Annotated[str | None, Query(max_length=254, description="Only to this one")] = None,
    alarm: Annotated[UUID | None, Query(description="Only of this alarm")] = None,
    ticket: Annotated[UUID | None, Query(description="Only of this ticket")] = None,
) -> Page[MessageOut]:
    """Who was told what, newest first."""
    which = Which(state, unseen, login, alarm, ticket)
    with caller.transaction() as conn:
        rows = log.messages(conn, which, limit=limit + 1, after=after_number(cursor))
    return page(rows, limit, MessageOut.model_validate, lambda row: (row.id,))


@router.post("/settle", summary="Say that one has seen what reached nobody")
def settle(caller: Manager) -> SettledOut:
    """All that reached nobody until now: it is no more in `bellwether doctor` and in the figures."""
    with caller.transaction() as conn:
        return SettledOut(messages=log.settle(conn, caller.principal.name))


@router.post("/{message_id}/again", response_model=MessageOut, status_code=202, summary="Send a message again")
def send_again(caller: Manager, once: OnceOnly, message_id: Number) -> JSONResponse:
    """Another message takes the place of one that did not arrive."""
    with caller.transaction() as conn:

        def do() -> tuple[int, MessageOut]:
            return 202, MessageOut.model_validate(log.again(conn, message_id, caller.principal.name or "service"))

        return once.answer(caller, conn, do)


@router.get("/mail", summary="The account that customers are written to from")
def get_mail(caller: Administrator) -> MailOut:
    """Its kind and its host."""
    with caller.transaction() as conn:
        found = channels.mail(conn, caller.principal.tenant)
    if found is None:
        raise NotFound("no mail channel set")
    return MailOut.model_validate(found)


@router.put("/mail", status_code=204, summary="Set the account that customers are written to from")
def set_mail(caller: Administrator, asked: MailIn) -> Response:
    """From now on; what waits goes through it too."""
    keep_mail(caller, asked.url.get_secret_value())
    return Response(status_code=204)


@router.delete("/mail", status_code=204, summary="Write to customers no more")
def remove_mail(caller: Administrator) -> Response:
    """What waits is undeliverable when its turn comes."""
    with caller.transaction() as conn:
        channels.remove_mail(conn, caller.principal.tenant)
    return Response(status_code=204)


def keep_mail(caller: Caller, url: str) -> None:
    """Another account. BadValue where it is none."""
    who = caller.principal
    with caller.transaction() as conn:
        try:
            channels.keep_mail(conn, who.tenant, cipher_of(caller), url=url, who=who.name)
        except BadAddress as error:
            raise BadValue("body.url", str(error)) from error


def cipher_of(caller: Caller) -> Cipher:
    """What addresses are locked with."""
    return Cipher(caller.service.settings.secret, channels.PURPOSE)
