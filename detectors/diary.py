"""A ring of means in a byte each: how a stream was in each half hour of a week.

A quarter of the ring has a scale of its own: where it begins, and a step, the 254th part of what it spans. So one
reading gone astray costs the others of that quarter their digits, and five days keep theirs. A scale is made anew where
a mean lies outside it, or where less than half of it is used. What is read is what was written to within a step or so;
where all means are equal they are read as they are, but for the rounding of single precision.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.memory import Memory, Rows

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

PAGES = 336
_SCALES = 4
_OF_A_SCALE = PAGES // _SCALES
# Codes 1 to 255; 0 is a page without a mean.
_STEPS = 254
# A scale reaches beyond a mean that lay outside it by this share of all it spans. Too low: a stream that climbs is
# rounded again with each page. Too high: what it was made for is told in fewer steps.
_BEYOND = 0.5


def empty() -> dict[str, npt.ArrayLike]:
    """What a detector remembers of each stream."""
    scale = np.zeros(_SCALES, np.float32)
    return {"diary": np.zeros(PAGES, np.uint8), "diary_from": scale, "diary_step": scale}


def at(memory: Memory, row: Rows, page: npt.NDArray[np.integer]) -> Floats:
    """The means on these pages, float64 (n, k), of (n, k) numbers of pages in the ring; NaN where there is none."""
    each = row[:, None]
    code, of = memory["diary"][each, page], page // _OF_A_SCALE
    return _told(code, memory["diary_from"][each, of], memory["diary_step"][each, of])


def whole(memory: Memory, row: Rows) -> Floats:
    """All pages in order of the ring, float64 (n, 336)."""
    code = memory["diary"][row].reshape(len(row), _SCALES, _OF_A_SCALE)
    told = _told(code, memory["diary_from"][row][..., None], memory["diary_step"][row][..., None])
    return told.reshape(len(row), PAGES)


def enter(memory: Memory, row: Rows, page: npt.NDArray[np.integer], mean: Floats) -> None:
    """Write a mean on a page of each of these streams: (n,) of each, no stream twice."""
    mean = mean.astype(np.float32).astype(np.float64)
    of = page // _OF_A_SCALE
    memory["diary"][row, page] = 0
    lowest, step = (memory[name][row, of].astype(np.float64) for name in ("diary_from", "diary_step"))
    code, others = _code(mean, lowest, step), _by_scale(memory)[row, of]
    used = np.maximum(others.max(axis=1), code) - np.minimum((others - 1).min(axis=1), code - 1)
    anew = (mean < lowest) | (mean > lowest + _STEPS * step) | ((used <= _STEPS // 2) & (step > 0))
    if anew.any():
        code[anew] = _scale(memory, row[anew], of[anew], mean[anew])
    memory["diary"][row, page] = code


def blank(memory: Memory, row: int, page: npt.NDArray[np.integer]) -> None:
    """Leave pages of one stream without a mean."""
    memory["diary"][row, page] = 0


def _scale(memory: Memory, row: Rows, of: Rows, mean: Floats) -> npt.NDArray[np.uint8]:
    """Make scales that hold a mean beside what is written there, and write that by them: the code of each mean."""
    lowest, step = (memory[name][row, of] for name in ("diary_from", "diary_step"))
    written = _told(_by_scale(memory)[row, of], lowest[:, None], step[:, None])
    low, high = np.fmin(np.fmin.reduce(written, axis=1), mean), np.fmax(np.fmax.reduce(written, axis=1), mean)
    beyond = _BEYOND * (high - low)
    low, high = np.where(mean == low, low - beyond, low), np.where(mean == high, high + beyond, high)
    memory["diary_from"][row, of], memory["diary_step"][row, of] = low, (high - low) / _STEPS
    begins, steps = (memory[name][row, of].astype(np.float64) for name in ("diary_from", "diary_step"))
    _by_scale(memory)[row, of] = _code(written, begins[:, None], steps[:, None])
    return _code(mean, begins, steps)


def _by_scale(memory: Memory) -> npt.NDArray[np.uint8]:
    """All codes, (capacity, 4, 84); writes go through."""
    return memory["diary"].reshape(-1, _SCALES, _OF_A_SCALE)


def _code(mean: Floats, lowest: Floats, step: Floats) -> npt.NDArray[np.uint8]:
    """Where on its scale a mean is; of NaN 0."""
    steps = np.divide(mean - lowest, step, out=np.zeros_like(mean), where=step > 0)
    code = np.clip(np.rint(steps), 0, _STEPS) + 1
    return np.where(np.isnan(mean), 0, code).astype(np.uint8)


def _told(code: npt.NDArray[np.uint8], lowest: npt.NDArray[np.float32], step: npt.NDArray[np.float32]) -> Floats:
    told: Floats = lowest + step * (code.astype(np.float64) - 1.0)
    told[code == 0] = np.nan
    return told
