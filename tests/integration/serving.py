"""The API as it is served: over HTTP, on a port of its own, against the suite's database."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

import httpx
import uvicorn
from waiting import until

from alarms.roles import Role
from api import live
from api.access.tokens import issue
from api.app import ApiSettings, create_app
from store.connection import Session

# A stop waits for this look: a second at the end of each of hundreds of tests.
live.LOOK_AGAIN_S = 0.1

# Of a client that speaks in the clear, to read everybody's certificates is all but a twentieth of the cost.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
SECRET = "only for the tests, 32 characters and more"
JSON = dict[str, Any]


class Database(Protocol):
    """The suite's database, see `tests/conftest.py`."""

    @property
    def owner_url(self) -> str: ...

    def url(self, role: str) -> str: ...

    def owner(self) -> Session: ...


@dataclass
class Plant:
    """What tests put into the database as ingest would."""

    database: Database
    names: int = field(default=0)

    def device(self, tenant: str = "demo", name: str | None = None) -> str:
        """A new device."""
        self.names += 1
        name = name or f"pump-{self.names:03d}"
        with self.database.owner() as conn:
            conn.execute("INSERT INTO devices (tenant, device, kind) VALUES (%s, %s, 'pump')", [tenant, name])
        return name

    def stream(self, device: str, point: str = "flow", tenant: str = "demo") -> int:
        """A stream of a device, with no readings."""
        with self.database.owner() as conn:
            row = conn.execute(
                "INSERT INTO streams (device_id, tenant, device, point, quantity, unit)"
                " SELECT id, tenant, device, %s, 'flow', 'm3/h' FROM devices WHERE tenant = %s AND device = %s"
                " RETURNING id",
                [point, tenant, device],
            ).fetchone()
        assert row is not None
        return int(row[0])

    def alarm(
        self,
        device: str,
        tenant: str = "demo",
        *,
        severity: str = "high",
        state: str = "unacknowledged",
        active: bool = True,
        at: datetime | None = None,
    ) -> UUID:
        """An alarm that was raised."""
        occurrence = uuid4()
        with self.database.owner() as conn:
            conn.execute(
                "INSERT INTO alarms (id, tenant, device_id, device, point, rule, detector, fault, severity, state,"
                " active, since, raised_at, score, message, evidence)"
                " SELECT %s, tenant, id, device, 'flow', %s, 'shift', 'condition', %s, %s, %s, %s, %s, 2.0,"
                " 'flow 3.9 m3/h', '{}' FROM devices WHERE tenant = %s AND device = %s",
                [
                    occurrence,
                    f"rule-{occurrence}",
                    severity,
                    state,
                    active,
                    at or datetime.now(UTC),
                    at or datetime.now(UTC),
                    tenant,
                    device,
                ],
            )
        return occurrence


@dataclass(frozen=True)
class RunningApi:
    """An API that runs. Its clients are closed with it."""

    url: str
    database: Database
    plant: Plant
    clients: list[httpx.Client]

    def token(self, role: Role = Role.ADMINISTRATOR, tenant: str = "demo", lifetime_s: int = 600) -> str:
        return issue(SECRET, f"a-{role.value}", tenant, role, lifetime_s)

    def client(self, role: Role | None = Role.ADMINISTRATOR, tenant: str = "demo") -> httpx.Client:
        """A client with a token of this role; without one for None."""
        headers = {"Authorization": f"Bearer {self.token(role, tenant)}"} if role else {}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=NO_CERTIFICATES)
        self.clients.append(client)
        return client


@contextmanager
def served(database: Database, **settings: Any) -> Iterator[RunningApi]:
    """An API on a free port of the loopback."""
    app = create_app(ApiSettings(database.url("api"), SECRET, cookie_secure=False, **settings))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="uvicorn")
    thread.start()
    clients: list[httpx.Client] = []
    try:
        until(lambda: server.started or not thread.is_alive())
        port = server.servers[0].sockets[0].getsockname()[1]
        yield RunningApi(f"http://127.0.0.1:{port}", database, Plant(database), clients)
    finally:
        for client in clients:
            client.close()
        server.should_exit = True
        thread.join()


def alarm_event(device: str, *, severity: str = "high", fault: str = "condition", **changes: Any) -> JSON:
    """An alarm event as the outbox sends it."""
    now = datetime.now(UTC)
    alarm = {
        "event_id": str(uuid4()),
        "occurrence_id": str(uuid4()),
        "kind": "raised",
        "rule": "shift",
        "detector": "shift",
        "point": "flow",
        "severity": severity,
        "since": (now - timedelta(minutes=1)).isoformat(),
        "at": now.isoformat(),
        "score": 3.4,
        "message": "flow 3.9 m3/h, normal 9 to 11 m3/h",
        "evidence": {
            "point": "flow",
            "unit": "m3/h",
            "observed": 3.9,
            "expected": 10.0,
            "low": 9.0,
            "high": None,
            "since": (now - timedelta(minutes=1)).isoformat(),
            "contributions": {"flow": 0.7, "current": 0.3},
            "window": {"from": (now - timedelta(minutes=3)).isoformat(), "to": now.isoformat()},
        },
    }
    return {"source": "alarm", "device": device, "fault": fault, "alarm": {**alarm, **changes}}


def ok(answer: httpx.Response, status: int = 200) -> JSON:
    """The body of an answer that is as it should be."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    body: JSON = answer.json()
    return body


def refused(answer: httpx.Response, status: int) -> Mapping[str, Any]:
    """The problem of an answer that refuses."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    body: JSON = json.loads(answer.content)
    assert body["status"] == status
    assert body["type"].startswith("urn:bellwether:problem:")
    assert body["title"]
    return body
