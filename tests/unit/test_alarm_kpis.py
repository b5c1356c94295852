"""The figures of the alarm system: fast = obvious, and each word where its standard puts it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.kpis import (
    LEAST_CALLS_FOR_SHARES,
    SPAN_S,
    TARGETS,
    Calls,
    Word,
    answers,
    fleeting,
    highest,
    judged,
    mix,
    most_calling,
    person,
    rates,
    share_of_time,
    share_of_top,
)
from dashboard.rates import FIGURES, rate_chart

NAN = float("nan")
BEGIN_S = 1_800_000_000.0  # begins a span: divisible by 600


def calls(*rows: tuple[float, int, float, float], alarms: list[int] | None = None) -> Calls:
    """Of (seconds after BEGIN_S, severity, answered, stood)."""
    at, severity, answered, stood = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    count = len(rows)
    numbers = np.array(alarms or range(count), dtype=np.int64)
    return Calls(BEGIN_S + at, np.ones(count, dtype=np.int64), numbers, severity.astype(np.int64), answered, stood)


@given(
    st.lists(st.floats(0, 20_000, exclude_max=True), max_size=80),
    st.floats(0, 3000),
    st.floats(100, 17_000),
)
def test_rates_are_what_counting_span_by_span_gives(offsets: list[float], skipped_s: float, length_s: float) -> None:
    begin, end = BEGIN_S + skipped_s, BEGIN_S + skipped_s + length_s
    at = np.array([t for t in (BEGIN_S + offset for offset in offsets) if begin <= t < end])
    counts, since = [], begin - begin % SPAN_S
    while since < end:
        counts.append(sum(since <= t < since + SPAN_S for t in at))
        since += SPAN_S
    found = rates(at, begin, end)
    assert found.counts.tolist() == counts
    assert found.most_in_a_span == max(counts)
    assert found.spans_above_1 == pytest.approx(sum(n > 1 for n in counts) / len(counts))
    assert found.spans_above_10 == pytest.approx(sum(n > 10 for n in counts) / len(counts))
    assert found.calls_per_span == pytest.approx(len(at) / (end - begin) * 600)


@given(st.lists(st.tuples(st.floats(-50, 150), st.floats(0, 90)), max_size=8))
def test_time_in_flood_counts_no_moment_twice(spans: list[tuple[float, float]]) -> None:
    floods = [(since, since + length) for since, length in spans]
    # The obvious way: between any two edges it is all or nothing.
    edges = sorted({0.0, 100.0, *(min(100.0, max(0.0, edge)) for flood in floods for edge in flood)})
    covered = sum(
        after - before
        for before, after in itertools.pairwise(edges)
        if any(since <= before and after <= until for since, until in floods)
    )
    assert share_of_time(floods, 0.0, 100.0) == pytest.approx(covered / 100, abs=1e-9)


def test_answers_tell_those_that_came_from_those_that_never_will() -> None:
    found = answers(
        calls((0, 1, 10, NAN), (1, 1, 30, 5), (2, 1, 50, 100), (3, 1, NAN, 20), (4, 1, NAN, NAN), (5, 1, NAN, NAN))
    )
    assert (found.median_s, found.never, found.waiting) == (30.0, 1, 2)
    assert found.p90_s == pytest.approx(46.0)
    assert answers(calls((0, 1, NAN, NAN))).median_s is None


def test_what_was_gone_within_a_minute_and_unanswered_is_fleeting() -> None:
    assert fleeting(calls((0, 1, NAN, 59), (0, 1, NAN, 60), (0, 1, 20, 30), (0, 1, 40, 30), (0, 1, NAN, NAN))) == 2


def test_critical_counts_as_high_and_nothing_has_no_mix() -> None:
    found = mix(calls(*((0.0, severity, NAN, NAN) for severity in (1, 1, 1, 1, 2, 2, 3, 4))))
    assert (found.low_share, found.medium_share, found.high_share) == (0.5, 0.25, 0.25)
    nothing = Calls(*(np.array([], dtype=kind) for kind in (float, int, int, int, float, float)))
    assert mix(nothing).low_share is None
    assert rates(nothing.at_s, BEGIN_S, BEGIN_S + 1).most_in_a_span == 0
    assert (most_calling(nothing), fleeting(nothing), answers(nothing).waiting) == ([], 0, 0)


def test_what_calls_most_comes_with_its_last_call() -> None:
    rows = [(float(offset), 1, NAN, NAN) for offset in (50, 10, 30, 20, 40, 60)]
    assert most_calling(calls(*rows, alarms=[-7, 5, -7, 5, -7, 9])) == [(3, 0), (2, 3), (1, 5)]
    many = calls(*((float(n), 1, NAN, NAN) for n in range(30)), alarms=[n % 15 for n in range(30)])
    assert len(most_calling(many)) == 10


def test_the_share_of_ten_is_told_of_enough_calls_only() -> None:
    assert share_of_top([1] * 10, LEAST_CALLS_FOR_SHARES) == pytest.approx(0.05)
    assert share_of_top([1] * 10, LEAST_CALLS_FOR_SHARES - 1) is None


def test_a_person_is_counted_by_days() -> None:
    found = person("ada", np.array([0.0, 10.0, 86_400.0]), np.array([10.0, 20.0, 90.0]))
    assert (found.answers, found.days, found.median_s) == (3, 2, 20.0)


@pytest.mark.parametrize(
    ("name", "within", "above", "far"),
    [
        ("calls_per_span", 1.0, 1.5, 2.1),
        ("most_in_a_span", 10, 11, 101),
        ("spans_above_10", 0.01, 0.02, 0.06),
        ("calls_per_day_and_person", 144, 145, 289),
        ("chattering", 0, 1, 6),
        ("stale", 4, 5, 21),
        ("top_ten_share", 0.05, 0.06, 0.3),
        ("high_share", 0.05, 0.06, 0.3),
        ("false_per_machine_month", 1.0, 1.1, 3.5),
    ],
)
def test_each_figure_has_its_word(name: str, within: float, above: float, far: float) -> None:
    words = [judged({"calls": 1000, name: value})[1].word for value in (within, above, far, None)]
    assert words == [Word.WITHIN, Word.ABOVE, Word.FAR_ABOVE, Word.UNJUDGED]


def test_priorities_of_few_calls_are_not_judged() -> None:
    few, many = (judged({"calls": n, "high_share": 0.5})[1] for n in (LEAST_CALLS_FOR_SHARES - 1, 1000))
    assert (few.word, many.word) == (Word.UNJUDGED, Word.FAR_ABOVE)
    assert few.target == "about 5 %"


def test_every_figure_that_is_judged_is_named_on_the_page() -> None:
    assert set(TARGETS) <= set(FIGURES)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=400), st.integers(1, 168))
def test_a_chart_shows_the_worst_of_each_column(counts: list[int], columns: int) -> None:
    shown = highest(np.array(counts), columns)
    assert len(shown) <= columns
    assert shown.max() == max(counts)
    drawn = rate_chart(shown.tolist(), [(0.2, 0.3)])
    assert drawn.flooded.count("M") == int(np.count_nonzero(shown > 10))
    assert drawn.bars.count("M") == int(np.count_nonzero((shown > 0) & (shown <= 10)))
