"""The demonstration's plan: a past once, then fault after fault, each on a machine that was well."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from firmware_sim.demo import FIRST_ONSET_S, DemoState, demo_fleet
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.happenings import FleetEvent, Happening

NOW_S = 1_763_978_400.0


def play(state_dir: Path, now_s: float, minutes: float) -> list[Fault]:
    """What a run of so many minutes begins, and leaves in the state folder."""
    plan = demo_fleet(now_s, state_dir)
    state = DemoState.read(state_dir)
    state = DemoState(state.episode, state.has_history, state.until_s)
    state = state.after(FleetEvent(Happening.HISTORY, now_s)) if plan.past else state
    begun = [fault for fault in plan.scenario.faults if fault.onset_s <= 60.0 * minutes]
    for fault in begun:
        state = state.after(FleetEvent(Happening.FAULT, now_s + fault.onset_s, fault.device, fault))
        if fault.end_s <= 60.0 * minutes:
            state = state.after(FleetEvent(Happening.REPAIR, now_s + fault.end_s, fault.device, fault))
    state.write(state_dir)
    return begun


def test_the_first_run_has_a_past_and_a_fault_at_once(tmp_path: Path) -> None:
    plan = demo_fleet(NOW_S, tmp_path)
    assert plan.past[0].from_s == 6 * 3600
    assert plan.past[0].to_s == plan.past[1].from_s
    assert plan.past[-1].to_s == 0
    assert plan.scenario.faults[0].onset_s == FIRST_ONSET_S
    assert len(plan.machines) == 12


def test_a_second_run_sends_no_past_and_goes_on_in_the_rotation(tmp_path: Path) -> None:
    first = play(tmp_path, NOW_S, minutes=4)
    plan = demo_fleet(NOW_S + 3600, tmp_path)
    assert plan.past == ()
    assert plan.scenario.faults[0].onset_s == FIRST_ONSET_S
    assert plan.scenario.faults[0].device not in {fault.device for fault in first}
    assert set(plan.repaired) == {(fault.device, fault.kind.value) for fault in first}


@pytest.mark.parametrize("minutes", [0.5, 2, 8])
def test_twelve_faults_in_a_row_strike_twelve_machines_over_any_runs(tmp_path: Path, minutes: float) -> None:
    struck: list[str] = []
    while len(struck) < 12:
        struck += [fault.device for fault in play(tmp_path, NOW_S + 3600 * len(struck), minutes)]
    assert len(set(struck[:12])) == 12


def test_every_first_fault_is_sudden_and_kinds_vary(tmp_path: Path) -> None:
    firsts = [play(tmp_path, NOW_S + 3600 * run, minutes=0.5)[0] for run in range(12)]
    assert max(fault.growth_s for fault in firsts) < 10
    assert {fault.kind for fault in firsts} == {FaultKind.BEARING_WEAR, FaultKind.IMBALANCE}


def test_no_machine_has_two_faults_at_a_time(tmp_path: Path) -> None:
    faults = demo_fleet(NOW_S, tmp_path).scenario.faults
    assert len(faults) > 50
    for device in {fault.device for fault in faults}:
        own = [fault for fault in faults if fault.device == device]
        assert all(a.end_s < b.onset_s for a, b in itertools.pairwise(own))


def test_a_past_that_was_not_sent_whole_is_sent_again(tmp_path: Path) -> None:
    DemoState(episode=1, has_history=False, until_s=NOW_S - 60).write(tmp_path)
    assert demo_fleet(NOW_S, tmp_path).past


@pytest.mark.parametrize("content", ["", "{", "[]", '{"episode": 1}', '{"episode": "x", "active": 3}'])
def test_a_state_that_cannot_be_read_begins_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "fleet.json").write_text(content)
    assert DemoState.read(tmp_path) == DemoState()


def test_state_survives_the_file(tmp_path: Path) -> None:
    state = DemoState(5, True, NOW_S, (("pump-01", "leak"),))
    state.write(tmp_path / "deeper")
    assert DemoState.read(tmp_path / "deeper") == state
    assert [path.name for path in (tmp_path / "deeper").iterdir()] == ["fleet.json"]
