"""The promises of time on a ticket: a response, somebody on site.

A clock runs day and night, every day of the year. While it is paused nothing falls due: the pause moves its warning
and its due time on by its own length. A clock that has stopped never changes again; a ticket that reopens starts new
ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from tickets.priority import Level

# Of the time from start to due. Too low: a warning that nobody believes. Too high: no time left to act on it.
WARN_AT_SHARE = 0.8


class ClockName(StrEnum):
    """What is promised."""

    RESPONSE = "response"  # until somebody has accepted the ticket
    ON_SITE = "on_site"  # until somebody is there, or repairs it from afar


class Effect(StrEnum):
    """What a move does to a clock."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


LIMITS: Mapping[Level, Mapping[ClockName, timedelta]] = {
    Level.EMERGENCY: {ClockName.RESPONSE: timedelta(hours=1), ClockName.ON_SITE: timedelta(hours=12)},
    Level.MAJOR: {ClockName.RESPONSE: timedelta(hours=4), ClockName.ON_SITE: timedelta(hours=24)},
    Level.GENERAL: {ClockName.RESPONSE: timedelta(hours=8), ClockName.ON_SITE: timedelta(hours=48)},
}


@dataclass(frozen=True, slots=True)
class Clock:
    """One promise on one ticket, once. Times are aware."""

    name: ClockName
    started_at: datetime
    due_at: datetime
    warn_at: datetime
    paused_at: datetime | None = None
    stopped_at: datetime | None = None
    warned_at: datetime | None = None
    breached_at: datetime | None = None

    @property
    def running(self) -> bool:
        return self.stopped_at is None and self.paused_at is None

    def breached_by(self, now: datetime) -> bool:
        """Whether a running clock is past its due time."""
        return self.running and now > self.due_at


def start(name: ClockName, level: Level, now: datetime) -> Clock:
    """A clock that begins now."""
    limit = LIMITS[level][name]
    return Clock(name, started_at=now, due_at=now + limit, warn_at=now + WARN_AT_SHARE * limit)


def pause(clock: Clock, now: datetime) -> Clock:
    """Hold a running clock; one that is paused or has stopped stays as it is."""
    if not clock.running:
        return clock
    return replace(clock, paused_at=now, breached_at=_breach(clock, now))


def resume(clock: Clock, now: datetime) -> Clock:
    """Let a paused clock go on, with the time that it had left."""
    if clock.paused_at is None or clock.stopped_at is not None:
        return clock
    pause_length = now - clock.paused_at
    return replace(clock, paused_at=None, due_at=clock.due_at + pause_length, warn_at=clock.warn_at + pause_length)


def stop(clock: Clock, now: datetime) -> Clock:
    """Keep the promise, or have broken it: one that stops after its due time is breached."""
    if clock.stopped_at is not None:
        return clock
    return replace(resume(clock, now), stopped_at=now, breached_at=_breach(resume(clock, now), now))


def tighten(clock: Clock, level: Level, now: datetime) -> Clock:
    """Hold a clock to a stricter level from now on: never later than before, and counted from when it was known."""
    if clock.stopped_at is not None:
        return clock
    limit = LIMITS[level][clock.name]
    from_when = clock.paused_at or now
    if from_when + limit >= clock.due_at:
        return clock
    return replace(clock, due_at=from_when + limit, warn_at=from_when + WARN_AT_SHARE * limit, warned_at=None)


_APPLY = {Effect.PAUSE: pause, Effect.RESUME: resume, Effect.STOP: stop}


def apply(
    effects: Mapping[ClockName, Effect], clocks: Mapping[ClockName, Clock], level: Level, now: datetime
) -> dict[ClockName, Clock]:
    """The clocks after a move. `START` begins a new one, whatever became of the one before."""
    after = dict(clocks)
    for name, effect in effects.items():
        if effect is Effect.START:
            after[name] = start(name, level, now)
        elif name in after:
            after[name] = _APPLY[effect](after[name], now)
    return after


def _breach(clock: Clock, now: datetime) -> datetime | None:
    return clock.breached_at or (clock.due_at if clock.breached_by(now) else None)
