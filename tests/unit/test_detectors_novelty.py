"""What a stream never did in the last week."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import novelty_scores

from detectors import tails
from detectors.composed import having_a_say
from detectors.memory import Memory
from detectors.novelty import Novelty, nearest_stretch
from detectors.offline import detect
from detectors.recordings import Recording
from telemetry import Batch, Stream

START_US = 1_763_683_200_000_000
STREAM = Stream(1, 1, "acme", "pump", "flow", "flow", "m3/h")
A_DAY = 288
# What a page holds and a score is remembered in single precision: some roundings of a number about 1, and more of them
# in another unit, where pages are rounded elsewhere.
ROUNDED = 16 * np.finfo(np.float32).eps


def scored(values: np.ndarray, minutes: float = 5.0, missing: slice | None = None) -> np.ndarray:
    detector = Novelty(limit=4.0)
    detector.watch([STREAM])
    times = START_US + np.round(np.arange(len(values)) * minutes * 60e6).astype(np.int64)
    keep = np.ones(len(values), bool)
    if missing is not None:
        keep[missing] = False
    score = np.full(len(values), np.nan)
    score[keep] = detector.score(Batch.of(times[keep], np.ones(keep.sum(), int), values[keep]), 0).score
    return score


def days(count: float, seed: int = 0, a_day: int = A_DAY) -> np.ndarray:
    """A machine that runs from eight to four."""
    rng = np.random.default_rng(seed)
    hour = np.arange(int(count * a_day)) % a_day / a_day * 24
    return np.where((hour >= 8) & (hour < 16), 60.0, 20.0) + rng.normal(size=len(hour))


@given(seed=st.integers(0, 10_000), steps=st.booleans())
@settings(max_examples=4)
def test_scores_are_those_of_the_slow_version(seed: int, steps: bool) -> None:
    rng = np.random.default_rng(seed)
    values = days(3, seed) + (rng.normal(size=3 * A_DAY).cumsum() if steps else 0.0)
    values[700:720] += 50.0 * rng.normal()
    got = scored(values)
    # The interval is known with the sixteenth reading; a span is scored when the next one begins.
    expected = np.array(novelty_scores(values[15:].tolist(), first_span=START_US // 300_000_000 + 15))
    np.testing.assert_allclose(got[16:], expected[:-1], rtol=ROUNDED, atol=ROUNDED)


def test_the_machines_own_rhythm_is_quiet() -> None:
    alarms = [int((scored(days(21, seed)) >= 1.0).sum()) for seed in range(2)]
    assert sum(alarms) <= 4


def test_a_value_of_the_day_is_novel_by_night() -> None:
    values = days(12)
    at = 10 * A_DAY + 30
    values[at : at + 6] = 60.0
    score = scored(values)
    assert (np.flatnonzero(score[at - 100 :] >= 1.0)[0] + at - 100) in (at + 1, at + 2)


def test_a_day_off_is_novel() -> None:
    values = days(12)
    values[10 * A_DAY : 11 * A_DAY] = 20.0
    score = scored(values)
    morning = 10 * A_DAY + 8 * 12
    assert (score[morning : morning + 24] >= 1.0).any()


def test_what_is_novel_is_said_once() -> None:
    values = days(14)
    values[10 * A_DAY :] += 30.0
    score = scored(values)[10 * A_DAY :]
    assert (score[:6] >= 1.0).any()
    assert (score[:A_DAY] >= 1.0).sum() <= 3


def test_silent_until_there_is_a_yesterday() -> None:
    score = scored(days(3))
    assert np.isnan(score[: A_DAY + 15]).all()
    assert not np.isnan(score[A_DAY + 70 :]).any()


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_no_unit_matters(unit: float) -> None:
    values = days(9)
    values[2000:2010] += 9.0
    np.testing.assert_allclose(scored(values * unit), scored(values), rtol=2 * ROUNDED, atol=2 * ROUNDED)


def test_a_gap_of_a_day_hides_nothing() -> None:
    values = days(12)
    at = 11 * A_DAY + 30
    values[at : at + 6] = 60.0
    score = scored(values, missing=slice(9 * A_DAY, 10 * A_DAY + 7))
    assert (score[at : at + 3] >= 1.0).any()
    assert (score[10 * A_DAY :] >= 1.0).sum() <= 3


def test_fast_streams_are_averaged_and_slow_ones_taken_as_they_are() -> None:
    fast = np.repeat(days(4), 5)
    fast[5 * (3 * A_DAY + 30) :][:30] += 30.0
    assert (scored(fast, minutes=1.0)[5 * (3 * A_DAY + 30) :][:40] >= 1.0).any()
    hourly = days(30, a_day=24)
    hourly[28 * 24 + 2] = 60.0
    score = scored(hourly, minutes=60.0)
    assert score[28 * 24 + 3] >= 1.0
    assert (score[: 28 * 24] >= 1.0).sum() <= 2


def test_the_evidence_is_yesterdays_value_and_its_band() -> None:
    detector = Novelty(limit=4.0)
    detector.watch([STREAM])
    values = days(10)
    values[-2:] = 60.0
    times = START_US + np.arange(len(values)) * 300_000_000
    detector.score(Batch.of(times, np.ones(len(values), int), values), 0)
    evidence = detector.explain(1)
    assert evidence.observed == 60.0
    assert evidence.expected == pytest.approx(20.0, abs=1.0)
    assert 12.0 < evidence.low < 19.0 < evidence.high < 30.0


def test_the_nearest_stretch_is_never_the_stretch_itself() -> None:
    rng = np.random.default_rng(3)
    pages = rng.normal(size=(2, 40))
    pages[1, 20:23] = pages[1, :3]
    got = nearest_stretch(pages)
    for number, width in enumerate((3, 6, 12)):
        ages = range(width, 40 - width + 1)
        each = [math.dist(pages[0, :width], pages[0, age : age + width]) for age in ages]
        assert got[number, 0] == pytest.approx(min(each))
    assert got[0, 1] == 0.0
    assert np.isnan(nearest_stretch(np.full((1, 40), np.nan))).all()


def test_rarities_are_decades() -> None:
    rng = np.random.default_rng(0)
    memory = Memory("test 1", tails.empty(2))
    memory.add([0])
    row = np.zeros(1, np.intp)
    said = [tails.decades(memory, row, 1, x, 50, 4000)[0] for x in rng.exponential(size=(20_000, 1))]
    assert said[:50] == [0.0] * 50
    for rarity, share in ((2, 1e-2), (3, 1e-3)):
        assert share / 2 < np.mean(np.array(said[2000:]) > rarity) < share * 2
    level = tails.reach(memory, 0, 1, 3.0)
    assert level == pytest.approx(np.log(1000), rel=0.25)
    assert (memory["tail_n"][0, 0], tails.decades(memory, row, 0, np.array([np.nan]), 50, 4000)[0]) == (0, 0)


def test_a_recording_of_one_slow_channel_is_a_matter_of_novelty_alone() -> None:
    values = days(12)
    values[10 * A_DAY + 30 :][:6] = 60.0
    time_us = START_US + np.arange(len(values)) * 300_000_000
    alone = Recording(time_us, tuple(map(str, time_us)), ("load",), values[:, None])
    said = detect(alone, train_rows=4 * A_DAY)
    np.testing.assert_array_equal(said.score, np.nan_to_num(scored(values)))
    assert said.alarm[10 * A_DAY + 30 :][:3].any()
    twice = Recording(time_us, alone.time_text, ("load", "heat"), np.column_stack((values, values)))
    assert "novelty" not in having_a_say(twice, time_us, 1.0, 0.0)


def test_a_diary_begins_when_its_stream_is_known_to_be_slow() -> None:
    streams = [Stream(number, 1, "acme", "pump", str(number), "flow", "m3/h") for number in (1, 2, 3)]
    # The first reports every ten minutes, the second every five, the third each second: its interval is known first.
    each = [(number, START_US + np.arange(60) * step_us) for number, step_us in ((1, 600e6), (2, 300e6), (3, 1e6))]
    times = np.concatenate([at for _, at in each]).astype(np.int64)
    batch = Batch.of(times, np.repeat([1, 2, 3], 60), np.sin(times / 1e9))
    whole, cut = Novelty(), Novelty()
    for detector in (whole, cut):
        detector.watch(streams)
    whole.score(batch, 0)
    for low_us in range(START_US, START_US + 36_000_000_000, 600_000_000):
        cut.score(batch.where((batch.time_us >= low_us) & (batch.time_us < low_us + 600_000_000)), 0)
    one, other = whole.snapshot(), cut.snapshot()
    assert one["diary_subject"].tolist() == [1, 2]
    for name, column in one.items():
        np.testing.assert_array_equal(column, other[name], err_msg=name)
    again = Novelty()
    again.watch(streams)
    again.restore(one)
    np.testing.assert_array_equal(again.snapshot()["diary_diary"], one["diary_diary"])
    assert np.isnan(again.explain(3).expected)
