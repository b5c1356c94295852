"""Whose alarms they are: none is lost, none is counted twice, and who answers has what is theirs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.duties import NOBODYS, OTHERS, Duties, loads, most_borne

NAMES = ("ada", "bob", "eve")
SITES = ("", "harbour", "mill")


@given(
    st.dictionaries(st.sampled_from(SITES), st.lists(st.sampled_from(NAMES), unique=True)),
    st.integers(0, 6),
    st.dictionaries(st.sampled_from(SITES), st.lists(st.integers(0, 50), min_size=4, max_size=4)),
)
def test_together_people_bear_what_there_was(
    by_site: dict[str, list[str]], people: int, counts: dict[str, list[int]]
) -> None:
    duties = Duties(by_site, people)
    found = loads(duties, counts, 4)
    others = max(people, len(duties.names), 1) - len(duties.names)
    total = sum(load * (others if who == OTHERS else 1) for who, load in found.items())
    assert total == pytest.approx(np.sum(list(counts.values()), axis=0) if counts else np.zeros(4))
    assert most_borne(duties, counts, 4) == max(load.max() for load in found.values())


def test_a_site_is_its_peoples_and_what_is_nobodys_is_everybodys() -> None:
    duties = Duties({"mill": ["ada", "bob"], "harbour": ["ada"]}, 4)
    found = loads(duties, {"mill": [4, 0], "harbour": [0, 3], "": [8, 0]}, 2)
    assert {who: load.tolist() for who, load in found.items()} == {
        "ada": [2 + 2, 3],
        "bob": [2 + 2, 0],
        OTHERS: [2, 0],
    }
    assert loads(NOBODYS, {"": [5]}, 1)[OTHERS].tolist() == [5.0]
