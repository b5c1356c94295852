"""A ticket that turns out to be worse: its priority rises, and its clocks are held to the stricter promise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from store import terms as term_store
from store.queries import queries
from store.tickets.history import record, save_clocks
from store.tickets.rows import MachineOf, Ticket, clocks_of, machine_of
from store.transactions import Transaction
from tickets.clocks import Clock, ClockName, pause, start, tighten
from tickets.priority import CLASS_BY_URGENCY, LEVEL_OF, FaultClass, Level, Priority, priority_of, worse
from tickets.states import State
from tickets.terms import Terms

_SQL = queries("tickets")

# Of the probability, that the leading suspect needs for its urgency to count. Too low: tickets rise on a guess.
PROBABLE = 0.5


def starts_as(terms: Terms, machine: MachineOf, fault_class: FaultClass) -> Priority:
    """How urgent a fault of this class is on this machine."""
    safety = machine.is_safety_equipment
    return priority_of(terms.matrix, fault_class, machine.criticality, machine.tier, safety_equipment=safety)


def raise_priority(
    conn: Transaction,
    tenant: str,
    before: Ticket,
    fault_class: FaultClass,
    who: str,
    now: datetime,
    *,
    leads: tuple[str, Mapping[str, Any]] | None = None,
    why: str = "",
) -> bool:
    """Whether a fault of this class is worse than what the ticket was taken for; then it is taken for that.

    `leads`: the point and evidence that show it from now on; None leaves those of before.
    """
    was, machine, terms = Priority(before.priority), machine_of(conn, before.device), term_store.in_force(conn)
    priority = worse(was, starts_as(terms, machine, fault_class))
    if priority is was:
        return False
    level = LEVEL_OF[priority]
    point, evidence = leads or (before.leading_point, before.evidence)
    changed = {"priority": priority, "level": level, "fault_class": fault_class, "leading_point": point}
    conn.execute(_SQL["raise"], {"id": before.id, "evidence": Jsonb(evidence), **changed})
    save_clocks(conn, tenant, before.id, _held_to(conn, before, terms, level, machine, now))
    detail = {"from": was, "to": priority, "level": level}
    record(conn, tenant, before.id, "raised_priority", who, now, note=why, detail=detail)
    return True


def raise_by_diagnosis(conn: Transaction, tenant: str, before: Ticket, who: str, now: datetime) -> bool:
    """The same by how long the fault library lets one wait with what is probably wrong; False where nothing is."""
    row = conn.execute(_SQL["probable"], {"id": before.id, "least": PROBABLE}).fetchone()
    if row is None or row[1] not in CLASS_BY_URGENCY:
        return False
    name, urgency = row
    why = f"probably {name}, with which one waits no longer than: {urgency}"
    return raise_priority(conn, tenant, before, CLASS_BY_URGENCY[urgency], who, now, why=why)


def _held_to(
    conn: Transaction, before: Ticket, terms: Terms, level: Level, machine: MachineOf, now: datetime
) -> list[Clock]:
    """The clocks that a stricter level changes, and the one that it begins where nobody was sent yet."""
    present, promises = clocks_of(conn, [before.id]).get(before.id, {}), terms.promises(level, machine.tier)
    held = [tighten(clock, promises[name], now) for name, clock in present.items() if name in promises]
    if not before.assignee and ClockName.ASSIGNMENT in promises.keys() - present.keys():
        begun = start(ClockName.ASSIGNMENT, promises[ClockName.ASSIGNMENT], now)
        held.append(pause(begun, now) if before.state == State.ON_HOLD else begun)
    return held
