"""SenML (RFC 8428) in JSON and CBOR: a list of records, each one measurement, with what they share said once.

A record is resolved by the base fields in force - name, time, unit, value, sum - and becomes a reading; a sum becomes
one of the point's `.sum`, in the unit times seconds. A text or data is no reading: it is refused like a text in JSON.
A version, or a field ending in `_`, that is not known here changes what the rest means: the pack is rejected whole. A
base field that is no such thing rejects its record and all that build on it; anything else rejects its record.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from ingest.forms import cbor_forms
from ingest.reading import MAX_POINT_LENGTH, Reader
from ingest.reading.refusals import BadMessage, what
from ingest.reading.stamps import EARLIEST_MS

# A pack within this many bytes may hold what is nested, such as decimal fractions; a larger one may not, which keeps
# lists out of its keys (see `cbor_forms.loads`). A list within 4 KiB cannot hold enough of them to be slow.
_NESTED_BYTES = 4096
_NESTED_DEPTH, _FLAT_DEPTH = 5, 2
# Too low cuts a logger's upload into many; at 2 µs a record this many hold the loop up for 20 ms.
MAX_RECORDS = 10_000
# Seconds below are counted from now, those above from 1970: the RFC's own line.
_RELATIVE_BELOW_S = float(1 << 28)
_EARLIEST_S = EARLIEST_MS / 1000
# No clock counts so many seconds, and µs still fit.
_MOST_S = 1e11
# Version 10 is that of the RFC, those below its drafts'. Above, bits are features (RFC 9100): 4 are secondary units.
_VERSION, _WITH_SECONDARY_UNITS = 10, 10 + (1 << 4)

LABELS = {
    -6: "bs", -5: "bv", -4: "bu", -3: "bt", -2: "bn", -1: "bver",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
"""What the integer keys stand for in CBOR."""
# Ours, as the RFC allows: a device that counts its messages says so in a record of each pack.
_COUNTED = frozenset({"seq", "boot"})
FIELDS = frozenset(LABELS.values()) | _COUNTED
_UNDERSTOOD = FIELDS - {"bver"}
_SHARED = frozenset({"bs", "bv", "bu", "bt", "bn", "bver"}) | _COUNTED
_VALUES = ("v", "vb", "vs", "vd")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]*\Z")
# Units that SenML spells as a plant spells another: degrees, and the acceleration of gravity.
_PLAIN = {"C": "coulomb", "F": "farad", "g": "gram"}
# A unit times seconds, where that has a name.
_TIMES_SECONDS = {"W": "J", "kW": "kJ", "m3/s": "m3", "l/s": "l", "kg/s": "kg", "m/s": "m"}


def read_json(reader: Reader, payload: bytes) -> None:
    """A pack in JSON."""
    try:
        records = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise BadMessage(f"not JSON: {str(error)[:100]}") from error
    read_pack(reader, records)


def read_cbor(reader: Reader, payload: bytes) -> None:
    """A pack in CBOR, its labels numbers, or the texts of JSON."""
    depth = _NESTED_DEPTH if len(payload) <= _NESTED_BYTES else _FLAT_DEPTH
    records = cbor_forms.loads(payload, max_depth=depth, text_keys=False)
    if isinstance(records, list):
        records = [_labelled(record) if isinstance(record, dict) else record for record in records]
    read_pack(reader, records)


def _labelled(record: dict[Any, Any]) -> dict[Any, Any]:
    fields = {LABELS.get(key, key): value for key, value in record.items()}
    if len(fields) < len(record):
        raise BadMessage("a field twice in a record, by its number and by its text")
    return fields


def read_pack(reader: Reader, records: Any) -> None:
    """The records of a pack, whatever it was written in, one after the other.

    Raises
    ------
    BadMessage
        It is no pack, or not one that may be read; or a base field is bad, and what follows hangs in the air.
    """
    if not isinstance(records, list):
        raise BadMessage("SenML is a list of records")
    if not records:
        raise BadMessage("an empty list")
    if len(records) > MAX_RECORDS:
        raise BadMessage(f"more than {MAX_RECORDS} records")
    for record in records:
        if isinstance(record, dict) and not record.keys() <= _UNDERSTOOD:
            _see_that_it_is_understood(record)
    pack = _Pack(reader)
    measured = False
    for record in records:
        if not isinstance(record, dict):
            reader.reasons.append("a record is no object")
            measured = True
            continue
        if not _SHARED.isdisjoint(record):
            pack.share(record)
            if record.keys() <= _SHARED:
                continue
        measured = True
        try:
            pack.measurement(record)
        except BadMessage as reason:
            reader.reasons.append(str(reason))
    if not measured:
        raise BadMessage("no values")


def is_pack(document: Any) -> bool:
    """Whether a list of objects is SenML, where nothing else tells: its first has a name, and SenML's fields alone."""
    match document:
        case [{"bn": str()} | {"n": str()} as first, *_]:
            return bool(first.keys() <= FIELDS)
    return False


def point_of(name: str, device: str) -> str:
    """The point that a resolved name speaks of.

    What the device says of itself is left out: `pump-1:flow` and `pump-1/flow` of `pump-1` are `flow`, and so is
    `urn:dev:ow:10e2073a01080063_flow` of `10e2073a01080063` (RFC 9039), whatever the case. Any other name, such as
    that of a device behind a gateway, is the point as it stands.
    """
    own, separators = name, ":/"
    if name.startswith("urn:dev:"):
        own, separators = name[len("urn:dev:") :].partition(":")[2], ":/_;"
    rest = own[len(device) :]
    if len(rest) > 1 and rest[0] in separators and own[: len(device)].lower() == device.lower():
        return rest[1:]
    return name


def _see_that_it_is_understood(record: dict[Any, Any]) -> None:
    version = record.get("bver", _VERSION)
    if type(version) is not int or not (0 < version <= _VERSION or version == _WITH_SECONDARY_UNITS):
        raise BadMessage("bver: a version of SenML that is not known here")
    for label in record:
        if isinstance(label, str) and label.endswith("_"):
            raise BadMessage(f"{label[:MAX_POINT_LENGTH]}: a field that must be understood is not known here")


class _Pack:
    """What the records so far have said for those that follow."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._device = reader.topic.device
        self._now: tuple[int, int] | None = None
        self._times: dict[float, tuple[int, int]] = {}
        self._points: dict[str, str] = {}
        self._name, self._unit = "", ""
        self._time_s, self._value, self._sum = 0.0, 0.0, 0.0
        self._has_value = self._has_sum = self._counted = False

    def share(self, record: dict[str, Any]) -> None:
        """Take the base fields of a record.

        Raises
        ------
        BadMessage
            One is not what it should be.
        """
        if "seq" in record and not self._counted:  # a pack is one message, however often it says so
            self._reader.counted(record.get("boot"), record["seq"])
            self._counted = True
        self._name = _text(record, "bn", self._name)
        self._unit = _text(record, "bu", self._unit)
        self._time_s = _number(record, "bt", self._time_s)
        self._value = _number(record, "bv", self._value)
        self._sum = _number(record, "bs", self._sum)
        self._has_value |= "bv" in record
        self._has_sum |= "bs" in record

    def measurement(self, record: dict[str, Any]) -> None:
        """Resolve a record.

        Raises
        ------
        BadMessage
            It has no name, no time that can be, or not one value.
        """
        point = self._point(self._name + _text(record, "n", ""))
        unit = _text(record, "u", self._unit)
        unit = _PLAIN.get(unit, unit)
        time_us, quality = self._time(_number(record, "t", 0.0))
        values = [label for label in _VALUES if label in record]
        sums = "s" in record or (self._has_sum and values in ([], ["v"]))
        if len(values) > 1:
            raise BadMessage(f"{point[:MAX_POINT_LENGTH]}: more than one value")
        if values:
            value = record[values[0]]
            if values[0] == "vb" and type(value) is not bool:
                raise BadMessage(f"{point[:MAX_POINT_LENGTH]}: {what(value)} is not true or false")
            if values[0] == "v" and self._has_value and type(value) in (int, float):
                value = value + self._value
            self._reader.one(point, value, time_us, quality, unit)
        elif self._has_value:
            self._reader.one(point, self._value, time_us, quality, unit)
        elif not sums:
            raise BadMessage(f"{point[:MAX_POINT_LENGTH]}: a record without a value")
        if sums:
            total = self._sum + _number(record, "s", 0.0)
            self._reader.one(f"{point}.sum", total, time_us, quality, _times_seconds(unit))

    def _point(self, name: str) -> str:
        point = self._points.get(name)
        if point is None:
            if not name:
                raise BadMessage("a record without a name")
            if not _NAME.match(name):
                raise BadMessage("a name in SenML begins with a letter or digit, then come these and - : . / _")
            point = self._points[name] = point_of(name, self._device)
        return point

    def _time(self, t_s: float) -> tuple[int, int]:
        seconds = self._time_s + t_s
        known = self._times.get(seconds)
        if known is not None:
            return known
        if not -_MOST_S < seconds < _MOST_S:
            raise BadMessage("t: no time; seconds since 1970, or from now, are wanted")
        if _RELATIVE_BELOW_S <= seconds < _EARLIEST_S:
            raise BadMessage("t: before the year 2000; seconds since 1970, or from now, are wanted")
        if seconds >= _RELATIVE_BELOW_S:
            time = self._reader.time_us(round(seconds * 1e6))
        else:
            if self._now is None:
                self._now = self._reader.time_ms(None)
            now_us, unstamped = self._now
            time_us, quality = self._reader.time_us(now_us + round(seconds * 1e6))
            time = time_us, quality | unstamped
        self._times[seconds] = time
        return time


def _text(record: dict[str, Any], label: str, otherwise: str) -> str:
    value = record.get(label, otherwise)
    if not isinstance(value, str):
        raise BadMessage(f"{label}: {what(value)} is no text")
    return value


def _number(record: dict[str, Any], label: str, otherwise: float) -> float:
    value = record.get(label, otherwise)
    if type(value) is float or type(value) is int:
        return value
    raise BadMessage(f"{label}: {what(value)} is no number")


def _times_seconds(unit: str) -> str:
    return _TIMES_SECONDS.get(unit, f"{unit}s" if unit else "")
