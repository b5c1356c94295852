"""How long a trial of a rule takes: `python -m bench.trials [--server URL] [--devices N] [--detector NAME]`.

A month of a reading a minute of each machine's one point, as `ingest` stores it, and a rule that holds its limits too
close, so that every proposal is tried too. The connection is that of `notify`.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from servers import PASSWORDS, TENANTS, fresh_database

from alarms.events import Severity
from alarms.rules import DEFAULT_RULES, Rule
from bench.lines import at_most, show
from bench.servers import running_servers
from detectors import Limit
from store.connection import Session
from store.migrate import migrate
from store.trial_runs import Asked, run

DAYS, EVERY_S = 30, 60
AIM_S = 10.0
RULE = Rule("bench", "limits", "condition", ((1.0, Severity.HIGH),), limit=Limit(hi=12.0, lo=8.0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.trials", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", help="a superuser's URL of a TimescaleDB to measure with; without, one is started")
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--detector", default="limits", help="whose rule of the house is tried, but for limits")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print what a program can read")
    options = parser.parse_args()
    rule = RULE if options.detector == "limits" else next(r for r in DEFAULT_RULES if r.detector == options.detector)
    now = datetime.now(UTC).replace(microsecond=0)
    with _server(options.server) as url, fresh_database(url) as database:
        with database.owner() as conn:
            migrate(conn, PASSWORDS, TENANTS)
            fill(conn, now, options.devices)
        before_mb = _peak_mb()
        took = []
        with psycopg.connect(database.url("notify")) as conn:
            for _ in range(options.rounds):
                began = time.perf_counter()
                _, found = run(conn, Asked("demo", rule, DAYS, None, 4, 3), now)
                conn.rollback()
                took.append(time.perf_counter() - began)
    what = f"trial of {rule.detector}, {options.devices} machines, {found['readings'] / 1e6:.1f} million readings"
    grown = f"memory at its peak {_peak_mb() - before_mb:.0f} MB more; first {took[0]:.1f} s"
    show([at_most(what, min(took), AIM_S, "s", grown)], options.json)


def fill(conn: Session, now: datetime, devices: int) -> None:
    """Days of load and noise, which come near the limits of `RULE` and over them now and then."""
    rng = np.random.default_rng(0)
    time_us = int(now.timestamp() * 1e6) - np.arange(DAYS * 86_400 // EVERY_S)[::-1] * EVERY_S * 1_000_000
    times = time_us.astype("datetime64[us]").astype(str)
    for number in range(devices):
        machine = conn.execute(
            "INSERT INTO devices (tenant, device) VALUES ('demo', %s) RETURNING id",
            [f"pump-{number:04d}"],
        ).fetchone()
        assert machine is not None  # noqa: S101 - RETURNING of an insert
        stream = conn.execute(
            "INSERT INTO streams (device_id, tenant, device, point, quantity, unit)"
            " VALUES (%s, 'demo', %s, 'flow', 'flow', 'm3/h') RETURNING id",
            [machine[0], f"pump-{number:04d}"],
        ).fetchone()
        assert stream is not None  # noqa: S101 - RETURNING of an insert
        value = 10 + np.sin(time_us / 86_400e6 * 2 * np.pi) + rng.normal(0, 0.4, len(time_us))
        with conn.cursor() as cursor, cursor.copy("COPY readings (time, stream_id, value) FROM STDIN") as copy:
            copy.write("".join(f"{t}Z\t{stream[0]}\t{v:.6f}\n" for t, v in zip(times, value.tolist(), strict=True)))
    conn.commit()


@contextmanager
def _server(given: str | None) -> Iterator[str]:
    if given:
        yield given
    else:
        with running_servers() as servers:
            yield servers.server_url


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
