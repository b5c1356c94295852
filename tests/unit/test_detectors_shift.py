"""Lasting shifts of one stream."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import shift_scores, spans
from scipy.signal import lfilter

from detectors import Shift
from detectors.shift_spans import SPELL, Columns, Settings, close_spell, coded, limit_of
from telemetry import Batch, Stream

START_US = 1_763_740_800_000_000
STREAM = Stream(1, 1, "acme", "pump", "flow", "flow", "m3/h")


def scored(detector: Shift, values: np.ndarray, times_s: np.ndarray | None = None) -> np.ndarray:
    detector.watch([STREAM])
    seconds = np.arange(len(values)) if times_s is None else times_s
    times = START_US + np.round(seconds * 1e6).astype(np.int64)
    return detector.score(Batch.of(times, np.ones(len(values), int), values), 0).score


def noise(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=rows)


@given(seed=st.integers(0, 10_000), step=st.floats(-4, 4), at=st.integers(450, 800))
@settings(max_examples=25)
def test_scores_are_those_of_the_slow_version(seed: int, step: float, at: int) -> None:
    values = noise(2000, seed)
    values[at : at + 60] += step
    got = scored(Shift(), values)
    means = list(spans([(START_US + row * 1_000_000, float(values[row])) for row in range(15, 2000)], 5_000_000))
    expected = np.array(shift_scores(means, 75, 7.5, 1.5, 5.0))
    spoken = expected[~np.isnan(expected)]
    changes = got[np.concatenate(([True], got[1:] != got[:-1])) & ~np.isnan(got)]
    np.testing.assert_allclose(changes, spoken[np.concatenate(([True], np.diff(spoken) != 0))], rtol=1e-9)


def test_health_is_quiet() -> None:
    worst = [np.nanmax(scored(Shift(), noise(20_000, seed))) for seed in range(5)]
    assert max(worst) < 1.0


def test_a_lasting_step_is_seen_within_half_a_minute_and_stays() -> None:
    values = noise(3000)
    values[1000:] += 3.0
    score = scored(Shift(), values)
    first = np.flatnonzero(score >= 1.0)[0]
    assert 1000 < first <= 1035
    assert (score[first + 30 :] >= 1.0).all()


def test_it_ends_when_the_level_returns() -> None:
    values = noise(3000)
    values[1000:2000] += 3.0
    assert np.nanmax(scored(Shift(), values)[2040:]) < 1.0


@pytest.mark.parametrize("width", [1, 5])
def test_a_spike_is_no_shift(width: int) -> None:
    values = noise(2000)
    values[1000 : 1000 + width] += 500.0
    assert np.nanmax(scored(Shift(), values)) < 1.0


def test_a_gap_is_no_shift() -> None:
    times_s = np.arange(2000.0)
    times_s[1000:] += 3600
    assert np.nanmax(scored(Shift(), noise(2000), times_s)) < 1.0


def test_slow_drift_is_no_shift() -> None:
    values = noise(20_000) * 0.1 + np.arange(20_000) * 0.001
    assert np.nanmax(scored(Shift(), values)) < 1.0


def test_stronger_scatter_is_seen() -> None:
    values = noise(2000)
    values[1000:1600] *= 12.0
    score = scored(Shift(), values)
    assert np.flatnonzero(score >= 1.0)[0] < 1060


def test_a_start_up_within_learning_is_learnt_afresh() -> None:
    values = noise(3000)
    values[:200] += 50.0
    score = scored(Shift(), values)
    assert np.isnan(score[:500]).all()
    assert not np.isnan(score[700:]).any()
    assert np.nanmax(score) < 1.0


def test_a_new_normal_is_accepted_after_a_long_time() -> None:
    values = noise(6000)
    values[1000:] += 5.0
    score = scored(Shift(accept_s=3000.0), values)
    assert (score[1050:3900] >= 1.0).all()
    assert np.nanmax(score[4200:]) < 1.0


def test_what_comes_and_goes_is_a_habit_after_some_times() -> None:
    values = noise(8000)
    for begin in range(1000, 8000, 1000):
        values[begin : begin + 200] += 6.0
    score = scored(Shift(), values)
    for begin in (1000, 2000, 3000):
        assert np.nanmax(score[begin : begin + 250]) >= 1.0
    assert np.nanmax(score[4000:]) < 1.0


@pytest.mark.parametrize("interval_s", [0.1, 1.0, 60.0, 3600.0])
def test_windows_follow_the_streams_own_interval(interval_s: float) -> None:
    rows = 12_000 if interval_s < 1 else 1500
    values = noise(rows)
    values[2 * rows // 3 :] += 4.0
    score = scored(Shift(), values, np.arange(rows) * interval_s)
    first = np.flatnonzero(score >= 1.0)[0]
    assert 2 * rows // 3 < first < 2 * rows // 3 + max(36, 36 / interval_s)


def test_a_stream_that_has_never_varied_gets_no_opinion() -> None:
    values = np.full(1000, 32.0)
    values[900:] = 35.0
    assert np.isnan(scored(Shift(), values)[:900]).all()


def test_evidence_gives_level_baseline_and_beginning() -> None:
    values = noise(1500) + 100.0
    values[1000:] += 5.0
    detector = Shift()
    scored(detector, values)
    evidence = detector.explain(1)
    assert evidence.observed == pytest.approx(105.0, abs=0.7)
    assert evidence.expected == pytest.approx(100.0, abs=0.7)
    assert evidence.low < evidence.expected < evidence.high < evidence.observed
    assert 1000 < (evidence.since_us - START_US) / 1e6 < 1036


def alarms(score: np.ndarray) -> int:
    hot = score >= 1.0
    return int(np.count_nonzero(hot & ~np.concatenate(([False], hot[:-1]))))


def bursts(rows: int, seed: int) -> np.ndarray:
    """Health with short bursts of very different height, such as peaks of vibration have them."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=rows)
    for start in rng.integers(0, rows - 60, size=rows // 400):
        values[start : start + 40] += rng.exponential(3.0)
    return values


def test_a_stream_of_bursts_is_allowed_no_more_alarms_than_others() -> None:
    def raised(**asked: float) -> int:
        return sum(alarms(scored(Shift(**asked), bursts(10_000, seed))) for seed in range(6))

    uncalibrated, live, recorded = raised(widest=1.0), raised(widest=2.0), raised(false_alarm_rate=0.0005)
    assert uncalibrated > 15
    assert live <= 0.85 * uncalibrated
    assert recorded <= uncalibrated / 2


def test_a_calibrated_limit_still_sees_a_lasting_step_and_a_repaired_fault_again() -> None:
    values = noise(9000)
    values[3000:4000] += 8.0
    values[8000:] += 8.0
    score = scored(Shift(false_alarm_rate=0.0005), values)
    assert (score[3100:3900] >= 1.0).all()
    assert np.nanmax(score[4100:7900]) < 1.0
    assert (score[8100:8900] >= 1.0).all()


def test_what_came_while_the_machine_was_known_to_be_well_is_no_alarm_when_it_comes_again() -> None:
    values = noise(8000)
    values[1000:1400] += 20.0
    values[5000:5400] += 20.0
    once = scored(Shift(), values)
    known = scored(Shift(learn_until_us=START_US + 2000 * 1_000_000), values)
    assert np.nanmax(once[5000:5400]) >= 1.0
    assert np.nanmax(known[2000:]) < 1.0


def restless(seed: int = 0) -> np.ndarray:
    """Health whose level wanders off for a minute now and then, nearly as far as the usual limit."""
    values = noise(12_000, seed)
    for number, start in enumerate(range(900, 9000, 300)):
        values[start : start + 60] += 2.0 + number % 5 / 4
    return values


def width(detector: Shift) -> float:
    """Of the band in which the level may be."""
    evidence = detector.explain(STREAM.id)
    return evidence.high - evidence.low


def test_a_restless_stream_has_a_wider_limit_but_no_more_than_twofold() -> None:
    widened, usual, quiet = Shift(), Shift(widest=1.0), Shift()
    values = restless()
    for detector, heard in ((widened, values), (usual, values), (quiet, noise(12_000))):
        scored(detector, heard[:9000])
    assert 1.2 * width(usual) < width(widened) <= 2.1 * width(usual)
    assert width(quiet) < width(usual)


def test_what_is_unlike_all_its_restlessness_is_seen_in_a_restless_stream_too() -> None:
    values = restless()
    values[10_000:] += 20.0
    score = scored(Shift(), values)
    assert (score[10_050:11_900] >= 1.0).all()


def test_a_fault_that_stands_widens_no_limit() -> None:
    values = noise(8000, 3)
    values[5000:] += 6.0
    values[5000:] += 2.0 * np.sin(np.arange(3000) / 50.0)
    detector = Shift()
    assert scored(detector, values[:5100])[-1] >= 1.0
    begun = width(detector)
    later = Batch.of(START_US + np.arange(5100, 8000) * 1_000_000, np.ones(2900, int), values[5100:])
    assert (detector.score(later, 0).score >= 1.0).all()
    assert width(detector) == begun


def test_a_fault_that_was_repaired_is_seen_when_it_comes_again() -> None:
    values = noise(14_000, 4)
    for begin in (4000, 8000, 12_000):
        values[begin : begin + 1000] += 8.0
    score = scored(Shift(), values)
    for begin in (4000, 8000):
        assert (score[begin + 50 : begin + 950] >= 1.0).all()


# The tail ---------------------------------------------------------------------------------------------------------

Draw = Callable[[np.random.Generator, int], np.ndarray]


def wandering(rng: np.random.Generator, rows: int) -> np.ndarray:
    phi = 0.95
    return np.abs(lfilter([1.0], [1.0, -phi], rng.normal(size=rows + 500) * np.sqrt(1 - phi**2))[500:])


PROCESSES: dict[str, Draw] = {
    "gaussian": lambda rng, rows: np.abs(rng.normal(size=rows)),
    "heavy-tailed": lambda rng, rows: np.abs(rng.standard_t(3, size=rows)),
    "wandering": wandering,
    "seasonal": lambda rng, rows: np.abs(rng.normal(size=rows)) * (1 + 0.8 * np.sin(np.arange(rows) * np.pi / 100)),
}


def noted(tops: np.ndarray, settings: Settings, allowed: float) -> Columns:
    """What a stream remembers whose spells went so far."""
    detector = Shift()
    detector.watch([STREAM])
    memory = detector._memory
    columns = memory.columns(Columns)
    for top in tops:
        memory["spans"][0] += SPELL
        memory["near"][0, 2] = coded(top)
        close_spell(columns, settings, 0, allowed)
    return columns


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize(("spells", "budget", "at_most"), [(300, 3000, 5.0), (2000, 500, 1.6)])
def test_alarms_in_time_stay_within_their_budget(process: str, spells: int, budget: int, at_most: float) -> None:
    """Also ten times as far ahead as was seen, as live."""
    rng, draw = np.random.default_rng(8), PROCESSES[process]
    settings = Shift(false_alarm_rate=1.0 / budget)._settings._replace(least_level=0.0)
    alarms = []
    for _ in range(20):
        past = draw(rng, spells * SPELL)
        unit = float(np.quantile(past, 0.99))
        tops = past.reshape(-1, SPELL).max(axis=1) / unit
        limit = unit * limit_of(noted(tops, settings, budget), settings, 0)
        hot = (draw(rng, 20_000 * SPELL) > limit).reshape(-1, SPELL).any(axis=1)
        alarms.append(np.count_nonzero(hot & ~np.concatenate(([False], hot[:-1]))))
    assert np.mean(alarms) * budget / 20_000 <= at_most


def test_an_excursion_over_several_spells_is_one_peak() -> None:
    tops = np.full(20, 0.2)
    tops[5:9] = 0.9
    columns = noted(tops, Shift()._settings, 1e4)
    assert np.count_nonzero(columns.tops[0] > columns.tops[0].max() - 5) == 1
