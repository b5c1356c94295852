"""Missing data, by the faults of others.

In thingsboard #6821 the alarm is thirty times late, in #12771 it is raised only when the device is back, and in #7909
it never clears where a message comes in the moment in which it is made.
"""

from __future__ import annotations

import pytest

from alarms.events import AlarmEvent
from alarms.rules import DEFAULT_RULES
from alarms.sites import Place
from alarms.watch import Watch
from ingest.watch.detectors import detectors_for
from telemetry import Batch, Stream

START_S = 1_782_907_200
PUMP = Stream(3, 1, "demo", "pump-1", "flow", "flow", "m3/h")
OTHER = Stream(4, 2, "demo", "pump-2", "flow", "flow", "m3/h")
RULES = {"demo": [rule for rule in DEFAULT_RULES if rule.detector == "silence"]}


def a_watch(interval_s: float | None = None) -> Watch:
    watch = Watch(detectors_for(RULES), RULES)
    watch.watch([PUMP, OTHER])
    watch.place([Place(1, "demo", "pump-1", interval_s=interval_s), Place(2, "demo", "pump-2")])
    return watch


def us(second: float) -> int:
    return int((START_S + second) * 1e6)


def heard(watch: Watch, second: float, *streams: Stream) -> list[tuple[str, str, float]]:
    """One step of the watch at this second, with a reading of each of these."""
    streams_, times = [stream.id for stream in streams], [us(second)] * len(streams)
    batch = Batch.of(times, streams_, [second % 7] * len(streams), [0] * len(streams))
    return [_told(event, second) for event in watch.step(batch, us(second))]


def _told(event: AlarmEvent, second: float) -> tuple[str, str, float]:
    return event.kind.value, event.device, second


@pytest.mark.parametrize(
    ("every_s", "is_said", "silent_after_s"),
    [(1, True, 3), (10, True, 30), (600, True, 1800), (1, False, 60), (10, False, 60)],
)
def test_it_is_raised_on_time_while_nothing_comes(every_s: int, is_said: bool, silent_after_s: int) -> None:
    """#6821, #12771: by the clock of the server, at three times the rhythm, with the device still away."""
    watch = a_watch(interval_s=every_s if is_said else None)
    last = every_s * 40
    for second in range(0, last + 1, every_s):
        assert heard(watch, second, PUMP) == []
    raised = [one for second in range(last + 1, last + silent_after_s + 30) for one in heard(watch, second)]
    assert [(kind, device) for kind, device, _ in raised] == [("raised", "pump-1")]
    assert silent_after_s <= raised[0][2] - last <= silent_after_s + 2


def test_it_is_raised_though_others_go_on_talking() -> None:
    watch = a_watch(interval_s=10)
    for second in range(200):
        heard(watch, second, PUMP, OTHER)
    raised = [one for second in range(200, 300) for one in heard(watch, second, OTHER)]
    assert [device for _, device, _ in raised] == ["pump-1"]


def test_it_clears_when_the_device_is_back_and_only_then() -> None:
    watch = a_watch(interval_s=10)
    for second in range(0, 100, 10):
        heard(watch, second, PUMP)
    assert [one[0] for second in range(91, 2000) for one in heard(watch, second)] == ["raised"]
    back = [one for second in range(2000, 2100) for one in heard(watch, second, PUMP)]
    assert [kind for kind, _, _ in back] == ["returned"]
    assert 60 <= back[0][2] - 2000 <= 62, "the rule's off-delay"


@pytest.mark.parametrize("at", [29.0, 29.999, 30.0, 30.001, 31.0])
def test_a_message_in_the_moment_of_the_alarm_leaves_none_behind(at: float) -> None:
    """#7909: whatever comes first, the alarm that is raised returns, and nothing stands in the end."""
    watch = a_watch(interval_s=10)
    for second in range(0, 101, 10):
        heard(watch, second, PUMP)
    events = [one for second in range(101, 129) for one in heard(watch, second)]
    events += heard(watch, 100 + at, PUMP)
    for second in range(132, 400):
        events += heard(watch, second, PUMP)
    kinds = [kind for kind, _, _ in events]
    assert kinds in ([], ["raised", "returned"])
    assert watch.open_subjects("silence") == set()


def test_a_device_that_comes_and_goes_leaves_as_many_returns_as_raises() -> None:
    """#7909 again: outages of every length around the limit."""
    watch, second, events = a_watch(interval_s=10), 0.0, []
    for turn in range(24):
        for _ in range(10):
            events += heard(watch, second, PUMP)
            second += 10
        for _ in range(turn % 12 * 10):
            second += 1
            events += heard(watch, second)
    for _ in range(200):
        second += 1
        events += heard(watch, second, PUMP)
    kinds = [kind for kind, _, _ in events]
    assert kinds == ["raised", "returned"] * (len(kinds) // 2)
    assert len(kinds) > 10
