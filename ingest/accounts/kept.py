"""What became of what a delivery was decoded to, once the database has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest.decoding import Decoded
from store.ledger import COUNTS, Tally
from store.telemetry import Fate
from telemetry import Batch

_COLUMN_OF = {
    Fate.STORED: COUNTS.index("stored"),
    Fate.DUPLICATE: COUNTS.index("duplicates"),
    Fate.CONTESTED: COUNTS.index("contested"),
    Fate.DROPPED: COUNTS.index("dropped"),
}
_LATE = COUNTS.index("late")


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The fate of N readings, and of blocks of raw vibration.

    Attributes
    ----------
    batch
        What there is to be scored.
    owner : int32 (N,)
        The number of the device that each reading is of.
    fate : uint8 (N,)
        `Fate` of each.
    late : bool (N,)
        Whether it came too late to be scored.
    blocks
        By message with a block of raw vibration: whether that is new.
    """

    batch: Batch
    owner: npt.NDArray[np.int32]
    fate: npt.NDArray[np.uint8]
    late: npt.NDArray[np.bool_]
    blocks: Mapping[int, bool]

    def fresh(self, decoded: Decoded) -> npt.NDArray[np.bool_]:
        """Which messages brought anything new. Shape (M,)."""
        fresh = np.zeros(len(decoded.party), bool)
        fresh[decoded.message[(self.fate == Fate.STORED) | (self.fate == Fate.CONTESTED)]] = True
        fresh[[message for message, is_new in self.blocks.items() if is_new]] = True
        return fresh

    def tallies(self) -> dict[int, Tally]:
        """The readings of each device, by what became of them."""
        devices = np.flatnonzero(np.bincount(self.owner))
        counts = np.zeros((len(devices), len(COUNTS)), np.int64)
        for fate, column in _COLUMN_OF.items():
            counts[:, column] = self._of(self.fate == fate)[devices]
        counts[:, _LATE] = self._of(self.late & (self.fate == Fate.STORED))[devices]
        return dict(zip(devices.tolist(), counts, strict=True))

    def _of(self, which: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """How many of these readings there are of each device, by its number."""
        return np.bincount(self.owner[which], minlength=int(self.owner.max(initial=-1)) + 1)
