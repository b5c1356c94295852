"""Diagnosis: from how a machine's points have moved to the most likely failure modes, each with evidence and test.

Each mode of the library says of each role whether it rises, falls or stays; each point that moved, or did not, speaks
for or against it. What no mode explains goes to "other", and where little has moved yet nothing is said.

Fails where two faults come at once, where a mode shows in points that the machine does not have, and where the load
changed with the fault (see `prognosis.signature`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from prognosis.faults import FailureMode
from prognosis.signature import Departure

# A move of so many spreads is as likely a move as none; and how sharply that turns.
_MOVED_Z, _SHARPNESS = 3.5, 0.9
# With no point beyond this there is nothing to diagnose.
_LEAST_Z = 3.0
# What each expectation makes of a point that goes up, stays, or goes down: where the fault is hardly there yet, and
# where it is grown. What a mode moves weakly is seen late, so that its absence says little at first; an unexpected move
# says much at any time.
_FRESH: Mapping[str, tuple[float, float, float]] = {
    "++": (0.70, 0.28, 0.02),
    "+": (0.20, 0.77, 0.03),
    "+?": (0.10, 0.87, 0.03),
    "?": (0.08, 0.84, 0.08),
    "-?": (0.03, 0.87, 0.10),
    "-": (0.03, 0.77, 0.20),
    "--": (0.02, 0.28, 0.70),
    "": (0.03, 0.94, 0.03),
    "own": (0.475, 0.05, 0.475),  # a sensor that drifts, either way
    "other": (0.15, 0.70, 0.15),
}
_GROWN: Mapping[str, tuple[float, float, float]] = {
    "++": (0.93, 0.05, 0.02),
    "+": (0.62, 0.34, 0.04),
    "+?": (0.25, 0.71, 0.04),
    "?": (0.20, 0.60, 0.20),
    "-?": (0.04, 0.71, 0.25),
    "-": (0.04, 0.34, 0.62),
    "--": (0.02, 0.05, 0.93),
    "": (0.06, 0.88, 0.06),
    "own": (0.475, 0.05, 0.475),
    "other": (0.25, 0.50, 0.25),
}
# The move of the point that moved farthest, at which a fault is fresh and at which it is grown.
_FRESH_Z, _GROWN_Z = 5.0, 40.0
# How well the point that moved farthest should be one that the mode names.
_LEADS: Mapping[str, float] = {
    "++": 1.0,
    "+": 0.35,
    "+?": 0.2,
    "?": 0.2,
    "": 0.05,
    "--": 1.0,
    "-": 0.35,
    "-?": 0.2,
}
_LEADS_OTHER = 0.2
_PRIOR_OTHER = 0.5
# A stuck or rough point, where that is what the mode says, and where it is not.
_SO, _NOT_SO = 0.95, 0.003
_ROUGH = 4.0
# What all points say together counts for this share: at 1 they were independent witnesses. Fitted on firmware_sim, so
# that of what is given 70 %, about 70 % is right (`python -m bench.detection.simulated`).
_WEIGHT = 0.9

# Of a block of raw vibration: how often it names a fault of its mode where that is the fault, or the verdicts of any
# other, and says none. Three of five alike are there before an alarm is; early damage has less to show.
_HEARD, _HEARD_OTHER, _HEARD_NONE = 0.95, 0.03, 0.3
# So large a share of blocks that name a fault is one to diagnose, whatever the points say.
_LEAST_HEARD = 0.5

MODES_SHOWN = 3

_NOT_MOVED = "no point has moved clearly from where it was before"
_TOO_LITTLE = "too few readings before or since"
_NO_MODE = "what has moved fits no failure mode of the library"


@dataclass(frozen=True, slots=True)
class Sign:
    """What one point says of a mode: `speaks` is `for`, `against`, or `open` where the sign is not there (yet)."""

    point: str
    unit: str
    speaks: str
    expected: str
    z: float
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What the last blocks of raw vibration of one axis say: `fault`, in `blocks` of `of` that could say anything."""

    fault: str
    axis: str
    blocks: int
    of: int

    @property
    def share(self) -> float:
        return self.blocks / max(self.of, 1)


@dataclass(frozen=True, slots=True)
class Suspect:
    """One failure mode and how probable it is, 0 to 1; `point` is the sensor's, for a fault of one. `heard` are the
    verdicts on raw vibration that speak for it."""

    mode: FailureMode
    probability: float
    signs: tuple[Sign, ...]
    point: str = ""
    heard: tuple[Heard, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The most likely modes, the best first; with `other` their probabilities add up to 1.

    `suspects` is empty where nothing can be said, and `abstains` then says why.
    """

    suspects: tuple[Suspect, ...]
    other: float
    abstains: str = ""


def diagnose(
    modes: Sequence[FailureMode], departures: Sequence[Departure], kind: str = "", heard: Sequence[Heard] = ()
) -> Diagnosis:
    """The three most likely of the modes that a machine of this kind can have.

    `departures` are those of all its points, moved or not; what surrounds the machine is left out. `heard` is what
    blocks of raw vibration say, each fault once; empty where there are none.
    """
    points = [one for one in departures if one.roles != ("ambient",)]
    moved = [one for one in points if abs(one.z) >= _LEAST_Z or one.still or one.rough >= _ROUGH]
    if not moved and not (points and max((one.share for one in heard), default=0.0) >= _LEAST_HEARD):
        return Diagnosis((), 1.0, _NOT_MOVED if points else _TOO_LITTLE)
    # A kind that the library has never heard of may be anything.
    known = kind if any(mode.machines and mode.concerns(kind) for mode in modes) else ""
    # A fault of a sensor is as many candidates as there are points, and one mode.
    candidates = [(mode, "") for mode in modes if mode.concerns(known) and _shows(mode, points)]
    candidates += [(mode, one.point) for mode in modes if mode.instrument for one in points]
    logs = [
        _log_likelihood(mode, points, own) + _log_prior(mode, points) + _log_of_vibration(mode.vibration, heard)
        for mode, own in candidates
    ]
    logs.append(_log_other(points) + math.log(_PRIOR_OTHER) + _log_of_vibration((), heard))
    weight = np.exp(_WEIGHT * (np.array(logs) - max(logs)))
    share = (weight / weight.sum()).tolist()
    best: dict[str, int] = {}
    total: dict[str, float] = {}
    for number, (mode, _) in enumerate(candidates):
        total[mode.id] = total.get(mode.id, 0.0) + share[number]
        if share[number] > share[best.setdefault(mode.id, number)]:
            best[mode.id] = number
    if share[-1] > max(total.values(), default=0.0):
        return Diagnosis((), 1.0, _NO_MODE)
    suspects = []
    for name in sorted(best, key=lambda name: -total[name])[:MODES_SHOWN]:
        mode, own = candidates[best[name]]
        of_mode = tuple(one for one in heard if one.fault in mode.vibration)
        suspects.append(Suspect(mode, total[name], _signs(mode, own, points), own, of_mode))
    return Diagnosis(tuple(suspects), 1.0 - sum(suspect.probability for suspect in suspects))


def _shows(mode: FailureMode, points: Sequence[Departure]) -> bool:
    """Whether the machine has a point that the mode moves for certain one way."""
    return any(mode.expects(one.roles) not in ("", "?") for one in points)


def _log_prior(mode: FailureMode, points: Sequence[Departure]) -> float:
    return math.log(mode.prior / (len(points) if mode.instrument else 1))


def _log_of_vibration(faults: Sequence[str], heard: Sequence[Heard]) -> float:
    """By the share of blocks that name one of a mode's faults, another one, or none."""
    own = max((one.share for one in heard if one.fault in faults), default=0.0)
    other = min(max((one.share for one in heard if one.fault not in faults), default=0.0), 1.0 - own)
    none = _HEARD_NONE if faults and heard else _HEARD
    return math.log(_HEARD * own + _HEARD_OTHER * other + none * (1.0 - own - other)) if heard else 0.0


def _moves(one: Departure) -> tuple[float, float, float]:
    """How surely a point has gone up, stayed, gone down."""
    up = 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, (one.z - _MOVED_Z) / _SHARPNESS))))
    down = 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, (-one.z - _MOVED_Z) / _SHARPNESS))))
    return up, max(0.0, 1.0 - up - down), down


def _log_likelihood(mode: FailureMode, points: Sequence[Departure], own: str) -> float:
    lead = max(points, key=lambda one: abs(one.z))
    grown = _grown(lead)
    total = 0.0
    for one in points:
        expected = _expected(mode, one, own)
        total += _log_of_move(expected, one, grown)
        total += _log_of_nature(one.still, mode.instrument == "still" and one.point == own)
        total += _log_of_nature(one.rough >= _ROUGH, mode.instrument == "rough" and one.point == own)
    if mode.instrument in ("still", "rough"):
        return total + math.log(_LEADS_OTHER)
    if mode.instrument:
        return total + math.log(1.0 if lead.point == own else _LEADS[""])
    expected = mode.expects(lead.roles)
    agrees = (lead.z > 0) == expected.startswith("+") or expected in ("?", "")
    return total + math.log(_LEADS[expected] if agrees else _LEADS[""])


def _expected(mode: FailureMode, one: Departure, own: str) -> str:
    if not mode.instrument:
        return mode.expects(one.roles)
    return "" if one.point != own else "own" if mode.instrument == "moves" else "other"


def _log_of_move(expected: str, one: Departure, grown: float) -> float:
    chances = (fresh + (full - fresh) * grown for fresh, full in zip(_FRESH[expected], _GROWN[expected], strict=True))
    return math.log(sum(a * b for a, b in zip(chances, _moves(one), strict=True)))


def _grown(lead: Departure) -> float:
    """How far the fault is, 0 to 1, by the point that moved farthest."""
    share = math.log(max(abs(lead.z), 1.0) / _FRESH_Z) / math.log(_GROWN_Z / _FRESH_Z)
    return min(max(share, 0.0), 1.0)


def _log_of_nature(seen: bool, expected: bool) -> float:
    chance = _SO if expected else _NOT_SO
    return math.log(chance if seen else 1.0 - chance)


def _log_other(points: Sequence[Departure]) -> float:
    grown = _grown(max(points, key=lambda one: abs(one.z)))
    total = math.log(_LEADS_OTHER)
    for one in points:
        total += _log_of_move("other", one, grown)
        total += _log_of_nature(one.still, False) + _log_of_nature(one.rough >= _ROUGH, False)
    return total


def _signs(mode: FailureMode, own: str, points: Sequence[Departure]) -> tuple[Sign, ...]:
    """What each point says, the loudest first; points that stayed where the mode expects it say nothing."""
    signs = []
    for one in sorted(points, key=lambda one: -abs(one.z)):
        expected = ("?" if one.point == own else "") if mode.instrument else mode.expects(one.roles)
        up, _, down = _moves(one)
        way = "up" if up > 0.5 else "down" if down > 0.5 else ""
        if one.point == own and (one.still or one.rough >= _ROUGH):
            speaks = "for"
        elif not way:
            if expected not in ("++", "--"):
                continue
            speaks = "open"
        elif expected == "?" or (expected and (way == "up") == expected.startswith("+")):
            speaks = "for"
        else:
            speaks = "against"
        signs.append(Sign(one.point, one.unit, speaks, expected, one.z, one.before, one.after))
    return tuple(signs)


def suspect_to_json(suspect: Suspect) -> dict[str, Any]:
    """A suspect as plain values, with all that a page shows of it."""
    mode = suspect.mode
    return {
        "mode": mode.id,
        "name": mode.name,
        "failure_mode": mode.failure_mode,
        "mechanism": mode.mechanism,
        "probability": round(suspect.probability, 4),
        "point": suspect.point,
        "told_apart": mode.told_apart,
        "confirm": mode.confirm,
        "remedy": mode.remedy,
        "parts": list(mode.parts),
        "urgency": mode.urgency,
        "procedure": mode.procedure and asdict(mode.procedure),
        "signs": [asdict(sign) for sign in suspect.signs],
        "heard": [asdict(one) for one in suspect.heard],
    }
