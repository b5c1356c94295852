"""The pages of after-sales' KPIs: pictures, figures, the tickets behind them, and the goals."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError

from alarms.roles import DESK, FIELD, Role
from api.access.auth import Caller, Manager, Person
from api.errors import BadValue
from api.kpis.goals import GoalsIn
from api.kpis.kpis import By, cases, counted, groups, sees_inside, sees_names
from api.page_frame import HEADERS, PageRoute, answer, begin_of, filters_of, head_of, paging, wants_part
from dashboard import services
from dashboard.figures import exact
from store import kpis as store
from store import overview
from store import terms as term_store
from store.errors import NotFound
from store.kpis import Counted, Place, Wanted
from store.transactions import Transaction
from tickets.kpis import KPIS, Figure, Goals, Sums, Unit, figures, points, steps

PERIODS = (("30", "30 days"), ("90", "90 days"), ("365", "a year"))
CASES = 100
_FIRST = ("response", "on_site", "first_time_fix", "repair_s", "satisfaction", "false_alarms")
_COLUMNS = ("response", "on_site", "repair_s", "first_time_fix", "pass_rate", "satisfaction", "cost")
_COUNTED_ONLY = {"hours_saved", "parts_turnover"}  # no ticket stands behind them

router = APIRouter(route_class=PageRoute, include_in_schema=False)


async def _typed(request: Request) -> dict[str, str]:
    return {name: str(value).strip() for name, value in (await request.form(max_fields=60)).items()}


Typed = Annotated[dict[str, str], Depends(_typed)]


@router.get("/kpis")
def page(request: Request, caller: Person) -> Response:
    with caller.transaction() as conn:
        return _page(request, conn, caller)


@router.get("/kpis.csv")
def table(request: Request, caller: Person) -> Response:
    """What the page tells apart, as a table: a row for each KPI of each group."""
    filters, now = _filters(request), datetime.now(UTC)
    with caller.transaction() as conn:
        goals, found = counted(conn, caller, _wanted(filters, now), By(filters["by"]))
    lines = io.StringIO()
    write = csv.writer(lines, lineterminator="\r\n").writerow
    write([filters["by"], "kpi", "value", "unit", "cases", "pending", "goal", "why"])
    for key, sums in {"": found.total, **groups(found, By(filters["by"]))}.items():
        for one in _figures(caller, goals, found, sums):
            write([_cell(key), one.name, one.value, one.unit.value, one.cases, one.pending, one.goal, one.why])
    name = f"kpis-{now:%Y-%m-%d}.csv"
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(lines.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/kpis/cases")
def cases_page(request: Request, caller: Person, kpi: str = "", after: str = "") -> Response:
    """The tickets behind a figure."""
    if kpi not in services.TITLES.keys() - _COUNTED_ONLY and kpi != "faults":
        raise NotFound(f"KPI {kpi}")
    filters = _filters(request)
    wanted, begin = _wanted(filters, datetime.now(UTC)), begin_of(after)
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "tickets")
        goals = store.goals(conn)
        rows = cases(conn, caller, wanted, kpi, limit=begin + CASES + 1)[begin:]
    unit = KPIS[kpi].unit if kpi in KPIS else None
    shown = [(row, _worth(unit, row.value, goals.rates.currency)) for row in rows[:CASES]]
    title = services.TITLES.get(kpi, "Faults")
    values = {**shell, "filters": {**filters, "kpi": kpi}, "title": title, "rows": shown}
    return answer(request, "kpi_cases.html", values | paging(begin, CASES, more=len(rows) > CASES))


@router.post("/kpis/goals")
def change_goals(request: Request, caller: Manager, typed: Typed) -> Response:
    """Keep what was typed, or say what is wrong with it."""
    wrong = ""
    try:
        asked = GoalsIn.model_validate(
            {
                "aims": {name: _number(typed, f"aim.{name}", _scale(KPIS[name].unit)) for name in KPIS},
                "rates": {
                    "hour": _number(typed, "hour"),
                    "visit": _number(typed, "visit"),
                    "overhead": _number(typed, "overhead", 100),
                    "currency": typed.get("currency", "EUR").upper(),
                },
            }
        )
        with caller.transaction() as conn:
            who = caller.principal
            store.keep_goals(conn, who.tenant, asked.goals(), who.name, datetime.now(UTC))
    except ValidationError as error:
        wrong = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())
    except BadValue as error:
        wrong = f"{error.field.removeprefix('body.aims.')}: {error}"
    with caller.transaction() as conn:
        return _page(request, conn, caller, typed if wrong else None, wrong, kept=not wrong)


def _page(
    request: Request,
    conn: Transaction,
    caller: Caller,
    typed: Mapping[str, str] | None = None,
    wrong: str = "",
    *,
    kept: bool = False,
) -> Response:
    filters = _filters(request)
    if not sees_inside(caller) and filters["by"] == By.ENGINEER:
        filters["by"] = By.PERIOD.value
    by, wanted = By(filters["by"]), _wanted(filters, datetime.now(UTC))
    shell = head_of(conn, caller, "tickets")
    goals, found = counted(conn, caller, wanted, by)
    places = store.places(conn)
    zone = term_store.in_force(conn).calendar.zone
    days = steps(wanted.begin, wanted.end, wanted.step, zone)
    known = {one.name: one for one in _figures(caller, goals, found, found.total)}
    by_step = [{one.name: one for one in _figures(caller, goals, found, found.by_time.get(day, {}))} for day in days]
    told = {
        key: {one.name: one for one in _figures(caller, goals, found, sums)} for key, sums in groups(found, by).items()
    }
    values = {
        **shell,
        "filters": filters,
        "periods": PERIODS,
        "ways": [one for one in By if one is not By.ENGINEER or sees_inside(caller)],
        "sites": [(site, site) for site in sorted({one.site for one in places} - {""})],
        "models": [(model, model) for model in sorted({one.model for one in places} - {""})],
        "engineers": _engineers(conn) if sees_names(caller) else [],
        "query": urlencode(filters),
        "k": found,
        "known": known,
        "first": [known[name] for name in _FIRST],
        "columns": [name for name in _COLUMNS if name in known],
        "told": told,
        "points": {key: points(all_.values()) for key, all_ in told.items()} if by is By.ENGINEER else {},
        "titles": services.TITLES,
        "say": lambda one: services.text(one.unit, one.value, goals.rates.currency),
        "goal": services.goal_text,
        "has_cases": lambda name: name not in _COUNTED_ONLY,
        "pictures": [services.bars([step[name] for step in by_step], days) for name in services.DRAWN],
        "box": (services.WIDTH, services.HEIGHT),
        "days": days,
        "curves": [(one, [one.used.get(day, 0) for day in days], services.totals(one.used)) for one in found.curves],
        "map": _map(found, places),
        "may_change": caller.principal.role in {Role.MANAGER, Role.ADMINISTRATOR},
        "form": {**_form(goals), **(typed or {})},
        "wrong": wrong,
        "kept": kept,
    }
    return answer(request, "kpis_live.html" if wants_part(request) else "kpis.html", values, 422 if wrong else 200)


def _filters(request: Request) -> dict[str, str]:
    filters = filters_of(request, "days", "site", "model", "engineer", "by")
    filters["days"] = filters["days"] if filters["days"] in dict(PERIODS) else PERIODS[1][0]
    filters["by"] = filters["by"] if filters["by"] in set(By) else By.PERIOD.value
    return filters


def _wanted(filters: Mapping[str, str], now: datetime) -> Wanted:
    begin = now - timedelta(days=int(filters["days"]))
    return Wanted(begin, now, now, filters["site"] or None, filters["model"] or None, filters["engineer"] or None)


def _figures(caller: Caller, goals: Goals, found: Counted, sums: Sums) -> list[Figure]:
    return figures(sums, goals, days=found.wanted.days, internal=sees_inside(caller))


def _engineers(conn: Transaction) -> list[tuple[str, str]]:
    return [(one.login, one.name) for one in overview.people(conn) if one.role in {role.value for role in DESK | FIELD}]


def _map(found: Counted, places: list[Place]) -> dict[str, Any]:
    """Faults by site (down) and model (across), each place with its shade."""
    faults = {place: int(sums.get("faults", 0)) for place, sums in found.by_place.items()}
    most = max(faults.values(), default=0)
    models = sorted({model for (_, model), number in faults.items() if number})
    stand = {(one.site, one.model): one.machines for one in places}
    rows = [
        (
            site,
            [
                (faults.get((site, m), 0), stand.get((site, m)), services.shade(faults.get((site, m), 0), most))
                for m in models
            ],
        )
        for site in sorted({site for (site, _), number in faults.items() if number})
    ]
    return {"models": models, "rows": rows, "most": most}


def _worth(unit: Unit | None, value: float, currency: str) -> str:
    if unit is None:
        return ""
    return ("yes" if value else "no") if unit is Unit.SHARE else services.text(unit, value, currency)


def _form(goals: Goals) -> dict[str, str]:
    """Goals and rates as they are typed: shares per cent, times in hours."""
    rates = goals.rates
    shown = {f"aim.{name}": _plain(goals.of(name), _scale(kpi.unit)) for name, kpi in KPIS.items()}
    return shown | {
        "hour": _plain(rates.hour),
        "visit": _plain(rates.visit),
        "overhead": _plain(rates.overhead, 100),
        "currency": rates.currency,
    }


def _scale(unit: Unit) -> float:
    """By what a figure is multiplied before a person reads it."""
    return {Unit.SHARE: 100, Unit.SECONDS: 1 / 3600}.get(unit, 1)


def _plain(value: float | None, scale: float = 1) -> str:
    return "" if value is None else exact(value * scale)


def _number(typed: Mapping[str, str], name: str, scale: float = 1) -> float | str | None:
    """What was typed; what is no number is for the model to refuse. A comma is the decimal point of half the world."""
    said = typed.get(name, "").replace(",", ".")
    try:
        return float(said) / scale if said else None
    except ValueError:
        return said


def _cell(text: str) -> str:
    """A name that a spreadsheet would reckon with is text there too."""
    return f"'{text}" if text[:1] in set("=+-@\t\r") else text
