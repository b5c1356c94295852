"""How far the data of a machine's streams can be trusted."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone
from api.models import Answered, DevicePath, Instant, example
from store import quality
from store.quality import Graded

router = APIRouter(prefix=ROOT, tags=["quality"])


class StreamQualityOut(Answered):
    """The grade of one stream over the last seven days, and what it rests on."""

    model_config = Answered.model_config | example(
        point="flow",
        unit="m3/h",
        grade="C",
        points=88.1,
        usable=True,
        why=["12 % missing, 20 hours without any"],
        until="2026-11-21T22:00:00Z",
        hours=168,
        hours_heard=148,
        readings=532800,
        late=0,
        mistimed=0,
        impossible=0,
        contested=0,
        values_an_hour=412,
    )

    point: str
    unit: str
    grade: Literal["A", "B", "C", "D", "F", ""] = Field(description="Empty: not counted long enough yet")
    points: float = Field(description="0 to 100, of the worst part: A from 97, B from 90, C from 75, D from 50")
    usable: bool = Field(description="Whether what is found in it may be believed: A to C")
    why: list[str] = Field(description="What keeps it from an A, the worst first")
    until: Instant | None = Field(description="Hours are counted so far; null: not at all yet")
    hours: int
    hours_heard: int = Field(description="Hours with readings")
    readings: int
    late: int = Field(description="Readings older than one that was stored before")
    mistimed: int = Field(description="Readings from the future, or of a clock that is known to be wrong")
    impossible: int
    contested: int = Field(description="Other values that came for a time at which one stands")
    values_an_hour: float = Field(
        description="Distinct values in a usual hour: few where a sensor is coarse or at rest"
    )

    @classmethod
    def of(cls, graded: Graded) -> StreamQualityOut:
        tally = graded.tally
        return cls(
            point=graded.point,
            unit=graded.unit,
            grade=graded.grade.letter,  # type: ignore[arg-type]
            points=graded.grade.points,
            usable=graded.grade.usable,
            why=list(graded.grade.why),
            until=graded.until,
            hours=tally.hours,
            hours_heard=tally.heard,
            readings=tally.readings,
            late=tally.late,
            mistimed=tally.mistimed,
            impossible=tally.impossible,
            contested=tally.contested,
            values_an_hour=graded.values_an_hour,
        )


@router.get("/devices/{device}/quality", summary="Which of a machine's sensors can be trusted")
def machine_quality(caller: Anyone, device: DevicePath) -> list[StreamQualityOut]:
    """By point. Hours are counted when they are over; an alarm that stands against a sensor counts at once."""
    with caller.transaction() as conn:
        return [StreamQualityOut.of(graded) for graded in quality.of_machine(conn, device)]
