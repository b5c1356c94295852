"""The parts of remaining life: trajectories, regimes, windows, survival, calibration, figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import window_mean

from prognosis.life import Trajectories, accuracy, of_table, read
from prognosis.life.conformal import LEVELS, calibrate
from prognosis.life.features import Windows
from prognosis.life.regimes import find_regimes
from prognosis.life.survival import Weibull, fit_weibull, product_limit


def table(text: str, folder: Path) -> Path:
    path = folder / "fleet.csv"
    path.write_text(text)
    return path


# Trajectories ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "unit,cycle,heat\nb,2,5\na,1,3\nb,1,4\na,2,\n",
        "unit;cycle;heat\nb;2;5,0\na;1;3,0\nb;1;4,0\na;2;\n",
        "unit cycle heat\nb 2 5\na 1 3 \nb 1 4\na 2 x\n",
    ],
)
def test_a_table_is_read_whatever_separates_it(text: str, tmp_path: Path) -> None:
    found = read(table(text, tmp_path), unit="unit", cycle="cycle")
    assert found.units == ("b", "a")
    assert found.unit.tolist() == [0, 0, 1, 1]
    assert found.cycle.tolist() == [1, 2, 1, 2]
    np.testing.assert_array_equal(found.values[:, 0], [4, 5, 3, np.nan])
    assert found.left.tolist() == [1, 0, 1, 0]


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    found = read(table("1 1 0.5 \n1 2 0.6 \n2 1 0.4 \n", tmp_path), unit="c1", cycle="c2")
    assert found.units == ("1", "2")
    assert found.channels == ("c3",)
    assert len(found) == 3


def test_an_age_may_be_a_time() -> None:
    frame = pd.DataFrame({"unit": ["a", "a", "b"], "at": ["2025-03-01", "2025-03-11", "2025-04-01"], "heat": [1, 2, 3]})
    assert of_table(frame, unit="unit", cycle="at").cycle.tolist() == [0, 10, 0]


def test_who_still_runs_is_said_at_the_last_row() -> None:
    frame = pd.DataFrame({"u": [1, 1, 2, 2], "c": [1, 2, 1, 2], "over": [0, 1, 0, 0], "x": [1, 2, 3, 4]})
    found = of_table(frame, unit="u", cycle="c", event="over")
    assert found.failed.tolist() == [True, False]
    assert found.channels == ("x",)


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"fleet.csv: no column hours; there are unit, cycle"):
        read(table("unit,cycle\na,1\n", tmp_path), unit="unit", cycle="hours")


# Regimes --------------------------------------------------------------------------------------------------------------


def test_a_reading_that_wears_is_no_setting() -> None:
    rng = np.random.default_rng(0)
    left = np.tile(np.arange(99, -1, -1.0), 20)
    steps = np.floor((100 - left) / 26)  # four groups, wide apart, each a stage of wear
    values = np.column_stack([steps, steps * 2 + rng.normal(size=2000) * 0.1, rng.normal(size=2000)])
    assert len(find_regimes(values, left).columns) == 0


def test_rounded_noise_is_no_setting() -> None:
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.integers(0, 12, 2000), rng.normal(size=(2000, 3))])
    assert len(find_regimes(values, rng.permutation(2000) * 1.0).columns) == 0


def test_two_settings_make_a_regime_each_combination() -> None:
    rng = np.random.default_rng(0)
    speed, load = rng.integers(0, 3, 3000) * 500.0, rng.integers(0, 2, 3000) * 1.0
    seen = speed + load * 300 + speed * load
    values = np.column_stack([speed, load, seen + rng.normal(size=3000) * 90, -seen + rng.normal(size=3000) * 90])
    regimes = find_regimes(values, rng.permutation(3000) * 1.0)
    assert sorted(regimes.columns) == [0, 1]
    assert len(regimes.codes) == 6
    strange = regimes.label(np.array([[500.0, 0, 0, 0], [740.0, 0, 0, 0], [np.nan, 0, 0, 0]]))
    assert strange[0] >= 0
    assert strange[1:].tolist() == [-1, -1]


# Windows --------------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 40.0))
def test_windows_are_those_of_the_obvious_loop(seed: int, width: float) -> None:
    rng = np.random.default_rng(seed)
    unit = np.sort(rng.integers(0, 4, 40))
    _, unit = np.unique(unit, return_inverse=True)
    cycle = np.concatenate([np.sort(rng.integers(0, 60, int(rows))) for rows in np.bincount(unit)]).astype(float)
    values = rng.normal(size=(40, 2))
    fleet = Trajectories(tuple("abcd"[: unit[-1] + 1]), np.ones(unit[-1] + 1, bool), unit, cycle, ("x", "y"), values)
    np.testing.assert_allclose(Windows(fleet).mean(values, width), window_mean(unit, cycle, values, width), atol=1e-9)


def test_a_slope_is_found_and_drawn_to_none_where_there_is_little() -> None:
    cycle = np.arange(200.0)
    fleet = Trajectories(("a",), np.ones(1, bool), np.zeros(200, np.intp), cycle, ("x",), (3 * cycle)[:, None])
    slope = Windows(fleet).slope(fleet.values, 50.0)[:, 0]
    assert slope[0] == 0
    assert 0 < slope[5] < 1.5
    assert slope[-1] == pytest.approx(3 / 1.1, rel=0.01)


# Survival -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "scale"), [(1.0, 50.0), (3.5, 200.0)])
def test_a_weibull_is_found_though_most_still_run(shape: float, scale: float) -> None:
    rng = np.random.default_rng(0)
    life, until = scale * rng.weibull(shape, 5000), rng.uniform(0, 1.5 * scale, 5000)
    found = fit_weibull(np.minimum(life, until), life <= until)
    assert found.shape == pytest.approx(shape, rel=0.07)
    assert found.scale == pytest.approx(scale, rel=0.05)
    dropped = fit_weibull(life[life <= until], np.ones((life <= until).sum(), bool))
    assert dropped.median < 0.9 * found.median


def test_what_a_weibull_leaves_is_what_is_left() -> None:
    rng = np.random.default_rng(0)
    life = 100 * rng.weibull(2.5, 400_000)
    weibull = Weibull(2.5, 100.0)
    for age in (0.0, 60.0, 150.0):
        over = life[life > age]
        assert weibull.left(np.array([age]))[0] == pytest.approx((over - age).mean(), rel=0.02)
        assert weibull.fails(np.array([age]), 20)[0] == pytest.approx((over <= age + 20).mean(), abs=0.01)
    assert np.isfinite(weibull.left(np.array([1e6]))).all()


def test_lives_all_alike_and_nobody_who_failed() -> None:
    assert fit_weibull(np.full(9, 50.0), np.ones(9, bool)).median == pytest.approx(50, rel=0.01)
    with pytest.raises(ValueError, match="no unit failed"):
        fit_weibull(np.full(9, 50.0), np.zeros(9, bool))


def test_the_product_limit_by_hand() -> None:
    """Textbook case: of five, one ends at 1, one leaves at 2, two end at 3, one leaves at 4."""
    value, exceeding = product_limit(
        np.array([3.0, 1.0, 2.0, 4.0, 3.0]), np.array([True, True, False, False, True]), np.ones(5)
    )
    assert value.tolist() == [1, 2, 3, 3, 4]
    np.testing.assert_allclose(exceeding, [0.8, 0.8, 0.8 * 2 / 3, 0.8 / 3, 0.8 / 3])


# Calibration ----------------------------------------------------------------------------------------------------------


def test_an_interval_holds_what_it_says_though_errors_grow() -> None:
    rng = np.random.default_rng(0)
    left = rng.uniform(0, 150, 8000)
    estimate = left + rng.normal(size=8000) * (2 + 0.2 * left)
    known = calibrate(estimate[:4000], left[:4000], np.ones(4000, bool), np.ones(4000))
    low, high = known.quantile(estimate[4000:], 0.05), known.quantile(estimate[4000:], 0.95)
    for near in (left[4000:] < 40, left[4000:] >= 40):
        held = (low <= left[4000:]) & (left[4000:] <= high)
        assert held[near].mean() == pytest.approx(0.9, abs=0.05)
    said = known.fails(estimate[4000:], 30.0)
    for mean, happened, share in accuracy.reliability(said, left[4000:] <= 30, np.ones(4000)):
        assert share < 0.02 or happened == pytest.approx(mean, abs=0.12)


def test_what_is_censored_moves_the_calibration() -> None:
    rng = np.random.default_rng(1)
    left, until = rng.uniform(0, 100, 6000), rng.uniform(0, 120, 6000)
    estimate, ended = rng.normal(50, 1, 6000), left <= until  # an estimate that knows nothing
    fair = calibrate(estimate, np.minimum(left, until), ended, np.ones(6000))
    dropped = calibrate(estimate[ended], left[ended], np.ones(ended.sum(), bool), np.ones(ended.sum()))
    middle = np.array([50.0])
    assert fair.quantile(middle, 0.5)[0] == pytest.approx(50, abs=4)
    assert dropped.quantile(middle, 0.5)[0] < 45


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 200))
def test_curves_grow_and_stay_above_nothing(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    known = calibrate(
        rng.normal(20, 30, rows), rng.uniform(0, 60, rows), rng.random(rows) < 0.7, rng.random(rows) + 0.01
    )
    curves = known.curves(np.linspace(-50, 200, 40))
    assert curves.shape == (40, len(LEVELS))
    assert (np.diff(curves, axis=1) >= 0).all()
    assert (np.diff(curves, axis=0) >= -1e-9).all()
    assert (curves >= 0).all()
    said = known.fails(np.linspace(-50, 200, 40), 30.0)
    assert ((said >= 0) & (said <= 1)).all()


# Figures --------------------------------------------------------------------------------------------------------------


def test_figures_by_hand() -> None:
    cycle = np.concatenate([np.arange(1.0, 11), np.arange(1.0, 21)])
    unit = np.repeat([0, 1], [10, 20])
    left = np.concatenate([np.arange(9.0, -1, -1), np.arange(19.0, -1, -1)])
    rows = accuracy.at_lambda(cycle, left, unit, 0.5)
    assert cycle[rows].tolist() == [5, 10]
    estimate = left.copy()
    estimate[rows[0]] = 7.0  # of 5
    assert accuracy.alpha_lambda(estimate, left, rows) == 0.5
    np.testing.assert_allclose(accuracy.relative_accuracy(estimate, left, rows), [0.6, 1.0])
    assert accuracy.horizons(estimate, cycle, left, unit).tolist() == [4, 19]
    estimate[-1] = 5.0  # at the very end
    assert accuracy.horizons(estimate, cycle, left, unit).tolist() == [4, 0]


def test_a_brier_score_by_hand() -> None:
    happened = np.array([True, False, True, False])
    assert accuracy.brier(np.array([1.0, 0, 1, 0]), happened, np.ones(4)) == 0
    assert accuracy.brier(np.full(4, 0.5), happened, np.ones(4)) == 0.25
    bins = accuracy.reliability(np.array([1.0, 0.04, 0.06, 0.0]), happened, np.ones(4))
    assert bins == (pytest.approx((0.1 / 3, 1 / 3, 0.75)), pytest.approx((1.0, 1.0, 0.25)))
