"""What makes two episodes alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prognosis.episodes import ALIKE, likeness, nearest, signature
from prognosis.roles import roles_of
from prognosis.signature import Departure

POINTS = {
    "vibration_velocity": "vibration_velocity",
    "bearing_temperature": "temperature",
    "flow": "flow",
    "motor_current": "current",
    "ambient_temperature": "temperature",
    "AI_7": "unknown",
}


def moved(still: str = "", rough: str = "", **z: float) -> list[Departure]:
    """The departures of a machine with these points; those that are not named have stayed."""
    return [
        Departure(point, quantity, "", roles_of(point, quantity), z.get(point, 0.2), 1.0, 2.0, point == still, 9.0)
        if point == rough
        else Departure(point, quantity, "", roles_of(point, quantity), z.get(point, 0.2), 1.0, 2.0, point == still)
        for point, quantity in POINTS.items()
    ]


hundredths = st.integers(-900, 900).map(lambda n: n / 100)
signatures = st.dictionaries(st.sampled_from(["vibration", "flow", "AI_7"]), hundredths)


def test_a_fault_is_alike_on_another_machine_and_at_another_age() -> None:
    young = signature(moved(vibration_velocity=6.0, bearing_temperature=3.5))
    grown = signature(moved(vibration_velocity=90.0, bearing_temperature=40.0, motor_current=3.0))
    assert likeness(young, grown) > ALIKE


def test_the_other_way_round_it_is_another_fault() -> None:
    up, down = signature(moved(flow=12.0)), signature(moved(flow=-12.0))
    assert likeness(up, down) < 0


def test_other_points_are_another_fault() -> None:
    assert likeness(signature(moved(flow=-12.0)), signature(moved(vibration_velocity=12.0))) < 0.3


def test_where_nothing_has_moved_there_is_nothing_to_be_alike_in() -> None:
    assert signature(moved()) == {}
    assert signature([]) == {}
    assert nearest({}, [{}, {"flow": 1.0}], 3) == []


def test_the_weather_is_no_part_of_it() -> None:
    assert signature(moved(ambient_temperature=50.0)) == {}
    assert signature(moved(ambient_temperature=50.0, flow=9.0)) == signature(moved(flow=9.0))


def test_a_stuck_point_is_like_a_stuck_point_wherever_it_stopped() -> None:
    one, other = signature(moved(still="flow", flow=30.0)), signature(moved(still="flow", flow=-2.0))
    assert likeness(one, other) > ALIKE
    assert likeness(one, signature(moved(flow=30.0))) < 0.5
    assert likeness(signature(moved(rough="flow")), signature(moved(rough="flow", flow=1.0))) > ALIKE


def test_a_point_without_a_role_is_known_by_its_name() -> None:
    assert signature(moved(AI_7=20.0))["AI_7"] > 1.0


def test_of_two_points_of_one_role_the_farther_counts() -> None:
    near, far = (Departure(name, "flow", "", ("flow",), z, 0.0, 0.0) for name, z in (("a", 4.0), ("b", -40.0)))
    assert signature([near, far]) == signature([far, near]) == signature([far])


@given(one=signatures, other=signatures)
def test_it_is_the_cosine(one: dict[str, float], other: dict[str, float]) -> None:
    roles = sorted({*one, *other})
    x, y = (np.array([each.get(role, 0.0) for role in roles]) for each in (one, other))
    sizes = float(np.linalg.norm(x) * np.linalg.norm(y))
    assert likeness(one, other) == pytest.approx(float(x @ y) / sizes if sizes else 0.0, abs=1e-9)
    assert likeness(one, other) == pytest.approx(likeness(other, one), abs=1e-12)


def test_the_nearest_come_first_and_strangers_never() -> None:
    present = signature(moved(flow=-20.0))
    past = [
        signature(moved(vibration_velocity=20.0)),
        signature(moved(flow=-20.0, motor_current=4.0)),
        signature(moved(flow=-25.0)),
        signature(moved(flow=20.0)),
    ]
    assert [number for number, _ in nearest(present, past, 3)] == [2, 1]
    assert [number for number, _ in nearest(present, past, 1)] == [2]
