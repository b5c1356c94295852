"""One engineer's way through some tickets: when each is reached and done, and what that costs.

Costs are in minutes that one of low priority waits beyond its promise; the constants are what a plan weighs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tickets.dispatch.batch import Engineer, Job
from tickets.dispatch.travel import travel_min
from tickets.priority import Priority

WEIGHT = {Priority.LOW: 1.0, Priority.MEDIUM: 2.0, Priority.HIGH: 4.0, Priority.URGENT: 8.0}
# That a promise is broken at all, beside by how much. Too low: all are a little late. Too high: what is late already is
# left for last.
BREACH_MIN = 240.0
# Of each minute until it is done, before any promise is broken. Too low: visits are put off until they lie on the way,
# and what takes longer than was thought finds no slack. Too high: everybody drives to and fro. See docs/dispatch.md.
WAIT = 0.1
# Of a minute on the road.
TRAVEL = 0.5
# A part that is not in the van is fetched at a depot first. Depots have no coordinates: what a detour takes.
FETCH_MIN = 45.0
# Of a ticket that nobody is sent to: more than any lateness within the days that are planned.
UNSENT_MIN = 30_000.0
# Orders of a route that are looked at, at once. Up to four tickets all of them.
_BEAM = 24


@dataclass(frozen=True, slots=True)
class Visit:
    """A ticket on somebody's way; minutes from now, but for `travel_min` and `fetch_min`."""

    job: Job
    sets_off_min: float
    arrives_min: float
    done_min: float
    travel_min: float
    fetch_min: float

    @property
    def late_min(self) -> float:
        """By how much the promises are broken, one with the other."""
        on_site, done = _lateness(self.job, self.arrives_min, self.done_min)
        return on_site + done


@dataclass(frozen=True, slots=True)
class Route:
    """Some tickets in order, and what doing them so costs."""

    visits: tuple[Visit, ...]
    cost: float


def follow(engineer: Engineer, jobs: Sequence[Job]) -> Route | None:
    """The tickets in this order; None where they do not fit into the shifts that are known."""
    shifts, where = engineer.shifts, engineer.place
    worked, cost, visits = shifts.worked_at(engineer.free_min), 0.0, []
    for job in jobs:
        on_road = 0.0 if engineer.remote else travel_min(where, job.place, engineer.speed_km_h)
        fetch = FETCH_MIN if len(engineer.at_hand(job)) < len(job.parts) and not engineer.remote else 0.0
        whole = on_road + fetch + job.work_min
        begins = shifts.begin(worked, whole)
        if begins is None:
            return None
        worked = begins + whole
        arrives, done = shifts.moment(begins + on_road + fetch), shifts.moment(worked)
        sets_off = shifts.moment(begins, setting_off=True)
        visits.append(Visit(job, sets_off, max(arrives, sets_off), done, on_road, fetch))
        cost += _cost(job, max(arrives, sets_off), done) + TRAVEL * (on_road + fetch)
        where = where if engineer.remote or job.place is None else job.place
    return Route(tuple(visits), cost)


def best_order(engineer: Engineer, new: Sequence[Job]) -> Route | None:
    """New tickets put among those that wait already, which keep their order. None where they do not fit.

    Every order is looked at while there are at most 24; of more, those that come of the best so far.
    """
    orders = [(0.0, tuple(engineer.queue))]
    for job in sorted(new, key=lambda one: (_due(one), one.id)):
        found = []
        for _, order in orders:
            for place in range(len(order) + 1):
                tried = (*order[:place], job, *order[place:])
                route = follow(engineer, tried)
                if route is not None:
                    found.append((route.cost, tried))
        orders = sorted(found, key=lambda one: (one[0], [job.id for job in one[1]]))[:_BEAM]
        if not orders:
            return None
    return follow(engineer, orders[0][1])


def _cost(job: Job, arrives: float, done: float) -> float:
    on_site, late = _lateness(job, arrives, done)
    broken = BREACH_MIN * ((on_site > 0.0) + (late > 0.0))
    return WEIGHT[job.priority] * (on_site + late + broken + WAIT * done)


def _lateness(job: Job, arrives: float, done: float) -> tuple[float, float]:
    on_site = 0.0 if job.on_site_due_min is None else max(arrives - job.on_site_due_min, 0.0)
    return on_site, 0.0 if job.done_due_min is None else max(done - job.done_due_min, 0.0)


def _due(job: Job) -> float:
    return min((due for due in (job.on_site_due_min, job.done_due_min) if due is not None), default=math.inf)
