"""What falls due, by when and why; what nothing can be said of; and what may be put off."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tickets.calendar import Calendar
from tickets.clocks import Clock, ClockName
from tickets.plans.counting import Count
from tickets.plans.dates import moments
from tickets.plans.triggers import HEALTH, Beyond, Recurrence, Risk, Trigger, Use, said

RISK_WITHIN = timedelta(days=30)
_NEVER_DAYS = 36_500.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a machine stands to a plan.

    `times`: how often it fell due since the work was done last, or the plan made. `taken`: the last moment of the
    calendar that is dealt with. `beyond_h`: for how long it has been beyond the limit. `fails_by`: when one in ten of
    its like has failed. `silent`: why the prognosis says nothing.
    """

    taken: datetime
    times: int = 0
    count: Count | None = None
    beyond_h: float = 0.0
    p_fail: float | None = None
    fails_by: datetime | None = None
    silent: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """Work, by when, and why."""

    at: datetime
    why: str


def due(trigger: Trigger, standing: Standing, calendar: Calendar, now: datetime, lead: timedelta) -> Due | None:
    """What falls due by `lead` from now; of several moments of a calendar the last: one visit does for all."""
    seen = ahead(trigger, standing, calendar, now, now + lead)
    return next(iter(list(seen)[-1:]), None) if isinstance(trigger, Recurrence) else next(seen, None)


def ahead(trigger: Trigger, standing: Standing, calendar: Calendar, now: datetime, until: datetime) -> Iterator[Due]:
    """What falls due up to then, as far as can be seen now: a date that rests on use moves with it."""
    match trigger:
        case Recurrence():
            for at in moments(trigger, standing.taken, until, calendar):
                yield Due(at, said(trigger))
        case Use():
            yield from _by_use(trigger, standing, now, until)
        case Beyond():
            if standing.beyond_h >= trigger.for_h:
                what = "health" if trigger.point == HEALTH else trigger.point
                why = f"{what} {trigger.side} {trigger.limit:g} for {standing.beyond_h:.0f} h"
                yield Due(now, why)
        case Risk():
            if standing.p_fail is not None and standing.p_fail >= trigger.limit:
                by = min(now + RISK_WITHIN, standing.fails_by or now + RISK_WITHIN)
                why = f"fails within 30 days with a probability of {standing.p_fail:.0%}, limit {trigger.limit:.0%}"
                yield Due(max(by, now), why)


def unknown(trigger: Trigger, standing: Standing) -> str:
    """Why nothing can be said of when a plan falls due; empty where something can."""
    match trigger:
        case Use() if standing.count is None or standing.count.shown is None:
            source = trigger.point or "a mode that tells when it runs"
            return f"not counted yet: {source} has not been heard of"
        case Use() if standing.count and standing.count.pace is None and not _is_used_up(trigger, standing):
            return "no date yet: it has not run for long enough since counting began"
        case Risk() if standing.p_fail is None:
            return f"no probability of failure yet: {standing.silent or 'its normal is not known'}"
    return ""


def put_off(trigger: Trigger, healthy_from: float | None, most: int, in_a_row: int, health: float | None) -> str:
    """Why this time may be left out, the machine being healthy; empty where it may not.

    What is done for its condition or risk is never put off; nor is the time after `most` in a row.
    """
    if healthy_from is None or health is None or not isinstance(trigger, Recurrence | Use):
        return ""
    if health < healthy_from or in_a_row >= most:
        return ""
    return f"put off, {in_a_row + 1} of at most {most}: health {health:.0f}, healthy from {healthy_from:.0f}"


def until_due(clocks: Iterable[Clock], due_at: datetime) -> list[Clock]:
    """The clocks of a ticket for work that is due later than they would be: it is soon enough by then."""
    planned = {ClockName.ON_SITE, ClockName.RESOLUTION}
    return [
        replace(one, due_at=due_at, warn_at=max(one.warn_at, due_at - (one.due_at - one.warn_at)))
        if one.name in planned and due_at > one.due_at
        else one
        for one in clocks
    ]


def times_after(trigger: Trigger, standing: Standing) -> int:
    """How often it has fallen due by now, this time among them: of use that was counted late only the last counts."""
    if not isinstance(trigger, Use) or standing.count is None:
        return standing.times + 1
    return max(standing.times + 1, int(standing.count.used // trigger.amount))


def _is_used_up(use: Use, standing: Standing) -> bool:
    return standing.count is not None and standing.count.used >= use.amount * (standing.times + 1)


def _by_use(use: Use, standing: Standing, now: datetime, until: datetime) -> Iterator[Due]:
    count = standing.count
    if count is None or count.shown is None:
        return
    times = times_after(use, standing)
    while True:
        left = use.amount * times - count.used
        if left > 0 and count.pace is None:
            return
        days = 0.0 if left <= 0 else min(left / (count.pace or math.inf), _NEVER_DAYS)
        at = max(count.at + timedelta(days=days), now) if left > 0 else now
        if at > until:
            return
        yield Due(at, f"{count.used:.0f} of {use.amount * times:g} {use.of} since it was done last")
        times += 1
