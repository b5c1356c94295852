"""The README's first device: its five lines, run as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from servers import RunningBroker
from waiting import until

from ingest.decoding import decode
from ingest.messages import Message
from telemetry import StreamKey, Topic

README = Path(__file__).parents[2] / "README.md"


def listener(broker: RunningBroker, received: list[Message]) -> mqtt.Client:
    """What ingest would hear."""
    ingest = broker.of("bellwether")
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(ingest.username, ingest.password)
    client.on_connect = lambda client, *_: client.subscribe("bellwether/v1/+/+/telemetry", qos=1)
    client.on_message = lambda _, __, message: received.append(Message(message.topic, message.payload))
    subscribed: list[int] = []
    client.on_subscribe = lambda *_: subscribed.append(1)
    client.connect(ingest.host, ingest.port)
    client.loop_start()
    until(lambda: subscribed)
    return client


def test_the_five_lines_send_a_reading_that_ingest_understands(broker: RunningBroker, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 1
    assert len(blocks[0].strip().splitlines()) == 5
    operator = broker.of("operator")
    stack = {
        "mqtt_url": str(operator),
        "mqtt_username": operator.username,
        "mqtt_password": operator.password,
    }
    (tmp_path / "plant").mkdir()
    (tmp_path / "plant/stack.json").write_text(json.dumps(stack))
    received: list[Message] = []
    client = listener(broker, received)
    try:
        subprocess.run([sys.executable, "-c", blocks[0]], cwd=tmp_path, check=True, timeout=120)
        until(lambda: received)
    finally:
        client.loop_stop()
        client.disconnect()
    topic = Topic.parse(received[0].topic)
    assert topic is not None
    decoded = decode(received[:1], {}, arrived_us=1_763_740_800_000_000)
    assert not decoded.rejects
    assert decoded.unknown == [
        StreamKey("demo", "pump-7", "bearing_temperature"),
        StreamKey("demo", "pump-7", "vibration_velocity"),
    ]
