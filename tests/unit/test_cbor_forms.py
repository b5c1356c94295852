"""Telemetry as CBOR: every tag that is read, every other, and what a stranger may try."""

from __future__ import annotations

import struct
import time
import tracemalloc

import cbor2
import pytest
from decoding import ARRIVED_MS, Case, decoded, golden, said

from ingest.forms.cbor_forms import MAX_DEPTH
from ingest.reading import MAX_PAYLOAD_BYTES

GOLDEN = golden("cbor")
TYPED = {
    64: "B", 65: ">H", 66: ">I", 67: ">Q", 68: "B", 69: "<H", 70: "<I", 71: "<Q",
    72: "b", 73: ">h", 74: ">i", 75: ">q", 77: "<h", 78: "<i", 79: "<q",
    80: ">e", 81: ">f", 82: ">d", 84: "<e", 85: "<f", 86: "<d",
}  # fmt: skip


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.path.stem)
def test_golden(case: Case) -> None:
    case.check()


def test_there_are_golden_cases() -> None:
    assert len(GOLDEN) > 60


@pytest.mark.parametrize(("tag", "layout"), TYPED.items())
def test_a_typed_array_is_the_numbers_it_holds(tag: int, layout: str) -> None:
    values = [0, 1, 100, 127]
    column = cbor2.CBORTag(tag, b"".join(struct.pack(layout, value) for value in values))
    result = decoded(cbor2.dumps({"t0": ARRIVED_MS - 1000, "dt": 250, "values": {"x": column}}))
    assert not result.rejects
    assert [(value, (time_us // 1000) - ARRIVED_MS) for _, time_us, value, _ in said(result)] == [
        (float(value), -1000 + 250 * i) for i, value in enumerate(values)
    ]


@pytest.mark.parametrize(("tag", "one", "nan"), [(84, "003c", "017c"), (85, "0000803f", "0100807f")])
def test_a_nan_that_complains_when_it_is_widened_is_no_number(tag: int, one: str, nan: str) -> None:
    column = cbor2.CBORTag(tag, bytes.fromhex(one + nan + one))
    result = decoded(cbor2.dumps({"t0": ARRIVED_MS - 1000, "dt": 250, "values": {"x": column}}))
    assert [value for _, _, value, _ in said(result)] == [1.0, 1.0]
    (reject,) = result.rejects
    assert not reject.reason.startswith("could not be read")


KNOWN = {0, 1, 2, 3, 4, 55799, *TYPED}


def test_no_tag_but_those_is_read() -> None:
    """Whatever the library knows beside: it must not follow references, build sets, compile patterns or parse mail."""
    for tag in {*range(300), 1004, 40_000, 43_000, 55_799, 65_535, 2**32, 2**64 - 1} - KNOWN:
        for content in ("text", b"bytes", 5, [1, 2], {"a": 1}, None):
            # The library's own encoder knows some tags by heart, and refuses what they may not hold.
            head = b"\xdb" + tag.to_bytes(8)
            result = decoded(b"\xa1\x61x" + head + cbor2.dumps(content))
            assert [reject.reason for reject in result.rejects] == [f"x: tag {tag} is no number"]
            assert not len(result.batch)


@pytest.mark.parametrize("major", range(2, 7))
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_length_that_is_only_declared_takes_no_memory(major: int, size: int) -> None:
    head = bytes([major << 5 | 23 + size.bit_length()]) + b"\xff" * size
    for payload in (head, b"\x81" + head, b"\xa1\x61x" + head, b"\xa2\x61x\x01" + head, head + b"\x61x\x01"):
        tracemalloc.start()
        result = decoded(payload)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert highest < 1 << 20
        assert len(result.rejects) == 1


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x9f" * MAX_PAYLOAD_BYTES, id="lists"),
        pytest.param(b"\xbf\x61a" * (MAX_PAYLOAD_BYTES // 3), id="maps"),
        pytest.param(b"\xc1" * MAX_PAYLOAD_BYTES, id="tags"),
        pytest.param(b"\x7f" * MAX_PAYLOAD_BYTES, id="texts"),
        pytest.param(b"\x9b\x00\x00\x00\x00\x00\x10\x00\x00" + b"\x80" * (MAX_PAYLOAD_BYTES - 9), id="empty lists"),
        pytest.param(b"\xc2\x5a\x00\x0f\xff\x00" + b"\xff" * 0xFFF00, id="an integer of a megabyte"),
        pytest.param(
            b"\xa1\x61x\x9f" + b"\xc4\x82\x19\x01\x90\x1b" + b"\xff" * 8 + b"\xff\xff", id="a large decimal fraction"
        ),
        pytest.param(
            b"\xa1\x66values\xa1\x61x\x9f" + b"\xc4\x82\x19\x01\x18\x01" * 170_000 + b"\xff",
            id="many decimal fractions",
        ),
    ],
)
def test_what_a_stranger_may_try_is_over_soon(payload: bytes) -> None:
    began = time.process_time()
    result = decoded(payload[:MAX_PAYLOAD_BYTES], b'{"after": 1}')
    assert time.process_time() - began < 5
    assert said(result)[-1][0] == "after"
    assert len(result.rejects) >= 1


def test_a_map_of_very_many_keys_is_over_soon() -> None:
    """Texts, whose hash no stranger can foresee; numbers and lists, whose hash they can, are no keys."""
    for count, keys in (
        (60_000, (f"p{number}" for number in range(60_000))),
        (1000, (number * ((1 << 61) - 1) for number in range(8))),
    ):
        payload = b"\xbf" + b"".join(cbor2.dumps(key) + b"\x01" for key in keys) + b"\xff"
        began = time.process_time()
        assert decoded(payload).rejects
        assert time.process_time() - began < 1, count


def test_what_nests_deep_costs_its_part_and_deeper_its_message() -> None:
    fraction = cbor2.CBORTag(4, [-1, 15])
    document = [{"t0": ARRIVED_MS, "dt": 1, "values": {"x": [fraction]}}]
    assert [value for _, _, value, _ in said(decoded(b"\xd9\xd9\xf7" + cbor2.dumps(document)))] == [1.5]
    for depth, readings, reason in ((MAX_DEPTH - 1, 1, "x: a list is no number"), (MAX_DEPTH, 0, "not CBOR")):
        result = decoded(b"\xa2\x61x" + b"\x81" * depth + b"\x01" + b"\x61y\x02")
        assert len(result.batch) == readings
        assert result.rejects[0].reason.startswith(reason)


def test_so_many_values_in_a_message_and_no_more() -> None:
    """A byte a value, a message would be a million rows."""
    columns = {point: cbor2.CBORTag(64, bytes(100_000)) for point in ("a", "b", "c", "d")}
    result = decoded(cbor2.dumps({"t0": ARRIVED_MS - 10**6, "dt": 1, "values": columns}))
    assert len(result.batch) == 200_000
    assert [reject.reason for reject in result.rejects] == [
        "c: more than 262144 values in a message",
        "d: more than 262144 values in a message",
    ]
