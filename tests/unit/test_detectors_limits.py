"""Fixed limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import limit_score, rates_per_min

from detectors import Limit, Limits
from telemetry import Batch, Stream

START_US = 1_763_740_800_000_000
STREAM = Stream(1, 1, "acme", "pump", "pressure", "pressure", "bar")
FULL = Limit(hihi=10.0, hi=8.0, lo=2.0, lolo=1.0)


def scored(limit: Limit | None, values: list[float], times_s: list[float] | None = None) -> list[float]:
    detector = Limits(lambda stream: limit)
    detector.watch([STREAM])
    seconds = np.arange(len(values)) if times_s is None else np.array(times_s)
    times = START_US + np.round(seconds * 1e6).astype(np.int64)
    return detector.score(Batch.of(times, np.ones(len(values), int), values), 0).score.tolist()


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
def test_level_is_linear_between_and_beyond_the_limits(values: list[float]) -> None:
    np.testing.assert_allclose(scored(FULL, values), [limit_score(FULL, value) for value in values], atol=1e-9)


def test_evidence_of_a_change_that_is_too_fast_is_the_rate_in_its_own_unit() -> None:
    detector = Limits(lambda stream: Limit(hi=100.0, rate_per_min=3.0))
    detector.watch([STREAM])
    times = START_US + np.arange(7) * 10_000_000
    assert detector.score(Batch.of(times, np.ones(7, int), np.arange(7.0)), 0).score[-1] >= 1.0
    evidence = detector.explain(1)
    assert (evidence.observed, evidence.expected, evidence.low, evidence.high) == (pytest.approx(6.0), 0.0, -3.0, 3.0)
    assert evidence.unit == "bar/min"


@pytest.mark.parametrize(("value", "score"), [(8.0, 1.0), (10.0, 2.0), (12.0, 3.0), (2.0, 1.0), (1.0, 2.0), (5.0, 0.0)])
def test_the_limits_themselves(value: float, score: float) -> None:
    assert scored(FULL, [value]) == [pytest.approx(score)]


@pytest.mark.parametrize(
    "limit", [Limit(hi=8.0), Limit(lo=2.0), Limit(hi=8.0, lo=2.0), Limit(hihi=10.0), Limit(lolo=-1.0), Limit(hi=0.0)]
)
def test_score_rises_with_the_distance_and_reaches_one_at_the_limit_not_before(limit: Limit) -> None:
    values = np.linspace(-40.0, 40.0, 801)
    score = np.array(scored(limit, values.tolist()))
    upper, lower = limit.hi if limit.hi is not None else limit.hihi, limit.lo if limit.lo is not None else limit.lolo
    outside = np.zeros(len(values), bool)
    if upper is not None:
        outside |= values >= upper
        assert (np.diff(score[values >= upper]) > 0).all()
    if lower is not None:
        outside |= values <= lower
        assert (np.diff(score[values <= lower]) < 0).all()
    np.testing.assert_array_equal(score >= 1.0, outside)


def test_hihi_alone_is_both_limits() -> None:
    assert scored(Limit(hihi=10.0), [9.999])[0] < 1.0
    assert scored(Limit(hihi=10.0), [10.0])[0] >= 2.0


def test_a_stream_without_limits_gets_no_opinion() -> None:
    assert np.isnan(scored(None, [1.0, 2.0])).all()
    assert np.isnan(scored(Limit(), [1.0, 2.0])).all()


@given(st.lists(st.tuples(st.floats(0.05, 200.0), st.floats(-50, 50)), min_size=1, max_size=60))
def test_rate_is_measured_over_the_window(steps: list[tuple[float, float]]) -> None:
    times_s = np.cumsum([gap for gap, _ in steps]).tolist()
    values = [value for _, value in steps]
    times_us = [START_US + round(time_s * 1e6) for time_s in times_s]
    expected = rates_per_min(list(zip(times_us, values, strict=True)))
    got = scored(Limit(rate_per_min=2.0), values, times_s)
    np.testing.assert_allclose(got, np.abs(expected) / 2.0, rtol=1e-9, atol=1e-9)


def test_jitter_does_not_change_a_steady_rate() -> None:
    rng = np.random.default_rng(0)
    times_s = np.cumsum(0.1 + rng.uniform(-0.04, 0.04, 3000))
    score = np.array(scored(Limit(rate_per_min=5.0), (times_s * 5.0 / 60).tolist(), times_s.tolist()))
    np.testing.assert_allclose(score[~np.isnan(score)], 1.0, rtol=1e-6)
    assert np.isnan(score).mean() < 0.2


def test_changed_limits_hold_once_the_stream_is_watched_again() -> None:
    limits = {1: Limit(hi=8.0)}
    detector = Limits(lambda stream: limits.get(stream.id))
    detector.watch([STREAM])
    batch = Batch.of([START_US], [1], [7.0])
    assert detector.score(batch, 0).score[0] < 1.0
    limits[1] = Limit(hi=6.0)
    detector.watch([STREAM])
    assert detector.score(Batch.of([START_US + 1], [1], [7.0]), 0).score[0] >= 1.0


def test_evidence_names_the_band_and_when_it_was_left() -> None:
    detector = Limits(lambda stream: FULL)
    detector.watch([STREAM])
    detector.score(Batch.of(START_US + np.arange(5) * 1_000_000, np.ones(5, int), [5.0, 9.0, 5.0, 9.0, 11.0]), 0)
    evidence = detector.explain(1)
    assert (evidence.observed, evidence.expected, evidence.low, evidence.high) == (11.0, 8.0, 2.0, 8.0)
    assert evidence.since_us == START_US + 3_000_000
    assert evidence.contributions == {"pressure": 1.0}
