"""The page of messages, for managers: who was told what, what reached nobody, and the account for customers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request, Response
from pydantic import BaseModel, ConfigDict, SecretStr

from alarms.roles import Role
from api.access.auth import Administrator, Caller, Manager
from api.errors import BadValue
from api.messages.messages import keep_mail
from api.page_frame import PageRoute, answer, filters_of, head_of, wants_part
from store.errors import Conflict
from store.messages import channels, log
from store.messages.addresses import KINDS
from store.messages.log import Which
from store.transactions import Transaction

LINES = 50
_STATES = (("waiting", "On the way"), ("sent", "Sent"), ("undeliverable", "Undeliverable"))

router = APIRouter(route_class=PageRoute, include_in_schema=False)


class MailForm(BaseModel):
    """The account as it is typed."""

    model_config = ConfigDict(extra="forbid", str_max_length=1100, str_strip_whitespace=True)

    url: SecretStr = SecretStr("")


@router.get("/messages")
def messages_page(request: Request, caller: Manager) -> Response:
    with caller.transaction() as conn:
        return _page(request, conn, caller)


@router.post("/messages/settle")
def settle(request: Request, caller: Manager) -> Response:
    with caller.transaction() as conn:
        log.settle(conn, caller.principal.name)
        return _page(request, conn, caller)


@router.post("/messages/{message_id}/again")
def send_again(request: Request, caller: Manager, message_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    wrong = ""
    with caller.transaction() as conn:
        try:
            log.again(conn, message_id, caller.principal.name)
        except Conflict as error:
            wrong = str(error)
        return _page(request, conn, caller, wrong)


@router.post("/messages/mail")
def set_mail(request: Request, caller: Administrator, typed: Annotated[MailForm, Form()]) -> Response:
    wrong = ""
    try:
        keep_mail(caller, typed.url.get_secret_value())
    except BadValue as error:
        wrong = str(error)
    with caller.transaction() as conn:
        return _page(request, conn, caller, wrong)


@router.post("/messages/mail/remove")
def remove_mail(request: Request, caller: Administrator) -> Response:
    with caller.transaction() as conn:
        channels.remove_mail(conn, caller.principal.tenant)
        return _page(request, conn, caller)


def _page(request: Request, conn: Transaction, caller: Caller, wrong: str = "") -> Response:
    filters = filters_of(request, "state", "after")
    state = filters["state"] if filters["state"] in dict(_STATES) else ""
    after = int(filters["after"]) if filters["after"].isdecimal() and len(filters["after"]) < 19 else None
    shell = head_of(conn, caller, "alarms")
    rows = log.messages(conn, Which(state=state or None), limit=LINES + 1, after=after)
    values = {
        **shell,
        "messages": rows[:LINES],
        "unseen": log.count_unseen(conn),
        "mail": channels.mail(conn, caller.principal.tenant),
        "may_set_mail": caller.principal.role is Role.ADMINISTRATOR,
        "kinds": KINDS,
        "states": _STATES,
        "filters": {"state": state},
        "after": after,
        "next_page": rows[LINES - 1].id if len(rows) > LINES else None,
        "wrong": wrong,
    }
    return answer(request, "messages_live.html" if wants_part(request) else "messages.html", values)
