"""Plans: first come, first served; in rounds of one each; and by whole routes, of which the cheapest set is chosen.

The plan given is the cheapest of the three, so that it is never worse than first come, first served. Every one of them
sends nobody who is off shift, lacks a skill or has no room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from tickets.dispatch.batch import Batch, Engineer, Job
from tickets.dispatch.routes import UNSENT_MIN, WEIGHT, Route, best_order, follow

# New tickets on one route, as the solver chooses among them: who has room for more is given the rest one by one.
MOST_NEW = 3
# Routes that the solver chooses from. Too low: it sees each engineer's nearest few alone. Too high: a minute is over
# before the plan is made.
MOST_ROUTES = 2000
# The solver stops there, by nodes, so that it stops at the same place everywhere; the time is a guard that is not met,
# and what it stopped with then is thrown away.
_NODES, _GUARD_S = 500, 10.0
# Exchanges that are tried on each plan.
_EXCHANGES = 2000
_TINY = 1e-6


@dataclass
class Book:
    """What each engineer's best way through a set of new tickets is, each worked out once."""

    batch: Batch
    known: dict[tuple[str, frozenset[str]], Route | None] = field(default_factory=dict)

    def route(self, engineer: Engineer, new: Iterable[Job]) -> Route | None:
        """None: they do not fit."""
        wanted = list(new)
        key = (engineer.login, frozenset(job.id for job in wanted))
        if key not in self.known:
            fits = len(wanted) <= engineer.capacity
            self.known[key] = best_order(engineer, wanted) if fits else None
        return self.known[key]

    def more(self, engineer: Engineer, has: Sequence[Job], job: Job) -> float:
        """What one more ticket costs; infinite where it does not fit."""
        after = self.route(engineer, [*has, job])
        before = self.route(engineer, has)
        return after.cost - before.cost if after is not None and before is not None else np.inf


@dataclass(frozen=True, slots=True)
class Plan:
    """Each engineer's way by login, and who waits though nobody can come. `way` is how it was found."""

    way: str
    routes: Mapping[str, Route]
    unsent: tuple[Job, ...]

    @property
    def cost(self) -> float:
        left = sum(UNSENT_MIN * WEIGHT[job.priority] for job in self.unsent)
        return left + sum(route.cost for route in self.routes.values())


Given = dict[str, list[Job]]


def plan(batch: Batch) -> Plan:
    """The cheapest plan that is found. Deterministic."""
    book = Book(batch)
    first = first_come(batch)
    rounds = _improved(book, in_rounds(book))
    chosen = by_routes(book)
    plans = [first, _drawn(book, "rounds", rounds)]
    if chosen is not None:
        plans.append(_drawn(book, "routes", _improved(book, chosen)))
    return min(plans, key=lambda one: one.cost - (_TINY if one.way == "routes" else 0.0))


def first_come(batch: Batch) -> Plan:
    """In the order in which they came: the nearest of who is free, else who is free first; behind what they have."""
    has: dict[str, list[Job]] = {e.login: list(e.queue) for e in batch.engineers}
    room = {e.login: e.capacity for e in batch.engineers}
    unsent = []
    for job in sorted(batch.jobs, key=lambda one: (one.opened_min, one.id)):
        best: tuple[tuple[float, float, str], Engineer] | None = None
        for engineer in batch.able[job.id]:
            tried = follow(engineer, [*has[engineer.login], job]) if room[engineer.login] > 0 else None
            if tried is not None:
                last = tried.visits[-1]
                rank = (last.sets_off_min, last.travel_min, engineer.login)
                best = min(best, (rank, engineer), key=lambda one: one[0]) if best else (rank, engineer)
        if best is None:
            unsent.append(job)
            continue
        has[best[1].login].append(job)
        room[best[1].login] -= 1
    routes = {e.login: follow(e, has[e.login]) or Route((), 0.0) for e in batch.engineers}
    return Plan("first come", routes, tuple(unsent))


def in_rounds(book: Book) -> Given:
    """Each round gives everybody at most one more ticket, all at once at the least cost, until none can be given."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - half a second, and not where a plan is only read

    given: Given = {e.login: [] for e in book.batch.engineers}
    left = list(book.batch.jobs)
    engineers = list(book.batch.engineers)
    while left and engineers:
        most = sum(UNSENT_MIN * WEIGHT[job.priority] for job in left)
        able = {job.id: {e.login for e in book.batch.able[job.id]} for job in left}
        costs = np.array(
            [
                [book.more(e, given[e.login], job) if e.login in able[job.id] else np.inf for job in left]
                for e in engineers
            ]
        )
        rows, columns = linear_sum_assignment(np.where(np.isfinite(costs), costs, 10.0 * most))
        taken = [(i, j) for i, j in zip(rows, columns, strict=True) if np.isfinite(costs[i, j])]
        if not taken:
            break
        for i, j in taken:
            given[engineers[i].login].append(left[j])
        left = [job for j, job in enumerate(left) if j not in {column for _, column in taken}]
    return given


def by_routes(book: Book) -> Given | None:
    """The cheapest set of whole routes, one each, by HiGHS; None where it does not say so in time."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415 - as above
    from scipy.sparse import coo_array  # noqa: PLC0415

    batch = book.batch
    if not batch.jobs or not batch.engineers:
        return None
    columns = list(_columns(book))
    row_of = {job.id: i for i, job in enumerate(batch.jobs)}
    who_of = {e.login: len(row_of) + i for i, e in enumerate(batch.engineers)}
    entries = [(row_of[job.id], c) for c, (_, jobs, _) in enumerate(columns) for job in jobs]
    entries += [(who_of[engineer.login], c) for c, (engineer, _, _) in enumerate(columns)]
    entries += [(i, len(columns) + i) for i in range(len(row_of))]  # nobody is sent
    rows, at = zip(*entries, strict=True)
    n = len(columns) + len(row_of)
    matrix = coo_array((np.ones(len(rows)), (rows, at)), shape=(len(row_of) + len(who_of), n))
    least = np.r_[np.ones(len(row_of)), np.zeros(len(who_of))]
    costs = np.r_[[cost for _, _, cost in columns], [UNSENT_MIN * WEIGHT[job.priority] for job in batch.jobs]]
    found = milp(
        costs,
        integrality=np.ones(n),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix.tocsr(), least, np.ones(len(least))),
        options={"node_limit": _NODES, "time_limit": _GUARD_S, "mip_rel_gap": 1e-9},
    )
    if not found.success:
        return None
    given: Given = {e.login: [] for e in batch.engineers}
    for c, (engineer, jobs, _) in enumerate(columns):
        if found.x[c] > 0.5:
            given[engineer.login] = list(jobs)
    return given


def _columns(book: Book) -> Iterator[tuple[Engineer, Sequence[Job], float]]:
    """Routes to choose from: of each engineer's cheapest tickets every set of up to three that fits."""
    batch = book.batch
    each = max(MOST_ROUTES // max(len(batch.engineers), 1), 10)
    for engineer in batch.engineers:
        alone = [
            (book.more(engineer, [], job), job.id, job)
            for job in batch.jobs
            if any(e is engineer for e in batch.able[job.id])
        ]
        near = [job for cost, _, job in sorted(alone, key=lambda one: one[:2]) if np.isfinite(cost)]
        near = near[: _how_many(each, engineer.capacity)]
        base = book.route(engineer, [])
        for size in range(1, min(MOST_NEW, engineer.capacity) + 1):
            for jobs in combinations(near, size):
                route = book.route(engineer, jobs)
                if route is not None and base is not None:
                    yield engineer, jobs, route.cost - base.cost


def _how_many(sets: int, capacity: int) -> int:
    """Of how many tickets there are at most so many sets."""
    n = 1
    while _sets(n + 1, capacity) <= sets:
        n += 1
        if capacity < 2 and n >= sets:
            break
    return n


def _sets(n: int, capacity: int) -> int:
    sizes = (n, n * (n - 1) // 2, n * (n - 1) * (n - 2) // 6)
    return sum(sizes[: min(MOST_NEW, capacity)]) if capacity else n


def _improved(book: Book, given: Given) -> Given:
    """The same with what was left over put in, and tickets moved and exchanged while that is cheaper."""
    engineers = {e.login: e for e in book.batch.engineers}
    given = {login: list(jobs) for login, jobs in given.items()}
    _put_in(book, given)
    tried = 0
    better = True
    while better and tried < _EXCHANGES:
        better = False
        for job in book.batch.jobs:
            for move in _moves(book, given, job):
                tried += 1
                before = sum(_cost(book, engineers[login], given[login]) for login in move)
                if sum(_cost(book, engineers[login], jobs) for login, jobs in move.items()) < before - _TINY:
                    given |= move
                    better = True
                    break
                if tried >= _EXCHANGES:
                    break
    return given


def _put_in(book: Book, given: Given) -> None:
    sent = {job.id for jobs in given.values() for job in jobs}
    for job in sorted(book.batch.jobs, key=lambda one: (-one.priority.rank, one.opened_min, one.id)):
        if job.id in sent:
            continue
        offers = [(book.more(e, given[e.login], job), e.login) for e in book.batch.able[job.id]]
        cost, login = min(offers, default=(np.inf, ""))
        if np.isfinite(cost):
            given[login].append(job)


def _moves(book: Book, given: Given, job: Job) -> Iterator[Given]:
    """A ticket to somebody else, or exchanged for one of theirs."""
    has = next((login for login, jobs in given.items() if job in jobs), None)
    if has is None:
        return
    without = [one for one in given[has] if one is not job]
    for other in book.batch.able[job.id]:
        if other.login == has:
            continue
        yield {has: without, other.login: [*given[other.login], job]}
        for back in given[other.login]:
            if any(e.login == has for e in book.batch.able[back.id]):
                rest = [one for one in given[other.login] if one is not back]
                yield {has: [*without, back], other.login: [*rest, job]}


def _cost(book: Book, engineer: Engineer, jobs: Sequence[Job]) -> float:
    route = book.route(engineer, jobs)
    return np.inf if route is None else route.cost


def _drawn(book: Book, way: str, given: Given) -> Plan:
    """What was given, as a plan."""
    routes = {e.login: book.route(e, given[e.login]) or Route((), 0.0) for e in book.batch.engineers}
    sent = {visit.job.id for route in routes.values() for visit in route.visits}
    return Plan(way, routes, tuple(job for job in book.batch.jobs if job.id not in sent))
