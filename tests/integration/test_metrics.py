"""Figures of a running stack: each that a dashboard or an alert asks for is shown, and those of ingest are right."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
from ingesting import ROOT, Device, IngestProcess, now_ms
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from servers import Database, RunningBroker
from serving import served
from waiting import until

sys.path.insert(0, str(ROOT / "tests/unit"))
from test_grafana import EXPRESSIONS, metrics_of

from bellwether.stack import port
from ingest.metrics import REASONS, Metrics, MetricsServer, reason_class
from store.errors import Misconfigured

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(url: str) -> Samples:
    """As Prometheus does: value by name and labels."""
    text = httpx.get(f"{url}/metrics", trust_env=False, timeout=60).raise_for_status().text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


@pytest.fixture
def ingest_url(
    database: Database, broker: RunningBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """`bellwether ingest` as a process of its own, which shows its figures."""
    at = port.choose("metrics")
    monkeypatch.setenv("BELLWETHER_METRICS_PORT", str(at))
    with IngestProcess(database, broker, tmp_path / "ingest.log") as process:
        process.until_awake()
        yield f"http://127.0.0.1:{at}"
        assert process.stop() == 0


def test_ingest_counts_what_came_and_what_became_of_it(ingest_url: str, broker: RunningBroker) -> None:
    at = now_ms()
    good = [{"ts": at + second, "flow": 1.5, "pressure": 2.0} for second in range(50)]
    with Device(broker) as device:
        device.send(*good)
        until(lambda: value(scrape(ingest_url), "bellwether_ingest_readings_total", outcome="stored") == 100)
        device.send(*good[:10], b"rubbish", {"ts": "yesterday", "flow": 1}, {"ts": at + 99, "flow": "much"})
        device.send({"flow": 1.0}, topic="bellwether/v1/nobody/pump-1/telemetry")
        until(lambda: value(scrape(ingest_url), "bellwether_ingest_messages_total") == 64)
    seen = scrape(ingest_url)
    assert value(seen, "bellwether_ingest_readings_total", outcome="stored") == 100
    assert value(seen, "bellwether_ingest_readings_total", outcome="duplicate") == 20
    rejected = {reason: value(seen, "bellwether_ingest_rejects_total", reason=reason) for reason in REASONS}
    assert {reason for reason, count in rejected.items() if count == 1} == {"form", "time", "value", "sender"}
    assert sum(rejected.values()) == 4
    assert value(seen, "bellwether_ingest_scored_total") >= 100
    assert (
        value(seen, "bellwether_ingest_commit_seconds_count")
        == value(seen, "bellwether_ingest_batch_readings_count")
        > 0
    )
    assert 0 < value(seen, "bellwether_ingest_commit_seconds_sum") < 60
    assert value(seen, "bellwether_ingest_bytes_total") > 64 * 10
    until(lambda: value(scrape(ingest_url), "bellwether_ingest_connected") == 1)
    assert value(scrape(ingest_url), "bellwether_ingest_window") >= 1000
    assert value(seen, "bellwether_disk_free_bytes") > 0


def test_every_figure_that_is_asked_for_is_shown(database: Database, broker: RunningBroker, ingest_url: str) -> None:
    """What Prometheus makes itself (`up`) aside."""
    with served(database) as api, Device(broker) as device:
        device.send({"ts": now_ms(), "flow": 1.0})
        api.plant.alarm(api.plant.device())
        with database.owner() as conn:
            conn.execute("INSERT INTO heartbeats (role, at) VALUES ('notify', now()) ON CONFLICT DO NOTHING")
        until(lambda: value(scrape(ingest_url), "bellwether_ingest_messages_total") == 1)
        ok = api.client().get("/api/v1/devices")
        assert ok.status_code == 200
        shown = {name for url in (api.url, ingest_url) for name, _ in scrape(url)}
        asked = {name for expression in EXPRESSIONS for name in metrics_of(expression)} - {"up"}
        assert len(asked) > 20
        # Of tickets there are none yet: a figure without a label's value has no sample.
        assert asked - shown <= {"bellwether_tickets_open"}
        labels: dict[str, set[str]] = {}
        for url in (api.url, ingest_url):
            for name, own in scrape(url):
                labels.setdefault(name, set()).update(f'{key}="{text}"' for key, text in own)
        for expression in EXPRESSIONS:
            for name, inside in re.findall(r"(bellwether_\w+)\{([^}]*)\}", expression):
                wanted = set(re.findall(r'\w+="[^"]*"', inside))
                assert wanted <= labels[name], expression
        assert value(scrape(api.url), "bellwether_database_up") == 1
        names = " ".join(str(key) for url in (api.url, ingest_url) for key in scrape(url))
        assert "pump" not in names, "a device's name"
        assert "demo" not in names, "a tenant's name"


def test_the_ledger_of_the_api_is_the_ledger(database: Database) -> None:
    with served(database) as api:
        with database.owner() as conn:
            conn.execute(
                "INSERT INTO ledger (tenant, device, hour, messages, stored, missing) VALUES"
                " ('demo', 'a', now(), 5, 10, 1), ('other', 'b', now() - INTERVAL '5 hours', 7, 20, 0),"
                " ('demo', 'a', now() - INTERVAL '3 days', 1000, 1000, 1000)"
            )
        seen = scrape(api.url)
        assert value(seen, "bellwether_ledger", outcome="messages") == 12
        assert value(seen, "bellwether_ledger", outcome="stored") == 30
        assert value(seen, "bellwether_ledger", outcome="missing") == 1


def test_the_figures_outlive_the_database(database: Database, server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.metrics._ASK_EVERY_S", 0.0)
    name = sql.Identifier(database.owner_url.rsplit("/", 1)[1])
    with served(database) as api, psycopg.connect(server_url, autocommit=True) as server:
        assert value(scrape(api.url), "bellwether_database_up") == 1
        server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = 'bellwether_api'",
            [database.owner_url.rsplit("/", 1)[1]],
        )
        seen = scrape(api.url)
        server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        assert ("bellwether_database_up", ()) in seen
        assert value(seen, "bellwether_database_up") == 0
        assert not [key for key in seen if key[0] == "bellwether_ledger"]
        until(lambda: value(scrape(api.url), "bellwether_database_up") == 1)


def test_reasons_are_classes_however_long_the_text() -> None:
    """A label for each reason would be one for each text that a device can make up."""
    said = {
        "not JSON: unexpected character": "form",
        "no such tenant": "sender",
        "the tenant has 20000 devices already": "sender",
        "ts: neither a number of milliseconds nor RFC 3339": "time",
        "ts: more than a day ahead of the server's clock": "time",
        "larger than 1048576 bytes": "size",
        "more than 1000 points": "size",
        "flow: a text is no number": "value",
        "a point's name is 1 to 128 printable characters": "name",
        "refused by the database: not a topic": "database",
        "not a topic of ours": "topic",
    }
    assert {reason: reason_class(reason) for reason in said} == said
    assert reason_class("x" * 10_000) == "other"


def test_a_port_that_is_taken_stops_the_start_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match="BELLWETHER_METRICS_PORT"):
            MetricsServer(Metrics().registry, "127.0.0.1", at)
        done = subprocess.run(
            [sys.executable, "-m", "bellwether", "ingest"],
            env={
                **os.environ,
                "BELLWETHER_METRICS_PORT": str(at),
                "BELLWETHER_DATABASE_URL": "postgresql://127.0.0.1:1/x",
                "BELLWETHER_MQTT_URL": "mqtt://127.0.0.1:1",
                "PYTHONPATH": str(ROOT),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert "BELLWETHER_METRICS_PORT" in done.stderr


def test_prometheus_is_told_of_the_alerts() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert all((ROOT / "deploy/prometheus" / file).exists() for file in config["rule_files"])
