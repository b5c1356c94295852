"""What a batch tells detectors that learn, in stretches: what holds of a machine is the same all through one.

A machine's stretch ends where it turns, and where it comes to have settled. What is judged stretch by stretch is the
same however readings are cut into batches, as long as those of a machine at one time come together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from telemetry import Batch

Mask = npt.NDArray[np.bool_]
Lots = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """One of each machine's.

    Attributes
    ----------
    among : bool (N,) or None
        Which readings of the batch are in it; None: all of them.
    left : mapping of int to (int, int)
        Machines that leave a level where it begins: since when they do, and when they were last seen at it.
    came_us, notices_us : mapping of int to int
        By machine, as `Watchman.came_us` and `Watchman.notices_us` tell of those that are not in here.
    """

    among: Mask | None = None
    left: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    came_us: Mapping[int, int] = field(default_factory=dict)
    notices_us: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What a batch tells.

    Attributes
    ----------
    settled, steady : bool (N,) or None
        Readings of points, and of machines, that have settled; None: all of them.
    lot : int32 (N,) or None
        The level's number at each reading; None: 0 for all of them.
    stretches
        In order, one at least. A machine that stays as it is has all its readings in the first.
    """

    settled: Mask | None = None
    steady: Mask | None = None
    lot: Lots | None = None
    stretches: Sequence[Stretch] = (Stretch(),)


@dataclass(slots=True, eq=False)
class Noted:
    """What is so in a stretch, as it is found."""

    left: dict[int, tuple[int, int]] = field(default_factory=dict)
    came_us: dict[int, int] = field(default_factory=dict)
    notices_us: dict[int, int] = field(default_factory=dict)


class Seen:
    """A sight that is being put together, machine by machine."""

    def __init__(self, batch: Batch, lost: Mask, settled: Mask, lot: Lots) -> None:
        self.batch, self.lost = batch, lost
        self.settled, self.steady, self.lot = settled, settled.copy(), lot
        self._number = np.zeros(len(batch), np.int32)  # of each reading's stretch
        self._noted = [Noted()]

    def stretch(self, number: int) -> Noted:
        """To be told what is so in it."""
        if number == len(self._noted):
            self._noted.append(Noted())
        return self._noted[number]

    def put(self, parts: Sequence[slice], number: int) -> None:
        for part in parts:
            self._number[part] = number

    def sight(self) -> Sight:
        several = len(self._noted) > 1
        stretches = [
            Stretch(self._number == number if several else None, of.left, of.came_us, of.notices_us)
            for number, of in enumerate(self._noted)
        ]
        return Sight(self.settled, self.steady, self.lot, stretches)


def split(batch: Batch, parts: Sequence[slice], at_us: int) -> tuple[list[slice], list[slice]]:
    """Parts of streams before a time, and from it on; none that is empty."""
    at = [part.start + int(np.searchsorted(batch.time_us[part], at_us)) for part in parts]
    before = [slice(part.start, end) for part, end in zip(parts, at, strict=True) if end > part.start]
    return before, [slice(end, part.stop) for part, end in zip(parts, at, strict=True) if part.stop > end]
