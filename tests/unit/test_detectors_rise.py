"""A level that was never held before, against its specification; causal, and however readings are cut."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.rise import FACTOR, HELD, Rise
from detectors.scores import Scores
from telemetry import Batch, Stream

STREAM = Stream(3, 1, "demo", "pump-1", "rms", "vibration_velocity", "mm/s")
LEARNT = 60


def readings(values: np.ndarray, start: int = 0) -> Batch:
    return Batch.of((start + np.arange(len(values))) * 10_000_000, np.full(len(values), STREAM.id), values)


def watching() -> Rise:
    detector = Rise(learn_until_us=(LEARNT - 1) * 10_000_000)
    detector.watch([STREAM])
    return detector


def scored(values: np.ndarray) -> np.ndarray:
    found: Scores = watching().score(readings(values), 0)
    return found.score


def by_the_book(values: np.ndarray) -> np.ndarray:
    """Slow and obvious."""
    said = np.full(len(values), np.nan)
    highest = max(min(values[i - HELD + 1 : i + 1]) for i in range(HELD - 1, LEARNT))
    for i in range(LEARNT, len(values)):
        said[i] = max(min(values[i - HELD + 1 : i + 1]) / (FACTOR * highest), 0.0)
    return said


@pytest.fixture
def healthy() -> np.ndarray:
    return 1.0 + 0.1 * np.random.default_rng(2).standard_normal(300)


def test_what_is_held_is_told_and_what_passes_is_not(healthy: np.ndarray) -> None:
    assert np.nanmax(scored(healthy)) < 0.8
    passing = healthy.copy()
    passing[200 : 200 + HELD - 1] *= 10.0
    assert np.nanmax(scored(passing)) < 0.8
    lasting = healthy.copy()
    lasting[200:] *= 2.5
    first = int(np.argmax(np.nan_to_num(scored(lasting)) >= 1.0))
    assert first == 200 + HELD - 1
    np.testing.assert_allclose(scored(lasting), by_the_book(lasting))


@pytest.mark.parametrize("cuts", [[1] * 300, [7, 53, 1, 100, 139], [59, 241]])
def test_cuts_and_restarts_change_nothing(healthy: np.ndarray, cuts: list[int]) -> None:
    healthy[220:] *= 3.0
    detector, said, place = watching(), [], 0
    for cut in cuts:
        said.append(detector.score(readings(healthy[place : place + cut], place), 0).score)
        place += cut
        again = watching()
        again.restore(detector.snapshot())
        detector = again
    np.testing.assert_array_equal(np.concatenate(said), scored(healthy))
    evidence = detector.explain(STREAM.id)
    assert evidence.high == pytest.approx(FACTOR * evidence.expected)
    assert evidence.observed > evidence.high


def test_the_unit_changes_nothing_and_what_is_not_above_zero_has_no_opinion(healthy: np.ndarray) -> None:
    healthy[200:] *= 2.0
    np.testing.assert_allclose(scored(1000.0 * healthy), scored(healthy))
    assert np.isnan(scored(healthy - 5.0)).all()


def test_without_a_healthy_start_it_says_nothing(healthy: np.ndarray) -> None:
    detector = Rise()
    detector.watch([STREAM])
    assert np.isnan(detector.score(readings(healthy, 1), 0).score).all()


def test_odd_numbers_do_no_harm() -> None:
    for value in (0.0, -1e300, 1e-300, 1e300):
        assert not np.isinf(scored(np.full(100, value))[: LEARNT - 1]).any()
