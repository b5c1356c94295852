"""A machine after its repair beside its healthy baseline: what is well, what is not, and what nobody can say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dashboard.comparison import strip
from prognosis.after_repair import Finding, Outcome, compare
from prognosis.running import ROW_US, Floats, Point, Table, loads, settled
from tickets.after_repair import GIVES_UP, Answer, Stage, answer, begins, ends, first_look, next_look
from tickets.states import State

POINTS = [
    Point("vibration", "vibration_velocity", "mm/s"),
    Point("current", "current", "A"),
    Point("temperature", "temperature", "degC"),
]
DAYS, HOURS = 4, 6
HEALTHY_ROWS, AFTER_ROWS = DAYS * 144, HOURS * 6
BEFORE_ROWS = 36


def told(
    after: list[float], before: list[float] | None = None, *, load: bool = False, swing: float = 1.0, rows: int = 24
) -> Finding:
    """What is said of levels after a repair, as shares of the healthy ones; `load`: every three hours another."""
    n = HEALTHY_ROWS + BEFORE_ROWS + AFTER_ROWS
    at = np.arange(n)
    level = np.array([2.0, 20.0, 60.0]) * np.ones((n, 3))
    level *= 1.0 + 0.02 * np.sin(at / 60.0)[:, None] + 0.004 * np.sin(at * 2.7)[:, None]
    if load:
        half = at // 18 % 2 == 1
        level[half] *= [0.6, 0.7, 0.8]
    level[HEALTHY_ROWS:-AFTER_ROWS] *= before or [1.0, 1.0, 1.0]
    level[-AFTER_ROWS:] *= after
    swings = np.abs(level) * 0.02 * (1.0 + 0.2 * np.sin(at * 1.3)[:, None])
    swings[-AFTER_ROWS:, 1] *= swing
    spans = at < HEALTHY_ROWS, (at >= HEALTHY_ROWS) & (at < n - AFTER_ROWS), at >= n - AFTER_ROWS
    return compare(Table(POINTS, at * ROW_US, level, swings), *spans, wanted_rows=rows)


def off(finding: Finding) -> list[tuple[str, str]]:
    return [(one.point, one.why) for one in finding.off]


def test_what_is_as_it_was_is_well_also_where_loads_change() -> None:
    assert told([1.0, 1.0, 1.0]).outcome is Outcome.WELL
    by_load = told([1.0, 1.0, 1.0], load=True)
    assert by_load.outcome is Outcome.WELL
    assert {one.mode for one in by_load.points} == {"full load", "part load"}


def test_a_fault_that_stayed_and_one_that_came_are_named_with_how_far() -> None:
    stayed = told([1.6, 1.0, 1.0], [1.6, 1.0, 1.0])
    assert (stayed.outcome, off(stayed)) == (Outcome.NOT_WELL, [("vibration", "level")])
    (first, *_) = stayed.points
    assert first.was_off
    assert first.low < 2.0 < first.high < first.now == pytest.approx(first.before, rel=0.02)
    came = told([1.0, 1.2, 1.0], [1.6, 1.0, 1.0], load=True)
    assert {one.point for one in came.off} == {"current"}
    assert not came.off[0].was_off


def test_a_point_that_was_off_has_to_come_more_than_half_of_its_way_back() -> None:
    left_over = [1.1, 1.0, 1.0]
    assert told(left_over).outcome is Outcome.WELL
    assert off(told(left_over, [1.16, 1.0, 1.0])) == [("vibration", "level")]
    assert told(left_over, [1.5, 1.0, 1.0]).outcome is Outcome.WELL


def test_quieter_and_cooler_than_in_health_is_well_and_less_current_is_not() -> None:
    assert told([0.5, 1.0, 0.7]).outcome is Outcome.WELL
    assert off(told([1.0, 0.7, 1.0])) == [("current", "level")]


def test_a_swing_that_grew_and_a_point_that_rests_are_off() -> None:
    assert off(told([1.0, 1.0, 1.0], swing=5.0)) == [("current", "swing")]
    assert off(told([1.0, 1.0, 1.0], swing=0.0)) == [("current", "still")]


def test_what_cannot_be_compared_is_said() -> None:
    assert told([1.0, 1.0, 1.0], rows=240).reason == "6.0 of 40.0 h of running can be compared yet"
    assert told([0.0, 0.0, 1.0]).reason == "it has stood still since"
    at = np.arange(40)
    table = Table(POINTS, at * ROW_US, np.ones((40, 3)), np.ones((40, 3)))
    short = compare(table, at < 12, at < 0, at >= 12, 6)
    assert (short.outcome, short.reason) == (
        Outcome.CANNOT_SAY,
        "2.0 h of healthy running are known of it: 6 h are needed to compare with",
    )
    assert compare(table, at < 40, at < 0, at < 0, 6).reason == "nothing was heard of it since"


def test_a_machine_settles_for_an_hour_after_each_start_and_each_silence() -> None:
    time_us = np.array([*range(4), *range(6, 20), *range(40, 50)], np.int64) * ROW_US
    running = np.array([True] * 4 + [False] * 2 + [True] * 12 + [True] * 10)
    found = settled(time_us, running).tolist()
    # At first it may have run for long; two rows of standing still; a silence of three hours.
    assert found == [True] * 4 + [False] * 8 + [True] * 6 + [False] * 6 + [True] * 4


def test_a_fault_that_shakes_the_effort_is_no_change_of_load() -> None:
    at = np.arange(200)
    effort: Floats = np.where(at // 20 % 2, 20.0, 10.0)
    swing = np.where(at >= 160, 12.0, 0.4)
    table = Table([POINTS[1]], at * ROW_US, effort[:, None], swing[:, None])
    load, names = loads(table, at < 160, at >= 160)
    assert names == {0: "part load", 1: "full load"}
    assert load.tolist() == (at // 20 % 2).tolist()
    alone, _ = loads(table, at < 200)
    assert set(alone[160:].tolist()) == {-1}


# What follows for the ticket ------------------------------------------------------------------------------------------

T = datetime(2026, 11, 23, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_checks_begin_with_the_test_and_the_hand_over_and_end_where_work_begins_again() -> None:
    assert begins(State.REPAIRING, State.TESTING, "condition") is Stage.TEST
    assert begins(State.QUALITY_CHECK, State.HANDED_OVER, "condition") is Stage.SERVICE
    assert begins(State.ON_HOLD, State.TESTING, "condition") is None
    assert begins(State.REPAIRING, State.TESTING, "communication") is None
    assert {to for to in State if ends(to)} == {State.REPAIRING, State.REOPENED, State.CANCELLED}


def test_a_check_waits_for_what_it_lacks_an_hour_at_most_and_gives_up_after_a_week() -> None:
    assert first_look(T, 4.0) == T + 5 * HOUR
    assert next_look(T, 1.0, 4.0, T + 6 * HOUR) == T + 7 * HOUR
    assert next_look(T, 3.5, 4.0, T + 6 * HOUR) == T + 6.5 * HOUR
    assert next_look(T, 4.0, 4.0, T + 6 * HOUR) == T + 6 * HOUR + timedelta(minutes=10)
    assert next_look(T, 1.0, 4.0, T + GIVES_UP) is None


@pytest.mark.parametrize(
    ("state", "same_turn", "closed_for", "wanted"),
    [
        (State.TESTING, True, None, Answer.NOTED),
        (State.QUALITY_CHECK, True, None, Answer.NOTED),
        (State.ON_HOLD, True, None, Answer.NOTED),
        (State.HANDED_OVER, True, None, Answer.REOPENED),
        (State.FOLLOW_UP, True, None, Answer.REOPENED),
        (State.FOLLOW_UP, False, None, Answer.NOTED),
        (State.CLOSED, True, 29 * 24 * HOUR, Answer.REOPENED),
        (State.CLOSED, True, 31 * 24 * HOUR, Answer.OVER),
        (State.CANCELLED, True, HOUR, Answer.NOTED),
    ],
)
def test_a_repair_that_did_not_hold_takes_its_ticket_back_within_the_guarantee(
    state: State, same_turn: bool, closed_for: timedelta | None, wanted: Answer
) -> None:
    found = answer(state, same_turn=same_turn, closed_for=closed_for, guarantee=timedelta(days=30))
    assert found is wanted


def test_a_drawing_keeps_the_order_of_what_it_shows() -> None:
    (point, *_) = told([1.6, 1.0, 1.0], [1.8, 1.0, 1.0]).points
    drawn = strip(point.to_json())
    assert drawn is not None
    assert 0 < drawn["low"] < drawn["usual"] < drawn["high"] < drawn["now"] < drawn["before"] < 100  # type: ignore[operator]
    (swings, *_) = told([1.0, 1.0, 1.0], swing=5.0).points
    shown = strip(swings.to_json())
    assert shown is not None
    assert shown["usual"] < shown["high"] < shown["now"]  # type: ignore[operator]
    assert strip(point.to_json() | dict.fromkeys(("usual", "low", "high", "before", "now"), 1.0)) is None
