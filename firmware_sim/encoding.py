"""What a device puts on the wire: the telemetry forms of the MQTT contract in JSON, CBOR and SenML, and its status.

Written apart from the decoder of `ingest`, on purpose: the two meet only in the contract, so that a mistake in one is
not mirrored by the other. Numbers go out with the digits they have, never as NaN or Infinity, which JSON doesn't know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson

from firmware_sim import cbor

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Form(StrEnum):
    """How readings are laid out in a message."""

    FLAT = "flat"
    """One object a sample, points beside `ts`. Has no room for a sequence number."""
    VALUES = "values"
    """One object a sample, points under `values`."""
    LIST = "list"
    """A list of `values` objects."""
    COLUMNS = "columns"
    """One object for many samples: `t0`, `dt` and a list a point. The cheapest by far."""
    CBOR = "cbor"
    """The same, in CBOR, each list a typed array."""
    SENML_JSON = "senml-json"
    """SenML (RFC 8428): a record a reading."""
    SENML_CBOR = "senml-cbor"
    """The same, in CBOR."""


JSON_FORMS = (Form.FLAT, Form.VALUES, Form.LIST, Form.COLUMNS)

CONTENT_TYPES = dict.fromkeys(JSON_FORMS, "application/json") | {
    Form.CBOR: "application/cbor",
    Form.SENML_JSON: "application/senml+json",
    Form.SENML_CBOR: "application/senml+cbor",
}
"""What a device says its messages are, with MQTT 5."""

SENML_UNITS = {"degC": "Cel", "%": "%", "A": "A", "V": "V", "kW": "kW", "kWh": "kWh", "Hz": "Hz", "N": "N"}
"""Units of ours that SenML has, as it spells them; the others are not said."""
_SENML_NUMBERS = {"boot": "boot", "seq": "seq", "bt": -3, "n": 0, "u": 1, "v": 2, "t": 6}


@dataclass(frozen=True, slots=True)
class Message:
    """A payload and the sequence numbers it spends: `last_seq` is its last, the next message goes on from there."""

    last_seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Samples of one device, evenly spaced: `t0_ms + i * dt_ms`. `columns` holds a list of one length a point.

    `units` are SenML's, by point, where there are any; the other forms have no place for them.
    """

    t0_ms: int
    dt_ms: int
    columns: Mapping[str, Sequence[float]]
    units: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def encode(form: Form, block: Block, boot: int, seq: int) -> list[Message]:
    """The messages of a block, in order; the first spends the sequence number `seq`.

    A list spends one number an item, every other form one a message.
    """
    if form in {Form.COLUMNS, Form.CBOR}:
        return [Message(seq, _columns(form, block, boot, seq))]
    if form in {Form.SENML_JSON, Form.SENML_CBOR}:
        return [Message(seq, _pack(form, records))] if (records := senml(block, boot, seq)) else []
    stamps = [block.t0_ms + i * block.dt_ms for i in range(len(block))]
    rows = [dict(zip(block.columns, row, strict=True)) for row in zip(*block.columns.values(), strict=True)]
    if form is Form.FLAT:
        flat = ({"ts": ts} | row for ts, row in zip(stamps, rows, strict=True))
        return [Message(seq + i, orjson.dumps(item)) for i, item in enumerate(flat)]
    items = [sample(ts * 1000, row, boot, seq + i) for i, (ts, row) in enumerate(zip(stamps, rows, strict=True))]
    if form is Form.LIST:
        return [Message(seq + len(items) - 1, orjson.dumps(items))] if items else []
    return [Message(seq + i, orjson.dumps(item)) for i, item in enumerate(items)]


def _columns(form: Form, block: Block, boot: int, seq: int) -> bytes:
    body: dict[str, Any] = {"t0": block.t0_ms, "dt": block.dt_ms, "boot": boot, "seq": seq}
    if form is Form.CBOR:
        return cbor.dumps(body | {"values": {point: cbor.Column(values) for point, values in block.columns.items()}})
    return orjson.dumps(body | {"values": {point: list(values) for point, values in block.columns.items()}})


def _pack(form: Form, records: list[dict[str, Any]]) -> bytes:
    if form is Form.SENML_JSON:
        return orjson.dumps(records)
    return cbor.dumps([{_SENML_NUMBERS[label]: value for label, value in record.items()} for record in records])


def senml(block: Block, boot: int, seq: int) -> list[dict[str, Any]]:
    """The records of a block as a SenML pack; what is not finite is left out.

    A point's name is as it stands, its time in seconds from the base. The first record holds what all share, and, as an
    extension of ours, the boot and the sequence number of the pack.
    """
    records: list[dict[str, Any]] = [
        {"n": point}
        | ({"u": block.units[point]} if point in block.units else {})
        | {"t": i * block.dt_ms / 1000, "v": value}
        for point, values in block.columns.items()
        for i, value in enumerate(values)
        if math.isfinite(value)
    ]
    if records:
        records[0] = {"bt": block.t0_ms / 1000, "boot": boot, "seq": seq} | records[0]
    return records


def sample(time_us: int, values: Mapping[str, float], boot: int, seq: int) -> dict[str, Any]:
    """One sample as an object with `values`; what is not finite is left out."""
    finite = {point: value for point, value in values.items() if math.isfinite(value)}
    return {"ts": stamp(time_us), "boot": boot, "seq": seq, "values": finite}


def stamp(time_us: int) -> int | str:
    """Milliseconds since 1970 where the time is whole milliseconds, else RFC 3339 with microseconds."""
    return time_us // 1000 if time_us % 1000 == 0 else rfc3339(time_us)


def rfc3339(time_us: int) -> str:
    """A time in UTC, with as many digits of a second as it needs."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat().replace("+00:00", "Z")
