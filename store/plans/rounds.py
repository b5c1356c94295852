"""How machines stand to plans, looked at by `notify`: what was used since, what is due, and the parcel that opens the
ticket for it.

A machine and plan is one transaction under a lock. What falls due gets the next number of its plan and machine, and a
parcel whose key is made of them: who is killed in between has done neither, and who looks at the same time waits for
nothing and finds it done. The ticket itself is the API's to open (`store.plans.openings`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from psycopg.rows import dict_row

from store.connection import Session
from store.queries import queries
from tickets.calendar import Calendar
from tickets.plans import (
    HEALTH,
    RISK_WITHIN,
    Beyond,
    Count,
    Due,
    Of,
    Recurrence,
    Risk,
    Standing,
    Trigger,
    Use,
    ahead,
    beyond_for,
    counted,
    due,
    put_off,
    times_after,
    trigger_of,
)
from tickets.terms import HOUSE_TERMS, terms_of

_SQL = queries("plan_rounds")

# Readings are rolled up and health is told by the hour: looking sooner would find the same.
LOOK_EVERY = timedelta(hours=1)
# A date needs no look before it comes, but the calendar may change.
_LOOK_AT_LEAST = timedelta(days=1)
# Of a condition so much of the past is asked for. Too low: a machine that runs once a week never counts up.
_PAST = timedelta(days=60)
_PACE = timedelta(days=28)
_AGAIN = timedelta(hours=1)
_EVENTS = UUID("5f2f5b3e-6c0c-5d5e-9d52-0b4f7e2f8c41")
_HOURS_IN = {"s": 1 / 3600, "min": 1 / 60, "h": 1.0, "d": 24.0}


@dataclass(frozen=True, slots=True)
class Turn:
    """A machine whose turn it is by a plan."""

    plan: UUID
    device: int
    tenant: str


def turns(conn: Session, now: datetime, limit: int) -> list[Turn]:
    """Machines whose turn it is, those that were never looked at first."""
    return [Turn(*row) for row in conn.execute(_SQL["to_look"], {"now": now, "limit": limit}).fetchall()]


def look(conn: Session, turn: Turn, now: datetime) -> str:
    """See how a machine stands to a plan; the outcome where something fell due: `opening` or `put_off`.

    The connection must be inside a transaction.
    """
    of = {"plan": turn.plan, "device": turn.device}
    conn.execute(_SQL["begin"], of | {"now": now})
    with conn.cursor(row_factory=dict_row) as cursor:
        kept = cursor.execute(_SQL["lock"], of).fetchone()
    if kept is None:
        return ""
    trigger, calendar = trigger_of(kept["trigger"]), calendar_of(conn, turn.tenant)
    (done_at, cancelled_at, is_open) = conn.execute(_SQL["ended"], of).fetchall()[0]
    kept = _since_done(conn, kept, trigger, of, done_at)
    ended_at = max((at for at in (done_at, cancelled_at) if at is not None), default=None)
    standing = _standing(conn, kept, trigger, of, ended_at, now)
    health = _health(conn, kept, of, now)
    found = None
    if not (isinstance(trigger, Beyond | Risk) and is_open):
        found = due(trigger, standing, calendar, now, timedelta(days=kept["lead_days"]))
    outcome = ""
    if found is not None:
        reason = put_off(trigger, kept["healthy_from"], kept["put_off_most"], kept["in_a_row"], health)
        outcome = _fall_due(conn, turn, found, reason, now)
        kept["in_a_row"] = kept["in_a_row"] + 1 if reason else 0
        standing = replace(standing, times=times_after(trigger, standing), taken=max(found.at, standing.taken))
    _keep(conn, of, kept, trigger, standing, health, calendar, now)
    return outcome


def postpone(conn: Session, turn: Turn, now: datetime) -> None:
    """Look at one later that could not be looked at."""
    of = {"plan": turn.plan, "device": turn.device}
    conn.execute(_SQL["begin"], of | {"now": now})
    conn.execute(_SQL["postpone"], of | {"now": now, "look_at": now + _AGAIN})


def calendar_of(conn: Session, tenant: str) -> Calendar:
    """The calendar of a tenant, for who sees all of them."""
    row = conn.execute(_SQL["terms"], {"tenant": tenant}).fetchone()
    return (terms_of(row[0], row[1]) if row else HOUSE_TERMS).calendar


def _fall_due(conn: Session, turn: Turn, found: Due, reason: str, now: datetime) -> str:
    of = {"plan": turn.plan, "device": turn.device}
    outcome = "put_off" if reason else "opening"
    said = {"tenant": turn.tenant, "now": now, "due_at": found.at, "why": reason or found.why, "outcome": outcome}
    (number,) = conn.execute(_SQL["fell_due"], of | said).fetchall()[0]
    if not reason:
        event = uuid5(_EVENTS, f"{turn.plan}/{turn.device}/{number}")
        conn.execute(_SQL["send"], of | {"event": event, "number": number})
    return outcome


def _since_done(
    conn: Session, kept: dict[str, Any], trigger: Trigger, of: Mapping[str, Any], done_at: datetime | None
) -> dict[str, Any]:
    """What is kept of a machine, counted from when its work was done last; from nothing where another thing counts."""
    counts = _counts(trigger)
    if counts != kept["counts"]:
        kept |= {
            "counts": counts,
            "times": 0,
            "in_a_row": 0,
            "shown": None,
            "used": 0.0,
            "per_day": 0.0,
            "known_days": 0.0,
        }
        kept |= {"counted_at": kept["since"] - _PACE}
        if isinstance(trigger, Use) and trigger.point:  # how fast it is used is told by what was before the plan
            kept |= _fields(_counted(conn, trigger, _count(kept), of, kept["since"])) | {"used": 0.0}
    if done_at is None or done_at <= kept["since"]:
        return kept
    kept |= {"since": done_at, "times": 0, "in_a_row": 0}
    if isinstance(trigger, Use) and trigger.point and kept["counted_at"] < done_at:
        kept |= _fields(_counted(conn, trigger, _count(kept), of, done_at))
    elif kept["counted_at"] > done_at:
        kept |= {"counted_at": done_at - LOOK_EVERY, "shown": None}
    return kept | {"used": 0.0}


def _standing(
    conn: Session,
    kept: Mapping[str, Any],
    trigger: Trigger,
    of: Mapping[str, Any],
    ended_at: datetime | None,
    now: datetime,
) -> Standing:
    standing = Standing(taken=kept["taken"], times=kept["times"])
    match trigger:
        case Recurrence():
            return standing
        case Use():
            return replace(standing, count=_counted(conn, trigger, _count(kept), of, now))
        case Beyond():
            since = max(now - _PAST, ended_at) if ended_at else now - _PAST
            name = "hours_of_health" if trigger.point == HEALTH else "hours_of_point"
            hours = conn.execute(_SQL[name], {**of, "point": trigger.point, "since": since, "now": now}).fetchall()
            return replace(standing, beyond_h=beyond_for(trigger, hours, now))
        case Risk():
            row = conn.execute(_SQL["risk"], {**of, "now": now}).fetchone()
            if ended_at is not None and now < ended_at + RISK_WITHIN:
                return replace(standing, silent="it is asked again 30 days after the last ticket ended")
            return standing if row is None else replace(standing, p_fail=row[0], fails_by=row[1], silent=row[2])


def _counted(conn: Session, use: Use, count: Count, of: Mapping[str, Any], until: datetime) -> Count:
    if not use.point:
        row = conn.execute(_SQL["shown_by_modes"], {**of, "now": until}).fetchone()
        shown = [] if row is None else [(until, row[0 if use.of is Of.HOURS else 1])]
        return counted(use, count, [(at, float(value)) for at, value in shown if value is not None])
    rows = conn.execute(_SQL["shown_by_point"], {**of, "point": use.point, "since": count.at, "now": until}).fetchall()
    per = _HOURS_IN.get(rows[0][2], 1.0) if rows and use.of is Of.HOURS else 1.0
    ends = None if use.rolls_over_at is None else use.rolls_over_at * per
    return counted(replace(use, rolls_over_at=ends), count, [(at, value * per) for at, value, _ in rows])


def _health(conn: Session, kept: Mapping[str, Any], of: Mapping[str, Any], now: datetime) -> float | None:
    if kept["healthy_from"] is None:
        return None
    row = conn.execute(_SQL["health"], {**of, "now": now}).fetchone()
    return None if row is None else float(row[0])


def _keep(
    conn: Session,
    of: Mapping[str, Any],
    kept: Mapping[str, Any],
    trigger: Trigger,
    standing: Standing,
    health: float | None,
    calendar: Calendar,
    now: datetime,
) -> None:
    conn.execute(
        _SQL["keep"],
        {
            **of,
            **{name: kept[name] for name in ("since", "in_a_row", "counts")},
            **_fields(standing.count or _count(kept)),
            "now": now,
            "look_at": _look_at(trigger, standing, calendar, now, timedelta(days=kept["lead_days"])),
            "times": standing.times,
            "taken": standing.taken,
            "beyond_h": standing.beyond_h,
            "p_fail": standing.p_fail,
            "fails_by": standing.fails_by,
            "silent": standing.silent,
            "health": health,
        },
    )


def _look_at(trigger: Trigger, standing: Standing, calendar: Calendar, now: datetime, lead: timedelta) -> datetime:
    if not isinstance(trigger, Recurrence):
        return now + LOOK_EVERY
    soon: Sequence[Due] = [*ahead(trigger, standing, calendar, now, now + lead + _LOOK_AT_LEAST)][:1]
    return max(soon[0].at - lead, now) if soon else now + _LOOK_AT_LEAST


def _counts(trigger: Trigger) -> str:
    """What of a machine a trigger counts: another thing begins at nothing."""
    return f"{trigger.of} {trigger.point}".strip() if isinstance(trigger, Use) else type(trigger).__name__.lower()


def _count(kept: Mapping[str, Any]) -> Count:
    return Count(kept["counted_at"], kept["shown"], kept["used"], kept["per_day"], kept["known_days"])


def _fields(count: Count) -> dict[str, Any]:
    return {
        "counted_at": count.at,
        "shown": count.shown,
        "used": count.used,
        "per_day": count.per_day,
        "known_days": count.known_days,
    }
