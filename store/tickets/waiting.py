"""A ticket that waits: its clocks pause for a reason, and go on as soon as there is nothing left to wait for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from store import terms as term_store
from store.connection import Session, act_for
from store.errors import Conflict, NotFound
from store.queries import queries
from store.tickets.documents import issue
from store.tickets.history import record, save_moves
from store.tickets.papers import papers, quote_of, write
from store.tickets.rows import Ticket, locked, plain_code, ticket
from store.transactions import Transaction
from tickets.clocks import ClockName, Effect
from tickets.documents.form import Kind
from tickets.needs import Facts, Paper, Quote
from tickets.states import State
from tickets.terms import ON_HOLD, Terms

_SQL, _PAPERS = queries("tickets"), queries("ticket_papers")

_RESUME: Mapping[ClockName, Effect] = dict.fromkeys(ClockName, Effect.RESUME)
# What is looked at in one turn. Too low: a delivery for many tickets takes minutes. Too high: one look takes long.
_AT_ONCE = 200


def still_waits(state: State, facts: Facts) -> bool:
    """Whether there is something to wait for in this state."""
    match state:
        case State.ON_HOLD:
            return True
        case State.AWAITING_APPROVAL:
            return facts.quoted_now or facts.quote is Quote.OPEN
        case State.AWAITING_PARTS:
            return facts.parts_waiting > 0
    return False


def begin_pause(
    conn: Transaction, tenant: str, ticket_id: UUID, terms: Terms, reason: str, *, note: str, who: str, now: datetime
) -> Mapping[ClockName, Effect]:
    """What waiting for this reason does to the clocks. Conflict where the terms have no such reason."""
    reason = reason or ON_HOLD
    if reason not in terms.pauses:
        raise Conflict(f"{reason} is no reason to wait: one of {', '.join(terms.pauses)}")
    label = terms.pauses[reason].label
    fields = {"id": ticket_id, "tenant": tenant, "reason": reason, "label": label, "note": note, "now": now, "who": who}
    conn.execute(_SQL["begin_pause"], fields)
    return terms.pauses[reason].effects


def end_pause(conn: Transaction, ticket_id: UUID, who: str, now: datetime) -> None:
    """It waits no longer; nothing where it does not."""
    conn.execute(_SQL["end_pause"], {"id": ticket_id, "now": now, "who": who})


def holder_of(conn: Transaction, code: str) -> tuple[str, UUID]:
    """The tenant and id of the ticket that a code follows. NotFound where there is none."""
    row = conn.execute(_PAPERS["holder"], {"code": plain_code(code)}).fetchone()
    if row is None:
        raise NotFound("there is no ticket with this code")
    return row[0], row[1]


@dataclass(frozen=True, slots=True)
class Price:
    """So much money."""

    amount: Decimal
    currency: str


def answer_quote(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    answer: Mapping[str, Any],
    *,
    read: Price | None = None,
    who: str,
    now: datetime,
) -> Ticket:
    """Take a customer's answer to a quote: from then on nobody waits for it, and the quote says it.

    `read` is the price that they saw; None: whatever the quote says.

    Raises
    ------
    NotFound
    Conflict
        There is no quote that waits for an answer, or it names another price by now.
    """
    before = locked(conn, ticket_id)
    written = papers(conn, ticket_id)
    is_open = quote_of(written, before.turn) is Quote.OPEN
    if State.AWAITING_APPROVAL not in {before.state, before.held_from} or not is_open:
        raise Conflict("there is no quote here that waits for an answer")
    quote = next(one.body for one in reversed(written) if one.paper == Paper.QUOTE)
    if read is not None and read != Price(Decimal(quote["amount"]), quote["currency"]):
        raise Conflict("there is another quote by now: read it first")
    write(conn, tenant, before, Paper.ANSWER, answer, who=who, now=now)
    issue(conn, tenant, before, [Kind.QUOTE], term_store.in_force(conn), who=who, now=now)
    conn.execute(_SQL["touch"], {"id": ticket_id, "now": now})
    if before.state == State.AWAITING_APPROVAL:
        end_pause(conn, ticket_id, who, now)
        save_moves(conn, tenant, before, _RESUME, who, now)
    kind = "quote_accepted" if answer["accepted"] else "quote_declined"
    record(conn, tenant, ticket_id, kind, who, now, note=answer.get("note", ""))
    return ticket(conn, ticket_id)


def take_up(conn: Session, now: datetime) -> int:
    """Let the clocks of all tenants' tickets go on whose parts are there; returns how many tickets that were. The
    connection must be outside of a transaction: each ticket is one."""
    with conn.transaction():
        found = conn.execute(_PAPERS["parts_there"], {"limit": _AT_ONCE}).fetchall()
    return sum(_take_up(conn, tenant, ticket_id, now) for tenant, ticket_id in found)


def _take_up(conn: Session, tenant: str, ticket_id: UUID, now: datetime) -> bool:
    """Looked at again under its lock: somebody may have moved it meanwhile."""
    with conn.transaction():
        act_for(conn, tenant)
        before = locked(conn, ticket_id)
        if before.state != State.AWAITING_PARTS:
            return False
        end_pause(conn, ticket_id, "bellwether", now)
        save_moves(conn, tenant, before, _RESUME, "bellwether", now)
        record(conn, tenant, ticket_id, "parts_there", "bellwether", now)
    return True
