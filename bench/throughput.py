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
from collections.abc import Callable, Iterator, Sequence
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

from bench.publisher import Publisher, topic_of
from bench.servers import TENANT, Servers
from ingest.broker.mqtt import WINDOW_MESSAGES
from ingest.broker.session import SESSION_EXPIRY_S
from store.queries import queries
from store.telemetry import encode
from telemetry import TELEMETRY_FILTER, Batch, instant

CLIENT_ID = "bellwether-bench"
ROOT = Path(__file__).parents[1]
INGEST = ("bellwether", "ingest")
WITHOUT_DETECTORS = ("bench.process", "--without-detectors")
# A device of ten points that sends ten seconds at 10 Hz in a message.
DEVICES, POINTS, VALUES = 20, 10, 100
COLUMN_MESSAGES = 1500
# Sensors that send a reading at a time are many.
SINGLE_DEVICES, SINGLE_MESSAGES = 200, 120_000
# As many rows in a transaction as ingest's own deliveries hold, the messages of `LINGER_S` in columns.
COPY_ROWS = 50_000
# The ends of a run are not its rate: the first commit begins the clock.
_POLL_S = 0.01
_WITHIN_S = 180.0

Say = Callable[[str], None]
Message = tuple[str, bytes]
Place = tuple[str, str, int]
"""A reading by device, point and µs since 1970."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Two rates a second, each the median of its rounds."""

    ours: float
    bare: float

    @property
    def share(self) -> float:
        return self.ours / self.bare


@dataclass(frozen=True, slots=True)
class Load:
    """Messages in the order in which they are stored, how many readings they hold, the first of these and the last."""

    messages: Sequence[Message]
    readings: int
    first: Place
    last: Place


def columns(servers: Servers, rounds: int, say: Say) -> Ratio:
    """Readings a second stored from column payloads, and by a bare binary COPY."""
    return _in_turns(
        rounds,
        say,
        ("columns: ingest", lambda: stored_a_second(servers, column_load())),
        ("columns: bare COPY", lambda: copied_a_second(servers)),
    )


def singles(servers: Servers, rounds: int, say: Say) -> Ratio:
    """Messages of one reading a second, stored by ingest, and acknowledged by a bare subscriber."""
    return _in_turns(
        rounds,
        say,
        ("single readings: ingest", lambda: stored_a_second(servers, single_load())),
        ("single readings: bare subscriber", lambda: subscribed_a_second(servers, single_load())),
    )


def detectors_on(servers: Servers, rounds: int, say: Say, what: str) -> Ratio:
    """Readings a second stored with all detectors, and without any; `what`: "columns" or "single readings"."""
    make = column_load if what == "columns" else single_load
    return _in_turns(
        rounds,
        say,
        (f"{what}: detectors on", lambda: stored_a_second(servers, make())),
        (f"{what}: detectors off", lambda: stored_a_second(servers, make(), WITHOUT_DETECTORS)),
    )


def _in_turns(
    rounds: int, say: Say, ours: tuple[str, Callable[[], float]], bare: tuple[str, Callable[[], float]]
) -> Ratio:
    rates: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds):
        for (name, measure), into in zip((ours, bare), rates, strict=True):
            say(f"{name}, round {turn + 1} of {rounds}")
            into.append(measure())
    return Ratio(*map(statistics.median, rates))


# What is sent --------------------------------------------------------------------------------------------------------


def an_hour_ago_ms() -> int:
    return time.time_ns() // 1_000_000 - 3_600_000


def column_load(count: int = COLUMN_MESSAGES, started_ms: int | None = None) -> Load:
    rng = np.random.default_rng(1)
    started_ms = started_ms or an_hour_ago_ms()
    messages = []
    for number in range(count):
        device, block = number % DEVICES, number // DEVICES
        body = {
            "t0": started_ms + block * VALUES * 100,
            "dt": 100,
            "values": {
                f"point_{point}": np.round(rng.normal(50 + point, 1, VALUES), 3).tolist() for point in range(POINTS)
            },
        }
        messages.append((topic_of(device, TENANT), orjson.dumps(body)))
    last_ms = started_ms + (count - 1) // DEVICES * VALUES * 100 + (VALUES - 1) * 100
    return Load(
        messages,
        count * POINTS * VALUES,
        (_device_of(messages[0]), "point_0", started_ms * 1000),
        (_device_of(messages[-1]), f"point_{POINTS - 1}", last_ms * 1000),
    )


def single_load(count: int = SINGLE_MESSAGES, started_ms: int | None = None, tenant: str = TENANT) -> Load:
    rng = np.random.default_rng(1)
    started_ms = started_ms or an_hour_ago_ms()
    values = np.round(rng.normal(71, 1, count), 3).tolist()
    messages = [
        (
            topic_of(number % SINGLE_DEVICES, tenant),
            b'{"ts":%d,"temperature":%.3f}' % (started_ms + number // SINGLE_DEVICES * 1000, value),
        )
        for number, value in enumerate(values)
    ]
    last_ms = started_ms + (count - 1) // SINGLE_DEVICES * 1000
    return Load(
        messages,
        count,
        (_device_of(messages[0]), "temperature", started_ms * 1000),
        (_device_of(messages[-1]), "temperature", last_ms * 1000),
    )


def _device_of(message: Message) -> str:
    return message[0].split("/")[3]


# Ours ----------------------------------------------------------------------------------------------------------------


def stored_a_second(servers: Servers, load: Load, program: Sequence[str] = INGEST, among: bool = False) -> float:
    """Readings a second that ingest stores and scores out of a queue that waits; not alone where `among` others."""
    if not among:
        servers.empty()
    open_session(servers)
    with Publisher(servers.broker("devices")) as publisher:
        publisher.publish(load.messages)
        publisher.finish()
    with (
        ingest_process(servers, program) as process,
        psycopg.connect(servers.database_url, autocommit=True, options="-c timezone=UTC") as conn,
    ):
        return rate(conn, load, process)


def rate(conn: psycopg.Connection[Any], load: Load, process: subprocess.Popen[bytes], tenant: str = TENANT) -> float:
    """How many a second, from the first that are stored to the last."""
    until_stored(conn, load.first, process, tenant)
    began = time.perf_counter()
    first = _count_since(conn, load.first[2])
    until_stored(conn, load.last, process, tenant)
    seconds = time.perf_counter() - began
    stored = _count_since(conn, load.first[2])
    if stored != load.readings:
        raise RuntimeError(f"{stored} of {load.readings} readings were stored")
    return (load.readings - first) / seconds


@contextmanager
def ingest_process(
    servers: Servers,
    program: Sequence[str] = INGEST,
    client_id: str = CLIENT_ID,
    database_url: str | None = None,
    log: Path = Path(os.devnull),
) -> Iterator[subprocess.Popen[bytes]]:
    """Ingest as a process of its own, until the block ends."""
    broker = servers.broker("bellwether")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *program],
            cwd=ROOT,
            stderr=output,
            env=os.environ
            | {
                "BELLWETHER_DATABASE_URL": database_url or servers.ingest_url,
                "BELLWETHER_MQTT_URL": str(broker),
                "BELLWETHER_MQTT_USERNAME": broker.username or "",
                "BELLWETHER_MQTT_PASSWORD": broker.password or "",
                "BELLWETHER_MQTT_CLIENT_ID": client_id,
            },
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def until_stored(
    conn: psycopg.Connection[Any], place: Place, process: subprocess.Popen[bytes], tenant: str = TENANT
) -> None:
    """Wait until a reading is there."""
    device, point, time_us = place
    sql = (
        "SELECT 1 FROM readings WHERE time = %s AND stream_id ="
        " (SELECT id FROM streams WHERE tenant = %s AND device = %s AND point = %s)"
    )
    deadline = time.monotonic() + _WITHIN_S
    while not conn.execute(sql, [instant(time_us), tenant, device, point]).fetchone():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"ingest has ended, or not all was stored within {_WITHIN_S:g} s")
        time.sleep(_POLL_S)


def _count_since(conn: psycopg.Connection[Any], time_us: int) -> int:
    row = conn.execute("SELECT count(*) FROM readings WHERE time >= %s", [instant(time_us)]).fetchone()
    return int(row[0]) if row else 0


# The least -----------------------------------------------------------------------------------------------------------


def copied_a_second(servers: Servers) -> float:
    """Readings a second of the same shape by COPY alone, the bytes made beforehand."""
    servers.empty()
    blocks = COLUMN_MESSAGES // DEVICES
    per_block = DEVICES * POINTS * VALUES
    rng = np.random.default_rng(1)
    started_us = an_hour_ago_ms() * 1000
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


def subscribed_a_second(servers: Servers, load: Load) -> float:
    """Messages a second of a subscriber that does nothing but acknowledge them, a batch at a time."""
    open_session(servers)
    with Publisher(servers.broker("devices")) as publisher:
        publisher.publish(load.messages)
        publisher.finish()
    source = subprocess.run(
        [sys.executable, "-m", "bench.subscriber", str(len(load.messages)), *map(str, _address(servers))],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
    )
    return float(source.stdout)


def _address(servers: Servers, client_id: str = CLIENT_ID) -> tuple[str, int, str, str, str]:
    broker = servers.broker("bellwether")
    return broker.host, broker.port, broker.username or "", broker.password or "", client_id


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


def open_session(servers: Servers, client_id: str = CLIENT_ID, topic_filter: str = TELEMETRY_FILTER) -> None:
    """A new session for ingest at the broker: subscribed, and away."""
    host, port, username, password, _ = _address(servers)
    client, properties = persistent(client_id, username, password)
    subscribed = threading.Event()
    client.on_connect = lambda *_: client.subscribe(topic_filter, qos=1) and None
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect(host, port, clean_start=True, properties=properties)
    client.loop_start()
    if not subscribed.wait(10):
        raise RuntimeError("the broker did not answer")
    client.disconnect()
    client.loop_stop()
