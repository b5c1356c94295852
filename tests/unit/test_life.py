"""Remaining useful life, from histories to a forecast."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from prognosis.life import Model, Trajectories, fit, of_table, predict

LIFE, UNITS = 120.0, 20


def fleet(seed: int = 0, units: int = UNITS) -> pd.DataFrame:
    """Machines of two loads, whose wear shows in two of four channels, growing faster towards the end."""
    rng = np.random.default_rng(seed)
    rows = []
    for unit in range(units):
        life = int(rng.normal(LIFE, 15))
        cycle = np.arange(1, life + 1)
        wear = np.exp((cycle - life) / 25.0)
        load = rng.integers(0, 2, life) * 40.0
        noise = rng.normal(size=(life, 4)) * 0.15
        channels = noise + np.outer(wear, [2.0, -1.5, 0.0, 0.0]) + load[:, None] * [0.2, 0.1, 0.3, 0.0]
        rows.append(pd.DataFrame(channels, columns=["heat", "flow", "speed", "hum"]).assign(
            machine=f"m{unit:02d}", hours=cycle, load=load, plate=7.0))  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def histories(frame: pd.DataFrame) -> Trajectories:
    return of_table(frame, unit="machine", cycle="hours")


@cache
def trained() -> Model:
    return fit(histories(fleet()))


def cut(frame: pd.DataFrame, left: int) -> pd.DataFrame:
    """Each machine as it was so long before its end."""
    ends = frame.groupby("machine")["hours"].transform("max")
    return frame[frame["hours"] <= ends - left]


def asked(left: int = 20) -> Trajectories:
    return histories(cut(fleet(seed=1), left))


def test_what_is_left_is_told_of_machines_never_seen() -> None:
    held = []
    for left in (5, 10, 20, 30, 40):
        forecast = predict(trained(), asked(left))
        assert not any(forecast.reason)
        assert np.sqrt(np.mean((forecast.rul - left) ** 2)) < 0.1 * left + 1
        held.append(np.mean((forecast.rul_p05 <= left) & (left <= forecast.rul_p95)))
    assert 0.8 <= np.mean(held) <= 0.97


def test_the_regimes_are_found_without_being_told() -> None:
    wear = trained().wear
    assert len(wear.regimes.codes) == 2
    assert [trained().channels[column] for column in wear.regimes.columns] == ["load"]
    assert wear.mixtures.shape[1] == 1


def test_intervals_are_ordered_and_probabilities_are_such() -> None:
    forecast = predict(trained(), histories(fleet(seed=2)), every=True)
    assert (forecast.rul_p05 <= forecast.rul).all()
    assert (forecast.rul <= forecast.rul_p95).all()
    assert (forecast.rul_p05 >= 0).all()
    assert ((forecast.p_fail >= 0) & (forecast.p_fail <= 1)).all()


def test_the_nearer_the_end_the_less_is_left_and_the_likelier_it_is() -> None:
    forecasts = [predict(trained(), asked(left)) for left in (60, 40, 20, 5)]
    assert (np.diff([forecast.rul.mean() for forecast in forecasts]) < 0).all()
    assert (np.diff([forecast.p_fail.mean() for forecast in forecasts]) >= 0).all()
    assert forecasts[0].p_fail.mean() < 0.1
    assert forecasts[-1].p_fail.mean() > 0.9


def test_a_longer_time_is_a_larger_probability() -> None:
    said = [predict(trained(), asked(), within=within).p_fail for within in (1.0, 15.0, 30.0, 200.0)]
    assert (np.diff(said, axis=0) >= 0).all()
    assert said[0].max() < 0.2
    assert said[-1].min() == 1.0


def test_a_row_rests_on_no_later_one() -> None:
    whole = histories(fleet(seed=3))
    every = predict(trained(), whole, every=True)
    early = predict(trained(), histories(cut(fleet(seed=3), 37)))
    rows = np.flatnonzero(whole.left == 37)
    np.testing.assert_allclose(early.rul, every.rul[rows], atol=1e-6)
    np.testing.assert_allclose(early.p_fail, every.p_fail[rows], atol=1e-6)


def test_a_machine_s_forecast_does_not_depend_on_the_others() -> None:
    frame = cut(fleet(seed=1), 20)
    alone = predict(trained(), histories(frame[frame["machine"] == "m03"]))
    assert alone.rul[0] == pytest.approx(predict(trained(), asked()).rul[3], abs=1e-6)


def test_names_order_and_units_of_measurement_change_nothing() -> None:
    """Of the table to learn from and of the table to judge; lives come in the unit of the cycles."""
    channels = {"heat": "c1", "flow": "c2", "speed": "c3", "hum": "c4", "load": "c5", "plate": "c6"}

    def disguised(frame: pd.DataFrame) -> pd.DataFrame:
        other = {name: f"x{99 - number}" for number, name in enumerate(frame["machine"].unique())}
        minutes = frame.assign(machine=frame["machine"].map(other), hours=frame["hours"] * 60)
        rescaled = minutes.assign(heat=frame["heat"] * 1.8 + 32, flow=frame["flow"] * 1e-4, load=frame["load"] * 3.6)
        return rescaled.sample(frac=1.0, random_state=0).rename(columns=channels)

    given = histories((table := disguised(cut(fleet(seed=1), 20)))[table.columns[::-1]])
    forecast = predict(fit(histories(disguised(fleet()))), given, within=1800.0)
    order = np.argsort([-int(given.units[each][1:]) for each in forecast.unit])
    plain = predict(trained(), asked(), within=30.0)
    np.testing.assert_allclose(forecast.rul[order] / 60, plain.rul, atol=0.3)
    np.testing.assert_allclose(forecast.p_fail[order], plain.p_fail, atol=0.02)


def test_gaps_in_readings_cost_little() -> None:
    frame = cut(fleet(seed=1), 20).reset_index(drop=True)
    frame.loc[np.random.default_rng(0).random(len(frame)) < 0.2, ["heat", "load"]] = np.nan
    forecast = predict(trained(), histories(frame))
    assert np.abs(forecast.rul - predict(trained(), asked()).rul).mean() < 6


def test_nothing_is_said_of_what_training_never_saw() -> None:
    frame = cut(fleet(seed=1), 20)
    hot = frame.assign(heat=frame["heat"] + 50.0)
    forecast = predict(trained(), histories(hot))
    assert set(forecast.reason) == {"heat is far outside of what training saw"}
    assert np.isnan([forecast.rul, forecast.rul_p05, forecast.rul_p95, forecast.p_fail]).all()
    elsewhere = predict(trained(), histories(frame.assign(load=80.0)))
    assert set(elsewhere.reason) == {"settings that training never saw"}


def test_machines_of_the_same_kind_are_not_refused() -> None:
    assert not any(predict(trained(), histories(fleet(seed=4, units=100)), every=True).reason)


def test_figures_are_those_of_machines_held_back() -> None:
    figures = trained().accuracy
    assert 0.85 <= figures.coverage <= 0.95
    assert figures.brier < 0.3 * figures.brier_base
    assert figures.units == UNITS
    assert sum(share for _, _, share in figures.reliability) == pytest.approx(1.0)
    learnt = predict(trained(), histories(fleet()), every=True)
    seen = np.sqrt(np.mean((np.minimum(learnt.rul, 60) - np.minimum(histories(fleet()).left, 60)) ** 2))
    assert figures.rmse_capped > 0.8 * seen


def test_a_missing_channel_is_named() -> None:
    with pytest.raises(ValueError, match="flow"):
        predict(trained(), histories(cut(fleet(seed=1), 20).drop(columns="flow")))


def test_too_few_failures_are_no_fleet() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        fit(histories(fleet(units=4)))


def censored(seed: int, units: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A fleet as it was at a moment: a machine was put to work at any time before, so long lives are seldom over."""
    frame = fleet(seed, units)
    rng = np.random.default_rng(seed)
    until = dict(zip(frame["machine"].unique(), rng.uniform(30, 180, units), strict=True))
    life = frame.groupby("machine")["hours"].transform("max")
    frame["failed"] = (frame["machine"].map(until) >= life).astype(int)
    return frame[frame["hours"] <= frame["machine"].map(until)], frame


def test_machines_that_still_run_count() -> None:
    """Without them only short lives would be known, and young machines would be given too little."""
    seen, _ = censored(6, 60)
    with_all = fit(of_table(seen, unit="machine", cycle="hours", event="failed"))
    over = histories(seen[seen["failed"] == 1].drop(columns="failed"))
    without = fit(over)
    fresh = fleet(seed=6, units=40)
    young = histories(fresh[fresh["hours"] <= 15])
    truth = histories(fresh).cycle[histories(fresh).ends] - 15
    biased, fair = (float(np.mean(predict(model, young).rul - truth)) for model in (without, with_all))
    assert with_all.lives.median > without.lives.median
    assert abs(with_all.lives.median - LIFE) < 8
    assert abs(fair) < abs(biased)
