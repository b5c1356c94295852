"""A mean that forgets, along rows: one line of recursion, compiled, since SciPy's filters take a second to import."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.compiled import compiled

Floats = npt.NDArray[np.float64]


def forgetting(rows: Floats, before: Floats, pace: float) -> Floats:
    """The mean (C,) that was `before`, drawn towards each row (N, C) by `pace` of their distance, float64 (N, C)."""
    means = np.empty_like(rows)
    _forget(np.ascontiguousarray(rows), before, pace, means)
    return means


@compiled
def _forget(rows: Floats, before: Floats, pace: float, means: Floats) -> None:
    for channel in range(rows.shape[1]):
        mean = before[channel]
        for row in range(len(rows)):
            mean += (rows[row, channel] - mean) * pace
            means[row, channel] = mean
