"""Blocks of raw vibration off the wire: every field, every reason for a reject, and samples bit for bit."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from firmware_sim.waveforms import SCALE_G, VibrationBlock, encode
from ingest.forms.waveforms import features_of, read
from ingest.reading import Columns, Reader
from ingest.reading.refusals import BadMessage
from store.packing import PLAIN, pack, unpack
from store.waveforms import PackedBlock, id_of
from telemetry import QUANTITIES, Quality, Topic, quantity_of
from telemetry.waveform import MAX_SAMPLES, SAMPLE_TYPES, Samples, Waveform

TOPIC = Topic("demo", "pump-1", "waveform")
ARRIVED_US = 1_782_907_200_000_000
START_MS = ARRIVED_US // 1000 - 60_000
GOLDEN = sorted((Path(__file__).parents[1] / "golden/waveform").glob("*.json"))


def reader() -> tuple[Reader, Columns]:
    columns = Columns({}, ARRIVED_US, ARRIVED_US)
    return Reader(TOPIC, columns, 0), columns


def block(samples: Samples, **changes: object) -> bytes:
    fields = {"v": 1, "start": START_MS, "rate": 25_600, "axis": "x", "unit": "g"}
    return cbor2.dumps(
        {**fields, "type": f"{samples.dtype.kind}{samples.itemsize}", "samples": samples.tobytes()} | changes
    )


def decoded(payload: bytes) -> Waveform:
    return read(reader()[0], payload)


def readings(payload: bytes) -> dict[str, tuple[float, str]]:
    """Value and unit by point."""
    its, columns = reader()
    read(its, payload)
    assert not its.reasons
    assert set(columns.time_us) <= {START_MS * 1000}
    return {
        columns.unknown[-1 - stream].point: (value, columns.units[-1 - stream])
        for stream, value in zip(columns.stream, columns.value, strict=True)
    }


@pytest.mark.parametrize("case", GOLDEN, ids=lambda path: path.stem)
def test_golden(case: Path) -> None:
    wanted = json.loads(case.read_text())
    its, columns = reader()
    found = None
    try:
        w = read(its, bytes.fromhex(wanted["payload"]))
        found = {
            "axis": w.axis, "time_us": w.time_us, "quality": Quality(w.quality).name.lower(), "rate_hz": w.rate_hz,
            "shaft_rpm": w.shaft_rpm, "unit": w.unit, "scale": w.scale, "offset": w.offset, "type": w.sample_type,
            "samples": w.samples.tobytes().hex(),
        }  # fmt: skip
    except BadMessage as reason:
        its.reasons.append(str(reason))
    assert found == wanted["waveform"], wanted["why"]
    assert ["not CBOR" if reason.startswith("not CBOR") else reason for reason in its.reasons] == wanted["rejects"]
    assert [list(counted[3:]) for counted in columns.counted] == wanted["counted"], wanted["why"]


def test_there_are_golden_cases() -> None:
    assert len(GOLDEN) > 45


def test_the_example_in_the_manual_is_a_block() -> None:
    text = (Path(__file__).parents[2] / "docs/waveforms.md").read_text()
    example = text.partition("To the byte")[2].partition("```")[2].partition("```")[0]
    octets = (re.match(r"(?:\s*(?:[0-9a-f]{2})+(?=\s))+", line) for line in example.splitlines())
    payload = bytes.fromhex("".join(found[0] for found in octets if found))
    assert f"({len(payload)} bytes" in text
    columns = Columns({}, 1_763_740_900_000_000, 0)
    found = read(Reader(TOPIC, columns, 0), payload)
    assert (found.time_us, found.rate_hz, found.axis, found.unit) == (1_763_740_800_000_000, 25_600, "x", "g")
    assert (found.scale, found.samples.tolist()) == (2.0**-11, [0, 1, 32_767, -32_768])


@given(
    counts=arrays.arrays(np.dtype("<i2"), st.integers(1, 600)),
    rpm=st.floats(0, 60_000),
    rate_hz=st.floats(1, 200_000),
    seq=st.integers(0, 1 << 40),
)
def test_what_a_device_sends_is_what_is_read(counts: Samples, rpm: float, rate_hz: float, seq: int) -> None:
    its, columns = reader()
    sent = VibrationBlock("drive_end", START_MS, rate_hz, rpm, counts.astype(np.float64) * SCALE_G)
    found = read(its, encode(sent, 7, seq))
    assert found.samples.tobytes() == counts.tobytes()
    assert (found.time_us, found.rate_hz, found.axis, found.unit) == (START_MS * 1000, rate_hz, "drive_end", "g")
    assert found.shaft_rpm == pytest.approx(rpm, abs=0.0501)  # sent with one decimal
    assert found.values() == pytest.approx(sent.acceleration_g, abs=1e-9)
    assert columns.counted == [(0, "demo", "pump-1", 7, seq)]


def test_what_a_sensor_cannot_feel_is_clipped() -> None:
    sent = VibrationBlock("x", START_MS, 100.0, 0.0, np.array([1e9, -1e9, 0.0]))
    assert decoded(encode(sent, 1, 1)).samples.tolist() == [32_767, -32_768, 0]


def test_features_are_readings_at_the_blocks_time() -> None:
    tone = np.rint(10_000 * np.sin(2 * np.pi * 50 * np.arange(25_600) / 25_600)).astype("<i2")
    found = readings(block(tone, scale=1e-4))
    amplitude_mm_s = 9806.65 / (2 * np.pi * 50)
    assert found["x_velocity_rms"] == (pytest.approx(amplitude_mm_s / 2**0.5, rel=1e-3), "mm/s")
    assert found["x_acceleration_rms"] == (pytest.approx(0.5**0.5, rel=1e-3), "g")
    assert found["x_acceleration_10_1000"] == (pytest.approx(0.5**0.5, rel=1e-3), "g")
    assert found["x_kurtosis"] == (pytest.approx(1.5, rel=1e-3), "")
    assert len(found) == 9


@pytest.mark.parametrize(
    ("unit", "of_a_g"),
    [("g", 1.0), ("mg", 1000.0), ("m/s2", 9.80665), ("m/s²", 9.80665), ("mm/s2", 9806.65), ("in/s2", 386.0886)],
)
def test_units_of_acceleration_say_the_same(unit: str, of_a_g: float) -> None:
    noise = np.random.default_rng(3).standard_normal(25_600)
    wanted = readings(block(noise.astype("<f4")))
    found = readings(block((noise * of_a_g).astype("<f4"), unit=unit))
    assert {point: value for point, (value, _) in found.items()} == pytest.approx(
        {point: value for point, (value, _) in wanted.items()}, rel=1e-5
    )


@pytest.mark.parametrize(("unit", "of_a_mm_s"), [("mm/s", 1.0), ("m/s", 1e-3), ("in/s", 1 / 25.4)])
def test_units_of_velocity_say_the_same(unit: str, of_a_mm_s: float) -> None:
    tone = np.sin(2 * np.pi * 50 * np.arange(25_600) / 25_600)
    found = readings(block((tone * of_a_mm_s).astype("<f4"), unit=unit))
    assert set(found) == {"x_velocity_rms", "x_velocity_peak", "x_crest_factor", "x_kurtosis"}
    assert found["x_velocity_rms"] == (pytest.approx(0.5**0.5, rel=1e-3), "mm/s")


def test_what_is_no_vibration_keeps_its_unit() -> None:
    found = readings(block(np.arange(1000, dtype="<f4"), unit="Pa"))
    assert {point: unit for point, (_, unit) in found.items()} == {
        "x_rms": "Pa", "x_peak": "Pa", "x_crest_factor": "", "x_kurtosis": "",
    }  # fmt: skip


def test_a_shape_has_no_unit_whatever_the_axis_is_called() -> None:
    found = readings(block(np.arange(1000, dtype="<i2"), axis="pressure_side.vibration"))
    for shape in ("kurtosis", "crest_factor"):
        assert f"pressure_side.vibration_{shape}" in found
        assert quantity_of(f"pressure_side.vibration_{shape}") == QUANTITIES[shape]


def test_a_short_block_is_kept_and_says_nothing() -> None:
    assert readings(block(np.arange(255, dtype="<i2"))) == {}


def test_the_most_samples_and_one_more() -> None:
    assert len(decoded(block(np.zeros(MAX_SAMPLES, "<i2"))).samples) == MAX_SAMPLES
    with pytest.raises(BadMessage, match="more than"):
        decoded(block(np.zeros(MAX_SAMPLES + 1, "<i2")))


@given(
    samples=arrays.arrays(np.dtype("<f4"), 300, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)),
    scale=st.floats(1e-30, 1e30),
    offset=st.floats(-1e30, 1e30),
)
def test_numbers_of_any_size_give_numbers_or_nothing(samples: Samples, scale: float, offset: float) -> None:
    assert all(
        np.isfinite(value) for value, _ in features_of(decoded(block(samples, scale=scale, offset=offset))).values()
    )


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: block(np.arange(9, dtype="<i2"))[:60] + tail))
def test_no_bytes_stop_it(payload: bytes) -> None:
    with suppress(BadMessage):
        assert len(read(reader()[0], payload).samples)


# On the disk ----------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(sorted(SAMPLE_TYPES)).flatmap(lambda name: arrays.arrays(SAMPLE_TYPES[name], st.integers(1, 2000)))
)
def test_packed_samples_come_back_bit_for_bit(samples: Samples) -> None:
    packing, packed = pack(samples)
    found = unpack(packing, packed, f"{samples.dtype.kind}{samples.itemsize}")
    assert found.dtype == samples.dtype
    assert found.tobytes() == samples.tobytes()


def test_packing_takes_the_differences_that_pay() -> None:
    rng = np.random.default_rng(1)
    slow = np.rint(8000 * np.sin(np.arange(20_000) / 300)).astype("<i2")
    step = np.cumsum(rng.integers(-9, 10, 20_000)).astype("<i2")
    noise = rng.integers(-100, 100, 20_000).astype("<i2")
    assert [pack(samples)[0] for samples in (noise, step, slow)] == [0, 1, 2]
    assert len(pack(slow)[1]) < slow.nbytes / 7
    rubbish = np.frombuffer(rng.bytes(40_000), "<i2")
    packing, packed = pack(rubbish)
    assert (packing, len(packed)) == (PLAIN, 40_000)


def test_a_block_is_known_by_all_that_it_says() -> None:
    samples = np.arange(8, dtype="<i2")
    payloads = [
        block(samples), block(samples + np.int16(1)), block(samples[:-1]), block(samples, axis="y"),
        block(samples, unit="mg"), block(samples, scale=2.0), block(samples, offset=1.0), block(samples, rpm=0),
        block(samples, rate=25_601), block(samples, start=START_MS + 1), block(samples.view("<f4")),
    ]  # fmt: skip
    ids = {id_of(decoded(payload)) for payload in payloads}
    assert len(ids) == len(payloads)
    assert id_of(decoded(block(samples, seq=3, boot=1))) == id_of(decoded(payloads[0]))  # sent again after a restart
    for payload in payloads:
        name = id_of(waveform := decoded(payload))
        assert (name.version, int.from_bytes(name.bytes[:6])) == (8, waveform.time_us // 1000)


@pytest.mark.parametrize(
    ("unit", "quantity", "means"),
    [
        ("g", "vibration_acceleration", [2.5, -1.5]),
        ("m/s2", "vibration_acceleration", [2.5 / 9.80665, -1.5 / 9.80665]),
        ("m/s", "vibration_velocity", [2500.0, -1500.0]),
        ("V", "", [2.5, -1.5]),
    ],
)
def test_a_kept_block_is_a_signal_in_g_or_mm_s(unit: str, quantity: str, means: list[float]) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    kept = PackedBlock("x", start, 10.0, None, unit, 0.02, 0.5, "i2", *pack(np.array([100, -100], "<i2")))
    assert kept.values().tolist() == [100, -100]
    assert kept.signal() == pytest.approx(means)
    assert ("" if kept.vibration is None else kept.vibration.quantity) == quantity
