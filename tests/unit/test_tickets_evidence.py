"""A ticket's title: what was measured, never what it might mean."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.events import Severity
from tickets.evidence import Finding, Report, title

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def report(finding: Finding, detector: str = "shift", message: str = "the message") -> Report:
    return Report(
        UUID(int=1), UUID(int=2), "pump-01", "condition", "raised", detector, detector, Severity.HIGH,
        NOW, NOW, 2.0, message, finding,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("finding", "wanted"),
    [
        (Finding("flow", "m3/h", 3.9, 10.0, 9.0, 11.0), "pump-01: flow 61 % below normal"),
        (Finding("flow", "m3/h", 12.5, 10.0, 9.0, 11.0), "pump-01: flow 25 % above normal"),
        (Finding("oil_temperature", "degC", 84.2, 70.0, 65.0, 75.0), "pump-01: oil temperature 14.2 °C above normal"),
        (Finding("level", "%", 20.0, 50.0, 40.0, 60.0), "pump-01: level 30 % below normal"),
        (Finding("pressure", "bar", 2.0, 0.0, -0.1, 0.1), "pump-01: pressure 2 bar above normal"),
        (Finding("pressure", "bar", 9.0, math.nan, math.nan, 6.0), "pump-01: pressure 50 % above normal"),
        (
            Finding("flow", "m3/h", 3.9, 10.0, 9.0, 11.0, {"flow": 0.5, "motor_current": 0.3, "speed": 0.05}),
            "pump-01: flow 61 % below normal (with motor current)",
        ),
    ],
)  # fmt: skip
def test_says_how_far_from_normal(finding: Finding, wanted: str) -> None:
    assert title(report(finding)) == wanted


@pytest.mark.parametrize(
    "finding",
    [
        Finding("flow", "m3/h"),
        Finding("", ""),
        Finding("flow", "m3/h", 10.0, 10.0, 9.0, 11.0),  # inside its band: the machine as a whole is unusual
    ],
)
def test_without_a_departure_the_alarm_speaks_for_itself(finding: Finding) -> None:
    assert title(report(finding)) == "pump-01: the message"


@pytest.mark.parametrize("detector", ["silence", "flatline"])
def test_what_is_silent_or_stuck_is_not_above_or_below(detector: str) -> None:
    assert title(report(Finding("flow", "m3/h", 3.9, 10.0, 9.0, 11.0), detector)) == "pump-01: the message"


_NUMBER = st.floats(allow_nan=True, allow_infinity=True)


@given(_NUMBER, _NUMBER, _NUMBER, _NUMBER, st.dictionaries(st.text(max_size=5), _NUMBER, max_size=4))
def test_any_numbers_make_one_line(
    observed: float, expected: float, low: float, high: float, shares: dict[str, float]
) -> None:
    text = title(report(Finding("flow", "bar", observed, expected, low, high, shares)))
    assert text.startswith("pump-01: ")
    assert "nan" not in text


def test_a_limit_that_somebody_set_is_called_a_limit() -> None:
    finding = Finding("vibration_velocity", "mm/s", observed=4.5, expected=1.8, high=1.8)
    assert title(report(finding, detector="limits")) == "pump-01: vibration velocity 150 % above its limit"
