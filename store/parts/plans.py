"""What parts will be needed, planned by `notify` for all parts of a tenant once a day, and read by whoever orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from store.connection import Session
from store.queries import queries
from store.transactions import Transaction
from tickets.parts.places import PlaceKind
from tickets.parts.planning import Outlook, Shelf, classes, order_up_to, proposals, reorder_point

if TYPE_CHECKING:
    from tickets.parts.demand import Forecast

_SQL = queries("part_plans")

# So much of the past is looked at. Too low: a forecast from chance. Too high: of a fleet long gone.
HISTORY_WEEKS = 104
_YEAR_WEEKS = 52


@dataclass(frozen=True, slots=True)
class Plan:
    """What is planned of a part; see the table `part_plans`."""

    part: str
    name: str
    unit: str
    made_at: datetime
    class_: str
    method: str
    weekly: float
    predicted: float
    position: int
    reorder_at: int
    up_to: int
    proposals: Sequence[Mapping[str, Any]]


def plans(conn: Transaction, *, limit: int, after: str | None = None, to_do: bool = False) -> list[Plan]:
    """Plans by part, beginning after one. `to_do`: only those that propose something."""
    with conn.cursor(row_factory=class_row(Plan)) as cursor:
        return cursor.execute(_SQL["plans"], {"limit": limit, "after": after, "to_do": to_do}).fetchall()


def plan_due(conn: Session, now: datetime) -> int:
    """Plan for each tenant that has no plan of today; returns how many parts. Each tenant is one transaction."""
    with conn.transaction():
        due = conn.execute(_SQL["unplanned"], {"now": now}).fetchall()
    planned = 0
    for (tenant,) in due:
        with conn.transaction():
            planned += plan_tenant(conn, tenant, now)
    return planned


def plan_tenant(conn: Session, tenant: str, now: datetime) -> int:
    """Plan all parts of a tenant as of now; returns how many."""
    of = {"tenant": tenant, "now": now, "today": now.astimezone(UTC).date(), "weeks": HISTORY_WEEKS}
    with conn.cursor(row_factory=dict_row) as cursor:
        parts = cursor.execute(_SQL["planned_parts"], of).fetchall()
        shelves: dict[int, list[Shelf]] = {part["id"]: [] for part in parts}
        for row in cursor.execute(_SQL["planned_shelves"], of):
            shelf = Shelf(row["depot"], PlaceKind(row["kind"]), row["free"], row["used"])
            shelves[row["part_id"]].append(shelf)
    said = _forecast(conn, of, [part["id"] for part in parts])
    turnovers = [float(weekly) * _YEAR_WEEKS * p["value"] for weekly, p in zip(said.weekly, parts, strict=True)]
    for i, (part, class_) in enumerate(zip(parts, classes(turnovers), strict=True)):
        there = shelves[part["id"]]
        outlook = Outlook(
            class_,
            float(said.weekly[i]),
            float(said.variance[i]),
            part["predicted"],
            part["lead_days"],
            part["low_at"],
            sum(shelf.free for shelf in there) + part["beside"],
        )
        _keep(conn, tenant, part["id"], now, outlook, said.method[i], there)
    return len(parts)


def _forecast(conn: Session, of: Mapping[str, Any], parts: Sequence[int]) -> Forecast:
    import numpy as np  # noqa: PLC0415 - once a day, and not where a plan is only read

    from tickets.parts.demand import forecast  # noqa: PLC0415

    rows = conn.execute(_SQL["demand"], of).fetchall()
    weeks = max((ago for _, ago, _ in rows), default=0) + 1
    demand = np.zeros((len(parts), weeks))
    at = {part: i for i, part in enumerate(parts)}
    for part, ago, quantity in rows:
        demand[at[part], weeks - 1 - ago] = max(quantity, 0.0)
    return forecast(demand)


def _keep(
    conn: Session, tenant: str, part: int, now: datetime, outlook: Outlook, method: str, shelves: Sequence[Shelf]
) -> None:
    conn.execute(
        _SQL["keep_plan"],
        {
            "part": part,
            "tenant": tenant,
            "now": now,
            "class": outlook.class_,
            "method": method,
            "weekly": outlook.weekly,
            "predicted": outlook.predicted,
            "position": outlook.position,
            "reorder_at": reorder_point(outlook),
            "up_to": order_up_to(outlook),
            "proposals": Jsonb([asdict(one) for one in proposals(outlook, shelves)]),
        },
    )
