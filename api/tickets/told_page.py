"""What staff write down beside the road, on a ticket's page: a word to an appointment, goods that have left."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ValidationError

from api.access.auth import Staff
from api.errors import BadValue
from api.page_frame import PageRoute
from api.tickets import sending
from api.tickets.appointments import ToldReplyIn, reply_told
from api.tickets.sending import SentBackIn
from api.tickets.tickets_page import ticket_page
from store import terms as term_store
from store.transactions import Transaction

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Body = TypeVar("Body", bound=BaseModel)

_Line = Annotated[str, Form(max_length=200)]
_Moment = Annotated[str, Form(max_length=40)]


@router.post("/tickets/{ticket_id}/appointment")
def appointment(
    request: Request,
    caller: Staff,
    ticket_id: UUID,
    reply: Annotated[str, Form(max_length=40)],
    name: _Line,
    way: Annotated[str, Form(max_length=40)],
    said_at: _Moment = "",
    note: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    with caller.transaction() as conn:
        typed = {"answer": reply, "name": name, "way": way, "note": note, "said_at": _at(conn, said_at)}
        reply_told(conn, caller, ticket_id, _read(ToldReplyIn, typed))
        return ticket_page(request, conn, caller, ticket_id)


@router.post("/tickets/{ticket_id}/sent-back")
def sent_back(
    request: Request, caller: Staff, ticket_id: UUID, carrier: _Line, tracking: _Line = "", left_at: _Moment = ""
) -> Response:
    with caller.transaction() as conn:
        typed = {"carrier": carrier, "tracking": tracking.strip() or None, "left_at": _at(conn, left_at)}
        sending.keep(conn, caller, ticket_id, _read(SentBackIn, typed))
        return ticket_page(request, conn, caller, ticket_id)


def _at(conn: Transaction, typed: str) -> str | None:
    """A time on the clock on the tenant's wall; None where nothing was typed: now."""
    if not typed:
        return None
    try:
        return datetime.fromisoformat(typed).replace(tzinfo=term_store.in_force(conn).calendar.zone).isoformat()
    except ValueError:
        return typed


def _read(model: type[Body], typed: dict[str, Any]) -> Body:
    """BadValue where it cannot be."""
    try:
        return model.model_validate(typed)
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][0]) if first["loc"] else "form"
        raise BadValue(where, f"{where.replace('_', ' ')}: {first['msg']}") from error
