"""The life cycle of a ticket, as a table.

`MOVES[state][to]` says who may make the move, what must be there first, what may be written down with it, and what it
does to the clocks; what is not in the table is not allowed. A ticket on hold goes back only to where
it was held.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from alarms.roles import DESK, EXPERTS, FIELD, INSPECTORS, PEOPLE, STAFF, Role
from tickets.clocks import AFTERWARDS, PROMISED, ClockName, Effect
from tickets.needs import Facts, Need, Paper, lacks


class State(StrEnum):
    """In the order of the road; what is beside it last."""

    NEW = "new"
    TRIAGED = "triaged"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    DIAGNOSING = "diagnosing"
    ESCALATED = "escalated"
    AWAITING_APPROVAL = "awaiting_approval"
    AWAITING_PARTS = "awaiting_parts"
    SCHEDULED = "scheduled"
    ON_SITE = "on_site"
    REPAIRING = "repairing"
    TESTING = "testing"
    QUALITY_CHECK = "quality_check"
    HANDED_OVER = "handed_over"
    FOLLOW_UP = "follow_up"
    CLOSED = "closed"
    ON_HOLD = "on_hold"
    CANCELLED = "cancelled"
    REOPENED = "reopened"


class Verdict(StrEnum):
    """What the fault turned out to be: goes back to detectors and thresholds."""

    CONFIRMED = "confirmed"
    OTHER_FAULT = "other_fault"
    SENSOR_FAULT = "sensor_fault"
    NO_FAULT = "no_fault"


ENDED = frozenset({State.CLOSED, State.CANCELLED})
OPEN = frozenset(State) - ENDED
WAITING = frozenset({State.AWAITING_APPROVAL, State.AWAITING_PARTS, State.ON_HOLD})
"""In these the clocks pause, as long as there is something to wait for."""

WITH_VERDICT = frozenset({State.QUALITY_CHECK, State.HANDED_OVER, State.FOLLOW_UP, State.CLOSED})
"""What was found is known from here on."""

WORKED = frozenset({State.DIAGNOSING, State.ON_SITE, State.REPAIRING, State.TESTING, State.QUALITY_CHECK})
"""Whoever takes a ticket to one of these has worked on it, and inspects it no more."""


@dataclass(frozen=True, slots=True)
class Move:
    """One move of the table.

    Attributes
    ----------
    own
        Roles among `roles` that may make it with a ticket of their own alone.
    papers
        What may be written down with it.
    takes
        Whoever makes it becomes the assignee.
    """

    roles: frozenset[Role]
    needs: frozenset[Need] = frozenset()
    clocks: Mapping[ClockName, Effect] = field(default_factory=dict)
    takes: bool = False
    own: frozenset[Role] = frozenset()
    papers: frozenset[Paper] = frozenset()


class NotAllowed(Exception):
    """A ticket in this state cannot go there."""

    def __init__(self, state: State, to: State) -> None:
        super().__init__(f"a ticket that is {_words(state)} cannot become {_words(to)}")


class NotForRole(Exception):
    """This move is for others to make."""

    def __init__(self, role: Role, to: State) -> None:
        super().__init__(f"a role of {role.value} may not make this ticket {_words(to)}")


class NotYourTicket(NotForRole):
    """It is, for whoever has the ticket."""

    def __init__(self, to: State) -> None:
        Exception.__init__(self, f"only its assignee, or the desk, may make this ticket {_words(to)}")


class OwnWork(NotForRole):
    """Nobody inspects their own work."""

    def __init__(self) -> None:
        Exception.__init__(self, "nobody inspects their own work: somebody who did not work on this ticket has to look")


class NotYourPaper(NotForRole):
    """It is for others to write."""

    def __init__(self, role: Role, paper: Paper) -> None:
        Exception.__init__(self, f"the {paper.value} is not for the role {role.value} to write")


class Missing(Exception):
    """Something must be there first."""

    def __init__(self, what: str, to: State) -> None:
        super().__init__(f"a ticket becomes {_words(to)} only with {what}")


class Unasked(Exception):
    """A paper that has no place beside this move."""

    def __init__(self, paper: Paper, to: State) -> None:
        super().__init__(f"the {paper.value} has no place where a ticket becomes {_words(to)}")


def _every(effect: Effect) -> Mapping[ClockName, Effect]:
    return {name: effect for name in ClockName if name not in AFTERWARDS}


OPENING: Mapping[ClockName, Effect] = dict.fromkeys(PROMISED, Effect.START)
"""What opening, and reopening by an alarm, does to the clocks."""

_STOP_ASSIGNMENT = {ClockName.ASSIGNMENT: Effect.STOP}
_STOP_RESPONSE = {**_STOP_ASSIGNMENT, ClockName.RESPONSE: Effect.STOP}
_STOP_ON_SITE = {ClockName.ON_SITE: Effect.STOP}

_TO_REPAIR = frozenset({Need.DIAGNOSIS, Need.APPROVAL})
_AT_REPAIR = frozenset({Paper.DIAGNOSIS})

_TRIAGE = Move(STAFF)
_DISPATCH = Move(DESK, frozenset({Need.ASSIGNEE}), _STOP_ASSIGNMENT)
_ACCEPT = Move(FIELD, clocks=_STOP_RESPONSE, takes=True)
_DECLINE = Move(STAFF, frozenset({Need.NOTE}))
_DIAGNOSE = Move(FIELD)
_ESCALATE = Move(FIELD, frozenset({Need.NOTE}), {ClockName.EXPERT: Effect.START})
_ANSWER = Move(EXPERTS, frozenset({Need.NOTE}), {ClockName.EXPERT: Effect.STOP})
_QUOTE = Move(FIELD, frozenset({Need.DIAGNOSIS, Need.QUOTE}), papers=_AT_REPAIR | {Paper.QUOTE})
_QUOTE_ANEW = replace(_QUOTE, needs=frozenset({Need.OPEN_QUOTE, Need.DIAGNOSIS, Need.QUOTE}))
_ORDER = Move(FIELD, _TO_REPAIR, papers=_AT_REPAIR)
_SCHEDULE = Move(STAFF, _TO_REPAIR | {Need.APPOINTMENT}, papers=_AT_REPAIR | {Paper.APPOINTMENT})
_SCHEDULE_WITH_PARTS = replace(_SCHEDULE, needs=_SCHEDULE.needs | {Need.PARTS})
_RESCHEDULE = replace(_SCHEDULE, needs=_SCHEDULE.needs | {Need.NOTE})
_ARRIVE = Move(FIELD, clocks=_STOP_ON_SITE, papers=_AT_REPAIR)
_ARRIVE_APPROVED = replace(_ARRIVE, needs=_TO_REPAIR)
_ARRIVE_WITH_PARTS = replace(_ARRIVE, needs=_TO_REPAIR | {Need.PARTS})
_REPAIR = Move(FIELD, _TO_REPAIR, papers=_AT_REPAIR)
_REPAIR_REMOTELY = replace(_REPAIR, needs=_TO_REPAIR | {Need.NO_VISIT}, clocks=_STOP_ON_SITE)
_REPAIR_WITH_PARTS = replace(_REPAIR_REMOTELY, needs=_REPAIR_REMOTELY.needs | {Need.PARTS})
_REPAIR_AGAIN = replace(_REPAIR, papers=frozenset({Paper.TEST}))
_TEST = Move(FIELD)
_CHECK = Move(FIELD, frozenset({Need.STEPS, Need.TEST, Need.VERDICT}), papers=frozenset({Paper.TEST}))
_PASS = Move(INSPECTORS, frozenset({Need.PASSED}), papers=frozenset({Paper.INSPECTION}))
_FAIL = replace(_PASS, needs=frozenset({Need.FAILED}))
_HAND_OVER = Move(
    FIELD | INSPECTORS,
    frozenset({Need.INSPECTIONS, Need.WELL}),
    _every(Effect.STOP),
    papers=frozenset({Paper.INSPECTION}),
)
_SIGN = Move(STAFF, frozenset({Need.SIGNATURE}), papers=frozenset({Paper.SIGNATURE}))
_CLOSE = Move(STAFF, frozenset({Need.VERDICT}), _every(Effect.STOP), papers=_AT_REPAIR)
_CLOSE_UNREPAIRED = replace(_CLOSE, needs=frozenset({Need.NO_REPAIR, Need.VERDICT}))
_CLOSE_SATISFIED = replace(_CLOSE, needs=_CLOSE.needs | {Need.SATISFIED}, papers=frozenset())
_HOLD = Move(STAFF, frozenset({Need.NOTE}), _every(Effect.PAUSE), own=frozenset({Role.ENGINEER}))
_RESUME = Move(STAFF, clocks=_every(Effect.RESUME), own=frozenset({Role.ENGINEER}))
_CANCEL = Move(DESK, frozenset({Need.NOTE}), _every(Effect.STOP))
_REOPEN = Move(PEOPLE, frozenset({Need.NOTE}), OPENING)

_ROAD: dict[State, dict[State, Move]] = {
    State.NEW: {State.TRIAGED: _TRIAGE, State.DISPATCHED: _DISPATCH, State.ACCEPTED: _ACCEPT},
    State.TRIAGED: {State.DISPATCHED: _DISPATCH, State.ACCEPTED: _ACCEPT, State.CLOSED: _CLOSE_UNREPAIRED},
    State.DISPATCHED: {State.DISPATCHED: _DISPATCH, State.ACCEPTED: _ACCEPT, State.TRIAGED: _DECLINE},
    State.ACCEPTED: {State.DIAGNOSING: _DIAGNOSE, State.ON_SITE: _ARRIVE, State.DISPATCHED: _DISPATCH},
    State.DIAGNOSING: {
        State.ESCALATED: _ESCALATE,
        State.AWAITING_APPROVAL: _QUOTE,
        State.AWAITING_PARTS: _ORDER,
        State.SCHEDULED: _SCHEDULE,
        State.ON_SITE: _ARRIVE,
        State.REPAIRING: _REPAIR_REMOTELY,
        State.CLOSED: _CLOSE_UNREPAIRED,
    },
    State.ESCALATED: {State.DIAGNOSING: _ANSWER},
    State.AWAITING_APPROVAL: {
        State.AWAITING_APPROVAL: _QUOTE_ANEW,
        State.AWAITING_PARTS: _ORDER,
        State.SCHEDULED: _SCHEDULE,
        State.ON_SITE: _ARRIVE_APPROVED,
        State.REPAIRING: _REPAIR_REMOTELY,
        State.CLOSED: _CLOSE_UNREPAIRED,
    },
    State.AWAITING_PARTS: {
        State.SCHEDULED: _SCHEDULE_WITH_PARTS,
        State.ON_SITE: _ARRIVE_WITH_PARTS,
        State.REPAIRING: _REPAIR_WITH_PARTS,
    },
    State.SCHEDULED: {
        State.SCHEDULED: _RESCHEDULE,
        State.ON_SITE: _ARRIVE_APPROVED,
        State.REPAIRING: _REPAIR_REMOTELY,
    },
    State.ON_SITE: {State.DIAGNOSING: _DIAGNOSE, State.REPAIRING: _REPAIR, State.CLOSED: _CLOSE_UNREPAIRED},
    State.REPAIRING: {State.AWAITING_APPROVAL: _QUOTE, State.AWAITING_PARTS: _ORDER, State.TESTING: _TEST},
    State.TESTING: {State.REPAIRING: _REPAIR_AGAIN, State.QUALITY_CHECK: _CHECK},
    State.QUALITY_CHECK: {State.QUALITY_CHECK: _PASS, State.HANDED_OVER: _HAND_OVER, State.REOPENED: _FAIL},
    State.HANDED_OVER: {State.FOLLOW_UP: _SIGN, State.REOPENED: _REOPEN},
    State.FOLLOW_UP: {State.CLOSED: _CLOSE_SATISFIED, State.REOPENED: _REOPEN},
    State.REOPENED: {State.DISPATCHED: _DISPATCH, State.ACCEPTED: _ACCEPT, State.DIAGNOSING: _ACCEPT},
    State.CLOSED: {State.REOPENED: _REOPEN},
    State.CANCELLED: {},
    State.ON_HOLD: {},
}
_HELD = OPEN - {State.ON_HOLD}


def _as_it_waits(state: State, to: State, move: Move) -> Move:
    """A move with what the waiting before it, or after it, does to the clocks and leaves to be written down."""
    clocks = {**(_every(Effect.RESUME) if state in WAITING else {}), **move.clocks}
    if to in WAITING:
        clocks |= _every(Effect.PAUSE)
    answered = state is State.AWAITING_APPROVAL and to not in {State.AWAITING_APPROVAL, State.ON_HOLD}
    return replace(move, clocks=clocks, papers=move.papers | ({Paper.ANSWER} if answered else set()))


def _from(state: State, moves: Mapping[State, Move]) -> dict[State, Move]:
    every = {
        **moves,
        **({State.ON_HOLD: _HOLD} if state in _HELD else {}),
        **({State.CANCELLED: _CANCEL} if state in OPEN else {}),
        **(dict.fromkeys(sorted(_HELD), _RESUME) if state is State.ON_HOLD else {}),
    }
    return {to: _as_it_waits(state, to, move) for to, move in every.items()}


MOVES: dict[State, dict[State, Move]] = {state: _from(state, moves) for state, moves in _ROAD.items()}

WRITERS: Mapping[Paper, frozenset[Role]] = {Paper.ANSWER: DESK, Paper.INSPECTION: INSPECTORS}
"""Who may write what not all who make the move may."""


def moves_from(state: State, held_from: State | None, role: Role, *, is_own: bool = True) -> list[State]:
    """Where a role may take a ticket from here; what each move needs is in the table."""
    return [
        to
        for to, move in MOVES[state].items()
        if role in move.roles
        and (is_own or role not in move.own)
        and (state is not State.ON_HOLD or to in {held_from, State.CANCELLED})
    ]


def check(
    state: State, to: State, role: Role, facts: Facts, *, held_from: State | None, papers: Collection[Paper] = ()
) -> Move:
    """The move from `state` to `to`; `papers` come with it.

    Raises
    ------
    NotAllowed
        The table has no such move.
    NotForRole
        It has, for others, or somebody else's ticket, or one's own work; or a paper is for others to write.
    Unasked
        A paper has no place beside it.
    Missing
        Its first need that is not met.
    """
    move = MOVES[state].get(to)
    if move is None or (state is State.ON_HOLD and to not in {held_from, State.CANCELLED}):
        raise NotAllowed(state, to)
    if role not in move.roles:
        raise NotForRole(role, to)
    if role in move.own and not facts.is_own:
        raise NotYourTicket(to)
    for paper in papers:
        if paper not in move.papers:
            raise Unasked(paper, to)
        if role not in WRITERS.get(paper, PEOPLE):
            raise NotYourPaper(role, paper)
    if Paper.INSPECTION in papers and facts.has_worked:
        raise OwnWork
    for need in Need:
        what = lacks(need, facts) if need in move.needs else ""
        if what:
            raise Missing(what, to)
    return move


def _words(state: State) -> str:
    return state.value.replace("_", " ")
