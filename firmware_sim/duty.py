"""What a machine is asked for in the course of a day: standing, idling, part load, full load, by the hour.

    [[duties]]
    device = "pump-01"
    from_h = 6
    kind = "full"

Nobody presses a button at the same second every day: each change comes up to ten minutes early or late. A running
machine goes over to another load within half a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from firmware_sim.noise import Floats, key, uniform

DAY_S = 86_400.0
UNPUNCTUAL_S = 600.0
CHANGE_S = 30.0
# Changes closer to each other could overtake each other.
_CLOSEST_H = 0.5


class DutyKind(StrEnum):
    OFF = "off"
    IDLE = "idle"
    PART = "part"
    FULL = "full"


_LOADS = {DutyKind.OFF: 0.0, DutyKind.IDLE: 0.0, DutyKind.PART: 0.6, DutyKind.FULL: 1.0}


@dataclass(frozen=True, slots=True)
class Duty:
    """From an hour of the day (UTC) on, until the device's next one, across midnight too.

    `load` is a share of the machine's usual demand: without it 0.6 in part load; a machine at full load has all of it.
    """

    device: str
    from_h: float
    kind: DutyKind
    load: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.from_h < 24:
            raise ValueError(f"{self.device}: from_h is 0 or more, below 24")
        if self.load is not None and (self.kind is not DutyKind.PART or not 0 < self.load < 1):
            raise ValueError(f"{self.device}: a load, above 0 and below 1, is said of part load only")

    @property
    def share(self) -> float:
        return _LOADS[self.kind] if self.load is None else self.load


class Day:
    """The day of one machine, from duties in any order.

    Raises
    ------
    ValueError
        If there is but one, or two are closer than half an hour.
    """

    def __init__(self, duties: Sequence[Duty], device_key: int) -> None:
        self._duties = sorted(duties, key=lambda duty: duty.from_h)
        hours = np.array([duty.from_h for duty in self._duties])
        apart = np.diff(hours, append=hours[:1] + 24.0)
        if len(hours) < 2 or (apart < _CLOSEST_H).any():
            raise ValueError(f"{duties[0].device}: two duties or more, half an hour apart at least")
        self._from_s = hours * 3600.0
        self._keys = np.array([[key(device_key, "duty", number)] for number in range(len(hours))], np.uint64)
        self._share = np.array([duty.share for duty in self._duties])
        self._on = np.array([duty.kind is not DutyKind.OFF for duty in self._duties])

    def running(self, t_s: Floats) -> Floats:
        """1 where the machine is switched on, else 0."""
        return self._on[self._now(t_s)[0]].astype(np.float64)

    def share(self, t_s: Floats) -> Floats:
        """The share of the usual demand; the last one where the machine has been switched off."""
        now, since_s = self._now(t_s)
        before = (now - 1) % len(self._duties)
        # Off has no load of its own to come from, or to go to.
        first, last = np.where(self._on[before], self._share[before], self._share[now]), self._share[now]
        last = np.where(self._on[now], last, first)
        return np.asarray(first + (last - first) * np.clip(since_s / CHANGE_S, 0.0, 1.0))

    def kinds(self, t_s: Floats) -> list[DutyKind]:
        """What the machine is asked for at these times: the truth."""
        return [self._duties[number].kind for number in self._now(t_s)[0]]

    def _now(self, t_s: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
        """Which duty is the present one, and for how long it has been."""
        today = np.floor(t_s / DAY_S).astype(np.int64)
        since_s = np.full((len(self._duties), len(t_s)), np.inf)
        for day in (today - 1, today, today + 1):
            late_s = UNPUNCTUAL_S * (2.0 * uniform(self._keys, day[np.newaxis, :]) - 1.0)
            ago_s = t_s - (day * DAY_S + self._from_s[:, np.newaxis] + late_s)
            since_s = np.where(ago_s >= 0, np.minimum(since_s, ago_s), since_s)
        now = since_s.argmin(axis=0)
        return now, since_s[now, np.arange(len(t_s))]
