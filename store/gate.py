"""The gate between credentials and the broker: what it must tell the broker, what it has told, and how it fares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from psycopg.rows import class_row

from store.connection import Session
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("gate")

# Low: somebody must go to the machine at once. High: it is said for so long that nobody looks any more.
ENDING_WITHIN = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class GateNow:
    """What names of credentials begin with, and how to seal for the gate: None where there never was one."""

    prefix: str
    public_key: bytes | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A credential that the broker must be told of."""

    id: UUID
    tenant: str
    device: str | None
    kind: str
    username: str
    publishes: list[str]
    subscribes: list[str]
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class Glance:
    """The gate and the credentials of all tenants; `gate_age_s` is None where there never was a gate."""

    gate_age_s: float | None
    lost: int
    ending: int


def hold_gate(conn: Session) -> bool:
    """Whether this session is the only gate of the database; if so, it stays so until the session ends."""
    row = conn.execute(_SQL["hold_gate"]).fetchone()
    return row is not None and bool(row[0])


def open_gate(conn: Session, public_key: bytes) -> str:
    """Say how to seal for this gate; what names of its credentials begin with."""
    return str(conn.execute(_SQL["open_gate"], [public_key]).fetchall()[0][0])


def gate_lives(conn: Session) -> None:
    """A sign of life."""
    conn.execute(_SQL["gate_lives"])


def to_apply(conn: Session, limit: int) -> list[Waiting]:
    """Credentials that the broker must learn, the oldest first; theirs until the transaction ends."""
    with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(_SQL["to_apply"], [limit]).fetchall()


def to_remove(conn: Session, limit: int) -> list[tuple[UUID, str]]:
    """Ids and usernames of credentials that are over and that the broker may still know."""
    return [(credential_id, username) for credential_id, username in conn.execute(_SQL["to_remove"], [limit])]


def note_applied(conn: Session, ids: Sequence[UUID]) -> None:
    """The broker knows these."""
    conn.execute(_SQL["note_applied"], [list(ids)])


def note_removed(conn: Session, ids: Sequence[UUID]) -> None:
    """The broker does not know these any more, and has closed their connections."""
    conn.execute(_SQL["note_removed"], [list(ids)])


def note_missing(conn: Session, usernames: Sequence[str]) -> None:
    """The broker has forgotten these, or cannot be told of them."""
    conn.execute(_SQL["note_missing"], [list(usernames)])


def note_found(conn: Session, usernames: Sequence[str]) -> None:
    """The broker knows these, whatever was noted."""
    conn.execute(_SQL["note_found"], [list(usernames)])


def standing(conn: Session) -> set[str]:
    """Usernames that the broker must know."""
    return {username for (username,) in conn.execute(_SQL["standing"])}


def gate(conn: Transaction) -> GateNow:
    """The gate, if there is one."""
    with conn.cursor(row_factory=class_row(GateNow)) as cursor:
        return cursor.execute(_SQL["gate"]).fetchall()[0]


def glance(conn: Session) -> Glance | None:
    """How the gate fares, and which credentials need somebody; None where this role may not look."""
    if not conn.execute(_SQL["may_look"]).fetchall()[0][0]:
        return None
    return Glance(*conn.execute(_SQL["glance"], {"soon": ENDING_WITHIN}).fetchall()[0])
