"""How often one place may ask, where no account says who asks."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from api.errors import TooMany

# Places that are remembered. Beyond it the one that has been quiet the longest is forgotten, and starts afresh.
_PLACES = 10_000


class Rate:
    """So many a minute from each place, and as many at once after a quiet minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._full = float(per_minute)
        self._per_s = per_minute / 60
        self._clock = clock
        self._places: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def take(self, place: str) -> None:
        """Count one, or raise TooMany."""
        now_s = self._clock()
        with self._lock:
            left, then_s = self._places.pop(place, (self._full, now_s))
            left = min(self._full, left + (now_s - then_s) * self._per_s)
            allowed = left >= 1
            self._places[place] = (left - 1 if allowed else left, now_s)
            if len(self._places) > _PLACES:
                self._places.popitem(last=False)
        if not allowed:
            raise TooMany("too many requests from here", math.ceil((1 - left) / self._per_s))
