"""Who can be sent, with what they can and when they work; and where sites are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction
from tickets.terms import calendar_of

_SQL = queries("engineers")


@dataclass(frozen=True, slots=True)
class Engineer:
    """One engineer. `shifts`: a calendar of the shape of the terms'; `can_go`: still an engineer, and not disabled."""

    login: str
    name: str
    skills: Sequence[str]
    remote: bool
    latitude: float | None
    longitude: float | None
    speed_km_h: float
    most: int
    shifts: Mapping[str, Any]
    changed_at: datetime
    changed_by: str
    can_go: bool


@dataclass(frozen=True, slots=True)
class Site:
    """A site by the name that its devices give; without coordinates where nobody has said where it is."""

    site: str
    latitude: float | None
    longitude: float | None
    changed_at: datetime | None
    changed_by: str
    devices: int


def engineers(conn: Transaction, *, limit: int, after: str | None = None) -> list[Engineer]:
    """Engineers by login, beginning after one."""
    with conn.cursor(row_factory=class_row(Engineer)) as cursor:
        return cursor.execute(_SQL["engineers"], {"limit": limit, "after": after}).fetchall()


def engineer(conn: Transaction, login: str) -> Engineer:
    """One engineer, or NotFound."""
    with conn.cursor(row_factory=class_row(Engineer)) as cursor:
        row = cursor.execute(_SQL["engineer"], {"login": login}).fetchone()
    if row is None:
        raise NotFound(f"there is no engineer {login}")
    return row


def create(conn: Transaction, tenant: str, login: str, fields: Mapping[str, Any], who: str) -> Engineer:
    """Make somebody known to dispatch.

    Raises
    ------
    tickets.terms.BadTerms
        The shifts are no calendar.
    Conflict
        They are known already, or no user with the role engineer.
    """
    said = {"tenant": tenant, "login": login, "who": who, **_checked(fields)}
    if conn.execute(_SQL["create"], said).fetchone() is None:
        raise Conflict(f"{login} is known already, or no user with the role engineer")
    return engineer(conn, login)


def change(conn: Transaction, login: str, fields: Mapping[str, Any], who: str) -> Engineer:
    """All of it but the login anew. NotFound; BadTerms as `create` does."""
    if conn.execute(_SQL["change"], {"login": login, "who": who, **_checked(fields)}).fetchone() is None:
        raise NotFound(f"there is no engineer {login}")
    return engineer(conn, login)


def remove(conn: Transaction, login: str) -> None:
    """Dispatch proposes them no more; the user stays. NotFound where there is none."""
    if conn.execute(_SQL["remove"], {"login": login}).fetchone() is None:
        raise NotFound(f"there is no engineer {login}")


def who_could(conn: Transaction) -> list[tuple[str, str]]:
    """Login and name of the engineers of whom dispatch knows nothing yet."""
    return conn.execute(_SQL["who_could"]).fetchall()


def sites(conn: Transaction, *, limit: int, after: str | None = None) -> list[Site]:
    """Every site that a device names or that is known, by name."""
    with conn.cursor(row_factory=class_row(Site)) as cursor:
        return cursor.execute(_SQL["sites"], {"limit": limit, "after": after}).fetchall()


def keep_site(conn: Transaction, tenant: str, site: str, latitude: float, longitude: float, who: str) -> Site:
    """Say where a site is."""
    said = {"tenant": tenant, "site": site, "latitude": latitude, "longitude": longitude, "who": who}
    with conn.cursor(row_factory=class_row(Site)) as cursor:
        return cursor.execute(_SQL["keep_site"], said).fetchall()[0]


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    calendar_of(fields["shifts"])
    return {**fields, "skills": sorted(set(fields["skills"])), "shifts": Jsonb(fields["shifts"])}
