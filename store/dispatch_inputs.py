"""What a plan of dispatch is made of, read for one tenant at one moment; `notify` plans."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row

from store.connection import Session
from store.dispatch import HOUSE, WAITING, Policy
from store.queries import queries
from store.tickets.raising import PROBABLE
from tickets.calendar import Calendar
from tickets.dispatch.batch import Batch, Engineer, Job
from tickets.dispatch.shifts import shifts_by
from tickets.dispatch.travel import Place
from tickets.priority import Nature, Priority
from tickets.terms import calendar_of

_SQL = queries("dispatch")

# Theirs and not begun; and begun. Who waits for parts, a customer or an answer is not kept from other work by it.
QUEUED = frozenset({"dispatched", "accepted", "scheduled"})
IN_HAND = frozenset({"diagnosing", "on_site", "repairing", "testing"})
# Tickets that are planned at once. Too low: what is not urgent has no proposal. Too high: a plan takes minutes.
MOST_AT_ONCE = 200
_MOST_ENGAGED = 2000
# Shifts so far ahead are planned with.
HORIZON_DAYS = 14
# What is left of a visit that takes longer than was thought.
_LEAST_LEFT_MIN = 15.0
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """A ticket as dispatch reads it. `mode`: the failure mode that is probably there; `parts`: number → whose van."""

    id: UUID
    state: str
    assignee: str
    priority: str
    nature: str
    opened_at: datetime
    updated_at: datetime
    site: str
    latitude: float | None
    longitude: float | None
    on_site_due: datetime | None
    done_due: datetime | None
    mode: str | None
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inputs:
    """All of it. `left_out`: tickets that wait beyond those that are planned at once."""

    policy: Policy
    waiting: Sequence[OpenTicket]
    engaged: Sequence[OpenTicket]
    engineers: Sequence[Mapping[str, Any]]
    vans: Sequence[tuple[str, str]]
    left_out: int

    @property
    def digest(self) -> bytes:
        """The same for the same inputs, whenever they are read."""
        return hashlib.sha256(repr(self).encode()).digest()


def read(conn: Session, tenant: str, now: datetime) -> Inputs:
    """What there is to plan with."""
    of = {"tenant": tenant, "probable": PROBABLE, "today": now.astimezone(UTC).date()}
    with conn.cursor(row_factory=class_row(OpenTicket)) as cursor:
        waiting = cursor.execute(
            _SQL["open_tickets"], {**of, "states": sorted(WAITING), "limit": MOST_AT_ONCE}
        ).fetchall()
        engaged = cursor.execute(
            _SQL["open_tickets"], {**of, "states": sorted(QUEUED | IN_HAND), "limit": _MOST_ENGAGED}
        ).fetchall()
    with conn.cursor(row_factory=dict_row) as cursor:
        engineers = cursor.execute(_SQL["who_can_go"], of).fetchall()
    vans = conn.execute(_SQL["in_vans"], of).fetchall()
    row = conn.execute(_SQL["policy"], of).fetchone()
    (count,) = conn.execute(_SQL["waiting"], {**of, "states": sorted(WAITING)}).fetchall()[0]
    return Inputs(Policy(*row) if row else HOUSE, waiting, engaged, engineers, vans, count - len(waiting))


def batch_of(inputs: Inputs, skills: Mapping[str, Sequence[str]], now: datetime) -> Batch:
    """The same as a plan sees it, in minutes from now. `skills`: by failure mode, those of its procedure."""
    jobs = [_job(ticket, inputs.policy, skills, now) for ticket in inputs.waiting]
    return Batch(jobs, [_engineer(row, inputs, skills, now) for row in inputs.engineers])


def calendars(inputs: Inputs) -> dict[str, Calendar]:
    """Whose wall clock shows what, by login."""
    return {row["login"]: calendar_of(row["shifts"]) for row in inputs.engineers}


def _job(ticket: OpenTicket, policy: Policy, skills: Mapping[str, Sequence[str]], now: datetime) -> Job:
    remote = ticket.nature == Nature.SOFTWARE
    return Job(
        str(ticket.id),
        Priority(ticket.priority),
        (ticket.opened_at - now) / _MINUTE,
        float(policy.remote_min if remote else policy.visit_min),
        _place(ticket.latitude, ticket.longitude),
        frozenset() if remote else frozenset(one.casefold() for one in skills.get(ticket.mode or "", ())),
        None if ticket.on_site_due is None else (ticket.on_site_due - now) / _MINUTE,
        None if ticket.done_due is None else (ticket.done_due - now) / _MINUTE,
        frozenset(ticket.parts),
        {number: login for number, login in ticket.parts.items() if login},
        remote,
    )


def _engineer(row: Mapping[str, Any], inputs: Inputs, skills: Mapping[str, Sequence[str]], now: datetime) -> Engineer:
    """What somebody has in hand comes first; what is queued may be put behind something worse."""
    own = [ticket for ticket in inputs.engaged if ticket.assignee == row["login"]]
    in_hand = sorted((t for t in own if t.state in IN_HAND), key=lambda t: t.updated_at)
    queue = [_job(t, inputs.policy, skills, now) for t in own if t.state in QUEUED]
    shifts = shifts_by(calendar_of(row["shifts"]), now, HORIZON_DAYS)
    left = sum(_left_min(ticket, inputs.policy, now) for ticket in in_hand)
    place = _place(in_hand[-1].latitude, in_hand[-1].longitude) if in_hand else None
    return Engineer(
        row["login"],
        row["name"],
        shifts,
        max(row["most"] - len(own), 0),
        place or _place(row["latitude"], row["longitude"]),
        frozenset(skill.casefold() for skill in row["skills"]),
        row["speed_km_h"],
        shifts.moment(shifts.worked_at(0.0) + left) if left and shifts.any_after(0.0) else 0.0,
        frozenset(number for engineer, number in inputs.vans if engineer == row["login"]),
        row["remote"],
        tuple(queue),
    )


def _left_min(ticket: OpenTicket, policy: Policy, now: datetime) -> float:
    whole = policy.remote_min if ticket.nature == Nature.SOFTWARE else policy.visit_min
    return max(whole - (now - ticket.updated_at) / _MINUTE, _LEAST_LEFT_MIN)


def _place(latitude: float | None, longitude: float | None) -> Place | None:
    return None if latitude is None or longitude is None else Place(latitude, longitude)
