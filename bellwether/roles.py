"""The long-running roles, put together: each until it is told to stop by SIGTERM or Ctrl-C."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Protocol

from bellwether.logs import log_to_stderr
from bellwether.settings import Settings

# A token that `notify` shows to the API: long enough for one request and a slow clock, too short to be worth stealing.
SERVICE_TOKEN_S = 60


class Beside(Protocol):
    """Who works beside the postman, on a thread of their own."""

    def run(self) -> None: ...

    def stop(self) -> None: ...


def run_ingest(settings: Settings) -> None:
    """From the broker to the database and the detectors."""
    from bellwether.mapping import MappingFile, hearing, mappings_of
    from ingest.access.gate import Gate
    from ingest.broker.mqtt import MqttSource
    from ingest.footprint import drop_read, keep_little
    from ingest.loop import Ingest
    from ingest.mapping import Mappings
    from ingest.metrics import Metrics, MetricsServer
    from ingest.sparkplug import FILTER, HostState, SparkplugHost

    keep_little()
    metrics, port = Metrics(), settings.metrics_port
    shown = MetricsServer(metrics.registry, settings.metrics_host, port) if port is not None else None
    mappings = mappings_of(settings)
    file = MappingFile(settings)
    broker = settings.gate_broker()
    gate = Gate(broker, settings.need_database_url()) if broker is not None else None
    state = HostState(settings.sparkplug_host_id) if settings.sparkplug_host_id else None
    edge_nodes = [FILTER] if state is not None else []
    source = MqttSource(settings.need_broker(), settings.mqtt_client_id, **hearing(mappings, *edge_nodes), state=state)

    def renewed() -> Mappings | None:
        changed = file.renewed()
        if changed is not None:
            source.hear(**hearing(changed, *edge_nodes))
        return changed

    ingest = Ingest(
        source,
        settings.need_database_url(),
        oldest_days=settings.oldest_days,
        mappings=mappings,
        renewed=renewed,
        unhear=source.hear_no_more_of,
        loaded=drop_read,
        metrics=metrics,
        sparkplug=partial(SparkplugHost, state=state, reorder_s=settings.sparkplug_reorder_s) if state else None,
    )

    def stop() -> None:
        source.close()
        ingest.stop()

    _on_stop(stop)
    # What is loaded by now stays: the garbage collector need not walk it each time that a window of messages is let go.
    gc.freeze()
    if gate is not None:
        gate.start()
    try:
        ingest.run()
    finally:
        if shown is not None:
            shown.close()
        if gate is not None:
            gate.close()


def run_notify(settings: Settings) -> None:
    """From the outbox to the API; plans; the log's seal; storage care; assessment; verdicts on vibration; training."""
    from api.access.tokens import issue
    from notify.after_repair import AfterRepair
    from notify.assessment import Assessment
    from notify.channels.messenger import Messenger
    from notify.channels.webhooks import Webhooks
    from notify.destinations import AFTER_REPAIR_PATH, PLANS_PATH, TicketsApi
    from notify.dispatch import Dispatch, DispatchApi
    from notify.loop import Notify
    from notify.plans import Plans
    from notify.sealing import Sealing
    from notify.storage import StorageCare
    from notify.training import Training
    from notify.trials import Trials
    from notify.vibration import Vibration

    url, api_url, secret = settings.need_database_url(), settings.need_api_url(), settings.need_secret()

    def token_for(tenant: str) -> str:
        return issue(secret, subject="notify", tenant=tenant, role="service", lifetime_s=SERVICE_TOKEN_S)

    to_tickets, to_plans = TicketsApi(api_url, token_for), TicketsApi(api_url, token_for, PLANS_PATH)
    to_repairs = TicketsApi(api_url, token_for, AFTER_REPAIR_PATH)
    notify = Notify(url, {"tickets": to_tickets, "plans": to_plans, "after_repair": to_repairs})
    beside: dict[str, Beside] = {
        "sealing": Sealing(url),
        "storage": StorageCare(url),
        "vibration": Vibration(url),
        "assessment": Assessment(url, settings.failure_modes()),
        "training": Training(url, settings.retrain_days, log_to_stderr),
        "trials": Trials(url),
        "dispatch": Dispatch(url, settings.failure_modes(), DispatchApi(api_url, token_for)),
        "plans": Plans(url),
        "after repair": AfterRepair(url),
        "webhooks": Webhooks(url, secret, to_loopback=settings.webhooks_to_loopback),
        "people": Messenger(url, secret, to_private=settings.channels_to_private),
    }
    threads = [threading.Thread(target=one.run, name=name) for name, one in beside.items()]

    def stop() -> None:
        for one in beside.values():
            one.stop()
        notify.stop()

    _on_stop(stop)
    for thread in threads:
        thread.start()
    try:
        notify.run()
    finally:
        stop()
        for thread in threads:
            thread.join()


def run_api(settings: Settings) -> None:
    """The API and the pages."""
    import uvicorn

    from api.app import create_app
    from api.settings import ApiSettings

    app = create_app(
        ApiSettings(
            database_url=settings.need_database_url(),
            secret=settings.need_secret(),
            cookie_secure=settings.http_secure,
            docs=settings.api_docs,
            file_mib=settings.file_mib,
            ticket_files_mib=settings.ticket_files_mib,
            tenant_files_mib=settings.tenant_files_mib,
            webhooks_to_loopback=settings.webhooks_to_loopback,
        )
    )
    # The server header tells an attacker what to try; the log of each request is in the metrics.
    uvicorn.run(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def _on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` once at SIGTERM or Ctrl-C, outside of the signal handler; a second one ends at once."""

    def handle(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        threading.Thread(target=stop, name="stop").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
