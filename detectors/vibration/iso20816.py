"""Zones of ISO 20816-3 (once ISO 10816-3): how severe a machine's vibration is, by its RMS velocity from 10 to 1000 Hz.

A zone exists only for a machine whose group and support are known: tables that circulate for "machines" disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TABLE = "ISO 20816-3, RMS velocity 10-1000 Hz"

LIMITS_MM_S: Mapping[tuple[int, str], tuple[float, float, float]] = {
    (1, "rigid"): (2.3, 4.5, 7.1),
    (1, "flexible"): (3.5, 7.1, 11.0),
    (2, "rigid"): (1.4, 2.8, 4.5),
    (2, "flexible"): (2.3, 4.5, 7.1),
}
"""Velocity where A ends, where B ends, where C ends, by group and support. Group 1: above 300 kW, or electrical with a
shaft 315 mm high and more; group 2: 15 to 300 kW, or 160 to 315 mm."""
GROUPS = (1, 2)
SUPPORTS = ("rigid", "flexible")


@dataclass(frozen=True, slots=True)
class Zone:
    """A machine's zone, and by which table.

    Attributes
    ----------
    letter : str
        A: as newly commissioned. B: fit for long operation. C: until it can be repaired. D: does damage.
    limits_mm_s : (3,) floats
        Where A, B and C end.
    table : str
        The table these are from, with group and support.
    """

    letter: str
    limits_mm_s: tuple[float, float, float]
    table: str


def zone(velocity_mm_s: float, group: int, support: str) -> Zone:
    """The zone of a velocity; on a limit it is the better one.

    Raises
    ------
    ValueError
        No such group or support.
    """
    if (group, support) not in LIMITS_MM_S:
        raise ValueError("the group is 1 (above 300 kW) or 2 (15 to 300 kW), the support rigid or flexible")
    limits = LIMITS_MM_S[group, support]
    letter = "ABCD"[sum(velocity_mm_s > limit for limit in limits)]
    return Zone(letter, limits, f"{TABLE}, group {group}, {support} support")
