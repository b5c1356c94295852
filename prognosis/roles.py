"""What a point measures on its machine: from its quantity and the field's own words in its name.

A failure mode speaks of roles (`bearing_temperature`), a plant of points (`TE-104 pump DE brg`): this is between them.
"""

from __future__ import annotations

import re

_OF_QUANTITY = {
    "temperature": "temperature",
    "vibration_velocity": "vibration",
    "vibration_acceleration": "vibration",
    "displacement": "vibration",
    "kurtosis": "impacts",
    "crest_factor": "impacts",
    "pressure": "pressure",
    "absolute_pressure": "pressure",
    "gauge_pressure": "pressure",
    "flow": "flow",
    "mass_flow": "flow",
    "current": "current",
    "voltage": "voltage",
    "frequency": "frequency",
    "power": "power",
    "apparent_power": "power",
    "torque": "torque",
    "speed": "speed",
    "level": "level",
    "humidity": "humidity",
}

# Within a general role, by words; in this order: the temperature of a bearing's oil is the oil's.
_SPECIAL: tuple[tuple[str, str, str], ...] = (
    ("temperature", "ambient", r"\bambient|\boutdoor|\boutside|\broom\b|\bweather"),
    ("temperature", "oil_temperature", r"\boil|\blub|\bsump"),
    ("temperature", "winding_temperature", r"\bwinding|\bstator|\bmotor"),
    ("temperature", "bearing_temperature", r"\bbearing|\bbrg"),
    ("temperature", "discharge_temperature", r"\bdischarge|\boutlet|\bdelivery"),
    ("pressure", "differential_pressure", r"\bdiff|\bdelta|\bdp\b|\bacross"),
    ("pressure", "oil_pressure", r"\boil|\blub"),
    ("pressure", "suction_pressure", r"\bsuction|\binlet|\bintake"),
    ("pressure", "discharge_pressure", r"\bdischarge|\boutlet|\bdelivery|\breceiver|\bline\b"),
    ("vibration", "gear_vibration", r"\bgear"),
)
_SPECIAL_PATTERNS = tuple((general, role, re.compile(words)) for general, role, words in _SPECIAL)

# What no quantity tells, by words alone.
_BY_NAME = tuple(
    (role, re.compile(words))
    for role, words in (
        ("duty", r"\bduty|\bload (share|ratio|factor)|\btime loaded"),
        ("cooling", r"\bcooling"),
        ("efficiency", r"\befficien"),
        ("position", r"\bposition|\bopening|\bdamper|\bvalve"),
    )
)

ROLES = frozenset(
    {*_OF_QUANTITY.values(), *(role for _, role, _ in _SPECIAL), *(role for role, _ in _BY_NAME)},
)
"""Every role that a failure mode may speak of."""


def roles_of(point: str, quantity: str) -> tuple[str, ...]:
    """The roles of a point, the special one before the general one; empty where nothing is known of it.

    What surrounds a machine is no part of it: an ambient temperature has the one role `ambient`.
    """
    words = point.lower().replace("_", " ").replace("-", " ").replace(".", " ")
    general = _OF_QUANTITY.get(quantity)
    if general is None or quantity in ("power", "level"):
        named = next((role for role, pattern in _BY_NAME if pattern.search(words)), None)
        if named is not None:
            return (named,)
    if general is None:
        return ()
    for of, role, pattern in _SPECIAL_PATTERNS:
        if of == general and pattern.search(words):
            return (role,) if role == "ambient" else (role, general)
    return (general,)
