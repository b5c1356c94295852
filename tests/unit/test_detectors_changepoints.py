"""Change points from file to lines, and the scale they are measured on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bellwether.cli import app
from bench.detection.changepoints import Tally, tally
from detectors.changepoints import Change, changepoints
from detectors.recordings import Recording

ROWS, BEGIN, END = 1200, 600, 900
START_US = 1_583_748_873_000_000


def recording(seed: int = 0, step: float = 3.0) -> Recording:
    """Four points of one load, the second of which is away for a while."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(ROWS, 1)) + rng.normal(size=(ROWS, 4)) * 0.5
    values[BEGIN:END, 1] += step
    time_us = START_US + np.arange(ROWS) * 1_000_000
    return Recording(time_us, tuple(map(str, time_us)), ("load", "flow", "heat", "noise"), values)


def lines(found: list[Change]) -> list[tuple[int, int, str]]:
    return [(change.row, change.since, change.top_channel) for change in found]


def test_both_edges_of_a_fault_are_one_change_each() -> None:
    """As good as always: one healthy stretch in some looks like a change."""
    exact = 0
    for seed in range(20):
        found = changepoints(recording(seed, step=6.0), train_rows=400, false_alarm_rate=1e-4)
        assert all(change.since <= change.row and change.score >= 1.0 for change in found)
        pairs = list(zip(found, (BEGIN, END), strict=False))
        exact += len(found) == 2 and all(
            edge <= change.row < edge + 10 and abs(change.since - edge) <= 2 for change, edge in pairs
        )
    assert exact >= 17


def test_the_channel_that_changed_leads() -> None:
    given = recording(step=0.0)
    given.values[BEGIN:, 2] += 20.0
    (change,) = changepoints(given, train_rows=400, false_alarm_rate=1e-4)
    assert (change.top_channel, change.since) == ("heat", BEGIN)


def test_the_allowance_holds_in_health_that_was_not_trained_on() -> None:
    healthy = np.random.default_rng(7).normal(size=(100_000, 4))
    time_us = START_US + np.arange(len(healthy)) * 1_000_000
    found = changepoints(Recording(time_us, ("",) * len(healthy), tuple("abcd"), healthy), train_rows=4000)
    # Each ends a stretch of thirty rows at least and of fifty on average, were every row for itself.
    assert 0 < len(found) < 0.02 * len(healthy)
    assert len(changepoints(recording(step=0.0), train_rows=400, false_alarm_rate=1e-4)) == 0


@pytest.mark.parametrize("cut", [430, 605, 700, 915])
def test_no_line_rests_on_a_later_row(cut: int) -> None:
    given = recording()
    given.values[np.random.default_rng(1).random(given.values.shape) < 0.1] = np.nan
    shorter = Recording(given.time_us[:cut], given.time_text[:cut], given.channels, given.values[:cut])
    whole = changepoints(given, train_rows=400)
    assert lines(changepoints(shorter, train_rows=400)) == lines([change for change in whole if change.row < cut])


def test_names_units_and_times_do_not_matter() -> None:
    given = recording()
    scaled = given.values * [1e3, 0.01, -5.0, 1e9] + [0.0, 40.0, 0.0, -3.0]
    other = Recording(given.time_us + 7_777_000_000_000, given.time_text, tuple("abcd"), scaled)
    one, two = changepoints(given, train_rows=400), changepoints(other, train_rows=400)
    assert [change.row for change in one] == [change.row for change in two]


@pytest.mark.filterwarnings("error")
def test_whatever_stands_in_a_table_is_borne() -> None:
    given = recording()
    values = np.column_stack((given.values, np.full(ROWS, 3.0), np.full(ROWS, np.nan), given.values[:, 0] * 1e300))
    values[700, 0], values[:500, 3] = 1e308, np.nan
    time_us = given.time_us.copy()
    time_us[[10, 800, 801]] = [-1, time_us[799], time_us[100]]
    odd = Recording(time_us, given.time_text, (*given.channels, "still", "none", "huge"), values)
    found = changepoints(odd, train_rows=400)
    assert any(BEGIN <= change.row < BEGIN + 10 for change in found)
    assert {change.row for change in found}.isdisjoint({10, 800})


def test_too_little_training_is_refused() -> None:
    with pytest.raises(ValueError, match="79 training rows"):
        changepoints(recording(), train_rows=79)


def test_the_command_writes_a_line_a_change(tmp_path: Path) -> None:
    given = recording()
    frame = pd.DataFrame(given.values, columns=list(given.channels))
    frame.insert(0, "at", pd.to_datetime(given.time_us, unit="us").strftime("%Y-%m-%d %H:%M:%S"))
    frame["label"] = (np.arange(ROWS) >= BEGIN).astype(int)
    frame.to_csv(tmp_path / "pump.csv", sep=";", index=False)
    wish = ["changepoints", str(tmp_path / "pump.csv"), "--time", "at", "--ignore", "label", "--train-rows", "400"]
    out = tmp_path / "changes"
    done = CliRunner().invoke(app, [*wish, "--false-alarm-rate", "0.0001", "--out", str(out)])
    assert done.exit_code == 0, done.output
    found = pd.read_csv(out / "pump.csv")
    assert list(found.columns) == ["time", "score", "since", "top_channel"]
    assert len(found) == 2
    assert (found["since"] <= found["time"]).all()
    assert set(found["time"]) <= set(frame["at"])
    assert json.loads((out / "summary.json").read_text())["files"][0]["changes"] == 2


def test_silence_scores_nothing_and_a_report_at_each_change_a_hundred() -> None:
    changes_s = np.array([100.0, 400.0])
    assert tally(changes_s, np.empty(0)).score == 0.0
    assert tally(changes_s, changes_s) == Tally(2.0, 2, 2, 0)
    assert tally(changes_s, changes_s).score == 100.0


def test_lateness_and_false_reports_cost() -> None:
    at = np.array([100.0])
    assert tally(at, np.array([130.0])).score == pytest.approx(50 * (1 + (1 - 0.11) / 2))
    assert tally(at, np.array([160.0])).score == pytest.approx(50 * (1 - 0.11))
    assert tally(at, np.array([130.0, 140.0])).score == tally(at, np.array([130.0])).score
    assert tally(at, np.array([99.0, 161.0])) == Tally(-1.22, 1, 0, 2)


def test_a_window_begins_where_the_last_one_ended() -> None:
    """A report before that counts for the first change alone."""
    both = tally(np.array([100.0, 150.0]), np.array([150.0]))
    assert (both.found, both.false) == (1, 0)
    assert tally(np.array([100.0, 150.0]), np.array([100.0, 160.0])).score == 100.0
