"""What waits to be scored makes no difference to anything but when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.events import AlarmEvent, Severity
from alarms.rules import Rule
from alarms.watch import Watch
from detectors.limits import Limit
from ingest.metrics import Metrics
from ingest.watch.detectors import detectors_for
from ingest.watch.scoring import Scoring
from telemetry import Batch, Quality, Stream

START_S = 1_782_907_200
STREAMS = [Stream(number, 1 + number // 2, "demo", f"pump-{number // 2}", "flow", "flow", "m3/h") for number in (0, 3)]
RULES = {"demo": [Rule("high", "limits", "condition", ((1.0, Severity.HIGH),), limit=Limit(hi=10.0, hihi=20.0))]}

Delivery = list[tuple[int, int, float]]
"""Second, stream, value."""


def a_scoring() -> Scoring:
    scoring = Scoring(Metrics(), Counter())
    scoring.watch = Watch(detectors_for(RULES), RULES)
    scoring.watch.watch(STREAMS)
    return scoring


def a_batch(delivery: Delivery) -> Batch:
    seconds, streams, values = zip(*delivery, strict=True) if delivery else ((), (), ())
    return Batch.of([(START_S + second) * 1_000_000 for second in seconds], streams, values)


def stored(scoring: Scoring, batch: Batch) -> Batch:
    """As the intake has it: flagged, then copied while what waits is scored."""
    batch = batch.flagged(Quality.LATE, scoring.late(batch))
    scoring.catch_up()
    return batch


def told(events: Sequence[AlarmEvent]) -> list[tuple[object, ...]]:
    return [(event.event_id, event.at_us, event.score, event.peak, event.message) for event in events]


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.tuples(st.integers(0, 12), st.sampled_from([0, 3]), st.sampled_from([1.0, 15.0, 25.0])), max_size=8
            ),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_put_off_or_not_the_same_is_late_and_the_same_edges_follow(deliveries: list[tuple[Delivery, bool]]) -> None:
    at_once, put_off = a_scoring(), a_scoring()
    events: tuple[list[AlarmEvent], list[AlarmEvent]] = ([], [])
    for number, (delivery, now) in enumerate(deliveries):
        flagged = []
        for scoring, found, is_now in ((at_once, events[0], True), (put_off, events[1], now)):
            batch = stored(scoring, a_batch(delivery))
            flagged.append(batch.quality.tolist())
            scoring.take(batch, (START_S + number) * 1_000_000)
            if is_now:
                scoring.catch_up()
            found.extend(scoring.events())
        assert flagged[0] == flagged[1]
    assert at_once.watch.last_scored() == put_off.watch.last_scored()
    assert told([*events[1], *put_off.events()]) == told(events[0])


def test_who_asks_for_the_watch_finds_everything_scored_and_memory_is_that_of_the_events_given() -> None:
    scoring = a_scoring()
    scoring.take(a_batch([(5, 0, 15.0)]), START_S * 1_000_000)
    assert scoring.waits
    assert not scoring.events()
    assert scoring.memory.last_scored() == {}
    assert scoring.watch.last_scored() == {0: (START_S + 5) * 1_000_000}
    assert [event.rule for event in scoring.events()] == ["high"]
    assert not scoring.events()


def test_a_detector_that_fails_is_counted_and_does_not_stop_what_comes_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counts: Counter[str] = Counter()
    scoring = Scoring(Metrics(), counts)
    scoring.watch = Watch(detectors_for(RULES), RULES)  # which has never heard of these streams
    scoring.memory._last_us = np.full(4, np.iinfo(np.int64).min)
    scoring.take(a_batch([(1, 0, 15.0)]), START_S * 1_000_000)
    scoring.catch_up()
    assert counts == {"failed_steps": 1}
    assert "detectors failed on a batch" in caplog.text
    scoring.watch.watch(STREAMS)
    scoring.take(a_batch([(2, 0, 15.0)]), START_S * 1_000_000)
    assert scoring.watch.last_scored() == {0: (START_S + 2) * 1_000_000}
