"""Operating modes: what a machine is doing, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from alarms.events import AlarmEvent, Kind, Severity
from alarms.rules import DEFAULT_RULES, Rule
from alarms.watch import Watch
from detectors import Flatline, Limit, Limits, Shift
from detectors.in_mode import InMode, Roll, in_mode
from detectors.modes import Mode
from detectors.settling import Settling
from detectors.watchman import Watchman
from firmware_sim.duty import Duty, DutyKind
from firmware_sim.machine import Machine, MachineSpec
from telemetry import Batch, Stream, quantity_of

START_US = 1_763_740_800_000_000
STEP_US = 5_000_000
HOUR = 720  # rows
POINTS = ("speed", "motor_current", "flow", "bearing_temperature", "vibration_velocity")
FULL, PART, OFF = (1480.0, 20.0, 75.0, 60.0, 1.8), (1200.0, 12.0, 50.0, 50.0, 1.2), (0.0, 0.0, 0.0, 25.0, 0.1)
NOISE = np.array((2.0, 0.1, 0.5, 0.2, 0.05))

Floats = npt.NDArray[np.float64]


def streams(points: Sequence[str] = POINTS) -> list[Stream]:
    return [
        Stream(number, 1, "demo", "pump-01", point, quantity_of(point).name, "") for number, point in enumerate(points)
    ]


def course(*stays: tuple[tuple[float, ...], float], seed: int = 1, settle_s: float = 300.0) -> Floats:
    """Rows (N, C) of a machine that is for some hours at each of these levels; its temperature follows slowly."""
    target = np.concatenate([np.tile(level, (int(hours * HOUR), 1)) for level, hours in stays])
    warm, slow = target[0, 3], np.empty(len(target))
    for row, aim in enumerate(target[:, 3].tolist()):
        warm += (aim - warm) * STEP_US / 1e6 / settle_s
        slow[row] = warm
    target[:, 3] = slow
    return target + np.random.default_rng(seed).normal(size=target.shape) * NOISE


def batch_of(rows: Floats, first: int = 0) -> Batch:
    time_us = START_US + (first + np.arange(len(rows))) * STEP_US
    count = rows.shape[1]
    return Batch.of(np.tile(time_us, count), np.repeat(np.arange(count), len(rows)), rows.T.ravel())


def played(rows: Floats, watch: Watch, at_once: int = 12, first: int = 0) -> list[AlarmEvent]:
    events = []
    for begin in range(0, len(rows), at_once):
        batch = batch_of(rows[begin : begin + at_once], first + begin)
        events += watch.step(batch, int(batch.time_us.max()))
    return events


def shift_watch(*, modes: bool = True) -> Watch:
    detectors = {"shift": Shift(), "flatline": Flatline()}
    watch = Watch(in_mode(detectors) if modes else detectors, {"demo": DEFAULT_RULES})
    watch.watch(streams())
    return watch


def raised(events: Sequence[AlarmEvent]) -> list[tuple[str, str]]:
    return [(event.detector, event.point) for event in events if event.kind is Kind.RAISED]


DAY = ((FULL, 2.0), (OFF, 2.0), (FULL, 2.0), (PART, 2.0), (FULL, 1.5), (OFF, 1.0), (PART, 1.5))


def shares_named_right(machine: Machine, days: int, interval_s: int, at_once: int) -> dict[str, float]:
    """Of each duty in the second half of so many days, what share of its time was named as it was asked."""
    time_ms = START_US // 1000 + np.arange(0, days * 86_400_000, interval_s * 1000)
    said = said_of(machine, time_ms, at_once)
    asked = [kind.value for kind in machine.asked(time_ms)]
    names = {"off": {Mode.OFF}, "idle": {Mode.IDLE}, "part": {Mode.PART_LOAD}, "full": {Mode.FULL_LOAD, Mode.RUNNING}}
    half = len(asked) // 2
    pairs = list(zip(asked, said, strict=True))[half:]
    return {
        duty: float(np.mean([mode in names[duty] for asked_for, mode in pairs if asked_for == duty]))
        for duty in sorted(set(asked))
    }


def said_of(machine: Machine, time_ms: npt.NDArray[np.int64], at_once: int) -> list[Mode]:
    read = machine.run(time_ms)
    points = list(read)
    watchman = Watchman()
    watchman.watch(streams(points))
    said: list[Mode] = []
    for begin in range(0, len(time_ms), at_once):
        part = slice(begin, begin + at_once)
        times = np.tile(time_ms[part] * 1000, len(points))
        ids = np.repeat(np.arange(len(points)), len(time_ms[part]))
        watchman.score(Batch.of(times, ids, np.concatenate([read[point][part] for point in points])), 0)
        said += [watchman.now()[1][0]] * len(time_ms[part])
    return said


def test_a_swinging_machine_that_stood_at_night_is_told_from_one_that_stands() -> None:
    duties = [Duty("m", 6, DutyKind.FULL), Duty("m", 22, DutyKind.OFF)]
    machine = Machine(MachineSpec("m", "compressor", "", "works"), duties=duties)
    shares = shares_named_right(machine, days=4, interval_s=20, at_once=30)
    assert shares["off"] > 0.95
    assert shares["full"] > 0.95


def test_a_load_that_takes_long_to_come_to_rest_swallows_no_level() -> None:
    device = "budget-gearmotor-idle-1"
    day = ((0, "idle"), (5, "full"), (12, "part"), (14, "full"), (19, "idle"))
    duties = [Duty(device, hour, DutyKind(kind)) for hour, kind in day]
    machine = Machine(MachineSpec(device, "gearmotor", "", f"site-{device}"), 1, (), START_US / 1e6, duties=duties)
    shares = shares_named_right(machine, days=12, interval_s=60, at_once=10)
    assert min(shares.values()) > 0.9, shares


def test_modes_are_named_as_the_machine_was_asked() -> None:
    duties = [Duty("m", hour, DutyKind(kind)) for hour, kind in ((5, "part"), (9, "full"), (12, "idle"), (13, "full"))]
    machine = Machine(MachineSpec("m", "pump", "", "works"), duties=[*duties, Duty("m", 21, DutyKind.OFF)])
    time_ms = START_US // 1000 + np.arange(0, 2 * 86_400_000, 20_000)
    asked = np.array(machine.asked(time_ms))
    said = said_of(machine, time_ms, 9)
    names = {"off": Mode.OFF, "idle": Mode.IDLE, "part": Mode.PART_LOAD, "full": Mode.FULL_LOAD}
    right = np.array([names[kind] == mode for kind, mode in zip(asked, said, strict=True)])
    assert right[len(right) // 2 :].mean() > 0.97


def test_a_machine_that_has_shown_one_level_is_in_a_mode_unknown() -> None:
    watchman = Watchman()
    watchman.watch(streams())
    watchman.score(batch_of(course((FULL, 2.0))), 0)
    assert watchman.now() == {1: (Mode.UNKNOWN, START_US)}


def test_a_machine_without_a_tell_tale_is_left_alone() -> None:
    watchman = Watchman()
    watchman.watch(streams(("bearing_temperature", "vibration_velocity")))
    sight = watchman.sight(batch_of(course((FULL, 0.5), (OFF, 0.5))[:, 3:]))
    assert sight.settled is None
    assert sight.lot is None
    assert watchman.now() == {}


def test_standing_and_load_steps_raise_nothing_and_would() -> None:
    rows = course(*DAY)
    assert raised(played(rows, shift_watch(), 60)) == []
    assert len(raised(played(rows, shift_watch(modes=False), 60))) > 5


@pytest.mark.parametrize("seed", range(3))
def test_a_fault_is_found_at_the_level_where_it_is(seed: int) -> None:
    rows = course((FULL, 2.0), (PART, 2.0), (FULL, 2.0), (PART, 2.0), seed=seed)
    rows[-HOUR:, 4] += 0.6
    assert ("shift", "vibration_velocity") in raised(played(rows, shift_watch()))


def test_an_alarm_outlasts_a_load_step_and_a_stop_and_returns_when_the_level_is_well_again() -> None:
    ill = tuple(np.add(FULL, (0, 0, 0, 0, 1.5)))
    rows = course(
        *((FULL, 2.0), (PART, 2.0), (FULL, 2.0), (ill, 0.5), (PART, 2.0), (OFF, 1.0), (ill, 1.0), (OFF, 1.0)),
        (FULL, 2.0),
    )
    events = [event for event in played(rows, shift_watch()) if event.point == "vibration_velocity"]
    assert [event.kind for event in events if event.kind is not Kind.ESCALATED] == [Kind.RAISED, Kind.RETURNED]
    hours = [(event.at_us - START_US) / 3.6e9 for event in events]
    assert 6.0 < hours[0] < 6.1
    assert hours[-1] > 11.5


def test_a_departure_before_the_stop_is_raised_while_the_machine_stands() -> None:
    patient = Rule("s", "shift", "condition", ((1.0, Severity.MEDIUM),), on_delay_s=300.0)
    watch = Watch(in_mode({"shift": Shift()}), {"demo": [patient]})
    watch.watch(streams())
    rows = course((FULL, 2.0), (OFF, 1.0), (FULL, 2.0), (OFF, 0.5))
    rows[5 * HOUR - 24 : 5 * HOUR, 4] += 3.0  # two minutes, then it trips
    events = played(rows, watch)
    assert raised(events) == [("shift", "vibration_velocity")]
    assert (events[0].at_us - START_US) / 3.6e9 > 5.0


def test_a_departure_that_is_the_stop_itself_is_taken_back() -> None:
    rows = course((FULL, 2.0), (OFF, 1.0), (FULL, 2.0), (OFF, 1.0))
    rows[5 * HOUR - 1, 4] = 50.0
    early = Rule("s", "shift", "condition", ((1.0, Severity.MEDIUM),), on_delay_s=60.0)
    watch = Watch(in_mode({"shift": Shift()}), {"demo": [early]})
    watch.watch(streams())
    assert raised(played(rows, watch)) == []


def test_limits_speak_of_a_machine_that_stands() -> None:
    detectors = {"limits": Limits(lambda stream: Limit(hihi=90.0, hi=80.0) if stream.id == 3 else None)}
    watch = Watch(in_mode(detectors), {"demo": (*DEFAULT_RULES, LIMIT_RULE)})
    watch.watch(streams())
    rows = course((FULL, 1.0), (OFF, 1.0))
    rows[-100:, 3] = 95.0
    assert raised(played(rows, watch)) == [("limits", "bearing_temperature")]


LIMIT_RULE = Rule(
    "hot", "limits", "condition", ((1.0, Severity.HIGH),), point="bearing_*", limit=Limit(hihi=90.0, hi=80.0)
)


def test_what_creeps_and_a_throughput_that_falls_make_no_level() -> None:
    creeping = course((FULL, 6.0))
    creeping[HOUR:, 1] += np.linspace(0.0, 12.0, len(creeping) - HOUR)
    blocked = course((FULL, 6.0))
    blocked[3 * HOUR :, 2] -= 40.0
    for rows in (creeping, blocked):
        watchman = Watchman()
        watchman.watch(streams())
        watchman.score(batch_of(rows), 0)
        assert watchman.now()[1][0] is Mode.UNKNOWN
        assert watchman.lot(1) == 0


def test_a_new_level_after_the_first_day_is_judged_before_it_is_believed() -> None:
    heavy = tuple(np.multiply(FULL, 1.4))
    watchman = Watchman()
    watchman.watch(streams())
    watchman.score(batch_of(course((FULL, 25.0), (heavy, 1.0))), 0)
    assert watchman.lot(1) == 0
    watchman.score(batch_of(course((FULL, 1.0), (heavy, 1.0)), 26 * HOUR), 0)
    assert watchman.lot(1) == 1


def test_a_machine_that_alternates_all_the_time_does_nothing_else() -> None:
    one, other = tuple(np.multiply(FULL, 0.5)), FULL
    rows = course(*[(level, 1 / 40) for _ in range(100) for level in (one, other)], settle_s=5.0)
    watchman = Watchman()
    watchman.watch(streams())
    sights = [watchman.sight(batch_of(rows[at : at + 12], at)) for at in range(0, len(rows), 12)]
    shares = [1.0 if sight.settled is None else float(sight.settled.mean()) for sight in sights]
    assert np.mean(shares[len(shares) // 2 :]) > 0.95


@pytest.mark.parametrize("earlier", [False, True])
def test_a_machine_whose_tell_tales_fall_silent_is_judged_again(earlier: bool) -> None:
    """A memory of an earlier version does not say when they spoke last."""
    watchman = Watchman()
    watchman.watch(streams())
    watchman.score(batch_of(course((FULL, 1.0), (OFF, 1.0))), 0)
    if earlier:
        memory = {name: column for name, column in watchman.snapshot().items() if name != "state/heard_us"}
        watchman = Watchman()
        watchman.watch(streams())
        watchman.restore(memory)
    rest = batch_of(course((FULL, 6.0)), 2 * HOUR)
    sight = watchman.sight(rest.where(rest.stream >= 3))
    assert sight.settled is not None
    assert not sight.settled[:HOUR].any()
    assert sight.settled[5 * HOUR : 6 * HOUR].all()


def test_what_is_seen_does_not_depend_on_how_readings_are_cut() -> None:
    rows = course(*DAY, settle_s=900.0)
    rng = np.random.default_rng(5)
    whole = Watchman()
    whole.watch(streams())
    sight = whole.sight(batch_of(rows))
    assert sight.settled is not None
    assert sight.lot is not None
    settled, lot = sight.settled.reshape(len(POINTS), -1), sight.lot.reshape(len(POINTS), -1)
    cut = Watchman()
    cut.watch(streams())
    for begin, end in pairwise([0, *sorted(rng.integers(1, len(rows), 400).tolist()), len(rows)]):
        if begin == end:
            continue
        part = cut.sight(batch_of(rows[begin:end], begin))
        everything = np.ones(len(POINTS) * (end - begin), bool)
        ours = (everything if part.settled is None else part.settled).reshape(len(POINTS), -1)
        np.testing.assert_array_equal(ours, settled[:, begin:end])
        if part.lot is not None:
            np.testing.assert_array_equal(part.lot.reshape(len(POINTS), -1)[ours], lot[:, begin:end][ours])
        if rng.random() < 0.1:
            fresh = Watchman()
            fresh.watch(streams())
            fresh.restore(cut.snapshot())
            cut = fresh
    ours, theirs = cut.snapshot(), whole.snapshot()
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_a_point_that_speaks_when_all_others_have_settled_is_not_waited_for_however_readings_are_cut() -> None:
    batch = batch_of(course((FULL, 1.0), (PART, 2.0)))
    since_step_s = (batch.time_us - START_US) / 1e6 - 3600.0
    batch = batch.where((batch.stream != 4) | (since_step_s < 0) | (since_step_s > 5400))
    steady = []
    for rows in (3 * HOUR, 12, 1):
        watchman = Watchman()
        watchman.watch(streams())
        found: dict[tuple[int, int], bool] = {}
        for part in batch.cut(START_US + np.arange(rows, 3 * HOUR, rows) * STEP_US):
            told = watchman.sight(part).steady
            known = np.ones(len(part), bool) if told is None else told
            found.update(
                zip(zip(part.stream.tolist(), part.time_us.tolist(), strict=True), known.tolist(), strict=True)
            )
        steady.append(found)
    assert steady[0] == steady[1] == steady[2]
    assert not steady[0][0, START_US + int(1.1 * HOUR) * STEP_US]
    assert steady[0][0, START_US + int(2.4 * HOUR) * STEP_US]
    assert steady[0][4, START_US + int(2.6 * HOUR) * STEP_US]


def test_scores_go_on_after_a_restart_and_however_readings_are_cut() -> None:
    rows = course(*DAY)
    rows[-300:, 4] += 1.0
    once, often = shift_watch(), shift_watch()
    events = played(rows, once, 97)
    half = 4 * HOUR + 7
    again = played(rows[:half], often, 31)
    restarted = shift_watch()
    assert restarted.restore(often.snapshot()) == []
    again += played(rows[half:], restarted, 50, half)
    assert [(e.kind, e.point, e.at_us) for e in again] == [(e.kind, e.point, e.at_us) for e in events]
    assert events


@pytest.mark.parametrize("blip", range(2000, 2032, 4))
def test_a_fault_that_follows_a_change_is_not_taken_for_it_however_readings_are_cut(blip: int) -> None:
    """The current jumps for a quarter of a minute; soon after, the machine begins to shake."""
    rows = course((FULL, 4.0))
    rows[blip : blip + 3, 1] += 6.0
    rows[blip + 7 :, 4] += 1.5
    told = [
        [(event.kind, event.point, event.since_us, event.at_us) for event in played(rows, shift_watch(), at_once)]
        for at_once in (len(rows), 1, 7)
    ]
    assert told[0] == told[1] == told[2]
    assert [point for kind, point, *_ in told[0] if kind is Kind.RAISED] == ["vibration_velocity"]


def test_a_memory_from_before_there_were_modes_is_that_of_the_first_level() -> None:
    rows = course((FULL, 1.0))
    before = Shift()
    before.watch(streams())
    before.score(batch_of(rows), 0)
    after = InMode(Shift(), Watchman(), Roll())
    after.watch(streams())
    after.restore(before.snapshot())
    assert not np.isnan(after.score(batch_of(rows[:10], HOUR), 0).score).all()


def test_a_point_has_settled_when_it_makes_no_more_headway() -> None:
    time_us = np.arange(1440) * STEP_US
    rng = np.random.default_rng(3)
    warming = 60.0 - 35.0 * np.exp(-time_us / 600e6) + rng.normal(size=1440) * 0.2
    fast = 75.0 + rng.normal(size=1440) * 0.5
    settling = Settling()
    settling.watch(streams())
    settling.begin([3, 2], 0)
    slow_s = 5.0 * float(np.argmax(settling.settled(3, time_us, warming)))
    fast_s = 5.0 * float(np.argmax(settling.settled(2, time_us, fast)))
    assert 1800 < slow_s < 7200
    assert fast_s <= 600
    assert not settling.waiting([3, 2])


def test_memory_of_a_machine_is_small() -> None:
    watchman = Watchman()
    watchman.watch(
        [Stream(n, n // 8, "demo", str(n // 8), "speed" if n % 8 == 0 else f"p{n}", "speed", "") for n in range(800)]
    )
    size = sum(column.nbytes for column in watchman.snapshot().values())
    assert size / 100 < 1500
