"""People with channels, and the chain along which they are told."""

from __future__ import annotations

from uuid import uuid4

import httpx
from serving import JSON, SECRET, RunningApi, ok

from alarms.roles import Role
from api.access.tokens import issue


def somebody(api: RunningApi, role: Role = Role.ENGINEER) -> tuple[str, httpx.Client]:
    """A new user's login, and a client of theirs."""
    login = f"jo-{uuid4().hex[:6]}"
    asked = {"login": login, "name": f"Jo {login}", "role": role.value, "password": "long enough, surely"}
    made = ok(api.client().post("/api/v1/users", json=asked), 201)
    client = api.client(None)
    client.headers["Authorization"] = f"Bearer {issue(SECRET, 'user:' + made['id'], 'demo', role, 600, login)}"
    return login, client


def channel(client: httpx.Client, url: str) -> JSON:
    return ok(client.post("/api/v1/channels", json={"name": "My phone", "url": url}), 201)


def set_up(api: RunningApi, on_call: list[str], then: list[str]) -> None:
    """A rota of these, and a chain of whoever is on call and then these."""
    layers = [{"name": "All", "members": on_call, "starts_on": "2026-01-05"}] if on_call else []
    manager = api.client(Role.MANAGER)
    ok(manager.put("/api/v1/on-call/rota", json={"zone": "Europe/Berlin", "layers": layers}))
    steps = [{"whom": "on_call"}, *({"whom": "person", "who": login} for login in then)]
    ok(manager.put("/api/v1/on-call/chain", json={"steps": steps, "rounds": 1}))
