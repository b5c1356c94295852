"""Telemetry as JSON into columns: every form, every reason for a reject, and no bytes that stop it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware_sim import encoding
from ingest.decoding import Decoded, decode
from ingest.messages import Message
from ingest.reading import MAX_PAYLOAD_BYTES, MAX_POINT_LENGTH, MAX_POINTS, Numbers
from ingest.reading.stamps import MAX_AHEAD_MS
from telemetry import Quality, StreamKey, Topic

TOPIC = Topic("demo", "pump-1", "telemetry")
ARRIVED_MS = 1_782_907_200_000
GOLDEN = sorted((Path(__file__).parents[1] / "golden/json").glob("*.json"))


def decoded(*payloads: bytes | str, numbers: Numbers | None = None) -> Decoded:
    messages = [Message(str(TOPIC), p.encode() if isinstance(p, str) else p) for p in payloads]
    return decode(messages, {} if numbers is None else numbers, ARRIVED_MS * 1000)


def readings(result: Decoded) -> list[tuple[str, int, float, str]]:
    """What a device said, in words: point, µs, value, quality."""
    batch = result.batch
    return [
        (result.unknown[-1 - stream].point, time_us, value, Quality(quality).name.lower())
        for time_us, stream, value, quality in zip(
            batch.time_us.tolist(), batch.stream.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True
        )
    ]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda path: path.stem)
def test_golden(case: Path) -> None:
    wanted = json.loads(case.read_text())
    result = decoded(wanted["payload"])
    assert [list(reading) for reading in readings(result)] == wanted["readings"], wanted["why"]
    assert [reject.reason for reject in result.rejects] == wanted["rejects"], wanted["why"]


def test_there_are_golden_cases() -> None:
    assert len(GOLDEN) > 40


def test_a_reject_says_whose_it_was_and_keeps_the_bytes() -> None:
    (reject,) = decoded(b"\xff\x00").rejects
    assert (reject.topic, reject.tenant, reject.device, reject.payload) == (str(TOPIC), "demo", "pump-1", b"\xff\x00")


def test_streams_known_keep_their_numbers_and_new_ones_count_down() -> None:
    numbers: Numbers = {("demo", "pump-1"): {"flow": 7}}
    result = decoded('{"flow": 1, "speed": 2}', '{"speed": 3, "flow": 4, "level": 5}', numbers=numbers)
    assert result.batch.stream.tolist() == [7, -1, -1, 7, -2]
    assert result.unknown == [StreamKey("demo", "pump-1", "speed"), StreamKey("demo", "pump-1", "level")]
    assert numbers == {("demo", "pump-1"): {"flow": 7}}, "decoded again, it is the same again"


def test_readings_without_a_time_that_come_together_stay_apart() -> None:
    result = decoded('{"flow": 1}', '{"flow": 2}', '[{"flow": 3}]')
    assert [(time_us - ARRIVED_MS * 1000, value) for _, time_us, value, _ in readings(result)] == [
        (0, 1),
        (1, 2),
        (2, 3),
    ]


def test_who_sends_nothing_but_rubbish_makes_no_stream() -> None:
    numbers: Numbers = {}
    assert not decoded("rubbish", "[]", '{"flow": "text"}', numbers=numbers).unknown
    assert numbers == {}


def test_limits_on_what_one_message_may_hold() -> None:
    assert decoded(b" " * (MAX_PAYLOAD_BYTES + 1)).rejects[0].reason == "larger than 1048576 bytes"
    many = {f"p{number}": 1 for number in range(MAX_POINTS + 10)}
    assert decoded(json.dumps({"values": many})).rejects[0].reason == "more than 1000 points"
    series = {"t0": ARRIVED_MS, "dt": 1, "values": {point: [1] for point in many}}
    assert decoded(json.dumps(series)).rejects[0].reason == "more than 1000 points"
    long = "x" * (MAX_POINT_LENGTH + 1)
    assert "a point's name is 1 to 128" in decoded(json.dumps({long: 1, "flow": 2})).rejects[0].reason


def test_a_device_has_so_many_points_and_no_more() -> None:
    numbers: Numbers = {("demo", "pump-1"): {f"p{number}": number for number in range(MAX_POINTS)}}
    result = decoded('{"p3": 1, "one_more": 2, "p4": 3}', numbers=numbers)
    assert result.batch.value.tolist() == [1, 3]
    assert [reject.reason for reject in result.rejects] == ["one_more: the device has 1000 points already"]


def test_a_long_text_among_many_short_ones_takes_no_memory() -> None:
    """As an array of fixed-width text this message would be 100 GB."""
    column = [""] * 50_000 + ["x" * 500_000]
    result = decoded(json.dumps({"t0": ARRIVED_MS, "dt": 1, "values": {"flow": column, "speed": [1]}}))
    assert readings(result) == [("speed", ARRIVED_MS * 1000, 1.0, "good")]
    assert [reject.reason for reject in result.rejects] == ["flow: 50001 of 50001 values are no numbers"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(width=64) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=30,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "ts": JSON | st.just(ARRIVED_MS),
        "t0": JSON | st.just(ARRIVED_MS),
        "dt": JSON | st.just(100),
        "values": JSON | st.dictionaries(st.text(max_size=5), st.lists(JSON, max_size=5), max_size=4),
        "seq": JSON,
        "flow": JSON,
    },
)


@given(
    st.binary(max_size=400) | (JSON | FIELDS | st.lists(FIELDS, max_size=4)).map(lambda tree: json.dumps(tree).encode())
)
@settings(max_examples=500)
@example(b'{"ts": 1e308, "a": 1}')
@example(b'{"t0": 1782907200000, "dt": 5e-324, "values": {"a": [1, 2]}}')
@example(b"[" * 5000)
def test_whatever_comes_becomes_readings_or_rejects(payload: bytes) -> None:
    result = decoded(payload, '{"after": 1}')
    batch = result.batch
    assert np.isfinite(batch.value).all()
    assert len(batch.time_us) == len(batch.stream) == len(batch.value) == len(batch.quality)
    assert (batch.stream >= -len(result.unknown)).all()
    assert (batch.stream < 0).all()
    assert (batch.time_us <= (ARRIVED_MS + MAX_AHEAD_MS) * 1000).all()
    assert ("after", 1.0) in [(point, value) for point, _, value, _ in readings(result)]
    for reject in result.rejects:
        assert reject.reason
        assert reject.payload == payload


POINTS = st.lists(st.sampled_from(["temperature", "flow", "vibration x", "Druck"]), min_size=1, max_size=4, unique=True)


@st.composite
def blocks(draw: st.DrawFn) -> encoding.Block:
    length = draw(st.integers(1, 12))
    value = st.floats(min_value=-1e300, max_value=1e300, allow_nan=False)
    return encoding.Block(
        t0_ms=draw(st.integers(ARRIVED_MS - 10**9, ARRIVED_MS - 10**6)),
        dt_ms=draw(st.integers(1, 60_000)),
        columns={point: draw(st.lists(value, min_size=length, max_size=length)) for point in draw(POINTS)},
    )


@given(blocks(), st.sampled_from(encoding.JSON_FORMS))
def test_what_a_device_encodes_is_what_is_decoded(block: encoding.Block, form: encoding.Form) -> None:
    result = decoded(*(message.payload for message in encoding.encode(form, block, boot=1, seq=0)))
    wanted = {
        (point, (block.t0_ms + i * block.dt_ms) * 1000, value, "good")
        for point, values in block.columns.items()
        for i, value in enumerate(values)
    }
    assert not result.rejects
    assert set(readings(result)) == wanted
    assert len(result.batch) == len(wanted)


@given(st.integers(946_684_800_000_000, ARRIVED_MS * 1000), st.floats(-1e9, 1e9))
def test_a_device_s_own_microseconds_survive(time_us: int, value: float) -> None:
    payload = json.dumps(encoding.sample(time_us, {"flow": value}, boot=1, seq=1))
    assert readings(decoded(payload)) == [("flow", time_us, value, "good")]
