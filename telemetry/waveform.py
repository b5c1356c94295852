"""A block of raw vibration: thousands of samples a second for a moment, kept as the bytes that came.

Raw samples never become rows. What is worth a row is computed from them once, on arrival, and is a reading like any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from telemetry.units import Unit, canonical

Samples = npt.NDArray[Any]
"""int16 or float32, little-endian."""

MAX_SAMPLES = 400_000
"""Sixteen seconds at 25.6 kHz. As `int16` they fit into the megabyte that a message may have."""
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1.0, 200_000.0
SAMPLE_TYPES: dict[str, np.dtype[Any]] = {"i2": np.dtype("<i2"), "f4": np.dtype("<f4")}
"""How samples are laid out, little-endian: by the name that the wire, the database and the API use for it."""


def vibration(unit: str) -> Unit | None:
    """The way from a unit of acceleration or velocity to g or mm/s; None for any other."""
    for wanted in ("vibration_acceleration", "vibration_velocity"):
        known = canonical(unit, wanted)
        if known is not None and known.quantity == wanted:
            return known
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One block of one axis of one device.

    Attributes
    ----------
    axis : str
        Where and in which direction the sensor looks: `x`, `drive_end`.
    time_us : int
        Of the first sample, µs since 1970, UTC.
    quality : int
        Bits of `Quality` for that time.
    shaft_rpm : float or None
        The shaft's speed during the block; None where the device does not know it.
    unit : str
        Of the value, as the device spells it.
    samples : int16 or float32 (n,)
        As they came. Sample *i* was taken at `time_us + i / rate_hz` and means `samples[i] * scale + offset`.
    """

    tenant: str
    device: str
    axis: str
    time_us: int
    quality: int
    rate_hz: float
    shaft_rpm: float | None
    unit: str
    scale: float
    offset: float
    samples: Samples

    @property
    def sample_type(self) -> str:
        """`i2` or `f4`."""
        return f"{self.samples.dtype.kind}{self.samples.dtype.itemsize}"

    def values(self) -> npt.NDArray[np.float64]:
        """The samples in `unit`, float64 (n,)."""
        return self.samples.astype(np.float64) * self.scale + self.offset
