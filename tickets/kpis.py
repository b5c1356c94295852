"""The KPIs of after-sales: what each is a share or a mean of, what is aimed at, and when it cannot be said.

A figure is made from sums over tickets, never from other figures: those of a year, a site or an engineer come from the
same columns. With fewer cases than `Kpi.least` there is none: one survey says nothing of how satisfied customers are.
See docs/kpis.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum

FIX_HOLDS_FOR = timedelta(days=30)
"""So long a repair has to hold to have been one."""

LEAST = 5
"""Cases without which nothing is said."""

Sums = Mapping[str, float]
"""Counts and totals over some tickets, by the name of their column; see store/sql/kpis.sql."""


class Unit(StrEnum):
    SHARE = "share"  # 0 to 1
    SECONDS = "s"
    HOURS = "h"
    MONEY = "money"  # of the rates' currency
    POINTS = "points"  # 0 to 100
    SCORE = "score"  # -100 to 100
    PER_YEAR = "per_year"


@dataclass(frozen=True, slots=True)
class Kpi:
    """`over` divided by `under`, both sums.

    Attributes
    ----------
    pending
        Tickets of which it is not known yet: a sum, or empty where each is known at once.
    more_is_better
        Else less is; None where neither can be said.
    internal
        Not for owners of equipment.
    """

    over: str
    under: str
    unit: Unit
    pending: str = ""
    more_is_better: bool | None = True
    goal: float | None = None
    internal: bool = False
    least: int = LEAST


KPIS: dict[str, Kpi] = {
    "assignment": Kpi("assignment_kept", "assignment_known", Unit.SHARE, goal=0.95),
    "response": Kpi("response_kept", "response_known", Unit.SHARE, goal=0.95),
    "on_site": Kpi("on_site_kept", "on_site_known", Unit.SHARE, goal=0.95),
    "resolution": Kpi("resolution_kept", "resolution_known", Unit.SHARE, goal=0.95),
    "repair_s": Kpi("repair_s", "repaired", Unit.SECONDS, more_is_better=False),
    "first_time_fix": Kpi("fix_held", "fix_known", Unit.SHARE, "fix_pending", goal=0.9),
    "pass_rate": Kpi("passed", "checked", Unit.SHARE, goal=0.95),
    "satisfaction": Kpi("csat", "answered", Unit.POINTS, goal=90),
    "nps": Kpi("nps", "recommended", Unit.SCORE),
    "reach": Kpi("reached", "asked", Unit.SHARE, "asked_pending", goal=0.8),
    "foreseen": Kpi("foreseen", "found", Unit.SHARE),
    "lead_s": Kpi("lead_s", "foreseen", Unit.SECONDS),
    "false_alarms": Kpi("false_alarms", "judged", Unit.SHARE, more_is_better=False, goal=0.1),
    "work_s": Kpi("work_s", "ended", Unit.SECONDS, more_is_better=None, internal=True),
    "cost": Kpi("cost", "costed", Unit.MONEY, more_is_better=False, internal=True),
    "hours_saved": Kpi("hours_saved", "saving", Unit.HOURS, internal=True, least=1),
    "parts_turnover": Kpi("parts_used", "parts_kept", Unit.PER_YEAR, internal=True, least=0),
}


@dataclass(frozen=True, slots=True)
class Rates:
    """What services cost a tenant: an hour of one person, a visit there and back, and a share on top of it all."""

    hour: float | None = None
    visit: float | None = None
    overhead: float | None = None
    currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class Goals:
    """What a tenant aims at, by KPI (None: at nothing), and its rates."""

    aims: Mapping[str, float | None] = field(default_factory=dict)
    rates: Rates = Rates()

    def of(self, name: str) -> float | None:
        return self.aims.get(name, KPIS[name].goal)


@dataclass(frozen=True, slots=True)
class Figure:
    """One KPI over some tickets; `value` is None where `why` says that it cannot be said."""

    name: str
    unit: Unit
    value: float | None
    cases: int
    pending: int = 0
    goal: float | None = None
    why: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is no figure, or no goal."""
        if self.value is None or self.goal is None or KPIS[self.name].more_is_better is None:
            return None
        return self.value >= self.goal if KPIS[self.name].more_is_better else self.value <= self.goal


def figures(sums: Sums, goals: Goals, *, days: float, internal: bool = True) -> list[Figure]:
    """The figures of some tickets within a period of so many days."""
    columns = {**sums, **_saved(sums), **_cost(sums, goals.rates), **_turnover(sums, days)}
    return [_figure(name, kpi, columns, goals) for name, kpi in KPIS.items() if internal or not kpi.internal]


def points(found: Iterable[Figure]) -> float | None:
    """An engineer's points, 0 to 100: whether repairs hold at the first go, and what customers say, half each.

    What cannot be said of the two is left out; None where neither can be.
    """
    told = {one.name: one.value for one in found if one.value is not None}
    parts = [told[name] * scale for name, scale in _POINTS.items() if name in told]
    return sum(parts) / len(parts) if parts else None


def added(rows: Iterable[Sums]) -> dict[str, float]:
    """The sums of several groups together."""
    total: dict[str, float] = {}
    for name, number in itertools.chain.from_iterable(row.items() for row in rows):
        total[name] = total.get(name, 0.0) + number
    return total


def steps(begin: datetime, end: datetime, step: str, zone: tzinfo) -> list[date]:
    """The first days of the days, weeks or months that a period touches, as a calendar in that zone has them."""
    day, last = begin.astimezone(zone).date(), end.astimezone(zone).date()
    if step == "month":
        months = range(12 * day.year + day.month - 1, 12 * last.year + last.month)
        return [date(month // 12, month % 12 + 1, 1) for month in months]
    length = 7 if step == "week" else 1
    first = day - timedelta(days=day.weekday() if step == "week" else 0)
    return [first + timedelta(days=n) for n in range(0, (last - first).days + 1, length)]


def begins(days: Iterable[date], zone: tzinfo) -> list[datetime]:
    """The moments at which days begin there. Where clocks go forward at midnight it is the moment at which they do."""
    return [datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in days]


def _figure(name: str, kpi: Kpi, columns: Sums, goals: Goals) -> Figure:
    under = columns.get(kpi.under, 0.0)
    cases = int(under)
    why = _WITHOUT.get(name, "") if kpi.over not in columns else ""
    if not why and (under < kpi.least or not under):
        why = "no case" if not cases else "too few cases"
    value = None if why else columns[kpi.over] / (1 if kpi.unit is Unit.HOURS else under)
    if name == "parts_turnover":
        cases = int(columns.get("parts_moved", 0))
    return Figure(name, kpi.unit, value, cases, int(columns.get(kpi.pending, 0)), goals.of(name), why)


_POINTS = {"first_time_fix": 100, "satisfaction": 1}
"""What engineers' points are made of, and by what each is brought to 0 to 100."""

_WITHOUT = {
    "cost": "no rates are set",
    "hours_saved": "too few cases",
    "parts_turnover": "not of a part of the fleet",
}
"""Why a figure has no sum to be made from."""


def _cost(sums: Sums, rates: Rates) -> dict[str, float]:
    """People, ways and parts, and the share on top; only where all three rates are set."""
    if rates.hour is None or rates.visit is None or rates.overhead is None:
        return {}
    direct = sums.get("costed_work_s", 0) / 3600 * rates.hour
    direct += sums.get("costed_visits", 0) * rates.visit + sums.get("parts_value", 0)
    return {"cost": direct * (1 + rates.overhead)}


def _saved(sums: Sums) -> dict[str, float]:
    """What services from afar would have taken longer with a visit: of both there have to be enough to compare."""
    afar, visited = sums.get("afar", 0), sums.get("visited", 0)
    if min(afar, visited) < LEAST:
        return {}
    saved_s = sums["visited_work_s"] / visited - sums["afar_work_s"] / afar
    return {"hours_saved": afar * saved_s / 3600, "saving": afar}


def _turnover(sums: Sums, days: float) -> dict[str, float]:
    """The value that went into repairs in a year at this pace, beside the value that lay there on average."""
    if "stock_begin" not in sums:
        return {}
    return {
        "parts_used": sums["used_value"] * 365 / days,
        "parts_kept": (sums["stock_begin"] + sums["stock_end"]) / 2,
    }
