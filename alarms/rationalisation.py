"""Why a rule is there: what its alarm comes of, what follows if nobody acts, what is to be done, and how soon.

If nobody is to do anything it is no alarm, says ISA-18.2: a tenant's rule is enabled only with an answer to all four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

_LONGEST_S = 365 * 86_400.0
_MOST_LETTERS = 1000


class BadRationalisation(ValueError):
    """One that cannot be; the message names the field and says what it may be."""


@dataclass(frozen=True, slots=True)
class Rationalisation:
    """The four answers.

    Attributes
    ----------
    respond_within_s
        From the raise: later, and what is to be done does not help any more.
    """

    cause: str
    consequence: str
    action: str
    respond_within_s: float


_DAY_S = 86_400.0
_UNLIKE = Rationalisation(
    "The machine runs as it never did in health: wear, a blockage, a leak, another load, a new point of work.",
    "What has begun goes on, unseen until it stops the machine.",
    "Look which points lead and since when, hold it against what was done to it, and inspect the part.",
    _DAY_S,
)
DEFAULTS: Mapping[str, Rationalisation] = {
    "limits": Rationalisation(
        "A value is beyond what its owner allows.",
        "Damage, a trip or a product that is no good, as the limit was set for.",
        "Bring the value back, or stop the machine; find out what moved it.",
        1800.0,
    ),
    "flatline": Rationalisation(
        "A value stays as it never does: a frozen sensor, a broken wire, a stuck transmitter.",
        "Whatever rests on it is blind, and looks healthy.",
        "Check the sensor and its wiring; take the rule out of service while it is repaired.",
        _DAY_S,
    ),
    "sensors": Rationalisation(
        "A sensor lies: spikes, steps, noise or a scale that no machine makes.",
        "False alarms of other rules, and true ones lost in them.",
        "Check the sensor, its fastening and its wiring before the machine.",
        _DAY_S,
    ),
    "silence": Rationalisation(
        "Nothing is heard: no power, no network, or the device has failed.",
        "The machine runs unwatched.",
        "See whether its gateway or site is heard, then its power and network.",
        4 * 3600.0,
    ),
    "drift": Rationalisation(
        "A level moves over days: wear, fouling, leakage, or a sensor that ages.",
        "It reaches its limit, at a time that nobody has chosen.",
        "Compare with its like and with the seasons, and plan an inspection before it gets there.",
        7 * _DAY_S,
    ),
    "novelty": Rationalisation(
        "The hours of a week look as none did before.",
        "Mostly none; sometimes it is what comes before a fault.",
        "See whether somebody runs the machine in another way.",
        7 * _DAY_S,
    ),
    "site_lost": Rationalisation(
        "All devices of a gateway or a site are gone: no power, no network, or the gateway has failed.",
        "A whole site runs unwatched.",
        "Check the gateway's power and uplink; call the site.",
        1800.0,
    ),
    "data_loss": Rationalisation(
        "Messages that a device counted never came: its buffer ran over, or it was cut off for too long.",
        "History has gaps, and what happened in them is not known.",
        "Look at the device's buffer and connection, and at the broker's limits.",
        7 * _DAY_S,
    ),
    "vibration": Rationalisation(
        "Lines of a bearing, a gear or an imbalance stand in the spectrum, or the level is in zone C or D.",
        "The part fails, and takes others along.",
        "Do the test that its diagnosis names, and plan the part's replacement.",
        _DAY_S,
    ),
    "peers": Rationalisation(
        "The machine goes another way than others of its model.",
        "What it comes of is found later, by its own past.",
        "Compare its work, its maintenance and its surroundings with theirs.",
        7 * _DAY_S,
    ),
    "shift": _UNLIKE,
    "multivariate": _UNLIKE,
}
"""Of the rules of the house, by their ids."""


def rationalisation_from_json(given: Any) -> Rationalisation:
    """From plain values, every one of them checked.

    Raises
    ------
    BadRationalisation
        A field is missing, unknown, of the wrong type or out of range.
    """
    names = [field.name for field in fields(Rationalisation)]
    if not isinstance(given, Mapping) or set(given) != set(names):
        raise BadRationalisation(f"rationalisation: an object of {', '.join(names)}, all four")
    for name in names[:3]:
        if not isinstance(given[name], str) or not 1 <= len(given[name].strip()) <= _MOST_LETTERS:
            raise BadRationalisation(f"rationalisation: {name} is a text of 1 to {_MOST_LETTERS} characters")
    within = given["respond_within_s"]
    if isinstance(within, bool) or not isinstance(within, int | float) or not 0 < within <= _LONGEST_S:
        raise BadRationalisation(f"rationalisation: respond_within_s is above 0, and {_LONGEST_S:g} at most")
    return Rationalisation(given["cause"], given["consequence"], given["action"], float(within))
