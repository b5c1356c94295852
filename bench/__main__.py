"""What it costs: one table, each figure beside what it is aimed at. `python -m bench [ingest] [options]`.

Throughput is given as a share of the least that any program could do in its place on this machine in the same run,
since rates alone say more of the machine than of the program.
"""

from __future__ import annotations

import argparse

from rich.console import Console

from bench import detectors, ingest, latency, peers, recording, throughput
from bench.lines import Line, at_least, at_most, show, told
from bench.servers import running_servers

console = Console(stderr=True, highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", nargs="?", choices=["ingest"], help="ingest alone, and all of it: some ten minutes")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each measurement; medians are shown")
    parser.add_argument("--json", action="store_true", help="print what a program can read")
    parser.add_argument("--faults", type=int, default=100, help="faults timed from publication to ticket")
    parser.add_argument("--rows", type=int, default=5_000_000, help="of `ingest`: readings stored before it is timed")
    parser.add_argument("--backlog", type=int, default=900_000, help="of `ingest`: messages that wait for it")
    parser.add_argument("--outage", type=float, default=30.0, help="of `ingest`: seconds that the database is away")
    parser.add_argument("--only", nargs="*", choices=list(ingest.PARTS), help="of `ingest`: these alone")
    parser.add_argument("--server", help="a superuser's URL of another TimescaleDB to measure with")
    options = parser.parse_args()
    with console.status("starting the servers") as status:
        if options.part == "ingest":
            size = ingest.Size(options.rounds, options.rows, options.backlog, options.outage)
            lines = ingest.measure(size, options.only or list(ingest.PARTS), options.server, status.update)
        else:
            lines = _measure(options.rounds, options.faults, options.server, status.update)
    show(lines, options.json)


def _measure(rounds: int, faults: int, server: str | None, say: throughput.Say) -> list[Line]:
    with running_servers(server) as servers:
        columns = throughput.columns(servers, rounds, say)
        singles = throughput.singles(servers, rounds, say)
    scored = _detectors(say)
    median_s, p99_s = latency.publish_to_ticket(faults, say)
    return [
        ingest.columns_line(columns),
        ingest.singles_line(singles),
        *scored,
        told("publish to ticket in the API, median", median_s, "s"),
        at_most("publish to ticket in the API, 99th percentile", p99_s, 1.0, "s"),
    ]


def _detectors(say: throughput.Say) -> list[Line]:
    """What scoring costs on one core, and others' methods in the same run: how many times as fast ours is."""
    say("detectors")
    ours = detectors.run()
    say("what others offer")
    theirs = peers.run()
    say("a recording of four million readings")
    seconds = recording.run()
    shift, together = ours["fleet_shift"], ours["fleet_multivariate"]
    return [
        at_least("readings through all detectors on one core", ours["fleet_all"], 1e6, "/s"),
        at_least("readings through those of streams", ours["fleet_of_streams"], 1e6, "/s"),
        at_least("readings through that of machines, 8 channels", together, 5e5, "/s"),
        *(
            told(f"shift beside {name}", shift / theirs[name], "times", f"{theirs[name]:,.0f}/s")
            for name in _OF_STREAMS
        ),
        *(
            told(f"multivariate beside {name}", together / rate, "times", f"{rate:,.0f}/s")
            for name, rate in theirs.items()
            if name not in _OF_STREAMS
        ),
        *(
            at_most(
                f"detect over 4 M readings, {name}, beside pandas writing and reading them",
                seconds[name] / seconds["pandas"],
                2.0,
                "times",
                f"{seconds[name]:.1f} s and {seconds['pandas']:.1f} s",
            )
            for name in ("trained", "unknown")
        ),
    ]


_OF_STREAMS = ("River's ADWIN", "River's PageHinkley", "River's GaussianScorer")


if __name__ == "__main__":
    main()
