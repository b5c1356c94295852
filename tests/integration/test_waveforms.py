"""Blocks of raw vibration in the database and over the API: each once, bit for bit, and nobody else's."""

from __future__ import annotations

import wave
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import numpy as np
import pytest
from ingesting import Device, count_of, ingesting, now_ms, until_settled
from servers import Database, RunningBroker
from serving import JSON, RunningApi, ok, refused
from waiting import until

from firmware_sim.fleet import simulate
from firmware_sim.waveforms import SCALE_G, VibrationBlock, encode
from store import waveforms
from store.connection import connect
from telemetry import instant, microseconds
from telemetry.waveform import SAMPLE_TYPES, Waveform

BEGAN_US = microseconds(datetime(2026, 3, 1, tzinfo=UTC))
ARRIVED_US = BEGAN_US + 3_600_000_000


def block(device: str, after_s: float = 0.0, axis: str = "x", seed: int = 1, kind: str = "i2") -> Waveform:
    samples = (1000 * np.random.default_rng(seed).standard_normal(2048)).astype(SAMPLE_TYPES[kind])
    time_us = BEGAN_US + round(after_s * 1e6)
    return Waveform("demo", device, axis, time_us, 0, 2560.0, 1480.5, "g", 0.0005, -0.25, samples)


def store(api: RunningApi, *blocks: Waveform) -> list[bool]:
    """As ingest does, with the rights that it has."""
    with connect(api.database.url("ingest"), "ingest") as conn, conn.transaction():
        return waveforms.append(conn, blocks, ARRIVED_US)


def listed(api: RunningApi, device: str, **params: str | int) -> list[JSON]:
    """Every page of the blocks of a device."""
    items: list[JSON] = []
    while True:
        body = ok(api.client().get(f"/api/v1/devices/{device}/waveforms", params=params))
        items += body["items"]
        if body["next"] is None:
            return items
        params["cursor"] = body["next"]


def samples_of(api: RunningApi, about: JSON, form: str = "raw") -> bytes:
    answer = api.client().get(f"/api/v1/waveforms/{about['id']}/samples", params={"form": form})
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("kind", ["i2", "f4"])
def test_a_block_comes_back_bit_for_bit(api: RunningApi, kind: str) -> None:
    device = api.plant.device()
    sent = block(device, kind=kind)
    assert store(api, sent) == [True]
    (about,) = listed(api, device)
    assert about == ok(api.client().get(f"/api/v1/waveforms/{about['id']}"))
    assert (about["axis"], about["time"], about["sample_type"]) == ("x", "2026-03-01T00:00:00Z", kind)
    assert (about["samples"], about["rate_hz"], about["duration_s"]) == (2048, 2560.0, 0.8)
    assert (about["shaft_rpm"], about["unit"], about["scale"], about["offset"]) == (1480.5, "g", 0.0005, -0.25)
    assert (about["contested"], about["received_at"]) == (False, "2026-03-01T01:00:00Z")
    assert samples_of(api, about) == sent.samples.tobytes()


def test_numpy_reads_it_and_so_does_a_player(api: RunningApi) -> None:
    device = api.plant.device()
    sent = {kind: block(device, axis=kind, kind=kind) for kind in SAMPLE_TYPES}
    store(api, *sent.values())
    for about in listed(api, device):
        loaded = np.load(BytesIO(samples_of(api, about, "npy")), allow_pickle=False)
        assert loaded.dtype == sent[about["axis"]].samples.dtype
        assert loaded.tobytes() == sent[about["axis"]].samples.tobytes()
        heard = samples_of(api, about, "wav")
        assert heard.endswith(sent[about["axis"]].samples.tobytes())
        assert int.from_bytes(heard[4:8], "little") == len(heard) - 8
        if about["sample_type"] == "i2":
            with wave.open(BytesIO(heard)) as file:
                assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (2560, 1, 2)
                assert file.readframes(4096) == sent["i2"].samples.tobytes()


def test_a_spectrum_shows_where_the_vibration_lies(api: RunningApi) -> None:
    device = api.plant.device()
    hum = np.rint(10_000 * np.sin(2 * np.pi * 50 * np.arange(5120) / 5120)).astype("<i2")
    sent = replace(block(device), rate_hz=5120.0, samples=hum, scale=1e-4, unit="g")
    store(api, sent, replace(sent, axis="in_m_s2", unit="m/s2"), replace(sent, axis="sound", unit="Pa"))
    by_axis = {about["axis"]: f"/api/v1/waveforms/{about['id']}/spectrum" for about in listed(api, device)}
    plain = ok(api.client().get(by_axis["x"], params={"lines": 5000}))
    assert (plain["quantity"], plain["unit"], plain["step_hz"], len(plain["rms"])) == (
        "vibration_acceleration", "g", 1.0, 2561
    )  # fmt: skip
    assert int(np.argmax(plain["rms"])) == 50
    assert np.linalg.norm(plain["rms"]) == pytest.approx(0.5**0.5, rel=1e-4)
    velocity = ok(api.client().get(by_axis["x"], params={"as_velocity": True, "to_hz": 1000, "lines": 100}))
    assert (velocity["unit"], velocity["step_hz"], len(velocity["rms"])) == ("mm/s", 11.0, 91)
    assert np.linalg.norm(velocity["rms"]) == pytest.approx(9806.65 / (2 * np.pi * 50) / 2**0.5, rel=1e-3)
    converted = ok(api.client().get(by_axis["in_m_s2"]))
    assert np.linalg.norm(converted["rms"]) == pytest.approx(0.5**0.5 / 9.80665, rel=1e-4)
    other = ok(api.client().get(by_axis["sound"], params={"as_velocity": True}))
    assert (other["quantity"], other["unit"]) == ("", "Pa")
    refused(api.client().get(by_axis["x"], params={"lines": 5001}), 422)
    refused(api.client().get(by_axis["x"], params={"to_hz": 0}), 422)


def test_a_block_is_stored_once_and_another_of_its_time_beside_it(api: RunningApi) -> None:
    device = api.plant.device()
    first, other = block(device), block(device, seed=2)
    assert store(api, first, first) == [True, False]
    assert store(api, first, other, block(device, axis="y"), other) == [False, True, True, False]
    assert store(api, other, first) == [False, False]
    by_samples = {samples_of(api, about): about["contested"] for about in listed(api, device, axis="x")}
    assert by_samples == {first.samples.tobytes(): False, other.samples.tobytes(): True}
    (about,) = listed(api, device, axis="y")
    assert not about["contested"]


def test_a_delivery_without_blocks_costs_nothing(api: RunningApi) -> None:
    assert store(api) == []


def test_pages_lose_and_repeat_nothing(api: RunningApi) -> None:
    device = api.plant.device()
    blocks = [block(device, after_s=n // 3, axis="xyz"[n % 3]) for n in range(20)]
    assert all(store(api, *blocks))
    found = listed(api, device, limit=3)
    assert [item["time"] for item in found] == sorted((item["time"] for item in found), reverse=True)
    assert sorted(item["id"] for item in found) == sorted(str(waveforms.id_of(one)) for one in blocks)


def test_a_span_and_an_axis_narrow_the_list(api: RunningApi) -> None:
    device = api.plant.device()
    store(api, *(block(device, after_s=60 * n, axis="xy"[n % 2]) for n in range(10)))
    span = {"from": "2026-03-01T00:02:00Z", "to": "2026-03-01T00:05:00Z"}
    assert [item["time"][14:16] for item in listed(api, device, **span)] == ["04", "03", "02"]
    assert [item["time"][14:16] for item in listed(api, device, axis="y", limit=1, **span)] == ["03"]
    assert listed(api, device, axis="z") == []


def test_what_is_not_there_is_not_found(api: RunningApi) -> None:
    device = api.plant.device()
    sent = block(device)
    store(api, sent)
    name = waveforms.id_of(sent)
    near = waveforms.id_of(replace(sent, scale=0.1))
    for path in (f"waveforms/{near}", f"waveforms/{near}/samples", "devices/nobody/waveforms"):
        refused(api.client().get(f"/api/v1/{path}"), 404)
    refused(api.client().get("/api/v1/waveforms/ffffffff-ffff-8fff-bfff-ffffffffffff"), 404)
    for path in (f"waveforms/{name}", f"waveforms/{name}/samples", f"devices/{device}/waveforms"):
        assert api.client().get(f"/api/v1/{path}").status_code == 200
        refused(api.client(tenant="other").get(f"/api/v1/{path}"), 404)


@pytest.mark.parametrize(
    "query", ["axis=a/b", "axis=", f"axis={'x' * 33}", "from=yesterday", "limit=201", "cursor=abc", "cursor=WyJhIl0"]
)
def test_what_cannot_be_listed_is_refused(api: RunningApi, query: str) -> None:
    refused(api.client().get(f"/api/v1/devices/{api.plant.device()}/waveforms?{query}"), 422)


def test_an_unknown_form_and_an_id_that_is_none_are_refused(api: RunningApi) -> None:
    refused(api.client().get("/api/v1/waveforms/ffffffff-ffff-8fff-bfff-ffffffffffff/samples?form=mp3"), 422)
    refused(api.client().get("/api/v1/waveforms/7"), 422)


def test_a_block_is_found_in_the_one_chunk_that_can_hold_it(api: RunningApi) -> None:
    device = api.plant.device()
    sent = [block(device, after_s=86_400.0 * n) for n in range(6)]
    store(api, *sent)
    at = instant(sent[3].time_us)
    with api.database.owner() as conn:
        plan = "\n".join(
            line
            for (line,) in conn.execute(
                "EXPLAIN SELECT samples FROM waveforms WHERE id = %s AND time >= %s AND time < %s",
                [waveforms.id_of(sent[3]), at, at + timedelta(milliseconds=1)],
            )
        )
    assert plan.count(" on _hyper") == 1, plan
    assert "_pkey" in plan, plan


def test_the_server_does_not_pack_what_is_packed(api: RunningApi) -> None:
    with api.database.owner() as conn:
        row = conn.execute(
            "SELECT attstorage::text FROM pg_attribute WHERE attrelid = 'waveforms'::regclass AND attname = 'samples'"
        ).fetchone()
    assert row == ("e",)


# From the device on ---------------------------------------------------------------------------------------------------


def test_what_a_device_sends_is_a_block_and_readings_and_counted(database: Database, broker: RunningBroker) -> None:
    start_ms = now_ms() - 2000
    hum_g = np.sin(2 * np.pi * 50 * np.arange(12_800) / 12_800)
    sent = encode(VibrationBlock("drive_end", start_ms, 12_800.0, 1482.0, hum_g), 7, 1)
    other = encode(VibrationBlock("drive_end", start_ms, 12_800.0, 1482.0, 2 * hum_g), 7, 2)
    with ingesting(database, broker), Device(broker, "gearmotor-1") as device:
        topic = "bellwether/v1/demo/gearmotor-1/waveform"
        device.send(sent, topic=topic)
        device.send(sent, other, b"no block", topic=topic)
        until(lambda: count_of(database, "waveforms") == 2 and count_of(database, "rejects") == 1)
        until_settled(database)
    counts = np.rint(hum_g / SCALE_G).astype("<i2")
    assert count_of(database, "waveforms") == 2
    with database.owner() as conn:
        rows = conn.execute("SELECT id, axis, shaft_rpm, contested FROM waveforms ORDER BY contested").fetchall()
        assert [row[1:] for row in rows] == [("drive_end", 1482.0, False), ("drive_end", 1482.0, True)]
        conn.execute("SELECT set_config('bellwether.tenant', 'demo', false)")
        assert waveforms.whole_waveform(conn, rows[0][0]).values().tobytes() == counts.tobytes()
        said = conn.execute(
            "SELECT s.point, s.quantity, s.unit, r.value, r.time FROM readings r JOIN streams s ON s.id = r.stream_id"
        ).fetchall()
        counted = conn.execute(
            "SELECT messages, messages_stored, messages_duplicate, messages_rejected, contested, missing FROM ledger"
        ).fetchall()
        reasons = conn.execute("SELECT device, reason FROM rejects").fetchall()
    found = {point: (quantity, unit, value) for point, quantity, unit, value, _ in said}
    assert {time for *_, time in said} == {instant(start_ms * 1000)}
    assert found["drive_end_velocity_rms"] == (
        "vibration_velocity", "mm/s", pytest.approx(9806.65 / (2 * np.pi * 50) / 2**0.5, rel=0.002)
    )  # fmt: skip
    assert found["drive_end_acceleration_rms"] == ("vibration_acceleration", "g", pytest.approx(0.5**0.5, rel=0.001))
    assert found["drive_end_kurtosis"] == ("kurtosis", "", pytest.approx(1.5, rel=0.001))
    assert len(found) == 8
    # The other block says something else of the same moment, but for its shape: it is kept, and so are its figures.
    ((messages, stored, duplicate, rejected, contested, missing),) = counted
    assert (messages, stored, duplicate, rejected, missing) == (4, 2, 1, 1, 0)
    assert contested >= 5
    ((device_name, reason),) = reasons
    assert device_name == "gearmotor-1"
    assert reason.startswith("not CBOR")


def test_a_simulated_fleet_sends_what_its_accelerometers_feel(database: Database, broker: RunningBroker) -> None:
    to = broker.of("devices")
    with ingesting(database, broker):
        report = simulate(
            3, for_s=3.5, waveform_every_s=1.0, mqtt_url=broker.url, username=to.username, password=to.password
        )
        until(lambda: count_of(database, "waveforms") == report.waveforms)
        until_settled(database)
    assert report.waveforms >= 6
    with database.owner() as conn:
        axes = conn.execute("SELECT DISTINCT device, axis FROM waveforms ORDER BY 1, 2").fetchall()
        rejected = conn.execute("SELECT sum(rejected), sum(missing) FROM ledger").fetchone()
        said = conn.execute(
            "SELECT s.point, avg(r.value) FROM readings r JOIN streams s ON s.id = r.stream_id"
            " WHERE s.device = 'pump-01' AND s.point IN ('vibration_velocity', 'bearing_velocity_rms') GROUP BY 1"
        ).fetchall()
    assert axes == [("gearmotor-01", "drive_end"), ("gearmotor-01", "gearbox"), ("pump-01", "bearing")]
    assert rejected == (0, 0)
    found = dict(said)
    assert found["bearing_velocity_rms"] == pytest.approx(found["vibration_velocity"], rel=0.15)
