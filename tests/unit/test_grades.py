"""Grades of streams, and what they say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telemetry.grades import Tally, grade

GOOD = Tally(
    hours=168, heard=168, owed_h=168.0, usual=3600, kept_up=168 * 3600.0, readings=168 * 3600, late=0, mistimed=0,
    impossible=0, contested=0,
)  # fmt: skip


def test_nothing_amiss_is_an_a_without_words() -> None:
    best = grade(GOOD)
    assert (best.letter, best.points, best.why, best.usable) == ("A", 100.0, (), True)
    begun_within_an_hour = replace(GOOD, hours=6, heard=6, owed_h=5.05, kept_up=5.05 * 3600)
    assert grade(begun_within_an_hour).letter == "A"


@pytest.mark.parametrize(
    ("change", "letter", "why"),
    [
        ({"heard": 160, "kept_up": 160 * 3600.0}, "B", "5 % missing, 8 hours without any"),
        ({"heard": 167, "kept_up": 150 * 3600.0}, "C", "11 % missing, 1 hour without any"),
        ({"heard": 100, "kept_up": 100 * 3600.0}, "D", "40 % missing, 3 days without any"),
        ({"mistimed": 168 * 1800}, "D", "50 % with a wrong time"),
        ({"late": 168 * 3600}, "D", "100 % behind readings of later times"),
        ({"impossible": 168 * 36}, "B", "1 % physically impossible"),
        ({"contested": 168 * 18}, "B", "less than 1 % contradicted by another value"),
        ({"impossible": 168 * 3600}, "F", "100 % physically impossible"),
        ({"alarm": "flow is stuck at 3 m3/h"}, "F", "flow is stuck at 3 m3/h"),
        ({"readings": 0, "usual": 0, "kept_up": 0, "heard": 0}, "F", "0 readings in 7 days"),
        ({"hours": 3, "heard": 3, "owed_h": 2.9, "kept_up": 2.9 * 3600}, "", "Not counted long enough yet"),
        # Begun at 47 minutes past, and silent for one of the four hours that followed.
        ({"hours": 5, "heard": 4, "owed_h": 4.2, "kept_up": 3.2 * 3600}, "C", "24 % missing, 1 hour without any"),
    ],
)
def test_the_worst_part_decides(change: dict[str, float], letter: str, why: str) -> None:
    found = grade(replace(GOOD, **change))  # type: ignore[arg-type]
    assert (found.letter, found.why) == (letter, (why,))
    assert found.usable == (letter in ("A", "B", "C"))


def test_all_that_is_amiss_is_said_the_worst_first() -> None:
    found = grade(replace(GOOD, heard=150, kept_up=150 * 3600.0, contested=168 * 360))
    assert found.letter == "F"
    assert found.why == ("10 % contradicted by another value", "11 % missing, 18 hours without any")
