"""What is written down for a ticket, and what a move is judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store import terms as term_store
from store.queries import queries
from store.repairs import checks
from store.tickets.rows import Ticket
from store.tickets.steps import steps_left
from store.transactions import Transaction
from tickets.intake import Service
from tickets.needs import Facts, Paper, Quote
from tickets.states import WORKED

_SQL = queries("ticket_papers")

Papers = Mapping[Paper, Mapping[str, Any]]
"""What comes with a move, as plain values of `api/ticket_papers.py`."""


@dataclass(frozen=True, slots=True)
class Written:
    """One paper of a ticket. `turn`: how often the ticket had been reopened by then."""

    id: int
    turn: int
    paper: str
    at: datetime
    who: str
    body: Mapping[str, Any]


def papers(conn: Transaction, ticket_id: UUID) -> list[Written]:
    """What was written down for one ticket, in order."""
    with conn.cursor(row_factory=class_row(Written)) as cursor:
        return cursor.execute(_SQL["papers"], {"id": ticket_id}).fetchall()


def write(
    conn: Transaction, tenant: str, before: Ticket, paper: Paper, body: Mapping[str, Any], *, who: str, now: datetime
) -> None:
    """Write something down beside a move."""
    fields = {"id": before.id, "tenant": tenant, "turn": before.turn, "paper": paper, "now": now, "who": who}
    conn.execute(_SQL["write"], {**fields, "body": Jsonb(dict(body))})


def quote_of(written: Sequence[Written], turn: int, answer: Mapping[str, Any] | None = None) -> Quote:
    """How the last quote of a turn stands, with an `answer` that comes now."""
    of_turn = [one for one in written if one.turn == turn]
    quoted = max((one.id for one in of_turn if one.paper == Paper.QUOTE), default=None)
    if quoted is None:
        return Quote.NONE
    answers = [one.body for one in of_turn if one.paper == Paper.ANSWER and one.id > quoted]
    answers += [answer] if answer else []
    if not answers:
        return Quote.OPEN
    return Quote.ACCEPTED if answers[-1]["accepted"] else Quote.DECLINED


def facts_now(conn: Transaction, of: Ticket, who: str, now: datetime) -> Facts:
    """What a move by this one would be judged by, if nothing came with it."""
    return facts_of(
        conn,
        of,
        {},
        who=who,
        assignee=of.assignee,
        note="",
        has_verdict=of.verdict is not None,
        service=Service(of.service),
        now=now,
    )


def facts_of(
    conn: Transaction,
    before: Ticket,
    coming: Papers,
    *,
    who: str,
    assignee: str,
    note: str,
    has_verdict: bool,
    service: Service,
    now: datetime,
) -> Facts:
    """What a move is judged by: what is kept of a ticket, and what comes with the move."""
    left, steps = _steps_asked_for(conn, before)
    row = conn.execute(_SQL["around"], {"id": before.id, "worked": sorted(WORKED)}).fetchone()
    warranty_until, parts_waiting, workers, repaired, complained = row or (None, 0, [], False, False)
    of_turn = [one for one in papers(conn, before.id) if one.turn == before.turn]
    checked = max((one.id for one in of_turn if one.paper == Paper.CHECK), default=0)
    looks = next((one.body["looks"] for one in of_turn if one.id == checked), ["own"])
    since = [one for one in of_turn if one.paper == Paper.INSPECTION and one.id > checked]
    is_over = warranty_until is not None and warranty_until < now.date() and before.turn == 0
    return Facts(
        who=who,
        assignee=assignee,
        note=note,
        has_verdict=has_verdict,
        is_own=before.assignee == who,
        has_worked=who in workers or who == before.assignee,
        service=service,
        diagnosed=Paper.DIAGNOSIS in coming or any(one.paper == Paper.DIAGNOSIS for one in of_turn),
        repaired=repaired,
        quoted_now=Paper.QUOTE in coming,
        quote=quote_of(of_turn, before.turn, coming.get(Paper.ANSWER)),
        warranty_ended=warranty_until if is_over else None,
        has_appointment=Paper.APPOINTMENT in coming,
        parts_waiting=parts_waiting,
        steps=steps,
        steps_left=left,
        tested=coming[Paper.TEST]["passed"] if Paper.TEST in coming else None,
        inspected=coming[Paper.INSPECTION]["passed"] if Paper.INSPECTION in coming else None,
        inspections=len(looks) - 1,
        passed_by=frozenset(one.who for one in since if one.body["passed"]),
        signed=Paper.SIGNATURE in coming,
        complained=complained,
        unwell=checks.unwell(conn, before.id, before.turn),
        accepted=any(one["passed"] and one.get("nevertheless") for one in _inspections(since, coming)),
    )


def _steps_asked_for(conn: Transaction, of: Ticket) -> tuple[int, int]:
    """Of its work order: steps that are left, and all of them; none where the terms do not ask for them."""
    left, steps = steps_left(conn, of)
    return (left, steps) if left and term_store.in_force(conn).steps_needed else (0, steps)


def _inspections(since: Sequence[Written], coming: Papers) -> list[Mapping[str, Any]]:
    """What inspectors wrote since it came to be checked, and write now."""
    return [*(one.body for one in since), *([coming[Paper.INSPECTION]] if Paper.INSPECTION in coming else [])]
