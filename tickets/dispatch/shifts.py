"""When somebody works: spans of minutes from now, and what fits into them.

A visit begins in a shift that it fits into whole, the way there included; one that is longer than every shift begins
at once and goes on in those that follow. A break of up to three hours parts no shift.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tickets.calendar import Calendar

# Too low: a visit that lunch falls into waits for the afternoon. Too high: a night is a break.
BREAK_MIN = 180.0
_MINUTE = timedelta(minutes=1)
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Shifts:
    """Spans in order, none touching the next. Most sums are in minutes that were *worked* since the first of them.

    Attributes
    ----------
    begins, ends
        Minutes from now, of each span.
    before, after
        Minutes worked before each span, and by its end.
    closes
        Minutes worked by the end of the shift that each span is of.
    """

    begins: tuple[float, ...]
    ends: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    closes: tuple[float, ...]

    def any_after(self, at_min: float) -> bool:
        """Whether there is a shift to come, or its rest."""
        return bool(self.ends) and self.ends[-1] > at_min

    def worked_at(self, at_min: float) -> float:
        """Minutes worked by a moment."""
        i = bisect_right(self.begins, at_min) - 1
        return self.before[i] + min(at_min, self.ends[i]) - self.begins[i] if i >= 0 else 0.0

    def moment(self, worked_min: float, *, setting_off: bool = False) -> float:
        """When so much has been worked: at the end of a span; `setting_off`: at the beginning of the next instead."""
        find = bisect_right if setting_off else bisect_left
        i = min(find(self.after, worked_min - (0.0 if setting_off else _TINY)), len(self.after) - 1)
        return self.begins[i] + max(worked_min - self.before[i], 0.0)

    def begin(self, worked_min: float, length_min: float) -> float | None:
        """When something so long may begin at the earliest, in minutes worked; None: in no shift that is known."""
        first = bisect_right(self.after, worked_min + _TINY)
        for i in range(first, len(self.after)):
            begins = max(worked_min, self.before[i])
            if self.closes[i] - begins >= length_min - _TINY:
                return begins
        if first < len(self.after) and self.after[-1] - max(worked_min, self.before[first]) >= length_min:
            return max(worked_min, self.before[first])
        return None

    def until(self, at_min: float) -> float | None:
        """The end of the shift that a moment is in; None: it is in none."""
        i = bisect_right(self.begins, at_min) - 1
        if i < 0 or at_min >= self.ends[i]:
            return None
        return self.ends[bisect_left(self.after, self.closes[i] - _TINY)]


def shifts_of(spans: Sequence[tuple[float, float]]) -> Shifts:
    """Shifts out of spans in order; those that touch become one."""
    joined: list[list[float]] = []
    for begin, end in spans:
        if joined and begin <= joined[-1][1]:
            joined[-1][1] = max(end, joined[-1][1])
        elif end > begin:
            joined.append([begin, end])
    before, after, worked = [], [], 0.0
    for begin, end in joined:
        before.append(worked)
        worked += end - begin
        after.append(worked)
    closes = list(after)
    for i in range(len(joined) - 2, -1, -1):
        if joined[i + 1][0] - joined[i][1] <= BREAK_MIN:
            closes[i] = closes[i + 1]
    return Shifts(tuple(b for b, _ in joined), tuple(e for _, e in joined), tuple(before), tuple(after), tuple(closes))


def shifts_by(calendar: Calendar, now: datetime, days: int) -> Shifts:
    """The shifts of a calendar from a moment on, for so many days."""
    end, at, spans = now + timedelta(days=days), now, []
    while at < end:
        works, until = calendar.standing(at)
        if works:
            spans.append(((at - now) / _MINUTE, (min(until, end) - now) / _MINUTE))
        at = until
    return shifts_of(spans)
