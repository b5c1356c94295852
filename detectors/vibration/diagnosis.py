"""What is wrong with a machine, by one block of its vibration: the fault, and the lines that prove it.

Nothing is learnt. A fault is named where its lines stand out of the noise so far that noise alone would do it in fewer
than one block of a thousand, and, for faults of the shaft, where the vibration is worth a repair. Else the fault is
`none`, with the reason: also where the speed, the bearing or the length of the block is missing that it would take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detectors.vibration.bearing_faults import first_lines
from detectors.vibration.bearings import Bearing, named, of_orders
from detectors.vibration.envelopes import listen
from detectors.vibration.figures import FEWEST_SAMPLES, G_MM_S2, SAMPLES_PER_PERIOD, VELOCITY_BAND_HZ, features
from detectors.vibration.iso20816 import Zone, zone
from detectors.vibration.mains import NO_LINES, mains_lines
from detectors.vibration.orders import Comb, Floats, OrderSpectrum, find_comb, order_spectrum
from detectors.vibration.shaft_faults import WORTH_A_REPAIR_MM_S
from detectors.vibration.spectral_change import Change, change
from detectors.vibration.verdicts import (
    Evidence,
    Speed,
    Verdict,
    fastest,
    of_bearing,
    of_change,
    of_gear,
    of_shaft,
    of_unknown_bearing,
)

FAULTS = ("none", "inner_race", "outer_race", "ball", "cage", "imbalance", "misalignment", "looseness", "gear")

# Fewer turns of the shaft do not part its orders from those of a bearing.
FEWEST_TURNS = 15.0
# The speed told may be wrong by this, if the shaft's own lines say so; by the second, where these are there by so many
# powers of ten: a nameplate's is, by the slip of its motor. Too low: that motor's bearing is another one's. Too high:
# another shaft is found.
_SPEED_OFF, _BY_FAR = (0.016, 0.04), 6.0
_SPEED_CHANCE = -4.0
_SHAFT_HARMONICS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
_AMBIGUOUS = 0.035
# Of the velocity's lines, those that patterns are made of.
_SHAFT_ORDERS = 10.5


@dataclass(frozen=True, slots=True)
class Machine:
    """What is known of the machine; None where it is not.

    Attributes
    ----------
    rpm : float or None
        Speed of the shaft.
    bearing : Bearing or None
    teeth, blades : int or None
        Of the gear and of the fan or pump wheel on this shaft.
    group : int or None
        Of ISO 20816-3: 1 or 2.
    support : str or None
        `rigid` or `flexible`.
    """

    rpm: float | None = None
    bearing: Bearing | None = None
    teeth: int | None = None
    blades: int | None = None
    group: int | None = None
    support: str | None = None

    @property
    def not_known(self) -> tuple[str, ...]:
        """The facts without which something cannot be said: speed and bearing for faults, group and support for a
        zone."""
        facts = {"rpm": self.rpm, "bearing": self.bearing, "group": self.group, "support": self.support}
        return tuple(name for name, fact in facts.items() if fact is None)

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], shaft_rpm: float | None) -> Machine:
        """As it turned during a block, by what its owner said of it; `facts` as `PUT …/machine` takes them.

        Raises
        ------
        ValueError
            There is no such bearing, or it is given twice.
        """
        rpm = facts.get("rpm") if shaft_rpm is None else shaft_rpm
        return cls(rpm, bearing_of(facts), *(facts.get(name) for name in ("teeth", "blades", "group", "support")))


def bearing_of(facts: Mapping[str, Any]) -> Bearing | None:
    """The bearing by its name or by its orders; ValueError where it is none, or given twice."""
    name, orders = facts.get("bearing"), [facts.get(part) for part in ("bpfo", "bpfi", "bsf", "ftf")]
    if name is not None and any(orders):
        raise ValueError("a bearing is given by its name or by its orders: one of them")
    if name is not None:
        return named(name)
    return of_orders(*orders) if any(orders) else None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one block says of a machine.

    Attributes
    ----------
    fault : str
        One of `FAULTS`.
    reason : str
        Which rule decided, or why none could.
    evidence : tuple of Evidence
    also : tuple of str
        Other faults that are seen beside it.
    figures : dict of str to (float, str)
        See `detectors.vibration.features`.
    zone : Zone or None
        None where the machine's group and support are not known, or the velocity.
    shaft_hz : float or None
        As found near the speed that was told.
    band_hz : tuple of two floats, or None
        Whose envelope was looked at.
    envelope, velocity : OrderSpectrum or None
        For pictures.
    change : Change or None
        Against the baseline, where there is one.
    """

    fault: str
    reason: str
    evidence: tuple[Evidence, ...] = ()
    also: tuple[str, ...] = ()
    figures: dict[str, tuple[float, str]] = field(default_factory=dict)
    zone: Zone | None = None
    shaft_hz: float | None = None
    band_hz: tuple[float, float] | None = None
    envelope: OrderSpectrum | None = field(default=None, compare=False)
    velocity: OrderSpectrum | None = field(default=None, compare=False)
    change: Change | None = None


def diagnose(
    signal: Floats, rate_hz: float, quantity: str, machine: Machine, baseline: Floats | None = None
) -> Diagnosis:
    """The fault of a machine by a block of its vibration.

    Parameters
    ----------
    signal : float64 (n,)
        In g for `vibration_acceleration`, in mm/s for `vibration_velocity`; finite.
    baseline : float64 (m,), optional
        A block of the same sensor, rate and load from when the machine was healthy.

    Notes
    -----
    About 1 µs a sample, most of it in the envelopes of some thirty bands. It fails where the speed changes within the
    block by more than a line or two, and where bearings of other shafts or kinds are heard.
    """
    figures = features(signal, rate_hz, quantity)
    velocity_mm_s = figures["velocity_rms"][0] if "velocity_rms" in figures else None
    of_zone = None
    if velocity_mm_s is not None and machine.group is not None and machine.support is not None:
        of_zone = zone(velocity_mm_s, machine.group, machine.support)
    missing = _missing(signal, rate_hz, machine)
    if machine.rpm is None or missing:
        return Diagnosis("none", missing, figures=figures, zone=of_zone)
    told_hz = machine.rpm / 60.0
    raw = order_spectrum(signal, rate_hz, told_hz, _highest_order(machine, rate_hz, told_hz))
    velocity = _as_velocity(raw, told_hz) if quantity == "vibration_acceleration" else raw
    heard = listen(signal, rate_hz, told_hz, fastest(machine.bearing))
    speed = Speed(told_hz, _shaft_order([raw, *heard.spectra[:1]], machine.bearing))
    band = heard.liveliest(speed.order)
    verdicts: list[Verdict] = []
    if band is not None and machine.bearing is not None:
        verdicts.append(of_bearing(signal, rate_hz, heard, band, machine.bearing, speed))
    elif band is not None:
        verdicts.append(of_unknown_bearing(heard.spectra[band], speed))
    if machine.teeth is not None:
        verdicts.append(of_gear(raw, quantity.removeprefix("vibration_"), machine.teeth, speed))
    whole_mm_s = velocity_mm_s if velocity_mm_s is not None else _velocity_mm_s(velocity, told_hz)
    allowed_mm_s = WORTH_A_REPAIR_MM_S if of_zone is None else of_zone.limits_mm_s[1]
    not_its_own = [float(count) for count in (machine.blades, machine.teeth) if count is not None]
    verdicts.append(of_shaft(velocity, whole_mm_s, allowed_mm_s, speed, not_its_own))
    moved = None if baseline is None else change(signal, baseline)
    if moved is not None:
        verdicts.append(of_change(moved, machine.teeth is not None and machine.bearing is None))
    faulty = [verdict for verdict in verdicts if verdict.fault != "none"]
    return Diagnosis(
        faulty[0].fault if faulty else "none",
        faulty[0].reason if faulty else "; ".join(verdict.reason for verdict in verdicts),
        faulty[0].evidence if faulty else tuple(line for verdict in verdicts for line in verdict.evidence),
        tuple(verdict.fault for verdict in faulty[1:]),
        figures,
        of_zone,
        told_hz * speed.order,
        None if band is None else (heard.envelopes[band].low_hz, heard.envelopes[band].high_hz),
        None if band is None else heard.spectra[band],
        velocity,
        moved,
    )


def _missing(signal: Floats, rate_hz: float, machine: Machine) -> str:
    """Why nothing can be said; empty where something can."""
    if machine.rpm is None:
        return "the shaft's speed is not known: no line can be told from another"
    if machine.rpm <= 0.0:
        return "the shaft stands: no line follows its speed"
    turns = len(signal) / rate_hz * machine.rpm / 60.0
    if turns < FEWEST_TURNS or len(signal) < FEWEST_SAMPLES:
        return f"the block holds {turns:.1f} turns of the shaft; {FEWEST_TURNS:.0f} are needed to tell its lines apart"
    if not np.ptp(signal) > 0.0:
        return "nothing moves"
    return ""


def _highest_order(machine: Machine, rate_hz: float, told_hz: float) -> float:
    """Up to which order the signal's own spectrum is wanted."""
    meshes = 3.0 * machine.teeth + 5.0 if machine.teeth else 0.0
    wanted = max(_SHAFT_ORDERS, VELOCITY_BAND_HZ[1] / told_hz, meshes)
    return min(wanted, rate_hz / SAMPLES_PER_PERIOD / told_hz)


def _velocity_mm_s(velocity: OrderSpectrum, told_hz: float) -> float:
    """Of as much of the band of ISO 20816 as the block holds."""
    first, last = (round(edge_hz / told_hz / velocity.step) for edge_hz in VELOCITY_BAND_HZ)
    return math.sqrt(velocity.mean_square(first, last))


def _as_velocity(acceleration: OrderSpectrum, shaft_hz: float) -> OrderSpectrum:
    """In mm/s, of a spectrum in g; what lies below 0.2 orders would be drift."""
    frequency_hz = np.arange(len(acceleration.power)) * acceleration.step * shaft_hz
    omega = 2.0 * math.pi * np.maximum(frequency_hz, 0.2 * shaft_hz)
    factor = np.square(G_MM_S2 / omega)
    power, floor = acceleration.power * factor, acceleration.floor * factor
    return OrderSpectrum(acceleration.step, acceleration.resolution, shaft_hz, power, floor)


def _shaft_order(spectra: list[OrderSpectrum], bearing: Bearing | None) -> float:
    """At which order the shaft's own lines are: 1 where the speed told is right, or no lines say otherwise.

    Harmonics near which the bearing has lines would mislead: 6203 has its BPFO at 3.05. So would lines of the mains.
    """
    ambiguous = [] if bearing is None else [k * order for order in first_lines(bearing).values() for k in (1, 2)]
    own = [k for k in _SHAFT_HARMONICS if all(abs(k - order) > _AMBIGUOUS * k for order in ambiguous)]
    near, far = (_surest(spectra, own, off) for off in _SPEED_OFF)
    at_the_edge = abs(near.order - 1.0) > 0.95 * _SPEED_OFF[0]
    found = far if at_the_edge or far.chance < near.chance - _BY_FAR else near
    return found.order if found.chance < _SPEED_CHANCE else 1.0


def _surest(spectra: list[OrderSpectrum], own: list[float], off: float) -> Comb:
    """The shaft's lines where one of the spectra shows them best, within a share `off` of the speed told."""
    kept = [(spectrum, _without_mains(own, spectrum, off)) for spectrum in spectra]
    combs = [find_comb(spectrum, 1.0, multiples, off, NO_LINES) for spectrum, multiples in kept if len(multiples)]
    return min(combs, key=lambda comb: comb.chance, default=Comb(1.0, 0.0))


def _without_mains(harmonics: list[float], spectrum: OrderSpectrum, off: float) -> Floats:
    """Those near which the electricity has no line, wherever the shaft may be."""
    electric, reach = mains_lines(spectrum, 1.0), 2.0 * spectrum.resolution
    return np.array([k for k in harmonics if not (np.abs(electric - k) < off * k + reach).any()])
