"""Clocks over pauses, breaches and worse alarms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.clocks import LIMITS, Clock, ClockName, Effect, apply, pause, resume, start, stop, tighten
from tickets.priority import Level

NOON = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # half an hour before Europe changes to summer time
HOUR = timedelta(hours=1)


def after(hours: float) -> datetime:
    return NOON + hours * HOUR


def test_the_three_promises() -> None:
    hours = {
        level: tuple(LIMITS[level][name] / HOUR for name in (ClockName.RESPONSE, ClockName.ON_SITE)) for level in Level
    }
    assert hours == {Level.EMERGENCY: (1, 12), Level.MAJOR: (4, 24), Level.GENERAL: (8, 48)}


def test_warns_at_four_fifths_and_breaches_past_the_whole() -> None:
    clock = start(ClockName.RESPONSE, Level.MAJOR, NOON)
    assert clock.due_at == after(4)
    assert clock.warn_at == after(3.2)
    assert not clock.breached_by(after(4))
    assert clock.breached_by(after(4) + timedelta(microseconds=1))


def test_a_pause_moves_warning_and_due_time_on_and_nothing_falls_due_in_it() -> None:
    clock = pause(start(ClockName.ON_SITE, Level.EMERGENCY, NOON), after(10))
    assert not clock.breached_by(after(1000))
    clock = resume(clock, after(110))
    assert clock.due_at == after(112)
    assert clock.warn_at == after(109.6)
    assert clock.paused_at is None


def test_a_promise_broken_before_the_pause_stays_broken() -> None:
    clock = pause(start(ClockName.RESPONSE, Level.EMERGENCY, NOON), after(2))
    assert clock.breached_at == after(1)
    assert stop(clock, after(3)).breached_at == after(1)


def test_stopping_late_breaches_and_stopping_in_time_does_not() -> None:
    clock = start(ClockName.RESPONSE, Level.GENERAL, NOON)
    assert stop(clock, after(8)).breached_at is None
    assert stop(clock, after(9)).breached_at == after(8)
    assert stop(pause(clock, after(1)), after(100)).breached_at is None


def test_a_stopped_clock_never_changes() -> None:
    clock = stop(start(ClockName.RESPONSE, Level.GENERAL, NOON), after(1))
    for change in (pause, resume, stop):
        assert change(clock, after(2)) == clock
    assert tighten(clock, Level.EMERGENCY, after(2)) == clock


def test_a_worse_alarm_counts_from_when_it_was_known_and_never_gives_time() -> None:
    clock = start(ClockName.RESPONSE, Level.GENERAL, NOON)
    sooner = tighten(clock, Level.EMERGENCY, after(2))
    assert sooner.due_at == after(3)
    assert sooner.warn_at == after(2.8)
    assert tighten(clock, Level.EMERGENCY, after(7.5)) == clock
    assert tighten(sooner, Level.GENERAL, after(2)) == sooner


def test_a_worse_alarm_during_a_pause_leaves_the_stricter_time_for_afterwards() -> None:
    clock = tighten(pause(start(ClockName.RESPONSE, Level.GENERAL, NOON), after(1)), Level.EMERGENCY, after(5))
    assert resume(clock, after(6)).due_at == after(7)


def test_starting_again_begins_a_new_clock_and_leaves_others_alone() -> None:
    old = stop(start(ClockName.RESPONSE, Level.GENERAL, NOON), after(1))
    clocks = apply({ClockName.RESPONSE: Effect.START}, {ClockName.RESPONSE: old}, Level.MAJOR, after(50))
    assert clocks[ClockName.RESPONSE] == start(ClockName.RESPONSE, Level.MAJOR, after(50))
    assert apply({ClockName.ON_SITE: Effect.STOP}, {}, Level.MAJOR, NOON) == {}


@given(
    level=st.sampled_from(Level),
    name=st.sampled_from(ClockName),
    steps=st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=12),
)
def test_the_time_spent_running_is_all_that_counts(
    level: Level, name: ClockName, steps: list[tuple[float, bool]]
) -> None:
    """Whatever the pauses, a clock breaches exactly when it has run for longer than its limit."""
    clock, now, ran = start(name, level, NOON), NOON, timedelta()
    for hours, paused in steps:
        length = timedelta(seconds=round(hours * 3600))
        if clock.paused_at is None:
            ran += length
        now += length
        clock = pause(clock, now) if paused else resume(clock, now)
    stopped = stop(clock, now)
    assert (stopped.breached_at is not None) == (ran > LIMITS[level][name])


@pytest.mark.parametrize("effect", [Effect.PAUSE, Effect.RESUME, Effect.STOP])
def test_an_effect_never_moves_the_start(effect: Effect) -> None:
    clock: Clock = start(ClockName.ON_SITE, Level.MAJOR, NOON)
    changed = apply({ClockName.ON_SITE: effect}, {ClockName.ON_SITE: clock}, Level.MAJOR, after(3))
    assert changed[ClockName.ON_SITE].started_at == NOON
