"""What a form shows and nobody changes is sent back as it was: no digit is lost on the way through a page."""

from __future__ import annotations

import pytest

from alarms.rules import rule_from_json
from api.alarms.rules_page import read, write
from dashboard.figures import exact


def test_a_rule_that_nobody_changed_comes_back_as_it_was() -> None:
    limit = {"hi": 101_325.25, "hihi": 1_234_567.5, "lo": -0.0123456789}
    why = {"cause": "a leak", "consequence": "a stop", "action": "look", "respond_within_s": 3600.0}
    fields = {"id": "air", "detector": "limits", "fault": "condition", "severities": [[1.0, "high"]]}
    rule = rule_from_json(
        {**fields, "rationalisation": why, "limit": limit, "deadband": 0.0123, "on_delay_s": 86_399.5}
    )
    assert read(rule, write(rule)) == rule


@pytest.mark.parametrize("number", [49.4521034, 1_234_567.0, 0.1, 5.0, -11.0768123, 1e9])
def test_every_digit_is_shown(number: float) -> None:
    assert float(exact(number)) == number
