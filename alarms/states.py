"""The alarm states of ISA-18.2 / IEC 62682, as a table.

`MOVES[state][action]` says what follows, who may do it and what it needs; what is not in the table is not allowed. A
shelved alarm, one that is suppressed by design and one that is out of service bother nobody, but their process side
goes on: an alarm comes back as what it has become meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from alarms.roles import FIELD, STAFF, Role


class State(StrEnum):
    """Letters in brackets are the standard's."""

    NORMAL = "normal"  # (A)
    UNACKNOWLEDGED = "unacknowledged"  # (B)
    ACKNOWLEDGED = "acknowledged"  # (C)
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"  # (D)
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"  # (E)
    LATCHED = "latched"  # and acknowledged (F)
    SHELVED = "shelved"  # (G)
    SUPPRESSED = "suppressed"  # by design (H)
    OUT_OF_SERVICE = "out_of_service"  # (I)


class Action(StrEnum):
    """What moves an alarm: the process, a person, the plant's design, or time."""

    RAISE = "raise"
    RETURN = "return"
    LATCH = "latch"  # the process has returned, and the rule says that a person must look first
    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    TAKE_OUT = "take_out_of_service"
    GIVE_BACK = "return_to_service"


class Need(StrEnum):
    """What must be said with a move."""

    REASON = "reason"
    UNTIL = "until"


class NotAllowed(Exception):
    """An alarm in this state cannot take this action."""


@dataclass(frozen=True, slots=True)
class Move:
    """One arrow of the diagram.

    Attributes
    ----------
    after
        The state that follows; None: what the alarm has become meanwhile, see `become`.
    who
        Roles of persons; nobody: the process, time, or what follows from windows and parents.
    needs
        What must be said with it.
    """

    after: State | None
    who: frozenset[Role] = frozenset()
    needs: frozenset[Need] = frozenset()


MANAGERS = frozenset({Role.MANAGER, Role.ADMINISTRATOR})
QUIET = frozenset({State.SHELVED, State.SUPPRESSED, State.OUT_OF_SERVICE})
"""States in which an alarm bothers nobody."""
WAITING = frozenset({State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED, State.LATCHED_UNACKNOWLEDGED})
"""States in which an alarm waits for somebody's acknowledgement."""

_QUIETED = {
    Action.SHELVE: Move(State.SHELVED, STAFF, frozenset({Need.REASON, Need.UNTIL})),
    Action.SUPPRESS: Move(State.SUPPRESSED),
    Action.TAKE_OUT: Move(State.OUT_OF_SERVICE, MANAGERS, frozenset({Need.REASON})),
}
_RAISED = Move(State.UNACKNOWLEDGED)


def _goes_on(state: State) -> dict[Action, Move]:
    """Whatever the process does, nobody hears of it."""
    return {action: Move(state) for action in (Action.RAISE, Action.RETURN, Action.LATCH)}


MOVES: dict[State, dict[Action, Move]] = {
    # What is normal has nothing to keep quiet: that is said of its rule, or of its machine, and found at its raise.
    State.NORMAL: {Action.RAISE: _RAISED},
    State.UNACKNOWLEDGED: {
        Action.ACKNOWLEDGE: Move(State.ACKNOWLEDGED, STAFF),
        Action.RETURN: Move(State.RETURNED_UNACKNOWLEDGED),
        Action.LATCH: Move(State.LATCHED_UNACKNOWLEDGED),
        **_QUIETED,
    },
    State.ACKNOWLEDGED: {
        Action.RETURN: Move(State.NORMAL),
        Action.LATCH: Move(State.LATCHED),
        **_QUIETED,
    },
    State.RETURNED_UNACKNOWLEDGED: {
        Action.ACKNOWLEDGE: Move(State.NORMAL, STAFF),
        Action.RAISE: _RAISED,
        **_QUIETED,
    },
    State.LATCHED_UNACKNOWLEDGED: {
        Action.ACKNOWLEDGE: Move(State.LATCHED, STAFF),
        Action.RAISE: _RAISED,
        **_QUIETED,
    },
    State.LATCHED: {
        # By somebody who has been there: a latch that the desk opens is none.
        Action.RESET: Move(State.NORMAL, FIELD),
        Action.RAISE: _RAISED,
        **_QUIETED,
    },
    # Each leaves by its own way alone: what is suppressed besides is found when it comes back.
    State.SHELVED: {**_goes_on(State.SHELVED), Action.UNSHELVE: Move(None, STAFF)},
    State.SUPPRESSED: {**_goes_on(State.SUPPRESSED), Action.UNSUPPRESS: Move(None)},
    State.OUT_OF_SERVICE: {**_goes_on(State.OUT_OF_SERVICE), Action.GIVE_BACK: Move(None, MANAGERS)},
}


def become(*, active: bool, latch: bool) -> State:
    """What an alarm is that comes back: it asks for attention while its condition stands, or is latched."""
    if active:
        return State.UNACKNOWLEDGED
    return State.LATCHED_UNACKNOWLEDGED if latch else State.NORMAL


def move(state: State, action: Action, *, active: bool = False, latch: bool = False) -> State:
    """The state after `action`; `active` and `latch` say what an alarm comes back as.

    Raises
    ------
    NotAllowed
        The table has no such move.
    """
    found = MOVES[state].get(action)
    if found is None:
        raise NotAllowed(f"an alarm that is {_plain(state)} cannot {_plain(action)}")
    return become(active=active, latch=latch) if found.after is None else found.after


def who_may(action: Action) -> frozenset[Role]:
    """The roles of persons that may make a move, from wherever it may be made."""
    return frozenset().union(*(moves[action].who for moves in MOVES.values() if action in moves))


def actions_of(state: State, role: Role) -> list[Action]:
    """What somebody of this role may do with an alarm in this state."""
    return [action for action, found in MOVES[state].items() if role in found.who]


def _plain(term: StrEnum) -> str:
    return term.value.replace("_", " ")
