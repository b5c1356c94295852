"""Numbers, durations and small drawings, as a person reads them.

Digits follow the size of the number, so that a column of one point lines up and nobody reads noise. Drawings are SVG
path data in a fixed box; the template owns the element, the style sheet its colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

SPARK_WIDTH, SPARK_HEIGHT = 240, 48
_SPARK_MARGIN = 3.0
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def exact(value: float) -> str:
    """As a form has it: with all its digits, since what is not changed is sent back as it stands there."""
    return f"{value:.12g}"


def number(value: float | None) -> str:
    """Three to four significant digits: `1 484`, `118`, `71.2`, `5.21`, `0.042`; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-4:
        return f"{value:.2e}".replace("-", "\N{MINUS SIGN}")
    digits = 0 if size >= 100 or size == 0 else 1 if size >= 10 else 2 if size >= 1 else 3
    text = f"{value:,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return text.replace("-", "\N{MINUS SIGN}")


def count(number_of: int) -> str:
    """How many, to the last one: `281 976`."""
    return f"{number_of:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def share(value: float | None) -> str:
    return (
        "\N{EN DASH}" if value is None or not math.isfinite(value) else f"{100 * value:.0f}\N{NARROW NO-BREAK SPACE}%"
    )


def chance(probability: float) -> str:
    """In percent; nothing foretold is certain or out of the question."""
    if probability > 0.99:
        return f"over {share(0.99)}"
    return f"under {share(0.01)}" if probability < 0.01 else share(probability)


def duration(seconds: float) -> str:
    """The two largest parts: `2 d 3 h`, `45 min`, `12 s`. Of seconds only below a minute."""
    left = max(0, round(abs(seconds)))
    if left < 60:
        return f"{left} s"
    left -= left % 60
    parts = []
    for size, name in _STEPS:
        if left >= size:
            parts.append(f"{left // size} {name}")
            left %= size
        elif parts:
            break
    return " ".join(parts[:2])


def ago(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "never"
    passed = (now - at).total_seconds()
    return "just now" if passed < 5 else f"{duration(passed)} ago"


def spark(values: Sequence[float | None]) -> dict[str, object] | None:
    """A line over equally spaced samples in a box of 240 by 48; a sample that is not there breaks it.

    Returns path data, the last point's place (None where the last sample is not there), or None without two samples.
    """
    known = [v for v in values if v is not None and math.isfinite(v)]
    if len(known) < 2:
        return None
    low, high = min(known), max(known)
    # Noise on a large mean must not fill the box: an eighth of the mean at least. A flat line is in the middle.
    spread = max(high - low, 0.125 * max(abs(low), abs(high)), 1e-9)
    middle = (low + high) / 2
    usable = SPARK_HEIGHT - 2 * _SPARK_MARGIN

    def place(index: int, value: float) -> tuple[float, float]:
        x = SPARK_WIDTH * index / (len(values) - 1)
        return x, SPARK_HEIGHT / 2 - (value - middle) / spread * usable

    path, pen_down = [], False
    last: tuple[float, float] | None = None
    for index, value in enumerate(values):
        if value is None or not math.isfinite(value):
            pen_down, last = False, None
            continue
        x, y = last = place(index, value)
        path.append(f"{'L' if pen_down else 'M'}{x:.0f} {y:.1f}")
        pen_down = True
    return {"path": "".join(path), "last": last}
