"""Simulated time: it may run faster than the clock on the wall, never ahead of it."""

from __future__ import annotations

import time

# The start of an endless fleet that runs faster than real time: a day is what charts and daily cycles need.
_ENDLESS_BACKLOG_S = 86_400.0


class Clockwork:
    """Begins at `start_s`, runs `speed` times as fast as the wall's, never ahead of it."""

    def __init__(self, speed: float, for_s: float | None, not_before_s: float) -> None:
        self._wall_s, self._begun_s = time.time(), time.monotonic()
        backlog_s = for_s * (speed - 1.0) if for_s is not None else _ENDLESS_BACKLOG_S * (speed > 1.0)
        self.start_s = min(self._wall_s, max(self._wall_s - backlog_s, not_before_s))
        self._speed = speed

    def now_s(self) -> float:
        elapsed_s = time.monotonic() - self._begun_s
        return min(self.start_s + self._speed * elapsed_s, self._wall_s + elapsed_s)

    def wall_s_until(self, simulated_s: float) -> float:
        return (simulated_s - self.now_s()) / self._speed
