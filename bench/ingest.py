"""All of ingest: what it stores, how soon, among how much, in how much memory, and how it catches up."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import psycopg

from bench import throughput
from bench.lines import Line, at_least, at_most, told
from bench.publisher import Publisher, topic_of
from bench.servers import OTHER_TENANT, TENANT, Servers, running_servers
from bench.throughput import Ratio, Say
from store.queries import queries
from store.telemetry import encode
from telemetry import Batch, instant

# A fleet of one reading a second each, five points.
MEMORY_DEVICES, MEMORY_POINTS = 10_000, 5
OUTAGE_RATE = 2000
LATENCY_S = 20.0
# Readings that were there before: 200 streams, up to an hour ago.
OLD_STREAMS, OLD_DAYS = 200, 30
_FILL_ROWS = 400_000
# What ingest says when it begins to hear what is new apart.
SECOND_SESSION = b"what is new is heard apart"
_POLL_S = 0.002
_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    rounds: int
    rows: int
    backlog: int
    outage_s: float


def measure(size: Size, parts: Sequence[str], server: str | None, say: Say) -> list[Line]:
    """The lines of these parts, in their order."""
    with running_servers(server) as servers:
        return [line for name in PARTS if name in parts for line in PARTS[name](servers, size, say)]


def columns_line(columns: Ratio) -> Line:
    beside = f"{columns.ours:,.0f} of {columns.bare:,.0f} rows/s"
    return at_least("column payloads stored, as a share of bare binary COPY", columns.share, 0.7, beside=beside)


def singles_line(singles: Ratio) -> Line:
    beside = f"{singles.ours:,.0f} of {singles.bare:,.0f} messages/s"
    return at_least("single readings stored, as a share of a bare subscriber", singles.share, 0.8, beside=beside)


def _throughput(servers: Servers, size: Size, say: Say) -> list[Line]:
    return [
        columns_line(throughput.columns(servers, size.rounds, say)),
        singles_line(throughput.singles(servers, size.rounds, say)),
    ]


def _detectors(servers: Servers, size: Size, say: Say) -> list[Line]:
    lines = []
    for what in ("columns", "single readings"):
        on_off = throughput.detectors_on(servers, size.rounds, say, what)
        beside = f"{on_off.ours:,.0f} of {on_off.bare:,.0f} readings/s"
        lines.append(at_least(f"{what} with detectors, as a share of without", on_off.share, 0.8, beside=beside))
    return lines


# How soon ------------------------------------------------------------------------------------------------------------


def _soon(servers: Servers, _: Size, say: Say) -> list[Line]:
    """From publication until a query finds it, at half of what it could take.

    The clock starts when ingest has: how it catches up with what came before is another figure.
    """
    say("publish to queryable: the highest rate")
    highest = throughput.stored_a_second(servers, throughput.single_load())
    say(f"publish to queryable: at {highest / 2:,.0f} messages/s")
    servers.empty()
    throughput.open_session(servers)
    with throughput.ingest_process(servers):
        _times_to_be_seen(servers, 0)
        with _publishing(servers, highest / 2, LATENCY_S + 4):
            time.sleep(3)
            waits = _times_to_be_seen(servers, LATENCY_S)
    beside = f"{len(waits)} readings among {highest / 2:,.0f} messages/s"
    return [
        told("publish to queryable at half the highest rate, median", float(np.median(waits)), "s", beside),
        at_most(
            "publish to queryable at half the highest rate, 99th percentile", float(np.percentile(waits, 99)), 0.5, "s"
        ),
    ]


@contextmanager
def _publishing(servers: Servers, a_second: float, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Single readings of 1 000 devices at an even rate, from a process of their own."""
    broker = servers.broker("devices")
    address = [broker.host, str(broker.port), broker.username or "", broker.password or "", TENANT]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.publisher", *address, str(a_second), str(seconds), "1000"],
        cwd=throughput.ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
        process.wait(_WITHIN_S)
    finally:
        process.kill()


def _times_to_be_seen(servers: Servers, seconds: float, until: Callable[[], bool] = lambda: False) -> list[float]:
    """Publish a reading, and see when it is there; then the next, at any moment of the loop's turn. One at least."""
    rng = np.random.default_rng(1)
    waits: list[float] = []
    deadline = time.monotonic() + seconds
    with Publisher(servers.broker("devices")) as publisher, _reading(servers) as conn:
        while not waits or (time.monotonic() < deadline and not until()):
            began_us = time.time_ns() // 1000
            topic = topic_of(99_999, TENANT)
            publisher.publish([(topic, b'{"ts":%.3f,"sample":1}' % (began_us / 1000))])
            sql = (
                "SELECT 1 FROM readings WHERE time >= %s AND stream_id ="
                " (SELECT id FROM streams WHERE device = %s AND point = 'sample')"
            )
            while not conn.execute(sql, [instant(began_us - 1), topic.split("/")[3]]).fetchone():
                if time.monotonic() > deadline + _WITHIN_S:
                    raise RuntimeError("a reading was not stored")
                time.sleep(_POLL_S)
            waits.append(time.time() - began_us / 1e6)
            time.sleep(0.05 * rng.random())
    return waits


def _reading(servers: Servers) -> psycopg.Connection[Any]:
    return psycopg.connect(servers.database_url, autocommit=True, options="-c timezone=UTC")


# A backlog -----------------------------------------------------------------------------------------------------------


def _backlog(servers: Servers, size: Size, say: Say) -> list[Line]:
    """Messages that waited, drained while others come at an eighth of the highest rate, and how soon those are seen."""
    say("backlog: the highest rate")
    live = throughput.stored_a_second(servers, throughput.single_load()) / 8
    say(f"backlog: {size.backlog:,} messages")
    servers.empty()
    throughput.open_session(servers)
    load = throughput.single_load(size.backlog)
    with Publisher(servers.broker("devices")) as publisher:
        publisher.publish(load.messages)
        publisher.finish()
    drained = threading.Event()
    began = time.monotonic()
    seconds = [0.0]
    with (
        NamedTemporaryFile() as log,
        throughput.ingest_process(servers, log=Path(log.name)) as process,
        _publishing(servers, live, _WITHIN_S) as publishing,
    ):

        def wait() -> None:
            with _reading(servers) as conn:
                throughput.until_stored(conn, load.last, process)
            seconds[0] = time.monotonic() - began
            drained.set()

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        say(f"backlog: draining, with {live:,.0f} messages/s beside it")
        while SECOND_SESSION not in Path(log.name).read_bytes() and not drained.is_set():
            time.sleep(0.1)
        waits = _times_to_be_seen(servers, _WITHIN_S, drained.is_set)
        waiting.join()
        publishing.kill()
    drain = at_least(
        "a backlog drains, in multiples of the rate at which messages come meanwhile",
        size.backlog / seconds[0] / live,
        3.0,
        beside=f"{size.backlog:,} messages in {seconds[0]:.0f} s beside {live:,.0f} messages/s",
    )
    what = "publish to queryable while it drains, 99th percentile"
    if not waits:
        return [drain, told(what, float("nan"), "s", "drained before a second session was needed: --backlog more")]
    beside = f"median {np.median(waits):.2f} s of {len(waits)}"
    return [drain, at_most(what, float(np.percentile(waits, 99)), 2.0, "s", beside)]


# Among how much ------------------------------------------------------------------------------------------------------


def _rows(servers: Servers, size: Size, say: Say) -> list[Line]:
    """Rates into an empty table and into a full one; and what a reading takes there."""
    empty = [throughput.stored_a_second(servers, throughput.column_load()) for _ in range(size.rounds)]
    single = [throughput.stored_a_second(servers, throughput.single_load()) for _ in range(size.rounds)]
    servers.empty()
    fill(servers, size.rows, say)
    full, single_full = [], []
    for turn in range(size.rounds):
        say(f"among {size.rows:,} rows, round {turn + 1} of {size.rounds}")
        started_ms = throughput.an_hour_ago_ms()
        full.append(throughput.stored_a_second(servers, throughput.column_load(started_ms=started_ms), among=True))
        servers.empty(started_ms * 1000)
        single_full.append(
            throughput.stored_a_second(servers, throughput.single_load(started_ms=started_ms), among=True)
        )
        servers.empty(started_ms * 1000)
    columns, singles = (
        Ratio(float(np.median(a)), float(np.median(b))) for a, b in ((full, empty), (single_full, single))
    )
    return [
        at_least(
            f"columns into a table of {size.rows:,} rows, as a share of an empty one",
            columns.share,
            0.9,
            beside=f"{columns.ours:,.0f} of {columns.bare:,.0f} rows/s",
        ),
        at_least(
            f"single readings into a table of {size.rows:,} rows, likewise",
            singles.share,
            0.9,
            beside=f"{singles.ours:,.0f} of {singles.bare:,.0f} messages/s",
        ),
        *_bytes(servers, say),
    ]


def fill(servers: Servers, rows: int, say: Say) -> None:
    """Readings of the last month, up to an hour ago, by COPY in the order of time."""
    per_stream = rows // OLD_STREAMS
    end_us = throughput.an_hour_ago_ms() * 1000 - 1_000_000
    times = end_us - np.linspace(OLD_DAYS * 86_400e6, 0, per_stream).astype(np.int64)
    rng = np.random.default_rng(2)
    step = max(_FILL_ROWS // OLD_STREAMS, 1)
    sql = queries("telemetry")["copy_readings"]
    # Streams of nobody: nothing refers to them, and the newest numbers stay free for those that come.
    streams = np.arange(1_000_001, 1_000_001 + OLD_STREAMS)
    with psycopg.connect(servers.ingest_url) as conn:
        for first in range(0, per_stream, step):
            say(f"filling the table: {first * OLD_STREAMS:,} of {rows:,} rows")
            part = times[first : first + step]
            walk = np.round(50 + np.cumsum(rng.normal(0, 0.05, (OLD_STREAMS, len(part))), axis=1), 2)
            batch = Batch.of(np.tile(part, OLD_STREAMS), np.repeat(streams, len(part)), walk.ravel())
            with conn.cursor() as cursor, cursor.copy(sql) as copy:
                copy.write(encode(batch))
            conn.commit()
    with psycopg.connect(servers.database_url, autocommit=True) as conn:
        conn.execute("CHECKPOINT")


def _bytes(servers: Servers, say: Say) -> list[Line]:
    """Bytes a reading, its index included, before compression and after."""
    with _reading(servers) as conn:
        rows = _one(conn, "SELECT count(*) FROM readings")
        plain = _one(conn, "SELECT hypertable_size('readings')") / rows
        lines = [told("bytes a stored reading, index included", plain, "B", f"{rows:,.0f} rows")]
        if _one(conn, "SELECT (current_setting('timescaledb.license') = 'timescale')::int"):
            say("compressing")
            for (chunk,) in conn.execute("SELECT show_chunks('readings')").fetchall():
                conn.execute("SELECT compress_chunk(%s, if_not_compressed => true)", [chunk])
            lines.append(
                told("bytes a stored reading, compressed", _one(conn, "SELECT hypertable_size('readings')") / rows, "B")
            )
        else:
            lines.append(told("bytes a stored reading, compressed", float("nan"), "B", "needs the community edition"))
    return lines


def _one(conn: psycopg.Connection[Any], sql: str) -> float:
    row = conn.execute(sql).fetchone()  # type: ignore[call-overload]
    return float(row[0])


# In how much memory --------------------------------------------------------------------------------------------------


def _memory(servers: Servers, size: Size, say: Say) -> list[Line]:
    """Resident memory with a fleet of 10 000 devices, at rest and while the database is away."""
    servers.empty()
    throughput.open_session(servers)
    say(f"memory: {MEMORY_DEVICES:,} devices")
    with throughput.ingest_process(servers) as process, Publisher(servers.broker("devices")) as publisher:
        now_ms = throughput.an_hour_ago_ms()
        for turn in range(3):
            publisher.publish(
                (
                    topic_of(device, TENANT),
                    b'{"ts":%d,"values":{%s}}'
                    % (
                        now_ms + turn * 1000,
                        b",".join(b'"temperature_%d":71.%d' % (p, turn) for p in range(MEMORY_POINTS)),
                    ),
                )
                for device in range(MEMORY_DEVICES)
            )
            publisher.finish()
        last = (f"bench-{MEMORY_DEVICES - 1:05d}", f"temperature_{MEMORY_POINTS - 1}", (now_ms + 2000) * 1000)
        with _reading(servers) as conn:
            throughput.until_stored(conn, last, process)
        time.sleep(2)
        before = resident_mb(process.pid)
        say(f"memory: the database is away for {size.outage_s:g} s")
        peak = [before]
        with servers.database_away(), _publishing(servers, OUTAGE_RATE, size.outage_s):
            began = time.monotonic()
            while time.monotonic() - began < size.outage_s:
                peak.append(resident_mb(process.pid))
                time.sleep(0.2)
        time.sleep(5)
        after = resident_mb(process.pid)
    return [
        at_most(
            f"resident memory with {MEMORY_DEVICES:,} devices and {MEMORY_DEVICES * MEMORY_POINTS:,} streams",
            before,
            300.0,
            "MB",
        ),
        at_most(
            f"resident memory at most while the database is away for {size.outage_s:g} s",
            max(peak),
            300.0,
            "MB",
            f"{OUTAGE_RATE:,} messages/s come meanwhile; {after:,.0f} MB 5 s after it is back",
        ),
    ]


def resident_mb(pid: int) -> float:
    """What a process has in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the process has ended")


# Two processes -------------------------------------------------------------------------------------------------------


def _two(servers: Servers, size: Size, say: Say) -> list[Line]:
    """Two ingests on disjoint topic filters, each with a database of its own on the same server, and one alone.

    One ingest works on a database: two on the same would each score half of what a machine says. So this is what two
    cores give to two databases, whatever is shared below them.
    """
    alone, together = [], []
    for turn in range(size.rounds):
        say(f"two processes, round {turn + 1} of {size.rounds}")
        alone.append(throughput.stored_a_second(servers, throughput.single_load()))
        together.append(_two_at_once(servers))
    one, two = float(np.median(alone)), float(np.median(together))
    return [
        told(
            "two ingests on disjoint filters, as a multiple of one",
            two / one,
            "",
            f"{two:,.0f} and {one:,.0f} messages/s",
        )
    ]


def _two_at_once(servers: Servers) -> float:
    servers.empty()
    tenants = (TENANT, OTHER_TENANT)
    loads = [throughput.single_load(tenant=tenant) for tenant in tenants]
    filters = [f"bellwether/v1/{tenant}/+/telemetry" for tenant in tenants]
    with servers.another_database() as second:
        urls = [(servers.database_url, servers.ingest_url), second]
        for tenant, topic_filter, load in zip(tenants, filters, loads, strict=True):
            throughput.open_session(servers, f"{throughput.CLIENT_ID}-{tenant}", topic_filter)
            with Publisher(servers.broker("devices")) as publisher:
                publisher.publish(load.messages)
                publisher.finish()
        rates: list[float] = []

        def run(tenant: str, topic_filter: str, load: throughput.Load, owner_url: str, ingest_url: str) -> None:
            program = ("bench.process", "--filter", topic_filter)
            client_id = f"{throughput.CLIENT_ID}-{tenant}"
            with (
                throughput.ingest_process(servers, program, client_id, ingest_url) as process,
                psycopg.connect(owner_url, autocommit=True, options="-c timezone=UTC") as conn,
            ):
                rates.append(throughput.rate(conn, load, process, tenant))

        threads = [
            threading.Thread(target=run, args=(tenant, topic_filter, load, *url))
            for tenant, topic_filter, load, url in zip(tenants, filters, loads, urls, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if len(rates) < len(tenants):
        raise RuntimeError("one of two processes did not store everything")
    return sum(rates)


PARTS: dict[str, Callable[[Servers, Size, Say], list[Line]]] = {
    "throughput": _throughput,
    "detectors": _detectors,
    "soon": _soon,
    "backlog": _backlog,
    "rows": _rows,
    "memory": _memory,
    "two": _two,
}
