"""One message on its way into the columns of a delivery.

A reader checks what comes from outside - times, names, numbers, limits - so that a decoder knows its format and nothing
else. A part that is refused becomes a reason, and the rest is kept; a message that is no telemetry at all raises
`BadMessage`, which `ingest.decoding` catches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.reading.columns import MAX_COUNT, MAX_POINT_LENGTH, MAX_POINTS, MAX_VALUES, NO_BOOT, Columns
from ingest.reading.refusals import BadMessage, what
from ingest.reading.stamps import FUTURE_TOLERANCE_MS, LATEST_MS, MAX_AHEAD_MS, quality_of, rfc3339_us
from telemetry import Batch, Quality, StreamKey, Topic
from telemetry.units import MAX_UNIT_LENGTH, canonical


class Reader:
    """One message of one device.

    Attributes
    ----------
    topic
        Whose it is.
    arrived_us
        When its delivery arrived.
    reasons
        The parts that were refused, and why.
    """

    __slots__ = ("_columns", "_index", "_last", "_mended", "_points", "_values", "arrived_us", "reasons", "topic")

    def __init__(self, topic: Topic, columns: Columns, index: int) -> None:
        self.topic = topic
        self.arrived_us = columns.arrived_us
        self.reasons: list[str] = []
        self._columns = columns
        self._index = index
        self._values = 0
        self._last: tuple[object, npt.NDArray[np.int64], npt.NDArray[np.uint8]] | None = None
        device = topic.tenant, topic.device
        self._mended = device in columns.mended
        self._points = columns.fresh.get(device) or columns.numbers.get(device, {})

    # Time -----------------------------------------------------------------------------------------------------------

    def time_ms(self, stamp: Any) -> tuple[int, int]:
        """µs since 1970, and the quality that follows, from milliseconds or RFC 3339; without a stamp, the arrival.

        Raises
        ------
        BadMessage
            It is no time, or one that cannot be.
        """
        if stamp is None:
            moment_us = self._columns.moment_us
            self._columns.moment_us = moment_us + 1
            return moment_us, Quality.ARRIVAL_TIME
        kind = type(stamp)
        if kind is int or kind is float:
            quality = self._quality(stamp)
            return round(stamp * 1000), quality
        if kind is str:
            return self.time_us(rfc3339_us(stamp))
        raise BadMessage(f"ts: {what(stamp)} is no time")

    def time_us(self, us: int) -> tuple[int, int]:
        """The same from µs since 1970."""
        return us, self._quality(us / 1000)

    # Readings -------------------------------------------------------------------------------------------------------

    def one(self, point: str, value: Any, time_us: int, quality: int, unit: str = "") -> None:
        """One reading in `unit`; what is no number becomes a reason."""
        kind = type(value)
        if not ((kind is float or kind is int or kind is bool) and -1.7e308 < value < 1.7e308):
            self.reasons.append(f"{point[:MAX_POINT_LENGTH]}: {what(value)} is no number")
            return
        if unit:
            if reason := self._misfit(point, unit):
                self.reasons.append(f"{point[:MAX_POINT_LENGTH]}: {reason}")
                return
            if known := canonical(unit, point):
                value = known.convert(float(value))
                if not math.isfinite(value):
                    self.reasons.append(f"{point[:MAX_POINT_LENGTH]}: a value beyond what a number can hold")
                    return
        number = self._points.get(point)
        if number is None:
            try:
                number = self._number(point, unit)
            except BadMessage as reason:
                self.reasons.append(str(reason))
                return
        columns = self._columns
        columns.stream.append(number)
        columns.value.append(value)
        columns.time_us.append(time_us)
        columns.quality.append(quality)

    def many(self, values: Mapping[str, Any], time_us: int, quality: int, leave_out: frozenset[str]) -> bool:
        """Readings of one moment by point, in units that are not said; null is a value that is missing.

        Returns
        -------
        bool
            Whether there was anything at all: a reading, a refused part, or a null.

        Raises
        ------
        BadMessage
            Too many of them.
        """
        if len(values) > MAX_POINTS + len(leave_out):
            raise BadMessage(f"more than {MAX_POINTS} points")
        columns, points = self._columns, self._points
        anything = False
        for point, value in values.items():
            if point in leave_out:
                continue
            anything = True
            kind = type(value)
            if (kind is float or kind is int or kind is bool) and -1.7e308 < value < 1.7e308:
                number = points.get(point)
                if number is None:
                    try:
                        number = self._number(point, "")
                    except BadMessage as reason:
                        self.reasons.append(str(reason))
                        continue
                columns.stream.append(number)
                columns.value.append(value)
                columns.time_us.append(time_us)
                columns.quality.append(quality)
            elif value is not None:
                self.reasons.append(f"{point[:MAX_POINT_LENGTH]}: {what(value)} is no number")
        return anything

    def column(
        self,
        point: str,
        values: Sequence[Any] | npt.NDArray[Any],
        t0_us: int,
        dt_us: float,
        quality: int,
        unit: str = "",
    ) -> None:
        """Readings of one point, `dt_us` apart from `t0_us` on; null, and nothing else, is a value that is missing."""
        try:
            self._column(point, values, t0_us, dt_us, quality, unit)
        except BadMessage as reason:
            self.reasons.append(f"{point[:MAX_POINT_LENGTH]}: {reason}")

    def counted(self, boot: Any, seq: Any) -> None:
        """The message spends the sequence number `seq` of the run `boot`; what are no such numbers counts nothing.

        Without a `boot` (None) the run is unknown: gaps show, and nothing is acknowledged.
        """
        if type(seq) is not int or not 0 <= seq <= MAX_COUNT:
            return
        if boot is None:
            boot = NO_BOOT
        elif type(boot) is not int or not 0 <= boot <= MAX_COUNT:
            return
        self._columns.counted.append((self._index, self.topic.tenant, self.topic.device, boot, seq))

    def _quality(self, ms: float) -> int:
        if self._mended:
            if not 0 <= ms <= LATEST_MS:
                raise BadMessage("ts: no time between 1970 and 2100")
            return Quality.GOOD
        return quality_of(ms, self.arrived_us)

    def _misfit(self, point: str, unit: str) -> str:
        """Why values in `unit` are not those of the point: it is kept in one that this cannot be made into."""
        kept = self._columns.units_kept.get(self._points.get(point, -1), "")
        known = canonical(unit, point)
        given = known.unit if known else unit[:MAX_UNIT_LENGTH]
        return f"in {given}, and the point is kept in {kept}" if kept and kept != given else ""

    def _column(
        self, point: str, column: Sequence[Any] | npt.NDArray[Any], t0_us: int, dt_us: float, quality: int, unit: str
    ) -> None:
        self._values += len(column)
        if self._values > MAX_VALUES:
            raise BadMessage(f"more than {MAX_VALUES} values in a message")
        if unit and (reason := self._misfit(point, unit)):
            raise BadMessage(reason)
        value, present, bad = _numbers(column)
        if unit and (known := canonical(unit, point)):
            with np.errstate(over="ignore"):
                value = known.convert(value)
            bad += int(np.count_nonzero(present & ~np.isfinite(value)))
            present &= np.isfinite(value)
        if bad:
            self.reasons.append(f"{point[:MAX_POINT_LENGTH]}: {bad} of {len(column)} values are no numbers")
        if not present.any():
            return
        span = t0_us, dt_us, len(column), quality
        if self._last is None or self._last[0] != span:  # the columns of a message are mostly of the same moments
            self._last = span, *self._moments(*span)
        _, time_us, flags = self._last
        number = self._points.get(point)
        stream = np.full(len(column), self._number(point, unit) if number is None else number, np.int32)
        self._columns.arrays.append((self._index, Batch(time_us, stream, value, flags).where(present)))

    def _moments(
        self, t0_us: int, dt_us: float, count: int, quality: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """The times of a column, and the quality that follows from each."""
        time_us = t0_us + np.rint(np.arange(count) * dt_us).astype(np.int64)
        flags = np.full(count, quality, np.uint8)
        if not self._mended:
            if time_us[-1] > self.arrived_us + MAX_AHEAD_MS * 1000:
                raise BadMessage("times more than a day ahead")
            flags[time_us > self.arrived_us + FUTURE_TOLERANCE_MS * 1000] |= np.uint8(Quality.FUTURE)
        return time_us, flags

    def _number(self, point: str, unit: str) -> int:
        """The number of a point's stream; a new negative one where it has none."""
        number = self._points.get(point)
        if number is not None:
            return number
        if not point or len(point) > MAX_POINT_LENGTH or not point.isprintable():
            raise BadMessage(f"a point's name is 1 to {MAX_POINT_LENGTH} printable characters")
        if len(self._points) >= MAX_POINTS:
            raise BadMessage(f"{point}: the device has {MAX_POINTS} points already")
        columns, (tenant, device, _) = self._columns, self.topic
        columns.unknown.append(StreamKey(tenant, device, point))
        columns.units.append(unit)
        fresh = columns.fresh.setdefault((tenant, device), {})
        if fresh is not self._points:
            fresh.update(self._points)
            self._points = fresh
        fresh[point] = -len(columns.unknown)
        return fresh[point]


def _numbers(column: Sequence[Any] | npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], int]:
    """The values of a column, where there are any, and how many are no numbers. null is a value that is missing."""
    if len(column) == 0:
        raise BadMessage("an empty list")
    # The types first: NumPy makes a column of texts as wide as its longest, which are gigabytes from a small message.
    if isinstance(column, np.ndarray) or {*map(type, column)} <= {float, int, bool}:
        with np.errstate(invalid="ignore"):  # there are NaNs that complain of being widened
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
