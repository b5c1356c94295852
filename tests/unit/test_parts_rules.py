"""Parts by their rules alone: which moves there are, which lot goes first, who is given what there is too little of."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.parts.lots import OnShelf, TooFew, is_expired, last_good_day, pick
from tickets.parts.moves import ROADS, BadMove, MoveKind, check
from tickets.parts.places import DEPOTS, SHELVES, PlaceKind
from tickets.parts.reservations import Change, Need, Shelf, plan
from tickets.parts.tables import parts_of, stock_of
from tickets.priority import Priority
from tickets.tables import BadTable

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, tzinfo=UTC)

# Moves ----------------------------------------------------------------------------------------------------------------


def test_every_move_has_a_road_and_the_outside_is_reached_only_by_its_own() -> None:
    assert set(ROADS) == set(MoveKind)
    for kind, road in ROADS.items():
        assert not road.takes & road.gives - SHELVES, kind
    for gone in (PlaceKind.SCRAP, PlaceKind.RECYCLING):
        assert not [kind for kind, road in ROADS.items() if gone in road.takes], "nothing comes back from there"
    assert [kind for kind, road in ROADS.items() if PlaceKind.REPAIR in road.gives] == [MoveKind.ISSUE]


@pytest.mark.parametrize("kind", MoveKind)
def test_what_the_table_has_not_is_no_move(kind: MoveKind) -> None:
    for source in PlaceKind:
        for target in PlaceKind:
            road = ROADS[kind]
            if source in road.takes and target in road.gives:
                check(kind, source, target, "why")
                if road.says_why:
                    with pytest.raises(BadMove, match="note"):
                        check(kind, source, target, " ")
            else:
                with pytest.raises(BadMove, match="nothing is"):
                    check(kind, source, target, "why")


# Lots -----------------------------------------------------------------------------------------------------------------


lots = st.lists(
    st.tuples(st.none() | st.integers(-5, 5).map(lambda days: TODAY + timedelta(days)), st.integers(0, 4)), max_size=6
).map(lambda rows: [OnShelf(i, str(i), day, n) for i, (day, n) in enumerate(rows)])


@given(lots, st.integers(1, 10))
def test_lots_go_by_their_last_day_and_none_that_expired(there: list[OnShelf], quantity: int) -> None:
    good = [lot for lot in there if not is_expired(lot.expires_on, TODAY)]
    if sum(lot.quantity for lot in good) < quantity:
        with pytest.raises(TooFew):
            pick(there, quantity, TODAY)
        return
    taken = pick(there, quantity, TODAY)
    assert sum(n for _, n in taken) == quantity
    assert all(lot in good and 0 < n <= lot.quantity for lot, n in taken)
    days = [lot.expires_on or date.max for lot, _ in taken]
    assert days == sorted(days)
    left = [lot for lot in good if lot.quantity and lot not in [one for one, n in taken if n == lot.quantity]]
    assert all((lot.expires_on or date.max) >= days[-1] for lot in left)


def test_the_last_good_day_is_good() -> None:
    assert not is_expired(TODAY, TODAY)
    assert is_expired(TODAY - timedelta(1), TODAY)
    assert not is_expired(None, TODAY)
    assert last_good_day(30, TODAY, None) == date(2026, 12, 22)
    assert last_good_day(30, TODAY, date(2027, 1, 1)) == date(2027, 1, 1)
    assert last_good_day(None, TODAY, None) is None
    with pytest.raises(TooFew, match="there are 1, and 3 that expired"):
        pick([OnShelf(1, "a", date(2026, 1, 1), 3), OnShelf(2, "b", None, 1)], 2, TODAY)


# Reservations ---------------------------------------------------------------------------------------------------------


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Shelf], list[Need]]:
    kinds = draw(st.lists(st.sampled_from(sorted({*SHELVES, PlaceKind.TRANSIT})), min_size=1, max_size=4))
    shelves = [
        Shelf(i, kind, draw(st.sampled_from(["", "north"])), draw(st.integers(0, 5))) for i, kind in enumerate(kinds)
    ]
    places = st.none() | st.integers(0, len(kinds))  # the last is none of them: it was closed
    needs = [
        Need(
            UUID(int=i),
            UUID(int=100 + i),
            draw(st.sampled_from(Priority)),
            NOW + timedelta(minutes=draw(st.integers(0, 3))),
            draw(st.integers(1, 4)),
            draw(places),
            draw(places) if draw(st.booleans()) else None,
            draw(places),
            draw(st.sampled_from(["", "north"])),
        )
        for i in range(draw(st.integers(0, 6)))
    ]
    return shelves, needs


def settled(needs: list[Need], changes: list[Change]) -> list[Need]:
    after = {change.need.id: change.place for change in changes}
    fields = [{name: getattr(need, name) for name in Need.__slots__} for need in needs]
    return [Need(**{**one, "place": after.get(one["id"], one["place"])}) for one in fields]


@given(scenes())
def test_nobody_is_given_what_is_not_there_and_nobody_waits_for_what_is(scene: tuple[list[Shelf], list[Need]]) -> None:
    shelves, needs = scene
    after = settled(needs, plan(shelves, needs))
    free = {shelf.place: shelf.usable for shelf in shelves}
    for need in after:
        if need.place is not None:
            free[need.place] -= need.quantity
    assert all(left >= 0 for left in free.values())
    kinds = {shelf.place: shelf.kind for shelf in shelves}
    for need in (need for need in after if need.place is None):
        near = [
            place
            for place, kind in kinds.items()
            if (place == need.wanted if need.wanted is not None else kind in DEPOTS or place == need.van)
        ]
        assert not [place for place in near if free[place] >= need.quantity]
        if need.priority is Priority.URGENT:
            lesser = {
                place: sum(o.quantity for o in after if o.place == place and o.priority is not Priority.URGENT)
                for place in near
            }
            assert all(free[place] + lesser[place] < need.quantity for place in near)


@given(scenes())
def test_planning_again_changes_nothing(scene: tuple[list[Shelf], list[Need]]) -> None:
    shelves, needs = scene
    assert plan(shelves, settled(needs, plan(shelves, needs))) == []


@given(scenes())
def test_only_an_urgent_ticket_takes_and_only_from_lesser_ones(scene: tuple[list[Shelf], list[Need]]) -> None:
    shelves, needs = scene
    urgent = {need.ticket for need in needs if need.priority is Priority.URGENT}
    usable = {shelf.place: shelf.usable for shelf in shelves}
    for change in plan(shelves, needs):
        if change.taken_by is not None:
            assert change.taken_by in urgent
            assert change.need.ticket not in urgent
        elif change.need.place is not None:
            held = sum(need.quantity for need in needs if need.place == change.need.place)
            assert held > usable.get(change.need.place, 0), "what is held and there stays held"


def need(i: int, priority: Priority, quantity: int, place: int | None = None, **more: object) -> Need:
    at = NOW + timedelta(minutes=i)
    return Need(UUID(int=i), UUID(int=i), priority, at, quantity, place, **more)  # type: ignore[arg-type]


def test_the_green_channel_takes_from_the_least_and_latest_and_no_more_than_it_needs() -> None:
    shelf = Shelf(1, PlaceKind.CITY, "", 6)
    elsewhere = Shelf(2, PlaceKind.CENTRAL, "", 2)
    high, old, late = need(1, Priority.HIGH, 2, 1), need(2, Priority.LOW, 3, 1), need(3, Priority.LOW, 1, 1)
    urgent = need(9, Priority.URGENT, 3)
    changes = {change.need.id.int: change for change in plan([shelf, elsewhere], [high, old, late, urgent])}
    assert changes[9].place == 1
    assert (changes[2].place, changes[2].taken_by) == (None, urgent.ticket)
    assert set(changes) == {2, 9}, "the old one alone is enough: the latest keeps its own"
    small = need(9, Priority.URGENT, 1)
    changes = {change.need.id.int: change for change in plan([shelf], [high, old, late, small])}
    assert set(changes) == {3, 9}
    moved = {
        change.need.id.int: change
        for change in plan([shelf, Shelf(2, PlaceKind.CENTRAL, "", 1)], [late, old, high, small])
    }
    assert set(moved) == {9}, "what is free elsewhere is taken first"


def test_the_nearest_shelf_is_ones_own_van_then_the_region_then_the_city() -> None:
    shelves = [
        Shelf(1, PlaceKind.CENTRAL, "", 9),
        Shelf(2, PlaceKind.CITY, "", 9),
        Shelf(3, PlaceKind.REGIONAL, "north", 9),
        Shelf(4, PlaceKind.VAN, "", 9),
    ]

    def place(**more: object) -> int | None:
        (change,) = plan(shelves, [need(1, Priority.LOW, 1, **more)])
        return change.place

    assert place(van=4, region="north") == 4
    assert place(region="north") == 3
    assert place() == 2
    assert place(wanted=1, van=4) == 1
    assert plan(shelves[3:], [need(1, Priority.LOW, 1)]) == [], "another's van comes to nobody"


# Tables ---------------------------------------------------------------------------------------------------------------


def test_tables_with_commas_and_with_semicolons() -> None:
    (one, two) = parts_of(
        "\ufeffnumber;name;value;fits;serialised;shelf_days\n"
        "seal-40;Shaft seal 40 mm;38,50;NK 80-200|NK 65-160;no;\nbearing;Bearing;120;;yes;730\n"
    )
    assert (one.number, one.value, one.fits, one.serialised, one.unit) == (
        "seal-40", Decimal("38.50"), ("NK 80-200", "NK 65-160"), False, "piece",
    )  # fmt: skip
    assert (two.shelf_days, two.serialised, two.currency, two.low_at) == (730, True, "EUR", 0)
    rows = stock_of(
        'depot,part,quantity,lot,expires_on,serial\nnorth,seal-40,12,A1,2027-03-31,\nnorth,bearing,,,,"S,1"\n'
    )
    assert [(row.quantity, row.lot, row.serial) for row in rows] == [(12, "A1", ""), (1, "", "S,1")]
    assert rows[0].expires_on == date(2027, 3, 31)


def test_a_table_tells_all_its_mistakes_with_line_and_column() -> None:
    with pytest.raises(BadTable) as told:
        parts_of("number,name,value,shelf_days\na b,x,1,\nok,,-1,0\nok2,y,NaN,1e3\nok2,y,1,\nok2,y,1,\n")
    assert [(m.line, m.column) for m in told.value.mistakes] == [
        (2, "number"), (3, "name"), (3, "value"), (3, "shelf_days"), (4, "value"), (4, "shelf_days"),
        (5, "number"), (6, "number"),
    ]  # fmt: skip
    for text, what in (
        ("name\nx\n", "missing"),
        ("number,name,colour\n", "no such column"),
        ("number,name\na,b,c\n", "more cells"),
        ("", "missing"),
    ):
        with pytest.raises(BadTable) as told:
            parts_of(text)
        assert what in told.value.mistakes[0].what


@given(st.text())
def test_any_text_is_a_table_or_is_refused(text: str) -> None:
    for read in (parts_of, stock_of):
        with suppress(BadTable):
            read(text)
