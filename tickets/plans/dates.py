"""The moments of a recurrence, by the wall clock and the working days of a calendar."""

from __future__ import annotations

import calendar as months
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from tickets.calendar import Calendar
from tickets.plans.triggers import Every, Recurrence

_DAY = timedelta(days=1)


def moment(recurrence: Recurrence, number: int, calendar: Calendar) -> datetime:
    """The `number`-th moment of a recurrence, the first is 0, in UTC.

    The 31st is the last day of a shorter month. A day without working hours is moved to the next that has some. A time
    that the clock leaves out counts by the offset of before, one that it shows twice is the first (RFC 5545, 3.3.5).
    """
    day = _day(recurrence, number)
    while not calendar.exceptions.get(day, calendar.week[day.weekday()]):
        day += _DAY
    return datetime.combine(day, recurrence.at, calendar.zone).astimezone(UTC)


def moments(recurrence: Recurrence, after: datetime, until: datetime, calendar: Calendar) -> Iterator[datetime]:
    """The moments after one and up to another, each once though two days were moved to the same."""
    number, last = _number_after(recurrence, after, calendar), after
    while (at := moment(recurrence, number, calendar)) <= until:
        if at > last:
            yield at
        number, last = number + 1, at


def _day(recurrence: Recurrence, number: int) -> date:
    steps = number * recurrence.number
    if recurrence.every is not Every.MONTHS:
        return recurrence.begins_on + timedelta(days=steps * (7 if recurrence.every is Every.WEEKS else 1))
    year, month = divmod(recurrence.begins_on.year * 12 + recurrence.begins_on.month - 1 + steps, 12)
    return date(year, month + 1, min(recurrence.begins_on.day, months.monthrange(year, month + 1)[1]))


def _number_after(recurrence: Recurrence, after: datetime, calendar: Calendar) -> int:
    """The first number whose moment is later. Days move forwards only, so that moments are in order."""
    least_days = recurrence.number * {Every.DAYS: 1, Every.WEEKS: 7, Every.MONTHS: 28}[recurrence.every]
    most = max((after.date() - recurrence.begins_on).days, 0) // least_days + 2
    return bisect_right(range(most), after, key=lambda number: moment(recurrence, number, calendar))
