"""What it costs: one table, each figure beside what it is aimed at. `python -m bench [--rounds N] [--json]`.

Throughput is given as a share of the least that any program could do in its place on this machine in the same run,
since rates alone say more of the machine than of the program.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from bench import detectors, latency, throughput
from bench.servers import running_servers

console = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table. `met`: whether the aim is reached."""

    what: str
    figure: float
    unit: str
    aim: str
    met: bool
    beside: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each measurement; medians are shown")
    parser.add_argument("--faults", type=int, default=100, help="faults timed from publication to ticket")
    parser.add_argument("--json", action="store_true", help="print what a program can read")
    wishes = parser.parse_args()
    with console.status("starting the servers") as status:
        lines = _measure(wishes.rounds, wishes.faults, status.update)
    if wishes.json:
        json.dump({"machine": machine(), "figures": [asdict(line) for line in lines]}, sys.stdout, indent=2)
        print()
    else:
        _print(lines)


def _measure(rounds: int, faults: int, say: throughput.Say) -> list[Line]:
    with running_servers() as servers:
        columns = throughput.columns(servers, rounds, say)
        singles = throughput.singles(servers, rounds, say)
    say("detectors")
    scored = detectors.run()["fleet_all"]
    median_s, p99_s = latency.publish_to_ticket(faults, say)
    return [
        Line(
            "column payloads stored, as a share of bare binary COPY",
            columns.share,
            "",
            "0.5",
            columns.share >= 0.5,
            f"{columns.ours:,.0f} of {columns.bare:,.0f} rows/s",
        ),
        Line(
            "single readings stored, as a share of a bare subscriber",
            singles.share,
            "",
            "0.6",
            singles.share >= 0.6,
            f"{singles.ours:,.0f} of {singles.bare:,.0f} messages/s",
        ),
        Line("readings through all detectors on one core", scored, "/s", "1,000,000", scored >= 1e6),
        Line("publish to ticket in the API, median", median_s, "s", "", True),
        Line("publish to ticket in the API, 99th percentile", p99_s, "s", "< 1", p99_s < 1.0),
    ]


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


def _print(lines: list[Line]) -> None:
    table = Table(caption=machine(), caption_justify="left")
    for title in ("what", "figure", "aim", "", "beside"):
        table.add_column(title, justify="right" if title in ("figure", "aim") else "left")
    for line in lines:
        figure = f"{line.figure:,.0f}{line.unit}" if line.figure > 100 else f"{line.figure:.2f} {line.unit}".rstrip()
        table.add_row(
            line.what,
            figure,
            line.aim,
            "reached" if line.aim and line.met else "" if not line.aim else "missed",
            line.beside,
        )
    Console().print(table)


if __name__ == "__main__":
    main()
