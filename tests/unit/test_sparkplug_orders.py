"""Whatever the network loses, doubles and puts out of order: the host ends where the edge node is."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.sparkplug import EdgeNode, Point, Publication
from firmware_sim.sparkplug_encoding import Type
from ingest.messages import Message
from ingest.sparkplug import Heard, SparkplugHost

START_MS = 1_782_907_200_000
DEVICES = ["pump", "fan"]
# No number is ever said of two metrics: one that is read under another's name shows.
OWNERS = {
    (device, point): 1000.0 * i for i, (device, point) in enumerate((d, p) for d in ["", *DEVICES] for p in "abc")
}


class Site:
    """An edge node that lives by itself, and a host that hears of it through a bad network."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.host = SparkplugHost()
        self.node = EdgeNode(
            "demo",
            "edge",
            [Point(p, Type.DOUBLE, OWNERS["", p]) for p in "abc"],
            {d: [Point(p, Type.DOUBLE, OWNERS[d, p]) for p in "abc"] for d in DEVICES},
        )
        self.lives = False
        self.count = 0
        self.said: set[tuple[str, str, float]] = set()
        self.heard: list[Heard] = []
        self.online: dict[str, bool] = {}

    def act(self, action: str) -> list[Publication]:  # noqa: PLR0911  (a table)
        self.now_ms += 7
        node = self.node
        match action:
            case "connect":
                before = [node.death()] if self.lives else []
                node.will()
                self.lives = True
                return [*before, *self.births()]
            case _ if not self.lives:
                return []
            case "rebirth":
                return self.births()
            case "die":
                self.lives = False
                return [node.death()]
            case "pump dies":
                return [node.device_death("pump", self.now_ms)] if "pump" in node.alive else []
            case "pump lives":
                self.said |= {("pump", point.name, point.value) for point in node.points["pump"].values()}
                return [node.device_birth("pump", self.now_ms)]
            case device:
                return [self.data(device)] if not device or device in node.alive else []

    def births(self) -> list[Publication]:
        for device, points in self.node.points.items():
            if not device or device in self.node.alive:
                self.said |= {(device, point.name, point.value) for point in points.values()}
        return self.node.births(self.now_ms)

    def data(self, device: str) -> Publication:
        self.count += 1
        values = {p: OWNERS[device, p] + self.count for p in "abc"[: 1 + self.count % 3]}
        self.said |= {(device, p, value) for p, value in values.items()}
        return self.node.data(values, self.now_ms, device=device)

    def deliver(self, publications: Sequence[tuple[Publication, bool]]) -> None:
        for said, again in publications:
            self.now_ms += 1
            self.take(self.host.hear(Message(said.topic, said.payload, "", again), self.now_ms * 1000))

    def take(self, heard: Sequence[Heard]) -> None:
        self.heard += heard
        for one in heard:
            self.online |= {status.device: status.online for status in one.statuses}

    def settle(self) -> None:
        """Quiet on the network; rebirths are answered until nothing is open."""
        for _ in range(1000):
            due = self.host.due(self.now_ms * 1000)
            self.take(due.heard)
            self.online |= {status.device: status.online for status in due.statuses}
            if due.commands and self.lives:
                self.now_ms += 5
                self.deliver([(said, False) for said in self.births()])
            if not self.host._restless:
                return
            self.now_ms += 2500
        raise AssertionError("never quiet")

    def readings(self) -> set[tuple[str, str, float]]:
        return {
            (one.device.removeprefix("edge").removeprefix("."), reading[0], reading[1])
            for one in self.heard
            for reading in one.readings
        }


ACTIONS = st.lists(
    st.sampled_from(["connect", "rebirth", "die", "pump dies", "pump lives", *["", "pump", "fan"] * 4]), max_size=40
)
# Of each message: by how many it is overtaken, whether it is lost, whether it comes twice.
FATES = st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), min_size=1, max_size=50)


def through(
    publications: list[Publication], fates: list[tuple[int, bool, bool]], lossy: bool
) -> list[tuple[Publication, bool]]:
    late = []
    for i, said in enumerate(publications):
        delay, lost, twice = fates[i % len(fates)]
        if lost and lossy and not said.qos:
            continue
        late.append((i + delay, i, said, False))
        if twice:
            late.append((i + delay + 2, i, said, True))
    return [(said, again) for _, _, said, again in sorted(late, key=lambda one: one[:2])]


@given(ACTIONS, FATES)
@settings(max_examples=400)
def test_it_ends_where_the_node_is(actions: list[str], fates: list[tuple[int, bool, bool]]) -> None:
    site = Site()
    said = [publication for action in ["connect", *actions] for publication in site.act(action)]
    site.deliver(through(said, fates, lossy=True))
    site.settle()
    # Who lives says something at last, and is heard.
    for device in ["", *sorted(site.node.alive)]:
        if site.lives:
            site.deliver([(publication, False) for publication in site.act(device)])
    site.settle()
    alive = {"edge", *(f"edge.{device}" for device in site.node.alive)} if site.lives else set()
    assert {device for device, online in site.online.items() if online} == alive
    if site.lives:
        present = {(d, p.name, p.value) for d in ["", *site.node.alive] for p in site.node.points[d].values()}
        assert present <= site.readings()
    assert site.readings() <= site.said
    assert not [reason for one in site.heard for reason in one.reasons if reason.startswith("could not be read")]
    assert site.host._held.waiting_bytes == 0


@given(st.lists(st.sampled_from(["", "pump", "fan"]), max_size=400), FATES)
@settings(max_examples=100)
def test_what_is_only_doubled_and_out_of_order_is_all_there(
    actions: list[str], fates: list[tuple[int, bool, bool]]
) -> None:
    site = Site()
    said = [publication for action in ["connect", *actions] for publication in site.act(action)]
    site.deliver(through(said, fates, lossy=False))
    assert site.readings() == site.said
    site.settle()
    assert site.host.counts["missing"] == 0
    assert {device for device, online in site.online.items() if online} == {"edge", "edge.pump", "edge.fan"}


@given(st.lists(st.sampled_from(["", "pump", "fan"]), min_size=2, max_size=400), st.data())
@settings(max_examples=100)
def test_what_is_lost_is_counted_to_the_message(actions: list[str], data: st.DataObject) -> None:
    site = Site()
    site.deliver([(said, False) for said in site.act("connect")])
    said = [publication for action in actions for publication in site.act(action)]
    lost = data.draw(st.sets(st.integers(0, len(said) - 2), max_size=20))  # behind the last one no gap can be seen
    site.deliver([(one, False) for i, one in enumerate(said) if i not in lost])
    due = site.host.due((site.now_ms + 2000) * 1000)
    site.take(due.heard)
    assert site.host.counts["missing"] == len(lost)
    places = [one.counted[1] for one in site.heard if one.counted]
    assert places == [i for i in range(3 + len(said)) if i - 3 not in lost]
    assert bool(due.commands) == bool(lost)
