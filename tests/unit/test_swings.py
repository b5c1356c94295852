"""A machine that loads and unloads: its load is told by means over its cycles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from detectors import swings
from detectors.in_mode import in_mode
from detectors.modes import Mode, Modes
from detectors.scores import Scores
from detectors.shift import Shift
from firmware_sim.duty import Duty, DutyKind
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import Machine, MachineSpec
from telemetry import Batch, Stream

START_MS = 1_763_740_800_000
CURRENT = Stream(0, 1, "works", "compressor-1", "motor_current", "current", "A")
DAY = ((0, "idle"), (5, "full"), (9, "part"), (15, "full"), (19, "off"))

Floats = npt.NDArray[np.float64]


def compressor(*faults: Fault, day: bool = True) -> Machine:
    duties = [Duty("compressor-1", hour, DutyKind(kind)) for hour, kind in DAY] if day else []
    return Machine(MachineSpec("compressor-1", "compressor", "", "works"), 1, faults, START_MS / 1000.0, duties=duties)


def currents(machine: Machine, hours: float, interval_s: int) -> tuple[npt.NDArray[np.int64], Floats]:
    time_ms = START_MS + np.arange(0, int(hours * 3_600_000), interval_s * 1000, dtype=np.int64)
    return time_ms, machine.run(time_ms)["motor_current"]


def batch_of(time_ms: npt.NDArray[np.int64], value: Floats) -> Batch:
    return Batch.of(time_ms * 1000, np.zeros(len(value), np.int32), value)


def test_idling_part_and_full_load_are_named_though_no_single_reading_tells_them() -> None:
    machine = compressor()
    time_ms, value = currents(machine, 60, 20)
    modes, said = Modes(), []
    modes.watch([CURRENT])
    for at in range(0, len(value), 15):
        modes.follow(batch_of(time_ms[at : at + 15], value[at : at + 15]))
        said += [modes.now()[1][0]] * len(value[at : at + 15])
    names = {"off": Mode.OFF, "idle": Mode.IDLE, "part": Mode.PART_LOAD, "full": Mode.FULL_LOAD}
    asked = [names[kind] for kind in machine.asked(time_ms)]
    right = np.array([one == other for one, other in zip(asked, said, strict=True)])
    assert right[len(right) * 2 // 5 :].mean() > 0.85


def test_a_leak_that_grows_within_hours_is_no_load_and_is_listened_to() -> None:
    leak = Fault("compressor-1", FaultKind.LEAK, 7200.0, 7200.0, 0.8)
    modes = Modes()
    modes.watch([CURRENT])
    turns = modes.follow(batch_of(*currents(compressor(leak, day=False), 4, 2)))[0]
    assert modes.memory["swings"][0]
    assert not [turn for turn in turns if turn.at_us > (START_MS + 3_600_000) * 1000]


def test_a_stop_is_seen_at_its_first_reading_and_so_is_a_load_after_idling() -> None:
    time_ms, value = currents(compressor(), 60, 20)
    modes = Modes()
    modes.watch([CURRENT])
    turns = modes.follow(batch_of(time_ms, value))[0]
    left_ms = np.array([turn.at_us // 1000 for turn in turns if turn.level < 0])
    stops = np.flatnonzero((value[1:] < 5.0) & (value[:-1] > 30.0)) + 1
    assert len(stops) >= 2
    assert np.isin(time_ms[stops[1:]], left_ms).all()


def test_what_is_known_does_not_depend_on_how_readings_are_cut() -> None:
    time_ms, value = currents(compressor(), 30, 20)
    whole, cut = Modes(), Modes()
    for modes in (whole, cut):
        modes.watch([CURRENT])
    whole.follow(batch_of(time_ms, value))
    cuts = sorted(np.random.default_rng(3).integers(1, len(value), 300).tolist())
    for begin, end in pairwise([0, *cuts, len(value)]):
        if begin < end:
            cut.follow(batch_of(time_ms[begin:end], value[begin:end]))
    theirs = whole.memory.snapshot()
    assert theirs["steps"][0]
    for name, column in cut.memory.snapshot().items():
        np.testing.assert_array_equal(column, theirs[name], err_msg=name)


def test_a_mean_begins_as_that_of_all_its_readings_and_then_forgets() -> None:
    assert [swings.weight(20e6, count) for count in (1, 2, 5)] == [1.0, 0.5, 0.2]
    assert swings.weight(20e6, 1000) == 1 / 12
    assert 1 / 202 < swings.weight(1e6, 1000) < 1 / 199


def test_what_departs_waits_for_its_load_to_be_known_where_loads_step() -> None:
    """The very departure, of a machine whose load steps and of one that has shown one load only."""
    first = {}
    for day in (True, False):
        time_ms, value = currents(compressor(day=day), 36.4, 20)
        detectors = in_mode({"shift": Shift()})
        vibration = Stream(1, 1, "works", "compressor-1", "vibration_velocity", "velocity", "mm/s")
        noise = 2.0 + np.random.default_rng(1).normal(size=len(value)) * 0.05
        # In the second night, at idle, or at the one load there is.
        noise[-200:] += 1.0
        scores: list[Scores] = []
        for detector in detectors.values():
            detector.watch([CURRENT, vibration])
        for at in range(0, len(value), 30):
            part = slice(at, at + 30)
            stamps = np.tile(time_ms[part] * 1000, 2)
            ids = np.repeat(np.arange(2, dtype=np.int32), len(value[part]))
            batch = Batch.of(stamps, ids, np.concatenate((value[part], noise[part])))
            for detector in detectors.values():
                scores.append(detector.score(batch, 0))
        hot = np.concatenate([s.time_us[(s.subject == 1) & (s.score >= 1.0)] for s in scores])
        first[day] = int(hot[hot >= time_ms[-200] * 1000].min())
    assert 7 * 60e6 < first[True] - first[False] < 12 * 60e6


def test_a_machine_first_heard_of_while_it_stands_has_one_level_until_it_starts() -> None:
    """All that its current does at first is noise: neither a swing nor levels."""
    rng = np.random.default_rng(7)
    time_ms = START_MS + np.arange(0, 12 * 3_600_000, 20_000, dtype=np.int64)
    standing = np.arange(len(time_ms)) < 1440
    value = np.where(standing, rng.normal(size=len(time_ms)) * 0.25, 40.0 + rng.normal(size=len(time_ms)) * 0.4)
    modes = Modes()
    modes.watch([CURRENT])
    modes.follow(batch_of(time_ms, value))
    assert not modes.memory["swings"][0]
    assert (~np.isnan(modes.memory["centre"][0, :, 1])).sum() == 2
    assert modes.now()[1][0] is Mode.RUNNING


def test_where_a_machine_was_at_rest_for_long_is_a_level_when_it_loads_and_unloads_elsewhere() -> None:
    for first in (DutyKind.IDLE, DutyKind.OFF):
        # By night first, whatever the hour at which it is first heard of.
        duties = [Duty("compressor-1", 16, first), Duty("compressor-1", 20, DutyKind.FULL)]
        machine = Machine(
            MachineSpec("compressor-1", "compressor", "", "works"), 1, (), START_MS / 1000.0 + 1200.0, duties=duties
        )
        time_ms = START_MS + 1_200_000 + np.arange(0, 8 * 3_600_000, 20_000, dtype=np.int64)
        modes = Modes()
        modes.watch([CURRENT])
        turns = modes.follow(batch_of(time_ms, machine.run(time_ms)["motor_current"]))[0]
        assert modes.memory["swings"][0]
        asked = np.array(machine.asked(time_ms))
        begun_us = int(time_ms[np.argmax(asked == DutyKind.FULL)]) * 1000
        before = {turn.level for turn in turns if turn.at_us < begun_us and turn.level >= 0}
        after = {turn.level for turn in turns if turn.at_us > begun_us and turn.level >= 0}
        assert before == {0}
        assert len(after) == 1
        assert not before & after


def test_a_level_is_where_its_detectors_have_learnt_it_though_a_step_crept_past() -> None:
    """A rise that the band has followed, then a stop, then the load before the rise: that is another level."""
    time_ms, value = currents(compressor(day=False), 8, 20)
    hours = (time_ms - START_MS) / 3_600_000
    rng = np.random.default_rng(3)
    share = np.interp(hours, [1.0, 3.0], [0.3, 0.75])
    share[hours > 5.0] = 0.3
    cycle = (time_ms / 90_000 + np.cumsum(rng.normal(size=len(time_ms))) * 0.02) % 1.0
    value = np.where(cycle < share, 88.0, 36.0) + rng.normal(size=len(time_ms)) * 0.3
    value[(hours > 4.0) & (hours < 5.0)] = 0.0
    modes = Modes()
    modes.watch([CURRENT])
    turns = modes.follow(batch_of(time_ms, value))[0]
    levels = [turn.level for turn in turns if turn.level >= 0 and not turn.off]
    assert levels[0] == 0
    assert levels[-1] != 0


def test_a_load_unlike_any_known_is_the_nearest_one_and_not_the_idling_before_it() -> None:
    """By the minute a mean of cycles ends now here, now there: of a machine long known the next best is meant."""
    name, day = "fresh-compressor-idle-2", ((0, "idle"), (5, "full"), (12, "part"), (14, "full"), (19, "idle"))
    duties = [Duty(name, hour, DutyKind(kind)) for hour, kind in day]
    machine = Machine(MachineSpec(name, "compressor", "", f"site-{name}"), 2, [], START_MS / 1000.0, duties=duties)
    time_ms = START_MS + np.arange(0, 14 * 86_400_000, 60_000, dtype=np.int64)
    read = machine.run(time_ms)
    points = (("motor_current", "current", "A"), ("duty_cycle", "share", "%"))
    streams = [Stream(number, 1, "works", name, *point) for number, point in enumerate(points)]
    numbers = np.repeat(np.arange(2, dtype=np.int32), 10)
    modes, said = Modes(), []
    modes.watch(streams)
    for at in range(0, len(time_ms), 10):
        part = slice(at, at + 10)
        values = np.concatenate([read[stream.point][part] for stream in streams])
        modes.follow(Batch.of(np.tile(time_ms[part] * 1000, 2), numbers, values))
        said.append(modes.now()[1][0])
    at_full = np.array([kind == "full" for kind in machine.asked(time_ms)][::10])
    idling = np.array([mode == Mode.IDLE for mode in said]) & at_full
    # Half an hour passes until a load is known; the first week is for learning.
    lasting = idling[3:] & idling[2:-1] & idling[1:-2] & idling[:-3]
    assert not lasting[7 * 144 :].any()
