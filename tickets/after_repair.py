"""When a repair is checked by telemetry, and what its verdict does to the ticket.

A check begins when a repair is to be tested, and anew when the machine is handed over. It is looked at once there may
be enough of running; then each hour, until something can be said or `GIVES_UP` is over. Before the hand-over a verdict
is a fact that the inspector is shown; after it a repair that did not hold takes its ticket back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from tickets.states import MOVES, State

# Until then a machine that was repaired has run as it usually does, or nobody runs it.
GIVES_UP = timedelta(days=7)
# Rows of ten minutes: looked at sooner, there is hardly another. Later, and who waits for the verdict waits for us.
_SOONEST, _LATEST = timedelta(minutes=10), timedelta(hours=1)
_SETTLES = timedelta(hours=1)
# Of these no machine was repaired.
_OF_NO_MACHINE = frozenset({"communication", "site"})


class Stage(StrEnum):
    """What a check follows on."""

    TEST = "test"  # the repair
    SERVICE = "service"  # the hand-over


class Answer(StrEnum):
    """What a repair that did not hold does to its ticket."""

    NOTED = "noted"  # it is not handed over yet, or worked on again
    REOPENED = "reopened"
    JOINED = "joined"  # the fault has another ticket by now
    OVER = "over"  # the guarantee


def begins(state: State, to: State, fault: str) -> Stage | None:
    """The check that a move begins; None: none."""
    if fault in _OF_NO_MACHINE:
        return None
    return {(State.REPAIRING, State.TESTING): Stage.TEST, (State.QUALITY_CHECK, State.HANDED_OVER): Stage.SERVICE}.get(
        (state, to)
    )


def ends(to: State) -> str:
    """Why a check that still runs ends by a move, in words; empty: it goes on."""
    if to in {State.REPAIRING, State.REOPENED}:
        return "it was worked on again"
    return "the ticket was cancelled" if to is State.CANCELLED else ""


def first_look(begins_at: datetime, wanted_h: float) -> datetime:
    """When there may be enough to say something."""
    return begins_at + _SETTLES + timedelta(hours=wanted_h)


def next_look(begins_at: datetime, ran_h: float, wanted_h: float, now: datetime) -> datetime | None:
    """When a check that could say nothing is looked at again; None: it is given up."""
    if now - begins_at >= GIVES_UP:
        return None
    return now + min(max(timedelta(hours=wanted_h - ran_h), _SOONEST), _LATEST)


def answer(state: State, *, same_turn: bool, closed_for: timedelta | None, guarantee: timedelta) -> Answer:
    """What becomes of a ticket whose machine is not well: the table of states decides whether it may come back."""
    handed_over = state in {State.HANDED_OVER, State.FOLLOW_UP, State.CLOSED}
    if not same_turn or not handed_over or State.REOPENED not in MOVES[state]:
        return Answer.NOTED
    return Answer.OVER if closed_for is not None and closed_for > guarantee else Answer.REOPENED
