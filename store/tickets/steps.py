"""A ticket's work orders: the steps that it was given when its work began, and how each was ticked off.

A copy stays with the ticket, so that a later version of the procedure changes nothing that was done. Whatever is ticked
off, anew or not, or taken back is added; what was said last holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from prognosis.procedures import Step, step_of
from store.errors import Conflict, NotFound
from store.queries import queries
from store.tickets.history import record
from store.tickets.proposals import Offered, offered, proposed
from store.tickets.rows import Ticket, locked
from store.transactions import Transaction
from tickets.states import State
from tickets.steps import TICKED_IN, Kind, Marked, StepState, assert_fits, outside, unfinished

_SQL, _TICKETS = queries("steps"), queries("tickets")


@dataclass(frozen=True, slots=True)
class WorkStep:
    """One step of a ticket as it stands. `beyond`: what of its limits the value is, empty within them."""

    number: int
    step: Step
    state: StepState = StepState.OPEN
    value: float | None = None
    beyond: str = ""
    new_serial: str = ""
    old_serial: str = ""
    note: str = ""
    at: datetime | None = None
    who: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """A procedure that a ticket was given. `version`: the tenant's own number, else what its text comes to; `in_force`:
    it is what its turn goes by, and not one that another took the place of."""

    id: int
    turn: int
    kind: Kind
    procedure: str
    version: str
    source: str
    name: str
    at: datetime
    who: str
    steps: Sequence[WorkStep]
    in_force: bool

    @property
    def left(self) -> int:
        """Steps that are neither done nor left out."""
        return unfinished([one.state for one in self.steps])


@dataclass(frozen=True, slots=True)
class Replacement:
    """A key part that went into a machine, and the serial number of the one that it took the place of."""

    at: datetime
    ticket_id: UUID
    title: str
    part: str
    new_serial: str
    old_serial: str
    who: str


# Read ---------------------------------------------------------------------------------------------------------------


def work_of(conn: Transaction, ticket_id: UUID) -> list[Work]:
    """All that a ticket was given, in order, with how each step stands."""
    with conn.cursor(row_factory=dict_row) as cursor:
        works = cursor.execute(_SQL["works"], {"id": ticket_id}).fetchall()
        marks = cursor.execute(_SQL["marks"], {"id": ticket_id}).fetchall() if works else []
    said = {(mark.pop("procedure_id"), mark.pop("step")): mark for mark in marks}
    latest = {(work["turn"], work["kind"]): work["id"] for work in works}
    return [
        Work(
            **{**work, "kind": Kind(work["kind"])},
            steps=[_as_it_stands(n, step_of(one), said.get((work["id"], n))) for n, one in enumerate(steps, 1)],
            in_force=latest[work["turn"], work["kind"]] == work["id"],
        )
        for work, steps in ((work, work.pop("steps")) for work in works)
    ]


def present_work(conn: Transaction, of: Ticket) -> list[Work]:
    """What the present turn of a ticket goes by."""
    return [work for work in work_of(conn, of.id) if work.turn == of.turn and work.in_force]


def steps_left(conn: Transaction, of: Ticket) -> tuple[int, int]:
    """Of the present turn's repair: steps neither done nor left out, and steps in all."""
    repair = next((work for work in present_work(conn, of) if work.kind is Kind.REPAIR), None)
    return (repair.left, len(repair.steps)) if repair else (0, 0)


def replacements(conn: Transaction, device: str, limit: int) -> list[Replacement]:
    """Key parts that went into a machine, newest first."""
    with conn.cursor(row_factory=class_row(Replacement)) as cursor:
        return cursor.execute(_SQL["replacements"], {"device": device, "limit": limit}).fetchall()


# Write --------------------------------------------------------------------------------------------------------------


def begin(conn: Transaction, tenant: str, of: Ticket, kind: Kind, *, who: str, now: datetime) -> None:
    """Give a ticket whose work begins its steps: once a turn, and none where nothing says which."""
    if any(work.kind is kind for work in present_work(conn, of)):
        return
    given = proposed(conn, of, kind)
    if given is not None:
        _give(conn, tenant, of, given, who, now)


def choose(
    conn: Transaction, tenant: str, ticket_id: UUID, procedure: str, *, note: str, who: str, now: datetime
) -> Work:
    """Give a ticket another procedure; what was ticked off of the one before stays on it.

    Raises
    ------
    NotFound
        There is no such ticket, or procedure.
    Conflict
        The ticket is not being worked on, or goes by this procedure as it is already.
    """
    before = locked(conn, ticket_id)
    wanted = next((one for one in offered(conn, before) if one.procedure.id == procedure), None)
    if wanted is None:
        raise NotFound(f"there is no procedure {procedure} for this ticket")
    _assert_worked_on(before, wanted.kind)
    if any((w.procedure, w.version) == (procedure, wanted.version) for w in present_work(conn, before)):
        raise Conflict("the ticket goes by this procedure already")
    _give(conn, tenant, before, wanted, who, now)
    conn.execute(_TICKETS["touch"], {"id": ticket_id, "now": now})
    detail = {"name": wanted.procedure.name, "procedure": procedure, "version": wanted.version}
    record(conn, tenant, ticket_id, "procedure_chosen", who, now, note=note, detail=detail)
    return next(work for work in present_work(conn, before) if work.kind is wanted.kind)


def mark(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    work_id: int,
    number: int,
    marked: Marked,
    *,
    who: str,
    now: datetime,
) -> Work:
    """Tick a step off, leave it out with a reason, or take that back. The same said again by the same one is said once.

    Raises
    ------
    NotFound
        There is no such ticket, or step.
    Conflict
        The ticket is not being worked on, or another procedure took the place of this one.
    tickets.steps.BadMark
        Something is missing.
    """
    before = locked(conn, ticket_id)
    work, step = _find(conn, before, work_id, number)
    _assert_worked_on(before, work.kind)
    if not work.in_force or work.turn != before.turn:
        raise Conflict("another procedure took the place of this one")
    assert_fits(step.step, marked)
    if marked == Marked(step.state, step.value, step.new_serial, step.old_serial, step.note) and step.who in {"", who}:
        return work
    said = {**asdict(marked), "id": ticket_id, "tenant": tenant, "work": work_id, "step": number}
    conn.execute(_SQL["mark"], {**said, "who": who, "now": now})
    conn.execute(_TICKETS["touch"], {"id": ticket_id, "now": now})
    if marked.state is StepState.OPEN:
        detail = {"work": work_id, "step": number}
        words = f"{number}. {step.step.do}" + (f" {marked.note}" if marked.note else "")
        record(conn, tenant, ticket_id, "step_taken_back", who, now, note=words, detail=detail)
    return next(one for one in work_of(conn, ticket_id) if one.id == work_id)


def _give(conn: Transaction, tenant: str, of: Ticket, given: Offered, who: str, now: datetime) -> None:
    fields = {"id": of.id, "tenant": tenant, "turn": of.turn, "kind": given.kind, "procedure": given.procedure.id}
    fields |= {"version": given.version, "source": given.source, "name": given.procedure.name}
    steps = Jsonb([asdict(step) for step in given.procedure.steps])
    conn.execute(_SQL["give"], {**fields, "steps": steps, "who": who, "now": now})


def _find(conn: Transaction, of: Ticket, work_id: int, number: int) -> tuple[Work, WorkStep]:
    for work in work_of(conn, of.id):
        if work.id == work_id and number <= len(work.steps):
            return work, work.steps[number - 1]
    raise NotFound(f"this ticket has no step {number} of {work_id}")


def _assert_worked_on(of: Ticket, kind: Kind) -> None:
    if State(of.state) not in TICKED_IN[kind]:
        while_it_is = " or ".join(sorted(TICKED_IN[kind]))
        raise Conflict(f"its steps are for whoever works on it, while it is {while_it_is}: it is {of.state}")


# Rows ---------------------------------------------------------------------------------------------------------------


def _as_it_stands(number: int, step: Step, said: Mapping[str, Any] | None) -> WorkStep:
    if said is None:
        return WorkStep(number, step)
    stands = WorkStep(number, step, **{**said, "state": StepState(said["state"])})
    return replace(stands, beyond=outside(step, stands.value))
