"""What a young machine still lacks, held against what the detectors themselves then say."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
import pytest

from detectors import DETECTORS
from detectors.first_opinions import Heard, needs_s, waiting
from telemetry import Batch, Stream

START_US = 1_763_740_800_000_000
STREAMS = [Stream(n, 1, "acme", "pump", f"point-{n}", "temperature", "degC") for n in range(4)]
NAN, INF = math.nan, math.inf


def first_opinion_s(name: str, interval_s: int, together: int) -> float:
    """When a live detector first says anything of a machine that reports steadily, fed so many rows at a time."""
    detector = DETECTORS[name]()
    detector.watch(STREAMS)
    rng = np.random.default_rng(1)
    for begin in count(0, together):
        times = START_US + np.arange(begin, begin + together) * interval_s * 1_000_000
        values = 60.0 + rng.normal(size=(len(STREAMS), together))
        numbers = np.repeat([stream.id for stream in STREAMS], together)
        scores = detector.score(Batch.of(np.tile(times, len(STREAMS)), numbers, values.ravel()), int(times[-1]))
        said = scores.time_us[~np.isnan(scores.score)]
        if len(said):
            return float(said.min() - START_US) / 1e6
    raise AssertionError


@pytest.mark.parametrize("interval_s", [1, 60, 600])
@pytest.mark.parametrize("name", ["silence", "flatline", "sensors", "shift", "multivariate"])
def test_a_detector_speaks_about_when_it_is_said_to(name: str, interval_s: int) -> None:
    together = 1 if name == "silence" else 20
    assert first_opinion_s(name, interval_s, together) == pytest.approx(needs_s(name, interval_s), rel=0.34)


@pytest.mark.parametrize(("name", "interval_s"), [("drift", 60), ("drift", 3600), ("novelty", 60), ("novelty", 3600)])
def test_so_does_one_that_needs_days(name: str, interval_s: int) -> None:
    assert first_opinion_s(name, interval_s, 86_400 // interval_s) == pytest.approx(needs_s(name, interval_s), rel=0.34)


def test_all_are_spoken_of_but_limits() -> None:
    young = [Heard(name, 60.0, 1.0, 0.0) for name in ("flow", "pressure")]
    assert {each.detector for each in waiting(young, together_known=False)} == set(DETECTORS) - {"limits"}


def test_the_soonest_comes_first_and_what_is_known_not_at_all() -> None:
    for_s = 600.0
    found = waiting([Heard("flow", 1.0, 1.0, for_s), Heard("pressure", 1.0, 1.0, for_s)], together_known=True)
    assert [(each.detector, each.points) for each in found] == [("drift", ("flow", "pressure"))]
    assert found[0].in_s == 8 * 86_400 - for_s
    assert waiting([Heard("flow", 1.0, 1.0, 9 * 86_400.0)], together_known=True) == []


def test_fast_points_are_not_noveltys_business() -> None:
    assert needs_s("novelty", 1.0) == 0.0
    assert needs_s("novelty", 60.0) > 86_400


def test_the_last_of_the_points_decides() -> None:
    found = waiting([Heard("flow", 60.0, 1.0, 100.0), Heard("level", 60.0, 0.1, 3600.0)], together_known=True)
    stuck = next(each for each in found if each.detector == "flatline")
    assert (stuck.points, stuck.in_s) == (("flow", "level"), 30 * 600.0 - 3600.0)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([Heard("flow", 1.0, 1.0, 9e5)], "one point"),
        ([Heard("flow", NAN, 0.0, 9e5), Heard("level", 1.0, 1.0, 9e5)], "heard lately"),
        ([Heard("flow", 1.0, 1.0, 9e5), Heard("level", 1.0, 1.0, 9e5)], "longer than usual"),
    ],
)
def test_where_it_cannot_be_foreseen_it_says_why(points: list[Heard], why: str) -> None:
    found = waiting(points, together_known=False)
    assert [(each.detector, each.in_s) for each in found] == [("multivariate", INF)]
    assert why in found[0].why


def test_a_value_that_does_not_change_has_no_day() -> None:
    found = waiting([Heard("door", 1.0, 0.0, 9e5)], together_known=True)
    assert [(each.detector, each.in_s, each.why) for each in found] == [
        ("flatline", INF, "its value has not changed lately")
    ]
