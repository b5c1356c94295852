"""Thirty days of a fleet whose tickets are closed with verdicts, one in five of them wrong.

Machines have a daily cycle and unrest; a third of them also bouts of process that look like faults, each of another
size. Half of all machines have a fault that grows for hours and is repaired a day later. The same readings go through
the live detector and the live rules twice: with verdicts that teach, and without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alarms.events import Kind
from alarms.lessons import Judged, Lesson, by_subject
from alarms.rules import DEFAULT_RULES
from alarms.watch import Watch
from bench.detection.table import Row
from detectors.drift import Drift
from detectors.shift import Shift
from telemetry import Batch, Stream

MINUTE_US = 60_000_000
DAY = 1440
DAYS_BEFORE, DAYS = 3, 30
VERDICT_AFTER_MIN = 8 * 60
WRONG = 0.2
_START_US = 1_782_907_200_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """Readings by the minute, (machines, minutes), and the one fault of each machine: from and to, -1 for none."""

    values: npt.NDArray[np.float64]
    fault: npt.NDArray[np.int64]


@dataclass(slots=True)
class Month:
    """What came of thirty days."""

    in_vain: int = 0
    faults: int = 0
    found: int = 0


def fleet(seed: int, machines: int = 60) -> Fleet:
    rng = np.random.default_rng(seed)
    minutes = (DAYS_BEFORE + DAYS) * DAY
    unrest = rng.normal(size=(machines, minutes))
    values = unrest + np.sin(2 * np.pi * np.arange(minutes) / DAY) * rng.uniform(0, 2, (machines, 1))
    fault = np.full((machines, 2), -1)
    for machine in range(machines):
        if machine % 3 == 0:
            for start in np.flatnonzero(rng.random(minutes) < rng.uniform(0.3, 1.5) / DAY):
                values[machine, start : start + rng.integers(20, 120)] += rng.lognormal(np.log(5), 0.4)
        if rng.random() < 0.5:
            start = int(rng.integers(DAYS_BEFORE * DAY, minutes - DAY))
            growth = int(rng.integers(60, 600))
            shape = np.minimum(np.arange(DAY) / growth, 1.0)
            values[machine, start : start + DAY] += shape * rng.uniform(6, 20)
            fault[machine] = start, start + DAY
    return Fleet(values, fault)


def month(given: Fleet, seed: int, *, teaching: bool) -> Month:
    machines = len(given.values)
    streams = [Stream(i, i, "demo", f"pump-{i}", "flow", "flow", "m3/h") for i in range(machines)]
    rules = {"demo": list(DEFAULT_RULES)}
    watch = Watch({"shift": Shift(), "drift": Drift()}, rules)
    watch.watch(streams)
    rng = np.random.default_rng(seed + 1)
    judged: list[Judged] = []
    due: list[tuple[int, Judged]] = []
    result = Month(faults=int((given.fault[:, 0] >= 0).sum()))
    found: set[int] = set()
    for minute, batch in _hours(given.values):
        if teaching:
            closed = [each for each in due if each[0] <= minute]
            if closed:
                due = [each for each in due if each[0] > minute]
                judged += [each for _, each in closed]
                watch.teach(by_subject(judged, streams))
        for event in watch.step(batch, _START_US + minute * MINUTE_US):
            at = (event.at_us - _START_US) // MINUTE_US
            if at < DAYS_BEFORE * DAY or event.kind is Kind.ESCALATED:
                continue
            begins, ends = given.fault[event.machine]
            is_fault = begins <= at <= ends
            if event.kind is Kind.RAISED:
                result.in_vain += not is_fault
                found |= {event.machine} if is_fault else set()
            else:
                since = (event.since_us - _START_US) // MINUTE_US
                verdict = begins <= since <= ends and begins >= 0
                lesson = Lesson(event.peak, (at - since) * 60.0, bool(verdict ^ (rng.random() < WRONG)), 0.0)
                about = Judged("demo", event.detector, event.machine, event.subject, "flow", lesson)
                due.append((at + VERDICT_AFTER_MIN, about))
    result.found = len(found)
    return result


def rows(data: Path) -> list[Row]:
    plain, after = Month(), Month()
    for seed in range(5):
        given = fleet(seed)
        for total, teaches in ((plain, False), (after, True)):
            one = month(given, seed, teaching=teaches)
            total.in_vain += one.in_vain
            total.faults += one.faults
            total.found += one.found
    recall = 100 * np.array([plain.found, after.found]) / plain.faults
    return [
        Row("30 days of verdicts", "false alarms, share of those without", after.in_vain / plain.in_vain, 0.5,
            upwards=False, beside={"without verdicts": 1.0}),
        Row("30 days of verdicts", "recall lost, points of %", float(recall[0] - recall[1]), 2.0,
            upwards=False, beside={"recall without verdicts, %": float(recall[0])}),
    ]  # fmt: skip


def _hours(values: npt.NDArray[np.float64]) -> Iterator[tuple[int, Batch]]:
    machines, minutes = values.shape
    for start in range(0, minutes, 60):
        times = _START_US + np.arange(start, start + 60) * MINUTE_US
        stream = np.repeat(np.arange(machines), 60)
        yield start + 60, Batch.of(np.tile(times, machines), stream, values[:, start : start + 60].ravel())
