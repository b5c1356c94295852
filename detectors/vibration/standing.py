"""What the last blocks of one axis say together: how severe it stands, and which fault stays.

One block can be wrong: noise, a crane that passes, a start. Of the last `OF_BLOCKS` blocks that could say anything,
`SEEN_IN` must say the same before it is an alarm; with one fewer it is over. A machine at rest says nothing.

It is said in the words of every detector, scores of streams (`detectors.told`), so that rules, delays, tickets and
lessons are those of all alarms. The subjects are two streams of the axis that its blocks leave readings in: the
velocity for zones and faults of the shaft, the envelope for those of bearings and gears.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detectors.scores import Evidence

DETECTOR = "vibration"
# Too few: what passes is a fault. Too many: a sensor that sends each hour warns after half a day. Noise names a fault
# in one block of a thousand: in three of five once in 10^8.
SEEN_IN, OF_BLOCKS = 3, 5

PARTS: Mapping[str, Mapping[str, str]] = {
    "shaft": {"imbalance": "imbalance", "misalignment": "misalignment", "looseness": "looseness"},
    "bearing": {
        "outer_race": "bearing",
        "inner_race": "bearing",
        "ball": "bearing",
        "cage": "bearing",
        "gear": "gear",
    },
}
"""Which faults are one: damage spreads from one part of a bearing to the next, and does not begin anew with it."""
POINTS: Mapping[str, Sequence[str]] = {
    "shaft": ("velocity_rms",),
    "bearing": ("acceleration_envelope_rms", "kurtosis"),
}
"""The point of an axis that shows such faults, the first that there is."""


@dataclass(frozen=True, slots=True)
class BlockSays:
    """What is known of one block.

    Attributes
    ----------
    time_us : int
        Of its first sample.
    fault : str or None
        One of `detectors.vibration.FAULTS`; None where nothing could be said.
    line : str
        The strongest line of the evidence, in words; empty without any.
    velocity_mm_s : float or None
        RMS from 10 to 1000 Hz; None where the block does not hold it.
    limits_mm_s : (3,) floats or None
        Where zones A, B and C end; None without a zone.
    """

    time_us: int
    fault: str | None
    line: str = ""
    velocity_mm_s: float | None = None
    limits_mm_s: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """A score, 1.0 where it is an alarm, and its evidence; the score is NaN where no block could say anything."""

    score: float
    observed: float
    high: float
    since_us: int
    sign: str


_NOTHING = Opinion(math.nan, math.nan, math.nan, 0, "")
_WELL = Opinion(0.0, math.nan, math.nan, 0, "")


def standing(blocks: Sequence[BlockSays]) -> dict[str, Opinion]:
    """What the blocks of one axis, the oldest first, say of its shaft and of its bearing and gear.

    Severity is 1 where zone B ends and 2 where C does; a fault is the share of `SEEN_IN` blocks that name it.
    """
    of_fault = [block for block in blocks if block.fault is not None][-OF_BLOCKS:]
    found = {kind: _fault(of_fault, parts) for kind, parts in PARTS.items()}
    severe = _severity([block for block in blocks if block.limits_mm_s is not None][-OF_BLOCKS:])
    found["shaft"] = _together(severe, found["shaft"])
    return found


def _fault(blocks: Sequence[BlockSays], parts: Mapping[str, str]) -> Opinion:
    if not blocks:
        return _NOTHING
    counts = Counter(part for part in (parts.get(block.fault or "") for block in blocks) if part)
    if not counts:
        return _WELL
    most = max(sorted(counts), key=lambda part: counts[part])
    seen = [block for block in blocks if parts.get(block.fault or "") == most]
    name = Counter(block.fault for block in reversed(seen)).most_common(1)[0][0] or ""
    line = next((f" ({block.line})" for block in reversed(seen) if block.fault == name and block.line), "")
    sign = f"{name.replace('_', ' ')} in {len(seen)} of the last {len(blocks)} blocks{line}"
    return Opinion(len(seen) / SEEN_IN, math.nan, math.nan, seen[0].time_us, sign)


def _severity(blocks: Sequence[BlockSays]) -> Opinion:
    """By the velocity that `SEEN_IN` of the blocks reach."""
    scores = [_of_zone(block) for block in blocks]
    if not scores:
        return _NOTHING
    if len(scores) < SEEN_IN:
        return _WELL
    score = sorted(scores, reverse=True)[SEEN_IN - 1]
    seen = [block for block, one in zip(blocks, scores, strict=True) if one >= score]
    last = seen[-1]
    velocity_mm_s, limits_mm_s = last.velocity_mm_s or 0.0, last.limits_mm_s or (0.0, 0.0, 0.0)
    letter = "D" if score > 2.0 else "C" if score > 1.0 else "B"
    sign = f"zone {letter} in {len(seen)} of the last {len(blocks)} blocks: {velocity_mm_s:.3g} mm/s"
    return Opinion(score, velocity_mm_s, limits_mm_s[1], seen[0].time_us, f"{sign} where B ends at {limits_mm_s[1]:g}")


def _of_zone(block: BlockSays) -> float:
    """Rises evenly: 1 where zone B ends, 2 where C does."""
    if block.limits_mm_s is None or block.velocity_mm_s is None:
        return 0.0
    _, b_ends, c_ends = block.limits_mm_s
    over = block.velocity_mm_s - b_ends
    return block.velocity_mm_s / b_ends if over <= 0.0 else 1.0 + over / (c_ends - b_ends)


def _together(severe: Opinion, fault: Opinion) -> Opinion:
    """Severity with the fault that explains it, or the one of both that there is."""
    if math.isnan(severe.score) or math.isnan(fault.score):
        return fault if math.isnan(severe.score) else severe
    worse, other = (severe, fault) if severe.score >= fault.score else (fault, severe)
    said = f"{worse.sign}; {other.sign}" if other.score >= 1.0 else worse.sign
    return Opinion(worse.score, severe.observed, severe.high, worse.since_us, said)


def evidence(point: str, axis: str, said: Opinion) -> Evidence:
    """What an alarm of this point shows."""
    sign = f"{axis}: {said.sign}"
    return Evidence(point, said.observed, math.nan, math.nan, said.high, said.since_us, {point: 1.0}, sign)
