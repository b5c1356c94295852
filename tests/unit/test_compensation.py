"""What air and load make of a temperature is taken out of it, once it is known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from detectors import Drift, Shift
from detectors.compensation import Compensated, Compensation
from detectors.in_mode import in_mode
from telemetry import Batch, Stream, quantity_of

START_US = 1_763_740_800_000_000
STEP_S = 300
DAY = 86_400 // STEP_S  # rows
AIR, LOAD, BEARING, VIBRATION = range(4)
POINTS = ("ambient_temperature", "motor_current", "bearing_temperature", "vibration_velocity")

Floats = npt.NDArray[np.float64]


def streams(points: tuple[str, ...] = POINTS) -> list[Stream]:
    return [
        Stream(10 + number, 1, "demo", "fan-01", point, quantity_of(point).name, quantity_of(point).unit)
        for number, point in enumerate(points)
    ]


def outdoors(days: float, seed: int = 1, own_k: Floats | float = 0.0) -> Floats:
    """Rows (N, C) of a machine in the weather, whose bearing follows air and load by its mass; `own_k` comes on top."""
    rng = np.random.default_rng(seed)
    count = round(days * DAY)
    day = np.arange(count) / DAY
    air = 12.0 + 6.0 * np.sin(2 * np.pi * day) + np.cumsum(rng.normal(size=count)) * 0.25
    load = 20.0 + 4.0 * np.repeat(rng.uniform(-1, 1, count // 24 + 1), 24)[:count] + rng.normal(size=count) * 0.1
    aim, warm = air + 1.2 * load, np.empty(count)
    mass = 1.0 - math.exp(-STEP_S / 1500.0)
    now = aim[0]
    for row in range(count):
        now += mass * (aim[row] - now)
        warm[row] = now
    bearing = warm + own_k + rng.normal(size=count) * 0.2
    return np.stack((air, load, bearing, 2.0 + rng.normal(size=count) * 0.1), axis=1)


def batch_of(rows: Floats, first: int = 0) -> Batch:
    time_us = START_US + (first + np.arange(len(rows), dtype=np.int64)) * STEP_S * 1_000_000
    count = rows.shape[1]
    return Batch.of(np.tile(time_us, count), np.repeat(10 + np.arange(count), len(rows)), rows.T.ravel())


def bearing_of(compensation: Compensation, batch: Batch) -> Floats:
    """What is heard of the bearing, (H,)."""
    known, heard = compensation.without(batch)
    bearing: Floats = known.value[heard & (known.stream == 10 + BEARING)]
    return bearing


def compensated(rows: Floats, points: tuple[str, ...] = POINTS) -> Floats:
    compensation = Compensation()
    compensation.watch(streams(points))
    return bearing_of(compensation, batch_of(rows))


def within(away: float, reach: float) -> float:
    return min(max(away, -reach), reach)


def naive(rows: Floats) -> list[float]:
    """The same for one machine that reports every five minutes, step by step in plain numbers."""
    smooth = [math.nan, math.nan]
    mean, spread, shared = [0.0] * 3, [0.0] * 3, [0.0] * 2
    missed, slope, anchor = [0.0] * 2, [0.0] * 2, [0.0] * 2
    samples = trust = 0
    block = None
    told = []
    for row, (air, load, seen, _) in enumerate(rows.tolist()):
        now_s = START_US // 1_000_000 + row * STEP_S
        if row and now_s // 1200 != block:
            block = now_s // 1200
            samples = min(samples + 1, 1008)
            away = seen - mean[0]
            causes = [now - m for now, m in zip(smooth, mean[1:], strict=True)]
            if trust:
                causes = [within(c, 4 * math.sqrt(v)) for c, v in zip(causes, spread, strict=False)]
            tried = min(samples - 12, 1008)
            if tried > 0:
                foretold = slope[0] * causes[0] + slope[1] * causes[1]
                if tried > 12:
                    away = foretold + within(away - foretold, 3 * math.sqrt(missed[0]))
                missed[0] += ((away - foretold) ** 2 - missed[0]) / tried
                missed[1] += (away**2 - missed[1]) / tried
                earned = tried >= 72 and missed[0] <= 0.7 * missed[1]
                if earned and trust == 0:
                    anchor = mean[1:]
                trust = min(trust + 1, 24) if earned else max(trust - 1, 0)
            pairs = [causes[0] * causes[0], causes[1] * causes[1], causes[0] * causes[1]]
            spread = [(1 - 1 / samples) * (s + p / samples) for s, p in zip(spread, pairs, strict=True)]
            shared = [(1 - 1 / samples) * (s + away * c / samples) for s, c in zip(shared, causes, strict=True)]
            mean = [m + d / samples for m, d in zip(mean, [away, *causes], strict=True)]
            matrix = np.array([[1.01 * spread[0], spread[2]], [spread[2], 1.01 * spread[1]]])
            if samples > 1:
                slope = np.linalg.solve(matrix, shared).tolist()
                if slope[0] <= 0:
                    slope = [0.0, shared[1] / matrix[1, 1]]
        taken = 0.0
        for cause in range(2):
            if trust:
                away = within(smooth[cause] - mean[1 + cause], 4 * math.sqrt(spread[cause]))
                taken += slope[cause] * (mean[1 + cause] + away - anchor[cause]) * trust / 24
        if not row or trust == 24 or samples >= 120:
            told.append(seen - taken)
        weight = 1.0 if row == 0 else 1 - math.exp(-STEP_S / 1200)
        smooth = [air, load] if row == 0 else [s + weight * (x - s) for s, x in zip(smooth, (air, load), strict=True)]
    return told


def test_it_is_what_the_plain_steps_give() -> None:
    rows = outdoors(6.0, seed=3)
    rows[700, BEARING] += 40.0  # a surprise, that is learnt from no farther than it should
    np.testing.assert_allclose(compensated(rows), naive(rows), atol=2e-2)


def test_what_air_and_load_make_of_a_bearing_is_taken_out() -> None:
    rows = outdoors(12.0)
    assert np.std(rows[6 * DAY :, BEARING]) > 4.0
    assert np.std(compensated(rows)[-6 * DAY :]) < 0.8


def test_a_temperature_is_not_heard_while_it_is_not_known_what_explains_it() -> None:
    assert len(compensated(outdoors(1.1))) == 1  # the first, before anything was heard of air and load
    assert len(compensated(outdoors(2.0))) > DAY // 4


def test_nothing_is_taken_out_of_a_temperature_that_neither_explains() -> None:
    rows = outdoors(10.0)
    rows[:, BEARING] = 50.0 + np.random.default_rng(4).normal(size=len(rows))
    heard = compensated(rows)
    np.testing.assert_array_equal(heard[1:], rows[-len(heard) + 1 :, BEARING])
    assert len(heard) > 8 * DAY


def test_other_points_are_heard_as_they_are_and_the_air_not_at_all() -> None:
    rows = outdoors(3.0)
    compensation = Compensation()
    compensation.watch(streams())
    known, heard = compensation.without(batch_of(rows))
    assert not heard[known.stream == 10 + AIR].any()
    for point in (LOAD, VIBRATION):
        assert heard[known.stream == 10 + point].all()
        np.testing.assert_array_equal(known.value[known.stream == 10 + point], rows[:, point])


@pytest.mark.parametrize(
    "points",
    [
        ("gearbox_temperature", "level", "bearing_temperature", "vibration_velocity"),  # neither air nor load
        ("ambient_temperature", "motor_current", "level", "vibration_velocity"),  # no temperature
    ],
)
def test_a_machine_without_a_cause_or_without_a_temperature_is_left_alone(points: tuple[str, ...]) -> None:
    compensation, batch = Compensation(), batch_of(outdoors(3.0))
    compensation.watch(streams(points))
    known, heard = compensation.without(batch)
    assert heard.all()
    assert known is batch


def test_a_broken_sensor_of_the_air_warms_nothing_without_end() -> None:
    rows = outdoors(8.0)
    rows[-6:, AIR] = 1000.0
    after = compensated(rows)
    assert np.abs(after[-6:] - after[-30:-6].mean()).max() < 8 * np.std(rows[:-6, AIR])


@pytest.mark.parametrize("seed", [1, 2])
def test_it_does_not_depend_on_how_readings_are_cut(seed: int) -> None:
    rows = outdoors(4.0)
    whole, cut = Compensation(), Compensation()
    whole.watch(streams())
    cut.watch(streams())
    expected = bearing_of(whole, batch_of(rows))
    at = np.sort(np.random.default_rng(seed).choice(len(rows) - 1, 40, replace=False) + 1)
    parts = []
    for begin, end in zip([0, *at], [*at, len(rows)], strict=True):
        batch = batch_of(rows[begin:end], begin)
        temperatures = batch.stream == 10 + BEARING
        # Even one moment may come in two batches.
        last = batch.where(batch.time_us == batch.time_us[-1])
        before = batch.where(batch.time_us < batch.time_us[-1])
        for part in (before, last.where(last.stream != 10 + BEARING), last.where(last.stream == 10 + BEARING)):
            parts.append(bearing_of(cut, part))
        assert temperatures.any()
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    for name, column in whole.snapshot().items():
        np.testing.assert_array_equal(column, cut.snapshot()[name], err_msg=name)


def test_it_goes_on_after_a_restart() -> None:
    rows = outdoors(6.0)
    one, other = Compensated(Shift()), Compensated(Shift())
    one.watch(streams())
    one.score(batch_of(rows[: 4 * DAY]), 0)
    other.watch(list(reversed(streams())))
    other.restore(one.snapshot())
    late = batch_of(rows[4 * DAY :], 4 * DAY)
    np.testing.assert_array_equal(one.score(late, 0).score, other.score(late, 0).score)
    assert one.explain(10 + BEARING) == other.explain(10 + BEARING)


def test_a_memory_from_before_there_was_compensation_is_taken_over() -> None:
    before, now = Shift(), Compensated(Shift())
    before.watch(streams())
    before.score(batch_of(outdoors(3.0)), 0)
    now.watch(streams())
    now.restore(before.snapshot())
    assert now.explain(10 + BEARING) == before.explain(10 + BEARING)


def test_a_point_of_the_air_that_comes_later_is_learnt_with() -> None:
    rows = outdoors(12.0)
    compensation = Compensation()
    compensation.watch([stream for stream in streams() if stream.id != 10 + AIR])
    early = batch_of(rows[: 3 * DAY])
    compensation.without(early.where(early.stream != 10 + AIR))
    compensation.watch(streams())
    after = bearing_of(compensation, batch_of(rows[3 * DAY :], 3 * DAY))
    assert np.std(after[5 * DAY :]) < 0.8


def test_evidence_is_in_the_temperatures_own_unit() -> None:
    rows = outdoors(8.0)
    detector = Compensated(Shift())
    detector.watch(streams())
    detector.score(batch_of(rows), 0)
    told = detector.explain(10 + BEARING)
    assert told.observed == pytest.approx(rows[-12:, BEARING].mean(), abs=3.0)
    assert told.low < told.expected < told.high


def test_live_it_is_drift_that_is_compensated() -> None:
    detectors = in_mode({"drift": Drift(), "shift": Shift()})
    held = {name: {column.partition("/")[0] for column in detectors[name].snapshot()} for name in ("drift", "shift")}
    assert "compensation" in held["drift"]
    assert "compensation" not in held["shift"]


def test_a_front_is_no_shift_of_the_air_and_would_be_one_of_a_bearing() -> None:
    rng = np.random.default_rng(7)
    rows = 20.0 + rng.normal(size=(3 * DAY, len(POINTS))) * 0.2
    rows[2 * DAY :] += 12.0
    shift = Shift()
    shift.watch(streams())
    scores = shift.score(batch_of(rows), 0)
    assert np.nanmax(scores.score[scores.subject == 10 + AIR]) < 1.0
    assert np.nanmax(scores.score[scores.subject == 10 + BEARING]) > 1.0


def test_a_slow_rise_is_found_in_the_weather_and_health_raises_nothing() -> None:
    days, onset = 20.0, 12
    rise_k = np.maximum(0.0, np.arange(round(days * DAY)) / DAY - onset) * 0.75
    found = {}
    for name, own_k in (("ill", rise_k), ("well", 0.0)):
        rows = outdoors(days, seed=5, own_k=own_k)
        for kind in ("plain", "compensated"):
            detector = Drift() if kind == "plain" else Compensated(Drift())
            detector.watch(streams())
            scores = detector.score(batch_of(rows), 0)
            assert len(scores) == rows.size
            alarms_us = scores.time_us[(scores.subject == 10 + BEARING) & (scores.score >= 1.0)]
            found[name, kind] = (alarms_us - START_US) / 86_400e6
    assert not len(found["well", "compensated"])
    assert onset < found["ill", "compensated"][0] < onset + 6
    assert not len(found["ill", "plain"])
