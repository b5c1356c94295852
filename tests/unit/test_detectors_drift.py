"""Slow drift of one stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import drift_scores, spans

from detectors import Drift
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import Machine, MachineSpec
from telemetry import Batch, Stream

START_US = 1_763_740_800_000_000
STREAM = Stream(1, 1, "acme", "pump", "bearing", "temperature", "degC")
DAY_S = 86_400
LEARN_S = 8 * DAY_S
# Levels, and the score, are remembered in single precision: some roundings of a number about 1.
ROUNDED = 4 * np.finfo(np.float32).eps


def scored(detector: Drift, values: np.ndarray, interval_s: float = 600.0) -> np.ndarray:
    detector.watch([STREAM])
    times = START_US + (np.arange(len(values)) * interval_s * 1e6).astype(np.int64)
    return detector.score(Batch.of(times, np.ones(len(values), int), values), 0).score


def days(count: float, seed: int = 0) -> np.ndarray:
    """Readings each ten minutes: noise on a slow wandering of an hour or so."""
    rng = np.random.default_rng(seed)
    return 50 + rng.normal(size=int(count * 144)) + np.sin(np.arange(int(count * 144)) * 2 * np.pi / 144)


@given(seed=st.integers(0, 1000), ramp=st.floats(-5, 5))
@settings(max_examples=5)
def test_scores_are_those_of_the_slow_version(seed: int, ramp: float) -> None:
    values = days(16, seed) + np.linspace(0, ramp, 16 * 144)
    got = scored(Drift(false_alarm_rate=0.001), values)
    width_us = LEARN_S * 1_000_000 // 48
    readings = [(START_US + row * 600_000_000, float(value)) for row, value in enumerate(values)]
    means = spans(readings, width_us, trimmed=True)
    expected = np.array(drift_scores(list(means), 0.001))
    number = (START_US + np.arange(len(values)) * 600_000_000) // width_us
    first = np.flatnonzero(np.diff(number, prepend=number[0] - 1))[1:]
    np.testing.assert_allclose(got[first], expected[: len(first)], rtol=ROUNDED, atol=ROUNDED)


def test_health_is_quiet_for_months() -> None:
    """Twenty streams of two months: forty stream-months, of which a budget shared by sixteen allows two and a half."""
    alarms = 0
    for seed in range(20):
        hot = scored(Drift(), days(68, seed)) >= 1
        alarms += np.count_nonzero(hot & ~np.concatenate(([False], hot[:-1])))
    assert alarms <= 3


@pytest.mark.parametrize("direction", [-1, 1])
def test_what_creeps_by_a_fifth_of_its_noise_a_day_is_found_in_weeks(direction: int) -> None:
    values = days(60)
    values[20 * 144 :] += direction * 0.2 * np.arange(40 * 144) / 144
    score = scored(Drift(), values)
    found = np.flatnonzero(score >= 1)[0] / 144
    assert 20 < found < 45
    assert score[-1] >= 1


def test_a_burst_of_hours_and_the_daily_cycle_are_no_drift() -> None:
    values = days(30) + 20 * np.sin(np.arange(30 * 144) * 2 * np.pi / 144)
    values[20 * 144 : 20 * 144 + 48] += 500
    assert np.nanmax(scored(Drift(), values)) < 1


def test_no_opinion_while_it_learns_nor_of_what_never_moved() -> None:
    assert np.isnan(scored(Drift(), days(7.9))).all()
    assert not np.isnan(scored(Drift(), days(9)))[-1]
    assert np.isnan(scored(Drift(), np.full(20 * 144, 0.1))).all()


def test_a_machine_that_runs_in_has_a_wide_limit() -> None:
    settled, running_in = days(30), days(30)
    running_in[: 6 * 144] += np.linspace(10, 0, 6 * 144)
    for values in (settled, running_in):
        values[20 * 144 :] += 5
    assert scored(Drift(), settled)[-1] > 1 > scored(Drift(), running_in)[-1]


def test_gaps_do_not_age_a_machine() -> None:
    values = days(30)
    values[20 * 144 :] += 5
    plain = scored(Drift(), values)[-1]
    detector = Drift()
    detector.watch([STREAM])
    time_us = START_US + np.arange(len(values)) * 600_000_000 + np.where(np.arange(len(values)) > 1500, 10**13, 0)
    late = detector.score(Batch.of(time_us, np.ones(len(values), int), values), 0).score[-1]
    assert late == pytest.approx(plain, rel=0.2)


def test_an_accelerated_test_is_judged_by_its_own_learning_period() -> None:
    rng = np.random.default_rng(1)
    values = np.exp(rng.normal(size=1500) * 0.05)
    values[800:] *= np.linspace(1, 1.5, 700)
    score = scored(Drift(learn_s=2400.0, false_alarm_rate=0.0005), values, 10.0)
    found = np.flatnonzero(score >= 1)
    assert 800 < found[0] < 1300


def test_what_stays_for_many_learning_periods_is_the_new_normal() -> None:
    values = days(60)
    values[12 * 144 :] += 30
    score = scored(Drift(accept_learnings=2), values)
    assert np.nanmax(score[14 * 144 : 27 * 144]) >= 1
    assert np.nanmax(score[40 * 144 :]) < 1


def test_its_evidence_is_the_level_and_the_band() -> None:
    detector, values = Drift(), days(30)
    values[20 * 144 :] += 8
    score = scored(detector, values)
    evidence = detector.explain(1)
    assert evidence.observed == pytest.approx(58, abs=0.5)
    assert evidence.expected == pytest.approx(50, abs=0.5)
    assert score[-1] == pytest.approx((evidence.observed - evidence.expected) / (evidence.high - evidence.expected))
    assert evidence.since_us >= START_US + 20 * DAY_S * 1_000_000


def test_wear_of_a_simulated_pump_over_weeks_is_found_in_its_first_third() -> None:
    wear = Fault("pump-1", FaultKind.BEARING_WEAR, 15.0 * DAY_S, 25.0 * DAY_S, 0.5)
    time_s = START_US // 1_000_000 + np.arange(25 * 144, dtype=np.int64) * 600
    machine = Machine(MachineSpec("pump-1", "pump", "", "site"), 1, [wear], START_US / 1e6)
    score = scored(Drift(), machine.run(time_s * 1000)["vibration_velocity"])
    found = np.flatnonzero(score >= 1)[0] / 144
    assert 15 < found < 15 + 25 / 3
