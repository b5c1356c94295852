"""Where a point's behaviour changed, over the span that a chart shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone
from api.fleet.readings import Beginning, Device, End, Point, span_of
from api.models import Answered, Instant, example
from detectors.changepoints import FEWEST_LEARN_ROWS, Change, changepoints
from detectors.recordings import Recording
from store import readings
from telemetry import microseconds

# As many as a chart is wide in points of its own; the cost of one look is that of reading twice as many.
_MOST_POINTS = 1500
# Lower, and only what anybody sees is marked; higher, and so is chance: a chart of 500 points bears one such mark.
_FALSE_SHARE = 0.002
_TOO_FEW = "too few readings before to know how it moves without changing"

router = APIRouter(prefix=ROOT, tags=["readings"])


class ChangeOut(Answered):
    """One change. Levels are means between this change and its neighbours, in the point's unit."""

    at: Instant = Field(description="When it most probably happened")
    known_at: Instant = Field(description="With which reading, or bucket, it was known")
    score: float = Field(description="Distance from the behaviour before; 1 is the limit")
    before: float
    after: float


class ChangepointsOut(Answered):
    """The changes of one point in a span, seen as coarsely as its chart shows them."""

    model_config = Answered.model_config | example(
        {
            "device": "pump-01",
            "point": "flow",
            "unit": "m3/h",
            "from": "2026-11-21T20:00:00Z",
            "to": "2026-11-21T22:00:00Z",
            "bucket_s": 15.0,
            "abstains": "",
            "changes": [
                {
                    "at": "2026-11-21T21:04:15Z",
                    "known_at": "2026-11-21T21:06:00Z",
                    "score": 2.4,
                    "before": 10.1,
                    "after": 8.7,
                }
            ],
        }
    )

    device: str
    point: str
    unit: str
    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    bucket_s: float | None = Field(description="Width of the buckets that were compared; null: readings themselves")
    abstains: str = Field(description="Why nothing can be said; empty where it can")
    changes: list[ChangeOut]


@router.get("/readings/changepoints", summary="Where a point's behaviour changed")
def get_changepoints(
    caller: Anyone,
    device: Device,
    point: Point,
    start: Beginning = None,
    end: End = None,
    points: Annotated[int, Query(ge=100, le=_MOST_POINTS, description="How many a chart shows")] = 500,
) -> ChangepointsOut:
    """By the level alone, measured by as much time before the span, or by the first half of what there is.

    A change within a bucket, one that takes longer than the span, and two within twenty points of each other are not
    told apart.
    """
    since, until = span_of(start, end)
    with caller.transaction() as conn:
        chart = readings.chart(conn, device, point, since - (until - since), until, 2 * points)
    heard = [one for one in chart.points if one.mean is not None]
    before = sum(one.time < since for one in heard)
    learnt = before if before >= FEWEST_LEARN_ROWS else len(heard) // 2
    found = _changes(heard, learnt) if learnt >= FEWEST_LEARN_ROWS else []
    return ChangepointsOut(
        device=chart.device,
        point=chart.point,
        unit=chart.unit,
        **{"from": since, "to": until},
        bucket_s=chart.bucket_s,
        abstains="" if learnt >= FEWEST_LEARN_ROWS else _TOO_FEW,
        changes=[change for change in found if change.at >= since],
    )


def _changes(heard: Sequence[readings.Point], learnt: int) -> list[ChangeOut]:
    values = np.array([one.mean for one in heard], np.float64)
    times: list[datetime] = [one.time for one in heard]
    time_us = np.array([microseconds(time) for time in times], np.int64)
    recording = Recording(time_us, ("",) * len(times), ("value",), values[:, None])
    found = changepoints(recording, train_rows=learnt, false_alarm_rate=_FALSE_SHARE)
    bounds = [0, *(change.since for change in found), len(values)]
    levels = [float(values[a : max(b, a + 1)].mean()) for a, b in pairwise(bounds)]
    return [_shown(change, times, *level) for change, level in zip(found, pairwise(levels), strict=True)]


def _shown(change: Change, times: Sequence[datetime], before: float, after: float) -> ChangeOut:
    return ChangeOut(at=times[change.since], known_at=times[change.row], score=change.score, before=before, after=after)
