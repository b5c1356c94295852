"""Which procedure a ticket is given when its work begins, and which others it may be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prognosis.faults import built_in_procedures
from prognosis.procedures import REMOTE, Procedure, Step, procedure_of
from store import procedures as own_procedures
from store.queries import queries
from store.tickets.rows import Ticket
from store.transactions import Transaction
from tickets.priority import Nature
from tickets.steps import LIKELY, Kind, checklist_of, lookups

_SQL = queries("steps")


@dataclass(frozen=True, slots=True)
class Offered:
    """A procedure that a ticket may be given. `version`: the tenant's own number, else what its text comes to."""

    kind: Kind
    source: str
    version: str
    procedure: Procedure


def proposed(conn: Transaction, of: Ticket, kind: Kind) -> Offered | None:
    """What a ticket is given when nobody chooses: its plan's work; the tenant's own procedure for what is probably
    wrong, was reported, or for any fault; that of the library for what is probably wrong."""
    if of.source == "plan":
        plan = _of_plan(conn, of) if kind is Kind.REPAIR else None
        return None if plan is None else Offered(Kind.REPAIR, "plan", plan.fingerprint, plan)
    model, symptom, suspects = _known(conn, of)
    likely = suspects[0] if suspects and suspects[0]["probability"] >= LIKELY else None
    own = own_procedures.best(conn, kind, lookups(likely["mode"] if likely else "", symptom), model)
    if own is not None:
        return _own(own)
    if kind is Kind.REMOTE:
        return _of_library(built_in_procedures()[checklist_of(of.fault, Nature(of.nature))])
    named = _of_suspects([likely] if likely else [])
    return _of_library(named[0]) if named else None


def offered(conn: Transaction, of: Ticket) -> list[Offered]:
    """The procedures that a ticket may be given: those that are proposed, what its diagnosis names, the tenant's own
    for its machine, and the library's."""
    model, _, suspects = _known(conn, of)
    own = own_procedures.procedures(conn, limit=own_procedures.MOST, model=model)
    found = [
        *(proposed(conn, of, kind) for kind in Kind),
        *(_of_library(one) for one in _of_suspects(suspects)),
        *(_own(one) for one in own),
        *(_of_library(one) for one in built_in_procedures().values()),
    ]
    by_id = dict[str, Offered]()
    for one in found:
        if one is not None:
            by_id.setdefault(one.procedure.id, one)
    return list(by_id.values())


def _known(conn: Transaction, of: Ticket) -> tuple[str, str, Sequence[Mapping[str, Any]]]:
    """The model of its machine, the symptom that was reported, and the suspects of its diagnosis."""
    row = conn.execute(_SQL["known"], {"id": of.id}).fetchone()
    return row or ("", "", [])


def _of_suspects(suspects: Sequence[Mapping[str, Any]]) -> list[Procedure]:
    """The procedures that a diagnosis names; a plant's own file is known to who made it, so it is read from there."""
    return [procedure_of(one["procedure"]) for one in suspects if one.get("procedure")]


def _of_plan(conn: Transaction, of: Ticket) -> Procedure | None:
    row = conn.execute(_SQL["plan_of"], {"id": of.id}).fetchone() if of.source == "plan" else None
    if row is None:
        return None
    plan_id, name, procedure, lines = row
    library = built_in_procedures().get(procedure)
    own = [Step(line.strip()) for line in lines.splitlines() if line.strip()]
    return Procedure(f"plan:{plan_id}", name, (), (*(library.steps if library else ()), *own))


def _own(one: own_procedures.OwnProcedure) -> Offered:
    return Offered(Kind(one.kind), "own", str(one.version), one.procedure)


def _of_library(one: Procedure) -> Offered:
    kind = Kind.REMOTE if one.id.startswith(REMOTE) else Kind.REPAIR
    return Offered(kind, "library", one.fingerprint, one)
