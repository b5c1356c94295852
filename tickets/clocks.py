"""The promises of time on a ticket: somebody sent, a response, somebody on site, the fault gone.

A clock counts the working time of its calendar. While it is paused nothing falls due: when it goes on, it has as much
working time left as before. A clock that has stopped never changes again; a ticket that reopens starts new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from tickets.calendar import ALWAYS, Calendar
from tickets.priority import Level


class ClockName(StrEnum):
    """What is promised."""

    ASSIGNMENT = "assignment"  # until somebody is sent; promised for what is urgent, and to whom is VIP
    RESPONSE = "response"  # until somebody has accepted the ticket
    ON_SITE = "on_site"  # until somebody is there, or repairs it from afar
    RESOLUTION = "resolution"  # until it is handed over, or the ticket ends
    EXPERT = "expert"  # from each escalation until an expert has answered
    SECOND_HANDLING = "second_handling"  # from an answer that nobody may leave so until somebody is at it
    CALL_BACK = "call_back"  # and until the customer was called back
    DIAGNOSIS_REPORT = "diagnosis_report"  # for these two see tickets/report_clocks.py
    SERVICE_REPORT = "service_report"
    SENT_BACK = "sent_back"  # of what was sent in: from the repair until it has left


PROMISED = (ClockName.ASSIGNMENT, ClockName.RESPONSE, ClockName.ON_SITE, ClockName.RESOLUTION)
"""What each level promises, in the order in which it falls due; all of it begins as a ticket opens."""

AFTERWARDS = frozenset({ClockName.SECOND_HANDLING, ClockName.CALL_BACK, ClockName.SENT_BACK})
"""These are not of the road: they go on when the ticket has ended, and no hold or hand-over touches them."""


class Effect(StrEnum):
    """What a move does to a clock."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Promise:
    """So much working time of a calendar, by the promise of a level in a version of the terms."""

    limit: timedelta
    calendar: Calendar
    warn_at_share: float
    level: Level
    terms: int


@dataclass(frozen=True, slots=True)
class Clock:
    """One promise on one ticket, once. Times are aware; `calendar` is that of `level` in version `terms`."""

    name: ClockName
    started_at: datetime
    due_at: datetime
    warn_at: datetime
    paused_at: datetime | None = None
    stopped_at: datetime | None = None
    warned_at: datetime | None = None
    breached_at: datetime | None = None
    level: Level = Level.GENERAL
    terms: int = 0
    calendar: Calendar = ALWAYS

    @property
    def running(self) -> bool:
        return self.stopped_at is None and self.paused_at is None

    def breached_by(self, now: datetime) -> bool:
        """Whether a running clock is past its due time."""
        return self.running and now > self.due_at

    @property
    def whole(self) -> timedelta:
        """Working time from its start to its due time: the limit, where it was never paused."""
        return self.calendar.between(self.started_at, self.due_at)

    def standing(self, now: datetime) -> tuple[bool, datetime]:
        """Whether a moment counts, and until when at least that stays so."""
        return self.calendar.standing(now)

    def left(self, now: datetime) -> timedelta:
        """Working time until it is due, from when it stopped or was paused, else from now; negative when overdue."""
        return self.calendar.between(self.stopped_at or self.paused_at or now, self.due_at)


def start(name: ClockName, promise: Promise, now: datetime) -> Clock:
    """A clock that begins now."""
    due_at, warn_at = _times(promise, now)
    return Clock(
        name, now, due_at=due_at, warn_at=warn_at, level=promise.level, terms=promise.terms, calendar=promise.calendar
    )


def pause(clock: Clock, now: datetime) -> Clock:
    """Hold a running clock; one that is paused or has stopped stays as it is."""
    if not clock.running:
        return clock
    return replace(clock, paused_at=now, breached_at=_breach(clock, now))


def resume(clock: Clock, now: datetime) -> Clock:
    """Let a paused clock go on, with the working time that it had left. What was overdue by then stays as it was."""
    if clock.paused_at is None or clock.stopped_at is not None:
        return clock
    return replace(
        clock, paused_at=None, due_at=_after(clock, clock.due_at, now), warn_at=_after(clock, clock.warn_at, now)
    )


def stop(clock: Clock, now: datetime) -> Clock:
    """Keep the promise, or have broken it: one that stops after its due time is breached."""
    if clock.stopped_at is not None:
        return clock
    return replace(resume(clock, now), stopped_at=now, breached_at=_breach(resume(clock, now), now))


def tighten(clock: Clock, promise: Promise, now: datetime) -> Clock:
    """Hold a clock to a stricter promise from now on: never later than before, and counted from when it was known."""
    due_at, warn_at = _times(promise, clock.paused_at or now)
    if clock.stopped_at is not None or due_at >= clock.due_at:
        return clock
    return replace(
        clock,
        due_at=due_at,
        warn_at=warn_at,
        warned_at=None,
        level=promise.level,
        terms=promise.terms,
        calendar=promise.calendar,
    )


_APPLY = {Effect.PAUSE: pause, Effect.RESUME: resume, Effect.STOP: stop}


def apply(
    effects: Mapping[ClockName, Effect],
    clocks: Mapping[ClockName, Clock],
    promises: Mapping[ClockName, Promise],
    now: datetime,
) -> dict[ClockName, Clock]:
    """The clocks after a move. `START` begins a new one of what is promised, whatever became of the one before."""
    after = dict(clocks)
    for name, effect in effects.items():
        if effect is Effect.START:
            after |= {name: start(name, promises[name], now)} if name in promises else {}
        elif name in after:
            after[name] = _APPLY[effect](after[name], now)
    return after


def _times(promise: Promise, now: datetime) -> tuple[datetime, datetime]:
    """When a promise given now is due, and when it warns."""
    add = promise.calendar.add
    return add(now, promise.limit), add(now, promise.warn_at_share * promise.limit)


def _after(clock: Clock, moment: datetime, now: datetime) -> datetime:
    """A moment that was still to come when the clock was paused, as much working time after it goes on."""
    if clock.paused_at is None or moment < clock.paused_at:
        return moment
    return clock.calendar.add(now, clock.calendar.between(clock.paused_at, moment))


def _breach(clock: Clock, now: datetime) -> datetime | None:
    return clock.breached_at or (clock.due_at if clock.breached_by(now) else None)
