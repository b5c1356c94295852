"""Who is on call, when somebody is left alone, and what comes after a step: with the clock as an argument."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.chain import DEFAULT_CHAIN, BadChain, Chain, Step, Whom
from tickets.local_time import BadTime, Hours, moment_of, zone_named
from tickets.preferences import Preferences
from tickets.rota import Layer, Override, Rota

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
ZONES = [BERLIN, UTC_ZONE, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu")]
WEEK = Layer("weeks", ("ann", "bob", "cem"), date(2026, 3, 2), 8 * 60, 7)


def at(zone: ZoneInfo, *when: int) -> datetime:
    return datetime(*when, tzinfo=zone).astimezone(UTC)  # type: ignore[misc,arg-type]


def test_shifts_hand_over_at_the_hour_on_the_wall_also_where_the_clocks_change() -> None:
    rota = Rota(BERLIN, [WEEK])
    for monday, before, after in ((2, "", "ann"), (9, "ann", "bob"), (16, "bob", "cem"), (30, "ann", "bob")):
        assert rota.on_call(at(BERLIN, 2026, 3, monday, 7, 59)) == before
        assert rota.on_call(at(BERLIN, 2026, 3, monday, 8, 0)) == after
    (first, _) = rota.duties(at(BERLIN, 2026, 3, 23, 8), at(BERLIN, 2026, 3, 31, 8))
    assert first.ends_at - first.begins_at == timedelta(days=7, hours=-1), "the night of 29 March is an hour short"


def test_an_hour_that_comes_twice_hands_over_once() -> None:
    """02:30 is shown twice on 25 October: the first hands over, and the second gives nothing back."""
    nights = Layer("nights", ("ann", "bob"), date(2026, 10, 24), 150, 1)
    rota = Rota(BERLIN, [nights])
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0).astimezone(UTC)
    assert [rota.on_call(first + timedelta(minutes=more)) for more in (-1, 0, 59, 61)] == ["ann", "bob", "bob", "bob"]


def test_the_last_layer_that_has_somebody_counts_and_overrides_count_before_all() -> None:
    nights = Layer("nights", ("dia",), date(2026, 1, 1), 0, 1, Hours(22 * 60, 6 * 60, frozenset(range(5))))
    tuesday = at(BERLIN, 2026, 3, 3, 0), at(BERLIN, 2026, 3, 4, 0)
    rota = Rota(
        BERLIN, [WEEK, nights], [Override("eve", *tuesday), Override("fay", tuesday[0], at(BERLIN, 2026, 3, 3, 9))]
    )
    assert rota.on_call(at(BERLIN, 2026, 3, 2, 23)) == "dia"
    assert rota.on_call(at(BERLIN, 2026, 3, 3, 8)) == "fay", "the newest override"
    assert rota.on_call(at(BERLIN, 2026, 3, 3, 9)) == "eve"
    assert rota.on_call(at(BERLIN, 2026, 3, 4, 5)) == "dia", "Tuesday's night goes on into Wednesday"
    assert rota.on_call(at(BERLIN, 2026, 3, 7, 23)) == "ann", "Saturday is no day of the nights"
    told = list(rota.duties(*tuesday))
    assert [(duty.login, duty.why) for duty in told] == [("fay", "override"), ("eve", "override")]


@st.composite
def rotas(draw: st.DrawFn) -> Rota:
    minutes = st.integers(0, 1439)
    hours = st.builds(Hours, minutes, minutes, st.frozensets(st.integers(0, 6), min_size=1))
    layer = st.builds(
        Layer,
        st.sampled_from(["weeks", "nights"]),
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map(tuple),
        st.dates(date(2026, 3, 1), date(2026, 4, 10)),
        minutes,
        st.integers(1, 10),
        st.none() | hours,
    )
    moments = st.datetimes(datetime(2026, 3, 20), datetime(2026, 4, 12), timezones=st.just(UTC))
    spans = st.builds(
        lambda begin, span_h: Override("x", begin, begin + timedelta(hours=span_h)), moments, st.integers(1, 99)
    )
    return Rota(draw(st.sampled_from(ZONES)), draw(st.lists(layer, max_size=3)), draw(st.lists(spans, max_size=2)))


@settings(max_examples=60, deadline=None)
@given(rotas(), st.integers(0, 20 * 1440))
def test_duties_leave_no_gap_and_say_of_each_moment_what_is_asked_of_it_alone(rota: Rota, minute: int) -> None:
    start, end = datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 4, 12, tzinfo=UTC)
    told = list(rota.duties(start, end))
    assert told[0].begins_at == start
    assert told[-1].ends_at == end
    assert all(one.ends_at == other.begins_at for one, other in pairwise(told))
    assert all(duty.begins_at < duty.ends_at for duty in told)
    when = start + timedelta(minutes=minute)
    (then,) = [duty for duty in told if duty.begins_at <= when < duty.ends_at]
    assert then.login == rota.on_call(when)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(ZONES), st.integers(1, 5), st.integers(0, 1439), st.integers(1, 8))
def test_everybody_has_as_many_shifts_as_the_others(zone: ZoneInfo, people: int, hand_over: int, days: int) -> None:
    members = tuple("abcde"[:people])
    layer = Layer("all", members, date(2026, 10, 1), hand_over, days)
    begin = moment_of(date(2026, 10, 1), hand_over, zone)
    end = moment_of(date(2026, 10, 1) + timedelta(days=days * people), hand_over, zone)
    turns = Counter(duty.login for duty in Rota(zone, [layer]).duties(begin, end))
    assert turns == Counter(members)


def test_quiet_hours_are_of_ones_own_zone_and_what_is_urgent_passes_where_one_lets_it() -> None:
    preferences = Preferences(zone=BERLIN, quiet=Hours(22 * 60, 7 * 60))
    night = at(BERLIN, 2026, 3, 29, 1)
    assert preferences.quiet_until(night, urgent=False) == at(BERLIN, 2026, 3, 29, 7)
    assert preferences.quiet_until(night, urgent=True) is None
    assert replace(preferences, urgent_passes=False).quiet_until(night, urgent=True) == at(BERLIN, 2026, 3, 29, 7)
    assert preferences.quiet_until(at(BERLIN, 2026, 3, 29, 7), urgent=False) is None
    assert Preferences().quiet_until(night, urgent=False) is None


def test_a_chain_goes_on_to_its_end_round_by_round() -> None:
    chain = Chain("high", None, [Step(Whom.ON_CALL, 5), Step(Whom.PERSON, 5, "ann")], 2)
    place: tuple[int, int] | None = (0, 0)
    seen = []
    while place is not None:
        seen.append(place)
        place = chain.after(*place)
    assert seen == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert DEFAULT_CHAIN.steps[0].whom is Whom.ON_CALL


def test_what_is_none_is_refused() -> None:
    for wrong in (lambda: Hours(0, 1440), lambda: Hours(0, 1, frozenset()), lambda: zone_named("Mars/Olympus")):
        with pytest.raises(BadTime):
            wrong()
    with pytest.raises(BadTime):
        replace(WEEK, members=())
    with pytest.raises(BadTime):
        replace(WEEK, shift_days=0)
    for step in (lambda: Step(Whom.ROLE, 5), lambda: Step(Whom.ON_CALL, 0), lambda: Chain("high", None, [], 1)):
        with pytest.raises(BadChain):
            step()
