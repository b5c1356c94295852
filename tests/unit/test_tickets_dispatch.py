"""Plans of dispatch: what must hold of every one, and the cheapest where there are few enough to look at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.calendar import Calendar
from tickets.dispatch.batch import Batch, Engineer, Job
from tickets.dispatch.optimise import Plan, first_come, plan
from tickets.dispatch.reasons import proposals
from tickets.dispatch.routes import UNSENT_MIN, WEIGHT, follow
from tickets.dispatch.shifts import Shifts, shifts_by, shifts_of
from tickets.dispatch.travel import ARRIVING_MIN, DETOUR, UNKNOWN_MIN, Place, distance_km, travel_min
from tickets.priority import Priority

DAY = 1440.0
SKILLS = ("mechanical", "electrical", "alignment")
places = st.one_of(st.none(), st.builds(Place, st.floats(48.0, 49.5), st.floats(9.0, 11.0)))


@st.composite
def shifts(draw: st.DrawFn) -> Shifts:
    """Up to six days with a lunch break, from one that has begun on; some have none."""
    begins = draw(st.floats(-400.0, 900.0))
    spans = []
    for day in range(draw(st.integers(0, 6))):
        for begin, length in ((0.0, 240.0), (270.0, 240.0)):
            at = day * DAY + begins + begin
            spans.append((max(at, 0.0), max(at + length, 0.0)))
    return shifts_of(spans)


@st.composite
def jobs(draw: st.DrawFn, name: str) -> Job:
    opened = -draw(st.floats(0.0, 2000.0))
    due = draw(st.one_of(st.none(), st.floats(60.0, 3000.0)))
    return Job(
        name,
        draw(st.sampled_from(Priority)),
        opened,
        draw(st.sampled_from([30.0, 120.0, 700.0])),
        draw(places),
        frozenset(draw(st.lists(st.sampled_from(SKILLS), max_size=2))),
        None if due is None else opened + due,
        None if due is None else opened + 2 * due,
        frozenset(draw(st.lists(st.sampled_from(["seal", "6205"]), max_size=2))),
        remote=draw(st.booleans()) and draw(st.booleans()),
    )


@st.composite
def batches(draw: st.DrawFn, most_jobs: int = 6, most_engineers: int = 4) -> Batch:
    engineers = [
        Engineer(
            f"e{i}",
            f"E{i}",
            draw(shifts()),
            draw(st.integers(0, 3)),
            draw(places),
            frozenset(draw(st.lists(st.sampled_from(SKILLS), max_size=3))),
            draw(st.sampled_from([40.0, 80.0])),
            draw(st.floats(0.0, 300.0)),
            frozenset(draw(st.lists(st.sampled_from(["seal", "6205"]), max_size=2))),
            remote=draw(st.integers(0, 3)) == 0,
            queue=tuple(draw(jobs(f"q{i}.{n}")) for n in range(draw(st.integers(0, 1)))),
        )
        for i in range(draw(st.integers(0, most_engineers)))
    ]
    return Batch([draw(jobs(f"j{n}")) for n in range(draw(st.integers(0, most_jobs)))], engineers)


def is_worked(of: Shifts, at_min: float) -> bool:
    return any(a - 1e-6 <= at_min <= b + 1e-6 for a, b in zip(of.begins, of.ends, strict=True))


def check(batch: Batch, made: Plan) -> None:
    """Everybody is sent on shift, with what it takes, within their room; nobody twice, nobody forgotten."""
    waiting = {job.id: job for job in batch.jobs}
    sent = [v.job.id for e in batch.engineers for v in made.routes[e.login].visits if v.job.id in waiting]
    assert sorted([*sent, *(job.id for job in made.unsent)]) == sorted(waiting)
    for engineer in batch.engineers:
        visits = made.routes[engineer.login].visits
        new = [visit for visit in visits if visit.job.id in waiting]
        assert len(new) <= engineer.capacity
        for visit in visits:
            assert is_worked(engineer.shifts, visit.sets_off_min)
            assert is_worked(engineer.shifts, visit.arrives_min)
            assert is_worked(engineer.shifts, visit.done_min)
            assert visit.done_min - visit.sets_off_min >= visit.travel_min + visit.fetch_min + visit.job.work_min - 1e-6
        for visit in new:
            assert visit.job.skills <= engineer.skills
            assert visit.sets_off_min >= engineer.free_min - 1e-6
            assert visit.job.remote or not engineer.remote
        for one, other in itertools.pairwise(visits):
            assert other.sets_off_min >= one.done_min - 1e-6


@given(batches())
def test_every_plan_keeps_to_shifts_skills_and_room_and_is_no_dearer_than_first_come(batch: Batch) -> None:
    made, turns = plan(batch), first_come(batch)
    check(batch, made)
    check(batch, turns)
    assert made.cost <= turns.cost + 1e-6
    assert plan(Batch(batch.jobs, batch.engineers)) == made


def ways(batch: Batch) -> Iterator[float]:
    """The cost of every way there is to send everybody, in every order."""
    for choice in itertools.product(*[(None, *batch.able[job.id]) for job in batch.jobs]):
        cost = 0.0
        for engineer in batch.engineers:
            new = [job for job, who in zip(batch.jobs, choice, strict=True) if who is engineer]
            if len(new) > engineer.capacity:
                break
            orders = (follow(engineer, order) for order in _orders(engineer, new))
            found = [route.cost for route in orders if route is not None]
            if not found:
                break
            cost += min(found)
        else:
            left = (job for job, who in zip(batch.jobs, choice, strict=True) if who is None)
            yield cost + sum(UNSENT_MIN * WEIGHT[job.priority] for job in left)


def _orders(engineer: Engineer, new: Sequence[Job]) -> Iterator[tuple[Job, ...]]:
    for order in itertools.permutations([*engineer.queue, *new]):
        if tuple(job for job in order if job in engineer.queue) == engineer.queue:
            yield order


@given(batches(most_jobs=3, most_engineers=3))
def test_of_few_the_cheapest_plan_is_found(batch: Batch) -> None:
    possible = list(ways(batch))
    if possible:
        assert plan(batch).cost == pytest.approx(min(possible))


def test_everybody_is_told_why_with_figures() -> None:
    shift = shifts_of([(0.0, 480.0), (DAY, DAY + 480.0)])
    home, near, far = Place(49.0, 10.0), Place(49.1, 10.0), Place(50.0, 10.0)
    pump = Job(
        "pump", Priority.HIGH, -10.0, 60.0, near, frozenset({"alignment"}), 100.0, 500.0, frozenset({"6205", "seal"})
    )
    fan = Job("fan", Priority.LOW, -5.0, 60.0, None, frozenset({"gears"}))
    jo = Engineer("jo", "Jo", shift, 2, home, frozenset({"alignment"}), 60.0, parts=frozenset({"6205"}))
    kim = Engineer("kim", "Kim", shift, 2, far, frozenset({"alignment"}), 60.0)
    lee = Engineer("lee", "Lee", shift, 2, near)
    batch = Batch([pump, fan], [jo, kim, lee])
    of_pump, of_fan = proposals(batch, plan(batch), lambda _, minutes: f"+{minutes:.0f}")
    assert of_pump.engineer is jo
    road = ARRIVING_MIN + DETOUR * distance_km(home, near)
    assert of_pump.reasons[:-1] == (
        "has alignment",
        f"{road:.0f} min away",
        "part 6205 in the van",
        "part seal to be fetched: 45 min",
        f"by their clock sets off +0, there +{road + 45:.0f}, on shift until +480",
        f"promised on site by +100: {55 - road:.0f} min to spare",
        "given 1 of the 2 tickets that they have room for",
    )
    assert of_pump.reasons[-1].startswith("second best: Kim, there +")
    assert "min more on the road, 6205 not in the van" in of_pump.reasons[-1]
    assert of_fan.engineer is None
    assert of_fan.reasons == ("nobody can be sent: 3 without gears",)


def test_what_is_urgent_goes_before_what_is_queued() -> None:
    shift = shifts_of([(0.0, 480.0), (DAY, DAY + 480.0)])
    queued = Job("queued", Priority.LOW, -500.0, 240.0, None, on_site_due_min=3000.0)
    urgent = Job("urgent", Priority.URGENT, 0.0, 60.0, None, on_site_due_min=90.0)
    jo = Engineer("jo", "Jo", shift, 1, None, queue=(queued,))
    batch = Batch([urgent], [jo])
    assert [visit.job.id for visit in plan(batch).routes["jo"].visits] == ["urgent", "queued"]
    assert [visit.job.id for visit in first_come(batch).routes["jo"].visits] == ["queued", "urgent"]


def test_a_visit_fits_into_one_shift_with_its_break_or_waits_for_the_next() -> None:
    days = shifts_of([(0.0, 120.0), (150.0, 300.0), (DAY, DAY + 240.0)])
    assert days.begin(0.0, 200.0) == 0.0
    assert days.moment(200.0) == 230.0
    assert days.until(10.0) == 300.0
    after_lunch = days.begin(days.worked_at(160.0), 200.0)
    assert after_lunch is not None
    assert days.moment(after_lunch, setting_off=True) == DAY
    assert days.begin(0.0, 480.0) == 0.0, "longer than every shift: begun at once"
    assert days.begin(0.0, 600.0) is None


def test_shifts_follow_the_wall_clock() -> None:
    week = [((480, 720), (780, 1020))] * 5 + [()] * 2
    calendar = Calendar(ZoneInfo("Europe/Berlin"), week)
    friday = datetime(2026, 3, 27, 10, 30, tzinfo=UTC)  # 11:30; the clocks go forward on Sunday
    found = shifts_by(calendar, friday, 4)
    assert found.begins[:3] == (0.0, 90.0, 67.5 * 60)
    assert found.ends[:2] == (30.0, 330.0)


def test_the_way_there() -> None:
    nuremberg, hamburg = Place(49.4521, 11.0767), Place(53.5511, 9.9937)
    assert distance_km(nuremberg, hamburg) == pytest.approx(462, abs=2)
    assert travel_min(nuremberg, nuremberg, 50.0) == 0.0
    assert travel_min(None, hamburg, 50.0) == UNKNOWN_MIN
