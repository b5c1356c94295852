"""What `Detector` promises, held against every detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import (
    DETECTORS,
    Detector,
    Drift,
    Flatline,
    Limit,
    Limits,
    Multivariate,
    Novelty,
    Scope,
    Scores,
    Sensors,
    Shift,
    Silence,
)
from telemetry import Batch, Stream

START_US = 1_763_740_800_000_000
SECOND_US = 1_000_000
POINTS = 3

# Short windows, so that a few hundred rows take a detector through learning, departure and return.
MAKERS: dict[str, Callable[[], Detector]] = {
    "limits": lambda: Limits(lambda stream: Limit(hihi=6.0, hi=4.0, lo=-4.0, lolo=-6.0, rate_per_min=8.0)),
    "flatline": lambda: Flatline(min_changes=20, floor_s=5.0, floor_intervals=5.0),
    "sensors": lambda: Sensors(learn_spans=8),
    "shift": lambda: Shift(learn_spans=20, false_alarm_rate=0.01),
    "drift": lambda: Drift(learn_s=60.0),
    "novelty": lambda: Novelty(limit=1.0, day_s=40.0, from_interval_s=0.0),
    "multivariate": lambda: Multivariate(learn_rows=60, learn_s=0.0),
    "silence": lambda: Silence(floor_s=3.0, min_arrivals=4),
}


def test_the_suite_holds_every_detector() -> None:
    assert set(MAKERS) == set(DETECTORS)
    assert all(isinstance(make(), DETECTORS[name]) for name, make in MAKERS.items())


@pytest.fixture(params=sorted(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[[], Detector]:
    return MAKERS[request.param]


def streams_of(machines: Sequence[int], points: int = POINTS) -> list[Stream]:
    return [
        Stream(machine * 10 + point, machine, "acme", f"pump-{machine}", f"point-{point}", "unknown", "")
        for machine in machines
        for point in range(points)
    ]


@dataclass
class Run:
    """What a detector said over several batches."""

    time_us: list[int] = field(default_factory=list)
    subject: list[int] = field(default_factory=list)
    score: list[float] = field(default_factory=list)

    def add(self, scores: Scores) -> None:
        assert_well_formed(scores)
        self.time_us += scores.time_us.tolist()
        self.subject += scores.subject.tolist()
        self.score += scores.score.tolist()

    def of(self, subject: int) -> list[tuple[int, float]]:
        return [(t, s) for t, u, s in zip(self.time_us, self.subject, self.score, strict=True) if u == subject]


def assert_well_formed(scores: Scores) -> None:
    assert scores.time_us.dtype == np.int64
    assert scores.subject.dtype == np.int32
    assert scores.score.dtype == np.float64
    assert len(scores.time_us) == len(scores.subject) == len(scores.score)
    order = np.lexsort((scores.time_us, scores.subject))
    assert (np.diff(order) >= 0).all() or (order == np.arange(len(order))).all()
    said = scores.score[~np.isnan(scores.score)]
    assert (said >= 0).all()
    assert np.isfinite(said).all()


def history(rows: int, machines: Sequence[int], seed: int, scale: float = 1.0, offset: float = 0.0) -> Batch:
    """Noise with a gap, a stuck stretch, a spike and a step in it, so that every detector has something to say."""
    rng = np.random.default_rng(seed)
    time_us = START_US + np.arange(rows) * SECOND_US
    time_us[rows // 3 :] += 25 * SECOND_US
    columns = []
    for machine in machines:
        common = rng.normal(size=rows)
        for point in range(POINTS):
            value = common + rng.normal(size=rows) * 0.5
            value[rows // 2] += 30.0
            value[3 * rows // 4 :] += 12.0 * (point == 0)
            value[rows // 4 : rows // 4 + 20] = value[rows // 4]
            columns.append((machine * 10 + point, value * scale + offset))
    return Batch.of(
        np.tile(time_us, len(columns)),
        np.repeat([stream for stream, _ in columns], rows),
        np.concatenate([value for _, value in columns]),
    )


def rows_of(batch: Batch, low_us: int, high_us: int) -> Batch:
    return batch.where((batch.time_us >= low_us) & (batch.time_us < high_us))


def feed(detector: Detector, batch: Batch, cuts_us: Sequence[int]) -> Run:
    """Score a history cut at these times. Silence's clock is the arrival: each reading as it was measured."""
    run = Run()
    bounds = [START_US, *sorted(cuts_us), int(batch.time_us.max()) + 1]
    for low_us, high_us in pairwise(bounds):
        run.add(detector.score(rows_of(batch, low_us, high_us), high_us))
    return run


def memory_of(detector: Detector) -> dict[str, Any]:
    return dict(detector.snapshot())


def assert_same_memory(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert set(one) == set(other)
    for name, column in one.items():
        np.testing.assert_array_equal(column, other[name], err_msg=name)


def assert_same(one: Run, other: Run, subjects: Sequence[int]) -> None:
    for subject in subjects:
        left, right = one.of(subject), other.of(subject)
        assert [t for t, _ in left] == [t for t, _ in right]
        np.testing.assert_array_equal([s for _, s in left], [s for _, s in right])


def subjects_of(detector: Detector, streams: Sequence[Stream]) -> list[int]:
    if detector.scope is Scope.STREAM:
        return [stream.id for stream in streams]
    return sorted({stream.machine for stream in streams})


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"silence"}))
@given(data=st.data())
@settings(max_examples=15)
def test_scores_do_not_depend_on_how_readings_are_cut(name: str, data: st.DataObject) -> None:
    streams, batch = streams_of([1, 2]), history(200, [1, 2], seed=7)
    whole, cut = MAKERS[name](), MAKERS[name]()
    whole.watch(streams)
    cut.watch(streams)
    span_us = int(batch.time_us.max()) - START_US
    cuts = data.draw(st.lists(st.integers(1, span_us), max_size=12))
    one = feed(whole, batch, [])
    many = feed(cut, batch, [START_US + at for at in cuts])
    assert_same(one, many, subjects_of(whole, streams))
    assert_same_memory(memory_of(whole), memory_of(cut))


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_moment_may_come_in_parts(name: str) -> None:
    """The points of one message split over two batches that arrive together."""
    streams, batch = streams_of([1]), history(120, [1], seed=3)
    whole, parted = MAKERS[name](), MAKERS[name]()
    whole.watch(streams)
    parted.watch(streams)
    one, many = Run(), Run()
    for at_us in np.unique(batch.time_us):
        moment = rows_of(batch, at_us, at_us + 1)
        one.add(whole.score(moment, int(at_us)))
        many.add(parted.score(moment.where(moment.stream == 10), int(at_us)))
        many.add(parted.score(moment.where(moment.stream != 10), int(at_us)))
    for subject in subjects_of(whole, streams):
        assert dict(one.of(subject)).keys() == dict(many.of(subject)).keys()
        np.testing.assert_array_equal(list(dict(one.of(subject)).values()), list(dict(many.of(subject)).values()))
    assert_same_memory(memory_of(whole), memory_of(parted))


@given(cut=st.integers(1, 299))
@settings(max_examples=10)
@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_restored_detector_goes_on_as_if_nothing_had_happened(name: str, cut: int) -> None:
    streams, batch = streams_of([1, 2]), history(300, [1, 2], seed=11)
    moments = np.unique(batch.time_us)
    early, late = rows_of(batch, START_US, moments[cut]), rows_of(batch, moments[cut], moments[-1] + 1)
    first = MAKERS[name]()
    first.watch(streams)
    first.score(early, int(moments[cut]))
    second = MAKERS[name]()
    second.watch(list(reversed(streams)))
    second.restore(first.snapshot())
    on, again = Run(), Run()
    on.add(first.score(late, int(moments[-1])))
    again.add(second.score(late, int(moments[-1])))
    subjects = subjects_of(first, streams)
    assert_same(on, again, subjects)
    for subject in subjects:
        left, right = first.explain(subject), second.explain(subject)
        assert left.point == right.point
        assert left.since_us == right.since_us
        np.testing.assert_array_equal((left.observed, left.expected), (right.observed, right.expected))


def test_a_snapshot_holds_plain_arrays(make: Callable[[], Detector]) -> None:
    detector = make()
    detector.watch(streams_of([1]))
    feed(detector, history(100, [1], seed=1), [])
    for name, column in detector.snapshot().items():
        assert isinstance(column, np.ndarray), name
        assert column.dtype.kind in "iufbU", name


def test_a_snapshot_is_not_touched_by_what_comes_after(make: Callable[[], Detector]) -> None:
    detector = make()
    detector.watch(streams_of([1]))
    batch = history(200, [1], seed=5)
    middle_us = START_US + 60 * SECOND_US
    detector.score(rows_of(batch, START_US, middle_us), middle_us)
    kept = detector.snapshot()
    copy = {name: column.copy() for name, column in kept.items()}
    end_us = int(batch.time_us.max()) + 1
    detector.score(rows_of(batch, middle_us, end_us), end_us)
    assert_same_memory(dict(kept), copy)


@pytest.mark.parametrize("broken", ["layout", "absent", "shape"])
def test_a_memory_of_another_layout_is_refused(make: Callable[[], Detector], broken: str) -> None:
    detector = make()
    detector.watch(streams_of([1]))
    feed(detector, history(50, [1], seed=1), [])
    snapshot = dict(detector.snapshot())
    if broken == "layout":
        snapshot["layout"] = np.array("something else 9")
    elif broken == "absent":
        del snapshot["layout"]
    else:
        name = next(name for name in snapshot if name.endswith(("since_us", "heard_us", "age_us")))
        snapshot[name] = np.zeros((1, 2, 3, 4))
    fresh = make()
    fresh.watch(streams_of([1]))
    with pytest.raises(ValueError, match="memory"):
        fresh.restore(snapshot)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300, 5e307])
def test_finite_numbers_of_any_size_neither_raise_nor_warn(make: Callable[[], Detector], scale: float) -> None:
    rng = np.random.default_rng(0)
    rows = 200
    value = rng.choice([-1.0, 0.0, 1.0, 0.5], size=(POINTS, rows)) * scale
    value[:, 100:] = rng.normal(size=(POINTS, rows - 100))
    batch = Batch.of(
        np.tile(START_US + np.arange(rows) * SECOND_US, POINTS), np.repeat([10, 11, 12], rows), value.ravel()
    )
    detector = make()
    detector.watch(streams_of([1]))
    feed(detector, batch, [START_US + 120 * SECOND_US])
    for subject in subjects_of(detector, streams_of([1])):
        detector.explain(subject)


@pytest.mark.parametrize("value", [0.0, 32.0, -1e-12, 1e12])
def test_a_machine_that_never_changes_is_never_in_alarm(make: Callable[[], Detector], value: float) -> None:
    if isinstance(make(), Limits):
        pytest.skip("limits are absolute")
    rows = 600
    batch = Batch.of(
        np.tile(START_US + np.arange(rows) * SECOND_US, POINTS),
        np.repeat([10, 11, 12], rows),
        np.full(POINTS * rows, value),
    )
    detector = make()
    detector.watch(streams_of([1]))
    run = Run()
    for at_us in np.unique(batch.time_us):
        run.add(detector.score(rows_of(batch, at_us, at_us + 1), int(at_us)))
    assert not any(score >= 1.0 for score in run.score)


# These remember levels and scores in single precision, and are off by some roundings of a number about 1.
IN_SINGLES = {"drift", "novelty"}
ROUNDED = 4 * np.finfo(np.float32).eps


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"silence"}))
@pytest.mark.parametrize("scale", [1e-3, 1.8, 1e6])
def test_a_change_of_unit_changes_nothing(name: str, scale: float) -> None:
    if name == "limits":
        pytest.skip("limits are in the stream's unit")
    streams = streams_of([1])
    plain, scaled = MAKERS[name](), MAKERS[name]()
    plain.watch(streams)
    scaled.watch(streams)
    one = feed(plain, history(300, [1], seed=2), [])
    other = feed(scaled, history(300, [1], seed=2, scale=scale), [])
    off = ROUNDED if name in IN_SINGLES else 1e-12
    np.testing.assert_allclose(one.score, other.score, rtol=off, atol=off)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_no_score_rests_on_a_later_reading(name: str) -> None:
    streams, batch = streams_of([1]), history(300, [1], seed=9)
    moments = np.unique(batch.time_us)
    changed = Batch(
        batch.time_us,
        batch.stream,
        np.where(batch.time_us > moments[200], batch.value * -7.0 + 100.0, batch.value),
        batch.quality,
    )
    runs = []
    for readings in (batch, changed):
        detector = MAKERS[name]()
        detector.watch(streams)
        run = Run()
        for at_us in moments[:201]:
            run.add(detector.score(rows_of(readings, at_us, at_us + 1), int(at_us)))
        runs.append(run)
        later = detector.score(rows_of(readings, moments[201], moments[-1] + 1), int(moments[-1]))
        assert (later.time_us >= moments[200]).all()
    assert_same(runs[0], runs[1], subjects_of(MAKERS[name](), streams))


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_one_subject_does_not_depend_on_another(name: str) -> None:
    alone, among = MAKERS[name](), MAKERS[name]()
    alone.watch(streams_of([2]))
    among.watch(streams_of([1, 2, 3]))
    others, ours = history(250, [1, 3], seed=21), history(250, [2], seed=22)
    both = Batch.concat([others, ours])
    one, other = feed(alone, ours, []), feed(among, both, [])
    assert_same(one, other, subjects_of(alone, streams_of([2])))


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_streams_that_join_later_are_scored_and_leave_the_others_alone(name: str) -> None:
    early, late = streams_of([1]), streams_of([2])
    ours, theirs = history(250, [1], seed=31), history(250, [2], seed=32)
    end_us = int(ours.time_us.max()) + 1
    middle_us = START_US + 150 * SECOND_US
    joined, alone = MAKERS[name](), MAKERS[name]()
    joined.watch(early)
    alone.watch(early)
    with_them, without = Run(), Run()
    with_them.add(joined.score(rows_of(ours, START_US, middle_us), middle_us))
    without.add(alone.score(rows_of(ours, START_US, middle_us), middle_us))
    joined.watch(late)
    both = Batch.concat([rows_of(ours, middle_us, end_us), rows_of(theirs, middle_us, end_us)])
    with_them.add(joined.score(both, end_us))
    without.add(alone.score(rows_of(ours, middle_us, end_us), end_us))
    assert_same(with_them, without, subjects_of(joined, early))
    assert all(with_them.of(subject) for subject in subjects_of(joined, late))


def test_an_empty_batch_is_nothing_special(make: Callable[[], Detector]) -> None:
    detector = make()
    assert_well_formed(detector.score(Batch.empty(), START_US))
    detector.watch(streams_of([1]))
    assert_well_formed(detector.score(Batch.empty(), START_US + 1))


def test_evidence_shares_add_up_to_one(make: Callable[[], Detector]) -> None:
    streams = streams_of([1])
    detector = make()
    detector.watch(streams)
    batch = history(300, [1], seed=4)
    for at_us in np.unique(batch.time_us):
        detector.score(rows_of(batch, at_us, at_us + 1), int(at_us))
        for subject in subjects_of(detector, streams):
            evidence = detector.explain(subject)
            assert evidence.point in evidence.contributions
            assert all(share >= 0 for share in evidence.contributions.values())
            assert sum(evidence.contributions.values()) == pytest.approx(1.0)
    assert set(evidence.contributions) <= {stream.point for stream in streams}


def thermometers(rows: int = 600) -> tuple[list[Stream], Batch]:
    """Three of one machine, one of which is set to °F in the end: what `sensors` speaks of."""
    streams = [Stream(10 + n, 1, "acme", "pump-1", f"bearing-{n}", "temperature", "degC") for n in range(POINTS)]
    values = 60.0 + np.random.default_rng(3).normal(size=(POINTS, rows)) * 0.1
    values[0, 3 * rows // 4 :] = values[0, 3 * rows // 4 :] * 1.8 + 32.0
    times = np.tile(START_US + np.arange(rows) * SECOND_US, POINTS)
    return streams, Batch.of(times, np.repeat([stream.id for stream in streams], rows), values.ravel())


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_whoever_is_called_is_told_what_was_measured_against_what(name: str) -> None:
    """At a score of 1 and more: a value, its band with what was expected in it, since when, and whose share is most."""
    streams, batch = thermometers() if name == "sensors" else (streams_of([1]), history(300, [1], seed=4))
    detector = MAKERS[name]()
    detector.watch(streams)
    told = 0
    # Each second, those without a reading too.
    for at_us in range(START_US, int(batch.time_us.max()) + 1, SECOND_US):
        scores = detector.score(rows_of(batch, at_us, at_us + SECOND_US), at_us)
        for subject in scores.subject[scores.score >= 1.0].tolist():
            evidence = detector.explain(subject)
            assert np.isfinite((evidence.observed, evidence.expected)).all()
            assert np.isfinite((evidence.low, evidence.high)).any()
            assert not evidence.expected < evidence.low
            assert not evidence.expected > evidence.high
            assert START_US <= evidence.since_us <= at_us
            assert sum(evidence.contributions.values()) == pytest.approx(1.0)
            assert evidence.contributions[evidence.point] == max(evidence.contributions.values())
            told += 1
    assert told, "the readings have nothing to say to it"
