"""The life cycle as a table: what it promises of every state, role and need."""

from __future__ import annotations

import pytest

from alarms.events import Severity
from tickets.clocks import ClockName, Effect
from tickets.priority import LEVEL_OF, PRIORITY_OF, Level, Priority, worse
from tickets.roles import Role
from tickets.states import (
    ENDED,
    MOVES,
    OPEN,
    Missing,
    Need,
    NotAllowed,
    NotForRole,
    State,
    Verdict,
    check,
    moves_from,
)

EVERYTHING = {"assignee": "jo", "note": "why", "verdict": Verdict.CONFIRMED}


def reachable(start: State) -> set[State]:
    seen, todo = {start}, [start]
    while todo:
        for to in MOVES[todo.pop()]:
            if to not in seen:
                seen.add(to)
                todo.append(to)
    return seen


def test_every_state_is_reached_and_every_open_one_can_end() -> None:
    assert reachable(State.NEW) == set(State)
    for state in OPEN:
        assert State.CLOSED in reachable(state)
        assert State.CANCELLED in MOVES[state]


def test_the_road_from_alarm_to_repair() -> None:
    road = [
        (State.NEW, State.TRIAGED, Role.DISPATCHER),
        (State.TRIAGED, State.DISPATCHED, Role.DISPATCHER),
        (State.DISPATCHED, State.ACCEPTED, Role.ENGINEER),
        (State.ACCEPTED, State.ON_SITE, Role.ENGINEER),
        (State.ON_SITE, State.REPAIRING, Role.ENGINEER),
        (State.REPAIRING, State.TESTING, Role.ENGINEER),
        (State.TESTING, State.CLOSED, Role.ENGINEER),
    ]
    for state, to, role in road:
        check(state, to, role, held_from=None, **EVERYTHING)


def test_a_remote_case_skips_the_visit_and_stops_its_clock() -> None:
    move = check(State.DIAGNOSING, State.REPAIRING, Role.ENGINEER, held_from=None, **EVERYTHING)
    assert move.clocks == {ClockName.ON_SITE: Effect.STOP}


@pytest.mark.parametrize("state", sorted(OPEN - {State.ON_HOLD}))
def test_a_held_ticket_goes_back_only_to_where_it_was(state: State) -> None:
    assert Need.NOTE in MOVES[state][State.ON_HOLD].needs
    check(State.ON_HOLD, state, Role.MANAGER, held_from=state, **EVERYTHING)
    for other in OPEN - {state}:
        with pytest.raises(NotAllowed):
            check(State.ON_HOLD, other, Role.MANAGER, held_from=state, **EVERYTHING)
    assert set(moves_from(State.ON_HOLD, state, Role.MANAGER)) == {state, State.CANCELLED}


@pytest.mark.parametrize("state", sorted(State))
@pytest.mark.parametrize("to", sorted(State))
def test_what_is_not_in_the_table_is_refused_to_everybody(state: State, to: State) -> None:
    for role in Role:
        allowed = to in MOVES[state] and role in MOVES[state][to].roles and state is not State.ON_HOLD
        if allowed:
            check(state, to, role, held_from=None, **EVERYTHING)
        elif to not in {State.CANCELLED} or state is not State.ON_HOLD:
            with pytest.raises((NotAllowed, NotForRole)):
                check(state, to, role, held_from=None, **EVERYTHING)


def test_no_program_and_no_owner_moves_a_ticket_but_an_owner_reopens() -> None:
    for state, moves in MOVES.items():
        for to, move in moves.items():
            assert Role.SERVICE not in move.roles
            assert (Role.OWNER in move.roles) == ((state, to) == (State.CLOSED, State.REOPENED))


@pytest.mark.parametrize(
    ("state", "to", "without"),
    [
        (State.NEW, State.DISPATCHED, "assignee"),
        (State.TESTING, State.CLOSED, "verdict"),
        (State.DISPATCHED, State.TRIAGED, "note"),
        (State.NEW, State.CANCELLED, "note"),
        (State.CLOSED, State.REOPENED, "note"),
    ],
)
def test_what_must_be_there_first(state: State, to: State, without: str) -> None:
    given: dict[str, object] = {
        **EVERYTHING,
        without: None if without == "verdict" else " " if without == "note" else "",
    }
    with pytest.raises(Missing, match=without):
        check(state, to, Role.ADMINISTRATOR, held_from=None, **given)  # type: ignore[arg-type]


def test_ending_stops_every_clock_and_holding_pauses_it() -> None:
    for state, moves in MOVES.items():
        for to, move in moves.items():
            if to in ENDED:
                assert move.clocks == dict.fromkeys(ClockName, Effect.STOP), (state, to)
            if to is State.ON_HOLD:
                assert move.clocks == dict.fromkeys(ClockName, Effect.PAUSE)
            if (state, to) == (State.CLOSED, State.REOPENED):
                assert move.clocks == dict.fromkeys(ClockName, Effect.START)
            if to is State.ACCEPTED and state is not State.ON_HOLD:
                assert move.clocks[ClockName.RESPONSE] is Effect.STOP
                assert move.takes


def test_a_worse_severity_never_lowers_the_priority_or_the_promise() -> None:
    ranks = [PRIORITY_OF[severity].rank for severity in Severity]
    assert ranks == sorted(set(ranks))
    levels = [list(Level).index(LEVEL_OF[priority]) for priority in Priority]
    assert levels == sorted(levels)
    for one in Priority:
        for other in Priority:
            assert worse(one, other).rank == max(one.rank, other.rank)
    assert LEVEL_OF[PRIORITY_OF[Severity.CRITICAL]] is Level.EMERGENCY
