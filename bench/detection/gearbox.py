"""GEARBOX_GFD: a gearbox whole and with a broken tooth, four accelerometers, 30 Hz, no load and half.

Told apart by the first half of the healthy recording of the same load; the rest is cut into quarters. The rate is
nowhere said: at a third of 12 800 Hz the mesh of 32 teeth at 29.7 Hz lies where the lines are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.detection.table import Row
from detectors.vibration import Machine, diagnose
from detectors.vibration.wave_files import read_wave

RATE_HZ, RPM, TEETH = 12_800.0 / 3.0, 1782.0, 32
CHANNELS = ("a1", "a2", "a3", "a4")


def rows(data: Path) -> list[Row]:
    if not list(data.glob("GEARBOX_GFD/h30hz*.csv")):
        return []
    alone: dict[str, list[bool]] = {"h": [], "b": []}
    told: dict[str, list[bool]] = {"h": [], "b": []}
    for load in ("0", "50"):
        blocks = {state: _quarters(data / f"GEARBOX_GFD/{state}30hz{load}.csv") for state in "hb"}
        baseline = [np.concatenate(channel[:2]) for channel in blocks["h"]]
        for state, from_quarter in (("h", 2), ("b", 0)):
            for quarter in range(from_quarter, 4):
                heard = [channel[quarter] for channel in blocks[state]]
                alone[state].append(any(_is_gear(block, None) for block in heard))
                told[state].append(any(_is_gear(block, before) for block, before in zip(heard, baseline, strict=True)))
    return [
        Row("GEARBOX_GFD", "broken quarters named, with a baseline, %", 100.0 * float(np.mean(told["b"])), 90, 100),
        Row("GEARBOX_GFD", "healthy quarters named, with a baseline, %", 100.0 * float(np.mean(told["h"])), 5, 0,
            upwards=False),
        Row("GEARBOX_GFD", "broken quarters named, without, %", 100.0 * float(np.mean(alone["b"]))),
        Row("GEARBOX_GFD", "healthy quarters named, without, %", 100.0 * float(np.mean(alone["h"])), 5, 0,
            upwards=False),
    ]  # fmt: skip


def _quarters(path: Path) -> list[list[np.ndarray]]:
    """By channel, then by quarter."""
    return [np.array_split(read_wave(path, channel).values, 4) for channel in CHANNELS]


def _is_gear(block: np.ndarray, baseline: np.ndarray | None) -> bool:
    """Beside whatever else: the unit is not said either, so that the velocity of the shaft's lines means nothing."""
    found = diagnose(block, RATE_HZ, "vibration_acceleration", Machine(RPM, teeth=TEETH), baseline)
    return "gear" in (found.fault, *found.also)
