"""A promise of time as it is shown: how much is left, and whether that is well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dashboard.figures import duration


class Promise(Protocol):
    """What is shown of a clock; times are aware."""

    @property
    def started_at(self) -> datetime: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def warn_at(self) -> datetime: ...
    @property
    def paused_at(self) -> datetime | None: ...
    @property
    def stopped_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class ClockFace:
    """One clock on a page. `tone` is running, due, breached, paused or met; `part` of it has run, 0 to 1."""

    clock: str
    tone: str
    words: str
    part: float
    due_at: datetime
    warn_at: datetime
    paused_at: datetime | None
    stopped_at: datetime | None


def face(name: str, promise: Promise, now: datetime) -> ClockFace:
    """How a clock looks at `now`. The script in the page counts on in the same words."""
    at = promise.stopped_at or promise.paused_at or now
    left_s = (promise.due_at - at).total_seconds()
    if promise.stopped_at is not None:
        tone, words = ("met", "met") if left_s >= 0 else ("breached", f"missed by {duration(left_s)}")
    elif promise.paused_at is not None:
        tone, words = "paused", f"paused, {duration(left_s)} left" if left_s >= 0 else "paused, overdue"
    elif left_s < 0:
        tone, words = "breached", f"overdue by {duration(left_s)}"
    else:
        tone, words = ("due" if now >= promise.warn_at else "running"), f"{duration(left_s)} left"
    whole_s = max(1.0, (promise.due_at - promise.started_at).total_seconds())
    part = min(1.0, max(0.0, 1.0 - left_s / whole_s))
    return ClockFace(name, tone, words, part, promise.due_at, promise.warn_at, promise.paused_at, promise.stopped_at)
