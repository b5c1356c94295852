"""How long it takes to get there: the great circle, made longer as roads are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

# Roads are longer than the crow flies: 1.2 to 1.4 between towns of Europe and North America. Too low: everybody is
# late. Too high: the nearest is sent though somebody better is near.
DETOUR = 1.3
# Where somebody or something is not known. The same for all who could go, so that it prefers nobody.
UNKNOWN_MIN = 60.0
# Parking, the gate, the way to the machine.
ARRIVING_MIN = 5.0
_EARTH_KM = 6371.0


@dataclass(frozen=True, slots=True)
class Place:
    """A place on earth, in degrees of WGS 84."""

    latitude_deg: float
    longitude_deg: float


@lru_cache(maxsize=100_000)
def distance_km(a: Place, b: Place) -> float:
    """The great circle between two places, by the haversine formula, in km."""
    lat_a, lat_b = math.radians(a.latitude_deg), math.radians(b.latitude_deg)
    half_lon = math.radians(b.longitude_deg - a.longitude_deg) / 2
    h = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, h)))


def travel_min(a: Place | None, b: Place | None, speed_km_h: float) -> float:
    """Minutes on the road from one place to another; where one is not known, what is taken for it."""
    if a is None or b is None:
        return UNKNOWN_MIN
    if a == b:
        return 0.0
    return ARRIVING_MIN + DETOUR * distance_km(a, b) / speed_km_h * 60.0
