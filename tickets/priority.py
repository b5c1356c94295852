"""How urgent a ticket is, and which promise of time follows.

Severity is the only axis there is yet: an asset's criticality and a customer's tier join the table when devices and
customers carry them.
"""

from __future__ import annotations

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
    """The three promises; their hours are in `tickets.clocks`."""

    GENERAL = "general"
    MAJOR = "major"
    EMERGENCY = "emergency"


_RANK = {priority: rank for rank, priority in enumerate(Priority)}

PRIORITY_OF: dict[Severity, Priority] = {
    Severity.LOW: Priority.LOW,
    Severity.MEDIUM: Priority.MEDIUM,
    Severity.HIGH: Priority.HIGH,
    Severity.CRITICAL: Priority.URGENT,
}

LEVEL_OF: dict[Priority, Level] = {
    Priority.LOW: Level.GENERAL,
    Priority.MEDIUM: Level.GENERAL,
    Priority.HIGH: Level.MAJOR,
    Priority.URGENT: Level.EMERGENCY,
}


def worse(one: Priority, other: Priority) -> Priority:
    """The more urgent of two: a ticket's priority rises with its alarms and never falls by itself."""
    return max(one, other, key=lambda priority: priority.rank)
