"""Clocks over pauses, breaches and worse alarms."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.calendar import ALWAYS, Calendar
from tickets.clocks import PROMISED, Clock, ClockName, Effect, Promise, apply, pause, resume, start, stop, tighten
from tickets.priority import Level, Tier
from tickets.terms import HOUSE_TERMS

NOON = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # half an hour before Europe changes to summer time
HOUR = timedelta(hours=1)
# From Monday to Friday, 08:00 to 16:00 in Berlin.
OFFICE = Calendar(ZoneInfo("Europe/Berlin"), (*(((480, 960),),) * 5, (), ()))
MAJOR = HOUSE_TERMS.promises(Level.MAJOR)


def after(hours: float) -> datetime:
    return NOON + hours * HOUR


def promise(name: ClockName, level: Level, tier: Tier = Tier.REGULAR) -> Promise:
    return HOUSE_TERMS.promises(level, tier)[name]


def begin(name: ClockName, level: Level, now: datetime = NOON) -> Clock:
    return start(name, promise(name, level), now)


def test_the_three_promises() -> None:
    hours = {
        level: {name.value: one.limit / HOUR for name, one in HOUSE_TERMS.promises(level).items()} for level in Level
    }
    assert hours == {
        Level.EMERGENCY: {"assignment": 0.5, "response": 1, "on_site": 12, "resolution": 24},
        Level.MAJOR: {"response": 4, "on_site": 24, "resolution": 48},
        Level.GENERAL: {"response": 8, "on_site": 48, "resolution": 96},
    }


def test_who_is_vip_is_sent_somebody_within_half_an_hour_whatever_the_level() -> None:
    for level in Level:
        assert promise(ClockName.ASSIGNMENT, level, Tier.VIP).limit == HOUR / 2


def test_warns_at_four_fifths_and_breaches_past_the_whole() -> None:
    clock = begin(ClockName.RESPONSE, Level.MAJOR)
    assert clock.due_at == after(4)
    assert clock.warn_at == after(3.2)
    assert not clock.breached_by(after(4))
    assert clock.breached_by(after(4) + timedelta(microseconds=1))


def test_a_pause_moves_warning_and_due_time_on_and_nothing_falls_due_in_it() -> None:
    clock = pause(begin(ClockName.ON_SITE, Level.EMERGENCY), after(10))
    assert not clock.breached_by(after(1000))
    clock = resume(clock, after(110))
    assert clock.due_at == after(112)
    assert clock.warn_at == after(9.6)  # which had passed
    clock = resume(pause(begin(ClockName.ON_SITE, Level.EMERGENCY), after(6)), after(106))
    assert (clock.due_at, clock.warn_at) == (after(112), after(109.6))
    assert clock.paused_at is None


def test_a_promise_broken_before_the_pause_stays_broken() -> None:
    clock = pause(begin(ClockName.RESPONSE, Level.EMERGENCY), after(2))
    assert clock.breached_at == after(1)
    assert stop(clock, after(3)).breached_at == after(1)


def test_stopping_late_breaches_and_stopping_in_time_does_not() -> None:
    clock = begin(ClockName.RESPONSE, Level.GENERAL)
    assert stop(clock, after(8)).breached_at is None
    assert stop(clock, after(9)).breached_at == after(8)
    assert stop(pause(clock, after(1)), after(100)).breached_at is None


def test_a_stopped_clock_never_changes() -> None:
    clock = stop(begin(ClockName.RESPONSE, Level.GENERAL), after(1))
    for change in (pause, resume, stop):
        assert change(clock, after(2)) == clock
    assert tighten(clock, promise(ClockName.RESPONSE, Level.EMERGENCY), after(2)) == clock


def test_a_worse_alarm_counts_from_when_it_was_known_and_never_gives_time() -> None:
    clock = begin(ClockName.RESPONSE, Level.GENERAL)
    emergency = promise(ClockName.RESPONSE, Level.EMERGENCY)
    sooner = tighten(clock, emergency, after(2))
    assert sooner.due_at == after(3)
    assert sooner.warn_at == after(2.8)
    assert tighten(clock, emergency, after(7.5)) == clock
    assert tighten(sooner, promise(ClockName.RESPONSE, Level.GENERAL), after(2)) == sooner


def test_a_worse_alarm_during_a_pause_leaves_the_stricter_time_for_afterwards() -> None:
    held = pause(begin(ClockName.RESPONSE, Level.GENERAL), after(1))
    clock = tighten(held, promise(ClockName.RESPONSE, Level.EMERGENCY), after(5))
    assert resume(clock, after(6)).due_at == after(7)


def test_starting_again_begins_a_new_clock_and_leaves_others_alone() -> None:
    old = stop(begin(ClockName.RESPONSE, Level.GENERAL), after(1))
    clocks = apply({ClockName.RESPONSE: Effect.START}, {ClockName.RESPONSE: old}, MAJOR, after(50))
    assert clocks[ClockName.RESPONSE] == begin(ClockName.RESPONSE, Level.MAJOR, after(50))
    assert apply({ClockName.ON_SITE: Effect.STOP}, {}, MAJOR, NOON) == {}
    assert ClockName.ASSIGNMENT not in apply({ClockName.ASSIGNMENT: Effect.START}, {}, MAJOR, NOON), "not promised"


@given(
    level=st.sampled_from(Level),
    name=st.sampled_from([name for name in PROMISED if name is not ClockName.ASSIGNMENT]),
    calendar=st.sampled_from([ALWAYS, OFFICE]),
    steps=st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=12),
)
def test_the_time_spent_running_is_all_that_counts(
    level: Level, name: ClockName, calendar: Calendar, steps: list[tuple[float, bool]]
) -> None:
    """Whatever the pauses, a clock breaches exactly when it has run for longer than its limit of working time."""
    promised = replace(promise(name, level), calendar=calendar)
    clock, now, ran = start(name, promised, NOON), NOON, timedelta()
    for hours, paused in steps:
        length = timedelta(seconds=round(hours * 3600))
        if clock.paused_at is None:
            ran += calendar.between(now, now + length)
        now += length
        clock = pause(clock, now) if paused else resume(clock, now)
        if ran <= promised.limit:
            assert clock.left(now) == promised.limit - ran
    # It is due as the last of its working time ends: overdue from the next moment on, be it in the night.
    stopped = stop(clock, now)
    assert (stopped.breached_at is not None) >= (ran > promised.limit)
    assert (stopped.breached_at is None) >= (ran < promised.limit)


@pytest.mark.parametrize("effect", [Effect.PAUSE, Effect.RESUME, Effect.STOP])
def test_an_effect_never_moves_the_start(effect: Effect) -> None:
    clock: Clock = begin(ClockName.ON_SITE, Level.MAJOR)
    changed = apply({ClockName.ON_SITE: effect}, {ClockName.ON_SITE: clock}, MAJOR, after(3))
    assert changed[ClockName.ON_SITE].started_at == NOON


def test_working_time_is_what_counts_and_what_is_left_after_a_pause_is_left() -> None:
    """Friday 15:00: four hours of work are Monday 11:00; held over the weekend, they are Tuesday's."""
    friday = datetime(2026, 3, 27, 14, tzinfo=UTC)
    clock = start(ClockName.RESPONSE, replace(MAJOR[ClockName.RESPONSE], calendar=OFFICE), friday)
    assert clock.due_at == datetime(2026, 3, 30, 9, tzinfo=UTC)  # in summer time by then
    assert clock.left(friday + 40 * HOUR) == 3 * HOUR
    held = pause(clock, friday + HOUR / 2)
    assert held.left(friday + 99 * HOUR) == 3.5 * HOUR
    on = resume(held, datetime(2026, 3, 30, 12, tzinfo=UTC))
    assert on.due_at == datetime(2026, 3, 31, 7, 30, tzinfo=UTC)
    assert on.warn_at == datetime(2026, 3, 31, 6, 42, tzinfo=UTC)  # 0.8 x 4 h, of which half an hour had gone
    assert on.left(on.due_at + HOUR) == -HOUR


def test_a_tightened_clock_goes_by_the_calendar_of_its_new_level() -> None:
    saturday = datetime(2026, 3, 28, 12, tzinfo=UTC)
    clock = start(ClockName.RESPONSE, replace(promise(ClockName.RESPONSE, Level.GENERAL), calendar=OFFICE), saturday)
    sooner = tighten(clock, promise(ClockName.RESPONSE, Level.EMERGENCY), saturday + HOUR)
    assert (sooner.due_at, sooner.level, sooner.calendar) == (saturday + 2 * HOUR, Level.EMERGENCY, ALWAYS)
