"""Metrics of every type: what an edge node encodes, the host reads; and no bytes stop it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.sparkplug_encoding import Metric, Type, commands, payload
from ingest.messages import Message
from ingest.sparkplug import SparkplugHost
from ingest.sparkplug.schema import Payload

NOW_MS = 1_782_907_200_000

SIGNED = {Type.INT8: 8, Type.INT16: 16, Type.INT32: 32, Type.INT64: 64}
UNSIGNED = {Type.UINT8: 8, Type.UINT16: 16, Type.UINT32: 32, Type.UINT64: 64}
READINGS: dict[Type, st.SearchStrategy[Any]] = {
    **{kind: st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) for kind, bits in SIGNED.items()},
    **{kind: st.integers(0, (1 << bits) - 1) for kind, bits in UNSIGNED.items()},
    Type.FLOAT: st.floats(width=32, allow_nan=False, allow_infinity=False),
    Type.DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    Type.BOOLEAN: st.booleans(),
}
TEXTS = st.text(max_size=20)
MS = st.integers(0, 1 << 53)
OTHERS: dict[Type, st.SearchStrategy[Any]] = {
    **dict.fromkeys((Type.STRING, Type.TEXT, Type.UUID), TEXTS),
    **dict.fromkeys((Type.BYTES, Type.FILE), st.binary(max_size=20)),
    Type.DATETIME: MS,
    Type.DATETIME_ARRAY: st.lists(MS, max_size=4),
    Type.STRING_ARRAY: st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0")), max_size=4),
    Type.BOOLEAN_ARRAY: st.lists(st.booleans(), max_size=20),
    **{Type[f"{kind.name}_ARRAY"]: st.lists(numbers, max_size=4) for kind, numbers in READINGS.items()},
    Type.DATASET: st.builds(
        lambda numbers, texts: {
            "a": (Type.INT32, numbers[: len(texts)]),
            "b": (Type.STRING, texts[: len(numbers)]),
        },
        st.lists(READINGS[Type.INT32], max_size=4),
        st.lists(TEXTS, max_size=4),
    ),
    Type.TEMPLATE: st.builds(
        lambda value: ("motors", [Metric("rpm", Type.DOUBLE, value)]), READINGS[Type.DOUBLE]
    ),
}  # fmt: skip
NAMES = st.text(st.characters(categories=["L", "N", "P"], include_characters=" "), min_size=1, max_size=30).filter(
    lambda name: name.isprintable() and name != "bdSeq" and not name.startswith(("Node C", "Device C", "Properties/"))
)


def metric_of(kinds: dict[Type, st.SearchStrategy[Any]]) -> st.SearchStrategy[tuple[Type, Any]]:
    return st.sampled_from(sorted(kinds)).flatmap(lambda kind: st.tuples(st.just(kind), kinds[kind]))


def host_of(*declared: Metric) -> SparkplugHost:
    host = SparkplugHost()
    host.hear(Message("spBv1.0/demo/NBIRTH/edge", payload(NOW_MS, declared, 0)), NOW_MS * 1000)
    return host


def test_every_type_has_its_values() -> None:
    assert set(READINGS) | set(OTHERS) == set(Type)


@given(
    metrics=st.dictionaries(NAMES, metric_of(READINGS | OTHERS), max_size=12),
    unit=st.text(st.characters(categories=["L", "N"]), max_size=8),
    aliases=st.booleans(),
)
@settings(max_examples=300)
def test_what_is_encoded_is_what_is_read(metrics: dict[str, tuple[Type, Any]], unit: str, aliases: bool) -> None:
    properties = {"engUnit": unit} if unit else {}
    declared = [
        Metric(name, kind, value, alias=i if aliases else None, stamp_ms=NOW_MS + i, properties=properties)
        for i, (name, (kind, value)) in enumerate(metrics.items())
    ]
    host = SparkplugHost()
    (birth,) = host.hear(Message("spBv1.0/demo/NBIRTH/edge", payload(NOW_MS, declared, 0)), NOW_MS * 1000)
    wanted = [
        (name, value, NOW_MS + i, 0, unit)
        for i, (name, (kind, value)) in enumerate(metrics.items())
        if kind in READINGS
    ]
    assert birth.readings == wanted
    said = [
        Metric(None if aliases else m.name, m.type, m.value, m.alias, m.stamp_ms, says_type=False) for m in declared
    ]
    (data,) = host.hear(Message("spBv1.0/demo/NDATA/edge", payload(NOW_MS, said, 1)), NOW_MS * 1000)
    assert data.readings == wanted
    assert birth.reasons == data.reasons == []


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (Type.INT8, 0xE9, -23),  # in as many bits as the type has
        (Type.INT8, 0xFFFF_FFE9, -23),  # or the field
        (Type.INT16, 0x8AD0, -30000),
        (Type.INT16, 0xFFFF_8AD0, -30000),
        (Type.INT32, 0xFFFF_FFFF, -1),
        (Type.INT8, 300, None),
        (Type.INT16, 0x1_0000, None),
        (Type.UINT8, 256, None),
        (Type.UINT16, 65535, 65535),
    ],
)
def test_integers_as_nodes_really_send_them(kind: Type, raw: int, value: int | None) -> None:
    host = host_of(Metric("n", kind, 0, alias=0))
    said = Payload(seq=1, timestamp=NOW_MS)
    said.metrics.add(alias=0, int_value=raw)
    (heard,) = host.hear(Message("spBv1.0/demo/NDATA/edge", said.SerializeToString()), NOW_MS * 1000)
    assert [reading[1] for reading in heard.readings] == ([] if value is None else [value])
    assert heard.reasons == (["n: no value of its type"] if value is None else [])


@pytest.mark.parametrize(
    ("kind", "field", "sent", "value"),
    [
        (Type.INT64, "int_value", 5, 5),
        (Type.INT32, "long_value", (1 << 64) - 5, -5),
        (Type.UINT16, "long_value", 5, 5),
        (Type.FLOAT, "double_value", 0.1, 0.1),
        (Type.DOUBLE, "float_value", 0.5, 0.5),
        (Type.BOOLEAN, "int_value", 1, 1),
        (Type.DOUBLE, "int_value", 1, None),
        (Type.DOUBLE, "string_value", "1", None),
        (Type.INT32, "boolean_value", True, None),
        (Type.DOUBLE, "bytes_value", b"", None),
    ],
)
def test_values_in_another_field_than_their_types(kind: Type, field: str, sent: Any, value: float | None) -> None:
    host = host_of(Metric("n", kind, 0, alias=0))
    said = Payload(seq=1, timestamp=NOW_MS)
    setattr(said.metrics.add(alias=0), field, sent)
    (heard,) = host.hear(Message("spBv1.0/demo/NDATA/edge", said.SerializeToString()), NOW_MS * 1000)
    assert [reading[1] for reading in heard.readings] == ([] if value is None else [value])
    assert bool(heard.reasons) == (value is None)


def test_numbers_that_are_none_are_the_readers_to_refuse() -> None:
    host = host_of(Metric("n", Type.DOUBLE, 0.0, alias=0))
    said = payload(NOW_MS, [Metric(None, Type.DOUBLE, math.nan, alias=0)], 1)
    (heard,) = host.hear(Message("spBv1.0/demo/NDATA/edge", said), NOW_MS * 1000)
    assert math.isnan(heard.readings[0][1])


@given(
    bodies=st.lists(
        st.tuples(
            st.sampled_from(
                ["NBIRTH/edge", "NDATA/edge", "NDEATH/edge", "DBIRTH/edge/d", "DDATA/edge/d", "DDEATH/edge/d"]
            ),
            st.binary(max_size=60) | st.builds(
                payload,
                st.none() | MS,
                st.lists(st.builds(
                    lambda name, pair, alias: Metric(name, *pair, alias=alias),
                    st.none() | TEXTS,
                    metric_of(READINGS | OTHERS),
                    st.none() | st.integers(0, 3),
                ), max_size=4),
                st.none() | st.integers(0, 1 << 20),
            ),
        ),
        max_size=12,
    )
)  # fmt: skip
@settings(max_examples=300)
def test_no_bytes_stop_it(bodies: list[tuple[str, bytes]]) -> None:
    host = SparkplugHost()
    heard = []
    for i, (topic, body) in enumerate(bodies):
        kind, rest = topic.split("/", 1)
        heard += host.hear(Message(f"spBv1.0/demo/{kind}/{rest}", body), (NOW_MS + i) * 1000)
    heard += host.due((NOW_MS + 60_000) * 1000).heard
    assert len(heard) == len(bodies)  # each message comes out once
    assert not [reason for one in heard for reason in one.reasons if reason.startswith("could not be read")]


@given(st.binary(max_size=60))
def test_no_bytes_stop_a_node(body: bytes) -> None:
    try:
        commands(body)
    except ValueError:
        return
