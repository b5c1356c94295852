"""What leaves the watch: one event for each change of an alarm's condition, with its evidence.

Ids are made from what they name, not drawn: a reading that is scored again after a crash makes the same occurrence and
the same event, which the store then knows already.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid5

from detectors.scores import Evidence, Scope

_NAMESPACE = UUID("6f0c2a1e-7d5b-4a53-9f1e-0b5c8b1f6a10")


class Severity(StrEnum):
    """Priorities of an alarm, from the least to the worst."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _RANK[self]


_RANK = {severity: rank for rank, severity in enumerate(Severity)}


class Kind(StrEnum):
    """What happened to the condition."""

    RAISED = "raised"
    ESCALATED = "escalated"  # to a higher severity
    CHATTERING = "chattering"  # raised so often that it is held until it is calm
    RETURNED = "returned"  # to normal


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """One change of one alarm.

    `since_us` is when the departure began, `at_us` when the rule's delay had passed: both in the telemetry's own time.
    `subject` is a stream or a machine by `scope`, `machine` the device; `point` leads, in `unit`. `score` is the score
    at the edge, `peak` the highest of the occurrence. `evidence` is as of this edge. `latch`, `quiet_with_parent` and
    `opens_ticket` are as the rule has them. It rose above the limit `rises` times; while it chatters it returns only
    when it has been calm for `hold_s`. Of a raise `scored_us` is the time of its score, at or before `at_us`, and
    `rule_hash` the content of its rule.
    """

    event_id: UUID
    occurrence_id: UUID
    kind: Kind
    rule: str
    detector: str
    scope: Scope
    subject: int
    machine: int
    tenant: str
    device: str
    point: str
    unit: str
    fault: str
    severity: Severity
    since_us: int
    at_us: int
    score: float
    peak: float
    message: str
    opens_ticket: bool
    evidence: Evidence
    latch: bool = False
    quiet_with_parent: bool = False
    rises: int = 1
    hold_s: float = 0.0
    scored_us: int = 0
    rule_hash: str = ""


def occurrence_id(tenant: str, rule: str, scope: Scope, subject: int, since_us: int) -> UUID:
    """The name of one occurrence: the departure of one subject under one rule that began at one time."""
    return uuid5(_NAMESPACE, f"{tenant}/{rule}/{scope.value}/{subject}/{since_us}")


def event_id(occurrence: UUID, kind: Kind, severity: Severity) -> UUID:
    """The name of one change: an occurrence is raised once, returns once, and reaches each severity once."""
    return uuid5(occurrence, f"{kind.value}/{severity.value}")
