"""A block that a device sent, diagnosed by what its owner said of the machine."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from serving import JSON, RunningApi, ok, refused
from shaking import Shaft, faulty

from alarms.roles import Role
from detectors.vibration import named
from store import waveforms
from store.connection import connect
from telemetry import microseconds
from telemetry.waveform import Waveform

BEGAN_US = microseconds(datetime(2026, 3, 1, tzinfo=UTC))
SHAFT = Shaft(1480.0, 12_800.0, 1.5)


def sent(api: RunningApi, device: str, fault: str, rpm: float | None = 1480.0, unit: str = "g") -> str:
    """The id of a block of a machine with a fault, stored as ingest does."""
    samples = np.rint(faulty(fault, SHAFT, named("6205")) / 0.0005).astype("<i2")
    block = Waveform("demo", device, "x", BEGAN_US, 0, SHAFT.rate_hz, rpm, unit, 0.0005, 0.0, samples)
    with connect(api.database.url("ingest"), "ingest") as conn, conn.transaction():
        waveforms.append(conn, [block], BEGAN_US + 1)
    return str(waveforms.id_of(block))


def diagnosis(api: RunningApi, waveform: str) -> JSON:
    return ok(api.client().get(f"/api/v1/waveforms/{waveform}/diagnosis"))


def test_a_block_is_judged_by_what_is_known_of_its_machine(api: RunningApi) -> None:
    device = api.plant.device()
    block = sent(api, device, "outer_race")
    before = diagnosis(api, block)
    assert before["fault"] == "none"
    assert "impacts at" in before["reason"]
    assert before["zone"] is None

    facts = {"bearing": "SKF 6205", "group": 2, "support": "rigid"}
    set_to = ok(api.client().put(f"/api/v1/devices/{device}/machine", json=facts))
    assert {name: value for name, value in set_to.items() if value is not None} == facts
    assert ok(api.client().get(f"/api/v1/devices/{device}/machine")) == set_to
    after = diagnosis(api, block)
    assert after["fault"] == "outer_race"
    assert after["zone"]["letter"] == "A"
    assert after["evidence"][0]["line"] == "BPFO"
    envelope, found_hz = after["envelope"], after["evidence"][0]["found_hz"]
    loudest = int(np.argmax(np.array(envelope["rms"])[3:])) + 3
    assert loudest * envelope["step_hz"] == pytest.approx(found_hz, abs=2.0)

    ok(api.client().put(f"/api/v1/devices/{device}/machine", json={}))
    assert diagnosis(api, block)["fault"] == "none"


def test_the_speed_comes_with_the_block_or_from_the_machine(api: RunningApi) -> None:
    device = api.plant.device()
    block = sent(api, device, "imbalance", rpm=None)
    assert "speed" in diagnosis(api, block)["reason"]
    ok(api.client().put(f"/api/v1/devices/{device}/machine", json={"rpm": 1480.0}))
    assert diagnosis(api, block)["fault"] == "imbalance"


def test_what_is_no_vibration_has_no_fault(api: RunningApi) -> None:
    assert "Pa" in diagnosis(api, sent(api, api.plant.device(), "none", unit="Pa"))["reason"]


@pytest.mark.parametrize(
    "facts",
    [
        {"bearing": "SKF 6295"},
        {"bearing": "SKF 6205", "bpfo": 3.5},
        {"bpfo": 5.4, "bpfi": 3.6},
        {"group": 3},
        {"support": "soft"},
        {"teeth": 1},
        {"bpfo": -1.0},
        {"colour": "red"},
    ],
)
def test_a_machine_that_cannot_be_is_refused(api: RunningApi, facts: JSON) -> None:
    device = api.plant.device()
    refused(api.client().put(f"/api/v1/devices/{device}/machine", json=facts), 422)


def test_who_said_what_stays(api: RunningApi) -> None:
    device = api.plant.device()
    for facts in ({"rpm": 1480.0}, {"rpm": 990.0, "blades": 5}):
        ok(api.client(Role.ENGINEER).put(f"/api/v1/devices/{device}/machine", json=facts))
    refused(api.client(Role.OWNER).put(f"/api/v1/devices/{device}/machine", json={}), 403)
    with api.database.owner() as conn:
        said = conn.execute(
            "SELECT s.tenant, s.who, s.facts FROM machine_said s JOIN devices d ON d.id = s.device_id"
            " WHERE d.device = %s ORDER BY s.id",
            [device],
        ).fetchall()
    assert said == [
        ("demo", "a-engineer", {"rpm": 1480.0}),
        ("demo", "a-engineer", {"rpm": 990.0, "blades": 5}),
    ]


def test_nobody_elses_machine(api: RunningApi) -> None:
    refused(api.client().get("/api/v1/devices/nobody/machine"), 404)
    refused(api.client().put("/api/v1/devices/nobody/machine", json={}), 404)
