"""Why somebody is proposed, in words with figures: what they have, when they are there, who came second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tickets.dispatch.batch import Batch, Engineer, Job
from tickets.dispatch.optimise import Plan
from tickets.dispatch.routes import Visit, best_order

_DAY_MIN = 1440.0

Clock = Callable[[Engineer, float], str]
"""Minutes from now as the wall clock shows them to an engineer: `14:20`, `Tue 08:00`."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Who goes to a ticket, as which of their visits, and why. Where there is no engineer, nobody can."""

    job: Job
    engineer: Engineer | None
    visit: Visit | None
    turn: int
    reasons: tuple[str, ...]


def proposals(batch: Batch, plan: Plan, clock: Clock) -> list[Proposal]:
    """One for each ticket of the batch, in its order."""
    engineers = {e.login: e for e in batch.engineers}
    places = {
        visit.job.id: (engineers[login], turn)
        for login, route in plan.routes.items()
        for turn, visit in enumerate(route.visits, start=1)
    }
    found = []
    for job in batch.jobs:
        if job.id not in places:
            found.append(Proposal(job, None, None, 0, (_why_nobody(batch, job),)))
            continue
        engineer, turn = places[job.id]
        visit = plan.routes[engineer.login].visits[turn - 1]
        reasons = (
            *_of_visit(engineer, visit, turn, clock),
            _load(engineer, plan),
            *_second(batch, plan, engineer, visit, clock),
        )
        found.append(Proposal(job, engineer, visit, turn, reasons))
    return found


def _of_visit(engineer: Engineer, visit: Visit, turn: int, clock: Clock) -> Iterable[str]:
    job = visit.job
    yield f"has {_list(job.skills)}" if job.skills else "needs no special skill"
    if engineer.remote:
        yield "remote team: looked at from afar first"
    elif job.place is None or engineer.place is None:
        yield f"how far it is nobody knows: {_span(visit.travel_min)} are taken for it"
    elif visit.travel_min == 0.0:
        yield "there already" if turn == 1 else "at the place of the visit before"
    else:
        yield f"{_span(visit.travel_min)} away" + (" from the visit before" if turn > 1 else "")
    if job.remote and not engineer.remote:
        yield "nobody of the remote team can look at it in time"
    if job.parts and not engineer.remote:
        there = engineer.at_hand(job)
        if there:
            yield f"part{_s(there)} {_list(there)} in the van"
        if there < job.parts:
            yield f"part{_s(job.parts - there)} {_list(job.parts - there)} to be fetched: {_span(visit.fetch_min)}"
    until = engineer.shifts.until(visit.sets_off_min)
    # Of who is always on shift that goes without saying.
    ends = until is not None and until - visit.sets_off_min < _DAY_MIN
    shift = f", on shift until {clock(engineer, until)}" if ends and until is not None else ""
    sets_off, arrives = clock(engineer, visit.sets_off_min), clock(engineer, visit.arrives_min)
    yield f"by their clock sets off {sets_off}, there {arrives}{shift}"
    yield from _promises(engineer, visit, clock)


def _promises(engineer: Engineer, visit: Visit, clock: Clock) -> Iterable[str]:
    due = visit.job.on_site_due_min
    if due is not None:
        late = visit.arrives_min - due
        kept = f"{_span(-late)} to spare" if late <= 0.0 else f"{_span(late)} late"
        yield f"promised on site by {clock(engineer, due)}: {kept}"
    due = visit.job.done_due_min
    if due is not None and visit.done_min > due:
        yield f"promised done by {clock(engineer, due)}: {_span(visit.done_min - due)} late"


def _load(engineer: Engineer, plan: Plan) -> str:
    queue = {job.id for job in engineer.queue}
    new = sum(visit.job.id not in queue for visit in plan.routes[engineer.login].visits)
    return f"given {new} of the {engineer.capacity} tickets that they have room for"


def _second(batch: Batch, plan: Plan, first: Engineer, visit: Visit, clock: Clock) -> Iterable[str]:
    """Who would go else, by what it costs with all that they are to do already; and what keeps the others."""
    offers = []
    for other in batch.able[visit.job.id]:
        if other is first:
            continue
        has = plan.routes[other.login]
        queue = {job.id for job in other.queue}
        new = [one.job for one in has.visits if one.job.id not in queue]
        route = best_order(other, [*new, visit.job]) if len(new) < other.capacity else None
        if route is not None:
            there = next(one for one in route.visits if one.job is visit.job)
            offers.append((route.cost - has.cost, other.login, other, there))
    if offers:
        _, _, other, there = min(offers, key=lambda one: one[:2])
        against = _worse(first, visit, other, there)
        yield f"second best: {other.name}, there {clock(other, there.arrives_min)}: {against}"
    else:
        yield f"nobody else can: {_kept_back(batch, visit.job, but=first) or 'all others have no room'}"


def _worse(first: Engineer, visit: Visit, other: Engineer, there: Visit) -> str:
    """What speaks against the second, in figures."""
    against = []
    if (later := there.arrives_min - visit.arrives_min) >= 1.0:
        against.append(f"{_span(later)} later")
    if (further := there.travel_min - visit.travel_min) >= 1.0:
        against.append(f"{_span(further)} more on the road")
    if missing := first.at_hand(visit.job) - other.at_hand(visit.job):
        against.append(f"{_list(missing)} not in the van")
    if there.late_min > visit.late_min + 1.0:
        against.append(f"{_span(there.late_min)} late")
    return ", ".join(against) or "it would hold up their other tickets more"


def _why_nobody(batch: Batch, job: Job) -> str:
    if not batch.engineers:
        return "nobody can be sent: there are no engineers"
    kept = _kept_back(batch, job)
    return f"nobody can be sent: {kept}" if kept else "nobody can be sent: those who could have no room left"


def _kept_back(batch: Batch, job: Job, but: Engineer | None = None) -> str:
    """How many are kept from a ticket by what, the first reason each."""
    counts: dict[str, int] = {}
    able = {e.login for e in batch.able[job.id]}
    for engineer in batch.engineers:
        if engineer is but or engineer.login in able:
            continue
        why = _first_reason(engineer, job)
        counts[why] = counts.get(why, 0) + 1
    return ", ".join(f"{n} {why}" for why, n in sorted(counts.items()))


def _first_reason(engineer: Engineer, job: Job) -> str:
    if missing := job.skills - engineer.skills:
        return f"without {_list(missing)}"
    if engineer.capacity <= 0:
        return "without room for more"
    if not engineer.shifts.any_after(engineer.free_min):
        return "without a shift to come"
    return "of those who travel" if job.remote else "of the remote team"


def _span(minutes: float) -> str:
    whole = round(abs(minutes))
    return f"{whole} min" if whole < 120 else f"{whole // 60} h {whole % 60:02d} min"


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _s(names: frozenset[str]) -> str:
    return "" if len(names) == 1 else "s"
