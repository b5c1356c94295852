"""The whole road of a ticket, walked over HTTP by those whose steps they are, each with an account of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

JSON = dict[str, Any]
DIAGNOSIS = {"located": "Outer race of the drive end bearing", "plan": "Replace the bearing", "hours": 3}
ROAD = [
    "triaged",
    "dispatched",
    "accepted",
    "diagnosing",
    "escalated",
    "diagnosing",
    "awaiting_approval",
    "awaiting_parts",
    "scheduled",
    "on_site",
    "repairing",
    "testing",
    "quality_check",
    "handed_over",
    "follow_up",
    "closed",
]


class Crew:
    """The demonstration's people, signed in."""

    def __init__(self, api_url: str, passwords: dict[str, str]) -> None:
        self.api_url = api_url
        self._clients = {login: self._signed_in(login, password) for login, password in passwords.items()}

    def get(self, who: str, path: str) -> JSON:
        answer = self._clients[who].get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def post(self, who: str, path: str, status: int = 200, **body: Any) -> JSON:
        answer = self._clients[who].post(f"/api/v1/{path}", json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    def put(self, who: str, path: str, **body: Any) -> JSON:
        answer = self._clients[who].put(f"/api/v1/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _signed_in(self, login: str, password: str) -> httpx.Client:
        client = httpx.Client(base_url=self.api_url, timeout=30.0, trust_env=False)
        answer = client.post("/api/v1/token", json={"login": login, "password": password})
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client


def walk(crew: Crew, ticket_id: str) -> JSON:
    """From `new` to `closed`, and where something is missing on the way, it is said; the ticket as it is at the end."""
    now = datetime.now(UTC)
    ticket = f"tickets/{ticket_id}"

    def go(who: str, to: str, **body: Any) -> None:
        assert crew.post(who, f"{ticket}/move", to=to, **body)["state"] == to

    def lacks(who: str, to: str, what: str, **body: Any) -> None:
        assert what in crew.post(who, f"{ticket}/move", 422, to=to, **body)["detail"]

    go("dana", "triaged")
    lacks("dana", "dispatched", "its assignee")
    go("dana", "dispatched", assignee="kim")
    go("kim", "accepted")
    go("kim", "diagnosing")
    go("kim", "escalated", note="It rattles, and I cannot say where")
    go("eva", "diagnosing", note="Look at the drive end: the outer race")
    lacks("kim", "awaiting_approval", "its diagnosis")
    go("kim", "awaiting_approval", diagnosis=DIAGNOSIS, quote={"amount": "480.00", "covers": "A bearing, three hours"})
    lacks("kim", "on_site", "the customer's answer")
    code = crew.get("dana", ticket)["code"]
    answered = httpx.post(
        f"{crew.api_url}/api/v1/tickets/track/{code}/quote", json={"accepted": True, "name": "R. Well"}, trust_env=False
    )
    assert answered.status_code == 200, answered.text
    go("kim", "awaiting_parts")
    (reservation,) = crew.post("kim", f"{ticket}/parts", 201, part="6205-2RS", quantity=1)["reservations"]
    assert (reservation["state"], reservation["place"]) == ("held", "van-kim")  # what lies in one's own van is taken
    lacks("dana", "scheduled", "an appointment")
    window = {"begins_at": now.isoformat(), "ends_at": (now + timedelta(hours=4)).isoformat()}
    go("dana", "scheduled", appointment=window)
    go("kim", "on_site")
    go("kim", "repairing")
    crew.post("kim", f"{ticket}/parts/issue", 201, reservation_id=reservation["id"])
    go("kim", "testing")
    for work in (one for one in crew.get("kim", ticket)["work"] if one["kind"] == "repair" and one["in_force"]):
        lacks("kim", "quality_check", f"its steps: {work['left']} of {work['left']}", verdict="confirmed")
        for step in work["steps"]:
            measured = {"value": 1.0} if step["measure"] else {}
            fitted = {"new_serial": "N-1"} if step["replaces"] else {}
            crew.put("kim", f"{ticket}/steps/{work['id']}/{step['number']}", state="done", **measured, **fitted)
    lacks("kim", "quality_check", "a function test", verdict="confirmed")
    values = [{"name": "vibration_velocity", "value": 1.1, "unit": "mm/s"}]
    go("kim", "quality_check", test={"passed": True, "note": "Ran for an hour", "values": values}, verdict="confirmed")
    crew.post("kim", f"{ticket}/move", 403, to="handed_over", inspection={"passed": True})
    go("ines", "handed_over", inspection={"passed": True, "note": "Quiet, and within its limits"})
    lacks("kim", "follow_up", "the customer's signature")
    go("kim", "follow_up", signature={"name": "R. Well", "signed_at": now.isoformat()})
    go("dana", "closed")
    return crew.get("dana", ticket)
