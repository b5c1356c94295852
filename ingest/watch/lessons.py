"""What verdicts on tickets have taught, brought to the watch now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence

from alarms.lessons import by_subject
from alarms.watch import Watch
from ingest.database import Transact
from store import lessons
from telemetry import Stream, instant

# A verdict is given hours after its alarm: a minute more is nothing. At each turn all lessons are read.
EVERY_S = 60.0


class Lessons:
    """Reads verdicts once a minute."""

    def __init__(self) -> None:
        self._read_at: float | None = None

    def turn(self, transact: Transact, watch: Watch, streams: Sequence[Stream], now_us: int) -> None:
        """Teach a watch, where it is time to; `again` makes it time."""
        now = time.monotonic()
        if self._read_at is not None and now - self._read_at < EVERY_S:
            return
        self._read_at = now
        watch.teach(by_subject(transact(lambda conn: lessons.judged(conn, instant(now_us))), streams))

    def again(self) -> None:
        """There is another watch, which knows nothing."""
        self._read_at = None
