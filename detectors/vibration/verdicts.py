"""What the lines of a block mean: a verdict on the bearing, on the gear, on the shaft, each with its evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detectors.vibration.bearing_faults import LEAST_DEPTH, Suspect, suspect
from detectors.vibration.bearings import Bearing
from detectors.vibration.envelopes import Heard, listen, without_tones
from detectors.vibration.mains import mains_lines, share_on_mains
from detectors.vibration.orders import Floats, OrderSpectrum, find_comb, of_no_bearing, owned
from detectors.vibration.shaft_faults import Pattern, gear, pattern, velocity_lines
from detectors.vibration.spectral_change import Change

# Of a bearing that is not known, the fastest frequency that is looked for, as orders.
UNKNOWN_FASTEST = 6.0
_UNKNOWN_CHANCE = -7.0
# An envelope of this kurtosis is of something that strikes, however regularly: steady tones that beat stay below zero.
_STRIKES = 0.5
# So many lines of evidence, of those that noise shows once in a hundred.
_SHOWN, _WORTH_SHOWING = 8, 5.0
# Of the power of a part's lines, where more lies on the mains' it is theirs; of a velocity's, where less is not worth a
# word.
_ELECTRIC, _WORTH_SAYING = 2.0 / 3.0, 0.1
# Powers of ten: noise that is no noise of a textbook's makes more of them idle.
_SUREST = 12.0


@dataclass(frozen=True, slots=True)
class Speed:
    """A shaft's speed as it was told, and the order at which the shaft's own lines are: 1 where that was right."""

    told_hz: float
    order: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """A line that was found.

    Attributes
    ----------
    line : str
        What it is called: `BPFI - shaft`, `2x`, `mesh + shaft`.
    spectrum : str
        Where it stands: `envelope`, `velocity` or `acceleration`.
    order, expected_hz, found_hz : float
        In multiples of the shaft's speed as told; where it should be, and where it is.
    height : float
        Its power over that of the noise around it.
    rms : float
        In mm/s or g; of an envelope, of the band's power over its mean.
    """

    line: str
    spectrum: str
    order: float
    expected_hz: float
    found_hz: float
    height: float
    rms: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fault, the sentence that says why, and the lines."""

    fault: str
    reason: str
    evidence: tuple[Evidence, ...] = ()


def fastest(bearing: Bearing | None) -> float:
    """The highest order that anything in a bearing has by itself."""
    known = [] if bearing is None else [order for order in (bearing.inner, bearing.outer) if order is not None]
    if bearing is not None and bearing.spin is not None:
        known.append(2.0 * bearing.spin)
    return max(known, default=UNKNOWN_FASTEST)


def of_bearing(signal: Floats, rate_hz: float, heard: Heard, band: int, bearing: Bearing, speed: Speed) -> Verdict:
    """The damaged part of a bearing, by the envelope of one of the bands heard."""
    envelope, spectrum = heard.envelopes[band], heard.spectra[band]
    seen = suspect(spectrum, bearing, speed.order, len(heard.spectra))
    if seen is None:
        return Verdict("none", "no line of the bearing stands out in the envelope of any band")
    if share_on_mains([line.order for line in seen.lines], spectrum) > _ELECTRIC:
        hum = mains_lines(spectrum, speed.order)
        part = seen.fault.replace("_", " ")
        said = f"the vibration swells at {_hz(hum, speed)}: the mains', where lines of the {part} would be"
        seen = suspect(spectrum, bearing, speed.order, len(heard.spectra), hum)
        if seen is None:
            return Verdict("none", f"{said}; a block at another speed would tell")
    if envelope.kurtosis < _STRIKES and not _without_tones_too(signal, rate_hz, bearing, speed):
        return Verdict("none", "what looks like lines of the bearing is the beat of steady tones: gone without these")
    reason = (
        f"from {envelope.low_hz:.0f} to {envelope.high_hz:.0f} Hz the vibration swells and ebbs at the lines of this "
        f"part more than at any other's; noise does it once in 10^{min(-seen.chance, _SUREST):.0f} blocks or less"
    )
    return Verdict(seen.fault, reason, _lines_of(seen, spectrum, speed))


def _without_tones_too(signal: Floats, rate_hz: float, bearing: Bearing, speed: Speed) -> bool:
    """Whether some part is still suspected when the signal's tones are cut down."""
    heard = listen(without_tones(signal, rate_hz), rate_hz, speed.told_hz, fastest(bearing))
    band = heard.liveliest(speed.order)
    return band is not None and suspect(heard.spectra[band], bearing, speed.order, len(heard.spectra)) is not None


def _lines_of(seen: Suspect, spectrum: OrderSpectrum, speed: Speed) -> tuple[Evidence, ...]:
    """The lines of a part that stand out, the strongest first."""
    lines = []
    for line in seen.lines:
        expected, rms = line.order / (1.0 + seen.slip), math.sqrt(spectrum.excess(np.array([line.order]))[0])
        lines.append(_evidence(line.name, "envelope", spectrum, expected, line.order, rms, speed))
    shown = [line for line in lines if line.height >= _WORTH_SHOWING]
    return tuple(sorted(shown, key=lambda line: -line.rms)[:_SHOWN])


def of_unknown_bearing(spectrum: OrderSpectrum, speed: Speed) -> Verdict:
    """No part can be named, but what strikes in a rhythm that is not the shaft's can be told."""
    owners = of_no_bearing(spectrum, speed.order)
    peaks = spectrum.peaks(0.3, spectrum.highest / 3.0, 1e-3)
    peaks = peaks[~owned(peaks, owners, spectrum.resolution)]
    for order in peaks[np.argsort(-spectrum.excess(peaks))][:_SHOWN]:
        power = float(spectrum.excess(np.array([order]))[0])
        comb = find_comb(spectrum, float(order), np.arange(1.0, 4.0), 1e-3, owners)
        if comb.chance < _UNKNOWN_CHANCE and power >= LEAST_DEPTH:
            line = _evidence("impacts", "envelope", spectrum, order, order, math.sqrt(power), speed)
            said = f"impacts at {line.found_hz:.1f} Hz ({order:.3f} orders) that no order of the shaft explains"
            return Verdict("none", f"{said}; the bearing's geometry would tell which part it is", (line,))
    return Verdict("none", "no impacts in a rhythm that the shaft does not explain; the bearing is not known")


def of_gear(spectrum: OrderSpectrum, kind: str, teeth: int, speed: Speed) -> Verdict:
    """A gear by the signal's own spectrum, which is of the `kind` acceleration or velocity."""
    found = gear(spectrum, teeth, speed.order)
    if found is None:
        return Verdict("none", "the mesh has no sidebands in pairs at shaft speed that would be worth a look")
    return _verdict(found, kind, spectrum, speed)


def of_change(moved: Change, gear_alone: bool) -> Verdict:
    """A spectrum that left its baseline: the gear's, on a machine of which nothing but a gear is known."""
    said = f"{moved.distance_db:.1f} dB from the baseline, whose own stretches are up to {moved.own_db:.1f} dB from it"
    return Verdict("gear" if moved.is_lasting and gear_alone else "none", f"the spectrum is {said}")


def of_shaft(
    velocity: OrderSpectrum, velocity_mm_s: float, allowed_mm_s: float, speed: Speed, skipped: list[float]
) -> Verdict:
    """Imbalance, misalignment, looseness, where the velocity is worth a repair. `skipped`: see `velocity_lines`.

    The shaft answers for what is left of the velocity without the mains' lines.
    """
    electric = mains_lines(velocity, speed.order)
    hum = float(velocity.excess(electric).sum())
    own_mm_s = math.sqrt(max(velocity_mm_s**2 - hum, 0.0))
    found = pattern(velocity_lines(velocity, speed.order, skipped, electric), own_mm_s) if own_mm_s else None
    said = f"velocity {velocity_mm_s:.2g} mm/s where {allowed_mm_s:g} is allowed"
    if hum > _WORTH_SAYING * velocity_mm_s**2:
        said += f", {math.sqrt(hum):.2g} mm/s of it at {_hz(electric, speed)}: the mains', not the shaft's"
    if found is None or own_mm_s <= allowed_mm_s:
        return Verdict("none", said + ("" if found is None else f", of the shape of {found.fault}"))
    verdict = _verdict(found, "velocity", velocity, speed)
    return Verdict(verdict.fault, f"{found.reason}; {said}", verdict.evidence)


def _hz(orders: Floats, speed: Speed) -> str:
    return " and ".join(f"{order * speed.told_hz:.0f} Hz" for order in orders)


def _verdict(found: Pattern, kind: str, spectrum: OrderSpectrum, speed: Speed) -> Verdict:
    lines = [
        _evidence(line.name, kind, spectrum, line.order / speed.order, line.order, line.rms, speed)
        for line in found.lines
    ]
    return Verdict(found.fault, found.reason, tuple(lines))


def _evidence(
    name: str, kind: str, spectrum: OrderSpectrum, expected: float, found: float, rms: float, speed: Speed
) -> Evidence:
    height = float(spectrum.heights(np.array([found]))[0])
    return Evidence(name, kind, float(expected), expected * speed.told_hz, found * speed.told_hz, height, rms)
