"""What verdicts on tickets have taught."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone
from api.models import Answered, DevicePath, example
from store import lessons

router = APIRouter(prefix=ROOT, tags=["devices"])


class LessonOut(Answered):
    """Alarms of one detector that wait: they are raised from a score on, or when they have lasted for so long."""

    model_config = Answered.model_config | example(
        detector="shift", point="flow", raised_from_score=2.2, or_after_s=5000.0, in_vain=4, faults=0
    )

    detector: str
    point: str = Field(description="Empty for a detector of machines")
    raised_from_score: float = Field(description="1 is the detector's own limit")
    or_after_s: float
    in_vain: int = Field(description="Alarms of this device whose ticket was closed as no fault")
    faults: int = Field(description="Alarms of this device whose ticket found one")


class LessonsOut(Answered):
    """All that verdicts have taught of a device."""

    items: list[LessonOut]


@router.get("/devices/{device}/lessons", summary="What verdicts have taught")
def get_lessons(caller: Anyone, device: DevicePath) -> LessonsOut:
    """Alarms of a device that wait, because visits for the like of them, here or on other machines, were in vain."""
    with caller.transaction() as conn:
        found = lessons.of_device(conn, device, datetime.now(UTC))
    return LessonsOut(
        items=[
            LessonOut(
                detector=each.detector,
                point=each.point,
                raised_from_score=each.patience.level,
                or_after_s=each.patience.lasting_s,
                in_vain=each.in_vain,
                faults=each.faults,
            )
            for each in found
        ]
    )
