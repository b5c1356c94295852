"""Rolling bearings: how often, a turn of the shaft, a damaged place of each part is struck.

For an outer ring that stands still and an inner one that turns with the shaft. In multiples of the shaft's speed
("orders"), as bearing makers print them.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bearing:
    """What strikes how often, in multiples of the shaft's speed; None where it is not known.

    Attributes
    ----------
    name : str
        What it is called in a report.
    outer, inner : float or None
        BPFO and BPFI: rolling elements that pass a place on the ring.
    spin : float or None
        BSF: turns of a rolling element about itself. A damaged one strikes a ring twice a turn.
    cage : float or None
        FTF: turns of the cage.
    """

    name: str
    outer: float | None = None
    inner: float | None = None
    spin: float | None = None
    cage: float | None = None


def of_geometry(name: str, elements: int, element_mm: float, pitch_mm: float, contact_deg: float = 0.0) -> Bearing:
    """From the number and the diameter of the rolling elements, the pitch diameter and the contact angle.

    Raises
    ------
    ValueError
        No such bearing can be.
    """
    if elements < 3 or not 0.0 < element_mm < pitch_mm or not 0.0 <= contact_deg < 90.0:
        raise ValueError(
            "a bearing has 3 rolling elements or more, thinner than its pitch circle, and an angle below 90°"
        )
    ratio = element_mm / pitch_mm * math.cos(math.radians(contact_deg))
    return Bearing(
        name,
        outer=elements * (1.0 - ratio) / 2.0,
        inner=elements * (1.0 + ratio) / 2.0,
        spin=pitch_mm / element_mm * (1.0 - ratio**2) / 2.0,
        cage=(1.0 - ratio) / 2.0,
    )


def of_orders(
    outer: float | None = None, inner: float | None = None, spin: float | None = None, cage: float | None = None
) -> Bearing:
    """From orders that somebody gave; what follows from them is filled in.

    BPFO and BPFI add up to the number of rolling elements, and BPFO over that number is FTF. Makers print under BSF
    now one strike a turn of the element, now two: what is too much for one, given the cage's speed, is halved.

    Raises
    ------
    ValueError
        An order that is not above zero, or orders that no bearing has together.
    """
    if any(order is not None and not 0.0 < order < 1000.0 for order in (outer, inner, spin, cage)):
        raise ValueError("bpfo, bpfi, bsf and ftf are multiples of the shaft's speed, above 0")
    if outer is not None and inner is not None:
        elements = round(outer + inner)
        if elements < 3 or outer >= inner or abs(outer + inner - elements) > 0.02 * elements:
            raise ValueError("bpfo and bpfi add up to the number of rolling elements, and bpfo is the smaller one")
        cage = outer / elements if cage is None else cage
    if cage is not None and not cage < 0.5:
        raise ValueError("ftf is below 0.5: the cage turns slower than half the shaft")
    if spin is not None and cage is not None:
        ratio = 1.0 - 2.0 * cage
        if spin > 1.4 * (1.0 - ratio**2) / (2.0 * ratio):
            spin /= 2.0
    return Bearing("given orders", outer, inner, spin, cage)


# Designation: rolling elements, their diameter in mm, pitch diameter in mm, contact angle in degrees. The balls' number
# and size are not part of any standard; makers differ by a per cent or two, which is within what slip is allowed.
_GEOMETRIES: Mapping[str, tuple[int, float, float, float]] = {
    "6000": (7, 4.762, 18.0, 0.0),
    "6001": (8, 4.762, 20.0, 0.0),
    "6002": (9, 4.762, 23.5, 0.0),
    "6003": (10, 4.762, 26.0, 0.0),
    "6004": (9, 6.350, 31.0, 0.0),
    "6005": (10, 6.747, 36.0, 0.0),
    "6006": (11, 7.144, 42.5, 0.0),
    "6007": (11, 7.938, 48.5, 0.0),
    "6008": (12, 7.938, 54.0, 0.0),
    "6201": (7, 5.953, 22.0, 0.0),
    "6202": (8, 5.953, 25.0, 0.0),
    "6203": (8, 6.746, 28.5, 0.0),
    "6204": (8, 7.938, 33.5, 0.0),
    "6205": (9, 7.940, 39.04, 0.0),
    "6206": (9, 9.525, 46.0, 0.0),
    "6207": (9, 11.112, 53.5, 0.0),
    "6208": (9, 11.906, 60.0, 0.0),
    "6210": (10, 12.700, 70.0, 0.0),
    "6211": (10, 14.288, 77.5, 0.0),
    "6302": (7, 7.938, 28.5, 0.0),
    "6304": (7, 9.525, 36.0, 0.0),
    "6306": (8, 12.303, 51.0, 0.0),
    "6307": (8, 13.494, 57.5, 0.0),
    "6308": (8, 15.081, 65.0, 0.0),
    "6309": (8, 17.462, 72.5, 0.0),
    "6310": (8, 19.050, 80.0, 0.0),
    "6311": (8, 20.638, 87.5, 0.0),
    "6312": (8, 22.225, 95.5, 0.0),
    "6313": (8, 23.812, 102.5, 0.0),
    "6314": (8, 25.400, 110.0, 0.0),
    "6804": (13, 3.500, 25.6, 0.0),
    "ER-16K": (9, 7.938, 38.506, 0.0),
    "UER204": (8, 7.920, 34.55, 0.0),
    "ZA-2115": (16, 8.407, 71.501, 15.17),
}

NAMES = tuple(_GEOMETRIES)
_MAKERS = re.compile(r"\A(?:SKF|FAG|NSK|NTN|SNR|KOYO|TIMKEN|NACHI|INA|LDK|REXNORD|MB)[\s_-]*", re.IGNORECASE)
# What follows a designation - seals, clearance, cage - changes nothing in how it rolls.
_DEEP_GROOVE = re.compile(r"(6[0238]\d\d)(?![0-9])")


def named(name: str) -> Bearing:
    """A bearing by its designation: `SKF 6205`, `6205-2RS JEM`, `er16k`.

    Raises
    ------
    ValueError
        It is not in the table; with those that look like it.
    """
    bare = _MAKERS.sub("", name.strip()).upper()
    groove = _DEEP_GROOVE.match(bare)
    wanted = groove[1] if groove else _squeezed(bare)
    for known, geometry in _GEOMETRIES.items():
        if _squeezed(known) == _squeezed(wanted):
            return of_geometry(known, *geometry)
    like = difflib.get_close_matches(wanted, NAMES, n=3, cutoff=0.5) or NAMES[:3]
    raise ValueError(f"no bearing {name!r} in the table; near it: {', '.join(like)}. Or give bpfo, bpfi, bsf and ftf")


def _squeezed(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).upper()
