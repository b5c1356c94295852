"""A first-order lag: what has mass, heat capacity or volume follows its target, never jumps to it."""

from __future__ import annotations

import numpy as np

from firmware_sim.noise import Floats


class Lag:
    """Follows a target with a time constant; exact for a target that is constant between samples.

    Begins at its first target: who wants a history before that runs through it first.
    """

    def __init__(self) -> None:
        self._value: float | None = None

    def follow(self, target: Floats, dt_s: Floats, time_constant_s: Floats | float) -> Floats:
        """The value at the end of each step. All (N,); the value carries over to the next call."""
        share = -np.expm1(-dt_s / time_constant_s)
        value = float(target[0]) if self._value is None else self._value
        path = np.empty(len(target))
        for i, (aim, part) in enumerate(zip(target.tolist(), share.tolist(), strict=True)):
            value += part * (aim - value)
            path[i] = value
        self._value = value
        return path
