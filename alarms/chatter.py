"""Alarms that chatter: raised again and again within a minute, they are held as one until they have been calm.

Each time that an alarm comes back soon after it was held it is held for twice as long, up to an hour; a day without
chatter, and that is forgotten. Only alarms that are raised are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from alarms.policy import Policy
from detectors.scores import Snapshot

# Too short: it chatters on, more slowly. Too long: a fault that is repaired shows for so long.
HOLD_FIRST_S = 60.0
HOLD_MOST_S = 3600.0
_FORGET_US = 86_400_000_000
_SWEEP_FROM = 1000
_NEVER = np.iinfo(np.int64).min


@dataclass(slots=True)
class _Alarm:
    """One alarm's raises of late, the latest last; how long it was held last, and until when."""

    raises_us: list[int] = field(default_factory=list)
    hold_s: float = 0.0
    calm_us: int = _NEVER


class Chatter:
    """Of all alarms, by detector and subject."""

    def __init__(self) -> None:
        self._alarms: dict[tuple[str, int], _Alarm] = {}
        self._sweep_from = _SWEEP_FROM

    def raised(self, name: str, subject: int, at_us: int, policy: Policy) -> float:
        """For how long a raise is held: it must be calm for so many seconds to return; 0 where it does not chatter."""
        if len(self._alarms) >= self._sweep_from:
            self._forget(at_us)
        alarm = self._alarms.setdefault((name, subject), _Alarm())
        if alarm.raises_us and at_us - max(alarm.raises_us[-1], alarm.calm_us) > _FORGET_US:
            alarm.raises_us.clear()
            alarm.hold_s = 0.0
        alarm.raises_us = [*alarm.raises_us, at_us][-policy.chatter_raises :]
        often = len(alarm.raises_us) == policy.chatter_raises
        chatters = often and at_us - alarm.raises_us[0] <= policy.chatter_s * 1_000_000
        back = alarm.hold_s > 0 and at_us - alarm.calm_us <= alarm.hold_s * 1e6
        if not chatters and not back:
            return 0.0
        alarm.hold_s = min(2 * alarm.hold_s or HOLD_FIRST_S, HOLD_MOST_S)
        alarm.raises_us = [at_us]
        return alarm.hold_s

    def calm(self, name: str, subject: int, at_us: int) -> None:
        """One that was held has returned."""
        if (alarm := self._alarms.get((name, subject))) is not None:
            alarm.calm_us = at_us

    def snapshot(self) -> Snapshot:
        """All of it, as columns: raises of an alarm after the other's, `chatter_count` of each."""
        each = list(self._alarms.items())
        return {
            "chatter_detector": np.array([name for (name, _), _ in each], "U64"),
            "chatter_subject": np.array([subject for (_, subject), _ in each], np.int32),
            "chatter_hold_s": np.array([alarm.hold_s for _, alarm in each], np.float64),
            "chatter_calm_us": np.array([alarm.calm_us for _, alarm in each], np.int64),
            "chatter_count": np.array([len(alarm.raises_us) for _, alarm in each], np.int64),
            "chatter_raises_us": np.array([at for _, alarm in each for at in alarm.raises_us], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over what `snapshot` gave; older ones have nothing of it."""
        if "chatter_count" in snapshot:
            self._alarms = dict(_unpacked(snapshot))

    def _forget(self, now_us: int) -> None:
        """Let go of what nothing follows from any more."""
        for key, alarm in list(self._alarms.items()):
            if now_us - max(alarm.raises_us[-1], alarm.calm_us) > _FORGET_US:
                del self._alarms[key]
        self._sweep_from = max(_SWEEP_FROM, 2 * len(self._alarms))


def _unpacked(snapshot: Snapshot) -> Iterator[tuple[tuple[str, int], _Alarm]]:
    columns = ("detector", "subject", "hold_s", "calm_us")
    raises = np.split(snapshot["chatter_raises_us"], np.cumsum(snapshot["chatter_count"])[:-1])
    for name, subject, hold_s, calm_us, raises_us in zip(
        *(snapshot[f"chatter_{column}"].tolist() for column in columns), raises, strict=False
    ):
        yield (name, subject), _Alarm(raises_us.tolist(), hold_s, calm_us)
