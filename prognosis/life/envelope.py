"""What training saw, and how far beyond it a machine may lie until nothing can be said of it.

Trailing means of each channel have a range in training. How far one unit alone reaches beyond all others shows how far
a machine of the same kind may: the limit is twice the farthest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prognosis.life.features import Wear, Windows
from prognosis.life.trajectories import Floats, Rows, Trajectories

# Trailing means over this part of a typical life.
_WINDOW = 0.05
_TIMES_FARTHEST = 2.0
# A limit at least of so many ranges. Lower, and a sound machine of the same kind is refused for a channel that hardly
# ever moves (one of 709 of C-MAPSS's is two ranges out); higher, and a machine of another kind gets an estimate.
_LEAST_LIMIT = 3.0
# A machine that spent more than this part of the window at settings never seen has no estimate.
_STRANGE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """The range of each channel's trailing means, (C,), and how far beyond it, in ranges, is too far."""

    low: Floats
    high: Floats
    limit: float

    def outside(self, wear: Wear, trajectories: Trajectories, rows: Rows) -> tuple[str, ...]:
        """Why nothing can be said at these rows; empty where it can."""
        mean, strange = _means(wear, trajectories)
        beyond = _beyond(mean[rows], self.low, self.high)
        names = [trajectories.channels[each] for each in wear.kept]
        reasons = []
        for excess, share in zip(beyond, strange[rows], strict=True):
            if share > _STRANGE:
                reasons.append("settings that training never saw")
            elif len(excess) and excess.max() > self.limit:
                reasons.append(f"{names[int(excess.argmax())]} is far outside of what training saw")
            else:
                reasons.append("")
        return tuple(reasons)


def learn_envelope(wear: Wear, trajectories: Trajectories) -> Envelope:
    mean, _ = _means(wear, trajectories)
    starts = np.flatnonzero(np.diff(trajectories.unit, prepend=-1))
    lows, highs = np.minimum.reduceat(mean, starts), np.maximum.reduceat(mean, starts)
    low, high = lows.min(axis=0), highs.max(axis=0)
    farthest = 0.0
    if len(starts) > 1 and mean.shape[1]:
        alone = np.maximum(np.diff(np.sort(highs, axis=0)[-2:], axis=0), np.diff(np.sort(lows, axis=0)[:2], axis=0))
        farthest = float((alone / _width(low, high)).max())
    return Envelope(low, high, max(_TIMES_FARTHEST * farthest, _LEAST_LIMIT))


def _means(wear: Wear, trajectories: Trajectories) -> tuple[Floats, Floats]:
    """Trailing means, (N, C), and the share of the window at settings never seen, (N,)."""
    value, label = wear.standard(trajectories)
    windows = Windows(trajectories)
    told = np.isfinite(trajectories.values[:, wear.regimes.columns]).all(axis=1)
    strange = windows.mean((told & (label < 0)).astype(np.float64)[:, None], _WINDOW * wear.span)[:, 0]
    return windows.mean(value, _WINDOW * wear.span), strange


def _beyond(mean: Floats, low: Floats, high: Floats) -> Floats:
    return np.asarray(np.maximum(low - mean, mean - high) / _width(low, high))


def _width(low: Floats, high: Floats) -> Floats:
    return np.where(high > low, high - low, 1.0)
