"""How urgent a ticket is, by what is lost, how much the machine matters and whose it is, and which promise follows.

The matrix is the tenant's (`tickets.terms`). Medical or safety equipment never starts below urgent, whatever it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from alarms.events import Severity


class Priority(StrEnum):
    """From the least to the most."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"

    @property
    def rank(self) -> int:
        return _RANK[self]


class Level(StrEnum):
    """The three promises; their hours are in `tickets.terms`."""

    GENERAL = "general"
    MAJOR = "major"
    EMERGENCY = "emergency"


class FaultClass(StrEnum):
    """What is lost, from the most to the least."""

    SAFETY = "safety"  # somebody may be hurt
    LINE_DOWN = "line_down"  # production stands
    FUNCTION_LOST = "function_lost"
    DEGRADED = "degraded"
    COSMETIC = "cosmetic"  # nothing yet


class Nature(StrEnum):
    """Software faults, and lost connections, are looked at from afar first."""

    HARDWARE = "hardware"
    SOFTWARE = "software"


class Criticality(StrEnum):
    """How much a machine matters to the plant."""

    A = "A"  # nothing runs without it
    B = "B"  # what nothing was said of
    C = "C"  # there is another, or time


class Tier(StrEnum):
    """Whose the machine is."""

    REGULAR = "regular"
    VIP = "vip"


Matrix = Mapping[FaultClass, Mapping[Criticality, Mapping[Tier, Priority]]]

_RANK = {priority: rank for rank, priority in enumerate(Priority)}

LEVEL_OF: dict[Priority, Level] = {
    Priority.LOW: Level.GENERAL,
    Priority.MEDIUM: Level.GENERAL,
    Priority.HIGH: Level.MAJOR,
    Priority.URGENT: Level.EMERGENCY,
}

CLASS_OF: dict[Severity, FaultClass] = {
    Severity.LOW: FaultClass.COSMETIC,
    Severity.MEDIUM: FaultClass.DEGRADED,
    Severity.HIGH: FaultClass.FUNCTION_LOST,
    Severity.CRITICAL: FaultClass.LINE_DOWN,
}
"""What an alarm's severity says of the fault, before anybody has looked."""

CLASS_BY_URGENCY: dict[str, FaultClass] = {
    "now": FaultClass.LINE_DOWN,
    "day": FaultClass.FUNCTION_LOST,
    "week": FaultClass.DEGRADED,
    "month": FaultClass.COSMETIC,
}
"""What the fault library says of it, by how long one may wait (`prognosis.faults.URGENCIES`)."""

# What of an alarm's faults is no fault of the machine's body.
_OF_SOFTWARE = frozenset({"communication", "site"})


def nature_of(fault: str) -> Nature:
    """Of the fault that an alarm names."""
    return Nature.SOFTWARE if fault in _OF_SOFTWARE else Nature.HARDWARE


def priority_of(
    matrix: Matrix, fault_class: FaultClass, criticality: Criticality, tier: Tier, *, safety_equipment: bool
) -> Priority:
    """Where a ticket starts."""
    return Priority.URGENT if safety_equipment else matrix[fault_class][criticality][tier]


def worse(one: Priority, other: Priority) -> Priority:
    """The more urgent of two: a ticket's priority rises with its alarms and never falls by itself."""
    return max(one, other, key=lambda priority: priority.rank)
