"""Readings a second through the detectors, each alone and all together, on one core.

Three shapes: a fleet (250 machines of 8 points, 50 readings of each in a batch), one machine's backlog (8 points of
1 000 readings in a batch), and a single reading in a batch, in milliseconds. Run from the root:
`python -m bench.detectors`.
"""

from __future__ import annotations

import time

import numpy as np

from detectors import Detector, Drift, Flatline, Limit, Limits, Multivariate, Novelty, Sensors, Shift, Silence
from telemetry import Batch, Stream

POINTS = 8
MACHINES = 250
START_US = 1_763_740_800_000_000
SECOND_US = 1_000_000
# Enough for every detector to be past learning, where it does most.
WARM_UP_S = 450
BATCH_S = 50
ROUNDS = 4
_OF_MACHINES = ("multivariate",)


def run() -> dict[str, float]:
    """Readings a second by detector and for all of them (`fleet_*`, `backlog_*`), and `single_ms` for one reading."""
    figures: dict[str, float] = {}
    fleet, backlog = {}, {}
    single_s = 0.0
    for name, detector in _detectors().items():
        fleet[name] = _fleet(detector)
        figures[f"fleet_{name}"] = MACHINES * POINTS * BATCH_S / fleet[name]
        single_s += _single(detector)
    for name, detector in _detectors().items():
        backlog[name] = _backlog(detector)
        figures[f"backlog_{name}"] = POINTS * 1000 / backlog[name]
    of_streams = sum(seconds for name, seconds in fleet.items() if name not in _OF_MACHINES)
    figures["fleet_of_streams"] = MACHINES * POINTS * BATCH_S / of_streams
    figures["fleet_all"] = MACHINES * POINTS * BATCH_S / sum(fleet.values())
    figures["backlog_all"] = POINTS * 1000 / sum(backlog.values())
    figures["single_ms"] = single_s * 1e3
    return figures


def _detectors() -> dict[str, Detector]:
    limit = Limit(hihi=6.0, hi=5.0, lo=-5.0, lolo=-6.0)
    return {
        "limits": Limits(lambda stream: limit),
        "flatline": Flatline(),
        "sensors": Sensors(),
        "shift": Shift(),
        # A day goes by in the time that others need to warm up.
        "drift": Drift(learn_s=WARM_UP_S / 2),
        "novelty": Novelty(),
        "multivariate": Multivariate(),
        "silence": Silence(),
    }


def _streams(machines: int) -> list[Stream]:
    return [
        Stream(machine * POINTS + point, machine, "bench", str(machine), str(point), "unknown", "")
        for machine in range(machines)
        for point in range(POINTS)
    ]


def _batch(rng: np.random.Generator, machines: int, from_s: int, seconds: int) -> Batch:
    streams = machines * POINTS
    times = START_US + (from_s + np.arange(seconds)) * SECOND_US
    return Batch.of(np.tile(times, streams), np.repeat(np.arange(streams), seconds), rng.normal(size=streams * seconds))


def _fleet(detector: Detector) -> float:
    """Seconds for one batch of the fleet, the best of some."""
    rng = np.random.default_rng(0)
    detector.watch(_streams(MACHINES))
    best = float("inf")
    for second in range(0, WARM_UP_S + ROUNDS * BATCH_S, BATCH_S):
        batch = _batch(rng, MACHINES, second, BATCH_S)
        began = time.perf_counter()
        detector.score(batch, START_US + (second + BATCH_S) * SECOND_US)
        if second >= WARM_UP_S:
            best = min(best, time.perf_counter() - began)
    return best


def _backlog(detector: Detector) -> float:
    """Seconds for one machine's thousand rows."""
    rng = np.random.default_rng(0)
    detector.watch(_streams(1))
    detector.score(_batch(rng, 1, 0, WARM_UP_S), START_US + WARM_UP_S * SECOND_US)
    batch = _batch(rng, 1, WARM_UP_S, 1000)
    began = time.perf_counter()
    detector.score(batch, START_US + (WARM_UP_S + 1000) * SECOND_US)
    return time.perf_counter() - began


def _single(detector: Detector) -> float:
    """Seconds for a batch of one reading, in the midst of the fleet."""
    times = []
    for second in range(1000, 1050):
        at_us = START_US + second * SECOND_US
        batch = Batch.of([at_us], [second % POINTS], [0.0])
        began = time.perf_counter()
        detector.score(batch, at_us)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def main() -> None:
    for name, figure in run().items():
        print(f"{name:24s}{figure:14,.2f}" if name.endswith("_ms") else f"{name:24s}{figure:14,.0f} readings/s")


if __name__ == "__main__":
    main()
