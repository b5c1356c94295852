"""Imbalance, misalignment, looseness and damaged gears: what the lines at multiples of the shaft's speed say.

The patterns are the trade's own: once a turn is imbalance, twice a turn misalignment, many harmonics and half orders
looseness. Every machine has some of each, so that a pattern alone is no fault: the velocity must be worth a repair.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.vibration.mains import NO_LINES, leaked
from detectors.vibration.orders import Floats, OrderSpectrum, find_comb, log_chance

# Where zone B of a medium machine on a rigid support ends: taken where group and support are not known. Too low:
# healthy machines have a fault of the shaft. Too high: it is felt by hand first.
WORTH_A_REPAIR_MM_S = 2.8
# Of the velocity's power: more than all else together, and by far.
_IMBALANCE_SHARE = 2.0 / 3.0
# Twice a turn, over once a turn, in velocity. Half is where charts begin to suspect, 1.5 where they are sure.
_MISALIGNED = 0.75
_ALIGNMENT_SHARE = 2.0 / 3.0
# Lines at three times the speed and above, and between: so many, of so much of the power of all lines together.
_LOOSE_LINES, _LOOSE_HALVES, _LOOSE_SHARE, _HALF_SHARE = 4, 2, 0.1, 0.02
# A line that has less than this part of the strongest one's velocity says nothing.
_LEAST_PART = 0.05
# A line that noise shows once in ten thousand.
_HEIGHT = 12.0
# By so much the shaft's order is still off.
_SPEED = 0.003
# A mesh that stands out less is ragged by itself, and has sidebands in health: those of GEARBOX_GFD stand out by 100 to
# 400. Sidebands in pairs hold this part of its power where it is modulated by 40 %: a wheel that runs a little out of
# true modulates by half of that.
_MESH_HEIGHT, _SIDEBAND_SHARE, _PAIR_CHANCE = 1000.0, 0.08, -6.0


@dataclass(frozen=True, slots=True)
class ShaftLine:
    """A line at a multiple of the shaft's speed: what it is called, its order, RMS in the spectrum's unit."""

    name: str
    order: float
    rms: float


@dataclass(frozen=True, slots=True)
class Pattern:
    """A fault by the pattern of its lines, and the sentence that says so."""

    fault: str
    reason: str
    lines: tuple[ShaftLine, ...]


def velocity_lines(
    velocity: OrderSpectrum, shaft: float, skipped: Sequence[float] = (), electric: Floats = NO_LINES
) -> dict[float, ShaftLine]:
    """Lines of velocity from half the shaft's speed to ten times, those that stand out alone, by nominal order.

    `skipped` are orders of blades and teeth, which are no harmonics of the shaft itself; `electric` those of the mains,
    of which what leaks to a line of the shaft is taken off.
    """
    nominal = [k / 2.0 for k in range(1, 21) if k / 2.0 not in skipped]
    found = {}
    for order in nominal:
        # A half order that the block cannot tell from its neighbours would be theirs.
        if order % 1.0 and velocity.resolution > 0.08:
            continue
        if velocity.heights(np.array([order * shaft]))[0] >= _HEIGHT:
            found[order] = ShaftLine(_order_name(order), order * shaft, _rms(velocity, order * shaft, electric))
    strongest = max((line.rms for line in found.values()), default=0.0)
    return {order: line for order, line in found.items() if line.rms > _LEAST_PART * strongest}


def _rms(velocity: OrderSpectrum, order: float, electric: Floats) -> float:
    """Of a line, without what lines of the mains beside it leak there: no less than nothing."""
    hum = leaked(order, electric, velocity)
    if hum == 0.0:
        return math.sqrt(velocity.tone(order))
    return max(math.sqrt(velocity.excess(np.array([order]))[0]) - hum, 0.0)


def pattern(lines: dict[float, ShaftLine], velocity_mm_s: float) -> Pattern | None:
    """The fault whose pattern a machine's velocity shows; looseness before misalignment before imbalance."""
    whole = velocity_mm_s**2
    power = {order: line.rms**2 for order, line in lines.items()}
    of_lines = sum(power.values())
    once, twice = power.get(1.0, 0.0), power.get(2.0, 0.0)
    halves = {order for order in power if order % 1.0}
    high = {order for order in power if order >= 3.0} | halves
    loose = sum(power[order] for order in high)
    shaken = of_lines >= 0.5 * whole
    many = len(high) >= _LOOSE_LINES and loose > _LOOSE_SHARE * of_lines
    between = len(halves) >= _LOOSE_HALVES and sum(power[order] for order in halves) > _HALF_SHARE * of_lines
    if shaken and (many or between):
        reason = (
            f"{len(high)} lines at half orders and from 3x on hold {loose / of_lines:.0%} of the power of all lines"
        )
        return Pattern("looseness", reason, tuple(lines.values()))
    if twice > _MISALIGNED**2 * once and once + twice + power.get(3.0, 0.0) > _ALIGNMENT_SHARE * whole:
        reason = f"2x has {math.sqrt(twice / max(once, 1e-12 * twice)):.2g} times the velocity of 1x"
        return Pattern("misalignment", reason, tuple(lines[k] for k in (1.0, 2.0, 3.0) if k in lines))
    if once > _IMBALANCE_SHARE * whole:
        return Pattern("imbalance", f"1x holds {min(once / whole, 1.0):.0%} of the velocity's power", (lines[1.0],))
    return None


def gear(acceleration: OrderSpectrum, teeth: int, shaft: float) -> Pattern | None:
    """A damaged gear: its mesh swells and ebbs once a turn, which shows as sidebands in pairs at shaft speed.

    A single line beside the mesh is some other part's. Where a mesh hardly stands out of the noise nothing is said.
    """
    for k in (1, 2, 3):
        # The shaft's order times the teeth would be off by more than a line.
        mesh = find_comb(acceleration, k * teeth * shaft, np.ones(1), _SPEED, np.empty(0)).order
        carrier = np.array([mesh])
        if acceleration.heights(carrier)[0] < _MESH_HEIGHT:
            continue
        apart = np.arange(1.0, 4.0) * shaft
        lower, upper = mesh - apart, mesh + apart
        chance = _pair_chance(np.minimum(acceleration.heights(lower), acceleration.heights(upper)))
        in_pairs = 2.0 * np.minimum(acceleration.excess(lower), acceleration.excess(upper)).sum()
        share = float(in_pairs / acceleration.excess(carrier)[0])
        if chance < _PAIR_CHANCE and share > _SIDEBAND_SHARE:
            reason = f"sidebands in pairs at shaft speed hold {share:.0%} of the power of the mesh they stand beside"
            return Pattern("gear", reason, _mesh_lines(acceleration, k, mesh, apart))
    return None


def _pair_chance(lesser: Floats) -> float:
    """Decimal logarithm of the probability of such pairs in noise: the lesser of two heights is 0.5 on average."""
    return log_chance(2.0 * lesser.sum(), len(lesser))


def _mesh_lines(acceleration: OrderSpectrum, k: int, mesh: float, apart: Floats) -> tuple[ShaftLine, ...]:
    name = "mesh" if k == 1 else f"{k} mesh"
    named = [(name, mesh)]
    for j, away in enumerate(apart, start=1):
        sides = "shaft" if j == 1 else f"{j} shaft"
        named += [(f"{name} - {sides}", mesh - away), (f"{name} + {sides}", mesh + away)]
    lines = [ShaftLine(what, order, math.sqrt(acceleration.tone(order))) for what, order in named]
    return tuple(line for line in lines if line.rms > 0.0)


def _order_name(order: float) -> str:
    return f"{order:g}x"
