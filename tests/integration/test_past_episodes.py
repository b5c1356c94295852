"""Past episodes beside a ticket and an alarm, against the real server: found by signature, tenants apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb
from serving import JSON, RunningApi, alarm_event, ok
from test_assessment import HOUR, NOW, lived, ticket_of

from alarms.roles import Role
from firmware_sim.faults import Fault, FaultKind
from notify.assessment import Assessment
from prognosis.faults import library
from store.connection import act_for

FLOW_FALLS = {"flow": -2.0, "discharge_pressure": -1.1, "vibration": 0.1}
BEGAN = datetime(2026, 5, 12, 6, tzinfo=UTC)


def opened(api: RunningApi, device: str, since: datetime = BEGAN, tenant: str = "demo") -> tuple[UUID, UUID]:
    """A ticket of an alarm, and the alarm."""
    alarm = api.plant.alarm(device, tenant, at=since)
    event = alarm_event(device, occurrence_id=str(alarm), since=since.isoformat(), at=since.isoformat())
    client = api.client(Role.SERVICE, tenant)
    answer = client.post("/api/v1/tickets", json=event, headers={"Idempotency-Key": str(uuid4())})
    return UUID(ok(answer, 201)["id"]), alarm


def signed(api: RunningApi, ticket: UUID, kind: str, signature: dict[str, float]) -> None:
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO episodes (ticket_id, tenant, device_id, kind, since, signature)"
            " SELECT id, tenant, device_id, %s, since, %s FROM tickets WHERE id = %s",
            [kind, Jsonb(signature), ticket],
        )


def closed(api: RunningApi, ticket: UUID, alarm: UUID, verdict: str = "confirmed", note: str = "Seal replaced") -> None:
    """The alarm returned after a day and a half; the ticket was closed with these words."""
    with api.database.owner() as conn:
        conn.execute(
            "UPDATE alarms SET active = false, state = 'normal', returned_at = since + interval '36 hours'"
            " WHERE id = %s",
            [alarm],
        )
        conn.execute(
            "UPDATE tickets SET state = 'closed', verdict = %s, closed_at = since + interval '2 days' WHERE id = %s",
            [verdict, ticket],
        )
        conn.execute(
            "INSERT INTO ticket_events (ticket_id, tenant, kind, who, from_state, to_state, note)"
            " SELECT id, tenant, 'moved', 'ben', 'testing', 'closed', %s FROM tickets WHERE id = %s",
            [note, ticket],
        )


def had(
    api: RunningApi, device: str, kind: str, signature: dict[str, float], since: datetime = BEGAN, **of: str
) -> UUID:
    """A fault that was judged."""
    ticket, alarm = opened(api, device, since, of.pop("tenant", "demo"))
    signed(api, ticket, kind, signature)
    closed(api, ticket, alarm, **of)
    return ticket


def like(api: RunningApi, ticket: UUID) -> list[JSON]:
    return list(ok(api.client().get(f"/api/v1/tickets/{ticket}"))["like"])


@pytest.fixture
def kind() -> str:
    """A kind of machine that no other test has."""
    return f"kind-{uuid4()}"


@pytest.fixture
def present(api: RunningApi, kind: str) -> tuple[UUID, UUID]:
    """A fault of today, and its alarm."""
    ticket, alarm = opened(api, api.plant.device(), NOW - HOUR)
    signed(api, ticket, kind, FLOW_FALLS)
    return ticket, alarm


def test_a_ticket_and_its_alarm_say_what_the_like_of_it_was(
    api: RunningApi, kind: str, present: tuple[UUID, UUID]
) -> None:
    ticket, alarm = present
    other = api.plant.device()
    past = had(api, other, kind, {"flow": -3.5, "discharge_pressure": -2.0}, note="Impeller was worn: replaced")
    had(api, api.plant.device(), kind, {"vibration": 3.0})
    found = like(api, ticket)
    assert [one["ticket_id"] for one in found] == [str(past)]
    assert found[0]["device"] == other
    assert found[0]["verdict"] == "confirmed"
    assert found[0]["done"] == "Impeller was worn: replaced"
    assert found[0]["days_to_return"] == pytest.approx(1.5)
    assert 0.9 <= found[0]["likeness"] <= 1.0
    assert ok(api.client().get(f"/api/v1/alarms/{alarm}"))["like"] == found


def test_only_what_was_judged_before_and_of_the_same_kind_is_like_it(
    api: RunningApi, kind: str, present: tuple[UUID, UUID]
) -> None:
    open_one, _ = opened(api, api.plant.device())
    signed(api, open_one, kind, FLOW_FALLS)
    had(api, api.plant.device(), "compressor", FLOW_FALLS)
    had(api, api.plant.device(), kind, FLOW_FALLS, since=NOW - timedelta(minutes=1))
    assert like(api, present[0]) == []


def test_without_a_kind_a_machine_is_like_itself_alone(api: RunningApi) -> None:
    device, other = api.plant.device(), api.plant.device()
    had(api, other, "", FLOW_FALLS)
    own = had(api, device, "", FLOW_FALLS)
    ticket, _ = opened(api, device, NOW - HOUR)
    signed(api, ticket, "", FLOW_FALLS)
    assert [one["ticket_id"] for one in like(api, ticket)] == [str(own)]


def test_an_alarm_without_a_ticket_is_like_nothing(api: RunningApi) -> None:
    alarm = api.plant.alarm(api.plant.device())
    assert ok(api.client().get(f"/api/v1/alarms/{alarm}"))["like"] == []


def test_another_tenants_episodes_are_nobody_elses(api: RunningApi, kind: str, present: tuple[UUID, UUID]) -> None:
    with api.database.owner() as conn:
        conn.execute("INSERT INTO tenants (id, name) VALUES ('other', 'Other') ON CONFLICT DO NOTHING")
    had(api, api.plant.device("other"), kind, FLOW_FALLS, tenant="other")
    assert like(api, present[0]) == []
    with psycopg.connect(api.database.url("api")) as conn:
        for tenant, seen in (("demo", 1), ("other", 1), ("third", 0)):
            act_for(conn, tenant)
            assert conn.execute("SELECT count(*) FROM episodes WHERE kind = %s", [kind]).fetchone() == (seen,)
            conn.rollback()


def test_one_look_goes_by_the_index(api: RunningApi) -> None:
    """A look at a kind's latest reads these and not the tenant's whole past."""
    device, ticket = api.plant.device(), opened(api, api.plant.device())[0]
    with api.database.owner() as conn:
        conn.execute("ALTER TABLE episodes DROP CONSTRAINT episodes_pkey")
        conn.execute(
            "INSERT INTO episodes SELECT %s, tenant, id, 'kind-' || n %% 40, now() - n * interval '1 hour', '{}'"
            " FROM devices, generate_series(1, 8000) n WHERE device = %s",
            [ticket, device],
        )
        conn.execute("ANALYZE episodes")
        asked = sql.SQL(
            "EXPLAIN SELECT ticket_id, signature FROM episodes"
            " WHERE tenant = 'demo' AND kind = 'kind-7' AND since < now() ORDER BY since DESC LIMIT 100"
        )
        plan = "\n".join(row[0] for row in conn.execute(asked))
        conn.rollback()
    assert "episodes_of_kind" in plan
    assert "Sort" not in plan


def test_the_assessor_keeps_how_the_points_moved(own_api: RunningApi) -> None:
    """The same fault of two machines, one at the beginning and one in the end: the second is like the first."""
    assessor = Assessment(own_api.database.url("notify"), library())
    start, onset = NOW - 4 * HOUR, NOW - HOUR
    ids = []
    with psycopg.connect(own_api.database.url("notify"), autocommit=True, options="-c timezone=UTC") as notify:
        for later, last in ((0, 50), (1, 20)):
            device = own_api.plant.device()
            fault = Fault(device, FaultKind.BLOCKED_FILTER, 3 * 3600.0, 2400.0, 0.8)
            lived(own_api, device, start, onset + timedelta(minutes=last), fault, every_s=2)
            since = onset + timedelta(minutes=2, seconds=later)
            ids.append(ticket_of(own_api, device, since, since + timedelta(minutes=2)))
            assert assessor.diagnose(notify) == 1
    with own_api.database.owner() as conn:
        conn.execute(
            "UPDATE tickets SET state = 'closed', verdict = 'confirmed', closed_at = now() WHERE id = %s", [ids[0]]
        )
    found = like(own_api, ids[1])
    assert [one["ticket_id"] for one in found] == [str(ids[0])]
    assert found[0]["days_to_return"] is None
