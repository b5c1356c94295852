"""Units: many spellings, one canonical unit a quantity, exact to the last bits, and nothing mixed that differs."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import QUANTITIES, canonical, quantity_of
from telemetry.units import MAX_UNIT_LENGTH

# What is measured, as it was said, and what it is: the third by hand, not by the table.
EXAMPLES = [
    (21.5, "Cel", "temperature", 21.5, "degC"),
    (21.5, "°C", "temperature", 21.5, "degC"),
    (21.5, "℃", "temperature", 21.5, "degC"),
    (21.5, "C", "temperature", 21.5, "degC"),
    (21.5, "Celsius", "temperature", 21.5, "degC"),
    (98.6, "°F", "temperature", 37.0, "degC"),
    (-40.0, "degF", "temperature", -40.0, "degC"),
    (293.65, "K", "temperature", 20.5, "degC"),
    (1013.25, "hPa", "pressure", 1.01325, "bar"),
    (1013.25, "mbar", "pressure", 1.01325, "bar"),
    (101325.0, "Pa", "pressure", 1.01325, "bar"),
    (0.6, "MPa", "pressure", 6.0, "bar"),
    (1.0, "atm", "pressure", 1.01325, "bar"),
    (760.0, "Torr", "pressure", 1.01325, "bar"),
    (100.0, "psi", "pressure", 6.894757293168361, "bar"),
    (29.92, "inHg", "pressure", 1.013207, "bar"),
    (9.80665, "m/s2", "vibration_acceleration", 1.0, "g"),
    (9.80665, "m/s²", "vibration_acceleration", 1.0, "g"),
    (9.80665, "m/s^2", "vibration_acceleration", 1.0, "g"),
    (350.0, "mg", "vibration_acceleration", 0.35, "g"),
    (1.0, "in/s", "vibration_velocity", 25.4, "mm/s"),
    (0.1, "ips", "vibration_velocity", 2.54, "mm/s"),
    (4.5, "mm/s RMS", "vibration_velocity", 4.5, "mm/s"),
    (36.0, "km/h", "velocity", 10.0, "m/s"),
    (2.0, "mil", "displacement", 50.8, "um"),
    (50.0, "µm", "displacement", 50.0, "um"),
    (1.5, "m", "length", 1500.0, "mm"),
    (100.0, "l/min", "flow", 6.0, "m3/h"),
    (100.0, "L/min", "flow", 6.0, "m3/h"),
    (1.0, "m³ / h", "flow", 1.0, "m3/h"),
    (0.5, "m3/s", "flow", 1800.0, "m3/h"),
    (100.0, "gpm", "flow", 22.712470704, "m3/h"),
    (100.0, "cfm", "flow", 169.901079552, "m3/h"),
    (25.0, "rps", "speed", 1500.0, "rpm"),
    (1480.0, "1/min", "speed", 1480.0, "rpm"),
    (1480.0, "RPM", "speed", 1480.0, "rpm"),
    (50.0, "Hz", "frequency", 50.0, "Hz"),
    (125.0, "mA", "current", 0.125, "A"),
    (0.4, "kV", "voltage", 400.0, "V"),
    (2200.0, "W", "power", 2.2, "kW"),
    (1.0, "hp", "power", 0.74569987158227022, "kW"),
    (2.2, "MW", "power", 2200.0, "kW"),
    (1500.0, "VA", "apparent_power", 1.5, "kVA"),
    (1500.0, "var", "reactive_power", 1.5, "kvar"),
    (3.6, "MJ", "energy", 1.0, "kWh"),
    (250.0, "Wh", "energy", 0.25, "kWh"),
    (0.25, "/", "ratio", 25.0, "%"),
    (45.0, "%RH", "humidity", 45.0, "%"),
    (45.0, "%rh", "humidity", 45.0, "%"),
    (2.0, "min", "duration", 120.0, "s"),
    (1.0, "kΩ", "resistance", 1000.0, "Ohm"),
    (800.0, "lx", "illuminance", 800.0, "lx"),
]


@pytest.mark.parametrize(("value", "unit", "quantity", "expected", "wanted"), EXAMPLES)
def test_a_unit_becomes_the_canonical_one(value: float, unit: str, quantity: str, expected: float, wanted: str) -> None:
    way = canonical(unit)
    assert way is not None
    assert (way.quantity, way.unit) == (quantity, wanted)
    assert way.convert(value) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("quantity", [q for q in QUANTITIES.values() if q.unit], ids=lambda q: q.name)
def test_a_canonical_unit_stays_what_it_is(quantity: object) -> None:
    assert quantity in QUANTITIES.values()
    name, unit = getattr(quantity, "name", ""), getattr(quantity, "unit", "")
    point = name.replace("_", " ") if quantity_of(name).name == name else ""
    way = canonical(unit, point)
    assert way is not None
    assert (way.unit, way.times, way.plus, way.over) == (unit, 1.0, 0.0, 1.0)


# By hand: a second source of truth for what must be exact.
DECIMAL = [
    ("hPa", Fraction(1, 1000)),
    ("Pa", Fraction(1, 100_000)),
    ("kPa", Fraction(1, 100)),
    ("MPa", Fraction(10)),
    ("mA", Fraction(1, 1000)),
    ("W", Fraction(1, 1000)),
    ("Wh", Fraction(1, 1000)),
    ("mV", Fraction(1, 1000)),
    ("l/h", Fraction(1, 1000)),
    ("ms", Fraction(1, 1000)),
]


@given(st.floats(-1e12, 1e12), st.sampled_from(DECIMAL))
def test_a_power_of_ten_is_rounded_once(value: float, case: tuple[str, Fraction]) -> None:
    unit, factor = case
    way = canonical(unit)
    assert way is not None
    assert way.convert(value) == float(Fraction(value) * factor)


AFFINE = [
    ("K", Fraction(1), Fraction(-27315, 100)),
    ("degF", Fraction(5, 9), Fraction(-160, 9)),
    ("in/s", Fraction(254, 10), Fraction(0)),
    ("m/s2", Fraction(100_000, 980_665), Fraction(0)),
    ("psi", Fraction(45_359_237 * 980_665, 254 * 254 * 10**10), Fraction(0)),
    ("gpm", Fraction(3_785_411_784 * 6, 10**11), Fraction(0)),
]


@given(st.floats(-1e9, 1e9).filter(lambda value: abs(value) > 1e-9), st.sampled_from(AFFINE))
def test_what_is_no_power_of_ten_is_off_by_three_last_bits_at_most(
    value: float, case: tuple[str, Fraction, Fraction]
) -> None:
    unit, factor, offset = case
    way = canonical(unit)
    assert way is not None
    exact = Fraction(value) * factor + offset
    largest = max(abs(Fraction(value) * factor), abs(offset), abs(exact))
    assert abs(Fraction(way.convert(value)) - exact) <= 3 * math.ulp(float(largest))


def test_a_column_is_converted_as_its_values_are() -> None:
    values = np.array([0.1, 1013.25, -7.0, 1e9])
    for unit in ("hPa", "degF", "psi", "g"):
        way = canonical(unit)
        assert way is not None
        assert way.convert(values).tolist() == [way.convert(value) for value in values.tolist()]


@pytest.mark.parametrize(
    ("unit", "point", "quantity"),
    [
        ("%", "humidity", "humidity"),
        ("%", "tank_level", "level"),
        ("%", "valve", "ratio"),
        ("K", "superheat", "temperature_difference"),
        ("degF", "delta_t", "temperature_difference"),
        ("K", "oil_temperature", "temperature"),
        ("m/s", "belt_speed", "velocity"),
        ("m/s", "vibration", "vibration_velocity"),
        ("mm", "shaft_displacement", "displacement"),
        ("mm", "position", "length"),
        ("g", "bearing_acceleration", "vibration_acceleration"),
        ("g", "weight", "mass"),
        ("F", "filter_capacitance", "capacitance"),
        ("F", "ambient", "temperature"),
        ("Hz", "speed", "frequency"),
        ("hPa", "pressure", "pressure"),
        ("hPa", "barometric_pressure", "absolute_pressure"),
        ("bar", "pressure_gauge", "gauge_pressure"),
        ("bar(g)", "absolute_pressure", "gauge_pressure"),
    ],
)
def test_the_name_decides_where_a_unit_serves_several(unit: str, point: str, quantity: str) -> None:
    way = canonical(unit, point)
    assert way is not None
    assert way.quantity == quantity


def test_a_difference_of_temperatures_is_not_moved() -> None:
    kelvin, fahrenheit = canonical("K", "superheat"), canonical("degF", "superheat")
    assert kelvin is not None
    assert fahrenheit is not None
    assert (kelvin.convert(8.0), fahrenheit.convert(9.0)) == (8.0, 5.0)


def test_pressures_against_different_things_are_never_one_quantity() -> None:
    units = {spelt: canonical(spelt) for spelt in ("bar", "bar(a)", "bara", "psia", "bar(g)", "barg", "psig", "kPag")}
    assert {spelt: way.quantity for spelt, way in units.items() if way} == {
        "bar": "pressure",
        **dict.fromkeys(("bar(a)", "bara", "psia"), "absolute_pressure"),
        **dict.fromkeys(("bar(g)", "barg", "psig", "kPag"), "gauge_pressure"),
    }
    assert QUANTITIES["absolute_pressure"].lowest == 0
    assert QUANTITIES["gauge_pressure"].lowest < 0, "a vacuum"


@pytest.mark.parametrize("unit", ["", "mpa", "furlong", "Nm3/h", "x" * 10_000, "\0", "dB", "m" * (MAX_UNIT_LENGTH + 1)])
def test_what_the_table_does_not_know_is_left_alone(unit: str) -> None:
    assert canonical(unit) is None


@given(st.text(max_size=64), st.text(max_size=32))
def test_no_text_is_too_strange(unit: str, point: str) -> None:
    way = canonical(unit, point)
    assert way is None or QUANTITIES[way.quantity].unit == way.unit


def test_the_manual_says_what_the_table_does() -> None:
    text = (Path(__file__).parents[2] / "docs/units.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (.*?) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    assert {name for name, *_ in rows} == QUANTITIES.keys() - {"unknown"}
    for name, unit, spellings, words, possible in rows:
        quantity = QUANTITIES[name]
        assert unit.strip("`") == (quantity.unit or "none")
        for word in re.findall(r"`([^`…]+)`", words):
            assert quantity_of(word) == quantity, word
            for spelling in re.findall(r"`([^`]+)`", spellings):
                way = canonical(spelling, word)
                assert way is not None
                assert way.quantity == name, (spelling, word)
        bounds = [f"{bound:.10g}" if math.isfinite(bound) else "…" for bound in (quantity.lowest, quantity.highest)]
        assert possible == (" to ".join(bounds) if bounds != ["…", "…"] else "")
