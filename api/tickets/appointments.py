"""Appointments of tickets: what comes, and what customers say to it by their ticket's code."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from api import ROOT
from api.access.auth import Staff
from api.models import Answered, Asked, Instant, Prose, example
from api.paging import Cursor, Limit, Page, after_time_id, page
from api.tickets.codes import by_code
from api.tickets.tickets import Code
from store.errors import NotFound
from store.tickets import appointments
from store.tickets.appointments import Appointment
from tickets.appointments import Reply, Standing
from tickets.priority import Priority

router = APIRouter(prefix=ROOT, tags=["tickets"])


class ReplyIn(Asked):
    """What the customer says to an appointment."""

    model_config = Asked.model_config | example(answer="another_time", note="Only after two o'clock")

    answer: Reply
    note: Prose = Field("", description="As when it would suit")


class ReplyOut(Answered):
    """The appointment that a ticket waits for, as whoever has its code sees it."""

    model_config = Answered.model_config | example(
        begins_at="2026-11-24T08:00:00Z",
        ends_at="2026-11-24T10:00:00Z",
        standing="confirmed",
        note="",
        answered_at="2026-11-24T06:04:00Z",
    )

    begins_at: Instant
    ends_at: Instant
    standing: Standing = Field(description="`not_answered`: a reminder was sent, and nothing has come back")
    note: str
    answered_at: Instant | None


class AppointmentOut(ReplyOut):
    """An appointment as the service desk sees it."""

    ticket_id: UUID
    device: str
    title: str
    priority: Priority
    assignee: str
    reminded_at: Instant | None


@router.get("/appointments", summary="Appointments that tickets wait for")
def list_appointments(caller: Staff, limit: Limit = 50, cursor: Cursor = None) -> Page[AppointmentOut]:
    """The soonest first, each with what the customer has said to it."""
    with caller.transaction() as conn:
        rows = appointments.appointments(conn, limit=limit + 1, after=after_time_id(cursor))
    return page(rows, limit, AppointmentOut.model_validate, lambda row: (row.begins_at, row.ticket_id))


@router.get("/tickets/track/{code}/appointment", summary="See an appointment without an account")
def track_appointment(request: Request, code: Code) -> ReplyOut:
    """404 where the ticket waits for none. 30 requests a minute from one place, with all that asks by a code."""
    with by_code(request, code) as (conn, _, ticket_id):
        found = appointments.appointment(conn, ticket_id)
    if found is None:
        raise NotFound("this ticket waits for no appointment")
    return ReplyOut.model_validate(found)


@router.post("/tickets/track/{code}/appointment", summary="Answer an appointment without an account")
def answer_appointment(request: Request, code: Code, asked: ReplyIn) -> ReplyOut:
    """Confirm it, or ask for another time; the last word counts. 409 where nothing waits for one, or too often."""
    return ReplyOut.model_validate(reply_by_code(request, code, asked))


def reply_by_code(request: Request, code: str, asked: ReplyIn) -> Appointment:
    """Take the customer's word. NotFound; Conflict where nothing waits for it; TooMany."""
    with by_code(request, code) as (conn, tenant, ticket_id):
        return appointments.reply(conn, tenant, ticket_id, asked.answer, asked.note, now=datetime.now(UTC))
