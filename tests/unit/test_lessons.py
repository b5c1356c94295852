"""What verdicts teach, and what they must not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alarms.events import Severity
from alarms.lessons import NO_PATIENCE, Lesson, Patience, taught
from alarms.rules import Rule
from alarms.watch import Watch
from detectors.limits import Limit
from ingest.watch.detectors import detectors_for
from telemetry import Batch, Stream

PUMP = Stream(3, 1, "demo", "pump-1", "flow", "flow", "m3/h")
RULE = Rule("high", "limits", "condition", ((1.0, Severity.HIGH),), limit=Limit(hi=10.0, hihi=20.0), on_delay_s=5.0)
IN_VAIN = Lesson(peak=1.6, lasted_s=1800.0, fault=False, age_s=0.0)
FAULT = replace(IN_VAIN, fault=True)
START_S = 1_782_907_200


def patience(*lessons: Lesson) -> Patience:
    return taught({"pump-1": lessons})["pump-1"]


def waits_for(given: Patience, lesson: Lesson) -> bool:
    return lesson.peak < given.level and lesson.lasted_s < given.lasting_s


def test_one_visit_in_vain_teaches_nothing() -> None:
    assert patience() == patience(IN_VAIN) == NO_PATIENCE


def test_several_teach_patience_with_their_like_and_no_more() -> None:
    given = patience(*[IN_VAIN] * 4)
    assert waits_for(given, IN_VAIN)
    assert not waits_for(given, replace(IN_VAIN, peak=4.0)), "what goes higher is raised at once"
    assert not waits_for(given, replace(IN_VAIN, lasted_s=6 * 3600.0)), "what stays is raised"


def test_faults_of_the_same_kind_speak_against_it() -> None:
    assert patience(*[IN_VAIN] * 5, *[FAULT] * 3) == NO_PATIENCE


@pytest.mark.parametrize("wrong", [1, 2])
def test_one_verdict_in_five_may_be_wrong(wrong: int) -> None:
    high = Lesson(peak=8.0, lasted_s=86_400.0, fault=True, age_s=0.0)
    heard = [*[IN_VAIN] * (10 - wrong), *[FAULT] * wrong, *[high] * (10 - wrong), *[replace(high, fault=False)] * wrong]
    given = patience(*heard)
    assert not waits_for(given, high), "a fault found again and again is not waited for"
    assert wrong > 1 or waits_for(given, IN_VAIN)


def test_what_was_learnt_long_ago_fades() -> None:
    year_s = 365 * 86_400.0
    assert patience(*[replace(IN_VAIN, age_s=2 * year_s)] * 4) == NO_PATIENCE


def test_a_machine_begins_with_what_its_like_have_taught() -> None:
    found = taught({"pump-1": [IN_VAIN] * 8, "pump-2": [], "pump-3": [FAULT] * 2})
    assert waits_for(found["pump-1"], IN_VAIN)
    assert found["pump-3"] == NO_PATIENCE
    assert taught({"pump-1": [IN_VAIN] * 16, "pump-2": []})["pump-2"] != NO_PATIENCE


def edges(given: Patience, values: list[float]) -> list[tuple[str, int]]:
    watch = Watch(detectors_for({"demo": [RULE]}), {"demo": [RULE]})
    watch.watch([PUMP])
    watch.teach({("limits", PUMP.id): given})
    times = [(START_S + second) * 1_000_000 for second in range(len(values))]
    events = watch.step(Batch.of(times, [PUMP.id] * len(times), values), times[-1])
    return [(event.kind.value, event.at_us // 1_000_000 - START_S) for event in events]


def test_a_departure_that_verdicts_expect_is_raised_when_it_lasts_or_goes_higher() -> None:
    given = Patience(level=1.5, lasting_s=30.0)
    assert edges(NO_PATIENCE, [12.0] * 40) == [("raised", 5)]
    assert edges(given, [12.0] * 40) == [("raised", 30)]
    assert edges(given, [12.0] * 20 + [15.0] * 20) == [("raised", 20)]
    assert edges(given, [12.0] * 20 + [5.0] * 20) == []
    assert edges(given, [15.0] * 3 + [5.0] * 20) == [], "the rule's own delay stands"
