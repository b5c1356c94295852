"""Trials of rules as they are asked for, wait and are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from alarms.rules import Rule, rule_to_json
from alarms.trials import content_of
from store.connection import Session
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("trials")
# One whose runner said nothing more for so long is begun again: a trial takes seconds, a large one minutes.
_LOST = timedelta(minutes=15)
# What was found so long ago says little of the machines of today.
WORTH = timedelta(days=14)
# A rule is accepted by a trial of so many days, or of more.
LEAST_DAYS = 7


@dataclass(frozen=True, slots=True)
class KeptTrial:
    """A trial, and what came of it once it is `done`. `devices` None: all that the rule covers."""

    id: UUID
    tenant: str
    rule_id: str
    content: str
    rule: Mapping[str, Any]
    days: int
    devices: Sequence[str] | None
    people: int
    engineers: int
    state: str
    asked_at: datetime
    asked_by: str
    done_at: datetime | None
    fits: bool | None
    result: Mapping[str, Any] | None
    failure: str


def ask(
    conn: Transaction, tenant: str, rule: Rule, *, days: int, devices: Sequence[str] | None, who: str, now: datetime
) -> KeptTrial:
    """Let a trial wait."""
    people, engineers = people_of(conn, tenant)
    row = conn.execute(
        _SQL["ask"],
        {
            "tenant": tenant,
            "rule_id": rule.id,
            "content": content_of(rule),
            "rule": Jsonb(rule_to_json(rule)),
            "days": days,
            "devices": None if devices is None else list(devices),
            "people": people,
            "engineers": engineers,
            "now": now,
            "who": who,
        },
    ).fetchone()
    assert row is not None  # noqa: S101 - RETURNING of an insert
    return trial(conn, row[0])


def people_of(conn: Session, tenant: str) -> tuple[int, int]:
    """How many deal with alarms, and how many of them are engineers."""
    row = conn.execute(_SQL["people"], {"tenant": tenant}).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def trial(conn: Session, trial_id: UUID) -> KeptTrial:
    """One of them, or NotFound."""
    with conn.cursor(row_factory=class_row(KeptTrial)) as cursor:
        found = cursor.execute(_SQL["trial"], {"id": trial_id}).fetchone()
    if found is None:
        raise NotFound(f"there is no trial {trial_id}")
    return found


def trials(
    conn: Transaction, *, rule_id: str | None, limit: int, after: tuple[datetime, UUID] | None = None
) -> list[KeptTrial]:
    """The newest first."""
    after_time, after_id = after or (None, None)
    asked = {"rule_id": rule_id, "limit": limit, "after_time": after_time, "after_id": after_id}
    with conn.cursor(row_factory=class_row(KeptTrial)) as cursor:
        return cursor.execute(_SQL["trials"], asked).fetchall()


def latest_of_rules(conn: Transaction) -> dict[str, KeptTrial]:
    """The newest trial of each rule, by the rule's id."""
    with conn.cursor(row_factory=class_row(KeptTrial)) as cursor:
        return {found.rule_id: found for found in cursor.execute(_SQL["latest_of_rules"])}


def latest_of(conn: Transaction, tenant: str, rule: Rule, now: datetime) -> KeptTrial | None:
    """The newest trial by which this very rule may be accepted, or refused."""
    asked = {"tenant": tenant, "content": content_of(rule), "days": LEAST_DAYS, "since": now - WORTH}
    with conn.cursor(row_factory=class_row(KeptTrial)) as cursor:
        return cursor.execute(_SQL["latest_of_content"], asked).fetchone()


def begin(conn: Session, now: datetime) -> tuple[UUID, int] | None:
    """The trial that has waited longest, and how often it was begun; None where none waits."""
    row = conn.execute(_SQL["begin"], {"now": now, "lost": _LOST}).fetchone()
    return (row[0], row[1]) if row else None


def done(conn: Session, trial_id: UUID, *, fits: bool, result: Mapping[str, Any], now: datetime) -> None:
    """Keep what came of it."""
    kept = Jsonb(dict(result), dumps=orjson.dumps)
    conn.execute(_SQL["done"], {"id": trial_id, "fits": fits, "result": kept, "now": now})


def failed(conn: Session, trial_id: UUID, failure: str, now: datetime) -> None:
    """It cannot be, and why."""
    conn.execute(_SQL["failed"], {"id": trial_id, "failure": failure, "now": now})
