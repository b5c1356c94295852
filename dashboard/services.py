"""The KPIs of after-sales in words and drawn: SVG path data in a fixed box; the style sheet owns the colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from dashboard.figures import count, duration, number
from tickets.kpis import KPIS, Figure, Unit

WIDTH, HEIGHT = 360, 72
SHADES = 5
"""Of the map of faults, from none to the most."""

TITLES: dict[str, str] = {
    "assignment": "Assigned in time",
    "response": "Responded in time",
    "on_site": "On site in time",
    "resolution": "Resolved in time",
    "repair_s": "Mean time to repair",
    "first_time_fix": "Fixed the first time, 30 days",
    "pass_rate": "Repairs passed the check",
    "satisfaction": "Satisfaction",
    "nps": "Recommended (NPS)",
    "reach": "Customers reached",
    "foreseen": "Faults foreseen",
    "lead_s": "Lead time of warnings",
    "false_alarms": "False alarms",
    "work_s": "At work for a service",
    "cost": "Cost of a service",
    "hours_saved": "Hours saved from afar",
    "parts_turnover": "Turnover of parts",
}
DRAWN = ("response", "on_site", "first_time_fix", "pass_rate", "repair_s", "satisfaction", "lead_s", "false_alarms")
_THIN = "\N{NARROW NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Bars:
    """One figure over time. `good` and `short` are paths of columns, these of what misses its goal."""

    name: str
    good: str
    short: str
    goal_y: float | None
    goal: str
    said: str


def text(unit: Unit, value: float | None, currency: str = "") -> str:
    """A figure as it is read."""
    if value is None:
        return "\N{EN DASH}"
    if unit is Unit.SECONDS:
        return duration(value)
    if unit in {Unit.SHARE, Unit.POINTS, Unit.SCORE}:
        shown = f"{100 * value if unit is Unit.SHARE else value:.1f}".removesuffix(".0").replace("-", "\N{MINUS SIGN}")
    else:
        shown = number(round(value, 1))
    after = {
        Unit.SHARE: f"{_THIN}%",
        Unit.MONEY: f"{_THIN}{currency}",
        Unit.HOURS: f"{_THIN}h",
        Unit.PER_YEAR: " a year",
    }
    return shown + after.get(unit, "")


def bars(figures: Sequence[Figure], days: Sequence[date]) -> Bars:
    """Columns of one KPI, each step of time beside the next; a step of which nothing can be said has none."""
    first = figures[0]
    known = [figure.value for figure in figures if figure.value is not None]
    highest = max([*known, first.goal or 0, 1e-9])
    top = {Unit.SHARE: 1.0, Unit.POINTS: 100.0}.get(first.unit, 1.15 * highest)
    width = WIDTH / len(figures)
    paths = {True: [""], False: [""]}
    for place, figure in enumerate(figures):
        if figure.value is not None:
            left, right, y = place * width, (place + 0.85) * width, HEIGHT * (1 - max(figure.value, 0.01 * top) / top)
            paths[figure.met is not False].append(f"M{left:.1f} {HEIGHT}V{y:.1f}H{right:.1f}V{HEIGHT}Z")
    goal_y = None if first.goal is None else HEIGHT * (1 - first.goal / top)
    return Bars(first.name, "".join(paths[True]), "".join(paths[False]), goal_y, goal_text(first), _said(figures, days))


def goal_text(figure: Figure) -> str:
    """`95 % at least`; empty where nothing is aimed at."""
    if figure.goal is None:
        return ""
    return f"{text(figure.unit, figure.goal)} at {'least' if KPIS[figure.name].more_is_better else 'most'}"


def shade(faults: int, most: int) -> int:
    """How dark a place is on the map: 0 without faults, `SHADES` where most are."""
    return -(-SHADES * faults // most) if faults else 0


def _said(figures: Sequence[Figure], days: Sequence[date]) -> str:
    """What the picture shows, for who cannot see it."""
    told = [
        f"{day}: {text(one.unit, one.value)}" for day, one in zip(days, figures, strict=True) if one.value is not None
    ]
    return f"{TITLES[figures[0].name]}. {'; '.join(told) or 'Nothing can be said yet'}"


def totals(used: Mapping[date, int]) -> str:
    """How many in all."""
    return count(sum(used.values()))
