"""Recordings of simulated machines with a day, by `detect`: what is in alarm of them in health, and what is found.

The machines of `modes`, a reading every twenty seconds for three days, without a known healthy start and after one of
a day. Beside it: the same with channels whose names say nothing, so that no operating mode is recognised.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.detection.modes import DAYS_OF, INTERVAL_S, Fleet, made
from bench.detection.table import Row
from detectors.offline import detect
from detectors.recordings import Recording
from firmware_sim.machine import MODELS

_DAY_ROWS = 86_400 // INTERVAL_S
# A fault of `modes` begins on the second evening, after those that are off for the night have been so once.
_ONSET_ROWS = _DAY_ROWS * 7 // 4
_FAULTS = {
    "pump": ("bearing_wear", "blocked_filter"),
    "gearmotor": ("bearing_wear", "overheating"),
    "compressor": ("bearing_wear", "overheating"),
}


def rows(data: Path) -> list[Row]:
    """`data` is not needed: the recordings are made here."""
    cases = [(kind, day) for kind in MODELS for day in DAYS_OF]
    well = [made(kind, day, ["", ""], named="played-") for kind, day in cases]
    ill = [made(kind, day, _FAULTS[kind], named="played-") for kind, day in cases]
    found = []
    for title, trained in (("no known start", 0), ("a start of a day", _DAY_ROWS)):
        named, nameless = (100 * float(np.mean(_in_alarm(well, trained, told))) for told in (True, False))
        hits, others = (_found(ill, trained, told) for told in (True, False))
        found += [
            Row("modes, recorded", f"{title}: rows in alarm in health, %", named, upwards=False,
                beside={"nameless channels": round(nameless, 1)}),
            Row("modes, recorded", f"{title}: found, % of {len(hits)} faults", 100 * float(np.mean(hits)),
                beside={"nameless channels": round(100 * float(np.mean(others)), 1)}),
        ]  # fmt: skip
    return found


def _recordings(fleet: Fleet, told: bool) -> list[Recording]:
    names = fleet.points if told else tuple(f"c{number}" for number in range(len(fleet.points)))
    return [Recording(fleet.time_us, ("",) * len(fleet.time_us), names, values.T) for values in fleet.values]


def _in_alarm(fleets: list[Fleet], trained: int, told: bool) -> list[float]:
    """The share of each machine's rows after the start."""
    return [
        float(detect(each, train_rows=trained or None).alarm[trained:].mean())
        for fleet in fleets
        for each in _recordings(fleet, told)
    ]


def _found(fleets: list[Fleet], trained: int, told: bool) -> list[bool]:
    """Of each fault whether an alarm begins in it, while it grows."""
    found = []
    for fleet in fleets:
        for each in _recordings(fleet, told):
            alarm = detect(each, train_rows=trained or None).alarm[_ONSET_ROWS - 1 :].astype(np.int8)
            found.append(bool((np.diff(alarm) == 1).any()))
    return found
