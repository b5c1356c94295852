"""Scenario files: what is meant is read, what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from firmware_sim.duty import Day
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.plan import Plan, fleet_of
from firmware_sim.scenario import Clock, Outage, Scenario

TOML = """
[[faults]]
device = "pump-01"
kind = "bearing_wear"
onset_s = 30
growth_s = 600
severity = 0.8

[[faults]]
device = "pump-02"
kind = "stuck_sensor"
point = "flow"
onset_s = 10
growth_s = 0

[[outages]]
device = "pump-02"
onset_s = 60
lasts_s = 120

[[clocks]]
device = "gearmotor-01"
offset_s = -3.5
"""


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    toml, json = tmp_path / "faults.toml", tmp_path / "faults.json"
    toml.write_text(TOML)
    read = Scenario.read(toml)
    assert read.faults == (
        Fault("pump-01", FaultKind.BEARING_WEAR, 30, 600, 0.8),
        Fault("pump-02", FaultKind.STUCK_SENSOR, 10, 0, point="flow"),
    )
    assert read.outages == (Outage("pump-02", 60, 120),)
    assert read.clocks == (Clock("gearmotor-01", -3.5),)
    worn = {"device": "pump-01", "kind": "bearing_wear", "onset_s": 30, "growth_s": 600, "severity": 0.8}
    json.write_bytes(orjson.dumps([worn]))
    assert Scenario.read(json).faults == read.faults[:1]


NIGHT = {"device": "pump-01", "from_h": 22, "kind": "off"}
GOOD = {"device": "pump-01", "kind": "leak", "onset_s": 1, "growth_s": 1}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"fault": []}, "faults, outages, clocks and duties"),
        ({"duties": [NIGHT, NIGHT | {"kind": "asleep"}]}, "entry 2: kind is one of off"),
        ({"duties": [NIGHT | {"from_h": 24}]}, "from_h is 0 or more"),
        ({"duties": [NIGHT | {"load": 0.5}]}, "part load only"),
        ({"duties": [NIGHT]}, "two duties or more"),
        ({"duties": [NIGHT, NIGHT | {"from_h": 22.2, "kind": "full"}]}, "half an hour apart"),
        ({"faults": {}}, "faults: a list"),
        ({"faults": ["leak"]}, "faults, entry 1: an object"),
        ([GOOD, GOOD | {"kind": "rust"}], "entry 2: kind is one of bearing_wear"),
        ([GOOD | {"onset": 1}], "onset is unknown"),
        ([GOOD | {"onset_s": "soon"}], "onset_s is a number"),
        ([GOOD | {"onset_s": True}], "onset_s is a number"),
        ([GOOD | {"device": 1}], "device is a text"),
        ([GOOD | {"severity": 0}], "above 0 and at most 1"),
        ([GOOD | {"severity": 1.5}], "above 0 and at most 1"),
        ([GOOD | {"growth_s": -1}], "growth_s is 0 or more"),
        ([GOOD | {"point": "flow"}], "another fault none"),
        ([GOOD | {"kind": "stuck_sensor"}], "names its point"),
        ([{"device": "pump-01", "kind": "leak"}], "onset_s"),
    ],
)
def test_a_mistake_is_named(body: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Scenario.of(body)


def test_a_machine_has_its_own_day() -> None:
    body = {
        "duties": [NIGHT, NIGHT | {"from_h": 6, "kind": "part", "load": 0.5}, NIGHT | {"from_h": 12, "kind": "full"}]
    }
    scenario = Scenario.of(body)
    assert scenario.devices() == {"pump-01"}
    day = Day(scenario.duties_of("pump-01"), 1)
    hours = np.array([0.0, 5.8, 6.2, 11.8, 12.2, 21.8, 22.2, 30.2]) + 24.0
    assert [str(kind) for kind in day.kinds(hours * 3600.0)] == [
        *("off", "off", "part", "part", "full", "full", "off", "part"),
    ]  # fmt: skip
    assert day.running(hours * 3600.0).tolist() == [0, 0, 1, 1, 1, 1, 0, 1]
    assert day.share(hours[2:6] * 3600.0).tolist() == [0.5, 0.5, 1.0, 1.0]
    second_s = np.arange(24 * 3600.0, 48 * 3600.0)
    changes = np.diff(day.share(second_s)[day.running(second_s) > 0])
    assert np.abs(changes).max() < 0.02  # within half a minute, not at once


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"missing\.toml"):
        Scenario.read(tmp_path / "missing.toml")
    (tmp_path / "bad.toml").write_text("[[faults")
    with pytest.raises(ValueError, match=r"bad\.toml"):
        Scenario.read(tmp_path / "bad.toml")


def test_a_plan_knows_its_devices_and_what_they_can_have() -> None:
    with pytest.raises(ValueError, match="has no pump-99"):
        Plan(fleet_of(3), Scenario.of([GOOD | {"device": "pump-99"}]))
    with pytest.raises(ValueError, match="a gearmotor cannot have cavitation"):
        Plan(fleet_of(3), Scenario.of([GOOD | {"device": "gearmotor-01", "kind": "cavitation"}]))
    with pytest.raises(ValueError, match="named with"):
        Plan(fleet_of(3), tenant="a/b")


def test_damage_grows_from_the_onset_to_the_repair() -> None:
    fault = Fault("pump-01", FaultKind.LEAK, 10.0, 20.0, severity=0.5, lasts_s=50.0)
    at = np.array([0.0, 10.0, 20.0, 30.0, 59.0, 60.0, 100.0])
    assert fault.damage(at).tolist() == [0.0, 0.0, 0.25, 0.5, 0.5, 0.0, 0.0]
    sudden = Fault("pump-01", FaultKind.LEAK, 10.0, 0.0)
    assert sudden.damage(np.array([9.9, 10.1])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("count", [1, 12, 200])
def test_a_fleet_has_distinct_readable_names(count: int) -> None:
    specs = fleet_of(count)
    assert len({spec.device for spec in specs}) == count
    assert specs[0].device == "pump-01"
    if count >= 12:
        assert {"pump-05", "gearmotor-04", "compressor-03"} <= {spec.device for spec in specs[:12]}
        assert len({spec.site for spec in specs}) == 2
