"""The server's own clock: what time it is, and how much of it we could hear anybody in.

Somebody may set the clock while we run: by a wrong hand, a broken time server, or because it was wrong until now. A
leap is not believed at first; time goes on as before beside it. It is believed when the devices' own clocks agree with
it, or, where none of them says otherwise, after a while. A clock that is set a day on and back again is thus no event:
no reading is a day late or ahead, and nobody was silent for a day. A clock that runs fast or slow is followed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

log = logging.getLogger("bellwether.ingest.clock")

# A leap by less is followed at once. Too low: time servers that correct in steps are doubted. Too high: a leap below it
# is taken for silence.
LEAP_US = 60_000_000
# How long a leap is doubted where no device says anything. Too low: an error of minutes is believed. Too high: a clock
# that was put right stays wrong with us for so long.
DOUBT_US = 600_000_000
# So many words of devices more for the new time than for the old decide.
VOTES = 3
# A device's word counts for a time that it is this close to: its message may have been under way.
_CLOSE_US = 30_000_000
# Longer between two ticks, and we were waiting for something else: nobody could be heard.
_STALL_US = 5_000_000
# What is too short to matter is gathered until it is not.
_LEAST_EXCUSE_US = 500_000


class ServerClock:
    """Time as we go by it, in µs since 1970.

    Parameters
    ----------
    wall_us
        What the clock on the wall shows.
    steady_us
        A clock that nobody can set, and that goes on while the machine sleeps.
    """

    def __init__(
        self,
        wall_us: Callable[[], int],
        steady_us: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000,
    ) -> None:
        self._wall_us = wall_us
        self._steady_us = steady_us
        self._last_wall_us = wall_us()
        self._last_steady_us = steady_us()
        self._now_us = self._last_wall_us
        self._doubted_us = 0
        self._doubted_from_us = 0
        self._votes = 0
        self._listened = False
        self._excused_us = 0

    @property
    def doubted_us(self) -> int:
        """How far the clock on the wall is ahead of the time that we go by; 0 where we believe it."""
        return self._doubted_us

    def begin(self) -> int:
        """The time, from which on `tick` counts: what passed before it the caller has excused, or excuses now."""
        self.tick(listening=False)
        self._excused_us = 0
        return self._now_us

    def tick(self, listening: bool) -> tuple[int, int]:
        """The time, and how much of what has passed since the last tick counts against nobody.

        Parameters
        ----------
        listening
            Whether devices can be heard right now.
        """
        wall_us, steady_us = self._wall_us(), self._steady_us()
        passed_us = steady_us - self._last_steady_us
        leap_us = wall_us - self._last_wall_us - passed_us
        self._last_wall_us, self._last_steady_us = wall_us, steady_us
        if abs(leap_us) >= LEAP_US:
            self._doubt(leap_us, steady_us)
        if self._doubted_us and self._votes <= 0 and steady_us - self._doubted_from_us >= DOUBT_US:
            if self._votes < 0:
                self._votes, self._doubted_from_us = 0, steady_us  # asked again
            else:
                self._believe("nobody says otherwise")
        now_us = wall_us - self._doubted_us
        heard_us = passed_us if listening and self._listened and passed_us < _STALL_US else 0
        self._listened = listening
        self._excused_us += now_us - self._now_us - heard_us
        self._now_us = now_us
        if abs(self._excused_us) < _LEAST_EXCUSE_US:
            return now_us, 0
        excused_us, self._excused_us = self._excused_us, 0
        return now_us, excused_us

    def hear(self, said_us: npt.NDArray[np.int64]) -> None:
        """What the clocks of devices show just now: the newest stamp of each one's message."""
        if not self._doubted_us:
            return
        for_new = np.abs(said_us - self._last_wall_us) < _CLOSE_US
        for_old = np.abs(said_us - self._now_us) < _CLOSE_US
        self._votes += int(np.count_nonzero(for_new)) - int(np.count_nonzero(for_old))
        if self._votes >= VOTES:
            self._believe("devices agree with it")

    def _doubt(self, leap_us: int, steady_us: int) -> None:
        if not self._doubted_us:
            self._doubted_from_us, self._votes = steady_us, 0
        self._doubted_us += leap_us
        if abs(self._doubted_us) < LEAP_US:
            log.warning("the server's clock is back", extra={"off_s": round(self._doubted_us / 1e6, 3)})
            self._doubted_us = 0
        else:
            log.error("the server's clock was set; its time is doubted", extra={"by_s": round(leap_us / 1e6, 3)})

    def _believe(self, why: str) -> None:
        log.warning("the server's clock is believed", extra={"by_s": round(self._doubted_us / 1e6, 3), "reason": why})
        self._doubted_us = 0
