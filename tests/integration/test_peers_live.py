"""Machines of one model against each other, against the real server: readings in, an alarm of the one that strays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from serving import JSON, RunningApi, ok, refused

import store.telemetry as telemetry_rows
from notify.assessment import Assessment
from notify.peers import Peers
from prognosis.faults import library
from store.connection import Session, act_for
from telemetry import Batch, StreamKey

NOW = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAYS, EVERY_S = 10, 600
START = NOW - timedelta(days=DAYS)
# Six hours, the time that readings may be on their way, and a minute.
AFTER = timedelta(hours=6, minutes=21)
STRAYS = 3


@pytest.fixture
def notify(own_api: RunningApi) -> Iterator[Session]:
    """The role that does it, with its rights and no others."""
    with psycopg.connect(own_api.database.url("notify"), autocommit=True, options="-c timezone=UTC") as conn:
        yield conn


@pytest.fixture
def pumps(own_api: RunningApi) -> list[str]:
    """Six pumps of one model, known by two points; and one of another."""
    devices = [own_api.plant.device(name=f"pump-{number}") for number in range(7)]
    with own_api.database.owner() as conn:
        conn.execute("UPDATE devices SET kind = 'pump', model = 'P-40'")
        conn.execute("UPDATE devices SET model = 'P-50' WHERE device = 'pump-6'")
    with psycopg.connect(own_api.database.url("ingest")) as conn:
        for device in devices:
            keys = [StreamKey("demo", device, point) for point in ("bearing_temperature", "flow")]
            telemetry_rows.add_streams(conn, keys, ["degC", "m3/h"])
    return devices


def run(api: RunningApi, devices: list[str], start: datetime, end: datetime, stray_k: float = 0.0) -> None:
    """Readings of all: one weather, a place of its own for each; one goes from its place by `stray_k`."""
    seconds = np.arange(int(start.timestamp()), int(end.timestamp()), EVERY_S)
    since_days = (seconds - START.timestamp()) / 86_400
    weather = 6.0 * np.sin(2 * np.pi * since_days) + 2.0 * np.sin(0.9 * since_days)
    with psycopg.connect(api.database.url("ingest")) as conn:
        streams = [one for one in telemetry_rows.streams_known(conn) if one.device in devices]
        for stream in streams:
            number = devices.index(stream.device)
            rng = np.random.default_rng([number, len(stream.point), int(start.timestamp() - START.timestamp())])
            noise = rng.normal(size=len(seconds))
            heat = 55.0 + 1.5 * number + weather + 0.4 * noise + (stray_k if number == STRAYS else 0.0)
            values = heat if stream.point == "bearing_temperature" else 30.0 + number + 0.2 * noise
            telemetry_rows.append(conn, Batch.of(seconds * 1_000_000, [stream.id] * len(seconds), values))


def assessed(api: RunningApi, notify: Session, *times: datetime) -> None:
    """The hours in which machines ran are found by those who find their health."""
    assessor = Assessment(api.database.url("notify"), library())
    for at in times:
        assessor.assess(notify, at)


def alarms(api: RunningApi) -> list[JSON]:
    found: list[JSON] = ok(api.client().get("/api/v1/alarms"))["items"]
    return [alarm for alarm in found if alarm["detector"] == "peers"]


def test_what_one_does_alone_is_told_and_what_all_do_is_not(
    own_api: RunningApi, notify: Session, pumps: list[str]
) -> None:
    client, peers = own_api.client(), Peers()
    run(own_api, pumps, START, NOW)
    assessed(own_api, notify, START + timedelta(days=3), NOW + timedelta(minutes=6))
    # Eight days of sixes of hours, six machines, two points; the one of another model has nobody to compare with.
    assert peers.compare(notify, NOW + timedelta(minutes=21)) == 8 * 4 * 6 * 2
    assert peers.compare(notify, NOW + timedelta(minutes=23)) == 0
    assert alarms(own_api) == []
    quiet = ok(client.get(f"/api/v1/devices/{pumps[STRAYS]}/peers"))
    assert {point["point"] for point in quiet} == {"bearing_temperature", "flow"}
    assert not any(point["stands_out"] for point in quiet)
    assert ok(client.get(f"/api/v1/devices/{pumps[6]}/peers")) == []

    run(own_api, pumps, NOW, NOW + timedelta(hours=12), stray_k=5.0)
    assessed(own_api, notify, NOW + timedelta(hours=12, minutes=6))
    peers.compare(notify, NOW + timedelta(hours=6) + AFTER)
    found = alarms(own_api)
    assert [(alarm["device"], alarm["point"]) for alarm in found] == [(pumps[STRAYS], "bearing_temperature")]
    assert "has left 5 others of its model" in found[0]["message"]
    assert found[0]["ticket_id"] is None
    evidence = found[0]["evidence"]
    assert evidence["observed"] - evidence["expected"] == pytest.approx(5.0, abs=0.5)
    first = ok(client.get(f"/api/v1/devices/{pumps[STRAYS]}/peers"))[0]
    assert (first["point"], first["peers"], first["stands_out"]) == ("bearing_temperature", 5, True)
    assert first["moved"] == pytest.approx(5.0, abs=0.5)
    assert first["allowed"] < 2.5
    assert "Beside its like" in client.get(f"/machines/{pumps[STRAYS]}").text

    # Another process, with the memory that the first has left; and the machine is back in its place.
    notify.execute("SELECT pg_advisory_unlock_all()")
    run(own_api, pumps, NOW + timedelta(hours=12), NOW + timedelta(hours=24))
    assessed(own_api, notify, NOW + timedelta(hours=24, minutes=6))
    Peers().compare(notify, NOW + timedelta(hours=18) + AFTER)
    assert [alarm["active"] for alarm in alarms(own_api)] == [False]


def test_one_compares_however_many_there_are_and_tenants_see_their_own(
    own_api: RunningApi, notify: Session, pumps: list[str]
) -> None:
    run(own_api, pumps, START, NOW)
    assessed(own_api, notify, START + timedelta(days=3), NOW + timedelta(minutes=6))
    with psycopg.connect(own_api.database.url("notify"), autocommit=True) as other:
        assert Peers().compare(other, NOW + timedelta(minutes=21)) > 0
        assert Peers().compare(notify, NOW + timedelta(minutes=21)) == 0
    refused(own_api.client(tenant="other").get(f"/api/v1/devices/{pumps[0]}/peers"), 404)
    with psycopg.connect(own_api.database.url("api")) as conn:
        act_for(conn, "other")
        assert conn.execute("SELECT count(*) FROM peer_levels").fetchone() == (0,)
