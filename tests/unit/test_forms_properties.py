"""What a device encodes is what is decoded, in every form; CBOR says what JSON says; SenML is resolved as by hand."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import cbor2
import numpy as np
import pytest
from decoding import ARRIVED_MS, decoded, said
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware_sim import cbor
from firmware_sim.encoding import CONTENT_TYPES, JSON_FORMS, Block, Form, encode
from ingest.forms.senml import LABELS
from ingest.reading.stamps import MAX_AHEAD_MS

NUMBERS = {label: number for number, label in LABELS.items()}
# Not more than the reader takes for a number.
FINITE = st.floats(min_value=-1.6e308, max_value=1.6e308, allow_nan=False)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9:./_-]{0,20}", fullmatch=True)
SPOKEN = st.sampled_from(["temperature", "vibration x", "Druck", "ölstand", "流量"])


@st.composite
def blocks(draw: st.DrawFn, names: st.SearchStrategy[str]) -> Block:
    length = draw(st.integers(1, 12))
    value = draw(st.sampled_from([FINITE, st.floats(width=16, allow_nan=False, allow_infinity=False), st.just(0.1)]))
    dt_ms = draw(st.integers(1, 60_000))
    points = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return Block(
        t0_ms=draw(st.integers(ARRIVED_MS - 10**11, ARRIVED_MS - 10**6)),
        dt_ms=dt_ms,
        columns={point: draw(st.lists(value, min_size=length, max_size=length)) for point in points},
        units={point: "beats" for point in points if draw(st.booleans())},
    )


@pytest.mark.parametrize("told", [True, False], ids=["by content type", "by its bytes"])
@pytest.mark.parametrize("form", Form)
@given(data=st.data())
@settings(max_examples=60)
def test_what_a_device_encodes_is_what_is_decoded(form: Form, told: bool, data: st.DataObject) -> None:
    senml = form in {Form.SENML_JSON, Form.SENML_CBOR}
    block = data.draw(blocks(NAMES if senml else NAMES.filter(lambda name: name not in {"ts", "seq"}) | SPOKEN))
    messages = encode(form, block, boot=7, seq=40)
    result = decoded(*(m.payload for m in messages), content_type=CONTENT_TYPES[form] if told else "")
    assert not result.rejects
    assert sorted(said(result)) == sorted(
        (point, (block.t0_ms + i * block.dt_ms) * 1000, value, "good")
        for point, values in block.columns.items()
        for i, value in enumerate(values)
    )
    counted = [seq for *_, boot, seq in result.counted if boot == 7]
    items = len(block) if form in {Form.VALUES, Form.LIST} else 1
    assert counted == ([] if form is Form.FLAT else list(range(40, 40 + items)))
    if senml:
        units = dict(zip((key.point for key in result.unknown), result.units, strict=True))
        assert units == {point: block.units.get(point, "") for point in block.columns}


@given(blocks(NAMES), st.sampled_from([Form.CBOR, Form.SENML_JSON, Form.SENML_CBOR]))
def test_what_is_not_finite_is_left_out(block: Block, form: Form) -> None:
    point, values = next(iter(block.columns.items()))
    gone = Block(block.t0_ms, block.dt_ms, {point: [math.nan, *values, -math.inf]})
    result = decoded(*(m.payload for m in encode(form, gone, boot=1, seq=0)))
    assert not result.rejects
    assert [value for _, _, value, _ in said(result)] == values


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FINITE | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=20,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "ts": TREES | st.just(ARRIVED_MS),
        "t0": TREES | st.just(ARRIVED_MS),
        "dt": TREES | st.just(100),
        "values": TREES | st.dictionaries(st.text(max_size=5), st.lists(TREES, max_size=5), max_size=4),
        "seq": TREES | st.integers(0, 1000),
        "boot": TREES | st.integers(0, 1000),
        "flow": TREES,
    },
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "bn": NAMES | st.just("") | TREES,
        "bt": st.floats(0, 2e9) | TREES,
        "bu": st.sampled_from(["Cel", "K", "Pa", "beats", ""]) | TREES,
        "bv": FINITE | TREES,
        "bs": FINITE | TREES,
        "bver": st.sampled_from([10, 26, 5, 11]) | TREES,
        "n": NAMES | TREES,
        "u": st.sampled_from(["Cel", "K", "Pa", "beats", ""]) | TREES,
        "v": FINITE | TREES,
        "vb": st.booleans(),
        "vs": st.text(max_size=5),
        "s": FINITE | TREES,
        "t": st.floats(-1e6, 1e6) | TREES,
        "ut": FINITE,
        "x_": TREES,
        "y": TREES,
    },
)


@given(TREES | FIELDS | st.lists(FIELDS, max_size=4))
@settings(max_examples=200)
@example([{}])
def test_cbor_says_what_json_says(document: Any) -> None:
    """By the library's encoder and by the simulator's, which was written apart from it."""
    wanted = decoded(json.dumps(document).encode(), content_type="application/json")
    for payload in (cbor2.dumps(document), cbor.dumps(document)):
        result = decoded(payload, content_type="application/cbor")
        if any("nesting" in reject.reason for reject in result.rejects):
            continue
        assert said(result) == said(wanted)
        assert result.counted == wanted.counted
        if not any("beyond what a number can hold" in reject.reason for reject in wanted.rejects):
            assert [reject.reason for reject in result.rejects] == [reject.reason for reject in wanted.rejects]


@given(st.lists(RECORDS | TREES, min_size=1, max_size=5))
@settings(max_examples=200)
def test_senml_in_cbor_says_what_it_says_in_json(records: list[Any]) -> None:
    wanted = decoded(json.dumps(records).encode(), content_type="application/senml+json")
    labelled = [
        {NUMBERS.get(label, label): value for label, value in record.items()} if isinstance(record, dict) else record
        for record in records
    ]
    for payload in (cbor2.dumps(labelled), cbor.dumps(labelled), cbor.dumps(records)):
        result = decoded(payload, content_type="application/senml+cbor")
        if any("nesting" in reject.reason for reject in result.rejects):
            continue  # CBOR allows less depth for what nobody looks at
        assert said(result) == said(wanted)
        assert [reject.reason for reject in result.rejects] == [reject.reason for reject in wanted.rejects]


@given(st.integers(-(2**64), 2**64 - 1), st.integers(-420, 420))
def test_a_decimal_fraction_is_the_nearest_double(digits: int, exponent: int) -> None:
    payload = cbor2.dumps({"x": cbor2.CBORTag(4, [exponent, digits])})
    nearest = float(f"{digits}e{exponent}")
    # Beyond what a device may mean: not worked out.
    wanted = [nearest] if abs(exponent) <= 400 and abs(nearest) < 1.7e308 else []
    assert [value for _, _, value, _ in said(decoded(payload))] == wanted


# SenML by hand --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resolved:
    name: str
    value: float
    time_us: int


def by_hand(records: list[dict[str, Any]]) -> list[Resolved]:
    """RFC 8428, section 4.6, word by word: each record with the base fields in force put into it."""
    base: dict[str, Any] = {}
    resolved = []
    for record in records:
        base |= {label: value for label, value in record.items() if label.startswith("b")}
        name = base.get("bn", "") + record.get("n", "")
        at_s = base.get("bt", 0) + record.get("t", 0)
        time_us = round(at_s * 1e6) + (ARRIVED_MS * 1000 if at_s < 2**28 else 0)
        if "v" in record:
            resolved.append(Resolved(name, base.get("bv", 0) + record["v"], time_us))
        if "vb" in record:
            resolved.append(Resolved(name, float(record["vb"]), time_us))
        if "s" in record or ("bs" in base and "v" in record):
            resolved.append(Resolved(f"{name}.sum", base.get("bs", 0) + record.get("s", 0), time_us))
    return resolved


SMALL = st.floats(-1e6, 1e6)
GOOD_RECORDS = st.fixed_dictionaries(
    {"n": NAMES},
    optional={
        "bn": NAMES | st.just(""),
        "bt": st.floats(1e9, ARRIVED_MS / 1000 - 1e6) | st.just(0),
        "bv": SMALL,
        "bs": SMALL,
        "t": st.integers(-(10**6), 0) | st.floats(-1e6, 0),
        "s": SMALL,
    },
)


@given(st.lists(st.tuples(GOOD_RECORDS, SMALL | st.booleans()), min_size=1, max_size=8))
@settings(max_examples=300)
def test_senml_is_resolved_as_by_hand(drawn: list[tuple[dict[str, Any], float]]) -> None:
    records = [record | {"vb" if isinstance(value, bool) else "v": value} for record, value in drawn]
    result = decoded(json.dumps(records).encode(), content_type="application/senml+json", device="nobody")
    assert not result.rejects
    assert [Resolved(point, value, time_us) for point, time_us, value, _ in said(result)] == by_hand(records)


# Whatever comes -------------------------------------------------------------------------------------------------------

ANY_TYPE = st.sampled_from(["", *sorted(set(CONTENT_TYPES.values())), "application/xml"])
CBOR_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=16),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=5) | st.integers(-7, 9) | st.binary(max_size=3), inner, max_size=5)
        | st.builds(
            cbor2.CBORTag,
            # Any tag that the library's own encoder writes as it is told.
            st.sampled_from([0, 1, 2, 3, 4, 24, 30, 37, 64, 67, 76, 80, 85, 87, 100, 258, 260, 55_799, 2**63]),
            inner,
        )
    ),
    max_leaves=25,
)


@given(
    st.binary(max_size=400)
    | CBOR_TREES.map(cbor2.dumps)
    | st.dictionaries(st.sampled_from(["ts", "t0", "dt", "values", "seq", "x"]), CBOR_TREES).map(cbor2.dumps)
    | st.lists(st.dictionaries(st.sampled_from(sorted(LABELS)), CBOR_TREES), max_size=4).map(cbor2.dumps)
    | st.lists(RECORDS, max_size=4).map(json.dumps).map(str.encode),
    ANY_TYPE,
)
@settings(max_examples=200)
@example(b"[" * 5000, "application/senml+json")
@example(b"\x81" * 5000, "application/senml+cbor")
def test_whatever_comes_becomes_readings_or_rejects(payload: bytes, content_type: str) -> None:
    result = decoded(payload, b'{"after": 1}', content_type=content_type)
    batch = result.batch
    assert np.isfinite(batch.value).all()
    assert (batch.time_us <= (ARRIVED_MS + MAX_AHEAD_MS) * 1000).all()
    for reject in result.rejects:
        assert not reject.reason.startswith("could not be read"), "a mistake of ours"
    assert len(batch) or result.rejects or payload


def test_no_form_is_left_out() -> None:
    assert {*JSON_FORMS, Form.CBOR, Form.SENML_JSON, Form.SENML_CBOR} == set(Form) == set(CONTENT_TYPES)
