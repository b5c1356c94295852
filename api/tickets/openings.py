"""What opens a ticket: an alarm event, as the evidence of a detector, or what a person reports."""

from __future__ import annotations

import math
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from alarms.events import Severity
from api.models import Asked, DeviceName, Instant, Line, Message, Name, PointName, Prose, example
from tickets.evidence import Finding, Report
from tickets.priority import FaultClass, Nature, Priority

# More than any machine has points: an alarm that is refused here would be lost.
MOST_CONTRIBUTIONS = 5000


class Window(Asked):
    """The span that shows the departure."""

    model_config = Asked.model_config | ConfigDict(populate_by_name=True)

    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")


class EvidenceIn(Asked):
    """Why a detector says so. A number that there is none of is null."""

    point: PointName | Literal[""] = ""
    unit: Annotated[str, Field(max_length=32)] = ""
    observed: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    since: Instant | None = None
    contributions: Annotated[dict[PointName, float | None], Field(max_length=MOST_CONTRIBUTIONS)] = Field(
        default_factory=dict
    )
    window: Window | None = None


class AlarmIn(Asked):
    """One alarm event."""

    event_id: UUID
    occurrence_id: UUID
    kind: Literal["raised", "escalated"]
    rule: Name
    detector: Name
    point: PointName | Literal[""]
    severity: Severity
    since: Instant
    at: Instant
    score: float | None
    message: Message
    evidence: EvidenceIn


class TicketFromAlarm(Asked):
    """An alarm event, from a program of the role `service`."""

    model_config = Asked.model_config | example(
        source="alarm",
        device="pump-01",
        fault="condition",
        alarm={
            "event_id": "0b9f3a52-8c1e-5a57-9c3d-6b1f0a4f7c11",
            "occurrence_id": "3f1c2f5e-8f0e-5c3a-9a55-0d3c1f6b2a11",
            "kind": "raised",
            "rule": "shift",
            "detector": "shift",
            "point": "flow",
            "severity": "high",
            "since": "2026-11-21T22:31:00Z",
            "at": "2026-11-21T22:31:20Z",
            "score": 3.4,
            "message": "flow 3.9 m3/h, normal 9.2 to 10.8 m3/h",
            "evidence": {
                "point": "flow",
                "unit": "m3/h",
                "observed": 3.9,
                "expected": 10.0,
                "low": 9.2,
                "high": 10.8,
                "since": "2026-11-21T22:31:00Z",
                "contributions": {"flow": 0.75, "current": 0.25},
                "window": {"from": "2026-11-21T22:29:00Z", "to": "2026-11-21T22:33:20Z"},
            },
        },
    )

    source: Literal["alarm"]
    device: DeviceName
    fault: Name
    alarm: AlarmIn

    def report(self) -> Report:
        """The event as the domain takes it."""
        alarm, evidence = self.alarm, self.alarm.evidence
        return Report(
            event_id=alarm.event_id,
            occurrence_id=alarm.occurrence_id,
            device=self.device,
            fault=self.fault,
            kind=alarm.kind,
            rule=alarm.rule,
            detector=alarm.detector,
            severity=alarm.severity,
            since=alarm.since,
            at=alarm.at,
            score=_number(alarm.score),
            message=alarm.message,
            finding=Finding(
                point=evidence.point or alarm.point,
                unit=evidence.unit,
                observed=_number(evidence.observed),
                expected=_number(evidence.expected),
                low=_number(evidence.low),
                high=_number(evidence.high),
                contributions={p: share for p, share in evidence.contributions.items() if share is not None},
                window=None if evidence.window is None else (evidence.window.start, evidence.window.end),
            ),
        )


class TicketFromPerson(Asked):
    """What a person reports, in their own words."""

    model_config = Asked.model_config | example(
        source="person",
        device="pump-01",
        title="It leaks at the shaft seal",
        description="A puddle since this morning, about a litre an hour.",
        fault_class="degraded",
    )

    source: Literal["person"]
    device: DeviceName
    title: Line
    description: Prose = ""
    fault_class: FaultClass = Field(FaultClass.DEGRADED, description="What is lost: the priority follows by the matrix")
    nature: Nature = Nature.HARDWARE
    priority: Priority | None = Field(None, description="Instead of the matrix's; safety equipment stays urgent")


def _number(value: float | None) -> float:
    return math.nan if value is None else value
