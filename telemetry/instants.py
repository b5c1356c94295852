"""Time: inside, whole microseconds since 1970, UTC; at the border, aware datetimes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def instant(time_us: int) -> datetime:
    """The moment `time_us`, aware, to the microsecond: a float of seconds would lose it."""
    return _EPOCH + timedelta(microseconds=time_us)


def microseconds(moment: datetime) -> int:
    """An aware moment in µs since 1970."""
    return (moment - _EPOCH) // _MICROSECOND
