"""Raw vibration as firmware sends it: one block a message, a CBOR map with the samples as they lie in memory.

Written from `docs/waveforms.md`, apart from the decoder of `ingest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from firmware_sim import cbor
from firmware_sim.noise import Floats

# A sensor of ±16 g with 16 bits.
RANGE_G = 16.0
SCALE_G = RANGE_G / 32_768


@dataclass(frozen=True, slots=True, eq=False)
class VibrationBlock:
    """One block of one accelerometer. `start_ms` as the device's own clock shows it."""

    axis: str
    start_ms: int
    rate_hz: float
    rpm: float
    acceleration_g: Floats


def encode(block: VibrationBlock, boot: int, seq: int) -> bytes:
    """The payload of a block, with the sequence number `seq`; what is beyond the sensor's range is clipped."""
    counts = np.clip(np.rint(block.acceleration_g / SCALE_G), -32_768, 32_767).astype("<i2")
    fields: dict[str, Any] = {
        "v": 1,
        "start": block.start_ms,
        "rate": block.rate_hz,
        "rpm": round(block.rpm, 1),
        "axis": block.axis,
        "unit": "g",
        "scale": SCALE_G,
        "type": "i2",
        "boot": boot,
        "seq": seq,
        "samples": counts.tobytes(),
    }
    return cbor.dumps(fields)
