"""A tenant's own procedures, beside those of the fault library: every change a new version, and the latest holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from prognosis.procedures import Procedure, Step, step_of
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction
from tickets.steps import Kind

_SQL = queries("procedures")

MOST = 2000
"""A tenant's own. Too high: a program that writes one for each machine fills the list that is chosen from."""


@dataclass(frozen=True, slots=True)
class OwnProcedure:
    """One version. An empty fault is any, an empty model any; without steps it was taken back."""

    kind: str
    fault: str
    model: str
    version: int
    name: str
    skills: Sequence[str]
    steps: Sequence[Mapping[str, Any]]
    reason: str
    changed_at: datetime
    changed_by: str

    @property
    def place(self) -> str:
        """Where it stands in the order of all."""
        return f"{self.kind}:{self.fault}:{self.model}"

    @property
    def id(self) -> str:
        """What it is chosen by: never that of one of the library."""
        return f"own:{self.place}"

    @property
    def procedure(self) -> Procedure:
        return Procedure(self.id, self.name, tuple(self.skills), tuple(step_of(dict(step)) for step in self.steps))


def procedures(
    conn: Transaction,
    *,
    limit: int,
    after: str | None = None,
    kind: Kind | None = None,
    model: str | None = None,
    taken_back: bool = False,
) -> list[OwnProcedure]:
    """Those that hold, or that were `taken_back`, in order of `place`, beginning after one; of a `model`, those for any
    model too."""
    asked = {"limit": limit, "after": after, "kind": kind, "model": model, "taken_back": taken_back}
    with conn.cursor(row_factory=class_row(OwnProcedure)) as cursor:
        return cursor.execute(_SQL["procedures"], asked).fetchall()


def versions(
    conn: Transaction, kind: Kind, fault: str, model: str, *, limit: int, before: int | None = None
) -> list[OwnProcedure]:
    """What one has been, newest first."""
    asked = {"kind": kind, "fault": fault, "model": model, "limit": limit, "before": before}
    with conn.cursor(row_factory=class_row(OwnProcedure)) as cursor:
        return cursor.execute(_SQL["versions"], asked).fetchall()


def best(conn: Transaction, kind: Kind, faults: Sequence[str], model: str) -> OwnProcedure | None:
    """The one for the first of these faults that there is one for; for the model before for any."""
    with conn.cursor(row_factory=class_row(OwnProcedure)) as cursor:
        return cursor.execute(_SQL["best"], {"kind": kind, "faults": list(faults), "model": model}).fetchone()


def write(
    conn: Transaction,
    tenant: str,
    *,
    kind: Kind,
    fault: str,
    model: str,
    name: str,
    skills: Sequence[str],
    steps: Sequence[Step],
    seen_version: int,
    reason: str,
    who: str,
    now: datetime,
) -> OwnProcedure:
    """Add the next version; tickets that work by an earlier one keep it.

    Raises
    ------
    NotFound
        A step's picture is not kept.
    Conflict
        The latest version is not the one that the author has seen, or there are too many.
    """
    shown = {"wanted": [step.picture for step in steps if step.picture]}
    if (row := conn.execute(_SQL["unknown_pictures"], shown).fetchone()) is not None:
        raise NotFound(f"there is no picture {row[0]}: send it first")
    if seen_version == 0 and int(conn.execute(_SQL["count_procedures"]).fetchall()[0][0]) >= MOST:
        raise Conflict(f"there are {MOST} procedures already")
    said = {"tenant": tenant, "kind": kind, "fault": fault, "model": model, "seen": seen_version, "name": name}
    said |= {"skills": list(skills), "steps": Jsonb([asdict(step) for step in steps])}
    said |= {"reason": reason, "now": now, "who": who}
    if conn.execute(_SQL["add_version"], said).fetchone() is None:
        raise Conflict(f"this procedure is not at version {seen_version}: read it again")
    return versions(conn, kind, fault, model, limit=1)[0]


def models(conn: Transaction, limit: int) -> list[str]:
    """The models of the machines that there are."""
    return [name for (name,) in conn.execute(_SQL["models"], {"limit": limit}).fetchall()]
