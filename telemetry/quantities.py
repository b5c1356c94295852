"""Physical quantities, their canonical units and what is physically possible.

A stream's quantity is read off the name of its point until somebody says better: field names are the field's own
words (`bearing_temperature`, `Accelerometer1RMS`, `discharge pressure`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of measurement. `lowest` and `highest` bound what is physically possible, in `unit`."""

    name: str
    unit: str
    lowest: float = -math.inf
    highest: float = math.inf


QUANTITIES: dict[str, Quantity] = {
    q.name: q
    for q in (
        Quantity("temperature", "degC", -273.15, 3000.0),
        Quantity("pressure", "bar"),
        Quantity("vibration_velocity", "mm/s"),
        Quantity("vibration_acceleration", "g"),
        Quantity("flow", "m3/h"),
        Quantity("speed", "rpm"),
        Quantity("current", "A"),
        Quantity("voltage", "V"),
        Quantity("power", "kW"),
        Quantity("level", "%"),
        Quantity("humidity", "%", 0.0, 100.0),
        Quantity("unknown", ""),
    )
}

# In this order: "flow temperature" is a temperature, "vibration velocity" is not a speed.
_WORDS: tuple[tuple[str, str], ...] = (
    ("temperature", r"temp|thermocouple|\bt\d+\b"),
    ("vibration_acceleration", r"accelerometer|acceleration|\bacc\b"),
    ("vibration_velocity", r"vibration|velocity|\bvib\b|mm_?s"),
    ("pressure", r"press|\bbar\b"),
    ("flow", r"flow"),
    ("current", r"current|amps?\b"),
    ("voltage", r"volt"),
    ("power", r"power|kw\b"),
    ("speed", r"speed|rpm|rotat"),
    ("level", r"level"),
    ("humidity", r"humidity"),
)
_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in _WORDS)


def quantity_of(point: str) -> Quantity:
    """The quantity that a point's name speaks of; `unknown`, without a unit, where it speaks of none."""
    words = point.lower().replace("_", " ").replace("-", " ")
    for name, pattern in _PATTERNS:
        if pattern.search(words):
            return QUANTITIES[name]
    return QUANTITIES["unknown"]
