"""Limits from a false-alarm budget: kept on fresh healthy data, and wide where little is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from naive import tail_level
from scipy.signal import lfilter

from detectors.calibration import exceeded, excursions, limit

Draw = Callable[[np.random.Generator, int], np.ndarray]


def autoregressive(rng: np.random.Generator, rows: int) -> np.ndarray:
    phi = 0.95
    noise = rng.normal(size=rows + 500) * np.sqrt(1 - phi**2)
    return np.abs(lfilter([1.0], [1.0, -phi], noise)[500:])


def seasonal(rng: np.random.Generator, rows: int) -> np.ndarray:
    return np.abs(rng.normal(size=rows)) * (1 + 0.8 * np.sin(np.arange(rows) * 2 * np.pi / 200))


PROCESSES: dict[str, Draw] = {
    "gaussian": lambda rng, rows: np.abs(rng.normal(size=rows)),
    "heavy-tailed": lambda rng, rows: np.abs(rng.standard_t(3, size=rows)),
    "autoregressive": autoregressive,
    "seasonal": seasonal,
}


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize(
    ("rows", "share", "at_most"), [(20_000, 0.0005, 1.5), (2_000, 0.01, 1.5), (400, 0.01, 2.0), (400, 0.0005, 4.0)]
)
def test_the_share_asked_for_is_kept_on_fresh_data(process: str, rows: int, share: float, at_most: float) -> None:
    rng, draw = np.random.default_rng(3), PROCESSES[process]
    fresh = draw(rng, 200_000)
    rates = [(fresh > limit(draw(rng, rows), share)).mean() / share for _ in range(25)]
    assert np.mean(rates) <= at_most
    if rows * share >= 10:
        assert np.mean(rates) >= 0.3


def test_few_data_give_a_wider_limit_and_none_none() -> None:
    rng = np.random.default_rng(0)
    limits = [np.median([limit(np.abs(rng.normal(size=n)), 0.001) for _ in range(30)]) for n in (60, 400, 10_000)]
    assert limits[0] > limits[1] > limits[2] > 3.0
    assert np.isnan(limit(np.abs(rng.normal(size=19)), 0.01))
    assert np.isnan(limit(np.full(500, np.nan), 0.01))


def test_one_long_excursion_is_one() -> None:
    scores = np.zeros(1000)
    scores[300:400] = 5.0
    scores[700:800] = 5.0
    assert 1 <= excursions(scores, 1.0) < 4
    assert excursions(scores, 6.0) == 0
    spread = np.zeros(1000)
    spread[::37] = 5.0
    assert excursions(spread, 1.0) > 20
    assert np.isnan(limit(np.where(np.arange(100) < 40, 1.0 + np.arange(100), 0.0), 0.01))


def test_a_limit_is_in_the_unit_of_the_scores() -> None:
    scores = np.random.default_rng(5).exponential(size=500)
    assert limit(scores * 1e6, 0.001) == pytest.approx(1e6 * limit(scores, 0.001), rel=1e-6)
    assert limit(np.full(100, 2.0), 0.001) == 2.0


def test_a_tail_is_that_of_what_is_drawn_from_it() -> None:
    """Half of all excesses above the level of a half, however many rows at once; a share of 1 is the threshold."""
    excess = np.random.default_rng(6).exponential(size=(50, 400))
    np.testing.assert_allclose(exceeded(excess, np.full(50, 0.5)), np.log(2), rtol=0.25)
    np.testing.assert_allclose(exceeded(excess, np.full(50, 0.01)).mean(), np.log(100), rtol=0.1)
    assert (exceeded(excess, np.full(50, 1.5)) == 0).all()
    assert exceeded(excess[:1], np.array([0.1]))[0] == exceeded(excess, np.full(50, 0.1))[0]


@pytest.mark.parametrize("share", [0.3, 0.01, 0.0005])
def test_the_tail_is_that_of_the_slow_version(share: float) -> None:
    rng = np.random.default_rng(7)
    for excess in (rng.exponential(size=8), rng.uniform(size=12) * 1e-3, np.abs(rng.standard_t(2, size=15))):
        got = exceeded(excess[None, :], np.array([share]), 0.5)[0]
        assert got == pytest.approx(tail_level(excess, share, 0.5), rel=1e-6)
        padded = np.concatenate((excess, np.full(4, np.nan)))[None, :]
        assert exceeded(padded, np.array([share]), 0.5)[0] == pytest.approx(got, rel=1e-9)
