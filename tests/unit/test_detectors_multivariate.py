"""A machine's points together."""

from __future__ import annotations

import numpy as np
import pytest
from naive import machine_reach

from detectors import Multivariate, Scores
from detectors.machine_normal import learn, t_quantile
from telemetry import Batch, Stream

START_US = 1_763_740_800_000_000
POINTS = 4
STREAMS = [Stream(i, 1, "acme", "pump", f"point-{i}", "unknown", "") for i in range(POINTS)]


def machine(rows: int, seed: int = 0, own: float = 0.2) -> np.ndarray:
    """Four points driven by one load."""
    rng = np.random.default_rng(seed)
    load = rng.normal(size=(rows, 1))
    return load * np.array([1.0, 2.0, -1.0, 0.5]) + rng.normal(size=(rows, POINTS)) * own


def batch_of(values: np.ndarray, times_s: np.ndarray | None = None) -> Batch:
    """Readings of a table (N, C), NaN for none; the points' times are the row's."""
    seconds = np.arange(len(values)) if times_s is None else times_s
    point, row = np.nonzero(~np.isnan(values).T)
    times = START_US + np.round(seconds[row] * 1e6).astype(np.int64)
    return Batch.of(times, point, values[row, point])


def scored(detector: Multivariate, values: np.ndarray, times_s: np.ndarray | None = None) -> Scores:
    detector.watch(STREAMS)
    return detector.score(batch_of(values, times_s), 0)


def second(scores: Scores) -> np.ndarray:
    return (scores.time_us - START_US) / 1e6


def test_the_limit_is_that_of_the_slow_version() -> None:
    values = machine(600)
    normal = learn(values, np.ones(POINTS, bool), 0.01)
    assert normal
    assert normal.steady
    smooth = int(normal.smooth_rows)
    assert normal.reach == pytest.approx(machine_reach(values, smooth, 4000, 12, t_quantile(2.3263479, 11.0)), rel=1e-6)


@pytest.mark.parametrize(("own", "smooth"), [(0.01, 3), (5.0, 12)])
def test_channels_that_are_tied_need_less_smoothing_than_noise(own: float, smooth: int) -> None:
    rng = np.random.default_rng(0)
    tied = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 12)) + rng.normal(size=(600, 12)) * own
    normal = learn(tied, np.ones(12, bool), 0.01)
    assert normal
    assert normal.smooth_rows == smooth


def test_a_machine_that_wanders_while_it_is_learnt_is_followed() -> None:
    rng = np.random.default_rng(3)
    wandering = machine(400) + np.cumsum(rng.normal(size=(400, POINTS)), axis=0) * 0.3
    normal = learn(wandering, np.ones(POINTS, bool), 0.01)
    assert normal
    assert not normal.steady


def test_a_temperature_that_has_not_shown_its_range_is_judged_by_how_it_moves() -> None:
    values = machine(3000)
    drift_s = np.arange(3000) / 400
    values[:, 3] = 50.0 + 5.0 * np.sin(drift_s) + np.random.default_rng(1).normal(size=3000) * 0.02
    normal = learn(values[:380], np.ones(POINTS, bool), 0.01)
    assert normal
    assert normal.slow.tolist() == [False, False, False, True]
    scores = scored(Multivariate(false_alarm_rate=0.01), values)
    assert np.nanmean(scores.score[second(scores) > 400] >= 1.0) < 0.1


def test_too_few_rows_tell_nothing() -> None:
    assert learn(machine(19), np.ones(POINTS, bool), 0.01) is None
    assert learn(np.ones((400, POINTS)), np.ones(POINTS, bool), 0.01) is None


def test_a_machine_that_stood_still_at_first_is_learnt_when_it_runs() -> None:
    values = machine(2400)
    values[:700] = 7.0
    scores = scored(Multivariate(), values)
    assert np.isnan(scores.score[second(scores) < 1000]).all()
    assert not np.isnan(scores.score[second(scores) > 1250]).any()
    assert not (scores.score >= 1.0).any()


def test_a_fault_that_ends_by_a_step_back_ends_though_the_level_is_another() -> None:
    """A valve is opened again, and the flow is not quite what it was."""
    rng = np.random.default_rng(5)
    values = machine(1600) + np.cumsum(rng.normal(size=(1600, POINTS)), axis=0) * 0.05
    values[800:1100, 2] += 30.0
    values[1100:, 2] += 3.0
    learnt_us = START_US + 399_000_000
    scores = scored(Multivariate(learn_until_us=learnt_us, false_alarm_rate=0.01), values)
    fault = (second(scores) >= 810) & (second(scores) < 1100)
    assert (scores.score[fault] >= 1.0).all()
    assert np.isnan(scores.score[(second(scores) > 1120) & (second(scores) < 1150)]).all()
    assert np.mean(scores.score[second(scores) > 1200] >= 1.0) < 0.1


def test_what_it_says_by_the_row_is_what_it_explains() -> None:
    values = machine(900)
    values[600:, 1] += 6.0
    batch = batch_of(values)
    whole, each = Multivariate(), Multivariate()
    whole.watch(STREAMS)
    each.watch(STREAMS)
    scores, leads, known_us = whole.trace(batch)
    said, points = [], []
    for at_us in np.unique(batch.time_us):
        said += each.score(batch.where(batch.time_us == at_us), 0).score.tolist()
        evidence = each.explain(1)
        points += [evidence.point] * (len(said) - len(points))
        assert sum(evidence.contributions.values()) == pytest.approx(1.0)
    np.testing.assert_array_equal(said, scores.score)
    alarming = scores.score >= 1.0
    assert alarming.sum() > 250
    assert np.array(points)[alarming].tolist() == [f"point-{lead}" for lead in leads[alarming]]
    assert (known_us >= scores.time_us).all()


def test_health_is_within_the_rate_asked_for() -> None:
    said = []
    for seed in range(4):
        learnt_us = START_US + 399_000_000
        scores = scored(Multivariate(learn_until_us=learnt_us, false_alarm_rate=0.01), machine(6000, seed)).score
        said.append(scores[~np.isnan(scores)])
    share = np.mean(np.concatenate(said) >= 1.0)
    assert 0.0005 < share <= 0.015


def test_a_broken_correlation_is_seen_though_each_point_stays_in_its_range() -> None:
    values = machine(1200, own=0.05)
    values[1000:, 1] *= -1.0
    scores = scored(Multivariate(), values)
    after = scores.score[(second(scores) >= 1010) & (second(scores) < 1200)]
    assert np.mean(after >= 1.0) > 0.3
    assert not (scores.score[second(scores) < 1000] >= 1.0).any()


def test_a_shifted_point_leads() -> None:
    for point in range(POINTS):
        values = machine(1500)
        values[1000:, point] += 5.0
        detector = Multivariate()
        scores = scored(detector, values)
        assert (scores.score[second(scores) >= 1040] >= 1.0).all()
        evidence = detector.explain(1)
        assert evidence.point == f"point-{point}"
        assert evidence.low < evidence.expected < evidence.high < evidence.observed
        assert 1000 <= (evidence.since_us - START_US) / 1e6 < 1040


def test_drift_of_all_points_together_is_followed() -> None:
    values = machine(8000) + np.linspace(0, 15, 8000)[:, None]
    scores = scored(Multivariate(), values)
    assert np.mean(scores.score[~np.isnan(scores.score)] >= 1.0) < 0.01


def test_a_fault_is_not_learnt_away_and_a_new_normal_is() -> None:
    values = machine(5000)
    values[1000:, 2] += 3.0
    held = scored(Multivariate(), values)
    assert (held.score[second(held) >= 1040] >= 1.0).all()
    accepting = scored(Multivariate(accept_s=2000.0), values)
    assert np.mean(accepting.score[second(accepting) >= 3200] >= 1.0) < 0.02


def test_rows_are_scored_at_once_when_every_point_has_reported() -> None:
    values = machine(400)
    detector = Multivariate()
    detector.watch(STREAMS)
    batch = batch_of(values)
    for row in range(399):
        at_us = START_US + row * 1_000_000
        scores = detector.score(batch.where(batch.time_us == at_us), at_us)
        if row > 25:
            assert scores.time_us.tolist() == [at_us]


def test_points_with_clocks_of_their_own_are_brought_together() -> None:
    rng = np.random.default_rng(1)
    values = machine(1500)
    values[1000:, 3] += 4.0
    parts = []
    for point in range(POINTS):
        times_s = np.arange(1500) + 0.21 * point + rng.uniform(-0.02, 0.02, 1500)
        kept = rng.random(1500) > 0.05
        times = START_US + np.round(times_s[kept] * 1e6).astype(np.int64)
        parts.append(Batch.of(times, np.full(kept.sum(), point), values[kept, point]))
    detector = Multivariate()
    detector.watch(STREAMS)
    scores = detector.score(Batch.concat(parts), 0)
    assert not (scores.score[second(scores) < 1000] >= 1.0).any()
    assert np.mean(scores.score[second(scores) >= 1050] >= 1.0) > 0.95
    assert detector.explain(1).point == "point-3"


def test_a_point_that_falls_silent_is_left_out() -> None:
    values = machine(3000)
    values[1000:, 1] = np.nan
    values[2000:, 0] += 3.0
    scores = scored(Multivariate(), values)
    silent = (second(scores) >= 1000) & (second(scores) < 2000)
    assert np.mean(scores.score[silent] >= 1.0) < 0.01
    assert (scores.score[second(scores) >= 2040] >= 1.0).mean() > 0.9


def test_a_point_that_speaks_by_the_minute_has_no_say_among_seconds() -> None:
    """A figure that is computed once a minute would make a departure of each new value."""
    for seed in range(4):
        values = machine(3000, seed)
        fast = values.copy()
        values[:, 3] = np.where(np.arange(3000) % 60 == 0, 5.0 * values[:, 3] + 100.0, np.nan)
        detector = Multivariate()
        scores = scored(detector, values)
        assert not (scores.score >= 1.0).any()
        assert detector.explain(1).contributions["point-3"] == 0.0
        fast[2500:, 0] += 8.0
        fast[:, 3] = values[:, 3]
        found = scored(Multivariate(), fast)
        assert (found.score[second(found) >= 2510] >= 1.0).any()


def test_a_machine_that_gains_a_point_is_learnt_afresh() -> None:
    detector = Multivariate()
    values = machine(1500)
    detector.watch(STREAMS[:3])
    batch = batch_of(values)
    three = batch.where((batch.stream < 3) & (batch.time_us < START_US + 700_000_000))
    assert not np.isnan(detector.score(three, 0).score[-1])
    detector.watch(STREAMS)
    scores = detector.score(batch.where(batch.time_us >= START_US + 700_000_000), 0)
    assert np.isnan(scores.score[:380]).all()
    assert not np.isnan(scores.score[-1])


def test_a_machine_of_one_point_gets_no_opinion() -> None:
    detector = Multivariate()
    detector.watch(STREAMS[:1])
    batch = batch_of(machine(1000)[:, :1])
    assert np.isnan(detector.score(batch, 0).score).all()


def test_learning_can_be_given_an_end() -> None:
    scores = scored(Multivariate(learn_rows=280, learn_until_us=START_US + 299_000_000), machine(400))
    np.testing.assert_array_equal(np.isnan(scores.score), second(scores) <= 299)


def test_memory_stays_small() -> None:
    detector = Multivariate()
    detector.watch([Stream(i, 1, "acme", "pump", f"point-{i}", "unknown", "") for i in range(8)])
    rng = np.random.default_rng(0)
    detector.score(batch_of(rng.normal(size=(500, 8))), 0)
    assert sum(column.nbytes for column in detector.snapshot().values()) < 20_000


def test_memory_is_bounded_while_rows_are_gathered() -> None:
    detector = Multivariate()
    detector.watch([Stream(i, 1, "acme", "pump", f"point-{i}", "unknown", "") for i in range(8)])
    rng = np.random.default_rng(0)
    detector.score(batch_of(rng.normal(size=(390, 8))), 0)
    kept = detector.snapshot()
    assert kept["kept/1"].nbytes > 10_000
    assert sum(column.nbytes for column in kept.values()) < 30_000


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(3.0, 4.541), (5.0, 3.365), (10.0, 2.764), (30.0, 2.457), (1000.0, 2.330)]
)
def test_students_t_at_99_percent(freedom: float, quantile: float) -> None:
    """The table's values."""
    assert t_quantile(2.3263, np.array([freedom]))[0] == pytest.approx(quantile, rel=0.04)


@pytest.mark.parametrize(("bursts", "wander", "wider"), [(3.0, 0.03, 1.44), (40.0, 0.03, 1.0), (2.0, 0.0, 1.0)])
def test_weak_departures_that_came_back_widen_the_limit_of_a_machine_that_drifts(
    bursts: float, wander: float, wider: float
) -> None:
    """Not those that no health explains, nor those of a machine that keeps to one normal."""
    reaches = []
    for size in (0.0, bursts):
        values = machine(2000) + np.cumsum(np.random.default_rng(9).normal(size=(2000, POINTS)), axis=0) * wander
        for at in (700, 1150, 1600):
            values[at : at + 40, 2] += size
        detector = Multivariate(learn_until_us=START_US + 399_000_000, false_alarm_rate=0.0005)
        assert (scored(detector, values).score >= 1.0).any() == (size > 0)
        reaches.append(detector.snapshot()[f"{POINTS}/reach"][0])
    quiet, known = reaches
    assert known / quiet == pytest.approx(wider)
