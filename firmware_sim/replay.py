"""Recorded telemetry as if live: a device that sends what a file says, at the pace of the file or faster.

Each row is sent once, as it stands: repeated times and clocks that jump backward are the receiver's to judge. Memory
stays small at any speed: no more than `WINDOW` messages are ever ahead of what the broker has taken, or, where the
receiver confirms what it stored, ahead of that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from firmware_sim.encoding import sample
from firmware_sim.link import Link, Network
from firmware_sim.outbox import Outbox
from firmware_sim.recording import Recording
from telemetry import Broker, Trust, is_name, quantity_of

# Half of what Mosquitto queues by default for a subscriber that is slow: what is ahead of the store stays below it.
WINDOW = 500
# The store confirms about once a second. Who hasn't confirmed anything for this long never will.
CONFIRMS_WITHIN_S = 3.0
# At the end: a broker or a store that is busy for longer than this is down.
DELIVERED_WITHIN_S = 60.0
# At full speed the pace is the receiver's: large messages cost it least.
ROWS_PER_MESSAGE = 100
CONNECT_WITHIN_S = 10.0
_REPORT_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is. `rows_total` counts lines, readable or not."""

    file: str
    rows: int
    rows_total: int
    readings: int


@dataclass(slots=True)
class Report:
    """What a replay did.

    `unreadable` rows had no time that could be read; `undelivered` messages were not taken by the broker in the end.
    `confirmed` tells whether the receiver said that it has stored everything. `finished` is false where it was stopped.
    """

    device: str
    rows: int = 0
    readings: int = 0
    messages: int = 0
    unreadable: int = 0
    undelivered: int = 0
    seconds: float = 0.0
    confirmed: bool = False
    finished: bool = True
    points: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Row:
    due_s: float
    """When it is to be sent, on the monotonic clock; minus infinity: at once."""
    time_us: int
    values: dict[str, float]


def replay(
    files: Sequence[str | Path],
    device: str,
    *,
    tenant: str = "demo",
    time_column: str | None = None,
    time_format: str | None = None,
    speed: float | None = 1.0,
    as_of: Literal["now", "original"] = "now",
    mqtt_url: str = "mqtt://127.0.0.1:1883",
    username: str | None = None,
    password: str | None = None,
    trust: Trust | None = None,
    points: Collection[str] | None = None,
    ignore: Collection[str] = (),
    rows_per_message: int = ROWS_PER_MESSAGE,
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Send recordings as the telemetry of one device, one file after the other.

    Parameters
    ----------
    speed : float or None
        The recording's own spacing divided by this; None: as fast as the receiver takes it. Rows due together travel
        together, up to `rows_per_message`. Each file starts at once, whatever time lies between it and the last.
    as_of : "now" or "original"
        Stamp each row with the moment it is sent, or with its recorded time (without a zone: UTC).
    points, ignore : collections of str
        Only these columns, or all but these. A column keeps its name as a point.
    stop : threading.Event
        When set, the replay ends within a second, cleanly.

    Raises
    ------
    ValueError
        If a name, a column, a time or the URL isn't right; before anything is sent, except for a time in a later file.
    Unreachable, Refused
        If the broker doesn't answer within `CONNECT_WITHIN_S`, or turns the device away.
    """
    if not (is_name(device) and is_name(tenant)):
        raise ValueError("tenant and device are named with 1 to 64 of A-Z a-z 0-9 _ . -")
    if speed is not None and not speed > 0:
        raise ValueError("the speed is a number above 0, or max")
    if rows_per_message < 1:
        raise ValueError("a message holds at least one row")
    recordings = [Recording.open(Path(path), time_column, points, ignore, time_format) for path in files]
    for recording in recordings:
        next(recording.slices(rows=1), None)
    broker = Broker.parse(mqtt_url, username, password, trust)
    sender = _Sender(broker, tenant, device, recordings, stop or threading.Event())
    report = Report(device, points=sender.points)
    rows_total = sum(recording.count_rows() for recording in recordings)
    stamps = _Stamps(as_of)
    started_s = reported_s = time.monotonic()
    sender.network.wait_until_up(CONNECT_WITHIN_S)
    for recording in recordings:
        for rows in _messages(_rows(recording, speed, report), rows_per_message):
            if not sender.wait_until(rows[0].due_s):
                break
            sender.send([(stamps.of(row), row.values) for row in rows])
            report.rows += len(rows)
            report.readings += sum(len(row.values) for row in rows)
            report.messages += 1
            if on_progress is not None and time.monotonic() - reported_s >= _REPORT_EVERY_S:
                reported_s = time.monotonic()
                on_progress(Progress(recording.path.name, report.rows, rows_total, report.readings))
    report.finished = not sender.stop.is_set()
    report.confirmed = sender.finish("finished" if report.finished else "stopped")
    report.undelivered = sender.undelivered
    report.seconds = time.monotonic() - started_s
    if on_progress is not None and recordings:
        on_progress(Progress(recordings[-1].path.name, report.rows, rows_total, report.readings))
    return report


class _Sender:
    """The device that a replay plays."""

    def __init__(
        self, broker: Broker, tenant: str, device: str, recordings: Sequence[Recording], stop: threading.Event
    ) -> None:
        self.stop = stop
        self.network = Network(broker)
        self.points = tuple(dict.fromkeys(point for recording in recordings for point in recording.points))
        self._boot = int(time.time())
        # Twice the window: the outbox never has to give up a message, the window stops the sender before.
        self._outbox = Outbox(2 * WINDOW, self._boot)
        self._silent_since_s: float | None = None
        self._link = Link(self.network, tenant, device, outbox=self._outbox, describe=self._description)

    def wait_until(self, due_s: float) -> bool:
        """Let time and the network run until `due_s` and until there is room; false when stopped."""
        while not self.stop.is_set():
            left_s = due_s - time.monotonic()
            if left_s <= 0 and self._has_room():
                return True
            self.network.poll(min(0.1, max(left_s, 0.01)))
        return False

    def send(self, items: list[tuple[int, dict[str, float]]]) -> None:
        seq = self._outbox.next_seq
        body = [sample(time_us, values, self._boot, seq + i) for i, (time_us, values) in enumerate(items)]
        self._outbox.put(seq + len(items) - 1, orjson.dumps(body if len(body) > 1 else body[0]))
        self.network.poll(0.0)

    def finish(self, reason: str) -> bool:
        """Send what is left, hear what is stored, say goodbye; whether all is known to be stored."""
        stopped = self.stop.is_set
        self.network.wait(lambda: self._link.idle or stopped(), DELIVERED_WITHIN_S)
        patience_s = DELIVERED_WITHIN_S if self._outbox.confirmed else CONFIRMS_WITHIN_S
        self.network.wait(lambda: not len(self._outbox) or stopped(), patience_s)
        self.network.close(reason)
        return self._outbox.confirmed and not len(self._outbox)

    @property
    def undelivered(self) -> int:
        return self._outbox.waiting + self._outbox.in_flight

    def _has_room(self) -> bool:
        if self.undelivered >= WINDOW // 10:
            return False
        if len(self._outbox) < WINDOW:
            self._silent_since_s = None
            return True
        now_s = time.monotonic()
        self._silent_since_s = self._silent_since_s or now_s
        return not self._outbox.confirmed and now_s - self._silent_since_s >= CONFIRMS_WITHIN_S

    def _description(self) -> dict[str, Any]:
        return {
            "firmware": "replay",
            "seq": self._outbox.lowest_seq,
            "boot": self._boot,
            "kind": "recording",
            "points": {point: quantity_of(point).unit for point in self.points},
        }


class _Stamps:
    """The time stamp of each row. As of now they rise strictly, by a microsecond at least: no two rows are one."""

    def __init__(self, as_of: Literal["now", "original"]) -> None:
        self._original = as_of == "original"
        self._last_us = 0

    def of(self, row: _Row) -> int:
        if self._original:
            return row.time_us
        late_s = max(0.0, time.monotonic() - row.due_s) if np.isfinite(row.due_s) else 0.0
        self._last_us = max(self._last_us + 1, round((time.time() - late_s) * 1e6))
        return self._last_us


def _rows(recording: Recording, speed: float | None, report: Report) -> Iterator[_Row]:
    """The rows of a file that hold any reading, with the moment at which each is due."""
    began_s = time.monotonic()
    first_us: int | None = None
    for part in recording.slices():
        report.unreadable += part.unreadable
        present = np.isfinite(part.values)
        for time_us, values, there in zip(part.time_us.tolist(), part.values.tolist(), present.tolist(), strict=True):
            first_us = time_us if first_us is None else first_us
            due_s = -np.inf if speed is None else began_s + (time_us - first_us) / 1e6 / speed
            row = {point: v for point, v, ok in zip(part.points, values, there, strict=True) if ok}
            if row:
                yield _Row(due_s, time_us, row)


def _messages(rows: Iterator[_Row], most: int) -> Iterator[list[_Row]]:
    """Rows that may travel together: due by now, or due no later than the first of them."""
    group: list[_Row] = []
    for row in rows:
        if group and (len(group) >= most or row.due_s > max(group[0].due_s, time.monotonic())):
            yield group
            group = []
        group.append(row)
    if group:
        yield group
