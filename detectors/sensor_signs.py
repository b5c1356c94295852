"""What single readings say of the sensor that they come from: that it repeats itself, or jumps and comes back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.compiled import compiled
from detectors.memory import Rows

Floats = npt.NDArray[np.float64]


class Signs(NamedTuple):
    """What each reading adds to the signs of its span, each (N,).

    Attributes
    ----------
    repeats
        1 where it repeats the one before, else 0.
    held
        How far from 0 it does; inf where it does not.
    spike
        How far the one before stands out from both its neighbours, where these agree; else 0.
    step, travel
        How far it is from the one before; where it is not, inf and 0.
    """

    repeats: Rows
    held: Floats
    spike: Floats
    step: Floats
    travel: Floats


@compiled
def signs_of(value: Floats, starts: Rows, before: Floats) -> Signs:
    """The signs of each reading; `before` (S, 2) are the two ahead of each segment, NaN where there are none."""
    n = len(value)
    repeats, held = np.zeros(n, np.intp), np.full(n, np.inf)
    spike, step, travel = np.zeros(n), np.full(n, np.inf), np.zeros(n)
    for segment in range(len(starts)):
        second, first = before[segment]
        end = starts[segment + 1] if segment + 1 < len(starts) else n
        for item in range(starts[segment], end):
            now = value[item]
            if now == first:
                repeats[item], held[item] = 1, abs(now)
            elif not np.isnan(first):
                step[item] = travel[item] = abs(first - now)
                stands_out = min(abs(first - second), abs(first - now))
                if (first > second) == (first > now) and abs(now - second) < stands_out / 2:
                    spike[item] = stands_out
            second, first = first, now
    return Signs(repeats, held, spike, step, travel)
