"""A small drawing of how long a machine has: its health so far, as it goes on, and the level at which its like fail.

SVG path data in a fixed box, like the other drawings of `dashboard.figures`; the template owns the element.
"""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 480, 140
_MARGIN = 4.0


def drawing(
    past: Sequence[tuple[float, float]], ahead: Sequence[tuple[float, float, float, float]], level: float
) -> dict[str, str | float]:
    """Paths of the past, of the band ahead and of its middle; where now is, and the level.

    `past` are days from now (negative) and health, `ahead` days from now and the lowest, likeliest and highest health.
    """
    first = min((day for day, _ in past), default=0.0)
    last = max((row[0] for row in ahead), default=0.0)
    span = max(last - first, 1e-6)

    def place(day: float, health: float) -> str:
        y = _MARGIN + (HEIGHT - 2 * _MARGIN) * (1.0 - min(max(health, 0.0), 100.0) / 100.0)
        return f"{WIDTH * (day - first) / span:.1f} {y:.1f}"

    def path(places: Sequence[tuple[float, float]]) -> str:
        return "".join(f"{'L' if number else 'M'}{place(*each)}" for number, each in enumerate(places))

    lower, upper = [(day, low) for day, low, _, _ in ahead], [(day, high) for day, _, _, high in ahead]
    return {
        "past": path(past),
        "likely": path([(day, likely) for day, _, likely, _ in ahead]),
        "band": path([*lower, *upper[::-1]]) + "Z",
        "level": path([(first, level), (last, level)]),
        "now": path([(0.0, 0.0), (0.0, 100.0)]),
    }
