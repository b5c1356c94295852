"""A batch: sorted, without a reading twice, however it was put together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import Batch, Quality

READINGS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 4), st.floats(-10, 10), st.integers(0, 15)), max_size=60
)
Reading = tuple[int, int, float, int]


def a_batch(readings: list[Reading]) -> Batch:
    times, streams, values, qualities = zip(*readings, strict=True) if readings else ((), (), (), ())
    return Batch.of(times, streams, values, qualities)


def rows(batch: Batch) -> list[Reading]:
    return list(
        zip(
            batch.time_us.tolist(),
            batch.stream.tolist(),
            batch.value.tolist(),
            batch.quality.tolist(),
            strict=True,
        )
    )


def first_of_each(readings: list[Reading]) -> list[Reading]:
    """The slow, obvious version."""
    first: dict[tuple[int, int], Reading] = {}
    for reading in readings:
        first.setdefault((reading[1], reading[0]), reading)
    return [first[key] for key in sorted(first)]


@given(READINGS)
def test_sorted_by_stream_and_time_and_the_first_given_stays(readings: list[Reading]) -> None:
    batch = a_batch(readings)
    assert rows(batch) == first_of_each(readings)
    assert [str(column.dtype) for column in (batch.time_us, batch.stream, batch.value, batch.quality)] == [
        "int64",
        "int32",
        "float64",
        "uint8",
    ]


@given(READINGS, READINGS, READINGS)
def test_batches_together_are_the_batch_of_all(a: list[Reading], b: list[Reading], c: list[Reading]) -> None:
    together = Batch.concat([a_batch(a), a_batch(b), a_batch(c)])
    assert rows(together) == first_of_each(a + b + c)


@given(READINGS)
def test_starts_are_the_first_of_each_stream(readings: list[Reading]) -> None:
    batch = a_batch(readings)
    assert batch.stream[batch.starts()].tolist() == sorted({stream for _, stream, _, _ in readings})


@given(READINGS, st.integers(0, 20))
def test_where_and_flagged_choose_by_mask(readings: list[Reading], time: int) -> None:
    batch = a_batch(readings)
    early = batch.time_us < time
    assert rows(batch.where(early)) == [row for row in rows(batch) if row[0] < time]
    flagged = batch.flagged(Quality.LATE, early)
    assert flagged.quality.tolist() == [row[3] | (row[0] < time) for row in rows(batch)]
    assert rows(batch) == first_of_each(readings), "the batch itself is as it was"


def test_columns_must_be_of_one_length() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        Batch.of([1, 2], [1], [1.0])


def test_nothing_is_a_batch_too() -> None:
    assert len(Batch.empty()) == len(Batch.concat([])) == 0
    assert Batch.empty().starts().tolist() == []


def test_what_is_in_order_is_not_copied() -> None:
    values = np.array([1.0, 2.0])
    assert Batch.of(np.array([1, 2]), np.array([1, 1]), values).value is values
