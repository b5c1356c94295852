"""Clocks that are wrong: the server's own, and those of devices."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.presence.clocks import Clocks
from ingest.presence.corrections import AHEAD_US, BEFORE, BEHIND_US, Piece
from ingest.presence.server_clock import DOUBT_US, ServerClock
from store.clocks import ClockFinding

START_US = 1_782_907_200_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND


class Wall:
    """A clock on the wall that somebody sets, over one that nobody can."""

    def __init__(self) -> None:
        self.steady_us = 5 * SECOND
        self.set_by_us = 0
        self.clock = ServerClock(lambda: START_US + self.steady_us + self.set_by_us, lambda: self.steady_us)
        self.clock.tick(listening=True)

    @property
    def true_us(self) -> int:
        return START_US + self.steady_us

    def wait(self, seconds: float, listening: bool = True, devices: Sequence[float] | None = None) -> tuple[int, int]:
        """Ticks a second apart; `devices` show the true time and so many seconds more. The time, what is excused."""
        excused = 0
        now_us = self.true_us
        for _ in range(round(seconds)):
            self.steady_us += SECOND
            now_us, more = self.clock.tick(listening)
            excused += more
            if devices is not None:
                self.clock.hear(self.true_us + np.array([round(off * SECOND) for off in devices], np.int64))
        return now_us, excused


# The server's ---------------------------------------------------------------------------------------------------------


def test_time_passes_as_on_the_wall() -> None:
    wall = Wall()
    assert wall.wait(100) == (wall.true_us, 0)


def test_what_a_start_takes_is_excused_once() -> None:
    """By whoever begins; then only what passes until devices can be heard."""
    wall = Wall()
    wall.steady_us += 3 * SECOND + 1  # detectors are compiled, streams are loaded
    assert wall.clock.begin() == wall.true_us
    assert wall.wait(2)[1] == SECOND, "the first second: nobody listened at its beginning"


@pytest.mark.parametrize("by_us", [DAY, -DAY, 3600 * SECOND])
def test_a_clock_that_is_set_and_set_back_is_no_event(by_us: int) -> None:
    wall = Wall()
    wall.wait(10)
    wall.set_by_us = by_us
    assert wall.wait(300) == (wall.true_us, 0)
    assert wall.clock.doubted_us == by_us
    wall.set_by_us = 0
    assert wall.wait(10) == (wall.true_us, 0)
    assert wall.clock.doubted_us == 0


def test_devices_that_agree_with_the_old_time_keep_it_for_as_long_as_they_do() -> None:
    wall = Wall()
    wall.set_by_us = DAY
    assert wall.wait(3 * DOUBT_US / SECOND, devices=[0.2, -3.0]) == (wall.true_us, 0)


def test_devices_that_agree_with_the_new_time_make_it_true_at_once() -> None:
    """It was wrong until now. What it leaps by is nobody's silence."""
    wall = Wall()
    wall.set_by_us = -DAY
    now_us, excused_us = wall.wait(5, devices=[-86_400.0, -86_399.0])
    assert now_us == wall.true_us - DAY
    assert excused_us == -DAY


def test_where_nobody_has_a_clock_the_wall_is_believed_after_a_while() -> None:
    wall = Wall()
    wall.set_by_us = DAY
    now_us, excused_us = wall.wait(DOUBT_US / SECOND - 2)
    assert (now_us, excused_us) == (wall.true_us, 0)
    now_us, excused_us = wall.wait(3)
    assert (now_us, excused_us) == (wall.true_us + DAY, DAY)


def test_a_leap_of_seconds_is_followed_and_excused() -> None:
    wall = Wall()
    wall.set_by_us = 20 * SECOND
    assert wall.wait(1) == (wall.true_us + 20 * SECOND, 20 * SECOND)


def test_time_in_which_nobody_can_be_heard_counts_against_nobody() -> None:
    wall = Wall()
    assert wall.wait(600, listening=False) == (wall.true_us, 600 * SECOND)
    assert wall.wait(1)[1] == SECOND, "until we have listened from one tick to the next"
    assert wall.wait(600) == (wall.true_us, 0)


def test_neither_does_time_spent_waiting_for_a_database() -> None:
    wall = Wall()
    wall.steady_us += 600 * SECOND
    assert wall.clock.tick(listening=True) == (wall.true_us, 600 * SECOND)


def test_a_clock_that_runs_fast_is_followed() -> None:
    wall = Wall()
    for _ in range(100):
        wall.set_by_us += SECOND // 1000
        now_us, _ = wall.wait(1)
        assert now_us == wall.true_us + wall.set_by_us


# Those of devices: what they show -------------------------------------------------------------------------------------


class Fleet:
    """Devices that send what they have just measured, once a second and with some delay; the clock is ours."""

    def __init__(self, *names: str) -> None:
        self.names = [("demo", name) for name in names or ("pump-1",)]
        self.clocks = Clocks()
        self.now_us = START_US
        self.rng = np.random.default_rng(1)

    def send(self, offset_s: float | Callable[[int], float], for_s: int, every_s: int = 5) -> None:
        """Messages, stamped by clocks that are off by so much (a function of our time in µs, or a number)."""
        for _ in range(0, for_s, every_s):
            self.now_us += every_s * SECOND
            off_s = offset_s(self.now_us) if callable(offset_s) else offset_s
            delay_us = self.rng.integers(10_000, 80_000, len(self.names))
            self.clocks.observe(self.names, self.now_us - delay_us + round(off_s * SECOND), self.now_us)

    def changes(self) -> list[ClockFinding]:
        return self.clocks.changes(self.now_us)

    @property
    def wrong(self) -> bool:
        return bool(self.clocks.suspects(self.names).any())


def test_a_right_clock_is_found_right() -> None:
    fleet = Fleet()
    fleet.send(0, 300)
    (found,) = fleet.changes()
    assert (found.cause, found.before_s) == ("first", None)
    assert found.offset_s == pytest.approx(0, abs=0.1)
    assert not fleet.wrong


@pytest.mark.parametrize("off_s", [10.0, 86_400.0])
def test_a_clock_that_is_ahead_is_known_by_its_first_stamp(off_s: float) -> None:
    fleet = Fleet()
    fleet.send(off_s, 5)
    (found,) = fleet.changes()
    assert found.offset_s == pytest.approx(off_s, abs=0.1)
    assert fleet.wrong


def test_a_clock_that_is_behind_is_known_after_three_spans_that_agree() -> None:
    fleet = Fleet()
    fleet.send(-86_400, 170)
    assert fleet.changes() == []
    fleet.send(-86_400, 80)
    (found,) = fleet.changes()
    assert found.offset_s == pytest.approx(-86_400, abs=0.1)
    assert fleet.wrong


@pytest.mark.parametrize("pace", [1.1, 3, 100])
def test_a_backlog_is_no_clock_that_is_behind(pace: float) -> None:
    """An hour that is sent after an outage, oldest first, at so many times the pace of its measurement."""
    fleet = Fleet()
    fleet.send(0, 300)
    fleet.changes()
    fleet.now_us += 3600 * SECOND
    behind_s = 3600.0
    while behind_s > 0:
        fleet.send(-behind_s, 5)
        behind_s -= 5 * (pace - 1)
    fleet.send(0, 300)
    assert [row.cause for row in fleet.changes() if row.cause] == []
    assert not fleet.wrong


def test_messages_that_always_take_as_long_are_not_called_wrong() -> None:
    fleet = Fleet()
    fleet.send(-30, 300)
    assert not fleet.wrong


def test_a_clock_that_is_set_is_told_of_once() -> None:
    fleet = Fleet()
    fleet.send(-7200, 300)
    fleet.changes()
    fleet.send(0, 300)
    told = [row for row in fleet.changes() if row.cause]
    assert [(row.cause, round(row.before_s or 0), round(row.offset_s)) for row in told] == [("set", -7200, 0)]


def test_a_drift_is_measured_after_an_hour() -> None:
    fleet = Fleet()
    fleet.send(lambda now_us: 50e-6 * (now_us - START_US) / SECOND, 6 * 3600)
    told = fleet.changes()
    assert told[-1].drift_ppm == pytest.approx(50, abs=5)
    assert told[-1].offset_s == pytest.approx(1.08, abs=0.1)


def test_what_was_known_before_a_restart_is_no_news() -> None:
    fleet = Fleet()
    fleet.clocks.restore({("demo", "pump-1"): 86_400.0})
    assert fleet.wrong
    fleet.send(86_400, 300)
    assert [row.cause for row in fleet.changes()] == [""]


def test_devices_are_judged_apart() -> None:
    fleet = Fleet("pump-1", "pump-2", *(f"motor-{number}" for number in range(40)))
    for _ in range(60):
        fleet.now_us += 5 * SECOND
        stamps = np.full(len(fleet.names), fleet.now_us - 20_000)
        stamps[1] += 600 * SECOND
        fleet.clocks.observe(fleet.names, stamps, fleet.now_us)
    assert fleet.clocks.suspects(fleet.names).tolist() == [False, True, *[False] * 40]


# Those of devices: right times out of wrong ones ----------------------------------------------------------------------


class Pump:
    """A device whose stamps are mended: one reading a second, in messages of five, by whatever its clock shows."""

    name = ("demo", "pump-1")

    def __init__(self, boot: int = 1) -> None:
        self.clocks = Clocks()
        self.clocks.begin(self.name, [], None)
        self.boot = boot
        self.now_us = START_US
        self.sent: list[tuple[int, list[int], list[int]]] = []  # boot, own times, times stored
        self.saved: dict[tuple[int, int], tuple[int, int, int]] = {}

    def send(self, off_s: float | Callable[[int], float], for_s: int, every_s: int = 5) -> list[float]:
        """How far the stored times are from the true ones, in seconds."""
        errors: list[float] = []
        for _ in range(0, for_s, every_s):
            self.now_us += every_s * SECOND
            true_us = self.now_us - SECOND * np.arange(4, -1, -1)
            off_us = round((off_s(self.now_us) if callable(off_s) else off_s) * SECOND)
            stored = self.arrive(true_us + off_us, self.now_us + SECOND // 20)
            errors += ((stored - true_us) / SECOND).tolist()
        return errors

    def arrive(self, own_us: npt.NDArray[np.int64], arrived_us: int) -> npt.NDArray[np.int64]:
        self.clocks.observe([self.name], own_us[-1:], arrived_us)
        stored, _ = self.clocks.corrections[self.name].correct(self.boot, own_us, arrived_us)
        self.sent.append((self.boot, own_us.tolist(), stored.tolist()))
        self.commit()
        return stored

    def commit(self) -> None:
        for row in self.clocks.unsaved():
            self.saved[row.boot, row.from_us] = (row.used_us, row.shift_us, row.rate_ppm)
        self.clocks.saved()

    def die(self) -> None:
        """What the database has is all that is left."""
        pieces = [
            (boot, Piece(from_us, used_us, shift_us, rate, used_us))
            for (boot, from_us), (used_us, shift_us, rate) in self.saved.items()
        ]
        self.clocks = Clocks()
        self.clocks.begin(self.name, pieces, None)

    def check(self) -> None:
        """Everything that was ever sent, sent again now in any order, is stored at the very same times."""
        for index in np.random.default_rng(2).permutation(len(self.sent)).tolist():
            boot, own_us, stored_us = self.sent[index]
            again, _ = self.clocks.corrections[self.name].correct(boot, np.array(own_us), self.now_us)
            assert again.tolist() == stored_us


def ends_right(errors: Sequence[float], after: int = 0, within_s: float = 0.3) -> None:
    assert np.abs(errors[after:]).max() <= within_s


@pytest.mark.parametrize("off_s", [86_400.0, 600.0, 7.0, -56 * 365.25 * 86_400, -26 * 365.25 * 86_400])
def test_a_clock_that_is_ahead_or_was_never_set_is_right_from_its_first_message(off_s: float) -> None:
    pump = Pump()
    ends_right(pump.send(off_s, 3600))
    pump.check()
    pump.die()
    pump.check()
    ends_right(pump.send(off_s, 600))


def test_a_clock_that_is_a_day_behind_is_right_once_it_is_known() -> None:
    pump = Pump()
    errors = pump.send(-86_400, 3600)
    assert errors[0] == -86_400
    ends_right(errors, after=260)
    pump.check()
    pump.boot = 2
    ends_right(pump.send(-86_400, 60))  # from the first message of its next run
    pump.check()


def test_a_right_clock_is_left_alone() -> None:
    pump = Pump()
    assert set(pump.send(0, 3600)) == {0.0}
    assert set(pump.send(-40, 600)) == {-40.0}, "which may be the way that its messages take"


def test_a_clock_that_drifts_is_followed_and_never_runs_back() -> None:
    """50 ppm for two days, from a start 5 s ahead."""
    pump = Pump()
    errors = pump.send(lambda now_us: 5 + 50e-6 * (now_us - START_US) / SECOND, 2 * 86_400, every_s=60)
    ends_right(errors, within_s=1.5)
    stored = [time_us for _, _, times in pump.sent for time_us in times]
    assert (np.diff(stored) > 0).all()
    assert len(pump.saved) < 200
    pump.check()


def test_a_clock_that_is_set_back_over_its_own_stamps_is_right_beyond_them() -> None:
    """What it has shown before keeps its meaning, or what comes again would be stored twice."""
    pump = Pump()
    pump.send(600, 900)
    errors = pump.send(0, 1200)
    assert errors[-1] == 0
    pump.check()


@pytest.mark.parametrize("off_s", [86_400.0, -86_400.0, 7200.0, -56 * 365.25 * 86_400])
def test_a_clock_that_is_set_right_in_the_middle_of_a_run(off_s: float) -> None:
    pump = Pump()
    pump.send(off_s, 900)
    ends_right(pump.send(0, 900))
    pump.check()
    pump.die()
    ends_right(pump.send(0, 900))
    pump.check()


def test_two_runs_of_a_clock_that_begins_with_1970() -> None:
    """The same stamps mean something else in each run, and stay what they are."""
    pump = Pump()
    since_1970_s = START_US / SECOND
    ends_right(pump.send(-since_1970_s, 600))
    pump.boot = 2
    ends_right(pump.send(-since_1970_s - 600, 600))
    own = [own_us for boot, own_us, _ in pump.sent if boot == 1]
    assert own == [own_us for boot, own_us, _ in pump.sent if boot == 2]
    pump.check()
    pump.die()
    pump.check()


def test_a_backlog_after_a_clock_that_is_known_is_put_where_it_belongs() -> None:
    """Half an hour without a network; the buffer is sent oldest first, and then newest first."""
    for newest_first in (False, True):
        pump = Pump()
        pump.send(86_400, 600)
        true_us = [pump.now_us + k * 5 * SECOND + SECOND * np.arange(5) for k in range(360)]
        pump.now_us += 1801 * SECOND
        for k, block in enumerate(reversed(true_us) if newest_first else true_us):
            stored = pump.arrive(block + 86_400 * SECOND, pump.now_us + k * 10_000)
            assert np.abs(stored - block).max() <= 0.3 * SECOND
        pump.check()


def test_a_status_with_a_time_says_at_once_where_a_clock_stands() -> None:
    """A clock that was never set, and a buffer from before the network: right by the status that came first."""
    pump = Pump()
    pump.now_us += 3600 * SECOND
    began_us = START_US
    pump.clocks.corrections[pump.name].anchor(1, pump.now_us - began_us, pump.now_us)
    for k in range(720):
        own_us = k * 5 * SECOND + SECOND * np.arange(5)
        assert (pump.arrive(own_us, pump.now_us) == own_us + began_us).all()
    pump.check()


def test_what_was_stored_before_the_policy_changed_stays_where_it_is() -> None:
    pump = Pump()
    pump.clocks = Clocks()
    before = [pump.now_us + 86_400 * SECOND + k * SECOND for k in range(100)]
    pump.now_us += 100 * SECOND
    pump.clocks.begin(pump.name, [], before[-1])
    assert pump.arrive(np.array(before[-5:]), pump.now_us).tolist() == before[-5:]
    ends_right(pump.send(86_400, 600))
    pump.die()
    assert pump.arrive(np.array(before[:5]), pump.now_us).tolist() == before[:5]
    assert any(boot == BEFORE for boot, _ in pump.saved)


@pytest.mark.parametrize("others", [0, 4])
def test_one_stamp_that_was_thrown_far_ahead_spoils_nothing(others: int) -> None:
    """Alone in its message, or among good ones."""
    pump = Pump()
    pump.send(3600, 600)
    thrown = 4_000_000_000_000_000
    pump.arrive(np.array([pump.now_us + 3600 * SECOND] * others + [thrown]), pump.now_us)
    ends_right(pump.send(3600, 1200))
    pump.boot = 2
    pump.arrive(np.array([pump.now_us + 3600 * SECOND] * others + [thrown]), pump.now_us)
    ends_right(pump.send(3600, 1200))


@given(st.lists(st.tuples(st.floats(-1e5, 1e5), st.integers(1, 200), st.booleans()), min_size=1, max_size=8))
@settings(max_examples=60)
def test_whatever_a_clock_does_a_stamp_is_stored_at_one_time(steps: list[tuple[float, int, bool]]) -> None:
    pump = Pump()
    for off_s, messages, dies in steps:
        pump.send(off_s, 5 * messages)
        if dies:
            pump.die()
    pump.check()
    pump.die()
    pump.check()


def test_thousands_of_devices_cost_a_delivery_little() -> None:
    names = [("demo", f"pump-{number}") for number in range(10_000)]
    clocks = Clocks()
    stamps = np.full(len(names), START_US)
    clocks.observe(names, stamps, START_US)
    best_s = min(_timed(lambda at=at: clocks.observe(names, stamps + at, START_US + at)) for at in range(5))
    assert best_s / len(names) < 5e-6, "a microsecond or so a device"


def _timed(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def test_limits_are_what_the_document_says() -> None:
    assert (AHEAD_US, BEHIND_US) == (2 * SECOND, 60 * SECOND)
