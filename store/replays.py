"""Rejected messages that are played again: asked for by persons, played by ingest, and noted with what came of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.connection import Session
from store.queries import queries
from store.rejects import Which, asked_for, storable
from store.transactions import Transaction
from telemetry import microseconds


@dataclass(frozen=True, slots=True)
class Replay:
    """A message that somebody wants played again; without a topic it was forgotten meanwhile."""

    reject: int
    at: datetime
    tenant: str | None
    device: str | None
    topic: str | None
    payload: bytes | None
    content_type: str | None
    moment: datetime | None
    whole: bool
    alone: bool

    @property
    def is_there(self) -> bool:
        """Whether it is still there, and whole."""
        return self.topic is not None and self.whole

    @property
    def at_us(self) -> int:
        return microseconds(self.at)

    @property
    def moment_us(self) -> int:
        return microseconds(self.moment or self.at)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message that was played.

    Attributes
    ----------
    taken
        `stored` or `duplicate`; None where nothing was.
    still
        Why the rest, or all of it, was refused again.
    """

    replay: Replay
    taken: str | None
    still: Sequence[str]


def ask(conn: Transaction, which: Which, *, limit: int, who: str) -> int:
    """Have messages of the tenant's played again, the oldest first; returns how many it is.

    What is not kept whole, or was stored since, is left out.
    """
    row = conn.execute(queries("replays")["ask"], asked_for(which) | {"limit": limit, "who": who}).fetchone()
    return int(row[0]) if row else 0


def ask_of_all(conn: Session, which: Which, *, limit: int, who: str) -> int:
    """The same for the owner of the database."""
    row = conn.execute(queries("replays")["ask_of_all"], asked_for(which) | {"limit": limit, "who": who}).fetchone()
    return int(row[0]) if row else 0


def waiting(conn: Session) -> int:
    """How many messages wait to be played."""
    row = conn.execute(queries("replays")["waiting"]).fetchone()
    return int(row[0]) if row else 0


def due(conn: Session, limit: int) -> list[Replay]:
    """Messages to be played again, those asked for first at first."""
    with conn.cursor(row_factory=class_row(Replay)) as cursor:
        return cursor.execute(queries("replays")["due"], [limit]).fetchall()


def played(conn: Session, outcomes: Sequence[Outcome]) -> None:
    """Note what became of messages that were played, and ask for them no more."""
    if not outcomes:
        return
    sql = queries("replays")
    rows = [
        {
            "reject": one.replay.reject,
            "at": one.replay.at,
            "taken": one.taken,
            "still": [storable(reason) for reason in one.still],
        }
        for one in outcomes
    ]
    times = [one.replay.at for one in outcomes]
    conn.execute(sql["played"], {"rows": Jsonb(rows, dumps=orjson.dumps), "first": min(times), "last": max(times)})
    conn.execute(sql["done"], [[one.replay.reject for one in outcomes]])
