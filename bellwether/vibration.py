"""`bellwether vibration`: what a waveform in a file says of the machine that it was taken from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bellwether.console import AsJson, as_misconfigured, print_json, say

if TYPE_CHECKING:
    from detectors.vibration import Bearing, Diagnosis, Machine

Order = Annotated[str | None, typer.Option(metavar="ORDER", help="As `--bpfo`.")]


def vibration(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="A waveform: .npy, .npz, .wav, CSV or Parquet.")],
    rate: Annotated[float | None, typer.Option(metavar="HZ", help="Samples a second; sound files say it.")] = None,
    rpm: Annotated[float | None, typer.Option(help="Speed of the shaft, within a hundredth or so.")] = None,
    bearing: Annotated[str | None, typer.Option(help="As `SKF 6205`.", show_default=False)] = None,
    bpfo: Annotated[
        str | None,
        typer.Option(metavar="ORDER", help="Multiple of the shaft's speed, as makers print it: 3.585. Or 107.4Hz."),
    ] = None,
    bpfi: Order = None,
    bsf: Order = None,
    ftf: Order = None,
    balls: Annotated[int | None, typer.Option(help="Or the bearing's geometry: how many rolling elements.")] = None,
    ball_mm: Annotated[float | None, typer.Option(help="Their diameter.")] = None,
    pitch_mm: Annotated[float | None, typer.Option(help="The pitch diameter.")] = None,
    contact_deg: Annotated[float, typer.Option(help="The contact angle.")] = 0.0,
    unit: Annotated[str, typer.Option(help="Of the samples: g, m/s2, mm/s, in/s.")] = "g",
    group: Annotated[int | None, typer.Option(help="Of ISO 20816-3: 1 above 300 kW, 2 from 15 to 300 kW.")] = None,
    support: Annotated[str | None, typer.Option(help="rigid or flexible. No zone without group and support.")] = None,
    teeth: Annotated[int | None, typer.Option(min=3, help="Of the gear on this shaft.")] = None,
    blades: Annotated[int | None, typer.Option(min=2, help="Of the fan or pump wheel on this shaft.")] = None,
    column: Annotated[
        str, typer.Option("--column", "--channel", help="Name or number of the channel, where there are several.")
    ] = "",
    baseline: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A block of the same sensor and load while it was healthy.")
    ] = None,
    as_json: AsJson = False,
    report: Annotated[Path | None, typer.Option(dir_okay=False, help="Also a page with pictures: FILE.html.")] = None,
) -> None:
    """Name a machine's probable fault from a block of raw vibration, with the lines that prove it.

    Example: bellwether vibration pump.npy --rate 25600 --rpm 1480 --bearing "SKF 6205" --group 2 --support rigid
    """
    from detectors.vibration import Machine, diagnose
    from detectors.vibration.wave_files import read_wave
    from telemetry.waveform import vibration as unit_of_vibration

    with as_misconfigured():
        if not file.is_file():
            raise ValueError(f"there is no file {file}")
        known = unit_of_vibration(unit)
        if known is None:
            raise ValueError(f"--unit {unit!r} is none of vibration: g, m/s2, mm/s, in/s")
        wave = read_wave(file, column)
        rate_hz = _checked_rate(rate if rate is not None else wave.rate_hz)
        fitted = _bearing(bearing, (bpfo, bpfi, bsf, ftf), (balls, ball_mm, pitch_mm, contact_deg), rpm)
        machine = _checked(Machine(rpm, fitted, teeth, blades, group, support), len(wave.values))
        values = known.convert(wave.values)
        healthy = None if baseline is None else known.convert(read_wave(baseline, column).values)
        found = diagnose(values, rate_hz, known.quantity, machine, healthy)
    if report is not None:
        from bellwether.vibration_report import write

        write(report, file.name, values, rate_hz, known.unit, machine, found)
    if as_json:
        print_json(document(found, machine, rate_hz, len(values), str(file)))
    else:
        _tell(found)


def document(found: Diagnosis, machine: Machine, rate_hz: float, samples: int, file: str = "") -> dict[str, Any]:
    """A diagnosis as `--json` prints it."""
    figure = {name: value for name, (value, _) in found.figures.items()}
    return {
        "file": file,
        "fault": found.fault,
        "reason": found.reason,
        "evidence": [asdict(line) for line in found.evidence],
        "also": list(found.also),
        "velocity_rms_mm_s": figure.get("velocity_rms"),
        "zone": None if found.zone is None else asdict(found.zone),
        "crest_factor": figure.get("crest_factor"),
        "kurtosis": figure.get("kurtosis"),
        "envelope": {"band_hz": found.band_hz, "lines": bearing_lines(found, machine)},
        "change": None if found.change is None else asdict(found.change) | {"is_lasting": found.change.is_lasting},
        "figures": {name: {"value": value, "unit": unit} for name, (value, unit) in found.figures.items()},
        "machine": asdict(machine),
        "shaft_hz": found.shaft_hz,
        "rate_hz": rate_hz,
        "samples": samples,
    }


def bearing_lines(found: Diagnosis, machine: Machine) -> list[dict[str, Any]]:
    """The first line of each part of the bearing, where geometry has it, whether it stands out or not."""
    import numpy as np

    if found.envelope is None or machine.bearing is None or machine.rpm is None or found.shaft_hz is None:
        return []
    spin = machine.bearing.spin
    orders = {
        "BPFO": machine.bearing.outer,
        "BPFI": machine.bearing.inner,
        "2 BSF": None if spin is None else 2.0 * spin,
        "FTF": machine.bearing.cage,
    }
    off = found.shaft_hz * 60.0 / machine.rpm
    lines = []
    for name, order in orders.items():
        if order is not None:
            near = order * off * np.linspace(0.985, 1.015, 31)
            height = float(found.envelope.heights(near).max())
            lines.append({"line": name, "order": order, "expected_hz": order * found.shaft_hz, "height": height})
    return lines


def _checked_rate(rate_hz: float | None) -> float:
    if rate_hz is None:
        raise ValueError("the file does not say its rate: give --rate, in samples a second")
    if not 1.0 <= rate_hz <= 1e7:
        raise ValueError(f"--rate {rate_hz:g}: 1 to 10 000 000 samples a second")
    return rate_hz


def _checked(machine: Machine, samples: int) -> Machine:
    from detectors.vibration import FEWEST_SAMPLES, GROUPS, SUPPORTS

    if samples < FEWEST_SAMPLES:
        raise ValueError(f"{samples} samples are too few to say anything: {FEWEST_SAMPLES} and more")
    if machine.rpm is not None and not 0.0 < machine.rpm <= 1e6:
        raise ValueError(f"--rpm {machine.rpm:g}: above 0, up to 1 000 000")
    if machine.group is not None and machine.group not in GROUPS:
        raise ValueError(f"--group {machine.group}: 1 (above 300 kW) or 2 (15 to 300 kW)")
    if machine.support is not None and machine.support not in SUPPORTS:
        raise ValueError(f"--support {machine.support}: rigid or flexible")
    if (machine.group is None) != (machine.support is None):
        raise ValueError("a zone of ISO 20816-3 takes --group and --support, both")
    return machine


def _bearing(
    name: str | None,
    orders: tuple[str | None, ...],
    geometry: tuple[int | None, float | None, float | None, float],
    rpm: float | None,
) -> Bearing | None:
    """The bearing by one of the three ways to say it; None where none was taken."""
    from detectors.vibration import named, of_geometry, of_orders

    balls, ball_mm, pitch_mm, contact_deg = geometry
    ways = [name is not None, any(orders), any(value is not None for value in geometry[:3])]
    if sum(ways) > 1:
        raise ValueError("a bearing is given by its name, or by its orders, or by its geometry: one of them")
    if name is not None:
        return named(name)
    if any(orders):
        given = [None if text is None else _order(text, rpm) for text in orders]
        return of_orders(*given)
    if balls is not None and ball_mm is not None and pitch_mm is not None:
        return of_geometry("given geometry", balls, ball_mm, pitch_mm, contact_deg)
    if any(ways):
        raise ValueError("a bearing's geometry is --balls, --ball-mm and --pitch-mm")
    return None


def _order(text: str, rpm: float | None) -> float:
    """A multiple of the shaft's speed, from `3.585` or, at a known speed, from `107.4Hz`."""
    bare = text.strip().lower()
    try:
        value = float(bare.removesuffix("hz"))
    except ValueError:
        raise ValueError(f"{text!r} is no multiple of the shaft's speed: 3.585, or 107.4Hz") from None
    if not bare.endswith("hz"):
        return value
    if not rpm:
        raise ValueError(f"{text}: in Hz it takes --rpm too")
    return value / (rpm / 60.0)


def _tell(found: Diagnosis) -> None:
    say(f"fault: {found.fault}" + (f" (also: {', '.join(found.also)})" if found.also else ""))
    say(f"  {found.reason}")
    for line in found.evidence:
        say(
            f"  {line.line}, {line.spectrum}: expected at {line.expected_hz:.2f} Hz, found at {line.found_hz:.2f} Hz, "
            f"{line.height:.0f} times the noise around it"
        )
    if found.zone is not None:
        limits = " / ".join(f"{limit_mm_s:g}" for limit_mm_s in found.zone.limits_mm_s)
        say(f"zone {found.zone.letter} of {found.zone.table}: {limits}")
    for name, (value, unit) in found.figures.items():
        say(f"{name.replace('_', ' ')}: {value:.4g} {unit}".rstrip())
