"""Working time: which moments a promise of time counts, in the hours that a wall clock of the place shows.

A moment is working time where the clock on the wall is within the hours of that day: a night that is an hour shorter
has an hour less of it, one that is longer an hour more, and a calendar of all hours counts what really passes. Sums are
closed forms over weeks, so that years ahead cost as little as minutes; everything is exact to the microsecond.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

Span = tuple[int, int]
"""Hours of a day, in minutes since midnight: from, and up to without."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Too low: a promise of days ends in the next century. Every plant that keeps hours at all keeps more.
LEAST_MINUTES_A_WEEK = 60
MOST_EXCEPTIONS = 2000
_DAY_MIN = 24 * 60
_MINUTE_US = 60_000_000
_DAY_US = _DAY_MIN * _MINUTE_US
_MICROSECOND = timedelta(microseconds=1)
_BEGIN = datetime(1, 1, 1, tzinfo=UTC)  # a Monday: days counted from it know their weekday
_LAST_YEAR = 9998
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*[-–]\s*([01]\d|2[0-3]|24):([0-5]\d)")  # noqa: RUF001 - as people type it


class BadCalendar(ValueError):
    """No calendar: `field` says where it is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True)
class Calendar:
    """Hours of the seven days of a week, Monday first, and of single days that are otherwise: none is a holiday.

    Raises
    ------
    BadCalendar
        Hours that overlap or run backwards, or a week of less than an hour.
    """

    zone: ZoneInfo
    week: Sequence[Sequence[Span]]
    exceptions: Mapping[date, Sequence[Span]] = field(default_factory=dict)
    _of_day: Mapping[int, Sequence[Span]] = field(init=False, repr=False, compare=False)
    _days: Sequence[int] = field(init=False, repr=False, compare=False)
    _more_us: Sequence[int] = field(init=False, repr=False, compare=False)
    _before_us: Sequence[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for weekday, spans in zip(WEEKDAYS, self.week, strict=True):
            _check_spans(f"week.{weekday}", spans)
        for day, spans in self.exceptions.items():
            _check_spans(f"exceptions.{day}", spans)
        lengths = [_length_us(spans) for spans in self.week]
        if sum(lengths) < LEAST_MINUTES_A_WEEK * _MINUTE_US:
            raise BadCalendar("week", "a week needs an hour of working time at least: nothing would ever fall due")
        if len(self.exceptions) > MOST_EXCEPTIONS:
            raise BadCalendar("exceptions", f"at most {MOST_EXCEPTIONS} days")
        days = sorted(day.toordinal() - 1 for day in self.exceptions)
        other = {day.toordinal() - 1: tuple(spans) for day, spans in self.exceptions.items()}
        more = [_length_us(other[day]) - lengths[day % 7] for day in days]
        for name, value in (
            ("_of_day", other),  # hours of the days that are otherwise
            ("_days", days),
            ("_more_us", [0, *accumulate(more)]),  # what the exceptions before the n-th add
            ("_before_us", [0, *accumulate(lengths)]),  # working time of a week before each of its days
        ):
            object.__setattr__(self, name, value)

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Working time from one aware moment to another; negative where the second is before the first."""
        first_us, last_us = _us_of(start), _us_of(end)
        if last_us < first_us:
            return -self.between(end, start)
        total_us = 0
        for begin_us, until_us, offset_us in _stretches(self.zone, first_us):
            stop_us = min(until_us, last_us)
            total_us += self._worked_us(stop_us + offset_us) - self._worked_us(begin_us + offset_us)
            if until_us >= last_us:
                break
        return total_us * _MICROSECOND

    def add(self, start: datetime, working: timedelta) -> datetime:
        """The first moment, in UTC, at which so much working time has passed since `start`.

        Friday 16:00 and an hour is Friday 17:00 where work ends then, not Monday morning.
        """
        left_us = working // _MICROSECOND
        if left_us < 0:
            raise ValueError("working time passes forwards")
        if left_us == 0:
            return start.astimezone(UTC)
        for begin_us, until_us, offset_us in _stretches(self.zone, _us_of(start)):
            worked_us = self._worked_us(begin_us + offset_us)
            here_us = self._worked_us(until_us + offset_us) - worked_us
            if here_us >= left_us:
                local_us = self._when(begin_us + offset_us, until_us + offset_us, worked_us + left_us)
                return _BEGIN + (local_us - offset_us) * _MICROSECOND
            left_us -= here_us
        raise OverflowError("beyond the last year of the calendar")

    def standing(self, at: datetime) -> tuple[bool, datetime]:
        """Whether a moment is working time, and until when at least that stays so."""
        opens = self.add(at, _MICROSECOND) - _MICROSECOND
        if _us_of(opens) > _us_of(at):
            return False, opens
        begin_us, until_us, offset_us = next(_stretches(self.zone, _us_of(at)))
        day, within_us = divmod(begin_us + offset_us, _DAY_US)
        ends = (to for from_, to in self._spans_of(day) if from_ * _MINUTE_US <= within_us < to * _MINUTE_US)
        closes_us = day * _DAY_US + next(ends) * _MINUTE_US - offset_us
        return True, _BEGIN + min(closes_us, until_us) * _MICROSECOND

    def _spans_of(self, day: int) -> Sequence[Span]:
        return self._of_day.get(day, self.week[day % 7])

    def _worked_us(self, local_us: int) -> int:
        """Working time up to a moment of the wall clock, since its beginning, as if the zone had one offset."""
        day, within_us = divmod(local_us, _DAY_US)
        weeks, weekday = divmod(day, 7)
        whole_us = weeks * self._before_us[7] + self._before_us[weekday]
        whole_us += self._more_us[bisect_left(self._days, day)]
        return whole_us + sum(
            min(max(within_us - from_ * _MINUTE_US, 0), (to - from_) * _MINUTE_US) for from_, to in self._spans_of(day)
        )

    def _when(self, low_us: int, high_us: int, worked_us: int) -> int:
        """The first moment of the wall clock by which so much was worked: after the one, not after the other."""
        first, last = low_us // _DAY_US, high_us // _DAY_US
        while first < last:
            day = (first + last) // 2
            if self._worked_us((day + 1) * _DAY_US) >= worked_us:
                last = day
            else:
                first = day + 1
        left_us = worked_us - self._worked_us(first * _DAY_US)
        for from_, to in self._spans_of(first):
            if left_us <= (to - from_) * _MINUTE_US:
                return first * _DAY_US + from_ * _MINUTE_US + left_us
            left_us -= (to - from_) * _MINUTE_US
        raise AssertionError("the working time asked for lies in another day")


def spans_from_text(where: str, texts: Sequence[str]) -> tuple[Span, ...]:
    """Hours of a day as people write them: `08:00-12:00`, up to `24:00`. BadCalendar where that is none."""
    found = []
    for text in texts:
        match = _HOURS.fullmatch(text.strip())
        if match is None:
            raise BadCalendar(where, "hours are written as 08:00-17:00, midnight at the end of a day as 24:00")
        from_h, from_min, to_h, to_min = (int(part) for part in match.groups())
        found.append((from_h * 60 + from_min, to_h * 60 + to_min))
    return tuple(sorted(found))


def spans_to_text(spans: Sequence[Span]) -> list[str]:
    """The same as text again."""
    return [f"{a // 60:02d}:{a % 60:02d}-{b // 60:02d}:{b % 60:02d}" for a, b in spans]


def _check_spans(where: str, spans: Sequence[Span]) -> None:
    end = 0
    for from_, to in spans:
        if not 0 <= from_ < to <= _DAY_MIN:
            raise BadCalendar(where, "hours end after they begin, and by midnight: a night is written over two days")
        if from_ < end:
            raise BadCalendar(where, "hours overlap, or are not in order")
        end = to


def _length_us(spans: Sequence[Span]) -> int:
    return sum(to - from_ for from_, to in spans) * _MINUTE_US


def _us_of(moment: datetime) -> int:
    return (moment - _BEGIN) // _MICROSECOND


def _stretches(zone: ZoneInfo, from_us: int) -> Iterator[tuple[int, int, int]]:
    """Stretches of one offset from a moment on: from, until, and what is added to UTC, in µs."""
    year = (_BEGIN + from_us * _MICROSECOND).year
    for number in range(year, _LAST_YEAR + 1):
        for begin_us, until_us, offset_us in _year(zone, number):
            if until_us > from_us:
                yield max(begin_us, from_us), until_us, offset_us


@lru_cache(maxsize=2000)
def _year(zone: ZoneInfo, year: int) -> tuple[tuple[int, int, int], ...]:
    """The stretches of a year of UTC. An offset that changes is found by looking once a day: no zone does so twice."""
    first_us, end_us = (_us_of(datetime(number, 1, 1, tzinfo=UTC)) for number in (year, year + 1))
    found, begin_us, offset_us = [], first_us, _offset_us(zone, first_us)
    for day_us in range(first_us + _DAY_US, end_us + 1, _DAY_US):
        if _offset_us(zone, day_us) != offset_us:
            change_us = _change(zone, day_us - _DAY_US, day_us)
            found.append((begin_us, change_us, offset_us))
            begin_us, offset_us = change_us, _offset_us(zone, day_us)
    return (*found, (begin_us, end_us, offset_us)) if begin_us < end_us else tuple(found)


def _change(zone: ZoneInfo, low_us: int, high_us: int) -> int:
    """The first moment with the offset of the later of two."""
    before_us = _offset_us(zone, low_us)
    while high_us - low_us > 1:
        middle_us = (low_us + high_us) // 2
        if _offset_us(zone, middle_us) == before_us:
            low_us = middle_us
        else:
            high_us = middle_us
    return high_us


def _offset_us(zone: ZoneInfo, utc_us: int) -> int:
    wall = (_BEGIN + utc_us * _MICROSECOND).astimezone(zone)
    return _us_of(wall.replace(tzinfo=UTC)) - utc_us


ALWAYS = Calendar(ZoneInfo("UTC"), (((0, _DAY_MIN),),) * 7)
"""Day and night, every day of the year."""
