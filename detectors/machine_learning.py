"""From rows that were kept in health to a machine's normal: at once and for good, or the first of several.

Recordings with a known healthy start are learnt at once, by all that is in it, and followed from then on
(`machine_normal`). A machine that is watched on has shown little in its first minutes: its normal is learnt from its
past again and again (`machine_maturity`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors import machine_maturity, machine_normal
from detectors.machine_rows import Floats, Mask
from detectors.memory import Memory

# Memory of the smoothing of a machine that is watched on: what passes sooner is not waited for by anybody. Less where
# that would leave fewer than thirty memories to learn from, and never less than it takes to see a step.
_SMOOTH_US, _MEMORIES = 12_000_000, 30.0
# How long a level is remembered that is followed. Longer, and the day's warmth is a departure; shorter, and a cooler
# that clogs within hours is followed too.
_FOLLOWED_US = 3600_000_000
# What is slight counts in full once a machine has been watched for so long. Longer, and the weather of its first day
# is a ticket; shorter, and what heats up in its second hour is found late.
_SLIGHT_US = 9000_000_000
# The reach of a normal that is younger than this is wider, by up to so much, in proportion: what wanders over a quarter
# of an hour may have stood still for the one that was seen. Longer or wider, and faults of the second hour are found
# late; less, and one new machine in thirty has a ticket before it is an hour old.
_NEW_US, _NEW_REACH = 3000_000_000, 0.4
# Room for so many rows at first: a fleet that has just come needs no more.
_FIRST_ROWS = 16
# The first smoothed rows are averages over too few readings.
_SKIPPED_ROWS = 20


class Kept:
    """The newest rows of a machine that is being learnt, float32: half the memory, and no less is known of a sensor."""

    def __init__(self, most: int, points: int) -> None:
        self._most = most
        self._rows = np.empty((min(most, _FIRST_ROWS), points), np.float32)
        self._count = 0

    @classmethod
    def of(cls, rows: npt.NDArray[np.float32], most: int) -> Kept:
        kept = cls(most, rows.shape[1])
        for row in rows:
            kept.add(row)
        return kept

    def add(self, row: npt.NDArray[np.floating]) -> None:
        if self._count == len(self._rows) < self._most:
            self._rows = np.resize(self._rows, (min(2 * self._count, self._most), self._rows.shape[1]))
        self._rows[self._count % len(self._rows)] = row
        self._count += 1

    def in_order(self) -> npt.NDArray[np.float32]:
        """Rows (N, C), the oldest first; NaN where a channel had not spoken yet."""
        if self._count <= len(self._rows):
            return self._rows[: self._count].copy()
        return np.roll(self._rows, -(self._count % len(self._rows)), axis=0)


def columns(points: int) -> dict[str, npt.ArrayLike]:
    """What a normal is, in the memory of machines with so many points."""
    return {
        "steady": np.bool_(False),
        "slow": np.zeros(points, bool),
        "smooth_rows": 1.0,
        "base_rows": np.ones(points),
        "n": 0.0,
        "seen": 0.0,
        "fast": np.full(points, np.nan),
        "base": np.full(points, np.nan),
        "covariance": np.zeros((points, points)),
        "fitted": 0.0,
        "spread": np.zeros(points),
        "inverse": np.zeros((points, points)),
        "reach": np.inf,
        "widened": np.int64(0),
    }


def learn_for_good(memory: Memory, row: int, rows: Floats, alive: Mask, share: float) -> bool:
    """The normal of a machine from a healthy start that is known; whether the rows (N, C) tell one."""
    normal = machine_normal.learn(_without_gaps(rows), alive & ~np.isnan(rows).all(axis=0), share)
    if normal is None:
        return False
    memory["steady"][row], memory["slow"][row] = normal.steady, normal.slow
    memory["smooth_rows"][row], memory["base_rows"][row] = normal.smooth_rows, normal.base_rows
    memory["fast"][row], memory["base"][row] = normal.fast, normal.base
    memory["covariance"][row], memory["reach"][row] = normal.covariance, normal.reach
    memory["n"][row] = memory["seen"][row] = len(rows)
    fit(memory, row)
    return True


def fit(memory: Memory, row: int) -> None:
    """The model of a machine by its covariance."""
    memory["inverse"][row], memory["spread"][row] = machine_normal.correlation_of(memory["covariance"][row])
    memory["fitted"][row] = memory["seen"][row]


def begin(memory: Memory, row: int, rows: Floats, alive: Mask, share: float, slight: Floats) -> bool:
    """The first normal of a machine that is watched on; whether the rows (N, C) tell one."""
    has_say, rows = alive & ~np.isnan(rows).all(axis=0), _without_gaps(rows)
    smooth = machine_normal.smoothing(rows, has_say)
    if smooth is None:
        return False
    lasting = min(_SMOOTH_US / memory["width_us"][row], len(rows) / _MEMORIES)
    memory["smooth_rows"][row] = max(smooth, lasting)
    fast = machine_normal.smoothed(rows, memory["smooth_rows"][row])
    memory["fast"][row], memory["steady"][row] = fast[-1], True
    machine_maturity.begin(memory, row, fast[min(_SKIPPED_ROWS, len(fast) // 4) :])
    return mature(memory, row, has_say, share, slight)


def mature(memory: Memory, row: int, has_say: Mask, share: float, slight: Floats) -> bool:
    """A normal from the machine's past, if that tells one; then room for what comes.

    `slight` (C,) is how far each channel, in its own unit, may move by itself without being a departure.
    """
    past = memory["past"][row, : memory["past_rows"][row]].astype(np.float64)
    smooth_rows, spacing = float(memory["smooth_rows"][row]), int(memory["spacing"][row])
    normal = machine_maturity.mature(past, has_say, smooth_rows, spacing, share, memory["covariance"][row])
    if normal is not None:
        followed = memory["learnt"][row] & memory["slow"][row]
        memory["base"][row] = np.where(followed, memory["base"][row], normal.base)
        seen_us = len(past) * spacing * float(memory["width_us"][row])
        reach = normal.reach * (1.0 + _NEW_REACH * max(1.0 - seen_us / _NEW_US, 0.0))
        memory["covariance"][row], memory["reach"][row], memory["slow"][row] = normal.covariance, reach, normal.slow
        memory["base_rows"][row] = max(_FOLLOWED_US / memory["width_us"][row], smooth_rows)
        young = min(seen_us / _SLIGHT_US, 1.0)
        allowed = normal.covariance + np.diag(_variance_of(young * slight, reach, memory["unit"][row]))
        memory["inverse"][row], memory["spread"][row] = machine_maturity.inverse_of(allowed)
    machine_maturity.thin(memory, row)
    return normal is not None


def _variance_of(slight: Floats, reach: float, unit: Floats) -> Floats:
    """The variance (C,) of channels, in units, that keeps what is slight within reach; 0 where nothing moved."""
    moved = unit > 0
    return np.where(moved, slight / np.where(moved, unit, 1.0) / reach, 0.0) ** 2


def _without_gaps(rows: Floats) -> Floats:
    """A channel that began later was before what it was first."""
    known = ~np.isnan(rows)
    began = known.argmax(axis=0)
    return np.where(known, rows, np.nan_to_num(rows[began, np.arange(rows.shape[1])]))
