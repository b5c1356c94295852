"""Rows by the numbers of subjects, in whatever order these came."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.memory import Beside, Memory

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
