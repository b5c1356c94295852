"""Which part of a rolling bearing is damaged, from the rhythm in which the machine's high frequencies swell and ebb.

A damaged outer ring is struck at BPFO. What is on the inner ring turns through the load once a turn: BPFI with
sidebands at shaft speed. A rolling element strikes at twice BSF with sidebands at the cage's speed, and seldom so
neatly: often it only changes the load on both rings as it comes round with the cage, which leaves lines at whole shaft
orders plus and minus the cage's. (W. Smith and R. Randall, "Rolling element bearing diagnostics using the Case Western
Reserve University data", Mechanical Systems and Signal Processing 64-65, 2015, found lines of both rings in records of
damaged balls.) A damaged cage shows its own speed alone.

The power of the lines of each kind is added up, and the kind that holds most has the fault - if noise would show as
much less often than once in a thousand blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.vibration.bearings import Bearing
from detectors.vibration.mains import NO_LINES
from detectors.vibration.orders import CAP, Floats, OrderSpectrum, find_comb, log_chance, of_no_bearing, owned

# So often may noise alone name a fault, whatever was looked at.
FALSE_ALARMS = 1e-3
# Rolling elements slip, contact angles change under load, and a speed that was told is never quite the speed.
SLIP = 0.02
CAGE_SLIP = 0.015
# Mean square of the swing (0.5: all of the band's power comes and goes). Too low: the load zone of a healthy bearing
# is damage. Too high: damage is missed beside a noisy neighbour.
LEAST_DEPTH = 0.01
# Lines of the cage are its own damage where hardly any is modulated by the shaft; of a rolling element's most are.
_CAGE_SHARE = 2.0 / 3.0
_CAGE_LINES = 5
_STRIKING_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Line:
    """A line that belongs to a part: what it is called in the trade, and the order it is expected at."""

    name: str
    order: float


@dataclass(frozen=True, slots=True)
class Suspect:
    """A part of the bearing, and what speaks against it.

    Attributes
    ----------
    fault : str
        `outer_race`, `inner_race`, `ball` or `cage`.
    slip : float
        By how much its lines are off what geometry says, as a share.
    chance : float
        Decimal logarithm of the probability that noise shows as much.
    depth : float
        Mean square of the swing at its lines, noise taken off.
    lines : tuple of Line
        At the orders where they were found.
    """

    fault: str
    slip: float
    chance: float
    depth: float
    lines: tuple[Line, ...]


def suspect(
    spectrum: OrderSpectrum, bearing: Bearing, shaft: float, tried: int, others: Floats = NO_LINES
) -> Suspect | None:
    """The part of a bearing that is damaged, by the spectrum of one band's envelope; None where none is.

    Parameters
    ----------
    shaft : float
        The order at which the shaft's own lines were found: 1 unless the speed told was wrong.
    tried : int
        Among how many bands this one was chosen.
    others : float64 (k,), optional
        Orders that are known to be somebody else's.
    """
    owners = np.sort(np.concatenate([of_no_bearing(spectrum, shaft), others]))
    least = math.log10(FALSE_ALARMS / (5.0 * tried))
    parts = [part for part in _parts(spectrum, bearing, shaft, owners) if part.chance < least]
    leading = _leading(parts)
    rolling = _rolling(spectrum, bearing, shaft, owners, () if leading is None else leading.lines)
    if rolling is not None and rolling.chance < least:
        leading = _leading([rolling] if leading is None else [leading, rolling])
    return leading if leading is not None and leading.depth >= LEAST_DEPTH else None


def _leading(parts: Sequence[Suspect]) -> Suspect | None:
    """The part with most power. Whatever strikes may come and go with the cage; a damaged cage makes nothing strike."""
    most = max((part.depth for part in parts), default=0.0)
    striking = [part for part in parts if part.fault != "cage" and part.depth > _STRIKING_SHARE * most]
    return max(striking or parts, key=lambda part: part.depth, default=None)


def first_lines(bearing: Bearing) -> dict[str, float]:
    """The order of each part's first line, of those parts that are known."""
    orders = {
        "outer_race": bearing.outer,
        "inner_race": bearing.inner,
        "ball": None if bearing.spin is None else 2.0 * bearing.spin,
        "cage": bearing.cage,
    }
    return {fault: order for fault, order in orders.items() if order is not None}


def _parts(spectrum: OrderSpectrum, bearing: Bearing, shaft: float, owners: Floats) -> list[Suspect]:
    """Each part by its own frequency and its harmonics."""
    found = []
    for fault, expected in first_lines(bearing).items():
        comb = find_comb(spectrum, expected * shaft, np.arange(1.0, 4.0), SLIP, owners)
        lines = _lines(fault, comb.order, shaft, bearing.cage)
        depth = _depth(spectrum, [line.order for line in lines], owners)
        found.append(Suspect(fault, comb.order / (expected * shaft) - 1.0, comb.chance, depth, lines))
    return found


def _lines(fault: str, order: float, shaft: float, cage: float | None) -> tuple[Line, ...]:
    """The lines of a part whose first is found at an order."""
    match fault:
        case "outer_race":
            return tuple(Line(f"{_times(k)}BPFO", k * order) for k in range(1, 4))
        case "cage":
            return tuple(Line(f"{_times(k)}FTF", k * order) for k in range(1, _CAGE_LINES))
        case "inner_race":
            names, apart, sides = ("BPFI", "2 BPFI", "3 BPFI"), shaft, range(-2, 3)
        case _:
            names, apart = ("2 BSF", "4 BSF", "6 BSF"), 0.0 if cage is None else cage * shaft
            sides = range(-2, 3) if apart else range(1)
    of = "shaft" if fault == "inner_race" else "FTF"
    return tuple(
        Line(name + _side(j, of), k * order + j * apart) for k, name in enumerate(names, start=1) for j in sides
    )


def _rolling(
    spectrum: OrderSpectrum, bearing: Bearing, shaft: float, owners: Floats, claimed: Sequence[Line]
) -> Suspect | None:
    """What comes round with the cage: lines at whole shaft orders plus and minus the cage's, which nobody claims."""
    if bearing.cage is None:
        return None
    owners = np.sort(np.concatenate([owners, [line.order for line in claimed]]))
    best: tuple[float, float, list[Line]] = (-1.0, 0.0, [])
    steps = np.linspace(-CAGE_SLIP, CAGE_SLIP, 13)
    for slip in steps:
        lines = _comings(bearing.cage * shaft * (1.0 + slip), shaft, spectrum, owners)
        if not lines:
            return None
        heights = spectrum.heights(np.array([line.order for line in lines]))
        score = float(np.minimum(heights, CAP).sum()) / len(lines)
        if score > best[0]:
            best = score, float(slip), lines
    score, slip, lines = best
    chance = log_chance(score * len(lines), len(lines)) + math.log10(len(steps))
    of_cage = [line for line in lines if "shaft" not in line.name]
    depth = _depth(spectrum, [line.order for line in lines], owners)
    alone = _depth(spectrum, [line.order for line in of_cage], owners)
    fault = "cage" if alone > _CAGE_SHARE * depth else "ball"
    return Suspect(fault, slip, min(chance, 0.0), depth, tuple(lines))


def _comings(cage: float, shaft: float, spectrum: OrderSpectrum, owners: Floats) -> list[Line]:
    """Lines of the cage's order and of its sums and differences with the shaft's, each once and none of the owners'."""
    near = [
        Line(_sum(i, j), i * shaft + j * cage)
        for i in range(9)
        for j in (1, -1, 2, -2, 3, -3, 4, -4, 5, -5)
        if 0.3 < i * shaft + j * cage < spectrum.highest
    ]
    near.sort(key=lambda line: line.order)
    free = ~owned(np.array([line.order for line in near]), owners, spectrum.resolution)
    lines: list[Line] = []
    for line, is_free in zip(near, free, strict=True):
        if is_free and (not lines or line.order - lines[-1].order > spectrum.resolution):
            lines.append(line)
    return lines


def _depth(spectrum: OrderSpectrum, orders: Sequence[float], owners: Floats) -> float:
    """Mean square at these orders less that of the noise; what is somebody else's does not count."""
    places = np.array(orders)
    places = places[~owned(places, owners, spectrum.resolution)]
    return float(spectrum.excess(places).sum())


def _times(k: int) -> str:
    return "" if k == 1 else f"{k} "


def _side(j: int, of: str) -> str:
    return "" if j == 0 else f" {'+' if j > 0 else '-'} {_times(abs(j))}{of}"


def _sum(i: int, j: int) -> str:
    return f"{_times(j)}FTF" if i == 0 else f"{_times(i)}shaft{_side(j, 'FTF')}"
