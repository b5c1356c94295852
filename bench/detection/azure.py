"""AZURE_PDM: hourly telemetry, errors, services, failures of machines. A ticket 24 to 168 h before a failure is a hit.

Each machine by a hazard model of all others, at the threshold that gives one needless ticket a machine-month on the
others. A needless ticket is one without a failure 24 to 168 h after it. Beside it: tickets when a component turns 60
days old, random tickets at the same rate, and the live detectors on telemetry alone, without failures to learn from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.detection.table import Row
from detectors.offline import detect
from detectors.recordings import Recording
from prognosis.hazard import (
    DAY_US,
    IN_TIME_US,
    History,
    any_risk,
    failures_of,
    fit,
    needless,
    threshold,
    tickets,
    warned,
)

BUDGET = 1.0
TRAIN_ROWS = 240
_MONTH_US = 30.4 * DAY_US
_ARTEFACT = "2015-01-02 03:00:00"
_OLD_US = 60 * DAY_US
_CHANNELS = ["volt", "rotate", "pressure", "vibration"]

Times = npt.NDArray[np.int64]


def rows(data: Path) -> list[Row]:
    fleet = list(machines(data / "AZURE_PDM").values())
    risks = [any_risk(fit([*fleet[:k], *fleet[k + 1 :]]).risk(machine)) for k, machine in enumerate(fleet)]
    ours = []
    for k, machine in enumerate(fleet):
        level = threshold([*fleet[:k], *fleet[k + 1 :]], [*risks[:k], *risks[k + 1 :]], BUDGET)
        ours.append(tickets(machine.time_us, risks[k], level))
    old = [_turns_old(machine) for machine in fleet]
    plain = [_detected(machine) for machine in fleet]
    months = sum(float(machine.time_us[-1] - machine.time_us[0]) for machine in fleet) / _MONTH_US
    hits, spare = _score(fleet, ours, months)
    rate = sum(map(len, ours)) / (months * _MONTH_US)
    chance = 100 * (1.0 - math.exp(-rate * (IN_TIME_US[1] - IN_TIME_US[0])))
    old_hits, old_spare = _score(fleet, old, months)
    plain_hits, plain_spare = _score(fleet, plain, months)
    return [
        Row("Azure", "failures warned 24-168 h ahead, %", hits, max(old_hits, chance), 80,
            beside={"older than 60 days": round(old_hits, 1), "random, as many tickets": round(chance, 1),
                    "detect, telemetry alone": round(plain_hits, 1)}),
        Row("Azure", "needless tickets a machine-month", spare, 1.0, 1.0, upwards=False,
            beside={"older than 60 days": round(old_spare, 2), "detect, telemetry alone": round(plain_spare, 2)}),
    ]  # fmt: skip


def machines(folder: Path) -> Mapping[int, History]:
    """By number. Failures that are artefacts are left out."""

    def read(name: str) -> pd.DataFrame:
        table = pd.read_csv(folder / f"PdM_{name}.csv")
        table["time_us"] = pd.to_datetime(table["datetime"]).to_numpy("datetime64[us]").astype(np.int64)
        return table[table["datetime"] != _ARTEFACT] if name == "failures" else table

    def by_name(table: pd.DataFrame, number: int, column: str) -> dict[str, Times]:
        mine = table[table["machineID"] == number].sort_values("time_us")
        return {str(name): group["time_us"].to_numpy(np.int64) for name, group in mine.groupby(column)}

    telemetry, errors, services, failures = (read(name) for name in ("telemetry", "errors", "maint", "failures"))
    found = {}
    for number, group in telemetry.groupby("machineID"):
        ordered = group.sort_values("time_us")
        found[int(number)] = History(
            ordered["time_us"].to_numpy(np.int64),
            ordered[_CHANNELS].to_numpy(np.float64),
            by_name(errors, int(number), "errorID"),
            by_name(services, int(number), "comp"),
            by_name(failures, int(number), "failure"),
        )
    return found


def _score(fleet: list[History], opened: list[Times], months: float) -> tuple[float, float]:
    """Failures warned, in %, and needless tickets a machine-month."""
    pairs = [(times, failures_of(machine)) for machine, times in zip(fleet, opened, strict=True)]
    failed = sum(len(failures) for _, failures in pairs)
    return 100 * sum(warned(*pair) for pair in pairs) / failed, sum(needless(*pair) for pair in pairs) / months


def _turns_old(machine: History) -> Times:
    """When a component turns 60 days old that was not replaced before."""
    found = []
    for times in machine.services.values():
        turns = times + _OLD_US
        replaced = np.append(times[1:], np.iinfo(np.int64).max)
        found.append(turns[(turns < replaced) & (turns >= machine.time_us[0]) & (turns <= machine.time_us[-1])])
    return np.unique(np.concatenate(found))


def _detected(machine: History) -> Times:
    text = tuple(str(time) for time in machine.time_us.tolist())
    recording = Recording(machine.time_us, text, tuple(_CHANNELS), machine.values)
    detection = detect(recording, train_rows=TRAIN_ROWS)
    return tickets(machine.time_us, detection.alarm.astype(np.float64), 1.0)
