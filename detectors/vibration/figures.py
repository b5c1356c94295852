"""What a block of vibration says: figures that a trend can be kept of, and the spectra and envelopes they come from.

Nothing is said that the block does not hold: where it was sampled too slowly for a band, or is too short to tell its
lowest frequency from standing still, the figure is not there. A constant added to the signal (gravity, a sensor's bias)
changes nothing; a factor scales what has a unit and leaves the rest as it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

G_MM_S2 = 9806.65

VELOCITY_BAND_HZ = (10.0, 1000.0)
"""Of ISO 20816: what is called vibration severity."""
BANDS_HZ = ((10.0, 1000.0), (1000.0, 5000.0), (5000.0, 10_000.0))
"""Shafts, looseness, slow meshes · meshes, bearings that are damaged · bearings and lubrication that begin to fail."""
ENVELOPE_BAND_HZ = (500.0, 10_000.0)
"""Above what shafts and most meshes do themselves: where impacts let a structure ring. Cut off where sampling ends."""

# A proper converter's filter lets pass up to this part of the sampling rate; above it lie aliases. Too high: slow
# sensors have nothing to say. Too low: what was folded down counts as vibration.
SAMPLES_PER_PERIOD = 2.56
# Below so many periods of a band's lowest frequency a window cannot tell it from what drifts.
_PERIODS = 4.0
# An envelope of less than two octaves shows the filter, not the machine.
_ENVELOPE_OCTAVES = 2.0
# The filter rings this long where the block begins and ends: cut off. Shorter blocks have no envelope.
_RINGING_S = 0.01
# A line on an edge must not fall out of its band by the last bit of a quotient.
_ROUNDING = 1e-9
# Fewer samples make no statistics.
FEWEST_SAMPLES = 256


@dataclass(frozen=True, slots=True, eq=False)
class PowerSpectrum:
    """Where the power of a signal lies. Its sum is the mean square of the signal about its mean.

    Attributes
    ----------
    step_hz : float
        From one line to the next: one over the duration of the block. A pure tone covers four lines.
    power : float64 (K,)
        Mean square in the signal's unit squared, of the frequency `k * step_hz` each.
    """

    step_hz: float
    power: Floats

    @property
    def frequency_hz(self) -> Floats:
        return np.arange(len(self.power), dtype=np.float64) * self.step_hz

    def rms(self, low_hz: float, high_hz: float) -> float:
        """Root mean square of what lies from `low_hz` to `high_hz`; of a tone on an edge nine tenths or more.

        An edge between two lines takes the outer one.
        """
        first, last = math.floor(low_hz / self.step_hz + _ROUNDING), math.ceil(high_hz / self.step_hz - _ROUNDING)
        return math.sqrt(self.power[first : last + 1].sum())

    def buckets(self, to_hz: float, most: int) -> tuple[float, Floats]:
        """RMS of what lies in each of at most so many buckets of equal width up to `to_hz`, and that width in Hz."""
        count = min(math.floor(to_hz / self.step_hz + _ROUNDING) + 1, len(self.power))
        each = -(-count // most)
        power = np.zeros(-(-count // each) * each)
        power[:count] = self.power[:count]
        return self.step_hz * each, np.sqrt(power.reshape(-1, each).sum(axis=1))

    def above(self, low_hz: float) -> PowerSpectrum:
        """The same without what lies below a frequency."""
        first = math.floor(low_hz / self.step_hz + _ROUNDING)
        return PowerSpectrum(self.step_hz, np.where(np.arange(len(self.power)) < first, 0.0, self.power))

    def scaled(self, factor: float) -> PowerSpectrum:
        """Of the signal in another unit, of which one of its own has `factor`."""
        return PowerSpectrum(self.step_hz, self.power * factor**2)

    def integrated(self) -> PowerSpectrum:
        """The spectrum of the signal's integral over time: of velocity, where this is one of acceleration.

        Notes
        -----
        Power at f is divided by (2πf)². A window spreads a tone over its neighbours, with a variance of step²/3 for
        Hann's, and 1/f² weighs the lower ones more: by 1 + (step/f)² together. Dividing by f² + step² takes that back;
        what remains is of the fourth order, below 0.3 % from four lines on.
        """
        squares = self.frequency_hz**2 + self.step_hz**2
        power = self.power / ((2.0 * math.pi) ** 2 * squares)
        power[0] = 0.0
        return PowerSpectrum(self.step_hz, power)


def power_spectrum(signal: Floats, rate_hz: float) -> PowerSpectrum:
    """One-sided power of a signal (n,), through a Hann window whose own power is taken out."""
    window = 0.5 - 0.5 * np.cos(2.0 * math.pi * np.arange(len(signal)) / len(signal))
    transform = np.fft.rfft((signal - signal.mean()) * window)
    power = (transform.real**2 + transform.imag**2) / (len(signal) * np.square(window).sum())
    power[1 : (len(signal) + 1) // 2] *= 2.0  # what negative frequencies hold; the last of an even number has none
    return PowerSpectrum(rate_hz / len(signal), power)


def envelope(signal: Floats, rate_hz: float, low_hz: float, high_hz: float) -> Floats:
    """How large the vibration of a band is at each moment: the magnitude of its analytic signal, (m,) with m < n.

    The block's ends, where the filter rings, are left out. The filter's lower edge is a raised cosine of a quarter of
    its frequency, so that it rings no longer than that.
    """
    n = len(signal)
    frequency_hz = np.fft.rfftfreq(n, 1.0 / rate_hz)
    rise = np.clip((frequency_hz / low_hz - 0.75) / 0.25, 0.0, 1.0)
    weight = (0.5 - 0.5 * np.cos(math.pi * rise)) * (frequency_hz <= high_hz)
    analytic = np.zeros(n, np.complex128)
    analytic[: len(weight)] = 2.0 * weight * np.fft.rfft(signal - signal.mean())
    cut = math.ceil(_RINGING_S * rate_hz)
    magnitude: Floats = np.abs(np.fft.ifft(analytic))[cut : n - cut]
    return magnitude


def features(signal: Floats, rate_hz: float, quantity: str, unit: str = "") -> dict[str, tuple[float, str]]:
    """The figures of a block by name, each with its unit: those that the block can tell, finite all of them.

    Parameters
    ----------
    signal : float64 (n,)
        In g for `vibration_acceleration`, in mm/s for `vibration_velocity`, else in `unit`.
    quantity : str
        What was measured. Of anything but those two only the statistics are taken.

    Notes
    -----
    About 0.2 µs a sample, nearly all of it in three Fourier transforms.
    """
    if len(signal) < FEWEST_SAMPLES:
        return {}
    match quantity:
        case "vibration_acceleration":
            found = _statistics(signal, "acceleration_", "g")
            found |= _of_acceleration(signal, rate_hz)
        case "vibration_velocity":
            found = _statistics(signal, "velocity_", "mm/s")
            del found["velocity_rms"]  # that of all frequencies: the name belongs to the band of ISO 20816
            if _holds(len(signal), rate_hz, *VELOCITY_BAND_HZ):
                found["velocity_rms"] = power_spectrum(signal, rate_hz).rms(*VELOCITY_BAND_HZ), "mm/s"
        case _:
            found = _statistics(signal, "", unit)
    return {name: (value, unit) for name, (value, unit) in found.items() if math.isfinite(value)}


def _statistics(signal: Floats, prefix: str, unit: str) -> dict[str, tuple[float, str]]:
    """Over all frequencies. Crest factor and kurtosis (3 for noise) have none where nothing moves."""
    swing = signal - signal.mean()
    squares = np.square(swing)
    mean_square, peak = float(squares.mean()), float(np.abs(swing).max())
    rms = math.sqrt(mean_square)
    # What is left of a constant after its mean is taken from it: rounding, and no shape.
    still = peak <= 1e-12 * float(np.abs(signal).max())
    return {
        f"{prefix}rms": (rms, unit),
        f"{prefix}peak": (peak, unit),
        "crest_factor": (math.nan if still else peak / rms, ""),
        "kurtosis": (math.nan if still else float(np.square(squares / mean_square).mean()), ""),
    }


def _of_acceleration(signal: Floats, rate_hz: float) -> dict[str, tuple[float, str]]:
    n = len(signal)
    spectrum = power_spectrum(signal, rate_hz)
    found: dict[str, tuple[float, str]] = {}
    if _holds(n, rate_hz, *VELOCITY_BAND_HZ):
        found["velocity_rms"] = spectrum.integrated().rms(*VELOCITY_BAND_HZ) * G_MM_S2, "mm/s"
    for low_hz, high_hz in BANDS_HZ:
        if _holds(n, rate_hz, low_hz, high_hz):
            found[f"acceleration_{low_hz:.0f}_{high_hz:.0f}"] = spectrum.rms(low_hz, high_hz), "g"
    low_hz, high_hz = ENVELOPE_BAND_HZ
    high_hz = min(high_hz, rate_hz / SAMPLES_PER_PERIOD)
    if high_hz >= low_hz * 2.0**_ENVELOPE_OCTAVES and n >= 4.0 * _RINGING_S * rate_hz:
        found["acceleration_envelope_rms"] = float(envelope(signal, rate_hz, low_hz, high_hz).std()), "g"
    return found


def _holds(n: int, rate_hz: float, low_hz: float, high_hz: float) -> bool:
    """Whether a block was sampled fast enough for a band, and is long enough."""
    return rate_hz >= SAMPLES_PER_PERIOD * high_hz and n >= _PERIODS * rate_hz / low_hz
