"""Lines of the electricity: exact multiples of 50 or 60 Hz, whatever the speed of the shaft.

They come over a sensor's cable, and from the pull of a motor's own field, which is strongest at twice the mains
frequency: near 2x of a two-pole motor, and as near to a part of a bearing as chance has it. What lies there and nowhere
near the shaft's own multiples is told apart from them; where both fall together no block can tell, and it counts as the
shaft's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors.vibration.orders import MAINS_HZ, Floats, OrderSpectrum

# Of the cable; of the field, twice the mains; of rectifiers and inverters of six and twelve pulses.
_MULTIPLES = (1.0, 2.0, 3.0, 4.0, 6.0, 12.0)
# Grids hold their frequency within this share, and a tone is found within this part of what the block resolves, by a
# top that is looked for so far away. Too wide: bearings lie there by chance. Too narrow: a hum that is off is a fault.
_GRID, _PLACE, _REACH = 1e-3, 0.2, 0.6
# Noise shows such a line once in a hundred thousand.
_HEIGHT = 12.0
# Nearer than so many resolved lines to a multiple of the shaft it is the shaft's. Too wide: a hum beside 2x is
# misalignment. Too narrow: a shaft that turns with the mains has no lines.
_APART = 0.5
_SHAFT_MULTIPLES = 12
# Beyond so many resolved lines a Hann window lets a hundredth through, and less.
_LEAKS = 3.5

NO_LINES: Floats = np.empty(0)


def mains_lines(spectrum: OrderSpectrum, shaft: float) -> Floats:
    """Orders at which the electricity has a line that is none of the shaft's, ascending."""
    found = []
    for order in _orders(spectrum):
        k = round(order / shaft)
        if 1 <= k <= _SHAFT_MULTIPLES and abs(order - k * shaft) < _APART * spectrum.resolution:
            continue
        if spectrum.heights(np.array([order]))[0] >= _HEIGHT and on_mains(order, spectrum):
            found.append(order)
    return np.array(found)


def on_mains(order: float, spectrum: OrderSpectrum) -> bool:
    """Whether the line at an order is, as far as the block can tell, at a multiple of the mains frequency."""
    multiples, peak = np.array(_orders(spectrum)), _peak(order, spectrum)
    return bool((np.abs(peak - multiples) <= np.maximum(_PLACE * spectrum.resolution, _GRID * multiples)).any())


def share_on_mains(orders: Sequence[float], spectrum: OrderSpectrum) -> float:
    """Which share of the power of some lines lies on multiples of the mains frequency, 0 to 1."""
    power = spectrum.excess(np.array(orders))
    there = np.array([on_mains(order, spectrum) for order in orders])
    return float(power[there].sum() / power.sum()) if power.sum() > 0.0 else 0.0


def _peak(order: float, spectrum: OrderSpectrum) -> float:
    """Where the line near an order is, by the parabola through the logarithms around its top."""
    middle, reach = round(order / spectrum.step), round(_REACH * spectrum.resolution / spectrum.step)
    first, last = max(middle - reach, 1), min(middle + reach, len(spectrum.power) - 2)
    if last < first:
        return order
    top = first + int(np.argmax(spectrum.power[first : last + 1]))
    below, at, above = np.log(np.maximum(spectrum.power[top - 1 : top + 2], np.finfo(np.float64).tiny))
    bend = below - 2.0 * at + above
    return float((top + (0.5 * (below - above) / bend if bend < 0.0 else 0.0)) * spectrum.step)


def leaked(order: float, electric: Floats, spectrum: OrderSpectrum) -> float:
    """RMS that the electricity's lines leak to an order through a Hann window; 0 where none is near.

    Of a tone that is `d` resolved lines away it is sinc(d) / (1 - d²).
    """
    d = np.abs(order - electric) / spectrum.resolution
    near = d < _LEAKS
    beside = np.where(np.abs(d - 1.0) < 1e-3, 1.001, d)[near]
    response = np.abs(np.sinc(beside) / (1.0 - beside**2))
    return float((response * np.sqrt(spectrum.excess(electric[near]))).sum())


def _orders(spectrum: OrderSpectrum) -> list[float]:
    hz = sorted({mains_hz * k for mains_hz in MAINS_HZ for k in _MULTIPLES})
    return [one / spectrum.shaft_hz for one in hz if one / spectrum.shaft_hz < spectrum.highest]
