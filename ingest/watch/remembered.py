"""The memory of detectors, read one detector at a time: all at once would be as much again as a fleet takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from detectors.scores import Snapshot


class Remembered(Mapping[str, Snapshot]):
    """Snapshots by the names of detectors, each read when it is asked for and not held.

    Parameters
    ----------
    names
        Of which there should be one.
    read
        Gives it; None where there is none that can be read.
    """

    def __init__(self, names: Collection[str], read: Callable[[str], Snapshot | None]) -> None:
        self._names = names
        self._read = read

    def __getitem__(self, name: str) -> Snapshot:
        snapshot = self._read(name) if name in self._names else None
        if snapshot is None:
            raise KeyError(name)
        return snapshot

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
