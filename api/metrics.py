"""Figures for Prometheus: sums over all tenants, never a tenant's, a device's or a person's name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from store.errors import Unavailable

_POOL = {
    "pool_size": "Connections that the API holds",
    "pool_available": "Connections that nobody uses",
    "requests_waiting": "Requests that wait for a connection",
}
# What the database knows: the label's name, if it has one, and what it means.
KNOWN = {
    "ledger": ("outcome", "Messages and readings of the last 24 hours by what became of them"),
    "heartbeat_age_seconds": ("role", "Since a role was last seen"),
    "devices": ("state", "Devices by what they said last"),
    "alarms_active": ("severity", "Alarms that have not returned to normal"),
    "alarms_unacknowledged": ("", "Alarms that nobody has acknowledged"),
    "tickets_open": ("priority", "Tickets that are neither closed nor cancelled"),
    "outbox_waiting": ("", "Messages that wait to be delivered"),
    "outbox_oldest_seconds": ("", "How long the oldest of them has waited"),
    "outbox_given_up": ("", "Messages that were refused for good"),
    "database_bytes": ("", "What the database takes on its disk"),
    "chunks": ("", "Chunks of readings"),
    "chunks_compressed": ("", "Chunks of readings in the columnstore"),
    "expired_readings": ("", "Readings removed because their time was over"),
    "webhooks_waiting": ("", "Events on their way to webhooks"),
    "webhooks_undeliverable": ("", "Events that no webhook took for a day, and that nobody has sent again"),
    "webhooks_failing": ("", "Webhooks whose receiver takes nothing now"),
    "messages_waiting": ("", "Messages on their way to people"),
    "messages_undeliverable": ("", "Messages that did not reach anybody, and that nobody has looked at"),
    "channels_failing": ("", "People's channels through which nothing goes now"),
    "repair_checks": ("outcome", "Checks of machines after their repair by what they came to"),
    "repair_checks_waiting": ("", "Checks that still run"),
    "repair_checks_late_seconds": ("", "How long the oldest of them has waited for its look"),
    "audit_unsealed_seconds": ("", "How long the oldest act has waited for its place in the chain"),
}
# Whoever may reach the port may ask as often as he likes: the database is asked this often.
_ASK_EVERY_S = 5.0
# A page feels immediate below 0.1 s; a request is cut off at 15 s.
_LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class Figures:
    """The counters of one process."""

    def __init__(
        self,
        pool_stats: Callable[[], Mapping[str, int]],
        open_streams: Callable[[], int],
        known: Callable[[], Sequence[tuple[str, str, float]]],
    ) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self.requests = Counter(
            "bellwether_http_requests", "Requests answered", (*labels, "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "bellwether_http_request_seconds",
            "From the request to the whole answer; not of live streams",
            labels,
            buckets=_LATENCY_S,
            registry=self.registry,
        )
        self.alarm_events = Counter(
            "bellwether_ticket_alarm_events", "Alarm events taken by tickets", ("outcome",), registry=self.registry
        )
        self.sign_ins = Counter("bellwether_sign_ins", "Attempts to sign in", ("outcome",), registry=self.registry)
        streams = Gauge("bellwether_live_streams", "Open streams of live events", registry=self.registry)
        streams.set_function(open_streams)
        self.registry.register(_Pool(pool_stats))
        self.registry.register(_Known(known))


class _Pool:
    def __init__(self, stats: Callable[[], Mapping[str, int]]) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        for name, meaning in _POOL.items():
            yield GaugeMetricFamily(f"bellwether_db_{name}", meaning, value=stats.get(name, 0))


class _Known:
    """What the database knows; while it is away only that."""

    def __init__(self, known: Callable[[], Sequence[tuple[str, str, float]]]) -> None:
        self._known = known
        self._asking = threading.Lock()
        self._asked_at = -_ASK_EVERY_S
        self._rows: Sequence[tuple[str, str, float]] | None = None

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry that was told nothing would ask the database for it at the start."""
        return ()

    def collect(self) -> Iterable[Metric]:
        with self._asking:
            if time.monotonic() - self._asked_at >= _ASK_EVERY_S:
                try:
                    self._rows = self._known()
                except Unavailable:
                    self._rows = None
                self._asked_at = time.monotonic()
            rows = self._rows
        yield GaugeMetricFamily("bellwether_database_up", "1 while the database answers", value=rows is not None)
        for name, (label, meaning) in KNOWN.items() if rows is not None else ():
            family = GaugeMetricFamily(f"bellwether_{name}", meaning, labels=[label] if label else [])
            for figure, of, value in rows or ():
                if figure == name:
                    family.add_metric([of] if label else [], value)
            yield family


class Measured:
    """Counts and times each request by the template of its route, so that ids make no new series."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        streamed = False

        async def observed(message: Message) -> None:
            nonlocal status, streamed
            if message["type"] == "http.response.start":
                status = message["status"]
                streamed = any(k == b"content-type" and v.startswith(b"text/event-") for k, v in message["headers"])
            await send(message)

        began_s = time.perf_counter()
        try:
            await self._app(scope, receive, observed)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if route != "unmatched" else ""
            self._figures.requests.labels(method, route, str(status)).inc()
            if not streamed:
                self._figures.seconds.labels(method, route).observe(time.perf_counter() - began_s)


router = APIRouter(tags=["operation"])


@router.get("/metrics", response_class=Response, summary="Figures for Prometheus")
def metrics(request: Request) -> Response:
    """Requests by route, the pool, and what the database knows, the ledger first; sums over all tenants."""
    figures: Figures = request.app.state.service.figures
    return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)
