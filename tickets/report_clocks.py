"""The two promises of paper, the diagnosis report and the service report; and that sent-in goods leave in time.

The first runs while somebody looks for the fault, from diagnosing or arriving, until the diagnosis is written down;
where an expert is asked, theirs takes its place. The second runs from the function test that ends a repair until the
ticket is handed over, which issues the report.

The third begins with the second where the goods were sent in, and runs until somebody writes down that they have left,
also when the ticket is closed by then; a ticket that is reopened or cancelled before ends it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tickets.clocks import Clock, ClockName, Effect
from tickets.intake import Service
from tickets.needs import Facts, Paper
from tickets.states import State

_NOT_SENT = frozenset({State.REOPENED, State.CANCELLED})
_LOOKING = frozenset({State.DIAGNOSING, State.ON_SITE})


def effects(
    state: State, to: State, facts: Facts, papers: Collection[Paper], present: Mapping[ClockName, Clock]
) -> dict[ClockName, Effect]:
    """What a move does to the three clocks, beside what the table says of all of them."""
    found: dict[ClockName, Effect] = {ClockName.SENT_BACK: Effect.STOP} if to in _NOT_SENT else {}
    if State.ON_HOLD in {state, to}:
        return found
    diagnosis = present.get(ClockName.DIAGNOSIS_REPORT)
    is_awaited = diagnosis is not None and diagnosis.stopped_at is None
    if Paper.DIAGNOSIS in papers or to is State.ESCALATED:
        found[ClockName.DIAGNOSIS_REPORT] = Effect.STOP
    elif to in _LOOKING and not facts.diagnosed and not is_awaited:
        found[ClockName.DIAGNOSIS_REPORT] = Effect.START
    if (state, to) == (State.TESTING, State.QUALITY_CHECK):
        found[ClockName.SERVICE_REPORT] = Effect.START
        found |= {ClockName.SENT_BACK: Effect.START} if facts.service is Service.SEND_IN else {}
    elif to is State.REOPENED:
        found[ClockName.SERVICE_REPORT] = Effect.STOP
    return found
