"""Samples made small for the disk, and back, bit for bit.

Vibration is mostly noise, and a general compressor finds nothing in it. What helps: the differences of samples that
follow on one another, as often as makes them smaller; then all high bytes, then all low ones; then deflate. Decision
016 has the figures.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from telemetry.waveform import SAMPLE_TYPES, Samples

PLAIN = 3
"""Not packed: deflate could make nothing smaller of it. Lower numbers are how often differences were taken."""

# Above 6 nothing gets smaller; at 1 packing is twice as fast and everything is a tenth larger.
_LEVEL = 6
_UNSIGNED: dict[int, np.dtype[Any]] = {2: np.dtype("<u2"), 4: np.dtype("<u4")}


def pack(samples: Samples) -> tuple[int, bytes]:
    """How samples (n,) were packed, and what was made of them. About 25 ns a sample."""
    words = np.ascontiguousarray(samples).view(_UNSIGNED[samples.dtype.itemsize])
    differences = _fewest(samples)
    for _ in range(differences):
        words = np.diff(words, prepend=words.dtype.type(0))
    planes = words.view(np.uint8).reshape(len(words), -1).T
    packed = zlib.compress(planes.tobytes(), _LEVEL)
    return (differences, packed) if len(packed) < samples.nbytes else (PLAIN, samples.tobytes())


def unpack(packing: int, packed: bytes, sample_type: str) -> Samples:
    """What `pack` was given: int16 or float32 (n,), little-endian."""
    dtype = SAMPLE_TYPES[sample_type]
    if packing == PLAIN:
        return np.frombuffer(packed, dtype)
    planes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(dtype.itemsize, -1)
    words = np.ascontiguousarray(planes.T).view(_UNSIGNED[dtype.itemsize]).ravel()
    for _ in range(packing):
        words = np.cumsum(words, dtype=words.dtype)
    return words.view(dtype)


def _fewest(samples: Samples) -> int:
    """How often taking differences makes samples smaller: 0, 1 or 2. Those of floating point have none."""
    if samples.dtype.kind != "i":
        return 0
    values = samples.astype(np.int32)
    sizes = []
    for _ in range(3):
        sizes.append(float(np.abs(values).mean()))
        values = np.diff(values, prepend=np.int32(0))
    return sizes.index(min(sizes))
