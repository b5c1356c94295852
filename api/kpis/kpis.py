"""The KPIs of after-sales: by period, site, model and engineer, with the tickets behind each figure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from alarms.roles import DESK, Role
from api import ROOT
from api.access.auth import Anyone, Caller
from api.errors import BadValue, NotForYou
from api.models import Answered, Instant, Name, example
from api.paging import Cursor, Limit, Page, after_time_id, page
from store import kpis as store
from store import terms as term_store
from store.kpis import Counted, Told, Wanted
from store.transactions import Transaction
from tickets.kpis import KPIS, Figure, Goals, Sums, Unit, figures, points

DEFAULT_SPAN = timedelta(days=90)
LONGEST_SPAN = timedelta(days=366)

router = APIRouter(prefix=f"{ROOT}/kpis", tags=["kpis"])


class By(StrEnum):
    """What the figures are told apart by."""

    PERIOD = "period"
    SITE = "site"
    MODEL = "model"
    ENGINEER = "engineer"


_TOLD = {
    By.PERIOD: Told.BY_TIME,
    By.SITE: Told.BY_PLACE,
    By.MODEL: Told.BY_PLACE,
    By.ENGINEER: Told.BY_ENGINEER,
}

Counts = Literal[
    "faults",
    "assignment",
    "response",
    "on_site",
    "resolution",
    "repair_s",
    "first_time_fix",
    "pass_rate",
    "satisfaction",
    "nps",
    "reach",
    "foreseen",
    "lead_s",
    "false_alarms",
    "work_s",
    "cost",
]
"""What has tickets behind it, by name."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Of which period, site, model, engineer, as it was asked."""

    begin: Annotated[Instant | None, Query(alias="from", description="90 days before `to` if not given")] = None
    end: Annotated[Instant | None, Query(alias="to", description="Now if not given; 366 days later at most")] = None
    site: Annotated[Name | None, Query(description="Of this site alone")] = None
    model: Annotated[Name | None, Query(description="Of this model alone; of its kind, where machines have none")] = (
        None
    )
    engineer: Annotated[Name | None, Query(description="Of this engineer alone, by login")] = None

    def wanted(self, now: datetime) -> Wanted:
        """BadValue where the period is none, or too long."""
        end = min(self.end or now, now)
        begin = self.begin or end - DEFAULT_SPAN
        if not timedelta(0) < end - begin <= LONGEST_SPAN:
            raise BadValue("query.from", f"before `to`, and at most {LONGEST_SPAN.days} days before it")
        return Wanted(begin, end, now, self.site, self.model, self.engineer)


class FigureOut(Answered):
    """One KPI over some tickets, beside its goal."""

    model_config = Answered.model_config | example(
        name="first_time_fix", value=0.93, unit="share", cases=214, pending=37, goal=0.9, met=True, why=""
    )

    name: str
    value: float | None = Field(description="null: it cannot be said, and `why` says why")
    unit: Unit
    cases: int = Field(description="What it was made from")
    pending: int = Field(description="Not known yet, and not counted")
    goal: float | None
    met: bool | None
    why: str


class GroupOut(Answered):
    """The figures of one step of time, site, model or engineer."""

    key: str = Field(description="The first day, the name, or the login; empty: of none")
    figures: list[FigureOut]
    points: float | None = Field(
        None,
        description="Of an engineer, 0 to 100: first-time fix and satisfaction, half each; null: too few cases",
    )


class PlaceOut(Answered):
    """Faults of a model at a site."""

    site: str
    model: str
    machines: int = Field(description="In use there now")
    faults: int


class UsedOut(Answered):
    """What was used in a step of time."""

    begins: date
    quantity: int


class CurveOut(Answered):
    """How many of a part went into repairs."""

    number: str = Field(description="Empty: all others together")
    name: str
    used: list[UsedOut]


class KpisOut(Answered):
    """The figures of a period."""

    begin: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    step: str = Field(description="`day`, `week` or `month`: what `by=period` and the curves are cut into")
    currency: str
    figures: list[FigureOut]
    by: By
    groups: list[GroupOut]
    faults: list[PlaceOut]
    parts: list[CurveOut] = Field(description="Empty for owners")


class CaseOut(Answered):
    """A ticket behind a figure."""

    ticket_id: UUID
    device: str
    site: str
    model: str
    engineer: str = Field(description="Empty for whom names are not for")
    at: Instant = Field(description="When it opened, of promises and faults; else when it ended")
    value: float = Field(description="What it adds: 1 or 0, seconds, money")


@router.get("", summary="KPIs of after-sales", response_model_by_alias=True)
def get_kpis(caller: Anyone, asking: Annotated[Asking, Depends()], by: By = By.PERIOD) -> KpisOut:
    """Compliance, repairs, satisfaction, costs, warnings and parts; all of it, and told apart by one thing."""
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        goals, found = counted(conn, caller, asking.wanted(now), by)
        machines = store.places(conn)
    wanted = found.wanted
    show = _Shown(goals, wanted.days, internal=sees_inside(caller))
    faults = {place: int(sums.get("faults", 0)) for place, sums in found.by_place.items()}
    return KpisOut.model_validate(
        {
            "from": wanted.begin,
            "to": wanted.end,
            "step": wanted.step,
            "currency": goals.rates.currency,
            "figures": show(found.total),
            "by": by,
            "groups": [
                GroupOut(key=key, figures=show(sums), points=show.points(sums) if by is By.ENGINEER else None)
                for key, sums in groups(found, by).items()
            ],
            "faults": [
                PlaceOut(site=one.site, model=one.model, machines=one.machines, faults=faults[one.site, one.model])
                for one in machines
                if faults.get((one.site, one.model))
            ],
            "parts": [
                CurveOut(
                    number=curve.number,
                    name=curve.name,
                    used=[UsedOut(begins=begins, quantity=used) for begins, used in curve.used.items()],
                )
                for curve in found.curves
            ],
        }
    )


@router.get("/cases", summary="Tickets behind a KPI")
def list_kpi_cases(
    caller: Anyone, asking: Annotated[Asking, Depends()], kpi: Counts, limit: Limit = 50, cursor: Cursor = None
) -> Page[CaseOut]:
    """Each ticket that was counted and what it adds, the latest first; `faults` are those of the map."""
    wanted = asking.wanted(datetime.now(UTC))
    with caller.transaction() as conn:
        rows = cases(conn, caller, wanted, kpi, limit=limit + 1, after=after_time_id(cursor))
    return page(rows, limit, CaseOut.model_validate, lambda row: (row.at, row.ticket_id))


def sees_inside(caller: Caller) -> bool:
    """Costs, hours and parts are nothing of a customer's."""
    return caller.principal.role is not Role.OWNER


def sees_names(caller: Caller) -> bool:
    """Whose figures are whose: for who sends people, and their managers."""
    return caller.principal.role in DESK


def counted(conn: Transaction, caller: Caller, wanted: Wanted, by: By) -> tuple[Goals, Counted]:
    """The sums that the caller may see. NotForYou where they ask for somebody else's."""
    _assert_may_name(caller, wanted, by)
    goals = store.goals(conn)
    if by is By.ENGINEER and not sees_names(caller):
        wanted = replace(wanted, engineer=caller.principal.name)  # their own line
    zone = str(term_store.in_force(conn).calendar.zone)
    found = store.count(conn, wanted, zone, goals, _TOLD[by], parts=sees_inside(caller))
    return goals, found


def cases(
    conn: Transaction,
    caller: Caller,
    wanted: Wanted,
    kpi: str,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
) -> list[store.Case]:
    """The tickets behind a figure, as the caller may see them."""
    _assert_may_name(caller, wanted)
    if kpi in KPIS and KPIS[kpi].internal and not sees_inside(caller):
        raise NotForYou("what services cost is not for owners")
    rows = store.cases(conn, wanted, kpi, store.goals(conn), limit=limit, after=after)
    if sees_names(caller):
        return rows
    own = caller.principal.name
    return [row if row.engineer == own else replace(row, engineer="") for row in rows]


def groups(found: Counted, by: By) -> dict[str, Sums]:
    """The sums by what they are told apart by, under the names of an answer."""
    if by is By.SITE:
        return found.by_site()
    if by is By.MODEL:
        return found.by_model()
    if by is By.ENGINEER:
        return dict(sorted(found.by_engineer.items()))
    return {begins.isoformat(): sums for begins, sums in found.by_time.items()}


def _assert_may_name(caller: Caller, wanted: Wanted, by: By = By.PERIOD) -> None:
    if not sees_inside(caller) and (wanted.engineer or by is By.ENGINEER):
        raise NotForYou("whose work it was is not for owners")
    if wanted.engineer and wanted.engineer != caller.principal.name and not sees_names(caller):
        raise NotForYou("what others do is for who sends them")


@dataclass(frozen=True, slots=True)
class _Shown:
    """Figures of sums, as they are answered."""

    goals: Goals
    days: float
    internal: bool

    def __call__(self, sums: Sums) -> list[FigureOut]:
        return [FigureOut.model_validate(one) for one in self._figures(sums)]

    def points(self, sums: Sums) -> float | None:
        return points(self._figures(sums))

    def _figures(self, sums: Sums) -> list[Figure]:
        return figures(sums, self.goals, days=self.days, internal=self.internal)
