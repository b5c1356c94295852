"""Floods: more alarms at one site than people can look at one by one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

# A flood is over with less than this share of what began it, as EEMUA 191 has it: more than ten in ten minutes, until
# there are less than five. Too high: it ends and begins again. Too low: it is shown though it is over.
_OVER_BELOW = 0.5


class Turn(StrEnum):
    """What becomes of a flood."""

    BEGINS = "begins"
    GOES_ON = "goes on"
    ENDS = "ends"
    NONE = "none"


def judge(alarms: int, most: int, *, stands: bool) -> Turn:
    """What `alarms` within the tenant's span are, where it calls more than `most` a flood."""
    if not stands:
        return Turn.BEGINS if alarms > most else Turn.NONE
    return Turn.ENDS if alarms < _OVER_BELOW * most else Turn.GOES_ON


def worse_than_told(told: int, weights: Sequence[int]) -> int | None:
    """Which of a flood's alarms goes its own way though the flood was told as one: the worst of these `weights`, if it
    is worse than all that was told so far, and of several the first. None: none does."""
    if not weights or max(weights) <= told:
        return None
    return weights.index(max(weights))
