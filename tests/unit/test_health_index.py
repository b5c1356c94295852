"""The health index: 100 in health, falling with wear and not by chance, back after repair, silent till it knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec
from prognosis.health import FEWEST_ROWS, Normal, fit, fit_rows, index_of, trend
from telemetry.quantities import quantity_of

START_S = 1_763_740_800
ROW_S, SAMPLE_S = 600, 20
HOUR = 3600 // ROW_S
POINTS = ("flow", "motor_current", "bearing_temperature")

Floats = np.ndarray


def rows_of(
    kind: str, fault: Fault | None, hours: int, seed: int = 5, shifts: bool = False
) -> tuple[list[str], Floats]:
    """A machine's points and their means over ten minutes, (N, D)."""
    time_ms = (START_S + np.arange(0, hours * 3600, SAMPLE_S, dtype=np.int64)) * 1000
    faults = [] if fault is None else [fault]
    readings = Machine(MachineSpec("m", kind, "", "site"), seed, faults, float(START_S), shifts).run(time_ms)
    values = np.stack(list(readings.values()), axis=1)
    return list(readings), values.reshape(-1, ROW_S // SAMPLE_S, values.shape[1]).mean(axis=1)


def learnt(points: list[str], rows: Floats) -> Normal:
    normal = fit(points, [quantity_of(point).name for point in points], rows)
    assert normal is not None
    return normal


def hourly(normal: Normal, rows: Floats) -> Floats:
    return np.median(normal.indices(rows).reshape(-1, HOUR), axis=1)


def courses(hours: Floats) -> list[float]:
    return [trend(hours[: k + 1].tolist()) for k in range(len(hours))]


def noise(rows: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(rows, len(POINTS))) + 50.0


@pytest.mark.parametrize(
    ("kind", "fault"),
    [(kind, str(fault)) for kind, model in MODELS.items() for fault in model.effects],
)
def test_it_falls_with_every_fault_of_the_simulator(kind: str, fault: str) -> None:
    points, rows = rows_of(kind, Fault("m", FaultKind(fault), 24 * 3600.0, 24 * 3600.0), 48)
    normal = learnt(points, rows[: 18 * HOUR])
    hours = hourly(normal, rows)
    assert np.median(hours[18:24]) >= 80
    assert hours[-1] < 50
    seen = courses(hours)[24:]
    assert np.all(np.diff(seen) <= 8)  # chance lifts it by no more than that
    assert seen[-1] < seen[len(seen) // 2] < seen[0] + 1e-9


def test_it_is_back_after_a_repair() -> None:
    points, rows = rows_of("pump", Fault("m", FaultKind.IMBALANCE, 24 * 3600.0, 3600.0, lasts_s=12 * 3600.0), 48)
    seen = courses(hourly(learnt(points, rows[: 24 * HOUR]), rows))
    assert seen[30] < 50
    assert min(seen[-6:]) >= 80


def test_a_healthy_machine_stays_healthy_for_days() -> None:
    points, rows = rows_of("pump", None, 72)
    normal = learnt(points, rows[: 24 * HOUR])
    assert min(courses(hourly(normal, rows))) >= 70


def test_what_is_learnt_after_the_fit_is_as_if_it_had_been_there() -> None:
    rows = noise(300)
    whole, parts = fit_rows(POINTS, (), rows), fit_rows(POINTS, (), rows[:100])
    for begin in range(100, 300, 7):
        parts = parts.learn(rows[begin : begin + 7])
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-9)
    np.testing.assert_allclose(parts.square, whole.square, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(parts.square / 299, np.cov(rows.T), rtol=1e-6, atol=1e-6)


def test_a_settled_normal_moves_little_in_weeks_and_with_the_seasons() -> None:
    """Wear of three weeks must not become the normal; what has come to stay for half a year may."""
    first = normal = fit_rows(POINTS, (), noise(1008))
    for _ in range(3):
        normal = normal.learn(noise(1008) + 1.0)
    assert normal.n == pytest.approx(1008)
    np.testing.assert_allclose(normal.mean - first.mean, 1 - np.exp(-3 / 26), atol=0.01)
    for _ in range(23):
        normal = normal.learn(noise(1008) + 1.0)
    np.testing.assert_allclose(normal.mean - first.mean, 1 - np.exp(-1), atol=0.02)


def test_wear_of_a_month_is_seen() -> None:
    rows = noise(38 * 144)
    rows[8 * 144 :, 1] += np.linspace(0.0, 40.0, 30 * 144)
    normal = fit_rows(POINTS, (), rows[:144])
    for begin in range(144, len(rows), 6):
        if np.median(normal.indices(rows[begin : begin + 6])) >= 80:
            normal = normal.learn(rows[begin : begin + 6])
    assert np.median(normal.indices(rows[-144:])) < 40


def test_nothing_is_said_before_the_normal_is_known_or_of_a_machine_at_rest() -> None:
    assert fit(POINTS, ["flow", "current", "temperature"], noise(FEWEST_ROWS - 1)) is None
    assert fit(POINTS, ["flow", "current", "temperature"], np.empty((0, 3))) is None
    normal = learnt(list(POINTS), noise(100))
    at_rest = np.array([[0.0, 0.0, 30.0]])
    half_missing = np.array([[np.nan, np.nan, 50.0]])
    assert np.isnan(normal.indices(at_rest)).all()
    assert np.isnan(normal.indices(half_missing)).all()
    assert normal.shares(at_rest) == {}
    assert normal.learn(at_rest) is normal
    assert normal.indices(np.array([[0.0, 50.0, 50.0]]))[0] < 30  # it runs, and nothing flows


def test_a_machine_that_works_in_shifts_is_measured_while_it_works() -> None:
    points, rows = rows_of("pump", None, 96, shifts=True)
    normal = learnt(points, rows)
    indices = normal.indices(rows)
    assert 0.2 < np.isnan(indices).mean() < 0.9
    assert np.nanmedian(indices) >= 80


def test_shares_say_which_point_pulls_it_down() -> None:
    normal = learnt(list(POINTS), noise(200))
    ill = noise(6, seed=9) + np.array([0.0, 8.0, 0.0])
    shares = normal.shares(ill)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["motor_current"] > 0.8


def test_a_normal_comes_back_from_plain_values() -> None:
    normal = learnt(list(POINTS), noise(100))
    again = Normal.from_json(normal.to_json())
    np.testing.assert_array_equal(normal.indices(noise(20, 3)), again.indices(noise(20, 3)))
    assert (again.points, again.running) == (normal.points, normal.running)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=30))
def test_the_index_never_rises_with_the_score(scores: list[float]) -> None:
    indices = index_of(np.sort(np.array(scores)))
    assert np.all(np.diff(indices) <= 1e-9)
    assert np.all((indices > 0) & (indices <= 100))


def test_the_index_has_its_fixed_points() -> None:
    np.testing.assert_allclose(index_of(np.array([0.0, 0.5, 1.0, 4.0])), [100.0, 100.0, 50.0, 25.0])
    assert np.isnan(index_of(np.array([np.nan]))).all()


@given(st.lists(st.floats(0, 79), min_size=1, max_size=60))
def test_the_trend_is_the_end_of_the_best_falling_course(indices: list[float]) -> None:
    smooth = [float(np.median(indices[max(0, k - 2) : k + 1])) for k in range(len(indices))]
    wanted = IsotonicRegression(increasing=False).fit_transform(np.arange(len(smooth)), smooth)
    assert trend(indices) == pytest.approx(wanted[-1])


def test_the_trend_of_nothing_is_nothing() -> None:
    assert np.isnan(trend([]))
    assert np.isnan(trend([float("nan")]))
