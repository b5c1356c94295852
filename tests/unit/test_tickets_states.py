"""The life cycle as a table: what it promises of every state, role and need."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alarms.events import Severity
from alarms.roles import Role
from tickets.clocks import AFTERWARDS, PROMISED, ClockName, Effect
from tickets.intake import Service
from tickets.needs import Facts, Need
from tickets.priority import CLASS_OF, LEVEL_OF, Criticality, Level, Priority, Tier, worse
from tickets.states import (
    ENDED,
    MOVES,
    OPEN,
    WAITING,
    Missing,
    NotAllowed,
    NotForRole,
    NotYourTicket,
    State,
    check,
    moves_from,
)
from tickets.terms import HOUSE_TERMS

ROAD_CLOCKS = [name for name in ClockName if name not in AFTERWARDS]
EVERYTHING = Facts(
    who="jo",
    assignee="jo",
    note="why",
    has_verdict=True,
    is_own=True,
    service=Service.REMOTE,
    diagnosed=True,
    quoted_now=True,
    has_appointment=True,
    tested=True,
    inspected=True,
    signed=True,
)
FAILED = replace(EVERYTHING, inspected=False)
AFTER = {State.HANDED_OVER, State.FOLLOW_UP, State.CLOSED}


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
        (State.TESTING, State.QUALITY_CHECK, Role.ENGINEER),
        (State.QUALITY_CHECK, State.HANDED_OVER, Role.ENGINEER),
        (State.HANDED_OVER, State.FOLLOW_UP, Role.ENGINEER),
        (State.FOLLOW_UP, State.CLOSED, Role.ENGINEER),
    ]
    for state, to, role in road:
        check(state, to, role, held_from=None, facts=EVERYTHING)


def test_a_remote_case_skips_the_visit_and_stops_its_clock() -> None:
    move = check(State.DIAGNOSING, State.REPAIRING, Role.ENGINEER, held_from=None, facts=EVERYTHING)
    assert move.clocks == {ClockName.ON_SITE: Effect.STOP}


@pytest.mark.parametrize("state", sorted(OPEN - {State.ON_HOLD}))
def test_a_held_ticket_goes_back_only_to_where_it_was(state: State) -> None:
    assert Need.NOTE in MOVES[state][State.ON_HOLD].needs
    check(State.ON_HOLD, state, Role.MANAGER, held_from=state, facts=EVERYTHING)
    for other in OPEN - {state}:
        with pytest.raises(NotAllowed):
            check(State.ON_HOLD, other, Role.MANAGER, held_from=state, facts=EVERYTHING)
    assert set(moves_from(State.ON_HOLD, state, Role.MANAGER)) == {state, State.CANCELLED}


@pytest.mark.parametrize("state", sorted(State))
@pytest.mark.parametrize("to", sorted(State))
def test_what_is_not_in_the_table_is_refused_to_everybody(state: State, to: State) -> None:
    facts = FAILED if (state, to) == (State.QUALITY_CHECK, State.REOPENED) else EVERYTHING
    for role in Role:
        allowed = to in MOVES[state] and role in MOVES[state][to].roles and state is not State.ON_HOLD
        if allowed:
            check(state, to, role, held_from=None, facts=facts)
        elif to not in {State.CANCELLED} or state is not State.ON_HOLD:
            with pytest.raises((NotAllowed, NotForRole)):
                check(state, to, role, held_from=None, facts=EVERYTHING)


def test_no_program_and_no_owner_moves_a_ticket_but_an_owner_reopens() -> None:
    for state, moves in MOVES.items():
        for to, move in moves.items():
            assert Role.SERVICE not in move.roles
            assert (Role.OWNER in move.roles) == (to is State.REOPENED and state in AFTER)


@pytest.mark.parametrize(
    ("state", "to", "without", "words"),
    [
        (State.NEW, State.DISPATCHED, {"assignee": ""}, "assignee"),
        (State.TESTING, State.QUALITY_CHECK, {"has_verdict": False}, "verdict"),
        (State.TESTING, State.QUALITY_CHECK, {"tested": None}, "function test"),
        (State.FOLLOW_UP, State.CLOSED, {"has_verdict": False}, "verdict"),
        (State.DISPATCHED, State.TRIAGED, {"note": " "}, "note"),
        (State.NEW, State.CANCELLED, {"note": ""}, "note"),
        (State.CLOSED, State.REOPENED, {"note": " "}, "note"),
        (State.DIAGNOSING, State.AWAITING_APPROVAL, {"quoted_now": False}, "quote"),
        (State.ON_SITE, State.REPAIRING, {"diagnosed": False}, "diagnosis"),
        (State.DIAGNOSING, State.SCHEDULED, {"has_appointment": False}, "appointment"),
        (State.AWAITING_PARTS, State.ON_SITE, {"parts_waiting": 1}, "parts"),
        (State.HANDED_OVER, State.FOLLOW_UP, {"signed": False}, "signature"),
    ],
)
def test_what_must_be_there_first(state: State, to: State, without: dict[str, Any], words: str) -> None:
    with pytest.raises(Missing, match=words):
        check(state, to, Role.ADMINISTRATOR, replace(EVERYTHING, **without), held_from=None)


@pytest.mark.parametrize("state", sorted(OPEN - {State.ON_HOLD}))
def test_engineers_hold_and_take_up_their_own_ticket_and_no_other(state: State) -> None:
    for here, to, held_from in ((state, State.ON_HOLD, None), (State.ON_HOLD, state, state)):
        check(here, to, Role.ENGINEER, EVERYTHING, held_from=held_from)
        with pytest.raises(NotYourTicket):
            check(here, to, Role.ENGINEER, replace(EVERYTHING, is_own=False), held_from=held_from)
        check(here, to, Role.DISPATCHER, replace(EVERYTHING, is_own=False), held_from=held_from)


def test_ending_stops_every_clock_and_holding_pauses_it() -> None:
    for state, moves in MOVES.items():
        for to, move in moves.items():
            if to in ENDED:
                assert move.clocks == dict.fromkeys(ROAD_CLOCKS, Effect.STOP), (state, to)
            if to in WAITING:
                assert move.clocks == dict.fromkeys(ROAD_CLOCKS, Effect.PAUSE)
            elif state in WAITING:
                assert move.clocks.keys() == set(ROAD_CLOCKS)
            if (state, to) in {(State.CLOSED, State.REOPENED), (State.FOLLOW_UP, State.REOPENED)}:
                assert move.clocks == dict.fromkeys(PROMISED, Effect.START)
            if to is State.ACCEPTED and state is not State.ON_HOLD:
                assert move.clocks[ClockName.RESPONSE] is Effect.STOP
                assert move.takes


def test_a_worse_severity_never_lowers_the_priority_or_the_promise() -> None:
    matrix = HOUSE_TERMS.matrix
    priorities = [matrix[CLASS_OF[severity]][Criticality.B][Tier.REGULAR] for severity in Severity]
    assert priorities == list(Priority)
    levels = [list(Level).index(LEVEL_OF[priority]) for priority in Priority]
    assert levels == sorted(levels)
    for one in Priority:
        for other in Priority:
            assert worse(one, other).rank == max(one.rank, other.rank)
    assert LEVEL_OF[priorities[-1]] is Level.EMERGENCY
