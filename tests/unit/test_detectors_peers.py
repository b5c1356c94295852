"""Machines of one model against each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bellwether.cli import app
from detectors.peers import compare
from store.errors import Misconfigured

HOURS, TRAINED = 1000, 300


def fleet(machines: int = 8, seed: int = 0) -> np.ndarray:
    """Machines that stand apart by themselves, under one weather: (M, B, 2)."""
    rng = np.random.default_rng(seed)
    weather = 10 * np.sin(np.arange(HOURS) * 2 * np.pi / 24) + np.cumsum(rng.normal(size=HOURS))
    own = rng.normal(size=(machines, 1, 2)) * 5
    levels: np.ndarray = 50 + weather[None, :, None] + own + rng.normal(size=(machines, HOURS, 2))
    return levels


def test_weather_is_no_alarm_and_is_seen_as_everybodys() -> None:
    levels = fleet()
    levels[:, 600:] += 100
    found = compare(levels, TRAINED, 0.001)
    assert np.nanmean(found.score[:, TRAINED:] >= 1) < 0.003
    assert found.fleet[650] >= 1


def test_one_machine_alone_is_found_with_its_channel_and_nobody_else() -> None:
    levels = fleet()
    levels[3, 600:, 1] += 8
    found = compare(levels, TRAINED, 0.001)
    assert (found.score[3, 603:] >= 1).all()
    assert (found.top[3, 603:] == 1).all()
    others = np.delete(found.score, 3, axis=0)
    assert np.nanmean(others[:, TRAINED:] >= 1) < 0.003


def test_one_that_strays_does_not_take_the_others_along() -> None:
    """Machines far apart: the one in the midst goes to the top, and their median without it is another's place."""
    levels = fleet(6) + 20.0 * np.arange(6)[:, None, None]
    levels[2, 600:, 0] += 60
    found = compare(levels, TRAINED, 0.001)
    assert (found.score[2, 603:] >= 1).all()
    assert np.nanmean(np.delete(found.score, 2, axis=0)[:, TRAINED:] >= 1) < 0.003


def test_the_share_allowed_is_kept_on_fresh_data() -> None:
    hot = [np.nanmean(compare(fleet(seed=seed), TRAINED, 0.01).score[:, TRAINED:] >= 1) for seed in range(10)]
    assert np.mean(hot) < 0.02


def test_no_score_rests_on_a_later_bucket() -> None:
    levels = fleet()
    whole = compare(levels, TRAINED, 0.01).score
    changed = levels.copy()
    changed[:, 700:] = -levels[:, 700:] * 3
    np.testing.assert_array_equal(whole[:, :700], compare(changed, TRAINED, 0.01).score[:, :700])


def test_no_opinion_with_fewer_than_four_others() -> None:
    levels = fleet(5)
    levels[4, 600:] = np.nan
    found = compare(levels, TRAINED, 0.01)
    assert np.isnan(found.score[:, 600:]).all()
    assert not np.isnan(found.score[:, TRAINED:600]).any()


def test_the_command_compares_files(tmp_path: Path) -> None:
    levels = fleet(6)
    levels[2, 600:, 0] += 8
    times = pd.date_range("2026-01-01", periods=HOURS, freq="h")
    for number, machine in enumerate(levels):
        pd.DataFrame({"at": times, "flow": machine[:, 0], "heat": machine[:, 1]}).to_csv(
            tmp_path / f"{number}.csv", index=False
        )
    files = [str(tmp_path / f"{number}.csv") for number in range(6)]
    wishes = ["--time", "at", "--train-until", str(times[TRAINED]), "--out", str(tmp_path / "out"), "--json"]
    said = CliRunner().invoke(app, ["peers", *files, *wishes])
    assert said.exit_code == 0, said.output
    summary = json.loads(said.output)
    assert [machine["in_alarm"] > 300 for machine in summary["machines"]] == [number == 2 for number in range(6)]
    table = pd.read_csv(tmp_path / "out" / "2.csv")
    assert table["top_channel"].iloc[-1] == "flow"
    assert table["time"].iloc[0] == "2026-01-01T01:00:00+00:00"
    too_few = CliRunner().invoke(app, ["peers", *files[:4], *wishes])
    assert isinstance(too_few.exception, Misconfigured)


@pytest.mark.parametrize("missing", [np.s_[1, 200:260], np.s_[:, 500], np.s_[0, :, 1]])
def test_gaps_are_no_reading(missing: tuple[object, ...]) -> None:
    levels = fleet()
    levels[missing] = np.nan
    found = compare(levels, TRAINED, 0.01)
    assert np.nanmean(found.score[:, TRAINED:] >= 1) < 0.05
