"""What must be there before a ticket moves on, and how somebody is told that it is not.

`Facts` is what a move is judged by: what is kept of the ticket, together with what comes with the move. `lacks` says of
one need, in words, what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tickets.intake import Service


class Paper(StrEnum):
    """What is written down on the road, each beside the move that it belongs to."""

    DIAGNOSIS = "diagnosis"  # where the fault is, the plan, the hours
    QUOTE = "quote"  # what it costs
    ANSWER = "answer"  # the customer's, to the quote
    APPOINTMENT = "appointment"  # from when to when
    TEST = "test"  # the function test after the repair
    CHECK = "check"  # which inspections are asked for: never sent, always found
    INSPECTION = "inspection"
    SIGNATURE = "signature"  # the customer's, at the hand-over
    SENT_BACK = "sent_back"  # when sent-in goods left, with whom: beside no move


class Need(StrEnum):
    """What must be there before a move."""

    ASSIGNEE = "assignee"
    NOTE = "note"
    DIAGNOSIS = "diagnosis"
    QUOTE = "quote"
    OPEN_QUOTE = "open_quote"
    APPROVAL = "approval"
    PARTS = "parts"
    APPOINTMENT = "appointment"
    NO_VISIT = "no_visit"
    NO_REPAIR = "no_repair"
    STEPS = "steps"
    TEST = "test"
    PASSED = "passed"
    FAILED = "failed"
    INSPECTIONS = "inspections"
    WELL = "well"
    SIGNATURE = "signature"
    SATISFIED = "satisfied"
    VERDICT = "verdict"


class Quote(StrEnum):
    """How the last quote stands."""

    NONE = "none"
    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Facts:
    """A ticket before a move, with what comes with the move.

    Attributes
    ----------
    is_own
        It is assigned to whoever makes the move.
    has_worked
        Whoever makes the move repaired it, or is to.
    diagnosed, repaired
        Since it was last reopened; of a repair, that it was begun.
    warranty_ended
        The day on which the machine's warranty ended, where it has; None under warranty, under the guarantee of an
        earlier repair, and where nobody knows.
    parts_waiting
        Reservations that nothing is held for.
    steps, steps_left
        Of its work order, and of those the ones neither done nor left out; 0 where the terms do not ask.
    tested, inspected
        Whether the test, or inspection, that comes with the move was passed; None: none comes.
    inspections, passed_by
        How many are asked for, and who has passed it since it came to be checked.
    complained
        Its second handling is open.
    unwell
        What telemetry says of the machine since its repair, where it is not well.
    accepted
        An inspector has written, or writes now, why it is handed over nevertheless.
    """

    who: str = ""
    assignee: str = ""
    note: str = ""
    has_verdict: bool = False
    is_own: bool = False
    has_worked: bool = False
    service: Service = Service.ON_SITE
    diagnosed: bool = False
    repaired: bool = False
    quoted_now: bool = False
    quote: Quote = Quote.NONE
    warranty_ended: date | None = None
    has_appointment: bool = False
    parts_waiting: int = 0
    steps: int = 0
    steps_left: int = 0
    tested: bool | None = None
    inspected: bool | None = None
    inspections: int = 0
    passed_by: frozenset[str] = frozenset()
    unwell: str = ""
    accepted: bool = False
    signed: bool = False
    complained: bool = False


def lacks(need: Need, facts: Facts) -> str:
    """What is missing, so that "only with …" can be said of it; empty: nothing is."""
    match need:
        case Need.APPROVAL:
            return _approval(facts)
        case Need.INSPECTIONS:
            return _inspections(facts)
        case Need.PARTS:
            n = facts.parts_waiting
            return f"its parts: {n} of what it asked for {'is' if n == 1 else 'are'} not to be had yet" if n else ""
        case Need.STEPS:
            n = facts.steps_left
            are = "is" if n == 1 else "are"
            return f"its steps: {n} of {facts.steps} {are} neither done nor left out with a reason" if n else ""
        case Need.NO_VISIT:
            return "a visit first: its service is on site" if facts.service is Service.ON_SITE else ""
    there = {
        Need.ASSIGNEE: bool(facts.assignee),
        Need.NOTE: bool(facts.note.strip()),
        Need.DIAGNOSIS: facts.diagnosed,
        Need.QUOTE: facts.quoted_now,
        Need.OPEN_QUOTE: facts.quote is not Quote.DECLINED,
        Need.NO_REPAIR: not facts.repaired or facts.quote is Quote.DECLINED,
        Need.APPOINTMENT: facts.has_appointment,
        Need.TEST: facts.tested is True,
        Need.PASSED: facts.inspected is True,
        Need.FAILED: facts.inspected is False,
        Need.WELL: not facts.unwell or facts.accepted,
        Need.SIGNATURE: facts.signed,
        Need.SATISFIED: not facts.complained,
        Need.VERDICT: facts.has_verdict,
    }
    return "" if there[need] else _WORDS[need].format(facts=facts)


_DECLINED = "a quote that was accepted: the customer has declined it, and it can only be closed or cancelled"

_WORDS = {
    Need.ASSIGNEE: "its assignee: who is to go",
    Need.NOTE: "its note: why",
    Need.DIAGNOSIS: "its diagnosis: where the fault is, what is to be done, how many hours it will take",
    Need.QUOTE: "a quote for the customer: amount, currency and what it is for",
    Need.OPEN_QUOTE: _DECLINED,
    Need.NO_REPAIR: "its test and quality check: its repair was begun",
    Need.APPOINTMENT: "an appointment: from when to when",
    Need.TEST: "a function test that was passed",
    Need.PASSED: "an inspection that was passed",
    Need.FAILED: "an inspection that failed, with the root cause",
    Need.WELL: "an inspector's word why nevertheless: since the repair {facts.unwell}",
    Need.SIGNATURE: "the customer's signature: who signed, and when",
    Need.SATISFIED: "its second handling closed: the customer was not satisfied, and waits for a call",
    Need.VERDICT: "its verdict: what the fault turned out to be",
}


def _approval(facts: Facts) -> str:
    """Work that is paid for begins when whoever pays has said yes."""
    match facts.quote:
        case Quote.ACCEPTED:
            return ""
        case Quote.DECLINED:
            return _DECLINED
        case Quote.OPEN:
            return "the customer's answer to the quote"
    if facts.warranty_ended is None:
        return ""
    return f"a quote that was accepted: the warranty ended on {facts.warranty_ended}"


def _inspections(facts: Facts) -> str:
    if facts.inspected is False:
        return _WORDS[Need.PASSED]
    passed_by = facts.passed_by | ({facts.who} if facts.inspected else set())
    left = facts.inspections - len(passed_by)
    if left <= 0:
        return ""
    return f"{'an inspection' if left == 1 else f'{left} inspections'} more, by somebody who did not work on it"
