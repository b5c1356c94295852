"""Diagnosis: the fault library, how far points have moved, and which failure modes that speaks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.detection.simulated import MODES
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec
from prognosis.diagnosis import Diagnosis, diagnose
from prognosis.faults import BadLibrary, FailureMode, library
from prognosis.roles import roles_of
from prognosis.signature import Course, Departure, departures
from telemetry.quantities import quantity_of

START_S = 1_763_740_800
ONSET_S, GROWTH_S, END_S = 2400, 1200, 3600

OWN_MODE = """
[[modes]]
id = "mixer.shear_pin"
name = "Shear pin broken"
failure_mode = "LOO"
mechanism = "breakage"
machines = ["mixer"]
signature = { torque = "--", current = "-" }
told_apart = "Torque is gone at full speed."
confirm = "Look at the pin."
remedy = "Replace the pin."
"""


def moved(point: str, z: float, **more: object) -> Departure:
    quantity = quantity_of(point)
    roles = roles_of(point, quantity.name)
    return Departure(point, quantity.name, quantity.unit, roles, z, 10.0, 10.0 + z / 10, **more)  # type: ignore[arg-type]


def course(point: str, value: np.ndarray) -> Course:
    quantity = quantity_of(point)
    time_us = (START_S + np.arange(len(value), dtype=np.int64)) * 1_000_000
    return Course(point, quantity.name, quantity.unit, time_us, value)


def us(second: int) -> int:
    return (START_S + second) * 1_000_000


def named(diagnosis: Diagnosis) -> list[str]:
    return [suspect.mode.id for suspect in diagnosis.suspects]


# The library --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "fault"), [pair for pair in MODES if not pair[1].endswith("sensor")])
def test_the_library_says_of_each_fault_of_the_simulator_what_its_physics_does(kind: str, fault: str) -> None:
    effect = MODELS[kind].effects[FaultKind(fault)]
    mode = next(mode for mode in library() if mode.id == MODES[kind, fault])

    def expected(point: str) -> str:
        return mode.expects(roles_of(point, quantity_of(point).name))

    assert mode.concerns(kind)
    # Where the simulator's leading point is the pressure behind a starving pump, the one before it tells as well.
    assert expected(effect.leading).startswith(("+", "-"))
    assert [point for point in effect.up if expected(point).startswith("-")] == []
    assert [point for point in effect.down if expected(point).startswith("+")] == []


def test_a_plant_adds_its_own_modes_and_replaces_ours(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    replaced = OWN_MODE.replace("mixer.shear_pin", "imbalance")
    path.write_text(OWN_MODE + replaced)
    modes = {mode.id: mode for mode in library(path)}
    assert modes["imbalance"].name == modes["mixer.shear_pin"].name == "Shear pin broken"
    assert len(modes) == len(library()) + 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('torque = "--"', 'spin = "--"'), "spin is no role"),
        (('torque = "--"', 'torque = "---"'), "torque is one of"),
        (('id = "mixer.shear_pin"', "id = 3"), "id is a text"),
        (('remedy = "Replace the pin."', ""), "remedy is a text"),
        (('machines = ["mixer"]', 'machines = "mixer"'), "machines is a list"),
        (("signature = {", 'instrument = "moves"\nsignature = {'), "either a signature or"),
        (('machines = ["mixer"]', "prior = 0"), "prior is a number above 0"),
        (("[[modes]]", "[[mode]]"), "a list of"),
        (('name = "Shear', 'nom = "Shear'), "nom is unknown"),
    ],
)
def test_a_library_is_taken_whole_or_not_at_all(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN_MODE.replace(*change))
    with pytest.raises(BadLibrary, match=complaint):
        library(path)


def test_two_modes_of_one_id_are_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN_MODE + OWN_MODE)
    with pytest.raises(BadLibrary, match="same id"):
        library(path)


def test_no_mode_is_without_a_test_that_confirms_it() -> None:
    modes = library()
    assert [mode.id for mode in modes if len(mode.confirm) < 20 or len(mode.told_apart) < 20] == []
    assert {mode.instrument for mode in modes} == {"", "moves", "still", "rough"}


@pytest.mark.parametrize("kind", ["pump", "motor", "gearbox", "fan", "compressor"])
def test_each_kind_has_modes_of_its_own_and_each_says_how_soon_and_how_it_is_mended(kind: str) -> None:
    own = [mode for mode in library() if mode.machines and mode.concerns(kind)]
    assert len(own) >= 5
    for mode in own:
        assert mode.urgency, mode.id
        assert mode.procedure is not None, mode.id
        assert mode.procedure.skills, mode.id
        assert len(mode.procedure.steps) >= 4, mode.id


def test_whoever_takes_a_machine_apart_is_told_to_lock_it_first() -> None:
    """A step that measures before and after, and one that warns of what is stored."""
    procedures = {mode.procedure.id: mode.procedure for mode in library() if mode.procedure}
    apart = ("bearing.replace", "rotor.balance", "shaft.align", "gear.replace", "belt.tension", "pump.overhaul")
    for name in apart:
        locks = [step for step in procedures[name].steps if "lock" in step.do]
        assert locks[0].warn, name
    assert [name for name, one in procedures.items() if not any(step.measure for step in one.steps)] == []


def test_a_plant_says_its_own_procedures_and_ours_of_that_name_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        OWN_MODE.replace('confirm = "', 'urgency = "now"\nprocedure = "mixer.pin"\nconfirm = "')
        + '[[procedures]]\nid = "mixer.pin"\nname = "Replace the pin"\nsteps = ["Lock it.", "Replace the pin."]\n'
        + '[[procedures]]\nid = "rotor.balance"\nname = "As we balance"\nsteps = [{ do = "Call Jo." }]\n'
    )
    modes = {mode.id: mode for mode in library(path)}
    own, ours = modes["mixer.shear_pin"].procedure, modes["imbalance"].procedure
    assert own is not None
    assert ours is not None
    assert (own.name, [step.do for step in own.steps]) == ("Replace the pin", ["Lock it.", "Replace the pin."])
    assert ours.name == "As we balance"


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ("[]", "steps is a list"),
        ("[3]", "a step is a text"),
        ('[{ warn = "hot" }]', "a step is a text"),
        ('[{ do = "look", unit = "mm" }]', "unit is that of"),
        ('[{ do = "look", why = "x" }]', "a step is a text"),
    ],
)
def test_a_procedure_is_checked_step_by_step(tmp_path: Path, steps: str, complaint: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'[[procedures]]\nid = "a"\nname = "A"\nsteps = {steps}\n')
    with pytest.raises(BadLibrary, match=complaint):
        library(path)


def test_a_mode_names_a_procedure_that_there_is_and_an_urgency_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    for wrong, complaint in (('procedure = "none.such"', "no procedure"), ('urgency = "soon"', "urgency is one of")):
        path.write_text(OWN_MODE.replace('confirm = "', f'{wrong}\nconfirm = "'))
        with pytest.raises(BadLibrary, match=complaint):
            library(path)


@pytest.mark.parametrize(
    ("point", "roles"),
    [
        ("bearing_temperature", ("bearing_temperature", "temperature")),
        ("Motor bearing oil temp", ("oil_temperature", "temperature")),
        ("discharge pressure", ("discharge_pressure", "pressure")),
        ("Accelerometer1RMS", ("vibration",)),
        ("gearbox_vibration", ("gear_vibration", "vibration")),
        ("ambient_temperature", ("ambient",)),
        ("duty_cycle", ("duty",)),
        ("widgets", ()),
    ],
)
def test_roles_are_read_off_names_and_quantities(point: str, roles: tuple[str, ...]) -> None:
    assert roles_of(point, quantity_of(point).name) == roles


# The signature ------------------------------------------------------------------------------------------------------


def test_a_step_is_told_with_its_sign_and_its_levels() -> None:
    noise = np.random.default_rng(1).normal(0.0, 1.0, (3, 3600))
    up, down, stays = noise
    up[3000:] += 5.0
    down[3000:] -= 5.0
    found = departures(
        [course(p, v + 50.0) for p, v in (("flow", up), ("current", down), ("level", stays))], us(3000), us(3500)
    )
    z = {one.point: one.z for one in found}
    assert z["flow"] > 8
    assert z["current"] < -8
    assert abs(z["level"]) < 5
    flow = next(one for one in found if one.point == "flow")
    assert flow.before == pytest.approx(50.0, abs=0.3)
    assert flow.after == pytest.approx(55.0, abs=0.3)


def test_what_a_point_owes_to_the_speed_is_taken_out() -> None:
    rng = np.random.default_rng(2)
    speed = 1000.0 + np.repeat(rng.normal(0.0, 50.0, 36), 100)
    flow = speed * 0.05 + rng.normal(0.0, 0.1, 3600)
    flow[3000:] -= 1.0
    alone = departures([course("flow", flow)], us(3000), us(3500))
    with_speed = departures([course("speed", speed), course("flow", flow)], us(3000), us(3500))
    assert abs(alone[0].z) < 3
    assert with_speed[1].z < -8


def test_a_point_is_still_when_it_rests_longer_than_ever() -> None:
    value = np.round(np.random.default_rng(3).normal(0.0, 1.0, 3600), 1)
    value[3300:] = 0.4
    resting = np.repeat(np.arange(36.0), 100)
    found = departures([course("flow", value), course("counter", resting)], us(3300), us(3500))
    assert [one.still for one in found] == [True, False]


def test_nothing_is_said_without_health_before_or_readings_since() -> None:
    value = np.random.default_rng(4).normal(0.0, 1.0, 3600)
    assert departures([], us(100), us(200)) == []
    assert departures([course("flow", value[:5])], us(2), us(4)) == []
    assert departures([course("flow", value[:300])], us(100), us(299)) == []
    assert departures([course("flow", value)], us(9000), us(9500)) == []


# The diagnosis ------------------------------------------------------------------------------------------------------


def test_probabilities_add_up_with_what_is_left_for_others() -> None:
    found = diagnose(library(), [moved("vibration_velocity", 30.0), moved("bearing_temperature", 12.0)], "pump")
    assert named(found)[0] == "bearing_wear"
    assert found.other + sum(suspect.probability for suspect in found.suspects) == pytest.approx(1.0)
    assert [suspect.probability for suspect in found.suspects] == sorted(
        (suspect.probability for suspect in found.suspects), reverse=True
    )


def test_each_sign_says_whether_it_speaks_for_or_against() -> None:
    points = [moved("vibration_velocity", 30.0), moved("flow", -20.0), moved("motor_current", 0.3)]
    found = diagnose(library(), points, "pump")
    imbalance = next(mode for mode in library() if mode.id == "imbalance")
    only = diagnose([imbalance], points, "pump")
    assert only.suspects == () or {sign.point: sign.speaks for sign in only.suspects[0].signs} == {
        "vibration_velocity": "for",
        "flow": "against",
    }
    assert "imbalance" not in named(found)[:1]


def test_nothing_is_said_where_nothing_has_moved_or_nothing_fits() -> None:
    quiet = diagnose(library(), [moved("flow", 1.0), moved("motor_current", -2.0)], "pump")
    assert (quiet.suspects, quiet.other) == ((), 1.0)
    assert "moved clearly" in quiet.abstains
    assert "too few" in diagnose(library(), [], "pump").abstains
    machine_modes = [mode for mode in library() if mode.machines == ["compressor"]]
    strange = [moved(point, 60.0) for point in ("vibration_velocity", "level", "voltage", "suction_pressure")]
    assert "fits no" in diagnose(machine_modes, strange, "compressor").abstains


def test_one_point_alone_is_its_sensor() -> None:
    alone = [moved("speed", 25.0), *(moved(p, 0.5) for p in ("flow", "motor_current", "discharge_pressure"))]
    first = diagnose(library(), alone, "pump").suspects[0]
    assert (first.mode.id, first.point) == ("sensor.drift", "speed")
    stuck = [moved("flow", 0.2, still=True), *(moved(p, 0.5) for p in ("speed", "motor_current"))]
    first = diagnose(library(), stuck, "pump").suspects[0]
    assert (first.mode.id, first.point) == ("sensor.stuck", "flow")


def test_what_surrounds_a_machine_is_no_part_of_it() -> None:
    assert diagnose(library(), [moved("ambient_temperature", 40.0), moved("flow", 0.1)], "pump").suspects == ()


def test_a_kind_that_nobody_has_heard_of_may_have_any_mode() -> None:
    points = [moved("differential_pressure", 40.0), moved("flow", -20.0), moved("discharge_pressure", 8.0)]
    assert "pump.blocked_filter" in named(diagnose(library(), points, "whatnot"))
    assert "pump.blocked_filter" in named(diagnose(library(), points, "Centrifugal pump"))
    assert "pump.blocked_filter" not in named(diagnose(library(), points, "compressor"))


@pytest.mark.parametrize(("kind", "fault"), list(MODES))
@pytest.mark.parametrize("seed", [41, 42])
def test_a_grown_fault_of_each_machine_is_among_the_three_named(kind: str, fault: str, seed: int) -> None:
    of = FaultKind(fault)
    points = [sensor.point for sensor in MODELS[kind].sensors]
    growth_s = 0.0 if of is FaultKind.STUCK_SENSOR else float(GROWTH_S)
    broken = Fault("m", of, float(ONSET_S), growth_s, 0.8, point=points[seed % len(points)] if of.of_sensor else None)
    time_ms = (START_S + np.arange(END_S, dtype=np.int64)) * 1000
    readings = Machine(MachineSpec("m", kind, "", "site"), seed, [broken], float(START_S)).run(time_ms)
    found = departures([course(point, value) for point, value in readings.items()], us(ONSET_S + 300), us(END_S - 1))
    assert MODES[kind, fault] in named(diagnose(library(), found, kind))


def test_modes_are_only_of_kinds_that_machines_are_called() -> None:
    assert FailureMode("x", "X", "VIB", "wear", "a", "b", "c", machines=["fan"]).concerns("Supply fan")
    assert not FailureMode("x", "X", "VIB", "wear", "a", "b", "c", machines=["fan"]).concerns("pump")
