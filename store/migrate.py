"""Migrations: numbered SQL files, each applied once, in order, in a transaction of its own.

Two that start together wait for each other. A file that was changed after it had been applied stops the start: the
database would not be what the files say.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from psycopg import Connection, sql
from psycopg.errors import InternalError
from psycopg.rows import TupleRow

from store.errors import Misconfigured

LOGIN_ROLES = ("ingest", "api", "notify")
_LOCK = 0x6265_6C6C  # any number, the same for all of us
_FILE = re.compile(r"(\d{3})_(\w+?)(?:\.(apache|community))?\.sql\Z")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `edition` is empty where it serves both licences of TimescaleDB."""

    version: int
    name: str
    edition: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations(edition: str) -> list[Migration]:
    """The files that make the schema under one licence, in order."""
    found = []
    for file in (files("store") / "migrations").iterdir():
        match = _FILE.match(file.name)
        if match and match[3] in (None, edition):
            found.append(Migration(int(match[1]), match[2], match[3] or "", file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def edition(conn: Connection[TupleRow]) -> str:
    """`community` where the server has continuous aggregates and the columnstore, else `apache`."""
    row = conn.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    return "community" if row is not None and row[0] == "timescale" else "apache"


def migrate(
    conn: Connection[TupleRow],
    passwords: Mapping[str, str],
    tenants: Mapping[str, str],
    report: Callable[[str], None] = lambda _: None,
) -> int:
    """Bring the schema up to date; returns how many migrations were applied.

    `passwords` by role (`ingest`, `api`, `notify`) let those roles sign in; a role without one can't. `tenants` (id →
    name) are there afterwards. The connection must be in autocommit, as the owner of the database.
    """
    conn.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        applied = _apply(conn, report)
        for role in LOGIN_ROLES:
            if role in passwords:
                _let_in(conn, f"bellwether_{role}", passwords[role])
        for tenant, name in tenants.items():
            conn.execute("INSERT INTO tenants (id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", [tenant, name])
    finally:
        conn.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    return applied


def pending(conn: Connection[TupleRow]) -> int:
    """How many migrations this database still waits for."""
    exists = conn.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    known = len(migrations(edition(conn)))
    if not exists or not exists[0]:
        return known
    row = conn.execute("SELECT count(*) FROM schema_migrations").fetchone()
    return known - int(row[0]) if row else known


def _apply(conn: Connection[TupleRow], report: Callable[[str], None]) -> int:
    conn.execute("""
        CREATE TABLE IF NOT EXISTS schema_migrations (
            version    integer PRIMARY KEY,
            name       text NOT NULL,
            checksum   text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        )""")
    # The licence is a setting of the extension's: it shows only once its library is loaded.
    conn.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    done: dict[int, str] = dict(conn.execute("SELECT version, checksum FROM schema_migrations").fetchall())
    count = 0
    for migration in migrations(edition(conn)):
        if migration.version in done:
            if done[migration.version] != migration.checksum:
                raise Misconfigured(
                    f"migration {migration.version:03d}_{migration.name} was changed after this database had"
                    " applied it: use the release that made the database, or a new database"
                )
            continue
        report(f"migration {migration.version:03d} {migration.name}")
        with conn.transaction():
            conn.execute(migration.text)
            conn.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
                [migration.version, migration.name, migration.checksum],
            )
        count += 1
    return count


def _let_in(conn: Connection[TupleRow], role: str, password: str) -> None:
    """Let a role sign in. Roles are the whole server's: another database of ours may be at it too."""
    statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
    for attempt in range(5):
        try:
            conn.execute(statement)
        except InternalError:  # «tuple concurrently updated»
            if attempt == 4:
                raise
        else:
            return
