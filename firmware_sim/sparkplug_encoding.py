"""Sparkplug B on the wire, byte by byte: protobuf's four kinds of fields, and the fields of a payload.

Written apart from the decoder of `ingest`, which uses a library and a schema: the two meet only in the specification,
so that a wrong field number in one is not mirrored by the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class Type(IntEnum):
    """The datatypes of metrics."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


_PACKED = {
    Type.INT8_ARRAY: "b", Type.INT16_ARRAY: "h", Type.INT32_ARRAY: "i", Type.INT64_ARRAY: "q",
    Type.UINT8_ARRAY: "B", Type.UINT16_ARRAY: "H", Type.UINT32_ARRAY: "I", Type.UINT64_ARRAY: "Q",
    Type.FLOAT_ARRAY: "f", Type.DOUBLE_ARRAY: "d", Type.DATETIME_ARRAY: "Q",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is said: what is None is left out; `value` None is a null. Data leaves the type out, too.

    A dataset's value is its columns, `{name: (type, values)}`; a template's is the name of its definition and its
    members, `(reference or None, [metrics])`.
    """

    name: str | None
    type: Type
    value: Any
    alias: int | None = None
    stamp_ms: int | None = None
    historical: bool = False
    transient: bool = False
    properties: Mapping[str, str | int] = field(default_factory=dict)
    says_type: bool = True


def payload(sent_ms: int | None, metrics: Iterable[Metric], seq: int | None = None) -> bytes:
    """A payload; a death has no `seq`."""
    parts = [] if sent_ms is None else [_number(1, sent_ms)]
    parts += [_bytes(2, encode(metric)) for metric in metrics]
    if seq is not None:
        parts.append(_number(3, seq))
    return b"".join(parts)


def encode(metric: Metric) -> bytes:
    """One metric."""
    parts = []
    if metric.name is not None:
        parts.append(_bytes(1, metric.name.encode()))
    for number, value in ((2, metric.alias), (3, metric.stamp_ms), (4, metric.type if metric.says_type else None)):
        if value is not None:
            parts.append(_number(number, value))
    for number, flag in ((5, metric.historical), (6, metric.transient), (7, metric.value is None)):
        if flag:
            parts.append(_number(number, 1))
    if metric.properties:
        parts.append(_bytes(9, _properties(metric.properties)))
    if metric.value is not None:
        parts.append(_value(metric.type, metric.value))
    return b"".join(parts)


def commands(message: bytes) -> dict[str, bool]:
    """The metrics of a command that are true or false, by name.

    Raises
    ------
    ValueError
        It is no payload.
    """
    found = {}
    for number, content in _fields(message):
        if number == 2 and isinstance(content, bytes):
            metric = dict(_fields(content))
            name, value = metric.get(1), metric.get(14)
            if isinstance(name, bytes) and value is not None:
                found[name.decode()] = bool(value)
    return found


def _value(kind: Type, value: Any) -> bytes:
    """The field that carries a value of this type."""
    if kind in {Type.INT8, Type.INT16, Type.INT32, Type.UINT8, Type.UINT16, Type.UINT32}:
        return _number(10, value & 0xFFFF_FFFF)
    if kind in {Type.INT64, Type.UINT64, Type.DATETIME}:
        return _number(11, value & 0xFFFF_FFFF_FFFF_FFFF)
    if kind is Type.FLOAT:
        return _key(12, _FIXED32) + struct.pack("<f", value)
    if kind is Type.DOUBLE:
        return _key(13, _FIXED64) + struct.pack("<d", value)
    if kind is Type.BOOLEAN:
        return _number(14, int(value))
    return _bytes(*_content(kind, value))


def _content(kind: Type, value: Any) -> tuple[int, bytes]:
    """The field's number and its bytes, for what has a length."""
    if kind in {Type.STRING, Type.TEXT, Type.UUID}:
        return 15, value.encode()
    if kind is Type.DATASET:
        return 17, _dataset(value)
    if kind is Type.TEMPLATE:
        return 18, _template(*value)
    return 16, value if kind in {Type.BYTES, Type.FILE} else _array(kind, value)


def _array(kind: Type, values: Sequence[Any]) -> bytes:
    if kind is Type.STRING_ARRAY:
        return b"".join(text.encode() + b"\0" for text in values)
    if kind is Type.BOOLEAN_ARRAY:
        bits = "".join("1" if value else "0" for value in values)
        whole = bits.ljust(-len(bits) // 8 * -8, "0")
        octets = bytes(int(whole[i : i + 8], 2) for i in range(0, len(whole), 8))
        return struct.pack("<I", len(values)) + octets
    return struct.pack(f"<{len(values)}{_PACKED[kind]}", *values)


def _dataset(columns: Mapping[str, tuple[Type, Sequence[Any]]]) -> bytes:
    kinds = [kind for kind, _ in columns.values()]
    parts = [_number(1, len(columns)), *(_bytes(2, name.encode()) for name in columns)]
    parts += [_number(3, kind) for kind in kinds]
    for row in zip(*(values for _, values in columns.values()), strict=True):
        # The fields of an element are those of a metric's value, counted from 1.
        elements = (_element(kind, value) for kind, value in zip(kinds, row, strict=True))
        parts.append(_bytes(4, b"".join(_bytes(1, element) for element in elements)))
    return b"".join(parts)


def _element(kind: Type, value: Any) -> bytes:
    field_of_metric = _value(kind, value)
    return bytes([field_of_metric[0] - (9 << 3)]) + field_of_metric[1:]


def _template(reference: str | None, members: Sequence[Metric]) -> bytes:
    parts = [_bytes(2, encode(member)) for member in members]
    if reference is not None:
        parts.append(_bytes(4, reference.encode()))
    return b"".join([*parts, _number(5, int(reference is None))])


def _properties(properties: Mapping[str, str | int]) -> bytes:
    parts = [_bytes(1, name.encode()) for name in properties]
    for value in properties.values():
        kind, content = (
            (Type.STRING, _bytes(8, value.encode())) if isinstance(value, str) else (Type.INT32, _number(3, value))
        )
        parts.append(_bytes(2, _number(1, kind) + content))
    return b"".join(parts)


# Protobuf -------------------------------------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _number(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _varint(value)


def _bytes(number: int, content: bytes) -> bytes:
    return _key(number, _LENGTH) + _varint(len(content)) + content


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in order; fixed ones as their bytes."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield number, value
            continue
        if kind == _LENGTH:
            size, at = _read_varint(message, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
        if size < 0 or at + size > len(message):
            raise ValueError("not a protobuf message")
        yield number, message[at : at + size]
        at += size


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        octet = message[at]
        value, at = value | (octet & 0x7F) << shift, at + 1
        if octet < 0x80:
            return value, at
    raise ValueError("not a protobuf message")
