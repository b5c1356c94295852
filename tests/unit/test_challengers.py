"""Champion and challenger: who watches, and which promise is broken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from alarms.challengers import (
    Found,
    Trial,
    breaks_promise,
    promised_per_day,
    trial_from_json,
    trial_to_json,
    why_not,
)

TRIAL = Trial(7.0, 2, 8, 8, (Found(60.0, True), Found(None, True)))
QUIETER = replace(TRIAL, false_alarms=1)


@pytest.mark.parametrize(
    ("challenger", "broader", "reason"),
    [
        (QUIETER, False, ""),
        (TRIAL, True, ""),
        (TRIAL, False, "no better"),
        (replace(TRIAL, false_alarms=3), True, "3 alarms in 7.0 healthy days"),
        (replace(QUIETER, planted_found=7), True, "7 of 8 planted"),
        (replace(QUIETER, planted_found=0), True, "none of 8 planted"),
        (replace(QUIETER, faults=(Found(None, True), Found(9.0, True))), True, "1 of 2 confirmed faults"),
        (replace(QUIETER, faults=(Found(60.0 + 901.0, True), Found(None, True))), True, "finds later"),
        (replace(QUIETER, faults=(Found(60.0 + 899.0, True), Found(None, True))), True, ""),
        (replace(QUIETER, faults=(Found(None, False), Found(None, True))), True, ""),
        (replace(TRIAL, false_alarms=0, planted=0, planted_found=0), True, "0 of 0 planted"),
    ],
)
def test_what_is_found_comes_first_then_quiet_then_the_newer(challenger: Trial, broader: bool, reason: str) -> None:
    said = why_not(TRIAL, challenger, broader=broader)
    assert (reason in said) if reason else not said


def test_a_champion_that_tells_nothing_is_no_measure() -> None:
    """In alarm before each fault, it has found none of them."""
    alarmed = Trial(7.0, 1, 8, 0, (Found(None, False),))
    assert why_not(alarmed, Trial(7.0, 0, 8, 8, (Found(None, True),)), broader=False) == ""


def test_a_trial_is_kept_as_it_was() -> None:
    assert trial_from_json(trial_to_json(TRIAL)) == TRIAL


@pytest.mark.parametrize(
    ("false_alarms", "days", "per_day"), [(2, 3.0, 0.033), (3, 7.0, 0.033), (5, 30.0, 0.033), (9, 9.0, 0.4)]
)
def test_a_promise_is_broken_where_chance_would_seldom_do_it(false_alarms: int, days: float, per_day: float) -> None:
    """Against counts that were drawn, not calculated."""
    drawn = np.random.default_rng(1).poisson(per_day * days, 200_000)
    share = np.mean(drawn >= false_alarms)
    assert breaks_promise(false_alarms, days, per_day) == (share < 0.01)


def test_one_alarm_breaks_no_promise_and_a_flood_does() -> None:
    assert not breaks_promise(1, 0.001, 0.001)
    assert breaks_promise(10_000, 1.0, 1.0)
    assert promised_per_day(replace(TRIAL, false_alarms=0)) == pytest.approx(1 / 30.4)
    assert promised_per_day(TRIAL) == pytest.approx(2 / 7)
    assert promised_per_day(replace(TRIAL, days=0.0)) == pytest.approx(1 / 30.4)
