"""What each detector still lacks of a young machine, and about when it will have an opinion.

An estimate, from how often each point is heard and how long it has been: the detectors' own memory is with the process
that scores. Right to a third where points report steadily (the contract suite holds it against the detectors); late
where a machine stands still while it is learnt, or departs, or reports in bursts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Readings, and seconds, that each detector of streams needs before its first opinion; the longer holds. As measured:
# spans of three readings or five seconds 75 times, spans of about ten 40 times, eight days, a week's first day.
_NEEDS: Mapping[str, tuple[float, float]] = {
    "silence": (8, 0.0),
    "flatline": (30, 0.0),
    "sensors": (400, 0.0),
    "shift": (240, 390.0),
    "drift": (0, 8 * 86_400.0),
}
_NOVELTY = (100, 29 * 3600.0)
# Faster streams are not novelty's business.
_NOVELTY_FROM_S = 50.0
_MULTIVARIATE = (398, 300.0)
_FEWEST_POINTS = 2


@dataclass(frozen=True, slots=True)
class Heard:
    """How one point has been heard.

    Attributes
    ----------
    interval_s : float
        Between readings; NaN where it is not known.
    changing : float
        Share of readings that bring another value than the one before, 0 to 1.
    for_s : float
        Since its first reading.
    """

    point: str
    interval_s: float
    changing: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """A detector without an opinion of these points.

    `in_s`: until the last of them is known, about; infinite where that can't be foreseen, and `why` then says why.
    """

    detector: str
    points: tuple[str, ...]
    in_s: float
    why: str = ""


def waiting(points: Sequence[Heard], *, together_known: bool) -> list[Waiting]:
    """What is still learnt of a machine, the soonest first. `together_known`: how its points move together is."""
    found = [each for name in (*_NEEDS, "novelty") if (each := _of_streams(name, points)) is not None]
    if not together_known:
        found.append(_of_machine(points))
    return sorted(found, key=lambda each: each.in_s)


def needs_s(detector: str, interval_s: float, changing: float = 1.0) -> float:
    """How long a detector must hear a point, or a machine whose points report so often; 0 where it is not its business.

    NaN where the interval is not known, infinite for a stuck sensor's detector where nothing changes.
    """
    if math.isnan(interval_s):
        return math.nan
    if detector == "novelty" and interval_s < _NOVELTY_FROM_S:
        return 0.0
    own = {"novelty": _NOVELTY, "multivariate": _MULTIVARIATE}
    readings, seconds = own[detector] if detector in own else _NEEDS[detector]
    if detector == "flatline":
        return readings * interval_s / changing if changing > 0.0 else math.inf
    return max(readings * interval_s, seconds)


def _of_streams(detector: str, points: Sequence[Heard]) -> Waiting | None:
    left = {one.point: needs_s(detector, one.interval_s, one.changing) - one.for_s for one in points}
    # NaN: a point that was not heard lately is not waited for by name.
    late = {point: in_s for point, in_s in left.items() if in_s > 0.0}
    if not late:
        return None
    in_s = max(late.values())
    why = "its value has not changed lately" if math.isinf(in_s) else ""
    return Waiting(detector, tuple(late), in_s, why)


def _of_machine(points: Sequence[Heard]) -> Waiting:
    names = tuple(one.point for one in points)
    known = [one for one in points if not math.isnan(one.interval_s)]
    if len(points) < _FEWEST_POINTS:
        return Waiting("multivariate", names, math.inf, "a machine of one point has nothing that moves together")
    if len(known) < _FEWEST_POINTS:
        return Waiting("multivariate", names, math.inf, "too few of its points were heard lately")
    slowest = max(known, key=lambda one: one.interval_s)
    in_s = needs_s("multivariate", slowest.interval_s) - min(one.for_s for one in known)
    if in_s > 0.0:
        return Waiting("multivariate", names, in_s)
    return Waiting(
        "multivariate", names, math.inf, "it takes longer than usual: points missing, a standstill, an alarm"
    )
