"""Verdicts on tickets, from the database to what ingest raises and what the API shows."""

from __future__ import annotations

from uuid import uuid4

from ingesting import Device, ingesting, now_ms, until_stored
from servers import Database, RunningBroker
from serving import RunningApi, ok, refused
from waiting import until

SHIFTED = "SELECT point FROM alarms WHERE detector = 'shift' AND raised_at > now() - interval '2 hours' AND active"


def judge(database: Database, device: str, point: str, verdict: str, *, times: int = 1, tenant: str = "demo") -> None:
    """Alarms of `shift` that went to 2.0 and were over after 20 minutes, each with a ticket that was closed."""
    with database.owner() as conn:
        for _ in range(times):
            alarm, ticket = uuid4(), uuid4()
            conn.execute(
                "INSERT INTO alarms (id, tenant, device_id, device, stream_id, point, rule, detector, fault, severity,"
                " state, active, since, raised_at, returned_at, score, message, evidence)"
                " SELECT %s, tenant, device_id, device, id, point, 'shift', 'shift', 'condition', 'medium', 'normal',"
                " false, now() - interval '1 day', now() - interval '1 day', now() - interval '1420 minutes', 2.0,"
                " '', '{}' FROM streams WHERE tenant = %s AND device = %s AND point = %s",
                [alarm, tenant, device, point],
            )
            conn.execute(
                "INSERT INTO tickets (id, tenant, code, device_id, device, fault, source, title, state, verdict,"
                " priority, level, since, closed_at)"
                " SELECT %s, tenant, %s, device_id, device, 'condition', 'alarm', '', 'closed', %s, 'low', 'general',"
                " now(), now() FROM alarms WHERE id = %s",
                [ticket, str(ticket), verdict, alarm],
            )
            conn.execute(
                "INSERT INTO ticket_alarms (ticket_id, alarm_id, tenant) VALUES (%s, %s, %s)", [ticket, alarm, tenant]
            )


def test_what_verdicts_have_taught_is_shown(api: RunningApi) -> None:
    with api.database.owner() as conn:
        conn.execute("INSERT INTO tenants (id, name) VALUES ('north', 'North') ON CONFLICT DO NOTHING")
    device, other, foreign = api.plant.device(), api.plant.device(), api.plant.device(tenant="north")
    point = f"flow-{device}"
    for each, tenant in ((device, "demo"), (other, "demo"), (foreign, "north")):
        api.plant.stream(each, point, tenant)
    path = "/api/v1/devices/{}/lessons"
    assert ok(api.client().get(path.format(device))) == {"items": []}
    judge(api.database, device, point, "no_fault", times=4)
    (lesson,) = ok(api.client().get(path.format(device)))["items"]
    assert (lesson["detector"], lesson["point"], lesson["in_vain"], lesson["faults"]) == ("shift", point, 4, 0)
    assert lesson["raised_from_score"] > 2.0
    assert lesson["or_after_s"] > 1200
    assert ok(api.client(tenant="north").get(path.format(foreign))) == {"items": []}, (
        "other tenants learn nothing of it"
    )
    judge(api.database, device, point, "sensor_fault", times=4)
    assert len(ok(api.client().get(path.format(device)))["items"]) == 1
    judge(api.database, device, point, "confirmed", times=2)
    assert ok(api.client().get(path.format(device))) == {"items": []}
    refused(api.client().get(path.format("nobody")), 404)


def test_an_alarm_like_those_visited_in_vain_waits(database: Database, broker: RunningBroker) -> None:
    """Two points shift alike, for ten minutes, after a normal of an hour; of one such alarms were in vain."""
    t0 = now_ms() - 5_000_000
    with Device(broker) as device:
        with ingesting(database, broker):
            device.send({"ts": t0 - 1000, "flow": 1.0, "pressure": 1.0})
            until_stored(database, 2)
        judge(database, "pump-1", "flow", "no_fault", times=6)
        normal = [float(number % 7) for number in range(3600)]
        with ingesting(database, broker):
            for first in range(0, 4200, 600):
                values = [(*normal, *[3.0 + number % 7 for number in range(600)])[first + k] for k in range(600)]
                columns = {"flow": values, "pressure": values}
                device.send({"t0": t0 + first * 1000, "dt": 1000, "values": columns})

            def raised() -> list[str]:
                with database.owner() as conn:
                    return [point for (point,) in conn.execute(SHIFTED).fetchall()]

            until(lambda: "pressure" in raised())
            until_stored(database, 8402)
        assert "flow" not in raised()
