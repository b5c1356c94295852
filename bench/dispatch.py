"""A year of faults, dispatched by the plan and by simpler ways: `python -m bench.dispatch`.

Faults come at random (Poisson) over forty sites of a region; eight engineers in shifts, with skills and vans, and one
of the remote team see to them. Each way meets the same faults, and each fault takes the same work whoever goes: what it
really takes is drawn once, and nobody is told beforehand. Promises are the house's, day and night.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from tickets.clocks import ClockName
from tickets.dispatch.batch import Batch, Engineer, Job
from tickets.dispatch.optimise import first_come, plan
from tickets.dispatch.routes import FETCH_MIN
from tickets.dispatch.shifts import shifts_of
from tickets.dispatch.travel import Place, travel_min
from tickets.priority import LEVEL_OF, Priority
from tickets.terms import HOUSE_TERMS

DAY_MIN = 1440.0
TICK_MIN = 10.0
VISIT_MIN, REMOTE_MIN, AHEAD_MIN = 120.0, 60.0, 30.0
_HORIZON_DAYS = 7
_MIX = {Priority.URGENT: 0.10, Priority.HIGH: 0.25, Priority.MEDIUM: 0.40, Priority.LOW: 0.25}
# Skills by how often a fault asks for them; none of a fifth.
_ASKS = {
    ("mechanical",): 0.35,
    ("electrical",): 0.2,
    ("alignment", "mechanical"): 0.15,
    ("instrumentation",): 0.1,
    (): 0.2,
}
_TEAM = (
    (("mechanical", "alignment"), 6, 14),
    (("mechanical", "electrical"), 6, 14),
    (("mechanical", "alignment", "lubrication"), 8, 17),
    (("electrical", "instrumentation"), 8, 17),
    (("mechanical",), 8, 17),
    (("electrical", "mechanical"), 14, 22),
    (("mechanical", "alignment"), 14, 22),
    (("instrumentation", "electrical", "mechanical"), 14, 22),
)


@dataclass(frozen=True)
class Fault:
    """A ticket to come, at a minute of the year. What is thought for work, and for the road, is really `work_min`, and
    `road` times as long."""

    job: Job
    at_min: float
    work_min: float
    road: float


@dataclass
class Worker:
    """An engineer in the course of the year."""

    engineer: Engineer
    spans: Sequence[tuple[float, float]]
    busy_until: float = 0.0
    place: Place | None = None
    queue: list[Fault] = field(default_factory=list)
    busy: bool = False

    def seen(self, now: float) -> Engineer:
        """As dispatch sees them: what they have in hand takes as long as was thought, as far as anybody knows."""
        spans = [(max(a - now, 0.0), b - now) for a, b in self.spans if b > now and a < now + _HORIZON_DAYS * DAY_MIN]
        return replace(
            self.engineer,
            shifts=shifts_of(spans),
            place=self.place or self.engineer.place,
            free_min=max(self.busy_until - now, 0.0) if self.busy else 0.0,
            capacity=max(self.engineer.capacity - len(self.queue) - self.busy, 0),
            queue=tuple(_seen(fault, now) for fault in self.queue),
        )


@dataclass
class Score:
    """What a year came to."""

    tickets: int = 0
    site_late: int = 0
    done_late: int = 0
    urgent: int = 0
    urgent_late: int = 0
    waited_h: list[float] = field(default_factory=list)
    road_min: list[float] = field(default_factory=list)
    plan_s: list[float] = field(default_factory=list)

    def arrive(self, fault: Fault, arrives: float, done: float, road: float) -> None:
        limits = HOUSE_TERMS.limits[LEVEL_OF[fault.job.priority]]
        late = arrives - fault.at_min > limits[ClockName.ON_SITE].total_seconds() / 60
        self.tickets += 1
        self.site_late += late
        self.done_late += done - fault.at_min > limits[ClockName.RESOLUTION].total_seconds() / 60
        self.urgent += fault.job.priority is Priority.URGENT
        self.urgent_late += late and fault.job.priority is Priority.URGENT
        self.waited_h.append((arrives - fault.at_min) / 60)
        self.road_min.append(road)


Way = Callable[[float, list[Fault], list[Worker]], None]
"""Moves faults that wait into the queues of workers."""


def year(seed: int, days: int, per_day: float) -> tuple[list[Fault], list[Worker]]:
    """The faults and the team of a seed."""
    rng = random.Random(seed)
    towns = [Place(49.0 + rng.random() * 0.8, 10.5 + rng.random() * 1.2) for _ in range(5)]
    sites = [_near(rng, rng.choice(towns), 0.15) for _ in range(40)]
    workers = []
    for n, (skills, begin, end) in enumerate(_TEAM):
        free = {n % 7, (n + 1) % 7}
        spans = [
            (day * DAY_MIN + begin * 60, day * DAY_MIN + end * 60) for day in range(days + 30) if day % 7 not in free
        ]
        van = frozenset(f"part-{i}" for i in range(6) if rng.random() < 0.6)
        home = _near(rng, towns[n % len(towns)], 0.05)
        engineer = Engineer(f"e{n}", f"E{n}", shifts_of([]), 4, home, frozenset(skills), 60.0, parts=van)
        workers.append(Worker(engineer, spans))
    office = Engineer("remote", "Remote", shifts_of([]), 4, remote=True)
    workers.append(Worker(office, [(d * DAY_MIN + 420, d * DAY_MIN + 1140) for d in range(days + 30) if d % 7 < 6]))
    return list(_faults(rng, sites, days, per_day)), workers


def _faults(rng: random.Random, sites: Sequence[Place], days: int, per_day: float) -> Iterator[Fault]:
    at, number = 0.0, 0
    while (at := at + rng.expovariate(per_day / DAY_MIN)) < days * DAY_MIN:
        number += 1
        remote = rng.random() < 0.1
        skills = rng.choices(list(_ASKS), list(_ASKS.values()))[0]
        thought = REMOTE_MIN if remote else VISIT_MIN
        job = Job(
            f"{number:06d}",
            rng.choices(list(_MIX), list(_MIX.values()))[0],
            0.0,
            thought,
            rng.choice(sites),
            frozenset() if remote else frozenset(skills),
            parts=frozenset() if remote or rng.random() < 0.7 else frozenset({f"part-{rng.randrange(6)}"}),
            remote=remote,
        )
        yield Fault(job, at, thought * rng.lognormvariate(-0.08, 0.4), rng.uniform(0.85, 1.3))


def simulate(way: Way, faults: Sequence[Fault], workers: list[Worker], days: int) -> Score:
    """A year by one way. Beyond its end the last tickets are seen to."""
    score, waiting, to_come = Score(), list[Fault](), list(reversed(faults))
    now = 0.0
    while (to_come or waiting or any(w.queue or w.busy for w in workers)) and now < (days + 21) * DAY_MIN:
        changed = False
        while to_come and to_come[-1].at_min <= now:
            waiting.append(to_come.pop())
            changed = True
        for worker in workers:
            if worker.busy and worker.busy_until <= now:
                worker.busy, changed = False, True
        if waiting and changed:
            began = time.perf_counter()
            way(now, waiting, workers)
            score.plan_s.append(time.perf_counter() - began)
        for worker in workers:
            if worker.queue and not worker.busy:
                _begin(worker, now, score)
        now += TICK_MIN
    for fault in (*waiting, *(fault for worker in workers for fault in worker.queue)):
        score.arrive(fault, now, now, 0.0)
    return score


def _begin(worker: Worker, now: float, score: Score) -> None:
    """Set off to the next, where the shift leaves time for it."""
    seen, fault = worker.seen(now), worker.queue[0]
    shifts, thought = seen.shifts, _road(seen, fault.job)
    if not shifts.begins or shifts.begins[0] > 0.0:
        worker.place = None  # at home
        return
    if shifts.begin(0.0, thought + fault.job.work_min) != 0.0:
        return
    road = thought * fault.road
    arrives, done = shifts.moment(road), shifts.moment(road + fault.work_min)
    worker.queue.pop(0)
    worker.busy, worker.busy_until = True, now + done
    worker.place = None if seen.remote else fault.job.place
    score.arrive(fault, now + arrives, now + done, road)


def _road(engineer: Engineer, job: Job) -> float:
    if engineer.remote:
        return 0.0
    fetch = FETCH_MIN if len(engineer.at_hand(job)) < len(job.parts) else 0.0
    return travel_min(engineer.place, job.place, engineer.speed_km_h) + fetch


# Ways --------------------------------------------------------------------------------------------------------------


def by_plan(now: float, waiting: list[Fault], workers: list[Worker]) -> None:
    """As `notify` does it with the rule: planned anew, sent half an hour before setting off; who is urgent at once."""
    batch = Batch([_seen(fault, now) for fault in waiting], [w.seen(now) for w in workers])
    made = plan(batch)
    of = {fault.job.id: fault for worker in workers for fault in worker.queue} | {f.job.id: f for f in waiting}
    for worker in workers:
        had = {fault.job.id for fault in worker.queue}
        worker.queue = [
            of[visit.job.id]
            for visit in made.routes[worker.engineer.login].visits
            if visit.job.id in had or visit.sets_off_min <= AHEAD_MIN or visit.job.priority is Priority.URGENT
        ]
    _take(waiting, workers)


def at_once(now: float, waiting: list[Fault], workers: list[Worker]) -> None:
    """In order of arrival, at once: the nearest of who is free, else who is free first."""
    batch = Batch([_seen(fault, now) for fault in waiting], [w.seen(now) for w in workers])
    made, of = first_come(batch), {f.job.id: f for f in waiting}
    for worker in workers:
        visits = made.routes[worker.engineer.login].visits
        worker.queue += [of[visit.job.id] for visit in visits if visit.job.id in of]
    _take(waiting, workers)


def when_free(now: float, waiting: list[Fault], workers: list[Worker]) -> None:
    """In order of arrival: the nearest of those who are free and on shift; where none is, the ticket waits for one."""
    _to_free(now, sorted(waiting, key=lambda f: f.at_min), waiting, workers)


def worst_first(now: float, waiting: list[Fault], workers: list[Worker]) -> None:
    """The same by priority, then in order of arrival."""
    _to_free(now, sorted(waiting, key=lambda f: (-f.job.priority.rank, f.at_min)), waiting, workers)


def _to_free(now: float, order: Sequence[Fault], waiting: list[Fault], workers: list[Worker]) -> None:
    free = {w.engineer.login: w for w in workers if not w.busy and not w.queue}
    batch = Batch([_seen(fault, now) for fault in order], [w.seen(now) for w in free.values()])
    for fault, job in zip(order, batch.jobs, strict=True):
        offers = [
            (_road(e, job), e.login)
            for e in batch.able[job.id]
            if e.login in free
            and e.shifts.begins[0] <= 0.0
            and e.shifts.begin(0.0, _road(e, job) + job.work_min) == 0.0
        ]
        if offers:
            free.pop(min(offers)[1]).queue.append(fault)
    _take(waiting, workers)


WAYS: dict[str, Way] = {
    "first come, at once": at_once,
    "first come, nearest free": when_free,
    "worst first, nearest free": worst_first,
    "plan": by_plan,
}


def _take(waiting: list[Fault], workers: list[Worker]) -> None:
    sent = {fault.job.id for worker in workers for fault in worker.queue}
    waiting[:] = [fault for fault in waiting if fault.job.id not in sent]


def _seen(fault: Fault, now: float) -> Job:
    """A fault as a ticket, in minutes from now."""
    limits = HOUSE_TERMS.limits[LEVEL_OF[fault.job.priority]]
    since = fault.at_min - now
    return replace(
        fault.job,
        opened_min=since,
        on_site_due_min=since + limits[ClockName.ON_SITE].total_seconds() / 60,
        done_due_min=since + limits[ClockName.RESOLUTION].total_seconds() / 60,
    )


def _near(rng: random.Random, place: Place, degrees: float) -> Place:
    return Place(place.latitude_deg + rng.gauss(0, degrees), place.longitude_deg + rng.gauss(0, degrees))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=364)
    parser.add_argument("--per-day", type=float, default=12.0, help="faults a day")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(f"{asked.days} days, {asked.per_day:g} faults a day, seed {asked.seed}")
    print(f"{'':26} tickets  on-site late  urgent late  done late  wait h (mean, p95)  road min  plan ms (p95)")
    for name, way in WAYS.items():
        faults, workers = year(asked.seed, asked.days, asked.per_day)
        print(f"{name:26} {_line(simulate(way, faults, workers, asked.days))}", flush=True)


def _line(s: Score) -> str:
    waited, planned = (statistics.quantiles(values, n=20)[-1] for values in (s.waited_h, s.plan_s))
    late = f"{s.site_late:5d} {s.site_late / s.tickets:6.1%}  {s.urgent_late:4d} of {s.urgent:4d}  {s.done_late:9d}"
    means = f"{statistics.mean(s.waited_h):8.1f} {waited:9.1f}  {statistics.mean(s.road_min):8.1f}"
    return f"{s.tickets:7d}  {late}  {means}  {1000 * planned:13.1f}"


if __name__ == "__main__":
    main()
