"""Models: what detectors have learnt of each machine, by version, from the asking to the end.

Asked for by people and by the clock, made by `notify`, taken over by
`ingest`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from alarms.challengers import Trial, trial_from_json
from detectors.traits import TRAINED
from store.connection import Session
from store.errors import Conflict, NotFound
from store.learnt import hash_of
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("models")


@dataclass(frozen=True, slots=True)
class Model:
    """One version of what was learnt of a machine. `kept`: it can be come back to."""

    id: UUID
    device: str
    version: int
    state: str
    asked_at: datetime
    asked_by: str
    made_at: datetime | None
    learnt_from: datetime | None
    learnt_until: datetime | None
    learnt_days: float | None
    readings: int | None
    code: str
    settings: str
    hash: str
    trial: Mapping[str, Any] | None
    reason: str
    promoted_at: datetime | None
    taken_at: datetime | None
    ended_at: datetime | None
    ended_by: str
    kept: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """A training under way; `attempts` counts this one."""

    id: UUID
    tenant: str
    device_id: int
    device: str
    version: int
    attempts: int


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What a training made of a machine, and how it was. Hashes are hexadecimal SHA-256."""

    learnt_from: datetime | None = None
    learnt_until: datetime | None = None
    learnt_days: float = 0.0
    readings: int = 0
    code: str = ""
    settings: str = ""
    arrays: bytes = b""
    trial: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Untaken:
    """A champion that ingest has yet to take over."""

    id: UUID
    device_id: int
    hash: str
    arrays: bytes | None
    replaces: UUID | None


@dataclass(frozen=True, slots=True)
class Promise:
    """How a champion keeps what its trial promised: false alarms in so many days of watching."""

    id: UUID
    trial: Trial
    days: float
    in_vain: int


# What people see and ask for -----------------------------------------------------------------------------------------


def models(
    conn: Transaction, limit: int, device: str | None = None, after: tuple[datetime, UUID] | None = None
) -> list[Model]:
    """The newest models, of one device or of all; from the one after the last of the page before."""
    at, number = after or (None, None)
    asked = {"device": device, "id": None, "at": at, "after": number, "limit": limit}
    with conn.cursor(row_factory=class_row(Model)) as cursor:
        return cursor.execute(_SQL["models"], asked).fetchall()


def model(conn: Transaction, model_id: UUID) -> Model:
    """One model, or NotFound."""
    with conn.cursor(row_factory=class_row(Model)) as cursor:
        asked = {"device": None, "id": model_id, "at": None, "after": None, "limit": 1}
        found = cursor.execute(_SQL["models"], asked).fetchone()
    if found is None:
        raise NotFound(f"there is no model {model_id}")
    return found


def ask(conn: Transaction, device: str, who: str) -> Model:
    """Have a machine trained: the model that will come of it, or of an earlier asking that waits still.

    Raises
    ------
    NotFound
        There is no such machine in service.
    """
    conn.execute(_SQL["ask"], {"device": device, "who": who})
    found = conn.execute(_SQL["waiting_of"], {"device": device}).fetchone()
    if found is None:
        raise NotFound(f"there is no device {device} in service")
    return model(conn, found[0])


def roll_back(conn: Transaction, model_id: UUID, reason: str, who: str) -> None:
    """End a champion and have ingest take over what was before it.

    Raises
    ------
    NotFound
        There is no such model.
    Conflict
        It is not the champion, or what was before it is not kept.
    """
    found = conn.execute(_SQL["to_roll_back"], {"id": model_id}).fetchone()
    if found is None:
        raise NotFound(f"there is no model {model_id}")
    state, former, kept = found
    if state != "champion":
        raise Conflict(f"it is {state}: only the champion can be rolled back")
    if former is None or not kept:
        raise Conflict("what was before it is not kept")
    conn.execute(_SQL["end_champion"], {"id": model_id, "state": "rolled_back", "reason": reason, "who": who})
    conn.execute(_SQL["reinstate"], {"id": former, "taken": False})


# The trainer's -------------------------------------------------------------------------------------------------------


def schedule(conn: Session, every: timedelta, limit: int) -> int:
    """Ask for the machines whose training is due; returns how many."""
    return conn.execute(_SQL["schedule"], {"every": every, "limit": limit}).rowcount


def begin(conn: Session, limit: int) -> Begun | None:
    """The next training for this session alone; None where nothing waits that nobody is at.

    The machine is this session's until `let_go`, or until the session ends. The connection is in autocommit.
    """
    for number, machine in conn.execute(_SQL["waiting"], {"limit": limit}).fetchall():
        held = conn.execute(_SQL["hold"], {"machine": machine}).fetchone()
        if held is None or not held[0]:
            continue
        with conn.cursor(row_factory=class_row(Begun)) as cursor:
            begun = cursor.execute(_SQL["begin"], {"id": number}).fetchone()
        if begun is not None:
            return begun
        let_go(conn, machine)
    return None


def waits(conn: Session) -> bool:
    """Whether any training waits, or was begun."""
    return conn.execute(_SQL["waiting"], {"limit": 1}).fetchone() is not None


def let_go(conn: Session, machine: int) -> None:
    """The machine is for others to train."""
    conn.execute(_SQL["let_go"], {"machine": machine})


def champion_days(conn: Session, machine: int) -> float:
    """The healthy days that a machine's champion has learnt from; 0 where no training made it."""
    found = conn.execute(_SQL["champion"], {"machine": machine}).fetchone()
    return float(found[2] or 0.0) if found else 0.0


def undecided(conn: Session, machine: int) -> bool:
    """Whether a machine has an open ticket of a fault."""
    found = conn.execute(_SQL["undecided"], {"machine": machine}).fetchone()
    return found is not None and bool(found[0])


def refuse(conn: Session, begun: Begun, made: Made, reason: str) -> None:
    """End a training without a change."""
    conn.execute(_SQL["refuse"], {**_fields(begun, made), "reason": reason})


def promote(conn: Session, begun: Begun, made: Made, former: bytes) -> None:
    """Make a challenger the champion. `former`: the machine's memory as ingest holds it until then.

    Needs a transaction of the caller's.
    """
    held = conn.execute(_SQL["champion"], {"machine": begun.device_id}).fetchone()
    kept = {"arrays": former, "hash": hash_of(former)}
    if held is None:
        row = conn.execute(_SQL["keep_first"], {"id": begun.id, **kept}).fetchone()
        former_id = row[0] if row else None
    else:
        former_id = held[0]
        conn.execute(_SQL["retire"], {"id": former_id, **kept})
    conn.execute(_SQL["promote"], {**_fields(begun, made), "former": former_id, "arrays": made.arrays})
    conn.execute(_SQL["forget"], {"machine": begun.device_id, "former": former_id})


def promises(conn: Session, watched: timedelta) -> list[Promise]:
    """The champions of the last `watched`, and how they keep what their trial promised."""
    found = conn.execute(_SQL["promised"], {"watched": watched, "trained": list(TRAINED)}).fetchall()
    return [
        Promise(number, trial_from_json(trial["challenger"]), days, in_vain) for number, trial, days, in_vain in found
    ]


def _fields(begun: Begun, made: Made) -> dict[str, Any]:
    return {
        "id": begun.id,
        "learnt_from": made.learnt_from,
        "learnt_until": made.learnt_until,
        "learnt_days": made.learnt_days,
        "readings": made.readings,
        "code": made.code,
        "settings": made.settings,
        "hash": hash_of(made.arrays) if made.arrays else "",
        "trial": None if made.trial is None else Jsonb(made.trial),
    }


# Ingest's ------------------------------------------------------------------------------------------------------------


def untaken(conn: Session, taken: Collection[UUID], limit: int) -> list[Untaken]:
    """Champions to be taken over, but for those that are and have not been noted yet."""
    with conn.cursor(row_factory=class_row(Untaken)) as cursor:
        return cursor.execute(_SQL["untaken"], {"taken": list(taken), "limit": limit}).fetchall()


def note_taken(conn: Session, ids: Iterable[UUID]) -> None:
    """These watch from now on: in the transaction that saves the detectors' memory with them in it."""
    conn.execute(_SQL["note_taken"], {"ids": list(ids)})


def cannot_take(conn: Session, unfit: Untaken, reason: str) -> None:
    """A champion that can't be put to use: what watches now is the champion again."""
    conn.execute(_SQL["end_champion"], {"id": unfit.id, "state": "refused", "reason": reason, "who": "ingest"})
    if unfit.replaces is not None:
        conn.execute(_SQL["reinstate"], {"id": unfit.replaces, "taken": True})
