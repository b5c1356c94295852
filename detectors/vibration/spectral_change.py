"""How far a machine's spectrum has moved from that of a block that was taken while it was healthy, at the same load.

For what has no lines of its own: a gear whose mesh was rough from the first day, a structure that comes loose. It tells
that something changed, not what, and a sensor that was taken off and put back has changed too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.vibration.orders import Floats

# So many bands of equal width, in so many stretches a block, each long enough to have some lines in every band.
BANDS, STRETCHES, _FEWEST_LINES, _LONGEST = 40, 8, 8, 4096
# Too low: a cold start is a change. Too high: only a wreck is one. Twice as loud in power, over the bands together, and
# three times as far as healthy stretches of the baseline are from one another.
LEAST_DB, _OVER_OWN = 3.0, 3.0
FEWEST_SAMPLES = 5300
"""Of a block that can be compared."""
# Farther apart, lines fall into other bands; and a machine at another speed is under another load.
_SAME_RATE, _SAME_SPEED = 0.005, 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """Distances between spectra in dB, RMS over the bands.

    Attributes
    ----------
    distance_db : float
        Of the block from the baseline.
    own_db : float
        The farthest third of the baseline from the whole of it.
    """

    distance_db: float
    own_db: float

    @property
    def is_lasting(self) -> bool:
        return self.distance_db > max(LEAST_DB, _OVER_OWN * self.own_db)


def alike(rate_hz: float, shaft_rpm: float | None, healthy_rate_hz: float, healthy_rpm: float | None) -> bool:
    """Whether a block was taken at the rate and the shaft speed of a healthy one; an unknown speed is any speed."""
    if abs(rate_hz / healthy_rate_hz - 1.0) > _SAME_RATE:
        return False
    return shaft_rpm is None or not healthy_rpm or abs(shaft_rpm / healthy_rpm - 1.0) <= _SAME_SPEED


def change(signal: Floats, baseline: Floats) -> Change:
    """The change of a block (n,) from a healthy one (m,) of the same sensor and rate.

    Raises
    ------
    ValueError
        One of them is too short.
    """
    shorter = min(len(signal), len(baseline))
    length = min(shorter // STRETCHES, _LONGEST)
    if (length // 2 - 1) // BANDS < _FEWEST_LINES:
        raise ValueError(f"{shorter} samples are too few to compare spectra: {FEWEST_SAMPLES} and more")
    before, now = _levels_db(baseline, length), _levels_db(signal, length)
    normal = before.mean(axis=0)
    own = max(_rms(before[part::3].mean(axis=0) - normal) for part in range(3))
    return Change(_rms(now.mean(axis=0) - normal), own)


def _levels_db(signal: Floats, length: int) -> Floats:
    """Level of each band in each stretch of so many samples, (stretches, BANDS)."""
    lines = (length // 2 - 1) // BANDS
    stretches = (signal - signal.mean())[: len(signal) // length * length].reshape(-1, length)
    spectrum = np.fft.rfft(stretches * np.hanning(length), axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    bands = power[:, 1 : 1 + lines * BANDS].reshape(len(stretches), BANDS, lines).sum(axis=2)
    return np.asarray(10.0 * np.log10(np.maximum(bands, np.finfo(np.float64).tiny)))


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.square(values).mean()))
