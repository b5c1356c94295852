"""Local time: what people mean by a time of day in their own zone, exact where the clocks change.

An hour that is left out in spring is as late as it would have been; one that comes twice in autumn is the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

DAY_MIN = 24 * 60
EVERY_DAY = frozenset(range(7))
_DAY = timedelta(days=1)


class BadTime(ValueError):
    """No time, or no zone: `field` says where it is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def zone_named(name: str) -> ZoneInfo:
    """`Europe/Berlin`. BadTime where there is none of that name."""
    if name not in available_timezones():
        raise BadTime("zone", f"no time zone: {name[:60]}")
    return ZoneInfo(name)


def moment_of(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """When that wall shows this day and this minute since midnight, in UTC."""
    return datetime.combine(day, time(minute // 60, minute % 60), zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of some days, Monday 0. `to_min` at or before `from_min` is on the day after."""

    from_min: int
    to_min: int
    days: frozenset[int] = EVERY_DAY

    def __post_init__(self) -> None:
        if not (0 <= self.from_min < DAY_MIN and 0 <= self.to_min < DAY_MIN):
            raise BadTime("hours", "from 00:00 to 23:59")
        if not self.days or not self.days <= EVERY_DAY:
            raise BadTime("days", "at least one day of the week")

    def around(self, at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
        """From when to when they last, where this moment is within them."""
        today = at.astimezone(zone).date()
        for day in (today - _DAY, today):
            begins_at, ends_at = self._of(day, zone)
            if day.weekday() in self.days and begins_at <= at < ends_at:
                return begins_at, ends_at
        return None

    def next_after(self, at: datetime, zone: ZoneInfo) -> datetime:
        """When they begin next."""
        today = at.astimezone(zone).date()
        for ahead in range(9):
            day = today + ahead * _DAY
            begins_at, ends_at = self._of(day, zone)
            if day.weekday() in self.days and at < begins_at < ends_at:
                return begins_at
        raise AssertionError("a week holds each of its days")

    def _of(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        last = day if self.to_min > self.from_min else day + _DAY
        return moment_of(day, self.from_min, zone), moment_of(last, self.to_min, zone)
