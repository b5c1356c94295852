"""The columns of a delivery, which all readers write to, and how much of one message they take."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from telemetry import Batch, StreamKey

# A device that has more to say says it in several messages. Too low cuts a device's hourly upload into many; too high
# lets one message hold the loop up.
MAX_PAYLOAD_BYTES = 1 << 20
MAX_POINTS = 1000
MAX_POINT_LENGTH = 128
# Values in the columns of one message. One of bytes could hold a million, which hold the loop up for seconds; floats
# within the greatest payload are fewer.
MAX_VALUES = 1 << 18
# Runs below 0 are not acknowledged: this one of devices that give none, others of those that wait for no word from us.
NO_BOOT = -1
# Numbers beyond have no place in a bigint, in which sequence numbers and boots are kept.
MAX_COUNT = (1 << 63) - 1

Numbers = dict[tuple[str, str], dict[str, int]]
"""The number of each stream, by tenant and device, then by point."""


@dataclass(slots=True)
class Columns:
    """Where the readers of a delivery leave what they read: single readings one by one, arrays as they are.

    Attributes
    ----------
    numbers
        The streams known.
    fresh
        All streams of those devices of which some are seen first: these have negative numbers, -1 - their index in
        `unknown`.
    moment_us
        The time that stands for the next reading without one: a microsecond later each, so that what came together
        stays apart.
    mended
        Devices whose times are mended afterwards, and not judged before.
    units_kept
        In which unit the streams that are known are kept, by their number.
    """

    numbers: Mapping[tuple[str, str], Mapping[str, int]]
    arrived_us: int
    moment_us: int
    mended: Collection[tuple[str, str]] = ()
    units_kept: Mapping[int, str] = field(default_factory=dict)
    time_us: list[int] = field(default_factory=list)
    stream: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    arrays: list[tuple[int, Batch]] = field(default_factory=list)  # with the index of the message
    fresh: Numbers = field(default_factory=dict)
    unknown: list[StreamKey] = field(default_factory=list)
    units: list[str] = field(default_factory=list)  # that the device gave, by unknown stream
    counted: list[tuple[int, str, str, int, int]] = field(default_factory=list)
