"""Bearings by name, by geometry and by orders, checked by what every bearing must obey."""

from __future__ import annotations

import math

import pytest

from detectors.vibration import NAMES, named, of_geometry, of_orders

# Bore, outside diameter in mm, of ISO 15.
BORES = {"00": 10, "01": 12, "02": 15, "03": 17} | {f"{n:02}": 5 * n for n in range(4, 15)}
OUTSIDE = {
    "60": [26, 28, 32, 35, 42, 47, 55, 62, 68],
    "62": [30, 32, 35, 40, 47, 52, 62, 72, 80, 85, 90, 100],
    "63": [35, 37, 42, 47, 52, 62, 72, 80, 90, 100, 110, 120, 130, 140, 150],
}
DEEP_GROOVE = [name for name in NAMES if name[:2] in OUTSIDE]


def test_the_bearing_that_everybody_knows() -> None:
    bearing = named("SKF 6205")
    assert bearing.outer == pytest.approx(3.585, abs=2e-3)
    assert bearing.inner == pytest.approx(5.415, abs=2e-3)
    assert bearing.spin == pytest.approx(2.357, abs=2e-3)
    assert bearing.cage == pytest.approx(0.3983, abs=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_every_bearing_obeys_kinematics(name: str) -> None:
    bearing = named(name)
    assert bearing.outer is not None
    assert bearing.inner is not None
    assert bearing.spin is not None
    assert bearing.cage is not None
    elements = round(bearing.outer + bearing.inner)
    assert bearing.outer + bearing.inner == pytest.approx(elements)
    assert bearing.outer / elements == pytest.approx(bearing.cage)
    assert 0.35 < bearing.cage < 0.47
    assert 1.5 < bearing.spin < 5.0


@pytest.mark.parametrize("name", DEEP_GROOVE)
def test_deep_groove_bearings_fit_between_their_rings(name: str) -> None:
    """Pitch circle in the middle of the section, balls of 0.25 to 0.33 of it, and as many as can be filled in."""
    bearing = named(name)
    assert bearing.outer is not None
    assert bearing.inner is not None
    assert bearing.cage is not None
    bore, outside = BORES[name[2:]], OUTSIDE[name[:2]][list(BORES).index(name[2:])]
    ratio = 1.0 - 2.0 * bearing.cage
    ball_mm = ratio * (bore + outside) / 2.0
    assert 0.25 < ball_mm / (outside - bore) < 0.33
    # Balls are put in with the rings apart, over a little more than half of the circle.
    filled = math.degrees(2.0 * math.asin(ratio)) * (round(bearing.outer + bearing.inner) - 1)
    assert 175.0 < filled < 200.0


@pytest.mark.parametrize("name", ["6205", "skf6205", "6205-2RS JEM SKF", " SKF 6205-2Z/C3 ", "NSK-6205DDU"])
def test_a_designation_is_known_with_whatever_surrounds_it(name: str) -> None:
    assert named(name).name == "6205"


@pytest.mark.parametrize(
    ("name", "like"), [("SKF 6295", "6205"), ("62055", "6205"), ("ER-16", "ER-16K"), ("?", "6000")]
)
def test_an_unknown_bearing_is_refused_with_those_near_it(name: str, like: str) -> None:
    with pytest.raises(ValueError, match=like):
        named(name)


def test_given_orders_are_completed() -> None:
    bearing = of_orders(outer=3.585, inner=5.415)
    assert bearing.cage == pytest.approx(3.585 / 9)
    assert of_orders(cage=0.3983, spin=4.7135).spin == of_orders(cage=0.3983, spin=2.35675).spin == 2.35675
    assert of_orders(outer=3.585).inner is None


@pytest.mark.parametrize(
    "orders",
    [
        {"outer": 0.0},
        {"outer": -1.0},
        {"outer": math.nan},
        {"cage": 0.6},
        {"outer": 5.4, "inner": 3.6},
        {"outer": 3.3, "inner": 5.4},
        {"inner": math.inf},
    ],
)
def test_orders_that_no_bearing_has_are_refused(orders: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"bpfo|ftf"):
        of_orders(**orders)


@pytest.mark.parametrize(
    "geometry", [(2, 8.0, 39.0, 0.0), (9, 0.0, 39.0, 0.0), (9, 40.0, 39.0, 0.0), (9, 8.0, 39.0, 90.0)]
)
def test_a_geometry_that_cannot_be_is_refused(geometry: tuple[int, float, float, float]) -> None:
    with pytest.raises(ValueError, match="rolling elements"):
        of_geometry("x", *geometry)
