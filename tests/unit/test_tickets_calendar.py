"""Working calendars: exact over nights that are an hour shorter or longer, holidays and years."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import naive
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.calendar import ALWAYS, BadCalendar, Calendar, Span, spans_from_text, spans_to_text

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALL_DAY: tuple[Span, ...] = ((0, 1440),)
OFFICE: tuple[Span, ...] = ((480, 720), (780, 1020))
WEEKDAYS = Calendar(
    BERLIN,
    (*(OFFICE,) * 5, (), ()),
    {date(2026, 12, 24): ((480, 720),), date(2026, 12, 25): (), date(2026, 12, 26): ()},
)
# Where clocks change by an hour, by half of one, at midnight, and where a whole day was left out.
ZONES = tuple(
    ZoneInfo(name)
    for name in (
        "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu",
        "Africa/Casablanca",
    )
)  # fmt: skip


@st.composite
def hours(draw: st.DrawFn) -> tuple[Span, ...]:
    edges = sorted(draw(st.sets(st.integers(0, 48), max_size=6)))
    return tuple((30 * a, 30 * b) for a, b in zip(edges[::2], edges[1::2], strict=False))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    week = [draw(hours()) for _ in range(7)]
    week[draw(st.integers(0, 6))] = draw(st.sampled_from((ALL_DAY, OFFICE)))
    days = st.dates(date(2026, 1, 1), date(2026, 12, 31))
    return Calendar(draw(st.sampled_from(ZONES)), week, draw(st.dictionaries(days, hours(), max_size=12)))


moments = st.integers(0, 2 * 365 * 86_400 * 10**6).map(
    lambda us: datetime(2025, 6, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
lengths = st.integers(0, 60 * 86_400 * 10**6).map(lambda us: timedelta(microseconds=us))


@settings(max_examples=50)
@given(calendars(), moments, lengths)
def test_what_is_added_lies_between(calendar: Calendar, start: datetime, working: timedelta) -> None:
    end = calendar.add(start, working)
    assert calendar.between(start, end) == working
    assert calendar.between(end, start) == -working
    if working:  # and it is the first such moment
        assert calendar.between(start, end - timedelta(microseconds=1)) == working - timedelta(microseconds=1)


@settings(max_examples=50)
@given(calendars(), moments, moments, moments)
def test_a_span_is_as_long_as_its_parts(calendar: Calendar, a: datetime, b: datetime, c: datetime) -> None:
    a, b, c = sorted((a, b, c))
    assert calendar.between(a, b) + calendar.between(b, c) == calendar.between(a, c)
    assert timedelta() <= calendar.between(a, b) <= b - a


@settings(max_examples=50)
@given(calendars(), moments, lengths, lengths)
def test_later_and_longer_never_end_sooner(
    calendar: Calendar, start: datetime, later: timedelta, longer: timedelta
) -> None:
    assert calendar.add(start + later, HOUR) >= calendar.add(start, HOUR)
    assert calendar.add(start, later + longer) == calendar.add(calendar.add(start, later), longer)


@settings(max_examples=50)
@given(calendars(), moments)
def test_it_stands_as_it_says_until_then(calendar: Calendar, at: datetime) -> None:
    is_open, until = calendar.standing(at)
    assert until > at
    assert calendar.between(at, until) == (until - at if is_open else timedelta())


@settings(max_examples=30)
@given(
    calendars(), st.sampled_from(("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-25", "2026-11-01", "2026-02-15"))
)
def test_it_agrees_with_a_look_at_the_wall_clock_each_minute(calendar: Calendar, around: str) -> None:
    """Three days around a change of clocks."""
    start = datetime.fromisoformat(around).replace(tzinfo=UTC) - DAY
    worked = naive.minutes_worked(calendar.zone, calendar.week, calendar.exceptions, start, 3 * 1440)
    for minute in range(0, len(worked), 97):
        end = start + timedelta(minutes=minute)
        assert calendar.between(start, end) == timedelta(minutes=sum(worked[:minute]))
    if total := sum(worked):
        due = start + timedelta(minutes=1 + max(minute for minute, is_worked in enumerate(worked) if is_worked))
        assert calendar.add(start, timedelta(minutes=total)) == due


@pytest.mark.parametrize(("day", "long_h"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_of_a_change_is_an_hour_shorter_or_longer(day: str, long_h: int) -> None:
    """As for who works around the clock: a promise of 24 hours is 24 hours."""
    calendar = Calendar(BERLIN, (ALL_DAY,) * 7)
    midnight = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    assert calendar.between(midnight, midnight + DAY) == long_h * HOUR
    assert calendar.add(midnight, 24 * HOUR) == midnight.astimezone(UTC) + 24 * HOUR
    assert ALWAYS.add(midnight, 24 * HOUR) == midnight.astimezone(UTC) + 24 * HOUR


def test_hours_that_the_clock_skips_are_nobodys_and_those_it_shows_twice_are_worked_twice() -> None:
    night = Calendar(BERLIN, (*(OFFICE,) * 6, ((60, 180),)))  # Sundays from 01:00 to 03:00
    for day, worked in (("2026-03-29", HOUR), ("2026-10-25", 3 * HOUR), ("2026-11-01", 2 * HOUR)):
        midnight = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
        assert night.between(midnight, midnight + DAY) == worked


def test_a_promise_over_a_weekend_and_holidays() -> None:
    friday = datetime(2026, 12, 18, 16, 0, 1, tzinfo=BERLIN)
    assert WEEKDAYS.add(friday, timedelta(hours=1, seconds=-1)) == datetime(2026, 12, 18, 17, tzinfo=BERLIN)
    assert WEEKDAYS.add(friday, HOUR) == datetime(2026, 12, 21, 8, 0, 1, tzinfo=BERLIN)
    eve = datetime(2026, 12, 24, 11, tzinfo=BERLIN)
    assert WEEKDAYS.add(eve, 2 * HOUR) == datetime(2026, 12, 28, 9, tzinfo=BERLIN)
    assert WEEKDAYS.standing(eve) == (True, datetime(2026, 12, 24, 12, tzinfo=BERLIN))
    assert WEEKDAYS.standing(eve + 2 * HOUR) == (False, datetime(2026, 12, 28, 8, tzinfo=BERLIN))


def test_a_day_that_was_left_out_has_no_hours() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    apia = Calendar(ZoneInfo("Pacific/Apia"), (OFFICE,) * 7)
    thursday, saturday = (datetime(2011, 12, day, 7, tzinfo=apia.zone) for day in (29, 31))
    assert apia.between(thursday, saturday) == 8 * HOUR
    assert apia.add(thursday, 9 * HOUR) == saturday + 2 * HOUR


def test_years_ahead_are_closed_forms() -> None:
    """A hundred times the span, not a hundred times the looks at a wall clock."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = WEEKDAYS.add(start, 200_000 * HOUR)
    assert end.year == 2121
    assert WEEKDAYS.between(start, end) == 200_000 * HOUR


@pytest.mark.parametrize(
    ("week", "reason"),
    [
        (((),) * 7, "nothing would ever fall due"),
        ((((0, 59),), *((),) * 6), "nothing would ever fall due"),
        ((((480, 720), (700, 900)),) * 7, "overlap"),
        ((((780, 1020), (480, 720)),) * 7, "overlap"),
        ((((1320, 360),),) * 7, "written over two days"),
        ((((0, 1441),),) * 7, "by midnight"),
    ],
)
def test_what_is_no_calendar_is_refused(week: tuple[tuple[Span, ...], ...], reason: str) -> None:
    with pytest.raises(BadCalendar, match=reason):
        Calendar(BERLIN, week)


def test_hours_as_people_write_them() -> None:
    assert spans_from_text("monday", [" 13:00-17:30", "08:00 \N{EN DASH} 12:00", "22:00-24:00"]) == (
        (480, 720), (780, 1050), (1320, 1440),
    )  # fmt: skip
    assert spans_to_text(OFFICE) == ["08:00-12:00", "13:00-17:00"]
    for wrong in ("8-17", "08:00-25:00", "08:00-24:30x", "25:00-26:00", "08:60-09:00"):
        with pytest.raises(BadCalendar, match="written as"):
            spans_from_text("monday", [wrong])
