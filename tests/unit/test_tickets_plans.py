"""When preventive work falls due: by the calendar through holidays, months and clock changes; by counters that reset,
roll over, are silent or are changed; by condition, by risk; and when it may be put off."""

from __future__ import annotations

import calendar as months
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import naive
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.calendar import ALWAYS, Calendar
from tickets.clocks import Clock, ClockName
from tickets.plans import (
    Beyond,
    Count,
    Every,
    Of,
    Recurrence,
    Risk,
    Side,
    Standing,
    Use,
    ahead,
    beyond_for,
    counted,
    due,
    moment,
    moments,
    put_off,
    times_after,
    unknown,
    until_due,
)

BERLIN = ZoneInfo("Europe/Berlin")
NINE_TO_FIVE = (((9 * 60, 17 * 60),),) * 5 + ((), ())
CHRISTMAS = {date(2026, 12, 25): (), date(2027, 1, 1): ()}
PLANT = Calendar(BERLIN, NINE_TO_FIVE, CHRISTMAS)
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

recurrences = st.builds(
    Recurrence,
    st.integers(1, 24),
    st.sampled_from(Every),
    st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
)
plants = st.sampled_from(
    [PLANT, ALWAYS, Calendar(BERLIN, NINE_TO_FIVE), Calendar(ZoneInfo("Pacific/Auckland"), NINE_TO_FIVE)]
)


def test_the_31st_is_the_last_day_of_a_shorter_month_and_comes_back() -> None:
    monthly = Recurrence(1, Every.MONTHS, date(2027, 1, 31), time(8))
    found = [moment(monthly, number, ALWAYS).date().day for number in range(13)]
    assert found == [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31]


def test_the_wall_clock_stays_where_the_offset_changes() -> None:
    daily = Recurrence(1, Every.DAYS, date(2027, 3, 26), time(8))
    always = Calendar(BERLIN, (((0, 1440),),) * 7)
    found = [moment(daily, number, always) for number in range(4)]
    assert [at.hour for at in found] == [7, 7, 6, 6]
    assert {at.astimezone(BERLIN).hour for at in found} == {8}
    night = Recurrence(1, Every.DAYS, date(2027, 3, 28), time(2, 30))  # left out; RFC 5545: the offset of before
    assert moment(night, 0, always) == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    twice = Recurrence(1, Every.DAYS, date(2026, 10, 25), time(2, 30))
    assert moment(twice, 0, always) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_day_without_work_is_moved_to_the_next_that_has_some() -> None:
    christmas = Recurrence(1, Every.MONTHS, date(2026, 12, 25), time(10))  # a Friday, and a holiday
    assert moment(christmas, 0, PLANT).date() == date(2026, 12, 28)
    daily = Recurrence(1, Every.DAYS, date(2026, 12, 24), time(10))
    found = list(moments(daily, moment(daily, 0, PLANT), datetime(2026, 12, 29, 12, tzinfo=UTC), PLANT))
    assert [at.day for at in found] == [28, 29], "four days moved to one are one"


@given(recurrences, plants, st.integers(0, 200))
def test_moments_are_in_order_at_their_wall_time_and_on_days_of_work(
    recurrence: Recurrence, plant: Calendar, number: int
) -> None:
    at, following = (moment(recurrence, n, plant) for n in (number, number + 1))
    assert at <= following
    local = at.astimezone(plant.zone)
    assert plant.exceptions.get(local.date(), plant.week[local.weekday()])
    exists = datetime.combine(local.date(), recurrence.at, plant.zone).astimezone(UTC).astimezone(plant.zone)
    assert local == exists
    if recurrence.every is Every.MONTHS:
        first = recurrence.begins_on
        month = first.month - 1 + number * recurrence.number
        year, month = first.year + month // 12, month % 12 + 1
        wanted = date(year, month, min(first.day, months.monthrange(year, month)[1]))
    else:
        wanted = recurrence.begins_on + number * recurrence.number * DAY * (7 if recurrence.every is Every.WEEKS else 1)
    assert timedelta(0) <= local.date() - wanted <= 4 * DAY


@given(recurrences, plants, st.datetimes(datetime(2019, 1, 1), datetime(2032, 1, 1)), st.integers(0, 400))
def test_what_falls_between_is_found_as_by_counting_all(
    recurrence: Recurrence, plant: Calendar, after: datetime, days: int
) -> None:
    after = after.replace(tzinfo=UTC)
    until = after + days * DAY
    found = list(moments(recurrence, after, until, plant))
    assert found == naive.plan_moments(recurrence, after, until, plant)
    assert all(a < b for a, b in pairwise(found))


def test_of_several_dates_that_have_passed_the_last_is_due_and_one_visit_does() -> None:
    weekly = Recurrence(1, Every.WEEKS, date(2026, 9, 7), time(9))
    standing = Standing(taken=NOW - 60 * DAY)
    found = due(weekly, standing, PLANT, NOW, timedelta(0))
    assert found is not None
    assert found.at == datetime(2026, 11, 2, 8, tzinfo=UTC)
    assert due(weekly, Standing(taken=found.at), PLANT, NOW, timedelta(days=6)) is None
    assert due(weekly, Standing(taken=found.at), PLANT, NOW, timedelta(days=7)) is not None


# Counters -------------------------------------------------------------------------------------------------------------

HOURS, CYCLES = Use(Of.HOURS, 1000), Use(Of.CYCLES, 1000)


def shown(*values: float, every: timedelta = HOUR) -> list[tuple[datetime, float]]:
    return [(NOW + number * every, value) for number, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("values", "used"),
    [
        ((100, 101, 102), 2),
        ((100, 101, 0.5, 1.5), 2.5),  # reset, and half an hour since
        ((100, 99.9, 100.4), 0.5),  # a correction is no reset
        ((100, 100.5, 5000, 5000.5), 1.0),  # another counter was put in
        ((float("nan"), 100, 101), 1),
        ((100,), 0),
        ((), 0),
    ],
)
def test_hours_are_counted_through_resets_corrections_and_changed_counters(
    values: tuple[float, ...], used: float
) -> None:
    assert counted(HOURS, Count(NOW), shown(*values)).used == pytest.approx(used)


def test_a_counter_that_rolls_over_goes_on() -> None:
    use = Use(Of.CYCLES, 1000, "strokes", rolls_over_at=65536)
    assert counted(use, Count(NOW), shown(65000, 65500, 100, 300)).used == 500 + 136 + 200


def test_a_silence_of_days_loses_nothing_of_a_counter() -> None:
    readings = [(NOW + HOUR, 100.0), (NOW + 10 * DAY, 210.0), (NOW + 10 * DAY + HOUR, 211.0)]
    assert counted(HOURS, Count(NOW), readings).used == pytest.approx(111)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(1, 50)), max_size=60),
    st.sets(st.integers(0, 59)),
)
def test_what_is_counted_is_what_was_run_whatever_is_lost_or_reset(
    steps: list[tuple[float, bool, int]], lost: set[int]
) -> None:
    """A machine that runs, is reset now and then, and of which readings are lost: never more than it ran; as much where
    no reading before a reset was lost."""
    at, total, counter = NOW, 0.0, 500.0
    readings, whole = [(NOW + timedelta(minutes=1), counter)], True
    for number, (share, reset, hours) in enumerate(steps):
        at += hours * HOUR
        if reset and counter > 200:
            counter = 0.0
        total += share * hours
        counter += share * hours
        if number in lost:
            whole = False
        else:
            readings.append((at + timedelta(minutes=1), counter))
    found = counted(HOURS, Count(NOW), readings)
    assert found.used <= total + 1e-6
    if whole:
        assert found.used == pytest.approx(total, abs=1e-6)


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(0, 30))
def test_counting_is_the_same_however_it_is_cut(steps: list[int], cut: int) -> None:
    values, total = [], 0.0
    for step in steps:
        total += step
        values.append(total)
    readings = shown(*values)
    whole = counted(CYCLES, Count(NOW), readings)
    assert counted(CYCLES, counted(CYCLES, Count(NOW), readings[:cut]), readings[cut:]) == whole
    assert counted(CYCLES, whole, readings) == whole, "what was counted is not counted again"


def test_the_pace_follows_a_second_shift_and_is_not_told_of_an_hour() -> None:
    first = counted(HOURS, Count(NOW), shown(100, 101))
    assert first.pace is None
    one_shift = counted(HOURS, Count(NOW), shown(*range(100, 580, 8), every=DAY))
    assert one_shift.pace == pytest.approx(8)
    last = one_shift.shown or 0
    two = [(one_shift.at + n * DAY, last + 16 * n) for n in range(1, 57)]
    assert counted(HOURS, one_shift, two).pace == pytest.approx(16, rel=0.1)


def test_use_is_due_at_its_amount_and_ahead_of_it_by_its_pace() -> None:
    count = Count(NOW, 5000, 900, per_day=10, known_days=40)
    standing = Standing(NOW, count=count)
    dates = [one.at for one in ahead(HOURS, standing, ALWAYS, NOW, NOW + 115 * DAY)]
    assert dates == [NOW + 10 * DAY, NOW + 110 * DAY]
    assert due(HOURS, standing, ALWAYS, NOW, 9 * DAY) is None
    assert due(HOURS, standing, ALWAYS, NOW, 10 * DAY) is not None
    late = Standing(NOW, count=Count(NOW, 5000, 5200))
    found = due(HOURS, late, ALWAYS, NOW, timedelta(0))
    assert found is not None
    assert found.at == NOW
    assert "5200 of 5000 hours" in found.why
    assert times_after(HOURS, late) == 5, "what was counted late falls due once"
    assert due(HOURS, Standing(NOW, times=5, count=late.count), ALWAYS, NOW, 300 * DAY) is None


def test_what_cannot_be_known_is_said() -> None:
    assert "a mode that tells when it runs" in unknown(HOURS, Standing(NOW, count=Count(NOW)))
    assert "long enough" in unknown(HOURS, Standing(NOW, count=Count(NOW, 5.0)))
    assert unknown(HOURS, Standing(NOW, count=Count(NOW, 5.0, used=1000))) == ""
    assert "its kind has not failed" in unknown(Risk(0.3), Standing(NOW, silent="its kind has not failed"))
    assert unknown(Risk(0.3), Standing(NOW, p_fail=0.1)) == ""
    assert list(ahead(Risk(0.3), Standing(NOW, silent="x"), ALWAYS, NOW, NOW + 90 * DAY)) == []


# Condition, risk ------------------------------------------------------------------------------------------------------

HOT = Beyond("bearing_temperature", Side.ABOVE, 80, 3)


@pytest.mark.parametrize(
    ("values", "hours"),
    [((70, 81, 82, 83), 3), ((81, 82, 83, 79), 0), ((81, 79, 81, 81), 2), ((), 0), ((81,), 1)],
)
def test_a_condition_counts_the_hours_in_a_row_that_are_known(values: tuple[float, ...], hours: int) -> None:
    readings = shown(*values)
    now = NOW + (len(values) + 1) * HOUR
    assert beyond_for(HOT, readings, now) == hours
    assert beyond_for(HOT, readings, now + 2 * DAY) == 0, "what was so is not what is so"


def test_a_condition_is_followed_over_a_few_hours_of_silence_but_not_over_a_day() -> None:
    later = [(NOW + 20 * HOUR, 85.0), (NOW + 21 * HOUR, 86.0)]
    assert beyond_for(HOT, [(NOW, 85.0), *later], NOW + 22 * HOUR) == 3
    assert beyond_for(HOT, [(NOW - 5 * HOUR, 85.0), *later], NOW + 22 * HOUR) == 2


def test_a_risk_is_due_by_when_one_in_ten_has_failed_within_thirty_days() -> None:
    standing = Standing(NOW, p_fail=0.42, fails_by=NOW + 12 * DAY)
    found = due(Risk(0.3), standing, ALWAYS, NOW, timedelta(0))
    assert found is not None
    assert found.at == NOW + 12 * DAY
    assert "42%" in found.why
    assert due(Risk(0.5), standing, ALWAYS, NOW, 300 * DAY) is None


def test_the_healthy_are_put_off_but_not_for_ever() -> None:
    said = [put_off(HOURS, 90, 2, in_a_row, 95) for in_a_row in range(4)]
    assert [bool(one) for one in said] == [True, True, False, False]
    assert "health 95" in said[0]
    assert not put_off(HOURS, 90, 2, 0, 89)
    assert not put_off(HOURS, 90, 2, 0, None), "a health that is not known is none"
    assert not put_off(HOURS, None, 2, 0, 99)
    assert not put_off(Risk(0.3), 90, 2, 0, 99)


def test_a_planned_ticket_is_in_time_until_it_is_due() -> None:
    promised = [Clock(name, NOW, NOW + 2 * DAY, NOW + 1.5 * DAY) for name in ClockName]
    later = {one.name: one for one in until_due(promised, NOW + 14 * DAY)}
    assert later[ClockName.RESPONSE].due_at == NOW + 2 * DAY
    assert later[ClockName.RESOLUTION].due_at == NOW + 14 * DAY
    assert later[ClockName.RESOLUTION].warn_at == NOW + 13.5 * DAY
    assert until_due(promised, NOW) == promised
