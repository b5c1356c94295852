"""What detectors have in common that judge each stream by itself: a row of memory a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from detectors import rhythm
from detectors.memory import Beside, Memory, Rows
from detectors.rounds import lengths
from detectors.scores import Evidence, Scope, Scores, Snapshot
from telemetry import Batch, Stream


class EachStream(ABC):
    """A `Detector` of streams that says what to remember of one, how to score it, and how to explain that."""

    scope = Scope.STREAM

    def __init__(self, layout: str, columns: Mapping[str, npt.ArrayLike]) -> None:
        self._memory = Memory(layout, columns)
        self._streams: Beside[Stream] = Beside(self._memory)

    def watch(self, streams: Sequence[Stream]) -> None:
        self._memory.add([stream.id for stream in streams])
        self._streams.update((stream.id, stream) for stream in streams)

    def score(self, batch: Batch, now_us: int) -> Scores:
        if not len(batch):
            return Scores(batch.time_us, batch.stream, batch.value)
        starts = batch.starts()
        rows = self._memory.rows(batch.stream[starts])
        return Scores(batch.time_us, batch.stream, self._scores(batch, starts, lengths(starts, len(batch)), rows))

    @abstractmethod
    def _scores(self, batch: Batch, starts: Rows, counts: Rows, rows: Rows) -> npt.NDArray[np.float64]:
        """The score of each reading, (N,), of a batch that holds some.

        Parameters
        ----------
        starts, counts : intp (S,)
            Where each stream's readings begin, and how many they are.
        rows : intp (S,)
            The streams' rows in memory.
        """

    @abstractmethod
    def explain(self, subject: int) -> Evidence: ...

    def snapshot(self) -> Snapshot:
        return self._memory.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        self._memory.restore(snapshot)


class OwnRhythm(EachStream):
    """One whose windows follow each stream's own interval, which the first gaps between its readings tell."""

    def __init__(self, layout: str, columns: Mapping[str, npt.ArrayLike]) -> None:
        super().__init__(layout, {**rhythm.COLUMNS, **columns})
        self._gaps = rhythm.FirstGaps(self._memory)

    def snapshot(self) -> Snapshot:
        return {**super().snapshot(), **self._gaps.snapshot()}

    def restore(self, snapshot: Snapshot) -> None:
        super().restore(snapshot)
        self._gaps.restore(snapshot)
