"""HYDRAULIC: a rig whose cooler, valve, pump and accumulator were made worse by steps; the means of 17 sensors a cycle.

The normal is learnt from every other cycle with all four good. Of the cycles in which three are good, the fourth one's
states are ranked against the health index: Spearman's rank correlation, beside the best that ties allow; and how often
the better of two cycles in different states has the higher index.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from bench.detection.table import Row
from prognosis.health import fit_rows

GOOD = {"cooler": 100, "valve": 100, "pump": 0, "accumulator": 130}


def rows(data: Path) -> list[Row]:
    profile = pd.read_csv(data / "HYDRAULIC/profile.txt", sep="\t", header=None, names=[*GOOD, "unsteady"])
    cycles = pd.read_csv(data / "HYDRAULIC/cycle_means_all17_sensors.csv").iloc[:, :17]
    values = cycles.to_numpy(np.float64)
    good = np.stack([profile[part] == state for part, state in GOOD.items()])
    learnt = np.flatnonzero(good.all(axis=0))[::2]
    index = fit_rows(list(cycles.columns), (), values[learnt]).indices(values)
    found = []
    for number, (part, state) in enumerate(GOOD.items()):
        others = np.delete(good, number, axis=0).all(axis=0)
        others[learnt] = False
        worse = np.abs(profile[part][others].to_numpy() - state)
        mine = index[others]
        best = float(spearmanr(worse, worse + 1e-6 * np.arange(len(worse)) / len(worse))[0])
        found += [
            Row("HYDRAULIC", f"{part}: rank correlation of health and state", -float(spearmanr(worse, mine)[0]),
                beside={"best by ties": round(best, 3), "cycles": len(mine)}),
            Row("HYDRAULIC", f"{part}: worse cycle has the lower health, %", 100 * _in_order(worse, mine),
                beside={"by chance": 50}),
        ]  # fmt: skip
    fresh = np.setdiff1d(np.flatnonzero(good.all(axis=0)), learnt)
    found.append(Row("HYDRAULIC", "health of good cycles not learnt from, median", float(np.median(index[fresh]))))
    return found


def _in_order(worse: np.ndarray, index: np.ndarray) -> float:
    """Share of the pairs in different states of which the worse has the lower index."""
    pairs = worse[:, None] > worse[None, :]
    lower = (index[:, None] < index[None, :]) + 0.5 * (index[:, None] == index[None, :])
    return float(lower[pairs].mean())
