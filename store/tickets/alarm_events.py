"""An alarm event as tickets take it: it opens one, joins the open one of its machine and fault, or reopens the last.

One open ticket per machine and fault is held by a unique index, whatever comes at once: `open_or_join` asks the index,
never a look beforehand. An alarm event is taken once in all, so that whoever is unsure whether it arrived sends it
again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from store import terms as term_store
from store.errors import Conflict
from store.queries import queries
from store.tickets.history import record, save_clocks
from store.tickets.openings import insert
from store.tickets.raising import raise_by_diagnosis, raise_priority, starts_as
from store.tickets.reopening import DONE, reopen
from store.tickets.rows import Ticket, machine_of, ticket
from store.transactions import Transaction
from tickets.clocks import apply
from tickets.evidence import Report, title
from tickets.priority import CLASS_OF, LEVEL_OF, nature_of
from tickets.states import OPENING, State

_SQL = queries("tickets")

# Each further turn needs a ticket that opened or closed between two of our statements: a hundred in a row is a fault.
_TURNS = 100


class Outcome(StrEnum):
    """What an alarm event did."""

    OPENED = "opened"
    JOINED = "joined"
    REOPENED = "reopened"


_OUTCOME_OF = {"opened": Outcome.OPENED, "alarm": Outcome.JOINED, "reopened": Outcome.REOPENED}
_KIND_OF = {outcome: kind for kind, outcome in _OUTCOME_OF.items()}


@dataclass(frozen=True, slots=True)
class Opening:
    """The ticket that an alarm event belongs to. `again`: it had been taken before, and nothing was done now."""

    ticket: Ticket
    outcome: Outcome
    again: bool


def open_or_join(conn: Transaction, tenant: str, report: Report, *, who: str, now: datetime) -> Opening:
    """Take an alarm event: open a ticket for its machine and fault, join the open one, or reopen the last.

    Needs a transaction at READ COMMITTED: each turn looks at what others have committed meanwhile.

    Raises
    ------
    NotFound
        There is no such machine.
    Conflict
        The event was taken before, for another machine or fault.
    """
    machine, terms = machine_of(conn, report.device), term_store.in_force(conn)
    place = {"device_id": machine.id, "fault": report.fault}
    fault_class = CLASS_OF[report.severity]
    priority = starts_as(terms, machine, fault_class)
    for _ in range(_TURNS):
        known = _known(conn, report, place)
        if known is not None:
            return known
        joined = conn.execute(_SQL["lock_open"], place).fetchone()
        if joined is not None:
            # Another may have taken the same event while this one waited for the lock.
            return _known(conn, report, place) or _join(conn, tenant, joined[0], report, who, now)
        closed = conn.execute(_SQL["lock_closed"], {**place, "closed_since": now - terms.reopens_within}).fetchone()
        if closed is not None:
            reopened = _reopen(conn, tenant, closed[0], report, who, now)
            if reopened is not None:
                return reopened
            continue
        opened = insert(
            conn,
            tenant,
            machine.id,
            device=report.device,
            fault=report.fault,
            source="alarm",
            title=title(report),
            description="",
            priority=priority,
            fault_class=fault_class,
            nature=nature_of(report.fault),
            leading_point=report.finding.point,
            since=report.since,
            evidence=_evidence(report),
            now=now,
        )
        if opened is not None:
            _record_alarm(conn, tenant, opened, report, Outcome.OPENED, who, now, State.NEW)
            promises = terms.promises(LEVEL_OF[priority], machine.tier)
            save_clocks(conn, tenant, opened, apply(OPENING, {}, promises, now).values())
            return Opening(ticket(conn, opened), Outcome.OPENED, again=False)
    raise Conflict(f"tickets of {report.device} open and close faster than they can be joined")


def _known(conn: Transaction, report: Report, place: Mapping[str, Any]) -> Opening | None:
    """What the event did when it was first taken; None where it never was."""
    row = conn.execute(_SQL["holder_of_event"], {"event_id": report.event_id}).fetchone()
    if row is None:
        return None
    holder = ticket(conn, row[0])
    if (holder.device, holder.fault) != (report.device, place["fault"]):
        raise Conflict(f"event {report.event_id} was taken for {holder.device}, {holder.fault}")
    return Opening(holder, _OUTCOME_OF[row[1]], again=True)


def _join(conn: Transaction, tenant: str, ticket_id: UUID, report: Report, who: str, now: datetime) -> Opening:
    before = ticket(conn, ticket_id)
    if before.state in DONE:
        reopened = _reopen(conn, tenant, ticket_id, report, who, now)
        if reopened is not None:
            return reopened
    conn.execute(_SQL["touch"], {"id": ticket_id, "now": now})
    _record_alarm(conn, tenant, ticket_id, report, Outcome.JOINED, who, now)
    _raise_priority(conn, tenant, before, report, who, now)
    return Opening(ticket(conn, ticket_id), Outcome.JOINED, again=False)


def _reopen(conn: Transaction, tenant: str, ticket_id: UUID, report: Report, who: str, now: datetime) -> Opening | None:
    """None where another ticket of the machine and fault has opened meanwhile."""
    before, evidence = ticket(conn, ticket_id), _evidence(report)
    if not reopen(conn, tenant, before, who, now, note=report.message, detail=evidence, event_id=report.event_id):
        return None
    _link(conn, ticket_id, report, now)
    _raise_priority(conn, tenant, before, report, who, now)
    return Opening(ticket(conn, ticket_id), Outcome.REOPENED, again=False)


def _raise_priority(conn: Transaction, tenant: str, before: Ticket, report: Report, who: str, now: datetime) -> None:
    """A worse alarm leads the ticket from now on; what was found to be wrong by then counts as well."""
    evidence = (report.finding.point, _evidence(report))
    raise_priority(conn, tenant, before, CLASS_OF[report.severity], who, now, leads=evidence)
    raise_by_diagnosis(conn, tenant, ticket(conn, before.id), who, now)


def _record_alarm(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    report: Report,
    outcome: Outcome,
    who: str,
    now: datetime,
    to_state: State | None = None,
) -> None:
    kind = _KIND_OF[outcome]
    said: dict[str, Any] = {"note": report.message, "detail": _evidence(report), "to_state": to_state}
    if not record(conn, tenant, ticket_id, kind, who, now, event_id=report.event_id, **said):
        raise Conflict(f"event {report.event_id} was taken for another machine or fault")
    _link(conn, ticket_id, report, now)


def _link(conn: Transaction, ticket_id: UUID, report: Report, now: datetime) -> None:
    conn.execute(_SQL["link"], {"id": ticket_id, "alarm_id": report.occurrence_id, "now": now})


def _evidence(report: Report) -> dict[str, Any]:
    """An alarm's evidence as it is kept: numbers that there are none of are null."""
    finding = report.finding
    numbers = {name: getattr(finding, name) for name in ("observed", "expected", "low", "high")}
    return {
        "occurrence_id": str(report.occurrence_id),
        "kind": report.kind,
        "rule": report.rule,
        "detector": report.detector,
        "severity": report.severity.value,
        "since": report.since.isoformat(),
        "at": report.at.isoformat(),
        "score": report.score if math.isfinite(report.score) else None,
        "message": report.message,
        "point": finding.point,
        "unit": finding.unit,
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
        "contributions": dict(finding.contributions),
        "window": None
        if finding.window is None
        else {"from": finding.window[0].isoformat(), "to": finding.window[1].isoformat()},
    }
