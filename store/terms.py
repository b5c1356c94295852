"""The terms of a tenant as they are kept: every change a new version, over those of the house."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.errors import Conflict
from store.queries import queries
from store.transactions import Transaction
from tickets.terms import HOUSE, HOUSE_TERMS, Terms, terms_of

_SQL = queries("terms")


@dataclass(frozen=True, slots=True)
class KeptTerms:
    """One version as its author wrote it. Version 0 is the house's, which nobody has changed."""

    version: int
    terms: Mapping[str, Any]
    reason: str
    changed_at: datetime | None
    changed_by: str


_HOUSE = KeptTerms(0, HOUSE, "", None, "")


def kept(conn: Transaction) -> KeptTerms:
    """The terms in force, as they were written."""
    with conn.cursor(row_factory=class_row(KeptTerms)) as cursor:
        return cursor.execute(_SQL["in_force"]).fetchone() or _HOUSE


def in_force(conn: Transaction) -> Terms:
    """The terms by which a ticket that opens now is promised."""
    latest = kept(conn)
    return terms_of(latest.terms, latest.version) if latest.version else HOUSE_TERMS


def calendars(conn: Transaction, versions: Collection[int]) -> dict[int, Terms]:
    """The terms of some versions, for clocks that go by them."""
    found = {0: HOUSE_TERMS}
    own = sorted(set(versions) - {0})
    if own:
        rows = conn.execute(_SQL["of_versions"], {"versions": own}).fetchall()
        found |= {version: terms_of(fields, version) for version, fields in rows}
    return found


def versions(conn: Transaction, *, limit: int, before: int | None = None) -> list[KeptTerms]:
    """What the terms have been, newest first; the house's last."""
    with conn.cursor(row_factory=class_row(KeptTerms)) as cursor:
        found = cursor.execute(_SQL["versions"], {"limit": limit, "before": before}).fetchall()
    return found if len(found) == limit or before == 0 else [*found, _HOUSE]


def change(
    conn: Transaction, tenant: str, fields: Mapping[str, Any], *, seen_version: int, reason: str, who: str
) -> KeptTerms:
    """Add the next version. Clocks that run keep to theirs.

    Raises
    ------
    tickets.terms.BadTerms
        They cannot be kept.
    Conflict
        The latest version is not the one that the author has seen.
    """
    terms_of(fields, seen_version + 1)
    said = {"tenant": tenant, "seen": seen_version, "terms": Jsonb(dict(fields)), "reason": reason, "who": who}
    if conn.execute(_SQL["add_version"], said).fetchone() is None:
        raise Conflict(f"the terms are not at version {seen_version} any more: read them again")
    return kept(conn)
