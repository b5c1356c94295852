"""What detectors have learnt, at rest: arrays (npz without objects), never pickles.

What comes back is held against its hash and its size before anything is made of it.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

from detectors.learnt import Learnt, Unfit

# What a machine of two hundred points needs, twice. What unpacks to more is no model.
MOST_BYTES = 4 * 1024 * 1024


def pack(learnt: Learnt) -> bytes:
    """What was learnt as one npz: an array by detector and column."""
    buffer = io.BytesIO()
    columns = {f"{name}/{column}": values for name, own in learnt.items() for column, values in own.items()}
    np.savez_compressed(buffer, allow_pickle=False, **columns)
    return buffer.getvalue()


def unpack(arrays: bytes | None, hash_: str) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """The same, read back.

    Raises
    ------
    Unfit
        There is none, it is not what was stored, it is too large, or it is no npz of plain numbers and text.
    """
    if arrays is None:
        raise Unfit("it is not kept any more")
    if hash_of(arrays) != hash_:
        raise Unfit("it is not what was stored: its hash differs")
    learnt: dict[str, dict[str, npt.NDArray[Any]]] = {}
    try:
        with ZipFile(io.BytesIO(arrays)) as entries:
            if len(arrays) > MOST_BYTES or sum(entry.file_size for entry in entries.infolist()) > MOST_BYTES:
                raise Unfit(f"it is larger than {MOST_BYTES} bytes")
        with np.load(io.BytesIO(arrays), allow_pickle=False) as columns:
            for key in columns.files:
                name, _, column = key.partition("/")
                learnt.setdefault(name, {})[column] = columns[key]
    except (ValueError, KeyError, OSError, EOFError, BadZipFile, zlib.error, NotImplementedError) as error:
        raise Unfit(f"its arrays cannot be read: {error}") from error
    return learnt


def hash_of(*parts: bytes) -> str:
    """SHA-256 of some bytes, hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
