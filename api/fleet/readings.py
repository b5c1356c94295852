"""Readings for charts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone
from api.errors import BadValue
from api.models import Answered, DeviceName, Instant, PointName, example
from api.paging import Limit
from store import readings

# More than a wide screen has pixels.
MOST_POINTS = 5000
# Ten years: longer than anybody keeps what is shown by the hour.
LONGEST_SPAN = timedelta(days=3653)

router = APIRouter(prefix=ROOT, tags=["readings"])


Device = Annotated[DeviceName, Query(examples=["pump-01"])]
Point = Annotated[PointName, Query(examples=["flow"])]
Beginning = Annotated[Instant | None, Query(alias="from", description="Its beginning; a day before `to` if not given")]
End = Annotated[Instant | None, Query(alias="to", description="Its end; now if not given")]


class ReadingsOut(Answered):
    """A span of one stream, in columns of one length. Where `n` is 0 the line breaks: nothing was read there."""

    model_config = Answered.model_config | example(
        {
            "device": "pump-01",
            "point": "flow",
            "quantity": "flow",
            "unit": "m3/h",
            "from": "2026-11-21T20:00:00Z",
            "to": "2026-11-21T22:00:00Z",
            "bucket_s": 60.0,
            "time": ["2026-11-21T20:00:00Z", "2026-11-21T20:01:00Z", "2026-11-21T20:14:30Z"],
            "n": [60, 60, 0],
            "min": [9.6, 9.7, None],
            "max": [10.2, 10.3, None],
            "mean": [9.9, 10.0, None],
        }
    )

    device: str
    point: str
    quantity: str
    unit: str
    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    bucket_s: float | None = Field(description="Width of a bucket; null: these are the readings themselves")
    time: list[Instant] = Field(description="Of a reading, or of the beginning of a bucket")
    n: list[int] = Field(description="Readings in the bucket")
    min: list[float | None]
    max: list[float | None]
    mean: list[float | None]


class ContestedOut(Answered):
    """A value that came for a time at which another one stands."""

    model_config = Answered.model_config | example(time="2026-11-21T20:00:00Z", value=71.4, standing=71.2)

    time: Instant
    value: float
    standing: float | None = Field(description="null: retention has taken it")


@router.get("/readings", summary="Readings for a chart")
def get_readings(
    caller: Anyone,
    device: Device,
    point: Point,
    start: Beginning = None,
    end: End = None,
    points: Annotated[int, Query(ge=1, le=MOST_POINTS, description="How many a chart can show")] = 500,
) -> ReadingsOut:
    """The readings themselves where there are no more than `points`, else buckets with least, greatest and mean.

    A bucket without readings is not there; where a line must break stands a point with `n` 0 and no values. Buckets of
    a minute and more may reach one roll-up (a minute, an hour) over the edges of the span.
    """
    since, until = span_of(start, end)
    with caller.transaction() as conn:
        chart = readings.chart(conn, device, point, since, until, points)
    return ReadingsOut(
        device=chart.device,
        point=chart.point,
        quantity=chart.quantity,
        unit=chart.unit,
        **{"from": chart.start, "to": chart.end},
        bucket_s=chart.bucket_s,
        time=[one.time for one in chart.points],
        n=[one.n for one in chart.points],
        min=[one.min for one in chart.points],
        max=[one.max for one in chart.points],
        mean=[one.mean for one in chart.points],
    )


@router.get("/readings/contested", summary="Values that contradict what is stored")
def list_contested(
    caller: Anyone,
    device: Device,
    point: Point,
    start: Beginning = None,
    end: End = None,
    limit: Limit = 50,
) -> list[ContestedOut]:
    """Of one point, the oldest first: a device that says two things of one moment, or two that share a name."""
    since, until = span_of(start, end)
    with caller.transaction() as conn:
        found = readings.contested(conn, device, point, since, until, limit)
    return [ContestedOut.model_validate(each) for each in found]


def span_of(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """What a request asks for; refused where it is none, or too long."""
    until = end or datetime.now(UTC)
    since = start or until - timedelta(days=1)
    if since >= until:
        raise BadValue("query.from", "the beginning must be before the end")
    if until - since > LONGEST_SPAN:
        raise BadValue("query.from", f"a span has at most {LONGEST_SPAN.days} days")
    return since, until
