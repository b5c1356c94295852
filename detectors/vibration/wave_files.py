"""Blocks of vibration as files hold them: NumPy arrays, sound files, columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.io import wavfile

Floats = npt.NDArray[np.float64]

SUFFIXES = (".npy", ".npz", ".wav", ".csv", ".txt", ".parquet")
# An array of two dimensions has a channel in each of its shorter one, if these are so few.
_MOST_CHANNELS = 64


@dataclass(frozen=True, slots=True, eq=False)
class WaveFile:
    """One channel of a file.

    Attributes
    ----------
    rate_hz : float or None
        Where the file says it: sound files do.
    values : float64 (n,)
        As the file has them. Whole numbers of a sound file are parts of its full scale, -1 to 1.
    """

    rate_hz: float | None
    values: Floats


def read_wave(path: Path, channel: str = "") -> WaveFile:
    """One channel of a file; `channel` is its name or its number from 1, needed where there are several.

    Raises
    ------
    ValueError
        It is no such file, has no such channel, has several and none was asked for, or a value that is no number.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: read are {', '.join(SUFFIXES)}")
    try:
        rate_hz, channels = _READERS[suffix](path)
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise ValueError(f"{path} is no {suffix} file that can be read: {str(error).splitlines()[0][:200]}") from error
    values = np.asarray(channels[_chosen(path, channels, channel)], np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(f"{path}: value {bad[0] + 1} is no finite number, as are {len(bad)} of {len(values)}")
    return WaveFile(rate_hz, values)


def _chosen(path: Path, channels: dict[str, Floats], wanted: str) -> str:
    names = list(channels)
    if not names:
        raise ValueError(f"{path}: there is no column of numbers")
    if wanted in channels:
        return wanted
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return names[int(wanted) - 1]
    if wanted:
        raise ValueError(f"{path}: no channel {wanted!r}; there are {', '.join(names)}")
    if len(names) > 1:
        raise ValueError(f"{path}: which channel: {', '.join(names)}?")
    return names[0]


def _of_array(array: npt.NDArray[np.generic], name: str) -> dict[str, Floats]:
    """The channels of an array: the shorter axis counts them."""
    if array.dtype.kind not in "iuf":
        raise ValueError("its values are no real numbers")
    array = np.squeeze(array)
    if array.ndim == 2 and min(array.shape) <= _MOST_CHANNELS:
        rows = array if array.shape[0] <= array.shape[1] else array.T
        return {f"{name}{number}": row.astype(np.float64) for number, row in enumerate(rows, start=1)}
    if array.ndim != 1:
        raise ValueError(f"an array of shape {array.shape} is no block of vibration")
    return {name or "1": array.astype(np.float64)}


def _npy(path: Path) -> tuple[None, dict[str, Floats]]:
    return None, _of_array(np.load(path, allow_pickle=False), "")


def _npz(path: Path) -> tuple[None, dict[str, Floats]]:
    channels: dict[str, Floats] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            if arrays[name].size > 1:
                channels |= _of_array(arrays[name], name)
    return None, channels


def _wav(path: Path) -> tuple[float, dict[str, Floats]]:
    rate_hz, samples = wavfile.read(path)
    if samples.dtype.kind == "u":
        scaled = (samples.astype(np.float64) - 128.0) / 128.0
    elif samples.dtype.kind == "i":
        scaled = samples.astype(np.float64) / -float(np.iinfo(samples.dtype).min)
    else:
        scaled = samples.astype(np.float64)
    return float(rate_hz), _of_array(scaled, "")


def _table(path: Path) -> tuple[None, dict[str, Floats]]:
    """Columns of numbers. A first line of numbers alone is no head."""
    if path.suffix.lower() == ".parquet":
        frame = pd.read_parquet(path)
    else:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
        separator = next((mark for mark in ";\t, " if mark in first.strip()), ",")
        headless = all(_is_number(cell) for cell in first.strip().split(separator) if cell)
        frame = pd.read_csv(path, sep=separator, header=None if headless else 0, skipinitialspace=True)
        if headless:
            frame.columns = pd.Index([str(number) for number in range(1, frame.shape[1] + 1)])
    numeric = frame.select_dtypes("number")
    return None, {str(name): numeric[name].to_numpy(np.float64) for name in numeric.columns}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_READERS = {".npy": _npy, ".npz": _npz, ".wav": _wav, ".csv": _table, ".txt": _table, ".parquet": _table}
