"""What blocks say together: three of five, and one fewer is none."""

from __future__ import annotations

import math

import pytest

from detectors.vibration.standing import OF_BLOCKS, SEEN_IN, BlockSays, standing

LIMITS = (1.4, 2.8, 4.5)


def blocks(
    *faults: str | None, velocity_mm_s: float = 1.0, limits: tuple[float, float, float] | None = LIMITS
) -> list[BlockSays]:
    return [
        BlockSays(1_000_000 * at, fault, f"line {at}" if fault else "", velocity_mm_s, limits)
        for at, fault in enumerate(faults)
    ]


def test_a_fault_that_comes_once_or_twice_is_none_and_one_that_stays_is() -> None:
    assert standing(blocks("none", "none", "outer_race", "outer_race"))["bearing"].score < 1.0
    found = standing(blocks("none", "outer_race", "none", "outer_race", "outer_race"))["bearing"]
    assert found.score == pytest.approx(1.0)
    assert found.since_us == 1_000_000
    assert found.sign == "outer race in 3 of the last 5 blocks (line 4)"


def test_what_is_older_than_the_last_blocks_does_not_count() -> None:
    said = ["outer_race"] * SEEN_IN + ["none"] * (OF_BLOCKS - SEEN_IN)
    assert standing(blocks(*said))["bearing"].score >= 1.0
    assert standing(blocks(*said, "none"))["bearing"].score < 1.0


def test_damage_that_spreads_over_a_bearing_is_one_and_a_gear_is_another() -> None:
    spreading = standing(blocks("outer_race", "inner_race", "outer_race"))["bearing"]
    assert spreading.score == pytest.approx(1.0)
    assert spreading.sign.startswith("outer race in 3")
    assert standing(blocks("outer_race", "gear", "outer_race", "gear"))["bearing"].score < 1.0
    assert standing(blocks("outer_race", "imbalance", "imbalance", "none"))["bearing"].score < 1.0


def test_blocks_that_could_say_nothing_neither_raise_nor_end() -> None:
    nothing = [BlockSays(at, None) for at in range(4)]
    assert math.isnan(standing(nothing)["bearing"].score)
    assert math.isnan(standing(nothing)["shaft"].score)
    seen = blocks("ball", "ball", "ball")
    assert standing([*seen, *nothing])["bearing"] == standing(seen)["bearing"]


@pytest.mark.parametrize(
    ("velocity_mm_s", "least", "most"), [(2.7, 0.9, 1.0), (2.9, 1.0, 1.2), (4.4, 1.9, 2.0), (4.6, 2.0, 2.2)]
)
def test_severity_is_one_where_zone_b_ends_and_two_where_c_does(
    velocity_mm_s: float, least: float, most: float
) -> None:
    found = standing(blocks(*["none"] * 3, velocity_mm_s=velocity_mm_s))["shaft"]
    assert least < found.score < most
    assert found.high == 2.8
    assert found.observed == velocity_mm_s


def test_severity_takes_three_blocks_and_a_zone() -> None:
    two = blocks("none", "none", velocity_mm_s=9.0)
    assert standing(two)["shaft"].score < 1.0
    assert standing([*two, *blocks("none", "none", "none")])["shaft"].score < 1.0
    assert standing(blocks(*["none"] * 5, velocity_mm_s=9.0, limits=None))["shaft"].score == 0.0


def test_a_severe_machine_is_told_with_the_fault_that_explains_it() -> None:
    found = standing(blocks(*["imbalance"] * 4, velocity_mm_s=5.0))["shaft"]
    assert found.score > 2.0
    assert (
        found.sign
        == "zone D in 4 of the last 4 blocks: 5 mm/s where B ends at 2.8; imbalance in 4 of the last 4 blocks (line 3)"
    )
    unknown = standing(blocks(*["imbalance"] * 4, velocity_mm_s=5.0, limits=None))["shaft"]
    assert unknown.score == pytest.approx(4 / 3)
    assert unknown.sign.startswith("imbalance in 4")
