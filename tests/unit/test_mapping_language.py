"""Mappings: the worked examples of the manual, word for word, on payloads as the products document them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decoding import Decoded, decode
from ingest.mapping import Mappings
from ingest.mapping.levels import BadPattern
from ingest.mapping.mappings import MAX_ENTRIES
from ingest.mapping.paths import MAX_DEPTH, MAX_FOUND
from ingest.mapping.paths import Path as Place
from ingest.mapping.routes import MAX_NAME, clean
from ingest.mapping.texts import Text
from ingest.mapping.topics import TopicPattern, covers, overlap
from ingest.messages import Message
from ingest.reading import MAX_PAYLOAD_BYTES, MAX_POINTS
from store.errors import Misconfigured
from telemetry import Quality, canonical, is_name, quantity_of

MANUAL = Path(__file__).parents[2] / "docs/mapping.md"
GOLDEN = sorted((Path(__file__).parents[1] / "golden/mapping").glob("*.json"))
ARRIVED_MS = 1_782_907_200_000


def examples() -> dict[str, list[dict[str, Any]]]:
    """The entries of the manual, by the heading they stand under."""
    sections = re.split(r"^## (.+)\n", MANUAL.read_text(), flags=re.MULTILINE)[1:]
    return {
        heading: [entry for block in re.findall(r"```toml\n(.*?)```", body, re.DOTALL)
                  for entry in tomllib.loads(block)["mapping"]]
        for heading, body in zip(sections[::2], sections[1::2], strict=True)
    }  # fmt: skip


def decoded(mappings: Mappings, topic: str, payload: str | bytes, arrived_ms: int = ARRIVED_MS) -> Decoded:
    data = payload.encode() if isinstance(payload, str) else payload
    return decode([Message(topic, data)], {}, arrived_ms * 1000, mappings=mappings)


def read(entry: dict[str, Any], payload: Any, topic: str = "a/pump-1") -> Decoded:
    """What one entry makes of a message on `a/pump-1`."""
    mappings = Mappings.from_settings([{"topic": "a/{device}", "tenant": "demo"} | entry])
    return decoded(mappings, topic, payload if isinstance(payload, str | bytes) else json.dumps(payload))


def readings(result: Decoded) -> list[list[Any]]:
    """What came of it, in words: device, point, unit, µs, value, quality."""
    batch = result.batch
    found = []
    for time_us, stream, value, quality in zip(
        batch.time_us.tolist(), batch.stream.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True
    ):
        key, said = result.unknown[-1 - stream], result.units[-1 - stream]
        way = canonical(said, key.point)
        unit = way.unit if way else said or quantity_of(key.point).unit
        found.append([key.device, key.point, unit, time_us, value, Quality(quality).name.lower()])
    return found


def points(result: Decoded) -> dict[str, float]:
    return {reading[1]: reading[4] for reading in readings(result)}


def reasons(result: Decoded) -> list[str]:
    return [reject.reason for reject in result.rejects]


# Products -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", GOLDEN, ids=lambda path: path.stem)
def test_golden(case: Path) -> None:
    wanted = json.loads(case.read_text())
    mappings = Mappings.from_settings(examples()[wanted["product"]])
    result = decoded(mappings, wanted["topic"], wanted["payload"], wanted["arrived_ms"])
    assert readings(result) == wanted["readings"], wanted["why"]
    assert [[status.device, status.online] for status in result.statuses] == wanted["online"], wanted["why"]
    assert reasons(result) == wanted["rejects"], wanted["why"]


def test_every_product_of_the_manual_has_golden_cases() -> None:
    products = {json.loads(case.read_text())["product"] for case in GOLDEN}
    assert products == {heading for heading, entries in examples().items() if entries}
    assert len(GOLDEN) > 25


def test_the_first_example_of_the_manual() -> None:
    block = re.search(r"```toml\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    assert block is not None
    mappings = Mappings.from_settings(tomllib.loads(block[1])["mapping"])
    result = decoded(
        mappings, "plant/press-7/data", '{"when": "2026-07-01T11:59:00Z", "oil": {"temp": 71.2, "press": 3100}}'
    )
    assert points(result) == {"oil_temperature": 71.2, "oil_pressure": 3.1}


def test_uplinks_are_counted_so_that_gaps_show() -> None:
    mappings = Mappings.from_settings(examples()["ChirpStack"])
    payload = '{"time": "2026-07-01T11:59:15Z", "fCnt": 4711, "object": {"flow": 1}}'
    result = decoded(mappings, "application/a/device/0102/event/up", payload)
    assert result.counted == [(0, "demo", "0102", -1, 4711)]


# The language ---------------------------------------------------------------------------------------------------------


def test_without_points_every_number_is_one() -> None:
    result = read({}, {"flow": 1, "a": {"b": [2, {"c": 3.5}]}, "on": True, "name": "text", "nothing": None})
    assert points(result) == {"flow": 1, "a.b.0": 2, "a.b.1.c": 3.5, "on": 1}
    assert not result.rejects


def test_of_several_entries_the_first_that_matches_wins() -> None:
    mappings = Mappings.from_settings([
        {"topic": "a/{device}/flow", "tenant": "demo", "payload": "value", "points": [{"point": "flow"}]},
        {"topic": "a/private/#", "drop": True},
        {"topic": "a/{device}/{rest#}", "tenant": "demo", "payload": "value", "points": [{"point": "{rest}"}]},
    ])  # fmt: skip
    assert points(decoded(mappings, "a/pump/flow", "1")) == {"flow": 1}
    assert points(decoded(mappings, "a/pump/oil/level", "2")) == {"oil/level": 2}
    dropped = decoded(mappings, "a/private/flow/now", "3")
    assert (points(dropped), dropped.rejects) == ({}, [])
    assert reasons(decoded(mappings, "b/pump", "1")) == ["not a topic of ours"]
    assert mappings.filters() == ["a/+/#"]


def test_what_the_broker_brings_twice_is_not_counted_double() -> None:
    undated: dict[str, Any] = {"tenant": "demo", "device": "x", "points": [{"at": "flow"}]}
    mappings = Mappings.from_settings([
        {"topic": "a/+"} | undated,
        {"topic": "+/b"} | undated,
        {"topic": "+/c", "time": "t"} | undated,
    ])  # fmt: skip
    assert reasons(decoded(mappings, "a/b", '{"flow": 1}')) == [
        "the topics of several mappings match: the broker brings it twice, and no time tells so"
    ]
    assert points(decoded(mappings, "a/x", '{"flow": 1}')) == {"flow": 1}
    assert points(decoded(mappings, "x/c", '{"flow": 1, "t": "2026-07-01T11:59:00Z"}')) == {"flow": 1}


def test_of_several_points_the_first_that_leads_to_a_place_wins() -> None:
    entry = {"points": [{"at": "t", "point": "temperature", "unit": "degF"}, {"at": "*"}]}
    assert points(read(entry, {"t": 212, "flow": 3})) == {"temperature": 100, "flow": 3}


def test_what_is_ignored_goes_with_all_below_it_unless_it_is_named() -> None:
    entry = {"ignore": ["net"], "points": [{"at": "net/rssi", "unit": "dBm"}, {"at": "**"}]}
    assert points(read(entry, {"flow": 1, "net": {"rssi": -60, "ip": {"mask": 255}}})) == {"flow": 1, "rssi": -60}


def test_a_message_of_a_gateway_holds_several_devices() -> None:
    entry = {
        "topic": "gateway/{gateway}",
        "device": "{gateway}.{./id}",
        "each": "nodes/*",
        "time": "/ts",
        "points": [{"at": "oil/*", "unit": "{/unit}"}],
    }
    payload = {
        "ts": ARRIVED_MS,
        "unit": "K",
        "nodes": [{"id": 1, "oil": {"temp": 300.15}}, {"id": "x", "oil": {"temp": 273.15}}],
    }
    result = read(entry, payload, "gateway/hall")
    assert readings(result) == [
        ["hall.1", "temp", "degC", ARRIVED_MS * 1000, 27.0, "good"],
        ["hall.x", "temp", "degC", ARRIVED_MS * 1000, 0.0, "good"],
    ]
    assert result.parties == [("demo", "hall.1")]


def test_a_device_that_cannot_be_read_costs_its_part_of_the_message() -> None:
    entry = {"topic": "gateway", "device": "{./id}", "each": "*", "points": [{"at": "flow"}]}
    result = read(entry, [{"id": "a", "flow": 1}, {"flow": 2}, {"id": "c", "flow": 3}], "gateway")
    assert [reading[0] for reading in readings(result)] == ["a", "c"]
    assert reasons(result) == ["1 of its devices: the device's name: not there"]


def test_one_device_has_a_moment_for_each_item() -> None:
    entry = {"each": "log/*", "time": "t", "time_unit": "s", "points": [{"at": "v", "point": "flow"}]}
    result = read(entry, {"log": [{"t": 1_782_907_000, "v": 1}, {"t": 1_782_907_001.5, "v": 2}]})
    assert [(reading[3], reading[4]) for reading in readings(result)] == [
        (1_782_907_000_000_000, 1),
        (1_782_907_001_500_000, 2),
    ]


def test_a_list_is_a_column() -> None:
    entry = {
        "time": "t",
        "points": [{"at": "x", "point": "acceleration", "unit": "m/s2", "scale": 0.001, "every_ms": 2.5}],
    }
    result = read(entry, {"t": ARRIVED_MS - 1000, "x": [9806.65, None, 19613.3]})
    assert [(reading[3] - (ARRIVED_MS - 1000) * 1000, reading[4]) for reading in readings(result)] == [
        (0, 1),
        (5000, 2),
    ]
    assert reasons(read(entry, {"x": 1})) == ["acceleration: a number is no list"]


@pytest.mark.parametrize(
    ("value", "point", "expected"),
    [
        ("ON", {"values": {"ON": 1, "OFF": 0}}, 1),
        ("12.5", {}, 12.5),
        (" 7 ", {}, 7),
        (3, {"scale": 0.1}, 0.3),
        (123, {"scale": 0.01, "unit": "W"}, 0.00123),
        (True, {"scale": 10}, 1),
    ],
)
def test_values(value: Any, point: dict[str, Any], expected: float) -> None:
    assert points(read({"points": [{"at": "v", "point": "v", **point}]}, {"v": value})) == {"v": expected}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("OPEN", "v: the text 'OPEN' is no number, and the mapping has none for it"),
        ("nan", "v: the text 'nan' is no number, and the mapping has none for it"),
        ("1_000", "v: the text '1_000' is no number, and the mapping has none for it"),
        ("9" * 400, f"v: the text '{'9' * 40}' is no number, and the mapping has none for it"),
        ("1e999", "v: a value beyond what a number can hold is no number"),
        ({"x": 1}, "v: an object is no number"),
        ([1], "v: a list is no number"),
    ],
)
def test_a_value_that_is_none_costs_its_part(value: Any, reason: str) -> None:
    result = read({"points": [{"at": "v"}, {"at": "flow"}]}, {"v": value, "flow": 1})
    assert points(result) == {"flow": 1}
    assert reasons(result) == [reason]


def test_a_text_that_everything_finds_is_no_number() -> None:
    assert points(read({}, {"flow": 1, "firmware": "20230912", "mac": "001122"})) == {"flow": 1}


@pytest.mark.parametrize(
    ("time", "unit", "us"),
    [
        (1_782_907_000, "s", 1_782_907_000_000_000),
        (1_782_907_000.62, "s", 1_782_907_000_620_000),
        ("1782907000", "s", 1_782_907_000_000_000),
        (1_782_907_000_123, "ms", 1_782_907_000_123_000),
        (1_782_907_000_123_456, "us", 1_782_907_000_123_456),
        (1_782_907_000_123_456_789, "ns", 1_782_907_000_123_457),
        ("2026-07-01T11:56:40.5Z", "s", 1_782_907_000_500_000),
        ("2026-07-01 13:56:40+02:00", "ms", 1_782_907_000_000_000),
        ("2026-07-01T11:56:40", "ms", 1_782_907_000_000_000),
    ],
)
def test_times(time: Any, unit: str, us: int) -> None:
    result = read({"time": "t", "time_unit": unit}, {"t": time, "flow": 1})
    assert [reading[3:] for reading in readings(result)] == [[us, 1, "good"]]


@pytest.mark.parametrize(
    "time", ["yesterday", True, [1], {"s": 1}, 12, 1e300, "9" * 30, "1970-01-01T00:00:00", "x" * 10_000]
)
def test_a_time_that_is_none_rejects_the_message(time: Any) -> None:
    result = read({"time": "t"}, {"t": time, "flow": 1})
    assert not points(result)
    assert len(result.rejects) == 1
    assert (result.rejects[0].tenant, result.rejects[0].device) == ("demo", "pump-1")


def test_a_mapping_that_misses_the_point_is_seen() -> None:
    result = read({"points": [{"at": "flw"}]}, {"flow": 1})
    assert reasons(result) == ["nothing in it that mapping 1 (a/{device}) takes"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\x00", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 5000 + b"]" * 5000, "not JSON"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), f"deeper than {MAX_DEPTH} levels"),
        (b"[" + b'"",' * MAX_FOUND + b"1]", f"more than {MAX_FOUND} values"),
        (b'{"a":"' + b"x" * MAX_PAYLOAD_BYTES + b'"}', f"larger than {MAX_PAYLOAD_BYTES} bytes"),
    ],
)  # fmt: skip
def test_no_message_is_too_much(payload: bytes, reason: str) -> None:
    assert any(one.startswith(reason) for one in reasons(read({}, payload)))


def test_points_are_limited() -> None:
    result = read({}, {f"p{number}": number for number in range(MAX_POINTS + 1)})
    assert len(result.batch) == MAX_POINTS
    assert reasons(result) == [f"more than {MAX_POINTS} points"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(JSON | st.binary(max_size=64), st.sampled_from(sorted(examples())))
def test_nothing_escapes(document: Any, product: str) -> None:
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    mappings = Mappings.from_settings(examples()[product])
    for case in GOLDEN:
        topic = json.loads(case.read_text())["topic"]
        result = decode([Message(topic, payload)], {}, ARRIVED_MS * 1000, mappings=mappings)
        assert not [reason for reason in reasons(result) if reason.startswith("could not be read")]


# Names ----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(min_size=1, max_size=100), min_size=2, unique=True))
def test_two_names_never_become_one(names: list[str]) -> None:
    cleaned = [clean(name) for name in names]
    assert all(is_name(name) for name in cleaned)
    assert len(set(cleaned)) == len(names)


@given(st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True))
def test_a_name_that_is_clean_stays(name: str) -> None:
    assert clean(name) == name


def test_a_long_name_keeps_its_beginning() -> None:
    assert clean("x" * 65).startswith("x" * 55)
    assert len(clean("x" * 65)) == MAX_NAME


def test_a_tenant_is_not_cleaned() -> None:
    result = read({"topic": "a/{tenant}/{device}", "tenant": "{tenant}"}, {"flow": 1}, "a/no one/pump")
    assert reasons(result) == ["the tenant: not there, or not 1 to 64 of A-Z a-z 0-9 _ . -"]
    assert result.rejects[0].tenant is None


def test_a_device_that_is_turned_away_is_told_of() -> None:
    mappings = Mappings.from_settings([{"topic": "a/{device}", "tenant": "nobody"}])
    message = Message("a/pump", b'{"flow": 1}')
    result = decode([message], {}, ARRIVED_MS * 1000, lambda topic: ("", "no such tenant"), mappings)
    assert reasons(result) == ["no such tenant"]
    assert (result.rejects[0].tenant, result.rejects[0].device) == (None, None)


# Settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({}, "mapping 1: topic: field required"),
        ({"topic": ""}, "mapping 1 (): topic: a topic is not empty"),
        ({"topic": "a/#/b"}, "mapping 1 (a/#/b): topic: # stands alone, as the last level"),
        ({"topic": "a/b+"}, "mapping 1 (a/b+): topic: + stands alone in its level"),
        ({"topic": "a/{x"}, "mapping 1 (a/{x): topic: {x: one {name} a level"),
        ({"topic": "{x}/{x}"}, "mapping 1 ({x}/{x}): topic: a name stands in it twice"),
        ({"topic": "$SYS/#"}, "mapping 1 ($SYS/#): topic: what begins with $ is the broker's own"),
        ({"topic": "#"}, "mapping 1 (#): topic: it takes in bellwether/v1/+/+/+, which is read without a mapping"),
        ({"topic": "a"}, "mapping 1 (a): tenant: nothing is called {tenant} in the topic or the path"),
        ({"topic": "a", "tenant": "x"}, "mapping 1 (a): device: nothing is called {device} in the topic or the path"),
        ({"topic": "{device}", "tenant": "no one"}, "mapping 1 ({device}): tenant: no one is no name"),
        ({"topic": "{device}", "tenant": "x", "time_zone": "Mars"}, "mapping 1 ({device}): time_zone: Mars is none"),
        ({"topic": "{device}", "tenant": "x", "time": "a/*"}, "mapping 1 ({device}): time: one place"),
        ({"topic": "{device}", "tenant": "x", "point": []}, "mapping 1 ({device}): point: extra inputs"),
        ({"topic": "{device}", "tenant": "x", "points": [{"at": "a"}, {"at": "a/*b"}]},
         "mapping 1 ({device}): points 2: at: * stands alone"),
        ({"topic": "{device}", "tenant": "x", "points": [{"unit": "V"}]}, "mapping 1 ({device}): points 1: point:"),
        ({"topic": "{device}", "tenant": "x", "points": [{"at": "a", "scale": 0}]},
         "mapping 1 ({device}): points 1: scale: 0"),
        ({"topic": "{device}", "tenant": "x", "points": [{"at": "**", "every_ms": 1}]},
         "mapping 1 ({device}): points 1: every_ms"),
        ({"topic": "{device}", "tenant": "x", "points": [{"at": "a", "point": "{b}"}]},
         "mapping 1 ({device}): points 1: point: nothing is called {b}"),
        ({"topic": "{device}", "tenant": "x", "points": [{"at": "a", "values": {"on": "yes"}}]},
         "mapping 1 ({device}): points.1.values.on:"),
        ({"topic": "{device}", "drop": True, "tenant": "x"}, "mapping 1 ({device}): with drop"),
        ({"topic": "{device}", "tenant": "x", "online": {}, "points": []}, "mapping 1 ({device}): online and points"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named_in_one_line(entry: dict[str, Any], line: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Mappings.from_settings([entry])
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_entries_are_limited() -> None:
    with pytest.raises(Misconfigured, match="more than"):
        Mappings.from_settings([{"topic": f"{n}/{{device}}", "tenant": "x"} for n in range(MAX_ENTRIES + 1)])


def test_what_is_retained_is_news_only_of_who_is_there() -> None:
    mappings = Mappings.from_settings(examples()["Tasmota"])
    assert (mappings.filters(), mappings.status_filters()) == (["tele/+/SENSOR"], ["tele/+/LWT"])


@pytest.mark.parametrize("retained", [True, False])
def test_what_was_retained_was_said_before(retained: bool) -> None:
    mappings = Mappings.from_settings(examples()["Tasmota"])
    message = Message("tele/th16/LWT", b"Online", retained=retained)
    (status,) = decode([message], {}, ARRIVED_MS * 1000, mappings=mappings).statuses
    assert (status.online, status.retained) == (True, retained)


# Patterns -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "topic", "found"),
    [
        ("a/{x}/c", "a/b/c", {"x": "b"}),
        ("a/{x}/c", "a/b/d", None),
        ("a/{x}", "a/b/c", None),
        ("a/{x}", "a", None),
        ("a/+/{x}", "a/b/c", {"x": "c"}),
        ("a/{rest#}", "a/b/c", {"rest": "b/c"}),
        ("a/{rest#}", "a", None),
        ("a/#", "a/b/c", {}),
        ("a/switch:{n}", "a/switch:12", {"n": "12"}),
        ("a/switch:{n}", "a/switch:", None),
        ("a/{n}.json", "a/x.json", {"n": "x"}),
        ("{x}/b", "$SYS/b", None),
        ("{x}/b", "/b", None),
    ],
)
def test_topics(pattern: str, topic: str, found: dict[str, str] | None) -> None:
    assert TopicPattern.parse(pattern).match(topic) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a/b", [1]),
        ("a/x", []),
        ("l/1", [20]),
        ("l/7", []),
        ("l/01", [20]),
        ("l/*", [10, 20]),
        ("s:{n}/v", [7, 8]),
        ("a~1b", [3]),
        ("m~0n", [4]),
        ("a/**", [1]),
        ("l", [[10, 20]]),
        ("", ["all"]),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    document = {"a": {"b": 1}, "l": [10, 20], "s:0": {"v": 7}, "s:1": {"v": 8}, "a/b": 3, "m~n": 4}
    values = [value for _, _, value in Place.parse(path).find(document)]
    assert values == ([document] if found == ["all"] else found)


@pytest.mark.parametrize("text", ["{", "}", "a{b", "{A}", "{/a/*}", "{/a/{b}}", "{}", "x" * 1000])
def test_texts_that_are_none(text: str) -> None:
    with pytest.raises(BadPattern):
        Text.parse(text)


@pytest.mark.parametrize(
    ("one", "other", "overlaps", "covered"),
    [
        ("a/b", "a/b", True, True),
        ("a/+", "a/b", True, True),
        ("a/b", "a/+", True, False),
        ("a/#", "a/b/c", True, True),
        ("a/#", "a", True, True),
        ("a/+", "+/b", True, False),
        ("a/b", "a/c", False, False),
        ("a/+", "a/b/c", False, False),
        ("+/+", "a/#", True, False),
    ],
)
def test_filters_that_overlap(one: str, other: str, overlaps: bool, covered: bool) -> None:
    assert (overlap(one, other), overlap(other, one), covers(one, other)) == (overlaps, overlaps, covered)


def test_a_pressure_against_vacuum_is_not_mixed_with_one_against_the_air() -> None:
    entry = {"topic": "a/{device}", "tenant": "demo", "points": [{"at": "p", "unit": "psia"}]}
    column = {"at": "q", "unit": "hPa", "every_ms": 100}
    mappings = Mappings.from_settings([entry | {"points": [*entry["points"], column]}])
    message = Message("a/pump", b'{"p": 14.5, "q": [1000, 1001]}')
    for kept, taken, refused in (
        ("bar(a)", 3, []),
        ("", 3, []),
        ("bar(g)", 2, ["p: in bar(a), and the point is kept in bar(g)"]),
    ):
        numbers = {("demo", "pump"): {"p": 7, "q": 8}}
        result = decode([message], numbers, ARRIVED_MS * 1000, mappings=mappings, units_kept={7: kept, 8: "bar"})
        assert (len(result.batch), reasons(result)) == (taken, refused)
    result = decode([message], numbers, ARRIVED_MS * 1000, mappings=mappings, units_kept={8: "bar(a)"})
    assert reasons(result) == ["q: in bar, and the point is kept in bar(a)"]
