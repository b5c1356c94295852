"""What happens to a fleet while it runs, and when: faults, repairs and outages as a scenario has them in store."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from firmware_sim.faults import Fault
from firmware_sim.scenario import Outage, Scenario


class Happening(StrEnum):
    ONLINE = "online"
    HISTORY = "history"
    """The past that was asked for has been sent."""
    FAULT = "fault"
    REPAIR = "repair"
    OUTAGE = "outage"


@dataclass(frozen=True, slots=True)
class FleetEvent:
    """Something worth a line. `time_s`: simulated, seconds since 1970."""

    happening: Happening
    time_s: float
    device: str | None = None
    fault: Fault | None = None


class Happenings:
    """What a scenario has in store, in order of time."""

    def __init__(self, scenario: Scenario, start_s: float) -> None:
        self._outages: dict[FleetEvent, Outage] = {
            FleetEvent(Happening.OUTAGE, start_s + outage.onset_s, outage.device): outage for outage in scenario.outages
        }
        self._coming = sorted(
            [
                *(FleetEvent(Happening.FAULT, start_s + f.onset_s, f.device, f) for f in scenario.faults),
                *(
                    FleetEvent(Happening.REPAIR, start_s + f.end_s, f.device, f)
                    for f in scenario.faults
                    if f.lasts_s is not None
                ),
                *self._outages,
            ],
            key=lambda event: event.time_s,
            reverse=True,
        )

    def until(self, now_s: float) -> list[FleetEvent]:
        """What has happened since the last call."""
        happened = []
        while self._coming and self._coming[-1].time_s <= now_s:
            happened.append(self._coming.pop())
        return happened

    def outage_ends_s(self, event: FleetEvent) -> float:
        return event.time_s + self._outages[event].lasts_s
