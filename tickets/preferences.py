"""What somebody wishes to hear of, and when they wish to be left alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tickets.local_time import Hours

LEVELS = ("low", "medium", "high", "urgent")
"""A ticket's priorities; an alarm's severities are the same with `critical` at the end."""
SEVERITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Preferences:
    """From which level on; None: of none. Tickets are those of their own, and those that are late and theirs to mend.

    `urgent_passes`: whether what is urgent or critical is told in the quiet hours too.
    """

    alarms_from: str | None = None
    tickets_from: str | None = "low"
    zone: ZoneInfo | None = None
    quiet: Hours | None = None
    urgent_passes: bool = True

    def quiet_until(self, at: datetime, *, urgent: bool) -> datetime | None:
        """When somebody may be told again; None: now."""
        if self.quiet is None or (urgent and self.urgent_passes):
            return None
        around = self.quiet.around(at, self.zone or ZoneInfo("UTC"))
        return around[1].astimezone(UTC) if around else None


DEFAULT_PREFERENCES = Preferences()
