"""The vibration of a machine as an accelerometer on it feels it: shaft orders, meshes, bearings that are hit.

Its velocity from 10 to 1000 Hz is that of the machine's own channel, so that slow telemetry and raw waveforms of one
machine tell one story. What a fault adds has the shape that it has in reality: imbalance is a tone at shaft speed, a
worn bearing a train of impacts that let the housing ring long before the velocity rises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from firmware_sim.faults import FaultKind
from firmware_sim.noise import Floats, key

G_MM_S2 = 9806.65

# The velocity that full damage adds, in mm/s, as the models have it: which part of the whole is whose.
_HEALTHY_MM_S = 1.2
_ADDED_MM_S = {
    FaultKind.BEARING_WEAR: 4.8,
    FaultKind.IMBALANCE: 5.2,
    FaultKind.LEAK: 2.6,
    FaultKind.CAVITATION: 3.4,
}
# A bearing is felt at high frequencies before its velocity rises: impacts grow with less than the damage itself.
_IMPACT_G, _IMPACT_GROWTH = 6.0, 0.7
# The housing rings at this frequency, and a blow has died away after so long.
_RINGS_HZ, _RINGS_S = 3200.0, 0.0008
# Rolling elements slip a little: no two blows are exactly a period apart.
_SLIP = 0.01
_FLOOR_G = 0.012
_BROAD_HZ = (20.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Mount:
    """Where an accelerometer is screwed on.

    Attributes
    ----------
    axis, point : str
        What the sensor is called, and the channel of the machine whose velocity it feels.
    orders : mapping of float to float
        Healthy vibration: velocity by multiple of the shaft's speed, relative to one another.
    impacts_per_turn : float
        How often a rolling element passes a place on the bearing's outer race.
    """

    axis: str
    point: str
    orders: Mapping[float, float]
    impacts_per_turn: float
    share: Mapping[FaultKind, float] = field(default_factory=dict)
    """How much of a fault is felt here; all of it, where nothing is said."""


def acceleration_g(
    mount: Mount,
    device_key: int,
    time_ms: int,
    *,
    rpm: float,
    velocity_mm_s: float,
    damages: Mapping[FaultKind, float],
    rate_hz: float,
    samples: int,
) -> Floats:
    """A block of acceleration, float64 (samples,), as a function of machine and time alone."""
    rng = np.random.default_rng(key(device_key, mount.axis, time_ms))
    signal = _FLOOR_G * rng.standard_normal(samples)
    turns_hz = rpm / 60.0
    if turns_hz < 1.0:
        return np.asarray(signal)
    felt = {
        kind: _ADDED_MM_S[kind] * damage * mount.share.get(kind, 1.0)
        for kind, damage in damages.items()
        if kind in _ADDED_MM_S
    }
    whole = np.sqrt(_HEALTHY_MM_S**2 + sum(part**2 for part in felt.values()))
    part_of = {kind: velocity_mm_s * part / whole for kind, part in felt.items()}

    # Independent parts at one frequency add as their energies do: in phase they would beat from block to block.
    squares: dict[float, float] = {}
    _spread(squares, mount.orders, np.hypot(velocity_mm_s * _HEALTHY_MM_S / whole, part_of.get(FaultKind.LEAK, 0.0)))
    _spread(squares, {1.0: 1.0}, part_of.get(FaultKind.IMBALANCE, 0.0))
    passes = mount.impacts_per_turn
    race = {passes: 0.7, 2 * passes: 0.5, 3 * passes: 0.4}
    _spread(squares, race, part_of.get(FaultKind.BEARING_WEAR, 0.0))

    t_s = np.arange(samples) / rate_hz
    for order, square in squares.items():
        omega = 2.0 * np.pi * order * turns_hz
        signal += np.sqrt(2.0 * square) * omega / G_MM_S2 * np.sin(omega * t_s + rng.uniform(0.0, 2.0 * np.pi))
    signal += _broad(part_of.get(FaultKind.CAVITATION, 0.0), rate_hz, samples, rng)
    wear = damages.get(FaultKind.BEARING_WEAR, 0.0) * mount.share.get(FaultKind.BEARING_WEAR, 1.0)
    if wear > 0.0:
        signal += _impacts(_IMPACT_G * wear**_IMPACT_GROWTH, passes * turns_hz, t_s, rng)
    return np.asarray(signal)


def _spread(squares: dict[float, float], orders: Mapping[float, float], velocity_mm_s: float) -> None:
    """Add tones at multiples of the shaft's speed that have this velocity together, RMS, to the squares of each."""
    whole = sum(part**2 for part in orders.values())
    for order, part in orders.items():
        squares[order] = squares.get(order, 0.0) + velocity_mm_s**2 * part**2 / whole


def _broad(velocity_mm_s: float, rate_hz: float, samples: int, rng: np.random.Generator) -> Floats:
    """Noise of this velocity, evenly over its band: what collapsing bubbles and loose parts do."""
    frequency_hz = np.fft.rfftfreq(samples, 1.0 / rate_hz)
    inside = (frequency_hz >= _BROAD_HZ[0]) & (frequency_hz < min(_BROAD_HZ[1], rate_hz / 2.0))
    lines = int(np.count_nonzero(inside))
    if velocity_mm_s <= 0.0 or lines == 0:
        return np.zeros(samples)
    each_mm_s = velocity_mm_s * samples / np.sqrt(2.0 * lines)
    spectrum = np.zeros(len(frequency_hz), np.complex128)
    turned = np.exp(2j * np.pi * rng.uniform(size=lines))
    spectrum[inside] = each_mm_s * turned * 2.0 * np.pi * frequency_hz[inside] / G_MM_S2
    return np.asarray(np.fft.irfft(spectrum, samples))


def _impacts(peak_g: float, blows_hz: float, t_s: Floats, rng: np.random.Generator) -> Floats:
    """Blows at a steady rate, each of another strength, and the ringing that each sets off."""
    step_s = t_s[1] - t_s[0]
    count = int(t_s[-1] * blows_hz)
    at_s = (np.arange(count) + rng.uniform() + _SLIP * rng.standard_normal(count)) / blows_hz
    blows = np.zeros(len(t_s))
    places = np.clip(np.rint(at_s / step_s).astype(np.int64), 0, len(t_s) - 1)
    np.add.at(blows, places, peak_g * rng.uniform(0.6, 1.0, count))
    ring_s = np.arange(0.0, 8.0 * _RINGS_S, step_s)
    ringing = np.exp(-ring_s / _RINGS_S) * np.sin(2.0 * np.pi * _RINGS_HZ * ring_s)
    return np.asarray(np.convolve(blows, ringing)[: len(t_s)])
