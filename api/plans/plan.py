"""What a preventive plan is: where, what is done, and what it falls due by."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from api.errors import BadValue
from api.models import Asked, DeviceName, Line, Name, PointName, Prose, example
from prognosis.faults import built_in_procedures
from prognosis.procedures import REMOTE, Procedure
from store.plans.catalogue import Plan
from tickets.plans import Every, Side
from tickets.priority import FaultClass

Clock = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class ByCalendar(Asked):
    """Every so many days, weeks or months, by the tenant's calendar; a day without work is moved to the next."""

    kind: Literal["calendar"]
    number: int = Field(ge=1, le=120)
    every: Every
    begins_on: date = Field(
        ge=date(2000, 1, 1), le=date(2100, 1, 1), description="The 31st: the last of shorter months"
    )
    at: Clock = "08:00"


class ByUse(Asked):
    """Every so many hours of running, or cycles, since it was done last."""

    kind: Literal["hours", "cycles"]
    amount: float = Field(gt=0, le=1e9)
    point: PointName | Literal[""] = Field("", description="Counts them; empty: the machine's modes tell")
    rolls_over_at: float | None = Field(
        None, gt=0, description="Where the counter begins at nothing again, in its unit"
    )


class ByCondition(Asked):
    """A point, or the health of the machine, beyond a limit for so many hours that are known."""

    kind: Literal["condition"]
    point: PointName | Literal[""] = Field("", description="Empty: the health, 0 to 100")
    side: Side
    limit: float
    for_h: int = Field(ge=1, le=720)


class ByRisk(Asked):
    """The probability that the machine fails within 30 days."""

    kind: Literal["risk"]
    limit: float = Field(0.3, gt=0, le=1)


Trigger = Annotated[ByCalendar | ByUse | ByCondition | ByRisk, Field(discriminator="kind")]
"""What a plan falls due by."""


class PlanPart(Asked):
    """So many of a part, asked for when the ticket opens."""

    part: DeviceName
    quantity: int = Field(1, ge=1, le=10_000)


PLAN: dict[str, Any] = {
    "name": "Grease the bearings",
    "device": None,
    "model": "NK 80-200",
    "site": None,
    "trigger": {"kind": "hours", "amount": 2000, "point": "", "rolls_over_at": None},
    "procedure": "bearing.lubricate",
    "steps": "Write the date on the label.",
    "parts": [{"part": "grease-2", "quantity": 1}],
    "skills": [],
    "work_h": 1.5,
    "fault_class": "cosmetic",
    "lead_days": 14,
    "healthy_from": 90,
    "put_off_most": 1,
}


class PlanIn(Asked):
    """What is done on a device, a model or a site, and when."""

    model_config = Asked.model_config | example(PLAN)

    name: Line
    device: DeviceName | None = None
    model: Name | None = None
    site: Name | None = None
    trigger: Trigger
    procedure: Annotated[str, Field(max_length=64)] = Field(
        "", description="Of the fault library; empty: own steps alone"
    )
    steps: Prose = Field("", description="A line each, after those of the procedure")
    parts: Annotated[list[PlanPart], Field(max_length=50)] = Field(default_factory=list)
    skills: Annotated[list[Name], Field(max_length=20)] = Field(default_factory=list)
    work_h: float = Field(1, gt=0, le=1000, description="Hours of work")
    fault_class: FaultClass = Field(FaultClass.COSMETIC, description="What waiting would cost: the ticket starts by it")
    lead_days: int = Field(14, ge=0, le=365, description="The ticket opens so long before it is due")
    healthy_from: float | None = Field(
        None, ge=0, le=100, description="May be put off from this health on; null: never"
    )
    put_off_most: int = Field(0, ge=0, le=12, description="In a row: the next time it is done, however healthy")

    @model_validator(mode="after")
    def _check(self) -> PlanIn:
        if sum(place is not None for place in (self.device, self.model, self.site)) != 1:
            raise ValueError("a device, a model or a site: one of them")
        if not self.procedure and not self.steps:
            raise ValueError("say what is done: a procedure, or steps")
        if (self.healthy_from is None) != (self.put_off_most == 0):
            raise ValueError("a plan that may be put off says from which health, and how often in a row")
        if self.healthy_from is not None and self.trigger.kind in {"condition", "risk"}:
            raise ValueError("what is done for its condition or risk is never put off")
        return self


def fields_of(asked: PlanIn) -> dict[str, Any]:
    """A plan as it is kept. BadValue where there is no such procedure."""
    if asked.procedure and asked.procedure not in library():
        raise BadValue("body.procedure", "there is no such procedure in the fault library")
    return asked.model_dump(mode="json")


def steps_of(plan: Plan) -> list[str]:
    """What is done, in order: the procedure's steps, then the plan's own."""
    found = library().get(plan.procedure)
    steps = [] if found is None else [_words(one.do, one.warn, one.measure, one.unit) for one in found.steps]
    return steps + [line.strip() for line in plan.steps.splitlines() if line.strip()]


@cache
def library() -> dict[str, Procedure]:
    """The procedures that a plan may name."""
    return {name: one for name, one in built_in_procedures().items() if not name.startswith(REMOTE)}


def _words(do: str, warn: str, measure: str, unit: str) -> str:
    said = f"{do} Beware: {warn}" if warn else do
    return f"{said} Write down: {measure} ({unit})." if unit else f"{said} Write down: {measure}." if measure else said
