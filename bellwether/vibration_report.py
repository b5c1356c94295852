"""The page of `bellwether vibration --report`: the verdict, and the spectra with the lines marked that it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bellwether.report import ALARM, INK, SERIES, Picture, Section, Table, drawing, page, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from detectors.vibration import Diagnosis, Evidence, Floats, Machine, OrderSpectrum

_MOST_POINTS = 4000
# What lies below is drift.
_FROM_ORDER = 0.25


def write(
    path: Path, title: str, signal: Floats, rate_hz: float, unit: str, machine: Machine, found: Diagnosis
) -> None:
    """The page of one block: `signal` in `unit`, and what was found in it."""
    sections = [
        Section("Verdict", [f"Fault: {found.fault}.", found.reason, *_zone(found), *_lines(found)]),
        Section("Pictures", [_wave(signal, rate_hz, unit), *_spectra(found, machine)]),
        Section("Figures", [_figures(found)]),
    ]
    path.write_text(page(f"Vibration: {title}", sections), encoding="utf-8")


def _zone(found: Diagnosis) -> list[str]:
    if found.zone is None:
        return ["No zone: it takes the machine's group and support, and a velocity from 10 to 1000 Hz."]
    limits = " / ".join(f"{limit:g}" for limit in found.zone.limits_mm_s)
    return [f"Zone {found.zone.letter} by {found.zone.table}: {limits} mm/s."]


def _lines(found: Diagnosis) -> list[Table]:
    head = ("line", "in", "order", "expected Hz", "found Hz", "times the noise", "RMS")
    rows = [
        (
            line.line,
            line.spectrum,
            f"{line.order:.3f}",
            f"{line.expected_hz:.2f}",
            f"{line.found_hz:.2f}",
            f"{line.height:.0f}",
            f"{line.rms:.3g}",
        )
        for line in found.evidence
    ]
    return [Table(head, rows)] if rows else []


def _figures(found: Diagnosis) -> Table:
    rows = [(name.replace("_", " "), f"{value:.4g}", unit) for name, (value, unit) in found.figures.items()]
    return Table(("figure", "value", "unit"), rows)


def _wave(signal: Floats, rate_hz: float, unit: str) -> Picture:
    """The block, each stretch by its lowest and its highest sample."""
    figure, (plot,) = drawing(height_in=2.2)
    each = max(len(signal) * 2 // _MOST_POINTS, 1)
    whole = signal[: len(signal) // each * each].reshape(-1, each)
    t_s = np.arange(len(whole)) * each / rate_hz
    plot.fill_between(t_s, whole.min(axis=1), whole.max(axis=1), color=SERIES[0], linewidth=0.6)
    plot.set_xlabel("s")
    plot.set_ylabel(unit)
    return Picture(svg(figure), "The block.")


def _spectra(found: Diagnosis, machine: Machine) -> list[Picture]:
    if machine.rpm is None:
        return []
    told_hz = machine.rpm / 60.0
    pictures = []
    if found.envelope is not None and found.band_hz is not None:
        low_hz, high_hz = found.band_hz
        marked = [line for line in found.evidence if line.spectrum == "envelope"]
        caption = f"Envelope of {low_hz:.0f} to {high_hz:.0f} Hz: how the vibration there swells and ebbs."
        pictures.append(_spectrum(found.envelope, told_hz, marked, 12.0, "RMS of the swing", caption))
    if found.velocity is not None:
        marked = [line for line in found.evidence if line.spectrum == "velocity"]
        pictures.append(_spectrum(found.velocity, told_hz, marked, 10.5, "mm/s RMS", "Velocity."))
    return pictures


def _spectrum(
    spectrum: OrderSpectrum, told_hz: float, marked: list[Evidence], to_order: float, unit: str, caption: str
) -> Picture:
    """A spectrum up to an order, with the noise it stands in and the lines of the evidence."""
    figure, (plot,) = drawing()
    shown = slice(round(_FROM_ORDER / spectrum.step), min(round(to_order / spectrum.step), len(spectrum.power)))
    frequency_hz = np.arange(len(spectrum.power))[shown] * spectrum.step * told_hz
    plot.plot(frequency_hz, np.sqrt(spectrum.power[shown]), color=SERIES[0], linewidth=0.8)
    plot.plot(frequency_hz, np.sqrt(spectrum.floor[shown]), color=INK, linewidth=0.6, alpha=0.6)
    for line in marked:
        _mark(plot, line, float(frequency_hz[-1]))
    plot.set_xlim(0.0, float(frequency_hz[-1]))
    plot.set_ylim(0.0, None)
    plot.set_xlabel("Hz")
    plot.set_ylabel(unit)
    return Picture(svg(figure), f"{caption} Thin: the noise. Marked: the lines of the evidence.")


def _mark(plot: Axes, line: Evidence, to_hz: float) -> None:
    if line.found_hz < to_hz:
        plot.axvline(line.found_hz, color=ALARM, linewidth=0.8, alpha=0.5)
        plot.annotate(
            line.line,
            (line.found_hz, 1.0),
            xycoords=("data", "axes fraction"),
            rotation=90,
            va="top",
            ha="right",
            color=ALARM,
            fontsize=8,
        )
