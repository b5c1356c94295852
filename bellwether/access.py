"""The first administrator of a tenant: made once, with a password that was generated, never a default."""

from __future__ import annotations

from api.passwords import hash_password
from store import access
from store.connection import Session
from store.errors import Conflict
from tickets.roles import Role


def ensure_administrator(conn: Session, tenant: str, login: str, password: str, token: str | None = None) -> None:
    """Let an administrator in, by a password and, where given, an API key; one that is there stays as it is."""
    try:
        access.create_user(
            conn,
            tenant,
            login=login,
            name="Administrator",
            role=Role.ADMINISTRATOR,
            password_hash=hash_password(password),
        )
    except Conflict:
        pass
    if token is not None:
        access.ensure_key(conn, tenant, name="stack", role=Role.ADMINISTRATOR, key=token, created_by=login)
