"""What a tenant says about its alarms, as it is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg.rows import dict_row

from alarms.policy import DEFAULT_POLICY, Policy
from store.connection import Session
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("maintenance")


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """The figures in force, and who has said so; nobody, where they are the house's."""

    policy: Policy
    changed_at: datetime | None
    changed_by: str


def policy(conn: Transaction) -> KeptPolicy:
    """The caller's tenant's."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL["policy"]).fetchone()
    if row is None:
        return KeptPolicy(DEFAULT_POLICY, None, "")
    changed_at, changed_by = row.pop("changed_at"), row.pop("changed_by")
    return KeptPolicy(Policy(**row), changed_at, changed_by)


def of_all(conn: Session) -> dict[str, Policy]:
    """Those of the tenants that have said something. For ingest."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return {row.pop("tenant"): Policy(**row) for row in cursor.execute(_SQL["policies"])}


def change(conn: Transaction, tenant: str, changed: Policy, *, who: str, now: datetime) -> KeptPolicy:
    """Put other figures in force."""
    conn.execute(_SQL["change_policy"], {**asdict(changed), "tenant": tenant, "who": who, "now": now})
    return policy(conn)
