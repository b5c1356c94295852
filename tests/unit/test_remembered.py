"""Memories that are read one at a time."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.scores import Snapshot
from ingest.watch.remembered import Remembered


def test_a_memory_is_read_when_it_is_asked_for() -> None:
    read = []

    def of(name: str) -> Snapshot | None:
        read.append(name)
        return None if name == "drift" else {"layout": np.array(name)}

    remembered = Remembered(["shift", "drift"], of)
    assert list(remembered) == ["shift", "drift"]
    assert len(remembered) == 2
    assert not read
    assert str(remembered["shift"]["layout"]) == "shift"
    for name in ("drift", "flatline"):
        assert name not in remembered
        with pytest.raises(KeyError):
            remembered[name]
    assert set(read) == {"shift", "drift"}
