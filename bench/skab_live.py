"""The default detectors on the pump recordings of SKAB as if live: what would be raised, when, and by which channel.

Row by row through the public detectors, and the least of an alarm layer: raise when a score has been 1 or more for the
on-delay, clear when it has been below 1 - deadband for the off-delay. Recordings are read from $BELLWETHER_DATA or
../shared/data. Run from the root: `python -m bench.skab_live [--crop ROWS] [--scale FACTOR]`.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from detectors import Detector, Flatline, Multivariate, Shift
from telemetry import Batch, Stream

DATA = Path(os.environ.get("BELLWETHER_DATA", "../shared/data")) / "SKAB"
LABELS = ("anomaly", "changepoint")
DEADBAND = 0.2
OFF_DELAY_S = 120.0
ON_DELAY_S = {"flatline": 60.0, "shift": 120.0, "multivariate": 120.0}


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm; `after_fault_s` counts from the first row labelled anomalous, or from the recording's start."""

    detector: str
    point: str
    after_fault_s: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording as readings. `fault` is where the label begins and ends, None where there is none."""

    name: str
    points: tuple[str, ...]
    time_us: np.ndarray
    value: np.ndarray
    fault: tuple[int, int] | None


def load(path: Path, crop: int = 0, scale: float = 1.0) -> Heard:
    frame = pd.read_csv(path, sep=";", parse_dates=["datetime"]).iloc[crop:]
    points = tuple(name for name in frame.columns if name not in ("datetime", *LABELS))
    labelled = np.flatnonzero(frame["anomaly"]) if "anomaly" in frame else np.empty(0, int)
    time_us = frame["datetime"].dt.as_unit("us").astype("int64").to_numpy()
    fault = (int(time_us[labelled[0]]), int(time_us[labelled[-1]])) if len(labelled) else None
    return Heard(f"{path.parent.name}/{path.stem}", points, time_us, frame[list(points)].to_numpy() * scale, fault)


def alarms(heard: Heard) -> list[Raised]:
    streams = [Stream(i, 1, "bench", "pump", point, "unknown", "") for i, point in enumerate(heard.points)]
    detectors: dict[str, Detector] = {"flatline": Flatline(), "shift": Shift(), "multivariate": Multivariate()}
    for detector in detectors.values():
        detector.watch(streams)
    raised: list[Raised] = []
    since: dict[tuple[str, int], int] = {}
    below: dict[tuple[str, int], int] = {}
    on: set[tuple[str, int]] = set()
    stream = np.arange(len(streams))
    for row, now_us in enumerate(heard.time_us):
        batch = Batch.of(np.full(len(streams), now_us), stream, heard.value[row])
        for name, detector in detectors.items():
            scores = detector.score(batch, int(now_us))
            for time_us, subject, score in zip(scores.time_us, scores.subject, scores.score, strict=True):
                key = (name, int(subject))
                if score >= 1.0:
                    below.pop(key, None)
                    since.setdefault(key, int(time_us))
                    if key not in on and time_us - since[key] >= ON_DELAY_S[name] * 1e6:
                        on.add(key)
                        raised.append(_raised(heard, name, detector.explain(int(subject)).point, int(time_us)))
                elif key not in on:
                    since.pop(key, None)
                elif score < 1.0 - DEADBAND:
                    below.setdefault(key, int(time_us))
                    if time_us - below[key] >= OFF_DELAY_S * 1e6:
                        on.discard(key)
                        since.pop(key, None)
                        below.pop(key)
                else:
                    below.pop(key, None)
    return raised


def _raised(heard: Heard, detector: str, point: str, now_us: int) -> Raised:
    if heard.fault is None:
        return Raised(detector, point, (now_us - int(heard.time_us[0])) / 1e6, "FALSE")
    begins_us, ends_us = heard.fault
    verdict = "FALSE" if now_us < begins_us else "hit" if now_us <= ends_us else "after"
    return Raised(detector, point, (now_us - begins_us) / 1e6, verdict)


def run(crop: int = 0, scale: float = 1.0) -> dict[str, list[Raised]]:
    """Alarms of each recording, by its name."""
    paths = sorted(DATA.glob("*/*.csv"))
    if not paths:
        raise FileNotFoundError(f"no recordings at {DATA}; set BELLWETHER_DATA")
    return {heard.name: alarms(heard) for heard in (load(path, crop, scale) for path in paths)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--crop", type=int, default=0, help="rows left out at the start")
    arguments.add_argument("--scale", type=float, default=1.0, help="factor on every value")
    chosen = arguments.parse_args()
    results = run(chosen.crop, chosen.scale)
    for name, raised in results.items():
        told = "; ".join(f"{a.verdict} {a.detector} {a.point} {a.after_fault_s:+.0f} s" for a in raised)
        print(f"{name:28s}{told or '-'}")
    faulty = [raised for name, raised in results.items() if not name.startswith("anomaly-free")]
    hits = sum(any(alarm.verdict == "hit" for alarm in raised) for raised in faulty)
    false = sum(alarm.verdict == "FALSE" for raised in results.values() for alarm in raised)
    print(f"{hits} of {len(faulty)} faults found, {false} false alarms in {len(results)} recordings")


if __name__ == "__main__":
    main()
