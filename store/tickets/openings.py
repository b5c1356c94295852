"""How a ticket begins that no alarm has opened: a person reports a fault, or work falls due."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from store import terms as term_store
from store.errors import Conflict
from store.queries import queries
from store.tickets.history import record, save_clocks
from store.tickets.raising import starts_as
from store.tickets.rows import Ticket, machine_of, ticket
from store.transactions import Transaction
from tickets.clocks import apply
from tickets.intake import Service
from tickets.plans import until_due
from tickets.priority import LEVEL_OF, FaultClass, Nature, Priority
from tickets.states import OPENING, State

_SQL = queries("tickets")

_CODE_BYTES = 10  # 80 bits: nobody guesses the code of another's ticket


def open_by_person(
    conn: Transaction,
    tenant: str,
    *,
    device: str,
    title: str,
    description: str,
    who: str,
    now: datetime,
    fault_class: FaultClass = FaultClass.DEGRADED,
    nature: Nature = Nature.HARDWARE,
    priority: Priority | None = None,
    fault: str = "",
    since: datetime | None = None,
    service: Service | None = None,
) -> Ticket:
    """A ticket that a person reports, always a new one: two reports may be of two faults. NotFound: no machine.

    A `priority` stands for the matrix; medical or safety equipment is urgent all the same. Of a `fault` that has a name
    there is one open ticket at most: Conflict.
    """
    machine, terms = machine_of(conn, device), term_store.in_force(conn)
    if priority is None or machine.is_safety_equipment:
        priority = starts_as(terms, machine, fault_class)
    opened = insert(
        conn,
        tenant,
        machine.id,
        device=device,
        fault=fault or f"report-{secrets.token_hex(8)}",
        source="person",
        title=title,
        description=description,
        priority=priority,
        fault_class=fault_class,
        nature=nature,
        **({"service": service} if service else {}),
        leading_point="",
        since=since or now,
        evidence={},
        now=now,
    )
    if opened is None:
        raise Conflict("there is such a ticket already")
    record(conn, tenant, opened, "opened", who, now, to_state=State.NEW, note=description)
    promises = terms.promises(LEVEL_OF[priority], machine.tier)
    save_clocks(conn, tenant, opened, apply(OPENING, {}, promises, now).values())
    return ticket(conn, opened)


def open_by_plan(
    conn: Transaction,
    tenant: str,
    *,
    device: str,
    fault: str,
    title: str,
    description: str,
    fault_class: FaultClass,
    due_at: datetime,
    why: str,
    detail: Mapping[str, Any],
    who: str,
    now: datetime,
) -> Ticket:
    """A ticket for work that falls due: who is there, and done, by `due_at` is in time. NotFound: no machine."""
    machine, terms = machine_of(conn, device), term_store.in_force(conn)
    priority = starts_as(terms, machine, fault_class)
    opened = insert(
        conn,
        tenant,
        machine.id,
        device=device,
        fault=fault,
        source="plan",
        title=title,
        description=description,
        priority=priority,
        fault_class=fault_class,
        nature=Nature.HARDWARE,
        leading_point="",
        since=now,
        evidence={},
        now=now,
    )
    if opened is None:
        raise Conflict("there is such a ticket already")
    record(conn, tenant, opened, "opened", who, now, to_state=State.NEW, note=why, detail=detail)
    promises = terms.promises(LEVEL_OF[priority], machine.tier)
    save_clocks(conn, tenant, opened, until_due(apply(OPENING, {}, promises, now).values(), due_at))
    return ticket(conn, opened)


def service_of(nature: Nature) -> Service:
    """How a fault is worked on where nobody has said: of software and connections from afar first."""
    return Service.REMOTE if nature is Nature.SOFTWARE else Service.ON_SITE


def insert(
    conn: Transaction, tenant: str, device_id: int, *, priority: Priority, evidence: Mapping[str, Any], **fields: Any
) -> UUID | None:
    """A new ticket as it is kept; None where its machine and fault have an open one: the index decides."""
    row = conn.execute(
        _SQL["open"],
        {
            "service": service_of(fields["nature"]),
            **fields,
            "tenant": tenant,
            "code": base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode(),
            "device_id": device_id,
            "priority": priority,
            "level": LEVEL_OF[priority],
            "evidence": Jsonb(evidence),
        },
    ).fetchone()
    return None if row is None else row[0]
