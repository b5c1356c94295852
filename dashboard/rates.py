"""How alarms came, drawn: SVG path data in a fixed box; the template owns the element, the style sheet its colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 120
FIGURES: dict[str, str] = {
    "calls": "Calls",
    "calls_per_span": "Calls in ten minutes",
    "most_in_a_span": "Most in ten minutes",
    "spans_above_1": "Time with more than one",
    "spans_above_10": "Time with more than ten",
    "people_at_work": "People who answer a day",
    "calls_per_day_and_person": "Calls a day and person",
    "calls_per_span_and_person": "In ten minutes, of whoever is called most",
    "floods": "Floods",
    "flood_share": "Time in flood",
    "chattering": "Alarms that chattered",
    "fleeting": "Calls gone within a minute",
    "stale": "Stale alarms now",
    "stale_longest_s": "Unchanged for longest",
    "top_ten_share": "Share of the ten that call most",
    "low_share": "Low priority",
    "medium_share": "Medium priority",
    "high_share": "High and critical priority",
    "answered_median_s": "Answered within, median",
    "answered_p90_s": "Answered within, nine of ten",
    "never_answered": "Gone and never answered",
    "waiting": "Stand unanswered",
    "shelved_now": "Shelved now",
    "suppressed_now": "Suppressed by design now",
    "out_of_service_now": "Out of service now",
    "false_alarms": "False alarms",
    "false_per_machine_month": "False, a machine and month",
}
_LEAST_TOP = 12  # so that a quiet week does not look like a busy one


@dataclass(frozen=True, slots=True)
class RateChart:
    """`bars` and `flooded` are paths, these of columns beyond ten; `bands` are floods: x, width; `limit_y` is ten."""

    bars: str
    flooded: str
    bands: list[tuple[float, float]]
    limit_y: float
    top: int


def rate_chart(highest: Sequence[int], floods: Sequence[tuple[float, float]]) -> RateChart:
    """Columns, each the most calls in ten minutes; `floods` as shares of the period, 0 to 1."""
    top = max(_LEAST_TOP, *highest)
    step = WIDTH / len(highest)
    paths = {False: [""], True: [""]}
    for place, calls in enumerate(highest):
        if calls:
            left, right = place * step, (place + 0.85) * step
            y = HEIGHT * (1 - calls / top)
            paths[calls > 10].append(f"M{left:.1f} {HEIGHT}V{y:.1f}H{right:.1f}V{HEIGHT}Z")
    bands = [(WIDTH * since, max(2.0, WIDTH * (until - since))) for since, until in floods]
    return RateChart("".join(paths[False]), "".join(paths[True]), bands, HEIGHT * (1 - 10 / top), top)
