"""Customers and devices' files over HTTP: kept, taken from tables, shown to whom they concern, and what they decide."""

from __future__ import annotations

import json
from typing import Any

import pytest
from serving import JSON, SECRET, RunningApi, alarm_event, ok, refused

from alarms.roles import Role
from api.access.tokens import issue

DAIRY = {"number": "K-1007", "name": "Riverside Dairy", "contact": "Jo Novak, 030 901820", "tier": "vip", "notes": ""}


def add(api: RunningApi, number: str, **fields: Any) -> JSON:
    return ok(api.client(Role.DISPATCHER).post("/api/v1/customers", json={**DAIRY, "number": number, **fields}), 201)


def write(api: RunningApi, device: str, **fields: Any) -> JSON:
    return ok(api.client(Role.ENGINEER).put(f"/api/v1/devices/{device}/file", json=fields))


def owner(api: RunningApi, login: str, customer: str) -> Any:
    """A client of somebody who belongs to a customer."""
    administrator = api.client()
    body = {"login": login, "name": login, "role": "owner", "password": "long enough, surely"}
    user = ok(administrator.post("/api/v1/users", json=body), 201)
    changed = ok(administrator.patch(f"/api/v1/users/{user['id']}", json={"customer": customer}))
    assert changed["customer"] == (customer or None)
    client = api.client(None)
    token = issue(SECRET, f"user:{user['id']}", "demo", Role.OWNER, 600, login)
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def test_a_customer_is_kept_and_changed(api: RunningApi) -> None:
    desk = api.client(Role.DISPATCHER)
    made = ok(desk.post("/api/v1/customers", json=DAIRY, headers={"Idempotency-Key": "dairy"}), 201)
    assert ok(desk.post("/api/v1/customers", json=DAIRY, headers={"Idempotency-Key": "dairy"}), 201) == made
    refused(desk.post("/api/v1/customers", json=DAIRY), 409)
    path = f"/api/v1/customers/{made['id']}"
    changed = ok(desk.put(path, json={"name": "Dairy", "tier": "regular"}))
    assert (changed["name"], changed["tier"], changed["contact"], changed["changed_by"]) == (
        "Dairy", "regular", "", "a-dispatcher",
    )  # fmt: skip
    for wrong in ({**DAIRY, "tier": "gold"}, {**DAIRY, "number": "no spaces"}, {**DAIRY, "birthday": "1970-01-01"}):
        refused(desk.post("/api/v1/customers", json=wrong), 422)


def test_a_device_has_a_file_of_which_the_serial_number_is_its_own(api: RunningApi) -> None:
    add(api, "K-2")
    one, other = api.plant.device(), api.plant.device()
    assert ok(api.client().get(f"/api/v1/devices/{one}/file"))["criticality"] == "B"
    kept = write(api, one, serial="NK-77", customer="K-2", warranty_until="2027-03-01", criticality="A")
    assert (kept["customer_name"], kept["tier"], kept["changed_by"]) == ("Riverside Dairy", "vip", "a-engineer")
    engineer = api.client(Role.ENGINEER)
    refused(engineer.put(f"/api/v1/devices/{other}/file", json={"serial": "NK-77"}), 409)
    refused(engineer.put(f"/api/v1/devices/{other}/file", json={"customer": "K-none"}), 404)
    refused(engineer.put("/api/v1/devices/none/file", json={}), 404)
    write(api, one)
    assert write(api, other, serial="NK-77")["serial"] == "NK-77"


@pytest.mark.parametrize(
    ("file", "tier", "severity", "priority", "clocks"),
    [
        ({}, "regular", "medium", "medium", {"response", "on_site", "resolution"}),
        ({"criticality": "A"}, "regular", "high", "urgent", {"assignment", "response", "on_site", "resolution"}),
        ({"criticality": "C"}, "regular", "high", "medium", {"response", "on_site", "resolution"}),
        ({"criticality": "C"}, "vip", "medium", "medium", {"assignment", "response", "on_site", "resolution"}),
        ({"safety_equipment": True}, "regular", "low", "urgent", {"assignment", "response", "on_site", "resolution"}),
    ],
)
def test_a_tickets_priority_follows_from_what_is_lost_how_much_it_matters_and_whose_it_is(
    api: RunningApi, file: JSON, tier: str, severity: str, priority: str, clocks: set[str]
) -> None:
    device = api.plant.device()
    number = f"P-{device}"
    add(api, number, tier=tier)
    write(api, device, customer=number, **file)
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device, severity=severity)), 201)
    assert ticket["priority"] == priority
    assert {clock["clock"] for clock in ticket["clocks"]} == clocks


def test_a_person_says_what_is_lost_and_safety_equipment_is_urgent_whatever_they_say(api: RunningApi) -> None:
    device = api.plant.device()
    report = {"source": "person", "device": device, "title": "The guard is loose"}
    owner_client = api.client(Role.ENGINEER)
    assert ok(owner_client.post("/api/v1/tickets", json=report), 201)["priority"] == "medium"
    lost = ok(
        owner_client.post("/api/v1/tickets", json={**report, "fault_class": "line_down", "nature": "software"}), 201
    )
    assert (lost["priority"], lost["level"], lost["nature"]) == ("urgent", "emergency", "software")
    write(api, device, safety_equipment=True)
    low = {**report, "priority": "low", "fault_class": "cosmetic"}
    assert ok(owner_client.post("/api/v1/tickets", json=low), 201)["priority"] == "urgent"


def diagnosed(api: RunningApi, ticket: JSON, urgency: str, probability: float) -> None:
    suspects = [{"mode": "bearing_wear", "name": "Bearing wear", "probability": probability, "urgency": urgency}]
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO diagnoses (ticket_id, tenant, until, abstains, other, suspects)"
            " VALUES (%s, 'demo', now(), '', 0.1, %s)",
            [ticket["id"], json.dumps(suspects)],
        )


@pytest.mark.parametrize(
    ("urgency", "probability", "priority"),
    [
        ("day", 0.8, "high"),
        ("now", 0.5, "urgent"),
        ("now", 0.4, "medium"),
        ("month", 0.9, "medium"),
        ("", 0.9, "medium"),
    ],
)
def test_what_is_probably_wrong_raises_a_ticket_by_how_long_one_may_wait(
    api: RunningApi, urgency: str, probability: float, priority: str
) -> None:
    """When it is triaged, and when a further alarm joins."""
    service, desk = api.client(Role.SERVICE), api.client(Role.DISPATCHER)
    for way in ("triage", "alarm"):
        device = api.plant.device()
        ticket = ok(service.post("/api/v1/tickets", json=alarm_event(device, severity="medium")), 201)
        diagnosed(api, ticket, urgency, probability)
        if way == "triage":
            after = ok(desk.post(f"/api/v1/tickets/{ticket['id']}/move", json={"to": "triaged"}))
        else:
            after = ok(service.post("/api/v1/tickets", json=alarm_event(device, severity="low")))
        assert after["priority"] == priority
        assert after["evidence"]["severity"] == "medium"


def test_tables_are_taken_whole_or_not_at_all(own_api: RunningApi) -> None:
    manager = own_api.client(Role.MANAGER)

    def take(what: str, csv: str) -> Any:
        return manager.post(f"/api/v1/{what}/import", json={"csv": csv})

    customers = "number;name;tier;contact\nK-1;Dairy;vip;Jo\nK-2;Brewery, new;;\n"
    assert ok(take("customers", customers)) == {"rows": 2, "new": 2}
    assert ok(take("customers", "number,name\nK-1,Old Dairy\n")) == {"rows": 1, "new": 0}
    listed = ok(manager.get("/api/v1/customers"))["items"]
    assert [(c["number"], c["name"], c["tier"], c["contact"]) for c in listed] == [
        ("K-1", "Old Dairy", "vip", "Jo"), ("K-2", "Brewery, new", "regular", ""),
    ]  # fmt: skip
    known = own_api.plant.device()
    devices = (
        "\ufeffdevice,model,serial,customer,purchased_on,criticality,safety_equipment\r\n"
        f"{known},,S-1,K-1,2024-02-29,a,no\r\nbrew-1,NK 80,S-2,K-2,,,yes\r\n"
    )
    assert ok(take("devices", devices)) == {"rows": 2, "new": 1}
    brew = ok(manager.get("/api/v1/devices/brew-1/file"))
    assert (brew["model"], brew["customer_name"], brew["safety_equipment"]) == ("NK 80", "Brewery, new", True)
    assert ok(manager.get(f"/api/v1/devices/{known}/file"))["purchased_on"] == "2024-02-29"
    assert ok(take("devices", f"device,criticality\n{known},C\n")) == {"rows": 1, "new": 0}
    assert ok(manager.get(f"/api/v1/devices/{known}/file"))["serial"] == "S-1"
    for wrong, where in (
        ("device,moon\nx,full\n", "body.csv.1.moon"),
        ("model\nx\n", "body.csv.1.device"),
        ("device,purchased_on\nx,29.02.2024\n", "body.csv.2.purchased_on"),
        ("device,criticality\nx,D\n", "body.csv.2.criticality"),
        ("device\nx\nx\n", "body.csv.3.device"),
    ):
        problem = refused(take("devices", wrong), 422)
        assert where in [one["pointer"] for one in problem["errors"]]
    refused(take("devices", "device,customer\nnew-1,K-1\nnew-2,K-none\n"), 404)
    refused(take("devices", "device,serial\nnew-1,S-1\n"), 409)
    assert not [d for d in ok(manager.get("/api/v1/devices"))["items"] if d["device"].startswith("new-")]


def test_an_owner_sees_what_is_their_own_and_nobody_elses(own_api: RunningApi) -> None:
    mine, theirs, nobodys = (own_api.plant.device() for _ in range(3))
    for number, device in (("K-1", mine), ("K-2", theirs)):
        add(own_api, number)
        write(own_api, device, customer=number, serial=f"S-{device}")
    service = own_api.client(Role.SERVICE)
    tickets = {
        device: ok(service.post("/api/v1/tickets", json=alarm_event(device)), 201)["id"]
        for device in (mine, theirs, nobodys)
    }
    belongs, stranger = owner(own_api, "ola", "K-1"), owner(own_api, "stu", "")

    def seen(client: Any) -> tuple[list[str], set[str]]:
        customers = ok(client.get("/api/v1/customers"))["items"]
        found = ok(client.get("/api/v1/tickets"))["items"]
        return [c["number"] for c in customers], {ticket["device"] for ticket in found}

    assert seen(belongs) == (["K-1"], {mine})
    assert seen(stranger) == ([], {nobodys})
    assert seen(own_api.client()) == (["K-1", "K-2"], {mine, theirs, nobodys})
    ok(belongs.get(f"/api/v1/devices/{mine}/file"))
    ok(belongs.get(f"/api/v1/tickets/{tickets[mine]}"))
    for client, device in ((belongs, theirs), (belongs, nobodys), (stranger, mine)):
        refused(client.get(f"/api/v1/devices/{device}/file"), 404)
        refused(client.get(f"/api/v1/tickets/{tickets[device]}"), 404)
        refused(client.post(f"/api/v1/tickets/{tickets[device]}/comments", json={"note": "why"}), 404)
    report = {"source": "person", "device": theirs, "title": "It leaks"}
    refused(belongs.post("/api/v1/tickets", json=report), 404)
    ok(belongs.post("/api/v1/tickets", json={**report, "device": mine}), 201)
