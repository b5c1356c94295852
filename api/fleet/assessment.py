"""How well a machine is, and what is probably wrong with one that has a ticket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone
from api.errors import BadValue
from api.models import Answered, DevicePath, Instant, example
from store import assessment, prognosis, tickets
from store.assessment import KeptDiagnosis
from store.errors import NotFound

router = APIRouter(prefix=ROOT, tags=["assessment"])

MOST_HOURS = 1500
_DEFAULT_SPAN = timedelta(days=30)
_LONGEST_SPAN = timedelta(days=3660)


class HealthOut(Answered):
    """A machine's health, 0 to 100: 100 as in its own normal, 50 at the limit of that."""

    model_config = Answered.model_config | example(
        device="pump-01",
        known=True,
        at="2026-11-21T21:00:00Z",
        health=86.5,
        worst_point="bearing_temperature",
        bucket_s=3600,
        time=["2026-11-21T20:00:00Z", "2026-11-21T21:00:00Z"],
        course=[90.1, 86.5],
        measured=[92.0, 84.2],
    )

    device: str
    known: bool = Field(description="Whether its normal is known; before, there is no health")
    at: Instant | None = Field(description="The latest hour in which it was running, by its beginning")
    health: float | None = Field(description="As of then")
    worst_point: str = Field(description="The point that pulls it down most")
    bucket_s: int
    time: list[Instant] = Field(description="Beginnings of hours, or of buckets of some. At rest it has no health")
    course: list[float] = Field(description="What wear lowers and chance does not lift")
    measured: list[float] = Field(description="Each hour by itself; the lowest of a bucket")


class SignOut(Answered):
    """What one point says of a failure mode."""

    point: str
    unit: str
    speaks: Literal["for", "against", "open"]
    expected: str = Field(description="++, +, +?, ?, -?, -, --: how the mode moves it; empty: not at all")
    z: float = Field(description="How far it has moved, in its own normal spread; below 0: down")
    before: float
    after: float


class HeardOut(Answered):
    """What the last blocks of raw vibration of one axis say."""

    fault: str = Field(description="outer_race, imbalance, …")
    axis: str
    blocks: int = Field(description="That name it")
    of: int = Field(description="That could say anything")


class StepOut(Answered):
    """One step of a procedure."""

    do: str
    warn: str = Field("", description="Read before it")
    measure: str = Field("", description="What is written down there")
    unit: str = ""
    low: float | None = Field(None, description="Its limits, where there are any")
    high: float | None = None
    replaces: str = Field(
        "", description="The key part that goes in: its serial number is written down, and the old one"
    )
    picture: str = Field("", description="What it looks like: see `GET sops/pictures/{picture}`")


class ProcedureOut(Answered):
    """What is done on site, step by step."""

    id: str
    name: str
    skills: list[str]
    steps: list[StepOut]


class SuspectOut(Answered):
    """A failure mode, how probable it is, and the test that would decide."""

    mode: str
    name: str
    failure_mode: str = Field(description="By ISO 14224")
    mechanism: str
    probability: float
    point: str = Field(description="The sensor, where it is a fault of one")
    told_apart: str
    confirm: str
    remedy: str
    parts: list[str]
    urgency: Literal["", "now", "day", "week", "month"] = Field(
        "", description="How long one may wait; empty: not said"
    )
    procedure: ProcedureOut | None = Field(None, description="How it is mended; null: nobody has written it down")
    signs: list[SignOut]
    heard: list[HeardOut] = Field([], description="Verdicts on raw vibration that speak for it")


class DiagnosisOut(Answered):
    """What is probably wrong. With `other`, the probabilities add up to 1."""

    model_config = Answered.model_config | example(
        ticket_id="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        made_at="2026-11-21T22:31:24Z",
        until="2026-11-21T22:31:20Z",
        abstains="",
        other=0.09,
        suspects=[
            {
                "mode": "pump.blocked_filter",
                "name": "Filter behind the pump blocked",
                "failure_mode": "PLU",
                "mechanism": "blockage or plugging",
                "probability": 0.91,
                "point": "",
                "told_apart": "Pressure across the filter rises while flow falls; with a closed valve both fall.",
                "confirm": "Differential pressure at a known flow against the clean filter's.",
                "remedy": "Change or backwash the element.",
                "parts": ["filter element"],
                "urgency": "week",
                "procedure": {
                    "id": "filter.change",
                    "name": "Change a filter element",
                    "skills": ["mechanical"],
                    "steps": [{"do": "Read the differential pressure.", "measure": "before", "unit": "bar"}],
                },
                "signs": [
                    {
                        "point": "filter_differential_pressure",
                        "unit": "bar",
                        "speaks": "for",
                        "expected": "++",
                        "z": 21.4,
                        "before": 0.35,
                        "after": 0.62,
                    }
                ],
                "heard": [],
            }
        ],
    )

    ticket_id: UUID
    made_at: Instant
    until: Instant = Field(description="The readings that it rests on go so far")
    abstains: str = Field(description="Why nothing is named; empty where something is")
    other: float
    suspects: list[SuspectOut]
    p_fail_30: float | None = Field(
        None, description="The probability of failure within 30 days, as it had been said when the ticket was opened"
    )

    @classmethod
    def of(cls, kept: KeptDiagnosis, p_fail_30: float | None) -> DiagnosisOut:
        return cls(
            ticket_id=kept.ticket_id,
            made_at=kept.made_at,
            until=kept.until,
            abstains=kept.abstains,
            other=kept.other,
            suspects=[SuspectOut.model_validate(suspect) for suspect in kept.suspects],
            p_fail_30=None if p_fail_30 is None else round(p_fail_30, 4),
        )


@router.get("/devices/{device}/health", summary="A machine's health")
def machine_health(
    caller: Anyone,
    device: DevicePath,
    start: Annotated[Instant | None, Query(alias="from", description="30 days before `to` unless said")] = None,
    end: Annotated[Instant | None, Query(alias="to", description="Now unless said")] = None,
) -> HealthOut:
    """Hour by hour, while it was running; buckets of several hours where the span is long."""
    end = end or datetime.now(UTC)
    start = start or end - _DEFAULT_SPAN
    if not timedelta(0) < end - start <= _LONGEST_SPAN:
        raise BadValue("query.from", "before `to`, by ten years at most")
    hours = max(1, -((start - end) // timedelta(hours=MOST_HOURS)))
    with caller.transaction() as conn:
        known, latest = assessment.latest_health(conn, device)
        course = assessment.health(conn, device, start, end, timedelta(hours=hours))
    return HealthOut(
        device=device,
        known=known,
        at=latest.hour if latest else None,
        health=latest.health if latest else None,
        worst_point=latest.worst_point if latest else "",
        bucket_s=hours * 3600,
        time=[hour.hour for hour in course],
        course=[round(hour.health, 2) for hour in course],
        measured=[round(hour.measured, 2) for hour in course],
    )


@router.get("/tickets/{ticket_id}/diagnosis", summary="What is probably wrong")
def ticket_diagnosis(caller: Anyone, ticket_id: UUID) -> DiagnosisOut:
    """The three failure modes that fit best; within seconds of the ticket's opening, and again as the fault grows."""
    with caller.transaction() as conn:
        tickets.ticket(conn, ticket_id)
        kept = assessment.diagnosis_of(conn, ticket_id)
        p_fail_30 = prognosis.at_opening(conn, ticket_id)
    if kept is None:
        raise NotFound("there is no diagnosis of this ticket yet")
    return DiagnosisOut.of(kept, p_fail_30)
