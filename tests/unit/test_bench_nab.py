"""The scorer of NAB against what is known of it."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

from bench.detection import nab

RECORDED = Path(os.environ.get("BELLWETHER_DATA", "../shared/data"))
STANDARD = nab.Profile(missed=1.0, false=0.11)
LABELS = nab.Labels(1000, ((300, 349), (600, 699)))


def scores(*rows: int) -> np.ndarray:
    score = np.zeros(LABELS.rows)
    score[list(rows)] = 1.0
    return score


def total(score: np.ndarray, profile: nab.Profile = STANDARD) -> float:
    return float(nab.totals(score, LABELS, profile, np.ones(1))[0])


def test_never_is_nothing_and_perfect_is_a_hundred() -> None:
    assert nab.normalised(total(scores()), 2, STANDARD) == 0.0
    assert nab.normalised(total(scores(300, 600)), 2, STANDARD) == pytest.approx(100.0)


def test_a_window_counts_once_by_its_first_alarm() -> None:
    one_late = total(scores(320, 600))
    assert one_late == pytest.approx(total(scores(*range(320, 350), 600)))
    expected = (2 / (1 + math.exp(-5 * 30 / 50)) - 1) / (2 / (1 + math.exp(-5)) - 1)
    assert one_late == pytest.approx(1.0 + expected)


def test_false_rows_cost_by_how_far_they_are_behind_a_window() -> None:
    found = total(scores(300, 600))
    assert total(scores(200, 300, 600)) == pytest.approx(found - 0.11)
    assert total(scores(300, 350, 600)) == pytest.approx(found + 0.11 * (2 / (1 + math.exp(5 / 49)) - 1))
    assert total(scores(300, 500, 600)) == pytest.approx(found - 0.11)


def test_the_first_rows_are_not_scored() -> None:
    assert LABELS.probation == 150
    assert total(scores(*range(150), 300, 600)) == total(scores(300, 600))
    assert nab.Labels(20_000, ()).probation == 750


def test_the_threshold_is_chosen_on_other_files() -> None:
    rng = np.random.default_rng(0)
    noisy = [np.fmax(rng.uniform(0, 0.5, LABELS.rows), scores(300, 600)) for _ in range(10)]
    stands = nab.standing(noisy, [LABELS] * 10, STANDARD)
    assert (stands.in_sample, stands.held_out, stands.threshold) == (100.0, 100.0, 1.0)
    # A file whose scores are on a scale of their own is found by its own threshold alone.
    stands = nab.standing([*noisy, noisy[0] * 0.9], [LABELS] * 11, STANDARD)
    assert stands.in_sample == pytest.approx(100.0)
    assert stands.held_out == pytest.approx(1000 / 11)
    alike = nab.standing([scores() + 0.5] * 10, [LABELS] * 10, STANDARD)
    assert (alike.in_sample, alike.held_out) == (0.0, 0.0)


def test_short_recordings_stand_above_the_windowed_gaussian() -> None:
    """The rest takes half a minute: `python -m bench.detection nab`."""
    if not (RECORDED / "NAB").is_dir():
        pytest.skip(f"the recordings are not in {RECORDED}")
    profile = nab.profiles(RECORDED)["standard"]
    files = {path: labels for path, labels in nab.labelled(RECORDED).items() if labels.rows < 2600}
    assert len(files) == 9
    total = sum(
        float(nab.totals(nab.as_offline(path, labels.probation), labels, profile, np.ones(1))[0])
        for path, labels in files.items()
    )
    assert nab.normalised(total, sum(labels.scored_windows for labels in files.values()), profile) > 43.4
