"""Telemetry as an object in CBOR (RFC 8949): forms 1 to 4 of the contract, and columns as typed arrays (RFC 8746).

What a document may hold is what JSON may, and the tags for a moment (0, 1), a large integer (2, 3), a decimal fraction
(4), an array of numbers of one kind (64 to 87, but for 76 and the floats of 128 bits), and CBOR itself (55799). Every
other tag is a value that is not read: it costs that reading, not the message. Nothing here follows references, nests
deeper than `MAX_DEPTH`, or takes memory for what a length only declares. A key given twice, which JSON lets pass, is an
error in CBOR's own terms, and rejects the message.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from io import BytesIO
from typing import Any

import numpy as np
from cbor2 import CBORDecodeEOF, CBORDecodeError, CBORDecoder

from ingest.forms.json_forms import read_document
from ingest.reading import Reader
from ingest.reading.refusals import BadMessage, Unread

# Seven are needed: a list, an object, its values, a column, a tagged number in it with its two parts, and the mark of
# CBOR around all. What nests deeper is refused by itself, deeper than this with its message.
MAX_DEPTH = 16
# As many bits as the largest double has.
_MAX_INTEGER_BYTES = 128
# Ten to this power is beyond what a double can hold, whatever the digits of a 64-bit number.
_MAX_EXPONENT = 400
_EXACT = 1 << 53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Bits of the number of a typed array's tag: 010 f s e ll. A float of length ll has 2·2^ll bytes, an integer 2^ll.
_ARRAY_TAGS = range(64, 88)
_CLAMPED, _SIGNED_RESERVED = 68, 76


def read(reader: Reader, payload: bytes) -> None:
    """A CBOR document of any of the forms."""
    read_document(reader, loads(payload, max_depth=MAX_DEPTH, text_keys=True))


def loads(payload: bytes, max_depth: int, text_keys: bool) -> Any:
    """One CBOR item and nothing after it, with the values of tags that are known.

    Without `text_keys` the keys of a map may be whatever can be compared. Python's hash of lists of numbers can be
    foreseen: someone who sends a map of many such keys makes it slow. `max_depth` keeps lists out of keys.

    Raises
    ------
    BadMessage
        It is no CBOR, ends too soon or too late, holds a key twice, or nests too deeply.
    """
    source = BytesIO(payload)
    decoder = CBORDecoder(
        source,
        semantic_decoders=_TAGS,
        object_hook=_of_texts if text_keys else None,
        max_depth=max_depth,
        allow_duplicate_keys=False,
        strict_hashable_types=text_keys,
    )
    try:
        document = decoder.decode()
    except CBORDecodeEOF as error:
        raise BadMessage("not CBOR that is read here: it ends too soon") from error
    except CBORDecodeError as error:
        cause = error.__cause__
        if isinstance(cause, BadMessage):
            raise cause from error
        raise BadMessage(f"not CBOR that is read here: {str(error)[:100]}") from error
    if source.tell() != len(payload):
        raise BadMessage("not CBOR that is read here: bytes after its end")
    return document


def _of_texts(document: Any, _: bool) -> Any:
    if {*map(type, document)} <= {str}:
        return document
    raise BadMessage("a key of a map is no text")


# Tags -----------------------------------------------------------------------------------------------------------------


def _text_moment(value: Any) -> Any:
    return value if isinstance(value, str) else Unread("a time that is no text")


def _moment(value: Any) -> Any:
    """Seconds since 1970 as the text that a `ts` may be: as a number they would be taken for milliseconds."""
    if type(value) in (int, float) and abs(value) < 1e11:
        return (_EPOCH + timedelta(microseconds=round(value * 1e6))).isoformat()
    return Unread("a time that is no number of seconds")


def _positive(value: Any) -> Any:
    if isinstance(value, bytes) and len(value) <= _MAX_INTEGER_BYTES:
        return _double(Fraction(int.from_bytes(value)))
    return Unread("a value beyond what a number can hold")


def _negative(value: Any) -> Any:
    if isinstance(value, bytes) and len(value) <= _MAX_INTEGER_BYTES:
        return _double(Fraction(-1 - int.from_bytes(value)))
    return Unread("a value beyond what a number can hold")


def _decimal(value: Any) -> Any:
    match value:
        case [int() as exponent, int() as digits] if -22 <= exponent <= 0 and -_EXACT <= digits <= _EXACT:
            return digits / 10.0**-exponent  # both exact, so that one rounding is the right one
        case [int() as exponent, int() | float() as digits] if abs(exponent) <= _MAX_EXPONENT and math.isfinite(digits):
            return _double(Fraction(digits) * Fraction(10) ** exponent)
    return Unread("a decimal fraction beyond what a number can hold")


def _double(value: Fraction) -> Any:
    try:
        return float(value)
    except OverflowError:
        return Unread("a value beyond what a number can hold")


def _array(tag: int) -> Callable[[Any], Any]:
    """From the bytes of a typed array to its numbers."""
    is_float, signed, little, length = tag >> 4 & 1, tag >> 3 & 1, tag >> 2 & 1, tag & 3
    if (is_float and length == 3) or tag == _SIGNED_RESERVED:
        return lambda _: Unread(f"tag {tag}")
    size = 2 << length if is_float else 1 << length
    kind = "f" if is_float else "i" if signed else "u"
    dtype = np.dtype(f"{'<' if little else '>'}{kind}{size}") if tag != _CLAMPED else np.dtype("u1")

    def numbers(value: Any) -> Any:
        if isinstance(value, bytes) and len(value) % size == 0:
            return np.frombuffer(value, dtype)
        return Unread(f"an array that is not of {size} bytes a number")

    return numbers


class _Tags(dict[int, Callable[[Any, bool], Any]]):
    """What becomes of a tagged value; one that nobody listed, references among them, is not read."""

    def __missing__(self, tag: int) -> Callable[[Any, bool], Any]:
        return lambda _value, _immutable: Unread(f"tag {tag}")


def _known(read_value: Callable[[Any], Any]) -> Callable[[Any, bool], Any]:
    return lambda value, _immutable: read_value(value)


_TAGS = _Tags(
    {
        tag: _known(read_value)
        for tag, read_value in {
            0: _text_moment,
            1: _moment,
            2: _positive,
            3: _negative,
            4: _decimal,
            55799: lambda value: value,
            **{tag: _array(tag) for tag in _ARRAY_TAGS},
        }.items()
    }
)
