"""Sent-in goods on their way back to the customer."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from api import ROOT
from api.access.auth import Caller, Staff
from api.models import Asked, Instant, Line, example
from api.once import OnceOnly
from api.tickets.answers import TicketOut, shown
from store.tickets import Ticket
from store.tickets.sending import Parcel, send_back
from store.transactions import Transaction

router = APIRouter(prefix=f"{ROOT}/tickets", tags=["tickets"])


class SentBackIn(Asked):
    """What left, and with whom."""

    model_config = Asked.model_config | example(carrier="DHL", tracking="00340434161094042557")

    carrier: Line = Field(description="Who takes it; `collected`, where the customer fetches it")
    tracking: Line | None = Field(None, description="The carrier's number")
    left_at: Instant | None = Field(None, description="When; without it, now")


@router.post(
    "/{ticket_id}/sent-back",
    response_model=TicketOut,
    status_code=201,
    summary="Write down that sent-in goods have left",
)
def sent_back(caller: Staff, once: OnceOnly, ticket_id: UUID, asked: SentBackIn) -> JSONResponse:
    """Ends the clock `sent_back` when they left. 409 where nothing was sent in, or before the hand-over."""
    with caller.transaction() as conn:
        return once.answer(caller, conn, lambda: (201, shown(conn, keep(conn, caller, ticket_id, asked))))


def keep(conn: Transaction, caller: Caller, ticket_id: UUID, asked: SentBackIn) -> Ticket:
    """NotFound; Conflict where it cannot have left."""
    who, now = caller.principal, datetime.now(UTC)
    parcel = Parcel(asked.left_at or now, asked.carrier, asked.tracking or "")
    return send_back(conn, who.tenant, ticket_id, parcel, who=who.name, now=now)
