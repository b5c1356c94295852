"""A machine's normal, learnt again as its past grows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh

from detectors import Multivariate, Scores
from detectors.machine_maturity import columns, inverse_of, mature, thin
from detectors.machine_normal import smoothed
from detectors.memory import Memory
from telemetry import Batch, Stream

START_US = 1_763_740_800_000_000
POINTS = 4
STREAMS = [Stream(i, 1, "acme", "pump", f"point-{i}", "unknown", "") for i in range(POINTS)]
SMOOTH_ROWS = 12.0
DAY_US = 86_400_000_000


def machine(rows: int, seed: int = 0) -> np.ndarray:
    """Four points driven by one load, (N, 4)."""
    rng = np.random.default_rng(seed)
    load = rng.normal(size=(rows, 1))
    return load * np.array([1.0, 2.0, -1.0, 0.5]) + rng.normal(size=(rows, POINTS)) * 0.2


def expected(rows: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """The covariance to expect after these rows, (C, C)."""
    points = rows.shape[1]
    before = np.zeros((points, points)) if before is None else before
    matured = mature(smoothed(rows, SMOOTH_ROWS)[20:], np.ones(points, bool), SMOOTH_ROWS, 1, 0.0005, before)
    assert matured
    return matured.covariance


def alone(covariance: np.ndarray) -> np.ndarray:
    """How far each channel goes that the others do not explain, (C,)."""
    return 1.0 / np.sqrt(np.diagonal(np.linalg.inv(covariance)))


def widening(rows: np.ndarray) -> np.ndarray:
    """How much farther than it was seen to each channel may go by itself, (C,)."""
    return alone(expected(rows)) / alone(np.cov(smoothed(rows, SMOOTH_ROWS)[20:].T))


def scored(detector: Multivariate, values: np.ndarray) -> Scores:
    detector.watch(STREAMS)
    seconds = np.tile(np.arange(len(values)), POINTS)
    return detector.score(
        Batch.of(START_US + seconds * 1_000_000, np.repeat(np.arange(POINTS), len(values)), values.T.ravel()), 0
    )


def test_what_was_quick_is_judged_sharply_and_what_was_slow_hardly() -> None:
    values = machine(400)
    values[:, 3] = np.cumsum(np.random.default_rng(1).normal(size=400)) * 0.05
    wider = widening(values)
    assert (wider[:3] < 5.0).all()
    assert wider[3] > 20.0
    assert (widening(machine(40_000)) < 2.0).all()


def test_a_machine_that_cycles_is_not_slow() -> None:
    """Whatever its period is to the lags at which rows are compared."""
    for period in (40.0, 48.0, 60.0, 96.0, 150.0):
        values = machine(4000)
        values[:, 3] = np.sin(2 * np.pi * np.arange(4000) / period) + values[:, 3] * 0.1
        assert (widening(values) < 3.0).all()


def test_the_level_of_a_slow_channel_is_followed_until_it_has_shown_its_range() -> None:
    """A hall that grows warmer by a degree an hour, and a cooler that clogs within twenty minutes."""
    rng = np.random.default_rng(2)
    values = machine(9000)
    values[:, 3] = 50.0 + np.arange(9000) / 3600.0 + np.sin(np.arange(9000) / 60.0) * 0.3 + rng.normal(size=9000) * 0.1
    assert not (scored(Multivariate(), values).score >= 1.0).any()
    values[7800:, 3] += np.linspace(0.0, 8.0, 1200)
    assert (scored(Multivariate(), values).score[-200:] >= 1.0).all()


def test_no_direction_grows_by_more_than_a_healthy_machine_does() -> None:
    young = expected(machine(4000))
    fault = machine(8000)
    fault[4000:, 2] += np.linspace(0.0, 3.0, 4000)
    growth = eigh(expected(fault, young), young, eigvals_only=True)
    assert growth.max() == pytest.approx(3.0, rel=0.01)
    unbounded = eigh(expected(fault), young, eigvals_only=True)
    assert unbounded.max() > 30.0


def test_a_channel_without_a_say_or_that_stands_has_none_in_the_normal() -> None:
    values = smoothed(machine(400), SMOOTH_ROWS)
    values[:, 1] = 3.0
    has_say = np.array([True, True, False, True])
    matured = mature(values, has_say, SMOOTH_ROWS, 1, 0.0005, np.zeros((POINTS, POINTS)))
    assert matured
    inverse, spread = inverse_of(matured.covariance)
    assert (spread > 0).tolist() == [True, False, False, True]
    assert np.isfinite(inverse).all()
    only = np.array([True, False, False, False])
    assert mature(values, only, SMOOTH_ROWS, 1, 0.0005, np.zeros((POINTS, POINTS))) is None
    assert mature(values[:19], has_say, SMOOTH_ROWS, 1, 0.0005, np.zeros((POINTS, POINTS))) is None


def test_a_full_past_makes_room() -> None:
    memory = Memory("past", {**columns(2, 8), "width_us": np.int64(1_000_000)})
    memory.add([1])
    memory["past"][0] = np.arange(8)[:, None]
    memory["past_rows"][0] = 8
    thin(memory, 0)
    assert memory["past_rows"][0] == 4
    assert memory["spacing"][0] == 2
    assert memory["past"][0, :4, 0].tolist() == [0, 2, 4, 6]
    # A past of eight days and more loses its older half.
    memory["past"][0] = np.arange(8)[:, None]
    memory["past_rows"][0], memory["width_us"][0] = 8, DAY_US // 2
    thin(memory, 0)
    assert memory["spacing"][0] == 2
    assert memory["past"][0, :4, 0].tolist() == [4, 5, 6, 7]


def test_a_machine_is_judged_more_sharply_the_older_it_is() -> None:
    values = machine(12_000)
    step = np.array([0.0, 0.0, 1.0, 0.0])
    found = []
    for at in (500, 2000, 11_900):
        faulty = values[: at + 60].copy()
        faulty[at:] += step
        found.append(scored(Multivariate(), faulty).score[-1])
    assert found[0] < found[1] < found[2]
    assert found[2] > 2.0


def test_a_fault_that_grows_for_hours_is_not_learnt_away() -> None:
    """It begins an hour after the machine was first heard, and takes four."""
    values = machine(18_000)
    values[3600:, 2] += np.linspace(0.0, 1.2, 14_400)
    score = scored(Multivariate(), values).score
    assert not (score[:3600] >= 1.0).any()
    assert (score[-3000:] >= 1.0).all()


def test_what_the_machine_does_while_it_has_departed_teaches_nothing() -> None:
    values = machine(5000)
    values[1000:3500, 2] += 3.0
    detector = Multivariate()
    score = scored(detector, values).score
    assert (score[1040:3490] >= 1.0).all()
    assert not (score[3600:] >= 1.0).any()
    snapshot = detector.snapshot()
    past = snapshot["4/past"]
    values = past[:, 2] * snapshot["4/unit"][0, 2] + snapshot["4/first"][0, 2]
    assert np.abs(values).max() < 1.5


def test_a_limit_is_wider_in_the_first_fifty_minutes_and_then_as_it_is_for_good() -> None:
    values = machine(7000)
    detector = Multivariate()
    detector.watch(STREAMS)
    reach = {}
    for begin in range(0, len(values), 100):
        scored_rows = begin + np.tile(np.arange(100), POINTS)
        part = values[begin : begin + 100].T.ravel()
        detector.score(Batch.of(START_US + scored_rows * 1_000_000, np.repeat(np.arange(POINTS), 100), part), 0)
        reach[begin + 100] = float(detector.snapshot()[f"{POINTS}/reach"][0])
    old = reach[7000]
    assert reach[3500] == old
    assert 1.1 * old < reach[2000] < reach[900] < 1.4 * old
