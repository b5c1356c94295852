"""The forms of a message, read back with the plainest of parsers; and MQTT URLs."""

from __future__ import annotations

import json
import math

import pytest

from firmware_sim.encoding import Block, Form, encode, rfc3339, sample, stamp
from telemetry import Broker

BLOCK = Block(1_763_740_800_000, 500, {"flow": [80.1, 79.9, 80.0], "speed": [2900.0, 2901.5, 2899.0]})


def plain(form: Form, boot: int = 7, seq: int = 18) -> list[object]:
    return [json.loads(message.payload) for message in encode(form, BLOCK, boot, seq)]


def test_columns() -> None:
    assert plain(Form.COLUMNS) == [
        {
            "t0": 1_763_740_800_000,
            "dt": 500,
            "boot": 7,
            "seq": 18,
            "values": {"flow": [80.1, 79.9, 80.0], "speed": [2900.0, 2901.5, 2899.0]},
        }
    ]
    assert [m.last_seq for m in encode(Form.COLUMNS, BLOCK, 7, 18)] == [18]


def test_values_one_message_a_sample() -> None:
    messages = plain(Form.VALUES)
    assert messages[1] == {
        "ts": 1_763_740_800_500,
        "boot": 7,
        "seq": 19,
        "values": {"flow": 79.9, "speed": 2901.5},
    }
    assert [m.last_seq for m in encode(Form.VALUES, BLOCK, 7, 18)] == [18, 19, 20]


def test_list_holds_the_same_samples_in_one_message() -> None:
    assert plain(Form.LIST) == [plain(Form.VALUES)]
    assert [m.last_seq for m in encode(Form.LIST, BLOCK, 7, 18)] == [20]


def test_flat_holds_points_and_time_alone() -> None:
    assert plain(Form.FLAT)[2] == {"ts": 1_763_740_801_000, "flow": 80.0, "speed": 2899.0}


def test_an_empty_block_is_no_sample() -> None:
    for form in (Form.FLAT, Form.VALUES, Form.LIST):
        assert encode(form, Block(0, 1, {"flow": []}), 1, 0) == []


def test_what_is_not_finite_is_left_out() -> None:
    assert sample(1_000_000, {"a": math.nan, "b": math.inf, "c": 1.5}, 1, 0)["values"] == {"c": 1.5}


@pytest.mark.parametrize(
    ("time_us", "expected"),
    [
        (1_763_740_800_000_000, 1_763_740_800_000),
        (1_763_740_800_000_001, "2025-11-21T16:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_stamps(time_us: int, expected: int | str) -> None:
    assert stamp(time_us) == expected


def test_rfc3339_needs_no_fraction_for_a_whole_second() -> None:
    assert rfc3339(1_763_740_800_000_000) == "2025-11-21T16:00:00Z"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://localhost", Broker("localhost", 1883)),
        ("mqtts://broker.example:8884/", Broker("broker.example", 8884, True)),
        ("mqtt://u%40x:p%2Fw@h:1", Broker("h", 1, False, "u@x", "p/w")),
        ("mqtt://[::1]:1884", Broker("::1", 1884)),
    ],
)
def test_mqtt_urls(url: str, expected: Broker) -> None:
    assert Broker.parse(url) == expected
    assert Broker.parse(str(expected), expected.username, expected.password) == expected


def test_credentials_given_apart_win_over_the_url() -> None:
    assert Broker.parse("mqtt://a:b@h", "c", "d") == Broker("h", 1883, False, "c", "d")


@pytest.mark.parametrize("url", ["http://h", "mqtt://", "h:1883", "mqtt://h:secret99", "mqtt://h:1/topic"])
def test_what_is_no_mqtt_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="MQTT URL") as refused:
        Broker.parse(url)
    assert "secret99" not in str(refused.value)


def test_a_password_is_not_shown() -> None:
    broker = Broker.parse("mqtt://u:hidden@h")
    assert "hidden" not in f"{broker} {broker!r}"
