"""What an alarm says, in one line, and the names of events."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from alarms.events import Kind, Severity, event_id, occurrence_id
from alarms.messages import message
from detectors.scores import Evidence, Scope

NAN = math.nan


def evidence(
    observed: float = 71.23456, low: float = NAN, high: float = NAN, expected: float = NAN, **contributions: float
) -> Evidence:
    return Evidence("bearing", observed, expected, low, high, 0, contributions)


@pytest.mark.parametrize(
    ("detector", "what", "wanted"),
    [
        ("limits", evidence(high=65.0), "bearing 71.23 °C, limit 65 °C"),
        ("limits", evidence(low=80.0), "bearing 71.23 °C, limit 80 °C"),
        ("shift", evidence(low=40.0, high=60.5), "bearing 71.23 °C, normal 40 to 60.5 °C"),
        ("drift", evidence(low=40.0, high=60.5), "bearing has drifted to 71.23 °C, normal 40 to 60.5 °C"),
        (
            "novelty",
            evidence(low=40.0, high=60.5),
            "bearing is as it never was in its last week: 71.23 °C, normal 40 to 60.5 °C",
        ),
        ("shift", evidence(expected=50.0), "bearing 71.23 °C, expected 50 °C"),
        ("shift", evidence(observed=NAN), "bearing unknown"),
        (
            "flatline",
            replace(evidence(observed=1800.0, low=0.0, high=90.0), unit="s"),
            "bearing is stuck: the same value for 30 min, where 90 s would be normal",
        ),
        (
            "limits",
            replace(evidence(observed=12.0, low=-5.0, high=5.0, expected=0.0), unit="degC/min"),
            "bearing 12 °C/min, normal -5 to 5 °C/min",
        ),
        (
            "sensors",
            replace(evidence(low=20.0, high=22.0), sign="reads °F instead of °C"),
            "bearing reads °F instead of °C: 71.23 °C",
        ),
        ("silence", evidence(observed=NAN), "nothing heard; bearing is overdue"),
        ("site", evidence(observed=28, high=30), "bearing lost: nothing heard from 28 of 30 devices"),
        (
            "multivariate",
            evidence(low=40.0, high=60.0, bearing=0.74),
            "unlike its normal, most of all bearing (74%): 71.23 °C, normal 40 to 60 °C",
        ),
        ("multivariate", evidence(), "unlike its normal, most of all bearing: 71.23 °C"),
    ],
)
def test_what_it_says(detector: str, what: Evidence, wanted: str) -> None:
    assert message(detector, "bearing", "degC", what) == wanted


def test_a_quantity_without_a_unit_ends_with_its_number() -> None:
    assert message("limits", "ratio", "", evidence(high=1.0)) == "ratio 71.23, limit 1"


def test_names_are_made_from_what_they_name() -> None:
    """The same after a restart, in another process, on another machine: they are written down here."""
    occurrence = occurrence_id("demo", "high", Scope.STREAM, 3, 1_782_907_200_000_000)
    assert str(occurrence) == "cdc2f30e-ed5e-589a-bb39-56fc878f3a41"
    assert str(event_id(occurrence, Kind.RAISED, Severity.HIGH)) == "c9597bf1-d30e-5a40-bc7e-42947190a91f"


def test_every_name_is_another_one() -> None:
    occurrences = {
        occurrence_id(tenant, rule, scope, subject, since)
        for tenant in ("demo", "other")
        for rule in ("a", "b")
        for scope in Scope
        for subject in (1, 2)
        for since in (1, 2)
    }
    assert len(occurrences) == 2 * 2 * len(Scope) * 2 * 2
    events = {
        event_id(occurrence, kind, severity) for occurrence in occurrences for kind in Kind for severity in Severity
    }
    assert len(events) == len(occurrences) * len(Kind) * len(Severity)
