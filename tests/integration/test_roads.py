"""Four roads that are not straight: declined, escalated, back within 72 hours, and a customer who is not satisfied.

Each over HTTP, every role with an account of its own. Where days pass, the ticket is made older by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from serving import RunningApi, alarm_event, ok
from walking import DIAGNOSIS, JSON, Crew

from alarms.roles import Role

PASSWORD = "long enough, surely"
CREW = {"dana": "dispatcher", "kim": "engineer", "eva": "expert", "ines": "inspector"}
BAD = {"reached": 2, "time": 1, "told": 2, "people": 4, "result": 3, "recommend": 4}


@dataclass
class House:
    """A served API, its people, and alarms as `notify` brings them."""

    api: RunningApi
    crew: Crew

    def alarm(self, device: str = "", **file: object) -> JSON:
        """A fault of a machine, which becomes a ticket or belongs to one."""
        if not device:
            device = self.api.plant.device()
            ok(self.api.client().put(f"/api/v1/devices/{device}/file", json={"warranty_until": "2999-01-01", **file}))
        event = alarm_event(device, occurrence_id=str(self.api.plant.alarm(device)))
        answer = self.api.client(Role.SERVICE).post("/api/v1/tickets", json=event)
        assert answer.status_code in {200, 201}, answer.text
        return dict(answer.json())

    def go(self, who: str, ticket: JSON, to: str, **body: Any) -> JSON:
        return self.crew.post(who, f"tickets/{ticket['id']}/move", to=to, **body)

    def refused(self, who: str, ticket: JSON, status: int, to: str, **body: Any) -> str:
        return str(self.crew.post(who, f"tickets/{ticket['id']}/move", status, to=to, **body)["detail"])

    def taken(self, ticket: JSON) -> JSON:
        """Until an engineer looks into it."""
        self.go("dana", ticket, "triaged")
        self.go("dana", ticket, "dispatched", assignee="kim")
        self.go("kim", ticket, "accepted")
        return self.go("kim", ticket, "diagnosing")

    def repaired(self, ticket: JSON) -> JSON:
        """From the diagnosis until the customer has signed."""
        self.go("kim", ticket, "on_site")
        self.go("kim", ticket, "repairing", diagnosis=DIAGNOSIS)
        self.go("kim", ticket, "testing")
        self.go("kim", ticket, "quality_check", test={"passed": True, "note": "Ran an hour"}, verdict="confirmed")
        self.go("ines", ticket, "handed_over", inspection={"passed": True})
        signature = {"name": "R. Well", "signed_at": datetime.now(UTC).isoformat()}
        return self.go("kim", ticket, "follow_up", signature=signature)

    def told(self, ticket: JSON) -> JSON:
        return self.crew.get("dana", f"tickets/{ticket['id']}")

    def states(self, ticket: JSON) -> list[str]:
        return [event["to_state"] for event in self.told(ticket)["events"] if event["to_state"]]


@pytest.fixture(scope="module")
def house(api: RunningApi) -> Iterator[House]:
    for login, role in CREW.items():
        body = {"login": login, "name": login.title(), "role": role, "password": PASSWORD}
        ok(api.client().post("/api/v1/users", json=body), 201)
    crew = Crew(api.url, dict.fromkeys(CREW, PASSWORD))
    yield House(api, crew)
    crew.close()


def test_out_of_warranty_and_declined(house: House) -> None:
    ticket = house.taken(house.alarm(warranty_until="2026-03-01"))
    assert "2026-03-01" in house.refused("kim", ticket, 422, "scheduled", diagnosis=DIAGNOSIS)
    quote = {"amount": "480.00", "covers": "A bearing, three hours"}
    house.go("kim", ticket, "awaiting_approval", diagnosis=DIAGNOSIS, quote=quote)
    by_code = f"{house.api.url}/api/v1/tickets/track/{ticket['code']}/quote"
    declined = {"accepted": False, "name": "R. Well", "note": "We buy a new one"}
    ok(httpx.post(by_code, json=declined, trust_env=False, timeout=30))
    for to in ("on_site", "awaiting_parts"):
        assert "declined" in house.refused("kim", ticket, 422, to)
    assert house.go("dana", ticket, "closed", verdict="confirmed")["state"] == "closed"
    assert "repairing" not in house.states(ticket)


def test_escalated_to_an_expert_and_back(house: House) -> None:
    ticket = house.taken(house.alarm())
    house.go("kim", ticket, "escalated", note="It rattles, and I cannot say where")
    assert {one["clock"] for one in house.told(ticket)["clocks"] if not one["stopped_at"]} >= {"expert"}
    house.refused("kim", ticket, 403, "diagnosing", note="Then I look again")
    assert "note" in house.refused("eva", ticket, 422, "diagnosing")
    house.go("eva", ticket, "diagnosing", note="The outer race, at the drive end")
    house.repaired(ticket)
    house.go("dana", ticket, "closed")
    assert house.states(ticket) == [
        *("new", "triaged", "dispatched", "accepted", "diagnosing", "escalated", "diagnosing"),
        *("on_site", "repairing", "testing", "quality_check", "handed_over", "follow_up", "closed"),
    ]


def test_back_again_within_72_hours(house: House) -> None:
    ticket = house.taken(house.alarm())
    house.repaired(ticket)
    house.go("dana", ticket, "closed")
    with house.api.database.owner() as conn:
        conn.execute("UPDATE tickets SET closed_at = closed_at - interval '71 hours' WHERE id = %s", [ticket["id"]])
    again = house.alarm(ticket["device"])
    assert (again["id"], again["state"], again["turn"], again["verdict"]) == (ticket["id"], "reopened", 1, None)
    house.go("kim", ticket, "accepted")
    house.go("kim", ticket, "diagnosing")
    house.repaired(ticket)
    house.go("dana", ticket, "closed")
    with house.api.database.owner() as conn:
        conn.execute("UPDATE tickets SET closed_at = closed_at - interval '73 hours' WHERE id = %s", [ticket["id"]])
    later = house.alarm(ticket["device"])
    assert (later["id"] != ticket["id"], later["state"]) == (True, "new")


def test_a_customer_who_is_not_satisfied_is_heard_before_it_closes(house: House) -> None:
    ticket = house.taken(house.alarm())
    house.repaired(ticket)
    (survey,) = (one for one in house.crew.get("dana", "surveys")["items"] if one["ticket_id"] == ticket["id"])
    link = house.crew.post("dana", f"surveys/{survey['id']}/link", 201)["link"]
    answers = {"answers": BAD, "comment": "You came two days late"}
    by_link = f"{house.api.url}/api/v1/surveys/by-link/{link}"
    ok(httpx.post(by_link, json=answers, trust_env=False, timeout=30))
    found = house.crew.get("dana", "second-handlings")["items"]
    (handling,) = (one for one in found if one["ticket_id"] == ticket["id"])
    assert "second handling" in house.refused("dana", ticket, 422, "closed")
    path = f"second-handlings/{handling['id']}"
    house.crew.post("dana", f"{path}/start")
    house.crew.post("dana", f"{path}/call", reached=True, note="They want to be told sooner")
    house.crew.post("dana", f"{path}/close", cause="The visit was moved twice", outcome="Apologised")
    assert house.go("dana", ticket, "closed")["state"] == "closed"
