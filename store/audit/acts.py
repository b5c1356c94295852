"""Acts as they are read, and the few that leave no row of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from store.connection import Session
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("audit")


@dataclass(frozen=True, slots=True)
class Act:
    """One act. Not sealed yet: no `seq`.

    `who` is whom `actor` means today, `whom` the login that `subject` means, if it is a person; `changes` the text of a
    JSON object.
    """

    id: int
    at: datetime
    actor: str
    who: str
    role: str
    network: str
    via: str
    route: str
    resource: str
    subject: str
    whom: str
    action: str
    changes: str
    seq: int | None
    hash: bytes | None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a tenant's chain. Kept elsewhere, it proves later that nothing before it was taken away or changed."""

    tenant: str
    seq: int
    hash: bytes


def page(
    conn: Transaction,
    *,
    limit: int,
    after: int | None = None,
    who: str | None = None,
    resource: str | None = None,
    subject: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Sequence[Act]:
    """Acts, newest first, beginning after the one of that id. `who`: a login, an API key's name, or an actor's id."""
    wanted = {"limit": limit, "after": after, "who": who, "resource": resource, "subject": subject}
    with conn.cursor(row_factory=class_row(Act)) as cursor:
        return cursor.execute(_SQL["page"], {**wanted, "start": start, "end": end}).fetchall()


def resources(conn: Transaction) -> list[str]:
    """What acts of the tenant are of."""
    return [name for (name,) in conn.execute(_SQL["resources"])]


def note(conn: Transaction, resource: str, subject: str, action: str) -> None:
    """Write an act that changes nothing in the tables: a sign-in, a look at somebody's data."""
    conn.execute(_SQL["note"], {"resource": resource, "subject": subject, "action": action})


def head(conn: Transaction, tenant: str) -> Head | None:
    """The end of the tenant's chain; None where nothing is sealed."""
    with conn.cursor(row_factory=class_row(Head)) as cursor:
        return cursor.execute(_SQL["head"], {"tenant": tenant}).fetchone()


def heads(conn: Session) -> Sequence[Head]:
    """The end of each chain."""
    found = (head(conn, tenant) for (tenant,) in conn.execute(_SQL["chains"]).fetchall())
    return [one for one in found if one is not None]
