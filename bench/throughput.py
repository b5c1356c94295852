"""How much ingest stores, beside the least that could be done: a bare COPY of the same rows, a bare subscriber.

Messages wait in the broker's queue of a persistent session before the clock starts, so that no publisher takes a share
of the processor. Both sides of a ratio run in turns, A B A B, against the same servers, and the medians are compared.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bench.servers import TENANT, Servers
from ingest.lane import SESSION_EXPIRY_S
from ingest.mqtt import WINDOW_MESSAGES
from store.queries import queries
from store.telemetry import encode
from telemetry import TELEMETRY_FILTER, Batch

CLIENT_ID = "bellwether-bench"
ROOT = Path(__file__).parents[1]
# A device of ten points that sends ten seconds at 10 Hz in a message.
DEVICES, POINTS, VALUES = 20, 10, 100
COLUMN_MESSAGES = 1500
# Sensors that send a reading at a time are many.
SINGLE_DEVICES, SINGLE_MESSAGES = 200, 60_000
# As many rows in a transaction as ingest's own deliveries hold, the messages of `LINGER_S` in columns.
COPY_ROWS = 50_000
# The ends of a run are not its rate: the first commit begins the clock.
_POLL_S = 0.02
_WITHIN_S = 180.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Two rates a second, each the median of its rounds."""

    ours: float
    bare: float

    @property
    def share(self) -> float:
        return self.ours / self.bare


def columns(servers: Servers, rounds: int, say: Say) -> Ratio:
    """Readings a second stored from column payloads, and by a bare binary COPY."""
    ours, bare = [], []
    for turn in range(rounds):
        say(f"columns: ingest, round {turn + 1} of {rounds}")
        ours.append(_ingest(servers, _column_messages(), COLUMN_MESSAGES * POINTS * VALUES))
        say(f"columns: bare COPY, round {turn + 1} of {rounds}")
        bare.append(_copy(servers))
    return Ratio(statistics.median(ours), statistics.median(bare))


def singles(servers: Servers, rounds: int, say: Say) -> Ratio:
    """Messages of one reading a second, stored by ingest, and acknowledged by a bare subscriber."""
    ours, bare = [], []
    for turn in range(rounds):
        say(f"single readings: ingest, round {turn + 1} of {rounds}")
        ours.append(_ingest(servers, _single_messages(), SINGLE_MESSAGES))
        say(f"single readings: bare subscriber, round {turn + 1} of {rounds}")
        bare.append(_subscribe(servers, _single_messages(), SINGLE_MESSAGES))
    return Ratio(statistics.median(ours), statistics.median(bare))


# What is sent --------------------------------------------------------------------------------------------------------

Payload = tuple[str, bytes]


def _topic(device: int) -> str:
    return f"bellwether/v1/{TENANT}/bench-{device:03d}/telemetry"


def _column_messages() -> Iterator[Payload]:
    rng = np.random.default_rng(1)
    started_ms = time.time_ns() // 1_000_000 - 3_600_000
    for number in range(COLUMN_MESSAGES):
        device, block = number % DEVICES, number // DEVICES
        body = {
            "t0": started_ms + block * VALUES * 100,
            "dt": 100,
            "values": {
                f"point_{point}": np.round(rng.normal(50 + point, 1, VALUES), 3).tolist() for point in range(POINTS)
            },
        }
        yield _topic(device), orjson.dumps(body)


def _single_messages() -> Iterator[Payload]:
    rng = np.random.default_rng(1)
    started_ms = time.time_ns() // 1_000_000 - 3_600_000
    values = np.round(rng.normal(71, 1, SINGLE_MESSAGES), 3).tolist()
    for number, value in enumerate(values):
        yield (
            _topic(number % DEVICES),
            orjson.dumps({"ts": started_ms + number // DEVICES * 1000, "temperature": value}),
        )


# Ours ----------------------------------------------------------------------------------------------------------------


def _ingest(servers: Servers, payloads: Iterator[Payload], readings: int) -> float:
    """Readings a second that `bellwether ingest` stores and scores out of a queue that waits for it."""
    servers.empty()
    _open_session(servers)
    _publish(servers, payloads)
    with ingest_process(servers), psycopg.connect(servers.database_url, autocommit=True) as conn:
        return _rate(lambda: _stored(conn), readings)


@contextmanager
def ingest_process(servers: Servers) -> Iterator[subprocess.Popen[bytes]]:
    """`bellwether ingest` as a process of its own, until the block ends."""
    broker = servers.broker("bellwether")
    process = subprocess.Popen(
        [sys.executable, "-m", "bellwether", "ingest"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        env=os.environ
        | {
            "BELLWETHER_DATABASE_URL": servers.ingest_url,
            "BELLWETHER_MQTT_URL": str(broker),
            "BELLWETHER_MQTT_USERNAME": broker.username or "",
            "BELLWETHER_MQTT_PASSWORD": broker.password or "",
            "BELLWETHER_MQTT_CLIENT_ID": CLIENT_ID,
        },
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _stored(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute("SELECT coalesce(sum(stored), 0)::bigint FROM ledger").fetchone()
    return int(row[0]) if row else 0


# The least -----------------------------------------------------------------------------------------------------------


def _copy(servers: Servers) -> float:
    """Readings a second of the same shape by COPY alone, the bytes made beforehand."""
    servers.empty()
    blocks = COLUMN_MESSAGES // DEVICES
    per_block = DEVICES * POINTS * VALUES
    rng = np.random.default_rng(1)
    started_us = time.time_ns() // 1000 - 3_600_000_000
    step = max(COPY_ROWS // per_block, 1)
    parts = []
    for first in range(0, blocks, step):
        times = started_us + (first * VALUES + np.arange(min(step, blocks - first) * VALUES)) * 100_000
        streams = np.arange(1, DEVICES * POINTS + 1)
        parts.append(
            encode(
                Batch.of(
                    np.tile(times, len(streams)),
                    np.repeat(streams, len(times)),
                    rng.normal(50, 1, len(streams) * len(times)),
                )
            )
        )
    sql = queries("telemetry")["copy_readings"]
    with psycopg.connect(servers.ingest_url) as conn:
        # The first transaction makes the chunk: as in ingest's runs it is not measured.
        began = 0.0
        for part in parts:
            with conn.cursor() as cursor, cursor.copy(sql) as copy:
                copy.write(part)
            conn.commit()
            began = began or time.perf_counter()
        seconds = time.perf_counter() - began
    return blocks * per_block * (len(parts) - 1) / len(parts) / seconds


def _subscribe(servers: Servers, payloads: Iterator[Payload], messages: int) -> float:
    """Messages a second of a subscriber that does nothing but acknowledge them, a batch at a time."""
    _open_session(servers)
    _publish(servers, payloads)
    source = subprocess.run(
        [sys.executable, "-m", "bench.subscriber", str(messages), *map(str, _address(servers))],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
    )
    return float(source.stdout)


def _address(servers: Servers) -> tuple[str, int, str, str, str]:
    broker = servers.broker("bellwether")
    return broker.host, broker.port, broker.username or "", broker.password or "", CLIENT_ID


# The queue -----------------------------------------------------------------------------------------------------------


def persistent(client_id: str, username: str, password: str) -> tuple[mqtt.Client, Properties]:
    """A client with a session like ingest's, and the properties to connect it with."""
    client = mqtt.Client(
        callback_api_version=CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        manual_ack=True,
    )
    client.username_pw_set(username, password)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    properties.ReceiveMaximum = WINDOW_MESSAGES
    return client, properties


def _open_session(servers: Servers) -> None:
    """A new session for ingest at the broker: subscribed, and away."""
    host, port, username, password, client_id = _address(servers)
    client, properties = persistent(client_id, username, password)
    subscribed = threading.Event()
    client.on_connect = lambda *_: client.subscribe(TELEMETRY_FILTER, qos=1) and None
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect(host, port, clean_start=True, properties=properties)
    client.loop_start()
    if not subscribed.wait(10):
        raise RuntimeError("the broker did not answer")
    client.disconnect()
    client.loop_stop()


def _publish(servers: Servers, payloads: Iterator[Payload]) -> None:
    """Put everything into the queue; returns when the broker has it."""
    broker = servers.broker("devices")
    client = mqtt.Client(callback_api_version=CallbackAPIVersion.VERSION2)
    client.username_pw_set(broker.username, broker.password)
    client.max_queued_messages_set(0)
    client.connect(broker.host, broker.port)
    client.loop_start()
    for info in [client.publish(topic, payload, qos=1) for topic, payload in payloads]:
        info.wait_for_publish(_WITHIN_S)
    client.disconnect()
    client.loop_stop()


def _rate(done: Callable[[], int], total: int) -> float:
    """How many a second, from the first that is done to the last."""
    deadline = time.monotonic() + _WITHIN_S
    first, began = 0, 0.0
    while True:
        now = done()
        if now and not began:
            first, began = now, time.perf_counter()
        if now >= total:
            break
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {now} of {total} were stored within {_WITHIN_S:g} s")
        time.sleep(_POLL_S)
    return (total - first) / (time.perf_counter() - began)
