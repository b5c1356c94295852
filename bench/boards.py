"""How long boards and lists take with a year behind them: `python -m bench.boards [--server URL] [--rounds N]`.

Fills a database with 500 machines at 20 sites, 10 000 open tickets, 50 000 that were closed within the year, and half
a million events of alarms, and asks over HTTP, one request at a time, as a person does who looks. The aim is 100 ms at
the 95th percentile.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import uvicorn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from servers import PASSWORDS, TENANTS, Database, fresh_database

from alarms.roles import Role
from api.access.tokens import issue
from api.app import create_app
from api.settings import ApiSettings
from bench.lines import Line, at_most, show
from bench.servers import running_servers
from bench.year import TENANT, fill
from store.migrate import migrate

AIM_MS = 100.0
_SECRET = "only for the bench, 32 characters and more"  # noqa: S105
ASKED = {
    "list of tickets": "/api/v1/tickets?limit=50",
    "list of open tickets": "/api/v1/tickets?limit=50&open=true",
    "list of tickets, of one machine": "/api/v1/tickets?limit=50&device=pump-007",
    "page of the fleet": "/fleet",
    "page of alarms": "/alarms",
    "page of alarms, history": "/alarms?state=all",
    "page of tickets": "/tickets",
    "page of tickets, history": "/tickets?state=all",
    "KPIs of alarms, 7 days": "/api/v1/kpis/alarms?from={week}",
    "KPIs of alarms, 30 days": "/api/v1/kpis/alarms?from={month}",
    "KPIs of alarms, 30 days of a site": "/api/v1/kpis/alarms?from={month}&site=Hall%203",
    "page of alarm KPIs, 7 days": "/alarm-kpis?days=7",
    "page of alarm KPIs, 30 days": "/alarm-kpis?days=30",
    "KPIs of after-sales, 90 days": "/api/v1/kpis",
    "KPIs of after-sales, a year": "/api/v1/kpis?from={year}",
    "tickets behind a KPI": "/api/v1/kpis/cases?kpi=first_time_fix",
    "page of KPIs, 90 days": "/kpis",
    "page of KPIs, a year, by engineer": "/kpis?days=365&by=engineer",
    "page of KPIs, a year, by model": "/kpis?days=365&by=model",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.boards", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", help="a superuser's URL of a TimescaleDB to measure with; without, one is started")
    parser.add_argument("--rounds", type=int, default=40, help="requests of each kind")
    parser.add_argument("--json", action="store_true", help="print what a program can read")
    options = parser.parse_args()
    with _server(options.server) as url, fresh_database(url) as database:
        with database.owner() as conn:
            migrate(conn, PASSWORDS, TENANTS)
            fill(conn, datetime.now(UTC))
        with _api(database) as api:
            lines = measure(api, options.rounds)
    show(lines, options.json)


def measure(api: httpx.Client, rounds: int) -> list[Line]:
    """One line for each thing that is asked for, turn by turn: what else the machine does falls on all of them."""
    now = datetime.now(UTC)
    spans = {name: _plain(now - timedelta(days=days)) for name, days in (("week", 7), ("month", 30), ("year", 365))}
    took: dict[str, list[float]] = {what: [] for what in ASKED}
    for turn in range(rounds + 2):
        for what, address in ASKED.items():
            began = time.perf_counter()
            api.get(address.format(**spans)).raise_for_status()
            if turn > 1:  # the first find cold caches
                took[what].append(1000 * (time.perf_counter() - began))
    return [
        at_most(
            f"{what}, 95th percentile", float(np.percentile(ms, 95)), AIM_MS, "ms", f"median {np.median(ms):.0f} ms"
        )
        for what, ms in took.items()
    ]


@contextmanager
def _server(given: str | None) -> Iterator[str]:
    """A superuser's URL: the one that was given, or that of a server of our own."""
    with nullcontext() if given else running_servers() as servers:
        yield given or servers.server_url  # type: ignore[union-attr]


@contextmanager
def _api(database: Database) -> Iterator[httpx.Client]:
    """The API over HTTP as a manager sees it: with a token, and with the same as the session of the pages."""
    app = create_app(ApiSettings(database.url("api"), _SECRET, cookie_secure=False))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None))
    thread = threading.Thread(target=server.run, name="uvicorn")
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        token = issue(_SECRET, f"key:{secrets.token_hex(4)}", TENANT, Role.MANAGER, 3600)
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def _plain(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    main()
