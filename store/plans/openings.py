"""The ticket for what fell due: opened once, or joined where one is open still, however often it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import dict_row

from store.errors import Conflict, NotFound
from store.parts import reservations
from store.plans.catalogue import Plan, plan
from store.queries import queries
from store.tickets.history import record
from store.tickets.openings import open_by_plan
from store.tickets.reopening import DONE
from store.tickets.rows import locked
from store.transactions import Transaction
from tickets.priority import FaultClass
from tickets.states import ENDED

_SQL = queries("plans")
_TICKETS = queries("tickets")


@dataclass(frozen=True, slots=True)
class Planned:
    """What became of one that fell due. `again`: it had been before, and nothing was done now."""

    outcome: str
    ticket_id: UUID | None
    again: bool


def open_planned(
    conn: Transaction,
    tenant: str,
    plan_id: UUID,
    device: str,
    number: int,
    steps: Sequence[str],
    *,
    who: str,
    now: datetime,
) -> Planned:
    """Give what fell due its ticket, with the parts that the plan asks for. `steps` are what is done, in order.

    Raises
    ------
    NotFound
        Nothing fell due under this number.
    """
    of = plan(conn, plan_id)
    key = {"plan": plan_id, "device": device, "number": number}
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = {row["number"]: row for row in cursor.execute(_SQL["lock_occurrences"], key)}
    if number not in rows:
        raise NotFound(f"nothing fell due for {device} under {number}")
    asked = rows[number]
    if asked["outcome"] != "opening":
        return Planned(asked["outcome"], asked["ticket_id"], again=True)
    if of.ended_at is not None:
        why = f"{asked['why']}: the plan ended"
        conn.execute(_SQL["answer_occurrence"], key | {"outcome": "put_off", "ticket": None, "why": why})
        return Planned("put_off", None, again=False)
    detail = {"plan_id": str(plan_id), "due_at": asked["due_at"].isoformat()}
    open_one = _to_do(conn, [row["ticket_id"] for row in rows.values() if row["to_do"]])
    if open_one is not None:
        conn.execute(_TICKETS["touch"], {"id": open_one, "now": now})
        record(conn, tenant, open_one, "planned", who, now, note=asked["why"], detail=detail)
        conn.execute(_SQL["answer_occurrence"], key | {"outcome": "joined", "ticket": open_one, "why": asked["why"]})
        return Planned("joined", open_one, again=False)
    opened = open_by_plan(
        conn,
        tenant,
        device=device,
        fault=f"plan-{plan_id}-{number}",
        title=of.name,
        description=_words(of, asked["why"], asked["due_at"], steps),
        fault_class=FaultClass(of.fault_class),
        due_at=asked["due_at"],
        why=asked["why"],
        detail=detail,
        who=who,
        now=now,
    )
    conn.execute(_SQL["answer_occurrence"], key | {"outcome": "opened", "ticket": opened.id, "why": asked["why"]})
    _ask_for_parts(conn, tenant, of, opened.id, who, now)
    return Planned("opened", opened.id, again=False)


def _to_do(conn: Transaction, ticket_ids: Sequence[UUID]) -> UUID | None:
    """The one of these tickets that is still to be done, held: it may have been handed over in this moment."""
    held = (locked(conn, ticket_id) for ticket_id in ticket_ids)
    return next((one.id for one in held if one.state not in DONE | ENDED), None)


def _ask_for_parts(conn: Transaction, tenant: str, of: Plan, ticket: UUID, who: str, now: datetime) -> None:
    """Ask for what the plan needs. What cannot be asked for is said on the ticket: the work is due all the same."""
    for one in of.parts:
        try:
            with conn.transaction():
                reservations.reserve(conn, tenant, ticket, one["part"], one["quantity"], who=who, now=now)
        except (Conflict, NotFound) as error:
            record(conn, tenant, ticket, "comment", who, now, note=f"{one['part']} was not asked for: {error}")


def _words(of: Plan, why: str, due_at: datetime, steps: Sequence[str]) -> str:
    """A plan as the ticket's description."""
    skills = f" Skills: {', '.join(of.skills)}." if of.skills else ""
    head = f"By plan: {why}. Due {due_at:%Y-%m-%d %H:%M} UTC. About {of.work_h:g} h of work.{skills}"
    return "\n".join([head, *(f"{i}. {step}" for i, step in enumerate(steps, 1))])[:8000]
