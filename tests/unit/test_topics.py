"""Topics and the broker's address: what is ours, and what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import KINDS, Broker, Topic, is_name

NAMES = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)


@given(NAMES, NAMES, st.sampled_from(sorted(KINDS)))
def test_a_topic_reads_as_it_is_written(tenant: str, device: str, kind: str) -> None:
    topic = Topic(tenant, device, kind)
    assert Topic.parse(str(topic)) == topic


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bellwether/v1/demo/pump-1",
        "bellwether/v1/demo/pump-1/telemetry/more",
        "bellwether/v2/demo/pump-1/telemetry",
        "Bellwether/v1/demo/pump-1/telemetry",
        "bellwether/v1/demo/pump-1/gossip",
        "bellwether/v1//pump-1/telemetry",
        "bellwether/v1/demo/pump 1/telemetry",
        "bellwether/v1/demo/pümp/telemetry",
        f"bellwether/v1/demo/{'x' * 65}/telemetry",
        "bellwether/v1/demo/pump-1\n/telemetry",
        "bellwether/v1/demo/pump-1/telemetry\n",
        "bellwether/v1/demo/٣/telemetry",
    ],
)
def test_what_is_no_topic_of_ours(text: str) -> None:
    assert Topic.parse(text) is None


@given(st.text(max_size=100))
def test_whatever_the_text(text: str) -> None:
    topic = Topic.parse(text)
    assert topic is None or str(topic) == text


def test_a_name_has_at_most_64_plain_characters() -> None:
    assert is_name("x" * 64)
    assert not is_name("x" * 65)
    assert not is_name("pump-1\n")


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://plant", Broker("plant", 1883)),
        ("mqtts://plant", Broker("plant", 8883, tls=True)),
        ("mqtt://ada:p%40ss@10.0.0.1:1884/", Broker("10.0.0.1", 1884, username="ada", password="p@ss")),
    ],
)
def test_a_broker_s_url(url: str, broker: Broker) -> None:
    assert Broker.parse(url) == broker


def test_credentials_given_apart_win() -> None:
    broker = Broker.parse("mqtt://ada:old@plant", "eve", "new")
    assert (broker.username, broker.password) == ("eve", "new")


@pytest.mark.parametrize("url", ["", "plant", "http://plant", "mqtt://", "mqtt://plant:x", "mqtt://plant:1/topic"])
def test_what_is_no_broker(url: str) -> None:
    with pytest.raises(ValueError, match="MQTT URL"):
        Broker.parse(url)


def test_a_password_is_never_shown() -> None:
    broker = Broker.parse("mqtt://ada:hunter2@plant")
    assert "hunter2" not in f"{broker} {broker!r}"
