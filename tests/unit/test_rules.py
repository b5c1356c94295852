"""Rules: read from plain values with every field checked, and which one governs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.events import Severity
from alarms.losses import DETECTOR as SEQUENCE
from alarms.rules import DEFAULT_RULES, BadRule, Rule, governing, rule_from_json, rule_to_json
from alarms.sites import DETECTOR as SITE
from detectors import DETECTORS
from detectors.limits import Limit
from detectors.peers import DETECTOR as PEERS
from detectors.vibration.standing import DETECTOR as VIBRATION
from telemetry import Stream

STREAM = Stream(1, 1, "demo", "pump-1", "outlet_pressure", "pressure", "bar")
RULE = Rule("a", "limits", "condition", ((1.0, Severity.HIGH), (2.5, Severity.CRITICAL)), limit=Limit(hi=3.0))


def test_defaults_watch_with_every_detector_and_can_be_written() -> None:
    assert {rule.detector for rule in DEFAULT_RULES} == {*DETECTORS, SITE, SEQUENCE, VIBRATION, PEERS}
    for rule in DEFAULT_RULES:
        assert rule.rationalisation is not None
        assert rule_from_json(json.loads(json.dumps(rule_to_json(rule)))) == rule


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=1, max_size=128)
NUMBERS = st.floats(-1e299, 1e299)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    steps = draw(st.lists(st.floats(1.001, 1e6), max_size=3, unique=True))
    severities = draw(
        st.lists(st.sampled_from(Severity), min_size=len(steps) + 1, max_size=len(steps) + 1, unique=True)
    )
    bounds = sorted(draw(st.lists(NUMBERS, min_size=4, max_size=4, unique=True)))
    return Rule(
        id=draw(NAMES),
        detector=draw(NAMES),
        fault=draw(NAMES),
        severities=tuple(
            zip([1.0, *sorted(steps)], sorted(severities, key=lambda severity: severity.rank), strict=True)
        ),
        deadband=draw(st.floats(0, 0.9)),
        on_delay_s=draw(st.floats(0, 2_592_000)),
        off_delay_s=draw(st.floats(0, 2_592_000)),
        opens_ticket=draw(st.booleans()),
        device=draw(NAMES),
        point=draw(NAMES),
        limit=draw(st.none() | st.just(Limit(lolo=bounds[0], lo=bounds[1], hi=bounds[2], hihi=bounds[3]))),
        enabled=draw(st.booleans()),
    )


@given(rules())
def test_a_rule_survives_being_written(rule: Rule) -> None:
    assert rule_from_json(json.loads(json.dumps(rule_to_json(rule)))) == rule


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Rule.__dataclass_fields__)), JSON))
def test_whatever_is_given_is_a_rule_or_a_bad_one(changes: dict[str, Any]) -> None:
    reason = ""
    try:
        rule = rule_from_json(rule_to_json(RULE) | changes)
    except BadRule as error:
        reason = str(error)
    else:
        assert rule.severity(1.0) is rule.severities[0][1]
        json.dumps(rule_to_json(rule), allow_nan=False)
    assert reason.split(":")[0] in {"", *Rule.__dataclass_fields__}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": ""}, "id"),
        ({"fault": 5}, "fault"),
        ({"deadband": 1.0}, "deadband"),
        ({"deadband": True}, "deadband"),
        ({"on_delay_s": -1}, "on_delay_s"),
        ({"off_delay_s": float("nan")}, "off_delay_s"),
        ({"severities": []}, "severities"),
        ({"severities": [[0.5, "high"]]}, "severities"),
        ({"severities": [[1.0, "high"], [2.0, "low"]]}, "severities"),
        ({"severities": [[1.0, "high"], [1.0, "critical"]]}, "severities"),
        ({"severities": [[1.0, "dreadful"]]}, "severities"),
        ({"limit": {"hi": "x"}}, "limit"),
        ({"limit": {"hi": float("nan")}}, "limit"),
        ({"limit": {"hi": 1, "lo": 2}}, "limit"),
        ({"limit": {"high": 1}}, "limit"),
        ({"limit": {"hi": True}}, "limit"),
        ({"limit": {"hi": 10**400}}, "limit"),
        ({"limit": {"lolo": 3, "hi": 3}}, "limit"),
        ({"limit": {"hi": 3, "hihi": 2}}, "limit"),
        ({"limit": {"rate_per_min": 0}}, "limit"),
        ({"opens_ticket": "yes"}, "opens_ticket"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRule, match=f"^{field}: "):
        rule_from_json(rule_to_json(RULE) | changes)


def test_severity_rises_with_the_score() -> None:
    assert [RULE.severity(score) for score in (1.0, 2.49, 2.5, 1e9)] == [Severity.HIGH] * 2 + [Severity.CRITICAL] * 2


def test_the_more_specific_rule_governs_whatever_the_order() -> None:
    ladder = [
        RULE,
        replace(RULE, id="b", point="*pressure"),
        replace(RULE, id="c", point="outlet_pressure"),
        replace(RULE, id="d", device="pump-*"),
        replace(RULE, id="e", device="pump-?", point="outlet_*"),
        replace(RULE, id="f", device="pump-1"),
        replace(RULE, id="g", device="pump-1", point="outlet_pressure"),
    ]
    for upper in range(1, len(ladder)):
        for some in (ladder[: upper + 1], ladder[upper::-1]):
            governs = governing(some, "limits", STREAM, machine_wide=False)
            assert governs is not None
            assert governs.id == ladder[upper].id


def test_a_machine_s_detector_asks_for_the_device_alone() -> None:
    rule = replace(RULE, detector="multivariate", limit=None, point="another_point")
    assert governing([rule], "multivariate", STREAM, machine_wide=True) is rule
    assert governing([rule], "multivariate", STREAM, machine_wide=False) is None


def test_a_rule_of_limits_without_any_limits_nothing() -> None:
    assert governing([replace(RULE, limit=None)], "limits", STREAM, machine_wide=False) is None
