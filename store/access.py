"""Who may come in: users, API keys, and the answers kept for requests that come twice.

Signing in is counted as failed before the password is looked at: a thousand guesses at once count as a thousand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from alarms.roles import Role
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("access")

# A person mistypes; a machine does not stop. After this many in a row the account rests for a minute, then for twice as
# long after each further failure, up to an hour: 30 guesses a day, and a person locked out is back within the hour.
FREE_FAILURES = 5
FIRST_REST_S = 60
LONGEST_REST_S = 3600


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in. `login` names them in tickets and events."""

    id: UUID
    login: str
    name: str
    role: str
    created_at: datetime
    disabled_at: datetime | None
    customer: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """What signing in needs to know."""

    id: UUID
    tenant: str
    login: str
    role: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose API key it is."""

    id: UUID
    tenant: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret, which nobody has but its owner."""

    id: UUID
    name: str
    role: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered the first time."""

    status: int
    body: Any


class KeyReused(Exception):
    """This Idempotency-Key came with another request before."""


def create_user(conn: Transaction, tenant: str, *, login: str, name: str, role: Role, password_hash: str) -> User:
    """Let somebody in. Conflict where the login is taken, in whatever tenant."""
    fields = {"tenant": tenant, "login": login, "name": name, "role": role, "password_hash": password_hash}
    with conn.cursor(row_factory=class_row(User)) as cursor:
        row = cursor.execute(_SQL["create_user"], fields).fetchone()
    if row is None:
        raise Conflict(f"the login {login} is taken")
    return row


def users(conn: Transaction, *, limit: int, after: str | None = None) -> list[User]:
    """Users by login, beginning after the one of that login."""
    with conn.cursor(row_factory=class_row(User)) as cursor:
        return cursor.execute(_SQL["users"], {"limit": limit, "after": after}).fetchall()


def change_user(
    conn: Transaction,
    user_id: UUID,
    *,
    name: str | None = None,
    role: Role | None = None,
    password_hash: str | None = None,
    disabled: bool | None = None,
    customer: str | None = None,
) -> User:
    """Change what is given; `customer`, a number, is whom an owner belongs to, empty for nobody. NotFound: no user."""
    if customer and conn.execute(_SQL["is_customer"], {"number": customer}).fetchone() is None:
        raise NotFound(f"there is no customer {customer}")
    fields = {"id": user_id, "name": name, "role": role, "password_hash": password_hash, "disabled": disabled}
    fields["customer"] = customer
    with conn.cursor(row_factory=class_row(User)) as cursor:
        row = cursor.execute(_SQL["change_user"], fields).fetchone()
    if row is None:
        raise NotFound(f"there is no user {user_id}")
    return row


def account(conn: Transaction, login: str) -> Account | None:
    """Whose login this is, in whatever tenant; None where it is nobody's."""
    with conn.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(_SQL["account"], {"login": login}).fetchone()


def begin_attempt(conn: Transaction, user_id: UUID) -> bool:
    """Count an attempt to sign in as failed, before it is made. False: the account rests, and no password helps."""
    limits = {"free": FREE_FAILURES, "rest": FIRST_REST_S, "longest_rest": LONGEST_REST_S}
    return conn.execute(_SQL["begin_attempt"], {"id": user_id, **limits}).fetchone() is not None


def forgive(conn: Transaction, user_id: UUID) -> None:
    """The attempt succeeded."""
    conn.execute(_SQL["forgive"], {"id": user_id})


def stands(conn: Transaction, user_id: UUID, role: str, issued_at_s: float) -> bool:
    """Whether a user still has this role, may sign in, and has the password of then."""
    row = conn.execute(_SQL["stands"], {"id": user_id, "role": role, "issued_at": issued_at_s}).fetchone()
    return row is not None and bool(row[0])


def narrow_to_own(conn: Transaction, owner_id: UUID | None) -> None:
    """Show no other customer's rows for the rest of the transaction; of none's for who belongs to none, or is a key."""
    conn.execute(_SQL["narrow_to_own"], {"id": owner_id})


def key_holder(conn: Transaction, key_hash: bytes) -> KeyHolder | None:
    """Whose key this is, in whatever tenant; None where it opens nothing (any more)."""
    with conn.cursor(row_factory=class_row(KeyHolder)) as cursor:
        return cursor.execute(_SQL["key_holder"], {"hash": key_hash}).fetchone()


def create_key(
    conn: Transaction, tenant: str, *, name: str, role: Role, key_hash: bytes, who: str, expires_at: datetime | None
) -> ApiKey:
    """Keep a new key's hash."""
    fields = {"tenant": tenant, "name": name, "role": role, "hash": key_hash, "who": who, "expires_at": expires_at}
    with conn.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(_SQL["create_key"], fields).fetchall()[0]


def keys(conn: Transaction, *, limit: int, after: tuple[datetime, UUID] | None = None) -> list[ApiKey]:
    """Keys, newest first, beginning after the (created_at, id) `after`; also those that open nothing any more."""
    after_at, after_id = after or (None, None)
    with conn.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(_SQL["keys"], {"limit": limit, "after_at": after_at, "after_id": after_id}).fetchall()


def revoke_key(conn: Transaction, key_id: UUID) -> ApiKey:
    """Let a key open nothing from now on. NotFound where there is none."""
    with conn.cursor(row_factory=class_row(ApiKey)) as cursor:
        row = cursor.execute(_SQL["revoke_key"], {"id": key_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no key {key_id}")
    return row


def earlier_answer(conn: Transaction, tenant: str, key: str, *, route: str, request_hash: bytes) -> Answer | None:
    """Claim an Idempotency-Key for this transaction. None: it is the first; else what the first was answered.

    Waits while the first is under way. If that fails, this one is the first.

    Raises
    ------
    KeyReused
        The first was another request.
    """
    fields = {"tenant": tenant, "key": key, "route": route, "hash": request_hash}
    if conn.execute(_SQL["claim"], fields).fetchone() is not None:
        return None
    earlier = conn.execute(_SQL["answer"], fields).fetchone()
    if earlier is None or earlier[:2] != (route, request_hash):
        raise KeyReused
    return Answer(earlier[2], earlier[3])


def keep_answer(conn: Transaction, tenant: str, key: str, status: int, body: Mapping[str, Any]) -> None:
    """Keep the answer for whoever asks again, in the transaction of what was done."""
    conn.execute(_SQL["keep_answer"], {"tenant": tenant, "key": key, "status": status, "body": Jsonb(body)})
