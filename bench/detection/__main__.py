"""`python -m bench.detection [SET ...]`: the table of figures on recordings."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.detection import (
    azure,
    batadal,
    budget,
    changepoints,
    cmapss,
    cwru,
    gearbox,
    hydraulic,
    ims,
    modes,
    nab,
    played,
    pronostia,
    remaining,
    sensors,
    simulated,
    skab,
    tep,
    verdicts,
    wear,
    weather,
    xep,
)
from bench.detection.table import Row

SETS: Mapping[str, Callable[[Path], list[Row]]] = {
    "skab": skab.rows,
    "batadal": batadal.rows,
    "tep": tep.rows,
    "changepoints": changepoints.rows,
    "sensors": sensors.rows,
    "cmapss": cmapss.rows,
    "nab": nab.rows,
    "hydraulic": hydraulic.rows,
    "azure": azure.rows,
    "pronostia": pronostia.rows,
    "ims": ims.rows,
    "xep": xep.rows,
    "wear": wear.rows,
    "remaining": remaining.rows,
    "simulated": simulated.rows,
    "modes": modes.rows,
    "played": played.rows,
    "budget": budget.rows,
    "weather": weather.rows,
    "verdicts": verdicts.rows,
    "cwru": cwru.rows,
    "gearbox": gearbox.rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.detection", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"these alone: {', '.join(SETS)}")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BELLWETHER_DATA", "../shared/data")))
    parser.add_argument("--json", action="store_true", help="print what a program can read")
    options = parser.parse_args()
    if unknown := set(options.sets) - set(SETS):
        parser.error(f"no such set: {', '.join(sorted(unknown))}")
    found: list[Row] = []
    console = Console(stderr=True, highlight=False)
    for name in options.sets or SETS:
        began = time.monotonic()
        found += SETS[name](options.data)
        console.print(f"{name}: {time.monotonic() - began:.0f} s")
    if options.json:
        json.dump([asdict(row) | {"verdict": row.verdict} for row in found], sys.stdout, indent=2)
        print()
    else:
        _show(found)


def _show(rows: list[Row]) -> None:
    table = Table()
    for title in ("recordings", "figure", "ours", "at least", "aim", "", "beside"):
        table.add_column(title, justify="right" if title in ("ours", "at least", "aim") else "left")
    for row in rows:
        bound = "" if row.upwards else "≤ "
        table.add_row(
            row.recordings,
            row.figure,
            f"{row.ours:.4g}",
            "" if row.least is None else f"{bound}{row.least:g}",
            "" if row.aim is None else f"{bound}{row.aim:g}",
            row.verdict,
            " · ".join(f"{name} {figure:g}" for name, figure in row.beside.items()),
        )
    console = Console()
    Console(width=console.width if console.is_terminal else 180).print(table)


if __name__ == "__main__":
    main()
