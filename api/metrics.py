"""Figures for Prometheus: sums over all tenants, never a tenant's, a device's or a person's name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POOL = {
    "pool_size": "Connections that the API holds",
    "pool_available": "Connections that nobody uses",
    "requests_waiting": "Requests that wait for a connection",
}
# A page feels immediate below 0.1 s; a request is cut off at 15 s.
_LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class Figures:
    """The counters of one process."""

    def __init__(self, pool_stats: Callable[[], Mapping[str, int]], open_streams: Callable[[], int]) -> None:
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


class _Pool:
    def __init__(self, stats: Callable[[], Mapping[str, int]]) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        for name, meaning in _POOL.items():
            yield GaugeMetricFamily(f"bellwether_db_{name}", meaning, value=stats.get(name, 0))


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
    """Requests by route, the pool, tickets opened and joined; sums over all tenants."""
    figures: Figures = request.app.state.service.figures
    return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)
