"""What the KPIs of after-sales are counted from, for one tenant: see docs/kpis.md.

Tickets are counted by `ticket_outcomes`, which has a narrow row for each: 11 000 of them are some 200 pages to be read.
Each query is planned for what is asked (`prepare=False`): a plan for any period would be one for a few rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, auto
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.rows import class_row, dict_row
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from store.queries import queries
from store.transactions import Transaction
from tickets.kpis import FIX_HOLDS_FOR, Goals, Rates, Sums, added, begins, steps

CURVES = 5
"""Parts that have a curve of their own; more cannot be told apart."""

Key = TypeVar("Key")

_SQL = queries("kpis")
_SURVEYED = frozenset({"satisfaction", "nps", "reach"})
_KEYS = frozenset({"grouped", "begins", "site", "model", "engineer"})
# By which columns a row of the queries is grouped, as `grouping()` numbers those that it is not grouped by.
_BY_TIME, _BY_PLACE, _BY_ENGINEER = 0b011, 0b101, 0b110
# Each ticket is added to each grouping: one that nobody asked for is a third of the time.
_BY_STEP, _BY_STEP_AND_MACHINE = SQL("1, 2, 3"), SQL("GROUPING SETS ((1, 2), (3))")


class Told(Enum):
    """What is told apart beside steps of time, of all figures: of faults alone places always are."""

    BY_TIME = auto()
    BY_PLACE = auto()
    BY_ENGINEER = auto()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tickets: of a period, and of a site, a model, an engineer where these are said."""

    begin: datetime
    end: datetime
    now: datetime
    site: str | None = None
    model: str | None = None
    engineer: str | None = None

    @property
    def days(self) -> float:
        return (self.end - self.begin).total_seconds() / 86_400

    @property
    def step(self) -> str:
        """Into what the period is cut: some dozen columns, whatever its length."""
        return "day" if self.days <= 31 else "week" if self.days <= 200 else "month"

    @property
    def whole_fleet(self) -> bool:
        return self.site is None and self.model is None and self.engineer is None


@dataclass(frozen=True, slots=True)
class Curve:
    """How many of a part went into repairs, by step of time; `number` is empty for all others together."""

    number: str
    name: str
    used: dict[date, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """The sums of a period: of all of it, by step of time, by site and model, and by engineer where that was asked.

    Where places were not asked, `by_place` has promises and faults alone.
    """

    wanted: Wanted
    total: Sums
    by_time: dict[date, Sums]
    by_place: dict[tuple[str, str], Sums]
    by_engineer: dict[str, Sums]
    curves: list[Curve]

    def by_site(self) -> dict[str, Sums]:
        return self._margin(0)

    def by_model(self) -> dict[str, Sums]:
        return self._margin(1)

    def _margin(self, side: int) -> dict[str, Sums]:
        names = sorted({place[side] for place in self.by_place})
        return {name: added(s for place, s in self.by_place.items() if place[side] == name) for name in names}


@dataclass(frozen=True, slots=True)
class Case:
    """A ticket behind a figure, and what it adds to it: 1 or 0, seconds, money."""

    ticket_id: UUID
    device: str
    site: str
    model: str
    engineer: str
    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Place:
    """How many machines of a model stand at a site."""

    site: str
    model: str
    machines: int


def count(conn: Transaction, wanted: Wanted, zone: str, goals: Goals, told: Told, *, parts: bool) -> Counted:
    """The sums of a period. `zone` is where days begin; `parts` are counted where the caller may see them."""
    apart = {"engineers": told is Told.BY_ENGINEER, "places": told is Told.BY_PLACE}
    asked = _asked(conn, wanted, goals) | _cut(wanted, zone) | apart
    rows = list(_rows(conn, asked))
    by_time = _grouped((row["begins"], row) for row in rows if row["grouped"] == _BY_TIME)
    by_place = _grouped(((row["site"], row["model"]), row) for row in rows if row["grouped"] == _BY_PLACE)
    by_engineer = _grouped((row["engineer"], row) for row in rows if row["grouped"] == _BY_ENGINEER)
    total = added(by_time.values()) | (_turnover(conn, asked) if parts and wanted.whole_fleet else {})
    curves = _curves(conn, asked) if parts else []
    return Counted(wanted, total, dict(sorted(by_time.items())), by_place, by_engineer, curves)


def cases(
    conn: Transaction,
    wanted: Wanted,
    kpi: str,
    goals: Goals,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
) -> list[Case]:
    """The tickets behind a figure, the latest first."""
    rates = goals.rates
    asked = _asked(conn, wanted, goals) | {"kpi": kpi, "limit": limit}
    asked |= {"hour": rates.hour, "visit": rates.visit, "overhead": rates.overhead}
    asked |= {"after_at": after[0] if after else None, "after_id": after[1] if after else None}
    with conn.cursor(row_factory=class_row(Case)) as cursor:
        query = _SQL["survey_cases" if kpi in _SURVEYED else "cases"]
        return cursor.execute(query, asked, prepare=False).fetchall()


def places(conn: Transaction) -> list[Place]:
    """Where which machines stand."""
    with conn.cursor(row_factory=class_row(Place)) as cursor:
        return cursor.execute(_SQL["places"]).fetchall()


def goals(conn: Transaction) -> Goals:
    """What the tenant aims at; the house's aims where it has said nothing."""
    row = conn.execute(_SQL["goals"]).fetchone()
    return Goals() if row is None else Goals(row[0], Rates(*row[1:]))


def keep_goals(conn: Transaction, tenant: str, wanted: Goals, who: str, now: datetime) -> None:
    """Aim at this from now on."""
    rates = wanted.rates
    said = {"hour": rates.hour, "visit": rates.visit, "overhead": rates.overhead, "currency": rates.currency}
    fields = {"tenant": tenant, "goals": Jsonb(dict(wanted.aims)), "who": who, "now": now}
    conn.execute(_SQL["keep_goals"], said | fields)


def _asked(conn: Transaction, wanted: Wanted, goals: Goals) -> dict[str, Any]:
    return {
        "begin": wanted.begin,
        "end": wanted.end,
        "now": wanted.now,
        "devices": _machines(conn, wanted),
        "engineer": wanted.engineer,
        "held_since": wanted.now - FIX_HOLDS_FOR,
        "holds_for": FIX_HOLDS_FOR,
        "currency": goals.rates.currency,
    }


def _cut(wanted: Wanted, zone: str) -> dict[str, Any]:
    """The steps of a period: as days of the calendar, and as the moments at which they begin."""
    days = steps(wanted.begin, wanted.end, wanted.step, ZoneInfo(zone))
    return {"days": days, "begins": begins(days, ZoneInfo(zone))}


def _machines(conn: Transaction, wanted: Wanted) -> list[int] | None:
    """Those whose tickets count; None: all."""
    if wanted.site is None and wanted.model is None:
        return None
    return [row[0] for row in conn.execute(_SQL["machines"], {"site": wanted.site, "model": wanted.model})]


def _rows(conn: Transaction, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    groups = _BY_STEP_AND_MACHINE if asked["places"] else _BY_STEP
    with conn.cursor(row_factory=dict_row) as cursor:
        for query in ("promises", "services", "surveys"):
            yield from cursor.execute(SQL(_SQL[query]).format(groups=groups), asked, prepare=False)


def _grouped(rows: Iterator[tuple[Key, dict[str, Any]]]) -> dict[Key, Sums]:
    """The columns of all queries together, by group."""
    found: dict[Key, dict[str, float]] = {}
    for key, row in rows:
        found.setdefault(key, {}).update({name: value or 0.0 for name, value in row.items() if name not in _KEYS})
    return dict(found)


def _turnover(conn: Transaction, asked: Mapping[str, Any]) -> dict[str, float]:
    """Empty where values in several currencies cannot be added."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL["turnover"], asked, prepare=False).fetchone()
    if row is None or row.pop("currencies") > 1:
        return {}
    return {name: value or 0.0 for name, value in row.items()}


def _curves(conn: Transaction, asked: Mapping[str, Any]) -> list[Curve]:
    """The most used first, all others last."""
    found: dict[str, Curve] = {}
    rows = conn.execute(_SQL["parts_used"], {**asked, "most": CURVES}, prepare=False)
    for number, name, day, quantity in rows:
        found.setdefault(number, Curve(number, name)).used[day] = quantity
    return sorted(found.values(), key=lambda one: (one.number == "", -sum(one.used.values()), one.number))
