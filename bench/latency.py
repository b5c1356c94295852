"""From a reading's publication to its ticket in the API, through the whole running stack."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import orjson
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from bellwether.up import Options, Stack, running_stack

_WITHIN_S = 30.0
_POLL_S = 0.004
RULE = {
    "id": "bench",
    "detector": "limits",
    "fault": "condition",
    "severities": [[1.0, "high"]],
    "device": "latency-*",
    "point": "temperature",
    "limit": {"hi": 100.0},
    "rationalisation": {"cause": "none", "consequence": "none", "action": "none", "respond_within_s": 60.0},
}

Say = Callable[[str], None]


def publish_to_ticket(samples: int, say: Say) -> tuple[float, float]:
    """The median and the 99th percentile, in seconds, of so many faults one after the other."""
    folder = Path(tempfile.mkdtemp(prefix="bellwether-bench-"))
    try:
        with running_stack(Options(folder), lambda _: None) as stack:
            seconds = _measure(stack, samples, say)
    finally:
        servers = folder / "servers"
        if servers.is_symlink():
            shutil.rmtree(servers.resolve())
        shutil.rmtree(folder)
    return float(np.median(seconds)), float(np.percentile(seconds, 99))


def _measure(stack: Stack, samples: int, say: Say) -> list[float]:
    client = mqtt.Client(callback_api_version=CallbackAPIVersion.VERSION2)
    client.username_pw_set(stack.devices.username, stack.devices.password)
    client.connect(stack.devices.host, stack.devices.port)
    client.loop_start()
    headers = {"Authorization": f"Bearer {stack.admin_token}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=10, trust_env=False) as api:
        api.put("/api/v1/rules/bench", json={"rule": RULE, "version": 0}).raise_for_status()
        seconds: list[float] = []
        _until_ruled(client, api)
        for sample in range(samples):
            if sample % 20 == 0:
                say(f"publish to ticket: {sample} of {samples}")
            device = f"latency-{sample:04d}"
            _publish(client, device, 20.0)
            time.sleep(0.05 + 0.1 * np.random.default_rng(sample).random())  # at any point of the round of each role
            began = time.perf_counter()
            _publish(client, device, 120.0)
            _until_ticket(api, device)
            seconds.append(time.perf_counter() - began)
    client.disconnect()
    client.loop_stop()
    return seconds


def _publish(client: mqtt.Client, device: str, value: float) -> None:
    client.publish(f"bellwether/v1/demo/{device}/telemetry", orjson.dumps({"temperature": value}), qos=1)


def _until_ruled(client: mqtt.Client, api: httpx.Client) -> None:
    """Until ingest has taken the rule."""
    deadline = time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline:
        _publish(client, "latency-first", 120.0)
        if api.get("/api/v1/tickets", params={"device": "latency-first"}).json()["items"]:
            return
        time.sleep(0.1)
    raise RuntimeError("the rule did not take effect")


def _until_ticket(api: httpx.Client, device: str) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not api.get("/api/v1/tickets", params={"device": device}).json()["items"]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"no ticket for {device} within {_WITHIN_S:g} s")
        time.sleep(_POLL_S)
