"""Readings put back into the parts in which a watch scored them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms.events import Severity
from alarms.provenance import rule_hash
from alarms.replay import copied, in_parts, rescored, rests_on
from alarms.rules import Rule, rule_from_json, rule_to_json
from alarms.watch import Cuts, Watch
from detectors import DETECTORS
from detectors.limits import Limit
from telemetry import Batch, Stream

SECOND_US = 1_000_000
STREAMS = [
    Stream(number, number % 3, "demo", f"pump-{number % 3}", f"point-{number}", "unknown", "") for number in range(9)
]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 250)), min_size=1, max_size=12))
def test_parts_are_those_that_were_scored(came: list[tuple[int, int]]) -> None:
    """Devices send so many rows each in turn; what a watch cuts by itself is cut there again."""
    watch = Watch({}, {})
    watch.watch(STREAMS)
    watch.mark()
    scored: list[Batch] = []
    row = dict.fromkeys(range(3), 0)
    for machine, rows in came:
        own = [stream.id for stream in STREAMS if stream.machine == machine]
        time_us = np.tile(np.arange(row[machine], row[machine] + rows) * SECOND_US, len(own))
        row[machine] += rows
        scored.append(Batch.of(time_us, np.repeat(own, rows), np.zeros(len(time_us))))
        watch.step(scored[-1], 0)
    cuts = watch.cuts()
    for machine in range(3):
        own = [stream.id for stream in STREAMS if stream.machine == machine]
        mine = Batch.concat([batch.where(np.isin(batch.stream, own)) for batch in scored])
        ours = np.isin(cuts.stream, own)
        parts = list(in_parts(mine, Cuts(*(column[ours] for column in cuts))))
        assert sum(len(part) for part in parts) == len(mine)
        assert len(parts) == len(np.unique(cuts.part[ours]))
        for part, number in zip(parts, np.unique(cuts.part[ours]), strict=True):
            for stream, until_us in zip(
                cuts.stream[cuts.part == number], cuts.until_us[cuts.part == number], strict=True
            ):
                assert part.time_us[part.stream == stream].max() == until_us
    watch.mark()
    assert not len(watch.cuts().part)


def test_without_cuts_readings_are_one_part() -> None:
    batch = Batch.of([1, 2, 3], [1, 1, 2], [0.0, 0.0, 0.0])
    nothing = Cuts(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))
    assert [len(part) for part in in_parts(batch, nothing)] == [3]
    assert list(in_parts(Batch.empty(), nothing)) == []


def test_a_rate_of_change_goes_on_from_the_copy() -> None:
    """A copy knows of no limits: what they need is in it all the same, of the one stream that they are about."""
    limit, stream = Limit(rate_per_min=6.0), STREAMS[4]
    (own,) = rests_on("limits", STREAMS, stream.id)
    live = DETECTORS["limits"](lambda _: limit)
    live.watch(STREAMS)
    before = Batch.of(np.arange(100) * SECOND_US, np.full(100, own.id), np.zeros(100))
    live.score(before, 0)
    snapshot = live.snapshot()
    after = Batch.of(np.arange(100, 130) * SECOND_US, np.full(30, own.id), np.arange(30.0))
    expected = live.score(after, 0).score[-1]
    assert expected >= 1.0
    memory = copied([own], lambda name: snapshot if name == "limits" else None, ["limits"])
    at_us = int(after.time_us[-1])
    assert rescored([own], "limits", limit, memory, [after], own.id, at_us) == expected
    assert rescored([own], "limits", limit, {}, [after], own.id, at_us) != expected, "without it nothing is old enough"
    assert math.isnan(rescored([own], "limits", None, memory, [after], own.id, at_us))


def test_a_rules_hash_is_of_its_content() -> None:
    rule = Rule("hot", "limits", "condition", ((1.0, Severity.HIGH),), limit=Limit(hi=80))
    assert rule_hash(rule) == rule_hash(rule_from_json(rule_to_json(rule))), "kept and read back"
    others = [
        replace(rule, limit=Limit(hi=81)),
        replace(rule, on_delay_s=5.0),
        replace(rule, point="flow"),
        replace(rule, id="h"),
    ]
    assert len({rule_hash(rule), *(rule_hash(other) for other in others)}) == 5
