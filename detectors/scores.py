"""The seam of every detector: readings in, scores out.

Score and decision are apart: a detector says how unusual a stream or a machine is, `alarms` says what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from telemetry import Batch, Stream

Snapshot = Mapping[str, npt.NDArray[Any]]
"""A detector's whole memory as named arrays of plain dtypes (numbers and fixed-width text, never objects)."""


class Scope(StrEnum):
    """What a score is about."""

    STREAM = "stream"
    MACHINE = "machine"
    SITE = "site"  # by the number of the machine that stands for it


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What one detector says of its subjects over a batch. Sorted by (subject, time).

    Attributes
    ----------
    time_us : int64 (M,)
        When the score holds: the time of the last reading it rests on.
    subject : int32 (M,)
        `Stream.id`, or `Stream.machine` for a detector of machines.
    score : float64 (M,)
        1.0 is the alarm limit, higher is worse, never negative; NaN means no opinion (yet).
    """

    time_us: npt.NDArray[np.int64]
    subject: npt.NDArray[np.int32]
    score: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time_us)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a detector says what it says of a subject now.

    `point` leads: `observed` and `expected` are its values, with the band `low` to `high` inside which it would be
    normal (NaN where there is none), in its own unit or in `unit` where that is not None: how long it has been stuck is
    in seconds. `contributions` are the shares of the score by point name: not negative, they add up to 1, so that times
    the score they add up to it. `since_us` is when the present departure began. `sign` says in words what it looks
    like, to follow the point's name; "" where the numbers say it all.
    """

    point: str
    observed: float
    expected: float
    low: float
    high: float
    since_us: int
    contributions: Mapping[str, float]
    sign: str = ""
    unit: str | None = None


class Detector(Protocol):
    """Scores streams or machines. The contract, which one test suite holds every detector to:

    - Causal, and independent of how readings are cut into batches: the same readings in one batch or in a thousand
      give the same scores and leave the same memory.
    - Never raises and never warns on finite numbers, of whatever size.
    - One subject's scores do not depend on another's readings.
    - `restore(snapshot())` gives a detector that goes on as if nothing had happened.
    - Readings come in time order within a stream: older ones were taken out before.
    - Windows are counted in time, not in samples.
    """

    scope: Scope

    def watch(self, streams: Sequence[Stream]) -> None:
        """Make room for streams not seen before. Called before the first batch that holds them."""
        ...

    def score(self, batch: Batch, now_us: int) -> Scores:
        """Score a batch and learn from it. `now_us`, the time of arrival, matters to `silence` alone.

        An empty batch comes at least once a second: time passes without data.
        """
        ...

    def explain(self, subject: int) -> Evidence:
        """The evidence for the latest score of a subject. Called at edges, not at readings."""
        ...

    def snapshot(self) -> Snapshot: ...

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a memory. Called before any `score`, after `watch` of the streams known so far.

        A snapshot this code cannot read (another layout) is refused with ValueError: the caller starts afresh.
        """
        ...
