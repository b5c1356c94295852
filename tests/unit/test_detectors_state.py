"""What detectors remember of each stream, in bytes, by their layouts: a fleet is many streams.

What a stream's owner says (limits) is not remembered but asked for again.
"""

from __future__ import annotations

import numpy as np
import pytest

from detectors import DETECTORS, Detector, Drift, Limit, Limits, Novelty, Scope
from telemetry import Batch, Stream

STREAMS, READINGS, OF_A_MACHINE = 32, 60, 8
START_US = 1_763_740_800_000_000
# From readings by the tenth of a second to one in ten minutes; a diary is kept from a minute on.
FAST_S, SLOW_S = (0.1, 1.0), (60.0, 600.0)
# Drift's levels while it learns: the first eight days of a stream.
LEARNING_BYTES = 68
# The gaps by which an interval is found: the first sixteen readings.
GAPS_BYTES = 73


def streams_of(count: int) -> list[Stream]:
    return [Stream(n, n // OF_A_MACHINE, "acme", "pump", str(n), "unknown", "") for n in range(count)]


def readings(count: int, interval_s: float, rows: int = READINGS, since_us: int = START_US) -> Batch:
    times = since_us + (np.arange(rows) * interval_s * 1e6).astype(np.int64)
    values = np.random.default_rng(0).normal(size=count * rows)
    return Batch.of(np.tile(times, count), np.repeat(np.arange(count), rows), values)


def made(rate_per_min: float | None = None) -> dict[str, Detector]:
    limit = Limit(hi=5.0, rate_per_min=rate_per_min)
    return {name: Limits(lambda stream: limit) if kind is Limits else kind() for name, kind in DETECTORS.items()}


def remembered(detector: Detector, batch: Batch, count: int) -> float:
    """Bytes of each stream once the batch was scored."""
    detector.watch(streams_of(count))
    detector.score(batch, int(batch.time_us.max()))
    return sum(column.nbytes for column in detector.snapshot().values() if column.ndim) / count


@pytest.mark.parametrize("interval_s", [*FAST_S, *SLOW_S])
def test_a_stream_is_remembered_in_a_kilobyte(interval_s: float) -> None:
    batch = readings(STREAMS, interval_s)
    of_streams = {name: each for name, each in made().items() if each.scope is Scope.STREAM}
    # As after eight days: its baseline is learnt from forty-eight readings.
    of_streams["drift"] = Drift(learn_s=interval_s * READINGS / 2)
    held = {name: remembered(each, batch, STREAMS) for name, each in of_streams.items()}
    assert sum(held.values()) <= 1024, held
    if interval_s in FAST_S:
        assert sum(held.values()) <= 640, held


def test_a_rate_that_is_limited_is_remembered_beside() -> None:
    batch = readings(STREAMS, 1.0)
    with_rate, without = (remembered(made(rate)["limits"], batch, STREAMS) for rate in (8.0, None))
    assert with_rate - without <= 160


def test_a_machine_of_eight_points_is_remembered_in_twenty_kilobytes() -> None:
    """What knows a machine as a whole; its presence is remembered point by point."""
    batch = readings(OF_A_MACHINE, 1.0, 600)
    of_machines = {name: each for name, each in made().items() if each.scope is Scope.MACHINE}
    held = {name: OF_A_MACHINE * remembered(each, batch, OF_A_MACHINE) for name, each in of_machines.items()}
    assert held["silence"] <= 150 * OF_A_MACHINE
    assert sum(held.values()) <= 20 * 1024, held


def test_what_is_needed_for_learning_alone_is_given_back() -> None:
    young = remembered(Drift(), readings(STREAMS, 600.0), STREAMS)
    learnt = remembered(Drift(learn_s=12_000.0), readings(STREAMS, 600.0), STREAMS)
    assert young == learnt + LEARNING_BYTES
    for name in ("flatline", "shift", "novelty"):
        fresh = made()[name]
        first = remembered(fresh, readings(STREAMS, 1.0, 8), STREAMS)
        later = remembered(fresh, readings(STREAMS, 1.0, since_us=START_US + 8_000_000), STREAMS)
        assert later == first - GAPS_BYTES, name


def test_a_fast_stream_has_no_diary() -> None:
    fast, slow = (remembered(Novelty(), readings(STREAMS, interval_s), STREAMS) for interval_s in (1.0, 60.0))
    assert fast == 8
    assert slow > 336
