"""Rows by the numbers of subjects, in whatever order these came."""

from __future__ import annotations

import numpy as np
import pytest

from detectors import Flatline
from detectors.memory import Beside, Memory
from telemetry import Batch, Stream

ORDERS = [[3, 5, 9], [9, 3, 5], [5, 9, 3, 9]]


def of(subjects: list[int]) -> Memory:
    memory = Memory("of a test", {"value": np.float64(np.nan), "rest": np.zeros(2)})
    for subject in subjects:
        memory.add([subject])
    return memory


@pytest.mark.parametrize("subjects", ORDERS)
def test_a_subject_s_row_is_where_it_came(subjects: list[int]) -> None:
    memory, came = of(subjects), list(dict.fromkeys(subjects))
    assert memory.subjects.tolist() == came
    for row, subject in enumerate(came):
        assert memory.row(subject) == row
        assert subject in memory
    assert memory.rows(np.array([9, 5, 9])).tolist() == [came.index(9), came.index(5), came.index(9)]
    assert 4 not in memory
    with pytest.raises(KeyError):
        memory.row(4)
    with pytest.raises(KeyError):
        memory.rows(np.array([3, 10]))


@pytest.mark.parametrize("subjects", ORDERS)
def test_a_fleet_s_memory_is_taken_over_by_the_subjects_that_are_there(subjects: list[int]) -> None:
    before = of([*subjects, *range(100, 4000)])
    before["value"][: len(before)] = before.subjects * 0.5
    after = of([7, *range(3999, 2000, -1), *subjects])
    after.restore(before.snapshot())
    known = after.subjects != 7
    assert np.isnan(after["value"][after.row(7)])
    assert (after["value"][: len(after)] == after.subjects * 0.5)[known].all()


@pytest.mark.parametrize("subjects", ORDERS)
def test_what_stands_beside_a_memory_is_by_subject_too(subjects: list[int]) -> None:
    memory = of(subjects)
    names: Beside[str] = Beside(memory)
    names.update((subject, f"point {subject}") for subject in subjects[1:])
    memory.add([4])
    assert names[subjects[1]] == f"point {subjects[1]}"
    names.update([(4, "late"), (subjects[1], "renamed")])
    assert (names[4], names[subjects[1]]) == ("late", "renamed")
    memory.add([12])
    for unnamed in (11, 12):
        with pytest.raises(KeyError):
            names[unnamed]


@pytest.mark.parametrize("subjects", ORDERS)
def test_rows_that_are_given_back_leave_the_others_as_they_were(subjects: list[int]) -> None:
    memory = of([*subjects, *range(100, 200)])
    memory["value"][: len(memory)] = memory.subjects * 0.5
    memory.drop(np.array([5, *range(101, 199)]))
    assert sorted(memory.subjects.tolist()) == [3, 9, 100, 199]
    assert (memory["value"][: len(memory)] == memory.subjects * 0.5).all()
    assert len(memory["value"]) < 100
    assert 5 not in memory
    memory.add([5])
    assert np.isnan(memory["value"][memory.row(5)])
    with pytest.raises(KeyError):
        memory.drop(np.array([4]))


def test_an_interval_that_was_learnt_elsewhere_ends_the_learning() -> None:
    stream = Stream(7, 1, "acme", "pump", "flow", "flow", "m3/h")
    batch = Batch.of(np.arange(1, 41) * 10_000_000, np.full(40, 7), np.sin(np.arange(40.0)))
    live, elsewhere = Flatline(), Flatline()
    for detector, part in ((live, batch.where(batch.time_us <= 50_000_000)), (elsewhere, batch)):
        detector.watch([stream])
        detector.score(part, 0)
    assert live.snapshot()["first_subject"].tolist() == [7]
    live.restore(elsewhere.snapshot())
    assert not len(live.snapshot()["first_subject"])
    assert live.snapshot()["interval_us"].tolist() == [10_000_000.0]
