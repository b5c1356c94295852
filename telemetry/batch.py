"""A batch of readings in columns: what crosses every seam from the decoder to the database and the detectors.

A `Batch` is immutable by convention: who needs other numbers makes another batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
StreamIds = npt.NDArray[np.int32]
Values = npt.NDArray[np.float64]
Qualities = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Readings of any number of streams.

    Sorted by (stream, time), one reading per stream and time, canonical units, no NaN: `Batch.of` makes it so.

    Attributes
    ----------
    time_us : int64 (N,)
        Microseconds since 1970, UTC.
    stream : int32 (N,)
        `Stream.id` of each reading.
    value : float64 (N,)
        In the canonical unit of the stream's quantity; finite.
    quality : uint8 (N,)
        Bits of `Quality`; 0 is good.
    """

    time_us: Times
    stream: StreamIds
    value: Values
    quality: Qualities

    def __len__(self) -> int:
        return len(self.time_us)

    @classmethod
    def empty(cls) -> Batch:
        return cls(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float64), np.empty(0, np.uint8))

    @classmethod
    def of(
        cls,
        time_us: npt.ArrayLike,
        stream: npt.ArrayLike,
        value: npt.ArrayLike,
        quality: npt.ArrayLike | None = None,
    ) -> Batch:
        """Sort readings into a batch.

        Of several readings with the same stream and time the first given stays. The cost is one stable sort, and
        nothing but one comparison where the readings are in order already.

        Raises
        ------
        ValueError
            If the columns differ in length.
        """
        times = np.asarray(time_us, np.int64)
        streams = np.asarray(stream, np.int32)
        values = np.asarray(value, np.float64)
        qualities = np.zeros(len(times), np.uint8) if quality is None else np.asarray(quality, np.uint8)
        if not len(times) == len(streams) == len(values) == len(qualities):
            raise ValueError("the columns of a batch differ in length")
        if _in_order(times, streams):
            return cls(times, streams, values, qualities)
        order, first = sorting(times, streams)
        kept = order[first]
        return cls(times[kept], streams[kept], values[kept], qualities[kept])

    @classmethod
    def concat(cls, batches: Sequence[Batch]) -> Batch:
        """All readings of several batches, sorted again."""
        if len(batches) == 1:
            return batches[0]
        if not batches:
            return cls.empty()
        return cls.of(
            np.concatenate([b.time_us for b in batches]),
            np.concatenate([b.stream for b in batches]),
            np.concatenate([b.value for b in batches]),
            np.concatenate([b.quality for b in batches]),
        )

    def where(self, mask: npt.NDArray[np.bool_]) -> Batch:
        """The readings where `mask` (bool (N,)) is true; still sorted."""
        if mask.all():
            return self
        return Batch(self.time_us[mask], self.stream[mask], self.value[mask], self.quality[mask])

    def cut(self, times_us: Times) -> Iterator[Batch]:
        """The parts before, between and from these times on; a reading of such a time belongs to what follows it."""
        cuts = np.unique(times_us)
        part_of = np.searchsorted(cuts, self.time_us, side="right")
        for part in range(len(cuts) + 1):
            yield self.where(part_of == part)

    def flagged(self, flag: int, mask: npt.NDArray[np.bool_]) -> Batch:
        """The same readings, with a bit of `Quality` set where `mask` (bool (N,)) is true."""
        if not mask.any():
            return self
        quality = self.quality | np.where(mask, flag, 0).astype(np.uint8)
        return Batch(self.time_us, self.stream, self.value, quality)

    def starts(self) -> npt.NDArray[np.intp]:
        """Index of the first reading of each stream; the segments of `np.ufunc.reduceat`. Shape (streams present,)."""
        if not len(self):
            return np.empty(0, np.intp)
        return np.flatnonzero(np.concatenate(([True], self.stream[1:] != self.stream[:-1])))


def sorting(times: Times, streams: StreamIds) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """The way to sort readings by (stream, time): their order, and which of them in that order are the first of theirs.

    Both of shape (N,). The sort is stable: of several with the same stream and time the first given is the first.
    """
    if _in_order(times, streams):
        return np.arange(len(times)), np.ones(len(times), bool)
    order = np.lexsort((times, streams))
    ordered_times, ordered_streams = times[order], streams[order]
    first = np.ones(len(times), bool)
    first[1:] = (ordered_times[1:] != ordered_times[:-1]) | (ordered_streams[1:] != ordered_streams[:-1])
    return order, first


def _in_order(times: Times, streams: StreamIds) -> bool:
    """Strictly ascending by (stream, time), hence without a reading given twice."""
    same = streams[1:] == streams[:-1]
    return bool(np.all((streams[1:] > streams[:-1]) | (same & (times[1:] > times[:-1]))))
