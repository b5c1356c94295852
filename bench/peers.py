"""Readings a second through what others offer for the same purpose, on the same core and in the same run as ours.

River takes one number at a time, as a stream brings it; PyOD takes a matrix whose start it has learnt. None of them
knows of time, gaps, limits or habits, so this compares cost alone. `python -m bench.peers`, with
`pip install river pyod` (`make bench` does).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.pca import PCA
from river import anomaly, drift

CHANNELS = 8
READINGS = 50_000
# As many as ours learn from at first.
LEARN_ROWS = 500
# A tree of River's takes some 25 µs a reading.
SLOW_ROWS = 2_000
ROUNDS = 3
# Of the stream and its detector: one number, read and learnt from.
Taking = Callable[[float], object]


def run() -> dict[str, float]:
    """By the name of the method."""
    rng = np.random.default_rng(0)
    values, rows = rng.normal(size=READINGS).tolist(), rng.normal(size=(READINGS // CHANNELS, CHANNELS))
    figures = {
        "River's ADWIN": _rate(READINGS, lambda: _one_by_one(drift.ADWIN().update, values)),
        "River's PageHinkley": _rate(READINGS, lambda: _one_by_one(drift.PageHinkley().update, values)),
        "River's GaussianScorer": _rate(READINGS, lambda: _one_by_one(_gaussian(), values)),
        "River's HalfSpaceTrees": _rate(SLOW_ROWS * CHANNELS, lambda: _trees(rows[:SLOW_ROWS])),
    }
    for model in (ECOD, COPOD, PCA):
        fitted = model().fit(rows[:LEARN_ROWS])
        figures[f"PyOD's {model.__name__}"] = _rate(rows.size, lambda fitted=fitted: fitted.decision_function(rows))
    return figures


def _rate(readings: int, take: Callable[[], object]) -> float:
    """The best of some rounds: what else runs on the machine only ever slows one down."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        take()
        seconds.append(time.perf_counter() - began)
    return readings / min(seconds)


def _one_by_one(take: Taking, values: list[float]) -> None:
    for value in values:
        take(value)


def _gaussian() -> Taking:
    scorer = anomaly.GaussianScorer(window_size=100)

    def take(value: float) -> None:
        scorer.score_one(None, value)
        scorer.learn_one(None, value)

    return take


def _trees(rows: np.ndarray) -> None:
    trees = anomaly.HalfSpaceTrees(seed=1)
    for row in rows.tolist():
        named = dict(enumerate(row))
        trees.score_one(named)
        trees.learn_one(named)


def main() -> None:
    for name, rate in run().items():
        print(f"{name:24s}{rate:14,.0f} readings/s")


if __name__ == "__main__":
    main()
