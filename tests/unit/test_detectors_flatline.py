"""Stuck values."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import stays_us

from detectors import Flatline
from telemetry import Batch, Stream

START_US = 1_763_740_800_000_000
STREAM = Stream(1, 1, "acme", "pump", "pressure", "pressure", "bar")


def scored(detector: Flatline, values: np.ndarray, times_s: np.ndarray | None = None) -> np.ndarray:
    detector.watch([STREAM])
    seconds = np.arange(len(values)) if times_s is None else times_s
    times = START_US + np.round(seconds * 1e6).astype(np.int64)
    return detector.score(Batch.of(times, np.ones(len(values), int), values), 0).score


def quantised(rng: np.random.Generator, rows: int, stay: float) -> np.ndarray:
    """A coarse sensor that keeps its value from one reading to the next with probability `stay`."""
    return np.cumsum(np.where(rng.random(rows) < stay, 0.0, rng.choice([-1.0, 1.0], rows)))


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), min_size=60, max_size=150),
)
@settings(max_examples=40)
def test_time_at_one_value_is_that_of_the_slow_version(steps: list[tuple[int, int]]) -> None:
    times_s = np.cumsum([gap for gap, _ in steps])
    values = np.array([float(value) for _, value in steps])
    detector = Flatline(factor=1e-9, min_changes=1, floor_s=1.0, floor_intervals=0.0)
    score = scored(detector, values, times_s)
    interval_s = int(np.median(np.diff(times_s)[:15]))
    readings = [(int(t) * 1_000_000, v) for t, v in zip(times_s, values, strict=True)]
    expected = np.array(stays_us(readings, 15, 4 * interval_s * 1_000_000)) / 1e6
    said = ~np.isnan(score)
    np.testing.assert_allclose(score[said], expected[said])
    changes = np.cumsum(np.concatenate(([0], np.diff(values) != 0)))
    np.testing.assert_array_equal(said[15:], changes[15:] >= 1)


def test_a_noisy_sensor_that_sticks_alarms_after_a_minute() -> None:
    values = np.random.default_rng(1).normal(size=500)
    values[300:] = values[300]
    score = scored(Flatline(), values)
    assert np.nanmax(score[:300]) < 0.2
    assert np.flatnonzero(score >= 1.0)[0] == 360


def test_a_coarse_sensor_that_repeats_itself_does_not_alarm() -> None:
    for seed in range(10):
        score = scored(Flatline(), quantised(np.random.default_rng(seed), 20_000, 0.9))
        assert np.nanmax(score) < 1.0


def test_a_set_point_that_hardly_ever_changed_gets_no_opinion() -> None:
    values = np.repeat([32.0, 33.0, 32.0], 3000)
    assert np.isnan(scored(Flatline(), values)).all()


def test_an_hour_without_data_is_not_an_hour_of_the_same_value() -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 4, 400).astype(float)
    values[200] = values[199]
    times_s = np.arange(400.0)
    times_s[200:] += 3600
    assert np.nanmax(scored(Flatline(), values, times_s)) < 1.0


def test_a_sensor_that_stuck_once_is_not_free_to_stick_for_longer() -> None:
    rng = np.random.default_rng(3)
    stuck = np.full(7200, 1.5)
    values = np.concatenate((rng.normal(size=300), stuck, rng.normal(size=300), stuck[:200]))
    score = scored(Flatline(), values)
    assert (score[300 + 7200 + 300 + 100 :] >= 1.0).all()


def test_an_hourly_sensor_has_hours() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=200)
    values[150:] = values[150]
    score = scored(Flatline(), values, np.arange(200.0) * 3600)
    assert np.flatnonzero(score >= 1.0)[0] == 170


def test_evidence_tells_how_long_and_since_when() -> None:
    values = np.random.default_rng(5).normal(size=200)
    values[100:] = values[100]
    detector = Flatline()
    scored(detector, values)
    evidence = detector.explain(1)
    assert evidence.observed == 99.0
    assert evidence.high == 60.0
    assert evidence.since_us == START_US + 100_000_000
