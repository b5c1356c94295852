"""How far behind the broker's queue for us is, by messages of our own that stand in it.

A broker hands out what waits for a session first come, first served. So the time that a marker takes to come back is
how long everything beside it waited, whatever the clocks of devices say.
"""

from __future__ import annotations

from collections import deque

# Low: markers among few messages are most of them. High: that much later is a backlog noticed.
EVERY_S = 2.0
# Behind a long queue a marker in a hundredth of its length is enough: they are bounded for any length.
_SHARE = 0.01


class Lag:
    """Markers sent and not back yet. `now_s` is any clock that never goes back.

    Parameters
    ----------
    name
        This process's: markers of an earlier one are not its own.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0
        self._sent_at: float | None = None
        self._outstanding: deque[tuple[int, float]] = deque()
        self._last_s = 0.0

    def seconds(self, now_s: float) -> float:
        """At least so long ago was said what the broker hands us now."""
        return max(self._last_s, now_s - self._outstanding[0][1]) if self._outstanding else self._last_s

    def is_due(self, now_s: float) -> bool:
        """Whether another marker should be sent."""
        return self._sent_at is None or now_s - self._sent_at >= max(EVERY_S, _SHARE * self.seconds(now_s))

    def send(self, now_s: float) -> bytes:
        """What to send as a marker now."""
        self._number += 1
        self._sent_at = now_s
        self._outstanding.append((self._number, now_s))
        return f"{self._name} {self._number}".encode()

    def returned(self, marker: bytes, now_s: float) -> None:
        """A marker has come back, and with it what stood before it; one twice, or another's, changes nothing."""
        name, _, number = marker.decode("utf-8", "replace").rpartition(" ")
        if name != self._name or not number.isdecimal():
            return
        while self._outstanding and self._outstanding[0][0] <= int(number):
            self._last_s = now_s - self._outstanding.popleft()[1]

    def forget(self) -> None:
        """What has been sent may be lost: the connection is another. How far behind it was is not forgotten."""
        self._outstanding.clear()
        self._sent_at = None
