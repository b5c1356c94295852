"""Appointments of tickets: what comes, and what customers say to it by their ticket's code."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from api import ROOT
from api.access.auth import Caller, Staff
from api.models import Answered, Asked, Instant, Line, Prose, example
from api.paging import Cursor, Limit, Page, after_time_id, page
from api.tickets.codes import by_code
from api.tickets.papers import Told
from api.tickets.tickets import Code
from store import tickets
from store.errors import NotFound
from store.tickets import appointments
from store.tickets.appointments import Appointment
from store.transactions import Transaction
from tickets.appointments import Reply, Standing
from tickets.customers_word import Heard, Way
from tickets.priority import Priority

router = APIRouter(prefix=ROOT, tags=["tickets"])


class ReplyIn(Asked):
    """What the customer says to an appointment."""

    model_config = Asked.model_config | example(answer="another_time", note="Only after two o'clock")

    answer: Reply
    note: Prose = Field("", description="As when it would suit")


class ToldReplyIn(ReplyIn):
    """What the customer said to an appointment, as somebody was told it."""

    model_config = Asked.model_config | example(answer="confirmed", name="A. Dairy", way="telephone")

    name: Line = Field(description="Who said so")
    way: Told
    said_at: Instant | None = Field(None, description="When; without it, now")

    def heard(self, by: str, now: datetime) -> Heard:
        return Heard(self.name, self.said_at or now, Way(self.way), by)


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
    said_by: str = Field(description="Who said so to somebody; empty: it came by the ticket's code")
    way: Way | None = Field(description="By which way; null: nobody has answered, or it was not written down")
    taken_by: str = Field(description="Whom they told; empty: nobody, it is by the ticket's code")


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


@router.post("/tickets/{ticket_id}/appointment", summary="Write down what a customer says to an appointment")
def told_of_appointment(caller: Staff, ticket_id: UUID, asked: ToldReplyIn) -> AppointmentOut:
    """Who said it, when, by which way; the last word counts, whoever took it. 409 where nothing waits for one, or the
    customer has answered since."""
    with caller.transaction() as conn:
        return AppointmentOut.model_validate(reply_told(conn, caller, ticket_id, asked))


def reply_told(conn: Transaction, caller: Caller, ticket_id: UUID, asked: ToldReplyIn) -> Appointment:
    """Write down what somebody was told. NotFound; Conflict where nothing waits for it."""
    who, now = caller.principal, datetime.now(UTC)
    tickets.ticket(conn, ticket_id)
    heard = asked.heard(who.name, now)
    return appointments.reply(conn, who.tenant, ticket_id, asked.answer, asked.note, now=now, heard=heard)


def reply_by_code(request: Request, code: str, asked: ReplyIn) -> Appointment:
    """Take the customer's word. NotFound; Conflict where nothing waits for it; TooMany."""
    with by_code(request, code) as (conn, tenant, ticket_id):
        return appointments.reply(conn, tenant, ticket_id, asked.answer, asked.note, now=datetime.now(UTC))
