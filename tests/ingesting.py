"""Ingest under test: in this process, to look inside, or in one of its own, to kill; and a device that publishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from servers import Database, RunningBroker
from waiting import PATIENCE_S, until

from ingest.broker.mqtt import MqttSource
from ingest.loop import Ingest

CLIENT_ID = "bellwether-ingest"
ROOT = Path(__file__).parents[1]


class Device:
    """Publishes at QoS 1, as fast as the broker takes it."""

    def __init__(
        self, broker: RunningBroker, name: str = "pump-1", tenant: str = "demo", user: str = "devices"
    ) -> None:
        self.name = name
        self.tenant = tenant
        to = broker.of(user)
        self._client = mqtt.Client(callback_api_version=CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(to.username, to.password)
        self._client.max_queued_messages_set(0)
        self._client.on_publish = self._taken
        self._count = 0
        self._acknowledged = 0
        self._client.connect(to.host, to.port)
        self._client.loop_start()
        until(self._client.is_connected)

    def send(self, *payloads: bytes | dict[str, Any] | list[Any], topic: str | None = None) -> None:
        """Publish, and return when the broker has taken everything."""
        self.begin(payloads, topic)
        self.finish()

    def begin(self, payloads: Iterable[bytes | dict[str, Any] | list[Any]], topic: str | None = None) -> None:
        """Publish, and return at once."""
        topic = topic or f"bellwether/v1/{self.tenant}/{self.name}/telemetry"
        for payload in payloads:
            body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
            self._client.publish(topic, body, qos=1)
            self._count += 1

    def finish(self, within_s: float = PATIENCE_S) -> None:
        until(lambda: self._acknowledged >= self._count, within_s)

    def _taken(self, *_: Any) -> None:
        self._acknowledged += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass(frozen=True, slots=True)
class RunningIngest:
    """An ingest on a thread of this process."""

    source: MqttSource
    ingest: Ingest
    thread: threading.Thread
    failures: list[BaseException]

    def stop(self) -> None:
        """As SIGTERM does; returns when it has ended. What it raised is raised here."""
        self.source.close()
        self.ingest.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        if self.failures:
            raise self.failures.pop()


@contextmanager
def ingesting(
    database: Database, broker: RunningBroker, client_id: str = CLIENT_ID, **settings: Any
) -> Iterator[RunningIngest]:
    """Ingest until the block ends, subscribed when it begins; `settings` are those of `Ingest`."""
    source = MqttSource(broker.of("bellwether"), client_id)
    with running(source, Ingest(source, database.url("ingest"), **settings)) as ingest:
        yield ingest


@contextmanager
def running(source: MqttSource, ingest: Ingest) -> Iterator[RunningIngest]:
    """The same of an ingest that was put together elsewhere."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            ingest.run()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run, name="ingest")
    started = RunningIngest(source, ingest, thread, failures)
    thread.start()
    try:
        until(lambda: source.connected or failures)
        yield started
    finally:
        started.stop()


class IngestProcess:
    """`bellwether ingest` as a process of its own."""

    def __init__(self, database: Database, broker: RunningBroker, log: Path) -> None:
        to = broker.of("bellwether")
        self._log = log
        with log.open("ab") as output:
            self._log_begins = output.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bellwether", "ingest"],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "BELLWETHER_DATABASE_URL": database.url("ingest"),
                    "BELLWETHER_MQTT_URL": str(to),
                    "BELLWETHER_MQTT_USERNAME": to.username or "",
                    "BELLWETHER_MQTT_PASSWORD": to.password or "",
                },
            )

    def until_awake(self) -> None:
        """Wait until it has scored what was missed, and listens."""

        def awake() -> bool:
            said = self._log.read_text()[self._log_begins :]
            return "broker connected" in said and "ingest: awake" in said

        until(lambda: self.process.poll() is not None or awake(), within_s=120)
        assert self.process.poll() is None, self._log.read_text()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """As a supervisor does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.kill()


def count_of(database: Database, table: str = "readings") -> int:
    with database.owner() as conn:
        row = conn.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  (a name of the test's own)
    assert row
    return int(row[0])


def until_stored(database: Database, readings: int, within_s: float = PATIENCE_S) -> None:
    """Wait until there are as many, then see that there are no more."""
    with database.owner() as conn:

        def there() -> int:
            row = conn.execute("SELECT count(*) FROM readings").fetchone()
            return int(row[0]) if row else 0

        until(lambda: there() >= readings, within_s, every_s=0.05)
        assert there() == readings


def until_settled(database: Database, within_s: float = PATIENCE_S) -> None:
    """Wait until the ledger says what the journal says."""
    with database.owner() as conn:

        def settled() -> bool:
            row = conn.execute("SELECT count(*) FROM journal").fetchone()
            return row == (0,)

        until(settled, within_s, every_s=0.05)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
