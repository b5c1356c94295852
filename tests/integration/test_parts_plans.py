"""What is planned of parts by what was put in, what lies where, and which machines wear."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from psycopg.types.json import Jsonb
from serving import Database, RunningApi, ok

from alarms.roles import Role
from notify.storage import StorageCare
from store.connection import act_for, connect
from store.parts import catalogue, plans, repairs, reservations, shelves
from store.parts.ledger import Act
from store.tickets import open_by_person
from tickets.parts.places import PlaceKind
from tickets.parts.tables import PartRow
from tickets.priority import Priority

NOW = datetime.now(UTC).replace(microsecond=0)
SEAL = PartRow("seal", "Shaft seal", "piece", Decimal(40), "EUR", (), None, serialised=False, low_at=0)

SUSPECTS = (("bearing_wear", 0.5), ("imbalance", 0.1))


@pytest.fixture(scope="module")
def planned(api: RunningApi, module_database: Database) -> RunningApi:
    """A year of a seal a fortnight from `east`, a bearing never; a machine that wears, whose bearing it may be."""
    device = api.plant.device()
    with psycopg.connect(module_database.url("api")) as conn:
        act_for(conn, "demo")
        for row in (SEAL, replace(SEAL, number="bearing", cures=("bearing_wear",), lead_days=30)):
            catalogue.create_part(conn, "demo", row, "kit")
        for name, kind in (("east", PlaceKind.CITY), ("north", PlaceKind.REGIONAL), ("hub", PlaceKind.CENTRAL)):
            catalogue.open_depot(conn, "demo", name, kind=kind)
        ticket = open_by_person(
            conn, "demo", device=device, title="It hums", description="", priority=Priority.LOW, who="kit", now=NOW
        ).id
        begin = Act("demo", "kit", NOW - timedelta(days=370))
        shelves.receive(conn, begin, "seal", "east", quantity=26)
        shelves.receive(conn, begin, "seal", "hub", quantity=3)
        shelves.receive(conn, begin, "bearing", "hub")
        for fortnight in range(26):
            act = Act("demo", "kit", NOW - timedelta(days=14 * fortnight + 1))
            repairs.reserve_and_issue(conn, act, ticket, "seal", "east")
    with module_database.owner() as conn:
        conn.execute(
            "INSERT INTO prognoses (device_id, hour, tenant, abstains, p_fail_30, by_wear, worst_point, failures)"
            " SELECT id, %s, tenant, '', 0.9, 0.8, 'vibration', 3 FROM devices WHERE device = %s",
            [NOW - timedelta(hours=2), device],
        )
        conn.execute(
            "INSERT INTO diagnoses (ticket_id, tenant, until, abstains, other, suspects)"
            " VALUES (%s, 'demo', %s, '', 0.4, %s)",
            [ticket, NOW, Jsonb([{"mode": mode, "probability": share} for mode, share in SUSPECTS])],
        )
    with closing(connect(module_database.url("notify"), "storage")) as conn:
        conn.autocommit = True
        StorageCare(module_database.url("notify")).round(conn)
        assert len(conn.execute("SELECT FROM part_plans").fetchall()) == 2
        assert plans.plan_due(conn, NOW + timedelta(hours=23)) == 0, "once a day"
    return api


def test_what_is_used_is_ordered_before_it_is_gone(planned: RunningApi) -> None:
    items = {one["part"]: one for one in ok(planned.client(Role.DEPOT).get("/api/v1/parts/plans"))["items"]}
    seal = items["seal"]
    assert seal["weekly"] == pytest.approx(0.5, abs=0.1)
    assert (seal["class_"], seal["position"]) == ("A", 3)
    order, transfer = seal["proposals"]
    assert (order["kind"], order["target"], order["quantity"]) == ("order", "north", seal["up_to"] - 3)
    assert f"fewer than {seal['reorder_at']}" in order["reason"]
    assert (transfer["source"], transfer["target"], transfer["quantity"]) == ("hub", "east", 3)


def test_wear_asks_for_a_part_that_was_never_used(planned: RunningApi) -> None:
    bearing = ok(planned.client(Role.DEPOT).get("/api/v1/parts/plans"))["items"][0]
    assert (bearing["part"], bearing["weekly"], bearing["class_"]) == ("bearing", 0.0, "C")
    assert bearing["predicted"] == pytest.approx(0.8 * 0.5)
    assert (bearing["position"], bearing["reorder_at"], bearing["proposals"]) == (1, 1, [])
    to_do = ok(planned.client(Role.DEPOT).get("/api/v1/parts/plans", params={"to_do": True}))["items"]
    assert [one["part"] for one in to_do] == ["seal"]


def test_a_part_that_its_ticket_has_asked_for_is_not_counted_twice(planned: RunningApi) -> None:
    database = planned.database
    with psycopg.connect(database.url("api")) as conn:
        act_for(conn, "demo")
        ticket = conn.execute("SELECT ticket_id FROM diagnoses").fetchall()[0][0]
        reservations.reserve(conn, "demo", ticket, "bearing", 2, who="kit", now=NOW)
    with closing(connect(database.url("notify"), "notify")) as conn:
        assert plans.plan_due(conn, NOW + timedelta(hours=25)) == 2
    bearing = ok(planned.client(Role.DEPOT).get("/api/v1/parts/plans"))["items"][0]
    assert (bearing["predicted"], bearing["position"]) == (0.0, -1)
    assert ok(planned.client(Role.DEPOT, "other").get("/api/v1/parts/plans"))["items"] == []
