"""Second handlings: customers who were not satisfied, who is at it, when they were called back, and why it was so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from api import ROOT
from api.access.auth import Desk, Staff
from api.follow_up.surveys import CallIn
from api.models import Answered, Asked, Instant, Reason, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from store.follow_up import handlings
from store.follow_up.handlings import Handling

router = APIRouter(prefix=f"{ROOT}/second-handlings", tags=["follow-up"])


class CloseIn(Asked):
    """Why the customer was not satisfied, and what became of it."""

    model_config = Asked.model_config | example(
        cause="The visit was moved twice without a word", outcome="Apologised, next service is free", reopen=False
    )

    cause: Reason
    outcome: Reason
    reopen: bool = Field(False, description="The fault is not gone: the ticket begins anew")


class HandlingOut(Answered):
    """One second handling, with what the customer had said."""

    model_config = Answered.model_config | example(
        id="6f1b3a52-8c1e-4a57-9c3d-6b1f0a4f7c22",
        ticket_id="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        survey_id="0d6f2c0a-94a1-4f0e-9c36-1a4e2f8a9b10",
        device="pump-01",
        title="It leaks at the shaft seal",
        customer="Dairy North",
        csat=35.0,
        nps=3,
        comment="You came two days late",
        opened_at="2026-11-22T15:10:00Z",
        start_due_at="2026-11-22T19:10:00Z",
        started_at=None,
        started_by=None,
        call_due_at="2026-11-24T15:10:00Z",
        called_at=None,
        called_by=None,
        cause="",
        outcome="",
        closed_at=None,
        closed_by=None,
    )

    id: UUID
    ticket_id: UUID
    survey_id: UUID
    device: str
    title: str
    customer: str
    csat: float | None
    nps: int | None
    comment: str
    opened_at: Instant
    start_due_at: Instant
    started_at: Instant | None
    started_by: str | None
    call_due_at: Instant
    called_at: Instant | None = Field(description="When the customer was reached")
    called_by: str | None
    cause: str
    outcome: str
    closed_at: Instant | None
    closed_by: str | None


@router.get("", summary="Second handlings")
def list_second_handlings(
    caller: Staff,
    limit: Limit = 50,
    cursor: Cursor = None,
    is_open: Annotated[bool | None, Query(alias="open", description="Not closed yet")] = None,
) -> Page[HandlingOut]:
    """Newest first."""
    with caller.transaction() as conn:
        rows = handlings.handlings(conn, limit=limit + 1, is_open=is_open, after=after_time_id(cursor))
    return page(rows, limit, handling_out, lambda row: (row.opened_at, row.id))


@router.post("/{handling_id}/start", response_model=HandlingOut, summary="Begin a second handling")
def start_second_handling(caller: Desk, once: OnceOnly, handling_id: UUID) -> JSONResponse:
    """Whoever asks is at it. 409 where somebody is already."""
    who = caller.principal
    with caller.transaction() as conn:
        return once.answer(
            caller,
            conn,
            lambda: (200, handling_out(handlings.take(conn, who.tenant, handling_id, who=who.name, now=_now()))),
        )


@router.post("/{handling_id}/call", response_model=HandlingOut, summary="Write down a call back")
def call_back(caller: Desk, once: OnceOnly, handling_id: UUID, asked: CallIn) -> JSONResponse:
    """Its clock stops once the customer was reached. Whoever calls is at it."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, HandlingOut]:
            done = handlings.call(
                conn, who.tenant, handling_id, reached=asked.reached, note=asked.note, who=who.name, now=_now()
            )
            return 200, handling_out(done)

        return once.answer(caller, conn, do)


@router.post("/{handling_id}/close", response_model=HandlingOut, summary="Close a second handling")
def close_second_handling(caller: Desk, once: OnceOnly, handling_id: UUID, asked: CloseIn) -> JSONResponse:
    """With its cause and outcome, once the customer was called back; 409 before."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, HandlingOut]:
            done = handlings.close(
                conn,
                who.tenant,
                handling_id,
                cause=asked.cause,
                outcome=asked.outcome,
                reopens=asked.reopen,
                role=who.role,
                who=who.name,
                now=_now(),
            )
            return 200, handling_out(done)

        return once.answer(caller, conn, do)


def handling_out(of: Handling) -> HandlingOut:
    return HandlingOut.model_validate({name: getattr(of, name) for name in HandlingOut.model_fields})


def _now() -> datetime:
    return datetime.now(UTC)
