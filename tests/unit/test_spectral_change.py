"""A spectrum that left its baseline, and one that did not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from shaking import Shaft, faulty, healthy

from bench.detection import gearbox
from detectors.vibration import Machine, change, diagnose, named

RECORDED = Path(os.environ.get("BELLWETHER_DATA", "../shared/data"))
SHAFT = Shaft(1480.0, 12_800.0, 4.0)


def block(seed: int, seconds: float = 4.0) -> np.ndarray:
    return healthy(Shaft(1480.0, 12_800.0, seconds, seed=seed), np.random.default_rng(seed))


def test_healthy_blocks_are_near_one_another_however_long_they_are() -> None:
    before = block(0)
    for seed, seconds in ((1, 4.0), (2, 1.0), (3, 2.0)):
        moved = change(block(seed, seconds), before)
        assert moved.distance_db < 3.0
        assert not moved.is_lasting


def test_a_fault_leaves_the_baseline() -> None:
    moved = change(faulty("outer_race", SHAFT, named("6205"), peak_g=2.0), block(0))
    assert moved.distance_db > 3.0
    assert moved.is_lasting
    assert change(2.0 * block(1), block(0)).distance_db == pytest.approx(6.0, abs=0.5)


def test_only_a_machine_known_by_its_gear_has_a_damaged_gear_by_that() -> None:
    before, now = block(0), 3.0 * block(1)
    gear, none = Machine(1480.0, teeth=32), Machine(1480.0, named("6205"))
    assert diagnose(now, SHAFT.rate_hz, "vibration_acceleration", gear, before).fault == "gear"
    found = diagnose(now, SHAFT.rate_hz, "vibration_acceleration", none, before)
    assert found.fault == "none"
    assert found.change is not None
    assert found.change.is_lasting
    assert diagnose(block(2), SHAFT.rate_hz, "vibration_acceleration", gear, before).fault == "none"


def test_blocks_that_are_too_short_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        change(block(0)[:1000], block(1))


@pytest.mark.skipif(not (RECORDED / "GEARBOX_GFD").is_dir(), reason=f"no recordings at {RECORDED}")
def test_a_recorded_broken_tooth_is_told_from_a_whole_one_by_the_baseline() -> None:
    figures = {row.figure: row.ours for row in gearbox.rows(RECORDED)}
    assert figures["broken quarters named, with a baseline, %"] == 100.0
    assert figures["healthy quarters named, with a baseline, %"] == 0.0
    assert figures["healthy quarters named, without, %"] == 0.0
