"""The chain that an alarm or a ticket goes along until somebody takes it.

Each step tells somebody and waits; the step that could reach nobody is followed at once. It ends as soon as the alarm
is acknowledged, has returned or was put aside, or the ticket is accepted, and after its last round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST_STEPS, MOST_ROUNDS, LONGEST_WAIT_MIN = 20, 10, 24 * 60
WAITING_ALARM = "unacknowledged"
WAITING_TICKET = ("new", "triaged", "dispatched", "reopened")
"""States in which nobody has taken it yet."""


class Whom(StrEnum):
    """Whom a step tells."""

    ON_CALL = "on_call"
    PERSON = "person"
    ROLE = "role"


class BadChain(ValueError):
    """No chain: says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """`who` is a login or a role; empty for whoever is on call."""

    whom: Whom
    wait_min: int
    who: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.wait_min <= LONGEST_WAIT_MIN:
            raise BadChain(f"a step waits 1 to {LONGEST_WAIT_MIN} minutes")
        if (self.whom is Whom.ON_CALL) != (self.who == ""):
            raise BadChain("a step names a person or a role, or whoever is on call")

    def __str__(self) -> str:
        return "on call" if self.whom is Whom.ON_CALL else self.who


@dataclass(frozen=True, slots=True)
class Chain:
    """What sets out along it, from which level on (None: nothing), its steps, and how often they are gone through."""

    alarms_from: str | None
    tickets_from: str | None
    steps: Sequence[Step]
    rounds: int

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= MOST_STEPS:
            raise BadChain(f"1 to {MOST_STEPS} steps")
        if not 1 <= self.rounds <= MOST_ROUNDS:
            raise BadChain(f"1 to {MOST_ROUNDS} rounds")

    def after(self, round_: int, step: int) -> tuple[int, int] | None:
        """The place after this one; None: that was the last."""
        if step + 1 < len(self.steps):
            return round_, step + 1
        return (round_ + 1, 0) if round_ + 1 < self.rounds else None


DEFAULT_CHAIN = Chain(
    alarms_from="high",
    tickets_from="urgent",
    steps=(
        Step(Whom.ON_CALL, 10),
        Step(Whom.ROLE, 10, "dispatcher"),
        Step(Whom.ROLE, 15, "manager"),
        Step(Whom.ROLE, 15, "administrator"),
    ),
    rounds=2,
)
"""What holds where a tenant says nothing: within 35 minutes everybody has heard who could do something about it."""
