"""The watch: from scores to edges. Scores are those of the real `Limits`: between hi 10 and hihi 20, from 1 to 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.events import AlarmEvent, Kind, Severity
from alarms.rules import DEFAULT_RULES, Rule
from alarms.watch import SLICE_READINGS, Watch
from detectors.limits import Limit
from detectors.scores import Evidence, Scope, Scores, Snapshot
from ingest.watch.detectors import detectors_for
from telemetry import Batch, Quality, Stream

START_S = 1_782_907_200
PUMP = Stream(3, 1, "demo", "pump-1", "flow", "flow", "m3/h")
PUMP_PRESSURE = Stream(4, 1, "demo", "pump-1", "pressure", "pressure", "bar")
MOTOR = Stream(7, 2, "demo", "motor-1", "flow", "flow", "m3/h")
STREAMS = (PUMP, PUMP_PRESSURE, MOTOR)
RULE = Rule(
    "high",
    "limits",
    "condition",
    ((1.0, Severity.HIGH), (2.0, Severity.CRITICAL)),
    deadband=0.1,
    limit=Limit(hi=10.0, hihi=20.0),
)


def a_watch(*rules: Rule, streams: Sequence[Stream] = STREAMS) -> Watch:
    by_tenant = {"demo": list(rules)}
    watch = Watch(detectors_for(by_tenant), by_tenant)
    watch.watch(streams)
    return watch


def us(second: float) -> int:
    return int((START_S + second) * 1e6)


def feed(
    watch: Watch, readings: dict[float, float], stream: Stream = PUMP, now_s: float | None = None, quality: int = 0
) -> list[AlarmEvent]:
    """Values by second, one batch; `now_s` is the clock's second: by default that of the last reading."""
    times = [us(second) for second in readings]
    batch = Batch.of(times, [stream.id] * len(times), list(readings.values()), [quality] * len(times))
    return watch.step(batch, us(max(readings) if now_s is None else now_s))


def told(events: Sequence[AlarmEvent]) -> list[tuple[str, float]]:
    return [(event.kind.value, event.at_us / 1e6 - START_S) for event in events]


def every_second(values: Sequence[float], first: float = 0) -> dict[float, float]:
    return {first + second: value for second, value in enumerate(values)}


class Opinions:
    """A detector that says of a stream what its readings say, and nothing where they are negative."""

    scope = Scope.STREAM

    def watch(self, streams: Sequence[Stream]) -> None: ...

    def score(self, batch: Batch, now_us: int) -> Scores:
        return Scores(batch.time_us, batch.stream, np.where(batch.value < 0, np.nan, batch.value))

    def explain(self, subject: int) -> Evidence:
        return Evidence("flow", 1.0, 0.0, 0.0, 0.5, us(0), {"flow": 1.0})

    def snapshot(self) -> Snapshot:
        return {}

    def restore(self, snapshot: Snapshot) -> None: ...


# Edges ----------------------------------------------------------------------------------------------------------------


def test_an_alarm_is_raised_at_the_limit_and_says_what_an_engineer_needs() -> None:
    (event,) = feed(a_watch(RULE), every_second([9.99, 10.0]))
    assert (event.kind, event.severity, event.score) == (Kind.RAISED, Severity.HIGH, 1.0)
    assert (event.device, event.point, event.unit, event.fault) == ("pump-1", "flow", "m3/h", "condition")
    assert event.since_us == event.at_us == us(1)
    assert event.message == "flow 10 m3/h, limit 10 m3/h"
    assert event.evidence.observed == 10


def test_it_returns_below_the_deadband_and_not_before() -> None:
    watch = a_watch(RULE)
    assert told(feed(watch, every_second([10, 9.5, 9.1, 10, 9.01]))) == [("raised", 0)]
    assert told(feed(watch, every_second([8.99, 10], first=5))) == [("returned", 5), ("raised", 6)]


def test_a_score_that_lingers_in_the_deadband_neither_raises_nor_returns() -> None:
    watch = a_watch(replace(RULE, on_delay_s=3))
    assert told(feed(watch, every_second([10, 9.5, 9.5, 9.5]))) == []
    assert told(feed(watch, {4: 10.0})) == [("raised", 4)], "the departure began at 0 and never ended"


def test_a_weak_departure_must_last_longer_and_a_strong_one_need_not() -> None:
    rule = replace(RULE, on_delay_s=2, weak_below=1.5, weak_delay_s=10)
    assert told(feed(a_watch(rule), every_second([12] * 20))) == [("raised", 10)]
    assert told(feed(a_watch(rule), every_second([16] * 20))) == [("raised", 2)]
    assert told(feed(a_watch(rule), every_second([12] * 5 + [16] * 5))) == [("raised", 5)]
    assert told(feed(a_watch(rule), every_second([12] * 5 + [5] * 15))) == []
    assert told(feed(a_watch(rule), every_second([16] * 3 + [12] * 3 + [25] * 3))) == [("raised", 2), ("escalated", 6)]


def test_the_on_delay_outlasts_a_spike_and_not_a_fault() -> None:
    watch = a_watch(replace(RULE, on_delay_s=5))
    assert told(feed(watch, every_second([12, 12, 12, 12, 5]))) == []
    events = feed(watch, every_second([12, 12, 12, 12, 12, 12], first=10))
    assert told(events) == [("raised", 15)]
    assert events[0].since_us == us(10)


def test_the_off_delay_outlasts_a_lull() -> None:
    watch = a_watch(replace(RULE, off_delay_s=5))
    assert told(feed(watch, every_second([12, 5, 5, 5, 5, 12]))) == [("raised", 0)]
    assert told(feed(watch, every_second([5, 5, 5, 5, 5, 5], first=10))) == [("returned", 15)]


def test_it_escalates_once_to_each_severity_and_keeps_its_peak() -> None:
    watch = a_watch(RULE)
    events = feed(watch, every_second([12, 25, 15, 30, 12, 5]))
    assert told(events) == [("raised", 0), ("escalated", 1), ("returned", 5)]
    raised, escalated, returned = events
    assert {event.occurrence_id for event in events} == {raised.occurrence_id}
    assert len({event.event_id for event in events}) == 3
    assert escalated.severity is Severity.CRITICAL
    assert returned.peak == 3.0


def test_it_is_raised_at_the_severity_it_has_when_the_delay_is_over() -> None:
    (event,) = feed(a_watch(replace(RULE, on_delay_s=2)), every_second([12, 12, 25]))
    assert (event.kind, event.severity) == (Kind.RAISED, Severity.CRITICAL)


def test_a_second_occurrence_is_another_one() -> None:
    first, _, second = feed(a_watch(RULE), every_second([12, 5, 12]))
    assert first.occurrence_id != second.occurrence_id


def test_streams_and_rules_do_not_mix() -> None:
    watch = a_watch(RULE, replace(RULE, id="low", point="pressure", limit=Limit(lo=2.0)))
    assert [event.point for event in feed(watch, {0: 12.0})] == ["flow"]
    assert [event.rule for event in feed(watch, {0: 1.0}, PUMP_PRESSURE)] == ["low"]
    assert [event.device for event in feed(watch, {1: 12.0}, MOTOR)] == ["motor-1"]


def test_no_opinion_neither_raises_nor_returns() -> None:
    """A machine's score is NaN while it stands still: its alarm stays, and so does a departure not raised yet."""
    rule = replace(RULE, id="unlike", detector="multivariate", limit=None, on_delay_s=2, off_delay_s=2)
    watch = Watch({"multivariate": Opinions()}, {"demo": [rule]})
    watch.watch(STREAMS)
    assert told(feed(watch, every_second([1.0, -1, -1, 1.0]))) == [("raised", 3)]
    assert told(feed(watch, every_second([0.1, -1, -1, -1, 0.1], first=4))) == [("returned", 8)]


# Which rule -----------------------------------------------------------------------------------------------------------


def test_the_most_specific_rule_governs_alone() -> None:
    lenient = replace(RULE, id="motors", device="motor-*", limit=Limit(hi=50.0))
    this_one = replace(RULE, id="this-motor", device="motor-1", limit=Limit(hi=30.0))
    watch = a_watch(RULE, lenient, this_one)
    assert feed(watch, {0: 29.0}, MOTOR) == []
    assert [event.rule for event in feed(watch, {1: 31.0}, MOTOR)] == ["this-motor"]
    assert [event.rule for event in feed(watch, {1: 31.0}, PUMP)] == ["high"]


def test_a_disabled_rule_takes_its_device_out() -> None:
    watch = a_watch(RULE, replace(RULE, id="out", device="pump-1", enabled=False))
    assert feed(watch, {0: 1e6}) == []
    assert told(feed(watch, {0: 12.0}, MOTOR)) == [("raised", 0)]


def test_another_tenant_has_other_rules() -> None:
    stranger = replace(PUMP, id=9, machine=9, tenant="other")
    watch = a_watch(RULE, streams=[*STREAMS, stranger])
    assert feed(watch, {0: 1e6}, stranger) == []


@pytest.mark.parametrize(
    "successor", [replace(RULE, enabled=False), replace(RULE, id="new", limit=Limit(hi=11.0)), None]
)
def test_what_a_rule_began_ends_with_the_rule(successor: Rule | None) -> None:
    """Its alarm would stand for ever: nobody else would end it."""
    before = a_watch(RULE)
    (raised,) = feed(before, {0: 12.0})
    after = a_watch(*([successor] if successor else []))
    assert after.restore(before.snapshot()) == []
    returned, *others = after.step(Batch.empty(), us(1))
    assert (returned.kind, returned.occurrence_id, returned.at_us) == (Kind.RETURNED, raised.occurrence_id, us(0))
    assert others == []
    assert [event.rule for event in feed(after, {2: 12.0})] == (["new"] if successor and successor.enabled else [])


# Time -----------------------------------------------------------------------------------------------------------------


def test_the_clock_raises_what_no_further_reading_would() -> None:
    watch = a_watch(replace(RULE, on_delay_s=30))
    assert feed(watch, {0: 12.0}, now_s=1) == []
    assert watch.step(Batch.empty(), us(30)) == []
    (event,) = watch.step(Batch.empty(), us(31))
    assert (event.kind, event.at_us) == (Kind.RAISED, us(30))
    assert watch.step(Batch.empty(), us(60)) == []
    assert feed(watch, {32: 12.0}, now_s=61) == []


def test_the_clock_says_nothing_of_a_backlog() -> None:
    """Readings of yesterday that end in a spike: whether it lasted is not known, and will not be."""
    watch = a_watch(replace(RULE, on_delay_s=30))
    assert feed(watch, {0: 12.0}, now_s=86_400) == []
    assert watch.step(Batch.empty(), us(90_000)) == []


def test_the_same_edge_by_the_clock_and_by_a_reading_has_one_name() -> None:
    rule = replace(RULE, on_delay_s=30)
    by_clock, by_reading = a_watch(rule), a_watch(rule)
    feed(by_clock, {0: 12.0})
    (first,) = by_clock.step(Batch.empty(), us(30))
    (second,) = feed(by_reading, {0: 12.0, 31: 12.0})
    assert (first.event_id, first.occurrence_id) == (second.event_id, second.occurrence_id)


@pytest.mark.parametrize("flag", [Quality.LATE, Quality.FUTURE, Quality.IMPOSSIBLE])
def test_readings_that_must_not_count_do_not(flag: Quality) -> None:
    watch = a_watch(RULE)
    assert feed(watch, {0: 1e6}, quality=flag) == []
    assert watch.last_scored() == {}


def test_a_buffer_is_scored_whole_from_its_oldest_on_and_not_at_all_behind_its_newest() -> None:
    """A fault that came and went hours ago, as `docs/ingest.md` says; one that lasts begins with what is scored."""
    hours_ago = every_second([5.0, 15.0, 15.0, 5.0], first=-7200)
    assert told(feed(a_watch(RULE), hours_ago, now_s=0)) == [("raised", -7199), ("returned", -7197)]
    watch = a_watch(RULE)
    assert feed(watch, {0: 5.0}) == feed(watch, hours_ago, now_s=1) == []
    assert told(feed(watch, {1: 15.0})) == [("raised", 1)]
    assert feed(watch, every_second([15.0] * 9, first=-10), now_s=2) == []


def test_a_reading_scored_once_is_late_ever_after() -> None:
    watch = a_watch(RULE)
    feed(watch, every_second([1, 2, 3]))
    again = Batch.of([us(1), us(2), us(3)], [PUMP.id] * 3, [99, 99, 12])
    assert watch.late(again).tolist() == [True, True, False]
    assert told(watch.step(again, us(3))) == [("raised", 3)]


# Memory ---------------------------------------------------------------------------------------------------------------

VALUES = st.lists(st.floats(-100, 100) | st.sampled_from([9.0, 9.01, 10.0, 20.0]), min_size=1, max_size=60)


@given(VALUES, st.data())
def test_a_restart_at_any_moment_changes_nothing(values: list[float], data: st.DataObject) -> None:
    rule = replace(RULE, on_delay_s=data.draw(st.integers(0, 4)), off_delay_s=data.draw(st.integers(0, 4)))
    cut = data.draw(st.integers(0, len(values)))
    whole = a_watch(rule, *DEFAULT_RULES)
    wanted = feed(whole, every_second(values))
    first, second = a_watch(rule, *DEFAULT_RULES), a_watch(rule, *DEFAULT_RULES)
    got = feed(first, every_second(values[:cut])) if cut else []
    assert second.restore(first.snapshot()) == []
    got += feed(second, every_second(values[cut:], first=cut)) if cut < len(values) else []
    assert [event.event_id for event in got] == [event.event_id for event in wanted]
    assert [event.at_us for event in got] == [event.at_us for event in wanted]


@given(VALUES, st.lists(st.integers(0, 60), max_size=5))
def test_however_readings_are_cut_into_batches(values: list[float], cuts: list[int]) -> None:
    whole, parts = a_watch(RULE), a_watch(RULE)
    wanted = feed(whole, every_second(values))
    bounds = [0, *sorted(set(cuts)), len(values)]
    got = []
    for begin, end in pairwise(bounds):
        if part := values[begin:end]:
            got += feed(parts, every_second(part, first=begin))
    assert [event.event_id for event in got] == [event.event_id for event in wanted]


def test_what_a_sensor_that_lies_makes_others_say_is_its_own_fault() -> None:
    """Until its occurrence ends, also over a restart; a sensor that is believed speaks for its machine."""

    def one() -> Watch:
        rules = {"demo": [RULE, Rule("sensors", "sensors", "instrument", ((1.0, Severity.LOW),))]}
        watch = Watch({"sensors": Opinions(), "limits": detectors_for(rules)["limits"]}, rules)
        watch.watch(STREAMS)
        return watch

    before, after = one(), one()
    both = feed(before, {0: 5.0, 1: 12.0})
    assert [(event.detector, event.fault) for event in both] == [("sensors", "instrument"), ("limits", "instrument")]
    assert after.restore(before.snapshot()) == []
    assert {event.fault for event in feed(after, {2: 25.0, 3: 0.5, 4: 0.0})} == {"instrument"}
    feed(before, {2: 12.0})
    events = feed(before, {3: 12.0}, PUMP_PRESSURE)
    assert {(event.detector, event.fault) for event in events} == {("sensors", "instrument"), ("limits", "instrument")}
    assert [event.fault for event in feed(a_watch(RULE), {1: 12.0}, PUMP_PRESSURE)] == ["condition"]


def test_a_long_backlog_shows_the_evidence_of_its_moment() -> None:
    """Scored slice by slice: the evidence is of at most so many readings after the edge, not of the end."""
    values = [5.0] * 100 + [12.0] * 20 + [5.0] * 1000
    raised, returned = feed(a_watch(RULE), every_second(values))
    assert (raised.at_us, returned.at_us) == (us(100), us(120))
    assert raised.evidence.since_us <= us(100 + 2 * SLICE_READINGS)


def test_an_unreadable_memory_is_named_and_forgotten() -> None:
    before = a_watch(RULE)
    feed(before, {0: 12.0})
    snapshot = before.snapshot()
    snapshot["limits"] = {"layout": np.array("another")}
    snapshot["watch"] = {"layout": np.array([99])}
    after = a_watch(RULE)
    assert set(after.restore(snapshot)) == {"limits", "watch"}
    assert told(feed(after, {1: 12.0})) == [("raised", 1)]


def test_the_memory_of_a_stream_that_is_gone_is_left_out() -> None:
    before = a_watch(RULE)
    feed(before, {0: 12.0}, MOTOR)
    after = a_watch(RULE, streams=[PUMP, PUMP_PRESSURE])
    assert after.restore(before.snapshot()) == []
    assert after.last_scored() == {}
    assert after.step(Batch.empty(), us(1)) == []
