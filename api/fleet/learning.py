"""What can't be judged of a machine yet."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone
from api.models import Answered, DevicePath, Instant, example
from store import learning

router = APIRouter(prefix=ROOT, tags=["assessment"])


class LearningOut(Answered):
    """A detector that has no opinion yet of some points of a machine."""

    model_config = Answered.model_config | example(
        detector="drift", points=["bearing_temperature", "flow"], about="2026-11-29T06:00:00Z", why=""
    )

    detector: str
    points: list[str]
    about: Instant | None = Field(description="When the last of them will be known, estimated; null: not foreseeable")
    why: str = Field(description="Why it is not foreseeable; empty where it is")


@router.get("/devices/{device}/learning", summary="What can't be judged yet")
def machine_learning(caller: Anyone, device: DevicePath) -> list[LearningOut]:
    """By detector, the soonest first; empty once a machine is known. Limits hold from the first reading."""
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        found = learning.of_machine(conn, device, now)
    return [
        LearningOut(detector=one.detector, points=list(one.points), about=when(one.in_s, now), why=one.why)
        for one in found
    ]


def when(in_s: float, now: datetime) -> datetime | None:
    """A time to come; None where it can't be foreseen."""
    return None if math.isinf(in_s) else now + timedelta(seconds=in_s)
