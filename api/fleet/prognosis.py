"""How long a machine has, and how probable it is that it fails within 30 days; or why that is not said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone
from api.errors import BadValue
from api.models import Answered, DevicePath, Instant, example
from dashboard.remaining import drawing
from store import assessment, prognosis
from store.transactions import Transaction

router = APIRouter(prefix=ROOT, tags=["assessment"])

_HOUR = timedelta(hours=1)
_MOST_HOURS = 1500
_DEFAULT_SPAN = timedelta(days=30)
_LONGEST_SPAN = timedelta(days=3660)


class LifeOut(Answered):
    """Days from `at` until it has failed; null: not within ten years."""

    p05: float | None = Field(description="By then it has failed with 5 %: the 90 % interval begins")
    p10: float | None = Field(description="The 80 % interval begins")
    median: float | None
    p90: float | None
    p95: float | None


class AheadOut(Answered):
    """Its health as it goes on if nothing is done."""

    days: float = Field(description="From `at`")
    low: float
    likely: float
    high: float


class PrognosisOut(Answered):
    """How long a machine has, said at the end of each hour."""

    model_config = Answered.model_config | example(
        device="pump-01",
        at="2026-11-21T22:00:00Z",
        abstains="",
        life={"p05": 4.2, "p10": 5.6, "median": 11.9, "p90": 23.0, "p95": 28.4},
        p_fail_30=0.96,
        by_wear=0.96,
        by_age=0.02,
        worst_point="bearing_temperature",
        fails_at=14.1,
        failures=9,
        ahead=[{"days": 0.0, "low": 39.0, "likely": 42.0, "high": 46.0}],
        bucket_s=3600,
        time=["2026-11-21T21:00:00Z", "2026-11-21T22:00:00Z"],
        median=[12.4, 11.9],
        p_fail=[0.95, 0.96],
    )

    device: str
    at: Instant | None = Field(description="When it was said; null: nothing has been said yet")
    abstains: str = Field(description="Why there is no remaining life; empty where there is one")
    life: LifeOut | None
    p_fail_30: float | None = Field(description="The probability of failure within 30 days; null: nothing is known")
    by_wear: float | None = Field(description="The part of it that its wear tells of")
    by_age: float | None = Field(description="The part that the lives of machines of its kind tell of")
    worst_point: str = Field(description="The point that pulls its health down")
    fails_at: float | None = Field(description="The health at which machines like it fail")
    failures: int = Field(description="Failures of its kind on which `fails_at` rests; with 0 it is a guess")
    ahead: list[AheadOut]
    bucket_s: int
    time: list[Instant] = Field(description="When something was said, hours or buckets of some; the last of each")
    median: list[float | None]
    p_fail: list[float | None]


@router.get("/devices/{device}/prognosis", summary="How long a machine has")
def machine_prognosis(
    caller: Anyone,
    device: DevicePath,
    start: Annotated[Instant | None, Query(alias="from", description="30 days before `to` unless said")] = None,
    end: Annotated[Instant | None, Query(alias="to", description="Now unless said")] = None,
) -> PrognosisOut:
    """As it was said last before `to`, and how that changed since `from`."""
    end = end or datetime.now(UTC)
    start = start or end - _DEFAULT_SPAN
    if not timedelta(0) < end - start <= _LONGEST_SPAN:
        raise BadValue("query.from", "before `to`, by ten years at most")
    hours = max(1, -((start - end) // timedelta(hours=_MOST_HOURS)))
    with caller.transaction() as conn:
        kept = prognosis.latest(conn, device, end - _HOUR)
        course = prognosis.between(conn, device, start, end, timedelta(hours=hours))
    said: dict[str, Any] = _nothing_yet() if kept is None else _said(kept)
    return PrognosisOut(
        device=device,
        **said,
        bucket_s=hours * 3600,
        time=[each.hour + _HOUR for each in course],
        median=[_rounded(each.days) for each in course],
        p_fail=[_rounded(each.p_fail_30, 4) for each in course],
    )


def remaining_life(conn: Transaction, device: str, now: datetime) -> dict[str, Any] | None:
    """What the section «Remaining life» of a machine's page shows; None where nothing has been said yet."""
    kept = prognosis.latest(conn, device, now)
    if kept is None:
        return None
    at = kept.hour + _HOUR
    past = assessment.health(conn, device, at - _DEFAULT_SPAN, at, timedelta(hours=6)) if kept.band else []
    before = [((hour.hour - at) / timedelta(days=1), hour.health) for hour in past]
    return {
        **_said(kept),
        "drawing": drawing(before, [(row[0], row[1], row[2], row[3]) for row in kept.band or ()], kept.fails_at or 0.0),
        "is_old": now - at > timedelta(days=1),
    }


def _said(kept: prognosis.Kept) -> dict[str, Any]:
    return {
        "at": kept.hour + _HOUR,
        "abstains": kept.abstains,
        "life": LifeOut(**dict(zip(("p05", "p10", "median", "p90", "p95"), map(_rounded, kept.days), strict=True)))
        if kept.days
        else None,
        "p_fail_30": _rounded(kept.p_fail_30, 4),
        "by_wear": _rounded(kept.by_wear, 4),
        "by_age": _rounded(kept.by_age, 4),
        "worst_point": kept.worst_point,
        "fails_at": _rounded(kept.fails_at),
        "failures": kept.failures,
        "ahead": [
            AheadOut(days=round(days, 2), low=round(low, 1), likely=round(likely, 1), high=round(high, 1))
            for days, low, likely, high in kept.band or ()
        ],
    }


def _nothing_yet() -> dict[str, Any]:
    numbers = dict.fromkeys(("at", "life", "p_fail_30", "by_wear", "by_age", "fails_at"))
    return {**numbers, "abstains": "its normal is not known yet", "worst_point": "", "failures": 0, "ahead": []}


def _rounded(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)
