"""Mosquitto's dynamic-security plugin, spoken to over MQTT by the broker's administrator: commands, answers."""

from __future__ import annotations

import json
import queue
import secrets
import threading
from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from ingest.access import rights
from store.errors import Unavailable
from telemetry import Broker

# Names in a page of what the plugin knows.
PAGE = 1000
ANSWER_S = 15.0
KEEPALIVE_S = 15
# What a command says that was done before, and what one says that was done now.
DONE = {"", "Client already exists", "Role already exists", "Client not found", "Role not found"}


class Control:
    """The administrator's connection: commands go out, their answers come back. `connection` counts reconnects.

    One question at a time, from one thread. The network thread does nothing but put into a queue.
    """

    def __init__(self, broker: Broker) -> None:
        self.connection = 0
        self._broker = broker
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._listening = threading.Event()
        self._refusal = ""

    def __enter__(self) -> Control:
        client = Client(callback_api_version=CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls:
            client.tls_set_context(self._broker.encryption())
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.reconnect_delay_set(1, 10)
        self._client = client
        client.connect_async(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def is_listening(self) -> bool:
        """Whether the broker hears us."""
        return self._listening.is_set()

    def names(self, what: str) -> list[str]:
        """All `clients` or `roles` that the plugin knows."""
        found: list[str] = []
        while True:
            command = {"command": f"list{what.capitalize()}", "count": PAGE, "offset": len(found)}
            answer = self.ask([command])[0]
            if "data" not in answer:
                raise Unavailable(f"the broker's plugin: {answer.get('error')}")
            data = answer["data"]
            found += data[what]
            if not data[what] or len(found) >= data["totalCount"]:
                return found

    def tell(self, commands: Sequence[dict[str, Any]]) -> None:
        """Have commands done.

        Raises
        ------
        Unavailable
            The broker does not answer, or does not do one of them; what was done before stays done.
        """
        for answer in self.ask(commands):
            error = answer.get("error", "")
            if error not in DONE:
                raise Unavailable(f"the broker's plugin: {answer.get('command')}: {error}")

    def ask(self, commands: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers to commands, in their order. Unavailable where none come."""
        if not commands:
            return []
        if not self._listening.wait(ANSWER_S):
            raise Unavailable(self._refusal or f"no connection to the broker at {self._broker}")
        mark = secrets.token_hex(8)
        self._client.publish(
            rights.CONTROL,
            json.dumps({"commands": [{**command, "correlationData": mark} for command in commands]}),
            qos=1,
        )
        while True:
            try:
                answers = self._answers.get(timeout=ANSWER_S)["responses"]
            except queue.Empty:
                raise Unavailable("the broker's plugin does not answer") from None
            # Those of another administrator's commands come here too.
            if [answer.get("correlationData") for answer in answers] == [mark] * len(commands):
                return list(answers)

    # On the network thread, which an exception would end without a word -----------------------------------------------

    def _on_connect(self, client: Client, _: Any, __: ConnectFlags, reason: ReasonCode, ___: Any) -> None:
        if reason.is_failure:
            self._refusal = f"BELLWETHER_MQTT_GATE_USERNAME: the broker at {self._broker} says: {reason}"
        else:
            client.subscribe(rights.ANSWERS, qos=1)

    def _on_subscribe(self, _: Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        if reasons[0].is_failure:
            self._refusal = f"BELLWETHER_MQTT_GATE_USERNAME is not an administrator: {reasons[0]}"
        else:
            self.connection += 1
            self._listening.set()

    def _on_disconnect(self, _: Client, __: Any, ___: DisconnectFlags, ____: ReasonCode, _____: Any) -> None:
        self._listening.clear()

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        try:
            answer = json.loads(message.payload)
        except ValueError:
            return
        if isinstance(answer, dict) and isinstance(answer.get("responses"), list):
            self._answers.put(answer)
