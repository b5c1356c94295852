"""Prognoses as they are kept: what is known of a kind of machine, what is said of each by the hour, how it changed.

What `notify` writes, over all tenants, and what the API shows under its caller's. A kind is of one tenant: what fails
at another's plant teaches nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from psycopg.rows import class_row

from prognosis.ages import Lives
from prognosis.health import HEALTHY_INDEX
from prognosis.outlook import Course, Failure, Fleet, Prognosis
from store.connection import Session
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction

# Probabilities of having failed, whose days are kept.
SHARES = (0.05, 0.1, 0.5, 0.9, 0.95)
# Wear is looked for in so much of the past.
_LONGEST_COURSE = timedelta(days=180)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_NO_FAILURE = Fleet((), Lives(np.empty(0), np.empty(0, bool)))

_SQL = queries("prognosis")


@dataclass(frozen=True, slots=True)
class Asked:
    """A machine whose normal is known. `repaired_at`: when it was repaired last, None if never."""

    tenant: str
    kind: str
    began_at: datetime
    repaired_at: datetime | None
    distrusted: Sequence[str]


@dataclass(frozen=True, slots=True)
class Kept:
    """What was said of a machine at the end of an hour; see the table `prognoses`."""

    hour: datetime
    abstains: str
    days: Sequence[float | None] | None
    p_fail_30: float | None
    by_wear: float | None
    by_age: float | None
    worst_point: str
    fails_at: float | None
    failures: int
    band: Sequence[Sequence[float]] | None


@dataclass(frozen=True, slots=True)
class Said:
    """What was said in an hour: days until it has failed as likely as not, None where none were; the probability."""

    hour: datetime
    days: float | None
    p_fail_30: float | None


def asked(conn: Session, machine: int, end: datetime) -> Asked | None:
    """A machine as of `end`; None while its normal is not known."""
    with conn.cursor(row_factory=class_row(Asked)) as cursor:
        return cursor.execute(_SQL["machine"], {"machine": machine, "end": end}).fetchone()


def course(conn: Session, machine: int, of: Asked, end: datetime) -> Course:
    """The health of a machine since it was repaired, up to `end`."""
    start = max(end - _LONGEST_COURSE, of.repaired_at or end - _LONGEST_COURSE)
    found = conn.execute(_SQL["course"], {"machine": machine, "start": start, "end": end}).fetchall()
    days = np.array([float(day) for day, _, _ in found])
    now = end.timestamp() / _DAY.total_seconds()
    return Course(
        days,
        np.array([float(measured) for _, measured, _ in found]),
        [point for _, _, point in found],
        now - (days[-1] + _HOUR / _DAY) if len(days) else (end - (of.repaired_at or of.began_at)) / _DAY,
        (end - (of.repaired_at or of.began_at)) / _DAY,
        of.repaired_at is not None,
        frozenset(of.distrusted),
    )


def fleet(conn: Session, tenant: str, kind: str, end: datetime) -> Fleet:
    """What a kind of machine has told so far. Machines whose kind nobody said are like no others."""
    if not kind:
        return _NO_FAILURE
    of = {"tenant": tenant, "kind": kind, "end": end, "well": HEALTHY_INDEX}
    failures, ended = [], list[tuple[int, datetime, datetime]]()
    for machine, opened_at, closed_at, health, worst_point, days in conn.execute(_SQL["failures"], of):
        seen = health is not None
        failures.append(Failure(float(health) if seen else np.nan, float(days or 0.0), worst_point or ""))
        ended.append((machine, opened_at, closed_at))
    lives: list[tuple[float, bool]] = []
    for machine, began_at, over_at in conn.execute(_SQL["lives"], of):
        begins = began_at
        for opened_at, closed_at in [(opened, closed) for each, opened, closed in ended if each == machine]:
            # A second ticket of a machine that is under repair is no second life.
            if opened_at > begins:
                lives.append(((opened_at - begins) / _DAY, True))
            begins = max(begins, closed_at)
        if over_at > begins:
            lives.append(((over_at - begins) / _DAY, False))
    return Fleet(failures, Lives(np.array([days for days, _ in lives]), np.array([f for _, f in lives], bool)))


def keep(conn: Session, machine: int, tenant: str, hour: datetime, said: Prognosis) -> None:
    """What is said of a machine at the end of an hour."""
    life = said.life
    days = [life.quantile(share) for share in SHARES] if life else None
    band = np.column_stack([life.band_days, life.band]).tolist() if life else None
    conn.execute(
        _SQL["keep"],
        {
            "machine": machine,
            "tenant": tenant,
            "hour": hour,
            "abstains": said.abstains,
            "days": [day if np.isfinite(day) else None for day in days] if days else None,
            "p_fail_30": said.p_fail,
            "by_wear": said.by_wear,
            "by_age": said.by_age,
            "worst_point": said.worst_point,
            "fails_at": life.level if life else None,
            "failures": said.failures,
            "band": band,
        },
    )


def latest(conn: Transaction, device: str, at: datetime) -> Kept | None:
    """What was said of a machine last, at or before a time; None where nothing was. NotFound: no such machine."""
    with conn.cursor(row_factory=class_row(Kept)) as cursor:
        return cursor.execute(_SQL["latest"], {"machine": _machine(conn, device), "at": at}).fetchone()


def between(conn: Transaction, device: str, start: datetime, end: datetime, bucket: timedelta) -> list[Said]:
    """What was said of a machine in [start, end): the last of each bucket."""
    of = {"machine": _machine(conn, device), "start": start, "end": end, "bucket": bucket}
    with conn.cursor(row_factory=class_row(Said)) as cursor:
        return cursor.execute(_SQL["between"], of).fetchall()


def at_opening(conn: Transaction, ticket: UUID) -> float | None:
    """The probability of failure within 30 days as it had been said when a ticket was opened; None where none had."""
    found = conn.execute(_SQL["before_ticket"], {"ticket": ticket}).fetchone()
    return found[0] if found else None


def _machine(conn: Transaction, device: str) -> int:
    found = conn.execute(_SQL["device_id"], {"device": device}).fetchone()
    if found is None:
        raise NotFound(f"there is no device {device}")
    return int(found[0])
