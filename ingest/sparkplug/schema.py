"""The payload of Sparkplug B as far as a host reads it, by the field numbers of the specification.

Written as a table and not generated: it is small, needs no compiler, and says what is left out. Datasets, templates,
metadata and extensions are opaque bytes or unknown fields here: they are no readings, and what is not unfolded cannot
be nested without end.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

Field = descriptor_pb2.FieldDescriptorProto

_PACKAGE = "bellwether.sparkplug"
# Message → fields: number, name, type (a message of ours by its name); "*" marks what repeats, "|" one of the values.
_MESSAGES: dict[str, list[tuple[int, str, int | str]]] = {
    "Payload": [
        (1, "timestamp", Field.TYPE_UINT64),
        (2, "metrics*", "Metric"),
        (3, "seq", Field.TYPE_UINT64),
    ],
    "Metric": [
        (1, "name", Field.TYPE_STRING),
        (2, "alias", Field.TYPE_UINT64),
        (3, "timestamp", Field.TYPE_UINT64),
        (4, "datatype", Field.TYPE_UINT32),
        (5, "is_historical", Field.TYPE_BOOL),
        (6, "is_transient", Field.TYPE_BOOL),
        (7, "is_null", Field.TYPE_BOOL),
        (9, "properties", "PropertySet"),
        (10, "int_value|", Field.TYPE_UINT32),
        (11, "long_value|", Field.TYPE_UINT64),
        (12, "float_value|", Field.TYPE_FLOAT),
        (13, "double_value|", Field.TYPE_DOUBLE),
        (14, "boolean_value|", Field.TYPE_BOOL),
        (15, "string_value|", Field.TYPE_STRING),
        (16, "bytes_value|", Field.TYPE_BYTES),
        (17, "dataset_value|", Field.TYPE_BYTES),
        (18, "template_value|", Field.TYPE_BYTES),
    ],
    "PropertySet": [
        (1, "keys*", Field.TYPE_STRING),
        (2, "values*", "PropertyValue"),
    ],
    "PropertyValue": [
        (2, "is_null", Field.TYPE_BOOL),
        (3, "int_value|", Field.TYPE_UINT32),
        (4, "long_value|", Field.TYPE_UINT64),
        (8, "string_value|", Field.TYPE_STRING),
    ],
}


class DataType(IntEnum):
    """The types a metric can have; those from `STRING` on are no readings."""

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


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug_b", package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if any(field.endswith("|") for _, field, _ in fields):
            message.oneof_decl.add(name="value")
        for number, marked, kind in fields:
            field = message.field.add(number=number, name=marked.rstrip("*|"))
            field.label = Field.LABEL_REPEATED if marked.endswith("*") else Field.LABEL_OPTIONAL
            if isinstance(kind, str):
                field.type, field.type_name = Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = Field.Type.ValueType(kind)
            if marked.endswith("|"):
                field.oneof_index = 0
    return file


def _class_of(name: str) -> type[Message]:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())

# Their fields are made at run time, which no type checker can follow.
Payload: Any = _class_of("Payload")
