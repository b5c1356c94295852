"""Spectra by multiples of the shaft's speed ("orders"), and which of their lines stand out of the noise.

A line's height is its power over that of the noise around it. In noise alone heights follow an exponential law of mean
one, whatever the noise's colour, so that a sum of heights has a probability: what stands out is not a level that
somebody chose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import next_fast_len, rfft
from scipy.special import gammaincc

Floats = npt.NDArray[np.float64]

# Lines are computed so many times finer than the block's length resolves: what lies between two is not lost.
_FINER = 4
# A tone covers as many resolved lines, by its power, through a Hann window.
_HANN_LINES = 1.5
# Noise is the median of so wide a stretch, or of so many resolved lines. Too narrow: a line raises its own floor. Too
# wide: a floor that slopes makes lines of its upper end.
_FLOOR_ORDERS, _FLOOR_LINES = 1.2, 24
# No single line counts for more than this in a sum: two or three of a family must be there.
CAP = 18.0
# Hum is on every second sensor's cable. Half of its first eight lines, half of these odd.
MAINS_HZ = (50.0, 60.0)
_MAINS_LINES, _MAINS_HEIGHT = 8, 12.0
# Half orders belong to machines in which something rattles; three of them together are no accident.
_HALVES, _HALVES_CHANCE = np.array([1.0, 3.0, 5.0]), -4.0


@dataclass(frozen=True, slots=True, eq=False)
class OrderSpectrum:
    """Power by order, and the noise it stands in.

    Attributes
    ----------
    step : float
        Orders from one line to the next.
    resolution : float
        Orders that the block's length can tell apart.
    shaft_hz : float
        The speed that was told: order 1.
    power, floor : float64 (K,)
        Of the order `k * step` each; `floor` is the mean that noise alone would have there.
    """

    step: float
    resolution: float
    shaft_hz: float
    power: Floats
    floor: Floats

    @property
    def highest(self) -> float:
        return (len(self.power) - 1) * self.step

    def excess(self, orders: Floats) -> Floats:
        """Power above the noise's mean at each order, in no case below zero; beyond the spectrum it is zero."""
        place, inside = self._places(orders)
        return np.asarray(np.where(inside, np.maximum(self.power[place] - self.floor[place], 0.0), 0.0))

    def tone(self, order: float) -> float:
        """Mean square of a tone at an order, however its speed wandered by a line or two; noise taken off."""
        half = 2.0 * self.resolution
        first, last = math.floor((order - half) / self.step), math.ceil((order + half) / self.step) + 1
        if first < 0 or last > len(self.power):
            return 0.0
        above = float((self.power[first:last] - self.floor[first:last]).sum())
        return max(above * self.step / (_HANN_LINES * self.resolution), 0.0)

    def mean_square(self, first: int, last: int) -> float:
        """Of all that lies from one line to another, noise and tones."""
        return float(self.power[max(first, 1) : last + 1].sum()) * self.step / (_HANN_LINES * self.resolution)

    def heights(self, orders: Floats) -> Floats:
        """Power over the noise's mean at each order; beyond the spectrum it is zero."""
        place, inside = self._places(orders)
        return np.asarray(np.where(inside, self.power[place] / self.floor[place], 0.0))

    def peaks(self, low: float, high: float, false_alarms: float) -> Floats:
        """Orders of the lines between two orders that noise would show less often than this per spectrum."""
        first, last = max(math.ceil(low / self.step), 1), min(math.floor(high / self.step), len(self.power) - 2)
        if last <= first:
            return np.empty(0)
        heights = self.power / self.floor
        tried = (last - first + 1) / _FINER
        least = math.log(max(tried, 1.0) * 2.0 / false_alarms)
        middle = heights[first : last + 1]
        top = (middle >= least) & (middle > heights[first - 1 : last]) & (middle >= heights[first + 1 : last + 2])
        return np.asarray((np.flatnonzero(top) + first) * self.step)

    def _places(self, orders: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        place = np.rint(orders / self.step).astype(np.int64)
        inside = (place > 0) & (place < len(self.power))
        return np.asarray(np.where(inside, place, 0)), inside


def order_spectrum(signal: Floats, rate_hz: float, shaft_hz: float, to_order: float) -> OrderSpectrum:
    """Mean-square power of a signal (n,) by order, through a Hann window: a tone's line is the square of its RMS."""
    n = len(signal)
    window = 0.5 - 0.5 * np.cos(2.0 * math.pi * np.arange(n) / n)
    size = next_fast_len(_FINER * n, real=True)
    count = min(math.ceil(to_order * shaft_hz * size / rate_hz) + 2, size // 2)
    transform = rfft((signal - signal.mean()) * window, size)[:count]
    power = 2.0 * (transform.real**2 + transform.imag**2) / window.sum() ** 2
    resolution, step = rate_hz / n / shaft_hz, rate_hz / size / shaft_hz
    wide = max(round(_FLOOR_ORDERS / step), _FLOOR_LINES * _FINER)
    return OrderSpectrum(step, resolution, shaft_hz, power, noise_floor(power, wide))


def noise_floor(power: Floats, wide: int) -> Floats:
    """The mean of the noise at each line (K,), from medians of stretches so many lines wide that overlap by half."""
    wide, half = min(wide, len(power)), max(wide // 2, 1)
    stretches = sliding_window_view(power, wide)
    starts = np.append(np.arange(0, len(stretches), half), len(stretches) - 1)
    medians = np.median(stretches[starts], axis=1)
    mean = np.interp(np.arange(len(power)), starts + wide / 2.0, medians / math.log(2.0))
    return np.asarray(np.maximum(mean, np.finfo(np.float64).tiny))


@dataclass(frozen=True, slots=True, eq=False)
class Comb:
    """Multiples of one order that were looked for together.

    Attributes
    ----------
    order : float
        Where the first one was found.
    chance : float
        Decimal logarithm of the probability that noise alone shows as much anywhere that was looked.
    """

    order: float
    chance: float


def find_comb(spectrum: OrderSpectrum, order: float, multiples: Floats, tolerance: float, masked: Floats) -> Comb:
    """Lines at multiples of an order that may be off by a share of `tolerance`, all by the same.

    `masked` are orders that belong to somebody else: what lies on them does not count.
    """
    most = order * float(multiples.max())
    half = max(math.ceil(tolerance * most / spectrum.step), 1)
    tried = order * (1.0 + tolerance * np.arange(-half, half + 1) / half)
    places = tried[:, np.newaxis] * multiples
    heights = np.where(owned(places, masked, spectrum.resolution), 0.0, spectrum.heights(places))
    # Which is best is judged without the cap: where all are beyond it, one is still the middle of its lines.
    best = int(np.argmax(np.log1p(heights).sum(axis=1)))
    independent = max(len(tried) / _FINER, 1.0) * 2.0
    capped = float(np.minimum(heights[best], CAP).sum())
    chance = log_chance(capped, len(multiples)) + math.log10(independent)
    return Comb(float(tried[best]), min(chance, 0.0))


def of_the_shaft(spectrum: OrderSpectrum, shaft: float) -> Floats:
    """Orders that are the shaft's own, whatever lies there: its multiples, and those of its half where it has some."""
    halves = find_comb(spectrum, shaft / 2.0, _HALVES, 1e-3, np.empty(0))
    part = 2.0 if halves.chance < _HALVES_CHANCE else 1.0
    return np.arange(1.0, math.ceil(part * spectrum.highest / shaft)) * shaft / part


def log_chance(total: float, lines: int) -> float:
    """Decimal logarithm of how often so many lines of noise, whose heights are exponential, sum to so much or more."""
    with np.errstate(divide="ignore"):
        return float(np.log10(gammaincc(lines, max(total, 0.0))))


def of_no_bearing(spectrum: OrderSpectrum, shaft: float) -> Floats:
    """Orders that are the shaft's own or the mains', ascending."""
    return np.sort(np.concatenate([of_the_shaft(spectrum, shaft), _of_the_mains(spectrum)]))


def _of_the_mains(spectrum: OrderSpectrum) -> Floats:
    """Multiples of 50 or 60 Hz, where so many of them stand out that some are odd ones: a bearing has no such comb."""
    found = [np.empty(0)]
    for mains_hz in MAINS_HZ:
        multiples = np.arange(1.0, spectrum.highest * spectrum.shaft_hz / mains_hz) * mains_hz / spectrum.shaft_hz
        tall = spectrum.heights(multiples[:_MAINS_LINES]) > _MAINS_HEIGHT
        if tall.sum() >= _MAINS_LINES / 2 and tall[::2].sum() >= _MAINS_LINES / 4:
            found.append(multiples)
    return np.concatenate(found)


def owned(orders: Floats, owners: Floats, resolution: float) -> npt.NDArray[np.bool_]:
    """Which orders lie so near to one of the owners (sorted) that the block cannot tell them apart."""
    if not len(owners):
        return np.zeros(orders.shape, np.bool_)
    right = np.clip(np.searchsorted(owners, orders), 0, len(owners) - 1)
    left = np.maximum(right - 1, 0)
    away = np.minimum(np.abs(orders - owners[right]), np.abs(orders - owners[left]))
    return np.asarray(away < 1.6 * resolution)
