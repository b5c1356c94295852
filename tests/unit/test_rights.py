"""Who may say what, as far as it can be told without a broker, and what stops a gate before it begins."""

from __future__ import annotations

import json

import pytest

from bellwether.settings import Settings
from ingest.access.rights import SERVICES, first_state, of_device, of_gateway
from store.errors import Misconfigured
from telemetry.topics import why_not_foreign

Grant = tuple[str, str]


def said(grants: list[dict[str, object]]) -> set[Grant]:
    assert all(grant["allow"] is True for grant in grants), "what is not granted is denied: nothing is denied apart"
    return {(str(grant["acltype"]), str(grant["topic"])) for grant in grants}


def test_a_device_subscribes_to_no_pattern_and_says_nothing_to_itself() -> None:
    grants = said(of_device("demo", "pump-1"))
    own = "bellwether/v1/demo/pump-1"
    assert grants == {
        *(("publishClientSend", f"{own}/{kind}") for kind in ("telemetry", "waveform", "status")),
        *(
            (kind, f"{own}/{name}")
            for kind in ("subscribeLiteral", "publishClientReceive")
            for name in ("ack", "config")
        ),
    }


def test_what_is_granted_beside_is_there() -> None:
    grants = said(of_device("demo", "pump-1", ["zigbee2mqtt/#"], ["zigbee2mqtt/+/set"]))
    assert {
        ("publishClientSend", "zigbee2mqtt/#"),
        ("subscribePattern", "zigbee2mqtt/+/set"),
        ("publishClientReceive", "zigbee2mqtt/+/set"),
    } <= grants
    assert ("subscribePattern", "zigbee2mqtt/#") not in grants


def test_a_gateway_never_speaks_for_the_host_whatever_its_tenant_is_called() -> None:
    assert ("publishClientSend", "spBv1.0/demo/#") in said(of_gateway("demo"))
    assert not [
        topic for kind, topic in said(of_gateway("STATE")) if kind == "publishClientSend" and "spBv1.0" in topic
    ]


def test_what_the_plugin_begins_with_holds_no_secret_and_denies() -> None:
    state = first_state()
    assert "password" not in json.dumps(state)
    assert not state["defaultACLAccess"]["publishClientSend"]
    assert not state["defaultACLAccess"]["publishClientReceive"]
    assert not state["defaultACLAccess"]["subscribe"]
    assert [client["username"] for client in state["clients"]] == list(SERVICES)


def test_the_plugin_is_the_gates_alone() -> None:
    for name, grants in SERVICES.items():
        reach = [topic for _, topic in said(grants) if topic.startswith("$CONTROL")]
        assert bool(reach) == (name == "gate")


@pytest.mark.parametrize(
    "topic_filter", ["zigbee2mqtt/#", "shellies/+/relay/0", "application/3/device/+/event/up", "a", "a/"]
)
def test_what_may_be_granted(topic_filter: str) -> None:
    assert why_not_foreign(topic_filter) is None


@pytest.mark.parametrize(
    ("username", "password", "said"),
    [("gate", None, "PASSWORD is not set"), ("gate", "short", "PASSWORD is weak"), ("gate", "", "PASSWORD is not set")],
)
def test_a_gate_without_a_strong_password_does_not_start(username: str, password: str | None, said: str) -> None:
    settings = Settings.model_validate(
        {"mqtt_url": "mqtt://broker", "mqtt_gate_username": username, "mqtt_gate_password": password}
    )
    with pytest.raises(Misconfigured, match=said):
        settings.gate_broker()


def test_without_a_name_there_is_no_gate() -> None:
    assert Settings.model_validate({"mqtt_url": "mqtt://broker", "mqtt_gate_username": ""}).gate_broker() is None


def test_a_file_of_tls_that_is_not_there_is_said_before_anything_is_tried() -> None:
    settings = Settings.model_validate({"mqtt_url": "mqtts://broker", "mqtt_ca_file": "none.crt"})
    with pytest.raises(Misconfigured, match="BELLWETHER_MQTT_CA_FILE"):
        settings.need_broker()
