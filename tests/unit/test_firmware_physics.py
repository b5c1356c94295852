"""The machines behave as a mechanic expects: curves, heat, vibration, and each fault in the channels it belongs to."""

from __future__ import annotations

import numpy as np
import pytest

from firmware_sim import compressor, pump
from firmware_sim.conditions import Conditions
from firmware_sim.duty import Duty, DutyKind
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.lag import Lag
from firmware_sim.machine import MODELS, Machine, MachineSpec
from firmware_sim.noise import Floats, Indices
from firmware_sim.pump import Pump

MONDAY_MS = 1_763_942_400_000
HOUR_MS = 3_600_000
FAULTS = [(kind, fault) for kind, model in MODELS.items() for fault in model.effects]


def spec_of(kind: str) -> MachineSpec:
    return MachineSpec(f"{kind}-01", kind, "model", "site")


def seconds(count: int, start_ms: int = MONDAY_MS + 10 * HOUR_MS) -> Indices:
    return start_ms + 1000 * np.arange(count, dtype=np.int64)


def steady(load: float, damages: dict[FaultKind, Floats] | None = None, count: int = 4000) -> Conditions:
    """Constant load and weather, long enough for everything to settle."""
    index = seconds(count)
    whole = np.ones(count)
    return Conditions(index / 1000.0, index, whole, 20.0 * whole, load * whole, whole, damages or {})


def broken(kind: str, fault: FaultKind, time_ms: Indices) -> dict[str, Floats]:
    """A machine with an old, full damage."""
    old = Fault(f"{kind}-01", fault, -20_000.0, 1.0)
    return Machine(spec_of(kind), faults=[old], origin_s=time_ms[0] / 1000.0).run(time_ms)


@pytest.mark.parametrize(("kind", "fault"), FAULTS)
def test_fault_moves_its_channels_in_their_direction_and_no_other(kind: str, fault: FaultKind) -> None:
    time_ms = seconds(1200)
    healthy, faulty = Machine(spec_of(kind)).run(time_ms), broken(kind, fault, time_ms)
    effect = MODELS[kind].effects[fault]
    for sensor in MODELS[kind].sensors:
        noise = np.hypot(sensor.noise, sensor.noise_share * np.abs(healthy[sensor.point]).mean())
        shift = float((faulty[sensor.point] - healthy[sensor.point]).mean()) / noise
        if sensor.point in effect.up:
            assert shift > 2.0, f"{sensor.point} should rise, moved {shift:+.1f} times its noise"
        elif sensor.point in effect.down:
            assert shift < -2.0, f"{sensor.point} should fall, moved {shift:+.1f} times its noise"
        elif sensor.point not in effect.also:
            np.testing.assert_array_equal(faulty[sensor.point], healthy[sensor.point], err_msg=sensor.point)


# A leak behind a compressor shows in the rhythm of loading: no single sample tells it.
TOLD_BY_A_SAMPLE = [pair for pair in FAULTS if pair != ("compressor", FaultKind.LEAK)]


@pytest.mark.parametrize(("kind", "fault"), TOLD_BY_A_SAMPLE)
def test_leading_channel_tells_first(kind: str, fault: FaultKind) -> None:
    time_ms, growth_s = seconds(1800), 900.0
    healthy = Machine(spec_of(kind)).run(time_ms)
    growing = Fault(f"{kind}-01", fault, 60.0, growth_s)
    faulty = Machine(spec_of(kind), faults=[growing], origin_s=time_ms[0] / 1000.0).run(time_ms)

    def first_told(point: str) -> int:
        sensor = next(s for s in MODELS[kind].sensors if s.point == point)
        noise = np.hypot(sensor.noise, sensor.noise_share * np.abs(healthy[point]).mean())
        beyond = np.abs(faulty[point] - healthy[point]) > 6.0 * noise
        return int(np.argmax(beyond)) if beyond.any() else len(time_ms)

    told = {sensor.point: first_told(sensor.point) for sensor in MODELS[kind].sensors}
    assert told[MODELS[kind].effects[fault].leading] == min(told.values()), told
    assert min(told.values()) > 60, "nothing may show before the onset"


def test_head_follows_the_affinity_laws_at_every_speed() -> None:
    loads = np.linspace(0.5, 1.1, 4000)
    conditions = steady(1.0)
    true = Pump(1).run(
        Conditions(
            conditions.t_s, conditions.index, conditions.dt_s, conditions.ambient_degc, loads, conditions.running, {}
        )
    )
    speed = true["speed"] / pump.RATED_RPM
    head = (true["discharge_pressure"] - true["suction_pressure"]) / pump.BAR_PER_M
    curve = (pump.SHUT_OFF_HEAD_M - pump.BEST_HEAD_M) / pump.BEST_FLOW_M3_H**2
    assert np.ptp(speed) > 0.09
    np.testing.assert_allclose(head / speed**2 + curve * (true["flow"] / speed) ** 2, pump.SHUT_OFF_HEAD_M, rtol=1e-9)


def test_pump_works_harder_and_warmer_with_load() -> None:
    idle, busy = Pump(1).run(steady(0.6)), Pump(1).run(steady(1.0))
    for point in ("speed", "flow", "discharge_pressure", "motor_current", "bearing_temperature", "vibration_velocity"):
        assert busy[point][-1] > idle[point][-1], point


def test_vibration_of_an_imbalance_follows_the_square_of_speed() -> None:
    damage = {FaultKind.IMBALANCE: np.full(4000, 0.7)}
    added, speed = [], []
    for load in (0.5, 1.0):
        healthy, faulty = Pump(1).run(steady(load)), Pump(1).run(steady(load, damage))
        added.append(np.sqrt(faulty["vibration_velocity"][-1] ** 2 - healthy["vibration_velocity"][-1] ** 2))
        speed.append(faulty["speed"][-1])
    assert added[1] / added[0] == pytest.approx((speed[1] / speed[0]) ** 2, rel=1e-6)


def test_cavitation_makes_the_flow_restless() -> None:
    time_ms = seconds(1200)
    healthy, faulty = Machine(spec_of("pump")).run(time_ms), broken("pump", FaultKind.CAVITATION, time_ms)
    for point in ("flow", "discharge_pressure"):
        assert np.diff(faulty[point]).std() > 2.0 * np.diff(healthy[point]).std(), point


def test_heat_lags_behind_the_vibration_of_a_worn_bearing() -> None:
    time_ms = seconds(3 * 3600)
    sudden = Fault("pump-01", FaultKind.BEARING_WEAR, 600.0, 1.0)
    worn = Machine(spec_of("pump"), faults=[sudden], origin_s=time_ms[0] / 1000.0).run(time_ms)
    healthy = Machine(spec_of("pump")).run(time_ms)
    vibration = worn["vibration_velocity"] - healthy["vibration_velocity"]
    warmth = worn["bearing_temperature"] - healthy["bearing_temperature"]
    assert vibration[610:640].mean() == pytest.approx(vibration[-60:].mean(), rel=0.1)
    assert warmth[610:640].mean() < 0.1 * warmth[-60:].mean()
    after_one_time_constant = warmth[600 + int(pump.BEARING_S)] / warmth[-60:].mean()
    assert after_one_time_constant == pytest.approx(1 - np.exp(-1), abs=0.03)


def test_lag_is_exact_whatever_the_step() -> None:
    fine, coarse = Lag(), Lag()
    fine.follow(np.zeros(1), np.ones(1), 50.0)
    coarse.follow(np.zeros(1), np.ones(1), 50.0)
    stepwise = fine.follow(np.ones(100), np.ones(100), 50.0)
    at_once = coarse.follow(np.ones(1), np.full(1, 100.0), 50.0)
    assert stepwise[-1] == pytest.approx(1 - np.exp(-2.0))
    assert at_once[-1] == pytest.approx(stepwise[-1])


def test_motor_started_on_line_draws_several_times_its_current_for_seconds() -> None:
    six = MONDAY_MS + 6 * HOUR_MS
    time_ms = seconds(600, six - 120_000)
    read = Machine(spec_of("gearmotor"), shifts=True).run(time_ms)
    assert np.abs(read["motor_current"][:119]).max() < 0.5
    assert np.abs(read["speed"][:119]).max() < 4.0
    inrush = read["motor_current"][119:124].max()
    running = np.median(read["motor_current"][-60:])
    assert 3.0 * running < inrush < 8.0 * running
    assert read["winding_temperature"][-1] > read["winding_temperature"][100] + 5.0


def test_a_machine_does_what_its_day_asks_of_it() -> None:
    kinds = ("off", "idle", "part", "full")
    for kind in MODELS:
        duties = [Duty("m", 6.0 * number, DutyKind(name)) for number, name in enumerate(kinds)]
        machine = Machine(MachineSpec("m", kind, "", "works"), duties=duties)
        time_ms = MONDAY_MS + np.arange(0, 24 * HOUR_MS, 10_000)
        asked, read = np.array(machine.asked(time_ms)), machine.run(time_ms)
        effort = [float(read["motor_current"][asked == name].mean()) for name in kinds]
        assert effort == sorted(effort), kind
        assert effort[0] < 0.02 * effort[3], kind
        assert effort[1] < 0.6 * effort[3], kind


def test_compressor_loads_and_unloads_between_its_pressures() -> None:
    read = Machine(spec_of("compressor")).run(seconds(3600))
    pressure = read["discharge_pressure"]
    low, high = compressor.LOAD_AT_BAR, compressor.LOAD_AT_BAR + compressor.BAND_BAR
    assert low - 0.06 < pressure.min() < low + 0.06
    assert high - 0.06 < pressure.max() < high + 0.06
    loaded = read["motor_current"] > (compressor.LOADED_A + compressor.UNLOADED_A) / 2
    assert 100 * loaded.mean() == pytest.approx(read["duty_cycle"].mean(), abs=3.0)
    rising = np.diff(pressure)[loaded[:-1] & loaded[1:]].mean()
    falling = np.diff(pressure)[~loaded[:-1] & ~loaded[1:]].mean()
    assert rising > 0 > falling


def test_compressor_that_cannot_keep_up_runs_loaded_and_sags() -> None:
    leaking = broken("compressor", FaultKind.LEAK, seconds(3600))
    assert leaking["duty_cycle"].mean() > 98.0
    assert leaking["discharge_pressure"].mean() < compressor.LOAD_AT_BAR


def test_afternoons_are_warmer_than_nights() -> None:
    night = Machine(spec_of("gearmotor")).run(seconds(600, MONDAY_MS + 3 * HOUR_MS))["oil_temperature"].mean()
    afternoon = Machine(spec_of("gearmotor")).run(seconds(600, MONDAY_MS + 16 * HOUR_MS))["oil_temperature"].mean()
    assert afternoon > night + 1.5
