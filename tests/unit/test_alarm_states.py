"""The alarm states of ISA-18.2: the table itself, and what no walk through it may do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.states import MOVES, Action, NotAllowed, State, move

PEOPLE_MAY = {
    Action.ACKNOWLEDGE: {State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED},
    Action.SHELVE: {State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED},
    Action.UNSHELVE_ACTIVE: {State.SHELVED},
    Action.UNSHELVE_NORMAL: {State.SHELVED},
}


@pytest.mark.parametrize("action", PEOPLE_MAY)
@pytest.mark.parametrize("state", State)
def test_people_act_where_the_standard_lets_them(state: State, action: Action) -> None:
    if state in PEOPLE_MAY[action]:
        move(state, action)
    else:
        with pytest.raises(NotAllowed, match=f"an alarm that is {state.value.replace('_', ' ')} cannot"):
            move(state, action)


def test_the_life_of_an_alarm_that_is_seen_to() -> None:
    state = State.NORMAL
    for action, after in (
        (Action.RAISE, State.UNACKNOWLEDGED),
        (Action.ACKNOWLEDGE, State.ACKNOWLEDGED),
        (Action.RETURN, State.NORMAL),
    ):
        state = move(state, action)
        assert state is after


def test_an_alarm_that_returned_unseen_waits_to_be_seen() -> None:
    state = move(move(State.NORMAL, Action.RAISE), Action.RETURN)
    assert state is State.RETURNED_UNACKNOWLEDGED
    assert move(state, Action.RAISE) is State.UNACKNOWLEDGED
    assert move(state, Action.ACKNOWLEDGE) is State.NORMAL


@pytest.mark.parametrize("quiet", [State.SHELVED, State.SUPPRESSED, State.OUT_OF_SERVICE])
def test_the_process_cannot_bring_a_quiet_alarm_back(quiet: State) -> None:
    assert move(quiet, Action.RAISE) is quiet
    assert move(quiet, Action.RETURN) is quiet


def test_every_state_is_in_the_table_and_leads_to_one() -> None:
    assert set(MOVES) == set(State)
    assert all(after in State for moves in MOVES.values() for after in moves.values())


@given(st.lists(st.sampled_from(Action), max_size=30))
def test_no_walk_leaves_an_unseen_alarm_normal(actions: list[Action]) -> None:
    """Only somebody's acknowledgement, or the shelf, takes an alarm out of sight."""
    state, seen = State.NORMAL, True
    for action in actions:
        try:
            after = move(state, action)
        except NotAllowed:
            continue
        if after is State.UNACKNOWLEDGED:
            seen = False
        if action in (Action.ACKNOWLEDGE, Action.SHELVE):
            seen = True
        state = after
        assert seen or state in (State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED)
