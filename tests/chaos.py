"""A known truth sent through kills: devices by the book, a wire that mutilates, and somebody who pulls plugs.

Each device counts its messages, keeps each until it is told that it is stored, and sends again after a reconnect or
when a gap stays, as `docs/firmware.md` asks of firmware. On the way to the broker messages are damaged, doubled and put
out of order.
"""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
import psycopg
from ingesting import IngestProcess
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions
from servers import Database, RunningBroker
from waiting import until

from bellwether.stack.supervisor import Supervisor
from store import ledger

BOOT = 1_782_907_200
START_MS = 1_782_907_200_000
CORRUPT, DOUBLED, OUT_OF_ORDER = 0.01, 0.05, 0.10
# How far a message that is out of order is behind its turn.
BEHIND = 3
# What the broker took and nobody has confirmed for so long is sent again, so many at a time.
PATIENCE_S, AGAIN_AT_ONCE = 3.0, 20
IN_FLIGHT = 500


@dataclass(slots=True)
class Held:
    """A message that is not known to be stored."""

    payload: bytes
    taken_at: float | None = None  # by the broker


@dataclass(slots=True)
class Device:
    """One device: what it has said, what of it is right, and what it still holds."""

    name: str
    seq: int = 0
    held: dict[int, Held] = field(default_factory=dict)
    behind: deque[tuple[int, int]] = field(default_factory=deque)  # (number, messages still to go before it)
    right: dict[int, float] = field(default_factory=dict)  # value by time in ms
    wrong: set[bytes] = field(default_factory=set)
    damaged: set[bytes] = field(default_factory=set)  # what the wire made of messages

    @property
    def topic(self) -> str:
        return f"bellwether/v1/demo/{self.name}/telemetry"


class Fleet:
    """Devices on one connection; `send` is called in a loop, the network has a thread of its own."""

    def __init__(self, broker: RunningBroker, devices: int, seed: int) -> None:
        self._random = random.Random(seed)
        self.devices = {f"d{number:03}": Device(f"d{number:03}") for number in range(devices)}
        self.published = 0
        self._told: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._in_flight: dict[int, tuple[Device, int]] = {}
        self._waiting: deque[tuple[Device, int, bytes]] = deque()
        to = broker.of("devices")
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="chaos", protocol=mqtt.MQTTv5)
        self._client.username_pw_set(to.username, to.password)
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.connect_async(to.host, to.port, keepalive=5)
        self._client.loop_start()
        until(self._client.is_connected)

    @property
    def holds(self) -> int:
        return sum(len(device.held) for device in self.devices.values())

    def measure(self) -> None:
        """Each device takes one reading, or says something that is no reading."""
        for device in self.devices.values():
            seq = device.seq
            device.seq += 1
            body: dict[str, Any] = {"ts": START_MS + 1000 * seq, "boot": BOOT, "seq": seq}
            if self._random.random() < CORRUPT / 2:
                body["values"] = {"flow": f"broken {seq}"}
                device.wrong.add(json.dumps(body).encode())
            else:
                value = self._random.random()
                device.right[START_MS + 1000 * seq] = value
                body["values"] = {"flow": value}
            device.held[seq] = Held(json.dumps(body).encode())
            if self._random.random() < OUT_OF_ORDER:
                device.behind.append((seq, self._random.randint(1, BEHIND)))
            else:
                self._put_on_the_wire(device, seq)
            for _ in range(len(device.behind)):
                late, left = device.behind.popleft()
                if left or late == seq:
                    device.behind.append((late, max(left - 1, 0)))
                else:
                    self._put_on_the_wire(device, late)

    def send(self) -> None:
        """Hand over what waits, and again what was taken long ago and is not confirmed."""
        self._hear()
        now = time.monotonic()
        for device in self.devices.values():
            for seq, held in list(device.held.items())[:AGAIN_AT_ONCE]:
                if held.taken_at is not None and now - held.taken_at > PATIENCE_S:
                    held.taken_at = None
                    self._waiting.append((device, seq, held.payload))
        while self._waiting and len(self._in_flight) < IN_FLIGHT and self._client.is_connected():
            device, seq, payload = self._waiting.popleft()
            info = self._client.publish(device.topic, payload, qos=1)
            self.published += 1
            if seq >= 0:
                self._in_flight[info.mid] = (device, seq)

    def finish(self, within_s: float) -> None:
        """Go on until everything is confirmed."""
        for device in self.devices.values():
            while device.behind:
                self._put_on_the_wire(device, device.behind.popleft()[0])

        def confirmed() -> bool:
            self.send()
            return not self.holds

        until(confirmed, within_s, every_s=0.05)

    def _put_on_the_wire(self, device: Device, seq: int) -> None:
        payload = device.held[seq].payload
        if self._random.random() < CORRUPT / 2:  # the wire, not the device: the message itself comes later
            # The time and so the message can be told from others, by us.
            damaged = payload[: self._random.randrange(len(f'{{"ts": {START_MS}'), len(payload) - 1)]
            device.damaged.add(damaged)
            self._waiting.append((device, -1, damaged))
        self._waiting.append((device, seq, payload))
        if self._random.random() < DOUBLED:
            self._waiting.append((device, seq, payload))

    def _hear(self) -> None:
        """What the network has told since."""
        while not self._told.empty():
            what, told = self._told.get()
            match what:
                case "connected":  # what the broker took may have died with it
                    self._in_flight.clear()
                    self._waiting = deque(
                        (device, seq, held.payload)
                        for device in self.devices.values()
                        for seq, held in device.held.items()
                        if seq not in {late for late, _ in device.behind}
                    )
                case "taken":
                    device, seq = self._in_flight.pop(told, (None, 0))
                    if device is not None and (held := device.held.get(seq)):
                        held.taken_at = time.monotonic()
                case "stored":
                    name, up_to = told
                    held_by = self.devices[name].held
                    for seq in [seq for seq in held_by if seq <= up_to]:
                        del held_by[seq]

    # On the network's thread, which holds locks of its own: nothing but a word to ours.

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        options = SubscribeOptions(qos=1)
        client.subscribe([(f"bellwether/v1/demo/{name}/ack", options) for name in self.devices])
        self._told.put(("connected", None))

    def _on_publish(self, _: mqtt.Client, __: Any, mid: int, *___: Any) -> None:
        self._told.put(("taken", mid))

    def _on_message(self, _: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        told = json.loads(message.payload)
        assert told["boot"] == BOOT
        self._told.put(("stored", (message.topic.split("/")[3], told["seq"])))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass
class Plugs:
    """Who can be killed, and how each comes back."""

    database: Database
    broker: RunningBroker
    database_server: Supervisor
    log: Path
    ingest: IngestProcess
    kills: Counter[str] = field(default_factory=Counter)

    def pull(self, what: str) -> None:
        """SIGKILL, and whatever it takes until it is there again."""
        self.kills[what] += 1
        match what:
            case "ingest":
                self.ingest.kill()
                self.ingest = IngestProcess(self.database, self.broker, self.log)
            case "mosquitto":
                _killed(lambda: self.broker.pid)
            case "postgres":
                _killed(lambda: self.database_server.pids().get("postgres", 0))

    def until_awake(self) -> None:
        self.ingest.until_awake()

    @contextmanager
    def _held_down(self) -> Iterator[None]:
        """The broker answers nobody, however often its supervisor starts another one."""
        over = threading.Event()

        def hold() -> None:
            held = 0
            while not over.wait(0.01):
                if self.broker.pid not in (0, held):
                    held = self.broker.pid
                    _signal(held, signal.SIGSTOP)

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            yield
        finally:
            over.set()
            holder.join()
            if self.broker.pid:
                _signal(self.broker.pid, signal.SIGCONT)

    @contextmanager
    def away(self, what: str) -> Iterator[None]:
        """Gone until the block ends: a broker that was killed and does not come up, a database that lets nobody in."""
        if what == "mosquitto":
            self.pull(what)
            with self._held_down():
                yield
            return
        elsewhere = psycopg.conninfo.make_conninfo(self.database.owner_url, dbname="postgres")
        with psycopg.connect(elsewhere, autocommit=True) as conn:
            conn.execute("ALTER DATABASE bellwether ALLOW_CONNECTIONS false")
            conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'bellwether'")
            try:
                yield
            finally:
                conn.execute("ALTER DATABASE bellwether ALLOW_CONNECTIONS true")


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _killed(pid: Callable[[], int]) -> None:
    before = pid()
    os.kill(before, signal.SIGKILL)
    until(lambda: pid() not in (0, before), 60)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What there was to be seen at the end, as it should be, and as it is."""

    sent: dict[str, Any]
    found: dict[str, Any]


def run(
    fleet: Fleet, plugs: Plugs, *, kills: list[tuple[int, str]], measurements: int, every_s: float, within_s: float
) -> None:
    """So many measurements of each device, the plugs pulled as `kills` says: after which measurement, and which."""
    due = deque(sorted(kills))
    threads: list[threading.Thread] = []
    for measurement in range(measurements):
        until_s = time.monotonic() + every_s
        while due and due[0][0] <= measurement:
            _, what = due.popleft()
            if threads:
                threads[-1].join()  # one at a time, while the devices go on
            threads.append(threading.Thread(target=plugs.pull, args=(what,)))
            threads[-1].start()
        fleet.measure()
        fleet.send()
        while (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(0.02, left_s))
            fleet.send()
    for thread in threads:
        thread.join()
    fleet.finish(within_s)


def differences(fleet: Fleet, database: Database, broker_killed: bool) -> Iterator[str]:
    """Where tables and ledger are not what the devices know to be true; nothing where all is well."""
    with database.owner() as conn:
        until(lambda: conn.execute("SELECT count(*) FROM journal").fetchone() == (0,), 120)
        stored: dict[str, dict[int, float]] = {name: {} for name in fleet.devices}
        for name, time_ms, value in conn.execute(
            "SELECT s.device, (extract(epoch FROM r.time) * 1000)::bigint, r.value"
            " FROM readings r JOIN streams s ON s.id = r.stream_id"
        ):
            stored[name][time_ms] = value
        counts: dict[str, dict[str, int]] = {}
        sums = ", ".join(f"sum({name})::int" for name in ledger.COUNTS)
        for row in conn.execute(f"SELECT device, {sums} FROM ledger GROUP BY device"):  # noqa: S608
            counts[row[0]] = dict(zip(ledger.COUNTS, row[1:], strict=True))
        rejected: dict[str, Counter[bytes]] = {name: Counter() for name in fleet.devices}
        for name, payload in conn.execute("SELECT device, payload FROM rejects WHERE message IS NULL"):
            rejected[name][payload] += 1
        runs = {run.device: run for run in ledger.runs(conn)}
        names = {name: number for number, name in conn.execute("SELECT id, device FROM devices")}
        contested = conn.execute("SELECT count(*) FROM contested").fetchone()
        _, untrue = ledger.verify(conn)
    if contested != (0,):
        yield f"{contested} readings contested"
    yield from (f"the ledger differs from the tables: {each}" for each in untrue)
    for name, device in fleet.devices.items():
        said = counts.get(name, dict.fromkeys(ledger.COUNTS, 0))
        if stored[name] != device.right:
            missing = device.right.keys() - stored[name].keys()
            yield f"{name}: {len(missing)} of {len(device.right)} readings missing, {len(stored[name])} stored"
        if said["messages_stored"] != len(device.right):
            yield f"{name}: {len(device.right)} messages were good, {said['messages_stored']} count as stored"
        # What can't be read has no identity: with its broker it dies, or comes again and counts again.
        unread = Counter({payload: n for payload, n in rejected[name].items() if payload not in device.wrong})
        again = unread.total() - len(unread)
        as_sent = unread.keys() <= device.damaged if broker_killed else unread.keys() == device.damaged
        if not as_sent or again > (len(device.damaged) if broker_killed else 0):
            yield f"{name}: {len(device.damaged)} damaged, {len(unread)} of them rejected and {again} again"
        if said["messages_rejected"] != len(device.wrong) + unread.total():
            yield f"{name}: {len(device.wrong)} wrong, {unread.total()} unread, {said['messages_rejected']} count"
        run = runs.get(names.get(name, 0))
        if run is None or (run.below, list(run.above), run.missing - run.found) != (device.seq, [], 0):
            yield f"{name}: of {device.seq} numbers the ledger knows {run}"
