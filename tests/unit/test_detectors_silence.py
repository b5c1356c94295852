"""Machines and points that fall silent."""

from __future__ import annotations

import numpy as np
import pytest

from detectors import Silence
from telemetry import Batch, Stream

START_US = 1_763_740_800_000_000
SECOND_US = 1_000_000
HOUR_S = 3600
STREAMS = [Stream(i, 1, "acme", "pump", f"point-{i}", "unknown", "") for i in range(3)]


class Plant:
    """A machine heard second by second."""

    def __init__(self, detector: Silence | None = None) -> None:
        self.detector = detector or Silence()
        self.detector.watch(STREAMS)

    def hear(self, at_s: float, *, points: tuple[int, ...] = (0, 1, 2), measured_s: np.ndarray | None = None) -> float:
        """Readings of some points arrive, measured at the moment or when said."""
        measured = np.array([at_s]) if measured_s is None else measured_s
        times = START_US + np.round(np.tile(measured, len(points)) * 1e6).astype(np.int64)
        batch = Batch.of(times, np.repeat(points, len(measured)), np.ones(len(times)))
        return float(self.detector.score(batch, START_US + round(at_s * 1e6)).score[0])

    def wait(self, until_s: float) -> float:
        return float(self.detector.score(Batch.empty(), START_US + round(until_s * 1e6)).score[0])


def test_a_machine_heard_every_second_is_silent_after_a_minute() -> None:
    plant = Plant()
    for second in range(100):
        assert not plant.hear(second) >= 1.0
    assert plant.wait(99 + 59) < 1.0
    assert plant.wait(99 + 60) >= 1.0
    assert plant.hear(99 + 90) < 1.0


def test_nothing_is_said_of_a_machine_hardly_ever_heard() -> None:
    plant = Plant()
    assert np.isnan(plant.wait(1_000_000))
    for second in range(5):
        plant.hear(second)
    assert np.isnan(plant.wait(1_000_000))


def test_one_point_that_stops_is_seen_and_named() -> None:
    plant = Plant()
    for second in range(100):
        plant.hear(second)
    for second in range(100, 300):
        score = plant.hear(second, points=(0, 2))
    assert score >= 1.0
    evidence = plant.detector.explain(1)
    assert evidence.point == "point-1"
    assert evidence.contributions == {"point-0": 0.0, "point-1": 1.0, "point-2": 0.0}
    assert evidence.since_us == START_US + 99 * SECOND_US
    assert evidence.observed == 200.0


def test_all_points_share_the_silence_of_a_machine() -> None:
    plant = Plant()
    for second in range(100):
        plant.hear(second)
    plant.wait(1000)
    assert list(plant.detector.explain(1).contributions.values()) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("messages", [1, 30])
def test_a_device_that_sends_an_hour_at_a_time_is_not_silent_in_between(messages: int) -> None:
    """From the second upload on, though it comes in many messages a few milliseconds apart."""
    plant = Plant()
    for hour in range(1, 30):
        measured_s = np.linspace((hour - 1) * HOUR_S, hour * HOUR_S, HOUR_S, endpoint=False)
        for number, part in enumerate(np.split(measured_s, messages)):
            plant.hear(hour * HOUR_S + number * 0.01, measured_s=part)
        later = [plant.wait(hour * HOUR_S + 1 + wait_s) for wait_s in range(0, HOUR_S - 1, 300)]
        if hour > 1:
            assert not any(score >= 1.0 for score in later), hour
    assert plant.wait(29 * HOUR_S + 5 * HOUR_S) >= 1.0


def test_an_outage_is_not_taken_for_a_rhythm() -> None:
    plant = Plant()
    for second in range(200):
        plant.hear(second)
    for second in range(10_000, 10_200):
        plant.hear(second)
    assert plant.wait(10_199 + 60) >= 1.0


def test_a_clock_put_right_does_not_blind_for_ever() -> None:
    plant = Plant()
    for second in range(100):
        plant.hear(second, measured_s=np.array([second + 86_400.0]))
    for second in range(100, 6000):
        plant.hear(second)
    assert plant.wait(5999 + 61) >= 1.0


def test_a_clock_of_the_server_that_goes_back_is_no_silence() -> None:
    plant = Plant()
    for second in range(100):
        plant.hear(second)
    assert plant.wait(50) == 0.0
