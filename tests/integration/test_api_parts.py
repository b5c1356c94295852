"""Parts over HTTP: from a table to a repair, by each who does it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from serving import JSON, RunningApi, alarm_event, ok, refused

from alarms.roles import Role

TODAY = datetime.now(UTC).date()


def a_part(api: RunningApi, **said: object) -> str:
    body = {"number": f"part-{uuid4().hex[:8]}", "name": "Shaft seal 40 mm", "value": "38.50", **said}
    return str(ok(api.client(Role.DEPOT).post("/api/v1/parts", json=body), 201)["number"])


def a_depot(api: RunningApi, **said: object) -> str:
    body = {"name": f"depot-{uuid4().hex[:8]}", "kind": "city", **said}
    return str(ok(api.client(Role.MANAGER).post("/api/v1/depots", json=body), 201)["name"])


def receive(api: RunningApi, part: str, depot: str, quantity: int = 1, **said: object) -> JSON:
    body = {"kind": "receipt", "part": part, "depot": depot, "quantity": quantity, **said}
    return ok(api.client(Role.DEPOT).post("/api/v1/parts/moves", json=body), 201)


def a_ticket(api: RunningApi, severity: str = "medium") -> str:
    event = alarm_event(api.plant.device(), severity=severity)
    return str(ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=event), 201)["id"])


def on_ticket(
    api: RunningApi, ticket: str, what: str = "", role: Role = Role.ENGINEER, **body: object
) -> httpx.Response:
    return api.client(role).post(f"/api/v1/tickets/{ticket}/parts{what}", json=body)


def stock(api: RunningApi, part: str) -> dict[str, tuple[int, int, int]]:
    items = ok(api.client(Role.SERVICE).get("/api/v1/parts/stock", params={"part": part}))["items"]
    return {item["depot"]: (item["on_hand"], item["held"], item["free"]) for item in items}


def test_the_way_of_a_key_part_by_those_who_take_it(api: RunningApi) -> None:
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO users (tenant, login, name, role, password_hash)"
            " VALUES ('demo', 'a-engineer', 'Jo', 'engineer', '') ON CONFLICT DO NOTHING"
        )
    part, central = a_part(api, serialised=True), a_depot(api, kind="central")
    van = a_depot(api, kind="van", engineer="a-engineer")
    receive(api, part, central, quantity=2, serials=["N1", "N2"], lot="L7")
    ticket = a_ticket(api)
    asked = ok(on_ticket(api, ticket, role=Role.DISPATCHER, part=part), 201)["reservations"][0]
    assert (asked["state"], asked["place"]) == ("held", central)
    promised = datetime.fromisoformat(asked["promised_at"]) - datetime.fromisoformat(asked["made_at"])
    assert promised == timedelta(hours=48)
    load = {"part": part, "serials": ["N1"], "reservation_id": asked["id"]}
    sent = ok(
        api.client(Role.DEPOT).post(
            "/api/v1/parts/transfers", json={"source": central, "target": van, "parts": [load]}
        ),
        201,
    )
    under_way = api.client(Role.DEPOT).get("/api/v1/parts/transfers", params={"under_way": True})
    assert sent["id"] in {one["id"] for one in ok(under_way)["items"]}
    refused(on_ticket(api, ticket, "/issue", reservation_id=asked["id"], serials=[{"new": "N1"}]), 409)
    ok(api.client(Role.ENGINEER).post(f"/api/v1/parts/transfers/{sent['id']}/receive", json={}))
    refused(on_ticket(api, ticket, "/issue", reservation_id=asked["id"]), 422)
    wrong = on_ticket(api, ticket, "/issue", reservation_id=asked["id"], serials=[{"new": "N2"}])
    assert "N2" in refused(wrong, 409)["detail"]
    ok(on_ticket(api, ticket, "/issue", reservation_id=asked["id"], serials=[{"new": "N1", "old": "O9"}]), 201)
    ok(on_ticket(api, ticket, "/return", part=part, fate="scrapped", serials=["O9"], note="Worn"), 201)
    life = ok(api.client(Role.DEPOT).get("/api/v1/parts/moves", params={"part": part, "serial": "N1"}))["items"]
    assert [(one["kind"], one["given_to"]["kind"]) for one in life] == [
        ("issue", "repair"), ("arrived", "van"), ("sent", "transit"), ("receipt", "central"),
    ]  # fmt: skip
    assert (life[0]["replaces"], life[0]["ticket_id"], life[0]["who"]) == ("O9", ticket, "a-engineer")
    assert [one["lot"] for one in life] == ["L7"] * 4
    shown = ok(api.client(Role.SERVICE).get(f"/api/v1/tickets/{ticket}/parts"))
    assert [one["kind"] for one in shown["moves"]] == ["scrapped", "issue"]
    story = ok(api.client().get(f"/api/v1/tickets/{ticket}"))["events"]
    assert [one["kind"] for one in story if one["kind"].startswith("part_")] == [
        "part_reserved", "part_issued", "part_returned",
    ]  # fmt: skip
    assert "N1 for O9" in next(one["note"] for one in story if one["kind"] == "part_issued")


def test_the_same_receipt_sent_twice_comes_in_once(api: RunningApi) -> None:
    part, depot = a_part(api), a_depot(api)
    body = {"kind": "receipt", "part": part, "depot": depot, "quantity": 5}
    client = api.client(Role.DEPOT)
    with ThreadPoolExecutor(6) as threads:
        answers = list(
            threads.map(
                lambda _: client.post("/api/v1/parts/moves", json=body, headers={"Idempotency-Key": f"r-{part}"}),
                range(6),
            )
        )
    assert {answer.status_code for answer in answers} == {201}
    assert len({tuple(answer.json()["moves"]) for answer in answers}) == 1
    assert stock(api, part) == {depot: (5, 0, 5)}


def test_an_urgent_ticket_takes_and_the_loser_reads_why(api: RunningApi) -> None:
    part, depot = a_part(api), a_depot(api)
    receive(api, part, depot)
    low, urgent = a_ticket(api, "low"), a_ticket(api, "critical")
    ok(on_ticket(api, low, part=part), 201)
    assert ok(on_ticket(api, urgent, part=part), 201)["reservations"][0]["state"] == "held"
    shown = ok(api.client(Role.DEPOT).get(f"/api/v1/tickets/{low}/parts"))["reservations"]
    assert [(one["state"], one["place"]) for one in shown] == [("waiting", None)]
    story = ok(api.client().get(f"/api/v1/tickets/{low}"))["events"]
    taken = next(one for one in story if one["kind"] == "part_taken")
    assert taken["detail"]["taken_by"] == urgent
    assert "an urgent ticket took what was held" in taken["note"]
    assert ok(api.client(Role.DEPOT).get(f"/api/v1/parts/{part}"))["waiting"] == 1
    held = ok(api.client(Role.DEPOT).get(f"/api/v1/tickets/{urgent}/parts"))["reservations"][0]["id"]
    ok(on_ticket(api, urgent, f"/{held}/release"))
    assert stock(api, part) == {depot: (1, 1, 0)}
    refused(on_ticket(api, urgent, f"/{held}/release"), 409)
    refused(on_ticket(api, low, f"/{held}/release"), 404)


def test_what_is_not_there_is_refused_with_the_reason(api: RunningApi) -> None:
    part, depot, other = a_part(api, shelf_days=30), a_depot(api), a_depot(api)
    receive(api, part, depot, quantity=3)
    ticket = a_ticket(api)
    client = api.client(Role.DEPOT)
    held = ok(on_ticket(api, ticket, part=part, quantity=2), 201)["reservations"][0]["id"]
    send = {"source": depot, "target": other, "parts": [{"part": part, "quantity": 2}]}
    assert "2 of them are held" in refused(client.post("/api/v1/parts/transfers", json=send), 409)["detail"]
    late = {"kind": "receipt", "part": part, "depot": depot, "expires_on": str(TODAY - timedelta(1))}
    assert "expired on" in refused(client.post("/api/v1/parts/moves", json=late), 409)["detail"]
    away = {"kind": "scrapped", "part": part, "depot": depot, "quantity": 4, "note": "Cracked"}
    assert "there are 3" in refused(client.post("/api/v1/parts/moves", json=away), 409)["detail"]
    refused(client.post("/api/v1/parts/moves", json={**away, "quantity": 1, "note": " "}), 422)
    refused(client.post("/api/v1/parts/moves", json={**away, "kind": "issue"}), 422)
    refused(on_ticket(api, ticket, part=part, depot="none-such"), 404)
    refused(on_ticket(api, ticket, "/issue", part=part), 422)
    refused(on_ticket(api, ticket, "/issue", reservation_id=held, quantity=3), 409)
    ok(on_ticket(api, ticket, "/issue", reservation_id=held), 201)
    refused(on_ticket(api, ticket, "/return", part=part, fate="unused", depot=depot, quantity=3), 409)
    ok(on_ticket(api, ticket, "/return", part=part, fate="unused", depot=depot), 201)
    assert stock(api, part) == {depot: (2, 0, 2)}
    refused(on_ticket(api, ticket, "/return", part=part, fate="repaired", note="new ball"), 422)


def test_what_is_missing_of_a_transfer_is_written_down(api: RunningApi) -> None:
    part, depot, other = a_part(api), a_depot(api), a_depot(api)
    receive(api, part, depot, quantity=5, lot="A")
    client = api.client(Role.DEPOT)
    send = {"source": depot, "target": other, "parts": [{"part": part, "quantity": 4}]}
    sent = ok(client.post("/api/v1/parts/transfers", json=send), 201)
    road = f"/api/v1/parts/transfers/{sent['id']}/receive"
    refused(client.post(road, json={"missing": [{"part": part}]}), 422)
    refused(client.post(road, json={"missing": [{"part": part, "quantity": 5}], "note": "gone"}), 409)
    came = ok(client.post(road, json={"missing": [{"part": part}], "note": "One was cracked"}))
    assert came["parts"] == [{"part": part, "lot": "A", "serial": None, "sent": 4, "arrived": 3, "lost": 1}]
    refused(client.post(road, json={}), 409)
    assert stock(api, part) == {depot: (1, 0, 1), other: (3, 0, 3)}
    count = {"part": part, "depot": other, "lot": "A", "quantity": 4, "note": "It was behind the shelf"}
    assert len(ok(client.post("/api/v1/parts/counts", json=count), 201)["moves"]) == 1
    assert ok(client.post("/api/v1/parts/counts", json=count), 201)["moves"] == []
    assert stock(api, part)[other] == (4, 0, 4)


def test_tables_are_taken_whole_or_not_at_all(api: RunningApi) -> None:
    client, name, depot = api.client(Role.DEPOT), uuid4().hex[:8], a_depot(api)
    table = f"number;name;value;serialised\r\n{name}-1;Seal;38,50;no\r\n{name}-2;Bearing;120;yes\r\n"
    assert ok(client.post("/api/v1/parts/import", json={"csv": table})) == {"new": 2, "known": 0}
    assert ok(client.post("/api/v1/parts/import", json={"csv": table})) == {"new": 0, "known": 2}
    bad = f"number,name,value\n{name}-3,Seal,-1\n{name}-4,,2\n"
    problem = refused(client.post("/api/v1/parts/import", json={"csv": bad}), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["body.csv.2.value", "body.csv.3.name"]
    refused(client.get(f"/api/v1/parts/{name}-3"), 404)
    refused(client.post("/api/v1/parts/import", json={"csv": "number,name\nstock,x\n"}), 422)
    opening = f"depot,part,quantity,lot,expires_on,serial\n{depot},{name}-1,7,A,2099-01-01,\n{depot},{name}-2,,,,S1\n"
    wrong = client.post("/api/v1/parts/opening-stock", json={"csv": opening + f"nowhere,{name}-1,1,,,\n"})
    refused(wrong, 404)
    assert stock(api, f"{name}-1") == {}
    assert ok(client.post("/api/v1/parts/opening-stock", json={"csv": opening}), 201)["new"] == 2
    assert stock(api, f"{name}-1") == {depot: (7, 0, 7)}


def test_parts_are_found_and_few_are_told(api: RunningApi) -> None:
    client, depot = api.client(Role.DEPOT), a_depot(api)
    few, plenty = a_part(api, low_at=2, name="Coupling spider", fits=["NK 80-200"]), a_part(api, low_at=1)
    receive(api, few, depot)
    receive(api, plenty, depot)

    def found(**params: object) -> set[str]:
        items = ok(client.get("/api/v1/parts", params={"limit": 200, **params}))["items"]
        return {item["number"] for item in items}

    assert few in found(low=True)
    assert plenty not in found(low=True)
    assert found(like="coupling SPIDER") == {few}
    assert few in found(model="NK 80-200")
    assert few not in found(model="CR 32-4")
    assert plenty in found(model="CR 32-4")
    changed = {"name": "Coupling spider, red", "value": "12.00", "low_at": 0}
    assert ok(client.put(f"/api/v1/parts/{few}", json=changed))["fits"] == []
    assert few not in found(low=True)
    refused(client.post("/api/v1/parts", json={"number": few, "name": "again"}), 409)


def test_a_tenant_promises_what_it_can(own_api: RunningApi) -> None:
    client = own_api.client(Role.MANAGER)
    assert ok(client.get("/api/v1/parts/policy")) == {"arrive_h": 48, "held_days": 14}
    ok(client.put("/api/v1/parts/policy", json={"arrive_h": 24, "held_days": 7}))
    part = a_part(own_api)
    asked = ok(on_ticket(own_api, a_ticket(own_api), part=part), 201)["reservations"][0]
    made, promised, ends = (datetime.fromisoformat(asked[name]) for name in ("made_at", "promised_at", "expires_at"))
    assert (promised - made, ends - made) == (timedelta(hours=24), timedelta(days=7))
    assert ok(own_api.client(Role.MANAGER, "other").get("/api/v1/parts/policy"))["arrive_h"] == 48


@pytest.mark.parametrize("role", [Role.OWNER])
def test_owners_see_no_stock(api: RunningApi, role: Role) -> None:
    for path in ("parts", "parts/stock", "parts/moves", "parts/transfers", "depots"):
        refused(api.client(role).get(f"/api/v1/{path}"), 403)


def test_every_move_is_an_act_of_the_audit_log(own_api: RunningApi) -> None:
    part, depot = a_part(own_api), a_depot(own_api)
    receive(own_api, part, depot, quantity=2)
    with own_api.database.owner() as conn:
        acts = conn.execute(
            "SELECT resource, route FROM audit_acts WHERE resource LIKE 'part%%' ORDER BY id"
        ).fetchall()
    assert acts == [("part", "POST /api/v1/parts"), ("part_move", "POST /api/v1/parts/moves")]
