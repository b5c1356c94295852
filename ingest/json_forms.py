"""Telemetry as JSON, forms 1 to 4 of the contract, into columns.

All messages of a delivery are decoded together. A part that is no number, or has no point's name, rejects that part and
keeps the rest; a message that is no telemetry at all is one reject. Nothing raises, whatever the bytes: a device cannot
stop the loop.

Form 1: `{"ts": …, "temperature": 71.2}` · 2: `{"ts": …, "values": {…}}` · 3: a list of these ·
4: `{"t0": ms, "dt": ms, "values": {"temperature": [ … ]}}`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from ingest.messages import Message
from store.telemetry import Reject
from telemetry import Batch, Quality, StreamKey, Topic, microseconds

# A device that has more to say says it in several messages. Too low cuts a device's hourly upload into many; too high
# lets one message hold the loop up.
MAX_PAYLOAD_BYTES = 1 << 20
MAX_POINTS = 1000
MAX_POINT_LENGTH = 128
# A clock that shows an earlier year was never set. One that runs ahead by more than a day is no clock to store by: such
# rows would lie in chunks of their own for years.
EARLIEST_MS = 946_684_800_000
MAX_AHEAD_MS = 86_400_000
# Devices' clocks wander by seconds; readings from further ahead are kept but would hide all that comes after.
FUTURE_TOLERANCE_MS = 300_000
# Parts of one message that are told apart in `rejects`: more of the same kind say nothing new.
MAX_REJECTS = 20

_NOT_POINTS = frozenset({"ts", "seq", "boot"})


class BadMessage(ValueError):
    """Why a message, or a part of it, cannot be stored: the text is the reason. Caught here, never seen outside."""


@dataclass(slots=True)
class Decoded:
    """What a delivery holds, in columns.

    Attributes
    ----------
    batch
        Readings whose `stream` is known, and those with a negative number: -1 - the index in `unknown`.
    unknown
        Streams that have no number yet.
    rejects
        What could not be decoded, and why.
    """

    batch: Batch
    unknown: list[StreamKey]
    rejects: list[Reject]


@dataclass(slots=True)
class _Columns:
    """Where decoders leave what they read: single readings one by one, arrays as they are."""

    time_us: list[int] = field(default_factory=list)
    stream: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    arrays: list[Batch] = field(default_factory=list)


Numbers = dict[tuple[str, str], dict[str, int]]
"""The number of each stream, by tenant and device, then by point."""


def decode(messages: Iterable[tuple[Topic, Message]], numbers: Numbers, arrived_us: int) -> Decoded:
    """Decode messages of telemetry topics.

    Parameters
    ----------
    numbers
        The streams known. Streams seen first are given negative numbers in it; the caller replaces those.
    arrived_us
        The time of arrival of the first, which stands where a message has no time of its own; each message after it
        counts as a microsecond later, so that what came together stays apart.
    """
    columns = _Columns()
    unknown: list[StreamKey] = []
    rejects: list[Reject] = []
    for number, (topic, message) in enumerate(messages):
        points = numbers.get((topic.tenant, topic.device), {})
        reader = _Reader(topic, points, unknown, columns, arrived_us + number)
        try:
            reader.read(message.payload)
        except BadMessage as reason:
            reader.reasons.append(str(reason))
        except Exception as error:  # a mistake of ours must cost one message: raised, it would come again for ever
            reader.reasons.append(f"could not be read: {type(error).__name__}: {error}"[:300])
        if points:  # who has sent nothing but rubbish stays unknown
            numbers[topic.tenant, topic.device] = points
        rejects += [
            Reject(message.topic, message.payload, reason, topic.tenant, topic.device)
            for reason in _told(reader.reasons)
        ]
    batch = Batch(
        np.array(columns.time_us, np.int64),
        np.array(columns.stream, np.int32),
        np.array(columns.value, np.float64),
        np.array(columns.quality, np.uint8),
    )
    return Decoded(_together([batch, *columns.arrays]), unknown, rejects)


class _Reader:
    """Reads one message of one device into the columns."""

    __slots__ = ("_arrived_ms", "_arrived_us", "_columns", "_points", "_topic", "_unknown", "reasons")

    def __init__(
        self, topic: Topic, points: dict[str, int], unknown: list[StreamKey], columns: _Columns, arrived_us: int
    ) -> None:
        self._topic = topic
        self._points = points
        self._unknown = unknown
        self._columns = columns
        self._arrived_us = arrived_us
        self._arrived_ms = arrived_us / 1000
        self.reasons: list[str] = []

    def read(self, payload: bytes) -> None:
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise BadMessage(f"larger than {MAX_PAYLOAD_BYTES} bytes")
        try:
            document = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise BadMessage(f"not JSON: {str(error)[:100]}") from error
        if isinstance(document, dict):
            self._object(document)
        elif isinstance(document, list):
            self._list(document)
        else:
            raise BadMessage("neither an object nor a list")

    def _list(self, items: list[Any]) -> None:
        if not items:
            raise BadMessage("an empty list")
        for item in items:
            if not isinstance(item, dict):
                self.reasons.append("an item of the list is no object")
                continue
            try:
                self._object(item)
            except BadMessage as reason:
                self.reasons.append(str(reason))

    def _object(self, fields: dict[str, Any]) -> None:
        if "t0" in fields and "dt" in fields:
            self._series(fields)
            return
        time_us, quality = self._time(fields.get("ts"))
        nested = fields.get("values")
        values = nested if isinstance(nested, dict) else fields
        if len(values) > MAX_POINTS + len(_NOT_POINTS):
            raise BadMessage(f"more than {MAX_POINTS} points")
        read = len(self._columns.value)
        refused = len(self.reasons)
        columns, points = self._columns, self._points
        for point, value in values.items():
            if values is fields and point in _NOT_POINTS:
                continue
            kind = type(value)
            if (kind is float or kind is int or kind is bool) and -1.7e308 < value < 1.7e308:
                number = points.get(point)
                if number is None:
                    try:
                        number = self._number(point)
                    except BadMessage as reason:
                        self.reasons.append(str(reason))
                        continue
                columns.stream.append(number)
                columns.value.append(value)
                columns.time_us.append(time_us)
                columns.quality.append(quality)
            elif value is not None:
                self.reasons.append(f"{point[:MAX_POINT_LENGTH]}: {_what(value)} is no number")
        if len(self._columns.value) == read and len(self.reasons) == refused and None not in values.values():
            raise BadMessage("no values")

    def _series(self, fields: Mapping[str, Any]) -> None:
        t0, dt, values = fields["t0"], fields["dt"], fields.get("values")
        t0_us, quality = self._time(t0)
        if type(dt) not in (int, float) or not 0 < dt <= MAX_AHEAD_MS:
            raise BadMessage("dt: the milliseconds from one value to the next, above 0 and at most a day")
        if not isinstance(values, dict) or not values:
            raise BadMessage("values: an object of points and their lists")
        if len(values) > MAX_POINTS:
            raise BadMessage(f"more than {MAX_POINTS} points")
        for point, column in values.items():
            if not isinstance(column, list):
                self.reasons.append(f"{point[:MAX_POINT_LENGTH]}: {_what(column)} is no list")
                continue
            try:
                self._column(point, column, t0_us, dt, quality)
            except BadMessage as reason:
                self.reasons.append(f"{point[:MAX_POINT_LENGTH]}: {reason}")

    def _column(self, point: str, column: list[Any], t0_us: int, dt_ms: float, quality: int) -> None:
        value, present, bad = _numbers(column)
        if bad:
            self.reasons.append(f"{point[:MAX_POINT_LENGTH]}: {bad} of {len(column)} values are no numbers")
        if not present.any():
            return
        time_us = t0_us + np.rint(np.arange(len(column)) * (dt_ms * 1000)).astype(np.int64)
        latest_ms = self._arrived_ms + MAX_AHEAD_MS
        if time_us[-1] > latest_ms * 1000:
            raise BadMessage("times more than a day ahead")
        flags = np.full(len(column), quality, np.uint8)
        flags[time_us > (self._arrived_ms + FUTURE_TOLERANCE_MS) * 1000] |= np.uint8(Quality.FUTURE)
        number = self._points.get(point)
        stream = np.full(len(column), self._number(point) if number is None else number, np.int32)
        batch = Batch(time_us, stream, value, flags)
        self._columns.arrays.append(batch.where(present))

    def _time(self, stamp: Any) -> tuple[int, int]:
        """µs since 1970 and the quality that follows from the stamp."""
        if stamp is None:
            return self._arrived_us, Quality.ARRIVAL_TIME
        kind = type(stamp)
        if kind is int or kind is float:
            ms: float = stamp
        elif kind is str:
            ms = _rfc3339_us(stamp) / 1000
        else:
            raise BadMessage(f"ts: {_what(stamp)} is no time")
        if not ms >= EARLIEST_MS:
            raise BadMessage("ts: before the year 2000; milliseconds since 1970 are wanted")
        if ms > self._arrived_ms + MAX_AHEAD_MS:
            raise BadMessage("ts: more than a day ahead of the server's clock")
        quality = Quality.FUTURE if ms > self._arrived_ms + FUTURE_TOLERANCE_MS else Quality.GOOD
        return round(ms * 1000), quality

    def _number(self, point: str) -> int:
        """The number of a point's stream; a new negative one where it has none."""
        number = self._points.get(point)
        if number is not None:
            return number
        if not point or len(point) > MAX_POINT_LENGTH or not point.isprintable():
            raise BadMessage(f"a point's name is 1 to {MAX_POINT_LENGTH} printable characters")
        if len(self._points) >= MAX_POINTS:
            raise BadMessage(f"{point}: the device has {MAX_POINTS} points already")
        self._unknown.append(StreamKey(self._topic.tenant, self._topic.device, point))
        self._points[point] = -len(self._unknown)
        return -len(self._unknown)


def _numbers(column: list[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], int]:
    """The values of a column, where there are any, and how many are no numbers. null is a value that is missing."""
    if len(column) == 0:
        raise BadMessage("an empty list")
    # The types first: NumPy makes a column of texts as wide as its longest, which are gigabytes from a small message.
    if {*map(type, column)} <= {float, int, bool}:
        values = np.array(column, np.float64)
        present = np.isfinite(values)
        return values, present, int(np.count_nonzero(~present))
    values = np.array([_finite(value) for value in column])
    present = ~np.isnan(values)
    missing = sum(value is None for value in column)
    return values, present, int(np.count_nonzero(~present)) - missing


def _finite(value: Any) -> float:
    if isinstance(value, int | float) and -1.7e308 < value < 1.7e308:
        return float(value)
    return math.nan


def _rfc3339_us(stamp: str) -> int:
    if len(stamp) > 40:
        raise BadMessage("ts: not RFC 3339")
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError as error:
        raise BadMessage("ts: not RFC 3339") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return microseconds(moment)


def _what(value: Any) -> str:
    match value:
        case str():
            return "a text"
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "null"
        case bool():
            return "true or false"
        case _:
            return "a number" if math.isfinite(_finite(value)) else "a value beyond what a number can hold"


def _told(reasons: list[str]) -> list[str]:
    """The reasons worth a row each; of too many, the first and how many more."""
    if len(reasons) <= MAX_REJECTS:
        return reasons
    return [*reasons[: MAX_REJECTS - 1], f"and {len(reasons) - MAX_REJECTS + 1} more, the like"]


def _together(batches: list[Batch]) -> Batch:
    """Columns one after the other, not sorted yet: streams have no numbers to sort by."""
    return Batch(
        np.concatenate([b.time_us for b in batches]),
        np.concatenate([b.stream for b in batches]),
        np.concatenate([b.value for b in batches]),
        np.concatenate([b.quality for b in batches]),
    )
