"""Physical quantities, their canonical units and what is physically possible.

A stream's quantity is read off its unit where a message says one (`telemetry.units`), else off the name of its point:
field names are the field's own words (`bearing_temperature`, `Accelerometer1RMS`, `discharge pressure`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of measurement.

    Attributes
    ----------
    lowest, highest : float
        Bounds of what is physically possible, in `unit`.
    slight : float
        A change that nobody opens a ticket for, in `unit`: what an industrial sensor may be off by itself. 0 where that
        depends on the instrument's range.
    """

    name: str
    unit: str
    lowest: float = -math.inf
    highest: float = math.inf
    slight: float = 0.0


# Bounded only by what nature forbids, not by what is unusual: a level of 103 % is an overfull tank, and a pressure is
# negative where it is measured against the air around.
QUANTITIES: dict[str, Quantity] = {
    q.name: q
    for q in (
        Quantity("temperature", "degC", -273.15, 3000.0, 2.0),
        Quantity("temperature_difference", "K", slight=2.0),
        Quantity("pressure", "bar"),  # against what is not known: neither of the next two may be taken for it
        Quantity("absolute_pressure", "bar(a)", 0.0),
        Quantity("gauge_pressure", "bar(g)"),
        Quantity("vibration_velocity", "mm/s"),
        Quantity("vibration_acceleration", "g"),
        Quantity("displacement", "um"),
        Quantity("kurtosis", ""),  # some count from 0, some from the 3 of noise
        Quantity("crest_factor", "", 0.0),
        Quantity("flow", "m3/h"),
        Quantity("mass_flow", "kg/h"),
        Quantity("speed", "rpm"),
        Quantity("velocity", "m/s"),
        Quantity("frequency", "Hz", 0.0),
        Quantity("current", "A"),
        Quantity("voltage", "V"),
        Quantity("power", "kW"),
        Quantity("apparent_power", "kVA"),
        Quantity("reactive_power", "kvar"),
        Quantity("power_factor", "", -1.0, 1.0),
        Quantity("energy", "kWh"),
        Quantity("torque", "Nm"),
        Quantity("force", "N"),
        Quantity("mass", "kg"),
        Quantity("length", "mm"),
        Quantity("volume", "m3"),
        Quantity("angle", "deg"),
        Quantity("duration", "s"),
        Quantity("level", "%"),
        Quantity("humidity", "%", 0.0, 100.0, 3.0),
        Quantity("ratio", "%"),
        Quantity("concentration", "ppm", 0.0, 1e6),
        Quantity("resistance", "Ohm", 0.0),
        Quantity("capacitance", "F", 0.0),
        Quantity("conductivity", "uS/cm", 0.0),
        Quantity("illuminance", "lx", 0.0),
        Quantity("irradiance", "W/m2"),
        Quantity("signal_strength", "dBm"),
        Quantity("unknown", ""),
    )
}

# In this order: "flow temperature" is a temperature, "vibration velocity" no speed, "power outage count" no power.
_WORDS: tuple[tuple[str, str], ...] = (
    ("unknown", r"\bcount(er)?\b"),
    ("kurtosis", r"kurt"),
    ("crest_factor", r"crest ?factor"),
    ("temperature_difference", r"temp\w* (difference|delta|rise)|delta (t\b|temp)|superheat|subcool"),
    ("temperature", r"temp|thermocouple|\bt\d+\b"),
    ("displacement", r"displacement"),
    ("vibration_acceleration", r"accelerometer|acceleration|\bacc\b"),
    ("vibration_velocity", r"vibration|velocity|\bvib\b|mm_?s"),
    ("absolute_pressure", r"abs\w* press|press\w* abs|bar(omet(er|ric)|o) "),
    ("gauge_pressure", r"gauge press|press\w* gauge"),
    ("pressure", r"press|\bbar\b"),
    ("mass_flow", r"mass flow"),
    ("flow", r"flow"),
    ("frequency", r"frequency|\bfreq\b"),
    ("current", r"current|amps?\b"),
    ("voltage", r"volt"),
    ("power_factor", r"power factor|cos ?phi"),
    ("apparent_power", r"apparent ?power"),
    ("reactive_power", r"reactive ?power"),
    ("energy", r"energy|kwh\b"),
    ("power", r"power|kw\b"),
    ("torque", r"torque"),
    ("speed", r"speed|rpm|rotat"),
    ("level", r"level"),
    ("humidity", r"humidity"),
    ("mass", r"\bmass\b|weight"),
    ("capacitance", r"capacitance"),
    ("conductivity", r"conductivity"),
    ("illuminance", r"illuminance"),
    ("signal_strength", r"\brssi\b"),
    ("ratio", r"percent|\bpct\b|duty|battery|\bsoc\b"),
)
_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in _WORDS)


def slight_change(quantity: str, unit: str) -> float:
    """What nobody opens a ticket for, in the unit of a stream; 0 where that is not known."""
    known = QUANTITIES.get(quantity, QUANTITIES["unknown"])
    return known.slight if unit in ("", known.unit) else 0.0


def quantity_of(point: str) -> Quantity:
    """The quantity that a point's name speaks of; `unknown`, without a unit, where it speaks of none."""
    words = point.lower().replace("_", " ").replace("-", " ")
    for name, pattern in _PATTERNS:
        if pattern.search(words):
            return QUANTITIES[name]
    return QUANTITIES["unknown"]
