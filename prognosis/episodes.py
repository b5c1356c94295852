"""Past episodes that are like a present one: by the signature of how a machine's points moved.

A fault shows in the same points, in the same directions, on every machine of a kind, weakly at first and strongly in
the end. So moves count by their logarithm and signatures are compared by their direction alone. What is not alike is
not shown, however near: an engineer who is sent after the wrong likeness loses the day.

Fails where two failure modes move the same points the same way, and where a machine lacks the points that tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from prognosis.signature import Departure

Signature = Mapping[str, float]
"""By role, or a point's own name where it has none: how it moved, positive up. A role that is stuck or rough says so
under a name of its own."""

# A move of so many spreads is where the logarithm begins to bend: below it noise, above it growth.
_BEND_Z = 3.0
# With no point beyond this, there is nothing to be alike in (as in `prognosis.diagnosis`).
_LEAST_Z = 3.0
_ROUGH = 4.0
# What a stuck or a rough point counts: as much as a move of 160 or of 20 spreads.
_STILL_COUNTS, _ROUGH_COUNTS = 4.0, 2.0
# Cosine from which two are alike. Too low: of faults that are new, a third are likened to something that they are not.
# Too high: young faults are likened to nothing. Between 0.8 and 0.95 the likeness is right as often
# (`python -m bench.detection simulated`): this is where strangers become few.
ALIKE = 0.9


def signature(departures: Sequence[Departure]) -> dict[str, float]:
    """The signature of one departure; empty where no point has moved clearly. Of one role the farthest point counts."""
    points = [one for one in departures if one.roles != ("ambient",)]
    if not any(abs(one.z) >= _LEAST_Z or one.still or one.rough >= _ROUGH for one in points):
        return {}
    found: dict[str, float] = {}
    for one in points:
        role = one.roles[0] if one.roles else one.point
        # What does not move any more has not moved: its level says when it got stuck.
        move = 0.0 if one.still else math.copysign(math.log1p(abs(one.z) / _BEND_Z), one.z)
        if abs(move) >= abs(found.get(role, 0.0)):
            found[role] = move
        if one.still:
            found[f"{role} still"] = _STILL_COUNTS
        if one.rough >= _ROUGH:
            found[f"{role} rough"] = _ROUGH_COUNTS
    return found


def likeness(one: Signature, other: Signature) -> float:
    """Cosine of two signatures, -1 to 1; what one of them lacks counts as unmoved. 0 where either is empty."""
    sizes = math.hypot(*one.values()) * math.hypot(*other.values())
    return sum(move * other.get(role, 0.0) for role, move in one.items()) / sizes if sizes else 0.0


def nearest(present: Signature, past: Sequence[Signature], most: int) -> list[tuple[int, float]]:
    """Those of the past that are alike, by number with their likeness, the nearest first."""
    found = ((number, likeness(present, each)) for number, each in enumerate(past))
    return sorted((one for one in found if one[1] >= ALIKE), key=lambda one: -one[1])[:most]
