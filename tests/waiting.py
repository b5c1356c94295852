"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Beside two other workers, on a machine that does something else, what takes a second has taken twenty. Too low: what
# comes late counts as what never comes. Too high: a test that fails takes that long.
PATIENCE_S = 60.0


def until(condition: Callable[[], T], within_s: float = PATIENCE_S, every_s: float = 0.02) -> T:
    """Ask until the answer is true; the answer. Fails after `within_s`, with the last answer."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s; last answer: {answer!r}"
        time.sleep(every_s)
    return answer
