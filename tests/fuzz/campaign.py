"""One target under atheris, in a process of its own: `campaign.py TARGET CORPUS [libFuzzer's options]`.

`campaign.py TARGET CORPUS replay` decodes what was found instead, again and again, and says by how many bytes that made
the process grow.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
ROUNDS = 10


def main() -> None:
    name, corpus, *options = sys.argv[1:]
    if options == ["replay"]:
        from targets import TARGETS  # noqa: PLC0415

        print(_growth(TARGETS[name].fuzz, [path.read_bytes() for path in Path(corpus).iterdir()]))  # noqa: T201
        return
    import atheris  # noqa: PLC0415

    with atheris.instrument_imports(include=["ingest", "telemetry"]):
        from targets import TARGETS  # noqa: PLC0415
    atheris.Setup([sys.argv[0], *options, corpus], TARGETS[name].fuzz)
    atheris.Fuzz()


def _growth(fuzz, inputs) -> int:  # type: ignore[no-untyped-def]
    for data in inputs:
        fuzz(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(ROUNDS):
        for data in inputs:
            fuzz(data)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


main()
