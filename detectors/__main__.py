"""Compile what is compiled, so that nobody waits for it later: `make setup` does. `python -m detectors`."""

from __future__ import annotations

import numpy as np

from detectors.composed import COMPOSED
from detectors.offline import detect
from detectors.recordings import Recording

_ROWS, _CHANNELS = 1200, 2
_START_US, _SECOND_US = 1_763_740_800_000_000, 1_000_000


def main() -> None:
    """A recording long enough that every detector gets past its learning, and has something to say."""
    values = np.random.default_rng(0).normal(size=(_ROWS, _CHANNELS))
    values[-100:] += 9.0
    times = _START_US + np.arange(_ROWS) * _SECOND_US
    recording = Recording(times, ("",) * _ROWS, ("temperature", "current"), values)
    detect(recording, train_rows=_ROWS // 2, only=list(COMPOSED))
    detect(recording)


if __name__ == "__main__":
    main()
