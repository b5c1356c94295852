"""CBOR (RFC 8949) as firmware writes it: the shortest head, the shortest float that keeps the value, nothing more.

Columns go out as typed arrays (RFC 8746): the bytes as they lie in memory, little-endian, with one head for all.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG = range(7)
_FLOATS = ((0xF9, ">e"), (0xFA, ">f"), (0xFB, ">d"))
# Tags of typed arrays of little-endian floats, the shortest first.
_ARRAYS = ((85, "f"), (86, "d"))


def dumps(value: object) -> bytes:
    """An item of None, booleans, numbers, texts, bytes, lists, mappings and `Column`.

    Raises
    ------
    ValueError
        It holds something else, or an integer of more than 64 bits.
    """
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    raise ValueError(f"no CBOR for {type(value).__name__}")


class Column(tuple[float, ...]):
    """Numbers of one point: a typed array, or a list with null in it where one is missing."""

    __slots__ = ()


def _integer(value: int) -> bytes:
    return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)


def _text(value: str) -> bytes:
    text = value.encode()
    return _head(_TEXT, len(text)) + text


def _map(value: Mapping[object, object]) -> bytes:
    return _head(_MAP, len(value)) + b"".join(dumps(key) + dumps(item) for key, item in value.items())


def _head(major: int, number: int) -> bytes:
    first = major << 5
    if number < 24:
        return bytes([first | number])
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([first | extra]) + number.to_bytes(size)
    raise ValueError("an integer of more than 64 bits")


def _float(value: float) -> bytes:
    for first, layout in _FLOATS:
        packed = _kept(layout, (value,))
        if packed is not None:
            return bytes([first]) + packed
    return b"\xf9\x7e\x00"  # not a number, which equals nothing


def _column(values: Column) -> bytes:
    if all(map(math.isfinite, values)):
        for tag, code in _ARRAYS:
            packed = _kept(f"<{len(values)}{code}", values)
            if packed is not None:
                return _head(_TAG, tag) + dumps(packed)
    return dumps([float(value) if math.isfinite(value) else None for value in values])


def _kept(layout: str, values: tuple[float, ...]) -> bytes | None:
    """The values packed so, if none of them changes by it."""
    try:
        packed = struct.pack(layout, *values)
    except OverflowError:
        return None
    return packed if struct.unpack(layout, packed) == tuple(map(float, values)) else None


# The narrower kinds first: true is an integer to Python, and a text a sequence.
_WRITERS: tuple[tuple[type, Callable[[Any], bytes]], ...] = (
    (type(None), lambda _: b"\xf6"),
    (bool, lambda value: b"\xf5" if value else b"\xf4"),
    (int, _integer),
    (float, _float),
    (str, _text),
    (bytes, lambda value: _head(_BYTES, len(value)) + value),
    (Column, _column),
    (Mapping, _map),
    (Sequence, lambda value: _head(_LIST, len(value)) + b"".join(map(dumps, value))),
)
