"""The life cycle of a ticket, as a table.

`MOVES[state][to]` says who may make the move, what must be there first, and what it does to the clocks; what is not in
the table is not allowed. A ticket on hold goes back only to the state it was held in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from tickets.clocks import ClockName, Effect
from tickets.roles import DESK, FIELD, PEOPLE, STAFF, Role


class State(StrEnum):
    NEW = "new"
    TRIAGED = "triaged"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    DIAGNOSING = "diagnosing"
    ON_SITE = "on_site"
    REPAIRING = "repairing"
    TESTING = "testing"
    ON_HOLD = "on_hold"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    REOPENED = "reopened"


class Verdict(StrEnum):
    """What the fault turned out to be: goes back to detectors and thresholds."""

    CONFIRMED = "confirmed"
    OTHER_FAULT = "other_fault"
    SENSOR_FAULT = "sensor_fault"
    NO_FAULT = "no_fault"


class Need(StrEnum):
    """What must be there before a move."""

    ASSIGNEE = "assignee"
    NOTE = "note"
    VERDICT = "verdict"


ENDED = frozenset({State.CLOSED, State.CANCELLED})
OPEN = frozenset(State) - ENDED
# An alarm that comes back within this time of closing belongs to the repair that did not hold.
REOPENS_WITHIN = timedelta(hours=72)
# A person may reopen for as long as a first-time fix is measured: a return within 30 days counts against it.
GUARANTEE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Move:
    """One move of the table. `takes`: whoever makes it becomes the assignee."""

    roles: frozenset[Role]
    needs: frozenset[Need] = frozenset()
    clocks: Mapping[ClockName, Effect] = field(default_factory=dict)
    takes: bool = False


class NotAllowed(Exception):
    """A ticket in this state cannot go there."""

    def __init__(self, state: State, to: State) -> None:
        super().__init__(f"a ticket that is {_words(state)} cannot become {_words(to)}")


class NotForRole(Exception):
    """This move is for others to make."""

    def __init__(self, role: Role, to: State) -> None:
        super().__init__(f"a role of {role.value} may not make this ticket {_words(to)}")


class Missing(Exception):
    """Something must be there first."""

    def __init__(self, need: Need, to: State) -> None:
        super().__init__(f"a ticket becomes {_words(to)} only with its {need.value}")


def _every(effect: Effect) -> Mapping[ClockName, Effect]:
    return dict.fromkeys(ClockName, effect)


_STOP_RESPONSE = {ClockName.RESPONSE: Effect.STOP}
_STOP_ON_SITE = {ClockName.ON_SITE: Effect.STOP}

_TRIAGE = Move(STAFF)
_DISPATCH = Move(DESK, frozenset({Need.ASSIGNEE}))
_ACCEPT = Move(FIELD, clocks=_STOP_RESPONSE, takes=True)
_DECLINE = Move(STAFF, frozenset({Need.NOTE}))
_DIAGNOSE = Move(FIELD)
_ARRIVE = Move(FIELD, clocks=_STOP_ON_SITE)
_REPAIR = Move(FIELD)
_REPAIR_REMOTELY = Move(FIELD, clocks=_STOP_ON_SITE)
_TEST = Move(FIELD)
_CLOSE = Move(STAFF, frozenset({Need.VERDICT}), _every(Effect.STOP))
_HOLD = Move(DESK, frozenset({Need.NOTE}), _every(Effect.PAUSE))
_RESUME = Move(DESK, clocks=_every(Effect.RESUME))
_CANCEL = Move(DESK, frozenset({Need.NOTE}), _every(Effect.STOP))
_REOPEN = Move(PEOPLE, frozenset({Need.NOTE}), _every(Effect.START))

_ROAD: dict[State, dict[State, Move]] = {
    State.NEW: {State.TRIAGED: _TRIAGE, State.DISPATCHED: _DISPATCH, State.ACCEPTED: _ACCEPT},
    State.TRIAGED: {State.DISPATCHED: _DISPATCH, State.ACCEPTED: _ACCEPT, State.CLOSED: _CLOSE},
    State.DISPATCHED: {State.DISPATCHED: _DISPATCH, State.ACCEPTED: _ACCEPT, State.TRIAGED: _DECLINE},
    State.ACCEPTED: {State.DIAGNOSING: _DIAGNOSE, State.ON_SITE: _ARRIVE, State.DISPATCHED: _DISPATCH},
    State.DIAGNOSING: {State.ON_SITE: _ARRIVE, State.REPAIRING: _REPAIR_REMOTELY, State.CLOSED: _CLOSE},
    State.ON_SITE: {State.DIAGNOSING: _DIAGNOSE, State.REPAIRING: _REPAIR, State.CLOSED: _CLOSE},
    State.REPAIRING: {State.TESTING: _TEST},
    State.TESTING: {State.REPAIRING: _REPAIR, State.CLOSED: _CLOSE},
    State.REOPENED: {State.DISPATCHED: _DISPATCH, State.ACCEPTED: _ACCEPT, State.DIAGNOSING: _ACCEPT},
    State.CLOSED: {State.REOPENED: _REOPEN},
    State.CANCELLED: {},
    State.ON_HOLD: {},
}
_HELD = OPEN - {State.ON_HOLD}

MOVES: dict[State, dict[State, Move]] = {
    state: {
        **moves,
        **({State.ON_HOLD: _HOLD} if state in _HELD else {}),
        **({State.CANCELLED: _CANCEL} if state in OPEN else {}),
        **(dict.fromkeys(_HELD, _RESUME) if state is State.ON_HOLD else {}),
    }
    for state, moves in _ROAD.items()
}

OPENING: Mapping[ClockName, Effect] = _every(Effect.START)
"""What opening, and reopening by an alarm, does to the clocks."""


def moves_from(state: State, held_from: State | None, role: Role) -> list[State]:
    """Where a role may take a ticket from here; what each move needs is in the table."""
    return [
        to
        for to, move in MOVES[state].items()
        if role in move.roles and (state is not State.ON_HOLD or to in {held_from, State.CANCELLED})
    ]


def check(
    state: State,
    to: State,
    role: Role,
    *,
    held_from: State | None,
    assignee: str,
    note: str,
    verdict: Verdict | None,
) -> Move:
    """The move from `state` to `to`.

    Raises
    ------
    NotAllowed
        The table has no such move.
    NotForRole
        It has, for others.
    Missing
        Its first need that is not met.
    """
    move = MOVES[state].get(to)
    if move is None or (state is State.ON_HOLD and to not in {held_from, State.CANCELLED}):
        raise NotAllowed(state, to)
    if role not in move.roles:
        raise NotForRole(role, to)
    met = {Need.ASSIGNEE: bool(assignee), Need.NOTE: bool(note.strip()), Need.VERDICT: verdict is not None}
    for need in Need:
        if need in move.needs and not met[need]:
            raise Missing(need, to)
    return move


def _words(state: State) -> str:
    return state.value.replace("_", " ")
