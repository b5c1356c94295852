"""All in one go, or by halves: who is to blame stands alone, and nobody else is refused for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.halving import whole_or_halves
from store.errors import Misconfigured, Refused, Unavailable

REFUSED, MISTAKEN = 13, 14


def take(items: Sequence[int]) -> str:
    if REFUSED in items:
        raise Refused("thirteen")
    if MISTAKEN in items:
        raise KeyError("fourteen")
    return "taken"


def refuse(item: int, reason: str) -> str:
    return f"{item}: {reason}"


@given(st.lists(st.integers(10, 16), max_size=20))
def test_each_is_taken_or_refused_once_and_in_order(items: list[int]) -> None:
    parts = list(whole_or_halves(items, take, refuse))
    assert [item for part, _ in parts for item in part] == items
    for part, outcome in parts:
        if REFUSED in part:
            assert (part, outcome) == ([REFUSED], "13: refused by the database: thirteen")
        elif MISTAKEN in part:
            assert (part, outcome) == ([MISTAKEN], "14: could not be stored: KeyError: 'fourteen'")
        else:
            assert outcome == "taken"


def test_what_is_right_goes_in_one_go() -> None:
    assert list(whole_or_halves(range(100, 1000), take, refuse)) == [(range(100, 1000), "taken")]


@pytest.mark.parametrize("error", [Unavailable("away"), Misconfigured("wrong")])
def test_who_is_not_to_blame_is_not_refused(error: Exception) -> None:
    asked = 0

    def fail(_: Sequence[int]) -> str:
        nonlocal asked
        asked += 1
        raise error

    with pytest.raises(type(error)):
        list(whole_or_halves([1, 2, 3], fail, refuse))
    assert asked == 1


def test_what_fails_after_it_was_taken_is_not_taken_again() -> None:
    taken: list[Sequence[int]] = []

    def note(items: Sequence[int]) -> str:
        taken.append(items)
        return "taken"

    def fail(_: object) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        list(map(fail, whole_or_halves([1, 2], note, refuse)))
    assert taken == [[1, 2]]
