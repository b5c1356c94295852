"""Machines that shake, for tests: each fault as a textbook draws it. Written apart from `firmware_sim`, which draws its
own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from detectors.vibration import G_MM_S2, Bearing, Floats

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Shaft:
    """A machine that turns, as an accelerometer feels it. `noise_g` is the RMS of all that has no rhythm."""

    rpm: float
    rate_hz: float = 25_600.0
    seconds: float = 2.0
    noise_g: float = 0.05
    rings_hz: float = 3500.0
    seed: int = 0

    @property
    def hz(self) -> float:
        return self.rpm / 60.0

    @property
    def t_s(self) -> Floats:
        return np.arange(round(self.rate_hz * self.seconds)) / self.rate_hz

    def rng(self) -> Rng:
        return np.random.default_rng([self.seed, round(self.rpm)])


def tones(shaft: Shaft, rng: Rng, velocity_mm_s: Mapping[float, float]) -> Floats:
    """Lines at orders of the shaft, each of an RMS velocity, in g."""
    signal = np.zeros(len(shaft.t_s))
    for order, rms_mm_s in velocity_mm_s.items():
        omega = 2.0 * math.pi * order * shaft.hz
        phase = rng.uniform(0.0, 2.0 * math.pi)
        signal += math.sqrt(2.0) * rms_mm_s * omega / G_MM_S2 * np.sin(omega * shaft.t_s + phase)
    return signal


def healthy(shaft: Shaft, rng: Rng) -> Floats:
    """Coloured noise, a housing that rings of itself, and a little of each order."""
    n = len(shaft.t_s)
    white = np.fft.rfft(rng.standard_normal(n))
    frequency_hz = np.fft.rfftfreq(n, 1.0 / shaft.rate_hz)
    housing = 0.5 + 2.0 / (1.0 + np.square((frequency_hz - shaft.rings_hz) / 600.0))
    noise = np.fft.irfft(white * housing, n)
    orders = {k: rng.uniform(0.0, 1.0) / k for k in (1.0, 2.0, 3.0, 4.0)}
    return np.asarray(shaft.noise_g * noise / noise.std() + tones(shaft, rng, orders))


def blows(
    shaft: Shaft, rng: Rng, order: float, strength: Callable[[Floats], Floats], peak_g: float, slip: float
) -> Floats:
    """Impacts at an order, each period off by some slip, each of a strength by its time, and the ringing after each."""
    count = int(shaft.t_s[-1] * order * shaft.hz) - 1
    periods = (1.0 + slip * rng.standard_normal(count)) / (order * shaft.hz)
    at_s = rng.uniform(0.0, 1.0) / (order * shaft.hz) + np.cumsum(periods)
    at_s = at_s[at_s < shaft.t_s[-1]]
    signal = np.zeros(len(shaft.t_s))
    np.add.at(
        signal, np.rint(at_s * shaft.rate_hz).astype(int), peak_g * strength(at_s) * rng.uniform(0.8, 1.2, len(at_s))
    )
    ring_s = np.arange(0.0, 0.006, 1.0 / shaft.rate_hz)
    ringing = np.exp(-ring_s * 900.0) * np.sin(2.0 * math.pi * shaft.rings_hz * ring_s)
    return np.asarray(np.convolve(signal, ringing)[: len(signal)])


def load_zone(at_s: Floats, hz: float) -> Floats:
    """A place that turns at this speed is loaded during less than half of a turn."""
    return np.maximum(np.cos(2.0 * math.pi * hz * at_s), 0.0) + 0.05


def faulty(
    fault: str, shaft: Shaft, bearing: Bearing, peak_g: float = 1.0, slip: float = 0.005, off: float = 1.0
) -> Floats:
    """A block of a machine with a fault. `off`: the bearing's frequencies over what its geometry says."""
    rng = shaft.rng()
    signal = healthy(shaft, rng)
    outer, inner, spin, cage = (
        order * off for order in (bearing.outer, bearing.inner, bearing.spin, bearing.cage) if order is not None
    )
    cage_hz = cage * shaft.hz
    match fault:
        case "none":
            added = np.zeros(len(signal))
        case "outer_race":
            added = blows(shaft, rng, outer, np.ones_like, peak_g, slip)
        case "inner_race":
            added = blows(shaft, rng, inner, lambda at_s: load_zone(at_s, shaft.hz), peak_g, slip)
        case "ball":
            added = blows(shaft, rng, 2.0 * spin, lambda at_s: load_zone(at_s, cage_hz), peak_g, slip)
        case "cage":
            rubbing = np.square(np.maximum(np.cos(2.0 * math.pi * cage_hz * shaft.t_s), 0.0))
            added = signal * 2.0 * peak_g * rubbing
        case "imbalance":
            added = tones(shaft, rng, {1.0: 8.0 * peak_g})
        case "misalignment":
            added = tones(shaft, rng, {1.0: 3.0 * peak_g, 2.0: 6.0 * peak_g, 3.0: 2.0 * peak_g})
        case "looseness":
            orders = {k / 2.0: 4.0 * peak_g * (0.6 if k % 2 else 1.0) * 0.8 ** (k / 2.0) for k in range(1, 17)}
            added = tones(shaft, rng, orders)
        case _:
            raise ValueError(fault)
    return np.asarray(signal + added)


def meshing(shaft: Shaft, teeth: int, broken: float, mesh_g: float = 0.5) -> Floats:
    """A gear whose mesh is weaker for a tooth or two of each turn, by a share of `broken`."""
    rng = shaft.rng()
    angle = (shaft.hz * shaft.t_s) % 1.0
    near = np.exp(-0.5 * np.square((angle - 0.5) / 0.08))
    mesh = sum(np.sin(2.0 * math.pi * k * teeth * shaft.hz * shaft.t_s + k) / k for k in (1, 2, 3))
    return np.asarray(healthy(shaft, rng) + mesh_g * np.asarray(mesh) * (1.0 + 3.0 * broken * near))
