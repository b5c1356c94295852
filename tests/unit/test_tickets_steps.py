"""Work orders: what ticking a step off needs, what is beyond its limits, and which procedure is looked for first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prognosis.faults import built_in_procedures
from prognosis.procedures import REMOTE, Procedure, Step, procedure_of, step_of
from tickets.priority import Nature
from tickets.steps import BadMark, Marked, StepState, assert_fits, checklist_of, lookups, outside, unfinished

LOOK = Step("Look.")
SHOWN = "ab" * 32
MEASURE = Step("Align.", measure="offset", unit="mm", high=0.1)
REPLACE = Step("Press it on.", replaces="bearing")
DONE, LEFT_OUT, OPEN = StepState.DONE, StepState.LEFT_OUT, StepState.OPEN


@pytest.mark.parametrize(
    ("step", "marked"),
    [
        (LOOK, Marked(DONE)),
        (LOOK, Marked(LEFT_OUT, note="There is no cover")),
        (LOOK, Marked(OPEN)),
        (MEASURE, Marked(DONE, value=0.0)),
        (MEASURE, Marked(DONE, value=4.0)),  # beyond its limits: said, and not refused
        (REPLACE, Marked(DONE, new_serial="B-2211", old_serial="B-0907")),
        (REPLACE, Marked(DONE, note="It has no number")),
    ],
)
def test_a_step_is_ticked_off_with_what_it_asks_for(step: Step, marked: Marked) -> None:
    assert_fits(step, marked)


@pytest.mark.parametrize(
    ("step", "marked", "words"),
    [
        (MEASURE, Marked(DONE), "only with what was measured: offset"),
        (LOOK, Marked(DONE, value=1.0), "nothing is measured"),
        (REPLACE, Marked(DONE), "serial number of the bearing"),
        (LOOK, Marked(DONE, new_serial="B-2211"), "no key part"),
        (LOOK, Marked(LEFT_OUT, note=" "), "only with the reason"),
        (MEASURE, Marked(LEFT_OUT, value=1.0, note="why"), "only a step that was done"),
        (REPLACE, Marked(OPEN, old_serial="B-0907"), "only a step that was done"),
    ],
)
def test_what_is_missing_or_out_of_place_is_said(step: Step, marked: Marked, words: str) -> None:
    with pytest.raises(BadMark, match=words):
        assert_fits(step, marked)


def test_a_limit_itself_is_within_and_beyond_it_is_said_on_which_side() -> None:
    both = replace(MEASURE, low=0.02)
    assert [outside(both, value) for value in (0.02, 0.1, None)] == ["", "", ""]
    assert [outside(both, value) for value in (0.019, 0.101)] == ["below 0.02", "above 0.1"]
    assert outside(replace(MEASURE, high=None), 1e9) == ""


def test_only_what_nobody_has_said_anything_of_is_left() -> None:
    assert unfinished([DONE, LEFT_OUT, OPEN, OPEN]) == 2


def test_what_is_most_particular_is_looked_for_first() -> None:
    assert lookups("bearing_wear", "noise") == ["bearing_wear", "noise", ""]
    assert lookups("", "") == [""]
    assert [checklist_of("instrument", Nature.HARDWARE), checklist_of("communication", Nature.SOFTWARE)] == [
        "remote.sensor",
        "remote.connection",
    ]
    assert {checklist_of(fault, nature) for fault in ("x", "instrument") for nature in Nature} == {
        name for name in built_in_procedures() if name.startswith(REMOTE)
    }


def test_another_word_is_another_version() -> None:
    one = Procedure("a", "A", (), (LOOK, MEASURE))
    same = procedure_of(
        {"id": "b", "name": "A", "steps": ["Look.", {"do": "Align.", "measure": "offset", "unit": "mm", "high": 0.1}]}
    )
    assert one.fingerprint == same.fingerprint
    changed = [
        replace(one, name="B"),
        replace(one, steps=(LOOK,)),
        replace(one, steps=(LOOK, replace(MEASURE, high=0.2))),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in changed)}) == 4


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"do": "x", "low": 1}, "so are its limits"),
        ({"do": "x", "measure": "y", "low": 2, "high": 1}, "above its high"),
        ({"do": "x", "measure": "y", "high": "2"}, "limits are numbers"),
        ({"do": "x", "measure": "y", "high": True}, "limits are numbers"),
        ({"do": "x", "replaces": 3}, "texts"),
    ],
)
def test_limits_and_parts_of_a_step_are_checked(entry: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        step_of(entry)


def test_a_picture_is_part_of_what_a_procedure_comes_to_and_none_changes_nothing() -> None:
    """The bearing's as it was before steps had any."""
    bearing = built_in_procedures()["bearing.replace"]
    assert bearing.fingerprint == "b82c656ea2c1"
    shown = replace(bearing, steps=[replace(bearing.steps[0], picture=SHOWN), *bearing.steps[1:]])
    assert shown.fingerprint != bearing.fingerprint
    assert step_of({"do": "Look.", "picture": SHOWN}).picture == SHOWN
    with pytest.raises(ValueError, match="SHA-256"):
        step_of({"do": "Look.", "picture": "../secret"})
