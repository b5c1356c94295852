"""Where impacts let a structure ring, and how often they come: bands of a signal, and the spectra of their envelopes.

The bands are those of the kurtogram (J. Antoni, "Fast computation of the kurtogram", Mechanical Systems and Signal
Processing 21, 2007): the whole range, and its halves, thirds, quarters and so on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import ifft, irfft, next_fast_len, prev_fast_len, rfft

from detectors.vibration.figures import SAMPLES_PER_PERIOD
from detectors.vibration.orders import Floats, OrderSpectrum, noise_floor, of_no_bearing, order_spectrum, owned

PARTS = (1, 2, 3, 4, 6, 8, 12)
# Below, shafts and meshes speak for themselves; what strikes is heard above.
LOWEST_HZ = 500.0
# A narrower band cannot swell and ebb at the frequencies looked for.
_WIDTH_OVER_FASTEST = 4.0
# Up to the third line of what is fastest with its sidebands, but no further than anyone looks.
_MOST_ORDERS = 60.0
# What is three times as strong as all but the strongest hundredth comes back at no rhythm: a switch, a dropped tool. It
# is cut there, since one of these hides all the rest. Too low: strong damage is cut. Too high: two knocks are not.
_USUAL_SHARE, _OVER_USUAL = 0.99, 3.0
# A line that noise reaches once in four hundred is a tone; noise is the median of so wide a stretch. Too low a height:
# what strikes most regularly is cut down too. Too high: weak tones go on beating.
_TONE_HEIGHT = 6.0
_TONE_NOISE_HZ, _TONE_NOISE_LINES = 60.0, 64


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """The squared envelope of a band, over its mean and less one: how the band's power swells and ebbs.

    Attributes
    ----------
    low_hz, high_hz : float
        The band.
    share : float
        Of the signal's power above `LOWEST_HZ`, how much lies in it.
    kurtosis : float
        Of the envelope: 0 for noise, above where something strikes, below for a steady tone.
    rate_hz : float
        Samples a second of `swing`: no more than its orders need.
    swing : float64 (m,)
    """

    low_hz: float
    high_hz: float
    share: float
    kurtosis: float
    rate_hz: float
    swing: Floats

    def spectrum(self, shaft_hz: float, to_order: float) -> OrderSpectrum:
        """A line of it is the mean square of the swing at that order: 0.5 where the power comes and goes wholly."""
        return order_spectrum(self.swing, self.rate_hz, shaft_hz, to_order)


def bands(rate_hz: float, narrowest_hz: float) -> list[tuple[float, float]]:
    """Low and high edge, in Hz, of the bands that are tried; none where sampling ends too low."""
    whole_hz = rate_hz / SAMPLES_PER_PERIOD - LOWEST_HZ
    found = []
    for parts in PARTS:
        width_hz = whole_hz / parts
        if width_hz < narrowest_hz:
            break
        found += [(LOWEST_HZ + part * width_hz, LOWEST_HZ + (part + 1) * width_hz) for part in range(parts)]
    return found


def envelopes(signal: Floats, rate_hz: float, edges: Sequence[tuple[float, float]], to_hz: float) -> list[Envelope]:
    """The envelope of each band of a signal (n,), with what lies in it up to `to_hz`.

    A band in which there is nothing has none.

    Notes
    -----
    One Fourier transform of the signal, and for each band one of its own width to and fro.
    """
    n = prev_fast_len(len(signal), real=True)
    spectrum = rfft(signal[:n] - signal.mean())
    power = spectrum.real**2 + spectrum.imag**2
    above = power[math.ceil(LOWEST_HZ * n / rate_hz) :].sum()
    found = []
    for low_hz, high_hz in edges:
        first, last = math.ceil(low_hz * n / rate_hz), math.floor(high_hz * n / rate_hz)
        inside = power[first:last].sum()
        if not inside > 1e-9 * above:
            continue
        squares = _squared_magnitude(np.asarray(spectrum[first:last]))
        squares = np.minimum(squares, _OVER_USUAL * _usual_peak(squares))
        swing = squares / squares.mean() - 1.0
        slow, slow_rate_hz = _slower(swing, n / rate_hz, to_hz)
        kurtosis = float(np.square(swing).mean()) - 1.0
        found.append(Envelope(low_hz, high_hz, float(inside / above), kurtosis, slow_rate_hz, slow))
    return found


def _usual_peak(squares: Floats) -> float:
    place = int(_USUAL_SHARE * (len(squares) - 1))
    return float(np.partition(squares, place)[place])


def without_tones(signal: Floats, rate_hz: float) -> Floats:
    """A signal (n,) whose tones are cut down to what noise reaches.

    Two steady tones in one band beat as if something struck there: electrical lines, meshes, fans. What really strikes
    is never quite periodic and survives this.
    """
    spectrum = rfft(signal - signal.mean())
    power = spectrum.real**2 + spectrum.imag**2
    wide = max(round(_TONE_NOISE_HZ * len(signal) / rate_hz), _TONE_NOISE_LINES)
    heights = power / noise_floor(power, wide)
    return np.asarray(
        irfft(spectrum * np.sqrt(np.minimum(1.0, _TONE_HEIGHT / np.maximum(heights, _TONE_HEIGHT))), len(signal))
    )


def _squared_magnitude(lines: Floats) -> Floats:
    """Of the analytic signal that has these lines. Twice as many samples as lines: squares reach twice as high."""
    size = next_fast_len(2 * len(lines))
    analytic = ifft(lines, size)
    return np.asarray(analytic.real**2 + analytic.imag**2)


def _slower(swing: Floats, duration_s: float, to_hz: float) -> tuple[Floats, float]:
    """The same up to a frequency, with no more samples than that needs, and their rate in Hz."""
    lines = next_fast_len(math.ceil(1.25 * to_hz * duration_s) + 2, real=True)
    if 2 * lines >= len(swing):
        return swing, len(swing) / duration_s
    kept = rfft(swing)[:lines]
    size = 2 * lines
    return np.asarray(irfft(kept, size)) * (size / len(swing)), size / duration_s


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """The envelopes of a signal's bands, and the spectrum of each."""

    envelopes: list[Envelope]
    spectra: list[OrderSpectrum]

    def liveliest(self, shaft: float) -> int | None:
        """The band whose envelope has most in lines that are none of the shaft's, over its noise."""
        if not self.spectra:
            return None
        return int(np.argmax([_liveliness(spectrum, shaft) for spectrum in self.spectra]))


def listen(signal: Floats, rate_hz: float, shaft_hz: float, fastest: float) -> Heard:
    """All bands of a signal (n,) that can swell and ebb at `fastest` orders of the shaft."""
    to_order = min(3.0 * fastest + 2.5, _MOST_ORDERS)
    edges = bands(rate_hz, _WIDTH_OVER_FASTEST * fastest * shaft_hz)
    found = envelopes(signal, rate_hz, edges, to_order * shaft_hz)
    return Heard(found, [envelope.spectrum(shaft_hz, to_order) for envelope in found])


def _liveliness(spectrum: OrderSpectrum, shaft: float) -> float:
    peaks = spectrum.peaks(0.25, spectrum.highest - 0.2, 0.5)
    peaks = peaks[~owned(peaks, of_no_bearing(spectrum, shaft), spectrum.resolution)]
    return float(spectrum.excess(peaks).sum() / np.median(spectrum.floor))
