"""What an alarm says, in one line that a field engineer can act on: the point, its value, and what would be normal."""

from __future__ import annotations

import math

from detectors.scores import Evidence


def message(detector: str, point: str, unit: str, evidence: Evidence) -> str:  # noqa: PLR0911 - one line a detector
    """One line for one edge. A detector that is not known here gets the plain comparison."""
    unit = unit if evidence.unit is None else evidence.unit
    observed = _quantity(evidence.observed, unit)
    match detector:
        case "silence":
            return f"nothing heard; {point} is overdue" if point else "nothing heard"
        case "site":
            return f"{point} lost: nothing heard from {evidence.observed:.0f} of {evidence.high:.0f} devices"
        case "flatline":
            lasted, allowed = _duration(evidence.observed), _duration(evidence.high)
            return f"{point} is stuck: the same value for {lasted}, where {allowed} would be normal"
        case "sensors":
            return f"{point} {evidence.sign}: {observed}"
        case "drift" | "novelty":
            how = "has drifted to" if detector == "drift" else "is as it never was in its last week:"
            return f"{point} {how} {observed}{_band(evidence, unit)}"
        case "multivariate":
            share = evidence.contributions.get(point, math.nan)
            return f"unlike its normal, most of all {point}{_share(share)}: {observed}{_band(evidence, unit)}"
        case "vibration":
            return evidence.sign
        case "peers":
            return f"{point} has left {evidence.sign}: {observed}{_band(evidence, unit)}"
        case _:
            return f"{point} {observed}{_band(evidence, unit)}"


def _band(evidence: Evidence, unit: str) -> str:
    low, high = evidence.low, evidence.high
    if math.isfinite(low) and math.isfinite(high):
        return f", normal {low:.4g} to {_quantity(high, unit)}"
    if math.isfinite(high):
        return f", limit {_quantity(high, unit)}"
    if math.isfinite(low):
        return f", limit {_quantity(low, unit)}"
    if math.isfinite(evidence.expected):
        return f", expected {_quantity(evidence.expected, unit)}"
    return ""


def _share(share: float) -> str:
    return f" ({share:.0%})" if math.isfinite(share) else ""


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "unknown"
    size, name = next(((s, n) for s, n in ((86_400, "d"), (3_600, "h"), (60, "min")) if seconds >= 2 * s), (1, "s"))
    return f"{seconds / size:.3g} {name}"


def _quantity(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "unknown"
    return f"{value:.4g} {unit.replace('degC', '°C')}".rstrip()
