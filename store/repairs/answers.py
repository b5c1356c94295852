"""A repair that did not hold takes its ticket back, once, however often that is asked for."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from store import terms as term_store
from store.errors import Conflict
from store.queries import queries
from store.repairs.checks import Check, held
from store.tickets.history import record
from store.tickets.reopening import reopen
from store.tickets.rows import Ticket, locked, machine_of
from store.transactions import Transaction
from tickets.after_repair import Answer, answer
from tickets.states import State

_SQL, _TICKETS = queries("after_repair"), queries("tickets")


def take_back(conn: Transaction, tenant: str, check_id: UUID, *, who: str, now: datetime) -> Check:
    """Do to a ticket what its check asks for, if that is not done.

    Raises
    ------
    NotFound
        There is no such check.
    Conflict
        It does not say that the machine is not well.
    """
    check = held(conn, check_id)
    if check.answer is not None:
        return check
    if check.settled_at is None or check.outcome != "not_well":
        raise Conflict("this check does not say that the machine is not well")
    before = locked(conn, check.ticket_id)
    terms = term_store.in_force(conn)
    found = answer(
        State(before.state),
        same_turn=before.turn == check.turn,
        closed_for=None if before.closed_at is None else now - before.closed_at,
        guarantee=terms.guarantee,
    )
    if found is Answer.REOPENED and not _reopen(conn, tenant, before, check, who, now):
        found = Answer.JOINED
    conn.execute(_SQL["answered"], {"id": check_id, "answer": found})
    return held(conn, check_id)


def _reopen(conn: Transaction, tenant: str, before: Ticket, check: Check, who: str, now: datetime) -> bool:
    """Whether it could be: where the fault has another open ticket that one is told."""
    if reopen(conn, tenant, before, who, now, note=f"Since the repair {check.reason}", event_id=check.id):
        return True
    _tell_other(conn, tenant, before, check, who, now)
    return False


def _tell_other(conn: Transaction, tenant: str, before: Ticket, check: Check, who: str, now: datetime) -> None:
    device_id = machine_of(conn, before.device).id
    other = conn.execute(_TICKETS["lock_open"], {"device_id": device_id, "fault": before.fault}).fetchone()
    if other is not None:
        detail = {"outcome": check.outcome, "stage": check.stage, "of": str(before.id)}
        note = f"Since the repair before {check.reason}"
        record(conn, tenant, other[0], "after_repair", who, now, event_id=check.id, note=note, detail=detail)
