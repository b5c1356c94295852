"""Spans of time, in µs: which of a machine's past is learnt from, and which it is tried on. Pure.

A span is a pair (start, end), the end not in it; a list of them is in order and without overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

Span = tuple[int, int]


def length_us(spans: Iterable[Span]) -> int:
    """How long they are together."""
    return sum(end - start for start, end in spans)


def without(spans: Sequence[Span], holes: Iterable[Span]) -> list[Span]:
    """What is left of spans where holes are cut out; a hole that ends before it begins is none."""
    left = list(spans)
    for hole_start, hole_end in holes:
        if hole_end <= hole_start:
            continue
        pieces = ((start, min(end, hole_start)) for start, end in left)
        rests = ((max(start, hole_end), end) for start, end in left)
        left = sorted({(start, end) for start, end in (*pieces, *rests) if start < end})
    return left


def newest(spans: Sequence[Span], most_us: int) -> tuple[list[Span], list[Span]]:
    """Spans cut in two: what is older, and the newest so many µs."""
    older, latest, wanted = list(spans), [], most_us
    while older and wanted > 0:
        start, end = older.pop()
        cut = max(start, end - wanted)
        latest.append((cut, end))
        wanted -= end - cut
        if cut > start:
            older.append((start, cut))
    return older, latest[::-1]


def spread(spans: Sequence[Span], most_us: int, stretch_us: int) -> list[Span]:
    """As much of spans as `most_us`, in stretches that lie evenly over them; all of it where it is no more."""
    total = length_us(spans)
    count = most_us // stretch_us
    if total <= most_us or count < 1:
        return list(spans)
    step = total / count
    wanted = [(int(number * step), int(number * step) + stretch_us) for number in range(count)]
    return [(start + a, start + b) for start, a, b in _within(spans, wanted)]


def pieces(spans: Iterable[Span], most_us: int) -> Iterator[Span]:
    """Spans cut into pieces of so many µs at most."""
    for start, end in spans:
        for first in range(start, end, most_us):
            yield first, min(first + most_us, end)


def _within(spans: Sequence[Span], wanted: Sequence[Span]) -> Iterator[tuple[int, int, int]]:
    """Where stretches, counted from the beginning of the first span as if there were no gaps, lie in each span."""
    before = 0
    for start, end in spans:
        for first, last in wanted:
            a, b = max(first - before, 0), min(last - before, end - start)
            if a < b:
                yield start, a, b
        before += end - start
