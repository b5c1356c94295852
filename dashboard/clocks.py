"""A promise of time as it is shown: how much is left, and whether that is well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from dashboard.figures import duration


class Promise(Protocol):
    """What is shown of a clock; times are aware, lengths are of working time."""

    @property
    def whole(self) -> timedelta: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def warn_at(self) -> datetime: ...
    @property
    def paused_at(self) -> datetime | None: ...
    @property
    def stopped_at(self) -> datetime | None: ...
    def left(self, now: datetime) -> timedelta: ...
    def standing(self, now: datetime) -> tuple[bool, datetime]: ...


@dataclass(frozen=True, slots=True)
class ClockFace:
    """One clock on a page. `tone` is running, due, breached, paused or met; `part` of it has run, 0 to 1.

    `left_s` of working time are left as of `at`, and it counts until `until`; `rests_until`: nobody works before then.
    """

    clock: str
    tone: str
    words: str
    part: float
    due_at: datetime
    warn_at: datetime
    paused_at: datetime | None
    stopped_at: datetime | None
    left_s: float
    at: datetime
    until: datetime
    rests_until: datetime | None


def face(name: str, promise: Promise, now: datetime) -> ClockFace:
    """How a clock looks at `now`. The script in the page counts on in the same words."""
    left_s = promise.left(now).total_seconds()
    counts, until = promise.standing(now)
    runs = promise.stopped_at is None and promise.paused_at is None
    if promise.stopped_at is not None:
        tone, words = ("met", "met") if left_s >= 0 else ("breached", f"missed by {duration(left_s)}")
    elif promise.paused_at is not None:
        tone, words = "paused", f"paused, {duration(left_s)} left" if left_s >= 0 else "paused, overdue"
    elif left_s < 0:
        tone, words = "breached", f"overdue by {duration(left_s)}"
    else:
        tone, words = ("due" if now >= promise.warn_at else "running"), f"{duration(left_s)} left"
    return ClockFace(
        name,
        tone,
        words,
        part=min(1.0, max(0.0, 1.0 - left_s / max(1.0, promise.whole.total_seconds()))),
        due_at=promise.due_at,
        warn_at=promise.warn_at,
        paused_at=promise.paused_at,
        stopped_at=promise.stopped_at,
        left_s=left_s,
        at=now,
        until=until if counts else now,
        rests_until=until if runs and not counts else None,
    )
