"""Randomness as a pure function of place and time: the same key and index always give the same number.

A generator that is drawn from would make a machine depend on how its time is cut into chunks and on when the program
was started. These don't: a fleet that is stopped and started a day later goes on where it would have been.

The mixing function is SplitMix64 (Steele, Lea, Flood 2014): it passes the usual batteries and is six array operations.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def key(*names: object) -> int:
    """A 64-bit key for whatever these names stand for together."""
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def uniform(keys: int | npt.NDArray[np.uint64], index: Indices) -> Floats:
    """Uniform on (0, 1). `keys` and `index` broadcast."""
    word = _mixed(np.asarray(keys, np.uint64), index.astype(np.uint64))
    return np.asarray(((word >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def normal(keys: int | npt.NDArray[np.uint64], index: Indices) -> Floats:
    """Standard normal, by Box and Muller. `keys` and `index` broadcast."""
    radius = np.sqrt(-2.0 * np.log(uniform(keys, 2 * index)))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniform(keys, 2 * index + 1)))


def wander(key_: int, t_s: Floats, period_s: float) -> Floats:
    """A slow, smooth quantity that turns about once a `period_s`: between normal values at whole periods, eased.

    Mean 0, standard deviation about 0.85.
    """
    place = t_s / period_s
    before = np.floor(place).astype(np.int64)
    share = place - before
    ease = share * share * (3.0 - 2.0 * share)
    return np.asarray(normal(key_, before) * (1.0 - ease) + normal(key_, before + 1) * ease)


def _mixed(keys: npt.NDArray[np.uint64], index: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    word = np.atleast_1d(index * _GOLDEN + np.atleast_1d(keys))
    word = (word ^ (word >> np.uint64(30))) * _MIX_1
    word = (word ^ (word >> np.uint64(27))) * _MIX_2
    return np.asarray(word ^ (word >> np.uint64(31)))
