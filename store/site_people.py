"""Who answers for the alarms of which site."""

from __future__ import annotations

from collections.abc import Collection

from alarms.duties import Duties
from store.connection import Session
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("site_people")


def duties(conn: Session, tenant: str) -> Duties:
    """Who answers for what now, and how many deal with alarms at all. It names the tenant, since `notify` asks too."""
    by_site: dict[str, list[str]] = {}
    for site, login in conn.execute(_SQL["of_sites"], {"tenant": tenant}):
        by_site.setdefault(site, []).append(login)
    return Duties(by_site, len(who_could(conn, tenant)))


def who_could(conn: Session, tenant: str) -> list[tuple[str, str]]:
    """Login and name of everybody who can answer for a site: engineers and dispatchers."""
    return conn.execute(_SQL["who_could"], {"tenant": tenant}).fetchall()


def keep(conn: Transaction, tenant: str, site: str, logins: Collection[str], who: str) -> list[str]:
    """From now on these answer for a site, and nobody else; their logins.

    Raises
    ------
    NotFound
        No machine stands at such a site.
    Conflict
        Somebody of them is neither engineer nor dispatcher.
    """
    said = {"tenant": tenant, "site": site, "logins": sorted(set(logins)), "who": who}
    row = conn.execute(_SQL["is_site"], said).fetchone()
    if row is None or not row[0]:
        raise NotFound(f"there is no site {site}")
    others = set(logins) - {login for login, _ in who_could(conn, tenant)}
    if others:
        raise Conflict(f"{', '.join(sorted(others))}: no engineer or dispatcher who may sign in")
    conn.execute(_SQL["forget"], said)
    conn.execute(_SQL["keep"], said)
    return sorted(set(logins))
