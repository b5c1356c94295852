"""What was used of a machine, by a counter that may be reset, roll over, be silent, or be changed for another one.

It fails where nothing tells a wrong step from a right one: a counter of cycles that is changed for one that shows more
counts the difference; one that is reset while it is silent, and has passed half of what it showed, counts nothing then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tickets.plans.triggers import Of, Use

# Days over which the pace of use is remembered. Too low: a holiday moves every date. Too high: a second shift is seen
# when the work is overdue.
_PACE_DAYS = 28.0
# A pace is told from so much: a machine that ran for its first hour does not run day and night.
_PACE_KNOWN_DAYS = 1.0
# A counter that shows less than this share of what it showed was reset; any smaller step back is a correction.
_RESET_SHARE = 0.5
# Within this share of its ends a counter has rolled over.
_ROLLS_SHARE = 0.1
# Readings of a counter come a little early or late: an hour of running may show as so much more.
_FASTER_THAN_TIME, _LATE_H = 1.05, 1.0
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Count:
    """What was used since the work was done last, as counted up to `at`. `per_day` is known after a day of counting."""

    at: datetime
    shown: float | None = None
    used: float = 0.0
    per_day: float = 0.0
    known_days: float = 0.0

    @property
    def pace(self) -> float | None:
        """How much a day is used, or None."""
        return self.per_day if self.known_days >= _PACE_KNOWN_DAYS and self.per_day > 0 else None


def counted(use: Use, count: Count, shown: Sequence[tuple[datetime, float]]) -> Count:
    """A count with what a counter has shown since, in order of time; hours in h."""
    for at, value in shown:
        count = _count_on(use, count, at, value)
    return count


def _count_on(use: Use, count: Count, at: datetime, value: float) -> Count:
    if at <= count.at or not math.isfinite(value):
        return count
    if count.shown is None:
        return replace(count, at=at, shown=value)
    elapsed = at - count.at
    used = _step(use, count.shown, value, elapsed)
    days = elapsed / _DAY
    share = max(1.0 - math.exp(-days / _PACE_DAYS), days / (days + count.known_days))
    return Count(
        at,
        value,
        count.used + used,
        count.per_day + share * (used / days - count.per_day),
        count.known_days + days,
    )


def _step(use: Use, before: float, value: float, elapsed: timedelta) -> float:
    """What was used between two readings of a counter; nothing where they cannot be of the same count."""
    end = use.rolls_over_at
    if value >= before:
        used = value - before
    elif end is not None and before >= (1 - _ROLLS_SHARE) * end and value <= _ROLLS_SHARE * end:
        used = end - before + value
    elif value < _RESET_SHARE * before:
        used = value
    else:
        used = 0.0
    if use.of is Of.HOURS and used > elapsed / _HOUR * _FASTER_THAN_TIME + _LATE_H:
        return 0.0  # nothing runs faster than time: another counter was put in
    return used
