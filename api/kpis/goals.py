"""What a tenant's after-sales aims at, and the rates that its costs are reckoned by."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone, Manager
from api.errors import BadValue
from api.kpis.kpis import sees_inside
from api.models import Answered, Asked, example
from store import kpis as store
from tickets.kpis import KPIS, Goals, Rates, Unit

router = APIRouter(prefix=f"{ROOT}/kpis/goals", tags=["kpis"])


class RatesIn(Asked):
    """What services cost; null: nobody has said."""

    hour: float | None = Field(default=None, ge=0, le=10_000, description="One hour of one person")
    visit: float | None = Field(default=None, ge=0, le=10_000, description="There and back, the car with it")
    overhead: float | None = Field(default=None, ge=0, le=5, description="A share on top of people, ways and parts")
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")


class GoalsIn(Asked):
    """What is aimed at, by KPI, and the rates of the costs. What is not named has the goal of the house."""

    model_config = Asked.model_config | example(
        aims={"response": 0.98, "satisfaction": 90, "foreseen": None},
        rates={"hour": 78.0, "visit": 60.0, "overhead": 0.12, "currency": "EUR"},
    )

    aims: dict[str, float | None] = Field(default_factory=dict, max_length=len(KPIS))
    rates: RatesIn = RatesIn()

    def goals(self) -> Goals:
        """BadValue where there is no such KPI, or no such figure of it."""
        for name, aim in self.aims.items():
            kpi = KPIS.get(name)
            most = {Unit.SHARE: 1.0, Unit.POINTS: 100.0, Unit.SCORE: 100.0}.get(kpi.unit, 1e9) if kpi else None
            if most is None:
                raise BadValue(f"body.aims.{name[:40]}", "no KPI is called so")
            if aim is not None and not (-100 if kpi and kpi.unit is Unit.SCORE else 0) <= aim <= most:
                raise BadValue(f"body.aims.{name}", f"at most {most:g}, and not below the least that it can be")
        return Goals(self.aims, Rates(**self.rates.model_dump()))


class GoalsOut(Answered):
    """Every KPI's goal, the house's where nothing else was said, and the rates."""

    aims: dict[str, float | None]
    rates: RatesIn


@router.get("", summary="Goals and rates")
def get_goals(caller: Anyone) -> GoalsOut:
    """What is aimed at; rates for whom costs are."""
    with caller.transaction() as conn:
        return _goals(store.goals(conn), inside=sees_inside(caller))


@router.put("", summary="Change goals and rates")
def change_goals(caller: Manager, asked: GoalsIn) -> GoalsOut:
    """Whole; figures are held against them from the next look on, also those of the past."""
    who = caller.principal
    with caller.transaction() as conn:
        store.keep_goals(conn, who.tenant, asked.goals(), who.name, datetime.now(UTC))
        return _goals(store.goals(conn), inside=True)


def _goals(goals: Goals, *, inside: bool) -> GoalsOut:
    rates = goals.rates if inside else Rates()
    aims = {name: goals.of(name) for name, kpi in KPIS.items() if inside or not kpi.internal}
    return GoalsOut(
        aims=aims,
        rates=RatesIn(hour=rates.hour, visit=rates.visit, overhead=rates.overhead, currency=rates.currency),
    )
