"""Which past episode is nearest: whether it is the same failure mode, on other simulated machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from bench.detection.table import Row
from prognosis.episodes import ALIKE, Signature, likeness


class Lived(Protocol):
    """A fault that was found: its signature at the first alarm, and in the end."""

    @property
    def kind(self) -> str: ...
    @property
    def fault(self) -> str: ...
    @property
    def young(self) -> Signature: ...
    @property
    def grown(self) -> Signature: ...


def rows(lived: Sequence[Lived]) -> list[Row]:
    """Each one at its first alarm, among all others of its kind as they were in the end."""
    right, said, strange, chance = [], [], [], []
    for one in lived:
        others = [each for each in lived if each.kind == one.kind and each is not one]
        near = np.array([likeness(one.young, each.grown) for each in others])
        same = np.array([each.fault == one.fault for each in others])
        said.append(bool(near.max() >= ALIKE))
        chance.append(float(same.mean()))
        strange.append(bool(near[~same].max() >= ALIKE))
        if said[-1]:
            right.append(bool(same[near.argmax()]))
    beside = {"chance": round(100 * float(np.mean(chance)), 1), "shown for": round(100 * float(np.mean(said)), 1)}
    return [
        Row("firmware_sim", "nearest episode of the same mode, % of those shown", _percent(right), beside=beside),
        Row("firmware_sim", "faults never had before that are likened, %", _percent(strange), upwards=False),
    ]


def _percent(of: Sequence[bool]) -> float:
    return 100 * float(np.mean(of)) if of else float("nan")
