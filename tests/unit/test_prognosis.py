"""How long a machine has: said of wear that grows, in time and with an honest interval, and of nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import CensoredData, weibull_min

from prognosis.ages import FEWEST_FAILURES, Lives, fails_within
from prognosis.outlook import FEWEST_HOURS, Course, Failure, Fleet, Prognosis, prognose
from prognosis.wear import AHEAD_DAYS, Like, Outlook, index_of, learn, outlook, since_recovery, wear_of

LEVEL = 9.0
FAILED_AT = 50.0 / np.sqrt(LEVEL)
LIKE = learn([FAILED_AT] * 12, [30.0] * 12)
NO_LIVES = Lives(np.empty(0), np.empty(0, bool))


def worn(until_days: float, life_days: float = 40.0, power: float = 1.0, onset: float = 10.0, seed: int = 0):
    """Hourly days and health of a machine whose wear reaches `LEVEL` after its life."""
    days = np.arange(0.0, until_days, 1 / 24)
    rng = np.random.default_rng(seed)
    wear = LEVEL * np.maximum((days - onset) / (life_days - onset), 0.0) ** power
    return days, index_of(wear * np.exp(rng.normal(0, 0.08, len(days))) + np.abs(rng.normal(0, 0.08, len(days))))


def course(days: np.ndarray, measured: np.ndarray, **changes: object) -> Course:
    told = Course(days, measured, ["flow"] * len(days), 0.1, float(days[-1]), False, frozenset())
    return replace(told, **changes)


def said(days: np.ndarray, measured: np.ndarray, like: Like = LIKE) -> Outlook:
    found = outlook(days, measured, like)
    assert found is not None
    return found


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("part", [0.6, 0.8, 0.95])
def test_what_is_left_is_within_the_interval_which_narrows_towards_the_end(power: float, part: float) -> None:
    now = 10.0 + part * 30.0
    found = said(*worn(now, power=power))
    assert found.quantile(0.05) <= 40.0 - now <= found.quantile(0.95)
    if part == 0.95:
        assert found.quantile(0.95) < said(*worn(28.0, power=power)).quantile(0.95)
        assert found.within(30.0) > 0.95


def test_wear_twice_as_slow_has_twice_as_long() -> None:
    days, measured = worn(28.0)
    fast, slow = said(days, measured), said(2 * days, measured, replace(LIKE, days=LIKE.days + np.log(2)))
    assert slow.quantile(0.5) == pytest.approx(2 * fast.quantile(0.5), rel=0.1)


def test_probabilities_rise_and_quantiles_are_their_inverse() -> None:
    found = said(*worn(28.0))
    assert found.failed[0] == 0.0
    assert np.all(np.diff(found.failed) >= 0.0)
    assert found.failed[-1] <= 1.0
    assert [found.within(found.quantile(share)) for share in (0.05, 0.5, 0.9)] == pytest.approx([0.05, 0.5, 0.9])
    assert np.all(np.diff(found.band, axis=1) >= 0.0)
    assert found.band[-1, 1] == pytest.approx(found.level, rel=0.5)


def test_health_in_a_step_or_in_health_or_of_chance_alone_is_no_wear() -> None:
    days, well = worn(30.0, onset=1e9, life_days=2e9)
    rng = np.random.default_rng(3)
    assert outlook(days, well) is None
    raised = 0
    for _ in range(20):
        chance = np.exp(0.1 * rng.normal(size=len(days)))
        step = np.where(days > 20.0, 3.0, 0.0) + np.abs(rng.normal(0, 0.15, len(days)))
        for wear in (step, np.full(len(days), 3.0), 8.0 - 0.2 * days):
            raised += outlook(days, index_of(wear * chance)) is not None
    assert raised <= 2  # chance makes a trend, now and then
    assert outlook(days[:5], well[:5]) is None


def test_hours_to_come_do_not_change_what_was_said() -> None:
    days, measured = worn(38.0)
    part = days <= 25.0
    before = said(days[part], measured[part]).failed
    measured[~part] = 1.0
    np.testing.assert_array_equal(said(days[part], measured[part]).failed, before)


def test_gaps_do_not_matter_much() -> None:
    days, measured = worn(30.0)
    there = np.random.default_rng(1).uniform(size=len(days)) < 0.4
    assert said(days[there], measured[there]).quantile(0.5) == pytest.approx(
        said(days, measured).quantile(0.5), rel=0.35
    )


def test_wear_and_health_are_each_other() -> None:
    health = np.array([100.0, 80.0, 50.0, 25.0, 5.0])
    np.testing.assert_allclose(wear_of(health), [0.0, 0.4, 1.0, 4.0, 100.0])
    np.testing.assert_allclose(index_of(wear_of(health)), health)


def test_failures_teach_where_their_like_fail_and_how_surely() -> None:
    few, many = learn([20.0] * 2, [10.0] * 2), learn([20.0] * 40, [10.0] * 40)
    assert Like().level_spread > few.level_spread > many.level_spread
    assert np.exp(many.level) == pytest.approx((50 / 20) ** 2, rel=0.1)
    assert learn([], []) == Like()
    assert learn([], [], many) == many


def test_a_repair_that_nobody_told_of_begins_anew() -> None:
    ill, well = np.full(40, 30.0), np.full(60, 97.0)
    assert since_recovery(np.concatenate([well, ill, well])) == pytest.approx(100, abs=3)
    assert since_recovery(np.concatenate([well, ill])) == 0
    assert since_recovery(well) == 0


def prognosed(told: Course, failures: int = 0, lives: Lives = NO_LIVES) -> Prognosis:
    return prognose(told, Fleet([Failure(FAILED_AT, 30.0, "flow")] * failures, lives))


def test_it_says_why_it_says_nothing() -> None:
    days, measured = worn(28.0)
    worn_course = course(days, measured)
    assert prognosed(worn_course).abstains == ""
    assert "stood still for 5 days" in prognosed(replace(worn_course, stands_days=5.0)).abstains
    young = course(days[-20:], measured[-20:])
    assert f"run for 20 hours since it was known: {FEWEST_HOURS}" in prognosed(young).abstains
    assert "since it was repaired" in prognosed(replace(young, repaired=True)).abstains
    assert "sensor flow" in prognosed(replace(worn_course, distrusted=frozenset({"flow"}))).abstains
    assert prognosed(replace(worn_course, distrusted=frozenset({"speed"}))).abstains == ""
    assert prognosed(course(*worn(30.0, onset=1e9, life_days=2e9))).abstains == "no wear is seen"
    nothing = prognosed(course(*worn(30.0, onset=1e9, life_days=2e9)))
    assert (nothing.life, nothing.p_fail, nothing.by_wear) == (None, None, None)


def test_failures_of_its_like_by_the_same_point_narrow_the_interval() -> None:
    told = course(*worn(28.0))
    alone, among = prognosed(told), prognosed(told, failures=15)
    assert alone.failures == 0
    assert among.failures == 15
    assert alone.life is not None
    assert among.life is not None

    def width(life: Outlook) -> float:
        return np.log(life.quantile(0.95) / life.quantile(0.05))

    assert width(among.life) < 0.8 * width(alone.life)


def test_age_counts_where_no_wear_is_seen_and_beside_it_for_what_wear_does_not_tell() -> None:
    lives = Lives(np.full(20, 100.0), np.ones(20, bool))
    well = course(*worn(30.0, onset=1e9, life_days=2e9), age_days=90.0)
    assert prognosed(well, lives=lives).p_fail == fails_within(lives, 90.0, 30.0)
    told = course(*worn(28.0), age_days=90.0)
    sudden, gradual = Failure(97.0, 1.0, "flow"), Failure(FAILED_AT, 30.0, "flow")
    often, seldom = (prognose(told, Fleet([one] * 20, lives)) for one in (sudden, gradual))
    assert often.by_age is not None
    assert seldom.by_age is not None
    assert often.by_age > 5 * seldom.by_age
    assert seldom.by_wear is not None
    assert seldom.p_fail == pytest.approx(1 - (1 - seldom.by_wear) * (1 - seldom.by_age))


def test_too_few_failures_say_nothing_of_age() -> None:
    days = np.linspace(50.0, 400.0, 30)
    failed = np.arange(30) < FEWEST_FAILURES
    assert fails_within(Lives(days, failed), 10.0, 30.0) is not None
    assert fails_within(Lives(days, np.arange(30) < FEWEST_FAILURES - 1), 10.0, 30.0) is None
    assert fails_within(NO_LIVES, 10.0, 30.0) is None


@pytest.mark.parametrize("shape", [0.8, 1.0, 3.0])
def test_with_many_lives_age_says_what_a_weibull_fit_with_censoring_says(shape: float) -> None:
    rng = np.random.default_rng(7)
    whole, seen = 200.0 * rng.weibull(shape, 800), rng.uniform(50.0, 400.0, 800)
    lives = Lives(np.minimum(whole, seen), whole <= seen)
    fitted = weibull_min.fit(CensoredData.right_censored(lives.days, ~lives.failed), floc=0)
    for age in (0.0, 60.0, 180.0):
        survives = weibull_min.sf(age + 30.0, *fitted) / weibull_min.sf(age, *fitted)
        assert fails_within(lives, age, 30.0) == pytest.approx(1 - survives, abs=0.02)


def test_the_days_ahead_reach_from_half_an_hour_to_ten_years() -> None:
    assert AHEAD_DAYS[1] < 1 / 24
    assert AHEAD_DAYS[-1] == 3650.0
