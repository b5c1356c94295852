"""What is measured, as lines of a table: each figure beside what it is aimed at."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table. `met`: whether the aim is reached."""

    what: str
    figure: float
    unit: str
    aim: str
    met: bool
    beside: str = ""


def at_least(what: str, figure: float, aim: float, unit: str = "", beside: str = "") -> Line:
    return Line(what, figure, unit, f"{aim:,g}", figure >= aim, beside)


def at_most(what: str, figure: float, aim: float, unit: str = "", beside: str = "") -> Line:
    return Line(what, figure, unit, f"≤ {aim:,g}", figure <= aim, beside)


def told(what: str, figure: float, unit: str = "", beside: str = "") -> Line:
    """A figure without an aim."""
    return Line(what, figure, unit, "", True, beside)


def show(lines: Sequence[Line], as_json: bool) -> None:
    """Print them, for people or for a program."""
    if as_json:
        json.dump({"machine": machine(), "figures": [asdict(line) for line in lines]}, sys.stdout, indent=2)
        print()
        return
    table = Table(caption=machine(), caption_justify="left")
    for title in ("what", "figure", "aim", "", "beside"):
        table.add_column(title, justify="right" if title in ("figure", "aim") else "left")
    for line in lines:
        figure = f"{line.figure:,.0f} {line.unit}" if line.figure > 100 else f"{line.figure:.2f} {line.unit}"
        table.add_row(
            line.what,
            figure.rstrip(),
            line.aim,
            "reached" if line.aim and line.met else "" if not line.aim else "missed",
            line.beside,
        )
    Console().print(table)


def machine() -> str:
    """What the figures were measured on."""
    model = next(
        (line.split(":")[1].strip() for line in _cpu_info() if line.startswith("model name")), platform.machine()
    )
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, Linux {platform.release()}"


def _cpu_info() -> list[str]:
    try:
        with open("/proc/cpuinfo") as file:
            return file.readlines()
    except OSError:
        return []
