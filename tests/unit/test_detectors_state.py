"""What the detectors of streams remember of each, in bytes: a fleet is many streams."""

from __future__ import annotations

import numpy as np
import pytest

from detectors import DETECTORS, Detector, Limit, Limits, Scope
from telemetry import Batch, Stream

STREAMS, READINGS = 32, 40
START_US = 1_763_740_800_000_000


def detectors_of_streams() -> list[Detector]:
    made = [Limits(lambda stream: Limit(hi=5.0)) if kind is Limits else kind() for kind in DETECTORS.values()]
    return [detector for detector in made if detector.scope is Scope.STREAM]


# A slow stream has a diary of seven days: 1.3 KB of the whole.
@pytest.mark.parametrize(("interval_s", "at_most"), [(1, 1024), (300, 2560)])
def test_a_stream_is_remembered_in_little(interval_s: int, at_most: int) -> None:
    streams = [Stream(number, number // 8, "acme", "pump", str(number), "unknown", "") for number in range(STREAMS)]
    times = START_US + np.arange(READINGS) * interval_s * 1_000_000
    values = np.random.default_rng(0).normal(size=STREAMS * READINGS)
    batch = Batch.of(np.tile(times, STREAMS), np.repeat(np.arange(STREAMS), READINGS), values)
    held = 0
    for detector in detectors_of_streams():
        detector.watch(streams)
        detector.score(batch, int(times[-1]))
        held += sum(column.nbytes for column in detector.snapshot().values() if column.ndim)
    assert held / STREAMS <= at_most
