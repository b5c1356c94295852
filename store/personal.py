"""People's data: what is held about somebody who may sign in, and how it is taken out again.

The table `personal_places` says where: what is listed is what is erased.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("personal")


@dataclass(frozen=True, slots=True)
class Account:
    """What `users` holds of a person, beside the password's hash. `acts`: rows of the audit log by this id."""

    id: UUID
    login: str
    name: str
    role: str
    created_at: datetime
    password_at: datetime
    failed_logins: int
    locked_until: datetime | None
    disabled_at: datetime | None
    acts: int


@dataclass(frozen=True, slots=True)
class Trace:
    """One value that speaks of a person: where it stands, what for, and for how long."""

    table_name: str
    column_name: str
    what: str
    why: str
    how_long: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Held:
    """A place, and in how many of its rows a person is."""

    table_name: str
    column_name: str
    what: str
    why: str
    how_long: str
    rows: int


@dataclass(frozen=True, slots=True)
class Erased:
    """An erasure: what stands in the person's place now, and in how many rows of which table."""

    pseudonym: str
    rows: Mapping[str, int]


def account(conn: Transaction, login: str) -> Account:
    """Whose login this is in the tenant. NotFound where it is nobody's."""
    with conn.cursor(row_factory=class_row(Account)) as cursor:
        row = cursor.execute(_SQL["account_of"], {"login": login}).fetchone()
    if row is None:
        raise NotFound(f"there is no user {login}")
    return row


def traces(conn: Transaction, of: Account) -> Sequence[Trace]:
    """Every value that speaks of a person, place by place."""
    with conn.cursor(row_factory=class_row(Trace)) as cursor:
        return cursor.execute(_SQL["traces"], {"login": of.login, "names": [of.login, of.name]}).fetchall()


def mentions(conn: Transaction, names: Sequence[str]) -> Sequence[Trace]:
    """Every value in which one of these names stands as a word, place by place."""
    with conn.cursor(row_factory=class_row(Trace)) as cursor:
        return cursor.execute(_SQL["mentions"], {"names": list(names)}).fetchall()


def held(found: Iterable[Trace]) -> Sequence[Held]:
    """How many there are of each place."""
    places = Counter((one.table_name, one.column_name, one.what, one.why, one.how_long) for one in found)
    return [Held(*place, rows=rows) for place, rows in places.items()]


def erase(conn: Transaction, login: str, *, also: Sequence[str], note: str) -> Erased:
    """Put a pseudonym in a person's place, wherever they are named; the account opens nothing any more.

    Raises
    ------
    NotFound
        There is no such user, or they were erased before.
    Conflict
        Nobody would be left who may administer.
    """
    # Two administrators who erase each other at once wait here for one another.
    others = [who for (who,) in conn.execute(_SQL["lock_administrators"])]
    person = account(conn, login)
    if not [who for who in others if who != person.id] and person.role == "administrator":
        raise Conflict(f"{login} is the last administrator: make another first")
    pseudonym = f"erased-{secrets.token_hex(6)}"
    wanted = {"id": person.id, "names": [person.name, *also], "pseudonym": pseudonym, "note": note}
    return Erased(pseudonym, conn.execute(_SQL["erase"], wanted).fetchall()[0][0])
