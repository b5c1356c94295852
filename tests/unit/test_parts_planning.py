"""What parts will be needed: forecasts against slow, obvious versions, classes, reorder points, proposals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.parts.demand import METHODS, SMOOTHING, croston, forecast, sba, tsb
from tickets.parts.places import DEPOTS, PlaceKind
from tickets.parts.planning import Class, Outlook, Proposal, Shelf, classes, order_up_to, proposals, reorder_point

weekly_demand = st.lists(st.sampled_from([0, 0, 0, 1, 2, 5]), min_size=1, max_size=60)


def slow_croston(demand: list[int]) -> float:
    """As the paper says it: sizes and intervals apart, both smoothed at each demand."""
    size = interval = None
    since = 0
    for quantity in demand:
        since += 1
        if quantity:
            size = quantity if size is None else size + SMOOTHING * (quantity - size)
            interval = since if interval is None else interval + SMOOTHING * (since - interval)
            since = 0
    return 0.0 if size is None or interval is None else size / interval


def slow_tsb(demand: list[int]) -> float:
    size, chance = None, 0.0
    for week, quantity in enumerate(demand):
        if quantity:
            size = quantity if size is None else size + SMOOTHING * (quantity - size)
        chance += max(SMOOTHING, 1 / (week + 1)) * ((1.0 if quantity else 0.0) - chance)
    return (size or 0.0) * chance


@given(weekly_demand)
def test_fast_is_slow(demand: list[int]) -> None:
    weeks = np.array([demand, [0] * len(demand)], float)
    for fast, slow in ((croston, slow_croston), (tsb, slow_tsb)):
        said = fast(weeks)
        assert said.shape == (2, len(demand) + 1)
        for n in range(len(demand) + 1):
            assert said[0, n] == pytest.approx(slow(demand[:n]), abs=1e-9)
        assert not said[1].any()
    assert sba(weeks)[0, -1] == pytest.approx((1 - SMOOTHING / 2) * slow_croston(demand))


@given(weekly_demand)
def test_each_week_is_told_by_those_before_it(demand: list[int]) -> None:
    weeks = np.array([demand], float)
    changed = weeks.copy()
    changed[0, -1] += 3
    for method in METHODS.values():
        assert np.array_equal(method(weeks)[:, :-1], method(changed)[:, :-1])


def test_what_is_no_longer_asked_for_fades_and_steady_demand_is_its_mean() -> None:
    rng = np.random.default_rng(7)
    steady = rng.poisson(0.5, (40, 104)).astype(float)
    faded = steady.copy()
    faded[:, 52:] = 0
    told = forecast(np.concatenate([steady, faded]))
    assert told.weekly[:40].mean() == pytest.approx(0.5, abs=0.05)
    assert told.weekly[40:].mean() < 0.05
    assert set(told.method[40:]) == {"tsb"}
    young = forecast(steady[:, :10])
    assert set(young.method) == {"mean"}
    assert np.all(told.variance >= told.weekly)


def test_classes_by_turnover() -> None:
    assert classes([0, 100, 1000, 40, 30, 30, 0]) == [Class.C, Class.B, Class.A, Class.B, Class.C, Class.C, Class.C]
    assert classes([]) == []
    assert classes([0.0, 0.0]) == [Class.C, Class.C]


@given(st.lists(st.floats(0, 1e6), max_size=30))
def test_who_turns_over_more_is_never_of_a_lower_class(turnovers: list[float]) -> None:
    found = classes(turnovers)
    for one, class_ in zip(turnovers, found, strict=True):
        assert all(class_ <= other for value, other in zip(turnovers, found, strict=True) if value < one)


SEAL = Outlook(Class.B, weekly=1.0, variance=1.0, predicted=0.0, lead_days=14, low_at=0, position=0)


def test_a_reorder_point_by_hand() -> None:
    # 3 weeks of 1, and 1.64 standard deviations of sqrt(3): 5.84.
    assert (reorder_point(SEAL), order_up_to(SEAL)) == (6, 10)
    assert reorder_point(replace(SEAL, predicted=2.0)) == 8
    assert reorder_point(replace(SEAL, class_=Class.A)) == 7
    assert reorder_point(replace(SEAL, low_at=9)) == 9
    never = Outlook(Class.C, 0.0, 0.0, 0.0, 14, 0, 0)
    assert (reorder_point(never), order_up_to(never), proposals(never, [])) == (0, 0, [])


def test_orders_go_home_and_say_why() -> None:
    shelves = [
        Shelf("central", PlaceKind.CENTRAL, 2, 0),
        Shelf("east", PlaceKind.CITY, 0, 0),
        Shelf("west", PlaceKind.CITY, 3, 0),
        Shelf("van-jo", PlaceKind.VAN, 0, 9),
    ]
    (one,) = proposals(replace(SEAL, position=5, predicted=0.4), shelves)
    assert (one.kind, one.quantity, one.target) == ("order", 6, "east")
    assert "5 free or on their way, fewer than 7" in one.reason
    assert "0.4 more by wear" in one.reason
    (other,) = proposals(replace(SEAL, class_=Class.C, position=5), shelves)
    assert other.target == "central"
    assert proposals(replace(SEAL, position=6), shelves) == []


def test_what_one_depot_lacks_another_sends_and_keeps_its_own_month() -> None:
    shelves = [Shelf("a", PlaceKind.CITY, 0, 7), Shelf("b", PlaceKind.CENTRAL, 4, 6), Shelf("c", PlaceKind.CITY, 0, 3)]
    found = proposals(replace(SEAL, position=50), shelves)
    assert [(one.kind, one.source, one.target, one.quantity) for one in found] == [("transfer", "b", "a", 2)]
    assert isinstance(found[0], Proposal)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(DEPOTS),
            st.integers(-2, 9),
            st.integers(0, 9),
        ),
        max_size=5,
    )
)
def test_no_depot_sends_what_it_has_not(rows: list[tuple[PlaceKind, int, int]]) -> None:
    shelves = [Shelf(str(i), *row) for i, row in enumerate(rows)]
    sent = dict.fromkeys((shelf.depot for shelf in shelves), 0)
    for one in proposals(replace(SEAL, position=99), shelves):
        assert one.quantity > 0
        sent[one.source] += one.quantity
    assert all(n <= max(shelf.free, 0) for n, shelf in zip(sent.values(), shelves, strict=True))
