"""Which source runs: what an alarm says it was raised by."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

import numpy as np

# What turns readings into scores, and scores into alarms.
_PACKAGES = ("telemetry", "detectors", "alarms")


@cache
def running() -> dict[str, str]:
    """Version, NumPy's version, and SHA-256 of the source that scores.

    Read once: called when a process starts, it is the source that runs, whatever is installed over it later.
    """
    digest = hashlib.sha256()
    for package in _PACKAGES:
        folder = Path(str(files(package)))
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(folder).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return {"version": _version(), "numpy": np.__version__, "hash": digest.hexdigest()}


def _version() -> str:
    try:
        return version("bellwether")
    except PackageNotFoundError:
        return "unknown"
