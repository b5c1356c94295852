"""Machines of one model under like load, each against the others: live by `notify`, and `bellwether peers`.

What weather, season or the product does to all of them moves the peers' median too and is no alarm; what one does alone
is. No `Detector`, since a machine's score depends on its peers' readings: it works on the means of whole buckets of
time, each scored once it is over, and never looks at a later one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from detectors.calibration import limit
from detectors.files import output_names
from detectors.recordings import Floats, Recording, in_order, parse_times, read

DETECTOR = "peers"
# Others that a machine is compared with. With fewer their median is one machine's, and its faults are everybody's.
FEWEST_PEERS = 4
# Buckets whose median is a level: one that is odd is nobody's fault.
_LEVEL = 3


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What the peers say of each machine in each bucket.

    Attributes
    ----------
    score : float64 (M, B)
        1.0 is the limit of the share allowed; NaN with fewer than four others, or before three buckets.
    top : intp (M, B)
        The channel that leads.
    fleet : float64 (B,)
        The same for the median of all machines against its own past: what happens to everybody.
    """

    score: Floats
    top: npt.NDArray[np.intp]
    fleet: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Apart:
    """How far machines have gone from their places beside their peers.

    Attributes
    ----------
    moved : float64 (M, B, C)
        The median of the last three buckets; NaN where one of them has no reading or fewer than four others.
    allowed : float64 (M, C)
        How far that may be; NaN where too little is known.
    score : float64 (M, B, C)
        1.0 is the limit, NaN without an opinion.
    """

    moved: Floats
    allowed: Floats
    score: Floats


def apart(levels: Floats, healthy: npt.NDArray[np.bool_], share: float) -> Apart:
    """Hold each series of (M, B, C) to the median of the others, and to how far from it that was in `healthy` buckets.

    `healthy` is bool (M, B); `share` of such buckets may be beyond the limit, in each channel. A series that says too
    little by itself has the limit of all of them.
    """
    # Machines have places of their own. They are taken out first: else one that strays takes the others' median along.
    places = _middle_of_time(np.where(healthy[:, :, None], levels - _middle(levels), np.nan))
    return _measured(_from_others(levels - np.nan_to_num(places)), healthy, share)


def _from_others(levels: Floats) -> Floats:
    """How far each machine is from the median of the others, (M, B, C); NaN with fewer than four others."""
    return levels - np.stack([_middle(np.delete(levels, each, axis=0)) for each in range(len(levels))])


def _measured(distance: Floats, healthy: npt.NDArray[np.bool_], share: float) -> Apart:
    recent = np.stack([np.roll(distance, lag, axis=1) for lag in range(_LEVEL)])
    level = np.median(recent, axis=0)
    level[:, : _LEVEL - 1] = np.nan
    learnt = np.where(healthy[:, :, None], level, np.nan)
    usual = _middle_of_time(learnt)
    moved, in_health = level - usual, np.abs(learnt - usual)
    own = np.apply_along_axis(limit, 1, in_health, share)
    pooled = [limit(in_health[:, :, channel].ravel(), share) for channel in range(distance.shape[2])]
    allowed = np.where(np.isnan(own), np.array(pooled), own)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(allowed[:, None] > 0, np.abs(moved) / allowed[:, None], np.nan)
    return Apart(moved, allowed, score)


def compare(levels: Floats, trained: int, share: float) -> Comparison:
    """Score machines by their peers.

    Parameters
    ----------
    levels : float64 (M, B, C)
        The mean of each machine's channel in each bucket; NaN without readings.
    trained : int
        The first buckets, in which all were well: how far each stands from its peers is its own.
    share : float
        Of healthy buckets that one machine may be in alarm.

    Notes
    -----
    Fails where most machines have the same fault, and where load differs: a machine that works harder is not like its
    peers.
    """
    machines, buckets, channels = levels.shape
    healthy = np.broadcast_to(np.arange(buckets) < trained, (machines, buckets))
    own = apart(levels, healthy, share / channels).score
    fleet = _measured(_middle(levels)[None], healthy[:1], share / channels).score[0]
    known = np.where(np.isnan(own), -np.inf, own)
    score = known.max(axis=2)
    everybody = np.where(np.isnan(fleet), -np.inf, fleet).max(axis=1)
    return Comparison(_said(score), known.argmax(axis=2), _said(everybody))


def run(
    paths: Sequence[Path],
    *,
    time_column: str,
    out: Path,
    train_until: str,
    bucket_s: float = 3600.0,
    ignore: Sequence[str] = (),
    false_alarm_rate: float = 0.01,
) -> dict[str, Any]:
    """Compare files, each one machine of the same model: a CSV `time,score,alarm,top_channel,fleet` for each in `out`.

    `time` is when a bucket was over. Only the channels that all files have are compared. Returns what is also written
    to `summary.json`.

    Raises
    ------
    ValueError
        If there are fewer than five files, they share no channel, or a file or time can't be read.
    """
    if len(paths) <= FEWEST_PEERS:
        raise ValueError(f"{len(paths)} machines: a comparison needs {FEWEST_PEERS + 1}")
    recordings = [read(path, time_column=time_column, ignore=ignore) for path in paths]
    channels = [name for name in recordings[0].channels if all(name in each.channels for each in recordings)]
    if not channels:
        raise ValueError("no channel that all files have")
    bucket_us = int(bucket_s * 1e6)
    first, levels = _buckets(recordings, channels, bucket_us)
    over_us = (first + 1 + np.arange(levels.shape[1])) * bucket_us
    trained = int(np.count_nonzero(over_us <= parse_times(pd.Series([train_until]))[0]))
    found = compare(levels, trained, false_alarm_rate)
    out.mkdir(parents=True, exist_ok=True)
    over = [pd.Timestamp(each, unit="us", tz="UTC").isoformat() for each in over_us]
    machines = []
    for number, (path, name) in enumerate(zip(paths, output_names(paths), strict=True)):
        score = np.nan_to_num(found.score[number])
        alarm = (score >= 1.0).astype(int)
        top = [channels[lead] if said > 0 else "" for lead, said in zip(found.top[number], score, strict=True)]
        columns = {"time": over, "score": score.round(6), "alarm": alarm, "top_channel": top}
        pd.DataFrame(columns | {"fleet": np.nan_to_num(found.fleet).round(6)}).to_csv(out / name, index=False)
        machines.append({"input": str(path), "output": name, "buckets": len(over), "in_alarm": int(alarm.sum())})
    summary = {"channels": channels, "bucket_s": bucket_s, "trained": trained, "machines": machines}
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _buckets(recordings: Sequence[Recording], channels: Sequence[str], bucket_us: int) -> tuple[int, Floats]:
    """The first bucket's number, and the mean of each machine's channel in each bucket, (M, B, C)."""
    numbers = [np.where((known := in_order(each.time_us)) >= 0, known // bucket_us, -1) for each in recordings]
    first = min(int(each[each >= 0].min()) for each in numbers)
    last = max(int(each.max()) for each in numbers)
    levels = np.full((len(recordings), last - first + 1, len(channels)), np.nan)
    for machine, (recording, number) in enumerate(zip(recordings, numbers, strict=True)):
        for channel, name in enumerate(channels):
            value = recording.values[:, recording.channels.index(name)]
            usable = (number >= 0) & ~np.isnan(value)
            count = np.bincount(number[usable] - first, minlength=last - first + 1)
            total = np.bincount(number[usable] - first, value[usable], minlength=last - first + 1)
            levels[machine, count > 0, channel] = total[count > 0] / count[count > 0]
    return first, levels


def _middle(levels: Floats) -> Floats:
    """The median of machines (M, …), NaN where fewer than four have a reading."""
    count = (~np.isnan(levels)).sum(axis=0)
    ordered = np.sort(levels, axis=0)  # NaN last
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(levels) - 1)[None], axis=0)[0]
    return np.where(count >= FEWEST_PEERS, (low + high) / 2, np.nan)


def _middle_of_time(level: Floats) -> Floats:
    """The median over buckets, (M, 1, C); NaN where there is no reading."""
    unknown = np.isnan(level).all(axis=1, keepdims=True)
    middle: Floats = np.where(unknown, np.nan, np.nanmedian(np.where(unknown, 0.0, level), axis=1, keepdims=True))
    return middle


def _said(score: Floats) -> Floats:
    return np.where(np.isneginf(score), np.nan, score)
