"""Noise: spikes forgiven by N of M, alarms that chatter held until they are calm, floods that begin and end once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms.events import AlarmEvent, Severity
from alarms.floods import Turn, judge
from alarms.policy import DEFAULT_POLICY, Policy
from alarms.rules import BadRule, Rule, rule_from_json, rule_to_json
from alarms.watch import Watch
from detectors.limits import Limit
from ingest.watch.detectors import detectors_for
from telemetry import Batch, Stream

START_S = 1_782_907_200
PUMP = Stream(3, 1, "demo", "pump-1", "flow", "flow", "m3/h")
RULE = Rule("high", "limits", "condition", ((1.0, Severity.HIGH),), deadband=0.1, limit=Limit(hi=10.0))
HIGH, LOW = 12.0, 5.0


def a_watch(rule: Rule) -> Watch:
    by_tenant = {"demo": [rule]}
    watch = Watch(detectors_for(by_tenant), by_tenant)
    watch.watch([PUMP])
    return watch


def us(second: float) -> int:
    return int((START_S + second) * 1e6)


def feed(watch: Watch, values: Sequence[float], first: float = 0, every_s: float = 1) -> list[AlarmEvent]:
    times = [us(first + index * every_s) for index in range(len(values))]
    return watch.step(Batch.of(times, [PUMP.id] * len(times), list(values), [0] * len(times)), times[-1])


def told(events: Sequence[AlarmEvent]) -> list[tuple[str, float]]:
    return [(event.kind.value, event.at_us / 1e6 - START_S) for event in events]


# N of M ---------------------------------------------------------------------------------------------------------------


def test_two_of_three_forgive_a_spike_and_not_a_fault_with_a_gap() -> None:
    rule = replace(RULE, at_least=2, of_last=3)
    assert told(feed(a_watch(rule), [HIGH, LOW, LOW, HIGH, LOW, LOW, HIGH])) == []
    events = feed(a_watch(rule), [LOW, HIGH, LOW, HIGH])
    assert told(events) == [("raised", 3)]
    assert events[0].since_us == us(1), "from the first of those that count"


def test_a_delay_waits_for_what_never_lasts_and_n_of_m_does_not() -> None:
    flickering = [HIGH, HIGH, LOW] * 10
    assert told(feed(a_watch(replace(RULE, on_delay_s=5)), flickering)) == []
    assert told(feed(a_watch(replace(RULE, at_least=4, of_last=6, off_delay_s=9)), flickering)) == [("raised", 4)]


def test_the_clock_does_not_raise_what_was_not_often_enough() -> None:
    watch = a_watch(replace(RULE, at_least=2, of_last=3, on_delay_s=5))
    assert feed(watch, [HIGH]) == []
    assert watch.step(Batch.empty(), us(60)) == []
    assert told(feed(watch, [HIGH], first=61)) == [("raised", 61)]


@settings(max_examples=50)
@given(st.lists(st.sampled_from([HIGH, LOW]), min_size=1, max_size=40), st.integers(1, 4), st.integers(0, 4), st.data())
def test_it_is_raised_at_the_first_score_that_makes_n_of_m(
    values: list[float], at_least: int, more: int, data: st.DataObject
) -> None:
    of_last = at_least + more
    watch = a_watch(replace(RULE, at_least=at_least, of_last=of_last, off_delay_s=1e6))
    cut = data.draw(st.integers(0, len(values)))
    events = feed(watch, values[:cut]) if cut else []
    again = a_watch(replace(RULE, at_least=at_least, of_last=of_last, off_delay_s=1e6))
    again.restore(watch.snapshot())
    events += feed(again, values[cut:], first=cut) if cut < len(values) else []
    first = next(
        (
            end
            for end in range(len(values))
            if values[end] == HIGH and values[max(0, end + 1 - of_last) : end + 1].count(HIGH) >= at_least
        ),
        None,
    )
    assert told(events) == ([] if first is None else [("raised", first)])


@pytest.mark.parametrize("fields", [{"of_last": 33}, {"of_last": 0}, {"at_least": 2}, {"at_least": True}], ids=str)
def test_no_more_of_the_last_than_there_are(fields: dict[str, object]) -> None:
    with pytest.raises(BadRule, match=next(iter(fields))):
        rule_from_json(rule_to_json(RULE) | fields)


# Chattering -----------------------------------------------------------------------------------------------------------


def test_the_third_raise_within_a_minute_is_held_until_it_is_calm() -> None:
    watch = a_watch(RULE)
    events = feed(watch, [HIGH, LOW] * 30)
    assert told(events) == [
        ("raised", 0),
        ("returned", 1),
        ("raised", 2),
        ("returned", 3),
        ("raised", 4),
        ("chattering", 4),
    ]
    assert events[-1].hold_s == 60
    calm = feed(watch, [LOW] * 61, first=60)
    assert told(calm) == [("returned", 119)], "a minute after the last rise's end"
    assert calm[0].rises == 28, "what nobody was called for is counted"


def test_slower_than_that_is_no_chatter() -> None:
    events = feed(a_watch(RULE), [HIGH, LOW] * 10, every_s=16)
    assert {kind for kind, _ in told(events)} == {"raised", "returned"}


def test_what_comes_back_soon_is_held_twice_as_long_and_after_a_day_anew() -> None:
    watch = a_watch(RULE)
    feed(watch, [HIGH, LOW] * 3)
    assert told(feed(watch, [LOW] * 61, first=6))[-1][0] == "returned"
    (_, chattering) = feed(watch, [HIGH], first=100)
    assert (chattering.kind.value, chattering.hold_s) == ("chattering", 120)
    assert told(feed(watch, [LOW] * 130, first=101)) == [("returned", 221)]
    a_day_later = feed(watch, [HIGH, LOW] * 3, first=100_000)
    assert [event.hold_s for event in a_day_later if event.kind.value == "chattering"] == [60]


def test_a_hold_grows_to_an_hour_and_no_further() -> None:
    watch, second, holds = a_watch(RULE), 10.0, []
    feed(watch, [HIGH, LOW] * 3)
    for _ in range(9):
        second += 3700
        (returned,) = feed(watch, [LOW], first=second)
        holds.append(returned.hold_s)
        feed(watch, [HIGH, LOW], first=second + 1)
    assert holds == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_tenant_says_what_chatter_is() -> None:
    watch = a_watch(RULE)
    watch.govern({"demo": Policy(chatter_raises=5, chatter_s=10)})
    assert [second for kind, second in told(feed(watch, [HIGH, LOW] * 6)) if kind == "chattering"] == [8]


@settings(max_examples=30)
@given(st.lists(st.sampled_from([HIGH, LOW]), min_size=2, max_size=30), st.data())
def test_a_restart_at_any_moment_forgets_no_chatter(values: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(values) - 1))
    whole = [(event.event_id, event.hold_s, event.rises) for event in feed(a_watch(RULE), values)]
    first, second = a_watch(RULE), a_watch(RULE)
    events = feed(first, values[:cut])
    second.restore(first.snapshot())
    events += feed(second, values[cut:], first=cut)
    assert [(event.event_id, event.hold_s, event.rises) for event in events] == whole


# Floods ---------------------------------------------------------------------------------------------------------------


def test_a_flood_begins_above_ten_and_ends_below_five() -> None:
    most = DEFAULT_POLICY.flood_alarms
    assert [judge(alarms, most, stands=False) for alarms in (0, 10, 11)] == [Turn.NONE, Turn.NONE, Turn.BEGINS]
    assert [judge(alarms, most, stands=True) for alarms in (40, 5, 4)] == [Turn.GOES_ON, Turn.GOES_ON, Turn.ENDS]
