"""Spans of a machine's past, against sets of moments."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from notify import spans
from notify.spans import Span

moments = st.lists(st.integers(0, 60), max_size=8, unique=True).map(sorted)
some_spans = moments.map(lambda ends: [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=False)])
any_spans = st.lists(st.tuples(st.integers(-5, 60), st.integers(-5, 60)), max_size=4)


def moments_of(of: Iterable[Span]) -> list[int]:
    return [moment for start, end in of for moment in range(start, end)]


@given(some_spans, any_spans)
def test_holes_are_cut_out(of: list[Span], holes: list[Span]) -> None:
    left = spans.without(of, holes)
    assert moments_of(left) == [m for m in moments_of(of) if m not in set(moments_of(holes))]


@given(some_spans, st.integers(0, 70))
def test_the_newest_part_is_cut_off(of: list[Span], most: int) -> None:
    older, newest = spans.newest(of, most)
    assert moments_of(older) + moments_of(newest) == moments_of(of)
    assert spans.length_us(newest) == min(most, spans.length_us(of))


@given(some_spans, st.integers(1, 70), st.integers(1, 10))
def test_stretches_lie_evenly_over_all_of_it(of: list[Span], most: int, stretch: int) -> None:
    every = moments_of(of)
    found = moments_of(spans.spread(of, most, stretch))
    assert set(found) <= set(every)
    assert found == sorted(set(found))
    if len(every) <= most or most < stretch:
        assert found == every
    else:
        assert most - stretch < len(found) <= most
        longest = max(every.index(b) - every.index(a) for a, b in zip(found, found[1:] or found, strict=False))
        assert longest <= len(every) / (most // stretch) + 1


@given(some_spans, st.integers(1, 20))
def test_pieces_are_small_and_nothing_is_lost(of: list[Span], most: int) -> None:
    parts = list(spans.pieces(of, most))
    assert moments_of(parts) == moments_of(of)
    assert all(0 < end - start <= most for start, end in parts)
