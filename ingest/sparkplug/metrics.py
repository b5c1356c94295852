"""Metrics into readings: what a birth declares, and what data says by it.

Numbers and booleans are readings. Texts, times, bytes, datasets, templates and arrays are none, nor is what controls
the node: those are counted and skipped without a word. About 1 µs a metric.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from ingest.reading import MAX_POINT_LENGTH
from ingest.sparkplug.schema import DataType
from telemetry import Quality

BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"
_NOT_READINGS = ("Node Control/", "Device Control/", "Properties/")
# Property names that tools in the field use for a unit: the specification names none.
_UNITS = ("engUnit", "Engineering Units", "engineeringUnits", "unit")
_MAX_TEXT = 128

_FIELDS = {
    **dict.fromkeys(
        (DataType.INT8, DataType.INT16, DataType.INT32, DataType.UINT8, DataType.UINT16, DataType.UINT32), "int_value"
    ),
    **dict.fromkeys((DataType.INT64, DataType.UINT64), "long_value"),
    DataType.FLOAT: "float_value",
    DataType.DOUBLE: "double_value",
    DataType.BOOLEAN: "boolean_value",
}
_BITS = {
    DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64,
    DataType.UINT8: 8, DataType.UINT16: 16, DataType.UINT32: 32, DataType.UINT64: 64,
}  # fmt: skip
_SIGNED = frozenset({DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64})
# Fields that say by themselves what they hold, where no datatype does.
_SELF_EVIDENT = {"float_value": DataType.FLOAT, "double_value": DataType.DOUBLE, "boolean_value": DataType.BOOLEAN}
# OPC's codes, in the one property that the specification defines.
_QUALITY = "Quality"
_BAD, _STALE = 0, 500
# As plain numbers: the operators of flags cost as much as the rest of a metric.
_LATE, _IMPOSSIBLE = int(Quality.LATE), int(Quality.IMPOSSIBLE)


# A plain tuple: a named one takes as long to make as all the rest of a metric.
Reading = tuple[str, float, int | None, int, str]
"""Point, value, time in ms or None, the bits of `Quality` that the metric itself says, unit."""


class Definition(NamedTuple):
    """How a metric is read.

    Attributes
    ----------
    field
        Where its value is; empty where it is no reading.
    below
        Of an integer: raw values below this one are the value. 0 of others.
    """

    point: str
    field: str
    datatype: int
    below: int
    unit: str


class Table:
    """The metrics that one birth declared, by alias and by name; `name` is ours for the device."""

    __slots__ = ("by_alias", "by_name", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.by_alias: dict[int, Definition] = {}
        self.by_name: dict[str, Definition] = {}

    def __len__(self) -> int:
        return len(self.by_name)


class Told:
    """What the metrics of one message hold.

    Attributes
    ----------
    unknown
        How many of them nobody has declared, and which the first was.
    """

    __slots__ = ("first_unknown", "readings", "reasons", "skipped", "unknown")

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.reasons: list[str] = []
        self.skipped: Counter[str] = Counter()
        self.unknown = 0
        self.first_unknown = ""


def declare(payload: Any, name: str, told: Told) -> Table:
    """What a birth of the device `name` declares; an alias given twice, or no name for a point, becomes a reason."""
    table = Table(name)
    for metric in payload.metrics:
        point = metric.name
        if not isinstance(point, str) or not point:  # bytes are a name that is no UTF-8
            told.reasons.append("a metric of the birth has no name")
            continue
        field = _field(point, metric.datatype)
        if field and (len(point) > MAX_POINT_LENGTH or not point.isprintable()):
            told.reasons.append(f"{point[:MAX_POINT_LENGTH]!r}: a name is 1 to {MAX_POINT_LENGTH} printable characters")
            field = ""
        unit = _unit(metric) if field and metric.HasField("properties") else ""
        definition = Definition(point, field, metric.datatype, _below(metric.datatype), unit)
        table.by_name[point] = definition
        if metric.HasField("alias") and table.by_alias.setdefault(metric.alias, definition) is not definition:
            told.reasons.append(f"{point[:MAX_POINT_LENGTH]}: alias {metric.alias} is another metric's already")
    return table


def read(payload: Any, table: Table, told: Told) -> None:
    """The readings of a message by what its birth declared, or by what a metric says of itself."""
    by_alias, by_name, readings = table.by_alias, table.by_name, told.readings
    sent_ms = payload.timestamp or None
    for metric in payload.metrics:
        name = metric.name
        if name:
            definition = by_name.get(name)
        else:
            alias = metric.alias  # 0 where there is none
            definition = by_alias.get(alias) if alias or metric.HasField("alias") else None
        if definition is None:
            definition = _of_itself(metric)
            if definition is None:
                told.unknown += 1
                told.first_unknown = told.first_unknown or _called(metric)
                continue
        point, field, datatype, below, unit = definition
        if not field:
            told.skipped["not readings"] += 1
            continue
        if metric.is_null:
            told.skipped["null"] += 1
            continue
        if metric.is_transient:
            told.skipped["transient"] += 1
            continue
        value = getattr(metric, field)
        # Nothing, false and 0 look alike here, and so does a value in another field than its type's.
        if not value and (which := metric.WhichOneof("value")) != field:
            value = _elsewhere(metric, which, datatype)
        if below and value is not None and value >= below:
            value = _negative(value, datatype)
        if value is None:
            told.reasons.append(f"{point}: no value of its type")
            continue
        quality = _LATE if metric.is_historical else 0
        if metric.HasField("properties"):
            quality |= _quality(metric)
        readings.append((point, value, metric.timestamp or sent_ms, quality, unit))


def number_of(payload: Any, name: str) -> int | None:
    """The value of a metric that is a whole number, such as bdSeq."""
    for metric in payload.metrics:
        if metric.name == name:
            which = metric.WhichOneof("value")
            return int(getattr(metric, which)) if which in {"int_value", "long_value"} else None
    return None


def text_of(payload: Any, *names: str) -> str:
    """The first of the named metrics that is a short printable text; empty where there is none."""
    found = {metric.name: metric.string_value for metric in payload.metrics if metric.name in names}
    texts = (found.get(name) for name in names)
    return next((t for t in texts if isinstance(t, str) and t and len(t) <= _MAX_TEXT and t.isprintable()), "")


def _of_itself(metric: Any) -> Definition | None:
    """The definition that an undeclared metric carries along, where it does."""
    name = metric.name
    if not isinstance(name, str) or not name:
        return None
    datatype = metric.datatype or _SELF_EVIDENT.get(metric.WhichOneof("value") or "")
    if datatype is None:
        return None
    unit = _unit(metric) if metric.HasField("properties") else ""
    return Definition(name, _field(name, datatype), datatype, _below(datatype), unit)


def _field(name: str, datatype: int) -> str:
    """Where a metric has its value; empty where it is no reading."""
    if name == BD_SEQ or name.startswith(_NOT_READINGS):
        return ""
    return _FIELDS.get(datatype, "")  # type: ignore[call-overload, no-any-return]


def _called(metric: Any) -> str:
    name = metric.name
    return (repr(name[:MAX_POINT_LENGTH]) if name else f"alias {metric.alias}")[: MAX_POINT_LENGTH + 2]


def _elsewhere(metric: Any, which: str | None, datatype: int) -> float | None:
    """A number in another field than its type's: nodes are not all careful with integers and floats."""
    if which in {"float_value", "double_value"} and datatype in {DataType.FLOAT, DataType.DOUBLE}:
        return float(getattr(metric, which))
    if which in {"int_value", "long_value"} and (datatype in _BITS or datatype == DataType.BOOLEAN):
        return int(getattr(metric, which))
    return None


def _below(datatype: int) -> int:
    bits = _BITS.get(datatype, 0)  # type: ignore[call-overload]
    return 1 << (bits - 1 if datatype in _SIGNED else bits) if bits else 0


def _negative(raw: int, datatype: int) -> int | None:
    """A negative number from the unsigned field that carries it; None where its type cannot hold it.

    It is two's complement, in as many bits as its type has or, as many encoders do it, as the field has.
    """
    if datatype not in _SIGNED:
        return None
    bits = _BITS[datatype]  # type: ignore[index]
    half = 1 << (bits - 1)
    for width in (bits, 32, 64):
        if (1 << width) - half <= raw < 1 << width:
            return raw - (1 << width)
    return None


def _properties(metric: Any) -> dict[str, Any]:
    properties = metric.properties
    return dict(zip(properties.keys, properties.values, strict=False))


def _unit(metric: Any) -> str:
    properties = _properties(metric)
    for name in _UNITS:
        if name in properties:
            unit = properties[name].string_value
            return unit if isinstance(unit, str) and len(unit) <= _MAX_TEXT and unit.isprintable() else ""
    return ""


def _quality(metric: Any) -> int:
    """BAD is no value to learn from, STALE none to act upon; both are kept, neither is scored."""
    code = _properties(metric).get(_QUALITY)
    if code is None or code.is_null or not code.HasField("int_value"):
        return 0
    return {_BAD: _IMPOSSIBLE, _STALE: _LATE}.get(code.int_value, 0)
