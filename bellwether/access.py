"""The first administrator of a tenant: made once, with a password that was generated, never a default."""

from __future__ import annotations

from contextlib import suppress

from alarms.roles import Role
from api.access.auth import key_hash
from api.access.passwords import hash_password
from store import access
from store.connection import Session
from store.errors import Conflict


def ensure_administrator(conn: Session, tenant: str, login: str, password: str, key: str | None = None) -> None:
    """Let an administrator in, by a password and, where given, an API key; one that is there stays as it is."""
    with suppress(Conflict):
        access.create_user(
            conn,
            tenant,
            login=login,
            name="Administrator",
            role=Role.ADMINISTRATOR,
            password_hash=hash_password(password),
        )
    if key is not None and access.key_holder(conn, key_hash(key)) is None:
        access.create_key(
            conn, tenant, name="stack", role=Role.ADMINISTRATOR, key_hash=key_hash(key), who=login, expires_at=None
        )
