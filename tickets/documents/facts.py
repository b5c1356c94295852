"""What a document is made of: what is kept of a ticket, as far as it is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tickets.documents.after_repair import Judged
from tickets.needs import Paper
from tickets.steps import StepState


@dataclass(frozen=True, slots=True)
class Case:
    """The ticket and the machine that a document is about; empty texts are not known.

    Attributes
    ----------
    zone
        The tenant's: every time is written in it.
    guarantee
        How long after its ticket is closed a repair that did not hold is taken up again.
    """

    code: str
    title: str
    reported: str
    opened_at: datetime
    device: str
    model: str
    serial: str
    site: str
    customer: str
    warranty_until: date | None
    zone: ZoneInfo
    guarantee: timedelta


@dataclass(frozen=True, slots=True)
class Issue:
    """Of a version of a document: which, when, and by whom by name."""

    number: str
    version: int
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A paper, see `tickets.needs.Paper`: what was written, when, by whom by name, and by login."""

    at: datetime
    by: str
    body: Mapping[str, Any]
    who: str = ""


@dataclass(frozen=True, slots=True)
class PartLine:
    """A part that is wanted, or was put in. Serial numbers of what went in and of what came out for it."""

    number: str
    name: str
    quantity: int
    serial: str = ""
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """A point before the repair. `low`, `high`: where it is on a healthy day, where that is known."""

    point: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step of the work order as it was ticked off; `value`: what was measured there."""

    text: str
    state: StepState
    value: float | None = None
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """What a repair was. `judged`: what telemetry says of it by now; None: nothing was looked at."""

    verdict: str
    parts: Sequence[PartLine]
    before: Sequence[Measured]
    stages: Sequence[tuple[str, datetime]]
    steps: Sequence[StepLine]
    handed_over_at: datetime
    judged: Judged | None = None


Entries = Mapping[Paper, Entry]
"""The latest of each paper since the ticket was last reopened."""
