"""What an alarm tells a ticket, and the ticket's title from it.

The title says what was measured against what was to be expected, never what the cause might be: that is for whoever
diagnoses it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from alarms.events import Severity

# Points with less of the score than this did not make the alarm.
_NAMED_SHARE = 0.2
_NAMED_POINTS = 2
# Detectors whose message says it better than a number.
_SPOKEN = frozenset({"silence", "flatline", "sensors"})
# A zero that somebody chose: 20 degC is not twice 10 degC.
_INTERVAL_UNITS = frozenset({"degC", "degF", "%"})


@dataclass(frozen=True, slots=True)
class Finding:
    """The evidence of one alarm event. Numbers are NaN where the detector has none."""

    point: str
    unit: str
    observed: float = math.nan
    expected: float = math.nan
    low: float = math.nan
    high: float = math.nan
    contributions: Mapping[str, float] = field(default_factory=dict)
    window: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """An alarm event as a ticket takes it."""

    event_id: UUID
    occurrence_id: UUID
    device: str
    fault: str
    kind: str
    rule: str
    detector: str
    severity: Severity
    since: datetime
    at: datetime
    score: float
    message: str
    finding: Finding


def title(report: Report) -> str:
    """One line: the machine, the leading point, how far it is from normal, and what went along with it."""
    if report.detector == "site":  # the device only stands for it
        return report.message
    return f"{report.device}: {_departure(report)}{_company(report.finding)}"


def _departure(report: Report) -> str:
    finding = report.finding
    point = finding.point.replace("_", " ")
    normal = _nearest_normal(finding)
    spoken = report.detector in _SPOKEN or not point
    if spoken or not math.isfinite(finding.observed - normal):
        return report.message
    difference = finding.observed - normal
    side = "above" if difference > 0 else "below"
    measure = "its limit" if report.detector == "limits" else "normal"
    if finding.unit in _INTERVAL_UNITS or abs(normal) < abs(difference) / 10:
        return f"{point} {abs(difference):.3g} {_spoken(finding.unit)}".rstrip() + f" {side} {measure}"
    return f"{point} {abs(difference / normal):.0%} {side} {measure}".replace("%", " %")


def _nearest_normal(finding: Finding) -> float:
    """What was expected; where a detector expects nothing, the limit that was crossed. NaN inside the band."""
    observed, low, high = finding.observed, finding.low, finding.high
    above, below = observed > high, observed < low
    if not (above or below) and (math.isfinite(low) or math.isfinite(high)):
        return math.nan
    if math.isfinite(finding.expected) and finding.expected != observed:
        return finding.expected
    return high if above else low if below else math.nan


def _company(finding: Finding) -> str:
    others = sorted(
        ((share, point) for point, share in finding.contributions.items() if point != finding.point), reverse=True
    )
    named = [point.replace("_", " ") for share, point in others[:_NAMED_POINTS] if share >= _NAMED_SHARE]
    return f" (with {', '.join(named)})" if named else ""


def _spoken(unit: str) -> str:
    return unit.replace("deg", "°")
