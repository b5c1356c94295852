"""Evidence as a page shows it: what was measured against what, in which unit, who contributes, over which span."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dashboard import words
from store.overview import PointNow

SHARES = 8
# What a time says of a point, by the detector that measured it.
_LASTING = {"flatline": "the same value for", "silence": "nothing heard for"}


def evidence_of(
    raw: Mapping[str, Any],
    leads: str,
    points: Sequence[PointNow],
    since: datetime,
    ended: datetime | None,
    now: datetime,
) -> dict[str, Any]:
    """What evidence comes to, of a departure since then until it ended. Without a measurement, `point` is empty."""
    units = {point.point: point.unit for point in points}
    leading = str(raw.get("point") or leads)
    if leading not in units:
        return {"point": ""}
    observed, expected, low, high = (_finite(raw.get(name)) for name in ("observed", "expected", "low", "high"))
    unit = str(raw.get("unit") or units[leading])
    contributions: Mapping[str, float] = raw.get("contributions") or {}
    shares = sorted(((share, name) for name, share in contributions.items()), reverse=True)
    until = ended or now
    lead_in = max((until - since) * 0.6, timedelta(minutes=30))
    return {
        "point": leading,
        "unit": unit,
        "point_unit": units[leading],
        # Beside the readings stands only what is in their unit: how long a point was stuck is no temperature.
        "drawn": {"low": low, "high": high, "expected": expected} if unit == units[leading] else {},
        "observed": observed,
        "expected": expected,
        "low": low,
        "high": high,
        "lasting": _LASTING.get(str(raw.get("detector")), ""),
        "score": _finite(raw.get("score")),
        "departure": _departure(observed, expected, low, high, unit),
        "contributions": [(name, share) for share, name in shares[:SHARES]],
        "rest": (len(shares[SHARES:]), sum(share for share, _ in shares[SHARES:])),
        "others": [
            {"point": name, "unit": units[name]}
            for share, name in shares
            if name != leading and name in units and share >= 0.02
        ][:6],
        "start": (since - lead_in).isoformat(),
        "end": (until + (until - since) * 0.04).isoformat(),
        "until": ended.isoformat() if ended else "",
    }


def _departure(observed: float | None, expected: float | None, low: float | None, high: float | None, unit: str) -> str:
    if observed is None:
        return ""
    if high is not None and observed > high:
        return f"{words.quantity(observed - high, unit)} {'longer' if unit == 's' else 'above'}"
    if low is not None and observed < low:
        return f"{words.quantity(low - observed, unit)} below"
    if expected is not None and low is None and high is None:
        return f"{words.quantity(abs(observed - expected), unit)} {'above' if observed > expected else 'below'}"
    return ""


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
