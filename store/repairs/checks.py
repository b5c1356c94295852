"""Checks after repairs as they are kept. A ticket has one that runs at most; a newer one takes its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from prognosis.after_repair import Outcome
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction
from tickets.after_repair import Stage, begins, ends, first_look
from tickets.states import State
from tickets.terms import Terms

_SQL = queries("after_repair")

WAITS = "it has to run first"
# A page shows the newest, and the one before to compare with.
_MOST = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `look_at` None: it is settled; `found` is as `store.repairs.rounds` leaves it."""

    id: UUID
    ticket_id: UUID
    turn: int
    stage: str
    begins_at: datetime
    look_at: datetime | None
    looked_at: datetime | None
    settled_at: datetime | None
    outcome: str
    reason: str
    ran_h: float
    found: Mapping[str, Any]
    answer: str | None


def follow(
    conn: Transaction, ticket_id: UUID, fault: str, state: State, to: State, terms: Terms, now: datetime
) -> None:
    """Begin the check that a move begins, and end the one that it ends. The ticket is held, and moved already."""
    stage = begins(state, to, fault)
    reason = "the machine was handed over: it is looked at anew" if stage else ends(to)
    if reason:
        conn.execute(_SQL["end_running"], {"ticket": ticket_id, "reason": reason, "now": now})
    if stage:
        look_at = first_look(now, terms.after_repair_h)
        conn.execute(
            _SQL["begin"], {"ticket": ticket_id, "stage": stage, "now": now, "look_at": look_at, "reason": WAITS}
        )


def unwell(conn: Transaction, ticket_id: UUID, turn: int) -> str:
    """What is off since the repair of this turn, in words; empty where nothing is known to be."""
    row = conn.execute(_SQL["unwell"], {"ticket": ticket_id, "turn": turn}).fetchone()
    return "" if row is None else str(row[0])


def checks(conn: Transaction, ticket_id: UUID) -> list[Check]:
    """The checks of a ticket, the newest first; without a ticket none."""
    with conn.cursor(row_factory=class_row(Check)) as cursor:
        return cursor.execute(_SQL["of_ticket"], {"ticket": ticket_id, "limit": _MOST}).fetchall()


def judgement(conn: Transaction, ticket_id: UUID, turn: int) -> Check | None:
    """The check that says how the repair of this turn stands: the one after the hand-over where that can say something,
    else the last after a test. None: there is none."""
    for check in checks(conn, ticket_id):
        if check.turn == turn and (check.stage == Stage.TEST or check.outcome != Outcome.CANNOT_SAY):
            return check
    return None


def held(conn: Transaction, check_id: UUID) -> Check:
    """One check, which nobody else changes until the transaction ends. NotFound where there is none."""
    with conn.cursor(row_factory=class_row(Check)) as cursor:
        found = cursor.execute(_SQL["lock"], {"id": check_id}).fetchone()
    if found is None:
        raise NotFound(f"there is no check {check_id}")
    return found
