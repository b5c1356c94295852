"""A point before and after a repair beside its healthy band, as a small drawing: places along a line of 0 to 100."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of the line stays free at both ends: what lies at an end is seen to be there.
_MARGIN = 6.0


def strip(point: Mapping[str, Any]) -> dict[str, float | None] | None:
    """Where the band of health (`low`, `high`), its middle, and the levels before and now lie; None without a span.

    `point` is as `prognosis.after_repair.Compared.to_json` makes it: of one whose swing is off, swings are drawn.
    """
    if point["why"] in {"swing", "still"}:
        usual, before, now = (point[f"swing_{name}"] for name in ("usual", "before", "now"))
        low, high = 0.0, 2.0 * (usual or 0.0)
    else:
        usual, before, now, low, high = (point[name] for name in ("usual", "before", "now", "low", "high"))
    known = [value for value in (usual, before, now, low, high) if value is not None]
    least, most = min(known), max(known)
    if most <= least:
        return None
    scale = (100.0 - 2 * _MARGIN) / (most - least)
    places = {"low": low, "high": high, "usual": usual, "before": before, "now": now}
    return {
        name: None if value is None else round(_MARGIN + (value - least) * scale, 2) for name, value in places.items()
    }
