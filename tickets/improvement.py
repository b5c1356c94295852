"""Problems that come again, and what is done about them: the states of a corrective action, and whether it helped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# A month is the least after which not coming again says something.
JUDGED_AFTER_DAYS = 30


class State(StrEnum):
    """In order."""

    PROPOSED = "proposed"  # seen, and nobody has said yet what is to be done
    OPEN = "open"  # somebody sees to it until a day
    DONE = "done"  # it remains to be seen whether it helped
    EFFECTIVE = "effective"
    NOT_EFFECTIVE = "not_effective"
    DISMISSED = "dismissed"  # nothing is to be done, and why


STEPS: Mapping[State, frozenset[State]] = {
    State.PROPOSED: frozenset({State.OPEN, State.DISMISSED}),
    State.OPEN: frozenset({State.OPEN, State.DONE, State.DISMISSED}),
    State.DONE: frozenset({State.EFFECTIVE, State.NOT_EFFECTIVE}),
    State.EFFECTIVE: frozenset(),
    State.NOT_EFFECTIVE: frozenset({State.OPEN}),
    State.DISMISSED: frozenset(),
}

JUDGED = frozenset({State.EFFECTIVE, State.NOT_EFFECTIVE})


class NoSuchStep(Exception):
    """An action in this state cannot go there."""

    def __init__(self, state: State, to: State) -> None:
        super().__init__(f"an action that is {_words(state)} cannot become {_words(to)}")


class NotShown(Exception):
    """What came again since says otherwise, or says nothing yet."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How often a problem came in a span before its action was begun, and in one since that was done."""

    before: int
    before_days: float
    after: int
    after_days: float

    @property
    def is_rarer(self) -> bool:
        """Whether it comes less often a day than before."""
        return self.after * self.before_days < self.before * self.after_days


def step(state: State, to: State) -> None:
    """Raises NoSuchStep where an action cannot go there."""
    if to not in STEPS[state]:
        raise NoSuchStep(state, to)


def judge(to: State, seen: Recurrence | None) -> None:
    """Whether what came again lets an action be called effective; None where nothing of it is counted.

    Raises
    ------
    NotShown
    """
    if to is not State.EFFECTIVE or seen is None:
        return
    if seen.after_days < JUDGED_AFTER_DAYS:
        raise NotShown(f"whether it helped is seen {JUDGED_AFTER_DAYS} days after it was done, not sooner")
    if not seen.is_rarer:
        raise NotShown(
            f"it came as often as before: {seen.before} in {seen.before_days:.0f} days before,"
            f" {seen.after} in {seen.after_days:.0f} days since"
        )


def _words(state: State) -> str:
    return state.value.replace("_", " ")
