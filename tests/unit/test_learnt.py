"""What was learnt of a machine, taken out of a fleet's memory and put back into it."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alarms.rehearsal import Stage, play, tried
from alarms.rules import DEFAULT_RULES
from alarms.watch import Watch
from detectors.learnt import ABOUT, Unfit, checked, fresh, learn, of_machine
from ingest.watch.detectors import detectors_for
from notify.past import planted
from store.learnt import MOST_BYTES, hash_of, pack, unpack
from telemetry import Batch, Stream

POINTS = 3
EVERY_US = 60_000_000
STREAMS = [
    Stream(10 * machine + point, machine, "demo", f"pump-{machine}", f"p{point}", "unknown", "")
    for machine in (1, 2, 3)
    for point in range(POINTS)
]
ONE = [stream for stream in STREAMS if stream.machine == 1]


def lived(streams: list[Stream], first: int, count: int, level: float, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    time_us = np.tile((28_000_000 + first + np.arange(count)) * EVERY_US, len(streams))
    numbers = np.repeat([stream.id for stream in streams], count)
    return Batch.of(time_us, numbers, level + rng.normal(0.0, 1.0, len(time_us)))


def stepped(batch: Batch, step: float) -> Batch:
    """A load that changes every hundred minutes; the first point of each machine tells it."""
    high = (batch.time_us // EVERY_US // 100) % 2 == 1
    return Batch(batch.time_us, batch.stream, batch.value - step * high, batch.quality)


def watching(*batches: Batch, streams: list[Stream] = STREAMS) -> Watch:
    rules = {"demo": DEFAULT_RULES}
    watch = Watch(detectors_for(rules), rules)
    watch.watch(streams)
    for batch in batches:
        watch.step(batch, 0)
    return watch


def same(one: Any, other: Any) -> None:
    assert set(one) == set(other)
    for column in one:
        np.testing.assert_array_equal(one[column], other[column], err_msg=column)


@pytest.mark.parametrize("step", [0.0, 60.0], ids=["one level", "two levels"])
def test_a_machine_out_of_a_fleet_is_what_it_is_alone(step: float) -> None:
    streams = [replace(stream, quantity="power" if stream.point == "p0" else "unknown") for stream in STREAMS]
    one = [stream for stream in streams if stream.machine == 1]
    past = stepped(lived(streams, 0, 450, 100.0, 1), step)
    fleet = watching(past, streams=streams).snapshot()
    alone = learn(one, [past.where(np.isin(past.stream, [stream.id for stream in one]))])
    taken = of_machine(one, ((name, fleet[name]) for name in fresh()))
    for name in fresh():
        same(taken[name], alone[name])
    assert (len(alone["shift"]["subject"]) > POINTS) == (step > 0), "each level has rows of its own"


def test_a_machine_takes_over_and_no_other_notices() -> None:
    """Machine 1 has moved to another level; the model was learnt there. What is raised of the others stays."""
    past, moved = lived(STREAMS, 0, 450, 10.0, 1), lived(STREAMS, 450, 60, 16.0, 2)
    model = learn(ONE, [lived(ONE, 0, 510, 16.0, 3)])
    later = lived(STREAMS, 510, 60, 16.0, 4)
    left, taught = watching(past, moved), watching(past, moved)
    open_before = {name: left.open_subjects(name) for name in ("shift", "multivariate")}
    assert open_before["multivariate"] == {1, 2, 3}
    taught.adopt(1, model)
    assert {name: taught.open_subjects(name) for name in open_before} == open_before, "what stands stays"
    assert any(event.machine == 1 for event in taught.step(later, 0)), "and returns by itself"
    left.step(later, 0)
    assert left.open_subjects("multivariate") == {1, 2, 3}
    assert taught.open_subjects("multivariate") == {2, 3}
    own = {stream.id for stream in ONE}
    assert taught.open_subjects("shift") == left.open_subjects("shift") - own
    others = [stream for stream in STREAMS if stream.machine != 1]
    for machine in (2, 3):
        theirs = [stream for stream in others if stream.machine == machine]
        parts = (of_machine(theirs, ((name, w.snapshot()[name]) for name in fresh())) for w in (left, taught))
        one, other = parts
        for name in one:
            same(one[name], other[name])


def test_at_rest_it_is_arrays_and_comes_back_the_same() -> None:
    learnt = learn(ONE, [lived(ONE, 0, 450, 10.0, 1)])
    arrays = pack(learnt)
    back = unpack(arrays, hash_of(arrays))
    assert set(back) == {*fresh(), ABOUT}
    for name in learnt:
        same(learnt[name], back[name])
    for name, memory in checked(ONE, back).items():
        same(learnt[name], memory)


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as entries:
        entries.writestr("shift/base.npy", bytes(MOST_BYTES + 1))
    return buffer.getvalue()


def objects() -> bytes:
    buffer = io.BytesIO()
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(buffer, "w") as entries:
        entries.writestr("shift/base.npy", header + b"cos\nsystem\n(S'true'\ntR.")
    return buffer.getvalue()


@pytest.mark.parametrize("arrays", [b"", b"PK", b"no zip at all", bomb(), objects(), None])
def test_what_is_no_model_is_unfit(arrays: bytes | None) -> None:
    with pytest.raises(Unfit):
        unpack(arrays, hash_of(arrays or b""))


def test_another_hash_is_unfit() -> None:
    arrays = pack(learn(ONE, []))
    with pytest.raises(Unfit, match="hash"):
        unpack(arrays, hash_of(arrays + b" "))


@pytest.mark.parametrize("harm", ["about", "streams", "shape", "dtype", "missing", "layout", "unknown", "empty"])
def test_what_is_of_something_else_is_unfit_and_changes_nothing(harm: str) -> None:
    learnt: dict[str, Any] = {name: dict(memory) for name, memory in learn(ONE, [lived(ONE, 0, 450, 10.0, 1)]).items()}
    match harm:
        case "about":
            learnt[ABOUT]["machine"] = np.array([2])
        case "streams":
            learnt[ABOUT]["streams"] = learnt[ABOUT]["streams"][:2]
        case "shape":
            learnt["drift"]["recent"] = learnt["drift"]["recent"][:, :1]
        case "dtype":
            learnt["shift"]["base"] = np.full(POINTS, "ten")
        case "missing":
            del learnt["shift"]["base"]
        case "layout":
            learnt["multivariate"]["layout"] = np.array("of another year")
        case "unknown":
            learnt["limits"] = learnt.pop("shift")
        case _:
            learnt = {ABOUT: learnt[ABOUT]}
    watch = watching(lived(STREAMS, 0, 40, 10.0, 1))
    before = watch.snapshot()
    with pytest.raises(Unfit):
        watch.adopt(1, learnt)
    after = watch.snapshot()
    for name in before:
        same(before[name], after[name])


def test_rows_of_other_machines_in_a_model_go_nowhere() -> None:
    """It says that it is of machine 1, but holds the whole fleet's memory."""
    fleet = watching(lived(STREAMS, 0, 450, 99.0, 5)).snapshot()
    learnt = {name: fleet[name] for name in fresh()} | {ABOUT: learn(ONE, [])[ABOUT]}
    watch = watching(lived(STREAMS, 0, 450, 10.0, 1))
    others = [stream for stream in STREAMS if stream.machine == 2]
    before = of_machine(others, ((name, watch.snapshot()[name]) for name in fresh()))
    watch.adopt(1, learnt)
    after = of_machine(others, ((name, watch.snapshot()[name]) for name in fresh()))
    for name in before:
        same(before[name], after[name])


def test_a_memory_meets_readings_older_than_itself_as_if_they_came_next() -> None:
    """Tried on its own past, one whose normal is that past raises nothing and finds what is planted in it."""
    past = lived(ONE, 0, 1200, 10.0, 1)
    memory = learn(ONE, [past])
    holdout = past.where(past.time_us >= (28_000_000 + 800) * EVERY_US)
    stage = Stage(ONE, DEFAULT_RULES, {}, holdout, 400 / 1440, planted=planted(holdout, ONE, EVERY_US))
    until_us = int(past.time_us.max())
    trial, after = tried(stage, memory, until_us, goes_on=False)
    assert (trial.false_alarms, trial.planted, trial.planted_found) == (0, POINTS, POINTS)
    later = Batch(holdout.time_us + 400 * EVERY_US, holdout.stream, holdout.value, holdout.quality)
    assert int(later.time_us.min()) == until_us + EVERY_US
    for name, kept in play(stage, memory, later)[1].items():
        same(kept, after[name])
