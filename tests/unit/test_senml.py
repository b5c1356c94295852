"""SenML in JSON and CBOR: resolved as RFC 8428 says, refused where it says so."""

from __future__ import annotations

import itertools
import json
import time
import tracemalloc

import cbor2
import pytest
from decoding import ARRIVED_MS, Case, decoded, golden, said

from ingest.forms.senml import FIELDS, LABELS, MAX_RECORDS, point_of
from telemetry.units import canonical

NUMBERS = {label: number for number, label in LABELS.items()}
GOLDEN = [*golden("senml-json"), *golden("senml-cbor")]
JSON, CBOR = "application/senml+json", "application/senml+cbor"


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case.path.parent.name}-{case.path.stem}")
def test_golden(case: Case) -> None:
    case.check()


def test_there_are_golden_cases() -> None:
    assert len(GOLDEN) > 60


def has_records(case: Case) -> bool:
    return case.wanted["payload"].startswith("[{") and "not JSON" not in str(case.wanted["rejects"])


@pytest.mark.parametrize("case", list(filter(has_records, golden("senml-json"))), ids=lambda case: case.path.stem)
def test_in_cbor_it_says_the_same(case: Case) -> None:
    """Every case of JSON that has records, with its labels as numbers."""
    wanted = case.wanted
    records = [
        {NUMBERS.get(label, label): value for label, value in record.items()} if isinstance(record, dict) else record
        for record in json.loads(wanted["payload"])
    ]
    result = decoded(cbor2.dumps(records), content_type=CBOR)
    assert [list(reading) for reading in said(result)] == wanted["readings"], wanted["why"]
    assert [reject.reason for reject in result.rejects] == wanted["rejects"], wanted["why"]


def test_labels_are_those_of_the_rfc() -> None:
    assert NUMBERS == {
        "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6,
        "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "device", "point"),
    [
        ("flow", "pump-1", "flow"),
        ("pump-1:flow", "pump-1", "flow"),
        ("pump-1/motor/current", "pump-1", "motor/current"),
        ("Pump-1:flow", "pump-1", "flow"),
        ("urn:dev:ow:10e2073a01080063_flow", "10e2073a01080063", "flow"),
        ("urn:dev:mac:0024befffe804ff1:flow", "0024BEFFFE804FF1", "flow"),
        ("urn:dev:org:32473-foo/flow", "32473-foo", "flow"),
        ("urn:dev:ow:10e2073a01080063", "10e2073a01080063", "urn:dev:ow:10e2073a01080063"),
        ("urn:dev:ow:10e2073a01080063:flow", "pump-1", "urn:dev:ow:10e2073a01080063:flow"),
        ("pump-1", "pump-1", "pump-1"),
        ("pump-1:", "pump-1", "pump-1:"),
        ("pump-10:flow", "pump-1", "pump-10:flow"),
        ("pump_speed", "pump", "pump_speed"),
        ("pump.speed", "pump", "pump.speed"),
        ("flow:pump-1", "pump-1", "flow:pump-1"),
    ],
)
def test_the_point_that_a_name_speaks_of(name: str, device: str, point: str) -> None:
    assert point_of(name, device) == point


# RFC 8428, 12.1, and RFC 8798: those that a plant measures in.
@pytest.mark.parametrize(
    ("unit", "quantity"),
    [
        *(("Cel", "temperature"), ("K", "temperature"), ("Pa", "pressure"), ("hPa", "pressure")),
        *(("m/s2", "vibration_acceleration"), ("m/s", "velocity"), ("km/h", "velocity"), ("mm", "length")),
        *(("m3/s", "flow"), ("l/s", "flow"), ("m3", "volume"), ("l", "volume"), ("kg", "mass"), ("g", "mass")),
        *(("A", "current"), ("mA", "current"), ("V", "voltage"), ("mV", "voltage"), ("W", "power"), ("kW", "power")),
        *(("J", "energy"), ("Wh", "energy"), ("kWh", "energy"), ("VA", "apparent_power"), ("var", "reactive_power")),
        *(("Hz", "frequency"), ("MHz", "frequency"), ("N", "force"), ("rad", "angle"), ("deg", "angle")),
        *(("s", "duration"), ("ms", "duration"), ("min", "duration"), ("h", "duration")),
        *(("%", "ratio"), ("/", "ratio"), ("/100", "ratio"), ("%RH", "humidity"), ("%EL", "ratio"), ("ppm", "conc")),
        *(("Ohm", "resistance"), ("F", "capacitance"), ("S/m", "conductivity"), ("lx", "illuminance")),
        *(("W/m2", "irradiance"), ("dBm", "signal_strength"), ("1/min", "speed")),
    ],
)
def test_units_of_senml_are_known(unit: str, quantity: str) -> None:
    (told,) = decoded(json.dumps([{"n": "it", "u": unit, "v": 1}]).encode()).units
    known = canonical(told)
    assert known is not None
    assert known.quantity.startswith(quantity)


def test_coulombs_are_no_degrees() -> None:
    result = decoded(b'[{"n":"it","u":"C","v":1}]')
    assert result.units == ["coulomb"]
    assert canonical("coulomb") is None


def test_the_unit_of_a_new_stream_is_told() -> None:
    result = decoded(b'[{"n":"inlet","u":"K","v":300},{"n":"count","u":"beats","v":1}]')
    assert result.units == ["K", "beats"]


def test_a_pack_spends_one_sequence_number() -> None:
    records = [{"n": "flow", "v": 1, "t": -1}, *({"n": "flow", "v": 2, "boot": 3, "seq": 9, "t": t} for t in (-2, -3))]
    assert [counted[3:] for counted in decoded(json.dumps(records).encode()).counted] == [(3, 9)]
    labelled = [{NUMBERS.get(label, label): value for label, value in record.items()} for record in records]
    assert [counted[3:] for counted in decoded(cbor2.dumps(labelled)).counted] == [(3, 9)]


def test_so_many_records_and_no_more() -> None:
    records = [{"n": "flow", "t": -number / 100, "v": 1} for number in range(MAX_RECORDS)]
    assert len(decoded(json.dumps(records).encode()).batch) == MAX_RECORDS
    (reject,) = decoded(json.dumps([*records, {"n": "flow", "v": 1}]).encode()).rejects
    assert reject.reason == "more than 10000 records"


def test_lists_as_keys_whose_hash_was_chosen_take_no_time() -> None:
    """A stranger who knows how Python hashes a pair makes a map of thousands that all hash the same."""
    mask, prime_1, prime_2, prime_5 = 2**64 - 1, 11400714785074694791, 14029467366897019727, 2870177450012600261

    def step(hashed: int, lane: int) -> int:
        hashed = hashed + lane * prime_2 & mask
        return (hashed << 31 | hashed >> 33) * prime_1 & mask

    def unstep(hashed: int) -> int:
        turned = hashed * pow(prime_1, -1, 2**64) & mask
        return (turned >> 31 | turned << 33) & mask

    wanted = unstep(12345)
    pairs = (
        (first, second)
        for first in itertools.count(1)
        if (second := (wanted - step(prime_5, first)) * pow(prime_2, -1, 2**64) & mask) < 2**61 - 1
    )
    keys = list(itertools.islice(pairs, 50_000))
    assert len({hash(key) for key in keys}) == 1, "it can be foreseen"
    payload = b"\x81\xba" + len(keys).to_bytes(4) + b"".join(cbor2.dumps(key) + b"\x01" for key in keys)
    assert len(payload) < 1 << 20
    began = time.process_time()
    for content_type in ("", CBOR, "application/cbor"):
        assert decoded(payload, content_type=content_type).rejects
    assert time.process_time() - began < 1


def test_a_large_pack_takes_memory_for_what_it_holds() -> None:
    payload = cbor2.dumps([{0: "flow", 6: -number, 2: 1.5} for number in range(MAX_RECORDS)])
    tracemalloc.start()
    assert len(decoded(payload).batch) == MAX_RECORDS
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert highest < 100 * len(payload)


# Which form a message has -----------------------------------------------------------------------------------------

AT = ARRIVED_MS - 1000
FLOW = [("flow", 1.5)]
TELLING = {
    "flat": (json.dumps({"ts": AT, "flow": 1.5}), FLOW),
    "flat, with space before": (" \n\t" + json.dumps({"ts": AT, "flow": 1.5}), FLOW),
    "flat, of points named as SenML's fields": (
        json.dumps({"ts": AT, "v": 230, "s": 4}),
        [("v", 230.0), ("s", 4.0)],
    ),
    "a list of points named so": (json.dumps([{"ts": AT, "v": 230, "n": 3}]), [("v", 230.0), ("n", 3.0)]),
    "a list of points named so, without a time": (json.dumps([{"v": 230, "t": 3}]), [("v", 230.0), ("t", 3.0)]),
    "a list of objects with values": (json.dumps([{"ts": AT, "values": {"n": 1.5}}]), [("n", 1.5)]),
    "a list whose first says a name, and more than SenML does": (json.dumps([{"n": "pump", "flow": 1.5}]), FLOW),
    "SenML": (json.dumps([{"n": "flow", "v": 1.5}]), FLOW),
    "SenML by its base name": (json.dumps([{"bn": "flow", "v": 1.5}]), FLOW),
    "SenML, spread out": (json.dumps([{"n": "flow", "v": 1.5}], indent=4), FLOW),
    "SenML with seq": (json.dumps([{"n": "flow", "v": 1.5, "seq": 3, "boot": 1}]), FLOW),
    "CBOR flat": (cbor2.dumps({"ts": AT, "flow": 1.5}), FLOW),
    "CBOR list": (cbor2.dumps([{"ts": AT, "flow": 1.5}]), FLOW),
    "CBOR, marked as such": (b"\xd9\xd9\xf7" + cbor2.dumps({"ts": AT, "flow": 1.5}), FLOW),
    "CBOR of indefinite length": (b"\x9f\xbf\x64flow\xf9\x3e\x00\xff\xff", FLOW),
    "CBOR with a long head": (b"\xb9\x00\x01\x64flow\xf9\x3e\x00", FLOW),
    "SenML in CBOR": (cbor2.dumps([{0: "flow", 2: 1.5}]), FLOW),
    "SenML in CBOR, marked as such": (b"\xd9\xd9\xf7" + cbor2.dumps([{0: "flow", 2: 1.5}]), FLOW),
    "SenML in CBOR, base first": (cbor2.dumps([{-2: "flow", 2: 1.5}]), FLOW),
    "SenML in CBOR of indefinite length": (b"\x9f\xbf\x00\x64flow\x02\xf9\x3e\x00\xff\xff", FLOW),
    "SenML in CBOR with long heads": (b"\x98\x01\xb8\x02\x00\x64flow\x02\xf9\x3e\x00", FLOW),
}


@pytest.mark.parametrize("payload", TELLING, ids=str)
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream", "application/x-unheard-of"])
def test_the_form_is_told_by_the_first_bytes(payload: str, content_type: str) -> None:
    body, wanted = TELLING[payload]
    result = decoded(body.encode() if isinstance(body, str) else body, content_type=content_type)
    assert [(point, value) for point, _, value, _ in said(result)] == wanted


@pytest.mark.parametrize(
    ("content_type", "payload", "points"),
    [
        ("application/json", "flat", ["flow"]),
        ("application/json; charset=utf-8", "flat", ["flow"]),
        ("Application/JSON", "flat", ["flow"]),
        ("application/json", "SenML", ["flow"]),
        ("application/json", "CBOR flat", []),
        ("application/cbor", "CBOR flat", ["flow"]),
        ("application/cbor", "SenML in CBOR", ["flow"]),
        ("application/cbor", "flat", []),
        ("application/senml+json", "SenML", ["flow"]),
        ("application/senml+json ;v=1", "SenML", ["flow"]),
        ("application/sensml+json", "SenML", ["flow"]),
        ("application/senml+json", "a list of points named so, without a time", []),
        ("application/senml+json", "flat", []),
        ("application/senml+json", "SenML in CBOR", []),
        ("application/senml+cbor", "SenML in CBOR", ["flow"]),
        ("application/senml+cbor", "SenML", []),
    ],
)
def test_a_content_type_decides(content_type: str, payload: str, points: list[str]) -> None:
    body, _ = TELLING[payload]
    result = decoded(body.encode() if isinstance(body, str) else body, content_type=content_type)
    assert [point for point, *_ in said(result)] == points
    assert bool(result.rejects) == (not points)


@pytest.mark.parametrize(
    "payload", [b"", b" ", b"[", b"[ ]", b"[{", b"[{}]", b"[}", b"\x80", b"\x81", b"\x81\xa0", b"\x9f\xbf", b"\xd9\xd9"]
)
def test_too_little_to_tell_is_a_reject(payload: bytes) -> None:
    result = decoded(payload)
    assert len(result.rejects) == 1
    assert not len(result.batch)


def test_fields_are_ours_and_the_rfc_s() -> None:
    assert {"seq", "boot"} == FIELDS - set(NUMBERS)
