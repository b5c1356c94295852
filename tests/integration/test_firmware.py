"""Simulated devices and replays against a real Mosquitto: what arrives, what is said last, what survives a cut."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from bellwether.stack import packages, port
from firmware_sim.connection import Refused, Unreachable
from firmware_sim.demo import HISTORY, DemoState, run_demo
from firmware_sim.device import Sampling
from firmware_sim.encoding import JSON_FORMS, Form
from firmware_sim.fleet import run, simulate
from firmware_sim.happenings import FleetEvent, Happening
from firmware_sim.link import Link, Network
from firmware_sim.machine import Machine
from firmware_sim.outbox import Outbox
from firmware_sim.plan import Past, Plan, fleet_of
from firmware_sim.replay import replay
from firmware_sim.scenario import Scenario
from firmware_sim.spool import Spool
from telemetry import Broker

START_WITHIN_S = 60.0


class Mosquitto:
    """A broker on a free port that can be stopped and started again; it forgets everything."""

    def __init__(self, program: Path, folder: Path, *, anonymous: bool = True) -> None:
        self.port = port.choose("Mosquitto")
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._argv = [str(program), "-c", str(folder / "mosquitto.conf")]
        limits = "max_queued_messages 100000\nlog_type error\n"
        settings = f"listener {self.port} 127.0.0.1\nallow_anonymous {str(anonymous).lower()}\n{limits}"
        (folder / "mosquitto.conf").write_text(settings)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._answers, START_WITHIN_S)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
        except OSError:
            return False
        return True


@dataclass
class Heard:
    """A subscriber to everything, and everything it heard."""

    url: str
    confirms: bool = False
    telemetry: list[tuple[str, Any]] = field(default_factory=list)
    statuses: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __enter__(self) -> Heard:
        self._subscribed = threading.Event()
        self._stored: dict[str, tuple[int, int]] = {}
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_message = self._on_message
        self.client.on_connect = lambda client, *_: client.subscribe("bellwether/v1/#", qos=1)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        broker = Broker.parse(self.url)
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()
        assert self._subscribed.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _on_message(self, _client: mqtt.Client, _user: Any, message: mqtt.MQTTMessage) -> None:
        device, kind = message.topic.split("/")[3:]
        if kind == "status":
            self.statuses.append((device, json.loads(message.payload)))
        elif kind == "telemetry":
            body = json.loads(message.payload)
            self.telemetry.append((device, body))
            if self.confirms:
                last = body[-1] if isinstance(body, list) else body
                ack = json.dumps({"boot": last["boot"], "seq": last["seq"]})
                self.client.publish(f"bellwether/v1/demo/{device}/ack", ack)

    def of(self, device: str) -> list[Any]:
        return [body for name, body in self.telemetry if name == device]

    def items(self) -> list[dict[str, Any]]:
        return [item for _, body in self.telemetry for item in (body if isinstance(body, list) else [body])]

    def wait_for_messages(self, count: int) -> None:
        wait_for(lambda: len(self.telemetry) >= count)

    def wait_for_goodbye(self, device: str) -> None:
        wait_for(lambda: self.online(device)[-1:] == [False])

    def online(self, device: str) -> list[bool]:
        return [status["online"] for name, status in self.statuses if name == device]


def wait_for(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    until_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def program() -> Path:
    return packages.ensure(print).mosquitto


@pytest.fixture
def broker(program: Path) -> Iterator[Mosquitto]:
    with tempfile.TemporaryDirectory(prefix="bellwether-test-") as folder:
        mosquitto = Mosquitto(program, Path(folder))
        mosquitto.start()
        yield mosquitto
        mosquitto.stop()


def recording(tmp_path: Path, rows: int, gap_s: float = 1.0, start_s: float = 1_581_168_647.0) -> Path:
    path = tmp_path / "recording.csv"
    lines = [f"{start_s + gap_s * i:.3f};{i};{i / 10 if i % 3 else ''}" for i in range(rows)]
    path.write_text("\n".join(["time;count;flow", *lines]))
    return path


# Replay ---------------------------------------------------------------------------------------------------------------


def test_replay_sends_each_row_once_in_order_with_its_recorded_time(broker: Mosquitto, tmp_path: Path) -> None:
    path = recording(tmp_path, 12_345)
    with Heard(broker.url, confirms=True) as heard:
        report = replay([path], "rig-1", speed=None, as_of="original", mqtt_url=broker.url)
        heard.wait_for_goodbye("rig-1")
        items = heard.items()
    assert [item["values"]["count"] for item in items] == list(range(12_345))
    assert [item["ts"] for item in items] == [1000 * (1_581_168_647 + i) for i in range(12_345)]
    assert [item["seq"] for item in items] == list(range(12_345))
    assert all(("flow" in item["values"]) == bool(i % 3) for i, item in enumerate(items))
    assert (report.rows, report.readings, report.messages) == (12_345, 12_345 + 8230, 124)
    assert report.finished
    assert report.confirmed
    assert report.undelivered == 0
    assert heard.online("rig-1") == [True, False]
    assert heard.statuses[-1][1]["reason"] == "finished"


def test_replay_never_runs_further_ahead_of_the_store_than_its_window(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware_sim.replay.WINDOW", 40)
    path = recording(tmp_path, 300)
    with Heard(broker.url) as heard:
        running = threading.Thread(
            target=replay,
            args=([path], "rig-1"),
            kwargs={"speed": None, "mqtt_url": broker.url, "rows_per_message": 1},
        )
        running.start()
        for confirmed in (0, 30, 60):
            if confirmed:
                boot = heard.of("rig-1")[0]["boot"]
                heard.client.publish("bellwether/v1/demo/rig-1/ack", json.dumps({"boot": boot, "seq": confirmed - 1}))
            heard.wait_for_messages(confirmed + 40)
            time.sleep(0.3)
            assert len(heard.telemetry) == confirmed + 40
        while len(heard.telemetry) < 300:
            heard_so_far = len(heard.telemetry)
            ack = json.dumps({"boot": boot, "seq": heard_so_far - 1})
            heard.client.publish("bellwether/v1/demo/rig-1/ack", ack)
            heard.wait_for_messages(heard_so_far + 1)
        heard.client.publish("bellwether/v1/demo/rig-1/ack", json.dumps({"boot": boot, "seq": 299}))
        running.join(60)
        assert not running.is_alive()


def test_replay_keeps_the_spacing_divided_by_the_speed(broker: Mosquitto, tmp_path: Path) -> None:
    path = recording(tmp_path, 11, gap_s=6.0)
    before_s = time.time()
    with Heard(broker.url, confirms=True) as heard:
        report = replay([path], "rig-1", speed=60.0, as_of="now", mqtt_url=broker.url)
        wait_for(lambda: len(heard.items()) == 11)
    stamps = [_seconds(item["ts"]) for item in heard.items()]
    np.testing.assert_allclose(np.diff(stamps), 0.1, atol=0.03)
    assert before_s <= stamps[0] <= stamps[-1] <= time.time()
    assert 1.0 <= report.seconds < 50.0, "sixty without the speed"


def test_replay_as_of_now_at_full_speed_gives_no_two_rows_one_time(broker: Mosquitto, tmp_path: Path) -> None:
    with Heard(broker.url, confirms=True) as heard:
        replay([recording(tmp_path, 5000)], "rig-1", speed=None, as_of="now", mqtt_url=broker.url)
        wait_for(lambda: len(heard.items()) == 5000)
    stamps = [round(1e6 * _seconds(item["ts"])) for item in heard.items()]
    assert all(a < b for a, b in itertools.pairwise(stamps))
    assert stamps[-1] < 1e6 * time.time()


def test_replay_sends_repeated_and_backward_times_as_they_are(broker: Mosquitto, tmp_path: Path) -> None:
    path = tmp_path / "dirt.csv"
    path.write_text("ts,a\n1581168647000,1\n1581168647000,2\n1581168640000,3\n1581168648000,4\n")
    with Heard(broker.url, confirms=True) as heard:
        replay([path], "rig-1", speed=100.0, as_of="original", mqtt_url=broker.url)
        wait_for(lambda: len(heard.items()) == 4)
    told = [(item["ts"], item["values"]["a"]) for item in heard.items()]
    assert told == [(1581168647000, 1), (1581168647000, 2), (1581168640000, 3), (1581168648000, 4)]


def test_replay_stops_at_once_and_says_so(broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it could be waiting for takes an hour: the next row, the broker, or a store that never answers."""
    for patience in ("DELIVERED_WITHIN_S", "CONFIRMS_WITHIN_S"):
        monkeypatch.setattr(f"firmware_sim.replay.{patience}", 3600.0)
    stop, reports = threading.Event(), []
    with Heard(broker.url) as heard:
        running = threading.Thread(
            target=lambda: reports.append(
                replay([recording(tmp_path, 3, gap_s=3600.0)], "rig-1", speed=1.0, mqtt_url=broker.url, stop=stop)
            )
        )
        running.start()
        wait_for(lambda: len(heard.telemetry) > 0)
        stop.set()
        running.join(60)
        assert not running.is_alive()
        wait_for(lambda: heard.online("rig-1") == [True, False])
    assert heard.statuses[-1][1]["reason"] == "stopped"
    assert (reports[0].rows, reports[0].finished) == (1, False)


def test_replay_outlives_a_broker_that_restarts(broker: Mosquitto, tmp_path: Path) -> None:
    reports = []
    path = recording(tmp_path, 60)
    running = threading.Thread(
        target=lambda: reports.append(
            replay([path], "rig-1", speed=10.0, as_of="original", mqtt_url=broker.url, rows_per_message=1)
        )
    )
    with Heard(broker.url, confirms=True) as first:
        running.start()
        wait_for(lambda: len(first.telemetry) >= 10)
        broker.stop()
        broker.start()
        with Heard(broker.url, confirms=True) as second:
            running.join(100)  # what the new broker took before anybody listened there comes again after half a minute
            assert not running.is_alive()
            wait_for(lambda: bool(second.items()) and second.items()[-1]["values"]["count"] == 59)
            counts = {item["values"]["count"] for item in first.items() + second.items()}
    assert counts == set(range(60))
    assert reports[0].undelivered == 0


def test_what_is_wrong_is_said_before_anything_is_sent(broker: Mosquitto, tmp_path: Path) -> None:
    path = recording(tmp_path, 3)
    for device, options in (("a/b", {}), ("rig-1", {"speed": 0.0}), ("rig-1", {"time_column": "when"})):
        with pytest.raises(ValueError, match=r"named with|above 0|no column when"):
            replay([path], device, mqtt_url=broker.url, **options)
    with pytest.raises(ValueError, match="MQTT URL"):
        replay([path], "rig-1", mqtt_url="http://localhost")


def test_a_broker_that_is_not_there_or_says_no(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"mqtt://127.0.0.1:{port.choose('nobody')}"
    with monkeypatch.context() as impatient:
        impatient.setattr("firmware_sim.running_fleet.CONNECT_WITHIN_S", 1.0)
        with pytest.raises(Unreachable, match=r"no answer from mqtt://127\.0\.0\.1"):
            simulate(1, mqtt_url=nobody, for_s=1.0)
    with tempfile.TemporaryDirectory(prefix="bellwether-test-") as folder:
        closed = Mosquitto(program, Path(folder), anonymous=False)
        closed.start()
        try:
            with pytest.raises(Refused, match="refuses"):
                simulate(1, mqtt_url=closed.url, for_s=1.0, username="nobody", password="wrong")
        finally:
            closed.stop()


# Fleet ----------------------------------------------------------------------------------------------------------------


def test_a_fleet_sends_what_its_machines_measure(broker: Mosquitto, tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    scenario = Scenario.of([{"device": "pump-01", "kind": "leak", "onset_s": 1.0, "growth_s": 1.0}])
    with Heard(broker.url) as heard:
        report = simulate(3, rate_hz=10.0, for_s=3.0, faults=scenario, seed=5, mqtt_url=broker.url, truth_path=truth)
        wait_for(lambda: len(heard.telemetry) == report.messages and len(heard.statuses) == 6)
    assert report.devices == 3
    assert report.dropped == report.unsent == 0
    for spec in fleet_of(3):
        blocks = heard.of(spec.device)
        assert [block["seq"] for block in blocks] == list(range(len(blocks)))
        stamps = [block["t0"] + i * block["dt"] for block in blocks for i in range(20)]
        assert set(np.diff(stamps).tolist()) == {100}
        assert heard.online(spec.device) == [True, False]
        if spec.device != "pump-01":
            told = Machine(spec, 5).run(np.array(stamps))
            for point, values in told.items():
                sent = [value for block in blocks for value in block["values"][point]]
                np.testing.assert_allclose(sent, values, atol=1e-9)
    status = next(status for device, status in heard.statuses if device == "pump-01")
    assert (status["kind"], status["site"], status["seq"]) == ("pump", "Riverside works", 0)
    assert status["points"]["flow"] == "m3/h"
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["machine", "machine", "machine", "fault"]
    assert lines[3]["fault"] == "leak"
    assert lines[3]["leading"] == "discharge_pressure"


@pytest.mark.parametrize("form", JSON_FORMS)
def test_every_form_carries_the_same_samples(broker: Mosquitto, form: Form) -> None:
    plan = Plan(fleet_of(1), seed=3)
    with Heard(broker.url) as heard:
        report = run(plan, Broker.parse(broker.url), Sampling(100, 5, form), for_s=1.5)
        wait_for(lambda: len(heard.telemetry) == report.messages)
    if form is Form.COLUMNS:
        rows = [(b["t0"] + i * b["dt"], b["values"]["flow"][i]) for b in heard.of("pump-01") for i in range(5)]
    elif form is Form.FLAT:
        rows = [(item["ts"], item["flow"]) for item in heard.items()]
    else:
        rows = [(item["ts"], item["values"]["flow"]) for item in heard.items()]
    times = np.array([ts for ts, _ in rows])
    assert len(rows) == report.samples >= 10
    np.testing.assert_allclose([flow for _, flow in rows], Machine(fleet_of(1)[0], 3).run(times)["flow"])


def test_a_cut_is_seen_by_the_last_will_and_the_backlog_follows(broker: Mosquitto) -> None:
    scenario = Scenario.of({"outages": [{"device": "pump-01", "onset_s": 1.0, "lasts_s": 2.0}]})
    with Heard(broker.url, confirms=True) as heard:
        run(Plan(fleet_of(2), scenario), Broker.parse(broker.url), Sampling(100, 2), for_s=6.0)
        wait_for(lambda: len(heard.statuses) == 6)
    assert heard.online("pump-01") == [True, False, True, False]
    assert [s["reason"] for d, s in heard.statuses if d == "pump-01" and not s["online"]] == [
        "connection lost",
        "finished",
    ]
    assert heard.online("gearmotor-01") == [True, False]
    seqs = [block["seq"] for block in heard.of("pump-01")]
    assert sorted(set(seqs)) == list(range(max(seqs) + 1)), "nothing measured during the outage may be missing"
    assert len(seqs) <= len(set(seqs)) + 16, "only what was on its way may come twice"


def test_a_full_buffer_loses_the_oldest_and_counts_them(broker: Mosquitto) -> None:
    scenario = Scenario.of({"outages": [{"device": "pump-01", "onset_s": 1.0, "lasts_s": 4.6}]})
    with Heard(broker.url, confirms=True) as heard:
        # The buffer holds two seconds: slower than that is no confirmation, and what was heard is not dropped as well.
        report = run(
            Plan(fleet_of(1), scenario), Broker.parse(broker.url), Sampling(100, 1, buffer_messages=20), for_s=7.5
        )
        wait_for(lambda: heard.online("pump-01")[-1:] == [False])
    seqs = {block["seq"] for block in heard.of("pump-01")}
    assert report.dropped > 20
    lost = sorted(set(range(max(seqs) + 1)) - seqs)
    assert lost == list(range(lost[0], lost[-1] + 1)), "the oldest of what waits, one after the other"
    # What arrived just before the cut, and its confirmation did not, is dropped too: no device can know better.
    arrived = report.dropped - len(lost)
    assert 0 <= arrived <= 20
    assert set(range(lost[0] - arrived, lost[0])) <= seqs
    assert heard.statuses[-2][1]["seq"] > 0, "back online, it tells where what it still has begins"


def test_unconfirmed_messages_are_sent_again_after_a_reconnect(broker: Mosquitto) -> None:
    network = Network(Broker.parse(broker.url))
    outbox = Outbox(100, boot=7)
    link = Link(network, "demo", "pump-01", outbox=outbox, describe=lambda: {"boot": 7})
    with Heard(broker.url) as heard:
        network.wait_until_up(30.0)
        for seq in range(10):
            outbox.put(seq, json.dumps({"boot": 7, "seq": seq, "ts": 0, "values": {}}).encode())
        assert network.wait(lambda: link.idle, 30.0)
        heard.client.publish("bellwether/v1/demo/pump-01/ack", json.dumps({"boot": 6, "seq": 9})).wait_for_publish(5)
        heard.client.publish("bellwether/v1/demo/pump-01/ack", b"no json").wait_for_publish(5)
        heard.client.publish("bellwether/v1/demo/pump-01/ack", json.dumps({"boot": 7, "seq": 3})).wait_for_publish(5)
        assert network.wait(lambda: len(outbox) == 6, 30.0)
        link.cut(time.monotonic(), 0.0)
        assert network.wait(lambda: link.connects == 2 and link.idle, 30.0)
        wait_for(lambda: len(heard.telemetry) == 16)
        network.close("finished")
    assert [body["seq"] for body in heard.of("pump-01")] == [*range(10), *range(4, 10)]


def test_while_messages_are_given_up_it_says_so(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connected, with a store that has fallen silent: what will not come is told before anybody waits for it."""
    monkeypatch.setattr("firmware_sim.link.SAY_EVERY_S", 0.2)
    network = Network(Broker.parse(broker.url))
    outbox = Outbox(5, boot=7)
    link = Link(network, "demo", "pump-01", outbox=outbox, describe=lambda: {"boot": 7, "seq": outbox.lowest_seq})
    with Heard(broker.url) as heard:
        network.wait_until_up(30.0)
        outbox.put(0, b"{}")
        assert network.wait(lambda: link.idle, 30.0)
        heard.client.publish("bellwether/v1/demo/pump-01/ack", json.dumps({"boot": 7, "seq": 0})).wait_for_publish(5)
        assert network.wait(lambda: len(outbox) == 0, 30.0)
        began_s = time.monotonic()
        for seq in range(1, 21):
            outbox.put(seq, b"{}")
            assert network.wait(lambda: link.idle, 30.0)
        assert network.wait(lambda: heard.statuses[-1][1]["seq"] == 16, 30.0)
        took_s = time.monotonic() - began_s
        network.close("finished")
    seqs = [status["seq"] for _, status in heard.statuses if status["online"]]
    assert seqs == sorted(seqs)
    assert 2 <= len(seqs) <= 12 + took_s / 0.2, "as often as it may, not for each"
    assert outbox.unconfirmed == 15


def test_a_wrong_clock_shows_in_the_stamps_alone(broker: Mosquitto) -> None:
    scenario = Scenario.of({"clocks": [{"device": "pump-01", "offset_s": -100.0}]})
    before_s = time.time()
    with Heard(broker.url) as heard:
        run(Plan(fleet_of(2), scenario), Broker.parse(broker.url), Sampling(100, 5), for_s=1.5)
        after_s = time.time()
        wait_for(lambda: len(heard.of("pump-01")) >= 2 and len(heard.of("gearmotor-01")) >= 2)
    for device, off_s in (("pump-01", -100.0), ("gearmotor-01", 0.0)):
        assert before_s - 1.0 <= heard.of(device)[0]["t0"] / 1000 - off_s <= after_s + 1.0


def test_simulated_time_runs_faster_but_never_into_the_future(broker: Mosquitto) -> None:
    before_s = time.time()
    with Heard(broker.url) as heard:
        simulate(2, for_s=3.0, speed=100.0, mqtt_url=broker.url, samples_per_message=10)
        after_s = time.time()
        wait_for(lambda: heard.online("pump-01") == [True, False])
    blocks = heard.of("pump-01")
    first_s, last_s = blocks[0]["t0"] / 1000, (blocks[-1]["t0"] + 9000) / 1000
    assert first_s == pytest.approx(before_s - 3.0 * 99.0, abs=60.0)
    assert last_s <= after_s
    assert last_s - first_s > 10.0 * (after_s - before_s)
    stamps = [block["t0"] + 1000 * i for block in blocks for i in range(10)]
    assert set(np.diff(stamps).tolist()) == {1000}
    with pytest.raises(ValueError, match="speed is 1 or more"):
        simulate(1, speed=0.5, for_s=1.0, mqtt_url=broker.url)


def test_history_comes_first_and_whole(broker: Mosquitto) -> None:
    events: list[FleetEvent] = []
    plan = Plan(fleet_of(2), past=(Past(3600.0, 60.0, 10.0), Past(60.0, 0.0, 1.0)))
    with Heard(broker.url, confirms=True) as heard:
        run(plan, Broker.parse(broker.url), Sampling(1000, 1), for_s=3.0, on_event=events.append)
        wait_for(lambda: heard.online("pump-01") == [True, False])
    assert [event.happening for event in events] == [Happening.ONLINE, Happening.HISTORY]
    blocks = heard.of("pump-01")
    stamps = [block["t0"] + block["dt"] * i for block in blocks for i in range(len(block["values"]["flow"]))]
    steps = np.diff(stamps)
    assert (steps > 0).all()
    assert steps.max() <= 11_000
    assert steps[-10:].tolist() == [1000] * 10
    assert (stamps[-1] - stamps[0]) / 1000 > 3590


def test_a_demo_stopped_and_started_again_goes_on(broker: Mosquitto, tmp_path: Path) -> None:
    heard_of: list[Heard] = []
    begun: list[FleetEvent] = []
    for _ in range(2):
        with Heard(broker.url, confirms=True) as heard:
            heard_of.append(heard)
            run_demo(tmp_path, broker.url, for_s=5.0, on_event=begun.append)
            heard.wait_for_goodbye("pump-02")
    begun = [event for event in begun if event.happening is Happening.FAULT]
    first, second = heard_of
    samples = sum(len(block["values"]["flow"]) for block in first.of("pump-02"))
    assert samples >= sum((past.from_s - past.to_s) / past.interval_s for past in HISTORY)
    assert len(second.of("pump-02")) < 10, "no history twice"
    assert begun[0].device != begun[1].device
    assert DemoState.read(tmp_path).episode == 2
    before, after = first.of("pump-02")[-1]["values"], second.of("pump-02")[0]["values"]
    assert np.mean(after["bearing_temperature"]) == pytest.approx(np.mean(before["bearing_temperature"]), abs=0.6)
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines if line["event"] != "machine"] == ["fault", "repair", "fault"]


def test_twelve_devices_cost_a_sliver_of_a_core(broker: Mosquitto) -> None:
    report = simulate(12, rate_hz=1.0, for_s=8.0, mqtt_url=broker.url)
    assert report.cpu_s / report.seconds < 0.1  # a fiftieth on a core that is ours alone


def _seconds(ts: int | str) -> float:
    """A stamp in either form."""
    if isinstance(ts, int):
        return ts / 1000
    whole = ts.removesuffix("Z")
    return float(np.datetime64(whole, "us").astype(np.int64)) / 1e6


@contextmanager
def fleet_on_disk(broker: Mosquitto, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Two devices with buffers on disk, five messages a second each, in a process of its own."""
    script = (
        "from pathlib import Path; from firmware_sim.fleet import simulate;"
        f"simulate(2, rate_hz=10, samples_per_message=2, mqtt_url={broker.url!r}, buffer=Path({str(folder)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2]) as process:
        try:
            yield process
        finally:
            process.kill()


def kept(folder: Path, device: str) -> list[tuple[int, int]]:
    """Boot and sequence number of what a device that is not alive holds."""
    with closing(Spool(folder / device, 1 << 30)) as spool:
        return [(each.boot, each.last_seq) for each in spool.kept]


def test_a_fleet_that_is_killed_sends_what_it_had_measured(program: Path, tmp_path: Path) -> None:
    """Without a broker at first, then with one that nobody listens to, then to the end: nothing measured is missing."""
    folder, devices = tmp_path / "buffer", ("pump-01", "gearmotor-01")
    with tempfile.TemporaryDirectory(prefix="bellwether-test-") as of_broker:
        broker = Mosquitto(program, Path(of_broker))
        with fleet_on_disk(broker, folder) as process:
            wait_for(lambda: all(any((folder / name).glob("*.spool")) for name in devices))
            wait_for(lambda: all(sum(f.stat().st_size for f in (folder / n).glob("*.spool")) > 2000 for n in devices))
            process.kill()
            process.wait()
        first = {name: kept(folder, name) for name in devices}
        broker.start()
        with Heard(broker.url) as heard, fleet_on_disk(broker, folder) as process:
            wait_for(lambda: len(heard.of("pump-01")) > len(first["pump-01"]) + 5)
            process.kill()
            process.wait()
        second = {name: kept(folder, name) for name in devices}
        with Heard(broker.url, confirms=True) as heard, fleet_on_disk(broker, folder) as process:
            wait_for(lambda: all(len(heard.of(name)) > len(second[name]) + 5 for name in devices))
            process.send_signal(signal.SIGINT)
            process.wait(60)
        for name in devices:
            said = [(block["boot"], block["seq"]) for block in heard.of(name)]
            assert len(first[name]) > 3
            assert second[name][: len(first[name])] == first[name], "nobody had confirmed anything"
            assert said[: len(second[name])] == second[name], "the oldest first"
            boots = sorted({boot for boot, _ in said})
            assert len(boots) == 3
            for boot in boots:
                seqs = [seq for each, seq in said if each == boot]
                assert seqs == list(range(len(seqs)))
            left = kept(folder, name)
            assert len(left) <= 16
            assert {boot for boot, _ in left} <= {boots[-1]}
        held = [s for device, s in heard.statuses if device == "pump-01" and s["online"]]
        assert [status["boot"] for status in held] == [*boots_of(second["pump-01"]), said_last(heard, "pump-01")]
        broker.stop()


def boots_of(messages: list[tuple[int, int]]) -> list[int]:
    return sorted({boot for boot, _ in messages})


def said_last(heard: Heard, device: str) -> int:
    return int(heard.of(device)[-1]["boot"])
