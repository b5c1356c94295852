"""Figures of one ingest process for Prometheus: what came, what became of it, how long it took, how full the window is.

Sums over all tenants, never a tenant's, a device's or a point's name: the number of series does not grow with the
fleet. A call costs a microsecond or two and is made once a delivery, not once a message; a scrape runs on a thread of
its own and never waits for the loop.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter as Tallied
from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from ingest.messages import Source
from store.errors import Misconfigured

# A reject's reason by the words in it, the first that fits. Reasons quote what was sent: as labels they would be
# without number.
_CLASSES = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("database", r"^refused by the database"),
        ("topic", r"^not a topic"),
        (
            "form",
            r"^(not (JSON|CBOR|a map|a text)|could not be read|neither an|an (empty|item)|a record|SenML|no values)",
        ),
        ("sender", r"tenant|devices already|device's name|registered|revoked|admitted|retired|edge nodes"),
        ("size", r"more than \d|larger than|too (long|deep|large)"),
        ("time", r"^(ts|t|t0|dt|start): |\btime|day ahead|clock"),
        ("unit", r"\bunit"),
        ("name", r"\bname\b|printable|alias"),
        ("value", r"number|value|list|true or false|text"),
    )
)
REASONS = (*(name for name, _ in _CLASSES), "other")
OUTCOMES = ("stored", "duplicate", "late", "future")

_BATCH_READINGS = (1, 10, 100, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
# A commit on a good disk takes 2 ms; beyond 10 s the broker's window has long been full.
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


def reason_class(reason: str) -> str:
    """The class of a reject's reason: one of `REASONS`."""
    return next((name for name, pattern in _CLASSES if pattern.search(reason)), "other")


class Metrics:
    """The counters of one process, in a registry of their own. The loop calls; nothing here calls back."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self._messages = Counter("bellwether_ingest_messages", "Messages received", registry=registry)
        self._bytes = Counter("bellwether_ingest_bytes", "Bytes of their payloads", registry=registry)
        self._readings = Counter(
            "bellwether_ingest_readings", "Readings by what became of them", ["outcome"], registry=registry
        )
        self._rejected = Counter(
            "bellwether_ingest_rejects",
            "Messages, and parts of messages, that could not be stored",
            ["reason"],
            registry=registry,
        )
        self._batch = Histogram(
            "bellwether_ingest_batch_readings", "Readings of a delivery", buckets=_BATCH_READINGS, registry=registry
        )
        self._commit = Histogram(
            "bellwether_ingest_commit_seconds",
            "From the first row of a delivery to its commit",
            buckets=_SECONDS,
            registry=registry,
        )
        self._step = Histogram(
            "bellwether_ingest_step_seconds", "Detectors, a delivery", buckets=_SECONDS, registry=registry
        )
        self._scored = Counter("bellwether_ingest_scored", "Readings given to the detectors", registry=registry)
        self._failed_steps = Counter(
            "bellwether_ingest_failed_steps", "Deliveries on which detectors failed", registry=registry
        )
        self._event_lag = Gauge(
            "bellwether_ingest_event_lag_seconds",
            "Age of the newest reading of the last delivery, by its own time, when it was stored",
            registry=registry,
        )
        self._source_lag = Gauge(
            "bellwether_ingest_source_lag_seconds",
            "How long the oldest message in hand has waited for us",
            registry=registry,
        )
        self._window = Gauge(
            "bellwether_ingest_window", "Messages that the broker may leave with us", registry=registry
        )
        self._window_used = Gauge(
            "bellwether_ingest_window_used", "Messages that are not acknowledged", registry=registry
        )
        self._connected = Gauge("bellwether_ingest_connected", "1 while the broker has us", registry=registry)
        self._sessions_lost = Gauge(
            "bellwether_ingest_sessions_lost",
            "How often the broker forgot our session since this process began",
            registry=registry,
        )
        self._reconnects = Counter(
            "bellwether_ingest_database_reconnects", "Attempts at a lost database", registry=registry
        )
        self._acks = Counter(
            "bellwether_ingest_acks_sent", "Messages that told a device what is stored", registry=registry
        )
        free = Gauge(
            "bellwether_disk_free_bytes",
            "Free where this process works; in the local stack, and as a rule with containers, the database's disk too",
            registry=registry,
        )
        free.set_function(lambda: shutil.disk_usage(Path.cwd()).free)
        for reason in REASONS:  # a rate can be asked for before the first
            self._rejected.labels(reason)
        for outcome in OUTCOMES:
            self._readings.labels(outcome)

    def delivery(
        self,
        *,
        messages: int,
        stored: int,
        duplicates: int = 0,
        late: int = 0,
        future: int = 0,
        reasons: Iterable[str] = (),
        payload_bytes: int = 0,
    ) -> None:
        """A delivery whose transaction has committed. `late` and `future` are among `stored`; a reason a reject."""
        self._messages.inc(messages)
        self._bytes.inc(payload_bytes)
        for outcome, count in zip(OUTCOMES, (stored, duplicates, late, future), strict=True):
            self._readings.labels(outcome).inc(count)
        for reason, count in Tallied(map(reason_class, reasons)).items():
            self._rejected.labels(reason).inc(count)
        if messages:
            self._batch.observe(stored + duplicates)

    def commit(self, seconds: float) -> None:
        """How long a delivery took to be stored."""
        self._commit.observe(seconds)

    def step(self, seconds: float, readings: int, *, failed: bool = False) -> None:
        """How long the detectors took over so many readings."""
        self._step.observe(seconds)
        self._scored.inc(readings)
        self._failed_steps.inc(failed)

    def event_lag(self, seconds: float) -> None:
        """The age of the newest reading of a delivery; below 0 where a device's clock is ahead."""
        self._event_lag.set(seconds)

    def source(self, source: Source) -> None:
        """How the source fares: asked once a second."""
        self._connected.set(source.connected)
        self._window.set(source.window)
        self._window_used.set(source.unacknowledged)
        self._sessions_lost.set(source.sessions_lost)
        self._source_lag.set(source.lag_s)

    def reconnected(self) -> None:
        """The database was away, and is tried again."""
        self._reconnects.inc()

    def acks(self, count: int) -> None:
        """Devices were told what is stored."""
        self._acks.inc(count)


class MetricsServer:
    """Serves a registry over HTTP until it is closed."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        """Raises `Misconfigured` where the port is taken."""
        try:
            served: tuple[WSGIServer, Thread] = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise Misconfigured(f"BELLWETHER_METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}") from error
        self._server, self._thread = served

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
