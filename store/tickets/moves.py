"""A ticket on its way: moved by the table, sent to somebody, remarked upon.

It is locked before it is changed, and its clocks change under that lock.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from psycopg.errors import UniqueViolation

from store.errors import Conflict
from store.queries import queries
from store.tickets.history import record, save_moves
from store.tickets.rows import Ticket, locked, ticket
from store.transactions import Transaction
from tickets.roles import Role
from tickets.states import ENDED, GUARANTEE, State, Verdict, check

_SQL = queries("tickets")


def move(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    to: State,
    *,
    role: Role,
    who: str,
    now: datetime,
    note: str = "",
    assignee: str = "",
    verdict: Verdict | None = None,
) -> Ticket:
    """Take a ticket one move further along the table. `assignee` empty leaves whoever has it.

    Raises
    ------
    NotFound
        There is no such ticket.
    tickets.states.NotAllowed, NotForRole, Missing
        The table refuses.
    Conflict
        It would be the second open ticket of its machine and fault, is closed for longer than the guarantee, or the
        assignee is nobody who could be sent.
    """
    before = locked(conn, ticket_id)
    state, held_from = State(before.state), State(before.held_from) if before.held_from else None
    sent = assignee or before.assignee
    step = check(state, to, role, held_from=held_from, assignee=sent, note=note, verdict=verdict)
    if assignee:
        _assert_assignable(conn, assignee)
    if to is State.REOPENED:
        _assert_can_reopen(before, now)
    after = replace(
        before,
        state=to,
        held_from=state if to is State.ON_HOLD else None,
        verdict=verdict if to is State.CLOSED else None,
        assignee=who if step.takes else sent,
        closed_at=now if to in ENDED else None,
    )
    _save(conn, after, now)
    save_moves(conn, tenant, before, step.clocks, who, now)
    detail = {"assignee": who if step.takes else assignee} if step.takes or assignee else {}
    if verdict is not None and to is State.CLOSED:
        detail["verdict"] = verdict
    record(conn, tenant, ticket_id, "moved", who, now, from_state=state, to_state=to, note=note, detail=detail)
    return ticket(conn, ticket_id)


def assign(
    conn: Transaction, tenant: str, ticket_id: UUID, assignee: str, *, role: Role, who: str, note: str, now: datetime
) -> Ticket:
    """Send somebody: the ticket is dispatched where the table has that move, else it only changes hands.

    Raises as `move` does.
    """
    before = locked(conn, ticket_id)
    state = State(before.state)
    if state in ENDED:
        raise Conflict(f"a ticket that is {state.value} is nobody's")
    if state in {State.NEW, State.TRIAGED, State.DISPATCHED, State.ACCEPTED, State.REOPENED}:
        return move(
            conn, tenant, ticket_id, State.DISPATCHED, role=role, who=who, now=now, note=note, assignee=assignee
        )
    _assert_assignable(conn, assignee)
    _save(conn, replace(before, assignee=assignee), now)
    record(conn, tenant, ticket_id, "assigned", who, now, note=note, detail={"assignee": assignee})
    return ticket(conn, ticket_id)


def comment(conn: Transaction, tenant: str, ticket_id: UUID, note: str, *, who: str, now: datetime) -> Ticket:
    """Add a remark, also to a ticket that has ended. NotFound where there is none."""
    locked(conn, ticket_id)
    conn.execute(_SQL["touch"], {"id": ticket_id, "now": now})
    record(conn, tenant, ticket_id, "comment", who, now, note=note)
    return ticket(conn, ticket_id)


def _save(conn: Transaction, after: Ticket, now: datetime) -> None:
    try:
        conn.execute(
            _SQL["moved"],
            {
                "id": after.id,
                "state": after.state,
                "held_from": after.held_from,
                "verdict": after.verdict,
                "assignee": after.assignee,
                "closed_at": after.closed_at,
                "now": now,
            },
        )
    except UniqueViolation as error:
        raise Conflict("there is an open ticket of this machine and fault already") from error


def _assert_assignable(conn: Transaction, login: str) -> None:
    row = conn.execute(_SQL["is_assignable"], {"login": login}).fetchone()
    if row is None or not row[0]:
        raise Conflict(f"{login} is nobody who could be sent")


def _assert_can_reopen(before: Ticket, now: datetime) -> None:
    if before.closed_at is None or now - before.closed_at > GUARANTEE:
        raise Conflict(f"the ticket has been closed for more than {GUARANTEE.days} days: report the fault anew")
