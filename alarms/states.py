"""The alarm states of ISA-18.2 / IEC 62682, as a table.

`MOVES[state][action]` is the state that follows; what is not in the table is not allowed. A shelved alarm, one that is
suppressed by design and one that is out of service bother nobody, but their process side goes on: `active` in the store
tells whether the condition stands, so that an alarm comes back from the shelf as what it has become meanwhile.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Letters in brackets are the standard's."""

    NORMAL = "normal"  # (A)
    UNACKNOWLEDGED = "unacknowledged"  # (B)
    ACKNOWLEDGED = "acknowledged"  # (C)
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"  # (D)
    SHELVED = "shelved"  # (G)
    SUPPRESSED = "suppressed"  # by design (H)
    OUT_OF_SERVICE = "out_of_service"  # (I)


class Action(StrEnum):
    """What moves an alarm: the process (raise, return), a person (the rest), or time (unshelve)."""

    RAISE = "raise"
    RETURN = "return"
    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"
    UNSHELVE_ACTIVE = "unshelve_active"
    UNSHELVE_NORMAL = "unshelve_normal"


class NotAllowed(Exception):
    """An alarm in this state cannot take this action."""

    def __init__(self, state: State, action: Action) -> None:
        super().__init__(f"an alarm that is {state.value.replace('_', ' ')} cannot {action.value.replace('_', ' ')}")


_SHELF = {
    Action.RAISE: State.SHELVED,
    Action.RETURN: State.SHELVED,
    Action.UNSHELVE_ACTIVE: State.UNACKNOWLEDGED,
    Action.UNSHELVE_NORMAL: State.NORMAL,
}

MOVES: dict[State, dict[Action, State]] = {
    State.NORMAL: {Action.RAISE: State.UNACKNOWLEDGED},
    State.UNACKNOWLEDGED: {
        Action.ACKNOWLEDGE: State.ACKNOWLEDGED,
        Action.RETURN: State.RETURNED_UNACKNOWLEDGED,
        Action.SHELVE: State.SHELVED,
    },
    State.ACKNOWLEDGED: {Action.RETURN: State.NORMAL, Action.SHELVE: State.SHELVED},
    State.RETURNED_UNACKNOWLEDGED: {
        Action.ACKNOWLEDGE: State.NORMAL,
        Action.RAISE: State.UNACKNOWLEDGED,
        Action.SHELVE: State.SHELVED,
    },
    State.SHELVED: _SHELF,
    State.SUPPRESSED: {Action.RAISE: State.SUPPRESSED, Action.RETURN: State.SUPPRESSED},
    State.OUT_OF_SERVICE: {Action.RAISE: State.OUT_OF_SERVICE, Action.RETURN: State.OUT_OF_SERVICE},
}


def move(state: State, action: Action) -> State:
    """The state after `action`.

    Raises
    ------
    NotAllowed
        The table has no such move.
    """
    after = MOVES[state].get(action)
    if after is None:
        raise NotAllowed(state, action)
    return after
