"""A ticket on its way: moved by the table, sent to somebody, remarked upon.

It is locked before it is changed, and its clocks change under that lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation

from alarms.roles import Role
from store import terms as term_store
from store.errors import Conflict
from store.queries import queries
from store.repairs import checks
from store.tickets.asking import ask
from store.tickets.documents import issue_with_move
from store.tickets.history import record, save_moves
from store.tickets.papers import Papers, facts_of, write
from store.tickets.quality import draw
from store.tickets.raising import raise_by_diagnosis
from store.tickets.rows import Ticket, clocks_of, locked, machine_of, ticket
from store.tickets.steps import begin
from store.tickets.waiting import begin_pause, end_pause, still_waits
from store.transactions import Transaction
from tickets.clocks import ClockName, Effect, Promise
from tickets.intake import Service
from tickets.priority import Level
from tickets.report_clocks import effects as report_effects
from tickets.states import ENDED, WAITING, WITH_VERDICT, Move, State, Verdict, check
from tickets.steps import BEGINS
from tickets.terms import ON_HOLD, Terms

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
    pause_reason: str = "",
    service: Service | None = None,
    papers: Papers = MappingProxyType({}),
) -> Ticket:
    """Take a ticket one move further along the table. `assignee` empty leaves whoever has it, `service` None how it is
    worked on; `papers` are written down with the move.

    `pause_reason` says why a ticket is held, by the terms in force; empty: `on_hold`.

    Raises
    ------
    NotFound
        There is no such ticket.
    tickets.states.NotAllowed, NotForRole, Unasked, Missing
        The table refuses.
    Conflict
        It would be the second open ticket of its machine and fault, is closed for longer than the guarantee, the
        terms have no such reason to wait, or the assignee is nobody who could be sent.
    """
    before = locked(conn, ticket_id)
    if to is State.TRIAGED and raise_by_diagnosis(conn, tenant, before, who, now):
        before = ticket(conn, ticket_id)
    state, held_from = State(before.state), State(before.held_from) if before.held_from else None
    sent, served = assignee or before.assignee, service or Service(before.service)
    found = verdict or (Verdict(before.verdict) if before.verdict else None)
    facts = facts_of(
        conn, before, papers, who=who, assignee=sent, note=note, has_verdict=found is not None, service=served, now=now
    )
    step = check(state, to, role, facts, held_from=held_from, papers=papers)
    if assignee:
        _assert_assignable(conn, assignee)
    terms = term_store.in_force(conn)
    if state is State.CLOSED:
        _assert_can_reopen(before, now, terms)
    after = replace(
        before,
        state=to,
        held_from=state if to is State.ON_HOLD else None,
        verdict=found if to in WITH_VERDICT or State.ON_HOLD in (state, to) else None,
        assignee=who if step.takes else sent,
        service=served,
        turn=before.turn + (to is State.REOPENED and state is not State.ON_HOLD),
        closed_at=now if to in ENDED else None,
    )
    for paper, body in papers.items():
        write(conn, tenant, before, paper, body, who=who, now=now)
    _save(conn, after, now)
    if to in BEGINS and state is not State.ON_HOLD:
        begin(conn, tenant, before, BEGINS[to], who=who, now=now)
    checks.follow(conn, ticket_id, before.fault, state, to, terms, now)
    looks = draw(conn, tenant, before, terms, now) if (state, to) == (State.TESTING, State.QUALITY_CHECK) else []
    reason = _reason(terms, to, pause_reason) if to in WAITING and still_waits(to, facts) else ""
    effects = _waiting(conn, tenant, before, step, terms, reason, note=note, who=who, now=now)
    effects |= report_effects(state, to, facts, papers, clocks_of(conn, [ticket_id]).get(ticket_id, {}))
    issue_with_move(conn, tenant, state, after, papers, terms, who=who, now=now)
    if (state, to) == (State.HANDED_OVER, State.FOLLOW_UP):
        ask(conn, tenant, before, terms, now)
    save_moves(conn, tenant, before, effects, who, now, _promises(conn, before, effects, terms))
    detail: dict[str, Any] = {"assignee": who if step.takes else assignee} if step.takes or assignee else {}
    detail |= {"verdict": verdict} if verdict is not None and to in WITH_VERDICT else {}
    detail |= {"service": service} if service is not None and service != before.service else {}
    detail |= {"reason": reason} if reason else {}
    detail |= {"looks": list(looks)} if looks else {}
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
    save_moves(conn, tenant, before, {ClockName.ASSIGNMENT: Effect.STOP}, who, now)
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
                "service": after.service,
                "turn": after.turn,
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


def _assert_can_reopen(before: Ticket, now: datetime, terms: Terms) -> None:
    if before.closed_at is None or now - before.closed_at > terms.guarantee:
        raise Conflict(f"the ticket has been closed for more than {terms.guarantee.days} days: report the fault anew")


def _reason(terms: Terms, to: State, said: str) -> str:
    """Why it waits from now on."""
    return said or ON_HOLD if to is State.ON_HOLD else terms.why_waiting(to)


def _waiting(
    conn: Transaction,
    tenant: str,
    before: Ticket,
    step: Move,
    terms: Terms,
    reason: str,
    *,
    note: str,
    who: str,
    now: datetime,
) -> dict[ClockName, Effect]:
    """What the move does to the clocks: they pause as the terms say of the `reason`, and not without one."""
    if before.state in WAITING:
        end_pause(conn, before.id, who, now)
    effects: dict[ClockName, Effect] = dict.fromkeys(ClockName, Effect.RESUME) if before.state in WAITING else {}
    effects |= {name: effect for name, effect in step.clocks.items() if effect is not Effect.PAUSE}
    if reason:
        effects |= begin_pause(conn, tenant, before.id, terms, reason, note=note, who=who, now=now)
    return effects


def _promises(
    conn: Transaction, before: Ticket, effects: Mapping[ClockName, Effect], terms: Terms
) -> dict[ClockName, Promise] | None:
    """Of the clocks that a move starts; None where it starts none."""
    if Effect.START not in effects.values():
        return None
    level = Level(before.level)
    own = {
        ClockName.EXPERT: terms.expert_promise(level),
        ClockName.DIAGNOSIS_REPORT: terms.report_promise(level),
        ClockName.SERVICE_REPORT: terms.report_promise(level),
        ClockName.SENT_BACK: terms.send_back_promise(level),
    }
    return terms.promises(level, machine_of(conn, before.device).tier) | own
