"""Who is proposed for which ticket, and what became of it. `notify` proposes; a person decides, or a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from alarms.roles import Role
from store import tickets
from store.connection import Session
from store.errors import Conflict, NotFound
from store.queries import queries
from store.tickets.rows import Ticket, locked
from store.transactions import Transaction

if TYPE_CHECKING:
    from tickets.dispatch.optimise import Plan
    from tickets.dispatch.reasons import Proposal

_SQL = queries("dispatch")

WAITING = frozenset({"new", "triaged", "reopened"})
"""States of tickets that wait for somebody to be sent."""
BY_RULE = "bellwether"


@dataclass(frozen=True, slots=True)
class Policy:
    """How a tenant dispatches. `mode`: `propose`, or `assign` so many minutes before setting off.

    `ahead_min` too low: somebody who is told on the way. Too high: what comes meanwhile finds everybody bound.
    """

    mode: str
    visit_min: int
    remote_min: int
    ahead_min: int


HOUSE = Policy("propose", 120, 60, 30)
"""Of a tenant that has said nothing."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal with its ticket. `engineer` None: nobody can be sent, and `reasons` say why."""

    ticket_id: UUID
    device: str
    site: str
    title: str
    priority: str
    state: str
    opened_at: datetime
    made_at: datetime
    engineer: str | None
    name: str | None
    turn: int
    sets_off: datetime | None
    arrives: datetime | None
    done: datetime | None
    late_min: float
    travel_min: float
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class MadePlan:
    """What a plan came to, beside first come, first served (`by_turns`), in the units of its objective."""

    made_at: datetime
    way: str
    cost: float
    by_turns: float
    left_out: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a proposal: `accepted`, `overridden` with a reason, or `by_rule`."""

    id: int
    ticket_id: UUID
    device: str
    title: str
    at: datetime
    who: str
    kind: str
    proposed: str | None
    chosen: str
    reason: str


def policy(conn: Transaction) -> Policy:
    """How the tenant that asks dispatches."""
    row = conn.execute(_SQL["policy_of_caller"]).fetchone()
    return Policy(*row) if row else HOUSE


def keep_policy(conn: Transaction, tenant: str, wanted: Policy, who: str) -> None:
    """How is dispatched from now on."""
    fields = {name: getattr(wanted, name) for name in Policy.__dataclass_fields__}
    conn.execute(_SQL["keep_policy"], {"tenant": tenant, "who": who, **fields})


def proposals(conn: Transaction, *, limit: int, after: tuple[datetime, UUID] | None = None) -> list[Proposed]:
    """Tickets that wait, those that nobody can go to first, then by when somebody would set off."""
    after_at, after_id = after or (None, None)
    with conn.cursor(row_factory=class_row(Proposed)) as cursor:
        return cursor.execute(
            _SQL["proposals"],
            {"limit": limit, "after_at": after_at, "after_id": after_id, "states": sorted(WAITING)},
        ).fetchall()


def last_plan(conn: Transaction) -> MadePlan | None:
    """What the tenant's last plan came to; None before the first."""
    with conn.cursor(row_factory=class_row(MadePlan)) as cursor:
        return cursor.execute(_SQL["last_plan"]).fetchone()


def decisions(conn: Transaction, *, limit: int, before: int | None = None, kind: str | None = None) -> list[Decision]:
    """What became of proposals, the latest first."""
    with conn.cursor(row_factory=class_row(Decision)) as cursor:
        return cursor.execute(_SQL["decisions"], {"limit": limit, "before": before, "kind": kind}).fetchall()


def accept(
    conn: Transaction, tenant: str, ticket_id: UUID, engineer: str, *, role: Role, who: str, now: datetime
) -> Ticket:
    """Send whom the plan proposes. `engineer`: who was proposed when the caller looked.

    Raises
    ------
    NotFound
    Conflict
        Somebody else is proposed by now, or was sent.
    """
    proposed, reasons = _standing(conn, ticket_id)
    if proposed != engineer:
        raise Conflict(f"{proposed or 'nobody'} is proposed by now: look again")
    return _send(conn, tenant, ticket_id, engineer, "accepted", proposed, "; ".join(reasons), role, who, now)


def override(
    conn: Transaction, tenant: str, ticket_id: UUID, engineer: str, *, reason: str, role: Role, who: str, now: datetime
) -> Ticket:
    """Send somebody else, and say why. NotFound; Conflict where somebody was sent, or nobody of that name can be."""
    proposed, _ = _standing(conn, ticket_id)
    return _send(conn, tenant, ticket_id, engineer, "overridden", proposed, reason, role, who, now)


def assign_by_rule(conn: Transaction, tenant: str, ticket_id: UUID, engineer: str, now: datetime) -> Ticket:
    """Send whom the plan proposes, where the tenant wants that and it is time. Raises as `accept` does."""
    proposed, reasons = _standing(conn, ticket_id)
    if policy(conn).mode != "assign":
        raise Conflict("this tenant's dispatchers decide")
    if proposed != engineer:
        raise Conflict(f"{proposed or 'nobody'} is proposed by now")
    if not due_by_rule(conn, tenant, now, ticket_id):
        raise Conflict("it is not time yet")
    because = "; ".join(reasons)
    return _send(conn, tenant, ticket_id, engineer, "by_rule", proposed, because, Role.DISPATCHER, BY_RULE, now)


def keep(
    conn: Session,
    tenant: str,
    plan: Plan,
    by_turns: float,
    found: Sequence[Proposal],
    *,
    inputs: bytes,
    left_out: int,
    now: datetime,
) -> None:
    """A plan and its proposals, in place of those before."""
    conn.execute(
        _SQL["keep_plan"],
        {
            "tenant": tenant,
            "now": now,
            "inputs": inputs,
            "way": plan.way,
            "cost": plan.cost,
            "by_turns": by_turns,
            "left_out": left_out,
        },
    )
    conn.execute(_SQL["forget_proposals"], {"tenant": tenant, "planned": [UUID(one.job.id) for one in found]})
    for one in found:
        conn.execute(_SQL["keep_proposal"], {"tenant": tenant, "now": now, **_row(one, now)})


def planned(conn: Session, tenant: str) -> tuple[datetime, bytes] | None:
    """When the last plan was made, and of what."""
    row = conn.execute(_SQL["plan"], {"tenant": tenant}).fetchone()
    return None if row is None else (row[0], bytes(row[1]))


def tenants(conn: Session) -> list[str]:
    """Tenants that dispatch."""
    return [tenant for (tenant,) in conn.execute(_SQL["tenants"])]


def due_by_rule(conn: Session, tenant: str, now: datetime, ticket: UUID | None = None) -> list[tuple[UUID, str]]:
    """Ticket and engineer of the proposals that are to be assigned by rule now: of all, or of one ticket."""
    of = {"tenant": tenant, "now": now, "states": sorted(WAITING), "ticket": ticket}
    return conn.execute(_SQL["due_by_rule"], of).fetchall()


def _standing(conn: Transaction, ticket_id: UUID) -> tuple[str | None, Sequence[str]]:
    """Who is proposed for a ticket that waits, and why."""
    row = conn.execute(_SQL["proposed"], {"ticket": ticket_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no ticket {ticket_id}")
    state, is_planned, engineer, reasons = row
    if state not in WAITING:
        raise Conflict("it waits for nobody any more: somebody was sent, or it has ended")
    return (engineer, reasons) if is_planned else (None, [])


def _send(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    engineer: str,
    kind: str,
    proposed: str | None,
    reason: str,
    role: Role,
    who: str,
    now: datetime,
) -> Ticket:
    # Under its lock: of two who decide at once the second finds that somebody was sent.
    if locked(conn, ticket_id).state not in WAITING:
        raise Conflict("somebody was sent meanwhile")
    sent = tickets.assign(conn, tenant, ticket_id, engineer, role=role, who=who, note=reason, now=now)
    said = {"tenant": tenant, "ticket": ticket_id, "now": now, "who": who, "kind": kind}
    conn.execute(_SQL["decide"], {**said, "proposed": proposed, "chosen": engineer, "reason": reason})
    return sent


def _row(one: Proposal, now: datetime) -> dict[str, object]:
    visit = one.visit
    moments = (None, None, None) if visit is None else (visit.sets_off_min, visit.arrives_min, visit.done_min)
    sets_off, arrives, done = (None if at is None else now + timedelta(minutes=at) for at in moments)
    return {
        "ticket": UUID(one.job.id),
        "engineer": None if one.engineer is None else one.engineer.login,
        "turn": one.turn,
        "sets_off": sets_off,
        "arrives": arrives,
        "done": done,
        "late_min": 0.0 if visit is None else visit.late_min,
        "travel_min": 0.0 if visit is None else visit.travel_min,
        "reasons": Jsonb(list(one.reasons)),
    }
