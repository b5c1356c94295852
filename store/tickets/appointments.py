"""Appointments: who is reminded of one, once, and what the customer says to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.rows import class_row

from store.connection import Session, act_for
from store.errors import Conflict
from store.messages.queue import queue_customer_message
from store.queries import queries
from store.tickets.history import record
from store.tickets.rows import locked
from store.transactions import Transaction
from tickets.appointments import Reply, Standing, reminder, standing, too_late, why_not
from tickets.customers_word import CUSTOMER, Heard, Way
from tickets.terms import HOUSE

_SQL, _TICKETS = queries("appointments"), queries("tickets")

# What is reminded of in one look. Too low: a morning with many visits takes minutes. Too high: one look takes long.
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Appointment:
    """The appointment that a ticket waits for. `paper_id` is of what was agreed: another time is another one.

    `said_by` and `taken_by` are of an answer that somebody was told and wrote down.
    """

    paper_id: int
    ticket_id: UUID
    code: str
    device: str
    title: str
    assignee: str
    priority: str
    begins_at: datetime
    ends_at: datetime
    reminded_at: datetime | None
    answer: str | None
    note: str
    answered_at: datetime | None
    answers: int
    said_by: str
    way: str | None
    taken_by: str

    @property
    def standing(self) -> Standing:
        return standing(None if self.answer is None else Reply(self.answer), self.reminded_at)


def appointment(conn: Transaction, ticket_id: UUID) -> Appointment | None:
    """The one that a ticket waits for; None where it waits for none."""
    with conn.cursor(row_factory=class_row(Appointment)) as cursor:
        return cursor.execute(_SQL["of_ticket"], {"id": ticket_id}).fetchone()


def appointments(conn: Transaction, *, limit: int, after: tuple[datetime, UUID] | None = None) -> list[Appointment]:
    """Those that tickets wait for, the soonest first."""
    after_at, after_id = after or (None, None)
    with conn.cursor(row_factory=class_row(Appointment)) as cursor:
        asked = {"limit": limit, "after_at": after_at, "after_id": after_id}
        return cursor.execute(_SQL["coming"], asked).fetchall()


def reply(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    answer: Reply,
    note: str,
    *,
    now: datetime,
    heard: Heard | None = None,
) -> Appointment:
    """Take the customer's word to an appointment; a later one takes its place. `heard`: somebody was told it, and
    writes it down; else it is by the ticket's code.

    Raises
    ------
    NotFound
    Conflict
        There is no appointment that waits for one, or no more; or it was answered after this was said.
    """
    locked(conn, ticket_id)
    found = appointment(conn, ticket_id)
    if found is None:
        raise Conflict("there is no appointment here")
    reason = (
        why_not(found.ends_at, found.answers, now)
        if heard is None
        else too_late(found.ends_at, found.answered_at, heard.at, now)
    )
    if reason:
        raise Conflict(reason)
    heard = heard or Heard("", now, Way.PAGE, "")
    fields = {"paper_id": found.paper_id, "ticket_id": ticket_id, "tenant": tenant, "now": heard.at, "answer": answer}
    fields |= {"note": note, "said_by": heard.name, "way": heard.way, "taken_by": heard.by}
    conn.execute(_SQL["answered"], fields)
    conn.execute(_TICKETS["touch"], {"id": ticket_id, "now": now})
    detail = {"name": heard.name, "way": heard.way} if heard.by else {}
    record(conn, tenant, ticket_id, f"appointment_{answer}", heard.by or CUSTOMER, now, note=note, detail=detail)
    kept = appointment(conn, ticket_id)
    assert kept is not None  # noqa: S101 - the ticket is held
    return kept


def remind(conn: Session, now: datetime) -> int:
    """Remind customers of all tenants of what is near; returns of how many. The connection must be outside of a
    transaction: each ticket is one."""
    with conn.transaction():
        near = {"now": now, "remind_h": HOUSE["remind_h"], "limit": _AT_ONCE}
        found = conn.execute(_SQL["near"], near).fetchall()
    return sum(_remind(conn, tenant, ticket_id, {**HOUSE, **(said or {})}, now) for tenant, ticket_id, said in found)


def _remind(conn: Session, tenant: str, ticket_id: UUID, terms: Mapping[str, Any], now: datetime) -> bool:
    """Looked at again under its lock: it may have been moved, put off or reminded of meanwhile."""
    with conn.transaction():
        act_for(conn, tenant)
        locked(conn, ticket_id)
        found = appointment(conn, ticket_id)
        if found is None or not now < found.begins_at <= now + timedelta(hours=terms["remind_h"]):
            return False
        said = {"paper_id": found.paper_id, "ticket_id": ticket_id, "tenant": tenant, "now": now}
        if conn.execute(_SQL["reminded"], said).fetchone() is None:
            return False
        (contact,) = conn.execute(_SQL["contact"], {"id": ticket_id}).fetchone() or ("",)
        zone = ZoneInfo(terms["calendar"]["zone"])
        subject, body = reminder(
            found.device,
            found.title,
            found.begins_at.astimezone(zone),
            found.ends_at.astimezone(zone),
            found.code,
            terms["follow_up"].get("page_address", ""),
        )
        queue_customer_message(
            conn,
            tenant,
            kind="appointment.reminder",
            contact=contact,
            subject=subject,
            body=body,
            once=f"appointment:{found.paper_id}",
            ticket_id=ticket_id,
        )
        record(conn, tenant, ticket_id, "appointment_reminded", "bellwether", now)
    return True
