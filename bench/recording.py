"""`bellwether detect` over four million readings of one machine, beside the least that any program does with the file.

Eight channels, half a million rows, a fault in the midst: pandas writes the table and reads it back, then the command
scores it, start of the interpreter and results on disk included. What is compiled has been by then (`make setup`).
`python -m bench.recording`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, CHANNELS = 500_000, 8
TRAIN_ROWS = 50_000
# One takes some ten seconds.
ROUNDS = 2


def run(rows: int = ROWS) -> dict[str, float]:
    """Seconds: `pandas` writing and reading, `trained` with a healthy start, `unknown` without; the best of rounds."""
    with tempfile.TemporaryDirectory() as folder:
        path, table = Path(folder) / "machine.csv", _table(rows)
        seconds: dict[str, list[float]] = {"pandas": [], "trained": [], "unknown": []}
        for _ in range(ROUNDS):
            seconds["pandas"].append(_pandas(table, path))
            seconds["trained"].append(_detect(path, "--train-rows", str(rows * TRAIN_ROWS // ROWS)))
            seconds["unknown"].append(_detect(path))
        return {name: min(each) for name, each in seconds.items()}


def _table(rows: int) -> pd.DataFrame:
    """Channels that move together and scatter; one of them leaves the others for a while."""
    rng = np.random.default_rng(1)
    common = rng.normal(size=(rows, 3)) @ rng.normal(size=(3, CHANNELS))
    values = 50.0 + common + 0.5 * rng.normal(size=(rows, CHANNELS))
    values[rows * 7 // 10 : rows * 18 // 25, 2] += 6.0
    times = pd.date_range("2026-01-01", periods=rows, freq="s").strftime("%Y-%m-%d %H:%M:%S")
    return pd.DataFrame({"time": times} | {f"c{channel}": values[:, channel] for channel in range(CHANNELS)})


def _pandas(table: pd.DataFrame, path: Path) -> float:
    began = time.perf_counter()
    table.to_csv(path, index=False)
    pd.read_csv(path)
    return time.perf_counter() - began


def _detect(path: Path, *training: str) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "bellwether", "detect", str(path), "--time", "time", *training]
    subprocess.run([*command, "--out", str(path.parent / "scores")], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    for name, seconds in run().items():
        print(f"{name:10s}{seconds:8.2f} s")


if __name__ == "__main__":
    main()
