"""Means in a byte each."""

from __future__ import annotations

import numpy as np
import pytest

from detectors import diary
from detectors.memory import Memory

STREAMS = 3


def written(means: np.ndarray) -> Memory:
    """A diary of each stream (S, n), entered page by page."""
    memory = Memory("of a test", diary.empty())
    memory.add(range(len(means)))
    rows = np.arange(len(means))
    for page, mean in enumerate(means.T):
        diary.enter(memory, rows, np.full(len(rows), page % diary.PAGES), mean)
    return memory


def newest(means: np.ndarray) -> np.ndarray:
    """What the ring ought to hold, (S, 336)."""
    ring = np.full((len(means), diary.PAGES), np.nan)
    for page in range(means.shape[1]):
        ring[:, page % diary.PAGES] = means[:, page]
    return ring


@pytest.mark.parametrize("pages", [20, 336, 900])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_what_is_read_is_what_was_written_to_a_hundredth_of_its_range(pages: int, scale: float) -> None:
    rng = np.random.default_rng(pages)
    means = scale * (50.0 + rng.normal(size=(STREAMS, pages)).cumsum(axis=1))
    memory, expected = written(means), newest(means)
    told = diary.whole(memory, np.arange(STREAMS))
    np.testing.assert_array_equal(np.isnan(told), np.isnan(expected))
    # Two days back in time are in the same quarter for a while: what both span.
    apart = np.nanmax(np.abs(told - expected), axis=1)
    assert (apart < 0.015 * (np.nanmax(means, axis=1) - np.nanmin(means, axis=1))).all()
    some = np.array([[0, 7, 19]] * STREAMS)
    np.testing.assert_array_equal(diary.at(memory, np.arange(STREAMS), some), told[:, [0, 7, 19]])


@pytest.mark.parametrize("value", [0.0, -7.25, 3.0e6])
def test_what_never_changes_is_read_as_it_is(value: float) -> None:
    told = diary.whole(written(np.full((1, 400), value)), np.array([0]))
    assert (told == value).all()


def test_one_mean_gone_astray_costs_its_own_quarter_its_digits_and_no_other() -> None:
    rng = np.random.default_rng(0)
    means = 20.0 + rng.normal(size=(1, 336))
    means[0, 100] = 1e7
    told = diary.whole(written(means), np.array([0]))
    others = np.r_[:84, 168:336]
    assert np.abs(told - means)[0, others].max() < 0.05
    assert told[0, 100] == pytest.approx(1e7, rel=0.01)


def test_a_quarter_has_its_digits_back_when_what_lost_them_is_overwritten() -> None:
    rng = np.random.default_rng(0)
    means = 20.0 + rng.normal(size=(1, 336 * 4))
    means[0, 10] = 1e7
    told = diary.whole(written(means), np.array([0]))
    assert np.abs(told - newest(means)).max() < 0.2


def test_pages_are_left_blank() -> None:
    memory = written(np.arange(336.0)[None])
    diary.blank(memory, 0, np.array([3, 4, 200]))
    told = diary.whole(memory, np.array([0]))[0]
    assert np.flatnonzero(np.isnan(told)).tolist() == [3, 4, 200]
