"""Telemetry as an object, forms 1 to 4 of the contract: from JSON here, from CBOR beside it.

Form 1: `{"ts": …, "temperature": 71.2}` · 2: `{"ts": …, "values": {…}}` · 3: a list of these ·
4: `{"t0": ms, "dt": ms, "values": {"temperature": [ … ]}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ingest.reading import MAX_POINT_LENGTH, MAX_POINTS, Reader
from ingest.reading.refusals import BadMessage, what
from ingest.reading.stamps import MAX_AHEAD_MS

_NOT_POINTS = frozenset({"ts", "seq", "boot"})
_NOTHING: frozenset[str] = frozenset()


def read(reader: Reader, payload: bytes) -> None:
    """A JSON document of any of the forms."""
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise BadMessage(f"not JSON: {str(error)[:100]}") from error
    read_document(reader, document)


def read_document(reader: Reader, document: Any) -> None:
    """A document of any of the forms, whatever it was written in."""
    if isinstance(document, dict):
        _object(reader, document)
    elif isinstance(document, list):
        _list(reader, document)
    else:
        raise BadMessage("neither an object nor a list")


def _list(reader: Reader, items: list[Any]) -> None:
    if not items:
        raise BadMessage("an empty list")
    for item in items:
        if not isinstance(item, dict):
            reader.reasons.append("an item of the list is no object")
            continue
        try:
            _object(reader, item)
        except BadMessage as reason:
            reader.reasons.append(str(reason))


def _object(reader: Reader, fields: dict[str, Any]) -> None:
    if "seq" in fields:
        reader.counted(fields.get("boot"), fields["seq"])
    if "t0" in fields and "dt" in fields:
        _series(reader, fields)
        return
    time_us, quality = reader.time_ms(fields.get("ts"))
    nested = fields.get("values")
    if isinstance(nested, dict):
        anything = reader.many(nested, time_us, quality, _NOTHING)
    else:
        anything = reader.many(fields, time_us, quality, _NOT_POINTS)
    if not anything:
        raise BadMessage("no values")


def _series(reader: Reader, fields: Mapping[str, Any]) -> None:
    t0, dt_ms, values = fields["t0"], fields["dt"], fields.get("values")
    t0_us, quality = reader.time_ms(t0)
    if type(dt_ms) not in (int, float) or not 0 < dt_ms <= MAX_AHEAD_MS:
        raise BadMessage("dt: the milliseconds from one value to the next, above 0 and at most a day")
    if not isinstance(values, dict) or not values:
        raise BadMessage("values: an object of points and their lists")
    if len(values) > MAX_POINTS:
        raise BadMessage(f"more than {MAX_POINTS} points")
    for point, column in values.items():
        if not hasattr(column, "__len__") or isinstance(column, str | bytes | dict):
            reader.reasons.append(f"{point[:MAX_POINT_LENGTH]}: {what(column)} is no list")
            continue
        reader.column(point, column, t0_us, dt_ms * 1000, quality)
