"""Faults of sensors put into healthy recordings of a pump (SKAB) and of a hydraulic rig; machines' faults left alone.

Twenty of each kind, each in a channel and with a size drawn by its seed, from about the middle of the recording on.
Right is who names the kind and the channel. A jump of level and scatter by a random factor is the machine's: whoever
names it is wrong, as is who names anything in a recording that nothing was put into.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.detection.skab import LABELS
from bench.detection.table import Row
from detectors.conversions import CONVERSIONS
from detectors.recordings import read
from detectors.sensors import Sensors
from telemetry import Batch, Stream
from telemetry.quantities import quantity_of

Floats = npt.NDArray[np.float64]
Put = Callable[[Floats, int, int, str, np.random.Generator], set[int]]

SEEDS = range(20)
_ROWS = 4000
_HYDRAULIC_CYCLES = 100
# A channel that has hardly any values of its own can't be judged.
_FEWEST_VALUES = 25


def rows(data: Path) -> list[Row]:
    found = []
    for name, (values, channels) in {"SKAB": _pump(data), "hydraulic rig": _rig(data)}.items():
        mistaken = 0
        for kind, (put, words) in KINDS.items():
            right, wrong = _named(values, channels, put, words)
            mistaken += wrong
            if words:
                found.append(Row(f"sensors, {name}", f"{kind}, named right of {len(SEEDS)}", right))
        every = len(KINDS) * len(SEEDS)
        found.append(Row(f"sensors, {name}", f"named wrong of {every}", mistaken, upwards=False))
    recorded = sorted(data.glob("SKAB/*/*.csv"))
    named = sum(bool(_signs(*_table(path))) for path in recorded)
    found.append(Row("sensors, SKAB as recorded", f"named of {len(recorded)} files", named, upwards=False))
    return found


def _scaled(values: Floats, at: int, channel: int, name: str, rng: np.random.Generator) -> set[int]:
    serving = [conversion for conversion in CONVERSIONS if conversion.serves(quantity_of(name).name)]
    conversion = serving[rng.integers(len(serving))]
    values[at:, channel] = values[at:, channel] * conversion.times + conversion.plus
    return {channel}


def _exchanged(values: Floats, at: int, channel: int, name: str, rng: np.random.Generator) -> set[int]:
    other = int((channel + 1 + rng.integers(values.shape[1] - 1)) % values.shape[1])
    values[at:, [channel, other]] = values[at:, [other, channel]]
    return {channel, other}


def _at_its_end(values: Floats, at: int, channel: int, name: str, rng: np.random.Generator) -> set[int]:
    end, part = values[:at, channel].max(), values[at:, channel]
    values[at:, channel] = np.minimum(part + end - np.median(part), end)
    return {channel}


def _loose(values: Floats, at: int, channel: int, name: str, rng: np.random.Generator) -> set[int]:
    loose = at + np.flatnonzero(rng.random(len(values) - at) < 0.08)
    values[loose, channel] += rng.choice([-20.0, 20.0], len(loose)) * np.diff(values[:at, channel]).std()
    return {channel}


def _jumped(values: Floats, at: int, channel: int, name: str, rng: np.random.Generator) -> set[int]:
    values[at:, channel] *= np.exp(rng.uniform(-3, 3))
    return set()


KINDS: dict[str, tuple[Put, str]] = {
    "another unit": (_scaled, "reads"),
    "exchanged": (_exchanged, "is exchanged"),
    "at the end of its range": (_at_its_end, "is at the end"),
    "a loose contact": (_loose, "jumps"),
    "a machine's jump": (_jumped, ""),
}


def _named(values: Floats, channels: tuple[str, ...], put: Put, words: str) -> tuple[int, int]:
    """How often the fault was named, and how often something else was."""
    right = wrong = 0
    usable = [n for n in range(len(channels)) if len(np.unique(values[: len(values) // 2, n])) > _FEWEST_VALUES]
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        at = int(len(values) * rng.uniform(0.45, 0.6))
        channel = int(rng.choice(usable))
        faulty = values.copy()
        where = put(faulty, at, channel, channels[channel], rng)
        said = _signs(faulty, channels)
        hits = {sign for sign in said if words and sign[0] in where and sign[1].startswith(words)}
        right += bool(hits)
        wrong += bool(said - hits)
    return right, wrong


def _signs(values: Floats, channels: tuple[str, ...]) -> set[tuple[int, str]]:
    """Which channels were ever in alarm, and what was said of them."""
    detector = Sensors()
    detector.watch([Stream(n, 1, "", "", name, quantity_of(name).name, "") for n, name in enumerate(channels)])
    said = set()
    for first in range(0, len(values), 100):
        part = values[first : first + 100]
        times = (first + np.arange(len(part))) * 1_000_000
        stream = np.repeat(np.arange(len(channels)), len(part))
        scores = detector.score(Batch.of(np.tile(times, len(channels)), stream, part.T.ravel()), 0)
        last = np.flatnonzero(np.diff(np.append(scores.subject, -1)))
        loud = scores.subject[last][scores.score[last] >= 1.0]
        said |= {(int(subject), detector.explain(int(subject)).sign) for subject in loud}
    return said


def _table(path: Path) -> tuple[Floats, tuple[str, ...]]:
    recording = read(path, time_column="datetime", ignore=LABELS)
    return recording.values, recording.channels


def _pump(data: Path) -> tuple[Floats, tuple[str, ...]]:
    values, channels = _table(data / "SKAB/anomaly-free/anomaly-free.csv")
    return values[:_ROWS], channels


def _rig(data: Path) -> tuple[Floats, tuple[str, ...]]:
    columns = {
        path.stem: np.loadtxt(path, max_rows=_HYDRAULIC_CYCLES).ravel()
        for path in sorted(data.glob("HYDRAULIC/[CSTV]*.txt"))
    }
    return np.column_stack(list(columns.values())), tuple(columns)
