"""Sparkplug B: births, aliases, sequence numbers, deaths and STATE, an edge node against the host."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from firmware_sim.sparkplug import EdgeNode, Point, Publication
from firmware_sim.sparkplug_encoding import Metric, Type, commands, payload
from ingest.messages import Message
from ingest.reading import Columns, Reader
from ingest.sparkplug import Due, Heard, HostState, SparkplugHost, is_sparkplug
from ingest.sparkplug import holding as holding_module
from ingest.sparkplug import host as host_module
from ingest.sparkplug import node as node_module
from ingest.sparkplug.payloads import MAX_METRICS_IN_MESSAGE
from ingest.sparkplug.rebirths import REBORN_WITHIN_US
from ingest.sparkplug.schema import DataType, Payload
from ingest.sparkplug.topics import MAX_NAME, address_of, name_of
from store.edge_nodes import Member
from telemetry import Quality, Topic, is_name

START_MS = 1_782_907_200_000
REORDER_MS = 2000
GOLDEN = sorted((Path(__file__).parents[1] / "golden/sparkplug").glob("*.json"))


class Plant:
    """A host, an edge node, and the time."""

    def __init__(self, *, aliases: bool = True, **of_host: Any) -> None:
        self.now_ms = START_MS
        self.kept: dict[tuple[str, str, str], Member] = {}
        self.host = SparkplugHost(**of_host)
        self.node = EdgeNode(
            "demo",
            "edge",
            [Point("voltage", Type.FLOAT, 12.5, "V")],
            {
                "pump": [Point("flow", Type.DOUBLE, 4.0, "m3/h"), Point("starts", Type.INT32, 7)],
                "fan": [Point("speed", Type.UINT16, 1480)],
            },
            aliases=aliases,
            first_alias=1,
        )
        self.node.will()

    def later(self, ms: int = 1) -> int:
        self.now_ms += ms
        return self.now_ms

    def hear(self, *publications: Publication, again: bool = False) -> list[Heard]:
        return [
            heard
            for said in publications
            for heard in self.host.hear(Message(said.topic, said.payload, "", again), self.now_ms * 1000)
        ]

    def due(self, after_ms: int = 0) -> Due:
        due = self.host.due(self.later(after_ms) * 1000)
        for member in due.members:
            self.kept[member[:3]] = member
        due.members.clear()
        return due

    def restart(self) -> None:
        """Another host, which knows what was kept."""
        self.due()
        self.host = SparkplugHost()
        self.host.remember(sorted(self.kept.values()))

    def birth(self) -> list[Heard]:
        return self.hear(*self.node.births(self.later()))

    def data(self, device: str = "pump", **values: Any) -> Publication:
        return self.node.data(values, self.later(), device=device)

    def asked(self, after_ms: int = 200) -> int:
        """How many rebirths are asked for."""
        return len(self.due(after_ms).commands)


@pytest.fixture
def plant() -> Plant:
    return Plant()


def values(heard: Sequence[Heard]) -> list[tuple[str, str, float]]:
    return [(one.device, reading[0], reading[1]) for one in heard for reading in one.readings]


def online(heard: Sequence[Heard]) -> list[tuple[str, bool]]:
    return [(status.device, status.online) for one in heard for status in one.statuses]


def reasons(heard: Sequence[Heard]) -> list[str]:
    return [reason for one in heard for reason in one.reasons]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda path: path.stem)
def test_golden(case: Path) -> None:
    wanted = json.loads(case.read_text())
    host = SparkplugHost()
    heard = []
    for said in wanted["messages"]:
        message = Message(said["topic"], bytes.fromhex(said["hex"]), "", said["again"])
        heard += host.hear(message, said["at_ms"] * 1000)
    due = host.due(wanted["due_ms"] * 1000) if "due_ms" in wanted else Due()
    assert [
        {
            "device": one.device,
            "readings": [
                [p, ms, value, Quality(flags).name.lower(), unit] for p, value, ms, flags, unit in one.readings
            ],
            "refused": one.reasons,
            "statuses": [[status.device, status.online, status.at_us // 1000] for status in one.statuses],
            "place": one.counted[1] if one.counted else None,
        }
        for one in heard + due.heard
    ] == wanted["heard"], wanted["why"]
    assert [command.topic for command in due.commands] == wanted["asked"], wanted["why"]
    assert [[status.device, status.online] for status in due.statuses] == wanted["gone"], wanted["why"]


def test_there_are_golden_cases() -> None:
    assert len(GOLDEN) > 15


# Births and data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aliases", [True, False])
def test_births_bring_values_units_and_who_is_online(aliases: bool) -> None:
    plant = Plant(aliases=aliases)
    heard = plant.birth()
    assert values(heard) == [
        ("edge", "voltage", 12.5),
        ("edge.pump", "flow", 4.0),
        ("edge.pump", "starts", 7),
        ("edge.fan", "speed", 1480),
    ]
    assert online(heard) == [("edge", True), ("edge.pump", True), ("edge.fan", True)]
    assert [reading[4] for one in heard for reading in one.readings] == ["V", "m3/h", "", ""]
    assert {one.tenant for one in heard} == {"demo"}
    assert reasons(heard) == []
    assert plant.asked() == 0


@pytest.mark.parametrize("aliases", [True, False])
def test_data_is_read_by_what_the_birth_declared(aliases: bool) -> None:
    plant = Plant(aliases=aliases)
    plant.birth()
    heard = plant.hear(plant.data(flow=5.25, starts=-8), plant.data("", voltage=11.75))
    assert values(heard) == [("edge.pump", "flow", 5.25), ("edge.pump", "starts", -8), ("edge", "voltage", 11.75)]
    assert reasons(heard) == []
    assert heard[0].readings[0][4] == "m3/h"


def test_an_alias_is_its_metric_only_until_the_next_birth(plant: Plant) -> None:
    plant.birth()
    plant.node = EdgeNode("demo", "edge", [Point("current", Type.FLOAT, 1.0)], {}, first_alias=1)
    plant.node.bd_seq = 0
    plant.birth()
    assert values(plant.hear(plant.data("", current=2.0))) == [("edge", "current", 2.0)]


def test_what_a_device_is_comes_from_its_properties(plant: Plant) -> None:
    plant.birth()
    properties = [
        Metric("Properties/Hardware Model", Type.STRING, "NP-3000"),
        Metric("Properties/FW", Type.STRING, "1.4.2"),
        Metric("flow", Type.DOUBLE, 1.0, stamp_ms=plant.now_ms),
    ]
    said = Publication("spBv1.0/demo/DBIRTH/edge/mixer", payload(plant.later(), properties, 3))
    (heard,) = plant.hear(said)
    (status,) = heard.statuses
    assert (status.device, status.model, status.firmware) == ("edge.mixer", "NP-3000", "1.4.2")
    assert values([heard]) == [("edge.mixer", "flow", 1.0)]


def test_a_metrics_own_time_stands_and_else_that_of_its_message(plant: Plant) -> None:
    plant.birth()
    said = plant.node.data({"flow": 1.0}, plant.later(50), device="pump", stamp_ms=START_MS - 60_000)
    untimed = payload(START_MS + 77, [Metric("flow", Type.DOUBLE, 2.0)], 4)
    heard = plant.hear(said, Publication("spBv1.0/demo/DDATA/edge/pump", untimed))
    assert [reading[2] for one in heard for reading in one.readings] == [START_MS - 60_000, START_MS + 77]


def test_what_is_no_reading_is_skipped_without_a_word(plant: Plant) -> None:
    plant.birth()
    metrics = [
        Metric("text", Type.STRING, "on"),
        Metric("blob", Type.BYTES, b"\0\1"),
        Metric("table", Type.DATASET, {"a": (Type.INT32, [1, 2])}),
        Metric("motor", Type.TEMPLATE, ("motors", [Metric("rpm", Type.INT32, 3)])),
        Metric("list", Type.INT16_ARRAY, [1, -2]),
        Metric("when", Type.DATETIME, START_MS),
        Metric("nothing", Type.DOUBLE, None),
        Metric("fleeting", Type.DOUBLE, 1.0, transient=True),
        Metric("Device Control/Scan rate", Type.INT64, 3000),
        Metric("level", Type.DOUBLE, 1.5),
    ]
    heard = plant.hear(Publication("spBv1.0/demo/DBIRTH/edge/tank", payload(plant.later(), metrics, 3)))
    assert values(heard) == [("edge.tank", "level", 1.5)]
    assert reasons(heard) == []
    counts = plant.host.counts
    assert (counts["not readings"], counts["null"], counts["transient"]) == (7 + 2, 1, 1)  # the node's own two


def test_historical_values_and_bad_ones_are_kept_and_marked(plant: Plant) -> None:
    plant.birth()
    metrics = [
        Metric("flow", Type.DOUBLE, 1.0, historical=True),
        Metric("flow", Type.DOUBLE, 2.0, properties={"Quality": 500}),
        Metric("flow", Type.DOUBLE, 3.0, properties={"Quality": 0}),
        Metric("flow", Type.DOUBLE, 4.0, properties={"Quality": 192}),
    ]
    heard = plant.hear(Publication("spBv1.0/demo/DDATA/edge/pump", payload(plant.later(), metrics, 3)))
    assert [(reading[1], reading[3]) for reading in heard[0].readings] == [
        (1.0, Quality.LATE),
        (2.0, Quality.LATE),
        (3.0, Quality.IMPOSSIBLE),
        (4.0, Quality.GOOD),
    ]


def test_readings_reach_the_columns_with_their_times(plant: Plant) -> None:
    heard = plant.birth()
    columns = Columns({}, plant.now_ms * 1000, plant.now_ms * 1000)
    for index, one in enumerate(heard):
        one.write(Reader(Topic(one.tenant, one.device, "telemetry"), columns, index))
    assert [key.point for key in columns.unknown] == ["voltage", "flow", "starts", "speed"]
    assert columns.value == [12.5, 4.0, 7, 1480]
    assert set(columns.time_us) == {plant.now_ms * 1000}


def test_a_time_that_cannot_be_refuses_its_reading_and_keeps_the_rest(plant: Plant) -> None:
    plant.birth()
    metrics = [
        Metric("flow", Type.DOUBLE, 1.0, stamp_ms=1000),
        Metric("flow", Type.DOUBLE, 2.0, stamp_ms=plant.now_ms),
        Metric("starts", Type.INT32, 3, stamp_ms=1000),
    ]
    (heard,) = plant.hear(Publication("spBv1.0/demo/DDATA/edge/pump", payload(plant.later(), metrics, 3)))
    columns = Columns({}, plant.now_ms * 1000, plant.now_ms * 1000)
    reader = Reader(Topic("demo", "edge.pump", "telemetry"), columns, 0)
    heard.write(reader)
    assert columns.value == [2.0]
    assert [reason.split(":")[0] for reason in reader.reasons] == ["flow", "starts"]


# Sequence numbers ----------------------------------------------------------------------------------------------------


def test_numbers_wrap_after_255(plant: Plant) -> None:
    plant.birth()
    heard = plant.hear(*(plant.data(starts=i) for i in range(600)))
    assert [value for _, _, value in values(heard)] == list(range(600))
    assert plant.asked(REORDER_MS) == 0


def test_messages_out_of_order_are_put_in_order_and_no_rebirth_is_asked_for(plant: Plant) -> None:
    plant.birth()
    one, two, three, four = (plant.data(starts=i) for i in range(4))
    assert values(plant.hear(one, four, three)) == [("edge.pump", "starts", 0)]
    heard = plant.hear(two)
    assert [value for _, _, value in values(heard)] == [1, 2, 3]
    assert plant.due(REORDER_MS + 1000) == Due()


def test_a_gap_is_waited_for_then_counted_and_a_rebirth_asked_for(plant: Plant) -> None:
    plant.birth()
    said = [plant.data(starts=i) for i in range(6)]
    plant.hear(said[0])
    assert plant.hear(said[3], said[5]) == []
    early = plant.due(REORDER_MS - 100)
    assert (early.heard, early.commands) == ([], [])
    due = plant.due(100)
    assert [value for _, _, value in values(due.heard)] == [3, 5]
    (command,) = due.commands
    assert (command.topic, command.qos, command.retain) == ("spBv1.0/demo/NCMD/edge", 0, False)
    assert commands(command.payload) == {"Node Control/Rebirth": True}
    assert plant.host.counts["missing"] == 3
    # What comes after all is stored, and opens no gap of its own.
    assert [value for _, _, value in values(plant.hear(said[1], said[2], said[4]))] == [1, 2, 4]
    heard = plant.birth()
    assert online(heard) == [("edge", True), ("edge.pump", True), ("edge.fan", True)]
    assert plant.asked(60_000) == 0


def test_a_request_for_a_rebirth_is_a_command_by_the_book(plant: Plant) -> None:
    plant.hear(Publication("spBv1.0/demo/NDATA/edge", payload(START_MS, [], 3)))
    (command,) = plant.due(200).commands
    assert (command.topic, command.qos, command.retain) == ("spBv1.0/demo/NCMD/edge", 0, False)
    assert commands(command.payload) == {"Node Control/Rebirth": True}
    said = Payload.FromString(command.payload)
    assert said.timestamp == plant.now_ms
    assert not said.HasField("seq")
    (metric,) = said.metrics
    assert (metric.timestamp, metric.datatype) == (plant.now_ms, DataType.BOOLEAN)
    assert not metric.HasField("alias")


def test_the_document_names_tests_that_there_are() -> None:
    root = Path(__file__).parents[2]
    named = set(re.findall(r"`(test_\w+)`", (root / "docs/sparkplug.md").read_text()))
    files = (root / "tests").glob("*/test_sparkplug*.py")
    defined = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}
    assert named
    assert named <= defined


def test_the_reorder_timeout_is_a_parameter() -> None:
    plant = Plant(reorder_s=0.5)
    plant.birth()
    plant.data(starts=1)
    plant.hear(plant.data(starts=2))
    assert not plant.due(400).heard
    assert plant.due(200).heard


@pytest.mark.parametrize("again", [True, False])
def test_what_is_delivered_twice_is_no_gap(plant: Plant, again: bool) -> None:
    plant.birth()
    said = [plant.data(starts=i) for i in range(5)]
    plant.hear(*said)
    heard = plant.hear(*said, again=again)
    assert [value for _, _, value in values(heard)] == list(range(5))  # the store finds them there
    assert values(plant.hear(plant.data(starts=9))) == [("edge.pump", "starts", 9)]
    assert plant.due(REORDER_MS + 1000) == Due()


def test_a_whole_window_delivered_again_is_no_gap(plant: Plant) -> None:
    plant.birth()
    said = [plant.data(starts=i) for i in range(700)]
    plant.hear(*said)
    plant.hear(*said, again=True)
    assert len(plant.hear(plant.data(starts=9))) == 1
    assert plant.due(REORDER_MS + 1000) == Due()


def test_a_birth_delivered_again_begins_nothing(plant: Plant) -> None:
    births = plant.node.births(plant.later())
    plant.hear(*births)
    plant.hear(plant.data(starts=1))
    heard = plant.hear(*births, again=True)
    assert online(heard) == []
    assert values(plant.hear(plant.data(starts=2))) == [("edge.pump", "starts", 2)]
    assert plant.due(REORDER_MS + 1000) == Due()


def test_an_older_birth_delivered_again_begins_nothing(plant: Plant) -> None:
    older = plant.node.births(plant.later())
    plant.hear(*older)
    plant.birth()
    plant.hear(plant.data(starts=1))
    assert online(plant.hear(older[0], again=True)) == []
    assert values(plant.hear(plant.data(starts=2))) == [("edge.pump", "starts", 2)]
    assert plant.due(REORDER_MS + 1000) == Due()


def test_a_number_that_was_given_up_counts_again_when_it_comes_round(plant: Plant) -> None:
    plant.birth()
    plant.data(starts=0)  # lost, and its number given up
    plant.hear(plant.data(starts=1))
    assert len(plant.due(REORDER_MS).heard) == 1
    plant.hear(*(plant.data(starts=i) for i in range(255)))  # that number's next message among them
    plant.hear(*(plant.data(starts=i) for i in range(254)))
    plant.data(starts=0)  # lost: the number before
    assert plant.hear(plant.data(starts=1)) == []  # waits for it


def test_each_message_has_its_place_in_the_session(plant: Plant) -> None:
    births = plant.birth()
    said = [plant.data(starts=i) for i in range(300)]
    heard = plant.hear(*said[:260], said[299])
    heard += plant.due(REORDER_MS).heard + plant.hear(said[298], said[5], said[299])
    ((run,),) = {(one.counted[0],) for one in births + heard if one.counted}
    assert run < -1  # no device waits for an acknowledgement
    places = [one.counted[1] for one in births + heard if one.counted]
    assert places == [*range(3 + 260), 302, 301, 8, 302]
    assert {one.node for one in heard} == {"edge"}
    (reborn, *_) = plant.birth()
    assert reborn.counted is not None
    assert reborn.counted[0] != run
    assert reborn.counted[1] == 0


def test_a_message_without_a_number_is_read_and_counts_for_nothing(plant: Plant) -> None:
    plant.birth()
    said = payload(plant.later(), [Metric("flow", Type.DOUBLE, 3.5)])
    assert values(plant.hear(Publication("spBv1.0/demo/DDATA/edge/pump", said))) == [("edge.pump", "flow", 3.5)]
    assert len(plant.hear(plant.data(starts=1))) == 1
    assert plant.due(REORDER_MS + 1000) == Due()


def test_no_more_wait_than_there_is_room_for(plant: Plant) -> None:
    plant.birth()
    plant.data(starts=-1)  # lost
    said = [plant.data(starts=i) for i in range(holding_module.MAX_WAITING + 1)]
    heard = plant.hear(*said)
    assert [value for _, _, value in values(heard)] == list(range(holding_module.MAX_WAITING + 1))
    assert plant.host.counts["missing"] == 1
    assert plant.asked() == 1


def test_a_birth_waits_for_nothing_and_takes_those_that_overtook_it(plant: Plant) -> None:
    plant.birth()
    plant.hear(plant.data(starts=0))
    before = plant.data(starts=1)
    births = plant.node.births(plant.later())  # aliases are given anew
    after = plant.data(starts=2)
    assert plant.hear(after) == []
    heard = plant.hear(births[0])
    assert values(heard) == [("edge", "voltage", 12.5)]
    assert values(plant.hear(before)) == [("edge.pump", "starts", 1)]  # by the aliases of its own time
    heard = plant.hear(*births[1:])
    assert values(heard)[-1] == ("edge.pump", "starts", 2)
    assert reasons(heard) == []
    assert plant.due(REORDER_MS + 1000) == Due()


# Before the birth ----------------------------------------------------------------------------------------------------


def test_data_before_the_birth_asks_for_one_at_once_and_is_refused_when_it_comes(plant: Plant) -> None:
    plant.node.births(plant.later())
    assert plant.hear(plant.data(flow=1.0)) == []
    assert plant.asked() == 1
    heard = plant.birth()
    assert reasons(heard) == ["alias 2: in no birth that was heard; a rebirth brings the present value"]
    assert ("edge.pump", "flow", 1.0) in values(heard)  # the birth's
    assert heard[0].undeclared == 1


def test_data_before_a_birth_that_never_comes_is_refused_after_the_timeout(plant: Plant) -> None:
    plant.node.births(plant.later())
    plant.hear(plant.data(flow=1.0), plant.data(flow=2.0))
    due = plant.due(REORDER_MS)
    assert len(reasons(due.heard)) == 2
    assert len(due.commands) == 1


def test_metrics_that_say_what_they_are_need_no_birth() -> None:
    plant = Plant(aliases=False)
    plant.node.births(plant.later())
    plant.hear(plant.data(flow=1.5, starts=3))
    due = plant.due(REORDER_MS)
    assert values(due.heard) == [("edge.pump", "flow", 1.5)]  # an integer does not say whether it has a sign
    assert len(reasons(due.heard)) == 1


def test_a_birth_heard_late_takes_what_followed_it(plant: Plant) -> None:
    births = plant.node.births(plant.later())
    data = plant.data(flow=1.0)
    assert plant.hear(data, *births[1:]) == []
    heard = plant.hear(births[0])
    assert values(heard)[-1] == ("edge.pump", "flow", 1.0)
    assert reasons(heard) == []
    assert plant.due(60_000) == Due()


def test_what_waits_for_a_birth_and_is_delivered_twice_waits_once(plant: Plant) -> None:
    births = plant.node.births(plant.later())
    assert values(plant.hear(births[1], births[2])) == []
    assert values(plant.hear(births[1], again=True)) == []
    heard = plant.hear(births[0])
    assert online(heard) == [("edge", True), ("edge.pump", True), ("edge.fan", True)]
    assert plant.due(60_000) == Due()


def test_a_metric_that_no_birth_declared_is_refused_and_a_rebirth_asked_for(plant: Plant) -> None:
    plant.birth()
    metrics = [Metric(None, Type.DOUBLE, 1.0, alias=99, says_type=False), Metric("flow", Type.DOUBLE, 2.0)]
    heard = plant.hear(Publication("spBv1.0/demo/DDATA/edge/pump", payload(plant.later(), metrics, 3)))
    assert values(heard) == [("edge.pump", "flow", 2.0)]
    assert len(reasons(heard)) == 1
    assert plant.asked() == 1


def test_data_of_a_device_that_was_not_born_asks_for_a_rebirth(plant: Plant) -> None:
    plant.birth()
    said = payload(plant.later(), [Metric(None, Type.DOUBLE, 1.0, alias=2)], 3)
    heard = plant.hear(Publication("spBv1.0/demo/DDATA/edge/stranger", said))
    assert values(heard) == []
    assert plant.asked() == 1


def test_a_node_that_does_not_answer_is_asked_ever_less_often(plant: Plant) -> None:
    plant.node.births(plant.later())
    asked = 0
    for second in range(1000):
        plant.hear(plant.data(flow=float(second)))
        asked += plant.asked(1000)
    assert 6 <= asked <= 9


def test_many_nodes_are_not_asked_all_at_once(plant: Plant) -> None:
    for i in range(50):
        plant.hear(Publication(f"spBv1.0/demo/NDATA/edge-{i}", payload(START_MS, [], 3)))
    asked = [plant.asked(100) for _ in range(6)]
    assert asked == [host_module.ASKS_AT_ONCE] * 5 + [0]


# Deaths --------------------------------------------------------------------------------------------------------------


def test_a_node_that_dies_takes_its_devices_along(plant: Plant) -> None:
    plant.birth()
    (heard,) = plant.hear(plant.node.death())
    assert [(s.device, s.online, s.at_us) for s in heard.statuses] == [
        ("edge", False, plant.now_ms * 1000),
        ("edge.pump", False, plant.now_ms * 1000),
        ("edge.fan", False, plant.now_ms * 1000),
    ]
    assert online(plant.hear(plant.node.death())) == []  # the last will, too
    assert plant.asked() == 0
    # Aliases of the dead mean nothing.
    plant.hear(plant.data(flow=1.0))
    assert len(reasons(plant.due(REORDER_MS).heard)) == 1


def test_the_death_of_an_earlier_connection_is_none_of_this_one(plant: Plant) -> None:
    old = plant.node.death()
    plant.birth()
    plant.node.will()
    plant.birth()
    assert online(plant.hear(old)) == []
    assert values(plant.hear(plant.data(flow=2.0))) == [("edge.pump", "flow", 2.0)]
    assert plant.due(60_000) == Due()


def test_the_death_of_a_connection_whose_birth_was_never_heard_is_believed_if_nobody_answers(plant: Plant) -> None:
    plant.birth()
    plant.node.will()
    plant.node.births(plant.later())  # lost
    assert online(plant.hear(plant.node.death())) == []
    due = plant.due(200)
    assert (len(due.commands), due.statuses) == (1, [])
    gone = plant.due(REBORN_WITHIN_US // 1000)
    assert [(s.device, s.online) for s in gone.statuses] == [("edge", False), ("edge.pump", False), ("edge.fan", False)]


def test_a_death_before_any_birth_is_believed_and_a_rebirth_asked_for(plant: Plant) -> None:
    assert online(plant.hear(plant.node.death())) == [("edge", False)]
    assert plant.asked() == 1
    assert online(plant.hear(plant.node.death())) == []


def test_a_death_that_does_not_say_whose_is_refused(plant: Plant) -> None:
    plant.birth()
    heard = plant.hear(Publication("spBv1.0/demo/NDEATH/edge", payload(plant.now_ms, [])))
    assert reasons(heard) == ["a death without bdSeq: nobody knows of which birth"]
    assert online(heard) == []


def test_what_waits_is_read_before_the_death(plant: Plant) -> None:
    plant.birth()
    plant.data(flow=1.0)
    plant.hear(plant.data(flow=2.0))
    heard = plant.hear(plant.node.death())
    assert values(heard) == [("edge.pump", "flow", 2.0)]
    assert plant.host.counts["missing"] == 1


def test_a_device_that_dies_is_offline_from_the_time_that_its_node_says(plant: Plant) -> None:
    plant.birth()
    said = plant.node.device_death("pump", plant.later())
    died_ms = plant.now_ms
    plant.later(500)
    (heard,) = plant.hear(said)
    assert [(s.device, s.online, s.at_us) for s in heard.statuses] == [("edge.pump", False, died_ms * 1000)]
    assert online(plant.hear(plant.node.device_birth("pump", plant.later()))) == [("edge.pump", True)]
    assert values(plant.hear(plant.data(flow=2.5))) == [("edge.pump", "flow", 2.5)]


def test_a_device_that_is_not_born_again_after_its_node_is_offline(plant: Plant) -> None:
    plant.birth()
    plant.node.alive.discard("fan")
    assert online(plant.birth()) == [("edge", True), ("edge.pump", True)]
    assert plant.due(5000).statuses == []  # a rebirth is no outage
    assert [(s.device, s.online) for s in plant.due(5000).statuses] == [("edge.fan", False)]
    assert plant.due(60_000) == Due()


def test_a_device_that_dies_before_it_is_born_again_is_said_to_be_offline_once(plant: Plant) -> None:
    plant.birth()
    births = plant.node.births(plant.later())
    plant.hear(births[0], births[1])
    plant.node.births(plant.later())
    plant.node._seq = 1
    assert online(plant.hear(plant.node.device_death("fan", plant.later()))) == [("edge.fan", False)]
    assert plant.due(60_000).statuses == []


# Our own restart ------------------------------------------------------------------------------------------------------


def test_after_a_start_everyone_is_asked_for_births_before_anything_is_said(plant: Plant) -> None:
    plant.birth()
    plant.restart()
    assert plant.host.due(plant.later(200) * 1000, may_ask=False).commands == []
    assert plant.asked() == 1
    heard = plant.birth()
    assert online(heard) == [("edge", True), ("edge.pump", True), ("edge.fan", True)]
    assert plant.due(60_000) == Due()


def test_who_was_online_and_does_not_answer_after_a_start_is_offline(plant: Plant) -> None:
    plant.birth()
    plant.hear(plant.node.device_death("fan", plant.later()))
    plant.restart()
    assert plant.asked() == 1
    assert plant.due(9000).statuses == []
    assert [(s.device, s.online) for s in plant.due(2000).statuses] == [("edge", False), ("edge.pump", False)]
    assert plant.due(60_000) == Due()
    plant.restart()  # whoever was offline then is asked, and not said to be offline once more
    assert plant.asked() == 1
    assert plant.due(60_000).statuses == []


def test_a_device_that_is_not_born_again_after_a_start_is_offline(plant: Plant) -> None:
    plant.birth()
    plant.restart()
    plant.node.alive.discard("fan")
    plant.birth()
    assert [(s.device, s.online) for s in plant.due(10_000).statuses] == [("edge.fan", False)]


def test_a_node_that_died_while_we_were_away_takes_its_devices_along(plant: Plant) -> None:
    plant.birth()
    plant.restart()
    assert online(plant.hear(plant.node.death())) == [("edge", False), ("edge.fan", False), ("edge.pump", False)]
    assert plant.due(60_000).statuses == []


# STATE and what is meant for others ----------------------------------------------------------------------------------


def test_the_will_and_the_birth_of_a_connection_carry_the_same_time() -> None:
    state = HostState("bellwether")
    assert state.topic == "spBv1.0/STATE/bellwether"
    assert json.loads(state.will(START_MS)) == {"online": False, "timestamp": START_MS}
    assert json.loads(state.birth()) == {"online": True, "timestamp": START_MS}
    assert json.loads(state.death(START_MS + 5)) == {"online": False, "timestamp": START_MS + 5}
    assert json.loads(state.will(START_MS + 9)) == {"online": False, "timestamp": START_MS + 9}
    assert json.loads(state.birth()) == {"online": True, "timestamp": START_MS + 9}


def test_who_is_said_to_be_offline_says_that_it_is_online() -> None:
    state = HostState("bellwether")
    plant = Plant(state=state)
    state.will(START_MS)
    old_will = Publication(state.topic, json.dumps({"online": False, "timestamp": START_MS - 1}).encode())
    assert plant.hear(old_will) == []
    (command,) = plant.due().commands
    assert (command.topic, command.qos, command.retain) == (state.topic, 1, True)
    assert json.loads(command.payload) == {"online": True, "timestamp": START_MS}
    plant.hear(Publication(state.topic, state.birth()))  # our own word comes back
    plant.hear(Publication("spBv1.0/STATE/another", old_will.payload))
    assert plant.due(200) == Due()


@pytest.mark.parametrize("topic", ["spBv1.0/demo/NCMD/edge", "spBv1.0/demo/DCMD/edge/pump", "spBv1.0/STATE/else"])
def test_commands_and_other_hosts_are_nothing_to_us(plant: Plant, topic: str) -> None:
    assert plant.hear(Publication(topic, b"\xff\xff")) == []
    assert plant.due(60_000) == Due()


# Names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "topic",
    [
        "spBv1.0/demo/NBIRTH",
        "spBv1.0/demo/NBIRTH/edge/pump",
        "spBv1.0/demo/DDATA/edge",
        "spBv1.0/demo/DDATA/edge/pump/x",
        "spBv1.0/demo/NOISE/edge",
        "spBv1.0//NDATA/edge",
        "spBv1.0/demo/NDATA/",
        "spAv1.0/demo/NDATA/edge",
    ],
)
def test_topics_that_are_none(plant: Plant, topic: str) -> None:
    assert address_of(topic) is None
    assert reasons(plant.hear(Publication(topic, b""))) == ["not a topic of Sparkplug's"]


def test_topics_are_sparkplugs_by_their_first_level() -> None:
    assert is_sparkplug("spBv1.0/demo/NDATA/edge")
    assert not is_sparkplug("bellwether/v1/demo/pump-1/telemetry")


def test_names_are_ours_and_never_the_same_for_two() -> None:
    parts = ["a", "b", "a.b", "a b", "a_b", "a/b", "A", "ä", "x" * 64, "x" * 65, "x" * 66, "..", "a.", ".a", "a..b"]
    names = {(node, device): name_of(node, device) for node in parts for device in ["", *parts]}
    assert len(set(names.values())) == len(names)
    assert all(is_name(name) for name in names.values())
    assert max(map(len, names.values())) == MAX_NAME
    assert (names["a", ""], names["a", "b"], names["a", "a_b"]) == ("a", "a.b", "a.a_b")
    assert names["a b", "ä"].startswith("a_b._..")


def test_who_is_turned_away_is_told_why_and_remembered_nowhere() -> None:
    plant = Plant(turned_away=lambda topic: ("", f"no such tenant as {topic.tenant}"))
    (heard, *_) = plant.birth()
    assert (heard.tenant, heard.device, heard.reasons) == ("", "", ["no such tenant as demo"])
    assert plant.due(60_000) == Due()


# Limits, and bytes that are anything ---------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"\xff" * 20, b"\x12\xff\xff\xff\xff\x0f", b"{}", b"\x12\x05\x08"])
def test_bytes_that_are_no_payload_are_refused(plant: Plant, body: bytes) -> None:
    plant.birth()
    assert reasons(plant.hear(Publication("spBv1.0/demo/DDATA/edge/pump", body))) == ["no payload of Sparkplug B"]


def test_names_that_are_no_text_or_no_point_are_refused_once(plant: Plant) -> None:
    plant.birth()
    metrics = [
        Metric("x" * 129, Type.DOUBLE, 1.0, alias=50),
        Metric("a\nb", Type.DOUBLE, 1.0),
        Metric("ok", Type.DOUBLE, 1.0),
    ]
    body = payload(plant.later(), metrics, 3) + b"\x12\x04\x0a\x02\xff\xfe"
    heard = plant.hear(Publication("spBv1.0/demo/DBIRTH/edge/odd", body))
    assert values(heard) == [("edge.odd", "ok", 1.0)]
    assert len(reasons(heard)) == 4  # the bytes that are no name, as declared and as said
    again = payload(plant.later(), [Metric(None, Type.DOUBLE, 1.0, alias=50)], 4)
    assert reasons(plant.hear(Publication("spBv1.0/demo/DDATA/edge/odd", again))) == []


def test_an_alias_given_twice_stays_with_the_first(plant: Plant) -> None:
    plant.birth()
    metrics = [Metric("a", Type.DOUBLE, 1.0, alias=50), Metric("b", Type.DOUBLE, 2.0, alias=50)]
    heard = plant.hear(Publication("spBv1.0/demo/DBIRTH/edge/odd", payload(plant.later(), metrics, 3)))
    assert reasons(heard) == ["b: alias 50 is another metric's already"]
    said = payload(plant.later(), [Metric(None, Type.DOUBLE, 3.0, alias=50)], 4)
    assert values(plant.hear(Publication("spBv1.0/demo/DDATA/edge/odd", said))) == [("edge.odd", "a", 3.0)]


def test_alias_0_is_an_alias_and_no_alias_is_none(plant: Plant) -> None:
    plant.birth()
    declared = payload(plant.later(), [Metric("a", Type.DOUBLE, 1.0, alias=0)], 3)
    plant.hear(Publication("spBv1.0/demo/DBIRTH/edge/odd", declared))
    by_alias = payload(plant.later(), [Metric(None, Type.DOUBLE, 2.0, alias=0)], 4)
    assert values(plant.hear(Publication("spBv1.0/demo/DDATA/edge/odd", by_alias))) == [("edge.odd", "a", 2.0)]
    by_none = payload(plant.later(), [Metric(None, Type.DOUBLE, 3.0)], 5)
    assert len(reasons(plant.hear(Publication("spBv1.0/demo/DDATA/edge/odd", by_none)))) == 1


def test_a_birth_of_too_many_metrics_is_refused_and_what_follows_it_too(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding_module, "MAX_METRICS", 2)
    assert plant.hear(plant.node.births(plant.later())[0])[0].reasons == ["a birth of more than 2 metrics"]
    plant.hear(plant.data("", voltage=1.0))
    assert len(reasons(plant.due(REORDER_MS).heard)) == 1


def test_all_nodes_together_declare_no_more_than_there_is_room_for(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding_module, "MAX_METRICS_IN_ALL", 5)
    heard = plant.birth()
    assert reasons(heard) == ["all edge nodes together have 5 metrics already"]
    assert online(heard) == [("edge", True), ("edge.pump", True)]


def test_a_node_has_no_more_devices_than_there_is_room_for(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "MAX_DEVICES", 1)
    assert reasons(plant.birth()) == ["the edge node has 1 devices already"]
    assert reasons(plant.hear(plant.data(flow=1.0))) == []


def test_nodes_that_are_born_are_not_driven_out_by_others(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "MAX_NODES", 1)
    plant.birth()
    other = Publication("spBv1.0/demo/NDATA/other", payload(START_MS, [], 3))
    assert reasons(plant.hear(other)) == ["there are 1 edge nodes already"]
    plant.hear(plant.node.death())
    assert plant.hear(other) == []  # waits for its birth
    assert plant.asked() == 1


def test_a_message_of_more_than_a_mebibyte_or_of_empty_metrics_is_refused(plant: Plant) -> None:
    topic = "spBv1.0/demo/NDATA/edge"
    assert reasons(plant.hear(Publication(topic, bytes((1 << 20) + 1)))) == ["larger than 1048576 bytes"]
    empty = b"\x12\x00" * (MAX_METRICS_IN_MESSAGE + 1)
    assert reasons(plant.hear(Publication(topic, empty))) == ["more than 50000 metrics"]


def test_what_is_held_in_memory_is_given_back(plant: Plant) -> None:
    held = plant.host._held
    for _ in range(3):
        plant.birth()
        plant.node.device_death("fan", plant.later())
        plant.hear(plant.data(starts=1))
        plant.due(REORDER_MS)
    assert (held.metrics, held.waiting_bytes) == (2 * (3 + 2), 0)  # of this session and the one before
    plant.hear(plant.node.death())
    assert (held.metrics, held.waiting_bytes) == (0, 0)
