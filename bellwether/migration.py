"""`bellwether migrate`: the database brought up to date, for containers and for servers of one's own."""

from __future__ import annotations

from collections.abc import Callable

from bellwether.access import ensure_administrator
from bellwether.settings import Settings
from store.connection import connect, unavailable
from store.errors import Misconfigured
from store.migrate import migrate
from store.retention import compress_after
from telemetry import is_name

ADMINISTRATOR = "admin"


def run_migration(settings: Settings, say: Callable[[str], None]) -> None:
    """Apply what is missing; let the roles in whose passwords are set; make the tenants and the first administrator.

    Raises
    ------
    Misconfigured
        A tenant's name, or the database's refusal.
    Unavailable
        The database is away: start again, nothing was done by halves.
    """
    tenants = [name for name in (part.strip() for part in settings.tenants.split(",")) if name]
    for tenant in tenants:
        if not is_name(tenant):
            raise Misconfigured(f"BELLWETHER_TENANTS: {tenant} is no name of 1 to 64 of A-Z a-z 0-9 _ . -")
    passwords = {
        role: secret.get_secret_value()
        for role, secret in (
            ("ingest", settings.ingest_password),
            ("api", settings.api_password),
            ("notify", settings.notify_password),
        )
        if secret is not None
    }
    with unavailable(), connect(settings.need_database_url(), "migrate") as conn:
        conn.autocommit = True
        applied = migrate(conn, passwords, {tenant: tenant for tenant in tenants}, say)
        with conn.transaction():
            if compress_after(conn, settings.compress_after_days):
                say(f"chunks of readings are compressed after {settings.compress_after_days} days")
        if settings.admin_password is not None and tenants:
            ensure_administrator(conn, tenants[0], ADMINISTRATOR, settings.admin_password.get_secret_value())
    say(f"up to date: {applied} migrations applied")
