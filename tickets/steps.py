"""The steps of a work order: what ticking one off needs, what is beyond its limits, and whose procedure is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from prognosis.procedures import Step
from tickets.priority import Nature
from tickets.states import State

LIKELY = 0.5
"""From this probability on the procedure of what a diagnosis names first is taken; below, somebody chooses."""


class Kind(StrEnum):
    """What a procedure is for. Only a repair's holds a ticket back: a checklist that found the fault is done."""

    REMOTE = "remote"
    REPAIR = "repair"


class StepState(StrEnum):
    OPEN = "open"
    DONE = "done"
    LEFT_OUT = "left_out"


TICKED_IN: dict[Kind, frozenset[State]] = {
    Kind.REMOTE: frozenset({State.DIAGNOSING, State.ESCALATED}),
    Kind.REPAIR: frozenset({State.REPAIRING, State.TESTING}),
}
"""While a ticket is here its steps are ticked off; what was inspected stays as it was."""

BEGINS: dict[State, Kind] = {State.DIAGNOSING: Kind.REMOTE, State.REPAIRING: Kind.REPAIR}
"""A ticket that comes here is given its steps."""


@dataclass(frozen=True, slots=True)
class Marked:
    """What is said of a step. `value` in its unit; serial numbers of the key part that goes in, and comes out."""

    state: StepState
    value: float | None = None
    new_serial: str = ""
    old_serial: str = ""
    note: str = ""


class BadMark(Exception):
    """A step cannot be ticked off so; the message says what is missing."""


def assert_fits(step: Step, marked: Marked) -> None:
    """BadMark where a step lacks what it asks for, or is told what it does not ask for."""
    if marked.state is not StepState.DONE:
        if marked.value is not None or marked.new_serial or marked.old_serial:
            raise BadMark("only a step that was done has a value, or serial numbers")
        if marked.state is StepState.LEFT_OUT and not marked.note.strip():
            raise BadMark("a step is left out only with the reason why")
        return
    if step.measure and marked.value is None:
        raise BadMark(f"this step is done only with what was measured: {step.measure}")
    if not step.measure and marked.value is not None:
        raise BadMark("nothing is measured in this step")
    if not step.replaces and (marked.new_serial or marked.old_serial):
        raise BadMark("no key part is replaced in this step")
    if step.replaces and not marked.new_serial and not marked.note.strip():
        raise BadMark(f"say the serial number of the {step.replaces} that went in, or why there is none")


def outside(step: Step, value: float | None) -> str:
    """What of a limit a value is, as `above 0.1`; empty within them, and where there are none."""
    if value is None:
        return ""
    if step.low is not None and value < step.low:
        return f"below {step.low:g}"
    if step.high is not None and value > step.high:
        return f"above {step.high:g}"
    return ""


def unfinished(states: Sequence[StepState]) -> int:
    """How many steps are neither done nor left out."""
    return sum(state is StepState.OPEN for state in states)


def checklist_of(fault: str, nature: Nature) -> str:
    """The built-in checklist that a fault is looked at by from afar."""
    if fault == "instrument":
        return "remote.sensor"
    return "remote.connection" if nature is Nature.SOFTWARE else "remote.machine"


def lookups(suspect: str, symptom: str) -> list[str]:
    """The faults under which a tenant's own procedure is looked for, the most particular first; empty: of any."""
    return [*dict.fromkeys(one for one in (suspect, symptom) if one), ""]
