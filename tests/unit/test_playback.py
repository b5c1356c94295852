"""Recordings of machines that stand, start and change their load."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bellwether.cli import app
from detectors.offline import detect
from detectors.recordings import Recording
from firmware_sim.duty import Duty, DutyKind
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import Machine, MachineSpec

START_US, INTERVAL_S, DAY_ROWS = 1_763_740_800_000_000, 20, 4320
START_S = START_US / 1e6
DAY = ((5.5, "part"), (9, "full"), (12, "idle"), (13, "full"), (17, "part"), (21, "off"))


def recorded(kind: str, days: float, *, fault: FaultKind | None = None, onset_s: float = 0.0) -> Recording:
    """A machine that stands at night and is asked for now more, now less by day."""
    device = f"played-{kind}"
    duties = [Duty(device, hour, DutyKind(asked)) for hour, asked in DAY]
    ill = [] if fault is None else [Fault(device, fault, onset_s, 64_800.0, 0.8)]
    time_ms = START_US // 1000 + np.arange(int(days * DAY_ROWS)) * INTERVAL_S * 1000
    read = Machine(MachineSpec(device, kind, "", "works"), 1, ill, START_S, duties=duties).run(time_ms)
    return Recording(time_ms * 1000, ("",) * len(time_ms), tuple(read), np.column_stack(list(read.values())))


@pytest.fixture(scope="module")
def pump() -> Recording:
    return recorded("pump", 2.5)


def nameless(given: Recording) -> Recording:
    """The same, of which nobody can tell what the channels measure."""
    names = tuple(f"c{number}" for number in range(len(given.channels)))
    return Recording(given.time_us, given.time_text, names, given.values)


def standing(given: Recording) -> np.ndarray:
    return np.abs(given.values[:, given.channels.index("speed")]) < 10.0


@pytest.mark.parametrize(("trained", "allowed"), [(None, 0.02), (DAY_ROWS // 4, 0.06), (DAY_ROWS, 0.02)])
def test_a_machine_that_stands_or_changes_its_load_does_not_alarm(
    pump: Recording, trained: int | None, allowed: float
) -> None:
    """Not even by a start of six hours, though it idles for the first time after that: which is judged first."""
    found = detect(pump, train_rows=trained)
    assert found.alarm[trained or 0 :].mean() < allowed
    assert not found.alarm[standing(pump)].any()
    assert found.stood == pytest.approx(standing(pump).mean(), abs=0.02)
    assert 0.0 < found.changed < 0.03


def test_the_summary_and_the_page_say_how_long_it_stood(pump: Recording, tmp_path: Path) -> None:
    table = pd.DataFrame(pump.values, columns=list(pump.channels)).assign(time=pump.time_us)
    table.to_csv(tmp_path / "pump.csv", index=False)
    page = tmp_path / "found.html"
    options = ["--time", "time", "--out", str(tmp_path / "out"), "--report", str(page), "--json"]
    answer = CliRunner().invoke(app, ["detect", str(tmp_path / "pump.csv"), *options])
    assert answer.exit_code == 0, answer.output
    (said,) = json.loads(answer.stdout)["files"]
    assert said["detectors"] == ["shift", "drift", "flatline", "multivariate"]
    assert said["stood"] == pytest.approx(standing(pump).mean(), abs=0.02)
    assert 0.0 < said["changed"] < 0.03
    assert f"stood for {said['stood']:.0%} of the time" in page.read_text()


def test_by_nameless_channels_its_nights_would_be_alarms(pump: Recording) -> None:
    found = detect(nameless(pump))
    assert found.alarm.mean() > 0.2
    assert np.isnan(found.stood)
    assert np.isnan(found.changed)


@pytest.mark.parametrize("trained", [None, DAY_ROWS])
def test_a_fault_is_found_though_the_machine_changes(trained: int | None) -> None:
    onset_rows = int(1.75 * DAY_ROWS)
    worn = recorded("gearmotor", 2.75, fault=FaultKind.BEARING_WEAR, onset_s=onset_rows * INTERVAL_S)
    found = detect(worn, train_rows=trained)
    assert found.alarm[trained or 0 : onset_rows].mean() < 0.02
    # It stands while the machine does, in the night after it was found.
    night = standing(worn) & (np.arange(len(worn)) > onset_rows)
    assert found.alarm[night].mean() > 0.9


@pytest.mark.parametrize("trained", [None, DAY_ROWS])
def test_no_row_rests_on_a_later_one_where_a_machine_changes(pump: Recording, trained: int | None) -> None:
    whole = detect(pump, train_rows=trained)
    for cut in (DAY_ROWS + 7, 2 * DAY_ROWS - 501, 2 * DAY_ROWS + 1234):
        part = Recording(pump.time_us[:cut], pump.time_text[:cut], pump.channels, pump.values[:cut])
        found = detect(part, train_rows=trained)
        np.testing.assert_array_equal(found.score, whole.score[:cut])
        assert found.top_channel == whole.top_channel[:cut]


def test_channels_that_only_scatter_in_health_tell_no_change() -> None:
    """Hourly figures with a tenth of noise: what the noise does is no change of load, and a fault in it is a fault."""
    rng = np.random.default_rng(4)
    values = rng.normal([450.0, 100.0, 40.0], [50.0, 10.0, 4.0], (1000, 3))
    values[700:760, 0] -= 150.0
    time_us = START_US + np.arange(1000) * 3_600_000_000
    given = Recording(time_us, ("",) * 1000, ("rotation speed", "pressure", "vibration"), values)
    found, other = detect(given, train_rows=240), detect(nameless(given), train_rows=240)
    assert np.isnan(found.stood)
    assert found.alarm[705:760].mean() > 0.5
    np.testing.assert_array_equal(found.score, other.score)
