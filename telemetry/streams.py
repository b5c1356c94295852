"""A stream: one point of one device of one tenant, in one unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class StreamKey(NamedTuple):
    """What names a stream before it has a number."""

    tenant: str
    device: str
    point: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as the store knows it.

    `id` is what the columns of a `Batch` carry; `machine` is the number of its device, the same for all its points.
    """

    id: int
    machine: int
    tenant: str
    device: str
    point: str
    quantity: str
    unit: str

    @property
    def key(self) -> StreamKey:
        return StreamKey(self.tenant, self.device, self.point)
