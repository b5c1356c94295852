"""Units as people and devices spell them, and the way from each to the canonical unit of its quantity.

A table, not a library of units (see decision 019): the spellings of the plant, and the names of SenML (RFC 8428 and
8798). What it does not know is no mistake: such a reading is stored as it came, with the unit as it was said.

Three things are told apart with care. Pressure against vacuum (`bar(a)`, `psia`), against the air around (`bar(g)`,
`psig`) and against nobody says what (`bar`) are three quantities, none converted into another. A difference of
temperatures is not moved by 273.15. `mW` and `MW` differ by nine powers of ten: case counts wherever it has a meaning.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from telemetry.quantities import QUANTITIES, Quantity, quantity_of

# Longer than any unit; a text of this length comes from outside and is looked at before anything is done with it.
MAX_UNIT_LENGTH = 32

SPELLED = {"degC": "°C", "m3/h": "m³/h", "m3": "m³", "degF": "°F", "m/s2": "m/s²"}
"""How a person reads what devices write in plain letters."""

_Number = TypeVar("_Number", float, npt.NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Unit:
    """From a unit to the canonical one of its quantity: `(value * times + plus) / over`.

    The three are whole numbers wherever the definition of the unit is a decimal one, so that `convert` rounds once for
    a power of ten: 1013.25 hPa is 1.01325 bar, where a factor of 0.001 would make it 1.0132500000000002.

    Attributes
    ----------
    quantity
        A name of `QUANTITIES`.
    unit
        The canonical unit: `QUANTITIES[quantity].unit`.
    """

    quantity: str
    unit: str
    times: float = 1.0
    plus: float = 0.0
    over: float = 1.0

    def convert(self, value: _Number) -> _Number:
        """Values in the canonical unit. May overflow to infinity: who stores them looks again."""
        if self.times != 1.0:
            value = value * self.times
        if self.plus != 0.0:
            value = value + self.plus
        if self.over != 1.0:
            value = value / self.over
        return value


def canonical(unit: str, point: str = "") -> Unit | None:
    """The way from `unit` to its canonical unit; None where the table does not know it.

    `point` decides where a unit serves several quantities: `%` of a humidity is not that of a level, `K` of a
    `superheat` is a difference, `g` of a `weight` a gram. Without a name the quantity is the commonest in a plant.
    """
    if len(unit) > MAX_UNIT_LENGTH:
        return None
    return _canonical(unit, point)


# A fleet says the same few again and again. Bounded, since both come from outside.
@lru_cache(maxsize=1 << 14)
def _canonical(spelt: str, point: str) -> Unit | None:
    named = quantity_of(point).name
    spelling = _plain(spelt)
    if spelling not in _MEANINGS:
        spelling = _WORDS.get(spelling.lower(), "")
    meanings = _MEANINGS.get(spelling)
    if meanings is None:
        return None
    kind = _KIND_OF.get(named, "")
    if kind in meanings:
        return _way(meanings[kind], QUANTITIES[named])
    kind = next(iter(meanings))
    return _way(meanings[kind], QUANTITIES[_USUAL.get((kind, spelling), _QUANTITY_OF[kind])])


def _plain(spelt: str) -> str:
    """One spelling of many: `m³ / h` is `m3/h`, `m/s^2` is `m/s2`, `mm/s RMS` is `mm/s`."""
    text = unicodedata.normalize("NFKC", spelt.strip()).replace("μ", "u").replace("Ω", "Ohm")
    for mark in (" ", "^", "**", "·", "⋅"):
        text = text.replace(mark, "")
    return text[:-3] if text.lower().endswith("rms") else text


def _way(meaning: tuple[Fraction, Fraction], quantity: Quantity) -> Unit:
    """From a unit of a kind to the canonical unit of one quantity of it."""
    kind = _KIND_OF[quantity.name]
    factor, offset = meaning
    scale = _MEANINGS[_plain(quantity.unit)][kind][0] if quantity.unit else Fraction(1)
    factor, offset = factor / scale, offset / scale
    over = math.lcm(factor.denominator, offset.denominator)
    return Unit(quantity.name, quantity.unit, float(factor * over), float(offset * over), float(over))


_F = Fraction
_INCH_M = _F("0.0254")
_FOOT_M = _F("0.3048")
_GALLON_L = _F("3.785411784")  # of the United States, as gpm means it
_POUND_KG = _F("0.45359237")
_GRAVITY = _F("9.80665")
_MMHG_PA = _F("133.322387415")

# Kind of quantity: the quantity where the name says none, and what each spelling is in the kind's own unit, with the
# offset where there is one. A kind may serve several quantities, each with a canonical unit of its own.
_KINDS: dict[str, tuple[str, dict[str, Fraction | tuple[Fraction, Fraction]]]] = {
    "temperature": (  # °C
        "temperature",
        {
            "degC °C Cel C": _F(1),
            "K degK": (_F(1), _F("-273.15")),
            "degF °F F": (_F(5, 9), _F(-160, 9)),
        },
    ),
    "temperature difference": ("temperature_difference", {"K degK degC °C Cel C": _F(1), "degF °F F": _F(5, 9)}),
    "pressure": (  # bar
        "pressure",
        {
            "bar": _F(1),
            "mbar hPa": _F(1, 1000),
            "Pa": _F(1, 100_000),
            "kPa": _F(1, 100),
            "MPa": _F(10),
            "psi lbf/in2": _POUND_KG * _GRAVITY / _INCH_M**2 / 100_000,
            "atm": _F("1.01325"),
            "at kgf/cm2": _F("0.980665"),
            "Torr": _F("1.01325") / 760,
            "mmHg": _MMHG_PA / 100_000,
            "inHg": _MMHG_PA * _F("25.4") / 100_000,
            "mmH2O mmWC": _GRAVITY / 100_000,
            "mH2O mWC": _GRAVITY / 100,
            "inH2O inWC": _GRAVITY * _F("25.4") / 100_000,
        },
    ),
    "acceleration": (  # m/s²
        "vibration_acceleration",
        {
            "m/s2": _F(1),
            "mm/s2": _F(1, 1000),
            "g gn g_n": _GRAVITY,
            "mg": _GRAVITY / 1000,
            "in/s2": _INCH_M,
            "ft/s2": _FOOT_M,
        },
    ),
    "velocity": (  # m/s
        "velocity",
        {
            "m/s": _F(1),
            "mm/s": _F(1, 1000),
            "cm/s": _F(1, 100),
            "um/s": _F(1, 1_000_000),
            "in/s ips": _INCH_M,
            "m/min": _F(1, 60),
            "m/h": _F(1, 3600),
            "km/h": _F(1000, 3600),
            "ft/s": _FOOT_M,
            "ft/min fpm": _FOOT_M / 60,
            "mph": _FOOT_M * 5280 / 3600,
        },
    ),
    "length": (  # m
        "length",
        {
            "m": _F(1),
            "km": _F(1000),
            "cm": _F(1, 100),
            "mm": _F(1, 1000),
            "um": _F(1, 1_000_000),
            "in inch": _INCH_M,
            "mil mils": _INCH_M / 1000,
            "ft": _FOOT_M,
        },
    ),
    "flow": (  # m³/h
        "flow",
        {
            "m3/h m3/hr": _F(1),
            "m3/min": _F(60),
            "m3/s": _F(3600),
            "l/s L/s": _F("3.6"),
            "l/min L/min lpm LPM": _F("0.06"),
            "l/h L/h": _F(1, 1000),
            "ml/min mL/min": _F("0.00006"),
            "gpm GPM gal/min": _GALLON_L * _F("0.06"),
            "cfm CFM ft3/min": _FOOT_M**3 * 60,
        },
    ),
    "mass flow": ("mass_flow", {"kg/h": _F(1), "kg/min": _F(60), "kg/s": _F(3600), "t/h": _F(1000)}),
    "rotation": (  # turns a minute
        "speed",
        {
            "rpm 1/min r/min rev/min min-1": _F(1),
            "rps r/s rev/s": _F(60),
            "deg/s °/s": _F(1, 6),
            "rad/s": 30 / _F(math.pi),
        },
    ),
    # Not a speed of rotation: of a drive it is that of the supply, and its motor has poles.
    "frequency": ("frequency", {"Hz 1/s": _F(1), "kHz": _F(1000), "MHz": _F(1_000_000), "mHz": _F(1, 1000)}),
    "current": ("current", {"A": _F(1), "mA": _F(1, 1000), "uA": _F(1, 1_000_000), "kA": _F(1000)}),
    "voltage": ("voltage", {"V": _F(1), "mV": _F(1, 1000), "uV": _F(1, 1_000_000), "kV": _F(1000)}),
    "power": (  # kW
        "power",
        {
            "kW": _F(1),
            "W J/s": _F(1, 1000),
            "mW": _F(1, 1_000_000),
            "MW": _F(1000),
            "hp HP": _POUND_KG * _GRAVITY * _FOOT_M * 550 / 1000,
        },
    ),
    "apparent power": ("apparent_power", {"kVA": _F(1), "VA": _F(1, 1000), "MVA": _F(1000)}),
    "reactive power": ("reactive_power", {"kvar kVAr kVAR": _F(1), "var VAr VAR": _F(1, 1000)}),
    "energy": (  # kWh
        "energy",
        {
            "kWh": _F(1),
            "Wh": _F(1, 1000),
            "MWh": _F(1000),
            "J Ws": _F(1, 3_600_000),
            "kJ": _F(1, 3600),
            "MJ": _F(5, 18),
            "GJ": _F(2500, 9),
            "Wmin": _F(1, 60_000),
            "mWh": _F(1, 1_000_000),
        },
    ),
    "torque": ("torque", {"Nm N*m N.m": _F(1), "kNm": _F(1000), "lbf.ft ft.lbf": _POUND_KG * _GRAVITY * _FOOT_M}),
    "force": ("force", {"N": _F(1), "kN": _F(1000), "lbf": _POUND_KG * _GRAVITY, "kgf": _GRAVITY}),
    "mass": ("mass", {"kg": _F(1), "g gram": _F(1, 1000), "mg": _F(1, 1_000_000), "t": _F(1000), "lb lbs": _POUND_KG}),
    "volume": ("volume", {"m3": _F(1), "l L": _F(1, 1000), "ml mL": _F(1, 1_000_000), "gal": _GALLON_L / 1000}),
    "angle": ("angle", {"deg °": _F(1), "rad": 180 / _F(math.pi)}),
    "time": (  # s
        "duration",
        {
            "s sec": _F(1),
            "ms": _F(1, 1000),
            "us": _F(1, 1_000_000),
            "min": _F(60),
            "h hr hrs": _F(3600),
            "d day days": _F(86_400),
        },
    ),
    "share": ("ratio", {"% /100 percent %EL %RH %rH RH%": _F(1), "/": _F(100), "/1000 ‰": _F(1, 10)}),
    "concentration": ("concentration", {"ppm": _F(1), "ppb": _F(1, 1000)}),
    "resistance": ("resistance", {"Ohm ohm": _F(1), "mOhm": _F(1, 1000), "kOhm": _F(1000), "MOhm": _F(1_000_000)}),
    "capacitance": ("capacitance", {"F farad": _F(1), "mF": _F(1, 10**3), "uF": _F(1, 10**6), "nF": _F(1, 10**9)}),
    "conductivity": ("conductivity", {"uS/cm": _F(1), "mS/cm": _F(1000), "S/m": _F(10_000), "mS/m": _F(10)}),
    "illuminance": ("illuminance", {"lx lux": _F(1), "klx": _F(1000)}),
    "irradiance": ("irradiance", {"W/m2": _F(1), "kW/m2": _F(1000)}),
    "signal": ("signal_strength", {"dBm": _F(1)}),
}
# Pressure that says against what it is measured: by its unit, or by the name of its point.
for _kind, _of, _marks in (
    ("absolute pressure", "absolute_pressure", ("", "a", "(a)", "abs", "(abs)")),
    ("gauge pressure", "gauge_pressure", ("", "g", "(g)", "gauge")),
):
    _KINDS[_kind] = (
        _of,
        {
            " ".join(f"{unit}{mark}" for unit in units.split() for mark in _marks): scale
            for units, scale in _KINDS["pressure"][1].items()
        },
    )

_QUANTITY_OF = {kind: quantity for kind, (quantity, _) in _KINDS.items()}
# By spelling: what it is in each kind that has it; the usual kind first.
_MEANINGS: dict[str, dict[str, tuple[Fraction, Fraction]]] = {}
for _kind, (_, _units) in _KINDS.items():
    for _spellings, _scale in _units.items():
        for _spelling in _spellings.split():
            _meaning = _scale if isinstance(_scale, tuple) else (_scale, _F(0))
            _MEANINGS.setdefault(_spelling, {})[_kind] = _meaning
# What the canonical units, which no device need say, are units of.
_KIND_OF = {name: kind for kind, (name, _) in _KINDS.items()} | {
    "vibration_velocity": "velocity",
    "displacement": "length",
    "level": "share",
    "humidity": "share",
}
# A millimetre a second is how vibration is measured, a metre a second is not.
_USUAL = {
    ("velocity", "mm/s"): "vibration_velocity",
    ("velocity", "in/s"): "vibration_velocity",
    ("velocity", "ips"): "vibration_velocity",
    ("velocity", "um/s"): "vibration_velocity",
    ("share", "%RH"): "humidity",
    ("share", "%rH"): "humidity",
    ("share", "RH%"): "humidity",
    ("length", "um"): "displacement",
    ("length", "mil"): "displacement",
    ("length", "mils"): "displacement",
}
# Those that mean the same in any case.
_WORDS = {
    word.lower(): word
    for word in (
        *("degC", "degF", "Cel", "bar", "mbar", "hPa", "kPa", "psi", "bara", "barg", "psia", "psig", "atm", "inHg"),
        *("mmHg", "rpm", "Hz", "kHz", "kW", "kWh", "Wh", "kVA", "gpm", "cfm", "percent", "%RH", "lux", "ppm", "kV"),
        *("kg", "km", "cm", "mm", "m3/h", "l/min", "l/h", "l/s", "m/s", "mm/s", "m/s2", "in/s", "ips", "dBm", "Ohm"),
    )
} | {"celsius": "degC", "centigrade": "degC", "fahrenheit": "degF", "kelvin": "K", "volt": "V", "volts": "V",
     "ampere": "A", "amp": "A", "amps": "A", "watt": "W", "watts": "W", "hertz": "Hz", "pascal": "Pa",
     "seconds": "s", "minutes": "min", "hours": "h", "pct": "%"}  # fmt: skip
