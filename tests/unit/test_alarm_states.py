"""The alarm states of ISA-18.2: the table against the standard's words, and what no walk through it may do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alarms.roles import FIELD, STAFF, Role
from alarms.states import MOVES, QUIET, WAITING, Action, Need, NotAllowed, State, actions_of, become, move, who_may

LETTERS = {
    State.NORMAL: "A",
    State.UNACKNOWLEDGED: "B",
    State.ACKNOWLEDGED: "C",
    State.RETURNED_UNACKNOWLEDGED: "D",
    State.LATCHED_UNACKNOWLEDGED: "E",
    State.LATCHED: "F",
    State.SHELVED: "G",
    State.SUPPRESSED: "H",
    State.OUT_OF_SERVICE: "I",
}
INTO = {Action.SHELVE: "G", Action.SUPPRESS: "H", Action.TAKE_OUT: "I"}
OUT_OF = {Action.UNSHELVE: "G", Action.UNSUPPRESS: "H", Action.GIVE_BACK: "I"}


class Standard:
    """An alarm by the standard's words: not a table, but the facts that its states are made of.

    The condition stands or does not; somebody has seen it or has not; a latch holds or does not; and at most one thing
    keeps it quiet.
    """

    def __init__(self, latching: bool) -> None:
        self.latching = latching
        self.active = False
        self.seen = True
        self.held = False
        self.quiet = ""

    @property
    def letter(self) -> str:
        if self.quiet:
            return self.quiet
        if self.active:
            return "C" if self.seen else "B"
        if self.held:
            return "F" if self.seen else "E"
        return "A" if self.seen else "D"

    def may(self, action: Action) -> bool:
        match action:
            case Action.RAISE:
                return not self.active
            case Action.RETURN | Action.LATCH:
                return self.active and self.latching == (action is Action.LATCH)
            case Action.ACKNOWLEDGE:
                return not self.quiet and not self.seen
            case Action.RESET:
                return self.letter == "F"
            case Action.SHELVE | Action.SUPPRESS | Action.TAKE_OUT:
                return not self.quiet and self.letter != "A"
            case _:
                return self.quiet == OUT_OF[action]

    def do(self, action: Action) -> None:
        match action:
            case Action.RAISE:
                self.active, self.held, self.seen = True, self.latching, False
            case Action.RETURN | Action.LATCH:
                self.active = False
            case Action.ACKNOWLEDGE:
                self.seen = True
            case Action.RESET:
                self.held = False
            case Action.SHELVE | Action.SUPPRESS | Action.TAKE_OUT:
                self.quiet = INTO[action]
            case _:
                self.quiet = ""
                self.seen = not self.active and not self.held


class Alarm(RuleBasedStateMachine):
    """The table and the standard, side by side, through any walk."""

    @initialize(latching=st.booleans())
    def begin(self, latching: bool) -> None:
        self.standard = Standard(latching)
        self.state = State.NORMAL

    @rule(action=st.sampled_from(Action))
    def act(self, action: Action) -> None:
        of_process = action in (Action.RAISE, Action.RETURN, Action.LATCH)
        if of_process and not self.standard.may(action):
            return  # no such news comes from the watch
        if self.standard.may(action):
            self.standard.do(action)
            self.state = move(self.state, action, active=self.standard.active, latch=self.standard.held)
        else:
            with pytest.raises(NotAllowed):
                move(self.state, action, active=self.standard.active, latch=self.standard.held)

    @precondition(lambda self: self.standard.may(Action.RAISE))
    @rule()
    def depart(self) -> None:
        self.act(Action.RAISE)

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "standard"):
            assert LETTERS[self.state] == self.standard.letter

    @invariant()
    def whoever_has_not_seen_it_is_asked(self) -> None:
        if hasattr(self, "standard") and not self.standard.quiet and not self.standard.seen:
            assert self.state in WAITING


TestAlarm = Alarm.TestCase
TestAlarm.settings = settings(max_examples=100, stateful_step_count=30)


def test_every_state_is_in_the_table_and_leads_to_one() -> None:
    assert set(MOVES) == set(State) == set(LETTERS)
    assert all(m.after in State for moves in MOVES.values() for m in moves.values() if m.after is not None)
    assert {s for s in State if LETTERS[s] in "GHI"} == QUIET


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", Action)
def test_who_may_is_the_same_wherever_a_move_may_be_made(state: State, action: Action) -> None:
    if action in MOVES[state]:
        assert MOVES[state][action].who == who_may(action)
    else:
        with pytest.raises(NotAllowed, match=f"an alarm that is {state.value.replace('_', ' ')} cannot"):
            move(state, action)


def test_who_may_do_what() -> None:
    assert {action: who_may(action) for action in Action if who_may(action)} == {
        Action.ACKNOWLEDGE: STAFF,
        Action.SHELVE: STAFF,
        Action.UNSHELVE: STAFF,
        Action.RESET: FIELD,
        Action.TAKE_OUT: {Role.MANAGER, Role.ADMINISTRATOR},
        Action.GIVE_BACK: {Role.MANAGER, Role.ADMINISTRATOR},
    }


def test_what_keeps_an_alarm_quiet_by_hand_has_a_reason_and_a_shelf_an_end() -> None:
    moves = MOVES[State.UNACKNOWLEDGED]
    assert moves[Action.SHELVE].needs == {Need.REASON, Need.UNTIL}
    assert moves[Action.TAKE_OUT].needs == {Need.REASON}


def test_a_dispatcher_opens_no_latch() -> None:
    assert Action.RESET in actions_of(State.LATCHED, Role.ENGINEER)
    assert Action.RESET not in actions_of(State.LATCHED, Role.DISPATCHER)
    assert actions_of(State.LATCHED, Role.OWNER) == []


@given(st.booleans(), st.booleans())
def test_nothing_comes_back_as_if_it_had_been_seen(active: bool, latch: bool) -> None:
    assert (become(active=active, latch=latch) is State.NORMAL) == (not active and not latch)
